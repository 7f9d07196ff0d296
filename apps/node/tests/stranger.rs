//! A stranger that knows the protocol, the ID of the secret and all that was ever said, but no secret, at the port of a link
//! that is working: it changes nothing, and costs neither memory nor service.
//!
//! The long run: `CRQKD_STRANGERS=10000 cargo test --release -p crqkd-node --test stranger -- --nocapture`

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{LINK, Setup};
use crqkd_node::journal;
use crqkd_node::qkd::{QkdRecord, audit};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Passes everything on, and keeps the first bytes of what the caller says.
fn listen_in(target: String) -> (String, Arc<Mutex<Vec<Vec<u8>>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let keep = heard.clone();
    std::thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            let Ok(far) = TcpStream::connect(&target) else { continue };
            let (mut down, mut up) = (far.try_clone().unwrap(), near.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut down, &mut up);
                let _ = up.shutdown(Shutdown::Both);
            });
            let (keep, mut near, mut far) = (keep.clone(), near, far);
            std::thread::spawn(move || {
                let mut buffer = vec![0; 1 << 16];
                let mut first = true;
                while let Ok(found) = near.read(&mut buffer)
                    && found > 0
                    && far.write_all(&buffer[..found]).is_ok()
                {
                    if std::mem::take(&mut first) {
                        keep.lock().unwrap().push(buffer[..found].to_vec());
                    }
                }
                let _ = far.shutdown(Shutdown::Both);
            });
        }
    });
    (address, heard)
}

fn frame(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}

/// What the stranger says on one connection.
fn speech(kind: u32, id: &str, heard: &[Vec<u8>], rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut noise = |most: usize| {
        let mut bytes = vec![0; rng.random_range(0..most)];
        rng.fill(&mut bytes[..]);
        bytes
    };
    let (long, short) = (noise(5000), noise(40));
    let number: u64 = match short.len() % 3 {
        0 => 300,
        1 => u64::MAX,
        _ => long.len() as u64,
    };
    let greeting = format!(
        "{{\"own\":\"a_to_b\",\"link\":\"00\",\"next_block\":{number},\"last_released\":[{number},0],\
         \"held\":{number},\"pads\":[{number},{number}],\"fresh\":true}}"
    );
    let claim = |id: &[u8]| {
        let proof = &[&long[..], &[7; 64]].concat()[..64];
        frame(&[&[1], id, proof, greeting.as_bytes()].concat())
    };
    // Messages of a block: Abort, detections, a tag far ahead, an acceptance, and those that begin and end one.
    let session: Vec<u8> = [
        frame(&[&[17][..], &number.to_be_bytes()].concat()),
        frame(&[1, 12]),
        frame(&[&[1, 1][..], &long].concat()),
        frame(&[&[2][..], &number.to_be_bytes(), &[9; 8]].concat()),
        frame(&[&[3][..], &[0; 8]].concat()),
        frame(&[19]),
        frame(&[&[18][..], &[0; 32]].concat()),
    ]
    .concat();
    match kind {
        0 => Vec::new(),
        1 => long,
        2 => u32::MAX.to_be_bytes().to_vec(),
        3 => [&40_000_000u32.to_be_bytes()[..], &long].concat(),
        4 => claim(id.as_bytes()),
        5 => claim(b"0000000000000000"),
        6 => frame(&[&[4][..], &[3; 32]].concat()),
        7 => session,
        8 => [claim(id.as_bytes()), session].concat(),
        9 => heard[short.len() % heard.len()].clone(),
        10 => frame(&[&[(short.len() % 256) as u8][..], &long].concat()),
        11 => frame(&[]),
        _ => frame(&[&[1][..], id.as_bytes(), &short].concat()),
    }
}

const KINDS: u32 = 13;

/// Most memory that a process has ever had, in MB.
fn peak_mb(child: &Child) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

fn released(setup: &Setup, end: &str) -> u64 {
    // A record may be half written while it is read.
    let records = journal::read::<QkdRecord>(&setup.path(end).join("journal.jsonl"));
    let released = |record: &&QkdRecord| matches!(record, QkdRecord::Released(_));
    records.map_or(0, |records| records.iter().filter(released).count() as u64)
}

