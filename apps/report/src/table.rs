//! The table of the run beside the paper's.

use crate::provenance::NOT_RECORDED;
use crate::run::{Counting, TableRow};
use crate::svg::{Axis, coord, escape, number};
use std::fmt::Write;

const NO_VALUE: &str = "\u{2013}";

/// The table as HTML; empty without rows.
pub(crate) fn table(rows: &[TableRow]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut out = String::from(
        "<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"Table of results\"><table>\n<thead><tr><th scope=\"col\">Quantity</th>\
         <th scope=\"col\" class=\"broad\">Bits counted</th>\
         <th scope=\"col\" class=\"n\">This run</th>\
         <th scope=\"col\" class=\"n broad\">95\u{a0}% interval</th>\
         <th scope=\"col\" class=\"n\">The paper</th><th scope=\"col\">Unit</th>\
         <th scope=\"col\" class=\"broad\"><span class=\"hidden\">Drawing</span></th></tr></thead>\n<tbody>\n",
    );
    // Folders of older versions hold one row of Eve's.
    let missing = [TableRow::EVE_ON_USER, TableRow::EVE_ON_QAP]
        .into_iter()
        .take(2usize.saturating_sub(rows.iter().filter(|row| row.is_eve()).count()))
        .filter(|label| rows.iter().all(|row| row.label != *label))
        .map(|label| TableRow::not_accounted(label, "%", Counting::None))
        .collect::<Vec<_>>();
    let after = rows.iter().rposition(TableRow::is_eve).map_or(rows.len(), |at| at + 1);
    for row in rows[..after].iter().chain(missing.iter().rev()).chain(&rows[after..]) {
        let decimals = usize::from(row.decimals);
        let show = |x: f64| number(x, decimals);
        let range =
            row.interval.map(|[low, high]| format!("{} \u{2013} {}", show(low), show(high)));
        let narrow = |text: Option<&str>| match text {
            Some(text) if !text.is_empty() => format!("<span class=\"narrow\">{text}</span>"),
            _ => String::new(),
        };
        let value = match row.value {
            None if row.is_eve() => format!("<td class=\"n quiet\">{NOT_RECORDED}</td>"),
            Some(value) => {
                format!("<td class=\"n\"><b>{}</b>{}</td>", show(value), narrow(range.as_deref()))
            }
            None => "<td class=\"n quiet\">not accounted</td>".into(),
        };
        let paper = row.paper.map_or_else(|| NO_VALUE.into(), show);
        let counted = counted(row.counting);
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{label}{also}</th><td class=\"quiet broad\">{counted}</td>{value}\
             <td class=\"n broad\">{range}</td><td class=\"n\">{paper}</td>\
             <td class=\"quiet\">{unit}</td><td class=\"whisker broad\">{whisker}</td></tr>",
            label = escape(&row.label),
            also = narrow(Some(counted)),
            range = range.as_deref().unwrap_or(NO_VALUE),
            unit = escape(&row.unit),
            whisker = whisker(row)
        );
    }
    out.push_str("</tbody></table></div>\n");
    out
}

impl TableRow {
    /// Whether it is one of the rows of Eve's error rate; the label of older folders names no frames.
    fn is_eve(&self) -> bool {
        self.label.starts_with("Eve's key disagreement rate")
    }
}

fn counted(counting: Counting) -> &'static str {
    match counting {
        Counting::None => "",
        Counting::Raw => "raw",
        Counting::Corrected => "corrected",
        Counting::Secret => "secret",
    }
}

/// Interval, value and the paper's figure on a small scale of their own.
fn whisker(row: &TableRow) -> String {
    let (Some(value), Some([low, high])) = (row.value, row.interval) else {
        return String::new();
    };
    let all = [value, low, high, row.paper.unwrap_or(value)];
    let (min, max) = all.iter().fold((f64::MAX, f64::MIN), |(a, b), x| (a.min(*x), b.max(*x)));
    if !(min.is_finite() && max.is_finite()) || max <= min {
        return String::new();
    }
    let axis = Axis::new((min, max), (8.0, 112.0));
    let (l, h, v) = (coord(axis.at(low)), coord(axis.at(high)), coord(axis.at(value)));
    let paper = row.paper.map_or(String::new(), |x| {
        format!("<path class=\"paper-mark\" d=\"M{} 3v16\"/>", coord(axis.at(x)))
    });
    format!(
        "<svg viewBox=\"0 0 120 22\" width=\"120\" height=\"22\" aria-hidden=\"true\">\
         <path class=\"bar\" d=\"M{l} 11H{h}M{l} 7v8M{h} 7v8\"/>{paper}\
         <circle class=\"spot\" cx=\"{v}\" cy=\"11\" r=\"4\"/></svg>"
    )
}
