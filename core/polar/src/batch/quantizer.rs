//! From real LLRs to bytes.

/// Scales LLRs to the integers −127 to 127 of the batch decoders.
///
/// A max-log decoder does not mind the scale, only that the steps are fine and that there is room: sums stop at ±127, so
/// most LLRs of the channel should lie within a sixth of that, and few may be cut off. Room matters more than steps:
/// where the channel is worse than the LLRs claim, what is cut off is what tells good from bad.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantizer {
    scale: f32,
}

impl Default for Quantizer {
    /// Three steps a nat: up to ±42.3, for LLRs of soft decisions.
    fn default() -> Self {
        Self { scale: 3.0 }
    }
}

impl Quantizer {
    /// A quantizer of this many steps a nat (finite, above 0; anything else is taken as the default).
    pub fn new(scale: f32) -> Self {
        if scale.is_finite() && scale > 0.0 { Self { scale } } else { Self::default() }
    }

    /// For hard decisions, whose LLRs are all of this magnitude: they become ±1, and sums of up to 127 are exact.
    pub fn hard(magnitude: f32) -> Self {
        Self::new(1.0 / magnitude)
    }

    /// Quantization steps for a log-likelihood ratio of 1.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// Nearest step; NaN becomes 0, "unknown".
    #[inline]
    pub fn quantize(&self, llr: f32) -> i8 {
        // `as` saturates and turns NaN to 0.
        (llr * self.scale).round().clamp(-127.0, 127.0) as i8
    }

    /// Quantizes `llr` to `out`, value by value.
    ///
    /// # Panics
    /// When the slices differ in length.
    pub fn quantize_into(&self, llr: &[f32], out: &mut [i8]) {
        assert_eq!(llr.len(), out.len(), "number of LLRs");
        for (out, &llr) in out.iter_mut().zip(llr) {
            *out = self.quantize(llr);
        }
    }
}
