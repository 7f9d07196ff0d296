//! The frame on the air, in samples at 20 Msample/s.
//!
//! ```text
//!  |<-256->|<-64->|<--- 1023 --->|<-64->|<-256->|<-64->|<-256->| ... x4 |<-64->|<-256->| ... |<-64->|<-256->| ...
//!  | tone  | CP   | M-sequence   | CP   | hdr A | CP   | hdr B |  A B.. | CP   | ctrl  |     | CP   | cipher |
//!  |<----- preamble: 1343 ------>|<------- header: 8 blocks: 2560 ----->|<-- two a code word ->|<-- 256 bits a block
//!  ^ start                       ^ optional                             ^ shape given by the header
//! ```
//!
//! Everything behind the M-sequence is BPSK in single-carrier blocks of 256 symbols, one a sample, each behind a cyclic
//! prefix. The 512 bits of the header fill two blocks (A, B), sent four times.

use serde::{Deserialize, Serialize};

/// Samples of the tone, exp(j·2π·n/16).
pub const TONE_LEN: usize = 256;
/// Period of the tone in samples.
pub(crate) const TONE_PERIOD: usize = 16;
/// Samples of every cyclic prefix.
pub const PREFIX_LEN: usize = 64;
/// Chips of the M-sequence in one period, 2¹⁰ − 1.
pub const SEQUENCE_LEN: usize = 1023;
/// Samples before the M-sequence: tone and prefix.
pub(crate) const SEQUENCE_START: usize = TONE_LEN + PREFIX_LEN;
/// Samples of the preamble: tone, prefix and M-sequence.
pub const PREAMBLE_LEN: usize = SEQUENCE_START + SEQUENCE_LEN;

/// The training sequence of the preamble.
///
/// ```text
///  1023    | tone 256 | CP 64 |        one period of 1023 chips        | header ...
///  2x511   | tone 256 | CP 64 | period of 511 chips | the same again |1| header ...
/// ```
///
/// In the second layout a header is preceded by one chip more of the periodic sequence, so that it stands where it
/// stands in the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FrameLayout {
    /// One M-sequence of 1023 chips.
    #[default]
    #[serde(rename = "1023")]
    Single,
    /// Two M-sequences of 511 chips.
    #[serde(rename = "2x511")]
    Double,
}

impl FrameLayout {
    /// Stages of the shift register.
    pub(crate) const fn stages(self) -> usize {
        match self {
            Self::Single => 10,
            Self::Double => 9,
        }
    }

    /// Distance of the register's second tap: s\[i\] = s\[i − stages\] xor s\[i − tap\].
    pub(crate) const fn second_tap(self) -> usize {
        match self {
            Self::Single => 7,
            Self::Double => 5,
        }
    }

    /// Chips of one period of the sequence: 1023 or 511.
    pub const fn period(self) -> usize {
        (1 << self.stages()) - 1
    }

    /// Periods sent: 1 or 2.
    pub const fn periods(self) -> usize {
        match self {
            Self::Single => 1,
            Self::Double => 2,
        }
    }

    /// Samples of the training sequence: 1023 or 1022.
    pub const fn sequence_len(self) -> usize {
        self.period() * self.periods()
    }

    /// Samples of a frame without header: 1343 or 1342.
    pub const fn preamble_len(self) -> usize {
        SEQUENCE_START + self.sequence_len()
    }
}

/// Symbols of a single-carrier block.
pub const BLOCK_SYMBOLS: usize = 256;
/// Samples of a single-carrier block with its prefix.
pub const BLOCK_LEN: usize = PREFIX_LEN + BLOCK_SYMBOLS;
/// Blocks that hold one copy of the header.
pub(crate) const HEADER_COPY_BLOCKS: usize = 2;
/// Times that the header is sent.
pub(crate) const HEADER_COPIES: usize = 4;
/// Samples of the header: all its copies, with the cyclic prefixes of their blocks.
pub const HEADER_LEN: usize = HEADER_COPIES * HEADER_COPY_BLOCKS * BLOCK_LEN;

/// Bytes that one coded control block carries.
pub const CONTROL_BLOCK_BYTES: usize = 30;
/// Single-carrier blocks of one coded control block.
pub(crate) const CONTROL_CODE_BLOCKS: usize = 2;
/// Largest number of coded control blocks.
pub const MAX_CONTROL_BLOCKS: usize = 18;
/// Bytes of length and check in front of the control bytes.
pub(crate) const CONTROL_OVERHEAD: usize = 6;
/// Largest number of control bytes in a frame.
pub const MAX_CONTROL_BYTES: usize = MAX_CONTROL_BLOCKS * CONTROL_BLOCK_BYTES - CONTROL_OVERHEAD;
/// Largest number of cipher bits in a frame.
pub const MAX_CIPHER_BITS: usize = 4096;

/// Samples of a frame with a header and no payload.
pub const HEADER_FRAME_LEN: usize = PREAMBLE_LEN + HEADER_LEN;
/// Samples of the longest frame.
pub const MAX_FRAME_LEN: usize = HEADER_FRAME_LEN
    + (MAX_CONTROL_BLOCKS * CONTROL_CODE_BLOCKS + MAX_CIPHER_BITS / BLOCK_SYMBOLS) * BLOCK_LEN;

/// Taps of the channel estimate.
pub const TAPS: usize = 32;
/// Index of the strongest tap in the channel estimate.
pub const PEAK_TAP: usize = 8;
/// Carriers of the channel state information, k = −26..=−1 and 1..=26 at 312.5 kHz.
pub const CARRIERS: usize = 52;

/// Samples by which a receiver's block windows lie before the strongest path, so that up to this much earlier and
/// [`PREFIX_LEN`] minus this much later paths fall into the window whole.
pub(crate) const WINDOW_ADVANCE: usize = 16;

/// Carrier number of each place of the channel state information.
///
/// ```
/// let carriers: Vec<i32> = crqkd_sounding::carriers().collect();
/// assert_eq!((carriers[0], carriers[25], carriers[26], carriers[51]), (-26, -1, 1, 26));
/// ```
pub fn carriers() -> impl Iterator<Item = i32> {
    (-26..=26).filter(|&k| k != 0)
}
