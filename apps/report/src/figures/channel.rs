//! Figure 1: the selected carriers at both ends and at Eve, the thresholds and the bits.

use super::{carrier_name, disturbed};
use crate::matrix::Matrix;
use crate::run::{Disturbances, LinkData, SimulatedBits, WindowData};
use crate::svg::{
    Axis, Figure, Svg, WIDTH, box_sample, coord, escape, legend_more, line_sample, number,
    upright_sample,
};
use num_complex::Complex32;
use std::borrow::Cow;

/// Probes shown: enough for some fades, few enough to see them.
const MAX_PROBES: usize = 400;
const MAX_PANELS: usize = 4;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 58.0;
const PLOT: f64 = 118.0;
/// From row to row of bits: room for a name in letters of 11 units.
const STRIP: f64 = 14.0;
/// Height of a row's cells.
const CELL: f64 = 10.0;
/// From the plot to the first row: its name must not touch the label of the lowest tick.
const STRIPS_BELOW: f64 = 8.0;
const GAP: f64 = 44.0;
const BOTTOM: f64 = 48.0;

/// Deepest level drawn, in dB below the threshold.
const FLOOR_DB: f64 = -25.0;

/// One end's part in the figure.
struct Trace<'a> {
    name: &'a str,
    class: &'static str,
    csi: &'a Matrix<Complex32>,
    bits: Option<&'a Matrix<u8>>,
    thresholds: fn(&WindowData) -> &[f32],
}

/// What the panels of the figure have in common.
struct Scene<'a> {
    link: &'a LinkData,
    windows: Vec<Cow<'a, WindowData>>,
    traces: Vec<Trace<'a>>,
    /// Usual time from probe to probe, s.
    step: f64,
    time: Axis,
}

/// The figure; `None` if the link kept no CSI.
pub(crate) fn figure(
    link: &LinkData,
    disturbances: Option<Disturbances>,
    id: &str,
) -> Option<Figure> {
    let probes = link.probes().min(link.csi.qap.rows()).min(link.csi.user.rows());
    if probes == 0 || link.carriers.is_empty() {
        return None;
    }
    let windows = stretch(link, probes);
    let borders = windows.len() > 1;
    let count: usize = windows.iter().map(|w| w.probes).sum();
    let first = windows.first()?.first;
    let times = link.air_time_s.get(first..first + count)?;
    let traces = traces(link);
    let strips = traces.iter().filter(|t| t.bits.is_some()).count() as f64;
    let panels = windows.iter().map(|w| w.carriers.len()).max()?.min(MAX_PANELS);
    if panels == 0 {
        return None;
    }

    let mut keys: Vec<_> = traces.iter().map(|t| (line_sample(t.class), t.name)).collect();
    keys.push((line_sample("threshold"), "threshold"));
    if borders {
        keys.push((upright_sample("edge"), "window border"));
    }
    if strips > 0.0 {
        keys.push((box_sample("one"), "bit 1"));
        keys.push((box_sample("differs"), "bit differs from the QAP's"));
    }
    let names: Vec<&str> = keys.iter().map(|(_, name)| *name).collect();
    let first_top = TOP + legend_more(&names, WIDTH - LEFT);
    let bits_height = if strips > 0.0 { STRIPS_BELOW + strips * STRIP } else { 0.0 };
    let pitch = PLOT + bits_height + GAP;
    let height = first_top + panels as f64 * pitch - GAP + BOTTOM;
    let step = spacing(times);
    let time = Axis::new((times[0], times[count - 1] + step), (LEFT, WIDTH - RIGHT));
    let title = format!("Channel level of {panels} selected carriers over time");
    let scene = Scene { link, windows, traces, step, time };
    let curves: Vec<Vec<Curve>> = (0..panels)
        .map(|f| scene.traces.iter().map(|t| Curve::of(&scene, f, t)).collect())
        .collect();
    let agreement = agreement(&scene.traces, &curves);
    let description = format!(
        "Line plots of the level in decibels at {}, {} and Eve over {} seconds. {agreement}",
        link.qap,
        link.user,
        number(time.high - time.low, 1)
    );
    let mut svg = Svg::open(id, WIDTH, height, &title, &description);
    svg.legend(LEFT, WIDTH, 18.0, &keys);

    for (feature, curves) in curves.iter().enumerate() {
        let top = first_top + feature as f64 * pitch;
        scene.panel(&mut svg, feature, curves, top);
    }
    let bottom = height - BOTTOM + 4.0;
    svg.x_axis(&time, bottom, 8);
    svg.label("axis mid", (LEFT + WIDTH - RIGHT) / 2.0, bottom + 38.0, "air time (s)");

    let bits = if strips > 0.0 {
        " The bars under each panel are the bits that result, one row an end: dark is 1, blank is \
         0, and red marks a bit that differs from the QAP's."
    } else {
        ""
    };
    let borders = if borders {
        " Dotted upright lines are the borders of windows: at each, all ends compute new thresholds \
         from the probes of the next window alone."
    } else {
        ""
    };
    let caption = format!(
        "<strong>The same channel, heard from three places.</strong> Level of the carriers that \
         were selected for the key, for {shown} of {all} probes. {qap} (thick) and {user} (thin) \
         measure the radio channel between them milliseconds apart, Eve listens from where she \
         stands. {agreement} Each end compares a level with its own threshold \
         (dashed, the median of its window): above is bit 1, below is bit 0. No threshold is ever \
         sent.{borders}{bits} Levels are given against the mean threshold of each end. Where a curve is \
         interrupted, more than three probes in a row were not kept by both ends. {disturbed}",
        disturbed = disturbed(disturbances),
        shown = number(count as f64, 0),
        all = number(link.probes() as f64, 0),
        qap = escape(&link.qap),
        user = escape(&link.user),
        agreement = escape(&agreement),
    );
    Some(Figure { drawing: svg.close(), caption })
}

