//! Registers of 64 bytes: what the batch decoders need of an instruction set.
//!
//! [`Simd`] is implemented by a plain version over arrays ([`Portable`]) and, on x86-64, by AVX2 and AVX-512. All give
//! the same results bit for bit. A value of an implementing type is the proof that the machine has the instructions:
//! it can only be had from a [`Task`] that [`InstructionSet::run`] starts.

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use portable::Portable;

/// Lanes of a register: frames times paths.
pub(crate) const LANES: usize = 64;

/// Bytes of one register in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub(crate) struct Block(pub(crate) [i8; LANES]);

/// One register of 16-bit words in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub(crate) struct WordBlock(pub(crate) [u16; LANES / 2]);

impl Block {
    pub(crate) const ZERO: Self = Self([0; LANES]);
}

/// Operations on 64 signed bytes, 32 unsigned words, and masks of one bit a byte.
pub(crate) trait Simd: Copy {
    type Bytes: Copy;
    type Words: Copy;

    fn load(self, block: &Block) -> Self::Bytes;
    fn store(self, bytes: Self::Bytes, block: &mut Block);
    fn splat(self, value: i8) -> Self::Bytes;
    fn min(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    fn max(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// a + b in each lane as signed bytes, saturating.
    fn add(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// a − b in each lane as signed bytes, saturating.
    fn sub(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// a + b in each lane as unsigned bytes, saturating.
    fn add_unsigned(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    fn or(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// −a in the lanes of the mask; a is not −128.
    fn negate(self, a: Self::Bytes, mask: u64) -> Self::Bytes;
    /// Lane i of the result is lane `order[i]` of `a`; `order` stays within blocks of PATHS lanes, at most 32.
    fn shuffle<const PATHS: usize>(self, a: Self::Bytes, order: Self::Bytes) -> Self::Bytes;
    /// As [`Simd::shuffle`], for one bit a lane.
    fn shuffle_bits(self, bits: u64, order: Self::Bytes) -> u64;
    /// Mask of the lanes that are below 0 as signed bytes.
    fn negative(self, a: Self::Bytes) -> u64;
    fn equal(self, a: Self::Bytes, b: Self::Bytes) -> u64;
    /// Lanes whose lowest bit is set.
    fn odd(self, a: Self::Bytes) -> u64;
    /// a where the mask is set, else b.
    fn pick(self, mask: u64, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// a / 2 for lanes from 0 to 127.
    fn halve(self, a: Self::Bytes) -> Self::Bytes;

    /// Zero-extends the lanes, 0 to 31 and 32 to 63.
    fn widen(self, a: Self::Bytes) -> [Self::Words; 2];
    /// Undoes [`Simd::widen`]; words are below 256.
    fn narrow(self, words: [Self::Words; 2]) -> Self::Bytes;
    /// Words of a low and a high byte, in an order of the implementation's own.
    fn interleave(self, low: Self::Bytes, high: Self::Bytes) -> [Self::Words; 2];
    /// Undoes [`Simd::interleave`]: the low and the high bytes of the words.
    fn separate(self, words: [Self::Words; 2]) -> (Self::Bytes, Self::Bytes);

    fn load_words(self, block: &WordBlock) -> Self::Words;
    fn store_words(self, words: Self::Words, block: &mut WordBlock);
    fn splat_words(self, value: u16) -> Self::Words;
    /// a + b in each lane as unsigned words, saturating.
    fn add_words(self, a: Self::Words, b: Self::Words) -> Self::Words;
    /// a − b in each lane as unsigned words, saturating.
    fn sub_words(self, a: Self::Words, b: Self::Words) -> Self::Words;
    fn min_words(self, a: Self::Words, b: Self::Words) -> Self::Words;
    fn max_words(self, a: Self::Words, b: Self::Words) -> Self::Words;
    fn or_words(self, a: Self::Words, b: Self::Words) -> Self::Words;
    fn and_words(self, a: Self::Words, b: Self::Words) -> Self::Words;
    fn shift_left<const BY: i32>(self, a: Self::Words) -> Self::Words;
    fn shift_right<const BY: i32>(self, a: Self::Words) -> Self::Words;
    /// Lane i of the result is lane i ^ STRIDE.
    fn partner<const STRIDE: usize>(self, a: Self::Words) -> Self::Words;
    /// One stage of a bitonic sorter: of lanes i and i ^ STRIDE the greater goes where [`Stage::UPPER`] says.
    fn exchange<const BLOCK: usize, const STRIDE: usize, const DOWN: bool>(
        self,
        a: Self::Words,
    ) -> Self::Words;

    /// The check node in the max-log form, sign(a)·sign(b)·min(|a|, |b|) = max(min(a, b), −max(a, b)).
    #[inline(always)]
    fn check(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes {
        self.max(self.min(a, b), self.sub(self.splat(0), self.max(a, b)))
    }

    /// The variable node b + (1 − 2·bit)·a, kept within ±127.
    #[inline(always)]
    fn variable(self, a: Self::Bytes, b: Self::Bytes, bits: u64) -> Self::Bytes {
        self.max(self.add(b, self.negate(a, bits)), self.splat(-127))
    }

    #[inline(always)]
    fn variable_zero(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes {
        self.max(self.add(b, a), self.splat(-127))
    }

    /// max(a, 0) and max(−a, 0).
    #[inline(always)]
    fn parts(self, a: Self::Bytes) -> (Self::Bytes, Self::Bytes) {
        let zero = self.splat(0);
        (self.max(a, zero), self.max(self.sub(zero, a), zero))
    }

    #[inline(always)]
    fn magnitude(self, a: Self::Bytes) -> Self::Bytes {
        self.max(a, self.sub(self.splat(0), a))
    }

    /// The exclusive-or of two rows of masks into the first, whose lanes are put in `order` before.
    #[inline(always)]
    fn combine(self, left: &mut [u64], right: &[u64], order: Self::Bytes) {
        for (left, &right) in left.iter_mut().zip(right) {
            *left = self.shuffle_bits(*left, order) ^ right;
        }
    }
}

/// A stage of a bitonic sorter on 32 lanes; BLOCK = 0 stands for "one direction throughout".
pub(crate) struct Stage<const BLOCK: usize, const STRIDE: usize, const DOWN: bool>;

impl<const BLOCK: usize, const STRIDE: usize, const DOWN: bool> Stage<BLOCK, STRIDE, DOWN> {
    /// Lanes that take the greater of the pair.
    pub(crate) const UPPER: u32 = {
        let mut mask = 0u32;
        let mut i = 0;
        while i < 32 {
            if ((i & STRIDE != 0) != (i & BLOCK != 0)) != DOWN {
                mask |= 1 << i;
            }
            i += 1;
        }
        mask
    };
    /// The same, a word a lane.
    pub(crate) const UPPER_WORDS: WordBlock = {
        let mut words = [0; 32];
        let mut i = 0;
        while i < 32 {
            if Self::UPPER >> i & 1 == 1 {
                words[i] = u16::MAX;
            }
            i += 1;
        }
        WordBlock(words)
    };
}

/// Work that is written for any instruction set.
pub(crate) trait Task {
    type Output;
    /// Must be `#[inline(always)]`, with everything hot that it calls, to be compiled for the set's instructions.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// Instructions that a batch decoder uses; all give the same results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstructionSet {
    /// Plain Rust for any machine.
    Portable,
    /// 256-bit registers of x86-64.
    Avx2,
    /// 512-bit registers of x86-64, with the extensions F, BW, VBMI and BITALG.
    Avx512,
}

impl InstructionSet {
    /// All instruction sets, the slowest first.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// The fastest that this machine has.
    pub fn best() -> Self {
        Self::ALL.into_iter().rev().find(|set| set.is_available()).unwrap_or(Self::Portable)
    }

    /// Whether this machine has it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => x86::has_avx2(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => x86::has_avx512(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }

    /// Runs a task with these instructions, or with plain ones where the machine has them not.
    pub(crate) fn run<T: Task>(self, task: T) -> T::Output {
        #[cfg(target_arch = "x86_64")]
        match self {
            Self::Avx512 if x86::has_avx512() => return x86::with_avx512(task),
            Self::Avx2 if x86::has_avx2() => return x86::with_avx2(task),
            _ => {}
        }
        task.run(Portable)
    }
}

impl fmt::Display for InstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        })
    }
}
