//! [`BitString`]: packed public bits.

use std::fmt;
use std::ops::{Index, Range};
use std::str::FromStr;

use rand::{Rng, RngCore};
use zeroize::Zeroize;

use crate::{BitsError, Iter};

/// Bits that anyone may see, packed into 64-bit words.
///
/// Bit `i` is bit `i % 64` (counted from the least significant) of word `i / 64`; the unused bits of the last word
/// are always zero. Bytes and texts hold the first bit first: the most significant bit of the first byte is bit 0.
///
/// ```
/// use crqkd_bits::BitString;
/// let bits: BitString = "1010011".parse()?;
/// assert_eq!(bits.to_bytes(), [0b1010_0110]);
/// assert_eq!(bits.count_ones(), 4);
/// # Ok::<(), crqkd_bits::BitsError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct BitString {
    words: Vec<u64>,
    len: usize,
}

/// Words that hold `len` bits.
pub(crate) fn words_for(len: usize) -> usize {
    len.div_ceil(64)
}

impl BitString {
    /// Makes an empty string of 0 bits, without allocating.
    pub fn new() -> Self {
        Self::default()
    }

    /// `len` zeros.
    pub fn with_len(len: usize) -> Self {
        Self { words: vec![0; words_for(len)], len }
    }

    /// No bits, with room for `len` of them.
    pub fn with_capacity(len: usize) -> Self {
        Self { words: Vec::with_capacity(words_for(len)), len: 0 }
    }

    /// `len` uniformly random bits.
    pub fn random<R: Rng + ?Sized>(rng: &mut R, len: usize) -> Self {
        let words = (0..words_for(len)).map(|_| RngCore::next_u64(rng)).collect();
        Self::from_words(words, len)
    }

    /// One bit per byte: zero is 0, anything else is 1.
    pub fn from_bits(bits: &[u8]) -> Self {
        bits.iter().map(|&b| b != 0).collect()
    }

