//! AVX2 and AVX-512: the only module with `unsafe`.
//!
//! Safety. Every `unsafe` here is one of two kinds. (1) A call of an intrinsic from a method of [`Avx2`] or [`Avx512`].
//! Their private field makes [`with_avx2`] and [`with_avx512`] the only places that create them, and both check first
//! that the machine has the instructions; so whoever holds a value may execute them. Loads and stores go through
//! references to `#[repr(C, align(64))]` blocks of 64 bytes, the size and alignment of what is read or written; no
//! other pointer occurs. (2) The call of a `#[target_feature]` function behind that same check.
//!
//! The methods are `#[inline(always)]` and end up in [`in_avx2`] or [`in_avx512`], which are compiled for the
//! instructions.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::{Block, Simd, Stage, Task, WordBlock};

/// AVX-512 F, BW, VBMI and BITALG, 512 bits a register.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(());

/// AVX2, two registers of 256 bits.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

pub(super) fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("avx512bitalg")
        && has_avx2()
}

pub(super) fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("popcnt")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
}

pub(super) fn with_avx512<T: Task>(task: T) -> T::Output {
    assert!(has_avx512(), "AVX-512 is asked for where there is none");
    // SAFETY: checked in the line above.
    unsafe { in_avx512(task) }
}

pub(super) fn with_avx2<T: Task>(task: T) -> T::Output {
    assert!(has_avx2(), "AVX2 is asked for where there is none");
    // SAFETY: checked in the line above.
    unsafe { in_avx2(task) }
}

#[target_feature(
    enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512bitalg,avx2,popcnt,bmi1,bmi2"
)]
fn in_avx512<T: Task>(task: T) -> T::Output {
    task.run(Avx512(()))
}

#[target_feature(enable = "avx2,popcnt,bmi1,bmi2")]
fn in_avx2<T: Task>(task: T) -> T::Output {
    task.run(Avx2(()))
}

/// Methods whose body is a single intrinsic expression.
macro_rules! direct {
    ($($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),*) -> $out:ty = $body:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, $($arg: $type),*) -> $out {
            // SAFETY: `self` proves that the machine has the instructions (see the module).
            unsafe { $body }
        }
    )*};
}

impl Simd for Avx512 {
    type Bytes = __m512i;
    type Words = __m512i;

