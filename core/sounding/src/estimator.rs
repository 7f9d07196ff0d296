//! Carrier offset, channel and noise of a frame.

use std::sync::Arc;

use crqkd_ids::SAMPLE_RATE_HZ;
use num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

use crate::cfo::{CfoEstimator, MAX_PATHS};
use crate::despread::{CIRCULAR_GROUPS, Despreader, GROUPS, tap};
use crate::kernels::TapRow;
use crate::layout::{
    CARRIERS, FrameLayout, PEAK_TAP, SEQUENCE_LEN, SEQUENCE_START, TAPS, WINDOW_ADVANCE, carriers,
};
use crate::model::{MAX_TAPS, Tap};
use crate::mtransform::MTransform;
use crate::rotate::unit;
use crate::{Frame, SoundingConfig, simd};

/// Carrier grid of the channel state information.
const GRID: usize = 64;
/// The correlation matrix is R·((P+1)·I − J) for R periods of P chips, J all ones: R·(P+1) is the same in all layouts.
const N1: f32 = SEQUENCE_LEN as f32 + 1.0;
/// Lags whose correlation is added up: paths of one channel.
pub(crate) const SPREAD: usize = 16;
/// Least evenness of the correlation over the sequence. A frame at −11 dB has 0.85; a burst in place of a frame, or the
/// second of two periods taken for the first, has 0.5 or less.
const LEAST_EVENNESS: f32 = 0.7;
/// Least energy of the strongest path, in units of its mean over noise. Bursts of a tone correlate by chance with many
/// neighbouring lags at once, and so may pass the sum over lags, but no lag of them reaches this.
const LEAST_PEAK: f32 = 20.0;
/// Samples from the strongest path's start of the M-sequence to the instant of the estimate's phase.
pub(crate) const PHASE_REFERENCE: usize = (SEQUENCE_LEN - 1) / 2 - WINDOW_ADVANCE;
/// How far the strongest path may be from where the correlator saw it.
const RECENTRE: std::ops::RangeInclusive<isize> = -16..=RECENTRE_MAX as isize;
/// Furthest that the strongest path may be behind the place where the correlator saw it, in
/// samples.
pub(crate) const RECENTRE_MAX: usize = 40;
/// Times that an estimate may find another path the strongest, and begin again.
const RECENTRINGS: usize = 2;

/// What a frame tells about the channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// Air time of the frame's first sample on the strongest path.
    pub start: u64,
    /// Carrier frequency offset, sender minus receiver, Hz.
    pub cfo_hz: f64,
    /// ‖h‖²/σ², noise bias removed, dB; at least −30.
    pub snr_db: f32,
    /// Noise power σ² of a complex sample, in the units of the samples.
    pub noise_power: f32,
    /// Impulse response, one tap a sample, the strongest at index [`PEAK_TAP`]. Its common phase is the one at the
    /// middle of the M-sequence (815 samples after `start`).
    pub cir: [Complex32; TAPS],
    /// Response at the carriers k = −26..=−1, 1..=26: Σ cir\[l\]·e^(−j·2π·k·l/64).
    pub csi: [Complex32; CARRIERS],
    /// Variance of the estimation error of each carrier, |ĉsi − csi|².
    pub csi_noise_var: f32,
}

impl Estimate {
    /// Carrier offset in radians a sample.
    pub(crate) fn omega(&self) -> f64 {
        std::f64::consts::TAU * self.cfo_hz / SAMPLE_RATE_HZ
    }
}

/// Least-squares estimator over [`TAPS`] taps.
///
/// With c the circular correlation of R periods of P chips of the received sequence at the W lags of the taps,
/// ĥ = (I + J/(P+1−W))/(R·(P+1))·c, and σ² = (‖r‖² − cᴴĥ)/(R·P − W).
pub struct Estimator {
    transform: MTransform,
    despreader: Despreader,
    cfo: CfoEstimator,
    period: usize,
    /// Middle of each group of pieces, in samples from the instant at which phases are kept.
    times: [f64; GROUPS],
    response: Response,
}

/// An estimate, and what tells whether there is a frame at all.
pub(crate) struct Measured {
    pub(crate) estimate: Estimate,
    /// How evenly the sequence fits over its length, 0 to 1.
    evenness: f32,
    /// Energy of the strongest path, 1 on noise.
    peak: f32,
}

impl Measured {
    /// Whether this is a frame rather than a chance correlation.
    pub(crate) fn is_frame(&self, config: &SoundingConfig) -> bool {
        self.estimate.snr_db >= config.min_snr_db
            && self.evenness >= LEAST_EVENNESS
            && self.peak >= LEAST_PEAK
    }
}

