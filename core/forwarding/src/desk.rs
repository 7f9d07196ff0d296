//! The work on a station's secret material: what becomes of each [`Job`] that a [`Station`](crate::Station) hands out.
//!
//! ```text
//!  Work ──> Desk ──Encryption, Decryption──> codec ──Opened, Reply──> Desk ──Reply──> station
//!             └──FinalKey──> the user's programs
//! ```

use crate::{Answer, Job, Received, Ticket};
use crqkd_bits::{PolyHash64, SecretBits, Toeplitz};
use crqkd_keys::{Epoch, Group, GroupId, KeyBuffer, KeyId, Pad, PairId, WindowId};
use crqkd_otp::Attempts;
use std::collections::BTreeMap;

/// Groups whose failed attempts are kept at most.
const MAX_ATTEMPTS: usize = 64;

/// A piece of work under its ticket.
#[derive(Debug)]
pub struct Work {
    /// Number that the answer must carry.
    pub ticket: Ticket,
    /// What is to be done.
    pub job: Job,
}

/// The answer to a piece of work.
#[derive(Debug)]
pub struct Reply {
    /// Number of the work that this belongs to.
    pub ticket: Ticket,
    /// The answer.
    pub answer: Answer,
}

/// A group on its way under a pad.
#[derive(Debug)]
pub struct Encryption {
    /// Number of the work that this belongs to.
    pub ticket: Ticket,
    /// A copy of the group.
    pub group: Group,
    /// The pad, for this one use.
    pub pad: Pad,
}

/// A ciphertext with the pad to open it.
#[derive(Debug)]
pub struct Decryption {
    /// Number of the work that this belongs to.
    pub ticket: Ticket,
    /// The group inside.
    pub group: GroupId,
    /// The ciphertext as it came off the air: bits, or log-likelihood ratios.
    pub received: Received,
    /// One's own pad, for this one use.
    pub pad: Pad,
    /// What earlier attempts at the same group left.
    pub earlier: Option<Attempts>,
}

/// What came of a [`Decryption`].
#[derive(Debug)]
pub struct Opened {
    /// Number of the work that this belongs to.
    pub ticket: Ticket,
    /// The group, if its check holds.
    pub group: Option<Group>,
    /// Pad bits that were corrected.
    pub corrected: u32,
    /// What the next attempt can be combined with, when this one failed.
    pub again: Option<Attempts>,
}

/// A key for the user's programs.
#[derive(Debug)]
pub struct FinalKey {
    /// Its name, equal at both users.
    pub key: KeyId,
    /// The two users.
    pub pair: PairId,
    /// Number of the block it was made of.
    pub block: u32,
    /// The block's groups.
    pub groups: Vec<GroupId>,
    /// The key.
    pub bits: SecretBits,
}

/// A group that was opened, for the referee of a simulation.
#[derive(Debug)]
pub struct OpenedGroup {
    /// A copy of the group.
    pub group: Group,
    /// Pad bits that were corrected.
    pub corrected: u32,
}

/// What comes of a piece of work.
#[derive(Debug)]
pub enum Done {
    /// An answer for the protocol.
    Reply(Reply),
    /// Work for the codec.
    Encrypt(Encryption),
    /// Work for the codec.
    Decrypt(Decryption),
    /// An answer, and a key for the user's programs.
    Key(Reply, FinalKey),
    /// Nothing to tell.
    Nothing,
}

/// A key buffer and what can be asked of it. It never fails: what cannot be done is answered so.
#[derive(Debug)]
pub struct Desk {
    buffer: KeyBuffer,
    /// What failed attempts at groups left, to be combined with the next one.
    attempts: BTreeMap<GroupId, Attempts>,
    /// An eavesdropper keeps what she opens under no name that could clash.
    keep: bool,
}

type Outcome = Result<Answer, Box<dyn std::error::Error + Send + Sync>>;

impl Desk {
    /// A desk on an empty buffer for `groups` groups and the pads of `windows` windows. Without
    /// `keep` opened groups are not stored.
    pub fn new(groups: usize, windows: usize, keep: bool) -> Self {
        Desk { buffer: KeyBuffer::new(groups, windows), attempts: BTreeMap::new(), keep }
    }

