//! [`run_alice`], [`run_bob`]: an end of the link as a process.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use crqkd_bits::SecretBits;
use crqkd_keys::{AuthDirection, AuthError};
use crqkd_quantum::decoy::{
    DecoyConfig, EpsError, KeyAccount, LengthRule, Session, SessionEnd, SessionError, Step,
};
use rand::rngs::OsRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use super::args::EndArgs;
use super::fibre::Detectors;
use super::greeting::{Agreed, Fatal, Greeting, Mismatch};
use super::handshake::{farewell, is_farewell};
use super::line::{Connector, Line};
use super::record::Ledger;
use super::secret::{self, StartupSecret};
use super::source::{BlockSource, send_light, wait_for_light};
use super::state::KeyState;
use crate::frames::Frames;
use crate::journal::StorageError;
use crate::stop;

/// What an end has done, for people and programs. Nothing in it is secret.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EndReport {
    /// The fibre is simulated: the keys are known to whoever listens to it.
    pub simulated: bool,
    /// Blocks attempted in this process.
    pub blocks: u64,
    /// Keys released in this process.
    pub released: u64,
    /// Blocks without a key, with their reasons.
    pub burned: Vec<String>,
    /// Connections that broke off.
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
    /// What all keys of the link so far fail with together, at most.
    pub eps_link: Option<f64>,
}

/// Frames beside those of a session, whose first bytes are below 16.
const BEGIN: u8 = 17;
const BYE: u8 = 18;
/// Alice is still there: the light of the next block is being made.
pub(super) const WAIT: u8 = 19;

/// The longest of these.
const LONGEST_CONTROL: usize = 64;

/// Blocks whose clicks may be generated beforehand: a few megabytes each.
const MOST_PREGENERATED: u64 = 1000;

