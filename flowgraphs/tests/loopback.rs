//! The whole system on the virtual air: Alice and Bob end with the same key, and what happens does
//! not depend on the number of threads or on when they run.

use crqkd_bits::SecretBits;
use crqkd_flowgraphs::{
    FlowgraphError, LoopbackConfig, Notice, Role, RunOptions, Supply, SystemConfig, loopback,
    simulated,
};
use crqkd_forwarding::{Ending, Event};
use crqkd_keys::{Group, GroupId};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// One group a window of 64 probes, blocks of two groups: a key after four seconds of air.
fn small(seed: u64) -> LoopbackConfig {
    let mut system = SystemConfig::default();
    (system.otp.n, system.otp.k) = (256, 96);
    system.otp.list_size = 4;
    let f = &mut system.forwarding;
    (f.code_bits, f.group_bits) = (256, 96);
    f.window_probes = 64;
    f.discard_windows = 0;
    f.groups_per_block = 2;
    f.max_air_time_s = 20.0;
    LoopbackConfig { system, seed, groups: 4 }
}

/// The same groups at both access points, half of them later.
fn supply(seed: u64, groups: u64, bits: usize) -> Supply {
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

/// Everything that a run shows, each role's in order.
#[derive(Debug, Default, PartialEq)]
struct Shown {
    lines: BTreeMap<Role, Vec<String>>,
    keys: BTreeMap<Role, Vec<String>>,
    endings: BTreeMap<Role, Ending>,
    counts: String,
}

fn run(config: &LoopbackConfig, options: &RunOptions) -> Result<Shown, FlowgraphError> {
    let bits = config.system.otp.k;
    let propagation = simulated(config)?;
    let running = loopback(config, supply(config.seed, 16, bits), propagation, options)?;
    let mut shown = Shown::default();
    let mut others: BTreeMap<(Role, u8), Vec<String>> = BTreeMap::new();
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
        others.entry((role, kind)).or_default().push(line);
    })?;
    for ((role, _), mut lines) in others {
        shown.lines.entry(role).or_default().append(&mut lines);
    }
    shown.counts = format!("{finished:?}");
    Ok(shown)
}

#[test]
fn alice_and_bob_end_with_the_same_key_and_eve_with_none() {
    let shown = run(&small(1), &RunOptions::default()).unwrap();
    let (alice, bob) = (&shown.keys[&Role::Alice], &shown.keys[&Role::Bob]);
    assert_eq!(alice.len(), 2, "{:#?}", shown.lines);
    assert_eq!(alice, bob);
    assert!(!shown.keys.contains_key(&Role::Eve1));
    assert_eq!(shown.endings.len(), 6);
    assert!(shown.endings.values().all(|ending| *ending == Ending::Done), "{:?}", shown.endings);
    let another = run(&small(2), &RunOptions::default()).unwrap();
    assert_ne!(&another.keys[&Role::Alice], alice);
}

#[test]
fn a_run_depends_on_its_seed_alone() {
    let config = small(3);
    let options = RunOptions { observe: true, ..Default::default() };
    let reference = run(&config, &options).unwrap();
    for workers in [2, 4] {
        assert!(run(&config, &RunOptions { workers, ..options.clone() }).unwrap() == reference);
    }
    for workers in [1, 2, 4] {
        let options = RunOptions { workers, sleeps_us: Some(150), ..options.clone() };
        assert!(run(&config, &options).unwrap() == reference, "{workers} workers, with sleeps");
    }
}

#[test]
fn a_run_can_be_stopped() {
    let config = LoopbackConfig { groups: 1_000, ..small(4) };
    let propagation = simulated(&config).unwrap();
    let options = RunOptions { workers: 2, ..Default::default() };
    let running = loopback(&config, supply(4, 2_000, 96), propagation, &options).unwrap();
    let (stop, monitor) = (running.stop_handle(), running.monitor());
    let mut windows = 0;
    running
        .wait(|_, notice| {
            windows += u32::from(matches!(notice, Notice::Window(_)));
            if windows == 3 {
                stop.stop();
            }
        })
        .unwrap();
    assert!(monitor.air_time() < 200_000_000, "{}", monitor.describe());
    stop.stop(); // once more does no harm
}

#[test]
fn all_received_samples_can_be_recorded() {
    let config = LoopbackConfig { groups: 1, ..small(5) };
    let propagation = simulated(&config).unwrap();
    let options = RunOptions { record: true, ..Default::default() };
    let mut running = loopback(&config, supply(5, 4, 96), propagation, &options).unwrap();
    let captures = running.captures().unwrap();
    let recorder = std::thread::spawn(move || {
        let mut recorded: BTreeMap<u16, Vec<_>> = BTreeMap::new();
        while let Ok(c) = captures.recv_blocking() {
            recorded.entry(c.radio).or_default().push((c.time, c.samples, c.last));
        }
        recorded
    });
    let finished = running.wait(|_, _| {}).unwrap();
    let recorded = recorder.join().unwrap();
    assert_eq!(recorded.len(), 6);
    for (role, counters) in Role::ALL.iter().zip(finished.counters) {
        let captures = &recorded[&role.number()];
        let ends = captures.iter().filter(|c| c.2).count() as u64;
        assert!(ends >= counters.frames, "{role}: {ends} gates, {} frames", counters.frames);
        assert!(captures.windows(2).all(|c| c[0].0 + c[0].1.len() as u64 <= c[1].0));
    }
}
