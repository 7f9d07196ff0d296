//! `crqkd inspect`: what a recording holds, in figures and in a picture of spectrum and impulse response.

mod picture;

use crate::cli::{LayoutArg, SearchArg};
use crate::exit::{self, Outcome, Stopped};
use crate::{json, progress};
use anyhow::{Result, bail};
use clap::Args;
use crqkd_recording::{AtomicFile, Complex32, SampleReader, open_iq, open_iq_unverified};
use crqkd_sounding::{
    Demodulator, Estimate, Estimator, Frame, PEAK_TAP, SAMPLE_RATE_HZ, SoundingConfig, Spectrum,
    Synchronizer, TAPS,
};
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
    full_scale: f32,
    /// Mean power over full scale.
    power_dbfs: f64,
    /// Largest real or imaginary part over full scale.
    peak: f32,
    /// Share of samples at full scale.
    clipped: f64,
    /// Power of the mean sample below the mean power.
    dc_db: f64,
    /// Power of I over that of Q.
    iq_imbalance_db: f64,
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
}

/// Reads the file once, prints the findings, and draws them if asked to.
pub(crate) fn run(args: &InspectArgs) -> Result<Outcome> {
    let reader = open_iq(&args.file)?;
    reader.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
    if iq_is_exchanged(open_iq_unverified(&args.file)?)? {
        tracing::warn!("{}: {EXCHANGED}", args.file.display());
    }
    if let Some(rate) = reader.sample_rate_hz().filter(|&rate| rate != SAMPLE_RATE_HZ) {
        bail!(
            "{}: recorded at {rate} samples a second, expected {SAMPLE_RATE_HZ}",
            args.file.display()
        );
    }
    let config = SoundingConfig {
        layout: args.layout.into(),
        search: args.search.into(),
        ..SoundingConfig::default()
    };
    let (findings, responses) = inspect(reader, &config)?;
    if args.json {
        json::print("crqkd/inspect/1", &findings)?;
    } else {
        print(&findings)?;
    }
    if let Some(path) = &args.output {
        let name = args.file.file_name().unwrap_or_default().to_string_lossy();
        let picture = picture::draw(&name, &findings, &responses)?;
        let mut file = AtomicFile::create(path)?;
        file.write(picture.as_bytes())?;
        file.finish()?;
        eprintln!("wrote {}", path.display());
    }
    Ok(Outcome::Ok)
}

/// Sums over the samples.
#[derive(Default)]
struct Sums {
    mean: [f64; 2],
    squares: [f64; 2],
    peak: f32,
    rails: Rails,
}

/// Samples at the largest and at the smallest value that a component has: a plateau there is a converter's end, wherever its
/// full scale is. A signal that is not cut has few.
#[derive(Default)]
struct Rails {
    /// Smallest and largest value, and how many samples have each.
    ends: [(f32, u64); 2],
    /// Samples that have both.
    both: u64,
}

impl Rails {
    fn add(&mut self, s: Complex32) {
        let (low, high) = (s.re.min(s.im), s.re.max(s.im));
        if low < self.ends[0].0 {
            (self.ends[0], self.both) = ((low, 0), 0);
        }
        if high > self.ends[1].0 {
            (self.ends[1], self.both) = ((high, 0), 0);
        }
        let at = [low == self.ends[0].0, high == self.ends[1].0];
        self.ends[0].1 += u64::from(at[0]);
        self.ends[1].1 += u64::from(at[1]);
        self.both += u64::from(at[0] && at[1]);
    }

    /// Samples with a component at an end, if there is a plateau.
    fn clipped(&self, samples: u64) -> u64 {
        let plateau = |count: u64| count >= 8 && count >= samples / 100_000;
        match self.ends.map(|(_, count)| plateau(count)) {
            [true, true] => self.ends[0].1 + self.ends[1].1 - self.both,
            [true, false] => self.ends[0].1,
            [false, true] => self.ends[1].1,
            _ => 0,
        }
    }
}

impl Sums {
    fn add(&mut self, samples: &[Complex32]) {
        for s in samples {
            for (i, x) in [s.re, s.im].into_iter().enumerate() {
                self.mean[i] += f64::from(x);
                self.squares[i] += f64::from(x) * f64::from(x);
            }
            let largest = s.re.abs().max(s.im.abs());
            self.peak = self.peak.max(largest);
            self.rails.add(*s);
        }
    }
}