    direct! {
        fn load(block: &Block) -> __m512i = _mm512_load_si512(std::ptr::from_ref(block).cast());
        fn splat(value: i8) -> __m512i = _mm512_set1_epi8(value);
        fn min(a: __m512i, b: __m512i) -> __m512i = _mm512_min_epi8(a, b);
        fn max(a: __m512i, b: __m512i) -> __m512i = _mm512_max_epi8(a, b);
        fn add(a: __m512i, b: __m512i) -> __m512i = _mm512_adds_epi8(a, b);
        fn sub(a: __m512i, b: __m512i) -> __m512i = _mm512_subs_epi8(a, b);
        fn add_unsigned(a: __m512i, b: __m512i) -> __m512i = _mm512_adds_epu8(a, b);
        fn or(a: __m512i, b: __m512i) -> __m512i = _mm512_or_si512(a, b);
        fn negate(a: __m512i, mask: u64) -> __m512i = _mm512_mask_sub_epi8(a, mask, _mm512_setzero_si512(), a);
        fn shuffle_bits(bits: u64, order: __m512i) -> u64 =
            _mm512_bitshuffle_epi64_mask(_mm512_set1_epi64(bits as i64), order);
        fn negative(a: __m512i) -> u64 = _mm512_movepi8_mask(a);
        fn equal(a: __m512i, b: __m512i) -> u64 = _mm512_cmpeq_epi8_mask(a, b);
        fn odd(a: __m512i) -> u64 = _mm512_test_epi8_mask(a, _mm512_set1_epi8(1));
        fn pick(mask: u64, a: __m512i, b: __m512i) -> __m512i = _mm512_mask_blend_epi8(mask, b, a);
        fn halve(a: __m512i) -> __m512i =
            _mm512_and_si512(_mm512_srli_epi16::<1>(a), _mm512_set1_epi8(63));
        fn widen(a: __m512i) -> [__m512i; 2] = [
            _mm512_cvtepu8_epi16(_mm512_castsi512_si256(a)),
            _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64::<1>(a)),
        ];
        fn narrow(words: [__m512i; 2]) -> __m512i = _mm512_inserti64x4::<1>(
            _mm512_castsi256_si512(_mm512_cvtepi16_epi8(words[0])),
            _mm512_cvtepi16_epi8(words[1]),
        );
        fn interleave(low: __m512i, high: __m512i) -> [__m512i; 2] =
            [_mm512_unpacklo_epi8(low, high), _mm512_unpackhi_epi8(low, high)];
        fn separate(words: [__m512i; 2]) -> (__m512i, __m512i) = {
            let low = _mm512_set1_epi16(255);
            (
                _mm512_packus_epi16(_mm512_and_si512(words[0], low), _mm512_and_si512(words[1], low)),
                _mm512_packus_epi16(_mm512_srli_epi16::<8>(words[0]), _mm512_srli_epi16::<8>(words[1])),
            )
        };
        fn load_words(block: &WordBlock) -> __m512i = _mm512_load_si512(std::ptr::from_ref(block).cast());
        fn splat_words(value: u16) -> __m512i = _mm512_set1_epi16(value as i16);
        fn add_words(a: __m512i, b: __m512i) -> __m512i = _mm512_adds_epu16(a, b);
        fn sub_words(a: __m512i, b: __m512i) -> __m512i = _mm512_subs_epu16(a, b);
        fn min_words(a: __m512i, b: __m512i) -> __m512i = _mm512_min_epu16(a, b);
        fn max_words(a: __m512i, b: __m512i) -> __m512i = _mm512_max_epu16(a, b);
        fn or_words(a: __m512i, b: __m512i) -> __m512i = _mm512_or_si512(a, b);
        fn and_words(a: __m512i, b: __m512i) -> __m512i = _mm512_and_si512(a, b);
    }

    #[inline(always)]
    fn shuffle<const PATHS: usize>(self, a: __m512i, order: __m512i) -> __m512i {
        // SAFETY: as for the others.
        unsafe { _mm512_permutexvar_epi8(order, a) }
    }
    #[inline(always)]
    fn store(self, bytes: __m512i, block: &mut Block) {
        // SAFETY: as for the others; the block is 64 aligned bytes.
        unsafe { _mm512_store_si512(std::ptr::from_mut(block).cast(), bytes) }
    }
    #[inline(always)]
    fn store_words(self, words: __m512i, block: &mut WordBlock) {
        // SAFETY: as for the others; the block is 64 aligned bytes.
        unsafe { _mm512_store_si512(std::ptr::from_mut(block).cast(), words) }
    }
    #[inline(always)]
    fn shift_left<const BY: i32>(self, a: __m512i) -> __m512i {
        // SAFETY: as for the others.
        unsafe { _mm512_sll_epi16(a, _mm_cvtsi32_si128(BY)) }
    }
    #[inline(always)]
    fn shift_right<const BY: i32>(self, a: __m512i) -> __m512i {
        // SAFETY: as for the others.
        unsafe { _mm512_srl_epi16(a, _mm_cvtsi32_si128(BY)) }
    }
    #[inline(always)]
    fn partner<const STRIDE: usize>(self, a: __m512i) -> __m512i {
        // SAFETY: as for the others.
        unsafe {
            match STRIDE {
                1 => _mm512_rol_epi32::<16>(a),
                2 => _mm512_shuffle_epi32::<0xb1>(a),
                4 => _mm512_shuffle_epi32::<0x4e>(a),
                8 => _mm512_shuffle_i64x2::<0xb1>(a, a),
                16 => _mm512_shuffle_i64x2::<0x4e>(a, a),
                _ => a,
            }
        }
    }
    #[inline(always)]
    fn exchange<const BLOCK: usize, const STRIDE: usize, const DOWN: bool>(
        self,
        a: __m512i,
    ) -> __m512i {
        let b = self.partner::<STRIDE>(a);
        // SAFETY: as for the others.
        unsafe {
            let upper = Stage::<BLOCK, STRIDE, DOWN>::UPPER;
            _mm512_mask_max_epu16(_mm512_min_epu16(a, b), upper, a, b)
        }
    }
}

