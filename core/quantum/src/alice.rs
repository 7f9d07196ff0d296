//! [`Bb84Alice`]: the end at QAP1, which sends the pulses and whose bits are taken as right.

use std::fmt;
use std::mem;

use crqkd_bits::{BitString, SecretBits};
use rand::Rng;

use crate::cascade::{CascadeAlice, CascadeError, ParityRequest};
use crate::message::{ProtocolError, ToAlice, ToBob};
use crate::report::{AbortReason, Counts};
use crate::status::Status;
use crate::{Pulses, QuantumConfig, amplification, estimation, sifting, verification};

/// Alice's end of one block: messages in, messages out; no socket, no clock.
pub struct Bb84Alice {
    config: QuantumConfig,
    counts: Counts,
    state: State,
}

enum State {
    /// The pulses are under way.
    Sent(Pulses),
    /// Alice has disclosed her sample and waits for Bob's.
    Estimating { sample: BitString, key: SecretBits },
    /// Cascade runs: Bob asks for parities of Alice's bits.
    Reconciling(CascadeAlice),
    /// Bob has Alice's verification tag and compares it with his.
    Verifying(SecretBits),
    /// The block is over at this end; holds the final key.
    Done(SecretBits),
    /// No key, for a reason.
    Aborted(AbortReason),
    /// No key: a message that cannot be.
    Failed,
}

/// What handling a message leads to: the next state and an answer, or an abort that may have to be told.
type Step = Result<(State, Option<ToBob>), ProtocolError>;

impl Bb84Alice {
    /// Alice, who has sent these pulses.
    pub fn new(config: &QuantumConfig, pulses: Pulses) -> Self {
        let counts = Counts { pulses: pulses.len() as u64, ..Counts::default() };
        Self { config: config.clone(), counts, state: State::Sent(pulses) }
    }

    /// Takes a message of Bob's; returns the answer, if there is one.
    ///
    /// # Errors
    /// A message that does not fit the state or the counts so far. The block is then over and its secrets are wiped,
    /// except that a finished block stays finished.
    pub fn handle<R: Rng + ?Sized>(
        &mut self,
        message: ToAlice,
        rng: &mut R,
    ) -> Result<Option<ToBob>, ProtocolError> {
        let name = message.name();
        let (state, answer) = match (mem::replace(&mut self.state, State::Failed), message) {
            (State::Sent(pulses), ToAlice::Detections { clicked, bases }) => {
                self.sift(&pulses, &clicked, &bases, rng)
            }
            (State::Estimating { sample, key }, ToAlice::SampleBits(theirs)) => {
                self.estimate(&sample, &theirs, key, rng)
            }
            (State::Reconciling(cascade), ToAlice::Parities(request)) => {
                self.answer_parities(cascade, &request)
            }
            (State::Reconciling(cascade), ToAlice::Reconciled) => self.verify(cascade, rng),
            (State::Verifying(key), ToAlice::Verified { equal }) => self.amplify(&key, equal, rng),
            (State::Done(key), _) => {
                self.state = State::Done(key);
                Err(ProtocolError::Unexpected { message: name, state: "done" })
            }
            (State::Aborted(reason), _) => {
                self.state = State::Aborted(reason);
                Err(ProtocolError::Unexpected { message: name, state: "aborted" })
            }
            (State::Failed, _) => Err(ProtocolError::Unexpected { message: name, state: "failed" }),
            (_, ToAlice::Abort(reason)) => Ok((State::Aborted(reason), None)),
            (state, _) => Err(ProtocolError::Unexpected { message: name, state: state.name() }),
        }?;
        self.state = state;
        Ok(answer)
    }

    /// The final key, once it is there.
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
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    fn sift<R: Rng + ?Sized>(
        &mut self,
        pulses: &Pulses,
        clicked: &BitString,
        bob_bases: &BitString,
        rng: &mut R,
    ) -> Step {
        let (same_basis, sifted) =
            sifting::sift_alice(&pulses.bits, &pulses.bases, clicked, bob_bases)?;
        self.counts.detected = same_basis.len() as u64;
        self.counts.sifted = sifted.len() as u64;
        let Some(count) = estimation::sample_size(sifted.len(), self.config.sample_fraction) else {
            return abort(AbortReason::TooFewBits { sifted: self.counts.sifted });
        };
        self.counts.sample = count as u64;
        let mask = estimation::random_sample(sifted.len(), count, rng);
        let (sample, key) = estimation::split(&sifted, &mask)?;
        let answer = ToBob::Sifting { same_basis, sample: mask, sample_bits: sample.clone() };
        Ok((State::Estimating { sample, key }, Some(answer)))
    }

    fn estimate<R: Rng + ?Sized>(
        &mut self,
        ours: &BitString,
        theirs: &BitString,
        key: SecretBits,
        rng: &mut R,
    ) -> Step {
        self.counts.sample_errors = estimation::count_errors(ours, theirs)? as u64;
        if let Err(reason) = self.counts.check_sample(&self.config) {
            // Bob counts the same and stops by himself.
            return Ok((State::Aborted(reason), None));
        }
        let shuffle_seed = rng.random();
        let cascade = CascadeAlice::new(key, self.counts.expected_rate(), shuffle_seed)?;
        Ok((State::Reconciling(cascade), Some(ToBob::Reconcile { shuffle_seed })))
    }

    fn answer_parities(&mut self, mut cascade: CascadeAlice, request: &ParityRequest) -> Step {
        match cascade.answer(request) {
            Ok(parities) => {
                self.counts.parities = cascade.parities();
                self.counts.rounds = cascade.rounds();
                Ok((State::Reconciling(cascade), Some(ToBob::Parities(parities))))
            }
            Err(CascadeError::TooMuch { disclosed, len }) => {
                abort(AbortReason::LeakTooLarge { disclosed, key_bits: len as u64 })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn verify<R: Rng + ?Sized>(&mut self, cascade: CascadeAlice, rng: &mut R) -> Step {
        let key = cascade.into_key();
        let hash_key = rng.random();
        let tag = verification::tag(hash_key, &key);
        self.counts.tag_bits += verification::TAG_BITS;
        Ok((State::Verifying(key), Some(ToBob::Verify { hash_key, tag })))
    }

    fn amplify<R: Rng + ?Sized>(&mut self, key: &SecretBits, equal: bool, rng: &mut R) -> Step {
        if !equal {
            return Ok((State::Aborted(AbortReason::VerificationFailed), None));
        }
        let length = match self.counts.secret_length(&self.config) {
            Ok(length) => length,
            Err(reason) => return abort(reason),
        };
        let seed = amplification::draw_seed(key.len(), length as usize, rng);
        let secret = amplification::amplify(key, length as usize, seed.clone())?;
        self.counts.final_length = length;
        Ok((State::Done(secret), Some(ToBob::Amplify { length, seed })))
    }
}

/// The block ends here, and Bob is told.
fn abort(reason: AbortReason) -> Step {
    Ok((State::Aborted(reason), Some(ToBob::Abort(reason))))
}

impl State {
    fn name(&self) -> &'static str {
        match self {
            Self::Sent(_) => "waiting for detections",
            Self::Estimating { .. } => "waiting for the sample",
            Self::Reconciling(_) => "reconciling",
            Self::Verifying(_) => "verifying",
            Self::Done(_) => "done",
            Self::Aborted(_) => "aborted",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Debug for Bb84Alice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bb84Alice({}, {:?})", self.state.name(), self.counts)
    }
}
