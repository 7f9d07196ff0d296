//! The whole system on the virtual air: two cells, joined by a wire between their access points.

use crate::config::{FlowgraphError, SystemConfig};
use crate::role::Role;
use crate::run::Running;
use crate::station::{self, Notice, Outfit, StationRef};
use crqkd_air::medium::{Air, RadioKind, Transmission};
use crqkd_air::{Burst, RESPONSE_SAMPLES, Radio as Kind, World};
use crqkd_blocks::Hooks;
use crqkd_blocks::messages::Begin;
use crqkd_blocks::radio::RadioError;
use crqkd_blocks::radio::air::{AirRadio, Propagation, VirtualAir};
use crqkd_blocks::transceiver::{Capture, Tee};
use crqkd_forwarding::{Eve, Qap, User, WireMessage};
use crqkd_keys::{Group, MemoryStore};
use futuresdr::num_complex::Complex32;
use futuresdr::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Groups of quantum key that come out of the quantum link at each access point, in batches with
/// the air time at which they are there.
#[derive(Debug, Default)]
pub struct Supply {
    /// At the access point of Alice's cell.
    pub qap1: Vec<(Air, Vec<Group>)>,
    /// At the other one.
    pub qap2: Vec<(Air, Vec<Group>)>,
}

/// How a run is done; nothing here changes its result.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Threads.
    pub workers: usize,
    /// Random sleeps in every block, up to so many microseconds, for tests.
    pub sleeps_us: Option<u64>,
    /// Show secrets to a referee.
    pub referee: bool,
    /// Show channel measurements.
    pub observe: bool,
    /// Hand out all received samples.
    pub record: bool,
}

impl Default for RunOptions {
    fn default() -> Self {
        RunOptions { workers: 1, sleeps_us: None, referee: true, observe: false, record: false }
    }
}

/// What is simulated.
#[derive(Clone, Debug, Default)]
pub struct LoopbackConfig {
    /// Parameters of all roles.
    pub system: SystemConfig,
    /// Everything random follows from it.
    pub seed: u64,
    /// Groups of quantum key that Alice asks for to share with Bob.
    pub groups: u32,
}

/// The roles in the flowgraph.
pub(crate) struct Roles {
    pub(crate) qaps: [StationRef<Qap>; 2],
    pub(crate) users: [StationRef<User>; 2],
    pub(crate) eves: [StationRef<Eve>; 2],
}

/// Received samples from the channel model.
struct Simulated {
    world: World,
    rx: Kind,
    /// What the radios of the medium are in the world.
    kinds: Vec<Kind>,
    samples: Vec<num_complex::Complex32>,
}

impl Propagation for Simulated {
    fn receive(
        &mut self,
        from: Air,
        bursts: &[Transmission],
        out: &mut [Complex32],
    ) -> Result<(), RadioError> {
        let bursts: Vec<Burst> = bursts
            .iter()
            .map(|b| Burst {
                start: b.start,
                tx: self.kinds[b.radio.index()],
                samples: b.samples.clone(),
            })
            .collect();
        let range = from..from + out.len() as Air;
        self.world.receive(self.rx, range, &bursts, &mut self.samples);
        out.copy_from_slice(&self.samples);
        Ok(())
    }
}

/// Where the roles' received samples come from: the channel model.
///
/// # Errors
/// When a setting of the channel is out of range.
pub fn simulated(
    config: &LoopbackConfig,
) -> Result<impl FnMut(Role) -> Box<dyn Propagation> + use<>, FlowgraphError> {
    let world = |cell| World::new(&config.system.air, stream(config.seed, cell));
    let worlds = [world(0)?, world(1)?];
    Ok(move |role: Role| -> Box<dyn Propagation> {
        Box::new(Simulated {
            world: worlds[role.cell() as usize].clone(),
            rx: role.radio(),
            kinds: Role::ALL.map(Role::radio).to_vec(),
            samples: Vec::new(),
        })
    })
}

/// Seeds of independent random streams.
fn stream(seed: u64, number: u64) -> u64 {
    seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// Builds the whole system and starts it. `propagation` gives each role its received samples:
/// [`simulated`], or a recording.
///
/// # Errors
/// When a setting is out of range or the runtime does not start.
pub fn loopback(
    config: &LoopbackConfig,
    supply: Supply,
    mut propagation: impl FnMut(Role) -> Box<dyn Propagation>,
    options: &RunOptions,
) -> Result<Running, FlowgraphError> {
    let plan = config.system.plan()?;
    let codec = config.system.codec()?;
    let mut hooks = Hooks::default();
    if let Some(max_us) = options.sleeps_us {
        hooks = hooks.with_sleeps(config.seed, max_us);
    }
    let (notices, noticed) = async_channel::unbounded::<(Role, Notice)>();
    let (captures, captured) = async_channel::bounded::<Capture>(64);

    let air = VirtualAir::<WireMessage>::new(RESPONSE_SAMPLES);
    let radios: Vec<AirRadio<WireMessage>> = Role::ALL
        .into_iter()
        .map(|role| {
            let kind = match role.radio() {
                Kind::Eve => RadioKind::Receiver,
                Kind::Qap | Kind::User => RadioKind::Transceiver,
            };
            air.join(role.cell(), role.number(), kind, propagation(role))
        })
        .collect();
    air.connect(&radios[Role::Qap1.index()], &radios[Role::Qap2.index()]);

    let mut fg = Flowgraph::new();
    let mut radios = radios.into_iter();
    let mut take = |role: Role| {
        let radio = radios.next().expect("one radio a role, in their order");
        let tx = radio.handle();
        let outfit = Outfit {
            role,
            config: &config.system,
            plan: &plan,
            codec: codec.another(),
            notices: notices.clone(),
            referee: options.referee,
            observe: options.observe,
            tee: options.record.then(|| Tee { radio: role.number(), sender: captures.clone() }),
            hooks: hooks.clone(),
        };
        (radio, tx, outfit)
    };
    let mut cell = |roles: [Role; 3]| -> Result<_, FlowgraphError> {
        let [qap, user, eve] = roles;
        let (radio, tx, outfit) = take(qap);
        let qap = station::qap(&mut fg, radio, tx, Box::new(MemoryStore::new()), outfit)?;
        let (radio, tx, outfit) = take(user);
        let rng = ChaCha8Rng::seed_from_u64(stream(config.seed, 16 + user.index() as u64));
        let user = station::user(&mut fg, radio, tx, Box::new(rng), outfit)?;
        let (radio, tx, outfit) = take(eve);
        let eve = station::eve(&mut fg, radio, tx, outfit)?;
        Ok((qap, user, eve))
    };
    let one = cell([Role::Qap1, Role::Alice, Role::Eve1])?;
    let two = cell([Role::Qap2, Role::Bob, Role::Eve2])?;
    let roles = Roles { qaps: [one.0, two.0], users: [one.1, two.1], eves: [one.2, two.2] };

    let request = (0, Role::user(1), config.groups);
    let begins = [
        (roles.qaps[0].key_buffer.id(), Begin { supply: supply.qap1, requests: vec![] }),
        (roles.qaps[1].key_buffer.id(), Begin { supply: supply.qap2, requests: vec![] }),
        (roles.users[0].key_buffer.id(), Begin { supply: vec![], requests: vec![request] }),
        (roles.users[1].key_buffer.id(), Begin::default()),
        (roles.eves[0].key_buffer.id(), Begin::default()),
        (roles.eves[1].key_buffer.id(), Begin::default()),
    ];
    let captured = options.record.then_some(captured);
    Running::start(fg, roles, begins, air, hooks, noticed, captured, options.workers)
}
