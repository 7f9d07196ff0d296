//! Received samples to SigMF while a run goes on, and back.

use anyhow::{Context, Result, anyhow};
use async_channel::Receiver;
use crqkd_blocks::radio::RadioError;
use crqkd_blocks::radio::air::Propagation;
use crqkd_blocks::radio::file::{Chunk, Recorded};
use crqkd_blocks::transceiver::Capture;
use crqkd_flowgraphs::Role;
use crqkd_node::told::told;
use crqkd_recording::{
    Annotation, Collection, Datatype, Member, RecordingInfo, RecordingWriter, RunWriter,
};
use crqkd_scenario::Scenario;
use crqkd_sounding::{Demodulator, Estimator, HEADER_FRAME_LEN, SoundingConfig, Synchronizer};
use std::collections::BTreeMap;
use std::thread::JoinHandle;

/// Samples that are read at once.
const CHUNK: usize = 1 << 16;

/// Writes what the radios receive, on a thread of its own: the run waits when the disk is slow.
pub(crate) struct Recorder {
    thread: JoinHandle<Result<Vec<Member>>>,
}

/// One radio's file, and a receiver that finds the frames for its annotations.
struct Track {
    writer: RecordingWriter,
    synchronizer: Synchronizer,
    estimator: Estimator,
    demodulator: Demodulator,
}

impl Recorder {
    /// Starts to write `captures` of `roles`; those of other radios are dropped.
    pub(crate) fn start(
        run: &RunWriter,
        roles: &[Role],
        datatype: Datatype,
        scenario: &Scenario,
        captures: Receiver<Capture>,
    ) -> Result<Self> {
        let mut tracks = BTreeMap::new();
        let config = SoundingConfig::default();
        for role in roles {
            // The converter's full scale: 16 bits then hold what its bits gave, exactly.
            let info = RecordingInfo {
                datatype,
                full_scale: scenario.air.adc_full_scale as f32,
                frequency_hz: Some(scenario.air.carrier_hz),
                description: Some(format!(
                    "what {role} receives in the scenario {}",
                    scenario.name
                )),
                author: Some("crqkd".to_owned()),
                hardware: Some("virtual air".to_owned()),
                license: Some("https://www.apache.org/licenses/LICENSE-2.0".to_owned()),
                ..RecordingInfo::default()
            };
            let track = Track {
                writer: run.recording(&role.to_string(), info)?,
                synchronizer: Synchronizer::new(&config)?,
                estimator: Estimator::new(),
                demodulator: Demodulator::new(&config)?,
            };
            tracks.insert(role.number(), track);
        }
        let thread = std::thread::spawn(move || record(tracks, &captures));
        Ok(Recorder { thread })
    }

    /// Waits until everything is written. A radio that received nothing has no recording.
    pub(crate) fn finish(self) -> Result<Vec<Member>> {
        self.thread.join().map_err(|_| anyhow!("the recorder has died"))?
    }
}

fn record(mut tracks: BTreeMap<u16, Track>, captures: &Receiver<Capture>) -> Result<Vec<Member>> {
    while let Ok(capture) = captures.recv_blocking() {
        if let Some(track) = tracks.get_mut(&capture.radio) {
            track.add(&capture).inspect_err(|error| {
                tracing::error!("recording: {}; nothing more is recorded", told(error));
                captures.close();
            })?;
        }
    }
    let heard = tracks.into_values().filter(|track| !track.writer.is_empty());
    heard.map(|track| track.writer.finish().context("recording")).collect()
}

impl Track {
    fn add(&mut self, capture: &Capture) -> Result<()> {
        self.writer.write(capture.time, &capture.samples)?;
        let mut frames = Vec::new();
        self.synchronizer.process(capture.time, &capture.samples, &mut frames)?;
        if capture.last {
            self.synchronizer.flush(&mut frames);
        }
        for frame in frames {
            let estimate = self.estimator.estimate(&frame);
            let header = self.demodulator.header(&frame, &estimate);
            let length = header.map_or(HEADER_FRAME_LEN, |header| header.payload.frame_len());
            let label = header.map_or("frame".to_owned(), |header| {
                format!("{:?} {}/{}", header.kind, header.window, header.index).to_lowercase()
            });
            let annotation = Annotation::new(estimate.start, length as u64, label)
                .with("cfo_hz", estimate.cfo_hz)
                .with("snr_db", f64::from(estimate.snr_db));
            self.writer.annotate(annotation)?;
        }
        Ok(())
    }
}

/// A recording of a collection in place of the channel model.
pub(crate) fn play(collection: &Collection, name: &str) -> Result<Box<dyn Propagation>> {
    let mut reader = collection.recording(name)?.samples()?;
    let file = name.to_owned();
    let chunks = std::iter::from_fn(move || {
        let mut samples = Vec::new();
        match reader.read(&mut samples, CHUNK) {
            Ok(Some(time)) => Some(Ok(Chunk { time, samples })),
            Ok(None) => None,
            Err(error) => {
                Some(Err(RadioError::File { name: file.clone(), reason: error.to_string() }))
            }
        }
    });
    Ok(Box::new(Recorded::new(name, chunks)))
}
