//! Fast correlation with every shift of the M-sequence.
//!
//! Each chip is a parity of the bits of the shift register, s\[i+k\] = ⟨g_k, a_i⟩ with the register's content a_i and a
//! vector g_k that depends on the shift only. So the correlation with all shifts is a Walsh-Hadamard transform between
//! two permutations (Cohn and Lempel, "On fast M-sequence transforms", IEEE Trans. Inf. Theory 1977): 10·1024 additions
//! in place of 1023².

use num_complex::Complex32;

use crate::kernels::{LANES, Lane, walsh_place};
use crate::layout::FrameLayout;
use crate::simd;
use crate::waveform::period_bits;

/// Circular correlation of the samples of a training sequence with its M-sequence.
pub(crate) struct MTransform {
    period: usize,
    periods: usize,
    /// Place of sample n before the transform: the register content a_n.
    place: Vec<u16>,
    /// Place of lag l after the transform: g_{−l}.
    result: Vec<u16>,
    /// Lag of each place after the transform.
    lags: Vec<u16>,
    work: Vec<Lane>,
    spare: Vec<Lane>,
}

impl MTransform {
    pub(crate) fn new(layout: FrameLayout) -> Self {
        let (period, stages) = (layout.period(), layout.stages());
        let size = period + 1;
        let s = period_bits(layout);
        let register = |n: usize| (0..stages).map(|b| usize::from(s[(n + b) % period]) << b).sum();
        let contents: Vec<usize> = (0..period).map(register).collect();
        let mut shift = vec![0usize; period];
        for k in 0..period {
            shift[k] = if k < stages {
                1 << k
            } else {
                shift[k - stages] ^ shift[k - layout.second_tap()]
            };
        }
        let of_lag = |l: usize| shift[(period - l) % period];
        let after = |place: usize| walsh_place(place, size) as u16;
        let result: Vec<u16> = (0..period).map(|l| after(of_lag(l))).collect();
        let mut lags = vec![0; size];
        for (lag, &place) in result.iter().enumerate() {
            lags[usize::from(place)] = lag as u16;
        }
        Self {
            period,
            periods: layout.periods(),
            place: contents.iter().map(|&a| a as u16).collect(),
            result,
            lags,
            work: vec![[0.0; LANES]; size / 4],
            spare: vec![[0.0; LANES]; size / 4],
        }
    }

    /// Samples of a window: all periods.
    pub(crate) fn len(&self) -> usize {
        self.period * self.periods
    }

    /// Takes r\[0..N\], N = [`MTransform::len`]; afterwards [`MTransform::lag`] gives
    /// c\[l\] = Σₙ r\[n\]·m\[(n − l) mod period\].
    pub(crate) fn run(&mut self, r: &[Complex32]) {
        // Content 0 does not occur in the register: its place stays empty.
        set(&mut self.work, 0, Complex32::ZERO);
        let (first, second) = r[..self.len()].split_at(self.period);
        if self.periods == 1 {
            for (&place, &value) in self.place.iter().zip(first) {
                set(&mut self.work, place, value);
            }
        } else {
            for ((&place, a), b) in self.place.iter().zip(first).zip(second) {
                set(&mut self.work, place, a + b);
            }
        }
        simd::walsh_hadamard(&mut self.work, &mut self.spare);
    }

    /// Correlation at a lag, taken modulo the period.
    pub(crate) fn lag(&self, lag: isize) -> Complex32 {
        let lag = lag.rem_euclid(self.period as isize) as usize;
        get(&self.work, self.result[lag])
    }

    /// The lag of the largest correlation, and its |c|². Destroys the sum of the samples, which belongs to no lag.
    pub(crate) fn peak(&mut self) -> (usize, f32) {
        set(&mut self.work, 0, Complex32::ZERO);
        let (place, power) = simd::peak(&self.work);
        (usize::from(self.lags[place]), power)
    }
}

fn set(work: &mut [Lane], place: u16, value: Complex32) {
    let lane = &mut work[usize::from(place / 4)];
    let at = usize::from(2 * (place % 4));
    (lane[at], lane[at + 1]) = (value.re, value.im);
}

fn get(work: &[Lane], place: u16) -> Complex32 {
    let lane = &work[usize::from(place / 4)];
    let at = usize::from(2 * (place % 4));
    Complex32::new(lane[at], lane[at + 1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::waveform::period_chips;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// The circular correlation at a lag is that of the sequence there, where the window is all prefix and sequence: the
    /// overlap-save correlator is the reference.
    #[test]
    fn agrees_with_the_overlap_save_correlator_on_a_frame() {
        let mut samples = vec![Complex32::new(0.01, 0.0); 700];
        samples.extend(crate::preamble(FrameLayout::Single));
        let mut statistic = Vec::new();
        crate::correlator::Correlator::new().run(&samples, &mut statistic);
        let sequence = 700 + 320;
        assert!(statistic[sequence] > 1000.0);
        let mut transform = MTransform::new(FrameLayout::Single);
        transform.run(&samples[sequence - 20..]);
        let (lag, power) = transform.peak();
        assert_eq!(lag, 20);
        assert!((power / 1023.0 / statistic[sequence] - 1.0).abs() < 1e-3);
    }

    #[test]
    fn equals_the_plain_correlation() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for layout in [FrameLayout::Single, FrameLayout::Double] {
            let n = layout.sequence_len();
            let draw = |_| Complex32::new(rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0));
            let r: Vec<Complex32> = (0..n).map(draw).collect();
            let m = period_chips(layout);
            let chip = |n: usize, lag: usize| m[(n + m.len() - lag) % m.len()];
            let mut transform = MTransform::new(layout);
            assert_eq!(transform.len(), n);
            transform.run(&r);
            let mut best = (0, 0.0);
            for lag in 0..m.len() {
                let plain: Complex32 = (0..n).map(|n| r[n] * chip(n, lag)).sum();
                let got = transform.lag(lag as isize);
                assert!((plain - got).norm() < 1e-3, "lag {lag}");
                assert_eq!(got, transform.lag(lag as isize - m.len() as isize));
                if got.norm_sqr() > best.1 {
                    best = (lag, got.norm_sqr());
                }
            }
            assert_eq!(transform.peak(), best);
        }
    }
}
