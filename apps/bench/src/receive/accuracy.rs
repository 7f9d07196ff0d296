//! What the receiver finds, and how well it measures.

use crqkd_sounding::{
    DelayProfile, Frame, FrameLayout, SearchMode, SoundingConfig, SoundingError, Synchronizer,
    Synthesizer,
};
use num_complex::Complex32;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::Serialize;

use crate::mean::Mean;

use super::channel::{Bound, Truth, fill_noise};
use super::train::{SPACING, Train};

/// ‖h‖²/σ² of the sweep, dB.
pub const SNR_DB: [f64; 6] = [-5.0, 0.0, 5.0, 10.0, 15.0, 20.0];
/// Frames from which the delay profile is learned before the MMSE estimate counts.
const WARM_UP: usize = 50;

/// One line of the sweep.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AccuracyRow {
    /// Training sequence of the frames.
    pub layout: FrameLayout,
    /// Where frames are looked for.
    pub search: SearchMode,
    /// Channel power over noise power, ‖h‖²/σ², in dB.
    pub snr_db: f64,
    /// Number of frames that were sent.
    pub frames: usize,
    /// Share of the frames sent that were found, 0 to 1.
    pub detected: f64,
    /// Frames found where none is.
    pub false_frames: usize,
    /// Share of the found frames that start on the strongest path.
    pub start_exact: f64,
    /// ... or one sample beside it.
    pub start_near: f64,
    /// Root mean square of the error of the carrier offset, Hz.
    pub cfo_rms_hz: f64,
    /// Cramér-Rao bound of that error, Hz.
    pub cfo_bound_hz: f64,
    /// Mean NMSE of the least-squares estimate, dB.
    pub nmse_ls_db: f64,
    /// Mean NMSE of the MMSE estimate, dB.
    pub nmse_mmse_db: f64,
    /// Lower end of its 95 % interval, dB.
    pub nmse_mmse_low_db: f64,
}

/// Receives a train of frames.
pub(super) fn sweep(
    layout: FrameLayout,
    search: SearchMode,
    snr_db: f64,
    frames: usize,
    seed: u64,
) -> Result<AccuracyRow, SoundingError> {
    let config = SoundingConfig { layout, search, ..Default::default() };
    let train = Train { config, snr_db, frames, seed };
    let noise = train.noise();
    let (bound, mut profile) = (Bound::new(layout), DelayProfile::new());
    let (mut hits, mut exact, mut near) = (0, 0, 0);
    let (mut squares, mut bounds, mut ls) = (0.0, 0.0, 0.0);
    let mut mmse = Mean::default();
    let found = train.receive(
        |_, start, rng| Truth::draw(start, rng),
        |truth, estimate| {
            let off = estimate.start.abs_diff(truth.strongest());
            hits += 1;
            exact += usize::from(off == 0);
            near += usize::from(off <= 1);
            squares += (estimate.cfo_hz - truth.cfo_hz).powi(2);
            bounds += bound.variance_hz2(&truth.taps, noise);
            ls += truth.nmse(estimate.start, &estimate.cir);
            let smoothed = profile.smooth(estimate);
            if hits > WARM_UP.min(frames / 2) {
                mmse.add(truth.nmse(estimate.start, &smoothed.cir));
            }
        },
    )?;
    let mut row = AccuracyRow { layout, search, snr_db, frames, ..Default::default() };
    row.false_frames = found.false_frames;
    let share = |count: usize| count as f64 / hits as f64;
    let decibel = |sum: f64, count: usize| 10.0 * (sum / count as f64).log10();
    row.detected = hits as f64 / frames as f64;
    (row.start_exact, row.start_near) = (share(exact), share(near));
    row.cfo_rms_hz = (squares / hits as f64).sqrt();
    row.cfo_bound_hz = (bounds / hits as f64).sqrt();
    row.nmse_ls_db = decibel(ls, hits);
    row.nmse_mmse_db = 10.0 * mmse.mean().log10();
    row.nmse_mmse_low_db = 10.0 * (mmse.mean() - mmse.half_width()).max(0.0).log10();
    Ok(row)
}

/// Frames found in what holds none, or all its frames.
#[derive(Clone, Debug, Serialize)]
pub struct DisturbanceRow {
    /// What was on the air.
    pub what: &'static str,
    /// Training sequence that was looked for.
    pub layout: FrameLayout,
    /// Where frames were looked for.
    pub search: SearchMode,
    /// Length of the air that was searched, in seconds.
    pub seconds: f64,
    /// Number of frames that were sent.
    pub sent: usize,
    /// Frames found where they were sent.
    pub found: usize,
    /// Number of frames found where none was sent.
    pub false_frames: usize,
}

/// What is on the air beside noise of power 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disturbance {
    Noise,
    Tone,
    ToneBursts,
    NoiseBursts,
    /// Frames at 10 dB, bursts of noise of 30 dB between them.
    FramesAmongBursts,
    /// Frames at 10 dB, noise and signal stepping by 10 dB every 25 frames.
    FramesOverSteps,
}

