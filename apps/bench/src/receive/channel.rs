//! A frame through a fading channel, and the bound on its carrier offset.

use std::f64::consts::TAU;

use crqkd_sounding::{FrameLayout, PEAK_TAP, SAMPLE_RATE_HZ, TAPS, preamble};
use num_complex::{Complex32, Complex64};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

/// Paths of the channel, one a sample.
pub(super) const PATHS: usize = 16;
/// Decay of the mean power over the paths, samples: 100 ns.
const DECAY: f32 = 2.0;
/// Largest carrier frequency offset of a frame, in Hz.
const MAX_CFO_HZ: f64 = 6500.0;

/// A complex Gaussian number of unit mean power.
pub(super) fn gaussian(rng: &mut impl Rng) -> Complex32 {
    let mut draw = || -> f32 { StandardNormal.sample(rng) };
    Complex32::new(draw(), draw()) * std::f32::consts::FRAC_1_SQRT_2
}

/// Replaces samples by white noise of the given power.
pub(super) fn fill_noise(samples: &mut [Complex32], power: f32, rng: &mut impl Rng) {
    let amplitude = power.sqrt();
    samples.iter_mut().for_each(|sample| *sample = gaussian(rng) * amplitude);
}

/// What one frame went through: ‖taps‖ = 1.
pub(super) struct Truth {
    /// Sample at which path 0 begins.
    pub(super) start: u64,
    pub(super) cfo_hz: f64,
    pub(super) taps: [Complex32; PATHS],
}

impl Truth {
    /// Rayleigh paths of exponential profile, ‖h‖ = 1; carrier offset uniform.
    pub(super) fn draw(start: u64, rng: &mut impl Rng) -> Self {
        let mut taps: [Complex32; PATHS] =
            std::array::from_fn(|l| gaussian(rng) * (-(l as f32) / (2.0 * DECAY)).exp());
        let norm = taps.iter().map(|tap| tap.norm_sqr()).sum::<f32>().sqrt();
        taps.iter_mut().for_each(|tap| *tap /= norm);
        Self { start, cfo_hz: rng.random_range(-MAX_CFO_HZ..MAX_CFO_HZ), taps }
    }

    /// The same with a carrier offset that is given.
    pub(super) fn draw_at(start: u64, cfo_hz: f64, rng: &mut impl Rng) -> Self {
        Self { cfo_hz, ..Self::draw(start, rng) }
    }

    /// Sample at which the strongest path begins.
    pub(super) fn strongest(&self) -> u64 {
        let power = |&l: &usize| self.taps[l].norm_sqr();
        self.start + (0..PATHS).max_by(|a, b| power(a).total_cmp(&power(b))).unwrap_or(0) as u64
    }

    /// Adds the burst as received to `samples`, the first of which has air time `first`.
    pub(super) fn receive(&self, burst: &[Complex32], first: u64, samples: &mut [Complex32]) {
        let step = Complex64::from_polar(1.0, TAU * self.cfo_hz / SAMPLE_RATE_HZ);
        let mut turn = Complex64::ONE;
        for n in 0..burst.len() + PATHS - 1 {
            let mut sum = Complex32::ZERO;
            for l in n.saturating_sub(burst.len() - 1)..=n.min(PATHS - 1) {
                sum += self.taps[l] * burst[n - l];
            }
            let place = (self.start + n as u64).checked_sub(first);
            if let Some(place) = place.and_then(|i| samples.get_mut(i as usize)) {
                *place += sum * Complex32::new(turn.re as f32, turn.im as f32);
            }
            turn *= step;
        }
    }

    /// ‖ĥ − h‖²/‖h‖² of an impulse response that belongs to a frame starting at `start`, after removal of one common
    /// phase.
    pub(super) fn nmse(&self, start: u64, cir: &[Complex32; TAPS]) -> f64 {
        let mut expected = [Complex32::ZERO; TAPS];
        let mut outside = 0.0;
        for (l, tap) in self.taps.iter().enumerate() {
            let place = (self.start + l as u64 + PEAK_TAP as u64).checked_sub(start);
            match place.and_then(|place| expected.get_mut(place as usize)) {
                Some(place) => *place = *tap,
                None => outside += tap.norm_sqr(),
            }
        }
        let pairs = || cir.iter().zip(&expected);
        let common: Complex32 = pairs().map(|(h, e)| e * h.conj()).sum();
        let turn = common / common.norm().max(f32::MIN_POSITIVE);
        let error: f32 = pairs().map(|(h, e)| (h * turn - e).norm_sqr()).sum();
        f64::from(error + outside)
    }
}

