//! Privacy amplification: the verified bits are hashed to the length that is secret.

use crqkd_bits::{BitString, SecretBits, Toeplitz};
use rand::Rng;

use crate::message::ProtocolError;

/// A fresh public seed for hashing `inputs` bits to `outputs`, both at least 1.
pub(crate) fn draw_seed<R: Rng + ?Sized>(inputs: usize, outputs: usize, rng: &mut R) -> BitString {
    BitString::random(rng, inputs + outputs - 1)
}

/// The final key of `outputs` bits. The seed is checked against both lengths.
pub(crate) fn amplify(
    key: &SecretBits,
    outputs: usize,
    seed: BitString,
) -> Result<SecretBits, ProtocolError> {
    Ok(Toeplitz::new(seed, key.len(), outputs)?.hash_secret(key)?)
}