    /// The first `len` bits of `bytes`, most significant bit first.
    ///
    /// # Errors
    /// [`BitsError::TooShort`] when `bytes` has fewer than `len` bits.
    pub fn from_bytes(bytes: &[u8], len: usize) -> Result<Self, BitsError> {
        let available = bytes.len().saturating_mul(8);
        if len > available {
            return Err(BitsError::TooShort { needed: len, available });
        }
        let words = bytes[..len.div_ceil(8)]
            .chunks(8)
            .map(|chunk| {
                let mut word = [0u8; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                u64::from_be_bytes(word).reverse_bits()
            })
            .collect();
        Ok(Self::from_words(words, len))
    }

    /// `len` bits out of `words` (bit `i` is bit `i % 64` of word `i / 64`); surplus words are dropped, missing ones
    /// are zero.
    pub fn from_words(mut words: Vec<u64>, len: usize) -> Self {
        words.resize(words_for(len), 0);
        let mut bits = Self { words, len };
        bits.clear_tail();
        bits
    }

    /// Appends `bit` as the new last bit; its index is the length before the call.
    pub fn push(&mut self, bit: bool) {
        let shift = self.len % 64;
        if shift == 0 {
            self.words.push(0);
        }
        self.len += 1;
        // Without a branch: key bits cannot be predicted.
        if let Some(last) = self.words.last_mut() {
            *last |= u64::from(bit) << shift;
        }
    }

    /// Sets bit `index`, counted from 0, to `bit`.
    ///
    /// # Panics
    /// When `index` is not below the length, as for a slice.
    pub fn set(&mut self, index: usize, bit: bool) {
        assert!(index < self.len, "bit {index} of {}", self.len);
        let mask = 1u64 << (index % 64);
        if bit {
            self.words[index / 64] |= mask;
        } else {
            self.words[index / 64] &= !mask;
        }
    }

    /// Inverts bit `index`, counted from 0: a 0 becomes 1 and a 1 becomes 0.
    ///
    /// # Panics
    /// When `index` is not below the length, as for a slice.
    pub fn flip(&mut self, index: usize) {
        assert!(index < self.len, "bit {index} of {}", self.len);
        self.words[index / 64] ^= 1 << (index % 64);
    }

    /// Appends all bits of `other`.
    pub fn extend_from(&mut self, other: &Self) {
        let shift = self.len % 64;
        self.len += other.len;
        let needed = words_for(self.len);
        self.words.reserve(needed - self.words.len());
        if shift == 0 {
            self.words.extend_from_slice(&other.words);
        } else {
            for &word in &other.words {
                if let Some(last) = self.words.last_mut() {
                    *last |= word << shift;
                }
                // Never more than was reserved: memory that grows leaves an unwiped copy of a secret behind.
                if self.words.len() < needed {
                    self.words.push(word >> (64 - shift));
                }
            }
        }
        self.words.truncate(needed);
    }

    /// Keeps the first `len` bits; no effect when there are fewer.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.len = len;
            self.words[words_for(len)..].zeroize();
            self.words.truncate(words_for(len));
            self.clear_tail();
        }
    }

    /// `self ^= other`, bit by bit.
    ///
    /// # Errors
    /// [`BitsError::LengthMismatch`] when the lengths differ; `self` is then unchanged.
    pub fn xor_assign(&mut self, other: &Self) -> Result<(), BitsError> {
        self.same_length(other)?;
        for (a, &b) in self.words.iter_mut().zip(&other.words) {
            *a ^= b;
        }
        Ok(())
    }

    /// Length in bits.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the string has no bits at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bit `index`, or `None` past the end. `bits[index]` panics there instead.
    pub fn get(&self, index: usize) -> Option<bool> {
        (index < self.len).then(|| self.words[index / 64] >> (index % 64) & 1 == 1)
    }

    /// Iterates over the bits as `bool`, from bit 0 to the last one.
    pub fn iter(&self) -> Iter<'_> {
        Iter::new(self)
    }

    /// The words: bit `i` is bit `i % 64` of word `i / 64`, unused bits are zero.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// How many bits are 1.
    pub fn count_ones(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// Parity of the bits in `range`, as Cascade discloses it: true when an odd number of them is
    /// 1.
    ///
    /// # Errors
    /// [`BitsError::TooShort`] or [`BitsError::BackwardRange`] when the range does not lie inside.
    pub fn parity(&self, range: Range<usize>) -> Result<bool, BitsError> {
        self.check_range(&range)?;
        let mut folded = 0u64;
        let mut position = range.start;
        while position < range.end {
            let take = (range.end - position).min(64);
            folded ^= self.word_at(position) & mask_low(take);
            position += take;
        }
        Ok(folded.count_ones() % 2 == 1)
    }

    /// In how many positions the two strings differ.
    ///
    /// # Errors
    /// [`BitsError::LengthMismatch`] when the lengths differ.
    pub fn hamming_distance(&self, other: &Self) -> Result<usize, BitsError> {
        self.same_length(other)?;
        Ok(self.words.iter().zip(&other.words).map(|(a, b)| (a ^ b).count_ones() as usize).sum())
    }

    /// A copy of the bits in `range`.
    ///
    /// # Errors
    /// [`BitsError::TooShort`] or [`BitsError::BackwardRange`] when the range does not lie inside.
    pub fn slice(&self, range: Range<usize>) -> Result<Self, BitsError> {
        self.check_range(&range)?;
        let len = range.end - range.start;
        let words = (0..words_for(len)).map(|w| self.word_at(range.start + 64 * w)).collect();
        Ok(Self::from_words(words, len))
    }

    /// The bits in reverse order.
    pub fn reversed(&self) -> Self {
        let unused = words_for(self.len) * 64 - self.len;
        let flipped: Vec<u64> = self.words.iter().rev().map(|w| w.reverse_bits()).collect();
        let whole = Self { len: flipped.len() * 64, words: flipped };
        let words = (0..words_for(self.len)).map(|w| whole.word_at(unused + 64 * w)).collect();
        Self::from_words(words, self.len)
    }

    /// Bytes, most significant bit first; the last byte is filled with zeros.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> =
            self.words.iter().flat_map(|w| w.reverse_bits().to_be_bytes()).collect();
        bytes.truncate(self.len.div_ceil(8));
        bytes
    }

    /// One byte per bit, 0 or 1.
    pub fn to_bits(&self) -> Vec<u8> {
        self.iter().map(u8::from).collect()
    }

    /// 64 bits from `position` on, zero past the end.
    pub(crate) fn word_at(&self, position: usize) -> u64 {
        let (word, shift) = (position / 64, position % 64);
        let at = |i: usize| self.words.get(i).copied().unwrap_or(0);
        if shift == 0 { at(word) } else { at(word) >> shift | at(word + 1) << (64 - shift) }
    }

    /// Words that this string can hold without allocating.
    pub(crate) fn capacity_words(&self) -> usize {
        self.words.capacity()
    }

    fn clear_tail(&mut self) {
        if !self.len.is_multiple_of(64)
            && let Some(last) = self.words.last_mut()
        {
            *last &= mask_low(self.len % 64);
        }
    }

    fn same_length(&self, other: &Self) -> Result<(), BitsError> {
        if self.len == other.len {
            Ok(())
        } else {
            Err(BitsError::LengthMismatch { left: self.len, right: other.len })
        }
    }

    fn check_range(&self, range: &Range<usize>) -> Result<(), BitsError> {
        if range.end > self.len {
            Err(BitsError::TooShort { needed: range.end, available: self.len })
        } else if range.start > range.end {
            Err(BitsError::BackwardRange { start: range.start, end: range.end })
        } else {
            Ok(())
        }
    }
}

