//! Bob asks and corrects.

use crqkd_bits::{BitString, SecretBits};
use zeroize::Zeroizing;

use super::{CascadeError, MAX_KEY_BITS, PASSES, ParityRequest, block_size, shuffle};

/// A range of one shuffle whose parity at Alice is known.
#[derive(Clone, Copy)]
struct Node {
    start: u32,
    end: u32,
    /// Bob's parity differs from Alice's.
    odd: bool,
    /// Index of the left half, the right one following; 0 while the range is whole.
    halves: u32,
}

/// One shuffle of Bob's bits and the tree of everything known about it. The first nodes are the blocks.
struct Pass {
    /// Key index at each position.
    key_index: Vec<u32>,
    /// Position of each key index.
    position: Vec<u32>,
    /// Bob's bits in shuffled order, kept up to date.
    bits: Zeroizing<BitString>,
    block: usize,
    blocks: usize,
    nodes: Vec<Node>,
    odd_blocks: usize,
}

/// What the pending answers are about.
enum Asked {
    /// All blocks but the last of a new pass (all of pass 0).
    Blocks,
    /// The left halves of these nodes of a pass.
    Halves { pass: usize, nodes: Vec<u32> },
}

/// The end that corrects its bits.
pub struct CascadeBob {
    key: SecretBits,
    seed: u64,
    error_rate: f64,
    passes: Vec<Pass>,
    /// The pass that was searched last.
    searched: usize,
    asked: Option<Asked>,
    questions: usize,
    parities: u64,
    rounds: u64,
    corrected: u64,
}

impl CascadeBob {
    /// Ready to correct `key`, whose errors are expected at `error_rate`; `seed` is public and the same at both ends.
    ///
    /// # Errors
    /// [`CascadeError::TooLong`].
    pub fn new(key: SecretBits, error_rate: f64, seed: u64) -> Result<Self, CascadeError> {
        if key.len() > MAX_KEY_BITS {
            return Err(CascadeError::TooLong { len: key.len() });
        }
        Ok(Self {
            key,
            seed,
            error_rate,
            passes: Vec::with_capacity(PASSES),
            searched: 0,
            asked: None,
            questions: 0,
            parities: 0,
            rounds: 0,
            corrected: 0,
        })
    }

    /// The next questions, or `None` when there is nothing more to ask. Call [`answer`](Self::answer) before the next.
    ///
    /// # Errors
    /// [`CascadeError::Inconsistent`] when Alice's parities contradict each other, [`CascadeError::TooMuch`] when
    /// they would disclose more bits than there are.
    pub fn next_request(&mut self) -> Result<Option<ParityRequest>, CascadeError> {
        let request = loop {
            if let Some(pass) = self.pass_to_search() {
                if let Some(request) = self.search(pass)? {
                    break request;
                }
            } else if self.passes.len() < PASSES && !self.key.is_empty() {
                if let Some(request) = self.begin_pass() {
                    break request;
                }
            } else {
                return Ok(None);
            }
        };
        self.questions = request.ranges.len();
        let disclosed = self.parities + self.questions as u64;
        if disclosed > self.key.len() as u64 {
            return Err(CascadeError::TooMuch { disclosed, len: self.key.len() });
        }
        Ok(Some(request))
    }

