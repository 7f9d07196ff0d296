//! What every figure needs: escaping, short numbers, axes, legends and the frame of an SVG.

use crate::style;
use std::fmt::Write;

/// Width of a figure in user units; the page shows it at about this many pixels.
pub(crate) const WIDTH: f64 = 900.0;

/// One figure: the drawing and its caption as HTML.
pub(crate) struct Figure {
    pub(crate) drawing: String,
    pub(crate) caption: String,
}

/// Text made safe for XML content and quoted attributes. Control characters, which XML forbids,
/// become U+FFFD.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A coordinate with at most one decimal and nothing superfluous: "12", "12.5", "-3".
pub(crate) fn coord(x: f64) -> String {
    let tenths = (x * 10.0).round();
    if !tenths.is_finite() || tenths == 0.0 {
        return "0".into();
    }
    if tenths % 10.0 == 0.0 {
        format!("{}", tenths / 10.0)
    } else {
        format!("{:.1}", tenths / 10.0)
    }
}

/// A number for readers: fixed decimals, true minus sign, narrow spaces that do not break between thousands.
pub(crate) fn number(x: f64, decimals: usize) -> String {
    let plain = format!("{:.*}", decimals.min(9), x.abs());
    let (whole, rest) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let mut out = String::new();
    if x < 0.0 && plain.bytes().any(|b| (b'1'..=b'9').contains(&b)) {
        out.push('\u{2212}');
    }
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) && whole.len() > 4 {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out + rest
}

/// A share of one as "4.7 %", with a space that does not break.
pub(crate) fn percent(share: f64) -> String {
    format!("{}\u{a0}%", number(100.0 * share, 1))
}

/// A small rate: plain decimals from 0.001 on, otherwise as "3.9·10⁻⁵".
pub(crate) fn rate(x: f64) -> String {
    if x == 0.0 || !x.is_finite() || x.abs() >= 0.001 {
        return number(x, 4);
    }
    let power = x.abs().log10().floor();
    format!("{}\u{b7}10{}", number(x / 10f64.powf(power), 1), superscript(power as i32))
}

/// A whole number as an exponent.
pub(crate) fn superscript(n: i32) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let raise = |c: char| c.to_digit(10).map_or('⁻', |digit| DIGITS[digit as usize]);
    n.to_string().chars().map(raise).collect()
}

/// A linear axis: values `low..high` onto coordinates `from..to`.
#[derive(Clone, Copy)]
pub(crate) struct Axis {
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) from: f64,
    pub(crate) to: f64,
}

impl Axis {
    /// The axis; values that leave no room are widened.
    pub(crate) fn new((low, high): (f64, f64), (from, to): (f64, f64)) -> Self {
        let (low, high) =
            if low.is_finite() && high.is_finite() { (low, high) } else { (0.0, 1.0) };
        let high = if high - low > 1e-12 * low.abs().max(1e-12) { high } else { low + 1.0 };
        Self { low, high, from, to }
    }

    /// Coordinate of a value, kept within the axis.
    pub(crate) fn at(&self, x: f64) -> f64 {
        let share = ((x - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        self.from + share * (self.to - self.from)
    }

    /// About `count` round values on the axis, with the decimals that tell them apart.
    pub(crate) fn ticks(&self, count: usize) -> (Vec<f64>, usize) {
        let raw = (self.high - self.low) / count.max(1) as f64;
        let power = 10f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|m| m * power)
            .find(|step| *step >= raw * 0.999)
            .unwrap_or(10.0 * power);
        let first = (self.low / step - 1e-9).ceil();
        let ticks = (0..=4 * count)
            .map(|i| (first + i as f64) * step)
            .take_while(|x| *x <= self.high + 1e-9 * step)
            .collect();
        let decimals = (-(step * 1.000001).log10().floor()).clamp(0.0, 9.0) as usize;
        (ticks, decimals)
    }

    /// The ticks with their labels.
    pub(crate) fn labelled(&self, count: usize) -> Vec<(f64, String)> {
        let (ticks, decimals) = self.ticks(count);
        ticks.into_iter().map(|tick| (tick, number(tick, decimals))).collect()
    }
}

/// A drawing in the making.
pub(crate) struct Svg {
    text: String,
}

impl Svg {
    /// Opens a drawing of the figure's width for the page, with its alternative text.
    pub(crate) fn open(id: &str, width: f64, height: f64, title: &str, description: &str) -> Self {
        let (w, h) = (coord(width), coord(height));
        let (title, description) = (escape(title), escape(description));
        let text = format!(
            "<svg id=\"{id}\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" role=\"img\" \
             aria-labelledby=\"{id}-t {id}-d\"><title id=\"{id}-t\">{title}</title>\
             <desc id=\"{id}-d\">{description}</desc>\n"
        );
        Self { text }
    }

