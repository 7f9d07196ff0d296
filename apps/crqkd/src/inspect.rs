//! `crqkd inspect`: what a recording holds, in figures and in a picture of spectrum and impulse response.

mod picture;
mod rails;

use crate::choices::{LayoutArg, SearchArg};
use crate::exit::{self, Outcome, Stopped};
use crate::output;
use crate::output::Output;
use crate::reception::Reception;
use crate::{json, progress};
use anyhow::{Result, bail};
use clap::Args;
use crqkd_recording::{Complex32, Datatype, SampleReader, open_iq};
use crqkd_sounding::{Estimate, PEAK_TAP, SAMPLE_RATE_HZ, SoundingConfig, Spectrum, TAPS};
use rails::Rails;
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// `crqkd inspect`.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// A raw `.cf32` file at 20 Msample/s, or SigMF (`.sigmf-meta` or `.sigmf-data`).
    file: PathBuf,
    /// Draw spectrum and impulse responses into this SVG file.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Training sequence of the frames.
    #[arg(long, value_enum, default_value_t = LayoutArg::Single)]
    layout: LayoutArg,
    /// Where frames are looked for.
    #[arg(long, value_enum, default_value_t = SearchArg::Gated)]
    search: SearchArg,
    /// Print one JSON document instead of the table.
    #[arg(long)]
    json: bool,
}

/// Bins of the spectrum.
const BINS: usize = 512;
/// Impulse responses kept for the picture.
const SHOWN: usize = 100;
/// Samples read at once.
const CHUNK: usize = 1 << 16;

/// What was found.
#[derive(Debug, Serialize)]
struct Findings {
    samples: u64,
    seconds: f64,
    /// Contiguous stretches.
    stretches: u64,
    datatype: &'static str,
    /// What the largest integer stands for; null for floating-point samples, which have no full scale.
    full_scale: Option<f32>,
    /// Mean power over full scale, or over 1.0; null when all samples are zero.
    power_dbfs: Option<f64>,
    /// Largest real or imaginary part over full scale, or over 1.0.
    peak: f32,
    /// Share of samples with a part that is cut off: at the ends of the integers, or where one largest or least value
    /// comes again and again.
    clipped: f64,
    /// Where they are cut off: largest real part, least real part, largest imaginary part, least imaginary part; null
    /// where they are not.
    clip_levels: [Option<f32>; 4],
    /// Power of the mean sample below the mean power.
    dc_db: Option<f64>,
    /// Power of I over that of Q.
    iq_imbalance_db: Option<f64>,
    frames: usize,
    headers: usize,
    /// Median over the frames.
    snr_db: Option<f32>,
    /// Median over the frames.
    cfo_hz: Option<f64>,
    /// Root mean square width of the mean delay profile, noise removed.
    delay_spread_ns: Option<f64>,
    /// Power in each bin over full scale, from -10 to 10 MHz.
    spectrum_dbfs: Vec<f64>,
    /// Mean power of each tap over that of the strongest, noise removed; the strongest is number 8.
    profile: Vec<f64>,
    /// What is odd about the recording, a sentence each.
    notes: Vec<String>,
}

/// Reads the file once, prints the findings, and draws them if asked to.
pub(crate) fn run(args: &InspectArgs) -> Result<Outcome> {
    let reader = open_iq(&args.file)?;
    let config = SoundingConfig {
        layout: args.layout.into(),
        search: args.search.into(),
        ..SoundingConfig::default()
    };
    let reception = Reception::new(&reader, &args.file, &config)?;
    let output = match &args.output {
        Some(path) => Some(Output::begin("--output", path)?),
        None => None,
    };
    let (findings, responses) = inspect(reader, reception)?;
    if args.json {
        json::print("crqkd/inspect/1", &findings)?;
    } else {
        print(&findings)?;
    }
    if let Some(output) = output {
        let name = args.file.file_name().unwrap_or_default().to_string_lossy();
        output.finish(&picture::draw(&name, &findings, &responses))?;
    }
    Ok(Outcome::Ok)
}

/// Sums over the samples.
#[derive(Default)]
struct Sums {
    mean: [f64; 2],
    squares: [f64; 2],
    rails: Rails,
}

impl Sums {
    fn add(&mut self, samples: &[Complex32]) {
        for s in samples {
            for (i, x) in [s.re, s.im].into_iter().enumerate() {
                self.mean[i] += f64::from(x);
                self.squares[i] += f64::from(x) * f64::from(x);
            }
            self.rails.add(*s);
        }
    }
}

/// 10·log10 of a ratio of powers; `None` when one of them is zero.
fn decibel(power: f64, over: f64) -> Option<f64> {
    (power > 0.0 && over > 0.0).then(|| 10.0 * (power / over).log10())
}

/// Least level of a bin of the spectrum.
const SILENCE_DB: f64 = -1000.0;

