//! The preamble as a linear model of the channel: r = S·h + noise.
//!
//! Column l of S is the preamble delayed to tap l. With taps of variance λ\[l\], the channel is found as
//! ĥ = (SᴴS + σ²·Λ⁻¹)⁻¹·Sᴴr, and the likelihood of what was received, all such channels averaged, grows with
//! bᴴ·(SᴴS + σ²·Λ⁻¹)⁻¹·b, b = Sᴴr.

use num_complex::Complex64;

use crate::layout::{FrameLayout, SEQUENCE_START, TAPS};
use crate::waveform::preamble;

/// Most taps of a system of equations.
pub(crate) const MAX_TAPS: usize = 16;

/// SᴴS over all samples that hold the preamble on every tap: from the start on the earliest tap to the end on it.
pub(crate) struct Gram(Box<[[Complex64; TAPS]; TAPS]>);

impl Gram {
    pub(crate) fn new(layout: FrameLayout) -> Self {
        let burst = preamble(layout);
        let last = SEQUENCE_START + layout.sequence_len() - 1;
        // n counts from the start on tap 0, up to the end there.
        let at = |n: isize, l: usize| -> Complex64 {
            let n = usize::try_from(n - l as isize).ok().filter(|&n| n <= last);
            n.and_then(|n| burst.get(n)).map_or(Complex64::ZERO, |&x| crate::rotate::widen(x))
        };
        let end = last as isize;
        let mut gram = Box::new([[Complex64::ZERO; TAPS]; TAPS]);
        for m in 0..TAPS {
            gram[0][m] = (0..=end).map(|n| at(n, 0).conj() * at(n, m)).sum();
        }
        // One tap later, the last sample of the preamble is out of sight.
        for l in 1..TAPS {
            for m in l..TAPS {
                gram[l][m] = gram[l - 1][m - 1] - at(end, l - 1).conj() * at(end, m - 1);
            }
        }
        for l in 0..TAPS {
            for m in 0..l {
                gram[l][m] = gram[m][l].conj();
            }
        }
        Self(gram)
    }
}

/// SᴴS + σ²·Λ⁻¹ for some taps, as its Cholesky factor.
pub(crate) struct Model {
    taps: usize,
    /// L below the diagonal; on it, 1/L.
    factor: [[Complex64; MAX_TAPS]; MAX_TAPS],
}

/// A tap of the channel that takes part.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tap {
    /// Its place in the estimate.
    pub(crate) place: usize,
    /// λ/σ², its variance over that of the noise.
    pub(crate) variance: f64,
}

pub(crate) type Vector = [Complex64; MAX_TAPS];

impl Model {
    pub(crate) fn new(gram: &Gram, taps: &[Tap]) -> Self {
        let mut factor = [[Complex64::ZERO; MAX_TAPS]; MAX_TAPS];
        for (i, row) in taps.iter().enumerate() {
            for (k, column) in taps[..i + 1].iter().enumerate() {
                let known: Complex64 = (0..k).map(|j| factor[i][j] * factor[k][j].conj()).sum();
                let value = gram.0[row.place][column.place] - known;
                factor[i][k] = if i == k {
                    let value = value.re + 1.0 / row.variance.max(1e-9);
                    Complex64::new(1.0 / value.sqrt(), 0.0)
                } else {
                    value * factor[k][k].re
                };
            }
        }
        Self { taps: taps.len(), factor }
    }

    /// L⁻¹·b: the square of its norm is bᴴ·A⁻¹·b.
    pub(crate) fn whiten(&self, b: &Vector) -> Vector {
        let mut x = [Complex64::ZERO; MAX_TAPS];
        for i in 0..self.taps {
            let known: Complex64 = (0..i).map(|k| self.factor[i][k] * x[k]).sum();
            x[i] = (b[i] - known) * self.factor[i][i].re;
        }
        x
    }

    /// L⁻ᴴ·x: of [`Model::whiten`]'s result, the channel A⁻¹·b.
    pub(crate) fn channel(&self, x: &Vector) -> Vector {
        let mut h = [Complex64::ZERO; MAX_TAPS];
        for i in (0..self.taps).rev() {
            let known: Complex64 =
                (i + 1..self.taps).map(|k| self.factor[k][i].conj() * h[k]).sum();
            h[i] = (x[i] - known) * self.factor[i][i].re;
        }
        h
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn the_gram_matrix_is_the_sum_over_the_samples() {
        for layout in [FrameLayout::Single, FrameLayout::Double] {
            let gram = Gram::new(layout);
            let burst = preamble(layout);
            let at = |n: usize, l: usize| -> Complex64 {
                n.checked_sub(l).map_or(Complex64::ZERO, |n| crate::rotate::widen(burst[n]))
            };
            for (l, m) in [(0, 0), (0, 7), (8, 8), (31, 31), (31, 2), (5, 21)] {
                let plain: Complex64 = (0..burst.len()).map(|n| at(n, l).conj() * at(n, m)).sum();
                assert!((gram.0[l][m] - plain).norm() < 1e-3, "{layout:?} {l} {m}");
            }
            assert_eq!(burst.len(), gram.0[8][8].re.round() as usize + 8);
        }
    }

    #[test]
    fn the_factor_solves_the_equations() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let gram = Gram::new(FrameLayout::Single);
        let taps: Vec<Tap> = [8, 9, 12, 3, 20, 31]
            .iter()
            .map(|&place| Tap { place, variance: rng.random_range(0.001..1.0) })
            .collect();
        let truth: Vector = std::array::from_fn(|i| {
            let mut draw = || if i < taps.len() { rng.random_range(-1.0..1.0) } else { 0.0 };
            Complex64::new(draw(), draw())
        });
        let mut b = [Complex64::ZERO; MAX_TAPS];
        for (i, row) in taps.iter().enumerate() {
            b[i] = truth[i] / row.variance;
            for (k, column) in taps.iter().enumerate() {
                b[i] += gram.0[row.place][column.place] * truth[k];
            }
        }
        let model = Model::new(&gram, &taps);
        let white = model.whiten(&b);
        let solved = model.channel(&white);
        for i in 0..taps.len() {
            assert!((solved[i] - truth[i]).norm() < 1e-9);
        }
        let form: f64 = b.iter().zip(&solved).map(|(b, h)| (b.conj() * h).re).sum();
        let norm: f64 = white.iter().map(|x| x.norm_sqr()).sum();
        assert!((form / norm - 1.0).abs() < 1e-12);
    }
}
