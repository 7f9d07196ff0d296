//! Delivery of keys and supply with quantum key in whole roles: what goes wrong with files at one end is noticed at both.
#![cfg(unix)]
#![allow(clippy::unwrap_used)] // helpers of tests, outside of #[test] functions

mod common;

use common::{command, data};
use serde_json::Value;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Two cells without eavesdroppers on an air.
struct Cells {
    dir: tempfile::TempDir,
    children: Vec<(String, Child)>,
}

impl Cells {
    fn new() -> Self {
        let mut cells = Cells { dir: tempfile::tempdir().unwrap(), children: Vec::new() };
        let socket = cells.path("air.sock");
        let mut air = command();
        air.args(["air", "--radios", "qap1,alice,qap2,bob", "--seed", "3", "--listen"]).arg(socket);
        cells.spawn("air", air);
        cells
    }

    /// The same in real time, with this many groups of quantum key before a run ends.
    fn in_real_time(groups: usize) -> Self {
        let mut cells = Cells { dir: tempfile::tempdir().unwrap(), children: Vec::new() };
        let scenario = fs::read_to_string(data("scenarios/hall-small.toml")).unwrap();
        let scenario = scenario.replace("groups = 4\n", &format!("groups = {groups}\n"));
        fs::write(cells.path("scenario.toml"), scenario).unwrap();
        let socket = cells.path("air.sock");
        let mut air = command();
        air.args(["air", "--radios", "qap1,alice,qap2,bob", "--pace", "1", "--listen"]).arg(socket);
        cells.spawn("air", air);
        cells
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A role, to be completed and spawned.
    fn role(&self, role: &str) -> Command {
        let kind = if role.starts_with("qap") { "qap" } else { "user" };
        let mut command = command();
        let radio = format!("air:{}", self.path("air.sock").display());
        command.args([kind, "--role", role, "--radio", &radio]);
        command
    }

    fn spawn(&mut self, name: &str, mut command: Command) {
        let to = |ending: &str| File::create(self.path(&format!("{name}.{ending}"))).unwrap();
        let (out, err) = (to("json"), to("err"));
        let own = self.path("scenario.toml");
        let scenario = if own.exists() { own } else { data("scenarios/hall-small.toml") };
        command.args(["--json", "--scenario"]).arg(scenario);
        self.children.push((name.to_owned(), command.stdout(out).stderr(err).spawn().unwrap()));
    }

    /// Waits until all have ended: status and standard error of each.
    fn end(&mut self) -> Vec<(String, ExitStatus, String)> {
        let deadline = Instant::now() + Duration::from_secs(100);
        let mut ended = Vec::new();
        for (name, mut child) in std::mem::take(&mut self.children) {
            while child.try_wait().unwrap().is_none() {
                assert!(Instant::now() < deadline || child.kill().is_err(), "{name} does not end");
                std::thread::sleep(Duration::from_millis(10));
            }
            let said = fs::read_to_string(self.path(&format!("{name}.err"))).unwrap();
            ended.push((name, child.wait().unwrap(), said));
        }
        ended
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&fs::read_to_string(self.path(&format!("{name}.json"))).unwrap())
            .unwrap()
    }
}

impl Drop for Cells {
    fn drop(&mut self) {
        for (_, child) in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn delivered(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut keys: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "key"))
        .map(|path| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())
        })
        .collect();
    keys.sort();
    keys
}

