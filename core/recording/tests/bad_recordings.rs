//! Damaged recordings and collections: each gives an error that names file, place and what was expected.

#![allow(clippy::unwrap_used)]
use std::fs;
use std::path::{Path, PathBuf};

use crqkd_recording::{
    Annotation, Collection, Complex32, Datatype, ErrorKind, Recording, RecordingError,
    RecordingInfo, RunWriter, read_matrix, read_paired,
};

/// A run of two recordings; `qap` has two captures of 100 samples each and an annotation in the second.
fn run(dir: &Path) -> PathBuf {
    let dir = dir.join("run");
    let run = RunWriter::create(&dir, "hall").unwrap();
    let members: Vec<_> = ["qap", "user"]
        .iter()
        .map(|name| {
            let info = RecordingInfo { datatype: Datatype::Ci16Le, ..Default::default() };
            let mut writer = run.recording(name, info).unwrap();
            for time in [1000, 2000] {
                writer.write(time, &[Complex32::new(0.25, -0.5); 100]).unwrap();
            }
            writer.annotate(Annotation::new(2010, 50, "probe 0").with("cfo_hz", -1250.5)).unwrap();
            writer.finish().unwrap()
        })
        .collect();
    let fields = serde_json::json!({ "seed": 7 });
    run.finish(&members, fields.as_object().unwrap().clone()).unwrap();
    dir
}

/// Replaces text in a file that holds it.
fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

fn open(dir: &Path) -> Result<Recording, RecordingError> {
    Recording::open(&dir.join("qap"))
}

#[test]
fn a_run_is_read_as_it_was_written() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = run(scratch.path());
    let mut names: Vec<_> = fs::read_dir(&dir)
        .unwrap()
        .map(|x| x.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let expected = [
        "hall.sigmf-collection",
        "qap.sigmf-data",
        "qap.sigmf-meta",
        "user.sigmf-data",
        "user.sigmf-meta",
    ];
    assert_eq!(names, expected, "no temporary file is left");
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
    let collection = Collection::open(&dir).unwrap();
    assert_eq!(collection.members(), ["qap", "user"]);
    assert_eq!(collection.fields()["seed"], 7);
    let recording = collection.recording("user").unwrap();
    assert_eq!(recording.collection(), Some("hall"));
    assert_eq!(recording.sample_rate_hz(), Some(20e6));
    assert_eq!(recording.captures().collect::<Vec<_>>(), [(1000, 100), (2000, 100)]);
    assert_eq!(
        recording.annotations(),
        [Annotation::new(2010, 50, "probe 0").with("cfo_hz", -1250.5)]
    );
    #[cfg(unix)]
    for name in names.iter().filter(|name| !name.contains("collection")) {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(dir.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}: what was received is as secret as the key");
    }
    let error = collection.recording("eve").unwrap_err();
    assert!(error.to_string().ends_with("no member \"eve\", expected one of [\"qap\", \"user\"]"));
}

#[test]
fn a_run_given_up_or_in_the_way_of_another_leaves_things_as_they_were() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = run(scratch.path());
    let error = RunWriter::create(&dir, "hall").unwrap_err();
    assert!(error.to_string().ends_with("is there already, expected a new or empty directory"));
    let other = scratch.path().join("other");
    let given_up = RunWriter::create(&other, "hall").unwrap();
    let mut writer = given_up.recording("qap", RecordingInfo::default()).unwrap();
    writer.write(0, &[Complex32::new(1.0, 0.0)]).unwrap();
    writer.finish().unwrap();
    drop(given_up);
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1, "only the first run");
    for name in ["", "../x", ".hidden", "a/b", "a b"] {
        assert!(RunWriter::create(&other, name).is_err(), "{name:?}");
    }
}