fn wait_for_keys(setup: &Setup, more: u64) -> u64 {
    let (from, begun) = (released(setup, "bob"), Instant::now());
    while released(setup, "bob") < from + more {
        assert!(begun.elapsed() < Duration::from_secs(30), "no keys any more");
        std::thread::sleep(Duration::from_millis(50));
    }
    from + more
}

#[test]
fn a_stranger_changes_nothing_and_costs_neither_memory_nor_service() {
    let connections: u32 =
        std::env::var("CRQKD_STRANGERS").map_or(600, |number| number.parse().unwrap());
    let setup = Setup::new(1 << 20);
    // Larger blocks, so that the stranger's work falls into few of them.
    let link = LINK.replace("500000", "2000000");
    std::fs::write(setup.path("link.toml"), link).unwrap();
    let (address, heard) = listen_in(setup.address.clone());
    let spawn = |role: &str, how: &str, address: &str| {
        let log = std::fs::File::create(setup.path(&format!("{role}.log"))).unwrap();
        let mut command = setup.command(role, how, address, "0");
        command.stdout(Stdio::null()).stderr(log).spawn().unwrap()
    };
    let mut bob = spawn("bob", "--listen", &setup.address);
    let mut alice = spawn("alice", "--connect", &address);
    wait_for_keys(&setup, 2);
    let id = std::fs::read_to_string(setup.path("bob/journal.jsonl")).unwrap();
    let id = id.split("\"secret\":\"").nth(1).unwrap()[..16].to_owned();
    let heard = heard.lock().unwrap().clone();
    assert!(heard.len() >= 2);

    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut open = VecDeque::new();
    let begun = Instant::now();
    for number in 0..connections {
        let mut stream = TcpStream::connect(&setup.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let kind = number % KINDS;
        let speech = speech(kind, &id, &heard, &mut rng);
        if rng.random_bool(0.5) {
            // After the challenge; otherwise before it.
            let _ = stream.read(&mut [0; 64]);
        }
        let cut =
            if rng.random_bool(0.2) { rng.random_range(0..=speech.len()) } else { speech.len() };
        // It may have been dropped already.
        let _ = stream.write_all(&speech[..cut]);
        match rng.random_range(0..4) {
            0 => drop(stream),
            1 => {
                let _ = stream.shutdown(Shutdown::Write);
                let _ = stream.read(&mut [0; 4096]);
            }
            // Idle, and a byte now and then: more of them than are let in.
            _ => open.push_back(stream),
        }
        if open.len() > 50 {
            open.pop_front();
        }
        if number % 10 == 0 {
            open.iter_mut().for_each(|stream| drop(stream.write(&[0])));
        }
    }
    let took = begun.elapsed();
    // Service goes on while fifty of them are still there, and takes in an end that comes back.
    wait_for_keys(&setup, 2);
    alice.kill().unwrap();
    alice.wait().unwrap();
    alice = spawn("alice", "--connect", &address);
    let keys = wait_for_keys(&setup, 2);
    let memory = [peak_mb(&alice), peak_mb(&bob)];
    assert!(bob.try_wait().unwrap().is_none() && alice.try_wait().unwrap().is_none());
    for child in [&mut alice, &mut bob] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    println!("{connections} connections in {took:.1?}, {keys} keys, peak memory {memory:.1?} MB");
    assert!(memory.iter().all(|&mb| mb < 200.0), "{memory:?} MB");
    // Only what the two ends did is in the journals: no pad, no block and no key was touched.
    let audit = audit(&setup.path("alice"), &setup.path("bob"), 384).unwrap();
    assert!(audit.passed(), "{audit:#?}");
    let records: Vec<QkdRecord> = journal::read(&setup.path("bob/journal.jsonl")).unwrap();
    let count = |of: fn(&QkdRecord) -> bool| records.iter().filter(|record| of(record)).count();
    let begun = count(|record| matches!(record, QkdRecord::Begin { .. }));
    let pools = count(|record| matches!(record, QkdRecord::Pool(_)));
    let released = count(|record| matches!(record, QkdRecord::Released(_)));
    // The end that was killed, and the kill at the end, cost a block each at most.
    assert!(begun <= released + 2 && pools <= 2 * released + 2, "{begun} {pools} {released}");
    let log = std::fs::read_to_string(setup.path("bob.log")).unwrap();
    assert!(!log.contains("panicked"), "{log}");
    assert!(log.matches("the connection is given up").count() <= 2, "{log}");
}