impl Default for Estimator {
    fn default() -> Self {
        Self::new()
    }
}

impl Estimator {
    /// An estimator of frames with one M-sequence of 1023 chips, with its tables.
    pub fn new() -> Self {
        Self::with_layout(FrameLayout::default())
    }

    /// An estimator of frames of this layout.
    pub fn with_layout(layout: FrameLayout) -> Self {
        let despreader = Despreader::new(layout);
        let times = despreader.times();
        Self {
            transform: MTransform::new(layout),
            despreader,
            cfo: CfoEstimator::new(layout, times),
            period: layout.period(),
            times,
            response: Response::new(),
        }
    }

    /// The estimate of a frame: the one that the synchronizer made to find its length.
    pub fn estimate(&mut self, frame: &Frame) -> Estimate {
        frame.peek().estimate.clone()
    }

    /// The estimate of a frame, made anew.
    pub fn measure(&mut self, frame: &Frame) -> Estimate {
        self.run(frame.samples(), frame.sequence(), frame.start()).estimate
    }

    /// Whether the sequence may start [`WINDOW_ADVANCE`] samples behind the beginning of a window of its length, give or
    /// take a path: the largest correlation energy of [`SPREAD`] consecutive lags in units of its mean over noise.
    pub(crate) fn statistic(&mut self, window: &[Complex32]) -> f32 {
        let energy = simd::energy(window);
        self.transform.run(window);
        let mut sum = 0.0;
        let mut most = 0.0f32;
        let mut powers = [0.0; 2 * SPREAD];
        for i in 0..powers.len() {
            powers[i] = self.transform.lag(i as isize + 1).norm_sqr();
            sum += powers[i];
            if i >= SPREAD {
                sum -= powers[i - SPREAD];
            }
            most = most.max(sum);
        }
        // Nothing but an overflow exceeds the sequence's length by much.
        let statistic = most / energy;
        if statistic < 1.1 * SEQUENCE_LEN as f32 { statistic } else { 0.0 }
    }

    /// Measures the frame whose M-sequence starts at `sequence` (on about the strongest path) in `samples`, which must
    /// hold the whole sequence; `start` is the air time of the frame that belongs to `sequence`.
    pub(crate) fn run(&mut self, samples: &[Complex32], sequence: usize, start: u64) -> Measured {
        let mut shift = 0;
        // How often another path may be found to be the strongest, after which the estimate begins again.
        let mut left = RECENTRINGS;
        let moved = |shift: isize, strongest: usize| {
            let to = shift + strongest as isize - PEAK_TAP as isize;
            (to != shift && RECENTRE.contains(&to)).then_some(to)
        };
        loop {
            let place = sequence as isize - SEQUENCE_START as isize + shift;
            self.despreader.take(samples, place);
            let energy = self.despreader.energy();
            let raw = self.despreader.raw();
            let mut paths = [0; MAX_PATHS];
            let first = self.cfo.first(&raw, paths_of(&raw, energy as f32, &mut paths));

            let groups = self.despreader.groups(first);
            let c = total(&groups[1..=CIRCULAR_GROUPS]);
            let strongest = strongest(&c);
            if let Some(to) = moved(shift, strongest).filter(|_| left > 1) {
                (shift, left) = (to, left - 1);
                continue;
            }
            let peak = c[strongest].norm_sqr() / energy as f32;
            let (cir, noise_power) = self.least_squares(&c, energy);
            let mut taps = [Tap::default(); MAX_TAPS];
            let taps = strong_taps(&cir, noise_power, &mut taps);
            let rest = self.cfo.rest(&groups, &self.despreader.tone(first), taps);
            // The whole preamble has the last word.
            if let Some(to) = moved(shift, rest.strongest).filter(|_| left > 0) {
                (shift, left) = (to, 0);
                continue;
            }

            let omega = first + rest.omega;
            let turns: [Complex32; CIRCULAR_GROUPS] =
                std::array::from_fn(|g| unit(-rest.omega * self.times[g + 1]));
            let c = taps_of(&simd::merge(&groups[1..=CIRCULAR_GROUPS], &turns));
            let (cir, noise_power) = self.least_squares(&c, energy);
            let power: f32 = cir.iter().map(|tap| tap.norm_sqr()).sum();
            let noise_power = noise_power.max(power * 1e-12);
            let csi_noise_var = TAPS as f32 * noise_power / N1;
            let snr = (power - csi_noise_var) / noise_power;
            let estimate = Estimate {
                start: start.saturating_add_signed(shift as i64),
                cfo_hz: omega * SAMPLE_RATE_HZ / std::f64::consts::TAU,
                snr_db: 10.0 * snr.max(1e-3).log10(),
                noise_power,
                csi: self.response.of(&cir),
                cir,
                csi_noise_var,
            };
            return Measured { estimate, evenness: rest.evenness, peak };
        }
    }

