//! [`PadStore`]: the channel key of many windows, each bit given out at most once.

use std::collections::BTreeMap;

use crqkd_bits::{BitString, SecretBits};
use zeroize::Zeroize;

use crate::{Epoch, KeysError, Pad, PadRef, WindowId};

/// The channel key of the latest windows of one link.
///
/// A bit is given out once, ever: bits that were taken are wiped and marked, a window cannot be stored again, and
/// when the store is full its oldest window goes and everything up to it stays closed.
pub struct PadStore {
    windows: BTreeMap<(Epoch, WindowId), Window>,
    /// Windows before this one are closed for ever.
    floor: (Epoch, WindowId),
    capacity: usize,
    inserted: u64,
    taken: u64,
    dropped: u64,
}

struct Window {
    bits: BitString,
    llr: Vec<f32>,
    used: BitString,
}

impl Drop for Window {
    fn drop(&mut self) {
        self.bits.zeroize();
        self.llr.zeroize();
    }
}

/// Pad bits in and out: `inserted = taken + dropped + free`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct PadCounts {
    /// Number of bits that were ever stored.
    pub inserted: u64,
    /// Number of bits that were given out as pads.
    pub taken: u64,
    /// Bits lost because their window was dropped.
    pub dropped: u64,
    /// Bits that may still be taken.
    pub free: u64,
}

impl PadStore {
    /// An empty store for at most `capacity` windows (at least one).
    pub fn new(capacity: usize) -> Self {
        Self {
            windows: BTreeMap::new(),
            floor: (Epoch(0), WindowId(0)),
            capacity: capacity.max(1),
            inserted: 0,
            taken: 0,
            dropped: 0,
        }
    }

    /// Stores the channel key of a window: its bits and ln P(0)/P(1) for each.
    ///
    /// When the store is full, its oldest window is dropped.
    ///
    /// # Errors
    /// [`KeysError::LlrCount`] when the two differ in length, [`KeysError::WindowGone`] when the window was stored
    /// before or is older than one that was dropped.
    pub fn insert(
        &mut self,
        epoch: Epoch,
        window: WindowId,
        bits: SecretBits,
        llr: Vec<f32>,
    ) -> Result<(), KeysError> {
        if bits.len() != llr.len() {
            return Err(KeysError::LlrCount { bits: bits.len(), llrs: llr.len() });
        }
        let key = (epoch, window);
        if key < self.floor || self.windows.contains_key(&key) {
            return Err(KeysError::WindowGone { window });
        }
        self.inserted += bits.len() as u64;
        let used = BitString::with_len(bits.len());
        self.windows.insert(key, Window { bits: bits.into_exposed(), llr, used });
        while self.windows.len() > self.capacity {
            self.drop_oldest();
        }
        Ok(())
    }

    /// Gives out the bits at `places`, in that order, for the only time. All of them, or none on an error.
    ///
    /// # Errors
    /// [`KeysError::UnknownWindow`], [`KeysError::OutOfWindow`] or [`KeysError::PadUsed`] with the range at fault.
    pub fn take(&mut self, places: &[PadRef]) -> Result<Pad, KeysError> {
        for (i, place) in places.iter().enumerate() {
            self.check(place)?;
            if places[..i].iter().any(|earlier| earlier.overlaps(place)) {
                return Err(KeysError::PadUsed { place: *place });
            }
        }
        let mut bits = BitString::with_capacity(PadRef::total(places));
        let mut llr = Vec::with_capacity(PadRef::total(places));
        for place in places {
            let window = self
                .windows
                .get_mut(&(place.epoch, place.window))
                .expect("every place was checked above");
            for i in place.start as usize..place.start as usize + place.len as usize {
                bits.push(window.bits[i]);
                llr.push(window.llr[i]);
                window.bits.set(i, false);
                window.llr[i] = 0.0;
                window.used.set(i, true);
            }
            self.taken += u64::from(place.len);
        }
        Pad::new(places.to_vec(), bits.into(), llr)
    }

    /// Drops a window and all before it; their unused bits are gone.
    pub fn drop_through(&mut self, epoch: Epoch, window: WindowId) {
        while self.windows.keys().next().is_some_and(|first| *first <= (epoch, window)) {
            self.drop_oldest();
        }
        self.floor = self.floor.max(after((epoch, window)));
    }

    /// Bits in and out so far.
    pub fn counts(&self) -> PadCounts {
        let free = self.windows.values().map(Window::free).sum();
        PadCounts { inserted: self.inserted, taken: self.taken, dropped: self.dropped, free }
    }

    fn check(&self, place: &PadRef) -> Result<(), KeysError> {
        let window = self
            .windows
            .get(&(place.epoch, place.window))
            .ok_or(KeysError::UnknownWindow { place: *place })?;
        let bits = window.used.len();
        if place.len == 0 || place.end() > bits as u64 {
            return Err(KeysError::OutOfWindow { place: *place, bits });
        }
        let range = place.start as usize..place.start as usize + place.len as usize;
        let used = window.used.slice(range).expect("the range was checked above");
        if used.count_ones() > 0 {
            return Err(KeysError::PadUsed { place: *place });
        }
        Ok(())
    }

