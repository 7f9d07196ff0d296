//! [`SecretBits`]: bits that stay secret, and [`Fingerprint`]: all that is shown of them.

use std::fmt;

use rand::Rng;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::{BitString, BitsError};

/// Secret bits: wiped when dropped, compared in constant time, printed as a length only.
///
/// There is no `Clone`, `Copy`, `PartialEq` or `Serialize`: a second copy is made by [`duplicate`](Self::duplicate),
/// the bits are reached by [`expose`](Self::expose), and both names are easy to search for. Lengths are not secret.
///
/// ```compile_fail
/// let bits = crqkd_bits::SecretBits::from(crqkd_bits::BitString::with_len(8));
/// let copy = bits.clone();
/// ```
#[derive(Default)]
pub struct SecretBits {
    bits: BitString,
}

impl SecretBits {
    /// An empty string of secret bits.
    pub fn new() -> Self {
        Self::default()
    }

    /// `len` uniformly random bits. For real keys `rng` is the operating system's generator.
    pub fn random<R: Rng + ?Sized>(rng: &mut R, len: usize) -> Self {
        Self { bits: BitString::random(rng, len) }
    }

    /// Moves the first `count` bits out; the rest moves up.
    ///
    /// # Errors
    /// [`BitsError::TooShort`] when there are fewer; nothing is then moved.
    pub fn take_front(&mut self, count: usize) -> Result<Self, BitsError> {
        let front = self.bits.slice(0..count)?;
        let rest = self.bits.slice(count..self.bits.len())?;
        self.bits.zeroize();
        self.bits = rest;
        Ok(Self { bits: front })
    }

    /// Appends `other`, which is consumed. No unwiped copy is left behind when the memory has to grow.
    pub fn append(&mut self, other: Self) {
        let total = self.bits.len() + other.bits.len();
        if self.bits.capacity_words() * 64 < total {
            let mut grown = BitString::with_capacity(total.max(2 * self.bits.len()));
            grown.extend_from(&self.bits);
            self.bits.zeroize();
            self.bits = grown;
        }
        self.bits.extend_from(&other.bits);
    }

    /// Flips bit `index`, as error correction does.
    ///
    /// # Panics
    /// When `index` is not below the length, as for a slice.
    pub fn flip(&mut self, index: usize) {
        self.bits.flip(index);
    }

    /// `self ^= other`.
    ///
    /// # Errors
    /// [`BitsError::LengthMismatch`] when the lengths differ.
    pub fn xor_assign(&mut self, other: &Self) -> Result<(), BitsError> {
        self.bits.xor_assign(&other.bits)
    }

    /// The bits, given up: they are public from here on, or wiped by the caller.
    pub fn into_exposed(mut self) -> BitString {
        std::mem::take(&mut self.bits)
    }

    /// Length in bits.
    pub fn len(&self) -> usize {
        self.bits.len()
    }

    /// Whether there are no bits at all.
    pub fn is_empty(&self) -> bool {
        self.bits.is_empty()
    }

    /// The bits themselves, to compute with. Never print, log or send what this returns.
    pub fn expose(&self) -> &BitString {
        &self.bits
    }

    /// A second copy, for the few places that need one (a durable store, a simulated second end). Never to use one
    /// pad twice.
    pub fn duplicate(&self) -> Self {
        Self { bits: self.bits.clone() }
    }

    /// Equality in constant time; strings of different lengths are unequal.
    pub fn ct_eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.bits.words().ct_eq(other.bits.words()).into()
    }

    /// What may be shown of these bits; see [`Fingerprint`].
    pub fn fingerprint(&self) -> Fingerprint {
        let bytes = Zeroizing::new(self.bits.to_bytes());
        let mut hash = Sha256::new();
        hash.update(b"crqkd fingerprint\0");
        hash.update((self.len() as u64).to_be_bytes());
        hash.update(bytes.as_slice());
        let digest = hash.finalize();
        Fingerprint([digest[0], digest[1], digest[2], digest[3]])
    }
}

impl From<BitString> for SecretBits {
    fn from(bits: BitString) -> Self {
        Self { bits }
    }
}

impl Drop for SecretBits {
    fn drop(&mut self) {
        self.bits.zeroize();
    }
}

impl fmt::Debug for SecretBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBits({})", self.len())
    }
}

/// The first 8 hex digits of a SHA-256 over a label, the length and the bits.
///
/// For people who compare two ends. It tells a reader at most 32 bits about the secret, so it is shown of whole keys,
/// never of pads or short groups, and it never decides what is accepted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 4]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn fingerprint_is_the_labelled_sha256() {
        // python: hashlib.sha256(b"crqkd fingerprint\0" + (12).to_bytes(8, "big") + b"\xab\xc0").hexdigest()[:8]
        let bits: SecretBits = BitString::from_bytes(&[0xab, 0xc0], 12).unwrap().into();
        assert_eq!(bits.fingerprint().to_string(), "ba5d4502");
        assert_eq!(serde_json::to_string(&bits.fingerprint()).unwrap(), "\"ba5d4502\"");
    }

    #[test]
    fn debug_shows_the_length_only() {
        assert_eq!(format!("{:?}", SecretBits::from(BitString::with_len(17))), "SecretBits(17)");
    }

    #[test]
    fn equality_looks_at_every_bit_and_at_the_length() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let bits = SecretBits::random(&mut rng, 131);
        assert!(bits.ct_eq(&bits.duplicate()));
        for i in 0..131 {
            let mut other = bits.expose().clone();
            other.set(i, !other[i]);
            assert!(!bits.ct_eq(&other.into()));
        }
        assert!(!SecretBits::from(BitString::with_len(3)).ct_eq(&BitString::with_len(4).into()));
    }

    #[test]
    fn taking_too_much_moves_nothing() {
        let mut bits = SecretBits::from(BitString::with_len(5));
        assert!(bits.take_front(6).is_err());
        assert_eq!(bits.len(), 5);
    }

    proptest! {
        #[test]
        fn front_and_rest_join_to_the_whole(len in 0usize..400, cut in 0usize..400, seed: u64) {
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let whole = SecretBits::random(&mut rng, len);
            let mut rest = whole.duplicate();
            let cut = cut.min(len);
            let mut front = rest.take_front(cut).unwrap();
            prop_assert_eq!((front.len(), rest.len()), (cut, len - cut));
            front.append(rest);
            prop_assert!(front.ct_eq(&whole));
        }
    }
}
