//! [`KeyState`]: an end's durable state: pads used, blocks begun, keys held and released.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use crqkd_bits::SecretBits;
use crqkd_keys::{AuthDirection, Authenticator, GroupId, PoolMark, secret_from_bytes};
use crqkd_quantum::decoy::{
    BlockEps, KeyAccount, LengthRule, PUBLIC_BITS, PadOrigins, confirmation,
};
use serde::{Deserialize, Serialize};

use super::outlet::Outlet;
use super::record::Ledger;
use crate::journal::{Journal, storage, sync_folder};
use crate::key_store::KeyFile;

/// Groups that a block has at most, for their numbers.
const GROUPS_PER_BLOCK: u64 = 1 << 20;

/// Number of a group: by block, so that a block that is lost shifts no other.
pub fn group_id(block: u64, group: u64) -> GroupId {
    GroupId(block * GROUPS_PER_BLOCK + group)
}

/// What does not change in the life of a link's end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkEnd {
    /// ID of the start-up secret.
    pub secret: String,
    /// Pad bits of the start-up secret, in each direction.
    pub startup_bits: u64,
    /// The direction that this end sends.
    pub own: AuthDirection,
    /// Bits of a tag.
    pub tag_bits: u32,
    /// What a block fails with when its pads are perfect.
    pub eps: BlockEps,
    /// The fibre is simulated: whoever listens to it knows all keys.
    pub simulated: bool,
}

/// One line of an end's journal. No secrets are in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum QkdRecord {
    /// The process began.
    Start(LinkEnd),
    /// Pad bits below `next` are used.
    Pool(PoolMark),
    /// A block began: its number is never used again.
    Begin {
        /// The block.
        block: u64,
    },
    /// The end that tags second has checked the other's tag; the other may not have checked its.
    Held(Box<Ledger>),
    /// A key is authenticated at both ends.
    Released(Box<Ledger>),
    /// A released key is about to be handed over to an access point, once: if the process dies now, the key is lost to it.
    Delivered {
        /// The block.
        block: u64,
    },
    /// A block gave no key.
    Burned {
        /// The block.
        block: u64,
        /// Why the block gave no key.
        reason: String,
    },
}

/// An end's durable state and its pools.
#[derive(Debug)]
pub struct KeyState {
    journal: Journal,
    keys: KeyFile,
    /// Where released keys go, beside the file of keys.
    outlet: Option<Outlet>,
    /// The pools.
    pub auth: Authenticator,
    end: LinkEnd,
    origins: PadOrigins,
    next_block: u64,
    /// The last block released, and what confirms its key.
    last_released: Option<(u64, u64)>,
    /// A key of a block that the other end may not have accepted.
    held: Option<(Ledger, SecretBits)>,
    released: u64,
}

impl KeyState {
    /// Opens or begins the state in `dir`; `secret` and its ID are those of the directory.
    ///
    /// # Errors
    /// Files that cannot be used or contradict each other, another process on the same directory.
    pub fn open(
        dir: &Path,
        (id, pads): (&str, &[u8]),
        own: AuthDirection,
        reserve_tags: u64,
        rule: &LengthRule,
    ) -> Result<Self> {
        let tag_bits = Authenticator::TAG_BITS;
        let (journal, records) = Journal::open::<QkdRecord>(&dir.join("journal.jsonl"))?;
        let (keys, stored) = KeyFile::open(&dir.join("keys.bin"))?;
        if records.is_empty() && !stored.is_empty() {
            bail!(
                "{}: missing or empty, but there are keys in keys.bin: the directory was restored or spoilt",
                journal.path().display()
            );
        }
        let mut stored = by_number(stored)?;
        let auth = Authenticator::new(secret_from_bytes(pads)?, own, reserve_tags, tag_bits)?;
        let end = LinkEnd {
            secret: id.to_owned(),
            startup_bits: auth.pool(own).left(),
            own,
            tag_bits,
            eps: BlockEps::new(rule, tag_bits),
            simulated: true,
        };
        let mut replay = Replay::new(&end, auth);
        for (number, record) in records.iter().enumerate() {
            let at = || format!("{}: line {}", journal.path().display(), number + 1);
            replay.apply(record, &end, &stored).with_context(at)?;
        }
        let mut auth = replay.auth;
        for (direction, next) in replay.pools {
            auth.pool_mut(direction).skip_to(next)?;
        }
        let held = match replay.held {
            Some(ledger) => {
                let key = key_of(&stored, &ledger)?.duplicate();
                Some((ledger, key))
            }
            None => None,
        };
        stored.clear();
        let mut state = Self {
            journal,
            keys,
            outlet: None,
            auth,
            end,
            origins: replay.origins,
            next_block: replay.next_block,
            last_released: replay.last_released,
            held,
            released: replay.released,
        };
        sync_folder(&dir.join("journal.jsonl")).map_err(storage(dir, "syncing the folder"))?;
        state.journal.append(&[QkdRecord::Start(state.end.clone())])?;
        Ok(state)
    }

