//! `crqkd keygen`: paired measurements of one's own to bits and their disagreement.

use crate::cli::{KeygenArgs, ThresholdArg};
use crate::exit::Outcome;
use crate::json;
use crate::table::percent;
use anyhow::{Context, Result};
use crqkd_channel_key::Thresholds;
use crqkd_channel_key::keygen::{Disagreement, KeygenConfig, KeygenReport, Measurements, keygen};
use crqkd_recording::{Matrix, Values, read_paired};
use std::io::Write;
use std::path::Path;

/// Reads the files, makes the bits and prints what was counted.
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
    let mut out = std::io::stdout().lock();
    if args.json {
        drop(out);
        json::print("crqkd/keygen/1", &result.report)?;
    } else {
        write_report(&mut out, &result.report)?;
    }
    Ok(Outcome::Ok)
}

fn measurements(matrix: &Matrix) -> Result<Measurements> {
    let [probes, features] = matrix.shape();
    Ok(match matrix.values() {
        Values::Real(values) => Measurements::real(probes, features, values)?,
        Values::Complex(values) => Measurements::complex(probes, features, values)?,
    })
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
    writeln!(out, "{} a side, {} ones", report.raw_bits, percent(report.ones_rate))?;
    write_disagreement(out, "user", &report.user)?;
    if let Some(eve) = &report.eve {
        write_disagreement(out, "Eve", eve)?;
    }
    writeln!(out, "secret bits: not accounted (there is no ledger yet)")
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
    if let Some(interval) = found.kdr_interval95 {
        write!(out, "; 95 % interval {} to {}", percent(interval.low), percent(interval.high))?;
    }
    writeln!(out, ")")?;
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
