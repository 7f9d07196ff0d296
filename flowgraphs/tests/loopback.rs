//! The whole system on the virtual air: Alice and Bob end with the same key, and what happens does
//! not depend on the number of threads or on when they run.

mod common;

use common::{run, small, supply};
use crqkd_air::RESPONSE_SAMPLES;
use crqkd_blocks::radio::air::VirtualAir;
use crqkd_flowgraphs::{
    Assembly, LoopbackConfig, Notice, Role, RunOptions, Seat, begin, join_all, loopback, simulated,
    simulated_rng,
};
use crqkd_forwarding::{CipherMode, Ending, WireMessage};
use crqkd_keys::Forgetful;
use crqkd_otp::{CiphertextMode, Decision};
use std::sync::Arc;

#[test]
fn alice_and_bob_end_with_the_same_key_and_eve_with_none() {
    let run = |config: LoopbackConfig| {
        run(&config, simulated(&config).unwrap(), &RunOptions::default()).unwrap()
    };
    let shown = run(small(1));
    let (alice, bob) = (&shown.keys[&Role::Alice], &shown.keys[&Role::Bob]);
    assert_eq!(alice.len(), 2, "{:#?}", shown.lines);
    assert_eq!(alice, bob);
    assert!(!shown.keys.contains_key(&Role::Eve1));
    assert_eq!(shown.endings.len(), 6);
    assert!(shown.endings.values().all(|ending| *ending == Ending::Done), "{:?}", shown.endings);
    let another = run(small(2));
    assert_ne!(&another.keys[&Role::Alice], alice);
}

/// An air that is stopped while its roles start: the flowgraph may be over before it is told what to begin with.
#[test]
fn a_run_whose_radios_have_left_ends_without_an_error() {
    let config = small(1);
    for _ in 0..50 {
        let air = VirtualAir::<WireMessage>::new(RESPONSE_SAMPLES);
        let options = RunOptions::default();
        let mut assembly = Assembly::new(&config.system, &options).unwrap();
        for (role, radio) in join_all(&air, &[Role::Alice], simulated(&config).unwrap()) {
            let tx = radio.handle();
            tx.leave();
            let (rng, store) = (simulated_rng(1, role), Box::new(Forgetful));
            let begin = begin(role, Vec::new(), config.groups);
            assembly.add(Seat { role, tx, radio, rng, store, begin }).unwrap();
        }
        let running = assembly.start(Arc::new(air)).unwrap();
        assert_eq!(running.wait(|_, _| ()).unwrap().roles().len(), 1);
    }
}

#[test]
fn uncoded_ciphertexts_and_soft_decisions_give_the_same_key_too() {
    let mut config = small(7);
    config.system.forwarding.ciphertext = CipherMode::Cascade;
    config.system.otp.ciphertext = CiphertextMode::Cascade;
    config.system.otp.decision = Decision::Soft;
    let shown = run(&config, simulated(&config).unwrap(), &RunOptions::default()).unwrap();
    assert_eq!(shown.keys[&Role::Alice].len(), 2, "{:#?}", shown.lines);
    assert_eq!(shown.keys[&Role::Alice], shown.keys[&Role::Bob]);
}

#[test]
fn a_run_depends_on_its_seed_alone() {
    let config = small(3);
    let shown = |workers, sleeps_us| {
        let options = RunOptions { workers, sleeps_us, observe: true, ..Default::default() };
        run(&config, simulated(&config).unwrap(), &options).unwrap()
    };
    let reference = shown(1, None);
    assert!(reference.lines[&Role::Bob].len() > 200, "measurements are observed");
    assert!(shown(2, None) == reference);
    assert!(shown(4, None) == reference);
    for workers in [1, 2, 4] {
        assert!(shown(workers, Some(100)) == reference, "{workers} workers, with sleeps");
    }
}

#[test]
fn without_enough_quantum_key_a_run_ends_when_its_time_is_up() {
    let mut config = LoopbackConfig { groups: 40, ..small(8) };
    config.system.forwarding.max_air_time_s = 3.0;
    let shown = run(&config, simulated(&config).unwrap(), &RunOptions::default()).unwrap();
    assert_eq!(shown.endings.len(), 6);
    assert_eq!(shown.endings[&Role::Alice], Ending::OutOfTime);
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
