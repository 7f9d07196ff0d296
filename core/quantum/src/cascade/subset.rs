//! Random halves of the whole key: the last word on whether anything is left, and the way to it.

use super::layout::mix;

/// The bits of word `word` that belong to subset `number`.
#[inline]
fn mask(seed: u64, number: usize, word: usize) -> u64 {
    mix(seed ^ 0x5375_6273_6574_7321, (number as u64) << 32 | word as u64)
}

/// Parity of the members of a subset among bits index·2^level .. (index+1)·2^level of the key.
pub(super) fn parity(key: &[u64], seed: u64, number: usize, level: u32, index: usize) -> bool {
    let masked = |word: usize| key.get(word).copied().unwrap_or(0) & mask(seed, number, word);
    let folded = if level >= 6 {
        let first = index << (level - 6);
        let end = (first + (1 << (level - 6))).min(key.len());
        (first.min(end)..end).fold(0, |sum, word| sum ^ masked(word))
    } else {
        let start = index << level;
        masked(start / 64) >> (start % 64) & ((1u64 << (1 << level)) - 1)
    };
    folded.count_ones() & 1 == 1
}

/// Whether a bit of the key belongs to a subset.
pub(super) fn contains(seed: u64, number: usize, bit: usize) -> bool {
    mask(seed, number, bit / 64) >> (bit % 64) & 1 == 1
}

/// A range whose parity at Alice is known.
struct Node {
    level: u32,
    index: usize,
    odd: bool,
    /// Index of the left half, the right one following; 0 while the range is whole.
    halves: usize,
}

/// What Bob knows about one subset.
pub(super) struct Subset {
    number: usize,
    nodes: Vec<Node>,
}

impl Subset {
    /// The whole subset, whose parities differ or not.
    pub(super) fn new(number: usize, level: u32, odd: bool) -> Self {
        Self { number, nodes: vec![Node { level, index: 0, odd, halves: 0 }] }
    }

    /// The bit that is known to be wrong.
    pub(super) fn wrong_bit(&self) -> Option<usize> {
        self.descend().filter(|&(_, level, _)| level == 0).map(|(_, _, bit)| bit)
    }

    /// The smallest known odd range: its node, level and index.
    pub(super) fn descend(&self) -> Option<(usize, u32, usize)> {
        let mut id = 0;
        if !self.nodes[id].odd {
            return None;
        }
        while self.nodes[id].halves != 0 {
            let left = self.nodes[id].halves;
            id = if self.nodes[left].odd { left } else { left + 1 };
        }
        let node = &self.nodes[id];
        Some((id, node.level, node.index))
    }

    /// The halves of a node, `left_odd` being known; returns the ids of both.
    pub(super) fn split(&mut self, id: usize, left_odd: bool) -> (usize, usize) {
        let first = self.nodes.len();
        let Node { level, index, odd, .. } = self.nodes[id];
        let half =
            |side: usize, odd| Node { level: level - 1, index: 2 * index + side, odd, halves: 0 };
        self.nodes[id].halves = first;
        self.nodes.push(half(0, left_odd));
        self.nodes.push(half(1, left_odd != odd));
        (first, first + 1)
    }

    /// Flips a bit of the key.
    pub(super) fn flip(&mut self, seed: u64, bit: usize) {
        if !contains(seed, self.number, bit) {
            return;
        }
        let mut id = 0;
        loop {
            let node = &mut self.nodes[id];
            node.odd = !node.odd;
            if node.halves == 0 {
                return;
            }
            id = node.halves + (bit >> (node.level - 1) & 1);
        }
    }
}
