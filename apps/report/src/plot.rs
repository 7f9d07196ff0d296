//! Curves over one quantity in the style of the report, as an SVG file: what `inspect`, `polar fer` and `qkd simulate` draw.

use crate::svg::{
    Axis, Svg, WIDTH, coord, legend_more, line_sample, mark_disc, number, superscript,
};

const LEFT: f64 = 84.0;
const RIGHT: f64 = 26.0;
/// From the top of a panel's part to its plot: heading and one row of the legend.
const HEAD: f64 = 58.0;
/// Below a plot: tick labels and the name of the axis.
const FOOT: f64 = 54.0;
/// Around everything in a file of its own.
const MARGIN: f64 = 14.0;

/// A drawing of one or more panels, one below the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// What it shows, in a few words; drawn above the first panel of a file.
    pub title: String,
    /// The same in sentences, for readers who do not see it.
    pub description: String,
    /// The pairs of axes, each with its curves.
    pub panels: Vec<Panel>,
}

/// One pair of axes with its curves.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// Above the plot; may be empty.
    pub heading: String,
    /// Height of the plot alone, where the drawing is 900 wide.
    pub height: f64,
    /// Name and range of the horizontal axis.
    pub x: Scale,
    /// Name and range of the vertical axis.
    pub y: Scale,
    /// The curves, the first drawn lowest.
    pub series: Vec<Series>,
}

/// An axis: its name and its range.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    name: String,
    low: f64,
    high: f64,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Linear,
    /// Linear with whole numbers as ticks.
    Whole,
    Logarithmic,
}

/// Points that belong together. Values beyond a range are drawn at its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Its name in the legend; without one it is not in there.
    pub name: String,
    /// Colour and line with which it is drawn.
    pub look: Look,
    /// x and y, in the order in which a line joins them.
    pub points: Vec<[f64; 2]>,
    /// Whether a line joins the points.
    pub line: bool,
    /// Whether each point has a mark.
    pub marks: bool,
    /// x, low and high of upright bars.
    pub intervals: Vec<[f64; 3]>,
}

/// Colour and line of a series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Look {
    /// The series that the plot is about: what was measured.
    #[default]
    Main,
    /// What it is held against.
    Second,
    /// The colour of a third series.
    Third,
    /// One of many series, drawn translucent.
    Faint,
    /// A limit, drawn as a dashed line.
    Limit,
}

impl Scale {
    /// An axis with equal distances for equal differences, from `low` to `high`.
    pub fn linear(name: impl Into<String>, low: f64, high: f64) -> Self {
        Self { name: name.into(), low, high, kind: Kind::Linear }
    }

    /// A linear axis of whole numbers.
    pub fn whole(name: impl Into<String>, low: f64, high: f64) -> Self {
        Self { kind: Kind::Whole, ..Self::linear(name, low, high) }
    }

    /// A logarithmic axis, both ends above 0.
    pub fn logarithmic(name: impl Into<String>, low: f64, high: f64) -> Self {
        Self { kind: Kind::Logarithmic, ..Self::linear(name, low, high) }
    }

    /// The axis in units of [`Scale::value`].
    fn axis(&self, span: (f64, f64)) -> Axis {
        Axis::new((self.value(self.low), self.value(self.high)), span)
    }

    fn value(&self, x: f64) -> f64 {
        match self.kind {
            Kind::Logarithmic => x.max(1e-300).log10(),
            Kind::Linear | Kind::Whole => x,
        }
    }

    fn ticks(&self, axis: &Axis, count: usize) -> Vec<(f64, String)> {
        match self.kind {
            Kind::Linear => axis.labelled(count),
            Kind::Whole => {
                let whole = |(x, _): (f64, String)| {
                    ((x - x.round()).abs() < 1e-6).then(|| (x.round(), number(x.round(), 0)))
                };
                axis.labelled(count.max(4)).into_iter().filter_map(whole).collect()
            }
            Kind::Logarithmic => logarithmic_ticks(axis, count),
        }
    }
}

