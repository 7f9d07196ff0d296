//! [`TagHash`]: the keyed hash under a one-time pad that authenticates messages.

use zeroize::{Zeroize, Zeroizing};

use crate::clmul::{Engine, Powers};
use crate::{BitsError, SecretBits};

/// An almost-xor-universal hash of any bytes to at most 64 bits, for Wegman-Carter tags.
///
/// Over GF(2^128) = GF(2)\[z\]/(z^128 + z^7 + z^2 + z + 1), with the message in 16-byte words w₁..w_L (little endian, the
/// last one filled with zeros), its length b in bytes, and the key (k, r):
///
/// `H = the low t bits of r · (w₁·k^(L+1) + … + w_L·k² + b·k)`
///
/// **Bound.** The polynomials of two different messages differ, and are equal at k with probability at most
/// (L+1)/2^128. Where they differ, r times the difference is uniform, so the low t bits of it are any given value with
/// probability 2^−t. A tag of t bits, xor t fresh pad bits, is therefore forged with probability at most
/// 2^−t + (L+1)/2^128 an attempt, see [`forgery_bound`](Self::forgery_bound), and (k, r) may be used for every message
/// as the pads hide it (Wegman and Carter 1981).
pub struct TagHash {
    powers: Powers,
    last: u128,
    engine: Engine,
    sum: u128,
    word: [u8; 16],
    filled: usize,
    len: u64,
}

impl TagHash {
    /// Bits of the key (k, r).
    pub const KEY_BITS: usize = 256;

    /// A hash without any message yet; the key has 256 bits.
    ///
    /// # Errors
    /// [`BitsError::LengthMismatch`] when the key does not have exactly 256 bits.
    pub fn new(key: &SecretBits) -> Result<Self, BitsError> {
        let words: [u64; 4] = match key.expose().words().try_into() {
            Ok(words) if key.len() == Self::KEY_BITS => words,
            _ => {
                return Err(BitsError::LengthMismatch { left: key.len(), right: Self::KEY_BITS });
            }
        };
        let wide = |low: u64, high: u64| u128::from(low) | u128::from(high) << 64;
        let (engine, key) = (Engine::best(), wide(words[0], words[1]));
        let square = engine.gf128_mul(key, key);
        let powers = [key, square, engine.gf128_mul(square, key), engine.gf128_mul(square, square)];
        Ok(Self {
            powers,
            last: wide(words[2], words[3]),
            engine,
            sum: 0,
            word: [0; 16],
            filled: 0,
            len: 0,
        })
    }

    /// Appends bytes to the message, in any portions.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.len += bytes.len() as u64;
        if self.filled > 0 {
            let (now, later) = bytes.split_at(bytes.len().min(16 - self.filled));
            self.word[self.filled..self.filled + now.len()].copy_from_slice(now);
            self.filled += now.len();
            bytes = later;
            if self.filled < 16 {
                return;
            }
            self.filled = 0;
            self.sum = self.engine.gf128_horner(self.sum, &self.powers, &self.word);
        }
        let (words, rest) = bytes.split_at(bytes.len() - bytes.len() % 16);
        self.sum = self.engine.gf128_horner(self.sum, &self.powers, words);
        self.word[..rest.len()].copy_from_slice(rest);
        self.filled = rest.len();
    }

    /// The hash of everything so far, `tag_bits` (1..=64) of it.
    pub fn finish(&self, tag_bits: u32) -> u64 {
        let mut sum = self.sum;
        if self.filled > 0 {
            let mut word = Zeroizing::new(self.word);
            word[self.filled..].fill(0);
            sum = self.engine.gf128_horner(sum, &self.powers, &*word);
        }
        let len = u128::from(self.len).to_le_bytes();
        sum = self.engine.gf128_horner(sum, &self.powers, &len);
        let hash = self.engine.gf128_mul(sum, self.last) as u64;
        hash & (u64::MAX >> (64 - tag_bits.clamp(1, 64)))
    }

    /// Length in bytes of the message so far, over all calls of [`update`](Self::update).
    pub fn message_bytes(&self) -> u64 {
        self.len
    }

    /// Upper bound on the probability that one forged message of at most `bytes` bytes is accepted.
    pub fn forgery_bound(bytes: u64, tag_bits: u32) -> f64 {
        2f64.powi(-(tag_bits.clamp(1, 64) as i32))
            + (bytes.div_ceil(16) as f64 + 1.0) * 2f64.powi(-128)
    }
}

