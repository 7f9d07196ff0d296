//! What can be wrong with a code's parameters.

use thiserror::Error;

/// Parameters that describe no code or no decoder.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum PolarError {
    /// The code length is not a power of two in the supported range.
    #[error("code length {n} is not a power of two from {} to {}", crate::MIN_N, crate::MAX_SC_N)]
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
    /// There is no batch decoder of this list size.
    #[error("list size {size} is not one of 2, 4, 8, 16 and 32")]
    BatchListSize {
        /// List size asked for.
        size: usize,
    },
    /// The 5G order ends at 1024.
    #[error("the 5G order is for lengths up to 1024, not {n}")]
    SequenceLength {
        /// Code length asked for.
        n: usize,
    },
    /// A reliability order must hold every index once.
    #[error("the reliability order does not hold every index below {n} once")]
    Order {
        /// Code length.
        n: usize,
    },
    /// List decoders take shorter codes only.
    #[error("code length {n} is too long for a list decoder, which goes to {}", crate::MAX_N)]
    ListLength {
        /// Code length.
        n: usize,
    },
    /// The length after rate matching is out of range.
    #[error("matched length {length} is not from {} to {most}", crate::MIN_N)]
    MatchedLength {
        /// Length asked for.
        length: usize,
        /// Longest of this way of matching.
        most: usize,
    },
    /// A probability is outside 0 to 1, or no state of a channel is ever left.
    #[error("{p} is not a probability that the channel can have")]
    Probability {
        /// Value found.
        p: f64,
    },
    /// A concentration is not positive and finite.
    #[error("concentration {c} is not positive and finite")]
    Concentration {
        /// Value found.
        c: f64,
    },
}
