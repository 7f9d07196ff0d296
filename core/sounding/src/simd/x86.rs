//! The operations in AVX2 instructions, for x86-64.
//!
//! Safety. Every `unsafe` here is an intrinsic in a method of [`Avx2`]. Its private field makes [`Avx2::detect`] the only
//! place that creates one, and that checks that the machine has the instructions; so whoever holds a value may execute
//! them. Loads and stores go through references to arrays of the size that is read or written (32, 16 or 8 bytes) and need
//! no alignment; any bits are valid in all the types.
//!
//! The methods are `#[inline(always)]` and end up in functions that are compiled for the instructions.
#![allow(unsafe_code)]

use std::arch::x86_64::*;
use std::ptr::{from_mut, from_ref};

use num_complex::Complex32;

use super::Simd;
use crate::kernels::Lane;

/// The proof that the machine has AVX2.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// The instructions, if the machine has them.
    #[inline]
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }
}

/// Methods whose body is a single expression of intrinsics.
macro_rules! direct {
    ($(fn $name:ident($($arg:ident: $type:ty),*) -> $out:ty = $body:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, $($arg: $type),*) -> $out {
            // SAFETY: `self` proves that the machine has the instructions; memory as said above.
            unsafe { $body }
        }
    )*};
}

impl Simd for Avx2 {
    type F = __m256;

    direct! {
        fn load(lane: &Lane) -> __m256 = _mm256_loadu_ps(from_ref(lane).cast());
        fn store(a: __m256, lane: &mut Lane) -> () = _mm256_storeu_ps(from_mut(lane).cast(), a);
        fn load_complex(x: &[Complex32; 4]) -> __m256 = _mm256_loadu_ps(from_ref(x).cast());
        fn store_complex(a: __m256, x: &mut [Complex32; 4]) -> () =
            _mm256_storeu_ps(from_mut(x).cast(), a);
        fn gather(x: [&Complex32; 4]) -> __m256 = {
            let (a, b) = (from_ref(x[0]).cast::<f64>(), from_ref(x[1]).cast::<f64>());
            let (c, d) = (from_ref(x[2]).cast::<f64>(), from_ref(x[3]).cast::<f64>());
            _mm256_castpd_ps(_mm256_set_pd(
                d.read_unaligned(),
                c.read_unaligned(),
                b.read_unaligned(),
                a.read_unaligned(),
            ))
        };
        fn load_integers(x: &[[i16; 2]; 4]) -> __m256 =
            _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm_loadu_si128(from_ref(x).cast())));
        fn splat(value: f32) -> __m256 = _mm256_set1_ps(value);
        fn add(a: __m256, b: __m256) -> __m256 = _mm256_add_ps(a, b);
        fn sub(a: __m256, b: __m256) -> __m256 = _mm256_sub_ps(a, b);
        fn mul(a: __m256, b: __m256) -> __m256 = _mm256_mul_ps(a, b);
        fn max(a: __m256, b: __m256) -> __m256 = _mm256_max_ps(a, b);
        fn swap(a: __m256) -> __m256 = _mm256_permute_ps::<0b10_11_00_01>(a);
        fn mul_complex(a: __m256, b: __m256) -> __m256 = _mm256_addsub_ps(
            _mm256_mul_ps(a, _mm256_moveldup_ps(b)),
            _mm256_mul_ps(_mm256_permute_ps::<0b10_11_00_01>(a), _mm256_movehdup_ps(b)),
        );
        fn transpose(rows: [__m256; 4]) -> [__m256; 4] = {
            let (a, b) = (_mm256_castps_pd(rows[0]), _mm256_castps_pd(rows[1]));
            let (c, d) = (_mm256_castps_pd(rows[2]), _mm256_castps_pd(rows[3]));
            let (p, q) = (_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b));
            let (r, s) = (_mm256_unpacklo_pd(c, d), _mm256_unpackhi_pd(c, d));
            [
                _mm256_castpd_ps(_mm256_permute2f128_pd::<0x20>(p, r)),
                _mm256_castpd_ps(_mm256_permute2f128_pd::<0x20>(q, s)),
                _mm256_castpd_ps(_mm256_permute2f128_pd::<0x31>(p, r)),
                _mm256_castpd_ps(_mm256_permute2f128_pd::<0x31>(q, s)),
            ]
        };
    }
}
