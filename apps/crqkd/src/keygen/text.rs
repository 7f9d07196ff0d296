//! The report for people.

use crate::table::percent;
use crqkd_channel_key::Thresholds;
use crqkd_channel_key::keygen::{Disagreement, KeygenReport, LeftOut, Verdict};
use std::io::{Result, Write};

/// Writes everything that was found.
pub(super) fn write_report(out: &mut impl Write, report: &KeygenReport) -> Result<()> {
    let used = match report.thresholds {
        Thresholds::OverProbes => {
            format!("{}, thresholds over probes", counted(report.windows, "window", "used"))
        }
        Thresholds::OverFeatures => {
            format!("{}, thresholds over features", counted(report.windows, "probe", "used"))
        }
    };
    writeln!(out, "{} probes of {} features; {used}", report.probes, report.features)?;
    write_left_out(out, &report.left_out, report.thresholds)?;
    writeln!(out, "{} a side, {} ones", report.raw_bits, percent(report.ones_rate))?;
    write_disagreement(out, "user", &report.user, report)?;
    if let Some(eve) = &report.eve {
        write_disagreement(out, "Eve", eve, report)?;
    }
    writeln!(out, "secret bits: not accounted (there is no ledger yet)")?;
    writeln!(out, "verdict: {}", verdict(report))?;
    if let Some(eve) = &report.eve {
        writeln!(out, "Eve: {}", verdict_of_eve(eve))?;
    }
    Ok(())
}

/// `1 window used`, `4 windows used`.
fn counted(count: usize, noun: &str, rest: &str) -> String {
    format!("{count} {noun}{} {rest}", if count == 1 { "" } else { "s" })
}

fn write_left_out(out: &mut impl Write, left_out: &LeftOut, over: Thresholds) -> Result<()> {
    for column in &left_out.columns {
        let name = column.name.as_ref().map_or(String::new(), |name| format!(" ({name})"));
        let (number, reason, end) = (column.column, column.reason.text(), column.end);
        writeln!(
            out,
            "left out at all ends: column {number}{name}, which {reason} (seen at {end})"
        )?;
    }
    let missing = left_out.probes_missing;
    if missing.any > 0 {
        let eve = missing.eve.map_or(String::new(), |count| format!(", at Eve {count}"));
        let what = counted(missing.any, "probe", "that an end did not measure");
        let (qap, user) = (missing.qap, missing.user);
        writeln!(
            out,
            "left out at all ends: {what} (at the access point {qap} are missing, at the user {user}{eve})"
        )?;
    }
    let noun = if over == Thresholds::OverProbes { "window" } else { "probe" };
    for (ends, of) in [(["qap", "user"], "left out at all ends"), (["eve", ""], "left out for Eve")]
    {
        let still: Vec<_> =
            left_out.windows_still.iter().filter(|still| ends.contains(&still.end)).collect();
        let Some(first) = still.first() else { continue };
        let what = counted(still.len(), noun, "without movement");
        let (number, end) = (first.window, first.end);
        let (from, to) = (first.first_probe, first.last_probe);
        writeln!(out, "{of}: {what} (first: {noun} {number}, rows {from} to {to}, at {end})")?;
    }
    if left_out.probes_behind > 0 {
        let what = counted(left_out.probes_behind, "probe", "that do not fill the last window");
        writeln!(out, "left out at all ends: {what}")?;
    }
    Ok(())
}

fn write_disagreement(
    out: &mut impl Write,
    who: &str,
    found: &Disagreement,
    report: &KeygenReport,
) -> Result<()> {
    let found = &found.agreement;
    let rate = |rate: Option<f64>| rate.map_or("n/a".to_owned(), percent);
    let interval = found.kdr_interval95.map_or("n/a".to_owned(), |interval| {
        format!("{} to {}", percent(interval.low), percent(interval.high))
    });
    writeln!(
        out,
        "KDR {who}: {} ({} of {} raw bits; 95 % interval {interval})",
        rate(found.kdr_rate),
        found.kdr.errors,
        found.kdr.bits
    )?;
    writeln!(
        out,
        "  by chance: {}; a bit tells {} bit of the QAP's; KDR with the rows reversed: {}, half a record apart: {}",
        rate(found.chance_kdr),
        found.mutual_information.map_or("n/a".to_owned(), |bit| format!("{bit:.4}")),
        rate(found.kdr_reversed),
        rate(found.kdr_half_apart),
    )?;
    let mut worst: Vec<_> = found.kdr_per_feature.iter().zip(&report.columns).collect();
    worst.sort_by(|a, b| b.0.rate().unwrap_or(0.0).total_cmp(&a.0.rate().unwrap_or(0.0)));
    let listed: Vec<String> = worst
        .iter()
        .take(4)
        .map(|(kdr, column)| format!("{column}: {}", rate(kdr.rate())))
        .collect();
    writeln!(out, "  worst features (0-based): {}", listed.join(", "))
}

fn verdict(report: &KeygenReport) -> String {
    let found = &report.user.agreement;
    match found.verdict {
        Verdict::BeyondChance if found.kdr_rate > found.chance_kdr => {
            "the ends have something in common, but the bits of one are inverted".to_owned()
        }
        Verdict::BeyondChance => "the ends agree in more than chance".to_owned(),
        Verdict::Static => format!(
            "NO KEY: bits of other probes agree as well, {} of {} bit positions ever change: a profile that does not \
             change is no secret",
            report.positions_that_change,
            report.columns.len()
        ),
        Verdict::Chance | Verdict::Undecided => "NO KEY: no agreement beyond chance".to_owned(),
        Verdict::TooFewProbes => {
            "NO KEY: too few probes to tell agreement from chance, expected at least 8".to_owned()
        }
    }
}

fn verdict_of_eve(eve: &Disagreement) -> String {
    let found = &eve.agreement;
    let (Some(rate), Some(chance), Some(bit)) =
        (found.kdr_rate, found.chance_kdr, found.mutual_information)
    else {
        return "nothing to compare".to_owned();
    };
    match found.verdict {
        Verdict::Undecided => {
            format!(
                "may know something: the interval of her KDR leaves out chance, {}",
                percent(chance)
            )
        }
        Verdict::Chance => "no more than chance is seen in her bits".to_owned(),
        Verdict::TooFewProbes => "too few probes to tell".to_owned(),
        Verdict::BeyondChance | Verdict::Static if rate > 0.5 => format!(
            "KNOWS SOMETHING: a KDR of {} tells her as much as one of {}, {bit:.2} bit of each bit",
            percent(rate),
            percent(1.0 - rate)
        ),
        Verdict::BeyondChance | Verdict::Static => {
            format!("KNOWS SOMETHING: each of her bits tells {bit:.2} bit of the QAP's")
        }
    }
}