/// 64 bytes as two registers.
type Pair = [__m256i; 2];

/// A byte of 0 or −1 for each bit.
#[inline(always)]
unsafe fn spread(mask: u64) -> Pair {
    // SAFETY: called with a value of `Avx2` at hand.
    unsafe {
        let which = _mm256_setr_epi8(
            0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3,
            3, 3, 3,
        );
        let bit = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64 as i64);
        let half = |part: u32| {
            let bytes = _mm256_shuffle_epi8(_mm256_set1_epi32(part as i32), which);
            _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bit), bit)
        };
        [half(mask as u32), half((mask >> 32) as u32)]
    }
}

/// The sign bit of each byte.
#[inline(always)]
unsafe fn gather(bytes: Pair) -> u64 {
    // SAFETY: called with a value of `Avx2` at hand.
    unsafe {
        let low = _mm256_movemask_epi8(bytes[0]) as u32;
        let high = _mm256_movemask_epi8(bytes[1]) as u32;
        u64::from(low) | u64::from(high) << 32
    }
}

/// Lane i of the result is lane `order[i]` of the 32 lanes.
#[inline(always)]
unsafe fn permute(a: __m256i, order: __m256i) -> __m256i {
    // SAFETY: called with a value of `Avx2` at hand.
    unsafe {
        let low = _mm256_permute2x128_si256::<0x00>(a, a);
        let high = _mm256_permute2x128_si256::<0x11>(a, a);
        // Bit 4 of the order chooses the half: brought to the sign of its byte.
        let upper = _mm256_slli_epi16::<3>(order);
        let order = _mm256_and_si256(order, _mm256_set1_epi8(15));
        _mm256_blendv_epi8(_mm256_shuffle_epi8(low, order), _mm256_shuffle_epi8(high, order), upper)
    }
}

/// Methods that do the same to both halves.
macro_rules! halves {
    ($(fn $name:ident($a:ident, $b:ident) = $body:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, $a: Pair, $b: Pair) -> Pair {
            // SAFETY: `self` proves that the machine has the instructions (see the module).
            unsafe {
                let half = |$a: __m256i, $b: __m256i| $body;
                [half($a[0], $b[0]), half($a[1], $b[1])]
            }
        }
    )*};
}

impl Simd for Avx2 {
    type Bytes = Pair;
    type Words = Pair;

    halves! {
        fn min(a, b) = _mm256_min_epi8(a, b);
        fn max(a, b) = _mm256_max_epi8(a, b);
        fn add(a, b) = _mm256_adds_epi8(a, b);
        fn sub(a, b) = _mm256_subs_epi8(a, b);
        fn add_unsigned(a, b) = _mm256_adds_epu8(a, b);
        fn or(a, b) = _mm256_or_si256(a, b);
        fn add_words(a, b) = _mm256_adds_epu16(a, b);
        fn sub_words(a, b) = _mm256_subs_epu16(a, b);
        fn min_words(a, b) = _mm256_min_epu16(a, b);
        fn max_words(a, b) = _mm256_max_epu16(a, b);
        fn or_words(a, b) = _mm256_or_si256(a, b);
        fn and_words(a, b) = _mm256_and_si256(a, b);
    }

