//! What every command owes its user: ranges that are checked before work begins, folders that are complete or not there,
//! signals that end it, errors that are said once, one exit code for one event.
#![cfg(unix)]
#![allow(clippy::unwrap_used)] // helpers of tests, outside of #[test] functions

mod common;

use common::{command, crqkd, data, failure_of, stdout_of};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn small() -> String {
    data("scenarios/hall-small.toml").display().to_string()
}

/// Each would run for ever, abort or do nothing.
#[test]
fn numbers_outside_their_range_are_refused_before_anything_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret").display().to_string();
    for (args, range) in [
        (&["demo", "--groups", "0"][..], "0 is not in 1..=65536"),
        (&["demo", "--intercept", "nan"], "nan is not in 0..=1"),
        (&["qkd", "simulate", "--to-km", "50", "--step-km", "0"], "0 is not in 0.1..=1000"),
        (&["qkd", "simulate", "--to-km", "50", "--step-km", "-1"], "-1 is not in 0.1..=1000"),
        (&["qkd", "simulate", "--to-km", "1e300"], "1e300 is not in 0..=1000"),
        (&["qkd", "simulate", "--blocks", "0"], "0 is not in 1..="),
        (&["qkd", "secret", &secret, "--bytes", "0"], "0 is not in 112..=16777216"),
        (&["qkd", "secret", &secret, "--bytes", "4611686018427387904"], "is not in 112..=16777216"),
        (&["qkd", "bob", "--listen", "127.0.0.1:1", "--dir", "d", "--secret", "s"], "reading s"),
        (&["reproduce", "table2", "--bits", "0"], "0 is not in 1..="),
        (&["simulate", "--seconds", "-3", "--record", "r"], "-3 is not in 0.01..="),
        (&["keygen", "--qap", "q", "--user", "u", "--window", "1"], "1 is not in 2..="),
        (&["faults", "--only", "nosuch"], "invalid value 'nosuch'"),
        (&["polar", "fer", "-n", "0"], "0 is not in 32..=65536"),
    ] {
        let begun = Instant::now();
        let (code, said) = failure_of(args);
        assert_eq!(code, Some(2), "{args:?}: {said}");
        assert!(said.contains(range), "{args:?}: {said}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{args:?}");
    }
    let huge = "288230376151711744"; // 2^58: times the bits of a tag it is 2^64
    let end = ["qkd", "bob", "--listen", "127.0.0.1:1", "--dir", "d", "--secret", "s"];
    let (code, said) = failure_of(end.iter().chain(&["--reserve-tags", huge]));
    assert!(code == Some(2) && said.contains("is not in 0..="), "{said}");
    assert!(!Path::new(&secret).exists());
    assert!(!common::root().join("d").exists(), "the folder of an end without a secret");
}

#[test]
fn what_a_role_does_not_take_is_refused_in_its_file_too() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("role.toml").display().to_string();
    for (role, line, said) in [
        ("user", "keys = 'k'", "alice is no access point and has no --keys"),
        ("eve", "wire = '127.0.0.1:1'", "eve1 is no access point and has no --wire"),
        ("qap", "deliver = 'd'", "qap1 is no user and has no --deliver"),
    ] {
        std::fs::write(&file, line).unwrap();
        let seen = failure_of([role, "--config", &file, "--seed", "1", "--radio", "air:/nowhere"]);
        assert!(seen.0 == Some(2) && seen.1.contains(said), "{seen:?}");
    }
}

