//! Bob asks and corrects.

use crqkd_bits::{BitString, SecretBits};

use super::layout::Layout;
use super::subset::{self, Subset};
use super::tree::Tree;
use super::{CascadeError, MAX_KEY_BITS, Nodes, ParityRequest, SUBSETS, Schedule, Section};

/// Levels that a search in a subset descends in one round.
const SUBSET_LEVELS: u32 = 4;

/// What the pending answers are about.
enum Asked {
    /// Nothing.
    Nothing,
    /// Every block of this pass.
    Blocks(usize),
    /// The left halves of these nodes, (pass, level, index), and the blocks they lie in.
    Halves(Vec<(usize, u32, u32)>, Vec<(usize, u32)>),
    /// All subsets.
    Subsets,
    /// All ranges some levels below this node of a subset.
    Below { subset: usize, node: usize, levels: u32 },
}

/// The end that corrects its bits.
pub struct CascadeBob {
    key: SecretBits,
    seed: u64,
    schedule: Schedule,
    trees: Vec<Tree>,
    subsets: Vec<Subset>,
    asked: Asked,
    questions: usize,
    parities: u64,
    rounds: u64,
    corrected: u64,
}

impl CascadeBob {
    /// Ready to correct `key`, whose errors are expected at `error_rate`; both it and `seed` are public and the same at
    /// both ends.
    ///
    /// # Errors
    /// [`CascadeError::TooLong`].
    pub fn new(key: SecretBits, error_rate: f64, seed: u64) -> Result<Self, CascadeError> {
        if key.len() > MAX_KEY_BITS {
            return Err(CascadeError::TooLong { len: key.len() });
        }
        let schedule = Schedule::new(key.len(), error_rate);
        let words = key.expose().words();
        let tree = |(pass, &level): (usize, &u32)| {
            Tree::new(Layout::new(words.len(), pass, level, seed), level, words)
        };
        let trees = schedule.levels.iter().enumerate().map(tree).collect();
        Ok(Self {
            key,
            seed,
            schedule,
            trees,
            subsets: Vec::new(),
            asked: Asked::Nothing,
            questions: 0,
            parities: 0,
            rounds: 0,
            corrected: 0,
        })
    }

    /// The next questions, or `None` when there is nothing more to ask. Call [`answer`](Self::answer) before the next.
    ///
    /// # Errors
    /// [`CascadeError::TooMuch`] when the answers would disclose more bits than there are, which is also where
    /// contradictory answers end.
    pub fn next_request(&mut self) -> Result<Option<ParityRequest>, CascadeError> {
        if self.key.is_empty() {
            return Ok(None);
        }
        let (sections, asked) = if let Some(search) = self.search() {
            search
        } else if let Some(pass) = self.trees.iter().position(|tree| !tree.is_open()) {
            let tree = &self.trees[pass];
            self.questions = tree.blocks();
            let level = tree.top() as u8;
            (vec![Section { pass: pass as u8, level, nodes: Nodes::All }], Asked::Blocks(pass))
        } else if self.subsets.is_empty() {
            self.questions = SUBSETS;
            let section = |number| Section {
                pass: (self.trees.len() + number) as u8,
                level: self.schedule.whole as u8,
                nodes: Nodes::All,
            };
            ((0..SUBSETS).map(section).collect(), Asked::Subsets)
        } else if let Some(below) = self.search_subset()? {
            below
        } else {
            return Ok(None);
        };
        self.asked = asked;
        let disclosed = self.parities + self.questions as u64;
        if disclosed > self.key.len() as u64 {
            return Err(CascadeError::TooMuch { disclosed, len: self.key.len() });
        }
        Ok(Some(ParityRequest { sections }))
    }

    /// Takes Alice's parities for the last request.
    ///
    /// # Errors
    /// [`CascadeError::WrongAnswer`] when there is not exactly one per question; the questions then stay open.
    /// [`CascadeError::Inconsistent`] when the parities cannot be those of one key.
    pub fn answer(&mut self, parities: &BitString) -> Result<(), CascadeError> {
        if parities.len() != self.questions || matches!(self.asked, Asked::Nothing) {
            return Err(CascadeError::WrongAnswer {
                expected: self.questions,
                found: parities.len(),
            });
        }
        self.parities += self.questions as u64;
        self.rounds += 1;
        self.questions = 0;
        match std::mem::replace(&mut self.asked, Asked::Nothing) {
            Asked::Blocks(pass) => {
                self.trees[pass].open(parities.iter());
                Ok(())
            }
            Asked::Halves(nodes, blocks) => {
                for (&(pass, level, index), theirs) in nodes.iter().zip(parities) {
                    self.trees[pass].split(level, index as usize, theirs);
                }
                self.correct(&blocks)
            }
            Asked::Subsets => {
                let (words, seed, whole) =
                    (self.key.expose().words(), self.seed, self.schedule.whole);
                self.subsets = parities
                    .iter()
                    .enumerate()
                    .map(|(number, theirs)| {
                        let ours = subset::parity(words, seed, number, whole, 0);
                        Subset::new(number, whole, ours != theirs)
                    })
                    .collect();
                Ok(())
            }
            Asked::Below { subset, node, levels } => self.narrow(subset, node, levels, parities),
            Asked::Nothing => Ok(()),
        }
    }