    direct! {
        fn load(block: &Block) -> Pair = {
            let at: *const __m256i = std::ptr::from_ref(block).cast();
            [_mm256_load_si256(at), _mm256_load_si256(at.add(1))]
        };
        fn splat(value: i8) -> Pair = [_mm256_set1_epi8(value); 2];
        fn negate(a: Pair, mask: u64) -> Pair = {
            let sign = spread(mask);
            let half = |a, sign| _mm256_sub_epi8(_mm256_xor_si256(a, sign), sign);
            [half(a[0], sign[0]), half(a[1], sign[1])]
        };
        fn shuffle_bits(bits: u64, order: Pair) -> u64 = {
            let bytes = spread(bits);
            gather([permute(bytes[0], order[0]), permute(bytes[1], order[1])])
        };
        fn negative(a: Pair) -> u64 = gather(a);
        fn equal(a: Pair, b: Pair) -> u64 =
            gather([_mm256_cmpeq_epi8(a[0], b[0]), _mm256_cmpeq_epi8(a[1], b[1])]);
        fn odd(a: Pair) -> u64 = gather([_mm256_slli_epi16::<7>(a[0]), _mm256_slli_epi16::<7>(a[1])]);
        fn pick(mask: u64, a: Pair, b: Pair) -> Pair = {
            let mask = spread(mask);
            [_mm256_blendv_epi8(b[0], a[0], mask[0]), _mm256_blendv_epi8(b[1], a[1], mask[1])]
        };
        fn halve(a: Pair) -> Pair = {
            let half = |a| _mm256_and_si256(_mm256_srli_epi16::<1>(a), _mm256_set1_epi8(63));
            [half(a[0]), half(a[1])]
        };
        fn widen(a: Pair) -> [Pair; 2] = {
            let half = |a| [
                _mm256_cvtepu8_epi16(_mm256_castsi256_si128(a)),
                _mm256_cvtepu8_epi16(_mm256_extracti128_si256::<1>(a)),
            ];
            [half(a[0]), half(a[1])]
        };
        fn narrow(words: [Pair; 2]) -> Pair = {
            // The pack works within 128-bit halves; the permutation puts the quarters in order.
            let half = |w: Pair| _mm256_permute4x64_epi64::<0xd8>(_mm256_packus_epi16(w[0], w[1]));
            [half(words[0]), half(words[1])]
        };
        fn interleave(low: Pair, high: Pair) -> [Pair; 2] = [
            [_mm256_unpacklo_epi8(low[0], high[0]), _mm256_unpackhi_epi8(low[0], high[0])],
            [_mm256_unpacklo_epi8(low[1], high[1]), _mm256_unpackhi_epi8(low[1], high[1])],
        ];
        fn separate(words: [Pair; 2]) -> (Pair, Pair) = {
            let low = _mm256_set1_epi16(255);
            let lows = |w: Pair| _mm256_packus_epi16(_mm256_and_si256(w[0], low), _mm256_and_si256(w[1], low));
            let highs = |w: Pair| _mm256_packus_epi16(_mm256_srli_epi16::<8>(w[0]), _mm256_srli_epi16::<8>(w[1]));
            ([lows(words[0]), lows(words[1])], [highs(words[0]), highs(words[1])])
        };
        fn load_words(block: &WordBlock) -> Pair = {
            let at: *const __m256i = std::ptr::from_ref(block).cast();
            [_mm256_load_si256(at), _mm256_load_si256(at.add(1))]
        };
        fn splat_words(value: u16) -> Pair = [_mm256_set1_epi16(value as i16); 2];
    }

