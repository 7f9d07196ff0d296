//! Whole blocks: keys, statistics, aborts, determinism.

#![allow(clippy::unwrap_used, reason = "a test")]

use crqkd_quantum::{
    AbortReason, Bb84Report, Block, InterceptResend, QuantumConfig, QuantumError, run_block,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn run(config: &QuantumConfig, seed: u64) -> Block {
    let mut eve = InterceptResend::new(config.intercept_share);
    run_block(config, &mut ChaCha8Rng::seed_from_u64(seed), &mut eve).unwrap()
}

/// |count − n·p| in standard deviations of a binomial distribution.
fn sigmas(count: u64, of: u64, p: f64) -> f64 {
    let (count, of) = (count as f64, of as f64);
    (count - of * p).abs() / (of * p * (1.0 - p)).sqrt()
}

fn assert_qber(report: &Bb84Report, expected: f64) {
    let counts = &report.counts;
    let all = sigmas(report.sifted_errors, counts.sifted, expected);
    let sample = sigmas(counts.sample_errors, counts.sample, expected);
    assert!(all < 4.0 && sample < 4.0, "QBER {} of {expected}: {all}, {sample}", report.qber);
}

#[test]
fn without_eve_both_keys_are_equal_and_the_qber_is_the_misalignment() {
    for seed in 0..5 {
        let config = QuantumConfig::default();
        let Block { report, alice, bob } = run(&config, seed);
        assert_eq!(report.abort, None);
        assert!(alice.ct_eq(&bob));
        assert_eq!(alice.len() as u64, report.final_length());
        assert_qber(&report, config.expected_qber());
        // Enough for 32 groups of 384 bits and a fifth more.
        assert!(alice.len() > 32 * 384 * 12 / 10, "{} bits", alice.len());
        let ones = alice.expose().count_ones() as u64;
        assert!(sigmas(ones, alice.len() as u64, 0.5) < 4.0);
    }
}

#[test]
fn everything_that_is_said_about_the_key_is_counted() {
    let config = QuantumConfig::default();
    let report = run(&config, 7).report;
    let counts = &report.counts;
    assert_eq!(report.leak, counts.parities + 64);
    let corrected = report.corrected.unwrap();
    assert_eq!(corrected + counts.sample_errors, report.sifted_errors);
    // Sample and sifted bits are disclosed or hashed, none is lost.
    assert_eq!(counts.sample, (0.15 * counts.sifted as f64).round() as u64);
    let efficiency = report.efficiency.unwrap();
    assert!((1.0..1.15).contains(&efficiency), "{efficiency}");
    // Detections, Sifting, SampleBits, Reconcile, rounds, Reconciled, Verify, Verified, Amplify.
    assert_eq!(report.messages, 8 + 2 * counts.rounds);
}

#[test]
fn intercepting_everything_gives_25_percent_and_no_key() {
    let config = QuantumConfig { intercept_share: 1.0, misalignment: 0.0, ..Default::default() };
    for seed in 0..5 {
        let Block { report, alice, bob } = run(&config, seed);
        assert_qber(&report, 0.25);
        assert!(alice.is_empty() && bob.is_empty());
        assert_eq!(report.final_length(), 0);
        let expected = AbortReason::QberAboveThreshold {
            errors: report.counts.sample_errors,
            sample: report.counts.sample,
        };
        assert_eq!(report.abort, Some(expected));
        assert_eq!(report.leak, 0, "nothing about the key was disclosed");
    }
}

#[test]
fn intercepting_a_share_p_gives_p_over_4() {
    for (share, aborts) in [(0.1, false), (0.5, true)] {
        let config =
            QuantumConfig { intercept_share: share, misalignment: 0.0, ..Default::default() };
        for seed in 0..5 {
            let Block { report, alice, bob } = run(&config, 50 + seed);
            assert_qber(&report, share / 4.0);
            assert_eq!(report.abort.is_some(), aborts);
            assert!(alice.ct_eq(&bob) && alice.is_empty() == aborts);
        }
    }
    let usual = QuantumConfig { intercept_share: 0.1, ..Default::default() };
    assert_qber(&run(&usual, 60).report, usual.expected_qber());
}

#[test]
fn the_same_seed_gives_the_same_block_and_another_another_key() {
    let config = QuantumConfig { pulses_per_block: 300_000, ..Default::default() };
    let (a, b, c) = (run(&config, 1), run(&config, 1), run(&config, 2));
    assert_eq!(a.report, b.report);
    assert!(a.alice.ct_eq(&b.alice) && !a.alice.is_empty());
    assert_ne!(a.alice.fingerprint(), c.alice.fingerprint());
    let json = serde_json::to_string(&a.report).unwrap();
    assert_eq!(json, serde_json::to_string(&b.report).unwrap());
    for key in ["pulses", "detected", "sifted", "sample", "qber", "leak", "rounds", "final_length"]
    {
        assert_eq!(json.matches(&format!("\"{key}\":")).count(), 1, "{key} in {json}");
    }
}

#[test]
fn too_few_bits_end_with_a_reason_and_no_key() {
    let dark = QuantumConfig {
        distance_km: 300.0,
        dark_count_probability: 0.0,
        pulses_per_block: 1000,
        ..Default::default()
    };
    assert!(matches!(run(&dark, 1).report.abort, Some(AbortReason::TooFewBits { .. })));
    let short = QuantumConfig { pulses_per_block: 5000, ..Default::default() };
    let Block { report, alice, .. } = run(&short, 1);
    assert!(matches!(report.abort, Some(AbortReason::NoSecretBits { .. })), "{report:?}");
    assert!(alice.is_empty());
}

#[test]
fn a_configuration_out_of_range_is_refused() {
    let config = QuantumConfig { misalignment: f64::NAN, ..Default::default() };
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let error = run_block(&config, &mut rng, &mut InterceptResend::new(0.0)).unwrap_err();
    assert!(matches!(error, QuantumError::Config(_)), "{error}");
}
