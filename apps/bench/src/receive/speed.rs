//! CPU time of the receiver: whole flowgraph, single frames and single kernels.

use std::io::Write;

use cpu_time::ProcessTime;
use crqkd_blocks::Iq;
use crqkd_blocks::iq_source::{Fill, Piece};
use crqkd_flowgraphs::receive_iq;
use crqkd_recording::{IqSample, open_iq};
use crqkd_sounding::{
    Header, PayloadShape, SearchMode, SoundingConfig, Synchronizer, Synthesizer, workloads,
};
use num_complex::Complex32;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::Serialize;

use super::channel::{Truth, fill_noise};
use super::train::SPACING;
use super::{BenchError, Progress};

/// Frames of the stretch that is played over and over.
const FRAMES: usize = 100;
/// Full scale of the integers.
const FULL_SCALE: f32 = 4.0;

/// Throughput of the FutureSDR flowgraph of `crqkd receive` with one worker.
#[derive(Clone, Debug, Serialize)]
pub struct SpeedRow {
    /// Where the samples come from, and their type.
    pub source: &'static str,
    /// Where frames were looked for.
    pub search: SearchMode,
    /// Number of samples that were received.
    pub samples: u64,
    /// Number of frames that were found.
    pub frames: usize,
    /// Frames that were in the samples.
    pub sent: usize,
    /// Million samples for each second of CPU time of the process, all threads; the best of some rounds.
    pub msample_per_cpu_second: f64,
}

/// CPU time of one frame.
#[derive(Clone, Debug, Serialize)]
pub struct FrameRow {
    /// What the frame carries, in words.
    pub what: &'static str,
    /// Detection, estimate and header of a frame in a stretch of its length and 128 samples, µs; the best of some rounds.
    pub us: f64,
}

/// CPU time of one kernel.
#[derive(Clone, Debug, Serialize)]
pub struct KernelRow {
    /// Name of the kernel, for tables.
    pub name: &'static str,
    /// One call, µs; the best of some rounds.
    pub us: f64,
    /// Samples that the kernel goes through in a second, in millions.
    pub msample_per_second: f64,
}

/// Frames at 10 dB, 20000 samples from one to the next.
pub(super) fn stretch(seed: u64) -> Result<Vec<Complex32>, BenchError> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let burst = Synthesizer::new().burst(None, &[], &[])?;
    let mut samples = vec![Complex32::ZERO; FRAMES * SPACING];
    fill_noise(&mut samples, 0.1, &mut rng);
    for frame in 0..FRAMES {
        let start = frame * SPACING + rng.random_range(4000..12_000);
        Truth::draw(start as u64, &mut rng).receive(&burst, 0, &mut samples);
    }
    Ok(samples)
}

pub(super) fn integers(samples: &[Complex32]) -> Vec<[i16; 2]> {
    let integer = |x: f32| (x / FULL_SCALE * 32768.0).round() as i16;
    samples.iter().map(|s| [integer(s.re), integer(s.im)]).collect()
}

/// The stretch `rounds` times, from memory.
pub(super) fn from_memory<S: Iq>(
    source: &'static str,
    search: SearchMode,
    samples: &[S],
    rounds: usize,
    repeats: usize,
    progress: &mut Progress<'_>,
) -> Result<SpeedRow, BenchError> {
    measure(source, search, rounds, repeats, progress, || {
        let (samples, total) = (samples.to_vec(), samples.len() * rounds);
        let mut at = 0;
        let fill = move |room: &mut [S]| {
            let from = at % samples.len();
            let len = room.len().min(samples.len() - from).min(total - at);
            room[..len].copy_from_slice(&samples[from..from + len]);
            at += len;
            let piece = Piece { time: (at - len) as u64, len, last: at == total };
            Ok((len > 0).then_some(piece))
        };
        Ok((Box::new(fill) as Fill<S>, total as u64))
    })
}

/// The stretch `rounds` times, from a file, which the system has read before.
pub(super) fn from_file<S: Iq + IqSample>(
    source: &'static str,
    file: &std::path::Path,
    rounds: usize,
    repeats: usize,
    progress: &mut Progress<'_>,
) -> Result<SpeedRow, BenchError> {
    measure(source, SearchMode::Gated, rounds, repeats, progress, || {
        let mut reader = open_iq(file)?;
        let total = reader.total();
        let fill = move |room: &mut [S]| match reader.read_into(room) {
            Ok(Some((time, len))) => Ok(Some(Piece { time, len, last: !reader.continues() })),
            Ok(None) => Ok(None),
            Err(error) => Err(crqkd_blocks::radio::RadioError::File {
                name: "file".to_owned(),
                reason: error.to_string(),
            }),
        };
        Ok((Box::new(fill) as Fill<S>, total))
    })
}

