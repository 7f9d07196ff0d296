//! Two processes: a whole run, and processes killed at random moments.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use std::net::TcpListener;
use std::time::Duration;

use common::{Setup, report};
use crqkd_node::qkd::{Finding, audit};
use rand::{Rng, SeedableRng};

#[test]
fn two_processes_end_with_equal_keys() {
    let setup = Setup::new(8192);
    let bob = setup.start("bob", "--listen", "0");
    let alice = report(setup.start("alice", "--connect", "20"));
    let bob = report(bob);
    assert_eq!((alice.blocks, alice.released, bob.released), (20, 20, 20), "{alice:?}");
    assert_eq!(alice.key_bits, bob.key_bits);
    let audit = audit(&setup.path("alice"), &setup.path("bob"), 384).unwrap();
    assert!(audit.passed(), "{audit:?}");
    assert_eq!(audit.released, [20, 20, 20]);
    assert!(audit.groups > 20);
    let handed = setup.handed_over("alice");
    assert!(handed.len() == 20 && handed == setup.handed_over("bob"));
    let bytes: usize = handed.values().map(Vec::len).sum();
    assert!(bytes as u64 <= alice.key_bits / 8 && bytes as u64 + 20 > alice.key_bits / 8);
    let mark = std::fs::read_to_string(setup.path("alice-keys/SIMULATED")).unwrap();
    assert!(mark.contains("simulated quantum link"), "{mark}");
}

/// A file that is there is another link's, or was put there by hand: nothing is written over it, and the end says so.
#[test]
fn a_key_file_that_is_there_is_not_written_over() {
    let setup = Setup::new(8192);
    std::fs::create_dir_all(setup.path("bob-keys")).unwrap();
    std::fs::write(setup.path("bob-keys/0.key"), "another link's").unwrap();
    let bob = setup.start("bob", "--listen", "0");
    let mut alice = setup.start("alice", "--connect", "1");
    let output = common::output(bob);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("0.key"), "{said}");
    assert!(said.contains("the file exists already"), "{said}");
    let _ = alice.kill();
    let _ = alice.wait();
    assert_eq!(setup.handed_over("bob")[&0], b"another link's");
}

#[test]
fn killed_at_random_no_key_differs_and_no_pad_is_used_twice() {
    // The long run: CRQKD_KILLS=50 cargo test --release -p crqkd-node --test two_ends killed -- --nocapture
    let kills: u32 = std::env::var("CRQKD_KILLS").map_or(6, |kills| kills.parse().unwrap());
    let setup = Setup::new(8192);
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let start =
        |role: &str| setup.start(role, if role == "bob" { "--listen" } else { "--connect" }, "0");
    let (mut alice, mut bob) = (start("alice"), start("bob"));
    for kill in 0..kills {
        std::thread::sleep(Duration::from_millis(rng.random_range(20..400)));
        let (role, child) = if kill % 2 == 0 { ("alice", &mut alice) } else { ("bob", &mut bob) };
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        *child = start(role);
    }
    std::thread::sleep(Duration::from_millis(1500));
    for child in [&mut alice, &mut bob] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let audit = audit(&setup.path("alice"), &setup.path("bob"), 384).unwrap();
    println!("{audit:?}");
    assert!(audit.passed(), "{audit:?}");
    assert!(audit.released[2] > 0, "{audit:?}");
    assert_eq!(audit.starts.iter().sum::<u64>(), u64::from(kills) + 2);
    // The last block may be known to one end only.
    assert!(audit.released[0] - audit.released[2] <= u64::from(kills) + 1);
    assert!(audit.released[1] - audit.released[2] <= 1);
    // What both have handed over is the same; a kill may lose one key to an access point.
    let [at_alice, at_bob] = ["alice", "bob"].map(|role| setup.handed_over(role));
    for (number, key) in &at_alice {
        assert!(at_bob.get(number).is_none_or(|other| other == key), "block {number}");
    }
    for (end, handed) in [(0, &at_alice), (1, &at_bob)] {
        let lost = audit.released[end] - handed.len() as u64;
        assert!(lost <= u64::from(kills) + 2, "{lost} of {}", audit.released[end]);
    }
}

#[test]
fn an_end_restored_from_an_old_copy_is_refused() {
    let setup = Setup::new(8192);
    let run = |blocks: &str| {
        let bob = setup.start("bob", "--listen", "0");
        let alice = setup.start("alice", "--connect", blocks);
        (alice, bob)
    };
    let (alice, bob) = run("2");
    assert_eq!((report(alice).released, report(bob).released), (2, 2));
    let copy: Vec<_> = ["journal.jsonl", "keys.bin"]
        .map(|name| std::fs::read(setup.path("alice").join(name)).unwrap())
        .into();
    let (alice, bob) = run("2");
    assert_eq!((report(alice).released, report(bob).released), (2, 2));
    for (name, bytes) in ["journal.jsonl", "keys.bin"].iter().zip(copy) {
        std::fs::write(setup.path("alice").join(name), bytes).unwrap();
    }
    let (alice, mut bob) = run("1");
    let output = common::output(alice);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("restored from an old copy"), "{said}");
    let _ = bob.kill();
    let output = common::output(bob);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("the connection is given up: the other end only knows of pads"),
        "{said}"
    );
    let audit = audit(&setup.path("alice"), &setup.path("bob"), 384).unwrap();
    let twice = |finding: &Finding| matches!(finding, Finding::PadTwice { .. });
    assert!(!audit.passed() && !audit.findings.iter().any(twice), "{audit:?}");
}

