//! [`run_alice`], [`run_bob`]: an end of the link as a process.

use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use crqkd_bits::TagHash;
use crqkd_keys::{AuthDirection, Authenticator};
use crqkd_quantum::decoy::{DecoyConfig, Session, SessionEnd, Step};
use crqkd_recording::write_new_private;
use rand::rngs::OsRng;
use rand::{SeedableRng, TryRngCore};
use rand_chacha::ChaCha20Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use super::args::{EndArgs, SecretArgs};
use super::fibre::{Detectors, PhotonBlock};
use super::line::{Connector, Line};
use super::record::Ledger;
use super::state::KeyState;
use crate::frames::Frames;

/// What an end has done, for people and programs. Nothing in it is secret.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EndReport {
    /// Blocks attempted in this process.
    pub blocks: u64,
    /// Keys released in this process.
    pub released: u64,
    /// Blocks without a key, with their reasons.
    pub burned: Vec<String>,
    /// Connections that broke.
    pub broken_connections: u64,
    /// Sifted bits, both bases.
    pub sifted_bits: u64,
    /// Bits released for groups.
    pub key_bits: u64,
    /// Bytes over the classical channel, both ways.
    pub classical_bytes: u64,
    /// Seconds from the first block's beginning to the last one's end.
    pub seconds: f64,
    /// Sifted bits a second over that time.
    pub sifted_bit_s: f64,
    /// Seconds spent on generating clicks, where that was done beforehand.
    pub generation_s: f64,
    /// Question-and-answer rounds of the last block.
    pub rounds: u64,
    /// Disclosed bits over the Shannon limit in the last block.
    pub efficiency: Option<f64>,
}

/// Frames beside those of a session, whose first bytes are below 16.
const HELLO: u8 = 16;
const BEGIN: u8 = 17;
const BYE: u8 = 18;

/// Blocks whose clicks may be generated beforehand: a few megabytes each.
const MOST_PREGENERATED: u64 = 1000;

/// How many block numbers the other end may be ahead: they are unauthenticated then, and must not run out.
const MOST_AHEAD: u64 = 1 << 16;

/// What the ends tell each other when a connection is made. None of it is trusted: it can only stop them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hello {
    own: AuthDirection,
    /// SHA-256 of the link's parameters.
    link: String,
    next_block: u64,
    /// The last block whose key this end has released, and the first bits of that key.
    last_released: Option<(u64, u64)>,
    /// First unused pad bit of each pool, A to B first.
    pads: [u64; 2],
}

/// Writes a start-up secret from the operating system's generator.
///
/// # Errors
/// A file that exists or cannot be written.
pub fn write_secret(args: &SecretArgs) -> Result<()> {
    let mut bytes = zeroize::Zeroizing::new(vec![0u8; args.bytes]);
    OsRng.try_fill_bytes(&mut bytes).context("the operating system's generator")?;
    Ok(write_new_private(&args.file, &bytes)?)
}

/// Alice: sends pulses, block after block, until as many were attempted as asked for.
///
/// # Errors
/// Configuration, files, a peer that contradicts the journal, a pool below its reserve. A connection that breaks is
/// not an error: it is made again.
pub fn run_alice(args: &EndArgs) -> Result<EndReport> {
    if args.pregenerate && !(1..=MOST_PREGENERATED).contains(&args.blocks) {
        bail!(
            "--pregenerate takes --blocks 1 to {MOST_PREGENERATED}: all of them are kept in memory"
        );
    }
    let mut end = End::open(args, AuthDirection::AToB)?;
    let source = BlockSource::new(args, &end.config)?;
    end.report.generation_s = source.generation_s;
    let mut connector = Connector::new(args)?;
    while args.blocks == 0 || end.report.blocks < args.blocks {
        let mut line = connector.line()?;
        let result = end.alice_line(&mut line, args, &source);
        end.report.classical_bytes += line.classical.bytes();
        match result {
            Ok(()) => break,
            Err(error) => end.broken(error)?,
        }
    }
    Ok(end.finish())
}

