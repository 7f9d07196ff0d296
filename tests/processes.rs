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
    let expected = demo["runs"][0]["keys"].as_array().unwrap();
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
fn access_points_with_key_files_give_two_users_the_same_keys_without_a_seed() {
    let mut all = Processes { dir: tempfile::tempdir().unwrap(), children: Vec::new() };
    let scenario = data("scenarios/hall-small.toml").display().to_string();
    let path = |all: &Processes, name: &str| all.file(name).display().to_string();
    // Two groups of 96 bits a file, the same files at both ends, the second half while the roles run.
    let drop_files = |all: &Processes, numbers: std::ops::Range<u8>| {
        for (dir, number) in ["keys1", "keys2"]
            .iter()
            .flat_map(|dir| numbers.clone().map(move |number| (dir, number)))
        {
            std::fs::create_dir_all(all.file(dir)).unwrap();
            let bytes: Vec<u8> = (0..24).map(|i| number.wrapping_mul(37) ^ (i * 11)).collect();
            std::fs::write(all.file(dir).join("part"), bytes).unwrap();
            let name = all.file(dir).join(format!("{number:04}.key"));
            std::fs::rename(all.file(dir).join("part"), name).unwrap();
        }
    };
    drop_files(&all, 1..2);
    let socket = path(&all, "air.sock");
    let radio = format!("air:{socket}");
    let air = ["air", "--radios", "qap1,alice,qap2,bob", "--listen", &socket, "--seed", "9"];
    let ends = [("qap1", "keys1"), ("qap2", "keys2"), ("alice", "out1"), ("bob", "out2")];
    let roles = ends.map(|(role, dir)| {
        let (kind, option) = match role {
            "qap1" | "qap2" => ("qap", "--keys"),
            _ => ("user", "--deliver"),
        };
        let own = path(&all, dir);
        (role, [kind, "--role", role, "--radio", &radio, option, &own].map(str::to_owned))
    });
    let start = |all: &mut Processes, name: &'static str, args: Vec<&str>| {
        let to = |ending: &str| File::create(all.file(&format!("{name}.{ending}"))).unwrap();
        let (out, err) = (to("json"), to("err"));
        let mut command = command();
        command.args(args).args(["--json", "--scenario", &scenario]).stdout(out).stderr(err);
        all.children.push((name, command.spawn().unwrap()));
    };
    start(&mut all, "air", air.to_vec());
    for (name, args) in &roles {
        start(&mut all, name, args.iter().map(String::as_str).collect());
    }
    std::thread::sleep(Duration::from_millis(300));
    drop_files(&all, 2..6);
    for (name, status, said) in all.end() {
        assert!(status.success(), "{name}: {said}");
    }
    let delivered = |dir: &str| -> Vec<(std::ffi::OsString, Vec<u8>)> {
        let files = std::fs::read_dir(all.file(dir)).unwrap().map(|entry| entry.unwrap());
        let mut keys: Vec<_> =
            files.map(|file| (file.file_name(), std::fs::read(file.path()).unwrap())).collect();
        keys.sort();
        keys
    };
    let keys = delivered("out1");
    assert!(!keys.is_empty() && keys.iter().all(|(_, key)| !key.is_empty()));
    assert_eq!(keys, delivered("out2"));
    for (name, dir) in [("alice", "keys1"), ("bob", "keys2")] {
        let report = all.json(name);
        assert_eq!((&report["simulated"], &report["seed"]), (&true.into(), &Value::Null));
        // What was made is counted although nothing of it is shown.
        assert_eq!(report["windows"].as_array().unwrap().len(), 0);
        for what in ["windows", "groups", "keys"] {
            assert!(report["made"][what].as_u64().unwrap() > 0, "{what}: {report}");
        }
        let wiped = std::fs::metadata(all.file(dir).join("0001.claimed")).unwrap();
        assert_eq!(wiped.len(), 0, "a file that was read is wiped");
        let marks = std::fs::read_to_string(all.file(dir).join("marks.jsonl")).unwrap();
        assert!(marks.contains("released"), "{marks}");
    }
}