/// Powers of ten, every so many that there are about `count`; below two of them also 2 and 5 times each.
fn logarithmic_ticks(axis: &Axis, count: usize) -> Vec<(f64, String)> {
    let (first, last) = (axis.low.floor() as i32, axis.high.ceil() as i32);
    let step = (f64::from(last - first) / count.max(1) as f64).ceil().max(1.0) as usize;
    let within = |x: f64| (axis.low - 1e-9..=axis.high + 1e-9).contains(&x);
    let whole = (first..=last).filter(|power| within(f64::from(*power))).count();
    let factors: &[u32] = if whole < 2 { &[1, 2, 5] } else { &[1] };
    let mut ticks = Vec::new();
    for power in (first..=last).step_by(step) {
        for factor in factors {
            let at = f64::from(power) + f64::from(*factor).log10();
            if within(at) {
                let ten = format!("10{}", superscript(power));
                let text = if *factor == 1 { ten } else { format!("{factor}\u{b7}{ten}") };
                ticks.push((at, text));
            }
        }
    }
    ticks
}

impl Look {
    fn line(self) -> &'static str {
        match self {
            Look::Main => "main",
            Look::Second => "second",
            Look::Third => "third",
            Look::Faint => "faint",
            Look::Limit => "limit",
        }
    }

    fn mark(self) -> &'static str {
        match self {
            Look::Second => "second-mark",
            Look::Third | Look::Limit => "third-mark",
            Look::Main | Look::Faint => "main-mark",
        }
    }
}

impl Series {
    /// A curve through these points.
    pub fn curve(name: impl Into<String>, look: Look, points: Vec<[f64; 2]>) -> Self {
        Self { name: name.into(), look, points, line: true, ..Self::default() }
    }

    /// With a mark at every point.
    pub fn with_marks(mut self) -> Self {
        self.marks = true;
        self
    }

    /// With these upright bars: x, low and high.
    pub fn with_intervals(mut self, intervals: Vec<[f64; 3]>) -> Self {
        self.intervals = intervals;
        self
    }

    fn sample(&self) -> String {
        let mut sample = String::new();
        if self.line || !self.intervals.is_empty() {
            sample.push_str(&line_sample(self.look.line()));
        }
        if self.marks {
            let d = mark_disc(13.0, 6.0, 3.4);
            sample.push_str(&format!("<path class=\"{}\" d=\"{d}\"/>", self.look.mark()));
        }
        sample
    }

    fn draw(&self, svg: &mut Svg, place: impl Fn(f64, f64) -> (f64, f64)) {
        let finite = || self.points.iter().filter(|p| p[0].is_finite() && p[1].is_finite());
        let mut d = String::new();
        for [x, low, high] in self.intervals.iter().filter(|i| i.iter().all(|v| v.is_finite())) {
            let ((x, low), (_, high)) = (place(*x, *low), place(*x, *high));
            d.push_str(&format!("M{} {}V{}", coord(x), coord(low), coord(high)));
        }
        svg.path(self.look.line(), &d);
        if self.line {
            let mut d = String::new();
            for [x, y] in finite() {
                let (x, y) = place(*x, *y);
                d.push(if d.is_empty() { 'M' } else { 'L' });
                d.push_str(&format!("{} {}", coord(x), coord(y)));
            }
            svg.path(self.look.line(), &d);
        }
        if self.marks {
            let marks = finite().map(|[x, y]| {
                let (x, y) = place(*x, *y);
                mark_disc(x, y, 3.4)
            });
            svg.path(self.look.mark(), &marks.collect::<String>());
        }
    }
}

impl Panel {
    /// The usual height of a panel's plot, in the units of [`Panel::height`].
    pub const HEIGHT: f64 = 260.0;

    fn named(&self) -> impl Iterator<Item = &Series> {
        self.series.iter().filter(|series| !series.name.is_empty())
    }