/// Bob: receives pulses until Alice ends the link.
///
/// # Errors
/// As [`run_alice`].
pub fn run_bob(args: &EndArgs) -> Result<EndReport> {
    if args.pregenerate {
        bail!("--pregenerate is for alice: bob sends no pulses");
    }
    let mut end = End::open(args, AuthDirection::BToA)?;
    let mut connector = Connector::new(args)?;
    loop {
        let Line { mut classical, fibre } = connector.line()?;
        let result = end.bob_line(&mut classical, fibre);
        end.report.classical_bytes += classical.bytes();
        match result {
            Ok(()) => break,
            Err(error) => end.broken(error)?,
        }
    }
    Ok(end.finish())
}

/// Something that no new connection helps against.
#[derive(Debug)]
struct Fatal;

impl std::fmt::Display for Fatal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the link cannot go on")
    }
}

struct End {
    config: DecoyConfig,
    state: KeyState,
    rng: ChaCha20Rng,
    /// The block under way.
    block: Option<u64>,
    /// What was said when the connection was made, Alice's and Bob's.
    greetings: [Vec<u8>; 2],
    report: EndReport,
    started: Option<Instant>,
}

impl End {
    fn open(args: &EndArgs, own: AuthDirection) -> Result<Self> {
        let config = args.link.resolve()?;
        let secret = std::fs::read(&args.secret)
            .with_context(|| format!("reading {}", args.secret.display()))?;
        let secret = zeroize::Zeroizing::new(secret);
        let tag_bits = Authenticator::TAG_BITS;
        let state = KeyState::open(&args.dir, &secret, own, args.reserve_tags, tag_bits)?;
        // Shuffles, hash keys and Toeplitz seeds: a strong generator, seeded by the operating system.
        let mut seed = zeroize::Zeroizing::new([0u8; 32]);
        OsRng.try_fill_bytes(&mut *seed).context("the operating system's generator")?;
        Ok(Self {
            config,
            state,
            rng: ChaCha20Rng::from_seed(*seed),
            block: None,
            greetings: [Vec::new(), Vec::new()],
            report: EndReport::default(),
            started: None,
        })
    }

    fn alice_line(&mut self, line: &mut Line, args: &EndArgs, source: &BlockSource) -> Result<()> {
        let mut block = self.greet(&mut line.classical)?;
        // Light that is under way already. What a broken connection loses of it is not sent again.
        let mut ahead = None;
        while args.blocks == 0 || self.report.blocks < args.blocks {
            let photons = match ahead.take() {
                Some(photons) => photons,
                None => send_light(source.next()?, line)?,
            };
            self.begin(block)?;
            line.classical.send(&[&[BEGIN][..], &block.to_be_bytes()].concat())?;
            let choices = photons.choices(&self.config);
            let greetings = [&self.greetings[0][..], &self.greetings[1]];
            let (session, steps) =
                Session::alice(&self.config, block, choices, greetings, &mut self.state.auth)
                    .map_err(|e| anyhow!(e).context(Fatal))?;
            if args.blocks == 0 || self.report.blocks < args.blocks {
                ahead = source.ready().map(|photons| send_light(photons, line)).transpose()?;
            }
            self.drive(session, steps, &mut line.classical)?;
            block += 1;
        }
        line.classical.send(&[BYE])?;
        Ok(())
    }

    fn bob_line(&mut self, classical: &mut Frames, fibre: Frames) -> Result<()> {
        let mut next = self.greet(classical)?;
        let detectors = Detectors::new(fibre, self.config.pulses_per_block)?;
        loop {
            let frame = classical.receive()?;
            let block = match frame.split_first() {
                Some((&BYE, [])) => return Ok(()),
                Some((&BEGIN, number)) => number.try_into().map(u64::from_be_bytes)?,
                _ => bail!("not the beginning of a block"),
            };
            if block != next {
                bail!("block {block} begins, {next} was expected");
            }
            next += 1;
            self.begin(block)?;
            let detections = detectors.next()?;
            let greetings = [&self.greetings[0][..], &self.greetings[1]];
            let (session, steps) =
                Session::bob(&self.config, block, detections, greetings, &mut self.state.auth)
                    .map_err(|e| anyhow!(e).context(Fatal))?;
            self.drive(session, steps, classical)?;
        }
    }