/// The low `n` bits, n = 0..=64.
fn mask_low(n: usize) -> u64 {
    if n >= 64 { u64::MAX } else { (1 << n) - 1 }
}

impl Zeroize for BitString {
    fn zeroize(&mut self) {
        self.words.zeroize();
        self.len = 0;
    }
}

impl Index<usize> for BitString {
    type Output = bool;

    fn index(&self, index: usize) -> &bool {
        match self.get(index) {
            Some(true) => &true,
            Some(false) => &false,
            None => out_of_range(index, self.len),
        }
    }
}

#[cold]
#[expect(clippy::panic, reason = "indexing past the end panics, as for a slice; `get` does not")]
fn out_of_range(index: usize, len: usize) -> ! {
    panic!("bit {index} of {len}")
}

impl FromIterator<bool> for BitString {
    fn from_iter<I: IntoIterator<Item = bool>>(iter: I) -> Self {
        let mut bits = Self::new();
        bits.extend(iter);
        bits
    }
}

impl Extend<bool> for BitString {
    fn extend<I: IntoIterator<Item = bool>>(&mut self, iter: I) {
        let iter = iter.into_iter();
        self.words.reserve(iter.size_hint().0 / 64);
        iter.for_each(|bit| self.push(bit));
    }
}

impl FromStr for BitString {
    type Err = BitsError;

    fn from_str(text: &str) -> Result<Self, BitsError> {
        text.chars()
            .enumerate()
            .map(|(position, found)| match found {
                '0' => Ok(false),
                '1' => Ok(true),
                _ => Err(BitsError::BadDigit { position, found }),
            })
            .collect()
    }
}

impl fmt::Display for BitString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|bit| f.write_str(if bit { "1" } else { "0" }))
    }
}