fn inspect(
    mut reader: SampleReader,
    mut reception: Reception,
) -> Result<(Findings, Vec<[Complex32; TAPS]>)> {
    let bar = progress::bar(reader.total(), "samples");
    let (mut spectrum, mut sums) = (Spectrum::new(BINS), Sums::default());
    let mut chunk = Vec::new();
    let (mut samples, mut stretches, mut next) = (0, 0, None);
    while let Some(time) = reader.read(&mut chunk, CHUNK)? {
        if next != Some(time) {
            stretches += 1;
            spectrum.gap();
        }
        next = Some(time + chunk.len() as u64);
        samples += chunk.len() as u64;
        sums.add(&chunk);
        reception.process(time, &mut chunk)?;
        spectrum.add(&chunk);
        bar.inc(chunk.len() as u64);
        if exit::interrupted() {
            bail!(Stopped);
        }
    }
    bar.finish_and_clear();
    // The spectrum is that of the scaled samples.
    let scale = reception.factor().powi(2);
    let (estimates, notes) = reception.finish();

    let integers = reader.datatype() == Datatype::Ci16Le;
    let full_scale = reader.full_scale();
    let unit = f64::from(full_scale).powi(2);
    let count = samples as f64;
    let power = sums.squares.iter().sum::<f64>() / count;
    let dc: f64 = sums.mean.iter().map(|sum| (sum / count).powi(2)).sum();
    let profile = profile(estimates.iter().map(|(estimate, _)| estimate));
    let clipping = sums.rails.clipping(integers.then_some(full_scale));
    let findings = Findings {
        samples,
        seconds: count / SAMPLE_RATE_HZ,
        stretches,
        datatype: reader.datatype().name(),
        full_scale: integers.then_some(full_scale),
        power_dbfs: decibel(power, unit),
        peak: sums.rails.peak() / full_scale,
        clipped: clipping.share,
        clip_levels: clipping.levels,
        dc_db: decibel(dc, power),
        iq_imbalance_db: decibel(sums.squares[0], sums.squares[1]),
        frames: estimates.len(),
        headers: estimates.iter().filter(|(_, header)| header.is_some()).count(),
        snr_db: median(estimates.iter().map(|(e, _)| f64::from(e.snr_db))).map(|x| x as f32),
        cfo_hz: median(estimates.iter().map(|(e, _)| e.cfo_hz)),
        delay_spread_ns: delay_spread_ns(&profile),
        spectrum_dbfs: spectrum
            .power()
            .into_iter()
            .map(|power| decibel(power, unit * scale).unwrap_or(SILENCE_DB).max(SILENCE_DB))
            .collect(),
        profile,
        notes,
    };
    let every = estimates.len().div_ceil(SHOWN).max(1);
    let responses = estimates.iter().step_by(every).map(|(estimate, _)| estimate.cir).collect();
    Ok((findings, responses))
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Mean power of the taps, each frame scaled to the same power, the noise of the estimate taken off.
fn profile<'a>(estimates: impl Iterator<Item = &'a Estimate>) -> Vec<f64> {
    let mut sums = vec![0.0; TAPS];
    for estimate in estimates {
        let noise = estimate.csi_noise_var / TAPS as f32;
        let total: f32 = estimate.cir.iter().map(|tap| tap.norm_sqr()).sum();
        for (sum, tap) in sums.iter_mut().zip(&estimate.cir) {
            *sum += f64::from((tap.norm_sqr() - noise) / total.max(f32::MIN_POSITIVE));
        }
    }
    let strongest = sums[PEAK_TAP];
    if strongest > 0.0 {
        sums.iter_mut().for_each(|sum| *sum = (*sum / strongest).max(0.0));
    }
    sums
}

/// Standard deviation of the delay, weighted by power.
fn delay_spread_ns(profile: &[f64]) -> Option<f64> {
    let total: f64 = profile.iter().sum();
    if total <= 0.0 {
        return None;
    }
    let moment = |f: &dyn Fn(f64) -> f64| -> f64 {
        profile.iter().enumerate().map(|(l, power)| f(l as f64) * power).sum::<f64>() / total
    };
    let mean = moment(&|l| l);
    Some(moment(&|l| (l - mean).powi(2)).sqrt() * 1e9 / SAMPLE_RATE_HZ)
}

fn print(findings: &Findings) -> Result<()> {
    let Findings { samples, seconds, stretches, datatype, .. } = findings;
    let mut out = output::stdout();
    let figure = |x: Option<f64>, decimals: usize| match x {
        Some(x) => format!("{x:.decimals$} dB"),
        None => "n/a".to_owned(),
    };
    writeln!(out, "samples           {samples} in {stretches} stretches, {seconds:.4} s")?;
    let (scale, of) = match findings.full_scale {
        Some(scale) => (format!("full scale {scale}"), "full scale"),
        None => ("which has no full scale".to_owned(), "1.0"),
    };
    writeln!(out, "stored as         {datatype}, {scale}")?;
    writeln!(
        out,
        "level             {} over {of}, peak {:.4} of {of}",
        figure(findings.power_dbfs, 2),
        findings.peak,
    )?;
    let names = ["I above", "I below", "Q above", "Q below"];
    let levels: Vec<String> = names
        .iter()
        .zip(findings.clip_levels)
        .filter_map(|(name, level)| Some(format!("{name} at {}", level?)))
        .collect();
    let levels = if levels.is_empty() { String::new() } else { format!(": {}", levels.join(", ")) };
    writeln!(out, "clipped           {:.4} % of the samples{levels}", 100.0 * findings.clipped)?;
    writeln!(
        out,
        "DC, I/Q           {}, {}",
        figure(findings.dc_db, 1),
        figure(findings.iq_imbalance_db, 3)
    )?;
    writeln!(out, "frames            {}, {} with a header", findings.frames, findings.headers)?;
    if let (Some(snr), Some(cfo)) = (findings.snr_db, findings.cfo_hz) {
        writeln!(out, "median of frames  SNR {snr:.1} dB, carrier offset {cfo:.0} Hz")?;
    }
    if let Some(spread) = findings.delay_spread_ns {
        writeln!(out, "delay spread      {spread:.0} ns rms")?;
    }
    for note in &findings.notes {
        writeln!(out, "note              {note}")?;
    }
    Ok(())
}
