//! [`Session`]: one end of one block with its transcript and its tags.
//!
//! What comes out is a list of [`Step`]s to be carried out in order: a mark is made durable before the message after it
//! is sent. No key comes out before the other end's tag over the whole transcript has been checked.
//!
//! ```text
//! first   ... [mark] Tag ->                                       check, [mark] Key, Accepted ->
//! second                    check, [marks] Hold, Tag ->               (key held)                Key
//! ```
//!
//! Either end may be the first to tag; the holder of the sessions decides, alike at both ends. Usually Alice is; an end that
//! has just been started, and so may have been restored from an old copy of its files, lets the other one be first: before
//! it uses a pad it has then seen a tag over a transcript in which the other end says which pads it has seen.
//!
//! A pad is reserved when everything has been said and the tag is sent next, so that a connection that breaks, or a stranger,
//! costs none. The first has the key when the second's tag is right. The second holds it until it hears that the first has
//! it: the first 64 bits of the key, which nobody else knows and which are not used for anything else. If that message is
//! lost it is said again when the connection is made anew. What the two say then goes into the next block's transcript, so
//! that a key is given up only when it is authenticated that the other end does not have it.

use crqkd_bits::SecretBits;
use crqkd_keys::{AuthDirection, AuthError, Authenticator, PoolMark, Tag, Transcript};
use rand::TryRngCore;

use super::alice::DecoyAlice;
use super::bob::DecoyBob;
use super::config::DecoyConfig;
use super::counts::DecoyCounts;
use super::epsilon::MAX_TRANSCRIPT_BYTES;
use super::link::Choices;
use super::message::Message;
use super::sifting::Detections;
use crate::message::ProtocolError;
use crate::report::AbortReason;
use crate::status::Status;
use crate::wire::{Reader, WireError, Writer};

/// Something that the holder of a session carries out, in order.
#[derive(Debug)]
pub enum Step {
    /// Make durable before the next step.
    Persist(PoolMark),
    /// These bytes are to be sent to the other end.
    Send(Vec<u8>),
    /// The first to tag: authenticated both ways. To be made durable, and used.
    Key(SecretBits),
    /// The second: the other end's tag is right, but it may not have checked this one's. To be made durable, and held. A
    /// key that was held before can be given up: the greetings that say so are in the authenticated transcript.
    Hold(SecretBits),
    /// The second: the first has it. What was held may be used.
    Release,
    /// The block is over at this end, with a key or without.
    End(SessionEnd),
}

/// How a block ended at one end.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionEnd {
    /// The block gave a key that both ends have authenticated.
    Key,
    /// The block gave no key, for this reason.
    Aborted(AbortReason),
}

/// Why a session ends without a key: a message that cannot be, or a tag that does not fit.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SessionError {
    /// Bytes that are no message.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A message that does not fit.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// An authentication that fails, or a pool that is low.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// More was said than the forgery bound allows for.
    #[error("the block's messages are longer than {MAX_TRANSCRIPT_BYTES} bytes together")]
    TooLong,
    /// What came is not the beginning of the key.
    #[error("the key is not confirmed")]
    Unconfirmed,
    /// A message after the end, or one that this end never gets.
    #[error("a message that is not expected now")]
    Unexpected,
}

enum End {
    Alice(Box<DecoyAlice>),
    Bob(Box<DecoyBob>),
    Gone,
}

/// One end of one block.
pub struct Session {
    number: u64,
    own: AuthDirection,
    end: End,
    transcript: Transcript,
    /// The end that tags first.
    first: AuthDirection,
    /// The second waits for the first to say that it has the key, with this.
    held: Option<u64>,
    /// First pad bits of Alice's tag and of Bob's, once they are used.
    tag_pads: [Option<u64>; 2],
    counts: DecoyCounts,
    over: bool,
}

/// First bits of a key that confirm it; the rest is for use.
pub const CONFIRMATION_BITS: usize = 64;

/// The bits after these, which are shown to people who compare the two ends.
pub const FINGERPRINT_BITS: usize = 32;

/// First bits of a key that may become public.
pub const PUBLIC_BITS: usize = CONFIRMATION_BITS + FINGERPRINT_BITS;

/// The first bits of a key. They may be said aloud once the key is authenticated, and not be used as key.
pub fn confirmation(key: &SecretBits) -> u64 {
    key.expose().words().first().copied().unwrap_or(0)
}

