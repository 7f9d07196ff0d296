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
    /// Sample at each place before the transform: that at which the register has this content. Content 0 does not occur,
    /// its place stays empty.
    order: Vec<u16>,
    /// Place of lag l after the transform: g_{−l}.
    result: Vec<u16>,
    /// Lag of each place after the transform.
    lags: Vec<u16>,
    /// The samples, periods added up, and a zero.
    samples: Vec<Complex32>,
    work: Vec<Lane>,
    spare: Vec<Lane>,
}

impl MTransform {
    pub(crate) fn new(layout: FrameLayout) -> Self {
        let (period, stages) = (layout.period(), layout.stages());
        let size = period + 1;
        let s = period_bits(layout);
        let register = |n: usize| (0..stages).map(|b| usize::from(s[(n + b) % period]) << b).sum();
        let mut order = vec![period as u16; size];
        for n in 0..period {
            let content: usize = register(n);
            order[content] = n as u16;
        }
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
            order,
            result,
            lags,
            samples: vec![Complex32::ZERO; size],
            work: vec![[0.0; LANES]; size / 4],
            spare: vec![[0.0; LANES]; size / 4],
        }
    }

    /// Samples of a window: all periods.
    pub(crate) fn len(&self) -> usize {
        self.period * self.periods
    }

    /// Takes r\[0..N\], N = [`MTransform::len`]; afterwards [`MTransform::lag`] gives
    /// c\[l\] = Σₙ r\[n\]·m\[(n − l) mod period\]. Returns the largest |c|².
    pub(crate) fn run(&mut self, r: &[Complex32]) -> f32 {
        let (first, second) = r[..self.len()].split_at(self.period);
        let samples = &mut self.samples[..self.period];
        if self.periods == 1 {
            samples.copy_from_slice(first);
        } else {
            for ((place, a), b) in samples.iter_mut().zip(first).zip(second) {
                *place = a + b;
            }
        }
        let most =
            simd::walsh_hadamard(&self.samples, &self.order, &mut self.spare, &mut self.work);
        // The first place has the sum of the samples, which belongs to no lag.
        let sum = get(&self.work, 0).norm_sqr();
        (self.work[0][0], self.work[0][1]) = (0.0, 0.0);
        if sum < most { most } else { simd::largest(&self.work) }
    }

    /// Correlation at a lag, taken modulo the period.
    pub(crate) fn lag(&self, lag: isize) -> Complex32 {
        let lag = lag.rem_euclid(self.period as isize) as usize;
        get(&self.work, self.result[lag])
    }

    /// The lag whose |c|² is this.
    pub(crate) fn lag_of(&self, power: f32) -> Option<usize> {
        let place = simd::place_of(&self.work, power)?;
        (place != 0).then(|| usize::from(self.lags[place]))
    }
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
        let power = transform.run(&samples[sequence - 20..]);
        assert_eq!(transform.lag_of(power), Some(20));
        assert!((power / 1023.0 / statistic[sequence] - 1.0).abs() < 1e-3);
    }

    #[test]
    fn equals_the_plain_correlation() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for layout in [FrameLayout::Single, FrameLayout::Double] {
            let n = layout.sequence_len();
            let draw = |_| Complex32::new(rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0));
            let mut r: Vec<Complex32> = (0..n).map(draw).collect();
            r.iter_mut().for_each(|r| *r += 0.5); // the sum of the samples is larger than any lag's
            let m = period_chips(layout);
            let chip = |n: usize, lag: usize| m[(n + m.len() - lag) % m.len()];
            let mut transform = MTransform::new(layout);
            assert_eq!(transform.len(), n);
            let most = transform.run(&r);
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
            assert_eq!((transform.lag_of(most), most), (Some(best.0), best.1));
        }
    }
}
