//! Saving, loading and every kind of damage.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests

mod support;

use crqkd_report::{LinkData, ReportError, RunData};
use proptest::prelude::*;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use tempfile::TempDir;

fn saved() -> (TempDir, RunData) {
    static RUN: LazyLock<RunData> = LazyLock::new(|| support::run(2, 7));
    let dir = TempDir::new().unwrap();
    RUN.save(dir.path()).unwrap();
    (dir, RUN.clone())
}

fn error(dir: &Path) -> ReportError {
    RunData::load(dir).expect_err("a damaged run must not load")
}

#[test]
fn a_saved_run_loads_equal() {
    let (dir, run) = saved();
    assert!(RunData::load(dir.path()).unwrap() == run);
}

#[test]
fn a_run_without_links_or_with_an_empty_link_loads_equal() {
    let dir = TempDir::new().unwrap();
    let mut run = RunData::new("empty", 0);
    run.save(dir.path()).unwrap();
    assert!(RunData::load(dir.path()).unwrap() == run);
    run.links.push(LinkData { qap: "QAP1".into(), user: "Alice".into(), ..LinkData::default() });
    run.save(dir.path()).unwrap();
    assert!(RunData::load(dir.path()).unwrap() == run);
}

#[test]
fn saving_again_replaces_the_run_and_leaves_no_temporary_file() {
    let (dir, _) = saved();
    let other = support::run(1, 8);
    other.save(dir.path()).unwrap();
    assert!(RunData::load(dir.path()).unwrap() == other);
    for entry in fs::read_dir(dir.path()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name == "run.json" || name.ends_with(".npy"), "{name}");
    }
}

#[test]
fn equal_runs_are_equal_byte_by_byte() {
    let (one, _) = saved();
    let (two, _) = saved();
    for entry in fs::read_dir(one.path()).unwrap() {
        let name = entry.unwrap().file_name();
        let bytes = |dir: &TempDir| fs::read(dir.path().join(&name)).unwrap();
        assert!(bytes(&one) == bytes(&two), "{name:?}");
    }
}

#[test]
fn a_missing_array_is_named_with_its_shape() {
    let (dir, _) = saved();
    fs::remove_file(dir.path().join("link1_csi_eve.npy")).unwrap();
    let error = error(dir.path());
    assert!(matches!(error, ReportError::Missing { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("link1_csi_eve.npy: missing"), "{text}");
    assert!(text.contains("complex64 with shape [256, 52]"), "{text}");
}

#[test]
fn a_missing_description_or_folder_is_named() {
    let (dir, _) = saved();
    fs::remove_file(dir.path().join("run.json")).unwrap();
    assert!(error(dir.path()).to_string().contains("run.json: missing"));
    assert!(matches!(error(&dir.path().join("nowhere")), ReportError::Missing { .. }));
}

#[test]
fn a_truncated_array_is_refused_with_both_lengths() {
    let (dir, _) = saved();
    let path = dir.path().join("link0_csi_user.npy");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 5]).unwrap();
    let error = error(dir.path());
    let expected_bytes = 256 * 52 * 8;
    assert!(
        matches!(error, ReportError::WrongLength { expected, found, .. }
            if expected == expected_bytes && found == expected_bytes - 5),
        "{error}"
    );
}

#[test]
fn an_array_with_bytes_behind_its_end_is_refused() {
    let (dir, _) = saved();
    let path = dir.path().join("link0_bits_qap.npy");
    let mut bytes = fs::read(&path).unwrap();
    bytes.push(0);
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(error(dir.path()), ReportError::WrongLength { .. }));
}

#[test]
fn an_array_of_another_shape_is_refused_with_both_shapes() {
    let (dir, _) = saved();
    let at = |name: &str| dir.path().join(name);
    fs::copy(at("link0_bits_qap.npy"), at("link0_bits_user.npy")).unwrap();
    RunData::load(dir.path()).expect("the same shape is no damage");
    fs::copy(at("link0_impulse.npy"), at("link0_csi_user.npy")).unwrap();
    let text = error(dir.path()).to_string();
    assert!(
        text.contains("expected shape [256, 52]") && text.contains("found [256, 32]"),
        "{text}"
    );
}

