//! What can go wrong, with the numbers in it.

use thiserror::Error;

/// Errors of the sounding crate.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum SoundingError {
    /// A received sample is not a number or infinite.
    #[error("sample {position} is not finite")]
    NotFinite {
        /// Air time of the sample.
        position: u64,
    },
    /// Samples must come in ascending time.
    #[error("samples at {got} come after the stream has reached {expected}")]
    TimeReversed {
        /// First sample that may still come.
        expected: u64,
        /// Air time of the first sample that was given.
        got: u64,
    },
    /// An air time that no run reaches.
    #[error("air time {time} is beyond {max}")]
    TimeRange {
        /// Air time that was given, in samples.
        time: u64,
        /// Largest air time that is accepted, in samples.
        max: u64,
    },
    /// A header field is out of its range.
    #[error("header field {field} is {value}, the largest possible value is {max}")]
    Field {
        /// Name of the header field.
        field: &'static str,
        /// The value that was given.
        value: u64,
        /// Largest value that the header has room for.
        max: u64,
    },
    /// The control bytes do not fit into one frame.
    #[error("{len} control bytes, a frame carries at most {max}")]
    ControlTooLong {
        /// Number of control bytes that were given.
        len: usize,
        /// Most control bytes of a frame, [`MAX_CONTROL_BYTES`](crate::MAX_CONTROL_BYTES).
        max: usize,
    },
    /// The cipher bits do not fit into one frame.
    #[error("{len} cipher bits, a frame carries at most {max}")]
    CipherTooLong {
        /// Number of cipher bits that were given.
        len: usize,
        /// Most cipher bits of a frame, [`MAX_CIPHER_BITS`](crate::MAX_CIPHER_BITS).
        max: usize,
    },
    /// A frame without a header cannot carry a payload.
    #[error("a frame without a header carries no payload")]
    PayloadWithoutHeader,
    /// The header announces another payload than the one given.
    #[error(
        "the header announces {header_blocks} control blocks and {header_cipher} cipher bits, the payload has \
         {blocks} and {cipher}"
    )]
    PayloadShape {
        /// Control blocks in the header.
        header_blocks: u8,
        /// Cipher bits in the header.
        header_cipher: u16,
        /// Control blocks of the payload.
        blocks: u8,
        /// Cipher bits of the payload.
        cipher: u16,
    },
    /// A setting is out of its range.
    #[error("{key} = {value} is out of range: {expected}")]
    Config {
        /// Name of the setting, a field of [`SoundingConfig`](crate::SoundingConfig).
        key: &'static str,
        /// The value that was given.
        value: f64,
        /// The values that are accepted, in words.
        expected: &'static str,
    },
}
