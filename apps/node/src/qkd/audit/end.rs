//! One end's files by themselves: every figure of every record is computed again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crqkd_bits::SecretBits;
use crqkd_keys::AuthDirection;
use crqkd_quantum::decoy::{BlockEps, EPS_LIFETIME, PUBLIC_BITS, PadOrigins};

use super::Finding;
use crate::qkd::ends::files;
use crate::qkd::record::{Ledger, REFILL_BITS};
use crate::qkd::state::{LinkEnd, QkdRecord};
use crate::{journal, key_store};

/// What was read of an end.
pub(super) struct EndFiles {
    number: u8,
    pub(super) start: Option<LinkEnd>,
    pub(super) starts: u64,
    pub(super) pad_marks: u64,
    /// Marks of each pool, A to B first.
    pub(super) marks: [BTreeSet<u64>; 2],
    pub(super) released: BTreeMap<u64, Ledger>,
    /// The key that is held at the end of the journal.
    pub(super) held: Option<Ledger>,
    pub(super) keys: BTreeMap<u64, SecretBits>,
    pub(super) eps_link: f64,
    outcomes: BTreeMap<u64, &'static str>,
    origins: PadOrigins,
    pads: [BTreeSet<u64>; 2],
    next_block: u64,
}

impl EndFiles {
    /// Reads and checks the files of an end.
    pub(super) fn read(number: u8, dir: &Path, findings: &mut Vec<Finding>) -> Self {
        let mut end = Self {
            number,
            start: None,
            starts: 0,
            pad_marks: 0,
            marks: Default::default(),
            released: BTreeMap::new(),
            held: None,
            keys: BTreeMap::new(),
            eps_link: 0.0,
            outcomes: BTreeMap::new(),
            origins: PadOrigins::new(0),
            pads: Default::default(),
            next_block: 0,
        };
        let [journal, keys] = files(dir);
        match key_store::read_keys(&keys) {
            Ok(stored) => {
                for (block, key) in stored {
                    if end.keys.insert(block, key).is_some() {
                        findings.push(Finding::KeyTwice { end: number, block });
                    }
                }
            }
            Err(error) => {
                findings.push(Finding::Damaged { end: number, what: format!("{error:#}") })
            }
        }
        match journal::read::<QkdRecord>(&journal) {
            Ok(records) => records.iter().for_each(|record| end.apply(record, findings)),
            Err(error) => {
                findings.push(Finding::Damaged { end: number, what: format!("{error:#}") })
            }
        }
        for &block in end.keys.keys().filter(|&&block| block >= end.next_block) {
            findings.push(Finding::KeyOfNoBlock { end: number, block });
        }
        end
    }

    fn apply(&mut self, record: &QkdRecord, findings: &mut Vec<Finding>) {
        let end = self.number;
        if !matches!(record, QkdRecord::Start(_)) && self.start.is_none() {
            if self.starts == 0 {
                findings.push(Finding::NoStart { end });
            }
            self.starts = self.starts.max(1);
            return;
        }
        match record {
            QkdRecord::Start(start) => {
                self.starts += 1;
                if self.start.as_ref().is_some_and(|first| first != start) {
                    findings.push(Finding::StartsDiffer { end });
                }
                if self.start.is_none() {
                    self.origins = PadOrigins::new(start.startup_bits);
                    self.start = Some(start.clone());
                }
            }
            QkdRecord::Pool(mark) => {
                self.pad_marks += 1;
                let (pool, next) = (mark.direction, mark.next);
                let marks = &mut self.marks[place(pool)];
                let last = marks.last().copied().unwrap_or(0);
                let tag = self.start.as_ref().map_or(64, |start| u64::from(start.tag_bits));
                if next < last.saturating_add(tag) {
                    findings.push(Finding::PadTwice { end, pool, next, last });
                }
                let len = self.origins.len();
                if next > len {
                    findings.push(Finding::PadBeyondPool { end, pool, next, len });
                }
                marks.insert(next);
            }
            QkdRecord::Begin { block } => {
                if *block < self.next_block {
                    findings.push(Finding::BlockTwice { end, block: *block });
                }
                self.next_block = self.next_block.max(block.saturating_add(1));
                self.outcomes.entry(*block).or_insert("under way");
            }
            QkdRecord::Held(ledger) => {
                self.outcome(ledger.block(), "held", findings);
                self.check(ledger, findings);
                self.held = Some(Ledger::clone(ledger));
            }
            QkdRecord::Released(ledger) => {
                let block = ledger.block();
                match self.held.take_if(|held| held.block() == block) {
                    Some(held) if !held.agrees(ledger) => findings.push(Finding::RecordWrong {
                        end,
                        block,
                        what: "the record of its release is another than when it was held",
                    }),
                    Some(_) => {}
                    None => self.check(ledger, findings),
                }
                self.outcome(block, "released", findings);
                if let Some(figures) = ledger.account.figures(&self.origins) {
                    self.origins.refill(ledger.refill_bits / 2, block, figures.eps_key);
                    self.eps_link = self.eps_link.max(figures.eps_link);
                }
                self.released.insert(block, Ledger::clone(ledger));
            }
            QkdRecord::Delivered { block } => self.outcome(*block, "handed over", findings),
            QkdRecord::Burned { block, .. } => {
                self.outcome(*block, "given up", findings);
                drop(self.held.take_if(|held| held.block() == *block));
            }
        }
    }

