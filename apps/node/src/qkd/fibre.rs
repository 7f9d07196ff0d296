//! The simulated fibre: what clicked at Bob, carried to him in place of photons.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use crqkd_quantum::decoy::{Choices, Click, DecoyConfig, Detections, Link};
use rand::Rng;

use crate::frames::{Closer, Frames};
use crate::stop;

/// One block of pulses: the seed of Alice's choices, and the clicks that they make at Bob.
///
/// Only the clicks travel, on the connection that stands for the fibre. A simulation, and not secret from somebody who
/// listens there: over a real fibre it would be photons.
pub struct PhotonBlock {
    seed: [u64; 2],
    clicks: Vec<u8>,
    count: usize,
}

impl PhotonBlock {
    /// Sends a block of pulses; all randomness is drawn from `rng`.
    pub fn generate<R: Rng + ?Sized>(config: &DecoyConfig, rng: &mut R) -> Self {
        let seed = rng.random();
        let choices = Choices::new(config, seed);
        let (mut clicks, mut count, mut next) = (Vec::new(), 0, 0);
        for click in Link::new(config, &choices, rng.random()) {
            let flags = u64::from(click.key_basis) << 1 | u64::from(click.bit);
            let mut number = (click.index - next) << 2 | flags;
            next = click.index + 1;
            count += 1;
            while number >= 0x80 {
                clicks.push(number as u8 | 0x80);
                number >>= 7;
            }
            clicks.push(number as u8);
        }
        Self { seed, clicks, count }
    }

    /// Alice's choices.
    pub fn choices(&self, config: &DecoyConfig) -> Choices {
        Choices::new(config, self.seed)
    }

    /// The bytes that travel over the simulated fibre.
    pub fn clicks(&self) -> &[u8] {
        &self.clicks
    }

    /// Number of clicks.
    pub fn len(&self) -> usize {
        self.count
    }

    /// True without any click.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl std::fmt::Debug for PhotonBlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PhotonBlock({} clicks)", self.count)
    }
}

/// Bob's detectors: a thread that takes clicks off the fibre, a block ahead, as light does not wait.
pub(super) struct Detectors {
    blocks: Receiver<Result<Detections>>,
    /// Ends the thread when it waits for light.
    _closer: Closer,
}

/// Darkness is no reason to give up: whether the other end is there shows on the classical channel.
const DARKNESS: Duration = Duration::from_secs(365 * 86_400);

/// Between two looks at the classical channel.
const LOOK: Duration = Duration::from_millis(50);

impl Detectors {
    /// Watches the fibre of a connection until it breaks.
    pub(super) fn new(mut fibre: Frames, config: &DecoyConfig) -> Result<Self> {
        fibre.set_timeout(DARKNESS);
        let closer = fibre.closer()?;
        let (send, blocks) = sync_channel(1);
        let (pulses, limit) = (config.pulses_per_block, config.longest_message());
        let watch = move || {
            loop {
                let seen = fibre.receive(limit).map_err(anyhow::Error::from).and_then(|bytes| {
                    Ok(read_clicks(&bytes, pulses)?.into_iter().collect::<Detections>())
                });
                let broken = seen.is_err();
                if send.send(seen).is_err() || broken {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("detectors".into()).spawn(watch)?;
        Ok(Self { blocks, _closer: closer })
    }

    /// What was seen of the block that the other end says has begun.
    ///
    /// # Errors
    /// Light that does not come for as long as `classical` may be silent, or a connection that breaks.
    pub(super) fn next(&self, classical: &Frames) -> Result<Detections> {
        let deadline = Instant::now() + classical.timeout();
        loop {
            match self.blocks.recv_timeout(LOOK) {
                Ok(seen) => return seen.context("the simulated fibre"),
                Err(RecvTimeoutError::Disconnected) => bail!("the fibre is broken"),
                Err(RecvTimeoutError::Timeout) if classical.is_closed() => {
                    bail!("the other end closed the connection")
                }
                Err(RecvTimeoutError::Timeout) if stop::requested() => bail!("stopped"),
                Err(RecvTimeoutError::Timeout) if Instant::now() > deadline => {
                    bail!("no light came for {} s", classical.timeout().as_secs())
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

/// Reads clicks off the simulated fibre.
///
/// # Errors
/// Bytes that are no clicks, or clicks past the end of the block.
pub(super) fn read_clicks(bytes: &[u8], pulses: u64) -> Result<Vec<Click>> {
    let mut clicks = Vec::with_capacity(bytes.len());
    let (mut number, mut shift, mut next) = (0u64, 0u32, 0u64);
    for &byte in bytes {
        if shift > 56 {
            bail!("a number on the simulated fibre is too long");
        }
        number |= u64::from(byte & 0x7F) << shift;
        shift += 7;
        if byte >= 0x80 {
            continue;
        }
        let index = next.saturating_add(number >> 2);
        if index >= pulses {
            bail!("a click at pulse {index} of {pulses}");
        }
        clicks.push(Click { index, key_basis: number & 2 == 2, bit: number & 1 == 1 });
        next = index + 1;
        (number, shift) = (0, 0);
    }
    if shift != 0 {
        bail!("the clicks on the simulated fibre end too early");
    }
    Ok(clicks)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn clicks_arrive_as_they_were_made() {
        let config = DecoyConfig { pulses_per_block: 300_000, ..Default::default() };
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let block = PhotonBlock::generate(&config, &mut rng);
        let clicks = read_clicks(block.clicks(), config.pulses_per_block).unwrap();
        assert_eq!(clicks.len(), block.len());
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let choices = Choices::new(&config, rng.random());
        assert!(Link::new(&config, &choices, rng.random()).eq(clicks));
    }

    proptest! {
        #[test]
        fn any_bytes_are_clicks_in_order_or_refused(bytes: Vec<u8>, pulses in 1u64..100_000) {
            if let Ok(clicks) = read_clicks(&bytes, pulses) {
                prop_assert!(clicks.iter().all(|c| c.index < pulses));
                prop_assert!(clicks.is_sorted_by(|a, b| a.index < b.index));
            }
        }
    }
}
