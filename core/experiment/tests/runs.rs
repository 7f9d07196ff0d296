//! Runs at CSI level: repeatable, and moved by the parameters in the direction that they should.

#![allow(clippy::unwrap_used)]

use crqkd_air::AirConfig;
use crqkd_experiment::{EveDecodes, PAPER, PaperRow, Probing, RunTally, Setup, TableRow};
use crqkd_experiment::{run_csi, run_seeds};

fn setup(change: impl FnOnce(&mut AirConfig)) -> Setup {
    let mut setup = Setup::default();
    change(&mut setup.air);
    setup
}

fn run(setup: &Setup, probes: u64) -> RunTally {
    run_csi(setup, 1, probes, EveDecodes::Never).unwrap()
}

fn kdr(setup: &Setup) -> f64 {
    run(setup, 128 * 40).kdr()[0].rate().unwrap()
}

#[test]
fn a_run_depends_on_its_seed_alone() {
    let setup = setup(|air| air.disturbance_share = 0.2);
    let all = run_seeds(&setup, 3..6, 1280, EveDecodes::Every).unwrap();
    for (seed, tally) in (3..6).zip(&all) {
        assert_eq!(&run_csi(&setup, seed, 1280, EveDecodes::Every).unwrap(), tally);
    }
    assert_ne!(all[0], all[1]);
}

#[test]
fn every_bit_of_every_window_is_counted_once() {
    let tally = run(&Setup::default(), 1000);
    assert_eq!((tally.windows.len(), tally.probes, tally.kept), (8, 1024, 1024));
    assert_eq!(tally.kdr().map(|count| count.bits), [4096; 3]);
    assert_eq!(tally.groups.len(), 4);
    let of_groups: u64 = tally.groups.iter().map(|group| group.user.errors).sum();
    assert_eq!(of_groups, tally.kdr()[0].errors);
    let starts: Vec<f64> = tally.groups.iter().map(|group| group.start_s).collect();
    assert!(
        starts.iter().zip([0.0, 2.56, 5.12, 7.68]).all(|(a, b)| (a - b).abs() < 1e-9),
        "{starts:?}"
    );
}

#[test]
fn noise_and_disturbances_raise_the_kdr() {
    let quiet = kdr(&setup(|air| air.estimate_snr_db = 32.0));
    let noisy = kdr(&setup(|air| air.estimate_snr_db = 20.0));
    assert!(noisy > 2.0 * quiet, "{quiet} {noisy}");
    let disturbed = kdr(&setup(|air| {
        air.estimate_snr_db = 32.0;
        air.disturbance_share = 0.3;
        air.disturbance_rise_db = 25.0;
    }));
    assert!(disturbed > 1.3 * quiet, "{quiet} {disturbed}");
}

#[test]
fn frames_below_the_floor_cost_probes_and_not_the_alignment() {
    let weak = setup(|air| {
        air.estimate_snr_db = 7.0;
        air.shadowing_db = 3.0;
    });
    let tally = run(&weak, 128 * 40);
    assert!(tally.kept < tally.probes && tally.kept > tally.probes / 4, "{}", tally.kept);
    let [user, eve, _] = tally.kdr().map(|count| count.rate().unwrap());
    assert!(user < 0.35 && eve > user + 0.1, "{user} {eve}");
    assert_eq!(tally.kdr()[0].bits, 4 * tally.kept);
}

#[test]
fn eve_profits_from_shared_shadowing_and_from_being_close() {
    let shared = setup(|air| {
        air.shadowing_db = 6.0;
        air.shadowing_distance_m = 0.3;
        air.shadowing_eve_correlation = 0.9;
    });
    let close = setup(|air| air.eve_distance_m = 0.01);
    for setup in [shared, close] {
        let [user, eve, back] = run(&setup, 128 * 40).kdr().map(|count| count.rate().unwrap());
        assert!(user < 0.1 && eve < 0.42 && back > 0.45, "{user} {eve} {back}");
    }
}

#[test]
fn a_row_holds_rates_intervals_and_the_paper() {
    let setup = Setup {
        probing: Probing { probe_rate_hz: 106.25, turnaround_ms: 1.0, window_probes: 128 },
        ..Setup::default()
    };
    let runs = run_seeds(&setup, 0..2, 128 * 68, EveDecodes::Every).unwrap();
    let row = TableRow::new("hall", &runs);
    assert_eq!((row.runs, row.bits, row.groups, row.cracked), (2, 69_632, 68, 0));
    let raw = row.kgr_raw_bit_per_s.unwrap();
    assert!((raw.mean - 425.0).abs() < 1e-9 && raw.low <= raw.mean && raw.high >= raw.mean);
    let (corrected, rr) = (row.kgr_corrected_bit_per_s.unwrap(), row.rr.unwrap());
    assert!((corrected.mean - 425.0 * 0.375 * (1.0 - rr.mean)).abs() < 1e-9);
    for estimate in [row.kdr.unwrap(), rr, row.eve_kdr.unwrap(), row.eve_reverse_kdr.unwrap()] {
        assert!(estimate.contains(estimate.mean) && estimate.high - estimate.low > 1e-3);
    }
    assert!(row.eve_reverse_kdr.unwrap().contains(0.5));
    assert_eq!(PaperRow::of("hall"), Some(&PAPER[1]));
    assert_eq!(PaperRow::of("cellar"), None);
}
