//! [`audit`]: compares what two ends have written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;
use crqkd_bits::SecretBits;
use serde::Serialize;

use super::ends::files;
use super::state::QkdRecord;
use crate::journal;

/// What two ends' journals and key files say about each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// Keys released at the first end, at the second, at both.
    pub released: [u64; 3],
    /// Keys released at both that differ in any bit, or in anything that their ledgers say.
    pub differing: u64,
    /// Whole groups in the keys released at both.
    pub groups: u64,
    /// Block numbers begun twice, over both ends.
    pub blocks_reused: u64,
    /// Pool marks, over both ends.
    pub pad_marks: u64,
    /// Pool marks that do not lie a whole tag beyond the last one: a pad bit used twice.
    pub pads_reused: u64,
    /// Starts of the two processes.
    pub starts: [u64; 2],
}

impl Audit {
    /// True when nothing was used twice and no key differs.
    pub fn passed(&self) -> bool {
        self.differing == 0 && self.blocks_reused == 0 && self.pads_reused == 0
    }
}

/// Reads both ends' directories.
///
/// # Errors
/// Files that cannot be read.
pub fn audit(first: &Path, second: &Path, group_bits: usize) -> Result<Audit> {
    let mut audit = Audit::default();
    let mut keys = Vec::new();
    for (end, dir) in [first, second].into_iter().enumerate() {
        let [journal, key_file] = files(dir);
        let mut stored: BTreeMap<u64, SecretBits> =
            journal::read_keys(&key_file)?.into_iter().collect();
        let mut released = BTreeMap::new();
        let mut pools = BTreeMap::new();
        let mut begun = BTreeSet::new();
        let mut tag = 64;
        for record in journal::read::<QkdRecord>(&journal)? {
            match record {
                QkdRecord::Start { tag_bits, .. } => {
                    tag = u64::from(tag_bits);
                    audit.starts[end] += 1;
                }
                QkdRecord::Pool(mark) => {
                    audit.pad_marks += 1;
                    let last: u64 = pools.insert(mark.direction, mark.next).unwrap_or(0);
                    audit.pads_reused += u64::from(mark.next < last + tag);
                }
                QkdRecord::Begin { block } => {
                    audit.blocks_reused += u64::from(!begun.insert(block));
                }
                QkdRecord::Released(ledger) => {
                    if let Some(key) = stored.remove(&ledger.block) {
                        released.insert(ledger.block, (key, ledger));
                    }
                }
                QkdRecord::Held(_) | QkdRecord::Burned { .. } => {}
            }
        }
        audit.released[end] = released.len() as u64;
        keys.push(released);
    }
    for (block, (key, ledger)) in &keys[0] {
        if let Some((other, other_ledger)) = keys[1].get(block) {
            audit.released[2] += 1;
            audit.differing += u64::from(!key.ct_eq(other) || ledger != other_ledger);
            audit.groups += ledger.bits / group_bits.max(1) as u64;
        }
    }
    Ok(audit)
}
