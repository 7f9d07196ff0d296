//! List decoding of several frames in lock step: one register holds one LLR of F frames times L paths, F·L = 64.
//!
//! Every frame is at the same node at the same time. The partial sums of a position are a mask of 64 bits. A fork
//! reorders the paths within each frame; instead of moving what is stored, the order since a node's left half was
//! begun is kept, and applied where the stored LLRs or partial sums are read next: one byte shuffle each.
//!
//! Path metrics are 16-bit words relative to the best path of the frame. A fork sorts words of metric and candidate
//! number with a bitonic network across all frames at once.

use super::program::{Action, Step};
use crate::simd::{Block, LANES, Simd, Task, WordBlock};

/// Levels of the decoding tree, root included: log2(MAX_N) + 1.
const LEVELS: usize = 13;

/// Most bits of a node that a path may decide against their LLRs, those of the least magnitudes: more paths follow
/// rarer errors.
const fn flips(paths: usize) -> usize {
    match paths {
        2 => 1,
        4 => 3,
        8 => 4,
        16 => 5,
        _ => 6,
    }
}

/// What the list decoder works on, for L = PATHS.
pub(crate) struct ListRun<'a, const PATHS: usize> {
    pub(crate) steps: &'a [Step],
    /// LLRs of level s at `1 << s`; those of the channel are in the upper half.
    pub(crate) llr: &'a mut [Block],
    /// One mask a position, zeroed; the codewords afterwards.
    pub(crate) bits: &'a mut [u64],
    /// Metrics of the lanes, best of each frame 0.
    pub(crate) metrics: &'a mut [u16; LANES],
}

impl<const PATHS: usize> Task for ListRun<'_, PATHS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let start = |lane: usize| if lane.is_multiple_of(PATHS) { 0 } else { Key::<PATHS>::WORST };
        let mut block = [WordBlock([0; LANES / 2]); 2];
        for lane in 0..LANES {
            block[lane / 32].0[lane % 32] = start(lane);
        }
        let mut state = State::<S, PATHS> {
            simd,
            metric: [simd.load_words(&block[0]), simd.load_words(&block[1])],
            order: identity(simd),
            saved: [Block::ZERO; LEVELS],
        };
        for &Step { action, level, at } in self.steps {
            let (size, at) = (1usize << level, at as usize);
            let half = size / 2;
            let (lower, upper) = self.llr.split_at_mut(size);
            let own = &upper[..size];
            let below = &mut lower[half..];
            let bits = &mut self.bits[at..at + size];
            match action {
                Action::Check => {
                    let (a, b) = own.split_at(half);
                    for ((out, a), b) in below.iter_mut().zip(a).zip(b) {
                        simd.store(simd.check(simd.load(a), simd.load(b)), out);
                    }
                }
                Action::Variable => {
                    let order = state.order;
                    simd.store(order, &mut state.saved[level as usize]);
                    let (a, b) = own.split_at(half);
                    for (((out, a), b), &bits) in below.iter_mut().zip(a).zip(b).zip(bits.iter()) {
                        let a = simd.shuffle::<PATHS>(simd.load(a), order);
                        let b = simd.shuffle::<PATHS>(simd.load(b), order);
                        simd.store(simd.variable(a, b, bits), out);
                    }
                }
                Action::VariableZero => {
                    let (a, b) = own.split_at(half);
                    for ((out, a), b) in below.iter_mut().zip(a).zip(b) {
                        simd.store(simd.variable_zero(simd.load(a), simd.load(b)), out);
                    }
                }
                Action::PenaliseLeft => {
                    let (a, b) = own.split_at(half);
                    state.penalise_left(a, b);
                }
                Action::Combine => {
                    let (left, right) = bits.split_at_mut(half);
                    simd.combine(left, right, state.order);
                    let saved = simd.load(&state.saved[level as usize]);
                    state.order = simd.shuffle::<PATHS>(saved, state.order);
                }
                Action::Repeat => {
                    let (left, right) = bits.split_at_mut(half);
                    left.copy_from_slice(right);
                }
                Action::Keep => state.order = simd.load(&state.saved[level as usize]),
                Action::Frozen => state.penalise(own),
                Action::Repetition => state.repetition(own, bits),
                Action::Information => state.decide::<false>(own, bits),
                Action::Parity => state.decide::<true>(own, bits),
            }
        }
        simd.store_words(state.metric[0], &mut block[0]);
        simd.store_words(state.metric[1], &mut block[1]);
        for lane in 0..LANES {
            self.metrics[lane] = block[lane / 32].0[lane % 32];
        }
    }
}

