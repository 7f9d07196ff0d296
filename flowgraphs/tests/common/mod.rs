//! A small system, and everything that a run of it shows.

use crqkd_bits::SecretBits;
use crqkd_blocks::radio::air::Propagation;
use crqkd_flowgraphs::{
    FlowgraphError, LoopbackConfig, Notice, Role, RunOptions, Supply, SystemConfig, loopback,
};
use crqkd_forwarding::{Ending, Event};
use crqkd_keys::{Group, GroupId};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// One group a window of 64 probes, blocks of two groups: a key after two seconds of air.
pub(crate) fn small(seed: u64) -> LoopbackConfig {
    let mut system = SystemConfig::default();
    (system.otp.n, system.otp.k) = (256, 96);
    system.otp.list_size = 4;
    let f = &mut system.forwarding;
    (f.code_bits, f.group_bits) = (256, 96);
    f.window_probes = 64;
    f.discard_windows = 0;
    f.groups_per_block = 2;
    f.max_air_time_s = 20.0;
    LoopbackConfig { system, seed, groups: 4, faults: Vec::new() }
}

/// The same groups at both access points, half of them later.
pub(crate) fn supply(seed: u64, groups: u64, bits: usize) -> Supply {
    let [qap1, qap2] = [(); 2].map(|()| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut batch = |ids: std::ops::Range<u64>| -> Vec<Group> {
            let group = |id| Group { id: GroupId(id), bits: SecretBits::random(&mut rng, bits) };
            ids.map(group).collect()
        };
        vec![(0, batch(0..groups / 2)), (20_000_000, batch(groups / 2..groups))]
    });
    Supply { qap1, qap2 }
}

/// What a run shows, each role's in order.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Shown {
    /// Everything.
    pub(crate) lines: BTreeMap<Role, Vec<String>>,
    /// Name, fingerprint and groups of each key.
    pub(crate) keys: BTreeMap<Role, Vec<String>>,
    /// Why each role stopped.
    pub(crate) endings: BTreeMap<Role, Ending>,
    /// Counters.
    pub(crate) counts: String,
}

/// Runs a system to its end.
pub(crate) fn run(
    config: &LoopbackConfig,
    propagation: impl FnMut(Role) -> Box<dyn Propagation>,
    options: &RunOptions,
) -> Result<Shown, FlowgraphError> {
    let bits = config.system.otp.k;
    let running = loopback(config, supply(config.seed, 16, bits), propagation, options)?;
    let mut shown = Shown::default();
    let mut kinds: BTreeMap<(Role, u8), Vec<String>> = BTreeMap::new();
    let finished = running.wait(|role, notice| {
        let (kind, line) = match notice {
            Notice::Event(e) => {
                if let Event::Finished { ending } = e.event {
                    shown.endings.insert(role, ending);
                }
                (0, format!("{} {:?}", e.at, e.event))
            }
            Notice::Key(k) => {
                let line = format!("{} {} {:?}", k.key, k.bits.fingerprint(), k.groups);
                shown.keys.entry(role).or_default().push(line.clone());
                (1, line)
            }
            Notice::Window(w) => {
                let bits = w.soft.bits.fingerprint();
                (2, format!("{} {:?} {:?} {bits}", w.window, w.direction, w.kept))
            }
            Notice::Opened(o) => (3, format!("{} {}", o.group.id, o.group.bits.fingerprint())),
            Notice::Observation(p) => (4, format!("{} {:?}", p.probe, p.estimate.csi)),
        };
        kinds.entry((role, kind)).or_default().push(line);
    })?;
    for ((role, _), mut lines) in kinds {
        shown.lines.entry(role).or_default().append(&mut lines);
    }
    shown.counts = format!("{finished:?}");
    Ok(shown)
}
