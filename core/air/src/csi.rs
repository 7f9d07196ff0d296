//! The channel as an estimator reports it, without going through samples.

use num_complex::{Complex32, Complex64};

use crate::fir::{DELAY_REACH, RIPPLE_REACH, RIPPLE_TAPS};
use crate::geometry::TAPS;

/// Carriers of a probe: k = -26..=-1 and 1..=26, 312.5 kHz apart.
pub const CARRIERS: usize = 52;
/// Signal-to-noise ratio of a carrier's estimate over that of a sample: 1023 chips and a prefix, 32 taps by least
/// squares, hence (1023 + 1)/32.
pub const ESTIMATE_GAIN: f32 = 32.0;
/// Taps that the estimator looks at; the noise of its carriers is white noise on so many taps.
const ESTIMATED_TAPS: usize = 32;
/// Most carriers for which the noise is drawn through a Cholesky factor.
const MAX_CHOLESKY: usize = 8;
/// Points of the grid that the carriers lie on.
const GRID: f64 = 64.0;

/// Offset k from the middle of the band of carrier `index` (ascending, without 0).
pub fn carrier_offset(index: usize) -> i32 {
    let half = (CARRIERS / 2) as i32;
    let k = index as i32 - half;
    if k < 0 { k } else { k + 1 }
}

/// What a probe told beside the channel itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Probe {
    /// Signal-to-noise ratio of one sample in dB, all paths and the interference of the moment included.
    pub sample_snr_db: f32,
    /// Variance of the noise in each carrier's estimate (complex, both parts together).
    pub noise_var: f32,
}

/// Carriers that an experiment looks at, with everything about them that does not change; made by
/// [`crate::World::carriers`] and good for that world and its clones.
#[derive(Clone, Debug)]
pub struct CarrierSet {
    len: usize,
    /// e^{-j2πkl/64} for tap l (rows) and carrier (columns).
    turn: Vec<Complex32>,
    /// Ripple of each radio on each carrier.
    ripple: [Vec<Complex32>; 3],
    /// 2πk/64.
    omega: Vec<f32>,
    /// A factor F with F·Fᴴ = correlation of the noise between carriers, a column for each random number.
    noise: Vec<Complex32>,
}

impl CarrierSet {
    pub(crate) fn new(indices: &[usize], ripples: [&[Complex32; RIPPLE_TAPS]; 3]) -> Self {
        let omega: Vec<f64> = indices
            .iter()
            .map(|&c| std::f64::consts::TAU * f64::from(carrier_offset(c)) / GRID)
            .collect();
        let to32 = |z: Complex64| Complex32::new(z.re as f32, z.im as f32);
        let turn = (0..TAPS)
            .flat_map(|l| omega.iter().map(move |w| (l, *w)))
            .map(|(l, w)| to32(Complex64::from_polar(1.0, -w * l as f64)))
            .collect();
        let ripple = ripples.map(|taps| {
            let at = |w: f64| -> Complex64 {
                let terms = taps.iter().enumerate().map(|(i, tap)| {
                    let tap = Complex64::new(f64::from(tap.re), f64::from(tap.im));
                    tap * Complex64::from_polar(1.0, -w * (i as f64 - RIPPLE_REACH as f64))
                });
                terms.sum()
            };
            omega.iter().map(|w| to32(at(*w))).collect()
        });
        let noise = noise_factor(&omega).into_iter().map(to32).collect();
        let omega = omega.iter().map(|w| *w as f32).collect();
        Self { len: indices.len(), turn, ripple, omega, noise }
    }

    /// Number of carriers in the set.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no carrier.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Writes the frequency response of the taps at the set's carriers, Σ tap\[l\]·e^{-j2πkl/64},
    /// to `out`.
    pub(crate) fn transform(&self, taps: &[Complex32], out: &mut [Complex32]) {
        out.fill(Complex32::ZERO);
        for (tap, row) in taps.iter().zip(self.turn.chunks_exact(self.len)) {
            for (sum, turn) in out.iter_mut().zip(row) {
                *sum += tap * turn;
            }
        }
    }

