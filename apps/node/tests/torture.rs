//! Two ends of a link under everything that happens to files, processes and connections, in random order.
//!
//! The long run: `CRQKD_ROUNDS=1000 cargo test --release -p crqkd-node --test torture -- --nocapture`

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::Setup;
use crqkd_node::journal;
use crqkd_node::qkd::{Finding, QkdRecord, audit};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What the proxy does to one frame in so many.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Tamper {
    Nothing,
    Drop,
    Delay,
    Flip,
    Cut,
    Double,
}

/// A proxy between the two ends that reads their frames.
struct Proxy {
    address: String,
    tamper: Arc<Mutex<Tamper>>,
    /// Tags by direction and pad: more than one value is a pad under two transcripts.
    tags: Arc<Mutex<Tags>>,
    tampered: Arc<AtomicU64>,
}

impl Proxy {
    fn new(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy {
            address: listener.local_addr().unwrap().to_string(),
            tamper: Arc::new(Mutex::new(Tamper::Nothing)),
            tags: Arc::default(),
            tampered: Arc::default(),
        };
        let shared = (proxy.tamper.clone(), proxy.tags.clone(), proxy.tampered.clone());
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(&target) else { continue };
                for from_alice in [true, false] {
                    let (mut from, mut to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                    if !from_alice {
                        std::mem::swap(&mut from, &mut to);
                    }
                    let shared = shared.clone();
                    std::thread::spawn(move || {
                        pass(&mut from, &mut to, from_alice, &shared);
                        let _ = from.shutdown(Shutdown::Both);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        proxy
    }
}

/// Values of the tags that were seen, by sender and pad.
type Tags = BTreeMap<(bool, u64), Vec<u64>>;
type Shared = (Arc<Mutex<Tamper>>, Arc<Mutex<Tags>>, Arc<AtomicU64>);

fn pass(from: &mut TcpStream, to: &mut TcpStream, from_alice: bool, shared: &Shared) {
    let (tamper, tags, tampered) = shared;
    let mut rng = rand::rng();
    let mut length = [0; 4];
    while from.read_exact(&mut length).is_ok() {
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        if from.read_exact(&mut body).is_err() {
            return;
        }
        if body.len() == 17 && body[0] == 2 {
            let word = |at: usize| u64::from_be_bytes(body[at..at + 8].try_into().unwrap());
            let mut tags = tags.lock().unwrap();
            let values = tags.entry((from_alice, word(1))).or_default();
            if !values.contains(&word(9)) {
                values.push(word(9));
            }
        }
        let mut frame = [&length[..], &body].concat();
        let what = *tamper.lock().unwrap();
        if what != Tamper::Nothing && rng.random_bool(0.03) {
            tampered.fetch_add(1, Ordering::Relaxed);
            match what {
                Tamper::Nothing => {}
                Tamper::Drop => continue,
                Tamper::Delay => {
                    std::thread::sleep(Duration::from_millis(rng.random_range(1..300)))
                }
                Tamper::Flip => {
                    let at = rng.random_range(0..frame.len());
                    frame[at] ^= 1 << rng.random_range(0..8);
                }
                Tamper::Cut => {
                    let _ = to.write_all(&frame[..rng.random_range(0..frame.len())]);
                    return;
                }
                Tamper::Double => {
                    let again = frame.clone();
                    frame.extend(again);
                }
            }
        }
        if to.write_all(&frame).is_err() {
            return;
        }
    }
}

/// Both processes.
struct Link {
    setup: Setup,
    proxy: Proxy,
    ends: [Option<Child>; 2],
}

const NAMES: [&str; 2] = ["alice", "bob"];

impl Link {
    fn command(&self, end: usize) -> Command {
        let (how, address) =
            [("--connect", &self.proxy.address), ("--listen", &self.setup.address)][end];
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.setup.path(&format!("{}.log", NAMES[end])))
            .unwrap();
        let mut command = self.setup.command(NAMES[end], how, address, "0");
        command.stdout(Stdio::null()).stderr(log);
        command
    }

    fn start(&mut self, end: usize) {
        self.ends[end] = Some(self.command(end).spawn().unwrap());
    }

    fn kill(&mut self, end: usize) {
        if let Some(mut child) = self.ends[end].take() {
            child.kill().unwrap(); // SIGKILL
            child.wait().unwrap();
        }
    }

    /// Starts an end as `command` and waits until it ends by itself.
    fn ends_by_itself(&self, mut command: Command, within: Duration) -> Option<ExitStatus> {
        let mut child = command.spawn().unwrap();
        let begun = Instant::now();
        while begun.elapsed() < within {
            if let Some(status) = child.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        None
    }

    fn records(&self, end: usize) -> Vec<QkdRecord> {
        // A record may be half written while it is read.
        journal::read(&self.setup.path(NAMES[end]).join("journal.jsonl")).unwrap_or_default()
    }

    fn released(&self) -> [usize; 2] {
        [0, 1].map(|end| {
            let records = self.records(end);
            records.iter().filter(|record| matches!(record, QkdRecord::Released(_))).count()
        })
    }

    /// No hang: both ends release a new key.
    fn goes_on(&mut self, round: u32, what: &str) {
        let (before, begun) = (self.released(), Instant::now());
        loop {
            let now = self.released();
            if now[0] > before[0] && now[1] > before[1] {
                return;
            }
            for end in 0..2 {
                if let Some(status) = self.ends[end].as_mut().unwrap().try_wait().unwrap() {
                    let log =
                        std::fs::read_to_string(self.setup.path(&format!("{}.log", NAMES[end])));
                    panic!(
                        "round {round}, {what}: {} ended: {status}\n{}",
                        NAMES[end],
                        log.unwrap()
                    );
                }
            }
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "round {round}, {what}: no keys any more"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for child in self.ends.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn copy_dir(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Pads of an end's own pool that it has used.
fn own_pads(dir: &Path) -> u64 {
    let records: Vec<QkdRecord> = journal::read(&dir.join("journal.jsonl")).unwrap();
    let own = records.iter().find_map(|record| match record {
        QkdRecord::Start(end) => Some(end.own),
        _ => None,
    });
    let marks = records.iter().filter_map(|record| match record {
        QkdRecord::Pool(mark) if Some(mark.direction) == own => Some(mark.next),
        _ => None,
    });
    marks.max().unwrap_or(0)
}

#[test]
fn whatever_happens_no_pad_is_used_twice_and_no_key_differs() {
    let rounds: u32 = std::env::var("CRQKD_ROUNDS").map_or(14, |rounds| rounds.parse().unwrap());
    let seed = std::env::var("CRQKD_SEED").map_or(1, |seed| seed.parse().unwrap());
    let setup = Setup { timeout_s: 1, ..Setup::new(1 << 20) };
    let proxy = Proxy::new(setup.address.clone());
    let mut link = Link { setup, proxy, ends: [None, None] };
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    link.start(1);
    link.start(0);
    link.goes_on(0, "at the start");
    let mut snapshot: [Option<u64>; 2] = [None, None];
    let mut done: BTreeMap<String, u32> = BTreeMap::new();
    let begun = Instant::now();
    for round in 0..rounds {
        let end = rng.random_range(0..2);
        let dir = link.setup.path(NAMES[end]);
        let aside = |name: &str| link.setup.path(&format!("{}-{name}", NAMES[end]));
        let (truth, old) = (aside("truth"), aside("old"));
        let what = match if round < 7 { round } else { rng.random_range(0..7) } {
            0 => {
                link.kill(end);
                // As good a moment as any for a copy that is restored later.
                if rng.random_bool(0.3) || snapshot[end].is_none() {
                    copy_dir(&dir, &old);
                    snapshot[end] = Some(own_pads(&dir));
                }
                link.start(end);
                "kill -9"
            }
            1 => {
                link.kill(end);
                if let Some(pads) = snapshot[end].filter(|&pads| pads < own_pads(&dir)) {
                    copy_dir(&dir, &truth);
                    copy_dir(&old, &dir);
                    let status = link.ends_by_itself(link.command(end), Duration::from_secs(20));
                    let code = status.and_then(|status| status.code());
                    assert_eq!(code, Some(2), "round {round}: rolled back to {pads}");
                    assert_eq!(own_pads(&dir), pads, "round {round}: an old pad was used again");
                    let other = link.setup.path(NAMES[1 - end]);
                    let ends = if end == 0 { [&dir, &other] } else { [&other, &dir] };
                    // The other end goes on writing: its files may be read in between.
                    let found = audit(ends[0], ends[1], 384).unwrap();
                    assert!(!found.passed(), "round {round}: the audit does not see it");
                    copy_dir(&truth, &dir);
                }
                link.start(end);
                "rollback"
            }
            2 => {
                link.kill(end);
                let _ = std::fs::remove_dir_all(&truth);
                std::fs::rename(&dir, &truth).unwrap();
                let secret = link.setup.path("secret");
                let marked = std::fs::read(&secret).unwrap();
                let forgotten = rng.random_bool(0.5);
                if forgotten {
                    // A copy of the secret from before it was used.
                    let mut bytes = marked.clone();
                    for name in ["alice:", "bob:"] {
                        let at = String::from_utf8_lossy(&bytes[..60]).find(name).unwrap();
                        bytes[at + name.len()..at + name.len() + 8].copy_from_slice(b"--------");
                    }
                    std::fs::write(&secret, bytes).unwrap();
                }
                let status = link.ends_by_itself(link.command(end), Duration::from_secs(20));
                let code = status.and_then(|status| status.code());
                assert_eq!(
                    code,
                    Some(2),
                    "round {round}: a fresh directory, forgotten {forgotten}"
                );
                std::fs::write(&secret, marked).unwrap();
                let _ = std::fs::remove_dir_all(&dir);
                std::fs::rename(&truth, &dir).unwrap();
                link.start(end);
                "fresh directory"
            }
            3 => {
                link.kill(end);
                let size = |name| std::fs::metadata(dir.join(name)).unwrap().len();
                let limit =
                    size("journal.jsonl").max(size("keys.bin")) + rng.random_range(0..20_000);
                let plain = link.command(end);
                let mut command = Command::new("sh");
                command.args(["-c", "trap '' XFSZ; exec prlimit --fsize=\"$0\" -- \"$@\""]);
                command.arg(limit.to_string()).arg(plain.get_program()).args(plain.get_args());
                command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                let status = link.ends_by_itself(command, Duration::from_secs(60));
                let code = status.and_then(|status| status.code());
                assert_eq!(code, Some(3), "round {round}: a disk full at byte {limit}");
                link.start(end);
                "disk full"
            }
            4 => {
                link.kill(end);
                let mut command = link.command(end);
                command.env("CRQKD_BREAK_DISK_AT", rng.random_range(1..30).to_string());
                let status = link.ends_by_itself(command, Duration::from_secs(60));
                let code = status.and_then(|status| status.code());
                assert_eq!(code, Some(3), "round {round}: a broken disk");
                link.start(end);
                "EIO"
            }
            _ => {
                let all = [Tamper::Drop, Tamper::Delay, Tamper::Flip, Tamper::Cut, Tamper::Double];
                let tamper = all[rng.random_range(0..all.len())];
                *link.proxy.tamper.lock().unwrap() = tamper;
                std::thread::sleep(Duration::from_millis(rng.random_range(200..1500)));
                *link.proxy.tamper.lock().unwrap() = Tamper::Nothing;
                match tamper {
                    Tamper::Drop => "proxy drops",
                    Tamper::Delay => "proxy delays",
                    Tamper::Flip => "proxy flips",
                    Tamper::Cut => "proxy cuts",
                    _ => "proxy doubles",
                }
            }
        };
        link.goes_on(round, what);
        *done.entry(what.to_owned()).or_default() += 1;
    }
    link.kill(0);
    link.kill(1);
    let [at_alice, at_bob] = NAMES.map(|name| link.setup.handed_over(name));
    for (number, key) in &at_alice {
        assert!(at_bob.get(number).is_none_or(|other| other == key), "block {number}");
    }
    let audit = audit(&link.setup.path("alice"), &link.setup.path("bob"), 384).unwrap();
    let tags = link.proxy.tags.lock().unwrap();
    println!(
        "{rounds} rounds in {:.0?}: {done:?}; {} frames tampered with, {} tags seen, released {:?}, {} starts",
        begun.elapsed(),
        link.proxy.tampered.load(Ordering::Relaxed),
        tags.len(),
        audit.released,
        audit.starts.iter().sum::<u64>(),
    );
    let twice: Vec<_> = tags.iter().filter(|(_, values)| values.len() > 1).collect();
    assert!(twice.is_empty(), "pads under two transcripts: {twice:?}");
    let held = |finding: &Finding| matches!(finding, Finding::KeysDiffer { .. });
    assert!(audit.passed() && !audit.findings.iter().any(held), "{audit:#?}");
    for name in NAMES {
        let log = std::fs::read_to_string(link.setup.path(&format!("{name}.log"))).unwrap();
        assert!(!log.contains("panicked"), "{log}");
    }
}
