//! The flowgraph of one role: the same for all of them but for the state machine and its measurements.

use crate::config::{FlowgraphError, SystemConfig};
use crate::role::Role;
use async_channel::Sender;
use crqkd_air::Radio as Kind;
use crqkd_blocks::messages::{FinalKey, OpenedGroup, ProbeData, TimedEvent, WindowBits};
use crqkd_blocks::radio::{Radio, RadioTx};
use crqkd_blocks::transceiver::Tee;
use crqkd_blocks::{
    ChannelEstimator, Hooks, KeyBuffer, PolarOtp, Protocol, Quantizer, Sounder, Synchronizer, Tap,
    Transceiver, View,
};
use crqkd_forwarding::desk::Desk;
use crqkd_forwarding::{
    Eve, EveConfig, Peer, Plan, Qap, QapConfig, Sequencer, Station, User, UserConfig, WireMessage,
};
use crqkd_keys::{Forgetful, Store};
use crqkd_otp::OtpCodec;
use futuresdr::prelude::*;
use rand::RngCore;

/// Groups that a key buffer holds at most.
const GROUPS: usize = 65_536;

/// What comes out of a running role.
#[derive(Debug)]
pub enum Notice {
    /// Something happened in the protocol.
    Event(TimedEvent),
    /// A key for the user's programs.
    Key(FinalKey),
    /// Referee: channel key of a window.
    Window(WindowBits),
    /// Referee: a group that was opened.
    Opened(OpenedGroup),
    /// A channel measurement that was kept.
    Observation(Box<ProbeData>),
}

/// What every role needs besides its radio.
pub struct Outfit<'a> {
    /// Which role the station has.
    pub role: Role,
    /// Parameters of the whole system.
    pub config: &'a SystemConfig,
    /// The checked parameters of the protocol.
    pub plan: &'a Plan,
    /// Codec of the one-time pad.
    pub codec: OtpCodec,
    /// Receives what the station has to tell: keys, events, measurements.
    pub notices: Sender<(Role, Notice)>,
    /// Show secrets to a referee (simulations only).
    pub referee: bool,
    /// Whether channel measurements are handed out too.
    pub observe: bool,
    /// Gets a copy of all received samples.
    pub tee: Option<Tee>,
    /// Random sleeps, and where faults are noted.
    pub hooks: Hooks,
}

/// A role in a flowgraph.
pub struct StationRef<S>
where
    S: Station + Send + 'static,
{
    /// The protocol, with the state machine.
    pub protocol: BlockRef<Protocol<S>>,
    /// The key buffer; its port `begin` starts the role.
    pub key_buffer: BlockRef<KeyBuffer>,
}

/// Adds a quantum access point to a flowgraph. `store` holds its marks.
///
/// # Errors
/// When a setting is out of range or the store's history contradicts itself.
pub fn qap<R: Radio<Wire = WireMessage>>(
    fg: &mut Flowgraph,
    radio: R,
    tx: RadioTx<WireMessage>,
    store: Box<dyn Store + Send>,
    outfit: Outfit<'_>,
) -> Result<StationRef<Qap>, FlowgraphError> {
    let (here, there) = (outfit.role.cell(), 1 - outfit.role.cell());
    let peer = Peer { qap: Role::qap(there), user: Role::user(there) };
    let config =
        QapConfig { id: Role::qap(here), user: Role::user(here), peer, group_capacity: GROUPS };
    let station = Qap::new(outfit.plan.clone(), config, &store.history()?)?;
    let sequencer = Sequencer::new(station, outfit.plan, &[peer.qap], 0);
    add(fg, radio, tx, sequencer, store, outfit)
}

/// Adds a user to a flowgraph. `rng` draws the public seeds of blocks; `store` keeps what is promised to the other user.
///
/// # Errors
/// When a setting is out of range.
pub fn user<R: Radio<Wire = WireMessage>>(
    fg: &mut Flowgraph,
    radio: R,
    tx: RadioTx<WireMessage>,
    rng: Box<dyn RngCore + Send>,
    store: Box<dyn Store + Send>,
    outfit: Outfit<'_>,
) -> Result<StationRef<User>, FlowgraphError> {
    let cell = outfit.role.cell();
    let config = UserConfig { id: Role::user(cell), qap: Role::qap(cell) };
    let station = User::new(outfit.plan.clone(), config, rng);
    let sequencer = Sequencer::new(station, outfit.plan, &[], 0);
    add(fg, radio, tx, sequencer, store, outfit)
}