/// One user's folder cannot be written any more: neither has a key, and both say so.
#[test]
fn a_delivery_that_fails_at_one_user_leaves_no_key_at_the_other() {
    for broken in ["alice", "bob"] {
        let mut cells = Cells::new();
        let folder = |cells: &Cells, user: &str| cells.path(&format!("{user}-keys"));
        for user in ["alice", "bob"] {
            let mut one = cells.role(user);
            one.args(["--seed", "3", "--deliver"]).arg(folder(&cells, user));
            cells.spawn(user, one);
        }
        // The air stands still until all are there. A user that joins has opened its folder.
        let dir = folder(&cells, broken);
        let joined = format!("{broken} has joined");
        let deadline = Instant::now() + Duration::from_secs(60);
        while !fs::read_to_string(cells.path("air.err")).unwrap().contains(&joined) {
            assert!(Instant::now() < deadline, "{broken} does not join");
            std::thread::sleep(Duration::from_millis(5));
        }
        fs::remove_dir(&dir).unwrap();
        fs::write(&dir, "a file in place of the folder").unwrap();
        for role in ["qap1", "qap2"] {
            let mut one = cells.role(role);
            one.args(["--seed", "3"]);
            cells.spawn(role, one);
        }
        for (name, status, said) in cells.end() {
            assert!(!said.contains("panicked"), "{name}: {said}");
            if name == broken {
                assert!(said.contains("taking room for a key"), "{name}: {said}");
                assert_eq!(status.code(), Some(3), "{name}: {said}");
            } else if name == "alice" || name == "bob" {
                assert_ne!(status.code(), Some(0), "{name}: {said}");
            }
        }
        for user in ["alice", "bob"] {
            assert_eq!(
                delivered(&cells.path(&format!("{user}-keys"))),
                [],
                "{user}; {broken} is broken"
            );
        }
        let other = if broken == "alice" { "bob" } else { "alice" };
        assert!(cells.json(other)["no_key"].is_string(), "{}", cells.json(other));
    }
}

/// The whole way: BB84 between the access points, its keys under channel key to the users, four processes and two.
#[test]
fn keys_of_a_quantum_link_reach_the_users() {
    let mut cells = Cells::new();
    let secret = cells.path("secret");
    assert!(command().args(["qkd", "secret"]).arg(&secret).status().unwrap().success());
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let end = |cells: &Cells, name: &str, way: &str, qap: &str| {
        let mut end = command();
        end.args(["qkd", name, way, &address, "--link"]).arg(data("links/short.toml"));
        end.arg("--dir").arg(cells.path(&format!("link-{name}"))).arg("--secret").arg(&secret);
        end.arg("--deliver").arg(cells.path(qap));
        if name == "alice" {
            end.args(["--blocks", "3"]);
        }
        end.stdout(Stdio::null()).spawn().unwrap()
    };
    let mut ends = [("alice", "--listen", "keys1"), ("bob", "--connect", "keys2")]
        .map(|(name, way, qap)| end(&cells, name, way, qap));
    for end in &mut ends {
        assert!(end.wait().unwrap().success());
    }
    for role in ["qap1", "qap2", "alice", "bob"] {
        let mut one = cells.role(role);
        match role {
            "qap1" => one.arg("--keys").arg(cells.path("keys1")),
            "qap2" => one.arg("--keys").arg(cells.path("keys2")),
            user => one.arg("--deliver").arg(cells.path(&format!("{user}-keys"))),
        };
        cells.spawn(role, one);
    }
    for (name, status, said) in cells.end() {
        assert!(status.success(), "{name}: {said}");
    }
    // Nobody is told that a simulated link, or a simulated channel, gives secrets.
    for role in ["qap1", "qap2", "alice", "bob"] {
        assert_eq!(cells.json(role)["simulated"], true);
    }
    let keys = delivered(&cells.path("alice-keys"));
    assert!(!keys.is_empty());
    assert_eq!(keys, delivered(&cells.path("bob-keys")));
}

/// A log whose disk is full is said, and costs no key.
#[test]
fn a_full_disk_under_the_measurements_costs_no_key() {
    let mut cells = Cells::new();
    for role in ["qap1", "qap2", "alice", "bob"] {
        let mut one = cells.role(role);
        one.args(["--seed", "3"]);
        if role == "alice" || role == "bob" {
            one.arg("--deliver").arg(cells.path(&format!("{role}-keys")));
        }
        if role == "alice" {
            one.args(["--probes", "/dev/full"]);
        }
        cells.spawn(role, one);
    }
    for (name, status, said) in cells.end() {
        let wanted = if name == "alice" { 3 } else { 0 };
        assert_eq!(status.code(), Some(wanted), "{name}: {said}");
        let full = said.contains("--probes /dev/full: No space left");
        assert_eq!(full, name == "alice", "{name}: {said}");
    }
    let keys = delivered(&cells.path("alice-keys"));
    assert!(!keys.is_empty());
    assert_eq!(keys, delivered(&cells.path("bob-keys")));
    // However a role ends, it says which keys it released.
    assert_eq!(cells.json("alice")["keys"].as_array().unwrap().len(), keys.len());
}

