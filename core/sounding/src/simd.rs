//! The kernels compiled for what the processor has, chosen at run time.
//!
//! Each function is the safe code of [`kernels`](crate::kernels), compiled once for the base instruction set and once
//! with AVX2. All versions do the same operations in the same order, without fused multiply-add, and so give the same
//! bits; `--cfg` or environment cannot change a result.
//!
//! # Safety
//!
//! The only unsafe operations of this crate are here, of two kinds:
//!
//! - the call of a function compiled with AVX2, made only when [`is_x86_feature_detected!`] has found AVX2;
//! - the reinterpretation of `[f32; 8]` as a 256-bit register and back: same size, and every bit pattern is valid in both.
#![allow(unsafe_code)]

use num_complex::Complex32;

use crate::kernels::{self, Lane, TapRow};

/// Declares functions that call the kernel of their name, with AVX2 where the processor has it.
macro_rules! dispatched {
    ($($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),*) $(-> $result:ty)?;)*) => {$(
        $(#[$doc])*
        #[inline]
        pub(crate) fn $name($($arg: $type),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn avx2($($arg: $type),*) $(-> $result)? {
                    kernels::$name($($arg),*)
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: AVX2 was detected.
                    return unsafe { avx2($($arg),*) };
                }
            }
            kernels::$name($($arg),*)
        }
    )*};
}

dispatched! {
    /// [`kernels::block_energies`].
    fn block_energies(samples: &[Complex32], energies: &mut Vec<f32>);
    /// [`kernels::energy`].
    fn energy(samples: &[Complex32]) -> f32;
    /// [`kernels::all_finite`].
    fn all_finite(samples: &[Complex32]) -> bool;
    /// [`kernels::despread`].
    fn despread(samples: &[Complex32], chips: &[f32], bounds: &[usize], out: &mut [TapRow]);
    /// [`kernels::sum`].
    fn sum(rows: &[TapRow]) -> TapRow;
    /// [`kernels::merge`].
    fn merge(rows: &[TapRow], turns: &[Complex32]) -> TapRow;
    /// [`kernels::peak`].
    fn peak(x: &[Lane]) -> (usize, f32);
    /// [`kernels::turn`].
    fn turn(src: &[Complex32], start: Complex32, table: &[Complex32], dst: &mut [Complex32]);
    /// [`kernels::widen_ci16`].
    fn widen_ci16(src: &[[i16; 2]], full_scale: f32, dst: &mut [Complex32]);
}

/// [`kernels::walsh_hadamard`].
pub(crate) fn walsh_hadamard(x: &mut [Lane], y: &mut [Lane]) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2")]
        fn avx2(x: &mut [Lane], y: &mut [Lane]) {
            kernels::walsh_hadamard(x, y, |v| transpose_avx2(v));
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: AVX2 was detected.
            return unsafe { avx2(x, y) };
        }
    }
    kernels::walsh_hadamard(x, y, kernels::transpose);
}

/// [`kernels::transpose`]: the compiler does not find these eight shuffles by itself.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
fn transpose_avx2(v: [Lane; 4]) -> [Lane; 4] {
    use std::arch::x86_64::{
        __m256d, _mm256_permute2f128_pd, _mm256_unpackhi_pd, _mm256_unpacklo_pd,
    };
    // SAFETY: both are 32 bytes, and every bit pattern is valid in both.
    let load = |lane: Lane| unsafe { std::mem::transmute::<Lane, __m256d>(lane) };
    // SAFETY: as above.
    let store = |lane: __m256d| unsafe { std::mem::transmute::<__m256d, Lane>(lane) };
    let [a, b, c, d] = v.map(load);
    let (p, q) = (_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b));
    let (r, s) = (_mm256_unpacklo_pd(c, d), _mm256_unpackhi_pd(c, d));
    [
        store(_mm256_permute2f128_pd::<0x20>(p, r)),
        store(_mm256_permute2f128_pd::<0x20>(q, s)),
        store(_mm256_permute2f128_pd::<0x31>(p, r)),
        store(_mm256_permute2f128_pd::<0x31>(q, s)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// What is chosen here equals the plain version bit for bit. (Without AVX2 both are the same code.)
    #[test]
    fn every_version_gives_the_same_bits() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut draw = || rng.random_range(-1.0f32..1.0);
        for size in [512, 1024] {
            let mut x: Vec<Lane> = (0..size / 4).map(|_| std::array::from_fn(|_| draw())).collect();
            let mut plain = x.clone();
            let mut y = x.clone();
            walsh_hadamard(&mut x, &mut y);
            kernels::walsh_hadamard(&mut plain, &mut y, kernels::transpose);
            assert_eq!(x, plain);
            assert_eq!(peak(&x), kernels::peak(&x));
        }
        let r: Vec<Complex32> = (0..1023).map(|_| Complex32::new(draw(), draw())).collect();
        let (mut energies, mut plain) = (Vec::new(), Vec::new());
        block_energies(&r, &mut energies);
        kernels::block_energies(&r, &mut plain);
        assert_eq!(energies, plain);
        assert_eq!(energy(&r).to_bits(), kernels::energy(&r).to_bits());
        assert!(all_finite(&r));
        let chips: Vec<f32> = r.iter().map(|r| r.re.signum()).collect();
        let mut rows = [[[[0.0; kernels::LANES]; kernels::TAP_LANES]; 2]; 2];
        despread(&r[..100], &chips, &[0, 31, 100], &mut rows[0]);
        kernels::despread(&r[..100], &chips, &[0, 31, 100], &mut rows[1]);
        assert_eq!(rows[0], rows[1]);
        assert_eq!(sum(&rows[0]), kernels::sum(&rows[0]));
        assert_eq!(merge(&rows[0], &r), kernels::merge(&rows[0], &r));
        let mut turned = [vec![Complex32::ZERO; 1023], vec![Complex32::ZERO; 1023]];
        turn(&r, r[3], &r, &mut turned[0]);
        kernels::turn(&r, r[3], &r, &mut turned[1]);
        assert_eq!(turned[0], turned[1]);
        let integers: Vec<[i16; 2]> = (0..777).map(|i| [i * 13 - 4000, 32767 - i]).collect();
        widen_ci16(&integers, 0.7, &mut turned[0]);
        kernels::widen_ci16(&integers, 0.7, &mut turned[1]);
        assert_eq!(turned[0], turned[1]);
    }
}