    /// Compares journals with the other end, settles a held key, and agrees on the next block's number.
    fn greet(&mut self, classical: &mut Frames) -> Result<u64> {
        let pads = [AuthDirection::AToB, AuthDirection::BToA]
            .map(|direction| self.state.auth.pool(direction).next_index());
        let ours = Hello {
            own: self.state.own(),
            link: hex::encode(Sha256::digest(serde_json::to_vec(&self.config)?)),
            next_block: self.state.next_block(),
            last_released: self.state.last_released(),
            pads,
        };
        let said = [&[HELLO][..], &serde_json::to_vec(&ours)?].concat();
        classical.send(&said)?;
        let frame = classical.receive()?;
        let Some((&HELLO, json)) = frame.split_first() else { bail!("no greeting") };
        let theirs: Hello = serde_json::from_slice(json).context("in the greeting")?;
        if theirs.own == ours.own {
            return Err(anyhow!("both ends are {:?}", ours.own).context(Fatal));
        }
        if theirs.link != ours.link {
            return Err(anyhow!("the two ends have different links configured").context(Fatal));
        }
        self.check_pads(&ours, &theirs)?;
        // Released on proof only. Without one the key stays held until a transcript is authenticated that has these
        // greetings in it.
        if self.state.held().is_some() && self.state.held() == theirs.last_released {
            self.release_held()?;
        }
        // Bob never releases what Alice has not; an end that is behind was restored from an old copy.
        let block = |last: Option<(u64, u64)>| last.map(|(block, _)| block);
        let (alice, bob) = match ours.own {
            AuthDirection::AToB => (block(ours.last_released), block(theirs.last_released)),
            AuthDirection::BToA => (block(theirs.last_released), block(self.state.last_released())),
        };
        if bob > alice {
            let error = anyhow!("Bob has released block {bob:?}, Alice only {alice:?}");
            return Err(error.context("restored from an old copy?").context(Fatal));
        }
        let next = ours.next_block.max(theirs.next_block);
        if next - ours.next_block > MOST_AHEAD {
            bail!("the other end is at block {next}, this one at {}", ours.next_block);
        }
        self.greetings = match ours.own {
            AuthDirection::AToB => [said, frame],
            AuthDirection::BToA => [frame, said],
        };
        Ok(next)
    }

    /// Whoever sends under a pool must know of every pad that the other end has seen.
    fn check_pads(&self, ours: &Hello, theirs: &Hello) -> Result<()> {
        let (own, other) = if ours.own == AuthDirection::AToB { (0, 1) } else { (1, 0) };
        for (sender, receiver, who) in [
            (ours.pads[own], theirs.pads[own], "this end"),
            (theirs.pads[other], ours.pads[other], "the other end"),
        ] {
            if receiver > sender {
                let error = anyhow!(
                    "pads up to {receiver} have been seen, but {who} only knows of {sender}: \
                     restored from an old copy?"
                );
                return Err(error.context(Fatal));
            }
        }
        Ok(())
    }

    fn begin(&mut self, block: u64) -> Result<()> {
        self.started.get_or_insert_with(Instant::now);
        self.state.begin(block)?;
        self.block = Some(block);
        self.report.blocks += 1;
        Ok(())
    }

    /// Runs a block to its end.
    fn drive(
        &mut self,
        mut session: Session,
        mut steps: Vec<Step>,
        classical: &mut Frames,
    ) -> Result<()> {
        loop {
            let (mut over, mut broken) = (false, None);
            for step in steps.drain(..) {
                match step {
                    Step::Persist(mark) => self.state.mark(mark)?,
                    Step::Send(bytes) => {
                        if let Err(error) = classical.send(&bytes) {
                            broken = Some(error);
                        }
                    }
                    Step::Key(key) => {
                        let ledger = self.ledger(&session, &key);
                        self.count(&ledger);
                        self.state.release(key, ledger)?;
                    }
                    Step::Hold(key) => {
                        let ledger = self.ledger(&session, &key);
                        self.state.hold(key, ledger)?;
                    }
                    Step::Release => self.release_held()?,
                    Step::End(SessionEnd::Key) => over = true,
                    Step::End(SessionEnd::Aborted(reason)) => {
                        over = true;
                        self.burn(session.number(), reason.to_string())?;
                    }
                }
            }
            if let Some(error) = broken {
                return Err(error.into());
            }
            if over {
                self.block = None;
                self.report.seconds = self.started.map_or(0.0, |t| t.elapsed().as_secs_f64());
                return Ok(());
            }
            // While the other end works on what was just sent.
            session.work()?;
            let frame = classical.receive()?;
            let result = session.receive(&frame, &mut self.state.auth, &mut self.rng, &mut steps);
            if let Err(error) = result {
                for step in steps {
                    if let Step::Persist(mark) = step {
                        self.state.mark(mark)?;
                    }
                }
                return Err(error.into());
            }
        }
    }

