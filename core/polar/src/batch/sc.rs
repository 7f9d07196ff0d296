//! Successive cancellation of 64 frames in lock step, one lane a frame.

use super::program::{Action, Step};
use crate::simd::{Block, Simd, Task};

/// What the decoder works on.
pub(crate) struct ScRun<'a> {
    pub(crate) steps: &'a [Step],
    /// LLRs of level s at `1 << s`; those of the channel are in the upper half.
    pub(crate) llr: &'a mut [Block],
    /// One mask a position, zeroed; the codewords afterwards.
    pub(crate) bits: &'a mut [u64],
}

impl Task for ScRun<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
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
                    let (a, b) = own.split_at(half);
                    for (((out, a), b), &bits) in below.iter_mut().zip(a).zip(b).zip(bits.iter()) {
                        simd.store(simd.variable(simd.load(a), simd.load(b), bits), out);
                    }
                }
                Action::VariableZero => {
                    let (a, b) = own.split_at(half);
                    for ((out, a), b) in below.iter_mut().zip(a).zip(b) {
                        simd.store(simd.variable_zero(simd.load(a), simd.load(b)), out);
                    }
                }
                Action::Combine => {
                    let (left, right) = bits.split_at_mut(half);
                    for (left, right) in left.iter_mut().zip(right) {
                        *left ^= *right;
                    }
                }
                Action::Repeat => {
                    let (left, right) = bits.split_at_mut(half);
                    left.copy_from_slice(right);
                }
                Action::Repetition => bits.fill(repetition(simd, own)),
                Action::Information => {
                    for (bits, block) in bits.iter_mut().zip(own) {
                        *bits = simd.negative(simd.load(block));
                    }
                }
                Action::Parity => parity(simd, own, bits),
                Action::PenaliseLeft | Action::Frozen | Action::Keep => {}
            }
        }
    }
}

/// Lanes where the sum of the LLRs is negative.
#[inline(always)]
fn repetition<S: Simd>(s: S, llr: &[Block]) -> u64 {
    if let [only] = llr {
        return s.negative(s.load(only));
    }
    let mut for_zero = [s.splat_words(0); 2];
    let mut for_one = for_zero;
    for pair in llr.chunks_exact(2) {
        let (p, n) = s.parts(s.load(&pair[0]));
        let (q, m) = s.parts(s.load(&pair[1]));
        let (zero, one) = (s.widen(s.add_unsigned(p, q)), s.widen(s.add_unsigned(n, m)));
        for r in 0..2 {
            for_zero[r] = s.add_words(for_zero[r], zero[r]);
            for_one[r] = s.add_words(for_one[r], one[r]);
        }
    }
    let most = s.splat_words(255);
    let mut excess = for_one;
    for r in 0..2 {
        excess[r] = s.min_words(s.sub_words(for_one[r], for_zero[r]), most);
    }
    !s.equal(s.narrow(excess), s.splat(0))
}

/// Hard decisions, with the least reliable one turned in lanes whose parity is odd.
#[inline(always)]
fn parity<S: Simd>(s: S, llr: &[Block], bits: &mut [u64]) {
    let mut odd = 0;
    let mut least = s.splat(127);
    for (bits, block) in bits.iter_mut().zip(llr) {
        let x = s.load(block);
        *bits = s.negative(x);
        odd ^= *bits;
        least = s.min(least, s.magnitude(x));
    }
    for (bits, block) in bits.iter_mut().zip(llr) {
        if odd == 0 {
            break;
        }
        let here = s.equal(s.magnitude(s.load(block)), least) & odd;
        *bits ^= here;
        odd &= !here;
    }
}