const MESSAGE: u8 = 1;
const TAG: u8 = 2;
const ACCEPTED: u8 = 3;

impl Session {
    /// Alice's end of block `number`. `greetings` is what the ends said when they met, Alice's and Bob's; it is authenticated
    /// with the block.
    ///
    /// # Errors
    /// [`AuthError::PoolLow`] when there would be no pad above the reserve for its tags.
    pub fn alice(
        config: &DecoyConfig,
        number: u64,
        choices: Choices,
        greetings: [&[u8]; 2],
        first: AuthDirection,
        auth: &Authenticator,
    ) -> Result<(Self, Vec<Step>), SessionError> {
        let end = End::Alice(Box::new(DecoyAlice::new(config, choices)));
        let session = Self::new(number, AuthDirection::AToB, end, greetings, first, auth)?;
        Ok((session, Vec::new()))
    }

    /// Bob's end, with what he saw in the block.
    ///
    /// # Errors
    /// [`AuthError::PoolLow`] when there would be no pad above the reserve for its tags.
    pub fn bob(
        config: &DecoyConfig,
        number: u64,
        detections: Detections,
        greetings: [&[u8]; 2],
        first: AuthDirection,
        auth: &Authenticator,
    ) -> Result<(Self, Vec<Step>), SessionError> {
        let (bob, message) = DecoyBob::new(config, detections);
        let end = End::Bob(Box::new(bob));
        let mut session = Self::new(number, AuthDirection::BToA, end, greetings, first, auth)?;
        let mut steps = Vec::new();
        session.say(&message, &mut steps);
        Ok((session, steps))
    }

    fn new(
        number: u64,
        own: AuthDirection,
        end: End,
        greetings: [&[u8]; 2],
        first: AuthDirection,
        auth: &Authenticator,
    ) -> Result<Self, SessionError> {
        auth.check_reserve()?;
        let mut transcript = auth.transcript(number)?;
        transcript.push(AuthDirection::AToB, greetings[0]);
        transcript.push(AuthDirection::BToA, greetings[1]);
        Ok(Self {
            number,
            own,
            end,
            transcript,
            first,
            held: None,
            tag_pads: [None; 2],
            counts: DecoyCounts::default(),
            over: false,
        })
    }

    /// Takes bytes from the other end and appends what is to be done.
    ///
    /// # Errors
    /// Anything that does not fit. The session is then over, its secrets are wiped, and of what was appended marks are still
    /// made durable.
    pub fn receive<R: TryRngCore + ?Sized>(
        &mut self,
        bytes: &[u8],
        auth: &mut Authenticator,
        rng: &mut R,
        steps: &mut Vec<Step>,
    ) -> Result<(), SessionError> {
        let result = self.receive_into(bytes, auth, rng, steps);
        if result.is_err() {
            self.end = End::Gone;
            self.held = None;
            self.over = true;
        }
        result
    }

    /// Does work that no message waits for. To be called when everything has been sent and before the next bytes are
    /// awaited; without the call the work is done when its result is needed.
    ///
    /// # Errors
    /// [`SessionError::Protocol`] when the key cannot be hashed with the matrix of the block.
    pub fn work(&mut self) -> Result<(), SessionError> {
        if let End::Alice(alice) = &mut self.end {
            alice.work()?;
        }
        Ok(())
    }

    /// What this end has counted.
    pub fn counts(&self) -> &DecoyCounts {
        &self.counts
    }

    /// First pad bits of Alice's tag and of Bob's: known when there is a key.
    pub fn tag_pads(&self) -> Option<[u64; 2]> {
        Some([self.tag_pads[0]?, self.tag_pads[1]?])
    }

    /// Number of the block, as given to [`alice`](Self::alice) or [`bob`](Self::bob).
    pub fn number(&self) -> u64 {
        self.number
    }

