//! Channel estimates of least mean squared error.
//!
//! With the delay profile known, λ\[l\] the mean power of tap l, and e the variance of the error of a least-squares tap,
//! the estimate of least mean squared error is ĥ\[l\]·λ\[l\]/(λ\[l\] + e), and its error has variance e·λ\[l\]/(λ\[l\] + e).
//!
//! The profile is learned from the frames themselves. A frame is placed by its strongest path, which is another path of
//! the profile from frame to frame, so that each frame's shift d against the profile is unknown: a frame is taken at
//! all shifts with their posterior probabilities,
//!
//! ln p(ĥ | d) = Σₗ g\[l\]·ρ/(1 + ρ) − ln(1 + ρ) + const,   g\[l\] = |ĥ\[l\]|²/e,   ρ = λ\[l − d\]/e,
//!
//! and the profile is the running mean of the expected tap powers under them (expectation maximisation, one frame a
//! step).

use num_complex::Complex32;

use crate::Estimate;
use crate::estimator::Response;
use crate::layout::{CARRIERS, PEAK_TAP, SEQUENCE_LEN, TAPS};

/// Largest shift of a frame against the profile.
const MAX_SHIFT: usize = 10;
const SHIFTS: usize = 2 * MAX_SHIFT + 1;
const BINS: usize = TAPS + 2 * MAX_SHIFT;
/// Frames over which the profile is averaged.
const MEMORY: u32 = 256;
/// Decay of the power in the profile before the first frame, samples.
const FIRST_DECAY: f32 = 5.0;
/// Frames that the first profile counts for.
const FIRST_FRAMES: f32 = 4.0;
/// Least relative power of a bin: a profile never excludes a path.
const LEAST: f32 = 1e-6;

/// The delay profile of a radio's surroundings, learned from frame to frame.
///
/// ```
/// use crqkd_sounding::*;
/// let burst = Synthesizer::new().burst(None, &[], &[])?;
/// let (mut frames, mut synchronizer) = (Vec::new(), Synchronizer::new(&SoundingConfig::default())?);
/// synchronizer.process(0, &burst, &mut frames)?;
/// synchronizer.flush(&mut frames);
/// let estimate = Estimator::new().estimate(&frames[0]);
/// let smoothed = DelayProfile::new().smooth(&estimate);
/// assert!((smoothed.cir[PEAK_TAP] - estimate.cir[PEAK_TAP]).norm() < 1e-3);
/// # Ok::<(), SoundingError>(())
/// ```
#[derive(Clone)]
pub struct DelayProfile {
    /// Mean share of a frame's power, by delay; index `MAX_SHIFT + l` belongs to tap l of a frame of shift 0.
    power: [f32; BINS],
    /// Mean probability of each shift.
    shift: [f32; SHIFTS],
    frames: u32,
    response: Response,
}

/// A channel estimate of least mean squared error.
#[derive(Clone, Debug, PartialEq)]
pub struct Smoothed {
    /// Impulse response, one complex gain a tap, in the form of [`Estimate::cir`].
    pub cir: [Complex32; TAPS],
    /// Frequency response, one complex gain a carrier, in the form of [`Estimate::csi`].
    pub csi: [Complex32; CARRIERS],
    /// Variance of the estimation error of each carrier, |ĉsi − csi|², if the profile is right.
    pub csi_noise_var: f32,
}

impl Default for DelayProfile {
    fn default() -> Self {
        Self::new()
    }
}

impl DelayProfile {
    /// A profile before its first frame: a first path with an exponential tail of five samples. Its edge
    /// aligns the first frames; from a profile without one, what is learned stays smeared over the shifts.
    pub fn new() -> Self {
        let tail = |b: usize| b.checked_sub(MAX_SHIFT + PEAK_TAP).map(|l| l as f32 / FIRST_DECAY);
        let mut power = std::array::from_fn(|b| tail(b).map_or(0.0, |l| (-l).exp()));
        normalise(&mut power);
        power.iter_mut().for_each(|share| *share = share.max(LEAST));
        let shift = std::array::from_fn(|d| (-0.5 * d.abs_diff(MAX_SHIFT) as f32).exp());
        let mut profile = Self { power, shift, frames: 0, response: Response::new() };
        normalise(&mut profile.shift);
        profile
    }

    /// Mean share of the power by delay from the strongest path, from −[`PEAK_TAP`] samples on, of a frame that is not
    /// shifted.
    pub fn power(&self) -> &[f32] {
        &self.power[MAX_SHIFT..MAX_SHIFT + TAPS]
    }

    /// The estimate of least mean squared error by the frames so far and this one, which the profile takes in.
    pub fn smooth(&mut self, estimate: &Estimate) -> Smoothed {
        let error = estimate.noise_power / (SEQUENCE_LEN + 1) as f32;
        let powers = estimate.cir.map(|tap| tap.norm_sqr());
        let total = powers.iter().sum::<f32>() - TAPS as f32 * error;
        let total = total.max(error).max(f32::MIN_POSITIVE);
        // ρ/(1 + ρ) and what a bin adds to the log likelihood, less the exponent.
        let weight = self.power.map(|share| {
            let rho = share * total / error.max(f32::MIN_POSITIVE);
            let weight = if rho.is_finite() { rho / (1.0 + rho) } else { 1.0 };
            (weight, -(1.0 - weight).max(1e-30).ln())
        });
        let posterior = self.posterior(&powers, &weight, error);

        let mut keep = [0.0; TAPS];
        for (d, &probability) in posterior.iter().enumerate() {
            for (l, keep) in keep.iter_mut().enumerate() {
                *keep += probability * weight[bin(l, d)].0;
            }
        }
        self.learn(&powers, &weight, &posterior, error, total);

        let cir: [Complex32; TAPS] = std::array::from_fn(|l| estimate.cir[l] * keep[l]);
        let csi_noise_var = error * keep.iter().sum::<f32>();
        Smoothed { csi: self.response.of(&cir), cir, csi_noise_var }
    }

