//! Alice answers.

use crqkd_bits::{BitString, SecretBits};
use zeroize::Zeroizing;

use super::layout::{Layout, parity, place};
use super::{CascadeError, MAX_KEY_BITS, Nodes, ParityRequest, SUBSETS, Schedule, subset};

/// The end whose bits are right: it answers parities, counts them, and refuses what cannot be asked.
pub struct CascadeAlice {
    key: SecretBits,
    seed: u64,
    schedule: Schedule,
    /// The key in the order of each pass that has been asked about, and the number of positions.
    passes: Vec<Option<(Zeroizing<Vec<u64>>, usize)>>,
    parities: u64,
    rounds: u64,
}

impl CascadeAlice {
    /// Ready to answer questions about `key`; the expected error rate and `seed` are public and the same at both ends.
    ///
    /// # Errors
    /// [`CascadeError::TooLong`].
    pub fn new(key: SecretBits, error_rate: f64, seed: u64) -> Result<Self, CascadeError> {
        if key.len() > MAX_KEY_BITS {
            return Err(CascadeError::TooLong { len: key.len() });
        }
        let schedule = Schedule::new(key.len(), error_rate);
        let passes = schedule.levels.iter().map(|_| None).collect();
        Ok(Self { key, seed, schedule, passes, parities: 0, rounds: 0 })
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
            let Some((bits, positions)) = self.begun(pass) else {
                let number = pass - self.schedule.levels.len();
                let (words, seed) = (self.key.expose().words(), self.seed);
                let of = |index: usize| subset::parity(words, seed, number, level, index);
                match &section.nodes {
                    Nodes::All => answers.push(of(0)),
                    Nodes::Listed(nodes) | Nodes::Places(nodes) => {
                        answers.extend(nodes.iter().map(|&i| of(i as usize)));
                    }
                }
                continue;
            };
            match &section.nodes {
                Nodes::All => {
                    answers.extend((0..positions >> level).map(|i| parity(bits, level, i)));
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
        Ok(answers)
    }

    /// The bits, unchanged.
    pub fn into_key(self) -> SecretBits {
        self.key
    }

    /// Bits disclosed so far.
    pub fn parities(&self) -> u64 {
        self.parities
    }

    /// Requests answered so far.
    pub fn rounds(&self) -> u64 {
        self.rounds
    }

    /// Length of the key.
    pub fn key_bits(&self) -> usize {
        self.key.len()
    }

    /// Number of questions in a section that can be answered.
    fn check(&mut self, pass: u8, level: u8, nodes: &Nodes) -> Result<usize, CascadeError> {
        let (pass_index, passes) = (usize::from(pass), self.schedule.levels.len());
        let (top, positions) = match self.schedule.levels.get(pass_index) {
            Some(&top) => {
                self.begin(pass_index, top);
                (top, self.passes[pass_index].as_ref().map_or(0, |(_, positions)| *positions))
            }
            None if pass_index < passes + SUBSETS => {
                (self.schedule.whole, 1usize << self.schedule.whole)
            }
            None => return Err(CascadeError::WrongPass { pass, passes: passes + SUBSETS }),
        };
        if u32::from(level) > top {
            return Err(CascadeError::WrongLevel { pass, level, top });
        }
        let count = positions >> level;
        let (nodes, bits) = match nodes {
            Nodes::All => return Ok(count),
            Nodes::Listed(nodes) => (nodes, 1),
            // Subsets have parities only.
            Nodes::Places(_) if pass_index >= passes => {
                return Err(CascadeError::WrongPass { pass, passes });
            }
            Nodes::Places(nodes) => (nodes, usize::from(level)),
        };
        match nodes.iter().find(|&&node| node as usize >= count) {
            Some(&node) => Err(CascadeError::WrongNode { pass, level, node, count }),
            None => Ok(nodes.len() * bits),
        }
    }

    fn begin(&mut self, pass: usize, level: u32) {
        if self.passes[pass].is_none() {
            let words = self.key.expose().words();
            let layout = Layout::new(words.len(), pass, level, self.seed);
            self.passes[pass] = Some((layout.permute(words), layout.len()));
        }
    }

    fn begun(&self, pass: usize) -> Option<(&[u64], usize)> {
        let (bits, positions) = self.passes.get(pass)?.as_ref()?;
        Some((bits, *positions))
    }
}

impl std::fmt::Debug for CascadeAlice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CascadeAlice({} bits, {} parities)", self.key.len(), self.parities)
    }
}
