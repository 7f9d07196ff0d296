//! `crqkd receive` on the project's own recordings.

#![allow(clippy::unwrap_used)]

mod common;
mod made;

use common::{crqkd, data};
use crqkd_sounding::FrameReport;
use made::frames::Truth;

fn receive(file: &str) -> (Vec<FrameReport>, String) {
    let output = crqkd(["receive", "--json", file]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    let lines = String::from_utf8(output.stdout).unwrap();
    (lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), stderr)
}

/// Least squares over 32 taps at 10 dB has an NMSE of 32/1024/SNR = −25.05 dB; the mean over 12 frames scatters by 0.3 dB.
#[test]
fn the_clean_recording_gives_all_its_frames_and_no_other() {
    let truth = std::fs::read(data("frames/frames-10db.truth.json")).unwrap();
    let truth: Vec<Truth> = serde_json::from_slice(&truth).unwrap();
    let (frames, _) = receive("data/frames/frames-10db.sigmf-meta");
    assert_eq!(frames.len(), 12);
    assert_eq!(truth.len(), 12);
    let mut nmse = 0.0;
    for (frame, truth) in frames.iter().zip(&truth) {
        assert!(frame.start.abs_diff(truth.strongest()) <= 1, "{frame:?}");
        assert!((frame.cfo_hz - truth.cfo_hz).abs() < 300.0, "{frame:?}");
        assert!((frame.snr_db - 10.0).abs() < 1.0, "{frame:?}");
        assert!((frame.noise_power / 0.1 - 1.0).abs() < 0.15, "{frame:?}");
        assert_eq!(frame.header, truth.header);
        let strongest = frame.cir.iter().map(|tap| tap.norm()).fold(0.0, f32::max);
        assert_eq!(frame.cir[crqkd_sounding::PEAK_TAP].norm(), strongest);
        nmse += truth.channel_nmse(frame.start, &frame.cir) / frames.len() as f64;
    }
    let nmse_db = 10.0 * nmse.log10();
    assert!(nmse_db <= -24.5, "mean NMSE {nmse_db:.2} dB");
}

#[test]
fn the_data_file_names_the_recording_as_well_as_the_description() {
    let (by_data, _) = receive("data/frames/frames-10db.sigmf-data");
    assert_eq!(by_data, receive("data/frames/frames-10db.sigmf-meta").0);
}

#[test]
fn a_frame_with_a_broken_header_is_reported_without_one() {
    let (frames, _) = receive("data/damaged/broken-header.sigmf-meta");
    assert_eq!(frames.len(), 2);
    assert!(frames[0].header.is_some_and(|header| header.index == 0));
    assert_eq!(frames[1].header, None);
    assert!((frames[1].snr_db - 20.0).abs() < 1.0, "{:?}", frames[1]);
}

/// Raw samples have no air time: the frames stand where they stand in the file.
#[test]
fn raw_samples_are_received_like_the_recording() {
    let path = data("frames/frames-10db.sigmf-meta");
    let (mut reader, mut chunk) = (crqkd_recording::open_iq(&path).unwrap(), Vec::new());
    let (mut bytes, mut stretches) = (Vec::new(), Vec::new());
    while let Some(time) = reader.read(&mut chunk, usize::MAX).unwrap() {
        stretches.push((time, bytes.len() as u64 / 8, chunk.len() as u64));
        for sample in &chunk {
            bytes.extend([sample.re.to_le_bytes(), sample.im.to_le_bytes()].concat());
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let raw = dir.path().join("frames.cf32");
    std::fs::write(&raw, bytes).unwrap();
    let (frames, _) = receive(raw.to_str().unwrap());
    let (expected, _) = receive("data/frames/frames-10db.sigmf-meta");
    assert_eq!(frames.len(), expected.len());
    for (frame, expected) in frames.iter().zip(&expected) {
        let &(time, index, _) =
            stretches.iter().rfind(|(time, ..)| *time <= expected.start).unwrap();
        assert_eq!(frame.start, expected.start - time + index);
        assert_eq!(frame.header, expected.header);
    }
}
