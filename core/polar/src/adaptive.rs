//! Successive cancellation first, the list only when it is needed.

use crate::{ListDecoder, Outcome, PolarCode, PolarError, ScDecoder};

/// Decoder that tries successive cancellation and turns to the list when the check fails.
///
/// A code without a check goes to the list at once. Each of the two tries lets a wrong word pass with probability 2^-c,
/// c the check's length.
pub struct AdaptiveDecoder {
    first: ScDecoder,
    list: ListDecoder,
    checked: bool,
}

impl AdaptiveDecoder {
    /// A decoder with a list of `size` paths (1 to [`MAX_LIST`](crate::MAX_LIST)).
    ///
    /// # Errors
    /// When the list size is out of range.
    pub fn new(code: &PolarCode, size: usize) -> Result<Self, PolarError> {
        Ok(Self {
            first: ScDecoder::new(code),
            list: ListDecoder::new(code, size)?,
            checked: !code.crc().is_empty(),
        })
    }

    /// Decodes `llr` (n values, ln P(0)/P(1); NaN counts as unknown) to `message` (k entries, one bit a byte).
    ///
    /// # Panics
    /// When a slice has the wrong length.
    pub fn decode(&mut self, llr: &[f32], message: &mut [u8]) -> Outcome {
        if self.checked {
            let outcome = self.first.decode(llr, message);
            if outcome.is_decoded() {
                return outcome;
            }
        }
        self.list.decode(llr, message)
    }

    /// Overwrites everything that is left of the last decoding.
    pub fn wipe(&mut self) {
        self.first.wipe();
        self.list.wipe();
    }
}
