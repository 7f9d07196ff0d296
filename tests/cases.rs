//! Small inputs with a known right answer, made by a seeded generator: what a user with data of one's own brings along.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
mod made;

use common::{crqkd, failure_of};
use crqkd_recording::{Complex32, Datatype, RecordingInfo, RecordingWriter};
use crqkd_sounding::{Direction, FrameReport};
use made::cases::{
    cf32, csv, dbm, independent_levels, link, npy, one_frame, probe, reciprocal, rng,
    still_profile, white,
};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A folder for the files of one case.
struct Case(tempfile::TempDir);

impl Case {
    fn new() -> Self {
        Case(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `keygen --json` on these files: exit code and document.
    fn keygen(&self, qap: &str, user: &str, more: &[&str]) -> (i32, Value) {
        let (code, out, err) = self.run(qap, user, &[&["--json"], more].concat());
        let document = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
        (code, document)
    }

    fn run(&self, qap: &str, user: &str, more: &[&str]) -> (i32, String, String) {
        let (qap, user) = (self.path(qap), self.path(user));
        let args = ["keygen", "--qap", text(&qap), "--user", text(&user)];
        said([&args[..], more].concat())
    }

    /// Frames and standard error of `receive`.
    fn receive(&self, name: &str) -> (Vec<FrameReport>, String) {
        let (code, out, err) = said(vec!["receive", "--json", text(&self.path(name))]);
        assert_eq!(code, 0, "{err}");
        (out.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), err)
    }

    fn inspect(&self, name: &str) -> Value {
        let (code, out, err) = said(vec!["inspect", "--json", text(&self.path(name))]);
        assert_eq!(code, 0, "{err}");
        serde_json::from_str(&out).unwrap()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn said(args: Vec<&str>) -> (i32, String, String) {
    let output = crqkd(args);
    let read = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), read(output.stdout), read(output.stderr))
}

fn kdr(document: &Value, end: &str) -> f64 {
    document[end]["kdr_rate"].as_f64().unwrap()
}

#[test]
fn two_streams_that_have_nothing_in_common_are_no_key_though_most_samples_are_equal() {
    let case = Case::new();
    let [qap, user] = independent_levels(512, &mut rng(1));
    let equal = qap.iter().zip(&user).filter(|(a, b)| a == b).count();
    assert!(equal > 512 * 7 / 10, "as two receivers of whole dBm see it");
    csv(&case.path("qap.csv"), None, &[&qap], ",");
    csv(&case.path("user.csv"), None, &[&user], ",");
    let (code, found) = case.keygen("qap.csv", "user.csv", &[]);
    assert_eq!((code, &found["user"]["verdict"]), (1, &"chance".into()));
    // Ties balanced: half are ones, and half differ; five standard deviations of 512 bits.
    assert_eq!(found["ones_rate"], 0.5);
    assert!((kdr(&found, "user") - 0.5).abs() < 0.11, "{found}");
    assert!(found["user"]["mutual_information"].as_f64().unwrap() < 0.02);
    let (code, out, _) = case.run("qap.csv", "user.csv", &[]);
    assert!(code == 1 && out.contains("NO KEY: no agreement beyond chance"), "{out}");
}

#[test]
fn a_window_in_which_eve_measures_nothing_is_left_out_of_her_figures_only() {
    let case = Case::new();
    let [qap, user, mut eve] = reciprocal(512, 0.06, &mut rng(2));
    eve[128..256].fill(0.25);
    for (name, values) in [("qap.npy", &qap), ("user.npy", &user), ("eve.npy", &eve)] {
        npy(&case.path(name), 1, values);
    }
    let (_, alone) = case.keygen("qap.npy", "user.npy", &[]);
    let eve_file = case.path("eve.npy");
    let (code, found) = case.keygen("qap.npy", "user.npy", &["--eve", text(&eve_file)]);
    assert_eq!(code, 0);
    assert_eq!(found["user"], alone["user"], "as without her");
    assert_eq!(found["eve"]["kdr"]["bits"], 384);
    let still = &found["left_out"]["windows_still"];
    assert_eq!((still.as_array().unwrap().len(), &still[0]["end"]), (1, &"eve".into()));
    assert_eq!((&still[0]["first_probe"], &still[0]["last_probe"]), (&128.into(), &255.into()));
    let (_, out, _) = case.run("qap.npy", "user.npy", &["--eve", text(&eve_file)]);
    assert!(out.contains("left out for Eve: 1 window without movement"), "{out}");
    assert!(out.contains("Eve: no more than chance is seen in her bits"), "{out}");
    // The same at the user: left out at both ends.
    let mut still_user = user.clone();
    still_user[..128].fill(-90.0);
    npy(&case.path("still.npy"), 1, &still_user);
    let (code, found) = case.keygen("qap.npy", "still.npy", &[]);
    assert_eq!((code, &found["raw_bits"], &found["windows"]), (0, &384.into(), &3.into()));
}

#[test]
fn a_profile_that_does_not_change_is_no_key() {
    let case = Case::new();
    let [qap, user] = still_profile(60, 64, &mut rng(3));
    npy(&case.path("qap.npy"), 64, &qap);
    npy(&case.path("user.npy"), 64, &user);
    let (code, found) = case.keygen("qap.npy", "user.npy", &[]);
    assert_eq!((code, &found["user"]["verdict"]), (1, &"static".into()));
    assert!(kdr(&found, "user") < 0.12, "looks like a key");
    for other in ["kdr_reversed", "kdr_half_apart"] {
        let rate = found["user"][other].as_f64().unwrap();
        assert!((rate - kdr(&found, "user")).abs() < 0.03, "{other}: {rate}");
    }
    let changing = found["positions_that_change"].as_u64().unwrap();
    assert!((1..=12).contains(&changing), "{changing} of 64");
    let (_, out, _) = case.run("qap.npy", "user.npy", &[]);
    assert!(out.contains(&format!("{changing} of 64 bit positions ever change")), "{out}");
}

#[test]
fn a_column_that_counts_is_left_out_by_name() {
    let case = Case::new();
    let [qap, user, _] = reciprocal(512, 0.05, &mut rng(4));
    let (qap, user) = (dbm(&qap, 6.0), dbm(&user, 6.0));
    let seq: Vec<f64> = (0..512).map(f64::from).collect();
    let clock: Vec<f64> = seq.iter().map(|i| 1.7e9 + 0.1 * i + 0.003 * (i * 7.0 % 11.0)).collect();
    // A hash that both ends read from the frame: not a counter, and no measurement either.
    let hash: Vec<f64> = seq.iter().map(|i| (i * 7919.0 + 13.0) % 1009.0).collect();
    let room = vec![21.5; 512];
    let names = "seq,rssi,time,frame,room";
    for (name, rssi) in [("qap.csv", &qap), ("user.csv", &user)] {
        csv(&case.path(name), Some(names), &[&seq, rssi, &clock, &hash, &room], ",");
    }
    let (code, found) = case.keygen("qap.csv", "user.csv", &[]);
    assert_eq!((code, &found["raw_bits"]), (0, &512.into()));
    assert!((kdr(&found, "user") - 0.05).abs() < 0.05, "{found}");
    let left: Vec<(&str, &str)> = found["left_out"]["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["name"].as_str().unwrap(), c["reason"].as_str().unwrap()))
        .collect();
    let expected = [
        ("seq", "counts"),
        ("time", "counts"),
        ("frame", "equal-at-both-ends"),
        ("room", "constant"),
    ];
    assert_eq!(left, expected);
    let (_, out, _) = case.run("qap.csv", "user.csv", &[]);
    assert!(out.contains("column 0 (seq), which counts like a clock or a row number"), "{out}");
}

#[test]
fn a_first_line_is_never_silently_taken_for_names() {
    let case = Case::new();
    let [qap, user, _] = reciprocal(256, 0.05, &mut rng(5));
    let (qap, user) = (dbm(&qap, 6.0), dbm(&user, 6.0));
    let lines = |values: &[f64]| values.iter().map(|x| format!("{x}\n")).collect::<String>();
    let write = |name: &str, text: String| std::fs::write(case.path(name), text).unwrap();
    // The first packet was lost at the QAP, the last at the user.
    write("qap.csv", "n/a\n".to_owned() + &lines(&qap[1..]));
    write("user.csv", lines(&user[..255]) + "nan\n");
    let (code, found) = case.keygen("qap.csv", "user.csv", &[]);
    assert_eq!(code, 0);
    assert_eq!(found["left_out"]["probes_missing"]["any"], 2);
    assert!(kdr(&found, "user") < 0.12, "paired with the right probes: {found}");
    // Without a mark nobody knows which probe is missing.
    write("short.csv", lines(&user[..255]));
    let (code, _, err) = case.run("qap.csv", "short.csv", &[]);
    assert!(code == 2 && err.contains("(1 missing, the first is probe 0)"), "{err}");
    // A line of names at one end only, an empty line, names in another order.
    write("named.csv", "lost\n".to_owned() + &lines(&qap[1..]));
    write("user.csv", lines(&user[..255]));
    write("other.csv", "rssi\n".to_owned() + &lines(&qap[1..]));
    write("named.csv", "level\n".to_owned() + &lines(&qap[1..]));
    let (code, _, err) = case.run("named.csv", "user.csv", &[]);
    assert!(
        code == 2 && err.contains("a first line of numbers, expected a first line of names"),
        "{err}"
    );
    let (code, _, err) = case.run("named.csv", "other.csv", &[]);
    assert!(
        code == 2 && err.contains("names (rssi), expected a first line of names (level)"),
        "{err}"
    );
    write("gap.csv", lines(&qap[..100]) + "\n" + &lines(&qap[101..]));
    let (code, _, err) = case.run("gap.csv", "user.csv", &[]);
    assert!(code == 2 && err.contains("line 101 is empty, expected a probe"), "{err}");
}

#[test]
fn double_precision_is_kept() {
    let case = Case::new();
    let [qap, user, _] = reciprocal(512, 0.06, &mut rng(6));
    let far = |values: &[f64]| values.iter().map(|x| x + 1e7).collect::<Vec<_>>();
    for (name, values) in [("qap.npy", &qap), ("user.npy", &user)] {
        npy(&case.path(name), 1, values);
        npy(&case.path(&format!("far-{name}")), 1, &far(values));
    }
    let (near, far) =
        (case.keygen("qap.npy", "user.npy", &[]), case.keygen("far-qap.npy", "far-user.npy", &[]));
    assert_eq!(far.1["ones_rate"], 0.5);
    assert_eq!(near.1["user"]["kdr"], far.1["user"]["kdr"]);
    // The same through text.
    let text = |values: &[f64]| values.iter().map(|x| x + 1e7).collect::<Vec<_>>();
    csv(&case.path("qap.csv"), None, &[&text(&qap)], ",");
    csv(&case.path("user.csv"), None, &[&text(&user)], ",");
    assert_eq!(case.keygen("qap.csv", "user.csv", &[]).1["user"]["kdr"], near.1["user"]["kdr"]);
}

#[test]
fn bits_without_an_error_leave_an_interval_and_one_window_leaves_none() {
    let case = Case::new();
    let [qap, user, _] = reciprocal(256, 0.0, &mut rng(7));
    let user: Vec<f64> = user.iter().map(|x| 2.0 * x + 1.0).collect();
    npy(&case.path("qap.npy"), 1, &qap);
    npy(&case.path("user.npy"), 1, &user);
    let (code, found) = case.keygen("qap.npy", "user.npy", &[]);
    assert_eq!((code, &found["user"]["kdr"]["errors"]), (0, &0.into()));
    let interval = &found["user"]["kdr_interval95"];
    // The rule of three: 3/256 even if all bits were independent.
    assert!(interval["low"] == 0.0 && interval["high"].as_f64().unwrap() > 0.0117, "{interval}");
    let (_, found) = case.keygen("qap.npy", "user.npy", &["--window", "256"]);
    assert!(found["user"]["kdr_interval95"].is_null());
    let (_, out, _) = case.run("qap.npy", "user.npy", &["--window", "256"]);
    assert!(out.contains("95 % interval n/a"), "{out}");
}

#[test]
fn clipping_is_a_plateau_and_not_a_level() {
    let case = Case::new();
    let noise = white(4000, &mut rng(8));
    let cut = |x: f32| x.clamp(-0.4, 0.4);
    let clipped: Vec<Complex32> =
        noise.iter().map(|s| Complex32::new(cut(s.re), cut(s.im))).collect();
    cf32(&case.path("loud.cf32"), &noise);
    cf32(&case.path("clipped.cf32"), &clipped);
    let loud = case.inspect("loud.cf32");
    assert_eq!((&loud["clipped"], &loud["full_scale"]), (&0.0.into(), &Value::Null));
    let found = case.inspect("clipped.cf32")["clipped"].as_f64().unwrap();
    // P(|x| > 0.4) = 0.6892 in each part: 1 − 0.3108² = 0.9034; five standard deviations.
    assert!((found - 0.9034).abs() < 0.024, "{found}");
    // A converter of 12 bits in integers of 16: its rails are far from the ends of the integers.
    let info =
        RecordingInfo { datatype: Datatype::Ci16Le, full_scale: 32768.0, ..Default::default() };
    let mut writer = RecordingWriter::create(&case.path("adc"), info).unwrap();
    let adc = |x: f32| (1200.0 * x).round().clamp(-2048.0, 2047.0);
    let samples: Vec<Complex32> =
        noise.iter().map(|s| Complex32::new(adc(s.re), adc(s.im))).collect();
    writer.write(0, &samples).unwrap();
    writer.finish().unwrap();
    let found = case.inspect("adc.sigmf-meta");
    let at = |x: f32| x == 2047.0 || x == -2048.0;
    let expected = samples.iter().filter(|s| at(s.re) || at(s.im)).count() as f64 / 4000.0;
    assert!(expected > 0.1 && found["clipped"] == expected, "{expected}: {}", found["clipped"]);
    assert_eq!(found["clip_levels"][0], 2047.0);
}

#[test]
fn silence_has_no_level() {
    let case = Case::new();
    cf32(&case.path("zeros.cf32"), &[Complex32::ZERO; 3000]);
    let found = case.inspect("zeros.cf32");
    for field in ["power_dbfs", "dc_db", "iq_imbalance_db", "snr_db"] {
        assert!(found[field].is_null(), "{field}: {}", found[field]);
    }
}

#[test]
fn a_sample_rate_that_nobody_gave_is_doubted() {
    let case = Case::new();
    let frame = one_frame(None, &mut rng(9));
    let twice: Vec<Complex32> = frame.iter().flat_map(|&s| [s, s]).collect();
    let mut writer = RecordingWriter::create(&case.path("fast"), RecordingInfo::default()).unwrap();
    writer.write(0, &twice).unwrap();
    writer.finish().unwrap();
    edit(&case.path("fast.sigmf-meta"), |global, _, _| {
        global.remove("core:sample_rate");
    });
    let (frames, err) = case.receive("fast.sigmf-meta");
    assert!(err.contains("core:sample_rate is missing: taken for 20 Msample/s"), "{err}");
    // Every second chip of the sequence is the sequence again: a frame is found where there is none.
    assert_eq!(frames.len(), 1);
    assert!(err.contains("stands at +0.62 MHz, expected +1.25 MHz"), "{err}");
    assert!(err.contains("the sample rate may be 40.0 Msample/s"), "{err}");
    // A rate that is given and wrong is refused, and no rate is no fault of a raw file.
    edit(&case.path("fast.sigmf-meta"), |global, _, _| {
        global.insert("core:sample_rate".into(), 40e6.into());
    });
    let (code, err) = failure_of(["receive", text(&case.path("fast.sigmf-meta"))]);
    assert!(code == Some(2) && err.contains("recorded at 40000000 samples a second"), "{err}");
    cf32(&case.path("raw.cf32"), &frame);
    assert!(!case.receive("raw.cf32").1.contains("note:"));
}

#[test]
fn a_frame_is_received_at_any_level() {
    let case = Case::new();
    let header = probe(Direction::Reverse, 3, 1);
    let frame = one_frame(Some(&header), &mut rng(10));
    cf32(&case.path("1.cf32"), &frame);
    let (expected, _) = case.receive("1.cf32");
    assert_eq!((expected.len(), expected[0].header), (1, Some(header)));
    for exponent in [-25, -20, -6, 6, 9, 30] {
        let factor = 10f64.powi(exponent);
        let times = |x: f32| (f64::from(x) * factor) as f32;
        let scaled: Vec<Complex32> =
            frame.iter().map(|s| Complex32::new(times(s.re), times(s.im))).collect();
        cf32(&case.path("scaled.cf32"), &scaled);
        let (found, _) = case.receive("scaled.cf32");
        assert_eq!((found.len(), found[0].header), (1, Some(header)), "1e{exponent}");
        assert!((found[0].cfo_hz - expected[0].cfo_hz).abs() < 0.1, "1e{exponent}");
        assert!((found[0].snr_db - expected[0].snr_db).abs() < 0.01, "1e{exponent}");
        let gain = f64::from(found[0].cir[8].norm()) / factor;
        assert!((gain / f64::from(expected[0].cir[8].norm()) - 1.0).abs() < 1e-4, "1e{exponent}");
        let document = case.inspect("scaled.cf32");
        assert_eq!((&document["frames"], &document["headers"]), (&1.into(), &1.into()));
        let sum: f64 = document["spectrum_dbfs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|db| 10f64.powf(db.as_f64().unwrap() / 10.0))
            .sum();
        let power = document["power_dbfs"].as_f64().unwrap();
        assert!((10.0 * sum.log10() - power).abs() < 1.0, "1e{exponent}: the sum of the bins");
    }
}

/// Changes the parts of a SigMF description: global object, captures, annotations.
fn edit(
    path: &Path,
    change: impl FnOnce(&mut serde_json::Map<String, Value>, &mut Vec<Value>, &mut Vec<Value>),
) {
    let mut meta: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let [mut global, mut captures, mut annotations] =
        ["global", "captures", "annotations"].map(|part| meta[part].take());
    change(
        global.as_object_mut().unwrap(),
        captures.as_array_mut().unwrap(),
        annotations.as_array_mut().unwrap(),
    );
    let meta = serde_json::json!({
        "global": global, "captures": captures, "annotations": annotations
    });
    std::fs::write(path, meta.to_string()).unwrap();
}

#[test]
fn a_description_that_says_nothing_against_the_samples_is_no_reason_to_refuse_them() {
    type Change = fn(&mut serde_json::Map<String, Value>, &mut Vec<Value>, &mut Vec<Value>);
    let changes: [(&str, Change, Option<&str>); 6] = [
        (
            "trailing bytes 0",
            |global, _, _| {
                global.insert("core:trailing_bytes".into(), 0.into());
            },
            None,
        ),
        (
            "nulls",
            |global, _, _| {
                for field in ["core:offset", "core:num_channels", "core:dataset", "core:author"] {
                    global.insert(field.into(), Value::Null);
                }
            },
            None,
        ),
        (
            "index of the first only",
            |_, captures, _| {
                captures.push(serde_json::json!({ "core:sample_start": 32 }));
            },
            None,
        ),
        (
            "label null",
            |_, _, annotations| {
                annotations.push(serde_json::json!({
                    "core:sample_start": 0, "core:sample_count": 5, "core:label": null
                }));
            },
            Some("core:label is null"),
        ),
        (
            "annotation past the end",
            |_, _, annotations| {
                annotations.push(
                    serde_json::json!({ "core:sample_start": 10, "core:sample_count": 1e9 as u64 }),
                );
            },
            Some("the data ends"),
        ),
        (
            "annotation without a start",
            |_, _, annotations| {
                annotations.push(serde_json::json!({ "core:sample_count": 10 }));
            },
            Some("core:sample_start is missing"),
        ),
    ];
    for (what, change, warning) in changes {
        let case = Case::new();
        let header = probe(Direction::Reverse, 3, 1);
        let mut writer =
            RecordingWriter::create(&case.path("a"), RecordingInfo::default()).unwrap();
        writer.write(1000, &one_frame(Some(&header), &mut rng(11))).unwrap();
        writer.finish().unwrap();
        edit(&case.path("a.sigmf-meta"), change);
        let (frames, err) = case.receive("a.sigmf-meta");
        assert_eq!((frames.len(), frames[0].header), (1, Some(header)), "{what}: {err}");
        assert!(
            frames[0].start.abs_diff(2000) <= 1,
            "{what}: counting goes on: {}",
            frames[0].start
        );
        assert_eq!(err.contains("note:"), warning.is_some(), "{what}: {err}");
        assert!(err.contains(warning.unwrap_or("")), "{what}: {err}");
    }
}

#[test]
fn a_probe_that_was_lost_is_dropped_at_both_ends_however_it_is_written() {
    let case = Case::new();
    let [qap, user, _] = reciprocal(256 * 8, 0.06, &mut rng(13));
    npy(&case.path("user.npy"), 8, &user);
    for lost in [f64::NAN, f64::NEG_INFINITY] {
        let mut qap = qap.clone();
        qap[100 * 8..101 * 8].fill(lost);
        npy(&case.path("qap.npy"), 8, &qap);
        let (code, found) = case.keygen("qap.npy", "user.npy", &["--window", "85"]);
        assert_eq!((code, &found["probes_used"]), (0, &255.into()), "{lost}");
        assert_eq!(found["left_out"]["probes_missing"]["qap"], 1);
        assert!((kdr(&found, "user") - 0.06).abs() < 0.03, "{lost}: {found}");
    }
    let (_, out, _) = case.run("qap.npy", "user.npy", &[]);
    assert!(
        out.contains(
            "1 probe that an end did not measure (at the access point 1 are missing, at the user 0)"
        ),
        "{out}"
    );
    // Channel coefficients of zero: what a driver writes for a packet that did not come.
    let cells = |values: &[f64], lost: usize| -> String {
        let row = |(row, pair): (usize, &[f64])| match row == lost {
            true => "0+0j\n".to_owned(),
            false => format!("{}{:+}j\n", pair[0], pair[1]),
        };
        values.chunks(2).enumerate().map(row).collect()
    };
    std::fs::write(case.path("qap.csv"), cells(&qap, 7)).unwrap();
    std::fs::write(case.path("user.csv"), cells(&user, usize::MAX)).unwrap();
    let (code, found) = case.keygen("qap.csv", "user.csv", &[]);
    assert_eq!((code, &found["left_out"]["probes_missing"]["any"]), (0, &1.into()));
}

#[test]
fn tables_are_read_whatever_separates_their_cells() {
    let case = Case::new();
    let [qap, user, _] = reciprocal(64 * 8, 0.06, &mut rng(15));
    let columns = |values: &[f64]| -> Vec<Vec<f64>> {
        (0..8).map(|c| values.iter().skip(c).step_by(8).copied().collect()).collect()
    };
    let (qap, user) = (columns(&qap), columns(&user));
    let mut first = None;
    for separator in [",", ";", "\t", " ", ", ", " ; "] {
        for (name, columns) in [("qap.csv", &qap), ("user.csv", &user)] {
            let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
            csv(&case.path(name), None, &columns, separator);
        }
        let (code, found) = case.keygen("qap.csv", "user.csv", &[]);
        assert_eq!((code, &found["probes"], &found["features"]), (0, &64.into(), &8.into()));
        assert_eq!(first.get_or_insert_with(|| found.clone()), &found, "{separator:?}");
    }
    // Decimal commas, as a spreadsheet writes them in half of Europe.
    for name in ["qap.csv", "user.csv"] {
        let text = std::fs::read_to_string(case.path(name)).unwrap();
        std::fs::write(case.path(name), text.replace(" ; ", ";").replace('.', ",")).unwrap();
    }
    assert_eq!(Some(case.keygen("qap.csv", "user.csv", &[]).1), first);
}

#[test]
fn an_eve_whose_bits_are_all_inverted_knows_as_much() {
    let case = Case::new();
    let [qap, user, _] = reciprocal(512, 0.06, &mut rng(16));
    let eve: Vec<f64> = user.iter().map(|x| -x).collect();
    for (name, values) in [("qap.npy", &qap), ("user.npy", &user), ("eve.npy", &eve)] {
        npy(&case.path(name), 1, values);
    }
    let eve = case.path("eve.npy");
    let (_, found) = case.keygen("qap.npy", "user.npy", &["--eve", text(&eve)]);
    assert!((kdr(&found, "eve") + kdr(&found, "user") - 1.0).abs() < 1e-9);
    let bit = |end: &str| found[end]["mutual_information"].as_f64().unwrap();
    assert!((bit("eve") - bit("user")).abs() < 1e-9 && bit("eve") > 0.5);
    assert_eq!(found["eve"]["verdict"], "beyond-chance");
    let (_, out, _) = case.run("qap.npy", "user.npy", &["--eve", text(&eve)]);
    assert!(out.contains("Eve: KNOWS SOMETHING: a KDR of 9"), "{out}");
    // A user with inverted bits has something in common with the QAP, and is told so.
    let (code, out, _) = case.run("qap.npy", "eve.npy", &[]);
    assert!(code == 0 && out.contains("the bits of one are inverted"), "{out}");
}

#[test]
fn exchanged_i_and_q_are_seen_in_the_tone() {
    let case = Case::new();
    let frame = one_frame(None, &mut rng(18));
    cf32(&case.path("right.cf32"), &frame);
    assert!(!case.receive("right.cf32").1.contains("exchanged"));
    let conjugate: Vec<Complex32> = frame.iter().map(|s| s.conj()).collect();
    let swapped: Vec<Complex32> = frame.iter().map(|s| Complex32::new(s.im, s.re)).collect();
    for (name, samples) in [("conjugate.cf32", conjugate), ("swapped.cf32", swapped)] {
        cf32(&case.path(name), &samples);
        let (frames, err) = case.receive(name);
        assert!(frames.len() == 1 && frames[0].cfo_hz < -4000.0, "{frames:?}");
        assert!(err.contains("stands at -1.25 MHz, expected +1.25 MHz: I and Q are exch"), "{err}");
        let note = case.inspect(name)["notes"][0].to_string();
        assert!(note.contains("I and Q are exchanged"), "{note}");
    }
}

#[test]
fn bits_and_llrs_are_written_for_their_owner_and_never_over_a_file() {
    let case = Case::new();
    let [qap, user, mut eve] = reciprocal(256, 0.06, &mut rng(20));
    eve[..128].fill(0.0);
    for (name, values) in [("qap.npy", &qap), ("user.npy", &user), ("eve.npy", &eve)] {
        npy(&case.path(name), 1, values);
    }
    let [eve, bits, llr] = ["eve.npy", "bits.csv", "llr.csv"].map(|name| case.path(name));
    let more = ["--eve", text(&eve), "--bits", text(&bits), "--llr", text(&llr), "--json"];
    let (code, out, err) = case.run("qap.npy", "user.npy", &more);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("it tells key bits, and is readable by you alone"), "{err}");
    let found: Value = serde_json::from_str(&out).unwrap();
    let rows = |path: &Path| -> Vec<Vec<String>> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
    };
    let (bit_rows, llr_rows) = (rows(&bits), rows(&llr));
    assert_eq!(bit_rows[0], ["qap", "user", "eve"]);
    assert_eq!((bit_rows.len(), llr_rows.len()), (257, 257));
    let errors = bit_rows[1..].iter().filter(|row| row[0] != row[1]).count();
    assert_eq!(found["user"]["kdr"]["errors"], errors);
    assert!(bit_rows[1..129].iter().all(|row| row[2].is_empty()), "Eve had no movement there");
    assert!(bit_rows[129..].iter().all(|row| row[2] == "0" || row[2] == "1"));
    for (bits, llrs) in bit_rows[1..].iter().zip(&llr_rows[1..]) {
        assert_eq!(bits[0] == "1", llrs[0].parse::<f64>().unwrap() < 0.0, "a negative LLR is a 1");
    }
    #[cfg(unix)]
    for path in [&bits, &llr] {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let before = std::fs::read(&bits).unwrap();
    let (code, out, err) = case.run("qap.npy", "user.npy", &["--bits", text(&bits)]);
    assert!(code == 2 && out.is_empty() && err.contains("the file exists already"), "{err}");
    assert_eq!(std::fs::read(&bits).unwrap(), before);
}

#[test]
fn recordings_of_two_ends_are_received_and_paired_by_probe() {
    let case = Case::new();
    // Frames that one end or the other lost would shift every later pair.
    let lost = [(0, 3), (1, 40), (1, 41), (0, 90)];
    link(case.0.path(), 132, true, &lost, &mut rng(21));
    let (code, found) = case.keygen("qap.sigmf-meta", "user.sigmf-meta", &[]);
    assert_eq!(code, 0, "{found}");
    assert_eq!(found["pairing"]["by"], "header");
    assert_eq!(found["pairing"]["frames"], serde_json::json!([130, 130]));
    assert_eq!(found["left_out"]["probes_missing"]["any"], 4);
    assert_eq!((&found["probes_used"], &found["features"]), (&128.into(), &4.into()));
    assert!(kdr(&found, "user") < 0.05, "25 dB at both ends: {found}");
    let (_, out, _) = case.run("qap.sigmf-meta", "user.sigmf-meta", &[]);
    assert!(out.contains("paired by the probe that their header names"), "{out}");
    let (code, _, err) = case.run("qap.sigmf-meta", "qap.csv", &[]);
    assert!(
        code == 2 && err.contains("1 of 2 files are recordings, expected all or none"),
        "{err}"
    );
}

#[test]
fn recordings_without_headers_are_paired_by_order_if_nothing_is_lost() {
    let case = Case::new();
    link(case.0.path(), 64, false, &[], &mut rng(22));
    let (code, found) = case.keygen("qap.sigmf-meta", "user.sigmf-meta", &[]);
    assert_eq!((code, &found["pairing"]["by"]), (0, &"order".into()), "{found}");
    assert!(kdr(&found, "user") < 0.06);
    let other = Case::new();
    link(other.0.path(), 64, false, &[(1, 5)], &mut rng(22));
    let (code, _, err) = other.run("qap.sigmf-meta", "user.sigmf-meta", &[]);
    assert!(code == 2 && err.contains("63 frames without headers, expected 64"), "{err}");
}
