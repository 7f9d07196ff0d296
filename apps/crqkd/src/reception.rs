//! Receiving a recording frame by frame without a flowgraph: what `inspect` and `keygen` share.

use crate::oddities::Oddities;
use anyhow::{Context, Result, bail};
use crqkd_recording::{Complex32, SampleReader};
use crqkd_sounding::{
    Demodulator, Estimate, Estimator, Frame, Header, Level, SAMPLE_RATE_HZ, SoundingConfig,
    Synchronizer, ToneFinder,
};
use std::path::Path;

/// Refuses a recording whose description names another sample rate than that of the frames.
pub(crate) fn check_rate(reader: &SampleReader, path: &Path) -> Result<()> {
    if let Some(rate) = reader.sample_rate_hz().filter(|&rate| rate != SAMPLE_RATE_HZ) {
        bail!("{}: recorded at {rate} samples a second, expected {SAMPLE_RATE_HZ}", path.display());
    }
    Ok(())
}

/// Finds the frames in samples of any level, estimates their channels and reads their headers.
pub(crate) struct Reception {
    name: String,
    synchronizer: Synchronizer,
    estimator: Estimator,
    demodulator: Demodulator,
    level: Level,
    tones: ToneFinder,
    oddities: Oddities,
    frames: Vec<Frame>,
    found: Vec<(Estimate, Option<Header>)>,
}

impl Reception {
    /// A receiver for the samples of `reader`.
    ///
    /// # Errors
    /// When the recording has another sample rate, or a setting is out of range.
    pub(crate) fn new(reader: &SampleReader, path: &Path, config: &SoundingConfig) -> Result<Self> {
        check_rate(reader, path)?;
        Ok(Reception {
            name: path.display().to_string(),
            synchronizer: Synchronizer::new(config)?,
            estimator: Estimator::with_layout(config.layout),
            demodulator: Demodulator::new(config)?,
            level: Level::default(),
            tones: ToneFinder::default(),
            oddities: Oddities::of(reader, path),
            frames: Vec::new(),
            found: Vec::new(),
        })
    }

    /// Takes the samples from `time` on and leaves them scaled by [`factor`](Self::factor).
    ///
    /// # Errors
    /// When the samples lie before those that were there.
    pub(crate) fn process(&mut self, time: u64, samples: &mut [Complex32]) -> Result<()> {
        self.level.scale(samples);
        self.synchronizer
            .process(time, samples, &mut self.frames)
            .with_context(|| self.name.clone())?;
        self.receive();
        Ok(())
    }

    fn receive(&mut self) {
        for frame in self.frames.drain(..) {
            self.oddities.tone(self.tones.odd(&frame));
            let mut estimate = self.estimator.estimate(&frame);
            let header = self.demodulator.header(&frame, &estimate);
            self.level.restore(&mut estimate);
            self.found.push((estimate, header));
        }
    }

    /// By what the samples were multiplied.
    pub(crate) fn factor(&self) -> f64 {
        self.level.factor()
    }

    /// The frames in the order of their times, and what is odd about the recording, a sentence each.
    pub(crate) fn finish(mut self) -> (Vec<(Estimate, Option<Header>)>, Vec<String>) {
        self.synchronizer.flush(&mut self.frames);
        self.receive();
        (self.found, self.oddities.sentences())
    }
}