/// Lost at both ends at once, so that neither could tell the other: the pads would begin at 0 again.
#[test]
fn a_directory_without_its_journal_is_refused_at_both_ends() {
    let setup = Setup::new(8192);
    let bob = setup.start("bob", "--listen", "0");
    assert_eq!(report(setup.start("alice", "--connect", "2")).released, 2);
    assert_eq!(report(bob).released, 2);
    for (role, way) in [("alice", "--connect"), ("bob", "--listen")] {
        let journal = setup.path(role).join("journal.jsonl");
        let zeros = vec![0; std::fs::metadata(&journal).unwrap().len() as usize];
        for left in [None, Some(zeros)] {
            match left {
                None => std::fs::remove_file(&journal).unwrap(),
                Some(zeros) => std::fs::write(&journal, zeros).unwrap(),
            }
            let output = common::output(setup.start(role, way, "1"));
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(
                !output.status.success() && said.contains("there are keys in keys.bin"),
                "{said}"
            );
        }
    }
}

/// Bob goes on with the true Alice, who was not there for a while.
#[test]
fn a_fresh_directory_with_the_same_secret_is_refused() {
    let setup = Setup::new(8192);
    let bob = setup.start("bob", "--listen", "0");
    assert_eq!(report(setup.start("alice", "--connect", "2")).released, 2);
    assert_eq!(report(bob).released, 2);
    std::fs::rename(setup.path("alice"), setup.path("away")).unwrap();
    let output = common::output(setup.start("alice", "--connect", "2"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("another directory"), "{said}");
    // Nor with a copy of the secret that does not know that it was used: the other end knows.
    let mut bytes = std::fs::read(setup.path("secret")).unwrap();
    let header = String::from_utf8(bytes[..60].to_vec()).unwrap();
    let at = header.find("alice:").unwrap() + 6;
    bytes[at..at + 8].copy_from_slice(b"--------");
    std::fs::write(setup.path("secret"), bytes).unwrap();
    let mut bob = setup.start("bob", "--listen", "0");
    let output = common::output(setup.start("alice", "--connect", "2"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("old copy"), "{said}");
    bob.kill().unwrap();
    bob.wait().unwrap();
}

#[test]
fn ends_that_do_not_belong_together_say_why_and_wait_for_the_right_one() {
    let setup = Setup::new(8192);
    let mut bob = setup.start("bob", "--listen", "0");
    let other = Setup { address: setup.address.clone(), ..Setup::new(8192) };
    // Another secret: refused, and tried again.
    let mut stranger = other.start("alice", "--connect", "2");
    std::thread::sleep(Duration::from_millis(4500));
    assert!(stranger.try_wait().unwrap().is_none());
    stranger.kill().unwrap();
    let said = stranger.wait_with_output().unwrap().stderr;
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("different start-up secrets"), "{said}");
    // Another link.
    let link = std::fs::read_to_string(setup.path("link.toml")).unwrap();
    std::fs::write(setup.path("link.toml"), link.replace("500000", "500001")).unwrap();
    let output = common::output(setup.start("alice", "--connect", "2"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("different links configured"), "{said}");
    assert!(bob.try_wait().unwrap().is_none(), "Bob goes on");
    std::fs::write(setup.path("link.toml"), link).unwrap();
    assert_eq!(report(setup.start("alice", "--connect", "2")).released, 2);
    let bob = common::output(bob);
    let said = String::from_utf8_lossy(&bob.stderr);
    assert!(bob.status.success() && said.contains("waiting at 127.0.0.1"), "{said}");
}

/// Light that was sent ahead is lost with its connection, and made again.
#[test]
fn a_connection_that_breaks_in_a_run_of_n_blocks_does_not_end_it() {
    let setup = Setup::new(8192);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let behind = Setup { address: listener.local_addr().unwrap().to_string(), ..Setup::new(8192) };
    let bob = setup.start("bob", "--listen", "0");
    let target = setup.address.clone();
    // A proxy that cuts whatever goes through it every half second.
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let target = target.clone();
            std::thread::spawn(move || {
                let Ok(far) = std::net::TcpStream::connect(target) else { return };
                for (mut from, mut to) in [
                    (stream.try_clone().unwrap(), far.try_clone().unwrap()),
                    (far.try_clone().unwrap(), stream.try_clone().unwrap()),
                ] {
                    std::thread::spawn(move || std::io::copy(&mut from, &mut to));
                }
                std::thread::sleep(Duration::from_millis(500));
                let _ = far.shutdown(std::net::Shutdown::Both);
                let _ = stream.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    for name in ["secret", "link.toml"] {
        std::fs::copy(setup.path(name), behind.path(name)).unwrap();
    }
    let alice = report(behind.start("alice", "--connect", "40"));
    assert_eq!(alice.blocks, 40, "{alice:?}");
    assert!(alice.broken_connections > 0, "{alice:?}");
    let bob = report(bob);
    assert_eq!(bob.released, alice.released, "{bob:?}");
    let audit = audit(&behind.path("alice"), &setup.path("bob"), 384).unwrap();
    assert!(audit.passed(), "{audit:?}");
}