    #[inline(always)]
    fn shuffle<const PATHS: usize>(self, a: Pair, order: Pair) -> Pair {
        // SAFETY: as for the others.
        unsafe {
            if PATHS <= 16 {
                [_mm256_shuffle_epi8(a[0], order[0]), _mm256_shuffle_epi8(a[1], order[1])]
            } else {
                [permute(a[0], order[0]), permute(a[1], order[1])]
            }
        }
    }
    #[inline(always)]
    fn combine(self, left: &mut [u64], right: &[u64], order: Pair) {
        // SAFETY: as for the others.
        unsafe {
            // Lane i wants bit `order[i]` of the mask: which byte of the mask, and which bit of that byte.
            let bits = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64 as i64);
            let seven = _mm256_set1_epi8(7);
            let which = |order| _mm256_and_si256(_mm256_srli_epi16::<3>(order), seven);
            let bit = |order| _mm256_shuffle_epi8(bits, _mm256_and_si256(order, seven));
            let which = [which(order[0]), which(order[1])];
            let bit = [bit(order[0]), bit(order[1])];
            for (left, &right) in left.iter_mut().zip(right) {
                let mask = _mm256_set1_epi64x(*left as i64);
                let low = _mm256_and_si256(_mm256_shuffle_epi8(mask, which[0]), bit[0]);
                let high = _mm256_and_si256(_mm256_shuffle_epi8(mask, which[1]), bit[1]);
                *left = right
                    ^ gather([_mm256_cmpeq_epi8(low, bit[0]), _mm256_cmpeq_epi8(high, bit[1])]);
            }
        }
    }
    #[inline(always)]
    fn store(self, bytes: Pair, block: &mut Block) {
        // SAFETY: as for the others; both halves lie in the block.
        unsafe {
            let at: *mut __m256i = std::ptr::from_mut(block).cast();
            _mm256_store_si256(at, bytes[0]);
            _mm256_store_si256(at.add(1), bytes[1]);
        }
    }
    #[inline(always)]
    fn store_words(self, words: Pair, block: &mut WordBlock) {
        // SAFETY: as for the others; both halves lie in the block.
        unsafe {
            let at: *mut __m256i = std::ptr::from_mut(block).cast();
            _mm256_store_si256(at, words[0]);
            _mm256_store_si256(at.add(1), words[1]);
        }
    }
    #[inline(always)]
    fn shift_left<const BY: i32>(self, a: Pair) -> Pair {
        // SAFETY: as for the others.
        unsafe { [_mm256_slli_epi16::<BY>(a[0]), _mm256_slli_epi16::<BY>(a[1])] }
    }
    #[inline(always)]
    fn shift_right<const BY: i32>(self, a: Pair) -> Pair {
        // SAFETY: as for the others.
        unsafe { [_mm256_srli_epi16::<BY>(a[0]), _mm256_srli_epi16::<BY>(a[1])] }
    }
    #[inline(always)]
    fn partner<const STRIDE: usize>(self, a: Pair) -> Pair {
        if STRIDE == 16 {
            return [a[1], a[0]];
        }
        // SAFETY: as for the others.
        let half = |a: __m256i| unsafe {
            match STRIDE {
                1 => _mm256_shufflehi_epi16::<0xb1>(_mm256_shufflelo_epi16::<0xb1>(a)),
                2 => _mm256_shuffle_epi32::<0xb1>(a),
                4 => _mm256_shuffle_epi32::<0x4e>(a),
                8 => _mm256_permute2x128_si256::<0x01>(a, a),
                _ => a,
            }
        };
        [half(a[0]), half(a[1])]
    }
    #[inline(always)]
    fn exchange<const BLOCK: usize, const STRIDE: usize, const DOWN: bool>(self, a: Pair) -> Pair {
        let b = self.partner::<STRIDE>(a);
        let upper = self.load_words(&const { Stage::<BLOCK, STRIDE, DOWN>::UPPER_WORDS });
        let (least, most) = (self.min_words(a, b), self.max_words(a, b));
        // SAFETY: as for the others.
        unsafe {
            [
                _mm256_blendv_epi8(least[0], most[0], upper[0]),
                _mm256_blendv_epi8(least[1], most[1], upper[1]),
            ]
        }
    }
}