    /// From now on released keys are handed over to an access point, which reads this folder.
    ///
    /// # Errors
    /// A folder that cannot be used.
    pub(super) fn deliver_to(&mut self, folder: &Path) -> Result<()> {
        self.outlet = Some(Outlet::open(folder)?);
        Ok(())
    }

    /// The first block number that this end has not used.
    pub fn next_block(&self) -> u64 {
        self.next_block
    }

    /// The last block whose key was released here, and what confirms it.
    pub fn last_released(&self) -> Option<(u64, u64)> {
        self.last_released
    }

    /// The block whose key is held.
    pub fn held_block(&self) -> Option<u64> {
        self.held.as_ref().map(|(ledger, _)| ledger.block())
    }

    /// The block whose key is held, and what confirms it.
    pub(super) fn held(&self) -> Option<(u64, u64)> {
        self.held.as_ref().map(|(ledger, key)| (ledger.block(), confirmation(key)))
    }

    /// Keys released so far, restarts included.
    pub fn released(&self) -> u64 {
        self.released
    }

    /// The direction that this end sends.
    pub fn own(&self) -> AuthDirection {
        self.end.own
    }

    /// Makes the use of pads durable.
    pub(super) fn mark(&mut self, mark: PoolMark) -> Result<()> {
        self.journal.append(&[QkdRecord::Pool(mark)])
    }

    /// Uses a block number.
    ///
    /// # Errors
    /// A number that was used; a link whose keys together would fail with more than is allowed in its lifetime.
    pub(super) fn begin(&mut self, block: u64) -> Result<()> {
        if block < self.next_block {
            bail!("block {block} was used before; the next is {}", self.next_block);
        }
        self.end.eps.check(block)?;
        self.next_block = block + 1;
        self.journal.append(&[QkdRecord::Begin { block }])
    }

    /// The record of a key.
    ///
    /// # Errors
    /// Pads outside the pools.
    pub(super) fn ledger(&self, key: &SecretBits, account: KeyAccount) -> Result<Ledger> {
        let figures = account.figures(&self.origins).context("a tag with a pad of no pool")?;
        Ok(Ledger::new(key, account, figures))
    }

    /// Keeps a key until the other end is known to have it. One that was held before is given up: the transcript that has
    /// just been authenticated says that the other end does not have it.
    pub(super) fn hold(&mut self, key: SecretBits, ledger: Ledger) -> Result<()> {
        if let Some(old) = self.held_block() {
            self.burn(old, "the other end does not have it".into())?;
        }
        self.keys.append(ledger.block(), &key)?;
        self.journal.append(&[QkdRecord::Held(Box::new(ledger.clone()))])?;
        self.held = Some((ledger, key));
        Ok(())
    }

    /// Releases a key. One that was held before is given up, as in [`hold`](Self::hold).
    pub(super) fn release(&mut self, key: SecretBits, ledger: Ledger) -> Result<()> {
        if let Some(old) = self.held_block() {
            self.burn(old, "the other end does not have it".into())?;
        }
        self.keys.append(ledger.block(), &key)?;
        self.finish(key, ledger)
    }

    /// Releases the key that was held.
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

