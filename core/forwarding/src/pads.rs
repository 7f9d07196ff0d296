//! [`PadAllocator`]: which pad bits a QAP uses for which ciphertext. Addresses only; the bits are elsewhere.

use std::collections::VecDeque;

use crqkd_keys::{Epoch, PadCounts, PadRef, WindowId};

use crate::pad_check;

/// Hands out the bits of agreed windows from the oldest on, each once.
#[derive(Debug)]
pub(crate) struct PadAllocator {
    epoch: Epoch,
    windows: VecDeque<Window>,
    capacity: usize,
    counts: PadCounts,
}

#[derive(Debug)]
struct Window {
    id: WindowId,
    check32: u32,
    /// First bit not handed out.
    next: u32,
    end: u32,
}

impl PadAllocator {
    pub(crate) fn new(epoch: Epoch, capacity: usize) -> Self {
        Self { epoch, windows: VecDeque::new(), capacity, counts: PadCounts::default() }
    }

    /// A window of `bits` bits can be used from now on. When too many are kept, the oldest goes.
    pub(crate) fn insert(&mut self, id: WindowId, check32: u32, bits: u32) {
        self.counts.inserted += u64::from(bits);
        self.counts.free += u64::from(bits);
        self.windows.push_back(Window { id, check32, next: 0, end: bits });
        while self.windows.len() > self.capacity {
            self.drop_front();
        }
    }

    /// `bits` bits in at most `max_refs` ranges, and the check over their windows; `None` when there are too few.
    ///
    /// Where that takes too many ranges, the oldest leftovers are dropped.
    pub(crate) fn allocate(&mut self, bits: u32, max_refs: usize) -> Option<(Vec<PadRef>, u32)> {
        while self.counts.free >= u64::from(bits) {
            let mut missing = bits;
            let refs = self
                .windows
                .iter()
                .take_while(|window| {
                    let more = missing > 0;
                    missing = missing.saturating_sub(window.end - window.next);
                    more
                })
                .count();
            if refs > max_refs {
                self.drop_front();
                continue;
            }
            return Some(self.take(bits));
        }
        None
    }

    /// Bits in and out: inserted = taken + dropped + free.
    pub(crate) fn counts(&self) -> PadCounts {
        self.counts
    }

    fn take(&mut self, bits: u32) -> (Vec<PadRef>, u32) {
        let (mut places, mut checks, mut missing) = (Vec::new(), Vec::new(), bits);
        while missing > 0 {
            let window = self.windows.front_mut().expect("so many bits are free");
            let len = missing.min(window.end - window.next);
            if len > 0 {
                let (epoch, window, start) = (self.epoch, window.id, window.next);
                places.push(PadRef { epoch, window, start, len });
                checks.push(self.windows[0].check32);
            }
            missing -= len;
            let window = &mut self.windows[0];
            window.next += len;
            if window.next == window.end {
                self.windows.pop_front();
            }
        }
        self.counts.free -= u64::from(bits);
        self.counts.taken += u64::from(bits);
        (places, pad_check(checks))
    }

    fn drop_front(&mut self) {
        if let Some(window) = self.windows.pop_front() {
            let left = u64::from(window.end - window.next);
            self.counts.free -= left;
            self.counts.dropped += left;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pad_spans_windows_from_the_oldest_on() {
        let mut pads = PadAllocator::new(Epoch(2), 8);
        pads.insert(WindowId(0), 10, 100);
        pads.insert(WindowId(1), 11, 100);
        assert_eq!(pads.allocate(201, 4), None);
        let (places, check) = pads.allocate(150, 4).unwrap();
        let place =
            |window, start, len| PadRef { epoch: Epoch(2), window: WindowId(window), start, len };
        assert_eq!(places, [place(0, 0, 100), place(1, 0, 50)]);
        assert_eq!(check, pad_check([10, 11]));
        assert_eq!(pads.allocate(50, 1).unwrap().0, [place(1, 50, 50)]);
    }

    #[test]
    fn leftovers_that_take_too_many_ranges_are_dropped() {
        let mut pads = PadAllocator::new(Epoch(0), 100);
        (0..20).for_each(|w| pads.insert(WindowId(w), 0, 10));
        pads.insert(WindowId(20), 0, 100);
        let (places, _) = pads.allocate(105, 2).unwrap();
        assert_eq!(places.iter().map(|p| p.window.0).collect::<Vec<_>>(), [19, 20]);
        assert_eq!(pads.counts().dropped, 190);
    }

    proptest! {
        #[test]
        fn no_bit_is_handed_out_twice_and_all_are_counted(
            steps in prop::collection::vec((0u32..200, 0u32..300, 1usize..6), 1..60),
            capacity in 1usize..8,
        ) {
            let mut pads = PadAllocator::new(Epoch(0), capacity);
            let mut seen = BTreeSet::new();
            for (w, (bits, wanted, refs)) in steps.into_iter().enumerate() {
                pads.insert(WindowId(w as u32), 0, bits);
                if let Some((places, _)) = pads.allocate(wanted, refs) {
                    prop_assert!(places.len() <= refs);
                    prop_assert_eq!(PadRef::total(&places), wanted as usize);
                    for p in places {
                        for bit in p.start..p.start + p.len {
                            prop_assert!(seen.insert((p.window, bit)));
                        }
                    }
                }
                let c = pads.counts();
                prop_assert_eq!(c.inserted, c.taken + c.dropped + c.free);
                prop_assert_eq!(c.taken, seen.len() as u64);
            }
        }
    }
}
