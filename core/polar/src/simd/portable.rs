//! The reference: every operation lane by lane, which the compiler vectorises as far as the target allows.

use super::{Block, LANES, Simd, Stage, WordBlock};

/// The operations in plain Rust, for any machine.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

const HALF: usize = LANES / 2;

#[inline(always)]
fn bytes(f: impl Fn(usize) -> i8) -> Block {
    let mut out = Block::ZERO;
    for (i, lane) in out.0.iter_mut().enumerate() {
        *lane = f(i);
    }
    out
}

#[inline(always)]
fn words(f: impl Fn(usize) -> u16) -> WordBlock {
    let mut out = WordBlock([0; HALF]);
    for (i, lane) in out.0.iter_mut().enumerate() {
        *lane = f(i);
    }
    out
}

#[inline(always)]
fn mask(f: impl Fn(usize) -> bool) -> u64 {
    // Eight lanes at a time, so that the compiler sees independent chains.
    let mut out = 0;
    for byte in 0..8 {
        let mut part = 0u64;
        for bit in 0..8 {
            part |= u64::from(f(8 * byte + bit)) << bit;
        }
        out |= part << (8 * byte);
    }
    out
}

impl Simd for Portable {
    type Bytes = Block;
    type Words = WordBlock;

    #[inline]
    fn load(self, block: &Block) -> Block {
        *block
    }
    #[inline]
    fn store(self, bytes: Block, block: &mut Block) {
        *block = bytes;
    }
    #[inline]
    fn splat(self, value: i8) -> Block {
        Block([value; LANES])
    }
    #[inline]
    fn min(self, a: Block, b: Block) -> Block {
        bytes(|i| a.0[i].min(b.0[i]))
    }
    #[inline]
    fn max(self, a: Block, b: Block) -> Block {
        bytes(|i| a.0[i].max(b.0[i]))
    }
    #[inline]
    fn add(self, a: Block, b: Block) -> Block {
        bytes(|i| a.0[i].saturating_add(b.0[i]))
    }
    #[inline]
    fn sub(self, a: Block, b: Block) -> Block {
        bytes(|i| a.0[i].saturating_sub(b.0[i]))
    }
    #[inline]
    fn add_unsigned(self, a: Block, b: Block) -> Block {
        bytes(|i| (a.0[i] as u8).saturating_add(b.0[i] as u8) as i8)
    }
    #[inline]
    fn or(self, a: Block, b: Block) -> Block {
        bytes(|i| a.0[i] | b.0[i])
    }
    #[inline(never)]
    fn negate(self, a: Block, mask: u64) -> Block {
        bytes(|i| {
            let sign = -((mask >> i & 1) as i8);
            (a.0[i] ^ sign).wrapping_sub(sign)
        })
    }
    #[inline(never)]
    fn shuffle<const PATHS: usize>(self, a: Block, order: Block) -> Block {
        bytes(|i| a.0[order.0[i] as usize % LANES])
    }
    #[inline(never)]
    fn shuffle_bits(self, bits: u64, order: Block) -> u64 {
        mask(|i| bits >> (order.0[i] & 63) & 1 == 1)
    }
    #[inline(never)]
    fn negative(self, a: Block) -> u64 {
        mask(|i| a.0[i] < 0)
    }
    #[inline(never)]
    fn equal(self, a: Block, b: Block) -> u64 {
        mask(|i| a.0[i] == b.0[i])
    }
    #[inline(never)]
    fn odd(self, a: Block) -> u64 {
        mask(|i| a.0[i] & 1 == 1)
    }
    #[inline(never)]
    fn pick(self, mask: u64, a: Block, b: Block) -> Block {
        bytes(|i| if mask >> i & 1 == 1 { a.0[i] } else { b.0[i] })
    }
    #[inline]
    fn halve(self, a: Block) -> Block {
        bytes(|i| a.0[i] >> 1)
    }
    #[inline(never)]
    fn widen(self, a: Block) -> [WordBlock; 2] {
        [words(|i| u16::from(a.0[i] as u8)), words(|i| u16::from(a.0[HALF + i] as u8))]
    }
    #[inline(never)]
    fn narrow(self, words: [WordBlock; 2]) -> Block {
        bytes(|i| words[i / HALF].0[i % HALF] as i8)
    }
    #[inline(never)]
    fn interleave(self, low: Block, high: Block) -> [WordBlock; 2] {
        let word = |i: usize| u16::from_le_bytes([low.0[i] as u8, high.0[i] as u8]);
        [words(word), words(|i| word(HALF + i))]
    }
    #[inline(never)]
    fn separate(self, words: [WordBlock; 2]) -> (Block, Block) {
        let at = |i: usize| words[i / HALF].0[i % HALF];
        (bytes(|i| at(i) as i8), bytes(|i| (at(i) >> 8) as i8))
    }
    #[inline]
    fn load_words(self, block: &WordBlock) -> WordBlock {
        *block
    }
    #[inline]
    fn store_words(self, words: WordBlock, block: &mut WordBlock) {
        *block = words;
    }
    #[inline]
    fn splat_words(self, value: u16) -> WordBlock {
        WordBlock([value; HALF])
    }
    #[inline]
    fn add_words(self, a: WordBlock, b: WordBlock) -> WordBlock {
        words(|i| a.0[i].saturating_add(b.0[i]))
    }
    #[inline]
    fn sub_words(self, a: WordBlock, b: WordBlock) -> WordBlock {
        words(|i| a.0[i].saturating_sub(b.0[i]))
    }
    #[inline]
    fn min_words(self, a: WordBlock, b: WordBlock) -> WordBlock {
        words(|i| a.0[i].min(b.0[i]))
    }
    #[inline]
    fn max_words(self, a: WordBlock, b: WordBlock) -> WordBlock {
        words(|i| a.0[i].max(b.0[i]))
    }
    #[inline]
    fn or_words(self, a: WordBlock, b: WordBlock) -> WordBlock {
        words(|i| a.0[i] | b.0[i])
    }
    #[inline]
    fn and_words(self, a: WordBlock, b: WordBlock) -> WordBlock {
        words(|i| a.0[i] & b.0[i])
    }
    #[inline]
    fn shift_left<const BY: i32>(self, a: WordBlock) -> WordBlock {
        words(|i| a.0[i] << BY)
    }
    #[inline]
    fn shift_right<const BY: i32>(self, a: WordBlock) -> WordBlock {
        words(|i| a.0[i] >> BY)
    }
    #[inline(never)]
    fn partner<const STRIDE: usize>(self, a: WordBlock) -> WordBlock {
        words(|i| a.0[i ^ STRIDE])
    }
    #[inline(never)]
    fn exchange<const BLOCK: usize, const STRIDE: usize, const DOWN: bool>(
        self,
        a: WordBlock,
    ) -> WordBlock {
        let upper = Stage::<BLOCK, STRIDE, DOWN>::UPPER_WORDS;
        words(|i| {
            let (own, other) = (a.0[i], a.0[i ^ STRIDE]);
            (own.max(other) & upper.0[i]) | (own.min(other) & !upper.0[i])
        })
    }
}
