//! [`BlockSource`]: where Alice's light comes from.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use crqkd_quantum::decoy::DecoyConfig;
use rand::rngs::OsRng;
use rand::{SeedableRng, TryRngCore};
use rand_chacha::ChaCha20Rng;

use super::args::EndArgs;
use super::ends::WAIT;
use super::fibre::PhotonBlock;
use super::line::Line;

/// Blocks that are made ahead of their use.
const AHEAD: u64 = 3;

/// A thread that makes as many blocks as are wanted, a few ahead. Light that was lost on its way is made again.
pub(super) struct BlockSource {
    orders: Sender<()>,
    blocks: Receiver<PhotonBlock>,
    /// Blocks that are wanted and have not been ordered.
    wanted: u64,
    generation_s: f64,
    /// Made beforehand.
    made: std::collections::VecDeque<PhotonBlock>,
}

impl BlockSource {
    pub(super) fn new(args: &EndArgs, config: &DecoyConfig) -> Result<Self> {
        let (orders, ordered) = channel::<()>();
        let (send, blocks) = channel();
        let config = config.clone();
        let generate = move || {
            let mut seed = [0u8; 32];
            if OsRng.try_fill_bytes(&mut seed).is_err() {
                return;
            }
            let mut rng = ChaCha20Rng::from_seed(seed);
            while ordered.recv().is_ok() {
                if send.send(PhotonBlock::generate(&config, &mut rng)).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("pulses".into()).spawn(generate)?;
        let wanted = if args.blocks == 0 { u64::MAX } else { args.blocks };
        let mut source =
            Self { orders, blocks, wanted, generation_s: 0.0, made: Default::default() };
        let start = Instant::now();
        if args.pregenerate {
            (0..wanted).for_each(|_| source.order());
            for _ in 0..args.blocks {
                let block = source.blocks.recv().map_err(|_| failed())?;
                source.made.push_back(block);
            }
            source.generation_s = start.elapsed().as_secs_f64();
        } else {
            (0..AHEAD.min(wanted)).for_each(|_| source.order());
        }
        Ok(source)
    }

    /// Seconds spent before the first connection.
    pub(super) fn generation_s(&self) -> f64 {
        self.generation_s
    }

    fn order(&mut self) {
        if self.wanted > 0 {
            self.wanted -= 1;
            // If the thread has ended, `next` says so.
            let _ = self.orders.send(());
        }
    }

    /// The next block, if it is there within this time.
    ///
    /// # Errors
    /// A generator that has ended.
    pub(super) fn next(&mut self, patience: Duration) -> Result<Option<PhotonBlock>> {
        if let Some(block) = self.ready() {
            return Ok(Some(block));
        }
        match self.blocks.recv_timeout(patience) {
            Ok(block) => {
                self.order();
                Ok(Some(block))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(failed()),
        }
    }

    /// The next block, if it has been made.
    pub(super) fn ready(&mut self) -> Option<PhotonBlock> {
        if let Some(block) = self.made.pop_front() {
            return Some(block);
        }
        let block = self.blocks.try_recv().ok()?;
        self.order();
        Some(block)
    }

    /// A block was lost on its way: another one is made in its place.
    pub(super) fn lost(&mut self) {
        self.wanted = self.wanted.saturating_add(1);
        self.order();
    }
}

fn failed() -> anyhow::Error {
    anyhow!("no light can be made: the operating system gives no random numbers")
}

/// The next block's light. While it is being made Bob is told that this end is still there.
pub(super) fn wait_for_light(source: &mut BlockSource, line: &mut Line) -> Result<PhotonBlock> {
    let patience = (line.classical.timeout() / 4).min(Duration::from_secs(5));
    loop {
        if let Some(photons) = source.next(patience)? {
            return Ok(photons);
        }
        line.classical.send(&[WAIT])?;
    }
}

/// Sends a block's light down the fibre. Light that does not get away is made again: no block was begun with it.
pub(super) fn send_light(
    photons: PhotonBlock,
    source: &mut BlockSource,
    line: &mut Line,
) -> Result<PhotonBlock> {
    if let Err(error) = line.fibre.send(photons.clicks()) {
        source.lost();
        return Err(error.into());
    }
    Ok(photons)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::super::args::LinkArgs;
    use super::*;
    use crate::frames::Frames;

    fn frames() -> Frames {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        Frames::new(near, Duration::from_secs(1)).unwrap()
    }

    /// No block was begun with it, so all blocks that were asked for are still to come.
    #[test]
    fn light_that_does_not_get_away_is_made_again() {
        let link = LinkArgs { pulses_per_block: Some(10_000), ..LinkArgs::default() };
        let config = link.resolve().unwrap();
        for (blocks, pregenerate) in [(1, false), (3, false), (5, false), (2, true)] {
            let args = EndArgs {
                connect: None,
                listen: None,
                dir: Default::default(),
                secret: Default::default(),
                deliver: None,
                blocks,
                pregenerate,
                reserve_tags: 0,
                timeout_s: 1,
                link: link.clone(),
            };
            let mut source = BlockSource::new(&args, &config).unwrap();
            let fibre = frames();
            drop(fibre.closer().unwrap());
            let (ours, theirs) = (Vec::new(), Vec::new());
            let mut line = Line { classical: frames(), fibre, key: [0; 32], ours, theirs };
            let patience = Duration::from_secs(10);
            for _ in 0..3 {
                let photons = source.next(patience).unwrap().unwrap();
                assert!(send_light(photons, &mut source, &mut line).is_err());
            }
            for block in 0..blocks {
                assert!(source.next(patience).unwrap().is_some(), "block {block} of {blocks}");
            }
        }
    }
}
