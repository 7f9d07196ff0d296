//! [`BitSieve`]: bits that are kept or dropped, without a branch on either.

use zeroize::Zeroize;

use crate::BitString;
use crate::bit_string::words_for;

/// Collects those bits that are to be kept.
///
/// Whether a bit is kept is as unpredictable as the bit when bases are compared; a branch costs more there than the work.
/// What was collected is wiped when the sieve is dropped unfinished.
///
/// ```
/// use crqkd_bits::BitSieve;
/// let mut sieve = BitSieve::with_capacity(3);
/// for (bit, keep) in [(true, true), (true, false), (false, true)] {
///     sieve.push_if(bit, keep);
/// }
/// assert_eq!(sieve.finish().to_string(), "10");
/// ```
pub struct BitSieve {
    words: Vec<u64>,
    len: usize,
}

impl BitSieve {
    /// Room for `most` bits offered.
    pub fn with_capacity(most: usize) -> Self {
        // One more word: a bit that is dropped is written past the last one that was kept.
        Self { words: vec![0; words_for(most) + 1], len: 0 }
    }

    /// Offers `bit`: it is appended when `keep` is true and dropped otherwise, without a branch.
    ///
    /// # Panics
    /// When more bits were kept than there is room for.
    #[inline]
    pub fn push_if(&mut self, bit: bool, keep: bool) {
        self.words[self.len / 64] |= u64::from(bit & keep) << (self.len % 64);
        self.len += usize::from(keep);
    }

    /// How many bits were kept.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when no bit was kept.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What was kept, in order.
    pub fn finish(mut self) -> BitString {
        let mut words = std::mem::take(&mut self.words);
        words.truncate(words_for(self.len));
        BitString::from_words(words, self.len)
    }
}

impl Drop for BitSieve {
    fn drop(&mut self) {
        self.words.zeroize();
    }
}

impl std::fmt::Debug for BitSieve {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BitSieve({} bits)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_kept_is_what_a_filter_keeps(offered: Vec<(bool, bool)>) {
            let mut sieve = BitSieve::with_capacity(offered.len());
            offered.iter().for_each(|&(bit, keep)| sieve.push_if(bit, keep));
            let kept: BitString = offered.iter().filter(|(_, keep)| *keep).map(|(bit, _)| *bit).collect();
            prop_assert_eq!(sieve.len(), kept.len());
            prop_assert_eq!(sieve.finish(), kept);
        }
    }
}