fn measure<S: Iq>(
    source: &'static str,
    search: SearchMode,
    rounds: usize,
    repeats: usize,
    progress: &mut Progress<'_>,
    mut open: impl FnMut() -> Result<(Fill<S>, u64), BenchError>,
) -> Result<SpeedRow, BenchError> {
    let config = SoundingConfig { search, ..Default::default() };
    let mut row = SpeedRow {
        source,
        search,
        samples: 0,
        frames: 0,
        sent: FRAMES * rounds,
        msample_per_cpu_second: 0.0,
    };
    for _ in 0..repeats {
        let (fill, total) = open()?;
        let mut frames = 0;
        let clock = ProcessTime::now();
        receive_iq(fill, FULL_SCALE, &config, 1, |_| {
            frames += 1;
            true
        })?;
        let seconds = clock.elapsed().as_secs_f64();
        (row.samples, row.frames) = (total, frames);
        row.msample_per_cpu_second = row.msample_per_cpu_second.max(total as f64 / seconds / 1e6);
        if progress(source).is_break() {
            break;
        }
    }
    Ok(row)
}

/// Writes the stretch `rounds` times.
pub(super) fn write_file(
    path: &std::path::Path,
    samples: &[Complex32],
    rounds: usize,
) -> std::io::Result<()> {
    let bytes: Vec<u8> =
        samples.iter().flat_map(|s| [s.re.to_le_bytes(), s.im.to_le_bytes()].concat()).collect();
    let mut file = std::fs::File::create(path)?;
    for _ in 0..rounds {
        file.write_all(&bytes)?;
    }
    Ok(())
}

/// Time of the best of `rounds` rounds of `calls` calls, µs a call.
fn best_of(rounds: usize, calls: usize, mut call: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..rounds {
        let clock = ProcessTime::now();
        for _ in 0..calls {
            call();
        }
        best = best.min(clock.elapsed().as_secs_f64() / calls as f64 * 1e6);
    }
    best
}

/// Each frame alone in a stretch of its own, as a radio that listens at the right time receives it.
pub(super) fn frames(rounds: usize, seed: u64) -> Result<Vec<FrameRow>, BenchError> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let header = Header {
        epoch: 1,
        window: 2,
        index: 3,
        direction: crqkd_sounding::Direction::Forward,
        sender: 4,
        kind: crqkd_sounding::FrameKind::Probe,
        gain: 0,
        follow: false,
        more: false,
        payload: PayloadShape::default(),
    };
    let mut rows = Vec::new();
    for (what, header) in [("preamble alone", None), ("preamble and header", Some(&header))] {
        let burst = Synthesizer::new().burst(header, &[], &[])?;
        let stretches: Vec<Vec<Complex32>> = (0..50)
            .map(|_| {
                let mut samples = vec![Complex32::ZERO; burst.len() + 128];
                fill_noise(&mut samples, 0.1, &mut rng);
                Truth::draw(64, &mut rng).receive(&burst, 0, &mut samples);
                samples
            })
            .collect();
        let mut synchronizer = Synchronizer::new(&SoundingConfig::default())?;
        let (mut time, mut next, mut found) = (0, 0, Vec::new());
        let mut failed = None;
        let us = best_of(rounds, 500, || {
            found.clear();
            let samples = &stretches[next];
            if let Err(error) = synchronizer.process(time, samples, &mut found) {
                failed = Some(error);
            }
            synchronizer.flush(&mut found);
            time += 10_000;
            next = (next + 1) % stretches.len();
        });
        if let Some(error) = failed {
            return Err(error.into());
        }
        rows.push(FrameRow { what, us });
    }
    Ok(rows)
}

/// Measures the CPU time of each kernel alone.
pub(super) fn kernels(rounds: usize) -> Result<Vec<KernelRow>, BenchError> {
    let mut rows = Vec::new();
    for mut workload in workloads()? {
        let us = best_of(rounds, 2000, &mut workload.call);
        rows.push(KernelRow {
            name: workload.name,
            us,
            msample_per_second: workload.samples as f64 / us,
        });
    }
    Ok(rows)
}