    fn receive_into<R: TryRngCore + ?Sized>(
        &mut self,
        bytes: &[u8],
        auth: &mut Authenticator,
        rng: &mut R,
        steps: &mut Vec<Step>,
    ) -> Result<(), SessionError> {
        if self.over {
            return Err(SessionError::Unexpected);
        }
        match bytes.split_first() {
            Some((&MESSAGE, bytes)) => {
                let message = Message::from_bytes(bytes)?;
                self.transcript.push(self.own.reversed(), bytes);
                if self.transcript.bytes() > MAX_TRANSCRIPT_BYTES {
                    return Err(SessionError::TooLong);
                }
                let (answer, status) = match &mut self.end {
                    End::Alice(alice) => {
                        let answer = alice.handle(message, rng)?;
                        self.counts = *alice.counts();
                        (answer, alice.status())
                    }
                    End::Bob(bob) => {
                        let answer = bob.handle(message)?;
                        self.counts = *bob.counts();
                        (answer, bob.status())
                    }
                    End::Gone => return Err(SessionError::Unexpected),
                };
                if let Some(answer) = answer {
                    self.say(&answer, steps);
                }
                match status {
                    Status::Aborted(reason) => {
                        self.over = true;
                        self.end = End::Gone;
                        steps.push(Step::End(SessionEnd::Aborted(reason)));
                    }
                    Status::Done if self.own == self.first => self.tag(auth, steps)?,
                    _ => {}
                }
                Ok(())
            }
            Some((&TAG, bytes)) => {
                let mut from = Reader::new(bytes);
                let tag = Tag { index: from.word("index")?, value: from.word("tag")? };
                from.end()?;
                self.check(tag, auth, steps)
            }
            Some((&ACCEPTED, bytes)) if self.held.is_some() => {
                let mut from = Reader::new(bytes);
                let theirs = from.word("confirmation")?;
                from.end()?;
                if self.held.take() != Some(theirs) {
                    return Err(SessionError::Unconfirmed);
                }
                steps.push(Step::Release);
                steps.push(Step::End(SessionEnd::Key));
                self.over = true;
                Ok(())
            }
            _ => Err(SessionError::Unexpected),
        }
    }

    fn say(&mut self, message: &Message, steps: &mut Vec<Step>) {
        let mut bytes = message.to_bytes();
        self.transcript.push(self.own, &bytes);
        bytes.insert(0, MESSAGE);
        steps.push(Step::Send(bytes));
    }

    /// Sends this end's tag. Everything has been said: only now is a pad taken.
    fn tag(&mut self, auth: &mut Authenticator, steps: &mut Vec<Step>) -> Result<(), SessionError> {
        let place = usize::from(self.own == AuthDirection::BToA);
        if self.tag_pads[place].is_some() {
            return Err(SessionError::Unexpected);
        }
        let pad = auth.reserve()?;
        steps.push(Step::Persist(pad.mark()));
        let tag = auth.tag(pad, &self.transcript);
        self.tag_pads[place] = Some(tag.index);
        let mut out = Writer::default();
        out.byte(TAG);
        out.word(tag.index);
        out.word(tag.value);
        steps.push(Step::Send(out.0));
        Ok(())
    }

    /// Checks the other end's tag. Only here does a key leave the state machine.
    fn check(
        &mut self,
        tag: Tag,
        auth: &mut Authenticator,
        steps: &mut Vec<Step>,
    ) -> Result<(), SessionError> {
        let done = match &self.end {
            End::Alice(alice) => alice.status() == Status::Done,
            End::Bob(bob) => bob.status() == Status::Done,
            End::Gone => false,
        };
        let tagged = self.tag_pads[usize::from(self.own == AuthDirection::BToA)].is_some();
        if !done || tagged != (self.own == self.first) {
            return Err(SessionError::Unexpected);
        }
        let mark = auth.verify(tag, &self.transcript)?;
        steps.push(Step::Persist(mark));
        self.tag_pads[usize::from(self.own == AuthDirection::AToB)] = Some(tag.index);
        let key = match std::mem::replace(&mut self.end, End::Gone) {
            End::Alice(alice) => alice.into_key(),
            End::Bob(bob) => bob.into_key(),
            End::Gone => None,
        };
        let key = key.ok_or(SessionError::Unexpected)?;
        if self.own == self.first {
            let mut out = Writer::default();
            out.byte(ACCEPTED);
            out.word(confirmation(&key));
            steps.push(Step::Key(key));
            steps.push(Step::Send(out.0));
            steps.push(Step::End(SessionEnd::Key));
            self.over = true;
            return Ok(());
        }
        self.held = Some(confirmation(&key));
        // The pad is named in the record of the key, so it is marked first; the tag is sent when the key is durable.
        self.tag(auth, steps)?;
        let send = steps.pop();
        steps.push(Step::Hold(key));
        steps.extend(send);
        Ok(())
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.transcript.bytes();
        write!(f, "Session(block {}, {:?}, {bytes} bytes)", self.number, self.own)
    }
}