/// What has no end, or nobody on its other side, is refused within seconds.
#[test]
#[cfg(unix)]
fn devices_and_pipes_in_place_of_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let link = |name: &str| -> String {
        let path = dir.path().join(name);
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        path.display().to_string()
    };
    let end = dir.path().join("end").display().to_string();
    let [table, meta, run] = ["a.csv", "a.sigmf-meta", "a.sigmf-collection"].map(link);
    let pipe = dir.path().join("pipe").display().to_string();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for args in [
        &["scenario", "check", "/dev/zero"][..],
        &["demo", "--scenario", "/dev/zero"],
        &["qkd", "link", "check", "/dev/zero"],
        &["qkd", "simulate", "--link", "/dev/zero"],
        &["user", "--config", "/dev/zero", "--radio", "air:/nowhere"],
        &["qkd", "bob", "--listen", "127.0.0.1:0", "--dir", &end, "--secret", "/dev/zero"],
        &["qkd", "bob", "--listen", "127.0.0.1:0", "--dir", &end, "--secret", &pipe],
        &["scenario", "check", &pipe],
        &["qkd", "link", "check", &pipe],
        &["user", "--config", &pipe, "--radio", "air:/nowhere"],
        &["keygen", "--qap", &table, "--user", &table],
        &["keygen", "--qap", &table, "--user", &pipe],
        &["receive", &meta],
        &["inspect", &meta],
        &["replay", &run],
        &["replay", &pipe],
    ] {
        let begun = Instant::now();
        let (code, said) = failure_of(args);
        assert_eq!(code, Some(2), "{args:?}: {said}");
        let whys = ["longer than", "regular file", "nobody writes to it"];
        let why = whys.iter().any(|why| said.contains(why));
        assert!(why && begun.elapsed() < Duration::from_secs(5), "{args:?}: {said}");
    }
}

/// What is written replaces files, and nothing else; a log begins in an empty one.
#[test]
fn devices_pipes_and_logs_are_not_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (pipe, secret) = (path("pipe"), path("secret"));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    fs::write(&secret, "secret").unwrap();
    let frames = "data/frames/frames-10db.sigmf-meta";
    let user = ["user", "--radio", "air:/nowhere", "--seed", "1", "--probes"];
    let air = ["air", "--listen", "127.0.0.1:0", "--bursts"];
    for (args, said) in [
        (&["inspect", frames, "-o", &pipe][..], "regular file"),
        (&["qkd", "simulate", "--plot", &pipe], "regular file"),
        (&["inspect", frames, "-o", "/dev/null"], "regular file"),
        (&[&user[..], &[&pipe]].concat(), "nobody reads"),
        (&[&air[..], &[&pipe]].concat(), "nobody reads"),
        (&[&user[..], &[&secret]].concat(), "not empty"),
        (&[&air[..], &[&secret]].concat(), "not empty"),
    ] {
        let begun = Instant::now();
        let seen = failure_of(args);
        assert!(seen.0 == Some(2) && seen.1.contains(said), "{args:?}: {seen:?}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{args:?}");
    }
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret");
    assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
}

/// `crqkd … | head`, and the same with standard error: what a command finds does not depend on who reads it.
#[test]
fn a_reader_who_goes_away_changes_no_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().display().to_string();
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    for (args, code) in [
        (&["qkd", "audit", &empty, &empty][..], 1),
        (&["qkd", "audit", &empty, &empty, "--json"], 1),
        (&["keygen", "--qap", &empty, "--user", &empty], 2),
        (&["scenario", "show", "hall"], 0),
        (&["receive", "data/frames/frames-10db.sigmf-meta"], 0),
        (&["demo", "--groups", "4", "--scenario", "data/scenarios/hall-small.toml"], 0),
    ] {
        let status = command().args(args).stdout(closed()).stderr(closed()).status().unwrap();
        assert_eq!(status.code(), Some(code), "{args:?}");
    }
}

/// FutureSDR would panic, or be killed, in the middle of the run.
#[test]
fn a_folder_for_temporary_files_that_cannot_be_used_is_said_before_the_run() {
    for (folder, code) in [("/nowhere/at/all", 2), ("/proc/self", 2)] {
        let mut demo = command();
        demo.args(["demo", "--groups", "1"]).env("TMPDIR", folder);
        let output = demo.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{folder}: {said}");
        assert!(said.contains("TMPDIR") && !said.contains("panicked"), "{folder}: {said}");
    }
}