    /// The corrected bits.
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

    /// Questions of the last request that wait for an answer.
    pub fn questions(&self) -> usize {
        self.questions
    }

    /// Bits flipped so far.
    pub fn corrected(&self) -> u64 {
        self.corrected
    }

    /// Asks for the left half of the smallest known odd range of every odd block of every pass at once.
    fn search(&mut self) -> Option<(Vec<Section>, Asked)> {
        let mut sections = Vec::new();
        let (mut nodes, mut blocks) = (Vec::new(), Vec::new());
        for (pass, tree) in self.trees.iter_mut().enumerate() {
            if tree.work.is_empty() {
                continue;
            }
            let mut by_level = vec![Vec::new(); tree.top() as usize + 1];
            let work = std::mem::take(&mut tree.work);
            let mut left = Vec::with_capacity(work.len());
            for block in work {
                if let Some((level, index)) = tree.descend(block) {
                    by_level[level as usize].push(index as u32);
                    blocks.push((pass, block));
                    left.push(block);
                } else {
                    tree.unlist(block);
                }
            }
            tree.work = left;
            for (level, mut list) in by_level.into_iter().enumerate().skip(1) {
                if list.is_empty() {
                    continue;
                }
                list.sort_unstable();
                nodes.extend(list.iter().map(|&index| (pass, level as u32, index)));
                let halves = list.iter().map(|&index| 2 * index).collect();
                let nodes = Nodes::Listed(halves);
                sections.push(Section { pass: pass as u8, level: level as u8 - 1, nodes });
            }
        }
        if nodes.is_empty() {
            return None;
        }
        self.questions = nodes.len();
        Some((sections, Asked::Halves(nodes, blocks)))
    }

    /// Flips every bit that has been found in these blocks.
    fn correct(&mut self, blocks: &[(usize, u32)]) -> Result<(), CascadeError> {
        for &(pass, block) in blocks {
            while let Some((0, position)) = self.trees[pass].descend(block) {
                self.flip(self.trees[pass].bit(position))?;
            }
        }
        Ok(())
    }

    /// Asks for ranges below the smallest odd range of the first odd subset, several levels at once.
    fn search_subset(&mut self) -> Result<Option<(Vec<Section>, Asked)>, CascadeError> {
        let odd = |(number, subset): (usize, &Subset)| subset.descend().map(|node| (number, node));
        let Some((number, (node, level, index))) = self.subsets.iter().enumerate().find_map(odd)
        else {
            return Ok(None);
        };
        if level == 0 {
            // Halving a range of one bit: the answers contradict each other.
            return Err(CascadeError::Inconsistent);
        }
        let levels = level.min(SUBSET_LEVELS);
        // All ranges of the lowest level but the last, which follows.
        let first = (index as u32) << levels;
        let nodes: Vec<u32> = (first..first + (1 << levels) - 1).collect();
        self.questions = nodes.len();
        let pass = (self.trees.len() + number) as u8;
        let section = Section { pass, level: (level - levels) as u8, nodes: Nodes::Listed(nodes) };
        Ok(Some((vec![section], Asked::Below { subset: number, node, levels })))
    }

    /// Splits a node of a subset down to the ranges that were asked, and flips the bit if one was found.
    fn narrow(
        &mut self,
        number: usize,
        node: usize,
        levels: u32,
        parities: &BitString,
    ) -> Result<(), CascadeError> {
        let Some((_, level, index)) = self.subsets[number].descend() else {
            return Err(CascadeError::Inconsistent);
        };
        let (words, low) = (self.key.expose().words(), level - levels);
        let first = index << levels;
        let odd: Vec<bool> = parities
            .iter()
            .enumerate()
            .map(|(i, theirs)| subset::parity(words, self.seed, number, low, first + i) != theirs)
            .collect();
        let mut nodes = vec![node];
        for step in 1..=levels {
            let width = 1usize << (levels - step);
            let mut below = Vec::with_capacity(2 * nodes.len());
            for (at, &id) in nodes.iter().enumerate() {
                let start = 2 * at * width;
                let left = odd[start..start + width].iter().fold(false, |sum, &odd| sum ^ odd);
                let (left, right) = self.subsets[number].split(id, left);
                below.extend([left, right]);
            }
            nodes = below;
        }
        match self.subsets[number].descend() {
            Some((_, 0, bit)) => self.flip(bit),
            _ => Ok(()),
        }
    }

    /// Flips one bit of the key and of everything known. With an honest Alice each flip removes an error, so there
    /// are at most as many as bits.
    fn flip(&mut self, bit: usize) -> Result<(), CascadeError> {
        if bit >= self.key.len() || self.corrected == self.key.len() as u64 {
            return Err(CascadeError::Inconsistent);
        }
        self.corrected += 1;
        self.key.flip(bit);
        self.trees.iter_mut().for_each(|tree| tree.flip(bit));
        self.subsets.iter_mut().for_each(|subset| subset.flip(self.seed, bit));
        Ok(())
    }
}

impl std::fmt::Debug for CascadeBob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CascadeBob({} bits, round {})", self.key.len(), self.rounds)
    }
}
