//! [`DecoyAlice`]: the end that sends the pulses and whose bits are taken as right.

use std::mem;

use crqkd_bits::{BitString, SecretBits, Toeplitz};
use rand::TryRngCore;

use super::config::{DecoyConfig, Reconciliation};
use super::counts::{self, DecoyCounts};
use super::link::Choices;
use super::message::Message;
use super::random;
use super::sifting::{Disclosed, Sifted, sift_alice};
use crate::cascade::{CascadeAlice, CascadeError};
use crate::ldpc::{self, LdpcError};
use crate::message::{ProtocolError, expect_len};
use crate::report::AbortReason;
use crate::status::Status;

/// Alice's end of one block: messages in, messages out; no socket, no clock.
#[derive(Debug)]
pub struct DecoyAlice {
    config: DecoyConfig,
    counts: DecoyCounts,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The pulses are under way.
    Sent(Choices),
    /// Alice's bits in the test basis are disclosed; she waits for Bob's.
    Testing(Sifted),
    /// Cascade runs: Bob asks for parities of Alice's bits.
    Asked(CascadeAlice),
    /// Bob has the syndromes and corrects his bits by himself.
    Told(SecretBits),
    /// Bob has Alice's verification tag and compares it with his.
    Verifying(SecretBits),
    /// Bob knows the matrix; the key is still to be hashed.
    Amplifying { key: SecretBits, matrix: Box<Toeplitz> },
    /// This end has computed the final key, which is not yet authenticated here.
    Done(SecretBits),
    /// No key, for a reason.
    Aborted(AbortReason),
    /// No key: a message that cannot be.
    Failed,
}

type Step = Result<(State, Option<Message>), ProtocolError>;

impl DecoyAlice {
    /// Alice, who has made these choices for the block's pulses.
    pub fn new(config: &DecoyConfig, choices: Choices) -> Self {
        let counts = DecoyCounts { pulses: config.pulses_per_block, ..DecoyCounts::default() };
        Self { config: config.clone(), counts, state: State::Sent(choices) }
    }

