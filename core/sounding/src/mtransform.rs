//! Fast correlation with every shift of the M-sequence.
//!
//! Each chip is a parity of the ten bits of the shift register, s\[i+k\] = ⟨g_k, a_i⟩ with the register's content a_i and
//! a vector g_k that depends on the shift only. So the correlation with all shifts is a Walsh-Hadamard transform between
//! two permutations (Cohn and Lempel 1977): 10·1024 additions in place of 1023².

use num_complex::Complex32;

use crate::layout::SEQUENCE_LEN;
use crate::waveform::{STAGES, sequence_bits};

const SIZE: usize = 1 << STAGES;

/// Circular correlation of 1023 samples with the M-sequence.
pub(crate) struct MTransform {
    /// Place of sample n before the transform: the register content a_n.
    place: [u16; SEQUENCE_LEN],
    /// Place of lag l after the transform: g_{−l}.
    result: [u16; SEQUENCE_LEN],
    work: Vec<f32>,
}

impl MTransform {
    pub(crate) fn new() -> Self {
        let s = sequence_bits();
        let mut place = [0; SEQUENCE_LEN];
        for (n, address) in place.iter_mut().enumerate() {
            for b in 0..STAGES {
                *address |= u16::from(s[(n + b) % SEQUENCE_LEN]) << b;
            }
        }
        let mut shift = [0u16; SEQUENCE_LEN];
        for k in 0..SEQUENCE_LEN {
            shift[k] = if k < STAGES { 1 << k } else { shift[k - 10] ^ shift[k - 7] };
        }
        let mut result = [0; SEQUENCE_LEN];
        for (l, address) in result.iter_mut().enumerate() {
            *address = shift[(SEQUENCE_LEN - l) % SEQUENCE_LEN];
        }
        Self { place, result, work: vec![0.0; 2 * SIZE] }
    }

    /// Takes r\[0..1023\]; afterwards [`MTransform::lag`] gives c\[l\] = Σₙ r\[n\]·m\[(n − l) mod 1023\].
    pub(crate) fn run(&mut self, r: &[Complex32; SEQUENCE_LEN]) {
        // Content 0 does not occur in the register: its place stays empty.
        self.work[0] = 0.0;
        self.work[1] = 0.0;
        for (&address, value) in self.place.iter().zip(r) {
            let at = 2 * usize::from(address);
            self.work[at] = value.re;
            self.work[at + 1] = value.im;
        }
        walsh_hadamard(&mut self.work);
    }

    /// The reverse: x\[n\] = Σ h\[l\]·m\[(n − l) mod 1023\] for taps h at consecutive lags from `first`.
    pub(crate) fn expand(
        &mut self,
        first: isize,
        taps: &[Complex32],
        x: &mut [Complex32; SEQUENCE_LEN],
    ) {
        self.work.fill(0.0);
        for (l, tap) in taps.iter().enumerate() {
            let lag = (first + l as isize).rem_euclid(SEQUENCE_LEN as isize) as usize;
            let at = 2 * usize::from(self.result[lag]);
            self.work[at] = tap.re;
            self.work[at + 1] = tap.im;
        }
        walsh_hadamard(&mut self.work);
        for (value, &address) in x.iter_mut().zip(&self.place) {
            let at = 2 * usize::from(address);
            *value = Complex32::new(self.work[at], self.work[at + 1]);
        }
    }

    /// Correlation at a lag, taken modulo 1023.
    pub(crate) fn lag(&self, lag: isize) -> Complex32 {
        let lag = lag.rem_euclid(SEQUENCE_LEN as isize) as usize;
        let at = 2 * usize::from(self.result[lag]);
        Complex32::new(self.work[at], self.work[at + 1])
    }
}

/// Unnormalised transform of interleaved complex values, two stages at a time.
fn walsh_hadamard(x: &mut [f32]) {
    for group in x.chunks_exact_mut(8) {
        for part in 0..2 {
            let (a, b, c, d) = (group[part], group[part + 2], group[part + 4], group[part + 6]);
            let (ab, a_b, cd, c_d) = (a + b, a - b, c + d, c - d);
            group[part] = ab + cd;
            group[part + 2] = a_b + c_d;
            group[part + 4] = ab - cd;
            group[part + 6] = a_b - c_d;
        }
    }
    let mut half = 8;
    while half < x.len() {
        for group in x.chunks_exact_mut(4 * half) {
            let (low, high) = group.split_at_mut(2 * half);
            let (a, b) = low.split_at_mut(half);
            let (c, d) = high.split_at_mut(half);
            for (((a, b), c), d) in a.iter_mut().zip(b).zip(c).zip(d) {
                let (ab, a_b, cd, c_d) = (*a + *b, *a - *b, *c + *d, *c - *d);
                *a = ab + cd;
                *b = a_b + c_d;
                *c = ab - cd;
                *d = a_b - c_d;
            }
        }
        half *= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::waveform::sequence_chips;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn equals_the_plain_correlation() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let r: [Complex32; SEQUENCE_LEN] = std::array::from_fn(|_| {
            Complex32::new(rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0))
        });
        let m = sequence_chips();
        let mut transform = MTransform::new();
        transform.run(&r);
        for lag in 0..SEQUENCE_LEN {
            let plain: Complex32 =
                (0..SEQUENCE_LEN).map(|n| r[n] * m[(n + SEQUENCE_LEN - lag) % SEQUENCE_LEN]).sum();
            assert!((plain - transform.lag(lag as isize)).norm() < 1e-3, "lag {lag}");
            assert_eq!(
                transform.lag(lag as isize),
                transform.lag(lag as isize - SEQUENCE_LEN as isize)
            );
        }
    }
}
