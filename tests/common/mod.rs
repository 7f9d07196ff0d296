//! The command under test and the folder it runs in.
#![allow(dead_code, unreachable_pub, clippy::panic, clippy::unwrap_used)]

use std::ffi::OsStr;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// The root of the project. Tests run in their package's folder, some levels below.
pub fn root() -> PathBuf {
    let here = std::env::current_dir().unwrap();
    let root = here.ancestors().find(|dir| dir.join("data/scenarios").is_dir());
    root.expect("the tests run inside the project").to_path_buf()
}

/// A file of `data/`.
pub fn data(path: impl AsRef<Path>) -> PathBuf {
    root().join("data").join(path)
}

/// `crqkd`, to be run in the root of the project.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crqkd"));
    command.current_dir(root());
    command
}

/// Runs `crqkd` with these arguments. A run that does not end in two minutes is ended and fails the test.
pub fn crqkd(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
    let args: Vec<_> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
    // Into files: a pipe that nobody reads would fill and stop the command.
    let files = [(); 2].map(|()| tempfile::tempfile().unwrap());
    let [out, err] = files.each_ref().map(|file| file.try_clone().unwrap());
    let mut child = command().args(&args).stdout(out).stderr(err).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("crqkd {args:?} does not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let [stdout, stderr] = files.map(|mut file| {
        let mut bytes = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    });
    Output { status, stdout, stderr }
}

/// The standard output of a command that ends well.
pub fn stdout_of(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
    let output = crqkd(args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Exit code and standard error of a command.
pub fn failure_of(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> (Option<i32>, String) {
    let output = crqkd(args);
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}
