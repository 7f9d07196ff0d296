//! CRC-aided successive-cancellation list decoding in the LLR domain.
//!
//! Balatsoukas-Stimming, Bastani Parizi, Burg, "LLR-based successive cancellation list decoding of polar codes" (IEEE
//! Trans. Signal Processing 63, 2015): the metric of a path grows by |LLR| at every bit decided against its LLR, frozen
//! ones included, and the paths of least metric survive.
//!
//! All paths are at the same node at the same time. So when the LLRs of a level are computed, the old ones of that level
//! are dead in every path, and a path may write to its own buffer while others still read elsewhere. A copied path
//! therefore copies no LLRs and no partial sums, but only the numbers of the buffers that hold them, one for each level.

use zeroize::Zeroize;

use crate::code::{MAX_N, NodeKind};
use crate::{Outcome, PolarCode, PolarError, kernel};

/// Largest list size: paths that a list decoder may follow at once.
pub const MAX_LIST: usize = 64;

/// Levels of the decoding tree, root included: log2(MAX_N) + 1.
const LEVELS: usize = 13;

/// List decoder with a fixed number of paths.
pub struct ListDecoder {
    code: PolarCode,
    size: usize,
    channel: Vec<f32>,
    /// LLRs of level s (nodes of 2^s bits) of buffer p: from (size << s) + (p << s).
    llr: Vec<f32>,
    /// Partial sums of finished left halves, laid out as `llr`.
    left: Vec<u8>,
    /// Partial sums of finished right halves, laid out as `llr`.
    right: Vec<u8>,
    paths: Paths,
    order: Vec<(f32, usize)>,
    codeword: Vec<u8>,
    message: Vec<u8>,
}

/// Which half of its parent a node is: where its partial sums go.
#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
}

impl ListDecoder {
    /// A decoder that keeps `size` paths (1 to [`MAX_LIST`]).
    ///
    /// # Errors
    /// When the list size is out of range or the code longer than [`MAX_N`].
    pub fn new(code: &PolarCode, size: usize) -> Result<Self, PolarError> {
        if !(1..=MAX_LIST).contains(&size) {
            return Err(PolarError::ListSize { size });
        }
        let n = code.n();
        if n > MAX_N {
            return Err(PolarError::ListLength { n });
        }
        Ok(Self {
            code: code.clone(),
            size,
            channel: vec![0.0; n],
            llr: vec![0.0; size * n],
            left: vec![0; 2 * size * n],
            right: vec![0; size * n],
            paths: Paths::new(size),
            order: Vec::with_capacity(size),
            codeword: vec![0; n],
            message: vec![0; code.k()],
        })
    }

    /// Decodes `llr` (n values, ln P(0)/P(1); NaN counts as unknown) to `message` (k entries, one bit a byte): the best
    /// path whose check holds.
    ///
    /// # Panics
    /// When a slice has the wrong length.
    pub fn decode(&mut self, llr: &[f32], message: &mut [u8]) -> Outcome {
        let n = self.code.n();
        assert_eq!(llr.len(), n, "number of LLRs");
        assert_eq!(message.len(), self.code.k(), "message length");
        kernel::load(llr, &mut self.channel);
        self.paths.restart();
        let levels = n.trailing_zeros() as usize;
        self.descend(1, levels, Side::Left);

        self.order.clear();
        self.order.extend(self.paths.metric[..self.paths.count].iter().copied().zip(0..));
        self.order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for &(_, path) in &self.order {
            let start = (self.size + path) << levels;
            self.codeword.copy_from_slice(&self.left[start..start + n]);
            let outcome = Outcome::of(&self.channel, &self.codeword);
            if self.code.extract(&mut self.codeword, &mut self.message) {
                message.copy_from_slice(&self.message);
                return outcome;
            }
        }
        Outcome::Failed
    }

    /// Overwrites everything that is left of the last decoding.
    pub fn wipe(&mut self) {
        self.channel.as_mut_slice().zeroize();
        self.llr.as_mut_slice().zeroize();
        self.left.as_mut_slice().zeroize();
        self.right.as_mut_slice().zeroize();
        self.paths.metric.as_mut_slice().zeroize();
        self.codeword.as_mut_slice().zeroize();
        self.message.as_mut_slice().zeroize();
    }