#[test]
fn data_that_was_cut_off_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = run(scratch.path());
    let data = dir.join("qap.sigmf-data");
    let bytes = fs::read(&data).unwrap();
    fs::write(&data, &bytes[..bytes.len() - 3]).unwrap();
    let error = open(&dir).unwrap_err();
    assert_eq!(error.path, data);
    let text = "byte 796: 1 bytes left over, expected whole samples of 4 bytes";
    assert_eq!(error.kind.to_string(), text);
    fs::write(&data, &bytes[..4 * 150]).unwrap();
    let error = open(&dir).unwrap_err();
    assert_eq!(error.path, data);
    assert!(matches!(error.kind, ErrorKind::Checksum { .. }), "{error}");
    let recording = Recording::open_unverified(&dir.join("qap")).unwrap();
    assert!(recording.annotations().is_empty());
    let warning = &recording.warnings()[0];
    assert!(
        warning.contains("sample 150: the data ends, expected at least 160 samples (annotations"),
        "{warning}"
    );
    fs::write(&data, &bytes[..4 * 50]).unwrap();
    assert_eq!(
        open(&dir).unwrap_err().kind.to_string(),
        "sample 50: the data ends, expected at least 100 samples (captures[1].core:sample_start)"
    );
    fs::write(&data, &bytes[..4 * 190]).unwrap();
    assert!(matches!(open(&dir).unwrap_err().kind, ErrorKind::Checksum { .. }));
    fs::write(&data, []).unwrap();
    assert!(matches!(open(&dir).unwrap_err().kind, ErrorKind::Empty { .. }));
    fs::remove_file(&data).unwrap();
    let error = open(&dir).unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Missing) && error.path == data);
}

#[test]
fn data_that_was_changed_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = run(scratch.path());
    let data = dir.join("qap.sigmf-data");
    let mut bytes = fs::read(&data).unwrap();
    bytes[17] ^= 1;
    fs::write(&data, bytes).unwrap();
    let error = open(&dir).unwrap_err();
    assert_eq!(error.path, data);
    let text = error.kind.to_string();
    assert!(text.starts_with("SHA-512 is ") && text.ends_with("… (global.core:sha512)"), "{text}");
    assert!(Recording::open_unverified(&dir.join("qap")).is_ok(), "whoever asks for it gets them");
    assert!(Collection::open(&dir).is_ok(), "the descriptions are as they were");
}