#[test]
fn an_array_of_another_type_is_refused_with_both_types() {
    let (dir, _) = saved();
    let path = dir.path().join("link0_air_time_s.npy");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(3).position(|w| w == b"<f8").unwrap();
    bytes[at..at + 3].copy_from_slice(b"<i8");
    fs::write(&path, &bytes).unwrap();
    let text = error(dir.path()).to_string();
    assert!(text.contains("type float64, found '<i8'"), "{text}");
}

#[test]
fn a_file_that_is_no_array_is_refused() {
    let (dir, _) = saved();
    fs::write(dir.path().join("link0_csi_qap.npy"), b"not an array at all").unwrap();
    assert!(matches!(error(dir.path()), ReportError::NotNpy { .. }));
    fs::write(dir.path().join("link0_csi_qap.npy"), b"").unwrap();
    assert!(matches!(error(dir.path()), ReportError::NotNpy { .. }));
}

#[test]
fn values_out_of_range_are_refused_with_their_place() {
    let (dir, _) = saved();
    let path = dir.path().join("link0_bits_eve.npy");
    let bytes = fs::read(&path).unwrap();
    let mut damaged = bytes.clone();
    let last = damaged.len() - 1;
    damaged[last] = 7;
    fs::write(&path, &damaged).unwrap();
    let text = error(dir.path()).to_string();
    assert!(text.contains("bits of eve: expected 0 or 1, found 7 at index 1023"), "{text}");
    fs::write(&path, &bytes).unwrap();

    let path = dir.path().join("link0_csi_qap.npy");
    let mut damaged = fs::read(&path).unwrap();
    let last = damaged.len() - 4;
    damaged[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&path, &damaged).unwrap();
    let text = error(dir.path()).to_string();
    assert!(
        text.contains("csi of qap: expected finite values") && text.contains("[255, 51]"),
        "{text}"
    );
}

#[test]
fn a_broken_description_is_refused_with_its_line() {
    let (dir, _) = saved();
    let path = dir.path().join("run.json");
    let json = fs::read_to_string(&path).unwrap();
    fs::write(&path, &json[..json.len() / 2]).unwrap();
    assert!(matches!(error(dir.path()), ReportError::Json { line: 2.., .. }));
    fs::write(&path, json.replace("\"seed\"", "\"sead\"")).unwrap();
    assert!(error(dir.path()).to_string().contains("unknown field `sead`"));
    fs::write(&path, json.replace("\"crqkd_run_format\": 1", "\"crqkd_run_format\": 9")).unwrap();
    assert!(matches!(error(dir.path()), ReportError::Version { expected: 1, found: 9, .. }));
    fs::write(&path, json.replacen("\"probes\": 128", "\"probes\": 300", 1)).unwrap();
    assert!(matches!(error(dir.path()), ReportError::InFile { .. }));
}

#[test]
fn a_run_that_does_not_fit_together_is_not_saved() {
    let dir = TempDir::new().unwrap();
    let mut run = support::run(1, 9);
    run.links[0].air_time_s.pop();
    assert!(matches!(run.save(dir.path()), Err(ReportError::Inconsistent { .. })));
    let mut run = support::run(1, 9);
    run.links[1].groups.push(crqkd_report::GroupRecord {
        group: 1,
        attempt: 1,
        kdr: f64::NAN,
        eve_kdr: None,
        decoded: false,
    });
    assert!(run.save(dir.path()).is_err());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever byte is changed or however much is cut off: an error or a run, never a panic, and
    /// a run that loads can be drawn.
    #[test]
    fn no_damage_makes_loading_panic(which in 0usize..4, at in any::<prop::sample::Index>(), byte: u8, cut: bool) {
        let (dir, _) = saved();
        let name = ["run.json", "link0_csi_qap.npy", "link1_bits_user.npy", "link0_impulse.npy"][which];
        let path = dir.path().join(name);
        let mut bytes = fs::read(&path).unwrap();
        // Headers are where it matters: half of the cases fall there.
        let at = at.index(if byte & 1 == 0 { bytes.len() } else { bytes.len().min(128) });
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        fs::write(&path, &bytes).unwrap();
        if let Ok(run) = RunData::load(dir.path()) {
            crqkd_report::render(&run);
        }
    }
}
