//! White noise as a function of (seed, radio, sample index).

use std::ops::Range;

use num_complex::Complex32;
use rand::RngCore;

use crate::math::normal_pair;
use crate::radio::Radio;
use crate::random::{Purpose, stream};
use crate::simd;

/// Samples that share a generator.
const BLOCK: u64 = 1024;

/// Fills `out` with the noise of `range`: variance 1 in each of real and imaginary part.
pub(crate) fn fill(seed: u64, radio: Radio, range: Range<u64>, out: &mut Vec<Complex32>) {
    out.clear();
    out.resize(range.end.saturating_sub(range.start) as usize, Complex32::ZERO);
    let mut rest = &mut out[..];
    let mut bits = [0u64; BLOCK as usize];
    let mut t = range.start;
    while t < range.end {
        let block = t / BLOCK;
        let first = (t % BLOCK) as usize;
        let last = BLOCK.min(range.end - block * BLOCK) as usize;
        let mut rng = stream(seed, Purpose::Noise, radio.index() as u64, block);
        for word in &mut bits[..last] {
            *word = rng.next_u64();
        }
        let (here, after) = rest.split_at_mut(last - first);
        simd::normals(&bits[first..last], here);
        rest = after;
        t = block * BLOCK + last as u64;
    }
}

/// Pairs of normal numbers from random bits.
#[inline(always)]
pub(crate) fn normals(bits: &[u64], out: &mut [Complex32]) {
    for (sample, &word) in out.iter_mut().zip(bits) {
        let [re, im] = normal_pair(word);
        *sample = Complex32::new(re, im);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_gaussian_and_white() {
        let mut noise = Vec::new();
        fill(5, Radio::User, 0..1 << 20, &mut noise);
        let n = noise.len() as f64;
        let mean = noise.iter().sum::<Complex32>() / n as f32;
        assert!(mean.norm() < 5e-3);
        let moment = |p: i32| {
            noise.iter().map(|z| f64::from(z.re).powi(p) + f64::from(z.im).powi(p)).sum::<f64>()
                / (2.0 * n)
        };
        // Standard errors of the moments: √(2/2n), √(15/2n), √(96/2n), √(10170/2n).
        assert!((moment(2) - 1.0).abs() < 4e-3, "{}", moment(2));
        assert!(moment(3).abs() < 0.012, "{}", moment(3));
        assert!((moment(4) - 3.0).abs() < 0.03, "{}", moment(4));
        assert!((moment(6) - 15.0).abs() < 0.3, "{}", moment(6));
        let beyond =
            noise.iter().flat_map(|z| [z.re, z.im]).filter(|x| x.abs() > 4.0).count() as f64;
        // 2n · 6.334e-5 = 132.8
        assert!((beyond - 132.8).abs() < 50.0, "{beyond}");
        for lag in [1, 2, 7, 1024] {
            let sum: Complex32 = noise.windows(lag + 1).map(|w| w[0] * w[lag].conj()).sum();
            assert!(sum.norm() / (n as f32) < 0.01, "lag {lag}");
        }
    }

    #[test]
    fn a_part_of_the_noise_is_the_same_as_in_the_whole() {
        let (mut whole, mut part) = (Vec::new(), Vec::new());
        fill(9, Radio::Qap, 500..5000, &mut whole);
        for (a, b) in
            [(500, 501), (1000, 1024), (1024, 2048), (1500, 4321), (4999, 5000), (600, 600)]
        {
            fill(9, Radio::Qap, a..b, &mut part);
            assert_eq!(part, whole[(a - 500) as usize..(b - 500) as usize]);
        }
        fill(9, Radio::User, 500..5000, &mut part);
        assert_ne!(part, whole);
    }
}
