//! The samples that may still be needed: those kept from earlier calls, and those at hand in the present one.
//!
//! ```text
//!   time       base                    begin                                     end
//!   kept       |------------------------|-----> copied as far as asked for
//!   at hand                             |-----------------------------------------|
//! ```
//!
//! Most samples hold no frame and are never looked at again once their energy is known. So they stay where they are, and
//! what a look spans is copied, or made of integers, only where it has to be.

use num_complex::Complex32;

use crate::simd;

/// Kept samples that are dropped at once, at least, when samples come a few at a time.
const SLACK: usize = 16384;

/// The samples of the present call.
#[derive(Clone, Copy)]
pub(crate) enum AtHand<'a> {
    /// Complex floating-point samples.
    Numbers(&'a [Complex32]),
    /// Integers, and what 1 stands for.
    Integers(&'a [[i16; 2]], f32),
}

impl AtHand<'_> {
    /// Of a call without samples.
    pub(crate) const NOTHING: Self = Self::Numbers(&[]);

    pub(crate) fn len(self) -> usize {
        match self {
            Self::Numbers(samples) => samples.len(),
            Self::Integers(samples, _) => samples.len(),
        }
    }

    /// Copies as many samples from the one numbered `from` on as there is room for.
    pub(crate) fn copy(self, from: usize, to: &mut [Complex32]) {
        let range = from..from + to.len();
        match self {
            Self::Numbers(samples) => to.copy_from_slice(&samples[range]),
            Self::Integers(samples, scale) => simd::widen_ci16(&samples[range], scale, to),
        }
    }

    /// Appends samples `from` to before `to`.
    fn append(self, from: usize, to: usize, kept: &mut Vec<Complex32>) {
        match self {
            Self::Numbers(samples) => kept.extend_from_slice(&samples[from..to]),
            Self::Integers(..) => {
                let at = kept.len();
                kept.resize(at + to - from, Complex32::ZERO);
                self.copy(from, &mut kept[at..]);
            }
        }
    }

    /// Appends the energies of the whole blocks of the gate from sample `from` on.
    pub(crate) fn energies(self, from: usize, energies: &mut Vec<f32>) {
        match self {
            Self::Numbers(samples) => simd::block_energies(&samples[from..], energies),
            Self::Integers(samples, scale) => {
                simd::block_energies_ci16(&samples[from..], scale, energies);
            }
        }
    }

    /// The first sample that is infinite or not a number.
    pub(crate) fn not_finite(self) -> Option<usize> {
        let good = |s: &Complex32| s.re.is_finite() && s.im.is_finite();
        match self {
            Self::Numbers(samples) => samples.iter().position(|s| !good(s)),
            Self::Integers(..) => None,
        }
    }
}

/// Samples of a contiguous stretch by their air time.
pub(crate) struct Held {
    /// Samples from `base` on; they reach to `begin` at least.
    kept: Vec<Complex32>,
    base: u64,
    /// Time of the first sample at hand.
    begin: u64,
    /// Integers at hand as numbers, from the time `converted_from` on.
    converted: Vec<Complex32>,
    converted_from: u64,
}

impl Held {
    pub(crate) fn new() -> Self {
        let (kept, converted) = (Vec::new(), Vec::new());
        Self { kept, base: 0, begin: 0, converted, converted_from: 0 }
    }

    /// Begins a stretch at `time`.
    pub(crate) fn reset(&mut self, time: u64) {
        self.kept.clear();
        self.converted.clear();
        (self.base, self.begin, self.converted_from) = (time, time, time);
    }

    /// Samples `from` to before `to`, which must be kept or at hand.
    pub(crate) fn view<'a>(
        &'a mut self,
        at_hand: AtHand<'a>,
        from: u64,
        to: u64,
    ) -> &'a [Complex32] {
        if from < self.begin {
            let (from, to) = ((from - self.base) as usize, (to - self.base) as usize);
            if to > self.kept.len() {
                let before = (self.begin - self.base) as usize;
                at_hand.append(self.kept.len() - before, to - before, &mut self.kept);
            }
            return &self.kept[from..to];
        }
        let (first, last) = ((from - self.begin) as usize, (to - self.begin) as usize);
        if let AtHand::Numbers(samples) = at_hand {
            return &samples[first..last];
        }
        let there = self.converted_from..=self.converted_from + self.converted.len() as u64;
        if !there.contains(&from) {
            self.converted.clear();
            self.converted_from = from;
        }
        let before = (self.converted_from - self.begin) as usize;
        let done = before + self.converted.len();
        if last > done {
            at_hand.append(done, last, &mut self.converted);
        }
        &self.converted[first - before..last - before]
    }

    /// Keeps what is needed from `needed` on for the next call, which begins where the samples at hand end.
    pub(crate) fn keep(&mut self, at_hand: AtHand<'_>, needed: u64) {
        let end = self.begin + at_hand.len() as u64;
        if needed >= self.begin {
            self.kept.clear();
            self.base = needed.min(end);
            at_hand.append((self.base - self.begin) as usize, at_hand.len(), &mut self.kept);
        } else {
            let done = self.kept.len() - (self.begin - self.base) as usize;
            at_hand.append(done, at_hand.len(), &mut self.kept);
            let drop = needed.saturating_sub(self.base) as usize;
            if drop >= SLACK && drop >= self.kept.len() / 2 {
                self.kept.drain(..drop);
                self.base += drop as u64;
            }
        }
        self.begin = end;
        self.converted.clear();
        self.converted_from = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(time: u64) -> [i16; 2] {
        [(time % 30_000) as i16, (time % 77) as i16]
    }

    fn number(time: u64) -> Complex32 {
        let [re, im] = sample(time);
        Complex32::new(f32::from(re), f32::from(im))
    }

    proptest! {
        /// Pieces of any length, of either kind; looks at any place that is kept or at hand.
        #[test]
        fn a_view_has_the_samples_of_its_time(
            pieces in prop::collection::vec(
                (0usize..30_000, any::<bool>(), prop::collection::vec(any::<(u16, u16)>(), 0..6), any::<u16>()),
                1..6,
            )
        ) {
            let mut held = Held::new();
            let mut begin = 1000;
            held.reset(begin);
            let mut kept_from = begin;
            for (len, integers, looks, keep) in pieces {
                let end = begin + len as u64;
                let whole: Vec<[i16; 2]> = (begin..end).map(sample).collect();
                let numbers: Vec<Complex32> = (begin..end).map(number).collect();
                let at_hand = if integers {
                    AtHand::Integers(&whole, 1.0)
                } else {
                    AtHand::Numbers(&numbers)
                };
                let place = |share: u16| kept_from + (end - kept_from) * u64::from(share) / 65_536;
                for (a, b) in looks {
                    let (from, to) = (place(a.min(b)), place(a.max(b)));
                    let view = held.view(at_hand, from, to);
                    prop_assert_eq!(view.len() as u64, to - from);
                    prop_assert!(view.iter().zip(from..to).all(|(x, time)| *x == number(time)));
                }
                kept_from = place(keep);
                held.keep(at_hand, kept_from);
                begin = end;
            }
        }
    }
}
