//! The kernels compiled for what the processor has, chosen at run time.
//!
//! [`Simd`] is eight lanes of single precision. [`Portable`] has them as an array, the AVX2 version as a register; both do
//! the same operations in the same order, without fused multiply-add, and so give the same bits. The functions here are
//! those of [`kernels`], with the version that the machine has. The only unsafe operations of this crate are in this module:
//! the call of a function compiled with AVX2, made only when AVX2 was detected, and the intrinsics of the AVX2 version.

#![allow(unsafe_code)]

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use num_complex::Complex32;

use crate::kernels::{self, Lane, TapRow};

pub(crate) use portable::Portable;

/// Operations on eight lanes, or four complex numbers of which real and imaginary parts take turns.
pub(crate) trait Simd: Copy {
    /// A register of eight single-precision lanes.
    type F: Copy;

    fn load(self, lane: &Lane) -> Self::F;
    fn store(self, a: Self::F, lane: &mut Lane);
    fn load_complex(self, x: &[Complex32; 4]) -> Self::F;
    fn store_complex(self, a: Self::F, x: &mut [Complex32; 4]);
    /// Four complex numbers from where they are.
    fn gather(self, x: [&Complex32; 4]) -> Self::F;
    /// Four complex numbers from integers, real and imaginary parts converted to single precision.
    fn load_integers(self, x: &[[i16; 2]; 4]) -> Self::F;
    fn splat(self, value: f32) -> Self::F;
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    /// a where it is greater than b, else b.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// Lane i of the result is lane i ^ 1.
    fn swap(self, a: Self::F) -> Self::F;
    /// Products of the four complex numbers in `a` and in `b`, pair by pair.
    fn mul_complex(self, a: Self::F, b: Self::F) -> Self::F;
    /// Four complex numbers of each of four rows to columns.
    fn transpose(self, rows: [Self::F; 4]) -> [Self::F; 4];

    /// The eight lanes as an array.
    #[inline(always)]
    fn lanes(self, a: Self::F) -> Lane {
        let mut lanes = [0.0; kernels::LANES];
        self.store(a, &mut lanes);
        lanes
    }
}

/// Declares functions that call the kernel of their name with the best version of [`Simd`].
macro_rules! dispatched {
    ($($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),*) $(-> $result:ty)?;)*) => {$(
        $(#[$doc])*
        pub(crate) fn $name($($arg: $type),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn avx2(simd: x86::Avx2, $($arg: $type),*) $(-> $result)? {
                    kernels::$name(simd, $($arg),*)
                }
                if let Some(simd) = x86::Avx2::detect() {
                    // SAFETY: AVX2 was detected, `simd` is the proof.
                    return unsafe { avx2(simd, $($arg),*) };
                }
            }
            kernels::$name(Portable, $($arg),*)
        }
    )*};
}

