//! Bob asks and corrects.

use crqkd_bits::{BitString, SecretBits};

use super::searched::Bitmap;
use super::subset::{self, Subset};
use super::tree::Tree;
use super::{CascadeError, MAX_KEY_BITS, Nodes, ParityRequest, SUBSETS, Schedule, Section};

/// Levels that a search in a subset descends in one round.
const SUBSET_LEVELS: u32 = 4;

/// What the pending answers are about.
enum Asked {
    /// No answer is pending.
    Nothing,
    /// Every block of this pass, which is the next.
    Blocks(Box<Tree>),
    /// Odd ranges of the passes opened so far, each halved or asked for its error's place.
    Ranges(Vec<Range>),
    /// The random subsets of the whole key, asked together after the passes.
    Subsets,
    /// All ranges some levels below this node of a subset.
    Below { subset: usize, node: usize, levels: u32 },
}

/// An odd range that is searched.
struct Range {
    pass: u8,
    level: u8,
    index: u32,
    /// The place of the error is asked, not the parity of the left half.
    place: bool,
}

/// The end that corrects its bits.
pub struct CascadeBob {
    key: SecretBits,
    seed: u64,
    schedule: Schedule,
    /// The passes that have been opened.
    trees: Vec<Tree>,
    subsets: Vec<Subset>,
    asked: Asked,
    questions: usize,
    parities: u64,
    rounds: u64,
    flips: u64,
    /// Bits flipped an odd number of times, and how many.
    flipped: Bitmap,
    corrected: u64,
    /// Bits that have been searched for and found: they are right now, but for few.
    found: Bitmap,
}

