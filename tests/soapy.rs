//! An access point and a user through libSoapySDR and the driver of `apps/soapy-air`, on the virtual air.
//!
//! Built with the feature `soapy` only; `SOAPY_SDR_PLUGIN_PATH` must name the folder of the driver. `.ci/run` does both.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{command, data, stdout_of};
use crqkd_air::medium::{AirTime, Promises};
use crqkd_blocks::radio::soapy::{SoapyConfig, SoapyRadio};
use crqkd_blocks::radio::{Radio, Reception};
use num_complex::Complex32;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const GROUPS: usize = 64;

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn sixty_four_groups_cross_the_air_through_soapy_and_every_answer_is_on_time() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).display().to_string();
    let scenario = fs::read_to_string(data("scenarios/hall-small.toml")).unwrap();
    let scenario = scenario.replace("groups = 4\n", &format!("groups = {GROUPS}\n"));
    fs::write(file("scenario.toml"), scenario).unwrap();
    let socket = file("air.sock");
    let soapy =
        |radio: u16| format!("soapy:driver=crqkd,addr={socket},radio={radio},lookahead=1000");
    let native = format!("air:{socket}");
    let start = |name: &str, args: &[&str]| -> Child {
        let mut command = command();
        command.args(args).args(["--json", "--seed", "5", "--scenario"]).arg(file("scenario.toml"));
        let out = fs::File::create(file(&format!("{name}.json"))).unwrap();
        command.stdout(out).stderr(Stdio::inherit()).spawn().unwrap()
    };
    let radios = "qap1,alice,qap2,bob";
    let (bursts, probes) = (file("bursts"), file("probes"));
    let mut all = vec![(
        "air",
        start("air", &["air", "--listen", &socket, "--radios", radios, "--bursts", &bursts]),
    )];
    // SoapySDR does not wait for a server.
    let deadline = Instant::now() + Duration::from_secs(20);
    while !Path::new(&socket).exists() {
        assert!(Instant::now() < deadline, "the server does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    let qap1 = ["qap", "--role", "qap1", "--radio", &soapy(1), "--wire", &socket];
    all.push(("qap1", start("qap1", &qap1)));
    let alice = ["user", "--role", "alice", "--radio", &soapy(101), "--probes", &probes];
    all.push(("alice", start("alice", &alice)));
    all.push(("qap2", start("qap2", &["qap", "--role", "qap2", "--radio", &native])));
    all.push(("bob", start("bob", &["user", "--role", "bob", "--radio", &native])));
    let deadline = Instant::now() + Duration::from_secs(240);
    let mut failed = Vec::new();
    for (name, child) in &mut all {
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break status.to_string(),
                None if Instant::now() > deadline => {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    break "does not end".to_owned();
                }
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        if status != "exit status: 0" {
            failed.push(format!("{name}: {status}"));
        }
    }
    assert!(failed.is_empty(), "{failed:?}");

    let report = |name: &str| -> Value {
        serde_json::from_str(&fs::read_to_string(file(&format!("{name}.json"))).unwrap()).unwrap()
    };
    let (alice, bob) = (report("alice"), report("bob"));
    let prints = |report: &Value| -> Vec<String> {
        let keys = report["keys"].as_array().unwrap();
        keys.iter().map(|key| key["fingerprint"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(prints(&alice), prints(&bob));
    let keys = alice["keys"].as_array().unwrap();
    let groups: u64 = keys.iter().map(|key| key["groups"].as_u64().unwrap()).sum();
    assert!(groups >= GROUPS as u64 - 4, "{groups} groups are in keys");
    assert!(alice["groups"].as_array().unwrap().len() >= GROUPS, "{alice}");
    // Through Soapy or not: the samples are the same, so the keys are.
    let demo = stdout_of(["demo", "--seed", "5", "--json", "--scenario", &file("scenario.toml")]);
    let demo: Value = serde_json::from_str(&demo).unwrap();
    let expected = demo["runs"][0]["keys"].as_array().unwrap();
    let expected: Vec<&str> = expected.iter().map(|key| key["alice"].as_str().unwrap()).collect();
    assert_eq!(prints(&alice), expected);

    // t_rx as the user measured it, and when its answer left.
    let turn = 20_000; // 1 ms
    let left: BTreeSet<u64> = lines(Path::new(&bursts))
        .iter()
        .filter(|burst| burst["radio"] == "alice")
        .map(|burst| burst["start"].as_u64().unwrap())
        .collect();
    let received = lines(Path::new(&probes));
    assert!(received.len() > 500, "{} probes", received.len());
    for probe in received {
        let due = probe["start"].as_u64().unwrap() + turn;
        assert!(left.range(due - 1..=due + 1).next().is_some(), "no answer at {due} to {probe}");
    }
}

/// The flowgraph hands over its first burst before or after the thread that reads has begun: either is in order.
#[test]
fn a_burst_may_be_handed_over_before_the_device_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("air.sock").display().to_string();
    let mut air = command();
    air.args(["air", "--listen", &socket, "--radios", "qap1,alice", "--scenario"]);
    let mut air = air.arg(data("scenarios/hall-small.toml")).stdout(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !Path::new(&socket).exists() {
        assert!(Instant::now() < deadline, "the server does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    let open = |radio: u16| -> SoapyRadio {
        let arguments = format!("driver=crqkd,addr={socket},radio={radio},lookahead=1000");
        SoapyRadio::open(&SoapyConfig::parse(&arguments).unwrap()).unwrap()
    };
    let radios = [open(1), open(101)];
    let until: AirTime = 20_000;
    let everything = Promises { transmit: until, listen: until, wire: until };
    radios[0].handle().send_at(5_000, vec![Complex32::ONE; 2000]).unwrap();
    for radio in &radios {
        radio.handle().listen(0, until).unwrap();
        radio.handle().promise(everything).unwrap();
    }
    let heard = radios.map(|mut radio| {
        let (mut buffer, mut heard) = (vec![Complex32::ZERO; 4096], Vec::new());
        while heard.len() < 10_000 {
            match radio.try_recv(&mut buffer).unwrap() {
                Reception::Samples { len, .. } => heard.extend_from_slice(&buffer[..len]),
                Reception::Wait(_) => std::thread::sleep(Duration::from_millis(1)),
                _ => break,
            }
        }
        heard
    });
    air.kill().unwrap();
    air.wait().unwrap();
    assert!(heard.iter().all(|samples| samples.len() >= 10_000), "a radio was thrown out");
    let power = |samples: &[Complex32]| {
        samples.iter().map(Complex32::norm_sqr).sum::<f32>() / samples.len() as f32
    };
    let (before, burst) = (power(&heard[1][..5_000]), power(&heard[1][5_100..6_900]));
    assert!(burst > 10.0 * before, "power {before}, then {burst}");
}
