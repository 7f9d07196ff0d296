//! What can be wrong with a code's parameters.

use thiserror::Error;

/// Parameters that describe no code or no decoder.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum PolarError {
    /// The code length is not a power of two in the supported range.
    #[error("code length {n} is not a power of two from {} to {}", crate::MIN_N, crate::MAX_SC_N)]
    Length {
        /// Code length that was asked for, in bits.
        n: usize,
    },
    /// Message and check do not fit the code, or the message is empty.
    #[error("{k} message bits and {crc} check bits do not fit a code of length {n} (1 to {} message bits)", n.saturating_sub(*crc))]
    Dimension {
        /// Bits that message and check have to fit into.
        n: usize,
        /// Message bits that were asked for.
        k: usize,
        /// Number of check bits.
        crc: usize,
    },
    /// The design error rate is outside (0, 0.5).
    #[error("design error rate {p} is not between 0 and 0.5")]
    ErrorRate {
        /// Error rate that was asked for.
        p: f64,
    },
    /// The list size is outside the supported range.
    #[error("list size {size} is not from 1 to {}", crate::MAX_LIST)]
    ListSize {
        /// List size (number of paths) that was asked for.
        size: usize,
    },
    /// There is no batch decoder of this list size.
    #[error("list size {size} is not one of 2, 4, 8, 16 and 32")]
    BatchListSize {
        /// List size (number of paths) that was asked for.
        size: usize,
    },
    /// The 5G order ends at 1024.
    #[error("the 5G order is for lengths up to 1024, not {n}")]
    SequenceLength {
        /// Code length that was asked for, in bits.
        n: usize,
    },
    /// A reliability order must hold every index once.
    #[error("the reliability order does not hold every index below {n} once")]
    Order {
        /// Code length in bits.
        n: usize,
    },
    /// List decoders take shorter codes only.
    #[error("code length {n} is too long for a list decoder, which goes to {}", crate::MAX_N)]
    ListLength {
        /// Code length in bits.
        n: usize,
    },
    /// The length after rate matching is out of range.
    #[error("matched length {length} is not from {} to {most}", crate::MIN_N)]
    MatchedLength {
        /// Length that was asked for, in bits.
        length: usize,
        /// Longest length of this way of matching, in bits.
        most: usize,
    },
    /// A probability is outside 0 to 1, or no state of a channel is ever left.
    #[error("{p} is not a probability that the channel can have")]
    Probability {
        /// The value that was given.
        p: f64,
    },
    /// A concentration is not positive and finite.
    #[error("concentration {c} is not positive and finite")]
    Concentration {
        /// The value that was given.
        c: f64,
    },
}
