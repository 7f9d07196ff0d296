//! Random sleeps, to show that results do not depend on scheduling.

use futuresdr::runtime::Timer;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::time::Duration;

/// A hook that every block calls once per call of its own; does nothing unless switched on.
///
/// ```
/// use crqkd_blocks::jitter::Jitter;
/// let mut off = Jitter::default();
/// let mut on = Jitter::new(1, 50).fork(3);
/// futuresdr::runtime::Runtime::block_on(async { off.nap().await; on.nap().await; });
/// ```
#[derive(Clone, Debug, Default)]
pub struct Jitter(Option<(Xoshiro256PlusPlus, u64)>);

impl Jitter {
    /// One call in four sleeps for up to `max_us` microseconds.
    pub fn new(seed: u64, max_us: u64) -> Self {
        Jitter(Some((Xoshiro256PlusPlus::seed_from_u64(seed), max_us)))
    }

    /// The hook of another block, with its own sequence.
    pub fn fork(&self, block: u64) -> Self {
        Jitter(self.0.as_ref().map(|(rng, max)| {
            let mut rng = rng.clone();
            let seed = rng.random::<u64>() ^ block.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            (Xoshiro256PlusPlus::seed_from_u64(seed), *max)
        }))
    }

    /// Sleeps, perhaps.
    pub async fn nap(&mut self) {
        if let Some((rng, max_us)) = &mut self.0
            && rng.random_range(0..4) == 0
        {
            let sleep = rng.random_range(0..=*max_us);
            Timer::after(Duration::from_micros(sleep)).await;
        }
    }
}