    /// Finds the partial sums of a node for every path and writes them to the given side of its level.
    fn descend(&mut self, node: usize, level: usize, side: Side) {
        match self.code.kind(node) {
            NodeKind::Frozen => self.frozen(level, side),
            NodeKind::Repetition => self.repetition(level, side),
            NodeKind::Information if level == 0 => self.repetition(level, side),
            _ => {
                let below = level - 1;
                if self.code.kind(2 * node) == NodeKind::Frozen {
                    self.penalise_left(level);
                    self.step(level, |a, b, _, out| kernel::variable_zero(a, b, out));
                    self.fill(below, Side::Left);
                } else {
                    self.step(level, |a, b, _, out| kernel::check(a, b, out));
                    self.descend(2 * node, below, Side::Left);
                    self.step(level, kernel::variable);
                }
                self.descend(2 * node + 1, below, Side::Right);
                self.combine(below, side);
            }
        }
    }

    /// LLRs of a node of the current path.
    fn node_llr(&self, level: usize, path: usize) -> &[f32] {
        if self.channel.len() == 1 << level {
            return &self.channel;
        }
        let start = (self.size + self.paths.llr_at(path, level)) << level;
        &self.llr[start..start + (1 << level)]
    }

    /// Computes the LLRs of the level below from a node's halves and the left partial sums.
    fn step(&mut self, level: usize, kernel: impl Fn(&[f32], &[f32], &[u8], &mut [f32])) {
        let below = level - 1;
        let half = 1 << below;
        let (lower, upper) =
            self.llr.split_at_mut((self.size << level).min(self.size * self.channel.len()));
        for path in 0..self.paths.count {
            let node = if self.channel.len() == 2 * half {
                &self.channel[..]
            } else {
                let start = self.paths.llr_at(path, level) << level;
                &upper[start..start + 2 * half]
            };
            let (a, b) = node.split_at(half);
            let bits = (self.size + self.paths.left_at(path, below)) << below;
            let out = (self.size + path) << below;
            kernel(a, b, &self.left[bits..bits + half], &mut lower[out..out + half]);
        }
        self.paths.own_llr(below);
    }

    /// Adds the cost of an all-frozen left half of a node without computing more than its check-node LLRs.
    fn penalise_left(&mut self, level: usize) {
        self.step(level, |a, b, _, out| kernel::check(a, b, out));
        self.penalise(level - 1);
    }

    fn penalise(&mut self, level: usize) {
        for path in 0..self.paths.count {
            let (zero, _) = kernel::penalties(self.node_llr(level, path));
            self.paths.metric[path] += zero;
        }
    }

    fn frozen(&mut self, level: usize, side: Side) {
        self.penalise(level);
        self.fill(level, side);
    }

    /// Zero partial sums for every path.
    fn fill(&mut self, level: usize, side: Side) {
        let range = self.size << level..(self.size + self.paths.count) << level;
        match side {
            Side::Left => {
                self.left[range].fill(0);
                self.paths.own_left(level);
            }
            Side::Right => self.right[range].fill(0),
        }
    }

    /// One information bit, repeated over the node.
    fn repetition(&mut self, level: usize, side: Side) {
        for path in 0..self.paths.count {
            let (zero, one) = kernel::penalties(self.node_llr(level, path));
            self.paths.offer(path, zero, one);
        }
        self.paths.fork();
        let sums = match side {
            Side::Left => &mut self.left,
            Side::Right => &mut self.right,
        };
        for path in 0..self.paths.count {
            let start = (self.size + path) << level;
            sums[start..start + (1 << level)].fill(self.paths.bit[path]);
        }
        if let Side::Left = side {
            self.paths.own_left(level);
        }
    }