#[test]
fn a_description_with_a_wrong_field_is_refused_with_its_name() {
    let cases = [
        (
            r#""core:datatype": "ci16_le""#,
            r#""core:datatype": "ri8""#,
            r#"global.core:datatype is "ri8", expected "cf32_le" or "ci16_le""#,
        ),
        (
            r#""core:datatype": "ci16_le","#,
            "",
            r#"global.core:datatype is missing, expected "cf32_le" or "ci16_le""#,
        ),
        (
            r#""core:datatype": "ci16_le""#,
            r#""core:datatype": 3"#,
            "global.core:datatype is 3, expected a string",
        ),
        (
            r#""core:version": "1.2.6""#,
            r#""core:version": "7.0""#,
            r#"global.core:version is "7.0", expected 0.x or 1.x"#,
        ),
        (
            r#""core:num_channels": 1"#,
            r#""core:num_channels": 2"#,
            "global.core:num_channels is 2, expected 1",
        ),
        (
            r#""core:sample_rate": 20000000.0"#,
            r#""core:sample_rate": -1"#,
            "global.core:sample_rate is -1, expected above 0, at most 1e12",
        ),
        (
            r#""core:sample_rate": 20000000.0"#,
            r#""core:dataset": "x.wav""#,
            r#"global.core:dataset is "x.wav", expected none: only samples in a .sigmf-data file"#,
        ),
        (
            r#""crqkd:full_scale": 1.0"#,
            r#""crqkd:full_scale": 0"#,
            "global.crqkd:full_scale is 0, expected a positive number",
        ),
        (r#""optional": true"#, r#""optional": false"#, ""),
        (r#""name": "crqkd""#, r#""name": "other""#, ""),
        (
            r#""core:sample_start":100"#,
            r#""core:sample_start":-1"#,
            "captures[1].core:sample_start is -1, expected a whole number, 0 or more",
        ),
        (
            r#""core:global_index":2000"#,
            r#""core:global_index":1099"#,
            "captures[1].core:global_index is 1099, expected at least 1100",
        ),
        (
            r#""core:global_index":2000"#,
            r#""core:global_index":18446744073709551615"#,
            "captures[1].core:global_index is 18446744073709551615, expected at most 2^63 - 1",
        ),
        (
            r#""core:global_index":2000"#,
            r#""core:header_bytes":16"#,
            "captures[1].core:header_bytes is 16, expected 0: only samples in the data file",
        ),
    ];
    for (from, to, expected) in cases {
        let scratch = tempfile::tempdir().unwrap();
        let dir = run(scratch.path());
        let meta = dir.join("qap.sigmf-meta");
        edit(&meta, from, to);
        match open(&dir) {
            Err(error) => assert_eq!(
                (error.path.as_path(), error.kind.to_string().as_str()),
                (meta.as_path(), expected)
            ),
            Ok(_) => assert_eq!(expected, "", "{to} was accepted"),
        }
    }
}

#[test]
fn what_does_not_concern_the_samples_keeps_nobody_from_them() {
    let cases = [
        (r#""core:sample_count":50"#, r#""core:sample_count":"x""#, Some("core:sample_count is")),
        (r#""core:sample_count":50"#, r#""core:sample_count":5000"#, Some("(annotations[0])")),
        (r#""core:label":"probe 0""#, r#""core:label":7"#, Some("core:label is 7, expected a str")),
        (r#""core:label":"probe 0""#, r#""core:label":null"#, Some("core:label is null and")),
        (r#""core:num_channels": 1"#, r#""core:trailing_bytes": 0"#, None),
        (r#""core:num_channels": 1"#, r#""core:num_channels": null, "core:dataset": null"#, None),
        (r#""core:num_channels": 1"#, r#""core:offset": null, "core:author": null"#, None),
    ];
    for (from, to, warning) in cases {
        let scratch = tempfile::tempdir().unwrap();
        let dir = run(scratch.path());
        edit(&dir.join("qap.sigmf-meta"), from, to);
        let recording = Recording::open(&dir.join("qap")).unwrap();
        let found = recording.warnings().first().map(String::as_str);
        assert_eq!(found.is_some(), warning.is_some(), "{to}: {found:?}");
        assert!(found.unwrap_or_default().contains(warning.unwrap_or_default()), "{found:?}");
        assert_eq!(recording.samples().unwrap().warnings(), recording.warnings());
    }
    let scratch = tempfile::tempdir().unwrap();
    let dir = run(scratch.path());
    edit(&dir.join("qap.sigmf-meta"), r#""core:global_index":2000,"#, "");
    let recording = Recording::open(&dir.join("qap")).unwrap();
    assert_eq!(recording.captures().collect::<Vec<_>>(), [(1000, 100), (1100, 100)], "goes on");
}

#[test]
fn an_extension_that_is_needed_but_unknown_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = run(scratch.path());
    let meta = dir.join("qap.sigmf-meta");
    edit(&meta, r#""name": "crqkd""#, r#""name": "antenna""#);
    edit(&meta, r#""optional": true"#, r#""optional": false"#);
    let text = open(&dir).unwrap_err().kind.to_string();
    assert!(text.ends_with("expected no extension that is needed but unknown"), "{text}");
}

#[test]
fn a_description_that_is_not_json_is_refused_with_line_and_column() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = run(scratch.path());
    let meta = dir.join("qap.sigmf-meta");
    let text = fs::read_to_string(&meta).unwrap();
    fs::write(&meta, "{\"global\": {},\n \"captures\": []}").unwrap();
    let error = open(&dir).unwrap_err().kind;
    assert!(
        matches!(&error, ErrorKind::Json { line: 2, message, .. } if message.contains("annotations")),
        "{error}"
    );
    for len in 1..text.len() - 1 {
        if text.is_char_boundary(len) && len % 7 == 0 {
            fs::write(&meta, &text[..len]).unwrap();
            assert!(matches!(open(&dir).unwrap_err().kind, ErrorKind::Json { .. }), "{len}");
        }
    }
    fs::write(&meta, "").unwrap();
    assert!(matches!(open(&dir).unwrap_err().kind, ErrorKind::Empty { .. }));
}

#[test]
fn a_collection_with_a_missing_or_changed_member_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = run(scratch.path());
    let (collection, meta) = (dir.join("hall.sigmf-collection"), dir.join("user.sigmf-meta"));
    let original = fs::read(&meta).unwrap();

    edit(&meta, "20000000.0", "10000000.0");
    let error = Collection::open(&dir).unwrap_err();
    assert_eq!(error.path, meta);
    let text = error.kind.to_string();
    assert!(
        text.starts_with("SHA-512 is ") && text.contains("collection.core:streams[1].hash of"),
        "{text}"
    );

    fs::write(&meta, original).unwrap();
    for (extension, missing) in
        [("sigmf-data", "user.sigmf-data"), ("sigmf-meta", "user.sigmf-meta")]
    {
        fs::remove_file(meta.with_extension(extension)).unwrap();
        let error = Collection::open(&dir).unwrap_err();
        assert_eq!(error.path, collection);
        let text = error.kind.to_string();
        assert!(
            text.starts_with("collection.core:streams[1] names \"user\", expected a file "),
            "{text}"
        );
        // Without the description it is the description that is missed first.
        assert!(text.ends_with(missing), "{text}");
    }
}

#[test]
fn a_collection_that_leads_elsewhere_or_nowhere_is_refused() {
    let cases = [
        (
            r#""name": "user""#,
            r#""name": "../../etc/user""#,
            "collection.core:streams[1].name is \"../../etc/user\", expected 1 to 100",
        ),
        (r#""name": "user""#, r#""name": "qap""#, "collection.core:streams is "),
        (r#""name": "user""#, r#""nome": "user""#, "collection.core:streams is "),
        (
            r#""core:version": "1.2.6","#,
            "",
            "collection.core:version is missing, expected the version of SigMF",
        ),
        (
            r#""core:streams""#,
            r#""streams""#,
            "collection.core:streams is missing, expected a list of recordings",
        ),
        ("{\n  \"collection\"", "{\n  \"x\"", "missing field `collection`"),
    ];
    for (from, to, expected) in cases {
        let scratch = tempfile::tempdir().unwrap();
        let dir = run(scratch.path());
        edit(&dir.join("hall.sigmf-collection"), from, to);
        let text = Collection::open(&dir).unwrap_err().kind.to_string();
        assert!(text.contains(expected), "{text}");
    }
    let scratch = tempfile::tempdir().unwrap();
    let error = Collection::open(scratch.path()).unwrap_err();
    assert!(
        error.to_string().ends_with(
            "the directory is with 0 .sigmf-collection files, expected one with exactly 1"
        )
    );
    let error = Collection::open(&scratch.path().join("x.sigmf-collection")).unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Missing));
}

#[test]
fn matrices_that_do_not_belong_together_are_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = scratch.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let qap = file("qap.csv", "1,2\n3,4\n5,6\n");
    let user = file("user.csv", "1,2\n3,4\n");
    let complex = file("eve.csv", "1j,2\n3,4\n5,6\n");
    assert_eq!(read_paired(&[&qap, &qap]).unwrap().len(), 2);
    let error = read_paired(&[&qap, &user]).unwrap_err();
    assert_eq!(error.path, user);
    assert_eq!(
        error.kind.to_string(),
        format!(
            "2 probes × 2 features of real values, expected 3 probes × 2 features of real values as in {}",
            qap.display()
        )
    );
    let text = read_paired(&[&qap, &complex]).unwrap_err().kind.to_string();
    assert!(text.starts_with("3 probes × 2 features of complex values, expected 3"), "{text}");
    assert!(matches!(
        read_matrix(&scratch.path().join("a.mat")).unwrap_err().kind,
        ErrorKind::Extension { .. }
    ));
}