/// Numbers that say which candidate a sort key stands for, and how much room they leave for its metric.
struct Key<const PATHS: usize>;

impl<const PATHS: usize> Key<PATHS> {
    const NUMBER_BITS: u32 = PATHS.trailing_zeros() + 1;
    /// Largest metric that a key has room for; larger ones are held at it.
    const WORST: u16 = (1 << (16 - Self::NUMBER_BITS)) - 1;
    /// 2·path of each lane, for both halves of a register of words.
    const ZERO_CHOSEN: WordBlock = {
        let mut words = [0; 32];
        let mut lane = 0;
        while lane < 32 {
            words[lane] = 2 * (lane % PATHS) as u16;
            lane += 1;
        }
        WordBlock(words)
    };
    /// First lane of the frame of each lane.
    const FRAME: Block = {
        let mut bytes = [0; LANES];
        let mut lane = 0;
        while lane < LANES {
            bytes[lane] = (lane - lane % PATHS) as i8;
            lane += 1;
        }
        Block(bytes)
    };
}

#[inline(always)]
fn identity<S: Simd>(simd: S) -> S::Bytes {
    const LANE: Block = {
        let mut bytes = [0; LANES];
        let mut lane = 0;
        while lane < LANES {
            bytes[lane] = lane as i8;
            lane += 1;
        }
        Block(bytes)
    };
    simd.load(&const { LANE })
}

struct State<S: Simd, const PATHS: usize> {
    simd: S,
    /// Metric of the path in each lane: what its decisions against the LLRs have cost so far.
    metric: [S::Words; 2],
    /// Where each lane was when the node that was finished last began.
    order: S::Bytes,
    /// That order for the left half of each level's current node.
    saved: [Block; LEVELS],
}

impl<S: Simd, const PATHS: usize> State<S, PATHS> {
    /// Adds what it costs that all bits of a node are 0.
    #[inline(always)]
    fn penalise(&mut self, llr: &[Block]) {
        let s = self.simd;
        if let [only] = llr {
            self.metric = add(s, self.metric, s.widen(s.parts(s.load(only)).1));
        }
        for pair in llr.chunks_exact(2) {
            let (x, y) = (s.parts(s.load(&pair[0])).1, s.parts(s.load(&pair[1])).1);
            // Two costs of at most 127 fit a byte.
            self.metric = add(s, self.metric, s.widen(s.add_unsigned(x, y)));
        }
        self.normalise();
    }

    /// The same for the left half of a node with these halves.
    #[inline(always)]
    fn penalise_left(&mut self, a: &[Block], b: &[Block]) {
        let s = self.simd;
        if let ([a], [b]) = (a, b) {
            let x = s.parts(s.check(s.load(a), s.load(b))).1;
            self.metric = add(s, self.metric, s.widen(x));
        }
        for (a, b) in a.chunks_exact(2).zip(b.chunks_exact(2)) {
            let x = s.parts(s.check(s.load(&a[0]), s.load(&b[0]))).1;
            let y = s.parts(s.check(s.load(&a[1]), s.load(&b[1]))).1;
            self.metric = add(s, self.metric, s.widen(s.add_unsigned(x, y)));
        }
        self.normalise();
    }

    #[inline(always)]
    fn repetition(&mut self, llr: &[Block], bits: &mut [u64]) {
        let s = self.simd;
        let (mut zero, mut one) = (self.metric, self.metric);
        if let [only] = llr {
            let (positive, negative) = s.parts(s.load(only));
            one = add(s, one, s.widen(positive));
            zero = add(s, zero, s.widen(negative));
        }
        for pair in llr.chunks_exact(2) {
            let (p, n) = s.parts(s.load(&pair[0]));
            let (q, m) = s.parts(s.load(&pair[1]));
            one = add(s, one, s.widen(s.add_unsigned(p, q)));
            zero = add(s, zero, s.widen(s.add_unsigned(n, m)));
        }
        // What both choices cost may be more than a sort key holds: off with it before the fork.
        for r in 0..2 {
            let least = frame_least::<S, PATHS>(s, s.min_words(zero[r], one[r]));
            zero[r] = s.sub_words(zero[r], least);
            one[r] = s.sub_words(one[r], least);
        }
        let (order, chosen) = self.fork(zero, one);
        self.order = order;
        bits.fill(chosen);
    }