/// Adds an eavesdropper to a flowgraph.
///
/// # Errors
/// When a setting is out of range.
pub fn eve<R: Radio<Wire = WireMessage>>(
    fg: &mut Flowgraph,
    radio: R,
    tx: RadioTx<WireMessage>,
    outfit: Outfit<'_>,
) -> Result<StationRef<Eve>, FlowgraphError> {
    let cell = outfit.role.cell();
    let config = EveConfig { qap: Role::qap(cell), user: Role::user(cell) };
    let station = Eve::new(outfit.plan.clone(), config);
    let sequencer = Sequencer::new(station, outfit.plan, &[], 0);
    add(fg, radio, tx, sequencer, Box::new(Forgetful), outfit)
}

fn add<R: Radio<Wire = WireMessage>, S: Station + Send + 'static>(
    mut fg: &mut Flowgraph,
    radio: R,
    tx: RadioTx<WireMessage>,
    sequencer: Sequencer<S>,
    store: Box<dyn Store + Send>,
    outfit: Outfit<'_>,
) -> Result<StationRef<S>, FlowgraphError> {
    let Outfit { role, config, plan, codec, notices, referee, observe, tee, hooks } = outfit;
    let of = |block: &str| hooks.of(format!("{block} of {role}"));
    let eavesdropper = role.radio() == Kind::Eve;
    let view = if eavesdropper { View::Eavesdropper } else { View::End(role.hears()) };
    let desk = Desk::new(GROUPS, plan.config.pad_windows as usize, !eavesdropper);

    let transceiver = Transceiver::<_>::new(radio, tee, of("transceiver"));
    let synchronizer = Synchronizer::<DefaultReader>::new(&config.sounding, of("synchronizer"))?;
    let estimator = ChannelEstimator::new(&config.sounding, of("channel estimator"))?;
    let protocol = Protocol::new(sequencer, store, observe, of("protocol"));
    let sounder = Sounder::new(config.sounding.layout, tx, of("sounder"));
    let quantizer = Quantizer::new(&config.channel_key, view, referee, of("quantizer"))?;
    let key_buffer = KeyBuffer::new(desk, referee, of("key buffer"));
    let polar_otp = PolarOtp::new(codec, of("polar otp"));
    let tap = |name: &str| (notices.clone(), of(name));
    let (sender, hooks) = tap("tap of events");
    let events = Tap::new(sender, move |m: TimedEvent| (role, Notice::Event(m)), hooks);
    let (sender, hooks) = tap("tap of keys");
    let keys = Tap::new(sender, move |m: FinalKey| (role, Notice::Key(m)), hooks);
    let (sender, hooks) = tap("tap of windows");
    let windows = Tap::new(sender, move |m: WindowBits| (role, Notice::Window(m)), hooks);
    let (sender, hooks) = tap("tap of groups");
    let groups = Tap::new(sender, move |m: OpenedGroup| (role, Notice::Opened(m)), hooks);
    let (sender, hooks) = tap("tap of observations");
    let observations =
        Tap::new(sender, move |m: ProbeData| (role, Notice::Observation(Box::new(m))), hooks);

    connect!(fg,
        transceiver > synchronizer;
        synchronizer.frames | frames.estimator;
        estimator.measurements | measurements.protocol;
        transceiver.wire | wire.protocol;
        protocol.orders | orders.sounder;
        protocol.tasks | tasks.quantizer;
        quantizer.tasks | tasks.key_buffer;
        key_buffer.codec | codec.polar_otp;
        polar_otp.results | results.key_buffer;
        key_buffer.answers | answers.protocol;
        protocol.events | r#in.events;
        key_buffer.keys | r#in.keys;
        quantizer.referee | r#in.windows;
        key_buffer.referee | r#in.groups;
        protocol.observations | r#in.observations;
    );
    Ok(StationRef { protocol, key_buffer })
}

type DefaultReader = futuresdr::runtime::dev::DefaultCpuReader<futuresdr::num_complex::Complex32>;
