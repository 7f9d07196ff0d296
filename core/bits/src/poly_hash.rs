//! [`PolyHash64`]: the universal hash of verification.

use std::fmt;

use zeroize::Zeroize;

use crate::BitString;
use crate::clmul::Engine;

/// A polynomial hash over GF(2^64) = GF(2)\[z\]/(z^64 + z^4 + z^3 + z + 1).
///
/// With the message in 64-bit words w₁..w_L (first bit = coefficient of z⁰, the last word filled with zeros), its
/// length b in bits and the key k:
///
/// `H_k = w₁·k^(L+1) + w₂·k^L + … + w_L·k² + b·k`
///
/// **Bound.** Two different messages (of any lengths up to b bits) have polynomials that differ, of degree at most
/// L+1 = ⌈b/64⌉+1 and without constant term, so over a uniform key they collide, or differ by any chosen value, with
/// probability at most (⌈b/64⌉+1)/2^64: 2^−50.07 for a million bits, see [`collision_bound`](Self::collision_bound).
/// As an authentication tag, xor 64 fresh pad bits, this is the probability of a forgery per attempt; the key may
/// then be used again. Sent in the clear, as for verification, the tag reveals 64 bits and the key is used once,
/// and it must be drawn after the messages are fixed.
pub struct PolyHash64 {
    key: u64,
}

impl PolyHash64 {
    /// The hash with this key, which is uniformly random in use.
    pub fn new(key: u64) -> Self {
        Self { key }
    }

    /// The 64-bit hash H_k of `bits` under this key, by the formula of [`PolyHash64`].
    pub fn hash(&self, bits: &BitString) -> u64 {
        let engine = Engine::best();
        let sum = bits.words().iter().fold(0, |sum, &word| engine.gf64_mul(sum ^ word, self.key));
        engine.gf64_mul(sum ^ bits.len() as u64, self.key)
    }

    /// Upper bound on the probability, over the key, that two different messages of at most `bits` bits collide.
    pub fn collision_bound(bits: usize) -> f64 {
        (bits.div_ceil(64) as f64 + 1.0) / 2f64.powi(64)
    }
}

impl Drop for PolyHash64 {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl fmt::Debug for PolyHash64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PolyHash64")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;

    use super::*;

    /// Lines of `key message tag`, made by `tests/vectors/poly_hash.py` (shift-and-add arithmetic of its own).
    const VECTORS: &str = include_str!("../tests/vectors/poly_hash.txt");

    #[test]
    fn vectors_of_an_independent_script_hold() {
        let mut count = 0;
        for line in VECTORS.lines().filter(|l| !l.starts_with('#')) {
            let fields: Vec<&str> = line.split(' ').collect();
            let key = u64::from_str_radix(fields[0], 16).unwrap();
            let tag = u64::from_str_radix(fields[2], 16).unwrap();
            let message: BitString = fields[1].trim_matches('"').parse().unwrap();
            assert_eq!(PolyHash64::new(key).hash(&message), tag, "{line}");
            count += 1;
        }
        assert_eq!(count, 24);
    }

    #[test]
    fn the_bound_for_a_million_bits() {
        assert!((PolyHash64::collision_bound(1_000_000).log2() + 50.07).abs() < 0.01);
    }

    proptest! {
        #[test]
        fn another_bit_or_length_gives_another_tag(len in 1usize..500, at in 0usize..500, seed: u64) {
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let hash = PolyHash64::new(rand::Rng::random(&mut rng));
            let bits = BitString::random(&mut rng, len);
            let mut flipped = bits.clone();
            flipped.set(at % len, !flipped[at % len]);
            let mut longer = bits.clone();
            longer.push(false);
            prop_assert_ne!(hash.hash(&bits), hash.hash(&flipped));
            prop_assert_ne!(hash.hash(&bits), hash.hash(&longer));
        }
    }
}
