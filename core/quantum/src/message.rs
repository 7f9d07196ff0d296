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
        /// One bit per pulse.
        clicked: BitString,
        /// One bit per click.
        bases: BitString,
    },
    /// Bob's bits of the sample.
    SampleBits(BitString),
    /// A Cascade question.
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
        /// One bit per click.
        same_basis: BitString,
        /// One bit per sifted bit.
        sample: BitString,
        /// One bit per sampled bit.
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
        /// Alice's authentication tag over the transcript.
        tag: u64,
    },
    /// Hash to this length with this Toeplitz seed, drawn after `Verified`.
    Amplify {
        /// Final length in bits.
        length: u64,
        /// n + l − 1 public bits.
        seed: BitString,
    },
    /// The block ends without a key.
    Abort(AbortReason),
}

impl ToAlice {
    /// Name for reports.
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
    /// Name for reports.
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
        /// The message.
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
        /// The count received.
        found: usize,
    },
    /// The generator of hash keys and seeds failed.
    #[error("no random numbers: {0}")]
    Randomness(String),
    /// The two ends disagree about how long the key is.
    #[error("final length: the other end says {theirs} bits, this end computes {ours}")]
    LengthDisagrees {
        /// What this end computes.
        ours: u64,
        /// What the other end announced.
        theirs: u64,
    },
    /// A bad reconciliation message.
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
