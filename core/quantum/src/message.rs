//! What the two ends tell each other over the classical channel, and what they refuse.
//!
//! ```text
//! Alice                                                  Bob
//!   <-- Detections { which pulses clicked, bases } -------
//!   --- Sifting { equal bases, sample, Alice's sample } ->
//!   <-- SampleBits ---------------------------------------   both: QBER, abort above the threshold
//!   --- Reconcile { shuffle seed } ---------------------->
//!   <-- ParityRequest --------------- (many rounds) ------
//!   --- Parities ---------------------------------------->
//!   <-- Reconciled ---------------------------------------
//!   --- Verify { hash key, tag } ------------------------>
//!   <-- Verified { equal } -------------------------------
//!   --- Amplify { length, seed } ------------------------>   both: final key
//! ```
//!
//! The channel is not authenticated yet: a run is as safe as whoever carries the messages.

use crqkd_bits::{BitString, BitsError};

use crate::cascade::{CascadeError, ParityRequest};
use crate::report::AbortReason;

/// A message from Bob (QAP2, the receiver of the pulses) to Alice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToAlice {
    /// Which pulses clicked (one bit per pulse) and the basis of each click.
    Detections {
        /// One bit per pulse of the block, 1 where Bob's detectors clicked.
        clicked: BitString,
        /// One bit per click, the basis of Bob's measurement: 0 rectilinear, 1 diagonal.
        bases: BitString,
    },
    /// Bob's bits of the sample.
    SampleBits(BitString),
    /// The next questions of Cascade: ranges of the key whose parities Bob wants.
    Parities(ParityRequest),
    /// Bob has nothing more to ask.
    Reconciled,
    /// Whether Bob's tag equals Alice's.
    Verified {
        /// True when the tags are equal.
        equal: bool,
    },
    /// The block ends without a key.
    Abort(AbortReason),
}

/// A message from Alice (QAP1, the sender of the pulses) to Bob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToBob {
    /// Which clicks have equal bases, which sifted bits are the sample, and Alice's bits there.
    Sifting {
        /// One bit per click, 1 where both ends used the same basis.
        same_basis: BitString,
        /// One bit per sifted bit, 1 where it belongs to the sample.
        sample: BitString,
        /// Alice's bits of the sample, one bit per sampled bit.
        sample_bits: BitString,
    },
    /// Correct your bits; the shuffles come from this seed.
    Reconcile {
        /// Seed of the public shuffles.
        shuffle_seed: u64,
    },
    /// The parities asked for, in the order of the request.
    Parities(BitString),
    /// The tag of Alice's bits.
    Verify {
        /// Key of the hash, drawn after `Reconciled`.
        hash_key: u64,
        /// 64-bit verification hash of Alice's key bits under `hash_key`.
        tag: u64,
    },
    /// Hash to this length with this Toeplitz seed, drawn after `Verified`.
    Amplify {
        /// Length l of the final key in bits.
        length: u64,
        /// Public seed of the Toeplitz matrix, n + l − 1 bits for n key bits.
        seed: BitString,
    },
    /// The block ends without a key.
    Abort(AbortReason),
}

impl ToAlice {
    /// Name of this kind of message, for reports and error texts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Detections { .. } => "Detections",
            Self::SampleBits(_) => "SampleBits",
            Self::Parities(_) => "ParityRequest",
            Self::Reconciled => "Reconciled",
            Self::Verified { .. } => "Verified",
            Self::Abort(_) => "Abort",
        }
    }
}

impl ToBob {
    /// Name of this kind of message, for reports and error texts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sifting { .. } => "Sifting",
            Self::Reconcile { .. } => "Reconcile",
            Self::Parities(_) => "Parities",
            Self::Verify { .. } => "Verify",
            Self::Amplify { .. } => "Amplify",
            Self::Abort(_) => "Abort",
        }
    }
}

/// A message that cannot be. The block is over and its secrets are wiped.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ProtocolError {
    /// A message that does not belong here.
    #[error("message {message} while {state}")]
    Unexpected {
        /// Name of the message that came.
        message: &'static str,
        /// What this end was doing.
        state: &'static str,
    },
    /// A list of the wrong length.
    #[error("{what}: {found} entries, {expected} expected")]
    WrongCount {
        /// Name of what the count is of.
        what: &'static str,
        /// The count that the facts so far demand.
        expected: usize,
        /// The count that was found in the message.
        found: usize,
    },
    /// The generator of hash keys and seeds failed.
    #[error("no random numbers: {0}")]
    Randomness(String),
    /// The two ends disagree about how long the key is.
    #[error("final length: the other end says {theirs} bits, this end computes {ours}")]
    LengthDisagrees {
        /// Length in bits that this end computes from its own counts.
        ours: u64,
        /// Length in bits that the other end announced.
        theirs: u64,
    },
    /// A parity request or an answer that Cascade refuses.
    #[error("reconciliation: {0}")]
    Cascade(#[from] CascadeError),
    /// A syndrome that belongs to no code.
    #[error("reconciliation: {0}")]
    Ldpc(#[from] crate::ldpc::LdpcError),
    /// Bit strings that do not fit.
    #[error(transparent)]
    Bits(#[from] BitsError),
}

pub(crate) fn expect_len(
    what: &'static str,
    expected: usize,
    found: usize,
) -> Result<(), ProtocolError> {
    if expected == found {
        Ok(())
    } else {
        Err(ProtocolError::WrongCount { what, expected, found })
    }
}
