//! Our recordings before the reference implementation of SigMF: Python package sigmf 1.14.0.
//!
//! Its validator is taken from `PATH` when it has that version; otherwise it is installed into a virtual environment in
//! the target folder, once. Without Python 3 the test fails and says so.

#![allow(clippy::panic, clippy::unwrap_used)]

mod common;

use common::{crqkd, data, root};
use crqkd_recording::{Annotation, Complex32, Datatype, RecordingInfo, RunWriter};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

const VERSION: &str = "1.14.0";

/// The search path with which `sigmf_validate` and `python3` are the reference's.
fn search_path() -> &'static OsString {
    static PATH: OnceLock<OsString> = OnceLock::new();
    PATH.get_or_init(|| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        if is_reference(&path) {
            return path;
        }
        let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("sigmf-{VERSION}"));
        let mut folders = vec![venv.join("bin")];
        folders.extend(std::env::split_paths(&path));
        let ours = std::env::join_paths(folders).unwrap();
        if !is_reference(&ours) {
            install(&venv);
            assert!(is_reference(&ours), "{} was made, but does not run", venv.display());
        }
        ours
    })
}

/// Whether both the validator and the library are there in the right version.
fn is_reference(path: &OsString) -> bool {
    let says = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).env("PATH", path).output();
        output.is_ok_and(|output| {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            output.status.success() && text.split_whitespace().last() == Some(VERSION)
        })
    };
    says("sigmf_validate", &["--version"])
        && says("python3", &["-c", "import sigmf; print(sigmf.__version__)"])
}

fn install(venv: &Path) {
    let run = |program: &Path, args: &[&str]| {
        let output = Command::new(program).args(args).output().unwrap_or_else(|error| {
            panic!(
                "{}: {error}. This test needs Python 3 with venv, or sigmf_validate {VERSION} in PATH",
                program.display()
            )
        });
        assert!(
            output.status.success(),
            "{} {} failed; it needs Python 3 with venv and a package index. To go without: pip install sigmf=={VERSION}\n{}",
            program.display(),
            args.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
    };
    run(Path::new("python3"), &["-m", "venv", "--clear", venv.to_str().unwrap()]);
    let package = format!("sigmf=={VERSION}");
    run(&venv.join("bin/python3"), &["-m", "pip", "install", "--quiet", &package]);
}

fn reference(program: &str, args: &[PathBuf]) -> Output {
    Command::new(program)
        .args(args)
        .current_dir(root())
        .env("PATH", search_path())
        .output()
        .unwrap()
}

fn assert_accepted(output: &Output) {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

/// Descriptions, order of captures, checksums, and a collection's members by their hashes.
fn assert_valid_run(dir: &Path) {
    let script = root().join("core/recording/tests/sigmf_validate.sh");
    assert_accepted(&reference("sh", &[script, dir.to_path_buf()]));
}

#[test]
fn the_recordings_in_data_are_valid() {
    assert_accepted(&reference("sigmf_validate", &[data("frames/frames-10db.sigmf-meta")]));
    assert_accepted(&reference("sigmf_validate", &[data("damaged/broken-header.sigmf-meta")]));
    for place in ["office", "hall", "corridor"] {
        let of = |radio: &str| data(format!("recordings/{place}/{radio}.sigmf-meta"));
        assert_accepted(&reference("sigmf_validate", &[of("qap1"), of("alice")]));
    }
}

#[test]
fn a_run_of_the_recording_writer_is_valid() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("run");
    let run = RunWriter::create(&place, "run").unwrap();
    let mut members = Vec::new();
    for (name, datatype) in [("qap1", Datatype::Ci16Le), ("user", Datatype::Cf32Le)] {
        let info = RecordingInfo { datatype, frequency_hz: Some(2.605e9), ..Default::default() };
        let mut writer = run.recording(name, info).unwrap();
        // Gated stretches, and an annotation of every kind: whole, in two stretches, beyond the end.
        for time in [1000, 9000, 20_000] {
            writer.write(time, &[Complex32::new(0.25, -0.5); 300]).unwrap();
        }
        for (start, count) in [(1010, 100), (9200, 15_000), (20_250, 100)] {
            writer.annotate(Annotation::new(start, count, "frame").with("cfo_hz", 12.5)).unwrap();
        }
        members.push(writer.finish().unwrap());
    }
    let fields = serde_json::json!({ "seed": 1 });
    run.finish(&members, fields.as_object().unwrap().clone()).unwrap();
    assert_valid_run(&place);
}

#[test]
fn what_simulate_records_is_valid() {
    let dir = tempfile::tempdir().unwrap();
    for datatype in ["cf32", "ci16"] {
        let run = dir.path().join(datatype);
        let output = crqkd(
            [
                "simulate",
                "--scenario",
                "hall",
                "--seconds",
                "0.5",
                "--datatype",
                datatype,
                "--record",
            ]
            .map(OsString::from)
            .into_iter()
            .chain([run.clone().into_os_string()]),
        );
        assert_accepted(&output);
        assert_valid_run(&run);
    }
}

/// The reference finds the faults, too: it is not fooled, and neither are these tests.
#[test]
fn the_reference_refuses_the_damaged_ones() {
    for name in ["wrong-checksum", "unknown-datatype", "cut-description"] {
        let file = data(format!("damaged/{name}.sigmf-meta"));
        let output = reference("sigmf_validate", &[file]);
        assert!(!output.status.success(), "{name} was accepted");
    }
}
