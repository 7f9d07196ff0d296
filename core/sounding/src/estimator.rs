//! Carrier offset, channel and noise of a frame.

use std::sync::Arc;

use num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

use crate::cfo::{self, CfoEstimator, MAX_PATHS, Tone};
use crate::layout::{
    CARRIERS, PEAK_TAP, SAMPLE_RATE_HZ, SEQUENCE_LEN, SEQUENCE_START, TAPS, TONE_PERIOD,
    WINDOW_ADVANCE, carriers,
};
use crate::mtransform::MTransform;
use crate::rotate::{derotate, unit};
use crate::waveform::tone_period;
use crate::{Frame, SoundingConfig};

/// Carrier grid of the channel state information.
const GRID: usize = 64;
/// Sequence length plus one: the correlation matrix is (N+1)·I − J, J all ones.
const N1: f32 = SEQUENCE_LEN as f32 + 1.0;
/// Samples from the strongest path's start of the M-sequence to the instant of the estimate's phase.
pub(crate) const PHASE_REFERENCE: usize = (SEQUENCE_LEN - 1) / 2 - WINDOW_ADVANCE;
/// How far the strongest path may be from where the correlator saw it.
const RECENTRE: std::ops::RangeInclusive<isize> = -8..=RECENTRE_MAX as isize;
/// The same, later only.
pub(crate) const RECENTRE_MAX: usize = 40;

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
/// With c the circular correlation of one period of the received sequence at the W lags of the taps,
/// ĥ = (I + J/(N+1−W))/(N+1)·c, and σ² = (‖r‖² − cᴴĥ)/(N − W).
pub struct Estimator {
    transform: MTransform,
    cfo: CfoEstimator,
    tone: [Complex32; TONE_PERIOD],
    grid: Arc<dyn Fft<f32>>,
    scratch: Vec<Complex32>,
    window: Box<[Complex32; SEQUENCE_LEN]>,
    expected: Box<[Complex32; SEQUENCE_LEN]>,
}

impl Default for Estimator {
    fn default() -> Self {
        Self::new()
    }
}

impl Estimator {
    /// An estimator with its tables.
    pub fn new() -> Self {
        let grid = FftPlanner::new().plan_fft_forward(GRID);
        Self {
            transform: MTransform::new(),
            cfo: CfoEstimator::new(),
            tone: tone_period(),
            scratch: vec![Complex32::ZERO; grid.get_inplace_scratch_len()],
            grid,
            window: Box::new([Complex32::ZERO; SEQUENCE_LEN]),
            expected: Box::new([Complex32::ZERO; SEQUENCE_LEN]),
        }
    }

    /// The estimate of a frame: the one that the synchronizer made to find its length.
    pub fn estimate(&mut self, frame: &Frame) -> Estimate {
        frame.peek().estimate.clone()
    }

    /// The estimate of a frame, made anew.
    pub fn measure(&mut self, frame: &Frame) -> Estimate {
        self.run(frame.samples(), frame.sequence(), frame.start())
    }

    /// Measures the frame whose M-sequence starts at `sequence` (on about the strongest path) in `samples`, which must
    /// hold the whole preamble; `start` is the air time that belongs to `sequence`.
    pub(crate) fn run(&mut self, samples: &[Complex32], sequence: usize, start: u64) -> Estimate {
        let first = sequence - WINDOW_ADVANCE;
        let received = &samples[first..first + SEQUENCE_LEN];
        let energy: f64 = received.iter().map(|r| f64::from(r.norm_sqr())).sum();

        self.window.copy_from_slice(received);
        self.transform.run(&self.window);
        let mut paths = [0; MAX_PATHS];
        let paths = self.paths(energy as f32, &mut paths);
        let first_omega = self.cfo.first(&self.window, paths);

        // The phase is kept at the middle of the window.
        let centre = (SEQUENCE_LEN - 1) / 2;
        derotate(received, first_omega, -first_omega * centre as f64, &mut self.window[..]);
        self.transform.run(&self.window);
        let shift = self.strongest();
        let (cir, noise_power) = self.least_squares(shift, energy);

        let sequence = sequence.saturating_add_signed(shift);
        let tone_start = sequence - SEQUENCE_START;
        let time = tone_start as f64 - (first + centre) as f64;
        let tone = (&samples[tone_start..], time);
        let omega = first_omega + self.rest(tone, shift, &cir, noise_power, first_omega);
        // ... and moved with the start.
        let turn = unit(omega * shift as f64);
        let cir = cir.map(|tap| tap * turn);

        let power: f32 = cir.iter().map(|tap| tap.norm_sqr()).sum();
        let noise_power = noise_power.max(power * 1e-12);
        let csi_noise_var = TAPS as f32 * noise_power / N1;
        let snr = (power - csi_noise_var) / noise_power;
        Estimate {
            start: start.saturating_add_signed(shift as i64),
            cfo_hz: omega * SAMPLE_RATE_HZ / std::f64::consts::TAU,
            snr_db: 10.0 * snr.max(1e-3).log10(),
            noise_power,
            csi: self.csi(&cir),
            cir,
            csi_noise_var,
        }
    }