/// `ulimit -f` is a disk that is full, not a signal.
#[test]
fn a_file_that_may_not_grow_is_an_error_of_the_storage() {
    let dir = tempfile::tempdir().unwrap();
    let record = "ulimit -f 8500 && exec \"$0\" simulate --seconds 5 --record \"$1\"";
    let mut shell = Command::new("bash");
    shell.args(["-c", record, env!("CARGO_BIN_EXE_crqkd")]).arg(dir.path().join("run"));
    let output = shell.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("File too large"), "{said}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{said}");
}

#[test]
fn options_that_cancel_each_other_are_refused() {
    for args in [
        &["-v", "-q", "scenario", "show"][..],
        &["reproduce", "table2", "--fit", "--json"],
        &["qap", "--seed", "1", "--keys", "k", "--radio", "air:127.0.0.1:1"],
        &[
            "qkd",
            "bob",
            "--listen",
            "127.0.0.1:1",
            "--connect",
            "127.0.0.1:2",
            "--dir",
            "d",
            "--secret",
            "s",
        ],
        &["qkd", "simulate", "--step-km", "5"],
    ] {
        let (code, said) = failure_of(args);
        assert_eq!(code, Some(2), "{args:?}: {said}");
        assert!(said.contains("cannot be used with") || said.contains("required"), "{said}");
    }
}

#[test]
fn a_demo_of_all_scenarios_saves_each_in_a_folder_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let save = dir.path().join("runs");
    let text = stdout_of(
        ["demo", "--scenario", "all", "--groups", "8", "--json", "--save"]
            .map(PathBuf::from)
            .iter()
            .chain([&save]),
    );
    let document: Value = serde_json::from_str(&text).unwrap();
    let names: Vec<_> =
        document["runs"].as_array().unwrap().iter().map(|run| &run["scenario"]).collect();
    assert_eq!(names, ["office", "hall", "corridor"]);
    for name in ["office", "hall", "corridor"] {
        let page = dir.path().join(format!("{name}.html"));
        let run = save.join(name);
        stdout_of([Path::new("report"), &run, Path::new("-o"), &page]);
        assert!(fs::read_to_string(page).unwrap().contains(name));
    }
    // What is there is not touched, and nothing runs before that is known.
    let before = entries(&save.join("hall"));
    let begun = Instant::now();
    for folder in [&save, &save.join("hall")] {
        let (code, said) = failure_of([Path::new("demo"), Path::new("--save"), folder.as_path()]);
        assert!(code == Some(2) && said.contains("--save"), "{said}");
    }
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(entries(&save.join("hall")), before);
}

fn entries(dir: &Path) -> Vec<(PathBuf, u64)> {
    let mut all: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.path(), entry.metadata().unwrap().len()))
        .collect();
    all.sort();
    all
}

fn silent(args: &[&str]) -> Child {
    let mut command = command();
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn stopped(child: Child, signal: &str) -> (Duration, Output) {
    let begun = Instant::now();
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
    let output = child.wait_with_output().unwrap();
    (begun.elapsed(), output)
}

/// Long work and endless waits alike.
#[test]
fn ctrl_c_and_sigterm_end_every_command_within_a_second_or_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let [secret, other, socket] = ["secret", "other", "air.sock"].map(path);
    stdout_of(["qkd", "secret", &secret]);
    fs::copy(&secret, &other).unwrap();
    let (alice, bob, plot, record) = (path("alice"), path("bob"), path("plot.svg"), path("run"));
    // A port on which nobody answers.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = nobody.local_addr().unwrap().to_string();
    let radio = format!("air:{socket}");
    let cases: [&[&str]; 10] = [
        &["qkd", "bob", "--listen", "127.0.0.1:0", "--dir", &bob, "--secret", &secret],
        &["qkd", "alice", "--connect", &nobody, "--dir", &alice, "--secret", &other],
        &["qkd", "simulate", "--blocks", "1000", "--plot", &plot],
        &["reproduce", "table2", "--bits", "1000000000"],
        &["demo", "--scenario", "all", "--groups", "1000"],
        &["faults"],
        &["bench", "quantum"],
        &["bench", "polar"],
        &["air", "--listen", &socket],
        &["simulate", "--seconds", "1000", "--record", &record],
    ];
    for (i, args) in cases.into_iter().enumerate() {
        let (signal, code) = [("-INT", 130), ("-TERM", 143)][i % 2];
        let child = silent(args);
        std::thread::sleep(Duration::from_millis(700));
        let (took, output) = stopped(child, signal);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(took < Duration::from_millis(2500), "{args:?} took {took:?}");
        assert!(!said.contains("panicked"), "{args:?}: {said}");
    }
    // A role that waits for its air.
    let child = silent(&["user", "--radio", &radio, "--seed", "1"]);
    std::thread::sleep(Duration::from_millis(300));
    let (took, _) = stopped(child, "-INT");
    assert!(took < Duration::from_millis(2500), "{took:?}");
    assert!(!Path::new(&plot).exists() && !Path::new(&socket).exists());
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("tmp")), "{left:?}");
}