    /// Height of the part above the plot.
    fn head(&self) -> f64 {
        let names: Vec<&str> = self.named().map(|series| series.name.as_str()).collect();
        let heading = if self.heading.is_empty() { 22.0 } else { 0.0 };
        HEAD - heading + legend_more(&names, WIDTH - LEFT - RIGHT)
    }

    fn full_height(&self) -> f64 {
        self.head() + self.height + FOOT
    }

    fn draw(&self, svg: &mut Svg, top: f64) {
        let (from, to) = (LEFT, WIDTH - RIGHT);
        if !self.heading.is_empty() {
            svg.label("inset", from, top + 14.0, &self.heading);
        }
        let keys: Vec<(String, &str)> =
            self.named().map(|series| (series.sample(), series.name.as_str())).collect();
        let legend = if self.heading.is_empty() { 16.0 } else { 38.0 };
        svg.legend(from, to, top + legend, &keys);

        let plot = top + self.head();
        let (x, y) = (self.x.axis((from, to)), self.y.axis((plot + self.height, plot)));
        svg.rect("plot", from, plot, to - from, self.height);
        svg.y_ticks(&y, from, to, &self.y.ticks(&y, 6));
        svg.x_ticks(&x, plot + self.height, &self.x.ticks(&x, 10));
        svg.label_up(20.0, plot + self.height / 2.0, &self.y.name);
        svg.label("axis mid", (from + to) / 2.0, plot + self.height + 40.0, &self.x.name);
        for series in &self.series {
            series.draw(svg, |px, py| (x.at(self.x.value(px)), y.at(self.y.value(py))));
        }
    }
}

impl Plot {
    /// The drawing as an SVG file of its own, light and dark, in the style of the report.
    pub fn to_svg(&self) -> String {
        let height = 2.0 * MARGIN + 34.0 + self.height();
        let mut svg = Svg::open_file("plot", WIDTH, height, &self.title, &self.description);
        svg.label("head", LEFT, MARGIN + 20.0, &self.title);
        self.draw(&mut svg, MARGIN + 34.0);
        svg.close()
    }

    /// The drawing for a page.
    pub(crate) fn drawing(&self, id: &str) -> String {
        let mut svg = Svg::open(id, WIDTH, self.height(), &self.title, &self.description);
        self.draw(&mut svg, 0.0);
        svg.close()
    }

    fn height(&self) -> f64 {
        self.panels.iter().map(Panel::full_height).sum()
    }

    fn draw(&self, svg: &mut Svg, mut top: f64) {
        for panel in &self.panels {
            panel.draw(svg, top);
            top += panel.full_height();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale) -> Vec<String> {
        let axis = scale.axis((0.0, 100.0));
        scale.ticks(&axis, 6).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn a_logarithmic_axis_has_powers_of_ten_or_steps_between_them() {
        assert_eq!(labels(&Scale::logarithmic("", 1e-3, 1.0)), ["10⁻³", "10⁻²", "10⁻¹", "10⁰"]);
        assert_eq!(labels(&Scale::logarithmic("", 2e-4, 6e-4)), ["2·10⁻⁴", "5·10⁻⁴"]);
        assert_eq!(labels(&Scale::logarithmic("", 1e-12, 1.0)).len(), 7);
    }

    #[test]
    fn blocks_are_counted_in_whole_numbers() {
        assert_eq!(labels(&Scale::whole("", 0.5, 1.5)), ["1"]);
        assert_eq!(labels(&Scale::whole("", 0.5, 3.5)), ["1", "2", "3"]);
    }

    #[test]
    fn values_that_are_not_numbers_are_left_out() {
        let series = Series::curve("a", Look::Main, vec![[1.0, f64::NAN], [2.0, 1.0], [3.0, 0.0]]);
        let mut svg = Svg::open("x", 1.0, 1.0, "", "");
        series.draw(&mut svg, |x, y| (x, y));
        assert!(svg.close().contains("d=\"M2 1L3 0\""));
    }
}
