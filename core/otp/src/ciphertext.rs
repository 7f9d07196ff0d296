//! What travels, what arrives, and what comes of it.

use crqkd_bits::BitString;
use crqkd_keys::{Group, GroupId, PadRef};

/// A group under its pad: public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ciphertext {
    /// Number of the group that is encrypted.
    pub group: GroupId,
    /// The pad bits that mask it, in order: what the receiver must take from its own store.
    pub pad: Vec<PadRef>,
    /// codeword xor pad, n bits.
    pub bits: BitString,
}

/// A ciphertext as it arrived.
#[derive(Clone, Debug, PartialEq)]
pub enum Received {
    /// All bits, for sure ([`CiphertextMode::Protected`](crate::CiphertextMode::Protected)).
    Exact(BitString),
    /// One LLR a bit, ln P(0)/P(1), from the demodulator ([`CiphertextMode::Cascade`](crate::CiphertextMode::Cascade)).
    /// NaN counts as unknown.
    Soft(Vec<f32>),
}

impl Received {
    /// Number of ciphertext bits that arrived.
    pub fn len(&self) -> usize {
        match self {
            Self::Exact(bits) => bits.len(),
            Self::Soft(llr) => llr.len(),
        }
    }

    /// Whether not a single bit arrived.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Ciphertext> for Received {
    /// The ciphertext as a channel without errors delivers it.
    fn from(ciphertext: Ciphertext) -> Self {
        Self::Exact(ciphertext.bits)
    }
}

/// What came of opening a ciphertext.
#[derive(Debug)]
pub enum Opening {
    /// A group whose check holds. A wrong one passes with probability up to (list size + 1)·2^−crc of the failures, and
    /// whoever can change the ciphertext can change the group: only the hash over a block of groups decides what is
    /// accepted.
    Decoded {
        /// The group that was decoded.
        group: Group,
        /// Bits of the pad (in cascade mode: of pad or ciphertext) that were corrected, of n.
        corrected: usize,
        /// Sum of |LLR| over the corrected bits.
        path_metric: f32,
    },
    /// The two pads differ too much: the group must be sent again under a fresh pad.
    Retransmit {
        /// Number of the group that could not be decoded.
        group: GroupId,
    },
}

impl Opening {
    /// Whether a group came out.
    pub fn is_decoded(&self) -> bool {
        matches!(self, Self::Decoded { .. })
    }
}
