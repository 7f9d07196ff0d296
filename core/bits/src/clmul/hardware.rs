//! Carry-less products by the processor's own instruction (x86-64 PCLMULQDQ, and VPCLMULQDQ four at a time).
//!
//! The only `unsafe` of this crate. Its argument: every function here is marked with the processor features that its
//! instructions need and is called only behind [`Level::detect`], which asks the processor for exactly these; every
//! vector load and store goes through a reference to an array of the length that the instruction touches.

#![expect(unsafe_code, reason = "vector loads and calls into functions with target features")]

use std::arch::x86_64::{
    __m128i, __m512i, _mm_clmulepi64_si128, _mm_cvtsi64_si128, _mm_cvtsi128_si64,
    _mm_extract_epi64, _mm_loadu_si128, _mm_setzero_si128, _mm_xor_si128, _mm256_castsi256_si128,
    _mm256_extracti128_si256, _mm256_xor_si256, _mm512_castsi512_si256, _mm512_clmulepi64_epi128,
    _mm512_extracti64x4_epi64, _mm512_loadu_si512, _mm512_xor_si512,
};

use super::BLOCK;
use super::field128::{Powers, horner};

/// What the processor can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// One product of two 64-bit words per instruction (PCLMULQDQ, with SSE4.1).
    Clmul,
    /// Four such products per instruction where many are summed (VPCLMULQDQ, with AVX-512F).
    Wide,
}

impl Level {
    /// The best that this processor has, if any. The answer is cached by the standard library.
    pub(crate) fn detect() -> Option<Self> {
        if is_x86_feature_detected!("pclmulqdq") && is_x86_feature_detected!("sse4.1") {
            let wide =
                is_x86_feature_detected!("vpclmulqdq") && is_x86_feature_detected!("avx512f");
            Some(if wide { Self::Wide } else { Self::Clmul })
        } else {
            None
        }
    }

    /// Carry-less product of two 64-bit words as (low, high) words; same result as
    /// [`super::clmul`].
    #[inline]
    pub(crate) fn clmul(self, x: u64, y: u64) -> (u64, u64) {
        // SAFETY: both levels are made by `detect` only, after it has found pclmulqdq and sse4.1.
        unsafe { product(x, y) }
    }

    /// Horner's rule in GF(2^128) over the 16-byte words of `bytes`; same result as [`horner`].
    pub(crate) fn gf128_horner(self, sum: u128, powers: &Powers, bytes: &[u8]) -> u128 {
        // SAFETY: both levels are made by `detect` only, after it has found pclmulqdq and sse4.1.
        unsafe { horner_clmul(sum, powers, bytes) }
    }

    /// Adds the middle of a product of 16 and 8 words to `y`; same result as
    /// [`super::middle_block`].
    #[inline]
    pub(crate) fn middle_block(self, t: &[u64; 2 * BLOCK], x: &[u64; BLOCK], y: &mut [u64; BLOCK]) {
        match self {
            // SAFETY: `detect` has found pclmulqdq and sse4.1.
            Self::Clmul => unsafe { middle_clmul(t, x, y) },
            // SAFETY: `detect` has found vpclmulqdq and avx512f besides.
            Self::Wide => unsafe { middle_wide(t, x, y) },
        }
    }
}

#[target_feature(enable = "pclmulqdq,sse4.1")]
fn product(x: u64, y: u64) -> (u64, u64) {
    let p = _mm_clmulepi64_si128::<0>(_mm_cvtsi64_si128(x as i64), _mm_cvtsi64_si128(y as i64));
    (_mm_cvtsi128_si64(p) as u64, _mm_extract_epi64::<1>(p) as u64)
}

#[target_feature(enable = "pclmulqdq,sse4.1")]
fn horner_clmul(sum: u128, powers: &Powers, bytes: &[u8]) -> u128 {
    horner(|x, y| product(x, y), sum, powers, bytes)
}

#[target_feature(enable = "pclmulqdq,sse4.1")]
fn load128(words: &[u64; 2]) -> __m128i {
    // SAFETY: the reference is to 16 readable bytes, and the load needs no alignment.
    unsafe { _mm_loadu_si128(words.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
fn load512(words: &[u64; 8]) -> __m512i {
    // SAFETY: the reference is to 64 readable bytes, and the load needs no alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

/// Words `d-7..=d` of `t`, whose products with the reversed `x` make up diagonal `d`.
fn window<const N: usize>(t: &[u64; 2 * BLOCK], start: usize) -> &[u64; N] {
    t[start..].first_chunk().expect("a window of eight words lies in sixteen")
}

#[target_feature(enable = "pclmulqdq,sse4.1")]
fn middle_clmul(t: &[u64; 2 * BLOCK], x: &[u64; BLOCK], y: &mut [u64; BLOCK]) {
    let reversed: [u64; BLOCK] = std::array::from_fn(|i| x[BLOCK - 1 - i]);
    let pairs: [__m128i; BLOCK / 2] =
        std::array::from_fn(|i| load128(&[reversed[2 * i], reversed[2 * i + 1]]));
    let mut carry = 0;
    for d in 0..=BLOCK {
        let mut sum = _mm_setzero_si128();
        for (i, &pair) in pairs.iter().enumerate() {
            let words = load128(window(t, d + 2 * i));
            sum = _mm_xor_si128(sum, _mm_clmulepi64_si128::<0x00>(words, pair));
            sum = _mm_xor_si128(sum, _mm_clmulepi64_si128::<0x11>(words, pair));
        }
        if d > 0 {
            y[d - 1] ^= carry ^ _mm_cvtsi128_si64(sum) as u64;
        }
        carry = _mm_extract_epi64::<1>(sum) as u64;
    }
}

#[target_feature(enable = "vpclmulqdq,avx512f,avx2,pclmulqdq,sse4.1")]
fn middle_wide(t: &[u64; 2 * BLOCK], x: &[u64; BLOCK], y: &mut [u64; BLOCK]) {
    let reversed: [u64; BLOCK] = std::array::from_fn(|i| x[BLOCK - 1 - i]);
    let reversed = load512(&reversed);
    let mut carry = 0;
    for d in 0..=BLOCK {
        let words = load512(window(t, d));
        let low = _mm512_clmulepi64_epi128::<0x00>(words, reversed);
        let high = _mm512_clmulepi64_epi128::<0x11>(words, reversed);
        let sum = _mm512_xor_si512(low, high);
        let sum =
            _mm256_xor_si256(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64::<1>(sum));
        let sum = _mm_xor_si128(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
        if d > 0 {
            y[d - 1] ^= carry ^ _mm_cvtsi128_si64(sum) as u64;
        }
        carry = _mm_extract_epi64::<1>(sum) as u64;
    }
}
