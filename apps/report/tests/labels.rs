//! The labels of figure 1 keep clear of each other: their boxes, computed from place, length and size of the letters.
#![allow(clippy::unwrap_used)] // helpers of tests, outside of #[test] functions

mod support;

use crqkd_report::{RunData, render};
use roxmltree::{Document, Node, ParsingOptions};

/// Mean width of a letter over the font size; letters of a sans-serif face are about half as wide as high.
const LETTER: f64 = 0.56;
/// Height above and below the baseline over the font size.
const ABOVE: f64 = 0.78;
const BELOW: f64 = 0.22;

#[derive(Debug)]
struct Label {
    text: String,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Label {
    /// The box of a `text` element. The sizes are those of the style in the page.
    fn of(node: Node<'_, '_>) -> Self {
        let class = node.attribute("class").unwrap();
        let has = |name: &str| class.split(' ').any(|c| c == name);
        let size = if has("tiny") { 11.0 } else { 13.0 };
        let text = node.text().unwrap().to_owned();
        let width = LETTER * size * text.chars().count() as f64;
        let before = if has("mid") {
            0.5
        } else if has("end") {
            1.0
        } else {
            0.0
        };
        let numbers = |name: &str| -> Vec<f64> {
            let words = node.attribute(name).unwrap().split(|c: char| !"-.0123456789".contains(c));
            words.filter_map(|word| word.parse().ok()).collect()
        };
        if node.attribute("transform").is_some() {
            let at = numbers("transform");
            let (x, y) = (at[0], at[1]);
            let (left, right) = (x - ABOVE * size, x + BELOW * size);
            return Self { text, left, right, top: y - width / 2.0, bottom: y + width / 2.0 };
        }
        let (x, y) = (numbers("x")[0], numbers("y")[0]);
        let left = x - before * width;
        let (top, bottom) = (y - ABOVE * size, y + BELOW * size);
        Self { text, left, right: left + width, top, bottom }
    }

    fn touches(&self, other: &Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }
}

/// The labels of every drawing whose name begins with `id`, a list each, and the drawing's size.
fn labels(run: &RunData, id: &str) -> Vec<(Vec<Label>, [f64; 2])> {
    let html = render(run);
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let page = Document::parse_with_options(&html, options).unwrap();
    assert!(html.contains("svg text { ") && html.contains("font-size: 13px"));
    assert!(html.contains("svg .tiny { fill: var(--soft); font-size: 11px; }"));
    assert_eq!(html.matches("svg text {").count(), 1, "one size, whatever the width of the page");
    page.descendants()
        .filter(|n| n.has_tag_name("svg"))
        .filter(|n| n.attribute("id").is_some_and(|name| name.starts_with(id)))
        .map(|svg| {
            let size =
                ["width", "height"].map(|name| svg.attribute(name).unwrap().parse().unwrap());
            (svg.descendants().filter(|n| n.has_tag_name("text")).map(Label::of).collect(), size)
        })
        .collect()
}

fn check(run: &RunData, id: &str, drawings: usize) {
    let all = labels(run, id);
    assert_eq!(all.len(), drawings);
    for (labels, [width, height]) in &all {
        assert!(labels.len() > 10);
        for (i, one) in labels.iter().enumerate() {
            let inside =
                one.left >= 0.0 && one.right <= *width && one.top >= 0.0 && one.bottom <= *height;
            assert!(inside, "{} leaves {width} x {height}: {one:?}", one.text);
            for other in &labels[i + 1..] {
                assert!(!one.touches(other), "{one:?} and {other:?}");
            }
        }
    }
}

#[test]
fn no_two_labels_of_figure_1_touch() {
    check(&support::run(4, 1), "channel", 2);
}

#[test]
fn no_two_labels_of_figure_1_touch_with_long_names() {
    let mut run = support::run(4, 1);
    run.links[0].user = "Alexandra".into();
    run.links[0].qap = "QAP-ROOF".into();
    check(&run, "channel", 2);
}

#[test]
fn no_two_labels_of_the_quantum_figure_touch() {
    check(&support::run(2, 1), "quantum", 1);
}

/// The check sees what it is to see.
#[test]
fn boxes_that_overlap_touch() {
    let html = "<svg><text class=\"tick end\" x=\"67\" y=\"20\">-10</text>\
                <text class=\"tiny end\" x=\"67\" y=\"26\">QAP1</text>\
                <text class=\"tiny end\" x=\"67\" y=\"40\">Alice</text></svg>";
    let page = Document::parse(html).unwrap();
    let found: Vec<Label> =
        page.descendants().filter(|n| n.has_tag_name("text")).map(Label::of).collect();
    assert!(found[0].touches(&found[1]) && !found[1].touches(&found[2]));
}
