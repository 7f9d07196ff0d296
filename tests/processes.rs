//! The roles as processes of their own, on the virtual air of a server.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{command, data, stdout_of};
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const ROLES: [(&str, &str); 5] =
    [("qap", "qap1"), ("user", "alice"), ("qap", "qap2"), ("user", "bob"), ("eve", "eve1")];

/// An air server and five roles, in a folder of their own.
struct Processes {
    dir: tempfile::TempDir,
    children: Vec<(&'static str, Child)>,
}

impl Processes {
    /// Starts them all.
    fn start(scenario: &Path) -> Self {
        let mut all = Processes { dir: tempfile::tempdir().unwrap(), children: Vec::new() };
        let socket = all.file("air.sock");
        let radios = "qap1,alice,qap2,bob,eve1";
        let air = ["air", "--radios", radios, "--listen", socket.to_str().unwrap()];
        all.spawn("air", &air, scenario);
        let radio = format!("air:{}", socket.display());
        for (kind, role) in ROLES {
            let args = [kind, "--role", role, "--radio", &radio];
            all.spawn(role, &args, scenario);
        }
        all
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn spawn(&mut self, name: &'static str, args: &[&str], scenario: &Path) {
        let to = |ending: &str| File::create(self.file(&format!("{name}.{ending}"))).unwrap();
        let (out, err) = (to("json"), to("err"));
        let mut command = command();
        command.args(args).args(["--seed", "3", "--json", "--scenario"]).arg(scenario);
        let child = command.stdout(out).stderr(err).spawn().unwrap();
        self.children.push((name, child));
    }

    fn signal(&self, name: &str, signal: &str) {
        let (_, child) = self.children.iter().find(|(of, _)| *of == name).unwrap();
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for all; what they said.
    fn end(&mut self) -> Vec<(&'static str, ExitStatus, String)> {
        let deadline = Instant::now() + Duration::from_secs(120);
        let mut ended = Vec::new();
        for (name, mut child) in std::mem::take(&mut self.children) {
            let status = loop {
                if let Some(status) = child.try_wait().unwrap() {
                    break status;
                }
                if Instant::now() > deadline {
                    child.kill().unwrap();
                    panic!("{name} does not end");
                }
                std::thread::sleep(Duration::from_millis(10));
            };
            let said = std::fs::read_to_string(self.file(&format!("{name}.err"))).unwrap();
            ended.push((name, status, said));
        }
        ended
    }

    fn json(&self, name: &str) -> Value {
        let text = std::fs::read_to_string(self.file(&format!("{name}.json"))).unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for (_, child) in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn six_processes_give_the_keys_of_one() {
    let scenario = data("scenarios/hall-small.toml");
    let mut all = Processes::start(&scenario);
    for (name, status, said) in all.end() {
        assert!(status.success(), "{name}: {said}");
    }
    let demo = ["demo", "--seed", "3", "--json", "--scenario"].map(str::to_owned);
    let demo = stdout_of(demo.into_iter().chain([scenario.display().to_string()]));
    let demo: Value = serde_json::from_str(&demo).unwrap();
    let expected = demo[0]["keys"].as_array().unwrap();
    assert!(!expected.is_empty());
    for (name, end) in [("alice", "alice"), ("bob", "bob")] {
        let report = all.json(name);
        assert_eq!((&report["simulated"], &report["ending"]), (&true.into(), &"Done".into()));
        let keys = report["keys"].as_array().unwrap();
        assert_eq!(keys.len(), expected.len());
        for (key, expected) in keys.iter().zip(expected) {
            assert_eq!(key["key_id"], expected["key_id"]);
            assert_eq!(key["fingerprint"], expected[end]);
        }
    }
    // Channel key agrees window by window but for the disagreement of the channel, so its numbers do.
    let windows = |name: &str| -> Vec<Value> {
        let report = all.json(name);
        report["windows"].as_array().unwrap().iter().map(|window| window[0].clone()).collect()
    };
    assert_eq!(windows("qap1"), windows("alice"));
    assert!(windows("eve1").len() >= windows("alice").len());
    assert!(!all.file("air.sock").exists(), "the server removes its socket");
}

#[test]
fn a_process_that_dies_counts_as_silent_and_the_others_end() {
    let mut all = Processes::start(Path::new("hall"));
    std::thread::sleep(Duration::from_millis(2500));
    all.signal("alice", "-KILL");
    for (name, status, said) in all.end() {
        assert!(!said.contains("panicked"), "{name}: {said}");
        match name {
            "air" => assert!(status.success() && said.contains("alice has left: "), "{said}"),
            "alice" => assert_eq!(status.code(), None),
            _ => assert!(status.code().is_some_and(|code| code < 2), "{name}: {said}"),
        }
    }
}

#[test]
fn a_server_that_is_stopped_takes_the_roles_with_it() {
    let mut all = Processes::start(Path::new("hall"));
    std::thread::sleep(Duration::from_millis(1500));
    all.signal("air", "-INT");
    for (name, status, said) in all.end() {
        assert!(status.code().is_some_and(|code| code < 4), "{name}: {said}");
        assert!(!said.contains("panicked"), "{name}: {said}");
    }
}

#[test]
fn a_role_of_another_run_is_refused_and_a_missing_air_is_a_device_that_failed() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("air.sock");
    let mut air = command()
        .args(["air", "--seed", "3", "--radios", "eve1", "--listen"])
        .arg(&socket)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let radio = format!("air:{}", socket.display());
    let eve = |seed: &str| {
        let args = ["eve", "--radio", &radio, "--scenario", "hall", "--seed", seed];
        common::failure_of(args)
    };
    let (code, said) = eve("4");
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("the seed of this air is 3, not 4"), "{said}");
    air.kill().unwrap();
    air.wait().unwrap();
    let (code, said) = eve("3");
    assert_eq!(code, Some(3), "{said}");
    let (code, said) = common::failure_of(["user", "--seed", "3"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--radio"), "{said}");
}