    /// Decides a node of which all bits (or, with PARITY, all but the first) are information.
    #[inline(always)]
    fn decide<const PARITY: bool>(&mut self, llr: &[Block], bits: &mut [u64]) {
        // Information nodes have 2, 4, 8, ... free bits, parity nodes 3, 7, ...; a node cannot turn more. The number is
        // a constant, so that the loops unroll.
        match (PARITY, llr.len(), const { flips(PATHS) }) {
            (_, _, 1) => self.flip::<PARITY, 1>(llr, bits),
            (false, 2, _) => self.flip::<PARITY, 2>(llr, bits),
            (true, 4, _) | (_, _, 3) => self.flip::<PARITY, 3>(llr, bits),
            (false, 4, _) | (_, _, 4) => self.flip::<PARITY, 4>(llr, bits),
            (_, _, 5) => self.flip::<PARITY, 5>(llr, bits),
            _ => self.flip::<PARITY, 6>(llr, bits),
        }
    }

    /// The hard decisions cost nothing, and codewords that differ from them are tried in the order of magnitude of the
    /// LLRs that they contradict, one fork for each of the FLIPS least (Hashemi, Condo, Gross, "Fast and flexible
    /// successive-cancellation list decoders for polar codes", IEEE Trans. Signal Processing 65, 2017). With PARITY the
    /// least magnitude of all restores the parity.
    #[inline(always)]
    fn flip<const PARITY: bool, const FLIPS: usize>(&mut self, llr: &[Block], bits: &mut [u64]) {
        // A magnitude with its position: (magnitude << 8) | position.
        const NONE: u16 = 0x7fff;
        let s = self.simd;
        let (zero, none) = (s.splat(0), s.splat(-1));
        let mut weakest = [s.splat_words(NONE); 2];
        let mut least = [[s.splat_words(NONE); 2]; FLIPS];
        let mut odd = 0;
        for (i, block) in llr.iter().enumerate() {
            let x = s.load(block);
            let mut key = s.interleave(s.splat(i as i8), s.magnitude(x));
            for r in 0..2 {
                if PARITY {
                    let smaller = s.min_words(weakest[r], key[r]);
                    key[r] = s.max_words(weakest[r], key[r]);
                    weakest[r] = smaller;
                }
                for t in 0..FLIPS {
                    let smaller = s.min_words(least[t][r], key[r]);
                    key[r] = s.max_words(least[t][r], key[r]);
                    least[t][r] = smaller;
                }
            }
            if PARITY {
                odd ^= s.negative(x);
            }
        }
        let mut position = [zero; FLIPS];
        let mut magnitude = [zero; FLIPS];
        for t in 0..FLIPS {
            (position[t], magnitude[t]) = s.separate(least[t]);
        }
        // Lanes where the least reliable bit restores the parity: it costs its magnitude.
        let (mut base, mut weakest) = s.separate(weakest);
        if PARITY {
            self.metric = add(s, self.metric, s.widen(s.pick(odd, weakest, zero)));
        }
        let mut order = identity(s);
        for t in 0..FLIPS {
            let keep = self.metric;
            let mut turn = add(s, keep, s.widen(magnitude[t]));
            if PARITY {
                // The weakest bit turns along: its cost comes or goes.
                let comes = s.widen(s.pick(odd, zero, weakest));
                let goes = s.widen(s.pick(odd, weakest, zero));
                for r in 0..2 {
                    turn[r] = s.sub_words(s.add_words(turn[r], comes[r]), goes[r]);
                }
            }
            let (step, turned) = self.fork(keep, turn);
            order = s.shuffle::<PATHS>(order, step);
            for u in 0..FLIPS {
                position[u] = s.shuffle::<PATHS>(position[u], step);
                if u > t {
                    magnitude[u] = s.shuffle::<PATHS>(magnitude[u], step);
                }
            }
            position[t] = s.pick(turned, position[t], none);
            if PARITY {
                base = s.shuffle::<PATHS>(base, step);
                weakest = s.shuffle::<PATHS>(weakest, step);
                odd = s.shuffle_bits(odd, step) ^ turned;
            }
        }
        if PARITY {
            base = s.pick(odd, base, none);
        }
        self.order = order;
        self.normalise();
        for (i, (bits, block)) in bits.iter_mut().zip(llr).enumerate() {
            let here = s.splat(i as i8);
            let mut decided = s.negative(s.shuffle::<PATHS>(s.load(block), order));
            for u in 0..FLIPS {
                decided ^= s.equal(position[u], here);
            }
            if PARITY {
                decided ^= s.equal(base, here);
            }
            *bits = decided;
        }
    }

