//! The receiver: what it finds, how well it measures, what it costs.

mod accuracy;
mod channel;
mod reach;
mod report;
mod speed;
mod train;

use std::ops::ControlFlow;

use crqkd_sounding::{FrameLayout, SearchMode, SoundingError};
use num_complex::Complex32;
use serde::Serialize;
use thiserror::Error;

pub use accuracy::{AccuracyRow, DisturbanceRow, SNR_DB};
pub use reach::{OFFSET_HZ, REACH_SNR_DB, ReachRow};
pub use speed::{FrameRow, KernelRow, SpeedRow};

use accuracy::Disturbance;

/// Told what was done; breaks off the run.
pub type Progress<'a> = dyn FnMut(&str) -> ControlFlow<()> + 'a;

/// Why a benchmark of the receiver failed.
#[derive(Debug, Error)]
pub enum BenchError {
    /// The receiver refused its settings or its samples.
    #[error(transparent)]
    Sounding(#[from] SoundingError),
    /// The flowgraph could not be built or has failed.
    #[error(transparent)]
    Flowgraph(#[from] crqkd_flowgraphs::FlowgraphError),
    /// A file of samples could not be written or read.
    #[error(transparent)]
    Recording(#[from] crqkd_recording::RecordingError),
    /// A temporary file could not be made or used.
    #[error(transparent)]
    File(#[from] std::io::Error),
}

/// How much of everything the benchmark does.
#[derive(Clone, Copy, Debug)]
pub struct ReceiveEffort {
    /// Frames a point of the sweep.
    pub frames: usize,
    /// Length of the noise that is searched for false frames, in seconds.
    pub noise_s: f64,
    /// Rounds of each time measurement, of which the best counts.
    pub rounds: usize,
    /// Times that the stretch of 2 million samples is played.
    pub repeats: usize,
}

impl ReceiveEffort {
    /// 1000 frames a point, 3 s of noise.
    pub fn standard() -> Self {
        Self { frames: 1000, noise_s: 3.0, rounds: 5, repeats: 100 }
    }

    /// Some seconds: to see that everything works.
    pub fn quick() -> Self {
        Self { frames: 300, noise_s: 0.2, rounds: 2, repeats: 10 }
    }
}

/// What is to be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    /// Both accuracy and speed.
    All,
    /// What is found, and how well it is measured.
    Accuracy,
    /// Processor time a sample and a frame.
    Speed,
}

/// A figure and its limit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Limit {
    /// Name of the figure, for people.
    pub what: String,
    /// Whether it is to be at least, not at most, this much.
    pub at_least: bool,
    /// The value that the figure is held against.
    pub limit: f64,
    /// The value that was measured.
    pub seen: f64,
    /// Whether the figure keeps to the limit.
    pub met: bool,
}

/// Everything that the benchmark measured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ReceiveReport {
    /// The sweep over the SNR.
    pub accuracy: Vec<AccuracyRow>,
    /// The sweep over the carrier offset.
    pub reach: Vec<ReachRow>,
    /// Noise, interference and level steps.
    pub disturbances: Vec<DisturbanceRow>,
    /// CPU time of the whole flowgraph, for each source of samples.
    pub speed: Vec<SpeedRow>,
    /// CPU time of single frames.
    pub frames: Vec<FrameRow>,
    /// CPU time of single kernels of the receiver.
    pub kernels: Vec<KernelRow>,
    /// The limits, of what was measured.
    pub limits: Vec<Limit>,
}

const LAYOUTS: [FrameLayout; 2] = [FrameLayout::Single, FrameLayout::Double];
const MODES: [SearchMode; 2] = [SearchMode::Gated, SearchMode::AlwaysCorrelate];

/// Number of steps that a run of [`receive`] takes, for a display of its progress.
pub fn steps(parts: Parts, effort: ReceiveEffort) -> usize {
    let points = SNR_DB.len() + REACH_SNR_DB.len() * OFFSET_HZ.len();
    let accuracy = LAYOUTS.len() * (points + MODES.len() * Disturbance::ALL.len());
    let speed = 3 + 5 * effort.rounds;
    match parts {
        Parts::All => accuracy + speed,
        Parts::Accuracy => accuracy,
        Parts::Speed => speed,
    }
}

/// Measures; `progress` is told each step and may break off, what was measured until then is reported.
///
/// # Errors
/// When a temporary file cannot be written or read, or the flowgraph fails.
pub fn receive(
    parts: Parts,
    effort: ReceiveEffort,
    seed: u64,
    mut progress: impl FnMut(&str) -> ControlFlow<()>,
) -> Result<ReceiveReport, BenchError> {
    let mut report = ReceiveReport::default();
    if parts != Parts::Speed {
        measure_accuracy(effort, seed, &mut report, &mut progress)?;
    }
    if parts != Parts::Accuracy && progress("accuracy").is_continue() {
        measure_speed(effort, seed, &mut report, &mut progress)?;
    }
    report.limits = report::limits(&report);
    Ok(report)
}

fn measure_accuracy(
    effort: ReceiveEffort,
    seed: u64,
    report: &mut ReceiveReport,
    progress: &mut Progress<'_>,
) -> Result<(), BenchError> {
    for layout in LAYOUTS {
        for snr_db in SNR_DB {
            let row = accuracy::sweep(layout, SearchMode::Gated, snr_db, effort.frames, seed)?;
            report.accuracy.push(row);
            if progress("sweep").is_break() {
                return Ok(());
            }
        }
    }
    for layout in LAYOUTS {
        for snr_db in REACH_SNR_DB {
            for offset_hz in OFFSET_HZ {
                let row = reach::reach(layout, snr_db, offset_hz, effort.frames, seed)?;
                report.reach.push(row);
                if progress("carrier offset").is_break() {
                    return Ok(());
                }
            }
        }
    }
    let blocks = (effort.noise_s * crqkd_sounding::SAMPLE_RATE_HZ) as usize / train::SPACING;
    for layout in LAYOUTS {
        for search in MODES {
            for disturbance in Disturbance::ALL {
                let blocks = match disturbance {
                    Disturbance::Noise => blocks,
                    _ => effort.frames,
                };
                let row = accuracy::disturbed(disturbance, layout, search, blocks, seed)?;
                report.disturbances.push(row);
                if progress("disturbances").is_break() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

fn measure_speed(
    effort: ReceiveEffort,
    seed: u64,
    report: &mut ReceiveReport,
    progress: &mut Progress<'_>,
) -> Result<(), BenchError> {
    report.kernels = speed::kernels(effort.rounds)?;
    let _ = progress("kernels");
    report.frames = speed::frames(effort.rounds, seed)?;
    let _ = progress("frames");
    let ReceiveEffort { rounds, repeats, .. } = effort;
    let samples = speed::stretch(seed)?;
    let integers = speed::integers(&samples);
    for search in MODES {
        let row = speed::from_memory("memory, cf32", search, &samples, repeats, rounds, progress)?;
        report.speed.push(row);
    }
    let row = speed::from_memory("memory, ci16", MODES[0], &integers, repeats, rounds, progress)?;
    report.speed.push(row);
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("frames.cf32");
    // A third of a gigabyte at most.
    let repeats = repeats.min(20);
    speed::write_file(&file, &samples, repeats)?;
    let row = speed::from_file::<Complex32>("file, cf32", &file, repeats, rounds, progress)?;
    report.speed.push(row);
    let path = ci16_file(folder.path(), &samples, repeats)?;
    let row = speed::from_file::<[i16; 2]>("file, ci16", &path, repeats, rounds, progress)?;
    report.speed.push(row);
    Ok(())
}

/// The stretch `repeats` times as a SigMF recording of integers.
fn ci16_file(
    folder: &std::path::Path,
    samples: &[Complex32],
    repeats: usize,
) -> Result<std::path::PathBuf, BenchError> {
    let info = crqkd_recording::RecordingInfo {
        datatype: crqkd_recording::Datatype::Ci16Le,
        full_scale: 4.0,
        ..Default::default()
    };
    let path = folder.join("frames.sigmf-meta");
    let mut writer = crqkd_recording::RecordingWriter::create(&path, info)?;
    for repeat in 0..repeats {
        writer.write((repeat * samples.len()) as u64, samples)?;
    }
    writer.finish()?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Forty frames a point: the limits that so few frames can decide.
    #[test]
    fn a_short_run_finds_every_frame_and_no_other() {
        let effort = ReceiveEffort { frames: 40, noise_s: 0.05, rounds: 1, repeats: 1 };
        let mut told = 0;
        let report = receive(Parts::Accuracy, effort, 1, |_| {
            told += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(told, steps(Parts::Accuracy, effort));
        for row in &report.accuracy {
            assert_eq!((row.detected, row.false_frames), (1.0, 0), "{row:?}");
            assert!(row.cfo_rms_hz < 1.5 * row.cfo_bound_hz, "{row:?}");
            assert!((row.nmse_ls_db + row.snr_db + 15.0).abs() < 1.0, "{row:?}");
        }
        // At least what the documentation says of carrier offsets; far beyond it nothing is found, nothing made up.
        for limit in report.limits.iter().filter(|limit| limit.what.contains("kHz")) {
            assert!(limit.met, "{limit:?}");
        }
        let beyond = |row: &&ReachRow| row.offset_hz > 15e3 && row.snr_db < 10.0;
        for row in report.reach.iter().filter(beyond) {
            assert!(row.detected < 0.1, "{row:?}");
        }
        for row in &report.disturbances {
            assert_eq!((row.found, row.false_frames), (row.sent, 0), "{row:?}");
        }
        assert!(serde_json::to_string(&report).unwrap().contains("\"layout\":\"2x511\""));
        assert!(report.to_string().contains("limits"));
    }

    #[test]
    fn a_run_may_be_broken_off() {
        let effort = ReceiveEffort { frames: 2, noise_s: 0.001, rounds: 1, repeats: 1 };
        let report = receive(Parts::All, effort, 1, |_| ControlFlow::Break(())).unwrap();
        assert_eq!((report.accuracy.len(), report.disturbances.len()), (1, 0));
    }
}
