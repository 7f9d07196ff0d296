//! The figures of one run, as a table or as JSON.

use std::fmt;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment, Table};
use crqkd_polar::{Construction, InstructionSet, Noise};
use serde::Serialize;

use super::{Case, ChaseMeasure, Decoder, Identity, Measure, RateGap};
use crate::Goal;

/// One line: what was run, what came of it, and what it was to be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Which question the line answers.
    pub group: &'static str,
    /// Code length; 0 stands for several.
    pub n: usize,
    /// Message bits, check excluded; 0 stands for several.
    pub k: usize,
    /// Number of check bits of the code.
    pub crc: usize,
    /// How the code was built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub construction: Option<Construction>,
    /// Name of the decoder, for people.
    pub decoder: String,
    /// `hard`, `soft` or `spread`; `any` where frames are not from a channel.
    pub llr: &'static str,
    /// Mean share of wrong hard decisions.
    pub kdr: f64,
    /// Name of the instruction set that the decoder used.
    pub instructions: String,
    /// How many times as fast as the portable version of the same decoder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times_portable: Option<f64>,
    /// Error rate and CPU time.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub measure: Option<Measure>,
    /// Bound on the rate at the error rate measured (meta-converse, or normal approximation for soft decisions).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound_rate: Option<f64>,
    /// Least error rate of any code of this size by the same bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound_fer: Option<f64>,
    /// Rate at an error rate of 2 %.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<RateGap>,
    /// What one retransmission with Chase combining brings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chase: Option<ChaseMeasure>,
    /// Comparison with the portable version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// Limits, where there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub goals: Vec<Goal>,
    /// Anything to be said, such as fewer than 50 errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Row {
    pub(crate) fn new(group: &'static str, case: &Case) -> Self {
        Self {
            group,
            n: case.spec.n,
            k: case.spec.k,
            crc: case.spec.crc.len(),
            construction: Some(case.construction),
            decoder: case.decoder.to_string(),
            llr: mode(case.noise),
            kdr: case.noise.mean(),
            instructions: case.instructions.to_string(),
            times_portable: None,
            measure: None,
            bound_rate: None,
            bound_fer: None,
            rate: None,
            chase: None,
            identity: None,
            goals: Vec::new(),
            note: None,
        }
    }

    /// A line about any code and any frames.
    pub(crate) fn compared(decoder: Decoder, set: InstructionSet) -> Self {
        Self {
            group: "identity",
            n: 0,
            k: 0,
            crc: 0,
            construction: None,
            decoder: decoder.to_string(),
            llr: "any",
            kdr: 0.0,
            instructions: set.to_string(),
            times_portable: None,
            measure: None,
            bound_rate: None,
            bound_fer: None,
            rate: None,
            chase: None,
            identity: None,
            goals: Vec::new(),
            note: None,
        }
    }
}

/// Name of what the decoder is told.
pub(crate) fn mode(noise: Noise) -> &'static str {
    match noise {
        Noise::Gaussian { .. } => "soft",
        Noise::GaussianSpread { .. } => "spread",
        Noise::BetaBinomial { .. } | Noise::GilbertElliott { .. } => "hard, bursts",
        Noise::Bsc { .. } => "hard",
    }
}

/// Everything that one run measured. `Display` writes the table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The fastest instruction set of the machine.
    pub instructions: String,
    /// Seed of messages and noise.
    pub seed: u64,
    /// Whether the run came to its end.
    pub complete: bool,
    /// The lines of the report, one for each finished case.
    pub rows: Vec<Row>,
}

impl Report {
    /// The report as indented JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers and strings are always JSON")
    }

    /// The limits of all lines, each with its line.
    pub fn goals(&self) -> impl Iterator<Item = (&Row, &Goal)> {
        self.rows.iter().flat_map(|row| row.goals.iter().map(move |goal| (row, goal)))
    }

    /// How many times as fast a line is as the portable version of the same decoder, if that came before.
    pub(crate) fn times_portable(&self, row: &Row) -> Option<f64> {
        let same = |other: &&Row| {
            other.instructions == "portable"
                && (other.group, other.n, other.k) == (row.group, row.n, row.k)
                && other.decoder == row.decoder
        };
        let portable = self.rows.iter().find(same)?.measure?;
        Some(portable.cpu_us / row.measure?.cpu_us)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        let header = [
            "",
            "code",
            "decoder",
            "LLR",
            "KDR %",
            "set",
            "us/frame",
            "Mbit/s",
            "x portable",
            "FER (95 %)",
            "bound",
            "note",
        ];
        table.set_header(header);
        for column in table.column_iter_mut().skip(4).take(7) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        for row in &self.rows {
            table.add_row(cells(row));
        }
        writeln!(f, "{table}")?;
        writeln!(
            f,
            "bound: rate that the meta-converse (hard) or the normal approximation (soft) allows at this FER"
        )?;
        let (met, all) = (self.goals().filter(|(_, goal)| goal.met).count(), self.goals().count());
        writeln!(f, "{met} of {all} limits met")?;
        for (row, goal) in self.goals().filter(|(_, goal)| !goal.met) {
            writeln!(f, "{} {} {}: {goal}", row.group, code(row), row.decoder)?;
        }
        if !self.complete {
            writeln!(f, "stopped before the end")?;
        }
        Ok(())
    }
}

fn code(row: &Row) -> String {
    match row.n {
        0 => "any".into(),
        n => format!("({n}, {}) CRC-{}", row.k, row.crc),
    }
}

fn cells(row: &Row) -> Vec<Cell> {
    let percent = |x: f64| format!("{:.3}", 100.0 * x);
    let mut fer = String::new();
    let (mut time, mut speed) = (String::new(), String::new());
    if let Some(m) = &row.measure {
        fer = format!("{} % ({}-{})", percent(m.fer), percent(m.low), percent(m.high));
        (time, speed) = (format!("{:.2}", m.cpu_us), format!("{:.1}", m.mbit_s));
    }
    let mut bound = row.bound_rate.map_or(String::new(), |rate| format!("{rate:.3}"));
    let mut note = row.note.clone().unwrap_or_default();
    if let Some(rate) = &row.rate {
        fer = "2 %".into();
        bound = format!("{:.3}", rate.bound);
        note = format!("rate {:.3}, gap {:.4}", rate.rate, rate.gap);
    }
    if let Some(c) = &row.chase {
        fer = format!("{} % ({}-{})", percent(c.rr), percent(c.rr_low), percent(c.rr_high));
        note = format!(
            "left after Chase {:.1e} ({:.1e}-{:.1e}), {} of {}; goodput {:.4} of {:.4}",
            c.residual_rate,
            c.residual_low,
            c.residual_high,
            c.residual,
            c.frames,
            c.goodput,
            c.goodput_limit
        );
    }
    if let Some(i) = &row.identity {
        note = format!("{} of {} frames unlike the portable version", i.different, i.frames);
    }
    [
        row.group.to_string(),
        code(row),
        row.decoder.clone(),
        row.llr.to_string(),
        if row.kdr > 0.0 { format!("{:.1}", 100.0 * row.kdr) } else { String::new() },
        row.instructions.clone(),
        time,
        speed,
        row.times_portable.map_or(String::new(), |times| format!("{times:.1}")),
        fer,
        bound,
        note,
    ]
    .into_iter()
    .map(Cell::new)
    .collect()
}
