//! Which ranges of a pass have been searched: public, so that both ends can draw conclusions from it.

use super::{Nodes, Section};

/// A set of indices, stored as one bit for each index.
pub(super) struct Bitmap(Vec<u64>);

impl Bitmap {
    pub(super) fn new(len: usize) -> Self {
        Self(vec![0; len.div_ceil(64)])
    }

    #[inline]
    pub(super) fn get(&self, i: usize) -> bool {
        self.0[i / 64] >> (i % 64) & 1 == 1
    }

    #[inline]
    pub(super) fn set(&mut self, i: usize) {
        self.0[i / 64] |= 1 << (i % 64);
    }

    #[inline]
    pub(super) fn toggle(&mut self, i: usize) {
        self.0[i / 64] ^= 1 << (i % 64);
    }

    /// Flips a bit, and returns what it is now.
    #[inline]
    pub(super) fn flip(&mut self, i: usize) -> bool {
        self.toggle(i);
        self.get(i)
    }
}

/// What has been asked about the ranges of one pass, level by level.
pub(super) struct Searched {
    split: Vec<Bitmap>,
    placed: Vec<Bitmap>,
}

impl Searched {
    /// Nothing asked yet about a pass of `len` positions with blocks of up to 2^`top`.
    pub(super) fn new(len: usize, top: u32) -> Self {
        let maps = || (0..=top).map(|level| Bitmap::new(len >> level)).collect();
        Self { split: maps(), placed: maps() }
    }

    /// The parities of both halves are known.
    #[inline]
    pub(super) fn is_split(&self, level: u32, index: usize) -> bool {
        self.split[level as usize].get(index)
    }

    /// The place of an error in it has been asked for.
    #[inline]
    pub(super) fn is_placed(&self, level: u32, index: usize) -> bool {
        self.placed[level as usize].get(index)
    }

    #[inline]
    pub(super) fn split(&mut self, level: u32, index: usize) {
        self.split[level as usize].set(index);
    }

    #[inline]
    pub(super) fn place(&mut self, level: u32, index: usize) {
        self.placed[level as usize].set(index);
    }

    /// Notes the questions of a section that is about this pass and lies within it: half of a range splits the range.
    pub(super) fn note(&mut self, section: &Section) {
        let level = u32::from(section.level);
        match &section.nodes {
            Nodes::All => {}
            Nodes::Listed(nodes) if level as usize + 1 < self.split.len() => {
                nodes.iter().for_each(|&node| self.split(level + 1, node as usize / 2));
            }
            Nodes::Listed(_) => {}
            Nodes::Places(nodes) => nodes.iter().for_each(|&node| self.place(level, node as usize)),
        }
    }
}
