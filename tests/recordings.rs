//! Runs that were recorded give the same keys when they are received again.
#![allow(clippy::unwrap_used)] // helpers of tests, outside of #[test] functions

mod common;

use common::{command as crqkd, data};

#[test]
fn the_recordings_in_data_still_give_the_keys_of_their_runs() {
    for place in ["office", "hall", "corridor"] {
        let dir = data(format!("recordings/{place}"));
        let output = crqkd().arg("replay").arg(&dir).output().unwrap();
        let (out, err) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{place}: {err}");
        assert!(
            out.contains("link 1: 1 windows of channel key, 3 groups opened"),
            "{place}: {out}"
        );
        assert!(err.contains("the replay gives the keys of the run"), "{place}: {err}");
    }
}

#[test]
fn a_run_that_is_recorded_and_replayed_gives_the_same_final_keys() {
    let scratch = tempfile::tempdir().unwrap();
    let run = scratch.path().join("run");
    let scenario = data("scenarios/hall-small.toml");
    let simulated = crqkd()
        .args(["simulate", "--seconds", "8", "--seed", "7", "--json", "--scenario"])
        .arg(&scenario)
        .arg("--record")
        .arg(&run)
        .output()
        .unwrap();
    assert_eq!(simulated.status.code(), Some(0), "{}", String::from_utf8_lossy(&simulated.stderr));
    let replayed = crqkd().args(["replay", "--json"]).arg(&run).output().unwrap();
    assert_eq!(replayed.status.code(), Some(0), "{}", String::from_utf8_lossy(&replayed.stderr));
    let [before, outcome] = [&simulated, &replayed].map(|output| {
        let mut document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let schema = document.as_object_mut().unwrap().remove("schema").unwrap();
        assert!(["crqkd/simulate/1", "crqkd/replay/1"].contains(&schema.as_str().unwrap()));
        document
    });
    assert_eq!(before, outcome);
    let key = &outcome["keys"][0];
    assert!(key["alice"].is_string());
    assert_eq!(key["alice"], key["bob"]);

    // The folder is not overwritten.
    let again = crqkd().args(["simulate", "--record"]).arg(&run).output().unwrap();
    assert_eq!(again.status.code(), Some(2));
    // A page can be made of it.
    let page = scratch.path().join("report.html");
    let report = crqkd().arg("report").arg(&run).arg("-o").arg(&page).output().unwrap();
    assert_eq!(report.status.code(), Some(0), "{}", String::from_utf8_lossy(&report.stderr));
    assert!(std::fs::read_to_string(&page).unwrap().contains("<svg"));
}

#[test]
fn a_recording_that_was_changed_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let from = data("recordings/hall");
    for entry in std::fs::read_dir(&from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, scratch.path().join(path.file_name().unwrap())).unwrap();
    }
    let samples = scratch.path().join("alice.sigmf-data");
    let mut bytes = std::fs::read(&samples).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&samples, bytes).unwrap();
    let output = crqkd().arg("replay").arg(scratch.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("alice.sigmf-data") && text.contains("sha512"), "{text}");
}
