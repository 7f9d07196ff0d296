//! [`KeyState`]: an end's durable state: pads used, blocks begun, keys held and released.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use crqkd_bits::SecretBits;
use crqkd_keys::{AuthDirection, Authenticator, GroupId, PoolMark, secret_from_bytes};
use crqkd_quantum::decoy::{CONFIRMATION_BITS, confirmation};
use serde::{Deserialize, Serialize};

use super::record::Ledger;
use crate::journal::{Journal, KeyFile};

/// Groups that a block has at most, for their numbers.
const GROUPS_PER_BLOCK: u64 = 1 << 20;

/// Number of a group: by block, so that a block that is lost shifts no other.
pub fn group_id(block: u64, group: u64) -> GroupId {
    GroupId(block * GROUPS_PER_BLOCK + group)
}

/// One line of an end's journal. No secrets are in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum QkdRecord {
    /// The process began.
    Start {
        /// The direction that this end sends.
        own: AuthDirection,
        /// Bits of a tag.
        tag_bits: u32,
    },
    /// Pad bits below `next` are used.
    Pool(PoolMark),
    /// A block began: its number is never used again.
    Begin {
        /// The block.
        block: u64,
    },
    /// Bob has checked Alice's tag; she may not have checked his.
    Held(Box<Ledger>),
    /// A key is authenticated at both ends.
    Released(Box<Ledger>),
    /// A block gave no key.
    Burned {
        /// The block.
        block: u64,
        /// Why.
        reason: String,
    },
}

/// An end's durable state and its pools.
#[derive(Debug)]
pub struct KeyState {
    journal: Journal,
    keys: KeyFile,
    /// The pools.
    pub auth: Authenticator,
    own: AuthDirection,
    next_block: u64,
    /// The last block released, and what confirms its key.
    last_released: Option<(u64, u64)>,
    /// Bob's key of a block that Alice may not have accepted.
    held: Option<(Ledger, SecretBits)>,
    released: u64,
}