/// Attempts to tell Bob that the link is over before Alice ends without that.
const FAREWELLS: u32 = 5;

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
    let mut source = BlockSource::new(args, &end.config)?;
    end.report.generation_s = source.generation_s();
    let mut connector = Connector::new(args, &end.secret)?;
    let mut farewells = 0;
    while let Some(mut line) = connector.line(&end.secret, &end.greeting()?)? {
        let before = end.report.blocks;
        let result = end.alice_line(&mut line, args, &mut source);
        end.report.classical_bytes += line.classical.bytes();
        let Err(error) = result else { break };
        end.broken(error)?;
        if end.wants_more(args) {
            end.served(&mut connector, before);
        } else {
            farewells += 1;
            if farewells == FAREWELLS {
                warn!("Bob could not be told that the link is over");
                break;
            }
            connector.was_of_no_use();
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
    let mut connector = Connector::new(args, &end.secret)?;
    while let Some(line) = connector.line(&end.secret, &end.greeting()?)? {
        let before = end.report.blocks;
        let Line { mut classical, fibre, key, ours, theirs } = line;
        let result = end
            .agree(&ours, &theirs)
            .and_then(|met| end.bob_line(&mut classical, fibre, &met, &key));
        end.report.classical_bytes += classical.bytes();
        match result {
            Ok(()) => break,
            Err(error) => end.broken(error)?,
        }
        end.served(&mut connector, before);
    }
    Ok(end.finish())
}

/// What was settled when a connection was made.
struct Met {
    agreed: Agreed,
    /// Alice's greeting and Bob's.
    greetings: [Vec<u8>; 2],
}

struct End {
    config: DecoyConfig,
    rule: LengthRule,
    secret: Arc<StartupSecret>,
    state: KeyState,
    /// This end calls the other, and does not wait to be called.
    calls: bool,
    /// A tag of the other end was checked since the start.
    fresh: bool,
    /// The block under way.
    block: Option<u64>,
    report: EndReport,
    started: Option<Instant>,
}

impl End {
    fn open(args: &EndArgs, own: AuthDirection) -> Result<Self> {
        let config = args.link.resolve()?;
        let rule = LengthRule::new(&config);
        let dir = &args.dir;
        let made = !dir.exists();
        std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        let secret = secret::take(dir, &args.secret, own).inspect_err(|_| {
            if made {
                let _ = std::fs::remove_dir(dir); // what is in it is worth keeping
            }
        })?;
        let named = (&secret.id[..], secret.pads());
        let mut state = KeyState::open(dir, named, own, args.reserve_tags, &rule)?;
        if let Some(folder) = &args.deliver {
            state.deliver_to(folder)?;
        }
        let report = EndReport { simulated: true, ..EndReport::default() };
        let secret = Arc::new(secret);
        let calls = args.connect.is_some();
        Ok(Self {
            config,
            rule,
            secret,
            state,
            calls,
            fresh: false,
            block: None,
            report,
            started: None,
        })
    }

    fn wants_more(&self, args: &EndArgs) -> bool {
        args.blocks == 0 || self.report.blocks < args.blocks
    }

    /// After a line that broke: the next one at once if it was of use.
    fn served(&self, connector: &mut Connector, before: u64) {
        if self.report.blocks > before {
            connector.served();
        } else {
            connector.was_of_no_use();
        }
    }

    fn greeting(&self) -> Result<Greeting> {
        let pads = [AuthDirection::AToB, AuthDirection::BToA]
            .map(|direction| self.state.auth.pool(direction).next_index());
        Ok(Greeting {
            own: self.state.own(),
            link: hex::encode(Sha256::digest(serde_json::to_vec(&self.config)?)),
            next_block: self.state.next_block(),
            last_released: self.state.last_released(),
            held: self.state.held_block(),
            pads,
            fresh: self.fresh,
        })
    }

    /// Compares what the two ends say of themselves, and settles a held key.
    fn agree(&mut self, ours: &[u8], theirs: &[u8]) -> Result<Met> {
        let greeting = Greeting::from_bytes(ours)?;
        let agreed = greeting.agree(&Greeting::from_bytes(theirs)?, self.state.held())?;
        // Released on proof only. Without one the key stays held until a transcript is authenticated that has these
        // greetings in it.
        if agreed.release_held {
            let ledger = self.state.release_held()?;
            self.count(&ledger);
        }
        let greetings = match greeting.own {
            AuthDirection::AToB => [ours.to_vec(), theirs.to_vec()],
            AuthDirection::BToA => [theirs.to_vec(), ours.to_vec()],
        };
        Ok(Met { agreed, greetings })
    }

    fn alice_line(
        &mut self,
        line: &mut Line,
        args: &EndArgs,
        source: &mut BlockSource,
    ) -> Result<()> {
        let met = self.agree(&line.ours, &line.theirs)?;
        let mut block = met.agreed.next_block;
        // Light that is under way already. What a broken connection loses of it is made again.
        let mut ahead = None;
        while self.wants_more(args) && !stop::requested() {
            let photons = match ahead.take() {
                Some(photons) => photons,
                None => send_light(wait_for_light(source, line)?, source, line)?,
            };
            self.begin(block)?;
            line.classical.send(&[&[BEGIN][..], &block.to_be_bytes()].concat())?;
            let choices = photons.choices(&self.config);
            let (greetings, first) = (greetings(&met), met.agreed.first);
            let (session, steps) =
                Session::alice(&self.config, block, choices, greetings, first, &self.state.auth)?;
            if self.wants_more(args) {
                let ready = source.ready();
                ahead = ready.map(|photons| send_light(photons, source, line)).transpose()?;
            }
            let result = self.drive(session, steps, &mut line.classical);
            if result.is_err() && ahead.is_some() {
                source.lost();
            }
            result?;
            block += 1;
        }
        if ahead.is_some() {
            source.lost();
        }
        line.classical.send(&[&[BYE][..], &farewell(&line.key)].concat())?;
        Ok(())
    }

    fn bob_line(
        &mut self,
        classical: &mut Frames,
        fibre: Frames,
        met: &Met,
        key: &[u8; 32],
    ) -> Result<()> {
        let mut next = met.agreed.next_block;
        let detectors = Detectors::new(fibre, &self.config)?;
        // Between two blocks nothing is lost.
        while !stop::requested() {
            let frame = classical.receive(LONGEST_CONTROL)?;
            let block = match frame.split_first() {
                Some((&BYE, proof)) if is_farewell(key, proof) => return Ok(()),
                Some((&WAIT, [])) => continue,
                Some((&BEGIN, number)) => number.try_into().map(u64::from_be_bytes)?,
                _ => bail!("not the beginning of a block"),
            };
            if block != next {
                bail!("block {block} begins, {next} was expected");
            }
            next += 1;
            let detections = detectors.next(classical)?;
            self.begin(block)?;
            let (greetings, first) = (greetings(met), met.agreed.first);
            let (session, steps) =
                Session::bob(&self.config, block, detections, greetings, first, &self.state.auth)?;
            self.drive(session, steps, classical)?;
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
        let limit = self.config.longest_message();
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
                        let ledger = self.ledger(&session, &key)?;
                        self.count(&ledger);
                        self.state.release(key, ledger)?;
                        self.fresh = true;
                    }
                    Step::Hold(key) => {
                        let ledger = self.ledger(&session, &key)?;
                        self.state.hold(key, ledger)?;
                        self.fresh = true;
                    }
                    Step::Release => {
                        let ledger = self.state.release_held()?;
                        self.count(&ledger);
                    }
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
            let frame = classical.receive(limit)?;
            // Hash keys and Toeplitz seeds come from the operating system, one by one.
            let result = session.receive(&frame, &mut self.state.auth, &mut OsRng, &mut steps);
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
    ///
    /// # Errors
    /// What no new connection helps against: files that fail, pools or an eps that are used up, an end that was rolled back.
    fn broken(&mut self, error: anyhow::Error) -> Result<()> {
        let low =
            |cause: &SessionError| matches!(cause, SessionError::Auth(AuthError::PoolLow { .. }));
        let calls = self.calls && error.is::<Mismatch>();
        if calls
            || error.is::<Fatal>()
            || error.is::<StorageError>()
            || error.is::<EpsError>()
            || error.downcast_ref().is_some_and(low)
        {
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

    fn ledger(&self, session: &Session, key: &SecretBits) -> Result<Ledger> {
        let account = KeyAccount {
            block: session.number(),
            rule: self.rule.clone(),
            counts: *session.counts(),
            tag_bits: self.state.auth.tag_bits(),
            pads: session.tag_pads().ok_or_else(|| anyhow!("a key without both tags"))?,
        };
        self.state.ledger(key, account)
    }

    fn count(&mut self, ledger: &Ledger) {
        let counts = &ledger.account.counts;
        self.report.released += 1;
        self.report.key_bits += ledger.bits;
        self.report.efficiency = ledger.figures.efficiency;
        self.report.rounds = counts.rounds;
        self.report.sifted_bits += counts.sifted() + counts.test_bits.iter().sum::<u64>();
        self.report.eps_link = Some(ledger.figures.eps_link);
    }

    fn finish(mut self) -> EndReport {
        if self.report.seconds > 0.0 {
            self.report.sifted_bit_s = self.report.sifted_bits as f64 / self.report.seconds;
        }
        self.report
    }
}

fn greetings(met: &Met) -> [&[u8]; 2] {
    [&met.greetings[0], &met.greetings[1]]
}

/// The files of an end, for an audit.
pub(super) fn files(dir: &Path) -> [std::path::PathBuf; 2] {
    [dir.join("journal.jsonl"), dir.join("keys.bin")]
}
