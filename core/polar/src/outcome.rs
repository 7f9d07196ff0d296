//! The result of decoding one frame.

/// Result of one decoding; a failure is an outcome, not an error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// A codeword whose check holds.
    Decoded {
        /// Sum of |LLR| over the positions that were corrected: 0 for a clean word; in hard mode proportional to
        /// `corrected`. It is the max-log path metric of the word.
        path_metric: f32,
        /// Hard decisions that differ from the codeword.
        corrected: usize,
    },
    /// No candidate passed the check; nothing was written to the message.
    Failed,
}

impl Outcome {
    /// Whether a message was decoded.
    pub fn is_decoded(&self) -> bool {
        matches!(self, Self::Decoded { .. })
    }

    /// The outcome for a codeword found from these (bounded) LLRs.
    pub(crate) fn of(llr: &[f32], codeword: &[u8]) -> Self {
        let mut path_metric = 0.0;
        let mut corrected = 0;
        for (&llr, &bit) in llr.iter().zip(codeword) {
            let against = if bit == 0 { -llr } else { llr };
            if against > 0.0 {
                path_metric += against;
                corrected += 1;
            }
        }
        Self::Decoded { path_metric, corrected }
    }
}
