//! The block that finds sounding frames in a stream of samples.

use crate::envelope::pack;
use crate::hooks::Hooks;
use crate::iq::Iq;
use crate::messages::Detections;
use crate::time_tag::stretches;
use crqkd_air::medium::AirTime;
use crqkd_sounding::{Frame, SoundingConfig, SoundingError};
use futuresdr::num_complex::Complex32;
use futuresdr::runtime::dev::prelude::*;

/// Finds sounding frames in a stream of samples; a shell on [`crqkd_sounding::Synchronizer`].
///
/// # Stream Inputs
///
/// `input`: Samples ([`Iq`]: floating-point or 16-bit integers) with the tags of
/// [`time_tag`](crate::time_tag).
///
/// # Message Outputs
///
/// `frames`: [`Detections`], whenever there are frames or the progress has moved, by more than the
/// [patience](Synchronizer::with_patience).
#[derive(Block)]
#[message_outputs(frames)]
pub struct Synchronizer<I = DefaultCpuReader<Complex32>>
where
    I: CpuBufferReader<Item: Iq>,
{
    #[input]
    input: I,
    synchronizer: crqkd_sounding::Synchronizer,
    /// What an integer of 32768 stands for.
    full_scale: f32,
    /// Frames of the present call.
    frames: Vec<Frame>,
    time: AirTime,
    told: AirTime,
    patience: AirTime,
    hooks: Hooks,
}

impl<I> Synchronizer<I>
where
    I: CpuBufferReader<Item: Iq>,
{
    /// A synchronizer before its first sample.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn new(config: &SoundingConfig, hooks: Hooks) -> Result<Self, SoundingError> {
        let mut input = I::default();
        input.set_min_buffer_size_in_items(crate::transceiver::STREAM_ITEMS);
        let synchronizer = crqkd_sounding::Synchronizer::new(config)?;
        Ok(Synchronizer {
            input,
            synchronizer,
            full_scale: 1.0,
            frames: Vec::new(),
            time: 0,
            told: 0,
            patience: 0,
            hooks,
        })
    }

    /// Sets what an integer of 32768 stands for, for a stream of integers; 1 at first.
    pub fn with_full_scale(self, full_scale: f32) -> Self {
        Synchronizer { full_scale, ..self }
    }

    /// Sets by how many samples the progress may move untold; 0 at first, as a transmitter needs it.
    pub fn with_patience(self, samples: AirTime) -> Self {
        Synchronizer { patience: samples, ..self }
    }

    /// Takes everything from the input.
    fn read(&mut self) -> Result<Detections, SoundingError> {
        let (samples, tags) = self.input.slice_with_tags();
        let frames = &mut self.frames;
        for stretch in stretches(samples.len(), tags) {
            let time = stretch.time.unwrap_or(self.time);
            self.time = time + stretch.range.len() as AirTime;
            let (synchronizer, scale) = (&mut self.synchronizer, self.full_scale);
            Iq::process(synchronizer, time, &samples[stretch.range], scale, frames)?;
            if stretch.last {
                synchronizer.flush(frames);
            }
        }
        let read = samples.len();
        self.input.consume(read);
        let frames = std::mem::take(frames);
        Ok(Detections { frames, progress: self.synchronizer.progress() })
    }
}

#[doc(hidden)]
impl<I> Kernel for Synchronizer<I>
where
    I: CpuBufferReader<Item: Iq>,
{
    async fn work(
        &mut self,
        io: &mut WorkIo,
        mo: &mut MessageOutputs,
        _meta: &mut BlockMeta,
    ) -> Result<()> {
        self.hooks.nap().await;
        let detections = self.read().map_err(Into::into);
        let detections = self.hooks.watch(detections)?;
        io.finished = self.input.finished() && self.input.slice().is_empty();
        let moved = detections.progress.saturating_sub(self.told);
        let tell = moved > self.patience || (moved > 0 && io.finished);
        if tell || !detections.frames.is_empty() {
            self.told = detections.progress;
            mo.post("frames", pack(detections)).await?;
        }
        Ok(())
    }
}
