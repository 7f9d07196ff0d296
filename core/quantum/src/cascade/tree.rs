//! Everything that Bob knows about one pass: a binary tree of ranges per block, as bitmaps level by level.

use zeroize::Zeroizing;

use super::layout::{Layout, parity, place};

/// Bits by index.
pub(super) struct Bitmap(Vec<u64>);

impl Bitmap {
    pub(super) fn new(len: usize) -> Self {
        Self(vec![0; len.div_ceil(64)])
    }

    #[inline]
    fn get(&self, i: usize) -> bool {
        self.0[i / 64] >> (i % 64) & 1 == 1
    }

    #[inline]
    fn toggle(&mut self, i: usize) {
        self.0[i / 64] ^= 1 << (i % 64);
    }

    /// Flips a bit, and returns what it is now.
    #[inline]
    pub(super) fn flip(&mut self, i: usize) -> bool {
        self.toggle(i);
        self.get(i)
    }
}

/// One pass at Bob. A node (level, index) is the range index·2^level .. (index+1)·2^level of positions.
pub(super) struct Tree {
    layout: Layout,
    /// Level of the blocks.
    top: u32,
    key_bits: usize,
    /// Bob's bits in the order of the pass, kept up to date.
    bits: Zeroizing<Vec<u64>>,
    /// Per level: Bob's parity differs from Alice's. Meaningful where the parent is split.
    odd: Vec<Bitmap>,
    /// Per level: the parities of both halves are known.
    split: Vec<Bitmap>,
    /// Per level: the place of an error has been asked for.
    placed: Vec<Bitmap>,
    /// Alice's block parities have been asked.
    open: bool,
    /// Blocks that may be odd.
    pub(super) work: Vec<u32>,
    /// Blocks in `work`.
    listed: Bitmap,
}

impl Tree {
    pub(super) fn new(layout: Layout, top: u32, key: &[u64], key_bits: usize) -> Self {
        let len = layout.len();
        let maps = || (0..=top).map(|level| Bitmap::new(len >> level)).collect();
        Self {
            bits: layout.permute(key),
            top,
            key_bits,
            odd: maps(),
            split: maps(),
            placed: maps(),
            open: false,
            work: Vec::new(),
            listed: Bitmap::new(len >> top),
            layout,
        }
    }

    /// Number of blocks.
    pub(super) fn blocks(&self) -> usize {
        self.layout.len() >> self.top
    }

    pub(super) fn top(&self) -> u32 {
        self.top
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Bit of the key at a position.
    pub(super) fn bit(&self, position: usize) -> usize {
        self.layout.bit(position)
    }

    /// Takes Alice's parity of every block.
    pub(super) fn open(&mut self, theirs: impl Iterator<Item = bool>) {
        self.open = true;
        for (block, theirs) in theirs.enumerate() {
            if theirs != parity(&self.bits, self.top, block) {
                self.odd[self.top as usize].toggle(block);
                self.list(block);
            }
        }
    }

    /// The smallest known odd range in a block, or `None` when the block is even.
    #[inline]
    pub(super) fn descend(&self, block: u32) -> Option<(u32, usize)> {
        let (mut level, mut index) = (self.top, block as usize);
        if !self.odd[level as usize].get(index) {
            return None;
        }
        while level > 0 && self.split[level as usize].get(index) {
            level -= 1;
            // The halves add up to the whole, which is odd: exactly one of them is.
            index = 2 * index + usize::from(!self.odd[level as usize].get(2 * index));
        }
        Some((level, index))
    }

    /// Splits a node, Alice's parity of its left half being known now.
    #[inline]
    pub(super) fn split(&mut self, level: u32, index: usize, theirs: bool) {
        if self.split[level as usize].get(index) {
            return;
        }
        self.split[level as usize].toggle(index);
        let whole = self.odd[level as usize].get(index);
        let below = &mut self.odd[level as usize - 1];
        let left = theirs != parity(&self.bits, level - 1, 2 * index);
        if left {
            below.toggle(2 * index);
        }
        if left != whole {
            below.toggle(2 * index + 1);
        }
    }

    /// The place of an error in a node has been asked for.
    pub(super) fn is_placed(&self, level: u32, index: usize) -> bool {
        self.placed[level as usize].get(index)
    }

    /// The bit of the key where Alice's digits say that the error of a node is, unless it is even by now or the digits
    /// point into the padding.
    pub(super) fn locate(&mut self, level: u32, index: usize, theirs: u32) -> Option<usize> {
        if self.placed[level as usize].get(index) {
            return None;
        }
        self.placed[level as usize].toggle(index);
        let block = (index >> (self.top - level)) as u32;
        if self.descend(block) != Some((level, index)) {
            return None;
        }
        let offset = (theirs ^ place(&self.bits, level, index)) as usize;
        Some(self.layout.bit((index << level) + offset)).filter(|&bit| bit < self.key_bits)
    }

    /// Flips a bit of the key.
    #[inline]
    pub(super) fn flip(&mut self, bit: usize) {
        let position = self.layout.position(bit);
        self.bits[position / 64] ^= 1 << (position % 64);
        if !self.open {
            return;
        }
        let mut level = self.top;
        self.odd[level as usize].toggle(position >> level);
        if self.odd[level as usize].get(position >> level) {
            self.list(position >> level);
        }
        while level > 0 && self.split[level as usize].get(position >> level) {
            level -= 1;
            self.odd[level as usize].toggle(position >> level);
        }
    }

    /// Strikes a block off the list.
    pub(super) fn unlist(&mut self, block: u32) {
        self.listed.toggle(block as usize);
    }

    fn list(&mut self, block: usize) {
        if !self.listed.get(block) {
            self.listed.toggle(block);
            self.work.push(block as u32);
        }
    }
}