    /// Takes a message of Bob's; returns the answer, if there is one. Seeds and hash keys are drawn from `rng`, each when it
    /// is needed; for real keys that is the operating system's generator.
    ///
    /// # Errors
    /// A message that does not fit the state or the counts so far. The block is then over and its secrets are wiped,
    /// except that a finished block stays finished.
    pub fn handle<R: TryRngCore + ?Sized>(
        &mut self,
        message: Message,
        rng: &mut R,
    ) -> Result<Option<Message>, ProtocolError> {
        let name = message.name();
        let unexpected = |state| ProtocolError::Unexpected { message: name, state };
        let (state, answer) = match (mem::replace(&mut self.state, State::Failed), message) {
            (State::Sent(choices), Message::Detections { pulses, distances, bases }) => {
                self.sift(&choices, pulses, &distances, &bases)
            }
            (State::Testing(sifted), Message::TestBits(theirs)) => {
                self.estimate(sifted, &theirs, rng)
            }
            (State::Asked(mut cascade), Message::Questions(request)) => {
                match cascade.answer(&request) {
                    Ok(answers) => {
                        self.counts.disclosed = cascade.parities();
                        self.counts.rounds = cascade.rounds();
                        Ok((State::Asked(cascade), Some(Message::Answers(answers))))
                    }
                    Err(CascadeError::TooMuch { disclosed, len }) => {
                        abort(AbortReason::LeakTooLarge { disclosed, key_bits: len as u64 })
                    }
                    Err(error) => Err(error.into()),
                }
            }
            (State::Asked(cascade), Message::Reconciled { errors }) => {
                self.verify(cascade.into_key(), errors, rng)
            }
            (State::Told(key), Message::Reconciled { errors }) => self.verify(key, errors, rng),
            (State::Verifying(key), Message::Verified { equal }) => self.amplify(key, equal, rng),
            (state @ (State::Done(_) | State::Amplifying { .. }), _) => {
                self.state = state;
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

    /// Does work that no message waits for: hashes the key while Bob does the same.
    ///
    /// # Errors
    /// A matrix that does not fit the key, which cannot be.
    pub fn work(&mut self) -> Result<(), ProtocolError> {
        if let State::Amplifying { key, matrix } = &self.state {
            self.state = State::Done(matrix.hash_secret(key)?);
        }
        Ok(())
    }

    /// The final key, once it is there. It may not be used before the transcript is authenticated.
    pub fn into_key(mut self) -> Option<SecretBits> {
        self.work().ok()?;
        match self.state {
            State::Done(key) => Some(key),
            _ => None,
        }
    }

    /// How far this end is.
    pub fn status(&self) -> Status {
        match self.state {
            State::Done(_) | State::Amplifying { .. } => Status::Done,
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
        choices: &Choices,
        pulses: u64,
        distances: &[u64],
        bases: &BitString,
    ) -> Step {
        expect_len("pulses", self.config.pulses_per_block as usize, pulses as usize)?;
        let (sifted, Disclosed { equal, signal, decoy }) =
            sift_alice(choices, pulses, distances, bases)?;
        self.counts.clicks = distances.len() as u64;
        let answer = Message::Sifting { equal, signal, decoy, test_bits: sifted.test.clone() };
        Ok((State::Testing(sifted), Some(answer)))
    }

    fn estimate<R: TryRngCore + ?Sized>(
        &mut self,
        sifted: Sifted,
        theirs: &BitString,
        rng: &mut R,
    ) -> Step {
        self.counts.count_test(&sifted, theirs)?;
        let key = sifted.key;
        if let Err(reason) = self.counts.check_test(&self.config) {
            // Bob counts the same and stops by himself.
            return Ok((State::Aborted(reason), None));
        }
        if self.config.reconciliation == Reconciliation::OneWay {
            return self.tell(key);
        }
        let (rate, seed) = (self.counts.expected_rate(), random::word(rng)?);
        let error_rate = f64::from(rate) / 2f64.powi(32);
        let cascade = CascadeAlice::new(key, error_rate, seed)?;
        Ok((State::Asked(cascade), Some(Message::Reconcile { rate, seed })))
    }

    /// Everything that Bob needs in one message.
    fn tell(&mut self, key: SecretBits) -> Step {
        let (rate, plan) = self.counts.plan(key.len());
        if plan.told() >= key.len() {
            let (disclosed, key_bits) = (plan.told() as u64, key.len() as u64);
            return abort(AbortReason::LeakTooLarge { disclosed, key_bits });
        }
        let bits = match ldpc::syndromes(key.expose(), &plan) {
            Ok(bits) => bits,
            Err(LdpcError::BadSize { .. }) => {
                return abort(AbortReason::TooFewBits { sifted: key.len() as u64 });
            }
            Err(error) => return Err(error.into()),
        };
        self.counts.disclosed = bits.len() as u64;
        self.counts.rounds = 1;
        let checks = plan.checks as u64;
        Ok((State::Told(key), Some(Message::Syndrome { rate, checks, bits })))
    }

    fn verify<R: TryRngCore + ?Sized>(
        &mut self,
        key: SecretBits,
        errors: u64,
        rng: &mut R,
    ) -> Step {
        self.counts.key_errors = errors;
        self.counts.tag_bits = u64::from(counts::TAG_BITS);
        if let Err(reason) = self.counts.check_key(&self.config) {
            return abort(reason);
        }
        let hash_key = random::words(rng)?;
        let tag = counts::tag(hash_key, &key)?;
        Ok((State::Verifying(key), Some(Message::Verify { hash_key, tag })))
    }

    fn amplify<R: TryRngCore + ?Sized>(
        &mut self,
        key: SecretBits,
        equal: bool,
        rng: &mut R,
    ) -> Step {
        if !equal {
            return Ok((State::Aborted(AbortReason::VerificationFailed), None));
        }
        let length = match self.counts.secret_length(&self.config) {
            Ok(length) => length,
            Err(reason) => return abort(reason),
        };
        let seed = random::bits(rng, key.len() + length as usize - 1)?;
        let matrix = Box::new(Toeplitz::new(seed.clone(), key.len(), length as usize)?);
        self.counts.final_length = length;
        Ok((State::Amplifying { key, matrix }, Some(Message::Amplify { length, seed })))
    }
}

/// The block ends here, and Bob is told.
fn abort(reason: AbortReason) -> Step {
    Ok((State::Aborted(reason), Some(Message::Abort)))
}

impl State {
    fn name(&self) -> &'static str {
        match self {
            Self::Sent(_) => "waiting for detections",
            Self::Testing(_) => "waiting for the test bits",
            Self::Asked(_) | Self::Told(_) => "reconciling",
            Self::Verifying(_) => "verifying",
            Self::Done(_) | Self::Amplifying { .. } => "done",
            Self::Aborted(_) => "aborted",
            Self::Failed => "failed",
        }
    }
}
