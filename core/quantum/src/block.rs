//! [`run_block`]: one BB84 block with both ends in this process.

use crqkd_bits::SecretBits;
use rand::Rng;

use crate::config::ConfigError;
use crate::fibre::{Clicks, Eavesdropper, Pulses, transmit};
use crate::message::ProtocolError;
use crate::report::{AbortReason, Bb84Report};
use crate::sifting;
use crate::status::Status;
use crate::{Bb84Alice, Bb84Bob, QuantumConfig};

/// One finished block: the report and both ends' keys, empty after an abort.
#[derive(Debug)]
pub struct Block {
    /// Counts of the block, and why it ended without a key, if it did.
    pub report: Bb84Report,
    /// Final key at Alice's end, QAP1; empty after an abort.
    pub alice: SecretBits,
    /// Final key at Bob's end, QAP2; empty after an abort.
    pub bob: SecretBits,
}

/// Why a block could not be run at all. An abort is not an error: it is in the report.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum QuantumError {
    /// A parameter out of its range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A message that cannot be; between two ends in one process this is a bug.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The ends do not agree on how the block ended; between two ends in one process this is a bug.
    #[error("the ends disagree: Alice {alice:?}, Bob {bob:?}")]
    EndsDisagree {
        /// What Alice's end has come to.
        alice: Status,
        /// What Bob's end has come to.
        bob: Status,
    },
}

/// Sends one block of pulses past `eve` and drives both ends to the key or to an abort.
///
/// All randomness of the simulation comes from `rng`: the same seed gives the same block.
///
/// # Errors
/// A configuration out of range. An abort is reported, not an error.
pub fn run_block<R: Rng, E: Eavesdropper + ?Sized>(
    config: &QuantumConfig,
    rng: &mut R,
    eve: &mut E,
) -> Result<Block, QuantumError> {
    config.validate()?;
    let pulses = Pulses::random(rng, config.pulses_per_block as usize);
    let clicks = transmit(config, &pulses, eve, rng);
    let sifted_errors = sifted_errors(&pulses, &clicks)?;

    let mut alice = Bb84Alice::new(config, pulses);
    let (mut bob, first) = Bb84Bob::new(config, clicks);
    let mut messages = 0;
    let mut to_alice = Some(first);
    while let Some(message) = to_alice.take() {
        messages += 1;
        if let Some(answer) = alice.handle(message, rng)? {
            messages += 1;
            to_alice = bob.handle(answer)?;
        }
    }

    let abort = ending(&alice, &bob)?;
    let report = Bb84Report::new(*alice.counts(), abort, bob.corrected(), sifted_errors, messages);
    let alice = alice.into_key().unwrap_or_default();
    let bob = bob.into_key().unwrap_or_default();
    Ok(Block { report, alice, bob })
}

/// How the block ended, which both ends must see alike.
fn ending(alice: &Bb84Alice, bob: &Bb84Bob) -> Result<Option<AbortReason>, QuantumError> {
    match (alice.status(), bob.status()) {
        (Status::Done, Status::Done) if alice.counts() == bob.counts() => Ok(None),
        (Status::Aborted(a), Status::Aborted(b)) if a == b => Ok(Some(a)),
        (alice, bob) => Err(QuantumError::EndsDisagree { alice, bob }),
    }
}

/// Errors over all sifted bits, for somebody who sees both ends.
fn sifted_errors(pulses: &Pulses, clicks: &Clicks) -> Result<u64, ProtocolError> {
    let bases = sifting::select(clicks.bases.expose(), &clicks.clicked);
    let (same, ours) = sifting::sift_alice(&pulses.bits, &pulses.bases, &clicks.clicked, &bases)?;
    let theirs = sifting::sift_bob(&clicks.bits, &same)?;
    Ok(ours.expose().hamming_distance(theirs.expose())? as u64)
}
