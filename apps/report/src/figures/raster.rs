//! Figure 2: the bits in which the user and Eve differ from the QAP.

use crate::matrix::Matrix;
use crate::run::{LinkData, RunData, SimulatedBits};
use crate::svg::{Figure, Svg, coord, escape, number, percent};

/// Bits drawn at most: a square of 128 x 128.
const MAX_BITS: usize = 128 * 128;

/// Side of one raster in user units.
const SIDE: f64 = 368.0;
const LEFT: f64 = 68.0;
const TOP: f64 = 54.0;

/// Between the panels, and around them, of the drawing that stands alone.
const GAP: f64 = 18.0;
const MARGIN: f64 = 20.0;

/// Where two ends differ, bit by bit in key order.
struct Difference {
    /// True where they differ; at most [`MAX_BITS`].
    cells: Vec<bool>,
    /// Number of bits that were compared, drawn or not.
    bits: usize,
    /// Number of compared bits that differ, drawn or not.
    differing: usize,
}

impl Difference {
    fn of(qap: &Matrix<u8>, other: &Matrix<u8>) -> Self {
        let differs = || qap.data().iter().zip(other.data()).map(|(a, b)| a != b);
        Self {
            cells: differs().take(MAX_BITS).collect(),
            bits: differs().count(),
            differing: differs().filter(|d| *d).count(),
        }
    }

    fn share(&self) -> f64 {
        self.differing as f64 / self.bits.max(1) as f64
    }

    /// Bits in a row of the raster.
    fn columns(&self) -> usize {
        match self.cells.len() {
            n if n >= 8192 => 128,
            n if n >= 2048 => 64,
            _ => 32,
        }
    }

    fn rows(&self) -> usize {
        self.cells.len().div_ceil(self.columns()).max(1)
    }

    /// The differing cells as horizontal strokes of width 1, in units of cells.
    fn strokes(&self) -> String {
        let mut d = String::new();
        for (y, row) in self.cells.chunks(self.columns()).enumerate() {
            let mut x = 0;
            while x < row.len() {
                let run = row[x..].iter().take_while(|cell| **cell).count();
                if run > 0 {
                    d.push_str(&format!("M{x} {y}h{run}"));
                }
                x += run + 1;
            }
        }
        d
    }
}

/// One panel with its heading and axes.
struct Panel<'a> {
    difference: Difference,
    qap: &'a str,
    other: &'a str,
    class: &'static str,
    /// What to hold the share against.
    measure: Option<String>,
}

impl Panel<'_> {
    fn height(&self) -> f64 {
        let side = self.difference.rows() as f64 / self.difference.columns() as f64 * SIDE;
        TOP + side + 46.0
    }

    fn draw(&self, svg: &mut Svg, x: f64, y: f64) {
        let d = &self.difference;
        let scale = SIDE / d.columns() as f64;
        let height = d.rows() as f64 * scale;
        let (left, top) = (x + LEFT, y + TOP);
        svg.label("head", left, y + 20.0, &format!("{} \u{2295} {}", self.qap, self.other));
        let mut count = format!("{} of bits differ", percent(d.share()));
        if let Some(measure) = &self.measure {
            count.push_str("; ");
            count.push_str(measure);
        }
        svg.label("sub", left, y + 41.0, &count);
        svg.rect("plot", left, top, SIDE, height);
        svg.raw(&format!(
            "<path class=\"{}\" shape-rendering=\"crispEdges\" transform=\"translate({} {}) \
             scale({scale})\" d=\"{}\"/>",
            self.class,
            coord(left),
            coord(top + scale / 2.0),
            d.strokes()
        ));
        svg.raw(&format!(
            "<rect class=\"outline\" x=\"{}\" y=\"{}\" width=\"{SIDE}\" height=\"{}\"/>",
            coord(left),
            coord(top),
            coord(height)
        ));
        for eighth in (0..=4).map(|i| i * d.rows() / 4) {
            let at = top + eighth as f64 * scale;
            let bit = number((eighth * d.columns()) as f64, 0);
            svg.label("tick end", left - 6.0, at + 4.5, &bit);
        }
        for column in (0..=4).map(|i| i * d.columns() / 4) {
            let at = left + column as f64 * scale;
            svg.label("tick mid", at, top + height + 18.0, &column.to_string());
        }
        let middle = left + SIDE / 2.0;
        svg.label("axis mid", middle, top + height + 38.0, "bit within the row");
        svg.label_up(x + 12.0, top + height / 2.0, "first bit of the row");
    }
}

