//! Planted changes in the files of a link: the audit finds each. Checksums are made anew with every change, as by somebody who
//! knows the format.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use std::path::Path;
use std::sync::LazyLock;

use common::Setup;
use crqkd_bits::SecretBits;
use crqkd_node::key_store::{KeyFile, read_keys};
use crqkd_node::qkd::{Finding, audit};
use crqkd_node::{journal, qkd};
use serde_json::{Value, json};

const GROUP: usize = 384;

/// A link with a start-up secret of two tags each way, so that later pads come out of quantum keys; started twice.
static LINK: LazyLock<Setup> = LazyLock::new(|| {
    let setup = Setup::new(qkd::MIN_SECRET_BYTES + 16);
    for blocks in ["3", "3"] {
        let [alice, bob] = setup.run(blocks);
        assert!(alice.released >= 2 && alice.released == bob.released, "{alice:?}");
    }
    setup
});

/// The files of both ends, to be spoilt.
struct Copy {
    dir: tempfile::TempDir,
}

impl Copy {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for end in ["alice", "bob"] {
            std::fs::create_dir(dir.path().join(end)).unwrap();
            for name in ["journal.jsonl", "keys.bin"] {
                let to = dir.path().join(end).join(name);
                std::fs::copy(LINK.path(end).join(name), to).unwrap();
            }
        }
        Copy { dir }
    }

    fn findings(&self) -> Vec<Finding> {
        let path = |end| self.dir.path().join(end);
        audit(&path("alice"), &path("bob"), GROUP).unwrap().findings
    }

    fn journal(&self, end: &str, change: impl FnOnce(&mut Vec<Value>)) {
        let path = self.dir.path().join(end).join("journal.jsonl");
        let mut records = journal::read(&path).unwrap();
        change(&mut records);
        let (mut text, mut last) = (String::new(), 0);
        for record in records {
            let json = record.to_string();
            last = journal::checksum(last, json.as_bytes());
            text += &format!("{last:08x} {json}\n");
        }
        std::fs::write(path, text).unwrap();
    }

    fn keys(&self, end: &str, change: impl FnOnce(&mut Vec<(u64, SecretBits)>)) {
        let path = self.dir.path().join(end).join("keys.bin");
        let mut keys = read_keys(&path).unwrap();
        change(&mut keys);
        std::fs::remove_file(&path).unwrap();
        let (mut file, _) = KeyFile::open(&path).unwrap();
        keys.iter().for_each(|(number, key)| file.append(*number, key).unwrap());
    }
}

/// The records of a kind, counted from the end.
fn nth_last<'a>(records: &'a mut [Value], kind: &str, n: usize) -> &'a mut Value {
    let mut found = records.iter_mut().rev().filter(|record| record["record"] == kind);
    found.nth(n).unwrap()
}

fn remove(records: &mut Vec<Value>, kind: &str, n: usize) -> Value {
    let places = records.iter().enumerate().rev().filter(|(_, record)| record["record"] == kind);
    let at = places.map(|(at, _)| at).nth(n).unwrap();
    records.remove(at)
}

#[test]
fn an_untouched_link_passes_and_its_figures_are_the_recorded_ones() {
    let audit = audit(&LINK.path("alice"), &LINK.path("bob"), GROUP).unwrap();
    assert!(audit.passed(), "{audit:#?}");
    assert_eq!(audit.starts, [2, 2]);
    assert!(audit.simulated && audit.released[2] >= 4 && audit.groups > 10, "{audit:?}");
    let records: Vec<Value> = journal::read(&LINK.path("bob").join("journal.jsonl")).unwrap();
    let last = records.iter().rfind(|record| record["record"] == "released").unwrap();
    let recorded = last["figures"]["eps_link"].as_f64().unwrap();
    assert!((audit.eps_link - recorded).abs() < 1e-12 * recorded, "{audit:?}");
    // Later pads come out of keys, whose eps they carry.
    let tag = &last["figures"]["tags"][0];
    assert!(tag["from_block"].is_u64() && tag["eps"].as_f64().unwrap() > 1e-12, "{tag}");
    assert_eq!(last["simulated"], true);
}

