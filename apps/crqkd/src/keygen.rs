//! `crqkd keygen`: paired measurements of one's own to bits and their disagreement.

mod recordings;
mod secret_files;
mod text;

use crate::choices::LayoutArg;
use crate::exit::Outcome;
use crate::output;
use crate::{json, progress};
use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use crqkd_channel_key::Thresholds;
use crqkd_channel_key::keygen::{KeygenConfig, KeygenReport, Measurements, Verdict, keygen};
use crqkd_node::number::whole;
use crqkd_recording::{Matrix, Values, read_paired};
use recordings::{Pairing, is_recording};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// `crqkd keygen`.
#[derive(Debug, Args)]
pub(crate) struct KeygenArgs {
    /// Measurements of the access point: `.npy` or `.csv`, real or complex, one row a probe; or what it received, SigMF or
    /// `.cf32`, of which the frames are paired by the probe that their header names.
    #[arg(long, value_name = "FILE")]
    pub(crate) qap: PathBuf,
    /// Measurements of the user, same shape.
    #[arg(long, value_name = "FILE")]
    pub(crate) user: PathBuf,
    /// Measurements of an eavesdropper, same shape.
    #[arg(long, value_name = "FILE")]
    pub(crate) eve: Option<PathBuf>,
    /// What each threshold is the median of.
    #[arg(long, value_enum, default_value_t = ThresholdArg::Auto)]
    pub(crate) threshold: ThresholdArg,
    /// Probes a threshold spans when it runs over probes, 2 to 16777216.
    #[arg(long, default_value_t = 128, value_parser = whole::<usize>(2, 1 << 24))]
    pub(crate) window: usize,
    /// Training sequence of the frames, when recordings are given.
    #[arg(long, value_enum, default_value_t = LayoutArg::Single)]
    pub(crate) layout: LayoutArg,
    /// Write the bits to this new file that only you may read: CSV, one line a bit, one column an end.
    #[arg(long, value_name = "FILE")]
    pub(crate) bits: Option<PathBuf>,
    /// Write the log-likelihood ratios ln P(0)/P(1) of the other end's bits in the same form.
    #[arg(long, value_name = "FILE")]
    pub(crate) llr: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What the threshold of the quantizer runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ThresholdArg {
    /// Over features when there are more features than probes, else over probes.
    Auto,
    /// Each feature has its median over the probes of a window.
    Probes,
    /// Each probe has its median over the features (tones).
    Features,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    report: &'a KeygenReport,
    /// How frames of recordings were paired; null of tables.
    pairing: Option<&'a Pairing>,
}

/// Reads the files, makes the bits and prints what was counted.
pub(crate) fn run(args: &KeygenArgs) -> Result<Outcome> {
    for (option, path) in [("--bits", &args.bits), ("--llr", &args.llr)] {
        if let Some(path) = path {
            secret_files::check(path).context(option)?;
        }
    }
    let mut paths: Vec<&Path> = vec![&args.qap, &args.user];
    paths.extend(args.eve.as_deref());
    let (ends, pairing) = measured(args, &paths)?;
    let thresholds = match args.threshold {
        ThresholdArg::Auto => None,
        ThresholdArg::Probes => Some(Thresholds::OverProbes),
        ThresholdArg::Features => Some(Thresholds::OverFeatures),
    };
    if ends[0] == ends[1] {
        progress::note(format_args!(
            "note: access point and user measured the same to the last digit, as no two receivers do: is one file given twice?"
        ));
    }
    let config = KeygenConfig { thresholds, window_probes: args.window };
    let result = keygen(&ends[0], &ends[1], ends.get(2), &config)?;
    if let Some(path) = &args.bits {
        secret_files::write_bits(path, &result).context("--bits")?;
    }
    if let Some(path) = &args.llr {
        secret_files::write_llrs(path, &result).context("--llr")?;
    }
    for path in [&args.bits, &args.llr].into_iter().flatten() {
        progress::note(format_args!(
            "wrote {}: it tells key bits, and is readable by you alone; keep it as secret as the measurements",
            path.display()
        ));
    }
    if args.json {
        let report = &result.report;
        json::print("crqkd/keygen/2", &Document { report, pairing: pairing.as_ref() })?;
    } else {
        let mut out = output::stdout();
        if let Some(pairing) = &pairing {
            pairing.write(&mut out)?;
        }
        text::write_report(&mut out, &result.report)?;
    }
    Ok(Outcome::of(result.report.user.agreement.verdict == Verdict::BeyondChance))
}

/// The measurements of all ends, of tables or of recordings.
fn measured(args: &KeygenArgs, paths: &[&Path]) -> Result<(Vec<Measurements>, Option<Pairing>)> {
    let recordings = paths.iter().filter(|path| is_recording(path)).count();
    if recordings > 0 {
        ensure!(
            recordings == paths.len(),
            "{} of {} files are recordings, expected all or none",
            recordings,
            paths.len()
        );
        let (ends, pairing) = recordings::measure(paths, args.layout.into())?;
        return Ok((ends, Some(pairing)));
    }
    let ends = read_paired(paths)?
        .iter()
        .zip(paths)
        .map(|(matrix, path)| {
            measurements(matrix).with_context(|| format!("{}: cannot be used", path.display()))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok((ends, None))
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
