//! [`run_decoy_block`]: one block with both ends in this process.

use crqkd_bits::SecretBits;
use rand::Rng;

use super::alice::DecoyAlice;
use super::bob::DecoyBob;
use super::config::DecoyConfig;
use super::counts::DecoyCounts;
use super::link::{Choices, Link};
use crate::block::QuantumError;
use crate::report::AbortReason;
use crate::status::Status;

/// One finished block: the counts and both ends' keys, empty after an abort.
#[derive(Debug)]
pub struct DecoyRun {
    /// Pulses, clicks and errors by intensity and basis, as Alice counted them.
    pub counts: DecoyCounts,
    /// Why there is no key, as Alice saw it.
    pub abort: Option<AbortReason>,
    /// Number of messages of the block, both ways.
    pub messages: u64,
    /// Final key at Alice's end, QAP1; empty after an abort.
    pub alice: SecretBits,
    /// Final key at Bob's end, QAP2; empty after an abort.
    pub bob: SecretBits,
}

/// Sends one block of pulses and drives both ends to the key or to an abort, without authentication.
///
/// # Errors
/// A configuration out of range. An abort is reported, not an error.
pub fn run_decoy_block<R: Rng>(
    config: &DecoyConfig,
    rng: &mut R,
) -> Result<DecoyRun, QuantumError> {
    config.validate()?;
    let choices = Choices::new(config, rng.random());
    let link = Link::new(config, &choices, rng.random());
    let (mut bob, first) = DecoyBob::new(config, link.collect());
    let mut alice = DecoyAlice::new(config, choices);
    let mut messages = 0;
    let mut to_alice = Some(first);
    while let Some(message) = to_alice.take() {
        messages += 1;
        if let Some(answer) = alice.handle(message, rng)? {
            messages += 1;
            to_alice = bob.handle(answer)?;
        }
    }
    let abort = match (alice.status(), bob.status()) {
        (Status::Done, Status::Done) if alice.counts() == bob.counts() => None,
        (Status::Aborted(AbortReason::ByPeer), Status::Aborted(reason))
        | (Status::Aborted(reason), Status::Aborted(_)) => Some(reason),
        (alice, bob) => return Err(QuantumError::EndsDisagree { alice, bob }),
    };
    Ok(DecoyRun {
        counts: *alice.counts(),
        abort,
        messages,
        alice: alice.into_key().unwrap_or_default(),
        bob: bob.into_key().unwrap_or_default(),
    })
}