    /// Opens a drawing that is a file of its own: with the style, and on a card.
    pub(crate) fn open_file(
        id: &str,
        width: f64,
        height: f64,
        title: &str,
        description: &str,
    ) -> Self {
        let mut svg = Self::open(id, width, height, title, description);
        svg.text = svg.text.replacen("<svg ", "<svg xmlns=\"http://www.w3.org/2000/svg\" ", 1);
        svg.raw(&format!("<style>{}</style>", style::for_file()));
        svg.raw(&format!(
            "<rect class=\"card\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"10\"/>",
            coord(width - 1.0),
            coord(height - 1.0)
        ));
        svg
    }

    /// Ends the drawing and gives its text.
    pub(crate) fn close(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }

    /// Adds finished markup, which is not escaped.
    pub(crate) fn raw(&mut self, markup: &str) {
        self.text.push_str(markup);
        self.text.push('\n');
    }

    /// A path of this class.
    pub(crate) fn path(&mut self, class: &str, d: &str) {
        if !d.is_empty() {
            let _ = writeln!(self.text, "<path class=\"{class}\" d=\"{d}\"/>");
        }
    }

    /// Draws a straight line from (`x1`, `y1`) to (`x2`, `y2`).
    pub(crate) fn line(&mut self, class: &str, x1: f64, y1: f64, x2: f64, y2: f64) {
        self.path(class, &format!("M{} {}L{} {}", coord(x1), coord(y1), coord(x2), coord(y2)));
    }

    /// Draws a rectangle with its upper left corner at (`x`, `y`).
    pub(crate) fn rect(&mut self, class: &str, x: f64, y: f64, width: f64, height: f64) {
        let (x, y, w, h) = (coord(x), coord(y), coord(width), coord(height));
        let _ = writeln!(
            self.text,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\"/>"
        );
    }

