//! Everything that Bob knows about one pass: a binary tree of ranges per block, as bitmaps level by level.

use zeroize::Zeroizing;

use super::layout::{Layout, parity, place};
use super::searched::{Bitmap, Searched};

/// One pass at Bob. A node (level, index) is the range index·2^level .. (index+1)·2^level of positions; a block is named by
/// its first position, counted in the shortest blocks.
pub(super) struct Tree {
    layout: Layout,
    key_bits: usize,
    /// Bob's bits in the order of the pass, kept up to date.
    bits: Zeroizing<Vec<u64>>,
    /// Per level: Bob's parity differs from Alice's. Meaningful where the parent is split.
    odd: Vec<Bitmap>,
    searched: Searched,
    /// Blocks that may be odd.
    pub(super) work: Vec<u32>,
    /// Blocks in which a wrong bit may be known by now.
    pub(super) touched: Vec<u32>,
    /// For each block, whether it is in `work`.
    listed: Bitmap,
}

impl Tree {
    pub(super) fn new(layout: Layout, key: &[u64], key_bits: usize) -> Self {
        let (len, top) = (layout.len(), layout.top());
        Self {
            bits: layout.permute(key),
            key_bits,
            odd: (0..=top).map(|level| Bitmap::new(len >> level)).collect(),
            searched: Searched::new(len, top),
            work: Vec::new(),
            touched: Vec::new(),
            listed: Bitmap::new(len >> layout.bottom()),
            layout,
        }
    }

    /// Number of blocks that the pass is cut into.
    pub(super) fn blocks(&self) -> usize {
        self.layout.blocks().count()
    }

    /// Level of the longest blocks.
    pub(super) fn top(&self) -> u32 {
        self.layout.top()
    }

    /// Base-2 logarithm of the length of a block.
    #[inline]
    pub(super) fn block_level(&self, block: u32) -> u32 {
        self.layout.level((block as usize) << self.layout.bottom())
    }

    /// What has been asked about the ranges of this pass so far.
    pub(super) fn searched(&self) -> &Searched {
        &self.searched
    }

    /// Takes Alice's parity of every block.
    pub(super) fn open(&mut self, theirs: impl Iterator<Item = bool>) {
        let bottom = self.layout.bottom();
        for ((level, index), theirs) in self.layout.blocks().zip(theirs) {
            if theirs != parity(&self.bits, level, index) {
                self.odd[level as usize].toggle(index);
                let block = index << (level - bottom);
                self.listed.set(block);
                self.work.push(block as u32);
            }
        }
    }

    /// The smallest known odd range in a block, or `None` when the block is even.
    #[inline]
    pub(super) fn descend(&self, block: u32) -> Option<(u32, usize)> {
        let bottom = self.layout.bottom();
        let mut level = self.block_level(block);
        let mut index = block as usize >> (level - bottom);
        if !self.odd[level as usize].get(index) {
            return None;
        }
        while level > 0 && self.searched.is_split(level, index) {
            level -= 1;
            // The halves add up to the whole, which is odd: exactly one of them is.
            index = 2 * index + usize::from(!self.odd[level as usize].get(2 * index));
        }
        Some((level, index))
    }

    /// The bit of the key that is wrong in an odd range: the only one, or the other one of two when one is known to be
    /// right.
    #[inline]
    pub(super) fn wrong_bit(
        &self,
        (level, index): (u32, usize),
        right: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        match level {
            0 => Some(self.layout.bit(index)),
            1 => {
                let bits = [2 * index, 2 * index + 1].map(|position| self.layout.bit(position));
                match bits.map(|bit| bit >= self.key_bits || right(bit)) {
                    [true, false] => Some(bits[1]),
                    [false, true] => Some(bits[0]),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Splits a node, Alice's parity of its left half being known now.
    #[inline]
    pub(super) fn split(&mut self, level: u32, index: usize, theirs: bool) {
        if self.searched.is_split(level, index) {
            return;
        }
        self.searched.split(level, index);
        let whole = self.odd[level as usize].get(index);
        let below = &mut self.odd[level as usize - 1];
        let left = theirs != parity(&self.bits, level - 1, 2 * index);
        if left {
            below.toggle(2 * index);
        }
        if left != whole {
            below.toggle(2 * index + 1);
        }
        if level <= 2 {
            self.touched.push(self.block_of(index << level));
        }
    }

    /// The bit of the key where Alice's digits say that the error of a node is, unless it is even by now or the digits
    /// point into the padding.
    pub(super) fn locate(&mut self, level: u32, index: usize, theirs: u32) -> Option<usize> {
        if self.searched.is_placed(level, index) {
            return None;
        }
        self.searched.place(level, index);
        if self.descend(self.block_of(index << level)) != Some((level, index)) {
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
        let mut level = self.layout.level(position);
        if self.odd[level as usize].flip(position >> level) {
            let block = self.block_of(position);
            self.touched.push(block);
            if !self.listed.get(block as usize) {
                self.listed.set(block as usize);
                self.work.push(block);
            }
        }
        while level > 0 && self.searched.is_split(level, position >> level) {
            level -= 1;
            self.odd[level as usize].toggle(position >> level);
        }
    }

    /// Strikes a block off the list.
    pub(super) fn unlist(&mut self, block: u32) {
        self.listed.toggle(block as usize);
    }

    /// The block that a position lies in.
    #[inline]
    fn block_of(&self, position: usize) -> u32 {
        let (level, bottom) = (self.layout.level(position), self.layout.bottom());
        (position >> level << (level - bottom)) as u32
    }
}