    /// Applies both radios' ripple, the delay filter (its taps in `delay`) and one common factor.
    pub(crate) fn color(
        &self,
        sender: usize,
        receiver: usize,
        delay: &[f32],
        factor: Complex32,
        out: &mut [Complex32],
    ) {
        for (c, value) in out.iter_mut().enumerate() {
            let (sin, cos) = self.omega[c].sin_cos();
            let (cos2, sin2) = (cos * cos - sin * sin, 2.0 * sin * cos);
            let [a, b, m, d, e] = [0, 1, 2, 3, 4].map(|i| delay[i]);
            debug_assert_eq!(DELAY_REACH, 2);
            let delay =
                Complex32::new(m + (b + d) * cos + (a + e) * cos2, (b - d) * sin + (a - e) * sin2);
            *value *= self.ripple[sender][c] * self.ripple[receiver][c] * delay * factor;
        }
    }

    /// Adds noise of variance `var` a carrier, correlated as the least-squares estimator makes it; `normals` gives
    /// pairs of standard normal numbers.
    pub(crate) fn add_noise(
        &self,
        var: f32,
        mut normals: impl FnMut() -> [f32; 2],
        out: &mut [Complex32],
    ) {
        let scale = (var / 2.0).sqrt();
        for column in self.noise.chunks_exact(self.len) {
            let [re, im] = normals();
            let z = Complex32::new(re, im) * scale;
            for (value, weight) in out.iter_mut().zip(column) {
                *value += weight * z;
            }
        }
    }
}

/// Factor of the correlation that white noise on the estimated taps has between carriers, by columns: the transform
/// of the taps itself, or for a few carriers the smaller Cholesky factor (ill-conditioned for many).
fn noise_factor(omega: &[f64]) -> Vec<Complex64> {
    let n = omega.len();
    if n > MAX_CHOLESKY {
        let size = 1.0 / (ESTIMATED_TAPS as f64).sqrt();
        let column =
            |l: usize| omega.iter().map(move |w| Complex64::from_polar(size, -w * l as f64));
        return (0..ESTIMATED_TAPS).flat_map(column).collect();
    }
    let mut factor = vec![Complex64::ZERO; n * n];
    for col in 0..n {
        for row in col..n {
            let taps = (0..ESTIMATED_TAPS)
                .map(|l| Complex64::from_polar(1.0, -(omega[row] - omega[col]) * l as f64));
            let mut rest = taps.sum::<Complex64>() / ESTIMATED_TAPS as f64;
            for k in 0..col {
                rest -= factor[k * n + row] * factor[k * n + col].conj();
            }
            if row == col {
                factor[col * n + col] = Complex64::new(rest.re.max(0.0).sqrt(), 0.0);
            } else if factor[col * n + col].re > 1e-6 {
                factor[col * n + row] = rest / factor[col * n + col].re;
            }
        }
    }
    factor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carriers_ascend_and_skip_the_middle() {
        let offsets: Vec<i32> = (0..CARRIERS).map(carrier_offset).collect();
        assert_eq!((offsets[0], offsets[25], offsets[26], offsets[51]), (-26, -1, 1, 26));
    }

    #[test]
    fn the_noise_factor_reproduces_the_correlation() {
        let all: Vec<usize> = (0..CARRIERS).collect();
        for indices in [&all[..], &[5, 18, 33, 46], &[0, 1, 2, 3, 4, 5, 6, 7], &[9, 9], &[30]] {
            let omega: Vec<f64> = indices
                .iter()
                .map(|&c| std::f64::consts::TAU * f64::from(carrier_offset(c)) / GRID)
                .collect();
            let n = omega.len();
            let factor = noise_factor(&omega);
            for a in 0..n {
                for b in 0..n {
                    let taps = (0..32).map(|l| {
                        Complex64::from_polar(1.0 / 32.0, (omega[b] - omega[a]) * f64::from(l))
                    });
                    let want: Complex64 = taps.sum();
                    let got: Complex64 =
                        factor.chunks(n).map(|column| column[a] * column[b].conj()).sum();
                    assert!((got - want).norm() < 1e-5, "{indices:?} {a} {b}: {got} {want}");
                }
            }
        }
    }
}
