//! From frames to channels, headers and payloads.

use crate::envelope::{pack, unpack};
use crate::hooks::Hooks;
use crate::messages::{Detections, Measurement, Measurements};
use crqkd_forwarding::{Direction, FrameKind, RxFrame};
use crqkd_keys::{Epoch, WindowId};
use crqkd_sounding::{Demodulator, Estimate, Estimator, Frame, Header, SoundingConfig};
use crqkd_sounding::{PayloadShape, SoundingError};
use futuresdr::runtime::dev::prelude::*;

/// Estimates the channel of each frame and reads what it carries; a shell on
/// [`crqkd_sounding::Estimator`] and [`crqkd_sounding::Demodulator`].
///
/// # Message Inputs
///
/// `frames`: [`Detections`].
///
/// # Message Outputs
///
/// `measurements`: [`Measurements`], one for each input.
#[derive(Block)]
#[message_inputs(frames)]
#[message_outputs(measurements)]
#[null_kernel]
pub struct ChannelEstimator {
    estimator: Estimator,
    demodulator: Demodulator,
    hooks: Hooks,
}

impl ChannelEstimator {
    /// An estimator with its tables.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn new(config: &SoundingConfig, hooks: Hooks) -> Result<Self, SoundingError> {
        let demodulator = Demodulator::new(config)?;
        Ok(ChannelEstimator { estimator: Estimator::new(), demodulator, hooks })
    }

    async fn frames(
        &mut self,
        io: &mut WorkIo,
        mo: &mut MessageOutputs,
        _meta: &mut BlockMeta,
        message: Pmt,
    ) -> Result<Pmt> {
        self.hooks.nap().await;
        if message == Pmt::Finished {
            io.finished = true;
            return Ok(Pmt::Ok);
        }
        let detections = self.hooks.watch(unpack::<Detections>(&message).map_err(Into::into))?;
        let list = detections.frames.iter().map(|frame| self.measure(frame)).collect();
        mo.post("measurements", pack(Measurements { list, progress: detections.progress })).await?;
        Ok(Pmt::Ok)
    }

    fn measure(&mut self, frame: &Frame) -> Measurement {
        let estimate = self.estimator.estimate(frame);
        let header = self.demodulator.header(frame, &estimate);
        let received = header.map(|header| self.receive(frame, &estimate, &header));
        Measurement { estimate, header, frame: received }
    }

    fn receive(&mut self, frame: &Frame, estimate: &Estimate, header: &Header) -> RxFrame {
        let (control, cipher_llr) = if header.payload == PayloadShape::default() {
            (None, Vec::new())
        } else {
            let payload = self.demodulator.payload(frame, estimate, header);
            (payload.control, payload.cipher_llr)
        };
        RxFrame {
            start: estimate.start,
            epoch: Epoch(header.epoch),
            window: WindowId(header.window),
            index: header.index,
            direction: match header.direction {
                crqkd_sounding::Direction::Forward => Direction::Forward,
                crqkd_sounding::Direction::Reverse => Direction::Reverse,
            },
            kind: match header.kind {
                crqkd_sounding::FrameKind::Probe => FrameKind::Probe,
                crqkd_sounding::FrameKind::Control => FrameKind::Control,
            },
            sender: header.sender,
            follow: header.follow,
            more: header.more,
            clipped: frame.clipped() > 0 || frame.is_truncated(),
            control,
            cipher_llr,
        }
    }
}