impl KeyState {
    /// Opens or begins the state in `dir`.
    ///
    /// # Errors
    /// Files that cannot be used or contradict each other, another process on the same directory.
    pub fn open(
        dir: &Path,
        secret: &[u8],
        own: AuthDirection,
        reserve_tags: u64,
        tag_bits: u32,
    ) -> Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        let (journal, records) = Journal::open::<QkdRecord>(&dir.join("journal.jsonl"))?;
        let (keys, stored) = KeyFile::open(&dir.join("keys.bin"))?;
        let mut stored: BTreeMap<u64, SecretBits> = stored.into_iter().collect();
        let mut auth = Authenticator::new(secret_from_bytes(secret)?, own, reserve_tags, tag_bits)?;
        let mut state = Replay::default();
        for record in &records {
            state.apply(record, own, tag_bits, &stored, &mut auth)?;
        }
        for (direction, next) in state.pools {
            auth.pool_mut(direction).skip_to(next)?;
        }
        let held = match state.held {
            Some(ledger) => {
                let key = stored.remove(&ledger.block).with_context(|| {
                    format!("the journal holds block {}, but its key is missing", ledger.block)
                })?;
                Some((ledger, key))
            }
            None => None,
        };
        let mut state = Self {
            journal,
            keys,
            auth,
            own,
            next_block: state.next_block,
            last_released: state.last_released,
            held,
            released: state.released,
        };
        state.journal.append(&[QkdRecord::Start { own, tag_bits }])?;
        Ok(state)
    }

    /// The first block number that this end has not used.
    pub fn next_block(&self) -> u64 {
        self.next_block
    }

    /// The last block whose key was released here, and what confirms it.
    pub fn last_released(&self) -> Option<(u64, u64)> {
        self.last_released
    }

    /// The block whose key Bob holds.
    pub fn held_block(&self) -> Option<u64> {
        self.held.as_ref().map(|(ledger, _)| ledger.block)
    }

    /// The block whose key Bob holds, and what confirms it.
    pub(super) fn held(&self) -> Option<(u64, u64)> {
        self.held.as_ref().map(|(ledger, key)| (ledger.block, confirmation(key)))
    }

    /// Keys released so far, restarts included.
    pub fn released(&self) -> u64 {
        self.released
    }

    /// The direction that this end sends.
    pub fn own(&self) -> AuthDirection {
        self.own
    }

    /// Makes the use of pads durable.
    pub(super) fn mark(&mut self, mark: PoolMark) -> Result<()> {
        self.journal.append(&[QkdRecord::Pool(mark)])
    }

    /// Uses a block number.
    pub(super) fn begin(&mut self, block: u64) -> Result<()> {
        if block < self.next_block {
            bail!("block {block} was used before; the next is {}", self.next_block);
        }
        self.next_block = block + 1;
        self.journal.append(&[QkdRecord::Begin { block }])
    }

    /// Bob: keeps a key until Alice is known to have it. One that was held before is given up: the transcript that has
    /// just been authenticated says that she does not have it.
    pub(super) fn hold(&mut self, key: SecretBits, ledger: Ledger) -> Result<()> {
        if let Some(old) = self.held_block() {
            self.burn(old, "the other end does not have it".into())?;
        }
        self.keys.append(ledger.block, &key)?;
        self.journal.append(&[QkdRecord::Held(Box::new(ledger.clone()))])?;
        self.held = Some((ledger, key));
        Ok(())
    }

    /// Alice: releases a key.
    pub(super) fn release(&mut self, key: SecretBits, ledger: Ledger) -> Result<()> {
        self.keys.append(ledger.block, &key)?;
        self.finish(key, ledger)
    }

    /// Bob: releases the key that was held.
    pub(super) fn release_held(&mut self) -> Result<Ledger> {
        let Some((ledger, key)) = self.held.take() else { bail!("no key is held") };
        self.finish(key, ledger.clone())?;
        Ok(ledger)
    }

    /// Gives a block up.
    pub(super) fn burn(&mut self, block: u64, reason: String) -> Result<()> {
        if self.held_block() == Some(block) {
            self.held = None;
        }
        self.journal.append(&[QkdRecord::Burned { block, reason }])
    }

    fn finish(&mut self, mut key: SecretBits, ledger: Ledger) -> Result<()> {
        let (block, refill) = (ledger.block, ledger.refill_bits as usize);
        let last = (block, confirmation(&key));
        self.journal.append(&[QkdRecord::Released(Box::new(ledger))])?;
        key.take_front(CONFIRMATION_BITS)?;
        self.auth.refill(key.take_front(refill)?)?;
        self.last_released = Some(last);
        self.released += 1;
        Ok(())
    }
}

/// A journal read back.
#[derive(Default)]
struct Replay {
    pools: BTreeMap<AuthDirection, u64>,
    next_block: u64,
    last_released: Option<(u64, u64)>,
    held: Option<Ledger>,
    released: u64,
}

impl Replay {
    fn apply(
        &mut self,
        record: &QkdRecord,
        own: AuthDirection,
        tag_bits: u32,
        stored: &BTreeMap<u64, SecretBits>,
        auth: &mut Authenticator,
    ) -> Result<()> {
        match record {
            QkdRecord::Start { own: o, tag_bits: t } if *o == own && *t == tag_bits => {}
            QkdRecord::Start { .. } => bail!("the journal is another end's, or of other tags"),
            QkdRecord::Pool(mark) => {
                let next = self.pools.entry(mark.direction).or_default();
                if mark.next <= *next {
                    bail!("the journal uses pads twice: {} after {next}", mark.next);
                }
                *next = mark.next;
            }
            QkdRecord::Begin { block } => {
                if *block < self.next_block {
                    bail!("the journal begins block {block} twice");
                }
                self.next_block = block + 1;
            }
            QkdRecord::Held(ledger) => self.held = Some(Ledger::clone(ledger)),
            QkdRecord::Released(ledger) => {
                let block = ledger.block;
                let key = stored.get(&block).with_context(|| {
                    format!("block {block} was released, but its key is missing")
                })?;
                let mut copy = key.duplicate();
                copy.take_front(ledger.confirmation_bits as usize)?;
                auth.refill(copy.take_front(ledger.refill_bits as usize)?)?;
                self.held.take_if(|held| held.block == block);
                self.last_released = Some((block, confirmation(key)));
                self.released += 1;
            }
            QkdRecord::Burned { block, .. } => drop(self.held.take_if(|held| held.block == *block)),
        }
        Ok(())
    }
}
