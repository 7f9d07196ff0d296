//! [`Pad`]: channel key that masks one codeword.

use std::fmt;

use crqkd_bits::SecretBits;
use zeroize::Zeroize;

use crate::{KeysError, PadRef};

/// Channel key to mask one codeword with: used by being consumed.
///
/// There is no `Clone`. The log-likelihood ratios ln P(0)/P(1) tell the bits, so they are wiped with them.
///
/// ```compile_fail
/// fn twice(pad: crqkd_keys::Pad) {
///     let first = pad.into_parts();
///     let second = pad.into_parts();
/// }
/// ```
pub struct Pad {
    refs: Vec<PadRef>,
    bits: SecretBits,
    llr: Vec<f32>,
}

impl Pad {
    /// A pad of these bits, from these places.
    ///
    /// # Errors
    /// [`KeysError::LlrCount`] when `llr` has not one value per bit.
    pub fn new(refs: Vec<PadRef>, bits: SecretBits, llr: Vec<f32>) -> Result<Self, KeysError> {
        if bits.len() != llr.len() {
            return Err(KeysError::LlrCount { bits: bits.len(), llrs: llr.len() });
        }
        Ok(Self { refs, bits, llr })
    }

    /// A pad whose every bit has the same reliability `magnitude` (> 0), for hard decisions and tests.
    pub fn uniform(refs: Vec<PadRef>, bits: SecretBits, magnitude: f32) -> Self {
        let llr =
            bits.expose().iter().map(|bit| if bit { -magnitude } else { magnitude }).collect();
        Self { refs, bits, llr }
    }

    /// The places and the secrets, given up by the pad. The caller wipes the ratios.
    pub fn into_parts(mut self) -> (Vec<PadRef>, SecretBits, Vec<f32>) {
        (
            std::mem::take(&mut self.refs),
            std::mem::take(&mut self.bits),
            std::mem::take(&mut self.llr),
        )
    }

    /// Where the bits lie, in order.
    pub fn refs(&self) -> &[PadRef] {
        &self.refs
    }

    /// The bits, to compute with.
    pub fn bits(&self) -> &SecretBits {
        &self.bits
    }

    /// ln P(0)/P(1) of the other end's bit, one value per bit. As secret as the bits.
    pub fn llr(&self) -> &[f32] {
        &self.llr
    }

    /// Length of the pad in bits.
    pub fn len(&self) -> usize {
        self.bits.len()
    }

    /// Whether the pad has no bits.
    pub fn is_empty(&self) -> bool {
        self.bits.is_empty()
    }
}

impl Drop for Pad {
    fn drop(&mut self) {
        self.llr.zeroize();
    }
}

impl fmt::Debug for Pad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pad").field("refs", &self.refs).field("bits", &self.bits).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_bit_and_no_ratio() {
        let pad = Pad::uniform(vec![], crqkd_bits::BitString::with_len(3).into(), 1.5);
        assert_eq!(pad.llr(), [1.5; 3]);
        assert_eq!(format!("{pad:?}"), "Pad { refs: [], bits: SecretBits(3) }");
    }

    #[test]
    fn one_ratio_per_bit() {
        let bits = SecretBits::from(crqkd_bits::BitString::with_len(3));
        let error = Pad::new(vec![], bits, vec![0.0; 2]).unwrap_err();
        assert_eq!(error, KeysError::LlrCount { bits: 3, llrs: 2 });
    }
}
