//! The command line as its users see it: `cmd/*.trycmd` hold commands, exit codes and output.
//!
//! After a wanted change of the output: `TRYCMD=overwrite cargo test --release -p crqkd --test cli`, then read the diff.

#![allow(clippy::unwrap_used)]

mod common;

use common::{command, crqkd, data, root};
use std::path::{Path, PathBuf};
use std::process::Stdio;

fn trycmd(folder: &str) {
    // Commands are run in the test's own folder, which is the package's otherwise. Every test here sets the same.
    std::env::set_current_dir(root()).unwrap();
    assert!(Path::new("tests/cmd").join(folder).is_dir(), "cases that are not found do not fail");
    trycmd::TestCases::new()
        .register_bin("crqkd", Path::new(env!("CARGO_BIN_EXE_crqkd")))
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        .case(format!("tests/cmd/{folder}/*.trycmd"));
}

#[test]
fn help_tells_what_there_is() {
    trycmd("help");
}

#[test]
fn good_input_gives_results() {
    trycmd("good");
}

#[test]
fn bad_input_is_named_with_file_and_position() {
    trycmd("bad");
}

/// The files of a folder of `data/`, as paths from the root of the project.
fn listed(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(data(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| path.strip_prefix(root()).unwrap().to_path_buf())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "data/{folder} has .{extension} files");
    files
}

#[test]
fn every_scenario_file_loads() {
    let files = listed("scenarios", "toml");
    let output = crqkd(["scenario", "check"].map(PathBuf::from).iter().chain(&files));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    for (line, file) in text.lines().zip(&files) {
        assert!(line.starts_with(&format!("{}: ok", file.display())), "{line}");
    }
    assert_eq!(text.lines().count(), files.len());
}

#[test]
fn a_shown_scenario_is_a_scenario_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("shown.toml");
    let shown = crqkd(["scenario", "show", "corridor"]).stdout;
    std::fs::write(&file, &shown).unwrap();
    let again = crqkd(["scenario", "show", file.to_str().unwrap()]);
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    assert_eq!(String::from_utf8(again.stdout).unwrap(), String::from_utf8(shown).unwrap());
}

/// Files in `data/damaged` that can be read: they are damaged only beside another file, or only in a frame.
const READABLE: [&str; 4] =
    ["broken-header.sigmf-data", "broken-header.sigmf-meta", "shape-qap.npy", "still.npy"];

#[test]
fn every_damaged_file_has_a_case() {
    let cases: String = std::fs::read_dir(root().join("tests/cmd/bad"))
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    for entry in std::fs::read_dir(data("damaged")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let stem = name.split('.').next().unwrap();
        assert!(
            READABLE.contains(&name.as_str()) || cases.contains(&format!("data/damaged/{stem}")),
            "tests/cmd/bad has no case for data/damaged/{name}"
        );
    }
}

/// A reader like `head` closes our output when it has seen enough. That is no failure, and nobody wants to read of it.
#[test]
fn output_into_a_closed_pipe_ends_without_a_word() {
    for args in [
        &["receive", "--json", "data/frames/frames-10db.sigmf-meta"][..],
        &["scenario", "show", "hall"],
        &["scenario", "show"],
        &["scenario", "check", "data/scenarios/hall.toml"],
        &["keygen", "--qap", "data/measurements/qap.npy", "--user", "data/measurements/user.npy"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command()
            .args(args)
            .stdout(Stdio::from(writer))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""), "{args:?}");
    }
}