    /// Text at its baseline; `class` holds "mid" or "end" for another anchor than the start.
    pub(crate) fn label(&mut self, class: &str, x: f64, y: f64, text: &str) {
        let (x, y, text) = (coord(x), coord(y), escape(text));
        let _ = writeln!(self.text, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{text}</text>");
    }

    /// Text that runs upwards, centred at this point.
    pub(crate) fn label_up(&mut self, x: f64, y: f64, text: &str) {
        let (x, y, text) = (coord(x), coord(y), escape(text));
        let _ = writeln!(
            self.text,
            "<text class=\"axis mid\" transform=\"translate({x} {y}) rotate(-90)\">{text}</text>"
        );
    }

    /// Tick marks and labels of a vertical axis at `x`, with grid lines to `grid_to`.
    pub(crate) fn y_axis(&mut self, axis: &Axis, x: f64, grid_to: f64, count: usize) {
        self.y_ticks(axis, x, grid_to, &axis.labelled(count));
    }

    /// The same with these values and labels.
    pub(crate) fn y_ticks(&mut self, axis: &Axis, x: f64, grid_to: f64, ticks: &[(f64, String)]) {
        for (value, text) in ticks {
            let y = axis.at(*value);
            self.line("grid", x, y, grid_to, y);
            self.label("tick end", x - 7.0, y + 4.5, text);
        }
    }

    /// Tick marks and labels of a horizontal axis at `y`.
    pub(crate) fn x_axis(&mut self, axis: &Axis, y: f64, count: usize) {
        self.x_ticks(axis, y, &axis.labelled(count));
    }

    /// The same with these values and labels.
    pub(crate) fn x_ticks(&mut self, axis: &Axis, y: f64, ticks: &[(f64, String)]) {
        self.line("frame", axis.from, y, axis.to, y);
        for (value, text) in ticks {
            let x = axis.at(*value);
            self.line("frame", x, y, x, y + 5.0);
            self.label("tick mid", x, y + 20.0, text);
        }
    }

    /// Rows of legend entries from `x` on, the first with its baseline at `y`, none beyond `right`: a sample drawn in a
    /// box of 26 x 12 and its name.
    pub(crate) fn legend(&mut self, x: f64, right: f64, y: f64, entries: &[(String, &str)]) {
        let names: Vec<&str> = entries.iter().map(|(_, name)| *name).collect();
        for ((sample, name), (column, row)) in entries.iter().zip(legend_places(&names, right - x))
        {
            let (at, baseline) = (x + column, y + LEGEND_PITCH * row as f64);
            let (tx, ty) = (coord(at), coord(baseline - 10.0));
            let _ = write!(self.text, "<g transform=\"translate({tx} {ty})\">{sample}</g>");
            self.label("key", at + 33.0, baseline, name);
        }
    }
}

/// From row to row of a legend.
const LEGEND_PITCH: f64 = 20.0;

/// Height of the legend's rows beyond the first.
pub(crate) fn legend_more(names: &[&str], width: f64) -> f64 {
    LEGEND_PITCH * legend_places(names, width).last().map_or(0.0, |(_, row)| *row as f64)
}

/// Where each entry begins: its offset and its row.
fn legend_places(names: &[&str], width: f64) -> Vec<(f64, usize)> {
    let (mut x, mut row) = (0.0, 0);
    names
        .iter()
        .map(|name| {
            let length = 33.0 + 7.4 * name.chars().count() as f64;
            if x > 0.0 && x + length > width {
                (x, row) = (0.0, row + 1);
            }
            let place = (x, row);
            x += length + 22.0;
            place
        })
        .collect()
}

/// Path of a disc at x, y of this radius.
pub(crate) fn mark_disc(x: f64, y: f64, r: f64) -> String {
    let (d, x, y, r) = (coord(2.0 * r), coord(x - r), coord(y), coord(r));
    format!("M{x} {y}a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0 -{d} 0z")
}

/// A legend sample: a line of this class.
pub(crate) fn line_sample(class: &str) -> String {
    format!("<path class=\"{class}\" d=\"M0 6H26\"/>")
}

/// A legend sample: an upright line of this class.
pub(crate) fn upright_sample(class: &str) -> String {
    format!("<path class=\"{class}\" d=\"M13 -2V14\"/>")
}

/// A legend sample: a filled box of this class.
pub(crate) fn box_sample(class: &str) -> String {
    format!("<rect class=\"{class}\" x=\"7\" width=\"12\" height=\"12\"/>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        assert_eq!(escape("<a b=\"c\">&'\0"), "&lt;a b=&quot;c&quot;&gt;&amp;&#39;\u{fffd}");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(number(-1234.56, 1), "\u{2212}1234.6");
        assert_eq!(number(16384.0, 0), "16\u{202f}384");
        assert_eq!(number(-0.04, 1), "0.0");
        assert_eq!(
            (coord(12.04), coord(-0.01), coord(3.25)),
            ("12".into(), "0".into(), "3.3".into())
        );
        assert_eq!(coord(f64::NAN), "0");
        assert_eq!((rate(0.0391), rate(3.94e-5)), ("0.0391".into(), "3.9·10⁻⁵".into()));
    }

    #[test]
    fn ticks_are_round_and_within_the_axis() {
        let axis = Axis::new((-0.3, 1.1), (0.0, 100.0));
        let (ticks, decimals) = axis.ticks(5);
        assert_eq!(decimals, 1);
        let expected = [0.0, 0.5, 1.0];
        assert_eq!(ticks.len(), expected.len());
        for (tick, expected) in ticks.iter().zip(expected) {
            assert!((tick - expected).abs() < 1e-12);
        }
        assert!(Axis::new((2.0, 2.0), (0.0, 1.0)).ticks(4).0.len() > 1);
        assert!(Axis::new((f64::NAN, 2.0), (0.0, 1.0)).at(0.5) == 0.5);
    }
}
