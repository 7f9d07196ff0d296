//! Verification: do both ends hold the same bits? One universal hash, its tag counted as leak.

use crqkd_bits::{PolyHash64, SecretBits};

/// Bits that the tag discloses.
pub const TAG_BITS: u64 = 64;

/// The tag of `key` under the hash key `hash_key`, which Alice draws after Bob has finished correcting.
pub(crate) fn tag(hash_key: u64, key: &SecretBits) -> u64 {
    PolyHash64::new(hash_key).hash(key.expose())
}

/// Probability that two different keys of `bits` bits have one tag.
pub(crate) fn collision_bound(bits: usize) -> f64 {
    PolyHash64::collision_bound(bits)
}
