//! [`Bb84Bob`]: the end at QAP2, which detects the pulses and corrects its bits.

use std::fmt;
use std::mem;

use crqkd_bits::{BitString, SecretBits};

use crate::cascade::{CascadeBob, CascadeError};
use crate::message::{ProtocolError, ToAlice, ToBob, expect_len};
use crate::report::{AbortReason, Counts};
use crate::sifting::select;
use crate::status::Status;
use crate::{Clicks, QuantumConfig, amplification, estimation, sifting, verification};

/// Bob's end of one block: messages in, messages out; no socket, no clock.
pub struct Bb84Bob {
    config: QuantumConfig,
    counts: Counts,
    corrected: Option<u64>,
    state: State,
}

enum State {
    /// The detections are announced; holds the bit of each click until Alice's sifting comes.
    Announced(SecretBits),
    /// The sample is disclosed; Alice decides as Bob has decided.
    Estimated(SecretBits),
    /// Cascade runs: parities have been asked for and Alice's answers are awaited.
    Reconciling(Box<CascadeBob>),
    /// Cascade has nothing more to ask; holds the corrected bits until Alice's tag comes.
    Reconciled(SecretBits),
    /// The verification tags are equal; holds the corrected bits until the Toeplitz seed comes.
    Verified(SecretBits),
    /// The block is over at this end; holds the final key.
    Done(SecretBits),
    /// No key, for a reason.
    Aborted(AbortReason),
    /// No key: a message that cannot be.
    Failed,
}

type Step = Result<(State, Option<ToAlice>), ProtocolError>;

impl Bb84Bob {
    /// Bob, who has seen these clicks, and his first message.
    pub fn new(config: &QuantumConfig, clicks: Clicks) -> (Self, ToAlice) {
        let Clicks { bases, clicked, bits } = clicks;
        let announced = select(bases.expose(), &clicked);
        let counts = Counts {
            pulses: clicked.len() as u64,
            detected: bits.len() as u64,
            ..Counts::default()
        };
        let state = State::Announced(bits);
        let bob = Self { config: config.clone(), counts, corrected: None, state };
        (bob, ToAlice::Detections { clicked, bases: announced })
    }

    /// Takes a message of Alice's; returns the answer, if there is one.
    ///
    /// # Errors
    /// A message that does not fit the state or the counts so far. The block is then over and its secrets are wiped,
    /// except that a finished block stays finished.
    pub fn handle(&mut self, message: ToBob) -> Result<Option<ToAlice>, ProtocolError> {
        let name = message.name();
        let (state, answer) = match (mem::replace(&mut self.state, State::Failed), message) {
            (State::Announced(bits), ToBob::Sifting { same_basis, sample, sample_bits }) => {
                self.sift(&bits, &same_basis, &sample, &sample_bits)
            }
            (State::Estimated(key), ToBob::Reconcile { shuffle_seed }) => {
                self.ask(Box::new(CascadeBob::new(key, self.counts.expected_rate(), shuffle_seed)?))
            }
            (State::Reconciling(mut cascade), ToBob::Parities(parities)) => {
                cascade.answer(&parities)?;
                self.ask(cascade)
            }
            (State::Reconciled(key), ToBob::Verify { hash_key, tag }) => {
                self.verify(key, hash_key, tag)
            }
            (State::Verified(key), ToBob::Amplify { length, seed }) => {
                self.amplify(&key, length, seed)
            }
            (State::Done(key), _) => {
                self.state = State::Done(key);
                Err(ProtocolError::Unexpected { message: name, state: "done" })
            }
            (State::Aborted(reason), _) => {
                self.state = State::Aborted(reason);
                Err(ProtocolError::Unexpected { message: name, state: "aborted" })
            }
            (State::Failed, _) => Err(ProtocolError::Unexpected { message: name, state: "failed" }),
            (_, ToBob::Abort(reason)) => Ok((State::Aborted(reason), None)),
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

    /// Bits flipped by reconciliation, once it is finished.
    pub fn corrected(&self) -> Option<u64> {
        self.corrected
    }

    fn sift(
        &mut self,
        bits: &SecretBits,
        same_basis: &BitString,
        mask: &BitString,
        theirs: &BitString,
    ) -> Step {
        let sifted = sifting::sift_bob(bits, same_basis)?;
        self.counts.sifted = sifted.len() as u64;
        let count = estimation::sample_size(sifted.len(), self.config.sample_fraction).unwrap_or(0);
        expect_len("sampled positions", count, mask.count_ones())?;
        let (sample, key) = estimation::split(&sifted, mask)?;
        self.counts.sample = sample.len() as u64;
        self.counts.sample_errors = estimation::count_errors(&sample, theirs)? as u64;
        let state = match self.counts.check_sample(&self.config) {
            Ok(()) => State::Estimated(key),
            Err(reason) => State::Aborted(reason),
        };
        Ok((state, Some(ToAlice::SampleBits(sample))))
    }

    fn ask(&mut self, mut cascade: Box<CascadeBob>) -> Step {
        self.counts.parities = cascade.parities();
        self.counts.rounds = cascade.rounds();
        match cascade.next_request() {
            Ok(Some(request)) => {
                Ok((State::Reconciling(cascade), Some(ToAlice::Parities(request))))
            }
            Ok(None) => {
                self.corrected = Some(cascade.corrected());
                Ok((State::Reconciled(cascade.into_key()), Some(ToAlice::Reconciled)))
            }
            Err(CascadeError::TooMuch { disclosed, len }) => {
                let reason = AbortReason::LeakTooLarge { disclosed, key_bits: len as u64 };
                Ok((State::Aborted(reason), Some(ToAlice::Abort(reason))))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn verify(&mut self, key: SecretBits, hash_key: u64, tag: u64) -> Step {
        let equal = verification::tag(hash_key, &key) == tag;
        self.counts.tag_bits += verification::TAG_BITS;
        let state = if equal {
            State::Verified(key)
        } else {
            State::Aborted(AbortReason::VerificationFailed)
        };
        Ok((state, Some(ToAlice::Verified { equal })))
    }

    fn amplify(&mut self, key: &SecretBits, length: u64, seed: BitString) -> Step {
        let ours = self.counts.secret_length(&self.config).unwrap_or(0);
        if ours == 0 || ours != length {
            return Err(ProtocolError::LengthDisagrees { ours, theirs: length });
        }
        let secret = amplification::amplify(key, length as usize, seed)?;
        self.counts.final_length = length;
        Ok((State::Done(secret), None))
    }
}

impl State {
    fn name(&self) -> &'static str {
        match self {
            Self::Announced(_) => "waiting for sifting",
            Self::Estimated(_) => "waiting for reconciliation",
            Self::Reconciling(_) => "reconciling",
            Self::Reconciled(_) => "waiting for the tag",
            Self::Verified(_) => "waiting for amplification",
            Self::Done(_) => "done",
            Self::Aborted(_) => "aborted",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Debug for Bb84Bob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bb84Bob({}, {:?})", self.state.name(), self.counts)
    }
}
