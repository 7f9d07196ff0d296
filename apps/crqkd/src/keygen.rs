//! `crqkd keygen`: paired measurements of one's own to bits, their disagreement, and what it is worth.

use crate::cli::{KeygenArgs, ThresholdArg};
use crate::exit::Outcome;
use crate::json;
use crate::progress::note;
use crate::table::percent;
use anyhow::{Context, Result};
use crqkd_channel_key::Thresholds;
use crqkd_channel_key::keygen::{
    Disagreement, Keygen, KeygenConfig, KeygenReport, Measurements, Verdict, keygen,
};
use crqkd_recording::{Matrix, Values, read_paired, write_new_private};
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use zeroize::Zeroizing;

/// Reads the files, makes the bits and prints what was counted. Without agreement beyond chance it is a missed threshold.
pub(crate) fn run(args: &KeygenArgs) -> Result<Outcome> {
    let mut paths: Vec<&Path> = vec![&args.qap, &args.user];
    paths.extend(args.eve.as_deref());
    let ends = read_paired(&paths)?
        .iter()
        .zip(&paths)
        .map(|(matrix, path)| {
            measurements(matrix).with_context(|| format!("{}: cannot be used", path.display()))
        })
        .collect::<Result<Vec<_>>>()?;
    let thresholds = match args.threshold {
        ThresholdArg::Auto => None,
        ThresholdArg::Probes => Some(Thresholds::OverProbes),
        ThresholdArg::Features => Some(Thresholds::OverFeatures),
    };
    let config = KeygenConfig { thresholds, window_probes: args.window };
    let result = keygen(&ends[0], &ends[1], ends.get(2), &config)?;
    if let Some(path) = &args.bits {
        save(path, "--bits", &bits(&result))?;
    }
    if let Some(path) = &args.llr {
        save(path, "--llr", &llrs(&result))?;
    }
    if args.json {
        json::print("crqkd/keygen/2", &result.report)?;
    } else {
        write_report(&mut std::io::stdout().lock(), &result.report)?;
    }
    Ok(Outcome::of(result.report.user.verdict == Verdict::Agree))
}

fn measurements(matrix: &Matrix) -> Result<Measurements> {
    let [probes, features] = matrix.shape();
    let measurements = match matrix.values() {
        Values::Real(values) => Measurements::real(probes, features, values)?,
        Values::Complex(values) => Measurements::complex(probes, features, values)?,
    };
    Ok(match matrix.names() {
        Some(names) => measurements.with_names(names.to_vec()),
        None => measurements,
    })
}

/// A file for its owner only, complete or not there, never over another one.
fn save(path: &Path, option: &str, text: &str) -> Result<()> {
    write_new_private(path, text.as_bytes()).context(option.to_owned())?;
    note(format_args!("wrote {}: it is as secret as the key", path.display()));
    Ok(())
}

/// The ends, in the order of the files.
const ENDS: [&str; 3] = ["qap", "user", "eve"];

/// A line an end.
fn bits(result: &Keygen) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::new());
    let ends = [Some(&result.qap), Some(&result.user), result.eve.as_ref()];
    for (name, bits) in ENDS.iter().zip(ends) {
        let Some(bits) = bits else { continue };
        let _ = write!(text, "{name} ");
        text.extend(bits.expose().iter().map(|bit| if bit { '1' } else { '0' }));
        text.push('\n');
    }
    text
}

/// A line a bit, a column an end; shorter where an end has fewer.
fn llrs(result: &Keygen) -> Zeroizing<String> {
    let mut text = Zeroizing::new(ENDS[..result.llrs.len()].join(",") + "\n");
    for row in 0..result.llrs[0].len() {
        for (column, end) in result.llrs.iter().enumerate() {
            let comma = if column > 0 { "," } else { "" };
            let _ = match end.get(row) {
                Some(llr) => write!(text, "{comma}{llr:.6}"),
                None => write!(text, "{comma}"),
            };
        }
        text.push('\n');
    }
    text
}

fn write_report(out: &mut impl Write, report: &KeygenReport) -> std::io::Result<()> {
    writeln!(
        out,
        "{} probes of {} features; {} windows used, thresholds {}",
        report.probes,
        report.features,
        report.windows,
        match report.thresholds {
            Thresholds::OverProbes => "over probes",
            Thresholds::OverFeatures => "over features",
        }
    )?;
    for column in &report.left_out {
        writeln!(out, "left out: {column}")?;
    }
    if report.probes_missing > 0 {
        writeln!(
            out,
            "left out: {} probes of which a value is missing at one end",
            report.probes_missing
        )?;
    }
    let still = report.user.still_windows;
    if still > 0 {
        writeln!(out, "left out: {still} windows without movement at one end")?;
    }
    if report.tied > 0.01 {
        writeln!(
            out,
            "{} of the samples equal their threshold: their bits are 0, and the chance level is lower",
            percent(report.tied)
        )?;
    }
    writeln!(out, "{} a side, {} ones", report.raw_bits, percent(report.ones_rate))?;
    write_disagreement(out, "user", &report.user)?;
    if let Some(eve) = &report.eve {
        write_disagreement(out, "Eve", eve)?;
    }
    writeln!(out, "{}", verdict(&report.user))?;
    writeln!(out, "secret bits: not accounted (there is no ledger yet)")
}

/// One sentence of what was found at the user.
fn verdict(user: &Disagreement) -> &'static str {
    match user.verdict {
        Verdict::Agree => "the two ends agree beyond chance",
        Verdict::Chance => "NO AGREEMENT BEYOND CHANCE: no key comes from these measurements",
        Verdict::Inverted => {
            "THE BITS ARE INVERTED: the two ends disagree beyond chance; is a sign or an order exchanged?"
        }
        Verdict::StaticProfile => {
            "A PROFILE THAT DOES NOT CHANGE: the ends agree as much half a record apart; whoever measures it once knows \
             these bits"
        }
    }
}

fn write_disagreement(
    out: &mut impl Write,
    who: &str,
    found: &Disagreement,
) -> std::io::Result<()> {
    write!(
        out,
        "KDR {who}: {} ({} of {} raw bits",
        percent(found.kdr_rate),
        found.kdr.errors,
        found.kdr.bits
    )?;
    match found.kdr_interval95 {
        Some(interval) => {
            let (low, high) = (percent(interval.low), percent(interval.high));
            writeln!(out, "; 95 % interval {low} to {high})")?;
        }
        None => writeln!(out, "; no interval from one window)")?,
    }
    let apart = found.kdr_apart.map_or("n/a".to_owned(), percent);
    writeln!(
        out,
        "  by chance {}; half a record apart {apart}; {:.4} bit of information a bit",
        percent(found.chance),
        found.information
    )?;
    if who == "Eve" && found.still_windows > 0 {
        writeln!(out, "  {} windows without movement at Eve left out", found.still_windows)?;
    }
    if who == "Eve" && found.verdict == Verdict::Inverted {
        let other = 1.0 - found.kdr_rate;
        writeln!(
            out,
            "  her bits are inverted: they tell as much as a rate of {}",
            percent(other)
        )?;
    }
    let mut worst: Vec<_> = found
        .kdr_per_feature
        .iter()
        .enumerate()
        .map(|(index, kdr)| (index, kdr.rate().unwrap_or(0.0)))
        .collect();
    worst.sort_by(|a, b| b.1.total_cmp(&a.1));
    let listed: Vec<String> =
        worst.iter().take(4).map(|(index, rate)| format!("{index}: {}", percent(*rate))).collect();
    writeln!(out, "  worst features (0-based): {}", listed.join(", "))
}