    /// Joins the partial sums of both halves (at level `below`) to those of their parent.
    fn combine(&mut self, below: usize, side: Side) {
        let half = 1 << below;
        let level = below + 1;
        let border = self.size << level;
        for path in 0..self.paths.count {
            let left = (self.size + self.paths.left_at(path, below)) << below;
            let right = (self.size + path) << below;
            let out = path << level;
            match side {
                Side::Left => {
                    let (lower, upper) = self.left.split_at_mut(border);
                    let sums = &mut upper[out..out + 2 * half];
                    kernel::combine(
                        &lower[left..left + half],
                        &self.right[right..right + half],
                        sums,
                    );
                }
                Side::Right => {
                    let (lower, upper) = self.right.split_at_mut(border);
                    let sums = &mut upper[out..out + 2 * half];
                    kernel::combine(
                        &self.left[left..left + half],
                        &lower[right..right + half],
                        sums,
                    );
                }
            }
        }
        if let Side::Left = side {
            self.paths.own_left(level);
        }
    }
}

/// The surviving paths: metrics and which buffer holds what.
struct Paths {
    size: usize,
    count: usize,
    metric: Vec<f32>,
    /// The bit that a path took at the last fork.
    bit: Vec<u8>,
    /// Buffer that holds a path's LLRs, for each level.
    llr_at: Vec<[u8; LEVELS]>,
    /// Buffer that holds a path's left partial sums, for each level.
    left_at: Vec<[u8; LEVELS]>,
    /// Candidates of the next fork, metric (as ordered bits) above path and bit.
    candidates: Vec<u64>,
    keep: Vec<u8>,
}

impl Paths {
    fn new(size: usize) -> Self {
        Self {
            size,
            count: 1,
            metric: vec![0.0; size],
            bit: vec![0; size],
            llr_at: vec![[0; LEVELS]; size],
            left_at: vec![[0; LEVELS]; size],
            candidates: Vec::with_capacity(2 * size),
            keep: vec![0; size],
        }
    }

    fn restart(&mut self) {
        self.count = 1;
        self.metric[0] = 0.0;
        self.llr_at[0] = [0; LEVELS];
        self.left_at[0] = [0; LEVELS];
        self.candidates.clear();
    }

    fn llr_at(&self, path: usize, level: usize) -> usize {
        usize::from(self.llr_at[path][level])
    }

    fn left_at(&self, path: usize, level: usize) -> usize {
        usize::from(self.left_at[path][level])
    }

    /// Every path has just written the LLRs of this level to its own buffer.
    fn own_llr(&mut self, level: usize) {
        for path in 0..self.count {
            self.llr_at[path][level] = path as u8;
        }
    }

    /// Every path has just written the left partial sums of this level to its own buffer.
    fn own_left(&mut self, level: usize) {
        for path in 0..self.count {
            self.left_at[path][level] = path as u8;
        }
    }

    /// Offers both continuations of a path with what each adds to the metric.
    fn offer(&mut self, path: usize, zero: f32, one: f32) {
        for (bit, cost) in [(0, zero), (1, one)] {
            // Metrics are never negative, so their bit patterns are in order.
            let key = u64::from((self.metric[path] + cost).to_bits());
            self.candidates.push(key << 32 | (2 * path as u64 + bit));
        }
    }

    /// Keeps the best of the offered continuations, at most `size`; a path of which both stay is copied.
    fn fork(&mut self) {
        if self.candidates.len() > self.size {
            self.candidates.select_nth_unstable(self.size - 1);
            self.candidates.truncate(self.size);
        }
        self.keep[..self.count].fill(0);
        for &candidate in &self.candidates {
            let (path, bit) = ((candidate & 0xffff_ffff) as usize / 2, candidate & 1);
            self.keep[path] |= 1 << bit;
        }
        // A path of which nothing stays is a free place; so are those never used.
        let mut free = 0;
        let occupied = self.count;
        self.count = self.candidates.len();
        for i in 0..self.candidates.len() {
            let candidate = self.candidates[i];
            let metric = f32::from_bits((candidate >> 32) as u32);
            let (path, bit) = ((candidate & 0xffff_ffff) as usize / 2, (candidate & 1) as u8);
            let place = if self.keep[path] == 3 && bit == 1 {
                while free < occupied && self.keep[free] != 0 {
                    free += 1;
                }
                let place = free;
                free += 1;
                self.llr_at[place] = self.llr_at[path];
                self.left_at[place] = self.left_at[path];
                place
            } else {
                path
            };
            self.metric[place] = metric;
            self.bit[place] = bit;
        }
        self.candidates.clear();
    }
}