    fn drop_oldest(&mut self) {
        if let Some((key, window)) = self.windows.pop_first() {
            self.dropped += window.free();
            self.floor = self.floor.max(after(key));
        }
    }
}

impl Window {
    fn free(&self) -> u64 {
        (self.used.len() - self.used.count_ones()) as u64
    }
}

fn after((epoch, window): (Epoch, WindowId)) -> (Epoch, WindowId) {
    match window.0.checked_add(1) {
        Some(next) => (epoch, WindowId(next)),
        None => (Epoch(epoch.0.saturating_add(1)), WindowId(0)),
    }
}

impl std::fmt::Debug for PadStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PadStore")
            .field("windows", &self.windows.len())
            .field("counts", &self.counts())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use rand::SeedableRng;

    use super::*;

    fn random(seed: u64, len: usize) -> SecretBits {
        SecretBits::random(&mut rand_chacha::ChaCha8Rng::seed_from_u64(seed), len)
    }

    fn place(window: u32, start: u32, len: u32) -> PadRef {
        PadRef { epoch: Epoch(1), window: WindowId(window), start, len }
    }

    fn filled(windows: u32, bits: usize) -> PadStore {
        let mut store = PadStore::new(8);
        for w in 0..windows {
            let llr = (0..bits).map(|i| i as f32).collect();
            store.insert(Epoch(1), WindowId(w), random(u64::from(w), bits), llr).unwrap();
        }
        store
    }

    #[test]
    fn a_pad_is_the_bits_at_its_places_in_the_order_given() {
        let mut store = filled(2, 100);
        let pad = store.take(&[place(1, 90, 10), place(0, 5, 3)]).unwrap();
        let mut expected = random(1, 100).expose().slice(90..100).unwrap();
        expected.extend_from(&random(0, 100).expose().slice(5..8).unwrap());
        assert_eq!(pad.bits().expose(), &expected);
        assert_eq!(&pad.llr()[8..], [98.0, 99.0, 5.0, 6.0, 7.0]);
    }

    #[test]
    fn a_request_that_names_a_bit_twice_takes_nothing() {
        let mut store = filled(1, 100);
        let error = store.take(&[place(0, 0, 10), place(0, 9, 10)]).unwrap_err();
        assert_eq!(error, KeysError::PadUsed { place: place(0, 9, 10) });
        assert_eq!(store.counts().taken, 0);
        store.take(&[place(0, 0, 10)]).unwrap();
    }

    #[test]
    fn hostile_ranges_are_refused() {
        let mut store = filled(1, 100);
        for bad in [place(0, 91, 10), place(0, u32::MAX, u32::MAX), place(0, 0, 0)] {
            assert!(matches!(store.take(&[bad]), Err(KeysError::OutOfWindow { .. })), "{bad}");
        }
        assert!(matches!(store.take(&[place(7, 0, 1)]), Err(KeysError::UnknownWindow { .. })));
    }

    #[test]
    fn a_window_is_stored_once_even_after_it_was_dropped() {
        let mut store = PadStore::new(2);
        for w in 0..3 {
            store.insert(Epoch(1), WindowId(w), random(0, 10), vec![0.0; 10]).unwrap();
        }
        for w in 0..3 {
            let again = store.insert(Epoch(1), WindowId(w), random(0, 10), vec![0.0; 10]);
            assert_eq!(again, Err(KeysError::WindowGone { window: WindowId(w) }));
        }
        let counts = store.counts();
        assert_eq!((counts.inserted, counts.dropped, counts.free), (30, 10, 20));
        store.drop_through(Epoch(1), WindowId(9));
        assert!(store.insert(Epoch(1), WindowId(9), random(0, 10), vec![0.0; 10]).is_err());
        assert_eq!(store.counts().free, 0);
    }

    proptest! {
        #[test]
        fn no_bit_is_ever_given_out_twice(
            requests in prop::collection::vec(prop::collection::vec((0u32..5, 0u32..64, 0u32..20), 1..4), 0..60),
            capacity in 1usize..6,
        ) {
            let mut store = PadStore::new(capacity);
            let mut seen = BTreeSet::new();
            for (n, request) in requests.iter().enumerate() {
                // Windows come, and are tried again, while pads are taken.
                let window = WindowId(n as u32 % 7);
                let _ = store.insert(Epoch(1), window, random(n as u64, 64), vec![0.0; 64]);
                let places: Vec<_> = request.iter().map(|&(w, s, l)| place(w, s, l)).collect();
                if let Ok(pad) = store.take(&places) {
                    prop_assert_eq!(pad.len(), PadRef::total(&places));
                    for p in places {
                        for bit in p.start..p.start + p.len {
                            prop_assert!(seen.insert((p.window, bit)), "{} bit {}", p.window, bit);
                        }
                    }
                }
                let c = store.counts();
                prop_assert_eq!(c.inserted, c.taken + c.dropped + c.free);
            }
        }
    }
}