    fn finish(&mut self, key: SecretBits, ledger: Ledger) -> Result<()> {
        let (block, last) = (ledger.block(), (ledger.block(), confirmation(&key)));
        let released = QkdRecord::Released(Box::new(ledger.clone()));
        match &self.outlet {
            None => self.journal.append(&[released])?,
            Some(outlet) => {
                self.journal.append(&[released, QkdRecord::Delivered { block }])?;
                outlet.write(&ledger, &key)?;
            }
        }
        refill(&mut self.auth, &mut self.origins, &key, &ledger)?;
        self.last_released = Some(last);
        self.released += 1;
        Ok(())
    }
}

/// Gives the pools the bits of a released key that are theirs.
fn refill(
    auth: &mut Authenticator,
    origins: &mut PadOrigins,
    key: &SecretBits,
    ledger: &Ledger,
) -> Result<()> {
    let mut key = key.duplicate();
    drop(key.take_front(PUBLIC_BITS.min(key.len()))?);
    auth.refill(key.take_front(ledger.refill_bits as usize)?)?;
    origins.refill(ledger.refill_bits / 2, ledger.block(), ledger.figures.eps_key);
    Ok(())
}

/// The stored key of a record.
fn key_of<'a>(stored: &'a BTreeMap<u64, SecretBits>, ledger: &Ledger) -> Result<&'a SecretBits> {
    let block = ledger.block();
    let key = stored.get(&block).with_context(|| format!("the key of block {block} is missing"))?;
    if !ledger.fits(key) {
        bail!("the key of block {block} is not the one that was recorded");
    }
    Ok(key)
}

/// Keys by number; the same number twice is an error.
pub(super) fn by_number(stored: Vec<(u64, SecretBits)>) -> Result<BTreeMap<u64, SecretBits>> {
    let mut keys = BTreeMap::new();
    for (number, key) in stored {
        if keys.insert(number, key).is_some() {
            bail!("the key of block {number} stands twice in the file of keys");
        }
    }
    Ok(keys)
}

/// A journal read back.
struct Replay {
    auth: Authenticator,
    origins: PadOrigins,
    pools: BTreeMap<AuthDirection, u64>,
    next_block: u64,
    last_released: Option<(u64, u64)>,
    held: Option<Ledger>,
    released: u64,
}

impl Replay {
    fn new(end: &LinkEnd, auth: Authenticator) -> Self {
        Self {
            auth,
            origins: PadOrigins::new(end.startup_bits),
            pools: BTreeMap::new(),
            next_block: 0,
            last_released: None,
            held: None,
            released: 0,
        }
    }

    fn apply(
        &mut self,
        record: &QkdRecord,
        end: &LinkEnd,
        stored: &BTreeMap<u64, SecretBits>,
    ) -> Result<()> {
        match record {
            QkdRecord::Start(start) if start.secret != end.secret => {
                bail!("the link was begun with secret {}, not {}", start.secret, end.secret)
            }
            QkdRecord::Start(start) if start.own != end.own => {
                bail!("the directory is the other end's")
            }
            QkdRecord::Start(start) if start.eps != end.eps => bail!(
                "the link was begun with eps_sec {:e} and eps_cor {:e}: they stay for its lifetime",
                start.eps.sec,
                start.eps.cor
            ),
            QkdRecord::Start(start) if start != end => bail!("another link's journal"),
            QkdRecord::Start(_) => {}
            QkdRecord::Pool(mark) => {
                let next = self.pools.entry(mark.direction).or_default();
                if mark.next <= *next {
                    bail!("pads are used twice: {} after {next}", mark.next);
                }
                *next = mark.next;
            }
            QkdRecord::Begin { block } => {
                if *block < self.next_block {
                    bail!("block {block} begins twice");
                }
                self.next_block = block + 1;
            }
            QkdRecord::Held(ledger) => self.held = Some(Ledger::clone(ledger)),
            QkdRecord::Released(ledger) => {
                let key = key_of(stored, ledger)?;
                refill(&mut self.auth, &mut self.origins, key, ledger)?;
                self.held.take_if(|held| held.block() == ledger.block());
                self.last_released = Some((ledger.block(), confirmation(key)));
                self.released += 1;
            }
            QkdRecord::Delivered { .. } => {}
            QkdRecord::Burned { block, .. } => {
                drop(self.held.take_if(|held| held.block() == *block));
            }
        }
        Ok(())
    }
}