fn traces(link: &LinkData) -> Vec<Trace<'_>> {
    let bits = link.simulated_bits.as_ref().map(|SimulatedBits(bits)| bits);
    let mut traces = vec![
        Trace {
            name: &link.qap,
            class: "qap",
            csi: &link.csi.qap,
            bits: bits.map(|b| &b.qap),
            thresholds: |w| &w.thresholds_db.qap,
        },
        Trace {
            name: &link.user,
            class: "user",
            csi: &link.csi.user,
            bits: bits.map(|b| &b.user),
            thresholds: |w| &w.thresholds_db.user,
        },
    ];
    if let Some(csi) = &link.csi.eve {
        traces.push(Trace {
            name: "Eve",
            class: "eve",
            csi,
            bits: bits.and_then(|b| b.eve.as_ref()),
            thresholds: |w| w.thresholds_db.eve.as_deref().unwrap_or(&[]),
        });
    }
    traces
}

/// The first windows, up to the number of probes shown; without any, one made of the first probes
/// and of carriers spread over the band.
fn stretch(link: &LinkData, probes: usize) -> Vec<Cow<'_, WindowData>> {
    let mut out: Vec<Cow<'_, WindowData>> = Vec::new();
    let mut end = None;
    for window in link.windows.iter().filter(|w| w.probes > 0) {
        let adjacent = end.is_none_or(|end| end == window.first);
        let end_here = window.first.saturating_add(window.probes);
        let start = out.first().map_or(window.first, |w| w.first);
        if end_here > probes || !adjacent {
            break;
        }
        if end_here - start > MAX_PROBES {
            if out.is_empty() {
                out.push(Cow::Owned(WindowData { probes: MAX_PROBES, ..window.clone() }));
            }
            break;
        }
        out.push(Cow::Borrowed(window));
        end = Some(end_here);
    }
    if out.is_empty() {
        let n = link.carriers.len();
        let panels = n.min(MAX_PANELS);
        let carriers = (0..panels).map(|i| link.carriers[(2 * i + 1) * n / (2 * panels)]).collect();
        let probes = probes.min(MAX_PROBES);
        out.push(Cow::Owned(WindowData { probes, carriers, ..WindowData::default() }));
    }
    out
}

