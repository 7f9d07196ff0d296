//! Faults at a radio: both ends of a link still use the same probes, and no group or key is wrong. `crqkd faults` runs
//! them all.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{run, small};
use crqkd_flowgraphs::{LoopbackConfig, Role, RunOptions, simulated};
use std::collections::BTreeMap;

fn with_fault(role: Role, fault: &str) -> common::Shown {
    let mut config = LoopbackConfig { faults: vec![(role, fault.parse().unwrap())], ..small(5) };
    config.system.forwarding.max_air_time_s = 12.0;
    config.system.forwarding.lost_probes = 400;
    let propagation = simulated(&config).unwrap();
    run(&config, propagation, &RunOptions { workers: 2, ..Default::default() }).unwrap()
}

/// Window and probes of each window's line, which reads "window direction [probes] bits".
fn windows(shown: &common::Shown, role: Role) -> BTreeMap<String, String> {
    let lines = shown.lines[&role]
        .iter()
        .filter(|line| line.contains(" Forward [") || line.contains(" Reverse ["));
    let parts = lines.map(|line| {
        let (name, probes) = line.split_once('[').unwrap();
        let (probes, _) = probes.split_once(']').unwrap();
        (name.split(' ').next().unwrap().to_owned(), probes.to_owned())
    });
    parts.collect()
}

#[test]
fn a_fault_costs_probes_and_never_a_key() {
    let whole = with_fault(Role::Alice, "gain=3@100..101");
    for (role, fault) in [
        (Role::Alice, "drop=100000@0.5..1.5"),
        (Role::Qap1, "slip=50@0.5..1.5"),
        (Role::Alice, "repeat=5000@0.5..1.5"),
        (Role::Alice, "late=300@0.5..1.5"),
        (Role::Qap1, "tone=30@0.5..1.5"),
        (Role::Alice, "clock=20@0.5..3"),
        (Role::Qap1, "stall=1@0.5..1.5"),
    ] {
        let shown = with_fault(role, fault);
        let (alice, bob) = (&shown.keys[&Role::Alice], &shown.keys[&Role::Bob]);
        assert_eq!(alice, bob, "{role}:{fault}");
        assert_eq!(alice.len(), 2, "{role}:{fault}");
        let (qap, user) = (windows(&shown, Role::Qap1), windows(&shown, Role::Alice));
        assert!(!user.is_empty());
        for (window, probes) in &user {
            assert!(qap.get(window).is_none_or(|of_qap| of_qap == probes), "{fault}: {window}");
        }
        // Samples that come again under their old times are known, and passed over.
        let changed = shown.lines != whole.lines;
        assert_eq!(changed, !fault.starts_with("repeat"), "{role}:{fault}");
    }
}
