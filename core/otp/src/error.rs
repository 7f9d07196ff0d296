//! What can go wrong, with the numbers.

use crqkd_keys::GroupId;
use crqkd_polar::PolarError;

use crate::CiphertextMode;

/// A value of [`OtpConfig`](crate::OtpConfig) that is out of its range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// Code length.
    #[error("n is {n}, expected a power of two from 128 to 4096")]
    Length {
        /// The value found.
        n: usize,
    },
    /// Group length.
    #[error("k is {k}, expected 1 to {most} with n = {n} and crc = {crc}")]
    Group {
        /// The value found.
        k: usize,
        /// Largest value that fits.
        most: usize,
        /// Code length.
        n: usize,
        /// Length of the check.
        crc: usize,
    },
    /// Length of the check.
    #[error("crc is {crc}, expected 11, 16 or 32")]
    Crc {
        /// The value found.
        crc: usize,
    },
    /// Number of decoder paths.
    #[error("list_size is {list_size}, expected 1 to {}", crqkd_polar::MAX_LIST)]
    ListSize {
        /// The value found.
        list_size: usize,
    },
    /// Disagreement that the code is built for.
    #[error("design_kdr is {value}, expected 0.0001 to 0.4999")]
    DesignKdr {
        /// The value found.
        value: f64,
    },
    /// Anything that only the code's construction noticed.
    #[error(transparent)]
    Code(#[from] PolarError),
}

/// Inputs that do not belong together. The pad is spent all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OtpError {
    /// The group has not the length that the code carries.
    #[error("group {group}: has {bits} bits, code carries {needed}")]
    GroupLength {
        /// Number of the group.
        group: GroupId,
        /// Bits in the group.
        bits: usize,
        /// Bits that the code carries.
        needed: usize,
    },
    /// The pad has not the length of a codeword.
    #[error("group {group}: pad has {bits} bits, code needs {needed}")]
    PadLength {
        /// Number of the group.
        group: GroupId,
        /// Bits in the pad.
        bits: usize,
        /// Length of a codeword.
        needed: usize,
    },
    /// What was received has not the length of a codeword.
    #[error("group {group}: ciphertext has {bits} bits, code needs {needed}")]
    CiphertextLength {
        /// Number of the group.
        group: GroupId,
        /// Bits received.
        bits: usize,
        /// Length of a codeword.
        needed: usize,
    },
    /// The ciphertext came another way than the link's configuration says.
    #[error("group {group}: ciphertext does not come as the link's mode, {mode}, says")]
    Mode {
        /// Number of the group.
        group: GroupId,
        /// How ciphertexts travel on this link.
        mode: CiphertextMode,
    },
    /// The attempts handed in are not this group's, or another code's.
    #[error("group {group}: the earlier attempts are those of group {earlier}, or of another code")]
    OtherAttempts {
        /// The group to open.
        group: GroupId,
        /// The group of the attempts.
        earlier: GroupId,
    },
}