impl Scene<'_> {
    /// One carrier: the curves with their thresholds, and under them the bits.
    fn panel(&self, svg: &mut Svg, feature: usize, curves: &[Curve], top: f64) {
        let time = self.time;
        let values = || curves.iter().flat_map(|c| c.points.iter().flatten().map(|p| p.1));
        let low = values().fold(-3.0, f64::min).max(FLOOR_DB);
        let high = values().fold(3.0, f64::max);
        let margin = 0.06 * (high - low);
        let level = Axis::new((low - margin, high + margin), (top + PLOT, top));

        svg.label("inset", time.from, top - 7.0, &heading(&self.windows, feature));
        svg.rect("plot", time.from, top, time.to - time.from, PLOT);
        svg.y_axis(&level, time.from, time.to, 4);
        svg.label_up(22.0, top + PLOT / 2.0, "level (dB)");
        for window in &self.windows[1..] {
            if let Some(t) = self.link.air_time_s.get(window.first) {
                svg.line("edge", time.at(*t), top, time.at(*t), top + PLOT);
            }
        }
        for (trace, curve) in self.traces.iter().zip(curves) {
            svg.path(trace.class, &polyline(&curve.points, time, level, 4.0 * self.step));
            for (from, to, threshold) in &curve.thresholds {
                let class = format!("threshold {}-t", trace.class);
                let y = level.at(*threshold);
                svg.line(&class, time.at(*from), y, time.at(*to), y);
            }
        }

        let Some(reference) = self.traces[0].bits else { return };
        let mut y = top + PLOT + STRIPS_BELOW;
        for trace in &self.traces {
            let Some(bits) = trace.bits else { continue };
            svg.label("tiny end", time.from - 7.0, y + CELL - 1.0, trace.name);
            self.strip(svg, feature, bits, reference, y);
            y += STRIP;
        }
    }

    /// The bits of one end as a row of cells.
    fn strip(
        &self,
        svg: &mut Svg,
        feature: usize,
        bits: &Matrix<u8>,
        reference: &Matrix<u8>,
        y: f64,
    ) {
        let (mut ones, mut differing) = (String::new(), String::new());
        for probe in self.windows.iter().flat_map(|w| w.first..w.first + w.probes) {
            let (Some(t), Some(bit), Some(right)) = (
                self.link.air_time_s.get(probe),
                bits.get(probe, feature),
                reference.get(probe, feature),
            ) else {
                continue;
            };
            let path = match (bit == right, bit) {
                (false, _) => &mut differing,
                (true, 1) => &mut ones,
                _ => continue,
            };
            let x = self.time.at(*t);
            let (w, h) = (coord(self.time.at(t + self.step) - x), coord(CELL));
            path.push_str(&format!("M{} {}h{w}v{h}h-{w}z", coord(x), coord(y)));
        }
        svg.path("one", &ones);
        svg.path("differs", &differing);
    }
}

/// What one end draws into a panel.
struct Curve {
    /// Time and level against the mean threshold; `None` interrupts the line.
    points: Vec<Option<(f64, f64)>>,
    /// From, to and level of the threshold of each window.
    thresholds: Vec<(f64, f64, f64)>,
}