impl CascadeBob {
    /// Ready to correct `key`, whose errors are expected at `error_rate`; both it and `seed` are public and the same at
    /// both ends.
    ///
    /// # Errors
    /// [`CascadeError::TooLong`] when the key has more than [`MAX_KEY_BITS`] bits.
    pub fn new(key: SecretBits, error_rate: f64, seed: u64) -> Result<Self, CascadeError> {
        if key.len() > MAX_KEY_BITS {
            return Err(CascadeError::TooLong { len: key.len() });
        }
        let schedule = Schedule::new(key.len(), error_rate);
        let (flipped, found) = (Bitmap::new(key.len()), Bitmap::new(key.len()));
        Ok(Self {
            key,
            seed,
            schedule,
            trees: Vec::new(),
            subsets: Vec::new(),
            asked: Asked::Nothing,
            questions: 0,
            parities: 0,
            rounds: 0,
            flips: 0,
            flipped,
            corrected: 0,
            found,
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
        self.settle()?;
        // With few searches left the last pass is opened, and theirs go on beside it. Pass 1 needs all of pass 0.
        let waiting: usize = self.trees.iter().map(|tree| tree.work.len()).sum();
        let early = self.trees.len() + 1 == self.schedule.passes
            && self.trees.len() > 1
            && waiting < self.schedule.open_below;
        let search = if early { None } else { self.search() };
        let (sections, asked) = if let Some(search) = search {
            search
        } else if self.trees.len() < self.schedule.passes {
            let pass = self.trees.len();
            let searched = self.trees.first().map(Tree::searched);
            let layout = self.schedule.layout(pass, self.seed, searched);
            let tree = Tree::new(layout, self.key.expose().words(), self.key.len());
            self.questions = tree.blocks();
            let section = Section { pass: pass as u8, level: 0, nodes: Nodes::All };
            (vec![section], Asked::Blocks(Box::new(tree)))
        } else if self.subsets.is_empty() {
            self.questions = SUBSETS;
            let first = self.trees.len();
            let section =
                |number| Section { pass: (first + number) as u8, level: 0, nodes: Nodes::All };
            ((0..SUBSETS).map(section).collect(), Asked::Subsets)
        } else if let Some(below) = self.search_subset() {
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
            Asked::Blocks(mut tree) => {
                tree.open(parities.iter());
                self.trees.push(*tree);
                Ok(())
            }
            Asked::Ranges(ranges) => {
                let mut parities = parities.iter();
                for Range { pass, level, index, place } in ranges {
                    let (tree, level) = (&mut self.trees[usize::from(pass)], u32::from(level));
                    if !place {
                        tree.split(level, index as usize, parities.next() == Some(true));
                        continue;
                    }
                    let theirs = (0..level)
                        .zip(&mut parities)
                        .fold(0, |p, (j, bit)| p | u32::from(bit) << j);
                    if let Some(bit) = tree.locate(level, index as usize, theirs) {
                        self.flip(bit)?;
                    }
                }
                Ok(())
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

    /// Gives up the key, with the errors corrected that were found so far.
    pub fn into_key(self) -> SecretBits {
        self.key
    }

    /// Number of parities that Alice has disclosed so far, one bit each.
    pub fn parities(&self) -> u64 {
        self.parities
    }

    /// Number of requests that Alice has answered so far.
    pub fn rounds(&self) -> u64 {
        self.rounds
    }

    /// Questions of the last request that wait for an answer.
    pub fn questions(&self) -> usize {
        self.questions
    }

    /// Bits that differ from what they were.
    pub fn corrected(&self) -> u64 {
        self.corrected
    }

    /// Asks about the smallest known odd range of every odd block of every pass at once: for the parity of its left half or,
    /// when it is short, for the place of the error in it.
    fn search(&mut self) -> Option<(Vec<Section>, Asked)> {
        let alone = self.trees.len() == 1;
        let mut sections = Vec::new();
        let mut ranges = Vec::with_capacity(self.trees.iter().map(|tree| tree.work.len()).sum());
        let mut questions = 0;
        for (pass, tree) in self.trees.iter_mut().enumerate() {
            let levels = tree.top() as usize + 1;
            let (mut halves, mut places) = (vec![Vec::new(); levels], vec![Vec::new(); levels]);
            let mut work = std::mem::take(&mut tree.work);
            work.retain(|&block| {
                let Some((level, index)) = tree.descend(block) else {
                    tree.unlist(block);
                    return false;
                };
                let top = tree.block_level(block);
                let most = if alone { 0 } else { self.schedule.places(pass, top) };
                // A place that was asked for before was wrong: three errors. The range is halved then.
                let place = (2..=most).contains(&level) && !tree.searched().is_placed(level, index);
                let list = if place { &mut places } else { &mut halves };
                list[level as usize].push(index as u32);
                true
            });
            tree.work = work;
            for (place, lists) in [(true, places), (false, halves)] {
                for (level, mut list) in (0u8..).zip(lists).filter(|(_, list)| !list.is_empty()) {
                    list.sort_unstable();
                    let range = |&index: &u32| Range { pass: pass as u8, level, index, place };
                    ranges.extend(list.iter().map(range));
                    questions += list.len() * if place { usize::from(level) } else { 1 };
                    sections.push(if place {
                        Section { pass: pass as u8, level, nodes: Nodes::Places(list) }
                    } else {
                        list.iter_mut().for_each(|index| *index *= 2);
                        Section { pass: pass as u8, level: level - 1, nodes: Nodes::Listed(list) }
                    });
                }
            }
        }
        if ranges.is_empty() {
            return None;
        }
        self.questions = questions;
        Some((sections, Asked::Ranges(ranges)))
    }

    /// Flips every bit that is known to be wrong, and those that are known then.
    fn settle(&mut self) -> Result<(), CascadeError> {
        loop {
            while let Some((pass, block)) = self.touched() {
                while let Some(bit) = self.wrong_bit(pass, block) {
                    self.flip(bit)?;
                }
            }
            match self.subsets.iter().find_map(Subset::wrong_bit) {
                Some(bit) => self.flip(bit)?,
                None => return Ok(()),
            }
        }
    }

    /// A block in which a wrong bit may be known.
    fn touched(&mut self) -> Option<(usize, u32)> {
        let mut trees = self.trees.iter_mut().enumerate();
        trees.find_map(|(pass, tree)| Some((pass, tree.touched.pop()?)))
    }

    /// The bit that is known to be wrong in a block.
    fn wrong_bit(&self, pass: usize, block: u32) -> Option<usize> {
        let tree = &self.trees[pass];
        tree.wrong_bit(tree.descend(block)?, |bit| self.found.get(bit))
    }

    /// Asks for ranges below the smallest odd range of the first odd subset, several levels at once.
    fn search_subset(&mut self) -> Option<(Vec<Section>, Asked)> {
        let odd = |(number, subset): (usize, &Subset)| subset.descend().map(|node| (number, node));
        let (number, (node, level, index)) = self.subsets.iter().enumerate().find_map(odd)?;
        let levels = level.min(SUBSET_LEVELS);
        // All ranges of the lowest level but the last, which follows.
        let first = (index as u32) << levels;
        let nodes: Vec<u32> = (first..first + (1 << levels) - 1).collect();
        self.questions = nodes.len();
        let pass = (self.trees.len() + number) as u8;
        let section = Section { pass, level: (level - levels) as u8, nodes: Nodes::Listed(nodes) };
        Some((vec![section], Asked::Below { subset: number, node, levels }))
    }

    /// Splits a node of a subset down to the ranges that were asked.
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
        Ok(())
    }

    /// Flips one bit of the key and of everything known. With an honest Alice nearly each flip removes an error, so
    /// there are no more than bits.
    fn flip(&mut self, bit: usize) -> Result<(), CascadeError> {
        if bit >= self.key.len() || self.flips == self.key.len() as u64 {
            return Err(CascadeError::Inconsistent);
        }
        self.flips += 1;
        self.found.set(bit);
        if self.flipped.flip(bit) {
            self.corrected += 1
        } else {
            self.corrected -= 1
        }
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
