//! Figure 4: the channel impulse response over time.

use crate::picture;
use crate::run::{Impulse, LinkData};
use crate::svg::{Axis, Figure, Svg, WIDTH, coord, escape, number};
use std::ops::Range;

/// Columns of a picture at most; more frames are averaged in power.
const MAX_COLUMNS: usize = 1000;

/// Frames of the second picture, which shows each alone: some seconds, so that fades are seen.
const DETAIL_FRAMES: usize = 600;

/// Range of the colour scale, in dB below the strongest cell.
const RANGE_DB: f64 = 40.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 96.0;
const TOP: f64 = 30.0;
const PLOT: f64 = 210.0;
const GAP: f64 = 66.0;
const BOTTOM: f64 = 54.0;

/// The figure; `None` if no impulse response was kept.
pub(crate) fn figure(link: &LinkData, id: &str) -> Option<Figure> {
    let impulse = link.impulse.as_ref()?;
    let frames = impulse.taps.rows().min(impulse.air_time_s.len());
    let pictures: Vec<Picture> = match frames > MAX_COLUMNS {
        true => vec![Picture::of(impulse, 0..frames)?, Picture::of(impulse, 0..DETAIL_FRAMES)?],
        false => vec![Picture::of(impulse, 0..frames)?],
    };
    let whole = &pictures[0];

    let who = &impulse.measured_by;
    let delay_ns = |tap: f64| 1e9 * impulse.tap_spacing_s * (tap - impulse.zero_tap as f64);
    let delays = (delay_ns(-0.5), delay_ns(impulse.taps.cols() as f64 - 0.5));
    let height = TOP + pictures.len() as f64 * (PLOT + GAP) - GAP + BOTTOM;
    let title = "Channel impulse response over time";
    let description = format!(
        "Heat map of the channel gain measured by {who}, delays from {} to {} ns over {} seconds. \
         A bright band at delay 0, the strongest path, with echoes at longer delays.",
        number(delays.0, 0),
        number(delays.1, 0),
        number(whole.length, 1)
    );
    let mut svg = Svg::open(id, WIDTH, height, title, &description);
    for (i, picture) in pictures.iter().enumerate() {
        let top = TOP + i as f64 * (PLOT + GAP);
        let heading = match (pictures.len(), i) {
            (1, _) => "frame by frame",
            (_, 0) => "the whole run",
            _ => "its beginning, frame by frame",
        };
        svg.label("inset", LEFT, top - 9.0, heading);
        picture.draw(&mut svg, top, delays)?;
    }
    svg.label("axis mid", (LEFT + WIDTH - RIGHT) / 2.0, height - 12.0, "air time (s)");

    let averaged = match frames > MAX_COLUMNS {
        true => format!(
            " Above, each column averages the power of about {} frames.",
            number(frames as f64 / MAX_COLUMNS as f64, 0)
        ),
        false => String::new(),
    };
    let spacing_ns = 1e9 * impulse.tap_spacing_s;
    let caption = format!(
        "<strong>The echoes behind the fades.</strong> Channel impulse response measured by \
         {who}, {frames} frames: how strongly a sent pulse arrives after which delay. Each frame \
         is shifted so that its strongest path lies at delay 0; one tap is {tap} ns, or {metres} m \
         of path. As people and handset move, the echoes rise and fall: this is where the random \
         bits come from. Colours give the gain against the strongest cell of the picture; {floor} \
         dB and less is darkest.{averaged}",
        who = escape(who),
        frames = number(frames as f64, 0),
        tap = number(spacing_ns, 0),
        metres = number(spacing_ns * 0.299_792_458, 0),
        floor = number(-RANGE_DB, 0),
    );
    Some(Figure { drawing: svg.close(), caption })
}

/// A stretch of frames as a heat map.
struct Picture {
    start: f64,
    length: f64,
    uri: String,
}

impl Picture {
    /// `None` if the frames hold no power.
    fn of(impulse: &Impulse, frames: Range<usize>) -> Option<Self> {
        let times = impulse.air_time_s.get(frames.clone())?;
        let taps = impulse.taps.cols();
        let (start, end) = (*times.first()?, *times.last()?);
        let n = times.len() as f64;
        let length = (end - start).max(1e-6) * n / (n - 1.0).max(1.0);
        let columns = times.len().min(MAX_COLUMNS);

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
        Some(Self { start, length, uri: picture::data_uri(columns, taps, &pixels)? })
    }

    fn draw(&self, svg: &mut Svg, top: f64, delays: (f64, f64)) -> Option<()> {
        let time = Axis::new((self.start, self.start + self.length), (LEFT, WIDTH - RIGHT));
        let delay = Axis::new(delays, (top + PLOT, top));
        svg.rect("plot", time.from, top, time.to - time.from, PLOT);
        let (ticks, decimals) = delay.ticks(6);
        for tick in ticks {
            let y = delay.at(tick);
            svg.line("frame", time.from - 5.0, y, time.from, y);
            svg.label("tick end", time.from - 9.0, y + 4.5, &number(tick, decimals));
        }
        svg.raw(&image(&self.uri, time.from, top, time.to - time.from));
        svg.x_axis(&time, top + PLOT, 8);
        svg.label_up(22.0, top + PLOT / 2.0, "delay (ns)");

        let bar = time.to + 16.0;
        let scale: Vec<u8> = (0..64).rev().map(|i| picture::shade(f64::from(i) / 63.0)).collect();
        svg.raw(&image(&picture::data_uri(1, scale.len(), &scale)?, bar, top, 14.0));
        let colour = Axis::new((-RANGE_DB, 0.0), (top + PLOT, top));
        for tick in [0.0, -10.0, -20.0, -30.0, -40.0] {
            svg.label("tick", bar + 20.0, colour.at(tick) + 4.5, &number(tick, 0));
        }
        svg.label_up(WIDTH - 10.0, top + PLOT / 2.0, "gain (dB)");
        Some(())
    }
}

fn image(uri: &str, x: f64, y: f64, width: f64) -> String {
    let (x, y, width, height) = (coord(x), coord(y), coord(width), coord(PLOT));
    format!(
        "<image href=\"{uri}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" \
         preserveAspectRatio=\"none\" style=\"image-rendering:pixelated\"/>"
    )
}

/// Mean power of each tap in each column of time; a column without frames repeats its neighbour if
/// that is no more than two columns away.
fn binned_power(
    impulse: &Impulse,
    frames: Range<usize>,
    columns: usize,
    start: f64,
    length: f64,
) -> Vec<Option<Vec<f64>>> {
    let taps = impulse.taps.cols();
    let mut sums = vec![(0u32, vec![0.0f64; taps]); columns];
    for frame in frames {
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
            let mut near = (0..=2).filter_map(|back| x.checked_sub(back));
            near.find_map(|x| known[x].clone())
        })
        .collect()
}