/// The demo's result after a signal is marked as such.
#[test]
fn what_is_printed_after_a_signal_says_that_it_was_interrupted() {
    let child = silent(&["qkd", "simulate", "--to-km", "100", "--step-km", "0.1", "--json"]);
    std::thread::sleep(Duration::from_secs(3));
    let (_, output) = stopped(child, "-INT");
    assert_eq!(output.status.code(), Some(130));
    if !output.stdout.is_empty() {
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["interrupted"], true);
    }
}

/// A run whose air time ends before its keys are there has not done what was asked for, and says so.
#[test]
fn a_demo_that_runs_out_of_air_says_so_and_is_no_success() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("short.toml");
    let shown = stdout_of(["scenario", "show", &small()]);
    let line = shown.lines().find(|line| line.starts_with("max_air_time_s")).unwrap();
    fs::write(&file, shown.replace(line, "max_air_time_s = 6.0")).unwrap();
    let output = crqkd(["demo", "--groups", "64", "--scenario", file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("NOT COMPLETE") && said.contains("keys;"), "{said}");
}

#[test]
fn scenario_check_goes_through_all_files_and_refuses_what_demo_would() {
    let dir = tempfile::tempdir().unwrap();
    let shown = stdout_of(["scenario", "show", "hall"]);
    let write = |name: &str, text: &str| {
        let file = dir.path().join(name);
        fs::write(&file, text).unwrap();
        file.display().to_string()
    };
    let line = shown
        .lines()
        .find(|line| line.starts_with("taps"))
        .or_else(|| shown.lines().find(|line| line.starts_with("turnaround")));
    let bad = write("bad.toml", &shown.replace(line.unwrap(), "no_such_key = 1"));
    let good = write("good.toml", &shown);
    let missing = dir.path().join("missing.toml").display().to_string();
    let output = crqkd(["scenario", "check", &bad, &missing, &good]);
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert_eq!(output.status.code(), Some(2));
    assert!(out.contains("good.toml: ok"), "{out}");
    assert!(err.contains("bad.toml:") && err.contains("missing.toml"), "{err}");
    let (code, said) = failure_of(["demo", "--scenario", &bad]);
    assert!(code == Some(2) && said.contains("no_such_key"), "{said}");
}

/// "x: x: No such file" says one thing twice.
#[test]
fn errors_are_said_once_and_name_the_folder_that_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let lost = dir.path().join("no/such/place.sigmf-meta");
    let lost = lost.to_str().unwrap();
    for args in [
        &["scenario", "check", lost][..],
        &["receive", lost],
        &["inspect", lost],
        &["inspect", "data/frames/frames-10db.sigmf-meta", "-o", lost],
        &["replay", lost],
        &["report", lost],
        &["keygen", "--qap", lost, "--user", lost],
        &["qkd", "secret", lost],
        &["qkd", "audit", lost, lost],
        &["qkd", "simulate", "--link", lost],
        &["qkd", "simulate", "--plot", lost],
        &["polar", "fer", "-n", "128", "-k", "64", "-o", lost],
    ] {
        let (code, said) = failure_of(args);
        assert!(matches!(code, Some(2 | 3)), "{args:?}: {said}");
        assert!(said.contains(lost) || said.contains("no/such"), "{args:?}: {said}");
        let mut parts: Vec<_> = said.trim().split(": ").collect();
        let all = parts.len();
        parts.sort_unstable();
        parts.dedup();
        assert_eq!(parts.len(), all, "{args:?}: {said}");
        assert_eq!(said.matches("crqkd:").count(), 1, "{args:?}: {said}");
    }
}

