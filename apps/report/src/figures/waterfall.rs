//! Figure 4: the channel impulse response over time.

use crate::picture;
use crate::run::{Impulse, LinkData};
use crate::svg::{Axis, Figure, Svg, WIDTH, coord, escape, number};

/// Columns of the picture at most; more frames are averaged in power.
const MAX_COLUMNS: usize = 1000;

/// Range of the colour scale, in dB below the strongest cell.
const RANGE_DB: f64 = 40.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 96.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 54.0;

/// The figure; `None` if no impulse response was kept.
pub(crate) fn figure(link: &LinkData, id: &str) -> Option<Figure> {
    let impulse = link.impulse.as_ref()?;
    let frames = impulse.taps.rows().min(impulse.air_time_s.len());
    let taps = impulse.taps.cols();
    if frames == 0 || taps == 0 {
        return None;
    }
    let columns = frames.min(MAX_COLUMNS);
    let (start, end) = (impulse.air_time_s[0], impulse.air_time_s[frames - 1]);
    let length = (end - start).max(1e-6) * frames as f64 / (frames as f64 - 1.0).max(1.0);
    let power = binned_power(impulse, frames, columns, start, length);
    let strongest = power.iter().flatten().flatten().fold(0.0, |a: f64, b| a.max(*b));
    if strongest <= 0.0 {
        return None;
    }
    let mut pixels = vec![picture::NOTHING; columns * taps];
    for (x, column) in power.iter().enumerate() {
        for (tap, level) in column.iter().flatten().enumerate() {
            let db = 10.0 * (level / strongest).max(1e-20).log10();
            pixels[(taps - 1 - tap) * columns + x] = picture::shade(1.0 + db / RANGE_DB);
        }
    }
    let uri = picture::data_uri(columns, taps, &pixels)?;
    let scale: Vec<u8> = (0..64).rev().map(|i| picture::shade(f64::from(i) / 63.0)).collect();
    let scale_uri = picture::data_uri(1, 64, &scale)?;

    let time = Axis::new((start, start + length), (LEFT, WIDTH - RIGHT));
    let spacing_ns = 1e9 * impulse.tap_spacing_s;
    let delay_ns = |tap: f64| (tap - impulse.zero_tap as f64) * spacing_ns;
    let delay = Axis::new((delay_ns(-0.5), delay_ns(taps as f64 - 0.5)), (HEIGHT - BOTTOM, TOP));
    let who = &impulse.measured_by;
    let description = format!(
        "Heat map of the channel gain measured by {who}: delay of {taps} taps from {} to {} ns over \
         {} seconds. A bright band at delay 0 fades in and out; the echoes above it weaken with \
         delay.",
        number(delay.low, 0),
        number(delay.high, 0),
        number(length, 1)
    );
    let title = "Channel impulse response over time";
    let mut svg = Svg::open(id, WIDTH, HEIGHT, title, &description);
    let image = |uri: &str, x: f64, width: f64| {
        format!(
            "<image href=\"{uri}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" \
             preserveAspectRatio=\"none\" style=\"image-rendering:pixelated\"/>",
            coord(x),
            coord(TOP),
            coord(width),
            coord(HEIGHT - TOP - BOTTOM)
        )
    };
    svg.rect("plot", time.from, TOP, time.to - time.from, HEIGHT - TOP - BOTTOM);
    let (ticks, decimals) = delay.ticks(6);
    for tick in ticks {
        let y = delay.at(tick);
        svg.line("frame", time.from - 5.0, y, time.from, y);
        svg.label("tick end", time.from - 9.0, y + 4.5, &number(tick, decimals));
    }
    svg.raw(&image(&uri, time.from, time.to - time.from));
    svg.x_axis(&time, HEIGHT - BOTTOM, 8);
    svg.label_up(22.0, (TOP + HEIGHT - BOTTOM) / 2.0, "delay (ns)");
    svg.label("axis mid", (time.from + time.to) / 2.0, HEIGHT - 10.0, "air time (s)");

    let bar = time.to + 16.0;
    svg.raw(&image(&scale_uri, bar, 14.0));
    let colour = Axis::new((-RANGE_DB, 0.0), (HEIGHT - BOTTOM, TOP));
    for tick in [0.0, -10.0, -20.0, -30.0, -40.0] {
        svg.label("tick", bar + 20.0, colour.at(tick) + 4.5, &number(tick, 0));
    }
    let middle = coord((TOP + HEIGHT - BOTTOM) / 2.0);
    svg.raw(&format!(
        "<text class=\"axis mid\" transform=\"translate({} {middle}) rotate(-90)\">gain (dB)</text>",
        coord(WIDTH - 10.0)
    ));

    let averaged = match frames > columns {
        true => format!(
            " Each column averages the power of about {} frames.",
            number(frames as f64 / columns as f64, 0)
        ),
        false => String::new(),
    };
    let caption = format!(
        "<strong>The echoes behind the fades.</strong> Channel impulse response measured by \
         {who}, {frames} frames: how strongly a sent pulse arrives after which delay. Each frame is \
         shifted so that its strongest path lies at delay 0; one tap is {tap} ns, or {metres} m of \
         path. As people and handset move, the echoes rise and fall: this is where the random \
         bits come from. Colours give the gain against the strongest cell; {floor} dB and less is \
         darkest.{averaged}",
        who = escape(who),
        frames = number(frames as f64, 0),
        tap = number(spacing_ns, 0),
        metres = number(spacing_ns * 0.299_792_458, 0),
        floor = number(-RANGE_DB, 0),
    );
    Some(Figure { drawing: svg.close(), caption })
}

/// Mean power of each tap in each column of time; a column without frames repeats its neighbour if
/// that is no more than two columns away.
fn binned_power(
    impulse: &Impulse,
    frames: usize,
    columns: usize,
    start: f64,
    length: f64,
) -> Vec<Option<Vec<f64>>> {
    let taps = impulse.taps.cols();
    let mut sums = vec![(0u32, vec![0.0f64; taps]); columns];
    for frame in 0..frames {
        let share = (impulse.air_time_s[frame] - start) / length;
        let column = ((share * columns as f64 + 1e-6) as usize).min(columns - 1);
        let (count, sum) = &mut sums[column];
        *count += 1;
        for (total, tap) in sum.iter_mut().zip(impulse.taps.row(frame)) {
            *total += f64::from(tap.norm_sqr());
        }
    }
    let known: Vec<Option<Vec<f64>>> = sums
        .into_iter()
        .map(|(n, sum)| (n > 0).then(|| sum.iter().map(|s| s / f64::from(n)).collect()))
        .collect();
    (0..columns)
        .map(|x| {
            let near = [0usize, 1, 2].into_iter().filter_map(|back| x.checked_sub(back));
            near.filter_map(|x| known[x].clone()).next()
        })
        .collect()
}