impl Drop for TagHash {
    fn drop(&mut self) {
        self.powers.zeroize();
        self.last.zeroize();
        self.sum.zeroize();
        self.word.zeroize();
    }
}

impl std::fmt::Debug for TagHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TagHash({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};

    use super::*;

    /// Shift and add, reducing at each step.
    fn plain(x: u128, y: u128) -> u128 {
        (0..128).rev().fold(0, |sum: u128, i| {
            let carry = if sum >> 127 == 1 { 0x87 } else { 0 };
            (sum << 1 ^ carry) ^ if y >> i & 1 == 1 { x } else { 0 }
        })
    }

    fn hash(key: &SecretBits, bytes: &[u8], bits: u32) -> u64 {
        let mut hash = TagHash::new(key).unwrap();
        hash.update(bytes);
        hash.finish(bits)
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        assert!(TagHash::new(&SecretBits::from(crate::BitString::with_len(255))).is_err());
    }

    #[test]
    fn the_bound_counts_the_tag_and_the_length() {
        assert_eq!(TagHash::forgery_bound(0, 8), 2f64.powi(-8) + 2f64.powi(-128));
        assert!((TagHash::forgery_bound(1 << 24, 64).log2() + 64.0).abs() < 1e-9);
    }

    #[test]
    fn short_tags_of_other_messages_collide_as_often_as_the_bound_says() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(8);
        let mut hits = 0;
        for _ in 0..51_200 {
            let key = SecretBits::random(&mut rng, 256);
            let (a, shift): ([u8; 40], u64) = (rng.random(), rng.random_range(0..256));
            let mut b = a;
            b[rng.random_range(0..40)] ^= rng.random_range(1..=255u8);
            hits += u32::from(hash(&key, &a, 8) ^ hash(&key, &b, 8) == shift);
        }
        // 200 expected, sigma 14.
        assert!(hits.abs_diff(200) < 57, "{hits}");
    }

    proptest! {
        #[test]
        fn the_product_is_shift_and_add(x: u128, y: u128) {
            for engine in Engine::all() {
                prop_assert_eq!(engine.gf128_mul(x, y), plain(x, y), "{:?}", engine);
            }
        }

        #[test]
        fn four_words_a_reduction_are_one_after_the_other(
            bytes in prop::collection::vec(any::<u8>(), 0..300), key: u128, from: u128,
        ) {
            let words = bytes.chunks_exact(16).map(|word| u128::from_le_bytes(word.try_into().unwrap()));
            let expected = words.fold(from, |sum, word| plain(sum ^ word, key));
            let square = plain(key, key);
            let powers = [key, square, plain(square, key), plain(square, square)];
            for engine in Engine::all() {
                let seen = engine.gf128_horner(from, &powers, &bytes);
                prop_assert_eq!(seen, expected, "{:?}", engine);
            }
        }

        #[test]
        fn portions_do_not_matter_and_every_byte_and_the_length_do(
            bytes in prop::collection::vec(any::<u8>(), 1..200), cut: usize, at: usize, seed: u64,
        ) {
            let key = SecretBits::random(&mut rand_chacha::ChaCha8Rng::seed_from_u64(seed), 256);
            let whole = hash(&key, &bytes, 64);
            let (a, b) = bytes.split_at(cut % bytes.len());
            let mut parts = TagHash::new(&key).unwrap();
            parts.update(a);
            parts.update(b);
            prop_assert_eq!(parts.finish(64), whole);
            prop_assert_eq!(parts.finish(8), whole & 0xFF);
            let mut other = bytes.clone();
            other[at % bytes.len()] ^= 1;
            prop_assert_ne!(hash(&key, &other, 64), whole);
            let mut longer = bytes.clone();
            longer.push(0);
            prop_assert_ne!(hash(&key, &longer, 64), whole);
        }
    }
}