    /// The taps from the correlation at their lags, and σ².
    fn least_squares(&self, c: &[Complex32; TAPS], energy: f64) -> ([Complex32; TAPS], f32) {
        let common = c.iter().sum::<Complex32>() / (self.period + 1 - TAPS) as f32;
        let cir = c.map(|c| (c + common) / N1);
        let fitted: f64 = c.iter().zip(&cir).map(|(c, h)| f64::from((c.conj() * h).re)).sum();
        let noise = (energy - fitted) / (self.transform.len() - TAPS) as f64;
        (cir, noise.max(0.0) as f32)
    }
}

fn taps_of(row: &TapRow) -> [Complex32; TAPS] {
    std::array::from_fn(|l| tap(row, l))
}

/// The sum of groups, tap by tap.
fn total(groups: &[TapRow]) -> [Complex32; TAPS] {
    taps_of(&simd::sum(groups))
}

/// Place of the strongest tap.
fn strongest(c: &[Complex32; TAPS]) -> usize {
    let power = |l: &usize| c[*l].norm_sqr();
    (0..TAPS).max_by(|a, b| power(a).total_cmp(&power(b))).unwrap_or(PEAK_TAP)
}

/// Taps that stand out though the carrier offset is still there, the strongest first: for the first value of it.
fn paths_of<'a>(
    raw: &[TapRow; CIRCULAR_GROUPS],
    energy: f32,
    paths: &'a mut [usize; MAX_PATHS],
) -> &'a [usize] {
    let c = total(raw);
    let mut powers = [0.0; MAX_PATHS];
    let mut count = 0;
    for (l, c) in c.iter().enumerate() {
        let power = c.norm_sqr();
        // On noise alone a lag has the window's energy.
        if power < 4.0 * energy && l != PEAK_TAP {
            continue;
        }
        let place = powers[..count].iter().position(|&p| p < power).unwrap_or(count);
        if place < MAX_PATHS {
            count = (count + 1).min(MAX_PATHS);
            powers[place..count].rotate_right(1);
            paths[place..count].rotate_right(1);
            (powers[place], paths[place]) = (power, l);
        }
    }
    &paths[..count]
}

/// Response at the carriers of an impulse response.
#[derive(Clone)]
pub(crate) struct Response {
    grid: Arc<dyn Fft<f32>>,
    scratch: Vec<Complex32>,
}

impl Response {
    pub(crate) fn new() -> Self {
        let grid = FftPlanner::new().plan_fft_forward(GRID);
        Self { scratch: vec![Complex32::ZERO; grid.get_inplace_scratch_len()], grid }
    }

    /// Frequency response at the carriers, Σ cir\[l\]·e^(−j·2π·k·l/64), from an impulse response.
    pub(crate) fn of(&mut self, cir: &[Complex32; TAPS]) -> [Complex32; CARRIERS] {
        let mut grid = [Complex32::ZERO; GRID];
        grid[..TAPS].copy_from_slice(cir);
        self.grid.process_with_scratch(&mut grid, &mut self.scratch);
        let mut csi = [Complex32::ZERO; CARRIERS];
        for (place, k) in csi.iter_mut().zip(carriers()) {
            *place = grid[k.rem_euclid(GRID as i32) as usize];
        }
        csi
    }
}