impl Disturbance {
    pub(super) const ALL: [Self; 6] = [
        Self::Noise,
        Self::Tone,
        Self::ToneBursts,
        Self::NoiseBursts,
        Self::FramesAmongBursts,
        Self::FramesOverSteps,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Noise => "noise",
            Self::Tone => "tones of +30 dB",
            Self::ToneBursts => "bursts of tones, +30 dB",
            Self::NoiseBursts => "bursts of noise, +30 dB",
            Self::FramesAmongBursts => "frames at 10 dB among bursts of noise, +30 dB",
            Self::FramesOverSteps => "frames at 10 dB, the level stepping by 10 dB",
        }
    }
}

/// Receives `blocks` times 20000 samples of a disturbance.
pub(super) fn disturbed(
    disturbance: Disturbance,
    layout: FrameLayout,
    search: SearchMode,
    blocks: usize,
    seed: u64,
) -> Result<DisturbanceRow, SoundingError> {
    const LOUD: f32 = 31.6; // amplitude of +30 dB
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let config = SoundingConfig { layout, search, ..Default::default() };
    let burst = Synthesizer::with_layout(layout).burst(None, &[], &[])?;
    let mut synchronizer = Synchronizer::new(&config)?;
    let mut samples = vec![Complex32::ZERO; SPACING];
    let mut found = Vec::new();
    let mut row = DisturbanceRow {
        what: disturbance.name(),
        layout,
        search,
        seconds: (blocks * SPACING) as f64 / crqkd_sounding::SAMPLE_RATE_HZ,
        sent: 0,
        found: 0,
        false_frames: 0,
    };
    let mut tone = Tone::draw(&mut rng);
    for number in 0..blocks {
        let first = (number * SPACING) as u64;
        fill_noise(&mut samples, 1.0, &mut rng);
        let mut expected = None;
        match disturbance {
            Disturbance::Noise => {}
            Disturbance::Tone => {
                if number % 25 == 0 {
                    tone = Tone::draw(&mut rng);
                }
                tone.add(LOUD, &mut samples);
            }
            Disturbance::ToneBursts => {
                for_bursts(SPACING, &mut rng, |range, rng| {
                    Tone::draw(rng).add(LOUD, &mut samples[range]);
                });
            }
            Disturbance::NoiseBursts => {
                for_bursts(SPACING, &mut rng, |range, rng| {
                    fill_noise(&mut samples[range], 1000.0, rng);
                });
            }
            Disturbance::FramesAmongBursts => {
                for_bursts(10_000, &mut rng, |range, rng| {
                    fill_noise(&mut samples[range], 1000.0, rng);
                });
                expected = Some(rng.random_range(10_100..15_900));
            }
            Disturbance::FramesOverSteps => expected = Some(rng.random_range(4000..16_000)),
        }
        let truth = expected.map(|at| Truth::draw(first + at, &mut rng));
        if let Some(truth) = &truth {
            let loud: Vec<Complex32> = burst.iter().map(|s| s * 10f32.sqrt()).collect();
            truth.receive(&loud, first, &mut samples);
            row.sent += 1;
        }
        if disturbance == Disturbance::FramesOverSteps && number / 25 % 2 == 1 {
            samples.iter_mut().for_each(|sample| *sample *= 10f32.sqrt());
        }
        synchronizer.process(first, &samples, &mut found)?;
        let near = |frame: &Frame| {
            truth.as_ref().is_some_and(|truth| frame.start().abs_diff(truth.strongest()) <= 32)
        };
        let hits = found.iter().filter(|frame| near(frame)).count();
        row.found += hits.min(1);
        row.false_frames += found.len() - hits.min(1);
        found.clear();
    }
    Ok(row)
}

/// Bursts of 8 to 4000 samples in the first `len` samples.
fn for_bursts<R: Rng>(
    len: usize,
    rng: &mut R,
    mut each: impl FnMut(std::ops::Range<usize>, &mut R),
) {
    let mut at = rng.random_range(0..1000);
    loop {
        let burst = 2f64.powf(rng.random_range(3.0..12.0)) as usize;
        if at + burst > len {
            break;
        }
        each(at..at + burst, rng);
        at += burst + rng.random_range(20..2000);
    }
}

/// A carrier, or one swept in frequency.
struct Tone {
    phase: f64,
    omega: f64,
    sweep: f64,
}

impl Tone {
    fn draw(rng: &mut impl Rng) -> Self {
        let omega = match rng.random_range(0..3) {
            0 => 0.0,
            1 => rng.random_range(-0.01..0.01),
            _ => rng.random_range(-std::f64::consts::PI..std::f64::consts::PI),
        };
        let sweep = if rng.random_bool(0.3) { rng.random_range(-1e-5..1e-5) } else { 0.0 };
        Self { phase: rng.random_range(0.0..std::f64::consts::TAU), omega, sweep }
    }

    fn add(&mut self, amplitude: f32, samples: &mut [Complex32]) {
        for sample in samples {
            *sample += Complex32::from_polar(amplitude, self.phase as f32);
            self.phase = (self.phase + self.omega) % std::f64::consts::TAU;
            self.omega += self.sweep;
        }
    }
}
