//! Table II on a terminal: what was measured, its 95 % interval, and the paper's figure.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use crqkd_experiment::{Estimate, PaperRow, TableRow};

/// `4.7 %`.
pub(crate) fn percent(rate: f64) -> String {
    format!("{:.1} %", rate * 100.0)
}

/// One line of the table: a name, our figure, its interval and the paper's figure.
struct Line {
    name: &'static str,
    ours: Option<Estimate>,
    paper: Option<f64>,
    unit: Unit,
}

#[derive(Clone, Copy)]
enum Unit {
    Percent,
    BitPerSecond,
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Unit::Percent => percent(value),
            Unit::BitPerSecond => format!("{value:.1} bit/s"),
        }
    }
}

/// The table of one scenario.
pub(crate) fn scenario_table(row: &TableRow) -> String {
    let paper = PaperRow::of(&row.scenario);
    let line = |name, ours, paper, unit| Line { name, ours, paper, unit };
    use Unit::{BitPerSecond, Percent};
    let lines = [
        line("KGR, raw", row.kgr_raw_bit_per_s, paper.map(|p| p.kgr_bit_per_s), BitPerSecond),
        line("KGR, corrected", row.kgr_corrected_bit_per_s, None, BitPerSecond),
        line("KDR", row.kdr, paper.map(|p| p.kdr), Percent),
        line("RR", row.rr, paper.map(|p| p.rr), Percent),
        line("Eve's KDR, QAP's frames", row.eve_kdr, paper.map(|p| p.eve_kdr), Percent),
        line("Eve's KDR, user's frames", row.eve_reverse_kdr, None, Percent),
    ];
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header([
        row.scenario.as_str(),
        "measured",
        "95 % interval",
        "paper",
    ]);
    for line in lines {
        table.add_row([
            line.name.to_owned(),
            line.ours.map_or("-".to_owned(), |e| line.unit.show(e.mean)),
            line.ours.map_or("-".to_owned(), |e| {
                format!("{} to {}", line.unit.show(e.low), line.unit.show(e.high))
            }),
            line.paper.map_or("-".to_owned(), |p| line.unit.show(p)),
        ]);
    }
    let cracked = format!("{} of {}", row.cracked, row.groups);
    let paper_cracked = paper.map_or("-".to_owned(), |p| p.cracked.to_string());
    table.add_row(["groups cracked by Eve".to_owned(), cracked, String::new(), paper_cracked]);
    let not_accounted = "not accounted".to_owned();
    table.add_row(["KGR, secret".to_owned(), not_accounted, String::new(), "-".to_owned()]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}
