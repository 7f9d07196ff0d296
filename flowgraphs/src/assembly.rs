//! Roles put together into one flowgraph, on any radios: all six of a loopback, or the one of a process.

use crate::config::{FlowgraphError, SystemConfig};
use crate::role::Role;
use crate::run::{RoleEnd, RunOptions, Running, check_buffers};
use crate::station::{self, Notice, Outfit, StationRef};
use async_channel::{Receiver, Sender};
use crqkd_air::Radio as Kind;
use crqkd_blocks::Hooks;
use crqkd_blocks::messages::Begin;
use crqkd_blocks::radio::{Progress, Radio, RadioTx};
use crqkd_blocks::transceiver::{Capture, Tee};
use crqkd_forwarding::{Eve, Plan, Qap, User, WireMessage};
use crqkd_keys::Store;
use crqkd_otp::OtpCodec;
use futuresdr::prelude::*;
use futuresdr::runtime::BlockId;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// Messages that wait for a block: jobs and frames come one at a time, and a block that is behind holds back the others.
/// FutureSDR's own number makes rings of 10 MB, which a role of little traffic fills for hours.
const INBOX: i64 = 256;
/// Pieces of received samples that wait for a recorder.
const WAITING: usize = 64;

/// Seeds of independent random streams.
pub(crate) fn stream(seed: u64, number: u64) -> u64 {
    seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// The random numbers of a role in a simulation: a function of (seed, role) alone.
pub fn simulated_rng(seed: u64, role: Role) -> Box<dyn RngCore + Send> {
    Box::new(ChaCha8Rng::seed_from_u64(stream(seed, 16 + role.index() as u64)))
}

/// What is a role's own.
pub struct Seat<R> {
    /// Which role the station has.
    pub role: Role,
    /// Receiving side of its radio.
    pub radio: R,
    /// The transmitting side of the radio.
    pub tx: RadioTx<WireMessage>,
    /// Source of the station's random numbers: [`simulated_rng`], or the generator of the operating
    /// system.
    pub rng: Box<dyn RngCore + Send>,
    /// Where its marks are kept.
    pub store: Box<dyn Store + Send>,
    /// Groups of quantum key and requests that the station begins with.
    pub begin: Begin,
}

/// A role in the flowgraph.
pub(crate) enum Member {
    Qap(StationRef<Qap>),
    User(StationRef<User>),
    Eve(StationRef<Eve>),
}

type Channel<T> = (Sender<T>, Receiver<T>);

/// A flowgraph that is being put together.
pub struct Assembly<'a> {
    config: &'a SystemConfig,
    options: &'a RunOptions,
    plan: Plan,
    codec: OtpCodec,
    hooks: Hooks,
    flowgraph: Flowgraph,
    members: Vec<(Role, Member)>,
    begins: Vec<(BlockId, Begin)>,
    notices: Channel<(Role, Notice)>,
    captures: Channel<Capture>,
}

impl<'a> Assembly<'a> {
    /// A flowgraph without any role yet.
    ///
    /// # Errors
    /// When a setting is out of range or contradicts another.
    pub fn new(config: &'a SystemConfig, options: &'a RunOptions) -> Result<Self, FlowgraphError> {
        let hooks = match options.sleeps_us {
            Some(max_us) => Hooks::default().with_sleeps(options.sleep_seed, max_us),
            None => Hooks::default(),
        };
        check_buffers()?;
        futuresdr::runtime::config::set("queue_size", INBOX);
        Ok(Assembly {
            config,
            options,
            plan: config.plan()?,
            codec: config.codec()?,
            hooks,
            flowgraph: Flowgraph::new(),
            members: Vec::new(),
            begins: Vec::new(),
            notices: async_channel::unbounded(),
            captures: async_channel::bounded(WAITING),
        })
    }

    /// Adds the station of a role to the flowgraph.
    ///
    /// # Errors
    /// When a setting is out of range or the store's history contradicts itself.
    pub fn add<R: Radio<Wire = WireMessage>>(
        &mut self,
        seat: Seat<R>,
    ) -> Result<(), FlowgraphError> {
        let Seat { role, radio, tx, rng, store, begin } = seat;
        let sender = || self.captures.0.clone();
        let outfit = Outfit {
            role,
            config: self.config,
            plan: &self.plan,
            codec: self.codec.another(),
            notices: self.notices.0.clone(),
            referee: self.options.referee,
            observe: self.options.observe,
            tee: self.options.record.then(|| Tee { radio: role.number(), sender: sender() }),
            hooks: self.hooks.clone(),
        };
        let fg = &mut self.flowgraph;
        let (member, key_buffer) = match role.radio() {
            Kind::Qap => {
                let station = station::qap(fg, radio, tx, store, outfit)?;
                let id = station.key_buffer.id();
                (Member::Qap(station), id)
            }
            Kind::User => {
                let station = station::user(fg, radio, tx, rng, store, outfit)?;
                let id = station.key_buffer.id();
                (Member::User(station), id)
            }
            Kind::Eve => {
                let station = station::eve(fg, radio, tx, outfit)?;
                let id = station.key_buffer.id();
                (Member::Eve(station), id)
            }
        };
        self.members.push((role, member));
        self.begins.push((key_buffer, begin));
        Ok(())
    }

    /// Starts all roles. `progress` shows whether their air moves.
    ///
    /// # Errors
    /// When the runtime does not start.
    pub fn start(self, progress: Arc<dyn Progress>) -> Result<Running, FlowgraphError> {
        Running::start(
            self.flowgraph,
            self.members,
            self.begins,
            progress,
            self.hooks,
            self.notices.1,
            self.options.record.then_some(self.captures.1),
            self.options.workers,
        )
    }
}

impl Member {
    /// Counts of the role, after the end.
    pub(crate) fn end(&self, role: Role, fg: &Flowgraph) -> Result<RoleEnd, FlowgraphError> {
        let mut end = RoleEnd { role, ..RoleEnd::default() };
        match self {
            Member::Qap(s) => {
                let block = fg.block(&s.protocol)?;
                end.counters = block.sequencer().station().counters();
                end.ignored_frames = block.sequencer().ignored_frames();
            }
            Member::User(s) => {
                let block = fg.block(&s.protocol)?;
                end.counters = block.sequencer().station().counters();
                end.ignored_frames = block.sequencer().ignored_frames();
                end.balance = Some(block.sequencer().station().balance());
            }
            Member::Eve(s) => {
                let block = fg.block(&s.protocol)?;
                end.counters = block.sequencer().station().counters();
                end.ignored_frames = block.sequencer().ignored_frames();
                end.tries = Some(block.sequencer().station().tries());
            }
        }
        Ok(end)
    }
}
