//! What can be wrong with a code's parameters.

use thiserror::Error;

/// Parameters that describe no code or no decoder.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum PolarError {
    /// The code length is not a power of two in the supported range.
    #[error("code length {n} is not a power of two from {} to {}", crate::MIN_N, crate::MAX_N)]
    Length {
        /// Code length asked for.
        n: usize,
    },
    /// Message and check do not fit the code, or the message is empty.
    #[error("{k} message bits and {crc} check bits do not fit a code of length {n} (1 to {} message bits)", n.saturating_sub(*crc))]
    Dimension {
        /// Code length.
        n: usize,
        /// Message bits asked for.
        k: usize,
        /// Check bits.
        crc: usize,
    },
    /// The design error rate is outside (0, 0.5).
    #[error("design error rate {p} is not between 0 and 0.5")]
    ErrorRate {
        /// Error rate asked for.
        p: f64,
    },
    /// The list size is outside the supported range.
    #[error("list size {size} is not from 1 to {}", crate::MAX_LIST)]
    ListSize {
        /// List size asked for.
        size: usize,
    },
}
