//! Any process of a service is killed at any moment, and is started again with the folder that it left.
//!
//! A kill ends the run: a role that comes back is taken in again when the next one begins. What must hold is that the others
//! end soon and say why, and that the next run, on the same air and with the same folders, gives new keys and contradicts no
//! old one.
//!
//! CRQKD_KILLS is the number of kills of each process (1), CRQKD_SEED that of the moments.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests, outside of #[test] functions

mod common;

use common::{command, data};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

const VICTIMS: [&str; 6] = ["air", "qap1", "qap2", "alice", "bob", "eve1"];
/// Key files that an access point is given for each run, and their bytes: some more than the run needs.
const FILES: u64 = 6;
const FILE_BYTES: usize = 24;
/// Within this every process must have ended.
const PATIENCE: Duration = Duration::from_secs(60);

/// A service: what is left on disk from run to run.
struct Service {
    dir: tempfile::TempDir,
    rng: ChaCha8Rng,
    /// Number of the next key file.
    next_file: u64,
    runs: usize,
    /// The air, from run to run.
    air: Option<Child>,
    /// A role that was killed and started again, and waits for the next run.
    back: Option<(&'static str, Child)>,
    /// Kills that met a living process.
    killed: BTreeMap<&'static str, u64>,
}

/// How a process ended, and what it said.
struct Ended {
    name: &'static str,
    status: ExitStatus,
    said: String,
    json: String,
}

impl Service {
    fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["keys1", "keys2"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        Service {
            dir,
            rng: ChaCha8Rng::seed_from_u64(seed),
            next_file: 1,
            runs: 0,
            air: None,
            back: None,
            killed: BTreeMap::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The same fresh quantum key for both access points.
    fn supply(&mut self) {
        for number in self.next_file..self.next_file + FILES {
            let bytes: [u8; FILE_BYTES] = self.rng.random();
            for folder in ["keys1", "keys2"] {
                fs::write(self.path(folder).join(format!("{number}.key")), bytes).unwrap();
            }
        }
        self.next_file += FILES;
    }

    fn spawn(&self, name: &'static str) -> Child {
        let to = |ending: &str| File::create(self.path(&format!("{name}.{ending}"))).unwrap();
        let socket = self.path("air.sock");
        let mut one = command();
        match name {
            "air" => {
                one.args(["air", "--radios", "qap1,alice,qap2,bob,eve1", "--seed", "3"]);
                one.args(["--runs", "0"]);
                one.arg("--listen").arg(&socket);
            }
            role => {
                let kind = match role {
                    "qap1" | "qap2" => "qap",
                    "eve1" => "eve",
                    _ => "user",
                };
                one.args([kind, "--role", role, "--radio"])
                    .arg(format!("air:{}", socket.display()));
            }
        }
        match name {
            "qap1" | "qap2" => {
                one.arg("--keys").arg(self.path(if name == "qap1" { "keys1" } else { "keys2" }))
            }
            "alice" | "bob" => one.arg("--deliver").arg(self.path(name)),
            _ => &mut one,
        };
        one.args(["--json", "--scenario"]).arg(data("scenarios/hall-small.toml"));
        one.stdout(to("json")).stderr(to("err")).spawn().unwrap()
    }

    /// One run; `kill` names the process that is killed and when.
    fn run(&mut self, kill: Option<(&'static str, Duration)>) -> (Vec<Ended>, Duration) {
        self.supply();
        self.runs += 1;
        if self.air.is_none() {
            self.air = Some(self.spawn("air"));
        }
        let back = self.back.take();
        let mut children: Vec<(&'static str, Child)> = VICTIMS[1..]
            .iter()
            .filter(|&&name| back.as_ref().is_none_or(|(back, _)| *back != name))
            .map(|&name| (name, self.spawn(name)))
            .collect();
        children.extend(back);
        let begun = Instant::now();
        let mut to_come = kill;
        loop {
            if let Some((victim, _)) = to_come.filter(|(_, at)| begun.elapsed() >= *at) {
                to_come = None;
                if victim == "air" {
                    let mut air = self.air.take().unwrap();
                    air.kill().unwrap(); // SIGKILL
                    air.wait().unwrap();
                    *self.killed.entry(victim).or_default() += 1;
                } else {
                    let at = children.iter().position(|(name, _)| *name == victim).unwrap();
                    if children[at].1.try_wait().unwrap().is_none() {
                        let (_, mut child) = children.remove(at);
                        child.kill().unwrap();
                        child.wait().unwrap();
                        *self.killed.entry(victim).or_default() += 1;
                        // Whoever looks after the service starts it again at once.
                        self.back = Some((victim, self.spawn(victim)));
                    }
                }
            }
            let mut alive = Vec::new();
            for (name, child) in &mut children {
                if child.try_wait().unwrap().is_none() {
                    alive.push(*name);
                }
            }
            if alive.is_empty() && to_come.is_none() {
                break;
            }
            if begun.elapsed() > PATIENCE {
                children.iter_mut().for_each(|(_, child)| drop(child.kill()));
                self.dir.disable_cleanup(true);
                let said: Vec<_> = alive.iter().map(|name| self.read(name, "err")).collect();
                panic!("run {}, {kill:?} killed: {alive:?} do not end: {said:?}", self.runs);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let took = begun.elapsed();
        // One that was not on the air yet when it was killed was awaited there, and was part of this run.
        if let Some((_, back)) = &mut self.back
            && back.try_wait().unwrap().is_some()
        {
            children.extend(self.back.take());
        }
        let ended = children
            .into_iter()
            .map(|(name, mut child)| Ended {
                name,
                status: child.wait().unwrap(),
                said: self.read(name, "err"),
                json: self.read(name, "json"),
            })
            .collect();
        (ended, took)
    }

    fn read(&self, name: &str, ending: &str) -> String {
        fs::read_to_string(self.path(&format!("{name}.{ending}"))).unwrap()
    }

    /// What a role that waits for the next run has said.
    fn said_by_back(&self) -> Option<(&'static str, String)> {
        self.back.as_ref().map(|(name, _)| (*name, self.read(name, "err")))
    }

    fn keys(&self, user: &str) -> BTreeMap<String, Vec<u8>> {
        let Ok(entries) = fs::read_dir(self.path(user)) else { return BTreeMap::new() };
        entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "key"))
            .map(|path| (name_of(&path), fs::read(&path).unwrap()))
            .collect()
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).map_or(usual, |text| text.parse().unwrap())
}

#[test]
fn a_service_that_lost_any_process_gives_new_keys_again() {
    let kills = number("CRQKD_KILLS", 1);
    let mut service = Service::new(number("CRQKD_SEED", 1));
    // How long an undisturbed run takes here: the moments are drawn from it.
    let (ended, usual) = service.run(None);
    for Ended { name, status, said, .. } in &ended {
        assert!(status.success(), "{name}: {said}");
    }
    let mut alone = 0;
    let mut known = service.keys("alice");
    assert_eq!(known, service.keys("bob"));
    let first = known.len();
    assert!(first > 0);
    for round in 0..kills {
        for victim in VICTIMS {
            let moment = usual.mul_f64(service.rng.random::<f64>());
            let (ended, _) = service.run(Some((victim, moment)));
            let what = format!("round {round}, {victim} killed after {moment:?}");
            for Ended { name, status, said, json } in &ended {
                assert!(!said.contains("panicked"), "{what}: {name}: {said}");
                if !status.success() {
                    assert!(status.code().is_some(), "{what}: {name} was killed too");
                    let ending = json.contains("\"ending\"") && !json.contains("\"ending\":null");
                    assert!(
                        ending || said.contains("crqkd: "),
                        "{what}: {name} fails without a word"
                    );
                }
            }
            let [alice, bob] = ["alice", "bob"].map(|user| service.keys(user));
            for (name, key) in &alice {
                assert!(bob.get(name).is_none_or(|other| other == key), "{what}: {name} differs");
            }
            // What one user alone has is named by whoever lives; a user that was killed says so when it comes back.
            for (user, mine, theirs) in [("alice", &alice, &bob), ("bob", &bob, &alice)] {
                let new = mine.keys().filter(|name| !known.contains_key(*name));
                for name in new.filter(|name| !theirs.contains_key(*name)) {
                    alone += 1;
                    let id = name.trim_end_matches(".key");
                    let all = ended.iter().map(|one| (one.name, one.said.clone()));
                    let words = all.chain(service.said_by_back()).filter(|(name, said)| {
                        ["alice", "bob"].contains(name)
                            && said.lines().any(|line| {
                                line.contains(id) && line.contains("the other user may")
                            })
                    });
                    let said = words.map(|(name, _)| name).collect::<Vec<_>>();
                    assert!(!said.is_empty(), "{what}: only {user} has {name}, and nobody says so");
                }
            }
            for (name, key) in &known {
                let kept = alice.get(name).or_else(|| bob.get(name));
                assert_eq!(kept, Some(key), "{what}: {name} was lost or overwritten");
            }
            known.extend(alice);
            known.extend(bob);

            let before = known.len();
            let (ended, _) = service.run(None);
            for Ended { name, status, said, .. } in &ended {
                assert!(status.success(), "after {what}: {name}: {said}");
            }
            let [alice, bob] = ["alice", "bob"].map(|user| service.keys(user));
            let new = |keys: &BTreeMap<String, Vec<u8>>| -> BTreeMap<String, Vec<u8>> {
                let mut keys = keys.clone();
                keys.retain(|name, _| !known.contains_key(name));
                keys
            };
            assert_eq!(new(&alice), new(&bob), "after {what}");
            known.extend(alice);
            known.extend(bob);
            assert!(known.len() > before, "after {what}: no new key");
        }
    }
    let mut air = service.air.take().unwrap();
    let stop = std::process::Command::new("kill").arg(air.id().to_string()).status().unwrap();
    assert!(stop.success());
    assert_eq!(air.wait().unwrap().code(), Some(143));
    println!(
        "{} of {} kills in time {:?}, {} runs, {} keys, {alone} at one user only",
        service.killed.values().sum::<u64>(),
        6 * kills,
        service.killed,
        service.runs,
        known.len()
    );
}