    /// A block is under way, then held or not, then released or given up.
    fn outcome(&mut self, block: u64, then: &'static str, findings: &mut Vec<Finding>) {
        let end = self.number;
        let Some(outcome) = self.outcomes.get_mut(&block) else {
            findings.push(Finding::NeverBegan { end, block });
            self.outcomes.insert(block, then);
            return;
        };
        let before = std::mem::replace(outcome, then);
        if !matches!(
            (before, then),
            ("under way", "held" | "released" | "given up")
                | ("held", "released" | "given up")
                | ("released", "handed over")
        ) {
            findings.push(Finding::TwoOutcomes { end, block, before, then });
        }
    }

    /// Computes every figure of a record again, and looks at the key.
    fn check(&mut self, ledger: &Ledger, findings: &mut Vec<Finding>) {
        let (end, block, account) = (self.number, ledger.block(), &ledger.account);
        let Some(start) = &self.start else { return };
        let mut wrong = |what| findings.push(Finding::RecordWrong { end, block, what });
        if ledger.simulated != start.simulated {
            wrong("simulated here and not there");
        }
        if account.tag_bits != start.tag_bits
            || BlockEps::new(&account.rule, account.tag_bits) != start.eps
        {
            wrong("its tags or its eps are not those of the link");
        }
        if account.rule.validate().is_err() {
            wrong("parameters of its length that no link has");
        }
        let (counts, tested) = (&account.counts, account.counts.test_bits);
        let sifted = tested.iter().fold(counts.sifted(), |sum, &bits| sum.saturating_add(bits));
        let errors = counts.test_errors.iter().zip(&tested).all(|(errors, bits)| errors <= bits);
        if sifted > counts.clicks
            || counts.clicks > counts.pulses
            || counts.key_errors > counts.sifted()
            || !errors
        {
            wrong("its counts contradict each other");
        }
        let rest = ledger.figures.length.saturating_sub(PUBLIC_BITS as u64);
        let refill = rest.min(REFILL_BITS as u64);
        if [ledger.public_bits, ledger.refill_bits, ledger.bits]
            != [PUBLIC_BITS as u64, refill, rest - refill]
        {
            wrong("the parts of the key do not make its length");
        }
        for (pool, &index) in [AuthDirection::AToB, AuthDirection::BToA].iter().zip(&account.pads) {
            let pool = *pool;
            let used = index.saturating_add(u64::from(account.tag_bits));
            if !self.marks[place(pool)].contains(&used) {
                findings.push(Finding::PadNotMarked { end, block, pool, index });
            }
            if !self.pads[place(pool)].insert(index) {
                findings.push(Finding::PadOfTwoBlocks { end, block, pool, index });
            }
        }
        match account.figures(&self.origins) {
            None => findings.push(Finding::RecordWrong { end, block, what: "a pad of no pool" }),
            Some(computed) => {
                if let Some((what, recorded, computed)) = ledger.figures.difference(&computed) {
                    findings.push(Finding::FigureWrong { end, block, what, recorded, computed });
                }
                if account.counts.final_length != computed.length {
                    findings.push(Finding::FigureWrong {
                        end,
                        block,
                        what: "the final length of the counts",
                        recorded: account.counts.final_length as f64,
                        computed: computed.length as f64,
                    });
                }
                if computed.eps_link.is_nan() || computed.eps_link > EPS_LIFETIME {
                    let eps = computed.eps_link;
                    findings.push(Finding::EpsSpent { end, block, eps });
                }
            }
        }
        match self.keys.get(&block) {
            None => findings.push(Finding::KeyMissing { end, block }),
            Some(key) if !ledger.fits(key) => {
                findings.push(Finding::KeyNotAsRecorded { end, block });
            }
            Some(_) => {}
        }
    }
}

/// Place of a pool in a pair.
pub(super) fn place(pool: AuthDirection) -> usize {
    usize::from(pool == AuthDirection::BToA)
}
