//! What can go wrong, with the numbers.

use crqkd_keys::GroupId;
use crqkd_polar::PolarError;

use crate::CiphertextMode;

/// A value of [`OtpConfig`](crate::OtpConfig) that is out of its range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// The code length `n` is not a power of two within its range.
    #[error("n is {n}, expected a power of two from 128 to 4096")]
    Length {
        /// Code length that was given, in bits.
        n: usize,
    },
    /// The group length `k` does not fit the code beside the check, or is 0.
    #[error("k is {k}, expected 1 to {most} with n = {n} and crc = {crc}")]
    Group {
        /// Group length that was given, in bits.
        k: usize,
        /// Largest group length that fits, `n - crc` bits.
        most: usize,
        /// Code length in bits.
        n: usize,
        /// Length of the check in bits.
        crc: usize,
    },
    /// There is no check of the length `crc`.
    #[error("crc is {crc}, expected 11, 16 or 32")]
    Crc {
        /// Length of the check that was given, in bits.
        crc: usize,
    },
    /// The number of decoder paths `list_size` is out of range.
    #[error("list_size is {list_size}, expected 1 to {}", crqkd_polar::MAX_LIST)]
    ListSize {
        /// Number of paths that was given.
        list_size: usize,
    },
    /// The key disagreement rate `design_kdr` that the code is built for is out of range.
    #[error("design_kdr is {value}, expected 0.0001 to 0.4999")]
    DesignKdr {
        /// Key disagreement rate that was given, a share of bits.
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
        /// Number of the group in question.
        group: GroupId,
        /// Number of bits in the group.
        bits: usize,
        /// Bits that the code carries.
        needed: usize,
    },
    /// The pad has not the length of a codeword.
    #[error("group {group}: pad has {bits} bits, code needs {needed}")]
    PadLength {
        /// Number of the group in question.
        group: GroupId,
        /// Number of bits in the pad.
        bits: usize,
        /// Length of a codeword in bits.
        needed: usize,
    },
    /// What was received has not the length of a codeword.
    #[error("group {group}: ciphertext has {bits} bits, code needs {needed}")]
    CiphertextLength {
        /// Number of the group in question.
        group: GroupId,
        /// Number of ciphertext bits that were received.
        bits: usize,
        /// Length of a codeword in bits.
        needed: usize,
    },
    /// The ciphertext came another way than the link's configuration says.
    #[error("group {group}: ciphertext does not come as the link's mode, {mode}, says")]
    Mode {
        /// Number of the group in question.
        group: GroupId,
        /// How ciphertexts travel on this link.
        mode: CiphertextMode,
    },
    /// The attempts handed in are not this group's, or another code's.
    #[error("group {group}: the earlier attempts are those of group {earlier}, or of another code")]
    OtherAttempts {
        /// Number of the group whose ciphertext is to be opened.
        group: GroupId,
        /// Number of the group that the earlier attempts are for.
        earlier: GroupId,
    },
}
