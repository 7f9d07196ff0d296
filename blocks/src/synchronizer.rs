//! From samples to frames.

use crate::envelope::pack;
use crate::hooks::Hooks;
use crate::messages::Detections;
use crate::time_tag::stretches;
use crqkd_air::medium::Air;
use crqkd_sounding::{SoundingConfig, SoundingError};
use futuresdr::num_complex::Complex32;
use futuresdr::runtime::dev::prelude::*;

/// Finds sounding frames in a stream of samples; a shell on [`crqkd_sounding::Synchronizer`].
///
/// # Stream Inputs
///
/// `input`: Samples with the tags of [`time_tag`](crate::time_tag).
///
/// # Message Outputs
///
/// `frames`: [`Detections`], whenever there are frames or the progress has moved.
#[derive(Block)]
#[message_outputs(frames)]
pub struct Synchronizer<I = DefaultCpuReader<Complex32>>
where
    I: CpuBufferReader<Item = Complex32>,
{
    #[input]
    input: I,
    synchronizer: crqkd_sounding::Synchronizer,
    time: Air,
    told: Air,
    hooks: Hooks,
}

impl<I> Synchronizer<I>
where
    I: CpuBufferReader<Item = Complex32>,
{
    /// A synchronizer before its first sample.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn new(config: &SoundingConfig, hooks: Hooks) -> Result<Self, SoundingError> {
        let mut input = I::default();
        input.set_min_buffer_size_in_items(crate::transceiver::STREAM_ITEMS);
        let synchronizer = crqkd_sounding::Synchronizer::new(config)?;
        Ok(Synchronizer { input, synchronizer, time: 0, told: 0, hooks })
    }

    /// Takes everything from the input.
    fn read(&mut self) -> Result<Detections, SoundingError> {
        let (samples, tags) = self.input.slice_with_tags();
        let mut frames = Vec::new();
        for stretch in stretches(samples.len(), tags) {
            let time = stretch.time.unwrap_or(self.time);
            self.time = time + stretch.range.len() as Air;
            self.synchronizer.process(time, &samples[stretch.range], &mut frames)?;
            if stretch.last {
                self.synchronizer.flush(&mut frames);
            }
        }
        let read = samples.len();
        self.input.consume(read);
        Ok(Detections { frames, progress: self.synchronizer.progress() })
    }
}

#[doc(hidden)]
impl<I> Kernel for Synchronizer<I>
where
    I: CpuBufferReader<Item = Complex32>,
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
        if !detections.frames.is_empty() || detections.progress != self.told {
            self.told = detections.progress;
            mo.post("frames", pack(detections)).await?;
        }
        io.finished = self.input.finished() && self.input.slice().is_empty();
        Ok(())
    }
}
