//! The command under test and the folder it runs in.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

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

/// Runs `crqkd` with these arguments.
pub fn crqkd(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
    command().args(args).output().unwrap()
}