impl fmt::Debug for BitString {
    /// The length and the first 64 bits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BitString({}: ", self.len)?;
        self.iter().take(64).try_for_each(|bit| f.write_str(if bit { "1" } else { "0" }))?;
        f.write_str(if self.len > 64 { "...)" } else { ")" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Else the copy in the old memory would stay unwiped.
    #[test]
    fn what_has_room_does_not_move() {
        for (have, more) in [(63, 1), (1, 63), (40, 88), (127, 1)] {
            let mut bits = BitString::with_capacity(have + more);
            bits.extend_from(&BitString::with_len(have));
            bits.words.shrink_to(words_for(have + more));
            let (place, room) = (bits.words.as_ptr(), bits.words.capacity());
            bits.extend_from(&BitString::with_len(more));
            assert_eq!(
                (bits.words.as_ptr(), bits.words.capacity()),
                (place, room),
                "{have} {more}"
            );
            assert_eq!(bits.len(), have + more);
        }
    }

    #[test]
    fn bytes_hold_the_first_bit_first() {
        let bits: BitString = "1000000000000001011".parse().unwrap();
        assert_eq!(bits.to_bytes(), [0x80, 0x01, 0x60]);
        assert_eq!(BitString::from_bytes(&[0x80, 0x01, 0x60], 19).unwrap(), bits);
        assert_eq!(bits.words(), [0b110_1000_0000_0000_0001]);
    }

    #[test]
    fn debug_is_bounded_and_display_is_whole() {
        let bits = BitString::with_len(100);
        assert_eq!(format!("{bits}").len(), 100);
        assert_eq!(format!("{bits:?}"), format!("BitString(100: {}...)", "0".repeat(64)));
    }

    #[test]
    fn wrong_lengths_and_digits_are_errors_with_numbers() {
        let (mut a, b) = (BitString::with_len(3), BitString::with_len(4));
        assert_eq!(a.xor_assign(&b), Err(BitsError::LengthMismatch { left: 3, right: 4 }));
        assert_eq!(a.hamming_distance(&b), Err(BitsError::LengthMismatch { left: 3, right: 4 }));
        assert_eq!(b.slice(2..5), Err(BitsError::TooShort { needed: 5, available: 4 }));
        #[expect(clippy::reversed_empty_ranges)]
        let backward = b.slice(3..2);
        assert_eq!(backward, Err(BitsError::BackwardRange { start: 3, end: 2 }));
        assert_eq!(
            "01x".parse::<BitString>(),
            Err(BitsError::BadDigit { position: 2, found: 'x' })
        );
        assert_eq!(
            BitString::from_bytes(&[0], 9),
            Err(BitsError::TooShort { needed: 9, available: 8 })
        );
        assert_eq!(b.get(4), None);
    }

    proptest! {
        #[test]
        fn every_form_goes_there_and_back(bits in prop::collection::vec(0u8..=1, 0..300)) {
            let string = BitString::from_bits(&bits);
            prop_assert_eq!(string.len(), bits.len());
            prop_assert_eq!(string.to_bits(), bits.clone());
            prop_assert_eq!(BitString::from_bytes(&string.to_bytes(), bits.len()).unwrap(), string.clone());
            prop_assert_eq!(string.to_string().parse::<BitString>().unwrap(), string.clone());
            prop_assert_eq!(BitString::from_words(string.words().to_vec(), bits.len()), string.clone());
            prop_assert_eq!(string.count_ones(), bits.iter().filter(|&&b| b == 1).count());
            let mut back = bits.clone();
            back.reverse();
            prop_assert_eq!(string.reversed().to_bits(), back.clone());
            prop_assert_eq!(string.iter().rev().map(u8::from).collect::<Vec<_>>(), back);
        }

        #[test]
        fn editing_agrees_with_a_vector_of_bools(
            a in prop::collection::vec(any::<bool>(), 0..200),
            b in prop::collection::vec(any::<bool>(), 0..200),
            cut in 0usize..400, from in 0usize..400, to in 0usize..400,
        ) {
            let mut string: BitString = a.iter().copied().collect();
            string.extend_from(&b.iter().copied().collect());
            let mut plain = a.clone();
            plain.extend(&b);
            prop_assert_eq!(&string, &plain.iter().copied().collect());
            let (from, to) = (from.min(plain.len()), to.min(plain.len()));
            if from <= to {
                let part = &plain[from..to];
                prop_assert_eq!(string.slice(from..to).unwrap(), part.iter().copied().collect());
                prop_assert_eq!(string.parity(from..to).unwrap(), part.iter().fold(false, |x, &y| x ^ y));
            } else {
                prop_assert!(string.slice(from..to).is_err());
            }
            if cut < plain.len() {
                string.flip(cut);
                plain[cut] = !plain[cut];
                prop_assert_eq!(string[cut], plain[cut]);
                string.set(from % plain.len(), false);
                let at = from % plain.len();
                plain[at] = false;
            }
            string.truncate(cut);
            plain.truncate(cut);
            prop_assert_eq!(&string, &plain.iter().copied().collect());
        }

        #[test]
        fn distance_counts_the_ones_of_the_xor(len in 0usize..300, seed in any::<u64>()) {
            use rand::SeedableRng;
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let (a, b) = (BitString::random(&mut rng, len), BitString::random(&mut rng, len));
            let mut x = a.clone();
            x.xor_assign(&b).unwrap();
            prop_assert_eq!(a.hamming_distance(&b).unwrap(), x.count_ones());
            x.xor_assign(&b).unwrap();
            prop_assert_eq!(x, a);
        }
    }
}