fn panels<'a>(link: &'a LinkData, SimulatedBits(bits): &'a SimulatedBits) -> Vec<Panel<'a>> {
    let mut panels = vec![Panel {
        difference: Difference::of(&bits.qap, &bits.user),
        qap: &link.qap,
        other: &link.user,
        class: "cells-user",
        measure: link.tolerable_kdr.map(|t| format!("the code corrects {}", percent(t))),
    }];
    if let Some(eve) = &bits.eve {
        panels.push(Panel {
            difference: Difference::of(&bits.qap, eve),
            qap: &link.qap,
            other: "Eve",
            class: "cells-eve",
            measure: Some("a coin toss gives 50\u{a0}%".into()),
        });
    }
    panels.retain(|p| p.difference.bits > 0);
    panels
}

fn describe(panels: &[Panel<'_>]) -> String {
    let parts: Vec<String> = panels
        .iter()
        .map(|p| {
            let share = percent(p.difference.share());
            format!("{} and {} differ in {share} of {} bits", p.qap, p.other, p.difference.bits)
        })
        .collect();
    parts.join("; ") + "."
}

/// The figure; `None` if the link has no bits.
pub(crate) fn figure(link: &LinkData, id: &str) -> Option<Figure> {
    let panels = panels(link, link.simulated_bits.as_ref()?);
    let shown = panels.first()?.difference.cells.len();
    let bits = panels.first()?.difference.bits;
    let mut drawing = String::from("<div class=\"pair\">");
    for (i, panel) in panels.iter().enumerate() {
        let id = format!("{id}-{i}");
        let title = format!("Raster of the bits of {} xor those of {}", panel.qap, panel.other);
        let description = describe(std::slice::from_ref(panel));
        let mut svg = Svg::open(&id, LEFT + SIDE + 12.0, panel.height(), &title, &description);
        panel.draw(&mut svg, 0.0, 0.0);
        drawing.push_str(&svg.close());
    }
    drawing.push_str("</div>");
    let caption = format!(
        "<strong>Where the key bits differ.</strong> Each cell is one bit of channel key, read \
         line by line; it is filled where the two ends disagree. {shown} of {bits} bits are drawn. \
         The fewer cells are filled between {qap} and {user} the better: the polar code under the \
         one-time pad corrects them. For Eve, who follows the same rule, half of them filled \
         means that she guesses. Streaks are consecutive probes that fall into one fade; there a \
         bit tells something about the next, which is why a count of bits is no count of secret \
         bits. The bits are simulated ones, made for this picture; no key in use is ever drawn.",
        shown = number(shown as f64, 0),
        bits = number(bits as f64, 0),
        qap = escape(&link.qap),
        user = escape(&link.user),
    );
    Some(Figure { drawing, caption })
}

/// The bit raster alone, as an SVG file: QAP xor user beside QAP xor Eve.
///
/// It shows the first link that has bits of Eve, or else the first that has bits; a run without
/// bits gives a small drawing that says so. About 60 kB for 16384 bits, light and dark.
pub fn bit_raster_svg(run: &RunData) -> String {
    let with_bits = || run.links.iter().filter_map(|l| Some((l, l.simulated_bits.as_ref()?)));
    let chosen = with_bits().find(|(_, bits)| bits.0.eve.is_some()).or(with_bits().next());
    let panels = chosen.map(|(link, bits)| panels(link, bits)).unwrap_or_default();

    let width = 2.0 * (LEFT + SIDE + GAP) + MARGIN;
    let height = panels.iter().map(Panel::height).fold(40.0, f64::max) + 2.0 * MARGIN + 26.0;
    let title = "Where the key bits of two ends differ";
    let mut svg = Svg::open_file("bit-raster", width, height, title, &describe(&panels));
    for (i, panel) in panels.iter().enumerate() {
        panel.draw(&mut svg, i as f64 * (LEFT + SIDE + GAP) + GAP, MARGIN);
    }
    if !panels.is_empty() {
        let text = "Each cell is one bit of simulated channel key, read line by line; it is filled \
                    where the two ends differ.";
        svg.label("sub mid", width / 2.0, height - MARGIN, text);
    }
    if panels.is_empty() {
        svg.label("sub", 20.0, 44.0, "This run holds no simulated bits.");
    }
    svg.close()
}
