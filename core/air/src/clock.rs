//! A radio's own clock: sample counts that drift away from air time.

use crate::SAMPLE_RATE_HZ;
use std::f64::consts::TAU;

/// Period of the drift in seconds.
const DRIFT_S: f64 = 2.0;
/// How far the rate wanders around its mean, as a share of it.
const DRIFT_SHARE: f64 = 0.1;

/// A clock that runs wrong from one air time to another, and is off by what it has gathered from then on.
///
/// The rate is `ppm·(1 + 0.1·sin(2πt/2 s))`. Times are whole samples: now and then one sample of the air has no local
/// time of its own, or two. What is less than a sample within a frame (0.33 at 20 ppm) is left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clock {
    ppm: f64,
    from: u64,
    to: u64,
}

impl Clock {
    /// A clock that loses `ppm` samples in a million (or gains them, if negative) within `[from, to)`.
    pub fn new(ppm: f64, from: u64, to: u64) -> Self {
        Clock { ppm, from, to }
    }

    /// Samples lost before air time `t`, positive or negative.
    fn lost(&self, t: u64) -> i64 {
        let seconds = t.min(self.to).saturating_sub(self.from) as f64 / SAMPLE_RATE_HZ;
        // The integral of 1 + d·sin(2πt/T).
        let wander = DRIFT_SHARE * DRIFT_S / TAU * (1.0 - (TAU * seconds / DRIFT_S).cos());
        (self.ppm * 1e-6 * SAMPLE_RATE_HZ * (seconds + wander)).round() as i64
    }

    /// What the radio calls the air time `air`; never goes back.
    pub fn local(&self, air: u64) -> u64 {
        if air == u64::MAX { air } else { air.saturating_add_signed(-self.lost(air)) }
    }

    /// The first air time that the radio calls `local` or more.
    pub fn air(&self, local: u64) -> u64 {
        if local == u64::MAX {
            return local;
        }
        let mut air = local.saturating_add_signed(self.lost(local));
        while air > 0 && self.local(air - 1) >= local {
            air -= 1;
        }
        while self.local(air) < local {
            air += 1;
        }
        air
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_time_and_air_time_agree_and_never_go_back() {
        for ppm in [-20.0, 0.0, 3.0, 20.0] {
            let clock = Clock::new(ppm, 1_000_000, 41_000_000);
            let mut before = 0;
            for air in (0..60_000_000).step_by(9_973) {
                let local = clock.local(air);
                assert!(local >= before, "{ppm} at {air}");
                before = local;
                let first = clock.air(local);
                assert_eq!(clock.local(first), local, "{ppm} at {air}");
                assert!(first <= air && air - first <= 1, "{ppm}: {first} for {air}");
                assert!(first == 0 || clock.local(first - 1) < local, "{ppm} at {air}");
            }
            // 2 s at ppm, whole periods of the drift.
            let expected = 41_000_000 - (ppm * 40.0) as i64;
            assert_eq!(clock.local(41_000_000) as i64, expected);
            assert_eq!(clock.local(50_000_000) as i64, expected + 9_000_000);
        }
    }
}
