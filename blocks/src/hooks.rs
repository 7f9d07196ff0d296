//! What every block is given besides its work: random sleeps for tests, and where to report a fault.

use crate::radio::RadioError;
use crqkd_keys::KeysError;
use futuresdr::runtime::{Result, Timer};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The hooks of one block. The default does nothing but note faults.
///
/// ```
/// use crqkd_blocks::Hooks;
/// let run = Hooks::default().with_sleeps(1, 50);
/// let mut block = run.of("synchronizer of Alice");
/// futuresdr::runtime::Runtime::block_on(block.nap());
/// let failed = block.watch::<()>(Err(futuresdr::runtime::Error::InvalidParameter.into()));
/// assert!(failed.is_err());
/// assert_eq!(run.fault().unwrap().text, "synchronizer of Alice: Invalid Parameter");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Hooks {
    name: String,
    sleeps: Option<(Xoshiro256PlusPlus, u64)>,
    fault: Arc<Mutex<Option<Fault>>>,
}

/// Why a run has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Name of the block, and its error.
    pub text: String,
    /// A device or a durable store was lost or refused its work; nothing was wrong with what it was told.
    pub device: bool,
}

impl Hooks {
    /// Switches random sleeps on: one call of a block in four sleeps for up to `max_us`
    /// microseconds. Results must not depend on it.
    pub fn with_sleeps(mut self, seed: u64, max_us: u64) -> Self {
        self.sleeps = Some((Xoshiro256PlusPlus::seed_from_u64(seed), max_us));
        self
    }

    /// The hooks of the block of this name: its own sequence of sleeps, the same place for faults.
    pub fn of(&self, name: impl Into<String>) -> Self {
        let name = name.into();
        let sleeps = self.sleeps.as_ref().map(|(rng, max)| {
            let mix = |h: u64, b: u8| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3);
            let seed = name.bytes().fold(rng.clone().random(), mix);
            (Xoshiro256PlusPlus::seed_from_u64(seed), *max)
        });
        Hooks { name, sleeps, fault: self.fault.clone() }
    }

    /// Sleeps for a random time in tests of determinism, else returns at once.
    pub async fn nap(&mut self) {
        if let Some((rng, max_us)) = &mut self.sleeps
            && rng.random_range(0..4) == 0
        {
            let sleep = rng.random_range(0..=*max_us);
            Timer::after(Duration::from_micros(sleep)).await;
        }
    }

    /// Notes an error, the first of the run, with the block's name, and passes the result on.
    ///
    /// # Errors
    /// The error of `result`, unchanged.
    pub fn watch<T>(&self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result {
            let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
            let device = error.downcast_ref::<RadioError>().is_some_and(RadioError::is_device)
                || matches!(error.downcast_ref(), Some(KeysError::Store(_)));
            let text = format!("{}: {error:#}", self.name);
            fault.get_or_insert(Fault { text, device });
        }
        result
    }

    /// The first fault of the run.
    pub fn fault(&self) -> Option<Fault> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
