//! The whole system on the virtual air: two cells, joined by a wire between their access points.

use crate::assembly::{Assembly, Seat, simulated_rng, stream};
use crate::config::{FlowgraphError, SystemConfig};
use crate::role::Role;
use crate::run::{RunOptions, Running};
use crqkd_air::faults::Fault;
use crqkd_air::medium::{AirTime, RadioKind, Transmission};
use crqkd_air::{AirConfig, Burst, RESPONSE_SAMPLES, Radio as Kind, World};
use crqkd_blocks::messages::Begin;
use crqkd_blocks::radio::air::{AirRadio, Propagation, VirtualAir};
use crqkd_blocks::radio::faulty::faulty;
use crqkd_blocks::radio::{Radio, RadioError, RadioTx};
use crqkd_forwarding::WireMessage;
use crqkd_keys::{Forgetful, Group};
use futuresdr::num_complex::Complex32;
use std::sync::Arc;

/// Groups of quantum key that come out of the quantum link at each access point, in batches with
/// the air time at which they are there.
#[derive(Debug, Default)]
pub struct Supply {
    /// At the access point of Alice's cell.
    pub qap1: Vec<(AirTime, Vec<Group>)>,
    /// At the access point of Bob's cell.
    pub qap2: Vec<(AirTime, Vec<Group>)>,
}

/// Channel, seed and receiver of a simulation of frames one way.
#[derive(Clone, Debug, Default)]
pub struct LoopbackConfig {
    /// Parameters that all roles share.
    pub system: SystemConfig,
    /// Everything random follows from it.
    pub seed: u64,
    /// Groups of quantum key that Alice asks for to share with Bob.
    pub groups: u32,
    /// What goes wrong at which radio.
    pub faults: Vec<(Role, Fault)>,
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
        from: AirTime,
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
        let range = from..from + out.len() as AirTime;
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
    simulated_for(&config.system.air, config.seed, &Role::ALL)
}

/// [`simulated`] for an air that only the radios of `roles` have joined, in this order.
///
/// # Errors
/// When a setting of the channel is out of range.
pub fn simulated_for(
    config: &AirConfig,
    seed: u64,
    roles: &[Role],
) -> Result<impl FnMut(Role) -> Box<dyn Propagation> + use<>, FlowgraphError> {
    let world = |cell| World::new(config, stream(seed, cell));
    let worlds = [world(0)?, world(1)?];
    let kinds: Vec<Kind> = roles.iter().map(|role| role.radio()).collect();
    Ok(move |role: Role| -> Box<dyn Propagation> {
        Box::new(Simulated {
            world: worlds[role.cell() as usize].clone(),
            rx: role.radio(),
            kinds: kinds.clone(),
            samples: Vec::new(),
        })
    })
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
    let air = VirtualAir::<WireMessage>::new(RESPONSE_SAMPLES);
    let radios = join_all(&air, &Role::ALL, &mut propagation);
    let options = &RunOptions { sleep_seed: config.seed, ..options.clone() };
    let mut assembly = Assembly::new(&config.system, options)?;
    let Supply { qap1, qap2 } = supply;
    let (mut qap1, mut qap2) = (Some(qap1), Some(qap2));
    for (role, radio) in radios {
        let supply = match role {
            Role::Qap1 => qap1.take(),
            Role::Qap2 => qap2.take(),
            _ => None,
        };
        let tx = radio.handle();
        let full_scale = config.system.air.adc_full_scale;
        let (radio, tx) = with_faults(role, Box::new(radio), tx, &config.faults, full_scale);
        assembly.add(Seat {
            role,
            tx,
            radio,
            rng: simulated_rng(config.seed, role),
            store: Box::new(Forgetful),
            begin: begin(role, supply.unwrap_or_default(), config.groups),
        })?;
    }
    assembly.start(Arc::new(air))
}

/// Puts those of the faults on a radio that are meant for it; `full_scale` is where its converter clips.
pub fn with_faults<W: Send + Sync + Clone + 'static>(
    role: Role,
    radio: Box<dyn Radio<Wire = W>>,
    tx: RadioTx<W>,
    faults: &[(Role, Fault)],
    full_scale: f64,
) -> (Box<dyn Radio<Wire = W>>, RadioTx<W>) {
    let mine: Vec<Fault> =
        faults.iter().filter(|(of, _)| *of == role).map(|(_, fault)| *fault).collect();
    if mine.is_empty() {
        return (radio, tx);
    }
    let (radio, tx) = faulty(radio, tx, mine, full_scale);
    (Box::new(radio), tx)
}

/// What a role begins with: an access point with groups of quantum key, and Alice with her request for key shared
/// with Bob.
pub fn begin(role: Role, supply: Vec<(AirTime, Vec<Group>)>, groups: u32) -> Begin {
    let requests = if role == Role::Alice { vec![(0, Role::user(1), groups)] } else { vec![] };
    Begin { supply, requests }
}

/// Puts the radios of `roles` on an empty air, in their order, and lays the wire between the access points.
pub fn join_all<W: Send + Sync + Clone + 'static>(
    air: &VirtualAir<W>,
    roles: &[Role],
    mut propagation: impl FnMut(Role) -> Box<dyn Propagation>,
) -> Vec<(Role, AirRadio<W>)> {
    let join = |&role: &Role| {
        let kind = match role.radio() {
            Kind::Eve => RadioKind::Receiver,
            Kind::Qap | Kind::User => RadioKind::Transceiver,
        };
        (role, air.join(role.cell(), role.number(), kind, propagation(role)))
    };
    let radios: Vec<(Role, AirRadio<W>)> = roles.iter().map(join).collect();
    let of = |wanted| radios.iter().find(|(role, _)| *role == wanted).map(|(_, radio)| radio);
    if let (Some(one), Some(two)) = (of(Role::Qap1), of(Role::Qap2)) {
        air.connect(one, two);
    }
    radios
}
