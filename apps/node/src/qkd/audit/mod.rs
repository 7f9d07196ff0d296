//! [`audit`]: what the files of the two ends of a link say, each by itself and together.
//!
//! Nothing that is recorded is believed: length, leak and eps of every key are computed again from its counts and pads, in the
//! order of the journal, and compared with the record, with the key, and with the other end.

mod end;
mod finding;

use std::path::Path;

use anyhow::{Result, ensure};
use serde::Serialize;

use self::end::{EndFiles, place};
pub use self::finding::Finding;
use super::greeting::name;

/// What two ends' journals and key files say about each other.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Audit {
    /// The fibre is simulated: whoever listens to it knows all keys.
    pub simulated: bool,
    /// Keys released at the first end, at the second, at both.
    pub released: [u64; 3],
    /// Whole groups in the keys released at both.
    pub groups: u64,
    /// A key that one end has released and the other still holds: it is released when they meet again.
    pub pending: Option<u64>,
    /// What all keys of the link fail with together, computed again.
    pub eps_link: f64,
    /// Pool marks, over both ends.
    pub pad_marks: u64,
    /// Starts of the two processes.
    pub starts: [u64; 2],
    /// What must not be.
    pub findings: Vec<Finding>,
}

impl Audit {
    /// True when nothing was found that must not be.
    pub fn passed(&self) -> bool {
        self.findings.is_empty()
    }

    /// What no comparison of files can show.
    pub const BLIND_TO: [&'static str; 3] = [
        "both directories restored from copies of the same moment: their pads would be used twice",
        "a change that was made at both ends alike, with new checksums and with counts, length and eps that fit each other",
        "whether the counts are those of real detectors, and how secret the start-up secret was kept",
    ];
}

/// Reads both ends' directories.
///
/// # Errors
/// A directory that is not there.
pub fn audit(first: &Path, second: &Path, group_bits: usize) -> Result<Audit> {
    let mut audit = Audit::default();
    for dir in [first, second] {
        ensure!(dir.is_dir(), "{}: no such directory", dir.display());
    }
    let findings = &mut audit.findings;
    if first.canonicalize()? == second.canonicalize()? {
        findings.push(Finding::SameDirectory);
    }
    let ends = [(1, first), (2, second)].map(|(n, dir)| EndFiles::read(n, dir, findings));
    compare_starts(&ends, findings);
    compare_pads(&ends, findings);
    audit.pending = compare_keys(&ends, findings);
    for (place, end) in ends.iter().enumerate() {
        audit.released[place] = end.released.len() as u64;
        audit.starts[place] = end.starts;
        audit.pad_marks += end.pad_marks;
        audit.eps_link = audit.eps_link.max(end.eps_link);
        audit.simulated |= end.start.as_ref().is_some_and(|start| start.simulated);
    }
    let both = ends[0].released.iter().filter(|(block, _)| ends[1].released.contains_key(block));
    for (_, ledger) in both {
        audit.released[2] += 1;
        audit.groups += ledger.bits / group_bits.max(1) as u64;
    }
    Ok(audit)
}

fn compare_starts([one, two]: &[EndFiles; 2], findings: &mut Vec<Finding>) {
    let (Some(a), Some(b)) = (&one.start, &two.start) else { return };
    if a.own == b.own {
        findings.push(Finding::SameRole { who: name(a.own) });
    }
    for (same, what) in [
        (a.secret == b.secret, "different start-up secrets"),
        (a.startup_bits == b.startup_bits, "pools of different lengths"),
        (a.tag_bits == b.tag_bits, "tags of different lengths"),
        (a.eps == b.eps, "different eps"),
        (a.simulated == b.simulated, "simulated at one end only"),
    ] {
        if !same {
            findings.push(Finding::NotOneLink { what });
        }
    }
}

/// What one end has authenticated the other one has sent.
fn compare_pads(ends: &[EndFiles; 2], findings: &mut Vec<Finding>) {
    for (receiver, sender) in [(0, 1), (1, 0)] {
        let Some(start) = &ends[sender].start else { continue };
        let pool = place(start.own);
        for &next in ends[receiver].marks[pool].difference(&ends[sender].marks[pool]) {
            let end = receiver as u8 + 1;
            findings.push(Finding::PadNeverSent { end, pool: start.own, next });
        }
    }
}

/// Gives the block that is released at one end and held at the other.
fn compare_keys(ends: &[EndFiles; 2], findings: &mut Vec<Finding>) -> Option<u64> {
    let mut pending = None;
    for (here, there) in [(0, 1), (1, 0)] {
        for (&block, ledger) in &ends[here].released {
            let other = &ends[there];
            let held = other.held.as_ref().filter(|held| held.block() == block);
            let theirs = other.released.get(&block);
            let Some(record) = theirs.or(held) else {
                findings.push(Finding::ReleasedAtOneEnd { end: there as u8 + 1, block });
                continue;
            };
            if theirs.is_none() {
                pending = Some(block);
            }
            if here == 1 && theirs.is_some() {
                continue; // compared already
            }
            if !record.agrees(ledger) {
                findings.push(Finding::RecordsDiffer { block });
            }
            if let (Some(a), Some(b)) = (ends[here].keys.get(&block), other.keys.get(&block))
                && !a.ct_eq(b)
            {
                findings.push(Finding::KeysDiffer { block });
            }
        }
    }
    pending
}
