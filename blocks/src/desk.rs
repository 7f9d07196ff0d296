//! The work on a station's secret material: what the key buffer block does with each message.

use crate::messages::{Decryption, Encryption, FinalKey, Opened, OpenedGroup, Pads, Reply, Work};
use crqkd_bits::{PolyHash64, Toeplitz};
use crqkd_forwarding::{Answer, Job, Ticket};
use crqkd_keys::{Group, GroupId, KeyBuffer};
use crqkd_otp::Attempts;
use std::collections::BTreeMap;

/// Groups whose failed attempts are kept at most.
const MAX_ATTEMPTS: usize = 64;

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

    /// Stores channel key.
    pub fn pads(&mut self, pads: Pads) -> Done {
        let (bits, llr) = pads.soft.into_parts();
        let len = bits.len() as u32;
        let stored = self.buffer.pads.insert(pads.epoch, pads.window, bits, llr);
        reply(pads.ticket, stored.map(|()| Answer::Derived { bits: len }).map_err(Into::into))
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
