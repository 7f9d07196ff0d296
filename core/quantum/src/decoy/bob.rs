//! [`DecoyBob`]: the end that receives the pulses and corrects its bits.

use std::mem;

use crqkd_bits::{BitString, SecretBits, Toeplitz};

use super::config::{DecoyConfig, Reconciliation};
use super::counts::{self, DecoyCounts};
use super::message::Message;
use super::sifting::{Detections, Disclosed, Sifted, sift_bob};
use crate::cascade::{CascadeBob, CascadeError};
use crate::ldpc;
use crate::message::{ProtocolError, expect_len};
use crate::report::AbortReason;
use crate::status::Status;

/// Bob's end of one block: messages in, messages out; no socket, no clock.
#[derive(Debug)]
pub struct DecoyBob {
    config: DecoyConfig,
    counts: DecoyCounts,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The detections are announced; holds the basis and bit of each click until sifting.
    Announced { bases: BitString, bits: SecretBits },
    /// The test bits are compared.
    Tested(SecretBits),
    /// Cascade runs: parities have been asked for and Alice's answers are awaited.
    Asking(Box<CascadeBob>),
    /// The errors are corrected; holds the key bits until Alice's verification tag comes.
    Reconciled(SecretBits),
    /// The verification tags are equal; holds the key bits until the Toeplitz seed comes.
    Verified(SecretBits),
    /// This end has computed the final key, which is not yet authenticated here.
    Done(SecretBits),
    /// No key, for a reason.
    Aborted(AbortReason),
    /// No key: a message that cannot be.
    Failed,
}

type Step = Result<(State, Option<Message>), ProtocolError>;

impl DecoyBob {
    /// Bob with what he saw in a block, and his first message.
    pub fn new(config: &DecoyConfig, detections: Detections) -> (Self, Message) {
        let Detections { distances, bases, bits } = detections;
        let pulses = config.pulses_per_block;
        let counts = DecoyCounts { pulses, clicks: bases.len() as u64, ..DecoyCounts::default() };
        let first = Message::Detections { pulses, distances, bases: bases.clone() };
        let state = State::Announced { bases, bits };
        (Self { config: config.clone(), counts, state }, first)
    }

    /// Takes a message of Alice's; returns the answer, if there is one.
    ///
    /// # Errors
    /// A message that does not fit the state or the counts so far. The block is then over and its secrets are wiped,
    /// except that a finished block stays finished.
    pub fn handle(&mut self, message: Message) -> Result<Option<Message>, ProtocolError> {
        let name = message.name();
        let unexpected = |state| ProtocolError::Unexpected { message: name, state };
        // What the length charges is what both have agreed on.
        let by_questions = self.config.reconciliation == Reconciliation::Cascade;
        let (state, answer) = match (mem::replace(&mut self.state, State::Failed), message) {
            (
                State::Announced { bases, bits },
                Message::Sifting { equal, signal, decoy, test_bits },
            ) => self.sift(&bases, &bits, &Disclosed { equal, signal, decoy }, &test_bits),
            (State::Tested(key), Message::Syndrome { rate, checks, bits }) if !by_questions => {
                self.correct(key, rate, checks, &bits)
            }
            (State::Tested(key), Message::Reconcile { rate, seed }) if by_questions => {
                self.expect_rate(rate)?;
                let cascade =
                    Box::new(CascadeBob::new(key, f64::from(rate) / 2f64.powi(32), seed)?);
                self.ask(cascade)
            }
            (State::Asking(mut cascade), Message::Answers(answers)) => {
                cascade.answer(&answers)?;
                self.ask(cascade)
            }
            (State::Reconciled(key), Message::Verify { hash_key, tag }) => {
                self.verify(key, hash_key, tag)
            }
            (State::Verified(key), Message::Amplify { length, seed }) => {
                self.amplify(&key, length, seed)
            }
            (State::Done(key), _) => {
                self.state = State::Done(key);
                return Err(unexpected("done"));
            }
            (State::Aborted(reason), _) => {
                self.state = State::Aborted(reason);
                return Err(unexpected("aborted"));
            }
            (State::Failed, _) => Err(unexpected("failed")),
            (_, Message::Abort) => Ok((State::Aborted(AbortReason::ByPeer), None)),
            (state, _) => Err(unexpected(state.name())),
        }?;
        self.state = state;
        Ok(answer)
    }

