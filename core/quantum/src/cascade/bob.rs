//! Bob asks and corrects.

use crqkd_bits::{BitString, SecretBits};

use super::layout::Layout;
use super::subset::{self, Subset};
use super::tree::{Bitmap, Tree};
use super::{CascadeError, MAX_KEY_BITS, Nodes, ParityRequest, SUBSETS, Schedule, Section};

/// Levels that a search in a subset descends in one round.
const SUBSET_LEVELS: u32 = 4;

/// What the pending answers are about.
enum Asked {
    /// Nothing.
    Nothing,
    /// Every block of this pass.
    Blocks(usize),
    /// These ranges, and the blocks they lie in.
    Ranges(Vec<Range>, Vec<(usize, u32)>),
    /// All subsets.
    Subsets,
    /// All ranges some levels below this node of a subset.
    Below { subset: usize, node: usize, levels: u32 },
}

/// An odd range that is searched.
struct Range {
    pass: usize,
    level: u32,
    index: u32,
    /// The place of the error is asked, not the parity of the left half.
    place: bool,
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
    flips: u64,
    /// Bits flipped an odd number of times, and how many.
    flipped: Bitmap,
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
            Tree::new(Layout::new(words.len(), pass, level, seed), level, words, key.len())
        };
        let trees = schedule.levels.iter().enumerate().map(tree).collect();
        let flipped = Bitmap::new(key.len());
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
            flips: 0,
            flipped,
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
        self.settle()?;
        // With few searches left the next pass is opened, and theirs go on beside it.
        let waiting: usize = self.trees.iter().map(|tree| tree.work.len()).sum();
        let unopened = self.trees.iter().any(|tree| !tree.is_open());
        let search =
            if unopened && waiting < self.schedule.open_below { None } else { self.search() };
        let (sections, asked) = if let Some(search) = search {
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
            Asked::Ranges(ranges, blocks) => {
                let mut parities = parities.iter();
                for Range { pass, level, index, place } in ranges {
                    if !place {
                        let theirs = parities.next() == Some(true);
                        self.trees[pass].split(level, index as usize, theirs);
                        continue;
                    }
                    let theirs = (0..level)
                        .zip(&mut parities)
                        .fold(0, |p, (j, bit)| p | u32::from(bit) << j);
                    if let Some(bit) = self.trees[pass].locate(level, index as usize, theirs) {
                        self.flip(bit)?;
                    }
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

    /// Bits that differ from what they were.
    pub fn corrected(&self) -> u64 {
        self.corrected
    }

    /// Asks about the smallest known odd range of every odd block of every pass at once: for the parity of its left half
    /// or, when it is short, for the place of the error in it.
    fn search(&mut self) -> Option<(Vec<Section>, Asked)> {
        let alone = self.trees.get(1).is_none_or(|tree| !tree.is_open());
        let mut sections = Vec::new();
        let (mut ranges, mut blocks) = (Vec::new(), Vec::new());
        let mut questions = 0;
        for (pass, tree) in self.trees.iter_mut().enumerate() {
            let work = std::mem::take(&mut tree.work);
            let mut by_level = vec![Vec::new(); tree.top() as usize + 1];
            for block in work {
                if let Some((level, index)) = tree.descend(block) {
                    by_level[level as usize].push(index as u32);
                    blocks.push((pass, block));
                    tree.work.push(block);
                } else {
                    tree.unlist(block);
                }
            }
            let most = if alone { self.schedule.first_places } else { self.schedule.places[pass] };
            for (level, mut list) in by_level.into_iter().enumerate().skip(1) {
                list.sort_unstable();
                let level = level as u32;
                // A place that was asked for before was wrong: three errors. The range is halved then.
                let placing =
                    |&index: &u32| level <= most && !tree.is_placed(level, index as usize);
                let (places, halves): (Vec<u32>, Vec<u32>) = list.into_iter().partition(placing);
                questions += level as usize * places.len() + halves.len();
                let range = |place: bool| move |&index: &u32| Range { pass, level, index, place };
                ranges.extend(places.iter().map(range(true)));
                ranges.extend(halves.iter().map(range(false)));
                let halves = halves.into_iter().map(|index| 2 * index).collect();
                for (level, nodes) in
                    [(level, Nodes::Places(places)), (level - 1, Nodes::Listed(halves))]
                {
                    if !matches!(&nodes, Nodes::Listed(n) | Nodes::Places(n) if n.is_empty()) {
                        sections.push(Section { pass: pass as u8, level: level as u8, nodes });
                    }
                }
            }
        }
        if ranges.is_empty() {
            return None;
        }
        self.questions = questions;
        Some((sections, Asked::Ranges(ranges, blocks)))
    }

    /// Flips the bits that are known to be wrong because a flip elsewhere made their block odd again.
    fn settle(&mut self) -> Result<(), CascadeError> {
        loop {
            let found = self.trees.iter().enumerate().find_map(|(pass, tree)| {
                let single = |&&block: &&u32| tree.descend(block).is_some_and(|range| range.0 == 0);
                tree.work.iter().find(single).map(|&block| (pass, block))
            });
            let Some(block) = found else { return Ok(()) };
            self.correct(&[block])?;
        }
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

    /// Flips one bit of the key and of everything known. With an honest Alice nearly each flip removes an error, so
    /// there are no more than bits.
    fn flip(&mut self, bit: usize) -> Result<(), CascadeError> {
        if bit >= self.key.len() || self.flips == self.key.len() as u64 {
            return Err(CascadeError::Inconsistent);
        }
        self.flips += 1;
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
