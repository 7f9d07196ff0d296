//! Timing that is known: frames at equal distances.

/// Frames that must come at one distance.
const ENOUGH: u32 = 3;
/// Predicted frames that may fail to come.
const MISSES: u32 = 3;
/// By how much a distance may differ from the last, samples: the strongest path may change.
const TOLERANCE: u64 = 8;

/// Predicts the next frame once three have come at equal distances; forgets when three predictions in a row fail.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    last: Option<u64>,
    period: u64,
    /// Frames that fit the distance, the first included.
    fitting: u32,
    missed: u32,
}

impl Tracker {
    /// Takes the start of a frame.
    pub(crate) fn found(&mut self, start: u64) {
        let distance = self.last.map_or(0, |last| (start - last) / u64::from(1 + self.missed));
        let fits = self.period > 0 && distance.abs_diff(self.period) <= TOLERANCE;
        self.fitting = if fits { self.fitting + 1 } else { 2.min(1 + self.fitting) };
        (self.last, self.period, self.missed) = (Some(start), distance, 0);
    }

    /// The predicted frame did not come.
    pub(crate) fn missed(&mut self) {
        self.missed += 1;
        if self.missed >= MISSES {
            *self = Self::default();
        }
    }

    /// Start of the next frame, when it can be predicted.
    pub(crate) fn next(&self) -> Option<u64> {
        let last = self.last.filter(|_| self.fitting >= ENOUGH)?;
        Some(last + self.period * u64::from(1 + self.missed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_frames_lock_and_three_misses_unlock() {
        let mut tracker = Tracker::default();
        tracker.found(1000);
        tracker.found(21_000);
        assert_eq!(tracker.next(), None);
        tracker.found(41_003);
        assert_eq!(tracker.next(), Some(61_006));
        tracker.missed();
        assert_eq!(tracker.next(), Some(81_009));
        tracker.found(81_008);
        assert_eq!(tracker.next(), Some(101_010));
        for _ in 0..3 {
            tracker.missed();
        }
        assert_eq!(tracker.next(), None);
        // other distances do not lock
        for start in [200_000, 210_000, 230_000, 240_000] {
            tracker.found(start);
        }
        assert_eq!(tracker.next(), None);
        tracker.found(250_000);
        assert_eq!(tracker.next(), Some(260_000));
    }
}
