//! Public random numbers of a block, drawn from a generator that may fail, such as the operating system's.
//!
//! Each hash key and each Toeplitz seed is a request of its own, made when it is needed: where `rng` is the operating system's
//! generator nothing that was made public earlier says anything about it.

use crqkd_bits::BitString;
use rand::TryRngCore;

use crate::message::ProtocolError;

/// Draws one random 64-bit word; fails with [`ProtocolError::Randomness`] when `rng` does.
pub(super) fn word<R: TryRngCore + ?Sized>(rng: &mut R) -> Result<u64, ProtocolError> {
    rng.try_next_u64().map_err(failed)
}

/// Draws four random 64-bit words; fails with [`ProtocolError::Randomness`] when `rng` does.
pub(super) fn words<R: TryRngCore + ?Sized>(rng: &mut R) -> Result<[u64; 4], ProtocolError> {
    let mut bytes = [0; 32];
    rng.try_fill_bytes(&mut bytes).map_err(failed)?;
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = little_endian(bytes);
    }
    Ok(words)
}

/// Draws `len` random bits; fails with [`ProtocolError::Randomness`] when `rng` does.
pub(super) fn bits<R: TryRngCore + ?Sized>(
    rng: &mut R,
    len: usize,
) -> Result<BitString, ProtocolError> {
    let mut bytes = vec![0; len.div_ceil(64) * 8];
    rng.try_fill_bytes(&mut bytes).map_err(failed)?;
    Ok(BitString::from_words(bytes.chunks_exact(8).map(little_endian).collect(), len))
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

fn failed(error: impl std::fmt::Display) -> ProtocolError {
    ProtocolError::Randomness(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use rand::{RngCore, SeedableRng};

    use super::*;

    /// A generator that works so many times.
    struct Failing(u32);

    impl TryRngCore for Failing {
        type Error = fmt::Error;

        fn try_next_u32(&mut self) -> Result<u32, fmt::Error> {
            self.try_next_u64().map(|word| word as u32)
        }

        fn try_next_u64(&mut self) -> Result<u64, fmt::Error> {
            let mut bytes = [0; 8];
            self.try_fill_bytes(&mut bytes).map(|()| u64::from_le_bytes(bytes))
        }

        fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), fmt::Error> {
            self.0 = self.0.checked_sub(1).ok_or(fmt::Error)?;
            to.fill(7);
            Ok(())
        }
    }

    #[test]
    fn bits_are_those_of_the_generator_and_its_failure_is_an_error() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let mut same = rng.clone();
        let drawn = bits(&mut rng, 130).unwrap();
        assert_eq!((drawn.len(), drawn.words()[0]), (130, same.next_u64()));
        assert_ne!(bits(&mut rng, 130).unwrap(), drawn);
        let mut failing = Failing(2);
        assert!(word(&mut failing).is_ok() && words(&mut failing).is_ok());
        assert!(matches!(bits(&mut failing, 1), Err(ProtocolError::Randomness(_))));
    }
}