    /// The final key, once it is there. It may not be used before the transcript is authenticated.
    pub fn into_key(self) -> Option<SecretBits> {
        match self.state {
            State::Done(key) => Some(key),
            _ => None,
        }
    }

    /// How far this end is.
    pub fn status(&self) -> Status {
        match self.state {
            State::Done(_) => Status::Done,
            State::Aborted(reason) => Status::Aborted(reason),
            State::Failed => Status::Failed,
            _ => Status::Running,
        }
    }

    /// What this end has counted so far.
    pub fn counts(&self) -> &DecoyCounts {
        &self.counts
    }

    fn sift(
        &mut self,
        bases: &BitString,
        bits: &SecretBits,
        alice: &Disclosed,
        theirs: &BitString,
    ) -> Step {
        let sifted = sift_bob(bases, bits, alice)?;
        self.counts.count_test(&sifted, theirs)?;
        let Sifted { key, test, .. } = sifted;
        let state = match self.counts.check_test(&self.config) {
            Ok(()) => State::Tested(key),
            Err(reason) => State::Aborted(reason),
        };
        Ok((state, Some(Message::TestBits(test))))
    }

    fn expect_rate(&self, rate: u32) -> Result<(), ProtocolError> {
        expect_len("error rate", self.counts.expected_rate() as usize, rate as usize)
    }

    fn ask(&mut self, mut cascade: Box<CascadeBob>) -> Step {
        self.counts.disclosed = cascade.parities();
        self.counts.rounds = cascade.rounds();
        match cascade.next_request() {
            Ok(Some(request)) => Ok((State::Asking(cascade), Some(Message::Questions(request)))),
            Ok(None) => {
                let errors = cascade.corrected();
                self.reconciled(cascade.into_key(), errors)
            }
            Err(CascadeError::TooMuch { disclosed, len }) => {
                let reason = AbortReason::LeakTooLarge { disclosed, key_bits: len as u64 };
                Ok((State::Aborted(reason), Some(Message::Abort)))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn correct(&mut self, mut key: SecretBits, rate: u32, checks: u64, told: &BitString) -> Step {
        let (ours, mut plan) = self.counts.plan(key.len());
        expect_len("error rate", ours as usize, rate as usize)?;
        // Whatever she told is in the leak.
        plan.checks = checks as usize;
        self.counts.disclosed = told.len() as u64;
        self.counts.rounds = 1;
        match ldpc::correct(&mut key, told, &plan)? {
            Some(errors) => self.reconciled(key, errors),
            None => Ok((State::Aborted(AbortReason::NotDecoded), Some(Message::Abort))),
        }
    }

    fn reconciled(&mut self, key: SecretBits, errors: u64) -> Step {
        self.counts.key_errors = errors;
        Ok((State::Reconciled(key), Some(Message::Reconciled { errors })))
    }

    fn verify(&mut self, key: SecretBits, hash_key: [u64; 4], tag: u64) -> Step {
        let equal = counts::tag(hash_key, &key)? == tag;
        self.counts.tag_bits = u64::from(counts::TAG_BITS);
        let state = if equal {
            State::Verified(key)
        } else {
            State::Aborted(AbortReason::VerificationFailed)
        };
        Ok((state, Some(Message::Verified { equal })))
    }

    fn amplify(&mut self, key: &SecretBits, length: u64, seed: BitString) -> Step {
        let ours = self.counts.secret_length(&self.config).unwrap_or(0);
        if ours == 0 || ours != length {
            return Err(ProtocolError::LengthDisagrees { ours, theirs: length });
        }
        let secret = Toeplitz::new(seed, key.len(), length as usize)?.hash_secret(key)?;
        self.counts.final_length = length;
        Ok((State::Done(secret), None))
    }
}

impl State {
    fn name(&self) -> &'static str {
        match self {
            Self::Announced { .. } => "waiting for sifting",
            Self::Tested(_) => "waiting for reconciliation",
            Self::Asking(_) => "reconciling",
            Self::Reconciled(_) => "waiting for the tag",
            Self::Verified(_) => "waiting for amplification",
            Self::Done(_) => "done",
            Self::Aborted(_) => "aborted",
            Self::Failed => "failed",
        }
    }
}