    /// A connection is gone, and the block with it.
    fn broken(&mut self, error: anyhow::Error) -> Result<()> {
        if error.downcast_ref::<Fatal>().is_some() {
            return Err(error);
        }
        warn!("the connection is given up: {error:#}");
        self.report.broken_connections += 1;
        if let Some(block) = self.block.take()
            && self.state.held_block() != Some(block)
        {
            self.burn(block, format!("{error:#}"))?;
        }
        Ok(())
    }

    fn burn(&mut self, block: u64, reason: String) -> Result<()> {
        info!("block {block} gave no key: {reason}");
        self.report.burned.push(format!("block {block}: {reason}"));
        self.state.burn(block, reason)
    }

    fn ledger(&self, session: &Session, key: &crqkd_bits::SecretBits) -> Ledger {
        let tag_bits = self.state.auth.tag_bits();
        let eps_auth = 2.0 * TagHash::forgery_bound(1 << 30, tag_bits);
        let eps = [self.config.eps_sec, self.config.eps_cor, eps_auth];
        Ledger::new(session.number(), key, session.counts(), eps)
    }

    fn release_held(&mut self) -> Result<()> {
        let ledger = self.state.release_held()?;
        self.count(&ledger);
        Ok(())
    }

    fn count(&mut self, ledger: &Ledger) {
        self.report.released += 1;
        self.report.key_bits += ledger.bits;
        self.report.efficiency = ledger.efficiency;
        self.report.rounds = ledger.rounds;
        self.report.sifted_bits += ledger.sifted + ledger.tested;
    }

    fn finish(mut self) -> EndReport {
        if self.report.seconds > 0.0 {
            self.report.sifted_bit_s = self.report.sifted_bits as f64 / self.report.seconds;
        }
        self.report
    }
}

/// Where Alice's blocks come from: a thread that is at most two blocks ahead, or a store made beforehand.
struct BlockSource {
    blocks: Receiver<PhotonBlock>,
    generation_s: f64,
}

impl BlockSource {
    fn new(args: &EndArgs, config: &DecoyConfig) -> Result<Self> {
        let ahead = if args.pregenerate { args.blocks.max(1) as usize } else { 2 };
        let (send, blocks) = sync_channel(ahead);
        let (config, limit) = (config.clone(), args.blocks);
        let generate = move || {
            let mut seed = [0u8; 32];
            if OsRng.try_fill_bytes(&mut seed).is_err() {
                return;
            }
            let mut rng = ChaCha20Rng::from_seed(seed);
            let mut made = 0;
            while limit == 0 || made < limit {
                if send.send(PhotonBlock::generate(&config, &mut rng)).is_err() {
                    return;
                }
                made += 1;
            }
        };
        let start = Instant::now();
        let thread = std::thread::Builder::new().name("pulses".into()).spawn(generate)?;
        if args.pregenerate {
            thread.join().map_err(|_| anyhow!("generating pulses failed"))?;
            return Ok(Self { blocks, generation_s: start.elapsed().as_secs_f64() });
        }
        Ok(Self { blocks, generation_s: 0.0 })
    }

    fn next(&self) -> Result<PhotonBlock> {
        self.blocks.recv().map_err(|_| anyhow!("no more pulses").context(Fatal))
    }

    /// The next block, if it has been made.
    fn ready(&self) -> Option<PhotonBlock> {
        self.blocks.try_recv().ok()
    }
}

/// Sends a block's light down the fibre.
fn send_light(photons: PhotonBlock, line: &mut Line) -> Result<PhotonBlock> {
    line.fibre.send(photons.clicks())?;
    Ok(photons)
}

/// The files of an end, for an audit.
pub(super) fn files(dir: &Path) -> [std::path::PathBuf; 2] {
    [dir.join("journal.jsonl"), dir.join("keys.bin")]
}