impl Curve {
    fn of(scene: &Scene<'_>, feature: usize, trace: &Trace<'_>) -> Self {
        let (link, step) = (scene.link, scene.step);
        let mut points = Vec::new();
        let mut thresholds = Vec::new();
        let mut previous = None;
        for window in &scene.windows {
            let carrier = window.carriers.get(feature).copied();
            let column = carrier.and_then(|c| link.carriers.iter().position(|x| *x == c));
            if carrier != previous {
                points.push(None);
                previous = carrier;
            }
            let range = window.first..window.first + window.probes;
            for probe in range.clone() {
                let value = column.and_then(|c| trace.csi.get(probe, c));
                points.push(match (link.air_time_s.get(probe), value) {
                    (Some(t), Some(h)) if h.norm_sqr() > 0.0 && h.is_finite() => {
                        Some((*t, 10.0 * f64::from(h.norm_sqr()).log10()))
                    }
                    _ => None,
                });
            }
            if let (Some(threshold), Some(times)) =
                ((trace.thresholds)(window).get(feature), link.air_time_s.get(range))
                && let [from, .., to] = times
            {
                thresholds.push((*from, to + step, f64::from(*threshold)));
            }
        }
        let levels: Vec<f64> = match thresholds.is_empty() {
            true => points.iter().flatten().map(|p| p.1).collect(),
            false => thresholds.iter().map(|t| t.2).collect(),
        };
        let zero = levels.iter().sum::<f64>() / levels.len().max(1) as f64;
        points.iter_mut().flatten().for_each(|p| p.1 -= zero);
        thresholds.iter_mut().for_each(|t| t.2 -= zero);
        Self { points, thresholds }
    }
}

/// How the levels drawn follow those of the QAP, in words: "Correlation with the levels at QAP1:
/// Alice 0.98, Eve 0.05."
fn agreement(traces: &[Trace<'_>], curves: &[Vec<Curve>]) -> String {
    let mut parts = Vec::new();
    for (end, trace) in traces.iter().enumerate().skip(1) {
        let pairs = || {
            curves.iter().flat_map(|c| {
                let paired = c[0].points.iter().zip(&c[end].points);
                paired.filter_map(|(a, b)| Some((a.as_ref()?.1, b.as_ref()?.1)))
            })
        };
        let n = pairs().count().max(1) as f64;
        let (a, b) = pairs().fold((0.0, 0.0), |s, p| (s.0 + p.0 / n, s.1 + p.1 / n));
        let (aa, bb, ab) = pairs().fold((0.0, 0.0, 0.0), |s, p| {
            let (x, y) = (p.0 - a, p.1 - b);
            (s.0 + x * x, s.1 + y * y, s.2 + x * y)
        });
        let correlation = ab / (aa * bb).sqrt();
        if correlation.is_finite() {
            parts.push(format!("{} {}", trace.name, number(correlation, 2)));
        }
    }
    if parts.is_empty() {
        return String::new();
    }
    format!("Correlation with the levels at {}: {}.", traces[0].name, parts.join(", "))
}

/// Joins the points, but not over a missing one and not over more than `longest_gap` seconds.
fn polyline(points: &[Option<(f64, f64)>], time: Axis, level: Axis, longest_gap: f64) -> String {
    let mut d = String::new();
    let mut last: Option<f64> = None;
    for point in points {
        let Some((t, y)) = *point else {
            last = None;
            continue;
        };
        let joined = last.is_some_and(|last| t - last <= longest_gap);
        d.push(if joined { 'L' } else { 'M' });
        d.push_str(&format!("{} {}", coord(time.at(t)), coord(level.at(y))));
        last = Some(t);
    }
    d
}

fn heading(windows: &[Cow<'_, WindowData>], feature: usize) -> String {
    let mut carriers = windows.iter().filter_map(|w| w.carriers.get(feature).copied());
    match carriers.next() {
        Some(first) if carriers.all(|c| c == first) => carrier_name(first),
        _ => format!("selected carrier {}", feature + 1),
    }
}

/// The usual time from probe to probe: the median, so that lost probes do not count.
fn spacing(times: &[f64]) -> f64 {
    let mut steps: Vec<f64> = times.windows(2).map(|w| w[1] - w[0]).collect();
    steps.sort_by(f64::total_cmp);
    steps.get(steps.len() / 2).copied().filter(|s| *s > 0.0).unwrap_or(0.01)
}