    /// Stores groups of quantum key.
    ///
    /// # Errors
    /// When a number was used before or there is no room.
    pub fn supply(&mut self, groups: Vec<Group>) -> Result<(), crqkd_keys::KeysError> {
        groups.into_iter().try_for_each(|group| self.buffer.insert(group))
    }

    /// Stores the channel key of a window, a log-likelihood ratio a bit, and answers the work that asked for it.
    pub fn pads(
        &mut self,
        ticket: Ticket,
        (epoch, window): (Epoch, WindowId),
        bits: SecretBits,
        llr: Vec<f32>,
    ) -> Done {
        let len = bits.len() as u32;
        let stored = self.buffer.pads.insert(epoch, window, bits, llr);
        reply(ticket, stored.map(|()| Answer::Derived { bits: len }).map_err(Into::into))
    }

    /// Does a piece of work, or prepares it for the codec.
    pub fn work(&mut self, work: Work) -> Done {
        let Work { ticket, job } = work;
        match job {
            Job::Encrypt { group, pad, .. } => {
                let bits = self.buffer.group(group).map(|bits| bits.duplicate());
                let ready = bits.and_then(|bits| Ok((bits, self.buffer.pads.take(&pad)?)));
                match ready {
                    Ok((bits, pad)) => {
                        Done::Encrypt(Encryption { ticket, group: Group { id: group, bits }, pad })
                    }
                    Err(error) => reply(ticket, Err(error.into())),
                }
            }
            Job::Decrypt { group, pad, received, .. } => match self.buffer.pads.take(&pad) {
                Ok(pad) => {
                    let earlier = self.attempts.remove(&group);
                    Done::Decrypt(Decryption { ticket, group, received, pad, earlier })
                }
                Err(error) => reply(ticket, Err(error.into())),
            },
            Job::TagBlock { groups, hash_key, .. } => {
                let tag = self.buffer.join(&groups).map(|joined| {
                    let tag = PolyHash64::new(hash_key).hash(joined.expose());
                    Answer::Tagged { tag }
                });
                reply(ticket, tag.map_err(Into::into))
            }
            Job::Release { key, pair, block, groups, seed, len } => {
                let amplify = || -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
                    let joined = self.buffer.join(&groups)?;
                    let matrix = Toeplitz::new(seed.toeplitz, joined.len(), len)?;
                    Ok(matrix.hash_secret(&joined)?)
                };
                match amplify() {
                    Ok(bits) => {
                        self.buffer.remove(&groups);
                        let fingerprint = bits.fingerprint();
                        let reply = Reply { ticket, answer: Answer::Released { fingerprint } };
                        Done::Key(reply, FinalKey { key, pair, block, groups, bits })
                    }
                    Err(error) => reply(ticket, Err(error)),
                }
            }
            Job::Wipe { groups } => {
                self.buffer.remove(&groups);
                self.attempts.retain(|group, _| !groups.contains(group));
                Done::Nothing
            }
            Job::Derive { .. } | Job::DropWindow { .. } => {
                reply(ticket, Err("no quantizer took this work".into()))
            }
        }
    }

    /// Stores what the codec has opened, or what it could not open yet. Also a copy of an opened group, for a referee.
    pub fn opened(&mut self, opened: Opened) -> (Done, Option<OpenedGroup>) {
        let Opened { ticket, group, corrected, again } = opened;
        if let Some(again) = again {
            self.attempts.insert(again.group(), again);
            if self.attempts.len() > MAX_ATTEMPTS {
                self.attempts.pop_first(); // the oldest group: an eavesdropper's, or one that was given up
            }
        }
        let ok = group.is_some();
        let Some(group) = group else {
            return (reply(ticket, Ok(Answer::Decrypted { ok, corrected })), None);
        };
        let copy = Group { id: group.id, bits: group.bits.duplicate() };
        let stored = if self.keep { self.buffer.insert(group) } else { Ok(()) };
        let answer = stored.map(|()| Answer::Decrypted { ok, corrected }).map_err(Into::into);
        (reply(ticket, answer), Some(OpenedGroup { group: copy, corrected }))
    }

    /// The buffer, for counts.
    pub fn buffer(&self) -> &KeyBuffer {
        &self.buffer
    }
}

fn reply(ticket: Ticket, outcome: Outcome) -> Done {
    let answer = outcome.unwrap_or_else(|error| Answer::Failed { reason: error.to_string() });
    Done::Reply(Reply { ticket, answer })
}
