//! A block of groups on its way to a key: its public seed and the length of what comes out.

use crqkd_bits::{BitString, BitsError};
use rand::RngCore;

/// Bits of the verification tag that both users compare, v.
pub const TAG_BITS: usize = 64;

/// −log₂ of the security parameter of privacy amplification, eps_PA = 2⁻⁶⁴.
pub const PA_SECURITY_BITS: usize = 64;

/// Length in bits of the key that `group_bits` bits of groups give, 0 when nothing is left.
///
/// l = ΣK − D_A − D_B − f − v − 2·log₂(1/(2·eps_PA))   (DESIGN section 7)
///
/// with v = [`TAG_BITS`] and eps_PA = 2^−[`PA_SECURITY_BITS`]. The deficits D_A and D_B of the pads, the feedback f and
/// the 32 bits that a shown [fingerprint](crqkd_bits::Fingerprint) tells are not accounted until the ledger exists: they
/// count as zero here, so a key of this length is *not* yet a secret key.
///
/// ```
/// // eight groups of 384 bits: 3072 − 64 − 126
/// assert_eq!(crqkd_forwarding::final_key_len(8 * 384), 2882);
/// assert_eq!(crqkd_forwarding::final_key_len(100), 0);
/// ```
pub fn final_key_len(group_bits: usize) -> usize {
    group_bits.saturating_sub(TAG_BITS + 2 * (PA_SECURITY_BITS - 1))
}

/// Public randomness of one block, drawn by the asking user after both have agreed on the list of groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockSeed {
    /// Key of the 64-bit universal hash that verifies the block.
    pub hash_key: u64,
    /// Seed of the Toeplitz matrix: n+m−1 bits for n bits of groups and m bits of key.
    pub toeplitz: BitString,
}

impl BlockSeed {
    /// Bits of a Toeplitz seed for `group_bits` bits of groups.
    pub fn toeplitz_bits(group_bits: usize) -> usize {
        group_bits + final_key_len(group_bits).max(1) - 1
    }

    /// Draws a seed for `group_bits` bits of groups.
    pub fn draw(rng: &mut dyn RngCore, group_bits: usize) -> Self {
        let hash_key = rng.next_u64();
        Self { hash_key, toeplitz: BitString::random(rng, Self::toeplitz_bits(group_bits)) }
    }

    /// Bytes that a seed for `group_bits` bits of groups takes.
    pub fn byte_len(group_bits: usize) -> usize {
        8 + Self::toeplitz_bits(group_bits).div_ceil(8)
    }

    /// The seed as bytes: the hash key (8 bytes, big-endian), then the bits of the Toeplitz matrix.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.hash_key.to_be_bytes().to_vec();
        bytes.extend(self.toeplitz.to_bytes());
        bytes
    }

    /// A seed for `group_bits` bits of groups from its bytes.
    ///
    /// # Errors
    /// [`BitsError::TooShort`] when there are fewer than [`byte_len`](Self::byte_len) bytes.
    pub fn from_bytes(bytes: &[u8], group_bits: usize) -> Result<Self, BitsError> {
        let short = BitsError::TooShort {
            needed: 8 * Self::byte_len(group_bits),
            available: 8 * bytes.len(),
        };
        let (key, toeplitz) = bytes.split_first_chunk::<8>().ok_or(short)?;
        let toeplitz = BitString::from_bytes(toeplitz, Self::toeplitz_bits(group_bits))?;
        Ok(Self { hash_key: u64::from_be_bytes(*key), toeplitz })
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn a_seed_survives_its_bytes() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        for group_bits in [16, 384, 8 * 384] {
            let seed = BlockSeed::draw(&mut rng, group_bits);
            let bytes = seed.to_bytes();
            assert_eq!(bytes.len(), BlockSeed::byte_len(group_bits));
            assert_eq!(BlockSeed::from_bytes(&bytes, group_bits).unwrap(), seed);
            assert!(BlockSeed::from_bytes(&bytes[..bytes.len() - 1], group_bits).is_err());
        }
        assert!(BlockSeed::from_bytes(&[], 384).is_err());
    }
}
