//! Alice answers.

use crqkd_bits::{BitString, SecretBits};
use zeroize::Zeroizing;

use super::layout::{Layout, parity, place};
use super::searched::Searched;
use super::{CascadeError, MAX_KEY_BITS, Nodes, ParityRequest, SUBSETS, Schedule, subset};

/// The end whose bits are right: it answers parities, counts them, and refuses what cannot be asked.
pub struct CascadeAlice {
    key: SecretBits,
    seed: u64,
    schedule: Schedule,
    /// The passes that have been asked about.
    passes: Vec<Option<Pass>>,
    /// What has been asked about pass 0.
    searched: Searched,
    parities: u64,
    rounds: u64,
}

/// The key in the order of a pass.
struct Pass {
    layout: Layout,
    bits: Zeroizing<Vec<u64>>,
}

impl CascadeAlice {
    /// Ready to answer questions about `key`; the expected error rate and `seed` are public and the same at both ends.
    ///
    /// # Errors
    /// [`CascadeError::TooLong`] when the key has more than [`MAX_KEY_BITS`] bits.
    pub fn new(key: SecretBits, error_rate: f64, seed: u64) -> Result<Self, CascadeError> {
        if key.len() > MAX_KEY_BITS {
            return Err(CascadeError::TooLong { len: key.len() });
        }
        let schedule = Schedule::new(key.len(), error_rate);
        let passes = (0..schedule.passes).map(|_| None).collect();
        let first = schedule.layout(0, seed, None);
        let searched = Searched::new(first.len(), first.top());
        Ok(Self { key, seed, schedule, passes, searched, parities: 0, rounds: 0 })
    }

    /// The parities of all nodes, in order.
    ///
    /// # Errors
    /// A pass or node that does not exist, or more parities in all than there are bits. Nothing is then disclosed.
    pub fn answer(&mut self, request: &ParityRequest) -> Result<BitString, CascadeError> {
        let len = self.key.len();
        let mut asked = 0u64;
        for section in &request.sections {
            asked += self.check(section.pass, section.level, &section.nodes)? as u64;
        }
        if asked == 0 {
            return Err(CascadeError::EmptyRequest);
        }
        let disclosed = self.parities + asked;
        if disclosed > len as u64 {
            return Err(CascadeError::TooMuch { disclosed, len });
        }
        self.parities = disclosed;
        self.rounds += 1;
        let mut answers = BitString::with_capacity(asked as usize);
        for section in &request.sections {
            let (pass, level) = (usize::from(section.pass), u32::from(section.level));
            let Some(Pass { layout, bits }) = self.passes.get(pass).and_then(Option::as_ref) else {
                let number = pass - self.schedule.passes;
                let (words, seed) = (self.key.expose().words(), self.seed);
                let of = |index: usize| subset::parity(words, seed, number, level, index);
                match &section.nodes {
                    Nodes::All => {
                        answers.push(subset::parity(words, seed, number, self.schedule.whole, 0));
                    }
                    Nodes::Listed(nodes) | Nodes::Places(nodes) => {
                        answers.extend(nodes.iter().map(|&i| of(i as usize)));
                    }
                }
                continue;
            };
            match &section.nodes {
                Nodes::All => {
                    answers.extend(layout.blocks().map(|(level, i)| parity(bits, level, i)));
                }
                Nodes::Listed(nodes) => {
                    answers.extend(nodes.iter().map(|&i| parity(bits, level, i as usize)));
                }
                Nodes::Places(nodes) => {
                    for &i in nodes {
                        let place = place(bits, level, i as usize);
                        answers.extend((0..level).map(|digit| place >> digit & 1 == 1));
                    }
                }
            }
        }
        for section in request.sections.iter().filter(|section| section.pass == 0) {
            self.searched.note(section);
        }
        Ok(answers)
    }

    /// Gives up the key, whose bits Cascade leaves as they were.
    pub fn into_key(self) -> SecretBits {
        self.key
    }

    /// Number of parities that were disclosed so far, one bit each.
    pub fn parities(&self) -> u64 {
        self.parities
    }

    /// Number of requests that were answered so far.
    pub fn rounds(&self) -> u64 {
        self.rounds
    }

    /// Length of the key in bits.
    pub fn key_bits(&self) -> usize {
        self.key.len()
    }

    /// Number of questions in a section that can be answered.
    fn check(&mut self, pass: u8, level: u8, nodes: &Nodes) -> Result<usize, CascadeError> {
        let (number, passes) = (usize::from(pass), self.schedule.passes);
        let (top, positions, blocks) = if number < passes {
            let layout = &self.begin(number).layout;
            (layout.top(), layout.len(), layout.blocks().count())
        } else if number < passes + SUBSETS {
            (self.schedule.whole, 1 << self.schedule.whole, 1)
        } else {
            return Err(CascadeError::WrongPass { pass, passes: passes + SUBSETS });
        };
        let top = if *nodes == Nodes::All { 0 } else { top };
        if u32::from(level) > top {
            return Err(CascadeError::WrongLevel { pass, level, top });
        }
        let count = positions >> level;
        let (nodes, bits) = match nodes {
            Nodes::All => return Ok(blocks),
            Nodes::Listed(nodes) => (nodes, 1),
            // Subsets have parities only.
            Nodes::Places(_) if number >= passes => {
                return Err(CascadeError::WrongPass { pass, passes });
            }
            Nodes::Places(nodes) => (nodes, usize::from(level)),
        };
        match nodes.iter().find(|&&node| node as usize >= count) {
            Some(&node) => Err(CascadeError::WrongNode { pass, level, node, count }),
            None => Ok(nodes.len() * bits),
        }
    }

    /// A pass, which begins with the first question about it.
    fn begin(&mut self, pass: usize) -> &Pass {
        let (key, schedule, seed) = (&self.key, &self.schedule, self.seed);
        self.passes[pass].get_or_insert_with(|| {
            let layout = schedule.layout(pass, seed, Some(&self.searched));
            let bits = layout.permute(key.expose().words());
            Pass { layout, bits }
        })
    }
}

impl std::fmt::Debug for CascadeAlice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CascadeAlice({} bits, {} parities)", self.key.len(), self.parities)
    }
}