dispatched! {
    /// [`kernels::energy`].
    fn energy(samples: &[Complex32]) -> f32;
    /// [`kernels::block_energies`].
    fn block_energies(samples: &[Complex32], energies: &mut Vec<f32>);
    /// [`kernels::block_energies_ci16`].
    fn block_energies_ci16(samples: &[[i16; 2]], scale: f32, energies: &mut Vec<f32>);
    /// [`kernels::widen_ci16`].
    fn widen_ci16(src: &[[i16; 2]], scale: f32, dst: &mut [Complex32]);
    /// [`kernels::walsh_hadamard`].
    fn walsh_hadamard(x: &[Complex32], order: &[u16], spare: &mut [Lane], out: &mut [Lane]) -> f32;
    /// [`kernels::largest`].
    fn largest(x: &[Lane]) -> f32;
    /// [`kernels::place_of`].
    fn place_of(x: &[Lane], power: f32) -> Option<usize>;
    /// [`kernels::despread`].
    fn despread(samples: &[Complex32], chips: &[f32], bounds: &[usize], out: &mut [TapRow]);
    /// [`kernels::sum`].
    fn sum(rows: &[TapRow]) -> TapRow;
    /// [`kernels::moments`].
    fn moments(rows: &[TapRow], turns: &[Complex32], times: &[f32]) -> [TapRow; 3];
    /// [`kernels::merge`].
    fn merge(rows: &[TapRow], turns: &[Complex32]) -> TapRow;
    /// [`kernels::turn`].
    fn turn(src: &[Complex32], start: Complex32, table: &[Complex32], dst: &mut [Complex32]);
    /// [`kernels::accumulate`].
    fn accumulate(src: &[Complex32], factor: Complex32, dst: &mut [Complex32]);
    /// [`kernels::inner`].
    fn inner(a: &[Complex32], b: &[Complex32]) -> Complex32;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{LANES, TAP_LANES};
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// What is chosen here equals the plain version bit for bit. (Without AVX2 both are the same code.)
    #[test]
    fn every_version_gives_the_same_bits() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut draw = |_| Complex32::new(rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0));
        for size in [512u16, 1024] {
            let x: Vec<Complex32> = (0..size).map(&mut draw).collect();
            let order: Vec<u16> = (0..size).rev().collect();
            let mut y = vec![[0.0; LANES]; usize::from(size) / 4];
            let (mut spare, mut plain) = (y.clone(), y.clone());
            let most = walsh_hadamard(&x, &order, &mut spare, &mut y);
            let same = kernels::walsh_hadamard(Portable, &x, &order, &mut spare, &mut plain);
            assert_eq!((most, &y), (same, &plain));
            assert_eq!(largest(&y), most);
            let place = kernels::place_of(Portable, &y, most);
            assert_eq!(place_of(&y, most), place);
        }
        // A length that leaves a rest in every kernel.
        let r: Vec<Complex32> = (0..1023).map(&mut draw).collect();
        let s: Vec<Complex32> = (0..1023).map(&mut draw).collect();
        let (mut energies, mut plain) = (Vec::new(), Vec::new());
        block_energies(&r, &mut energies);
        kernels::block_energies(Portable, &r, &mut plain);
        assert_eq!(energies, plain);
        assert_eq!(energy(&r).to_bits(), kernels::energy(Portable, &r).to_bits());
        assert_eq!(inner(&r, &s), kernels::inner(Portable, &r, &s));

        let chips: Vec<f32> = r.iter().map(|r| r.re.signum()).collect();
        let mut rows = [[[[0.0; LANES]; TAP_LANES]; 2]; 2];
        despread(&r[..100], &chips, &[0, 31, 100], &mut rows[0]);
        kernels::despread(Portable, &r[..100], &chips, &[0, 31, 100], &mut rows[1]);
        assert_eq!(rows[0], rows[1]);
        assert_eq!(sum(&rows[0]), kernels::sum(Portable, &rows[0]));
        let times = [0.3, -0.7];
        let plain = kernels::moments(Portable, &rows[0], &r, &times);
        assert_eq!(moments(&rows[0], &r, &times), plain);
        assert_eq!(merge(&rows[0], &r), kernels::merge(Portable, &rows[0], &r));

        let mut turned = [vec![Complex32::ZERO; 1023], vec![Complex32::ZERO; 1023]];
        turn(&r, r[3], &s, &mut turned[0]);
        kernels::turn(Portable, &r, r[3], &s, &mut turned[1]);
        assert_eq!(turned[0], turned[1]);

        accumulate(&r, s[1], &mut turned[0]);
        kernels::accumulate(Portable, &r, s[1], &mut turned[1]);
        assert_eq!(turned[0], turned[1]);

        let integers: Vec<[i16; 2]> = (0..777).map(|i| [i * 13 - 4000, 32767 - i]).collect();
        widen_ci16(&integers, 0.7, &mut turned[0]);
        kernels::widen_ci16(Portable, &integers, 0.7, &mut turned[1]);
        assert_eq!(turned[0], turned[1]);
        // ... and the energies of integers are those of the numbers that they stand for.
        let (mut of_integers, mut plain) = (Vec::new(), Vec::new());
        block_energies_ci16(&integers, 0.7, &mut of_integers);
        kernels::block_energies_ci16(Portable, &integers, 0.7, &mut plain);
        assert_eq!(of_integers, plain);
        plain.clear();
        block_energies(&turned[0][..777], &mut plain);
        assert_eq!(of_integers, plain);
    }
}