#[test]
fn what_a_process_records_is_read_by_all_others_and_the_pace_holds_the_air_back() {
    let mut all = Processes { dir: tempfile::tempdir().unwrap(), children: Vec::new() };
    let scenario = data("scenarios/hall-small.toml");
    let socket = all.file("air.sock").display().to_string();
    let radios = "qap1,alice,qap2,bob";
    all.spawn("air", &["air", "--radios", radios, "--listen", &socket, "--pace", "2"], &scenario);
    let (radio, dir) = (format!("air:{socket}"), all.file("recording"));
    for (kind, role) in ROLES.into_iter().filter(|(kind, _)| *kind != "eve") {
        let mut args = vec![kind, "--role", role, "--radio", &radio];
        if role == "alice" {
            args.extend(["--record", dir.to_str().unwrap()]);
        }
        all.spawn(role, &args, &scenario);
    }
    for (name, status, said) in all.end() {
        assert!(status.success(), "{name}: {said}");
        assert!(name != "alice" || said.contains("recording\n"), "{said}");
    }
    let speed = all.json("air")["times_real_time"].as_f64().unwrap();
    assert!(speed > 0.0 && speed < 2.1, "{speed} seconds of air a second");
    let recording = dir.join("alice.sigmf-meta").display().to_string();
    let windows = all.json("alice")["made"]["windows"].as_u64().unwrap();
    let frames = stdout_of(["receive", &recording]).lines().count();
    assert!(windows >= 2 && frames as u64 >= 64 * windows, "{frames} frames, {windows} windows");
    assert!(stdout_of(["inspect", &recording]).contains("delay spread"));
    // An eavesdropper in Alice's place finds the same windows.
    let mut eve = command();
    eve.args(["eve", "--json", "--seed", "3", "--radio", &format!("file:{recording}")]);
    let heard = eve.arg("--scenario").arg(&scenario).output().unwrap();
    let heard: Value = serde_json::from_slice(&heard.stdout).unwrap();
    assert_eq!(heard["made"]["windows"], windows);
    let replay = command().arg("replay").arg(&dir).output().unwrap();
    let said = String::from_utf8(replay.stderr).unwrap();
    assert!(replay.status.code() == Some(2) && said.contains("--radio file:"), "{said}");
}

#[test]
fn an_access_point_without_a_source_of_key_and_a_user_with_one_are_refused() {
    for (args, reason) in [
        (vec!["qap", "--radio", "air:127.0.0.1:1"], "--keys DIR, or --seed"),
        (vec!["user", "--keys", "x", "--radio", "air:127.0.0.1:1"], "unexpected argument '--keys'"),
        (vec!["qap", "--keys", "nowhere", "--radio", "air:127.0.0.1:1"], "nowhere"),
        (vec!["qap", "--seed", "1", "--radio", "soapy:driver=uhd"], "discard_windows = 1"),
    ] {
        let output = command().args(&args).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && said.contains(reason), "{args:?}: {said}");
    }
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
        let stopped = name == "air" && status.code() == Some(130);
        assert!(stopped || status.code().is_some_and(|code| code < 4), "{name}: {said}");
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

/// Whichever is killed: the others notice in seconds of air, and end with a word.
#[test]
fn a_role_that_is_killed_is_noticed_by_the_other_cell_too() {
    for victim in ["qap1", "qap2", "bob"] {
        let mut all = Processes::start(Path::new("hall"));
        std::thread::sleep(Duration::from_millis(2500));
        all.signal(victim, "-KILL");
        for (name, status, said) in all.end() {
            assert!(!said.contains("panicked"), "{name}: {said}");
            match name {
                _ if name == victim => assert_eq!(status.code(), None),
                "air" => {
                    assert!(status.success() && said.contains(&format!("{victim} has left: ")));
                    let air_s = all.json("air")["air_s"].as_f64().unwrap();
                    assert!(air_s < 590.0, "{victim} was missed for {air_s} s");
                }
                _ => assert!(status.code().is_some_and(|code| code < 2), "{name}: {said}"),
            }
        }
    }
}

/// A server that is out of descriptors refuses, and serves when there are some again.
#[test]
fn an_air_out_of_descriptors_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("air.sock");
    let log = dir.path().join("log");
    let mut air = std::process::Command::new("sh")
        .args(["-c", "ulimit -n 40; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_crqkd")])
        .args(["air", "--seed", "3", "--radios", "eve1", "--listen"])
        .arg(&socket)
        .stdout(Stdio::null())
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let connect = || std::os::unix::net::UnixStream::connect(&socket);
    while connect().is_err() {
        std::thread::sleep(Duration::from_millis(10));
    }
    let held: Vec<_> = (0..100).map(|_| connect()).collect();
    std::thread::sleep(Duration::from_millis(500));
    assert!(air.try_wait().unwrap().is_none(), "{}", std::fs::read_to_string(&log).unwrap());
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(said.contains("a connection was refused: Too many open files"), "{said}");
    drop(held);
    std::thread::sleep(Duration::from_millis(300));
    let radio = format!("air:{}", socket.display());
    let mut eve = command();
    eve.args(["eve", "--radio", &radio, "--scenario", "hall", "--seed", "3"]);
    let mut eve = eve.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while !std::fs::read_to_string(&log).unwrap().contains("eve1 has joined") {
        assert!(begun.elapsed() < Duration::from_secs(10), "no radio is taken in any more");
        std::thread::sleep(Duration::from_millis(20));
    }
    for child in [&mut eve, &mut air] {
        let _ = child.kill();
        child.wait().unwrap();
    }
}