/// Twice with folders of its own: the keys of the second run do not take the names of the first.
#[test]
fn a_new_key_folder_gives_new_names_and_no_key_is_written_over() {
    let mut names = Vec::new();
    let keys = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let mut cells = Cells::new();
        for (role, folder) in [("qap1", "keys1"), ("qap2", "keys2")] {
            let dir = cells.path(folder);
            fs::create_dir(&dir).unwrap();
            for number in 1..6u8 {
                let bytes: Vec<u8> = (0..24).map(|i| number.wrapping_mul(37) ^ (i * 11)).collect();
                fs::write(dir.join(format!("{number}.key")), bytes).unwrap();
            }
            // Entries that are no key.
            fs::create_dir(dir.join("0.key")).unwrap();
            fs::write(dir.join("notes.key"), "not a key").unwrap();
            let mut one = cells.role(role);
            one.arg("--keys").arg(dir);
            cells.spawn(role, one);
        }
        let (probes, record) = (cells.path("probes"), cells.path("record"));
        fs::write(&probes, "").unwrap();
        fs::set_permissions(&probes, PermissionsExt::from_mode(0o644)).unwrap();
        for user in ["alice", "bob"] {
            let mut one = cells.role(user);
            one.arg("--deliver").arg(keys.path().join(user));
            if user == "alice" {
                one.arg("--probes").arg(&probes).arg("--record").arg(&record);
            }
            cells.spawn(user, one);
        }
        for (name, status, said) in cells.end() {
            assert!(status.success(), "{name}: {said}");
            let warned = said.contains("what is recorded here tells the channel key");
            assert_eq!(warned, name == "alice", "{name}: {said}");
            if name.starts_with("qap") {
                assert!(said.contains("notes.key: not a key file"), "{name}: {said}");
                assert!(said.contains("0.key: not a regular file"), "{name}: {said}");
            }
        }
        // What was received on a real radio is as secret as its keys.
        let recorded = fs::read_dir(&record).unwrap().map(|entry| entry.unwrap().path());
        for path in recorded.chain([probes]) {
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            let (others, what) = (mode & 0o077, path.display());
            assert!(others == 0 && fs::metadata(&path).unwrap().len() > 0, "{what}: {mode:o}");
        }
        assert_eq!(delivered(&keys.path().join("alice")), delivered(&keys.path().join("bob")));
        names.push(delivered(&keys.path().join("alice")).len());
        // Marks that are lost are no new beginning.
        fs::remove_file(cells.path("keys1/marks.jsonl")).unwrap();
        let mut again = cells.role("qap1");
        again.arg("--keys").arg(cells.path("keys1"));
        cells.spawn("again", again);
        let (_, status, said) = cells.end().remove(0);
        assert!(status.code() == Some(2) && said.contains("marks.jsonl: it is missing"), "{said}");
    }
    assert!(names[0] > 0 && names[1] == 2 * names[0], "{names:?}");
}

/// Different key files at the two sites: no key, and the reason is said.
#[test]
fn different_key_files_give_no_key_and_say_why() {
    let mut cells = Cells::new();
    for (role, folder, factor) in [("qap1", "keys1", 37u8), ("qap2", "keys2", 59)] {
        let dir = cells.path(folder);
        fs::create_dir(&dir).unwrap();
        for number in 1..6u8 {
            let bytes: Vec<u8> = (0..24).map(|i| number.wrapping_mul(factor) ^ (i * 11)).collect();
            fs::write(dir.join(format!("{number}.key")), bytes).unwrap();
        }
        let mut one = cells.role(role);
        one.arg("--keys").arg(dir);
        cells.spawn(role, one);
    }
    for user in ["alice", "bob"] {
        let mut one = cells.role(user);
        one.arg("--deliver").arg(cells.path(&format!("{user}-keys")));
        cells.spawn(user, one);
    }
    for (name, status, said) in cells.end() {
        assert!(!said.contains("panicked"), "{name}: {said}");
        if name == "alice" || name == "bob" {
            assert_eq!(status.code(), Some(1), "{name}: {said}");
            let why = cells.json(&name)["no_key"].as_str().unwrap().to_owned();
            assert!(why.contains("different key files"), "{name}: {why}");
            assert_eq!(delivered(&cells.path(&format!("{name}-keys"))), []);
        }
    }
}