/// The taps that stand out of the noise, the strongest first, for the estimate of the offset: with |ĥ|² ≥ 3·σ²/N, and in
/// any case the one at [`PEAK_TAP`]. |ĥ|² − σ²/N stands for their variance.
fn strong_taps<'a>(
    cir: &[Complex32; TAPS],
    noise: f32,
    taps: &'a mut [Tap; MAX_TAPS],
) -> &'a [Tap] {
    let total: f32 = cir.iter().map(|tap| tap.norm_sqr()).sum();
    let noise = noise.max(total * 1e-6).max(f32::MIN_POSITIVE);
    let error = noise / N1;
    let mut count = 0;
    for (l, tap) in cir.iter().enumerate() {
        let power = tap.norm_sqr();
        if power <= 3.0 * error && l != PEAK_TAP {
            continue;
        }
        let variance = f64::from((power - error).max(error) / noise);
        let place = taps[..count].iter().position(|t| t.variance < variance).unwrap_or(count);
        if place < MAX_TAPS {
            count = (count + 1).min(MAX_TAPS);
            taps[place..count].rotate_right(1);
            taps[place] = Tap { place: l, variance };
        }
    }
    &taps[..count]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::waveform::preamble;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    const START: usize = 50;
    const CFO_HZ: [f64; 4] = [-6500.0, 10.0, 4000.0, 9000.0];

    /// Preamble through the paths (delay, gain) with an offset, phase 0 at the middle of the sequence.
    fn received(layout: FrameLayout, paths: &[(usize, Complex32)], cfo_hz: f64) -> Vec<Complex32> {
        let mut samples = vec![Complex32::ZERO; START + layout.preamble_len() + 60];
        for &(delay, gain) in paths {
            for (place, sample) in samples[START + delay..].iter_mut().zip(preamble(layout)) {
                *place += gain * sample;
            }
        }
        let omega = std::f64::consts::TAU * cfo_hz / SAMPLE_RATE_HZ;
        let centre = (START + SEQUENCE_START + PHASE_REFERENCE) as f64;
        for (n, sample) in samples.iter_mut().enumerate() {
            *sample *= unit(omega * (n as f64 - centre));
        }
        samples
    }

    fn c(re: f32, im: f32) -> Complex32 {
        Complex32::new(re, im)
    }

    #[test]
    fn is_exact_without_noise_also_from_a_wrong_peak() {
        let cases: [&[(usize, Complex32)]; 3] = [
            &[(0, c(1.0, 0.0))],
            &[(0, c(1.0, 0.0)), (3, c(-0.3, 0.6)), (9, c(0.0, -0.3)), (23, c(0.1, 0.1))],
            &[(0, c(0.5, 0.5)), (8, c(0.5, 0.4))],
        ];
        for layout in [FrameLayout::Single, FrameLayout::Double] {
            let mut estimator = Estimator::with_layout(layout);
            for (paths, cfo_hz) in cases.iter().flat_map(|p| CFO_HZ.map(|cfo_hz| (p, cfo_hz))) {
                let samples = received(layout, paths, cfo_hz);
                for error in [0, 3, -20] {
                    let peak = (START + SEQUENCE_START).saturating_add_signed(error);
                    let measured = estimator.run(&samples, peak, 1000 + peak as u64);
                    let seen = (measured.evenness, measured.peak);
                    assert!(
                        measured.is_frame(&SoundingConfig::default()),
                        "{layout:?} {paths:?} {cfo_hz} {error}: {seen:?}"
                    );
                    let estimate = measured.estimate;
                    assert_eq!(estimate.start, 1000 + (START + SEQUENCE_START) as u64);
                    let off = (estimate.cfo_hz - cfo_hz).abs();
                    assert!(off < 10.0, "{cfo_hz}: {}", estimate.cfo_hz);
                    let mut cir = estimate.cir;
                    paths.iter().for_each(|&(delay, gain)| cir[PEAK_TAP + delay] -= gain);
                    let error: f32 = cir.iter().map(|tap| tap.norm_sqr()).sum();
                    assert!(error < 2e-5, "{layout:?} {paths:?} {cfo_hz}: {error}");
                }
            }
        }
    }

    /// Bound for a waveform of 1343 samples of known shape: 158 Hz at 0 dB; with unknown taps somewhat more.
    #[test]
    fn the_offset_is_as_good_as_the_bound() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut gaussian = || -> f32 { StandardNormal.sample(&mut rng) };
        let mut estimator = Estimator::new();
        let paths = [(0, c(0.7, 0.0)), (3, c(0.5, 0.5))];
        let clean = received(FrameLayout::Single, &paths, 3000.0);
        for (snr_db, bound) in [(20.0f32, 23.0), (10.0, 68.0), (0.0, 215.0), (-5.0, 400.0)] {
            let amplitude = 10f32.powf(-snr_db / 20.0) * std::f32::consts::FRAC_1_SQRT_2;
            let mut squares = 0.0;
            for _ in 0..400 {
                let noisy: Vec<Complex32> =
                    clean.iter().map(|s| s + c(gaussian(), gaussian()) * amplitude).collect();
                let estimate = estimator.run(&noisy, START + SEQUENCE_START, 0).estimate;
                squares += (estimate.cfo_hz - 3000.0).powi(2) / 400.0;
            }
            assert!(squares.sqrt() < bound, "{snr_db} dB: {:.1} Hz", squares.sqrt());
        }
    }
}
