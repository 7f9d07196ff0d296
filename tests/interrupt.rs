//! Ctrl-C while a run is being written.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod common;

use common::{command, data};
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Whenever it comes: the run is there and complete, or there is nothing.
#[test]
fn ctrl_c_leaves_a_whole_run_or_none() {
    let dir = tempfile::tempdir().unwrap();
    for wait_ms in [100, 500, 1500] {
        let run = dir.path().join("run");
        let mut child = command()
            .args(["simulate", "--seconds", "60", "--scenario"])
            .arg(data("scenarios/hall-small.toml"))
            .arg("--record")
            .arg(&run)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(wait_ms));
        let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(sent.unwrap().success());
        child.wait().unwrap();
        if run.exists() {
            crqkd_recording::Collection::open(&run).unwrap();
            fs::remove_dir_all(&run).unwrap();
        }
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path()).collect();
        assert!(left.is_empty(), "after {wait_ms} ms: {left:?}");
    }
}