    /// Takes Alice's parities for the last request.
    ///
    /// # Errors
    /// [`CascadeError::WrongAnswer`] when there is not exactly one per question; the questions then stay open.
    pub fn answer(&mut self, parities: &BitString) -> Result<(), CascadeError> {
        if parities.len() != self.questions || self.asked.is_none() {
            return Err(CascadeError::WrongAnswer {
                expected: self.questions,
                found: parities.len(),
            });
        }
        self.parities += self.questions as u64;
        self.rounds += 1;
        self.questions = 0;
        match self.asked.take() {
            Some(Asked::Blocks) => {
                self.passes.last_mut().map_or(Ok(()), |p| p.set_blocks(parities))
            }
            Some(Asked::Halves { pass, nodes }) => {
                let pass = &mut self.passes[pass];
                nodes.iter().zip(parities).try_for_each(|(&node, parity)| pass.halve(node, parity))
            }
            None => Ok(()),
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

    /// Bits flipped so far.
    pub fn corrected(&self) -> u64 {
        self.corrected
    }

    /// The pass that is being searched while it has odd blocks, else the first that has: smaller blocks are cheaper.
    /// Finishing one pass first keeps its searches in step, in as few rounds as the longest of them needs.
    fn pass_to_search(&mut self) -> Option<usize> {
        let odd = |pass: &Pass| pass.odd_blocks > 0;
        if !self.passes.get(self.searched).is_some_and(odd) {
            self.searched = self.passes.iter().position(odd)?;
        }
        Some(self.searched)
    }

    /// Follows every odd block of `pass` to its smallest known odd range: flips a single bit, asks about more.
    fn search(&mut self, pass: usize) -> Result<Option<ParityRequest>, CascadeError> {
        let (mut nodes, mut ranges) = (Vec::new(), Vec::new());
        for block in 0..self.passes[pass].blocks {
            let this = &self.passes[pass];
            let Some(id) = this.smallest_odd(block) else { continue };
            let node = this.nodes[id];
            if node.end - node.start == 1 {
                let index = this.key_index[node.start as usize];
                self.flip(index)?;
            } else {
                nodes.push(id as u32);
                ranges.push((node.start, node.middle()));
            }
        }
        if nodes.is_empty() {
            return Ok(None);
        }
        self.asked = Some(Asked::Halves { pass, nodes });
        Ok(Some(ParityRequest { pass: pass as u32, ranges }))
    }

    /// Starts the next shuffle. Every block known so far agrees now, so the parity of the whole key does, and the
    /// last block of a later pass need not be asked.
    fn begin_pass(&mut self) -> Option<ParityRequest> {
        let number = self.passes.len();
        let block = block_size(number, self.key.len(), self.error_rate);
        let order = shuffle::positions(self.key.len(), self.seed, number);
        let pass = Pass::new(self.key.expose(), order, block);
        let asked = if number == 0 { pass.blocks } else { pass.blocks - 1 };
        let ranges: Vec<_> = pass.nodes.iter().take(asked).map(|n| (n.start, n.end)).collect();
        self.passes.push(pass);
        if ranges.is_empty() {
            return None;
        }
        self.asked = Some(Asked::Blocks);
        Some(ParityRequest { pass: number as u32, ranges })
    }

    /// Flips one bit of the key and of every shuffle. With an honest Alice each flip removes an error, so there are
    /// at most as many as bits.
    fn flip(&mut self, index: u32) -> Result<(), CascadeError> {
        if self.corrected == self.key.len() as u64 {
            return Err(CascadeError::Inconsistent);
        }
        self.corrected += 1;
        self.key.flip(index as usize);
        self.passes.iter_mut().for_each(|pass| pass.flip(index as usize));
        Ok(())
    }
}

impl Node {
    fn middle(&self) -> u32 {
        self.start + (self.end - self.start) / 2
    }
}

impl Pass {
    fn new(key: &BitString, key_index: Vec<u32>, block: usize) -> Self {
        let len = key_index.len();
        let mut position = vec![0u32; len];
        let mut bits = BitString::with_capacity(len);
        for (at, &index) in key_index.iter().enumerate() {
            position[index as usize] = at as u32;
            bits.push(key[index as usize]);
        }
        let nodes: Vec<Node> = (0..len)
            .step_by(block)
            .map(|start| Node {
                start: start as u32,
                end: (start + block).min(len) as u32,
                odd: false,
                halves: 0,
            })
            .collect();
        let (bits, blocks) = (Zeroizing::new(bits), nodes.len());
        Self { key_index, position, bits, block, blocks, nodes, odd_blocks: 0 }
    }

    /// Takes Alice's parities of the blocks; a last one that was not asked makes the sum even.
    fn set_blocks(&mut self, parities: &BitString) -> Result<(), CascadeError> {
        let mut sum = false;
        for block in 0..self.blocks {
            let node = self.nodes[block];
            let ours = self.bits.parity(node.start as usize..node.end as usize)?;
            let odd = parities.get(block).map_or(sum, |theirs| theirs ^ ours);
            sum ^= odd;
            self.nodes[block].odd = odd;
            self.odd_blocks += usize::from(odd);
        }
        Ok(())
    }

    /// Splits a node, Alice's parity of its left half being known now.
    fn halve(&mut self, id: u32, parity: bool) -> Result<(), CascadeError> {
        let node = self.nodes[id as usize];
        let middle = node.middle();
        let left = self.bits.parity(node.start as usize..middle as usize)? ^ parity;
        self.nodes[id as usize].halves = self.nodes.len() as u32;
        self.nodes.push(Node { start: node.start, end: middle, odd: left, halves: 0 });
        self.nodes.push(Node { start: middle, end: node.end, odd: node.odd ^ left, halves: 0 });
        Ok(())
    }

    /// The smallest known odd range in an odd block.
    fn smallest_odd(&self, block: usize) -> Option<usize> {
        let mut id = block;
        if !self.nodes[id].odd {
            return None;
        }
        loop {
            let halves = self.nodes[id].halves as usize;
            if halves == 0 {
                return Some(id);
            }
            // The halves' errors add up to the whole's, which is odd: exactly one half is.
            id = if self.nodes[halves].odd { halves } else { halves + 1 };
        }
    }

    fn flip(&mut self, index: usize) {
        let at = self.position[index];
        self.bits.flip(at as usize);
        let mut id = at as usize / self.block;
        if self.nodes[id].odd {
            self.odd_blocks -= 1;
        } else {
            self.odd_blocks += 1;
        }
        loop {
            let node = &mut self.nodes[id];
            node.odd = !node.odd;
            if node.halves == 0 {
                return;
            }
            let halves = node.halves as usize;
            id = if at < node.middle() { halves } else { halves + 1 };
        }
    }
}

impl std::fmt::Debug for CascadeBob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CascadeBob({} bits, pass {})", self.key.len(), self.passes.len())
    }
}
