//! A quantum link of two processes, for tests.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crqkd_node::qkd::{EndReport, SecretArgs, write_secret};

/// A short link without loss, whose blocks take a tenth of a second and nearly always give a key.
pub const LINK: &str = include_str!("../../../../data/links/short.toml");

/// The folder of a link and the address at which Bob listens.
pub struct Setup {
    pub dir: tempfile::TempDir,
    pub address: String,
    /// Seconds of silence after which an end gives a connection up.
    pub timeout_s: u32,
}

impl Setup {
    pub fn new(secret_bytes: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        write_secret(&SecretArgs { file, bytes: secret_bytes }).unwrap();
        std::fs::write(dir.path().join("link.toml"), LINK).unwrap();
        // A port that is free now; nobody else takes it in the moments that follow.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { dir, address: format!("127.0.0.1:{port}"), timeout_s: 5 }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// An end, ready to be started; its standard error goes to a file.
    pub fn command(&self, role: &str, how: &str, address: &str, blocks: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crqkd-qkd-end"));
        command
            .args([role, how, address, "--blocks", blocks])
            .args(["--timeout-s", &self.timeout_s.to_string()])
            .args(["--reserve-tags", "0"])
            .args([Path::new("--dir"), &self.path(role)])
            .args([Path::new("--deliver"), &self.path(&format!("{role}-keys"))])
            .args([Path::new("--secret"), &self.path("secret")])
            .args([Path::new("--link"), &self.path("link.toml")])
            .stdin(Stdio::null());
        command
    }

    /// What an end has handed over to its access point, by number.
    pub fn handed_over(&self, role: &str) -> BTreeMap<u64, Vec<u8>> {
        let entries = std::fs::read_dir(self.path(&format!("{role}-keys"))).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let keys = paths.filter(|path| path.extension().is_some_and(|ending| ending == "key"));
        keys.map(|path| {
            let number = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
            (number, std::fs::read(path).unwrap())
        })
        .collect()
    }

    pub fn start(&self, role: &str, how: &str, blocks: &str) -> Child {
        let mut command = self.command(role, how, &self.address, blocks);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs both ends for so many blocks.
    pub fn run(&self, blocks: &str) -> [EndReport; 2] {
        let bob = self.start("bob", "--listen", "0");
        let alice = report(self.start("alice", "--connect", blocks));
        [alice, report(bob)]
    }
}

/// The output of a process that ends in two minutes.
pub fn output(mut child: Child) -> Output {
    let deadline = Instant::now() + Duration::from_secs(120);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("it does not end: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

pub fn report(child: Child) -> EndReport {
    let output = output(child);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}