#[test]
fn every_planted_change_is_found() {
    type Plant = (&'static str, Box<dyn Fn(&Copy)>);
    // A field of the last released record, at one end or at both.
    fn field(
        path: &'static str,
        value: Value,
        ends: &'static [&'static str],
    ) -> Box<dyn Fn(&Copy)> {
        Box::new(move |copy| {
            for end in ends {
                copy.journal(end, |records| {
                    for kind in ["released", "held"] {
                        let old =
                            records.iter_mut().rev().filter(|record| record["record"] == kind);
                        for record in old.take(1) {
                            *record.pointer_mut(path).unwrap() = value.clone();
                        }
                    }
                });
            }
        })
    }
    const BOTH: &[&str] = &["alice", "bob"];
    const ONE: &[&str] = &["bob"];
    let at = |end: &'static str, change: fn(&mut Vec<Value>)| -> Box<dyn Fn(&Copy)> {
        Box::new(move |copy| copy.journal(end, change))
    };
    let keys = |end: &'static str, change: fn(&mut Vec<(u64, SecretBits)>)| -> Box<dyn Fn(&Copy)> {
        Box::new(move |copy| copy.keys(end, change))
    };
    let plants: Vec<Plant> = vec![
        ("length", field("/figures/length", json!(9000), BOTH)),
        ("length and counts", {
            let (a, b) = (
                field("/figures/length", json!(9000), BOTH),
                field("/account/counts/final_length", json!(9000), BOTH),
            );
            Box::new(move |copy| (a(copy), b(copy)).0)
        }),
        ("final length", field("/account/counts/final_length", json!(1), BOTH)),
        ("key bits by intensity", field("/account/counts/key_bits/0", json!(1_000_000), BOTH)),
        ("test bits by intensity", field("/account/counts/test_bits/1", json!(1_000_000), BOTH)),
        ("test errors", field("/account/counts/test_errors/1", json!(0), BOTH)),
        ("disclosed bits", field("/account/counts/disclosed", json!(1), BOTH)),
        ("tag bits disclosed", field("/account/counts/tag_bits", json!(0), BOTH)),
        ("leak", field("/figures/leak/parities", json!(1), BOTH)),
        ("qber", field("/figures/qber", json!(0.001), BOTH)),
        ("eps of the key", field("/figures/eps_key", json!(1e-15), BOTH)),
        ("eps of the link", field("/figures/eps_link", json!(1e-15), BOTH)),
        ("eps of a tag", field("/figures/tags/0/eps", json!(1e-20), BOTH)),
        ("origin of a pad", field("/figures/tags/1/from_block", Value::Null, BOTH)),
        ("eps of the rule", field("/account/rule/eps_sec", json!(1e-13), BOTH)),
        ("method of the length", field("/account/rule/length", json!("lim2014"), BOTH)),
        ("charge of Cascade", field("/account/rule/charge", json!("both-ways"), BOTH)),
        ("mean photon numbers", field("/account/rule/mean_photons/0", json!(0.9), BOTH)),
        ("pad of a tag", field("/account/pads/0", json!(0), BOTH)),
        ("number of the block", field("/account/block", json!(0), BOTH)),
        ("bits for groups", field("/bits", json!(1), BOTH)),
        ("bits for the pools", field("/refill_bits", json!(254), BOTH)),
        ("fingerprint", field("/fingerprint", json!("00000000"), BOTH)),
        ("simulated", field("/simulated", json!(false), BOTH)),
        ("rounds, at one end", field("/account/counts/rounds", json!(1), ONE)),
        ("errors, at one end", field("/account/counts/key_errors", json!(1), ONE)),
        ("a release is missing", at("alice", |r| drop(remove(r, "released", 1)))),
        (
            "the last release is missing at the first to tag",
            at("alice", |r| drop(remove(r, "released", 0))),
        ),
        (
            "a held record is missing and so is its release",
            at("bob", |r| {
                remove(r, "held", 0);
                remove(r, "released", 0);
            }),
        ),
        (
            "a release twice",
            at("alice", |r| {
                let copy = nth_last(r, "released", 0).clone();
                r.push(copy);
            }),
        ),
        (
            "a key given up after its release",
            at("bob", |r| {
                let block = nth_last(r, "released", 0)["account"]["block"].clone();
                r.push(json!({"record": "burned", "block": block, "reason": "x"}));
            }),
        ),
        (
            "a key handed over twice",
            at("alice", |r| {
                let copy = nth_last(r, "delivered", 0).clone();
                r.push(copy);
            }),
        ),
        (
            "a key handed over before its release",
            at("bob", |r| {
                let delivered = remove(r, "delivered", 0);
                let at = r.iter().rposition(|record| record["record"] == "released").unwrap();
                r.insert(at, delivered);
            }),
        ),
        (
            "a block twice",
            at("alice", |r| {
                let copy = nth_last(r, "begin", 1).clone();
                r.push(copy);
            }),
        ),
        ("a block that never began", at("bob", |r| drop(remove(r, "begin", 0)))),
        ("a pad mark is missing", at("alice", |r| drop(remove(r, "pool", 0)))),
        ("another pad mark is missing", at("alice", |r| drop(remove(r, "pool", 1)))),
        (
            "a pad twice",
            at("bob", |r| {
                let copy = nth_last(r, "pool", 0).clone();
                r.push(copy);
            }),
        ),
        (
            "a pad mark between two tags",
            at("bob", |r| {
                let next = nth_last(r, "pool", 0);
                next["next"] = json!(next["next"].as_u64().unwrap() - 1);
            }),
        ),
        (
            "pads that no pool has",
            at("alice", |r| {
                nth_last(r, "pool", 0)["next"] = json!(1_000_000_000u64);
            }),
        ),
        ("no start", at("alice", |r| r.retain(|record| record["record"] != "start"))),
        (
            "another secret",
            at("alice", |r| {
                for record in r.iter_mut().filter(|record| record["record"] == "start") {
                    record["secret"] = json!("0000000000000000");
                }
            }),
        ),
        (
            "a second start with other eps",
            at("bob", |r| {
                nth_last(r, "start", 0)["eps"]["sec"] = json!(1e-6);
            }),
        ),
        (
            "starts not simulated",
            at("bob", |r| {
                for record in r.iter_mut().filter(|record| record["record"] == "start") {
                    record["simulated"] = json!(false);
                }
            }),
        ),
        (
            "larger pools at the start",
            at("bob", |r| {
                for record in r.iter_mut().filter(|record| record["record"] == "start") {
                    record["startup_bits"] = json!(100_000);
                }
            }),
        ),
        (
            "both are alice",
            Box::new(|copy| {
                let path = |end: &str| copy.dir.path().join(end).join("journal.jsonl");
                std::fs::copy(path("alice"), path("bob")).unwrap();
            }),
        ),
        ("a key is missing", keys("bob", |keys| drop(keys.pop()))),
        (
            "a key twice",
            keys("alice", |keys| {
                let again = (keys[0].0, keys[0].1.duplicate());
                keys.push(again);
            }),
        ),
        (
            "another key",
            keys("alice", |keys| {
                keys[1].1 = keys[0].1.duplicate();
            }),
        ),
        (
            "a key is shorter",
            keys("alice", |keys| {
                let len = keys[1].1.len();
                keys[1].1 = keys[1].1.take_front(len - 8).unwrap();
            }),
        ),
        (
            "a key of no block",
            keys("bob", |keys| {
                let more = (77, keys[0].1.duplicate());
                keys.push(more);
            }),
        ),
        (
            "the journals were rolled back",
            Box::new(|copy| {
                for end in BOTH {
                    copy.journal(end, |records| {
                        let starts =
                            records.iter().enumerate().filter(|(_, r)| r["record"] == "start");
                        let second = starts.map(|(at, _)| at).nth(1).unwrap();
                        records.truncate(second);
                    });
                }
            }),
        ),
    ];
    assert!(plants.len() >= 45);
    let mut missed = Vec::new();
    for (what, plant) in &plants {
        let copy = Copy::new();
        plant(&copy);
        let findings = copy.findings();
        match findings.first() {
            Some(finding) => println!("{what}: {finding}"),
            None => missed.push(what),
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}

/// One bit of a key, with a checksum that fits: the other end's key shows it.
#[test]
fn a_bit_of_a_key_that_no_fingerprint_covers_is_found_by_comparison() {
    let copy = Copy::new();
    copy.keys("bob", |keys| {
        let mut bits: Vec<bool> = keys[1].1.expose().iter().collect();
        bits[500] ^= true;
        keys[1].1 = bits.into_iter().collect::<crqkd_bits::BitString>().into();
    });
    assert!(matches!(copy.findings()[..], [Finding::KeysDiffer { .. }]));
}

#[test]
fn damage_a_missing_file_and_one_directory_twice_are_findings_or_errors() {
    let copy = Copy::new();
    let path = |name: &str| copy.dir.path().join(name);
    let said = |a: &Path, b: &Path| format!("{:?}", audit(a, b, GROUP).unwrap().findings);
    assert!(said(&path("alice"), &path("alice")).contains("SameDirectory"));
    assert!(audit(&path("alice"), &path("nowhere"), GROUP).is_err());
    std::fs::remove_file(path("alice/keys.bin")).unwrap();
    assert!(said(&path("alice"), &path("bob")).contains("Damaged"));
    let copy = Copy::new();
    let journal = copy.dir.path().join("bob/journal.jsonl");
    let mut bytes = std::fs::read(&journal).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&journal, bytes).unwrap();
    assert!(copy.findings().iter().any(|f| matches!(f, Finding::Damaged { end: 2, .. })));
}