    /// Probability of each shift of a frame against the profile, given the frame; they add up to 1.
    fn posterior(
        &self,
        powers: &[f32; TAPS],
        weight: &[(f32, f32); BINS],
        error: f32,
    ) -> [f32; SHIFTS] {
        let excess = powers.map(|power| (power / error.max(f32::MIN_POSITIVE)).min(1e9));
        let mut logs: [f32; SHIFTS] = std::array::from_fn(|d| {
            let fit: f32 = (0..TAPS)
                .map(|l| {
                    let (weight, cost) = weight[bin(l, d)];
                    excess[l] * weight - cost
                })
                .sum();
            fit + self.shift[d].max(1e-6).ln()
        });
        let most = logs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        logs.iter_mut().for_each(|log| *log = (*log - most).exp());
        normalise(&mut logs);
        logs
    }

    fn learn(
        &mut self,
        powers: &[f32; TAPS],
        weight: &[(f32, f32); BINS],
        posterior: &[f32; SHIFTS],
        error: f32,
        total: f32,
    ) {
        self.frames = (self.frames + 1).min(MEMORY);
        let rate = 2.0 / (self.frames as f32 + FIRST_FRAMES);
        let mut expected = [0.0; BINS];
        let mut seen = [0.0; BINS];
        for (d, &probability) in posterior.iter().enumerate() {
            for (l, power) in powers.iter().enumerate() {
                let b = bin(l, d);
                let keep = weight[b].0;
                expected[b] += probability * (keep * keep * power + keep * error) / total;
                seen[b] += probability;
            }
        }
        for (power, (expected, seen)) in self.power.iter_mut().zip(expected.iter().zip(&seen)) {
            *power = (*power + rate * (expected - seen * *power)).max(LEAST);
        }
        for (shift, probability) in self.shift.iter_mut().zip(posterior) {
            *shift += rate * 0.5 * (probability - *shift);
        }
    }
}

/// Bin of tap l under shift d − MAX_SHIFT: a frame whose strongest path is a later one than usual has its taps earlier.
fn bin(l: usize, d: usize) -> usize {
    l + 2 * MAX_SHIFT - d
}

fn normalise(weights: &mut [f32]) {
    let sum: f32 = weights.iter().sum();
    weights.iter_mut().for_each(|weight| *weight /= sum);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    /// Rayleigh taps of an exponential profile, placed by the strongest, with least-squares noise at 0 dB. With the profile
    /// and the shift known the error is Σ e·λ/(λ + e) = −19.2 dB; least squares has −15.05 dB.
    #[test]
    fn learns_the_profile_and_comes_near_the_bound() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut gaussian = || -> Complex32 {
            let mut draw = || -> f32 { StandardNormal.sample(&mut rng) };
            Complex32::new(draw(), draw()) * std::f32::consts::FRAC_1_SQRT_2
        };
        for (noise, limit) in [(1.0f32, -18.7), (0.1, -27.9)] {
            let mut profile = DelayProfile::new();
            let (mut mmse, mut count) = (0.0, 0.0f32);
            for frame in 0..1000 {
                let mut taps: [Complex32; 16] =
                    std::array::from_fn(|l| gaussian() * (-(l as f32) / 4.0).exp());
                let norm = taps.iter().map(|tap| tap.norm_sqr()).sum::<f32>().sqrt();
                taps.iter_mut().for_each(|tap| *tap /= norm);
                let power = |l: &usize| taps[*l].norm_sqr();
                let best = (0..16).max_by(|a, b| power(a).total_cmp(&power(b))).unwrap();
                let mut truth = [Complex32::ZERO; TAPS];
                for (l, &tap) in taps.iter().enumerate() {
                    if let Some(place) = (PEAK_TAP + l).checked_sub(best) {
                        truth[place] = tap;
                    }
                }
                let estimate = Estimate {
                    start: 0,
                    cfo_hz: 0.0,
                    snr_db: 0.0,
                    noise_power: noise,
                    cir: truth.map(|tap| tap + gaussian() * noise.sqrt() / 32.0),
                    csi: [Complex32::ZERO; CARRIERS],
                    csi_noise_var: noise * TAPS as f32 / 1024.0,
                };
                let smoothed = profile.smooth(&estimate);
                assert!(smoothed.csi_noise_var < estimate.csi_noise_var);
                if frame >= 100 {
                    let pairs = smoothed.cir.iter().zip(&truth);
                    mmse += pairs.map(|(h, t)| (h - t).norm_sqr()).sum::<f32>();
                    count += 1.0;
                }
            }
            let nmse_db = 10.0 * (mmse / count).log10();
            assert!(nmse_db < limit, "{nmse_db:.2} dB");
        }
    }
}