    /// Lags of the window at which paths stand out, the strongest first: for the first frequency estimate.
    fn paths<'a>(&self, energy: f32, paths: &'a mut [isize; MAX_PATHS]) -> &'a [isize] {
        let mut powers = [0.0; MAX_PATHS];
        let mut count = 0;
        for delay in RECENTRE {
            let lag = delay + WINDOW_ADVANCE as isize;
            let power = self.transform.lag(lag).norm_sqr();
            // On noise alone a lag has the window's energy.
            if power < 4.0 * energy && delay != 0 {
                continue;
            }
            let place = powers[..count].iter().position(|&p| p < power).unwrap_or(count);
            if place < MAX_PATHS {
                count = (count + 1).min(MAX_PATHS);
                powers[place..count].rotate_right(1);
                paths[place..count].rotate_right(1);
                (powers[place], paths[place]) = (power, lag);
            }
        }
        &paths[..count]
    }

    /// What the first value of the offset has left, found with all taps that stand out of the noise. The tone is given
    /// by its samples and its time.
    fn rest(
        &mut self,
        (samples, time): (&[Complex32], f64),
        shift: isize,
        cir: &[Complex32; TAPS],
        noise: f32,
        omega: f64,
    ) -> f64 {
        let least = 4.0 * noise / N1;
        let mut kept = *cir;
        let mut response = Complex32::ZERO;
        let mut count = 0;
        for (l, tap) in kept.iter_mut().enumerate() {
            if tap.norm_sqr() < least && l != PEAK_TAP {
                *tap = Complex32::ZERO;
            } else {
                // Tap l is l − PEAK_TAP samples late; twice PEAK_TAP is a period of the tone.
                response += *tap * self.tone[(l + PEAK_TAP) % TONE_PERIOD].conj();
                count += 1;
            }
        }
        let lag = WINDOW_ADVANCE as isize + shift - PEAK_TAP as isize;
        self.transform.expand(lag, &kept, &mut self.expected);
        let response_error = count as f32 / N1;
        let tone = Tone { period: &self.tone, samples, time, response, response_error };
        cfo::rest(&self.window, &self.expected, &tone, omega)
    }

    /// Delay of the strongest path relative to the presumed one.
    fn strongest(&self) -> isize {
        let power = |delay: isize| self.transform.lag(delay + WINDOW_ADVANCE as isize).norm_sqr();
        RECENTRE.max_by(|&a, &b| power(a).total_cmp(&power(b))).unwrap_or(0)
    }

    /// Taps with the strongest at [`PEAK_TAP`], and σ².
    fn least_squares(&self, shift: isize, energy: f64) -> ([Complex32; TAPS], f32) {
        let first = WINDOW_ADVANCE as isize + shift - PEAK_TAP as isize;
        let c: [Complex32; TAPS] = std::array::from_fn(|l| self.transform.lag(first + l as isize));
        let common = c.iter().sum::<Complex32>() / (N1 - TAPS as f32);
        let cir = c.map(|c| (c + common) / N1);
        let fitted: f64 = c.iter().zip(&cir).map(|(c, h)| f64::from((c.conj() * h).re)).sum();
        let noise = (energy - fitted) / (SEQUENCE_LEN - TAPS) as f64;
        (cir, noise.max(0.0) as f32)
    }

    fn csi(&mut self, cir: &[Complex32; TAPS]) -> [Complex32; CARRIERS] {
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

/// Whether an estimate shows a frame rather than a chance correlation.
pub(crate) fn is_frame(config: &SoundingConfig, estimate: &Estimate) -> bool {
    estimate.snr_db >= config.min_snr_db
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::PREAMBLE_LEN;
    use crate::waveform::preamble;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    const START: usize = 50;

    /// Preamble through the paths (delay, gain) with an offset, phase 0 at the middle of the sequence.
    fn received(paths: &[(usize, Complex32)], cfo_hz: f64) -> Vec<Complex32> {
        let mut samples = vec![Complex32::ZERO; START + PREAMBLE_LEN + 60];
        for &(delay, gain) in paths {
            for (place, sample) in samples[START + delay..].iter_mut().zip(preamble()) {
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
        let mut estimator = Estimator::new();
        for paths in cases {
            for cfo_hz in [-6500.0, 10.0, 4000.0, 9000.0] {
                let samples = received(paths, cfo_hz);
                for error in [0, 3, -20] {
                    let peak = (START + SEQUENCE_START).saturating_add_signed(error);
                    let estimate = estimator.run(&samples, peak, 1000 + peak as u64);
                    assert_eq!(estimate.start, 1000 + (START + SEQUENCE_START) as u64);
                    assert!(
                        (estimate.cfo_hz - cfo_hz).abs() < 10.0,
                        "{cfo_hz}: {}",
                        estimate.cfo_hz
                    );
                    let mut cir = estimate.cir;
                    paths.iter().for_each(|&(delay, gain)| cir[PEAK_TAP + delay] -= gain);
                    let error: f32 = cir.iter().map(|tap| tap.norm_sqr()).sum();
                    assert!(error < 1e-5, "{paths:?} {cfo_hz}: {error}");
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
        let clean = received(&[(0, c(0.7, 0.0)), (3, c(0.5, 0.5))], 3000.0);
        for (snr_db, bound) in [(20.0f32, 25.0), (10.0, 70.0), (0.0, 230.0), (-5.0, 480.0)] {
            let amplitude = 10f32.powf(-snr_db / 20.0) * std::f32::consts::FRAC_1_SQRT_2;
            let mut squares = 0.0;
            for _ in 0..400 {
                let noisy: Vec<Complex32> =
                    clean.iter().map(|s| s + c(gaussian(), gaussian()) * amplitude).collect();
                let estimate = estimator.run(&noisy, START + SEQUENCE_START, 0);
                squares += (estimate.cfo_hz - 3000.0).powi(2) / 400.0;
            }
            assert!(squares.sqrt() < bound, "{snr_db} dB: {:.1} Hz", squares.sqrt());
        }
    }
}