#[test]
fn the_reference_page_of_scenario_files_is_what_the_types_say() {
    let page = stdout_of(["scenario", "reference"]);
    let file = common::root().join("docs/reference/scenario.md");
    assert!(
        fs::read_to_string(file).unwrap() == page,
        "run `crqkd scenario reference > docs/reference/scenario.md`"
    );
}

#[test]
fn completions_and_manual_pages_cover_every_command() {
    let bash = stdout_of(["completions", "bash"]);
    let dir = tempfile::tempdir().unwrap();
    stdout_of([Path::new("man"), dir.path()]);
    for name in ["demo", "receive", "keygen", "qkd", "qap", "user", "eve", "air"] {
        assert!(bash.contains(name), "{name}");
        let page = fs::read_to_string(dir.path().join(format!("crqkd-{name}.1"))).unwrap();
        assert!(page.contains(".SH OPTIONS") || page.contains(".SH SUBCOMMANDS"), "{name}");
    }
    assert!(dir.path().join("crqkd-qkd-alice.1").exists());
}

#[test]
fn every_level_of_the_command_tells_the_same_version() {
    let version = stdout_of(["--version"]);
    for args in [&["qkd", "--version"][..], &["qkd", "alice", "-V"], &["demo", "--version"]] {
        assert_eq!(stdout_of(args), version, "{args:?}");
    }
}

/// Colour codes in a log file are noise.
#[test]
fn logs_have_no_colour_codes_off_a_terminal_and_quiet_is_quiet() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (secret, bob) = (path("secret"), path("bob"));
    stdout_of(["qkd", "secret", &secret]);
    let end = ["qkd", "bob", "--listen", "127.0.0.1:0", "--dir", &bob, "--secret", &secret];
    let child = silent(&[&["-v"], &end[..]].concat());
    std::thread::sleep(Duration::from_millis(2500));
    let (_, output) = stopped(child, "-TERM");
    assert!(output.stderr.len() > 30 && !output.stderr.contains(&0x1b));
    let output = crqkd(["-q", "demo", "--groups", "8", "--scenario", &small()]);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// Bob, too, says what he has when he is asked to end, whether a block is under way or not.
#[test]
#[cfg(unix)]
fn an_end_that_is_asked_to_end_while_it_is_connected_reports() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let secret = path("secret");
    assert!(command().args(["qkd", "secret", &secret]).status().unwrap().success());
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let start = |role: &str, way: &str, json: &str| {
        let mut end = command();
        end.args(["qkd", role, way, &address, "--dir", &path(role), "--secret", &secret, "--json"]);
        if role == "alice" {
            end.args(["--blocks", "0"]);
        }
        end.stdout(std::fs::File::create(path(json)).unwrap());
        end.stderr(std::process::Stdio::null()).spawn().unwrap()
    };
    let mut alice = start("alice", "--listen", "a.json");
    for wait_ms in [700, 1500, 2300] {
        let mut bob = start("bob", "--connect", "b.json");
        std::thread::sleep(Duration::from_millis(wait_ms));
        let kill =
            std::process::Command::new("kill").args(["-TERM", &bob.id().to_string()]).status();
        assert!(kill.unwrap().success());
        assert_eq!(bob.wait().unwrap().code(), Some(143));
        let said = std::fs::read_to_string(path("b.json")).unwrap();
        let report: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(report["interrupted"], true, "{said}");
    }
    alice.kill().unwrap();
    alice.wait().unwrap();
}