fn inspect(
    mut reader: SampleReader,
    config: &SoundingConfig,
) -> Result<(Findings, Vec<[Complex32; TAPS]>)> {
    let bar = progress::bar(reader.total(), "samples");
    let mut synchronizer = Synchronizer::new(config)?;
    let (mut spectrum, mut sums) = (Spectrum::new(BINS), Sums::default());
    let mut estimates: Vec<(Estimate, bool)> = Vec::new();
    let mut estimator = Estimator::with_layout(config.layout);
    let mut demodulator = Demodulator::new(config)?;
    let mut take = |frames: &mut Vec<Frame>| {
        for frame in frames.drain(..) {
            let estimate = estimator.estimate(&frame);
            let header = demodulator.header(&frame, &estimate).is_some();
            estimates.push((estimate, header));
        }
    };
    let (mut chunk, mut frames) = (Vec::new(), Vec::new());
    let (mut samples, mut stretches, mut next) = (0, 0, None);
    while let Some(time) = reader.read(&mut chunk, CHUNK)? {
        if next != Some(time) {
            stretches += 1;
            spectrum.gap();
        }
        next = Some(time + chunk.len() as u64);
        samples += chunk.len() as u64;
        sums.add(&chunk);
        spectrum.add(&chunk);
        synchronizer.process(time, &chunk, &mut frames)?;
        take(&mut frames);
        bar.inc(chunk.len() as u64);
        if exit::interrupted() {
            bail!(Stopped);
        }
    }
    synchronizer.flush(&mut frames);
    take(&mut frames);
    bar.finish_and_clear();

    let full_scale = f64::from(reader.full_scale());
    let count = samples as f64;
    let decibel = |power: f64| 10.0 * power.max(1e-20).log10();
    let power = sums.squares.iter().sum::<f64>() / count;
    let dc: f64 = sums.mean.iter().map(|sum| (sum / count).powi(2)).sum();
    let profile = profile(estimates.iter().map(|(estimate, _)| estimate));
    let findings = Findings {
        samples,
        seconds: count / SAMPLE_RATE_HZ,
        stretches,
        datatype: reader.datatype().name(),
        full_scale: reader.full_scale(),
        power_dbfs: decibel(power / full_scale.powi(2)),
        peak: sums.peak / reader.full_scale(),
        clipped: sums.rails.clipped(samples) as f64 / count,
        dc_db: decibel(dc / power),
        iq_imbalance_db: decibel(sums.squares[0] / sums.squares[1]),
        frames: estimates.len(),
        headers: estimates.iter().filter(|(_, header)| *header).count(),
        snr_db: median(estimates.iter().map(|(e, _)| f64::from(e.snr_db))).map(|x| x as f32),
        cfo_hz: median(estimates.iter().map(|(e, _)| e.cfo_hz)),
        delay_spread_ns: delay_spread_ns(&profile),
        spectrum_dbfs: spectrum
            .power()
            .into_iter()
            .map(|power| decibel(power / full_scale.powi(2)))
            .collect(),
        profile,
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
    let Findings { samples, seconds, stretches, datatype, full_scale, .. } = findings;
    let mut out = std::io::stdout().lock();
    writeln!(out, "samples           {samples} in {stretches} stretches, {seconds:.4} s")?;
    writeln!(out, "stored as         {datatype}, full scale {full_scale}")?;
    writeln!(
        out,
        "level             {:.2} dBFS, peak {:.4} of full scale, {:.4} % clipped",
        findings.power_dbfs,
        findings.peak,
        100.0 * findings.clipped
    )?;
    writeln!(
        out,
        "DC, I/Q           {:.1} dB, {:.3} dB",
        findings.dc_db, findings.iq_imbalance_db
    )?;
    writeln!(out, "frames            {}, {} with a header", findings.frames, findings.headers)?;
    if let (Some(snr), Some(cfo)) = (findings.snr_db, findings.cfo_hz) {
        writeln!(out, "median of frames  SNR {snr:.1} dB, carrier offset {cfo:.0} Hz")?;
    }
    if let Some(spread) = findings.delay_spread_ns {
        writeln!(out, "delay spread      {spread:.0} ns rms")?;
    }
    Ok(())
}

/// What is said of a recording in which the tone stands at the other side of the carrier.
pub(crate) const EXCHANGED: &str = "I and Q are exchanged (the tone of the frames stands at -1.25 MHz): exchange them, or the sign of every offset is wrong";

/// Whether the frames' tone stands at -1.25 MHz: looks at the first 26 ms.
pub(crate) fn iq_is_exchanged(mut reader: SampleReader) -> Result<bool> {
    const SAMPLES: usize = 1 << 19;
    const PERIOD: usize = 16;
    const BLOCK: usize = 128;
    let turn: Vec<Complex32> = (0..PERIOD)
        .map(|n| Complex32::from_polar(1.0, std::f32::consts::TAU * n as f32 / PERIOD as f32))
        .collect();
    let (mut chunk, mut strongest, mut read) = (Vec::new(), [0f32; 2], 0);
    while read < SAMPLES && reader.read(&mut chunk, CHUNK)?.is_some() {
        read += chunk.len();
        for block in chunk.chunks_exact(BLOCK) {
            let (mut sums, mut power) = ([Complex32::ZERO; 2], 0.0);
            for (n, x) in block.iter().enumerate() {
                let turn = turn[n % PERIOD];
                sums[0] += x * turn.conj();
                sums[1] += x * turn;
                power += x.norm_sqr();
            }
            for (strongest, sum) in strongest.iter_mut().zip(sums) {
                // The share of the block's power that the tone has.
                *strongest = strongest.max(sum.norm_sqr() / (power * BLOCK as f32).max(1e-30));
            }
        }
    }
    Ok(strongest[1] > 0.5 && strongest[1] > 2.0 * strongest[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_distr::StandardNormal;

    #[test]
    fn a_plateau_is_clipping_and_a_large_amplitude_is_not() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let noise: Vec<Complex32> = (0..20_000)
            .map(|_| Complex32::new(rng.sample(StandardNormal), rng.sample(StandardNormal)))
            .collect();
        let share = |samples: &[Complex32]| {
            let mut rails = Rails::default();
            samples.iter().for_each(|&sample| rails.add(sample));
            rails.clipped(samples.len() as u64) as f64 / samples.len() as f64
        };
        assert_eq!(share(&noise), 0.0);
        let cut = |low: f32, high: f32| -> Vec<Complex32> {
            noise
                .iter()
                .map(|s| Complex32::new(s.re.clamp(low, high), s.im.clamp(low, high)))
                .collect()
        };
        // P(|x| > 0.4) = 0.689 for a component: 1 - 0.311^2 of the samples.
        assert!((share(&cut(-0.4, 0.4)) - 0.903).abs() < 0.01);
        // An asymmetric converter, as of 12 bits.
        assert!((share(&cut(-1.0, 0.99)) - 0.538).abs() < 0.02);
        assert!((share(&cut(-9.0, 1.0)) - 0.292).abs() < 0.02, "one end only");
    }
}