/// Cramér-Rao bound of the carrier offset of a whole frame without header, its 16 taps unknown.
///
/// With S the frame delayed by each of the taps and D = diag(t), J = (2/σ²)·hᴴ·(SᴴD²S − SᴴDS·(SᴴS)⁻¹·SᴴDS)·h.
pub(super) struct Bound([[Complex64; PATHS]; PATHS]);

impl Bound {
    pub(super) fn new(layout: FrameLayout) -> Self {
        let burst = preamble(layout);
        let middle = (burst.len() + PATHS - 1) as f64 / 2.0;
        let at = |n: usize, l: usize| -> Complex64 {
            let s = n.checked_sub(l).and_then(|i| burst.get(i)).copied().unwrap_or_default();
            Complex64::new(s.re.into(), s.im.into())
        };
        let mut gram = [[[Complex64::ZERO; PATHS]; PATHS]; 3];
        for n in 0..burst.len() + PATHS - 1 {
            let t = n as f64 - middle;
            for i in 0..PATHS {
                for k in 0..PATHS {
                    let product = at(n, i).conj() * at(n, k);
                    gram[0][i][k] += product;
                    gram[1][i][k] += product * t;
                    gram[2][i][k] += product * (t * t);
                }
            }
        }
        let solved = solve(gram[0], gram[1]);
        let mut information = gram[2];
        for i in 0..PATHS {
            for k in 0..PATHS {
                for l in 0..PATHS {
                    information[i][k] -= gram[1][i][l] * solved[l][k];
                }
            }
        }
        Self(information)
    }

    /// The bound on the variance, Hz², at noise power σ².
    pub(super) fn variance_hz2(&self, taps: &[Complex32; PATHS], noise: f64) -> f64 {
        let h = taps.map(|tap| Complex64::new(tap.re.into(), tap.im.into()));
        let mut form = 0.0;
        for i in 0..PATHS {
            for k in 0..PATHS {
                form += (h[i].conj() * self.0[i][k] * h[k]).re;
            }
        }
        noise / (2.0 * form) * (SAMPLE_RATE_HZ / TAU).powi(2)
    }
}

/// A⁻¹·B by elimination with the diagonal as pivots: A is positive definite.
fn solve(
    mut a: [[Complex64; PATHS]; PATHS],
    mut b: [[Complex64; PATHS]; PATHS],
) -> [[Complex64; PATHS]; PATHS] {
    for pivot in 0..PATHS {
        let inverse = a[pivot][pivot].inv();
        for k in 0..PATHS {
            a[pivot][k] *= inverse;
            b[pivot][k] *= inverse;
        }
        for row in (0..PATHS).filter(|&row| row != pivot) {
            let factor = a[row][pivot];
            for k in 0..PATHS {
                let (x, y) = (a[pivot][k], b[pivot][k]);
                a[row][k] -= factor * x;
                b[row][k] -= factor * y;
            }
        }
    }
    b
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;

    /// One known path of a waveform of constant magnitude: σ²/(2·N³/12), 158.4 Hz at 0 dB for 1343 samples. Unknown taps
    /// make it 197 Hz in the mean over the channels of the standard.
    #[test]
    fn the_bound_is_that_of_the_design() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        for layout in [FrameLayout::Single, FrameLayout::Double] {
            let bound = Bound::new(layout);
            let mean = (0..500)
                .map(|_| bound.variance_hz2(&Truth::draw(0, &mut rng).taps, 1.0) / 500.0)
                .sum::<f64>();
            assert!((mean.sqrt() - 197.0).abs() < 6.0, "{layout:?}: {}", mean.sqrt());
        }
    }
}
