//! What can go wrong with bit strings.

/// Errors of this crate; each holds the numbers that explain it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BitsError {
    /// Two strings that must be of one length are not.
    #[error("lengths differ: {left} bits and {right} bits")]
    LengthMismatch {
        /// Length of the first string in bits.
        left: usize,
        /// Length of the second string in bits.
        right: usize,
    },
    /// More bits were asked for than there are.
    #[error("{needed} bits needed, {available} available")]
    TooShort {
        /// Number of bits that the string would need to have.
        needed: usize,
        /// How many bits the string has.
        available: usize,
    },
    /// A range that ends before it starts.
    #[error("range {start}..{end} ends before it starts")]
    BackwardRange {
        /// First index of the range.
        start: usize,
        /// End of the range, exclusive.
        end: usize,
    },
    /// A character other than `0` and `1` in a text of bits.
    #[error("character {found:?} at position {position} is neither '0' nor '1'")]
    BadDigit {
        /// Position of the character, counted in characters from 0.
        position: usize,
        /// The character that was found there, neither `0` nor `1`.
        found: char,
    },
    /// A Toeplitz matrix with no rows or no columns, or one too large to index.
    #[error("a Toeplitz matrix of {outputs} rows and {inputs} columns does not exist")]
    EmptyMatrix {
        /// Number of columns of the matrix, which is the number n of input bits.
        inputs: usize,
        /// Number of rows of the matrix, which is the number m of output bits.
        outputs: usize,
    },
}