/// A role that waits says so, and for what.
#[test]
fn whoever_waits_says_for_what() {
    let mut cells = Cells::new();
    let dir = cells.path("keys1");
    fs::create_dir(&dir).unwrap();
    let mut qap = cells.role("qap1");
    qap.arg("--keys").arg(&dir);
    cells.spawn("qap1", qap);
    std::thread::sleep(Duration::from_secs(3));
    let said = fs::read_to_string(cells.path("air.err")).unwrap();
    assert!(
        said.contains("the air stands still until these are there: alice, qap2, bob"),
        "{said}"
    );
    let said = fs::read_to_string(cells.path("qap1.err")).unwrap();
    assert!(said.contains("waiting for key files, NUMBER.key in"), "{said}");
    assert!(said.contains("waits for the other radios of the air"), "{said}");
}

/// How often 8 bytes of the secret in a row, in any byte or bit order, stand in the memory of a process.
#[cfg(target_os = "linux")]
fn remains(process: &Child, secret: &[u8]) -> usize {
    use std::collections::HashSet;
    use std::io::{Read, Seek, SeekFrom};
    let words = secret.windows(8).map(|word| u64::from_le_bytes(word.try_into().unwrap()));
    let wanted: HashSet<u64> = words
        .flat_map(|word| {
            let turned = word.swap_bytes();
            [word, turned, word.reverse_bits(), turned.reverse_bits()]
        })
        .collect();
    let maps = fs::read_to_string(format!("/proc/{}/maps", process.id())).unwrap();
    let mut memory = File::open(format!("/proc/{}/mem", process.id())).unwrap();
    let mut found = 0;
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (range, _) = line.split_once(' ').unwrap();
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|text| u64::from_str_radix(text, 16).unwrap());
        let mut bytes = vec![0; (to - from) as usize];
        let read = memory.seek(SeekFrom::Start(from)).and_then(|_| memory.read_exact(&mut bytes));
        if read.is_ok() {
            let words = bytes.windows(8).map(|word| u64::from_le_bytes(word.try_into().unwrap()));
            found += words.filter(|word| wanted.contains(word)).count();
        }
    }
    found
}

/// A user that has delivered its keys and goes on waiting has none of them in its memory, nor has an access point what it
/// forwarded.
#[test]
#[cfg(target_os = "linux")]
fn a_key_that_was_delivered_is_gone_from_memory() {
    let mut cells = Cells::in_real_time(40);
    let files: Vec<Vec<u8>> = (1..=2u8)
        .map(|number| (0..24).map(|i: u8| number.wrapping_mul(37) ^ i.wrapping_mul(91)).collect())
        .collect();
    for (role, folder) in [("qap1", "keys1"), ("qap2", "keys2")] {
        let dir = cells.path(folder);
        fs::create_dir(&dir).unwrap();
        for (number, bytes) in (1..).zip(&files) {
            fs::write(dir.join(format!("{number}.key")), bytes).unwrap();
        }
        let mut one = cells.role(role);
        one.arg("--keys").arg(dir);
        cells.spawn(role, one);
    }
    // Whether this way of looking finds anything: a group waits in the access point until it was forwarded.
    let deadline = Instant::now() + Duration::from_secs(60);
    while remains(&cells.children[1].1, &files[0]) == 0 {
        assert!(Instant::now() < deadline, "the key file is not in the memory that read it");
        std::thread::sleep(Duration::from_millis(20));
    }
    for user in ["alice", "bob"] {
        let mut one = cells.role(user);
        one.arg("--deliver").arg(cells.path(&format!("{user}-keys")));
        cells.spawn(user, one);
    }
    let keys = loop {
        let [alice, bob] =
            ["alice", "bob"].map(|user| delivered(&cells.path(&format!("{user}-keys"))));
        if !alice.is_empty() && alice.len() == bob.len() {
            break alice;
        }
        assert!(Instant::now() < deadline, "no key");
        std::thread::sleep(Duration::from_millis(20));
    };
    std::thread::sleep(Duration::from_millis(500));
    let child = |name: &str| &cells.children.iter().find(|(of, _)| of == name).unwrap().1;
    for user in ["alice", "bob"] {
        for (name, key) in &keys {
            assert_eq!(remains(child(user), key), 0, "{user} still has {name}");
        }
    }
    for qap in ["qap1", "qap2"] {
        for file in &files {
            assert_eq!(remains(child(qap), file), 0, "{qap} still has what it forwarded");
        }
    }
}
