//! The whole system through the command: the same seed gives the same output, and what must not give a key gives none.
#![allow(clippy::unwrap_used)] // helpers of tests, outside of #[test] functions

mod common;

use common::command as crqkd;
use serde_json::Value;

fn demo(args: &[&str]) -> (String, Option<i32>) {
    let output = crqkd().args(["demo", "--json", "--groups", "8"]).args(args).output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
}

fn parsed(text: &str) -> Value {
    let all: Value = serde_json::from_str(text).unwrap();
    all["runs"][0].clone()
}

#[test]
fn the_output_depends_on_the_seed_alone_not_on_workers_or_sleeps() {
    let (one, code) = demo(&["--workers", "1"]);
    assert_eq!(code, Some(0));
    assert_eq!(one, demo(&["--workers", "2"]).0);
    assert_eq!(one, demo(&["--workers", "4"]).0);
    assert_eq!(one, demo(&["--workers", "2", "--jitter"]).0);
    let (other, _) = demo(&["--seed", "2"]);
    let key = |text: &str| parsed(text)["keys"][0]["alice"].as_str().unwrap().to_owned();
    assert_ne!(key(&one), key(&other));
}

#[test]
fn both_users_end_with_the_same_key_in_every_scenario_and_mode() {
    for args in [
        &["--scenario", "office"][..],
        &["--scenario", "corridor"],
        &["--scenario", "hall", "--decision", "soft"],
        &["--scenario", "hall", "--ciphertext", "cascade"],
        &["--scenario", "hall", "--ciphertext", "cascade", "--decision", "soft"],
    ] {
        let (text, code) = demo(args);
        assert_eq!(code, Some(0), "{args:?}");
        let report = parsed(&text);
        let keys = report["keys"].as_array().unwrap();
        assert_eq!(keys.len(), 1, "{args:?}");
        assert_eq!(keys[0]["equal"], true);
        assert_eq!(keys[0]["alice"], keys[0]["bob"]);
        assert_eq!(report["row"]["cracked"], 0);
        assert_eq!(report["authenticated"], false);
        assert_eq!(report["secret_bits"], "not accounted");
        for sealed in report["message"]["sealed"].as_array().unwrap() {
            assert_eq!(sealed["read_by_bob"], report["message"]["text"]);
        }
    }
}

#[test]
fn an_eavesdropper_on_the_whole_fibre_leaves_no_group_and_a_qber_of_a_quarter() {
    let (text, code) = demo(&["--intercept", "1"]);
    assert_eq!(code, Some(1));
    let report = parsed(&text);
    assert!(report["quantum_failure"].as_str().unwrap().contains("QBER too high"));
    assert!(report["keys"].as_array().unwrap().is_empty());
    for block in report["quantum"].as_array().unwrap() {
        let (qber, sample) = (block["qber"].as_f64().unwrap(), block["sample"].as_f64().unwrap());
        let sigma = (0.25 * 0.75 / sample).sqrt();
        // The link's own misalignment of 1 % adds half of itself: 25 % becomes 25.5 %.
        assert!((qber - 0.255).abs() < 4.0 * sigma, "QBER {qber}, sigma {sigma}");
        assert_eq!(block["final_length"], 0);
    }
}