    /// Keeps the best L of the 2L continuations of every frame: where each lane's path was before, and its choice.
    #[inline(always)]
    fn fork(&mut self, zero: [S::Words; 2], one: [S::Words; 2]) -> (S::Bytes, u64) {
        let s = self.simd;
        let number = s.load_words(&const { Key::<PATHS>::ZERO_CHOSEN });
        let other = s.or_words(number, s.splat_words(1));
        let mut chosen = zero;
        for r in 0..2 {
            // Ascending and descending: the lesser of each pair belongs to the best L.
            let up = sort::<S, PATHS, false>(s, key::<S, PATHS>(s, zero[r], number));
            let down = sort::<S, PATHS, true>(s, key::<S, PATHS>(s, one[r], other));
            chosen[r] = s.min_words(up, down);
            self.metric[r] = shift_down::<S, PATHS>(s, chosen[r]);
            chosen[r] = s.and_words(chosen[r], s.splat_words(2 * PATHS as u16 - 1));
        }
        let number = s.narrow(chosen);
        let frame = s.load(&const { Key::<PATHS>::FRAME });
        (s.or(s.halve(number), frame), s.odd(number))
    }

    /// Takes the metric of the best path off every frame.
    #[inline(always)]
    fn normalise(&mut self) {
        let s = self.simd;
        for metric in &mut self.metric {
            *metric = s.sub_words(*metric, frame_least::<S, PATHS>(s, *metric));
        }
    }
}

/// The least word of each frame, in all of its lanes.
#[inline(always)]
fn frame_least<S: Simd, const PATHS: usize>(s: S, words: S::Words) -> S::Words {
    let mut least = words;
    if PATHS > 16 {
        least = s.min_words(least, s.partner::<16>(least));
    }
    if PATHS > 8 {
        least = s.min_words(least, s.partner::<8>(least));
    }
    if PATHS > 4 {
        least = s.min_words(least, s.partner::<4>(least));
    }
    if PATHS > 2 {
        least = s.min_words(least, s.partner::<2>(least));
    }
    s.min_words(least, s.partner::<1>(least))
}

#[inline(always)]
fn add<S: Simd>(s: S, a: [S::Words; 2], b: [S::Words; 2]) -> [S::Words; 2] {
    [s.add_words(a[0], b[0]), s.add_words(a[1], b[1])]
}

/// What a candidate is sorted by.
#[inline(always)]
fn key<S: Simd, const PATHS: usize>(s: S, metric: S::Words, number: S::Words) -> S::Words {
    let metric = s.min_words(metric, s.splat_words(Key::<PATHS>::WORST));
    s.or_words(shift_up::<S, PATHS>(s, metric), number)
}

#[inline(always)]
fn shift_up<S: Simd, const PATHS: usize>(s: S, a: S::Words) -> S::Words {
    match PATHS {
        2 => s.shift_left::<2>(a),
        4 => s.shift_left::<3>(a),
        8 => s.shift_left::<4>(a),
        16 => s.shift_left::<5>(a),
        _ => s.shift_left::<6>(a),
    }
}

#[inline(always)]
fn shift_down<S: Simd, const PATHS: usize>(s: S, a: S::Words) -> S::Words {
    match PATHS {
        2 => s.shift_right::<2>(a),
        4 => s.shift_right::<3>(a),
        8 => s.shift_right::<4>(a),
        16 => s.shift_right::<5>(a),
        _ => s.shift_right::<6>(a),
    }
}

/// Batcher's bitonic sorter on every group of PATHS words.
#[inline(always)]
fn sort<S: Simd, const PATHS: usize, const DOWN: bool>(s: S, mut a: S::Words) -> S::Words {
    if PATHS > 2 {
        a = s.exchange::<2, 1, DOWN>(a);
    }
    if PATHS > 4 {
        a = s.exchange::<4, 2, DOWN>(a);
        a = s.exchange::<4, 1, DOWN>(a);
    }
    if PATHS > 8 {
        a = s.exchange::<8, 4, DOWN>(a);
        a = s.exchange::<8, 2, DOWN>(a);
        a = s.exchange::<8, 1, DOWN>(a);
    }
    if PATHS > 16 {
        a = s.exchange::<16, 8, DOWN>(a);
        a = s.exchange::<16, 4, DOWN>(a);
        a = s.exchange::<16, 2, DOWN>(a);
        a = s.exchange::<16, 1, DOWN>(a);
        a = s.exchange::<0, 16, DOWN>(a);
    }
    if PATHS > 8 {
        a = s.exchange::<0, 8, DOWN>(a);
    }
    if PATHS > 4 {
        a = s.exchange::<0, 4, DOWN>(a);
    }
    if PATHS > 2 {
        a = s.exchange::<0, 2, DOWN>(a);
    }
    s.exchange::<0, 1, DOWN>(a)
}
