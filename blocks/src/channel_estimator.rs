//! From frames to channels, headers and payloads.

use crate::envelope::{pack, unpack};
use crate::hooks::Hooks;
use crate::messages::{Detections, Measurement, Measurements};
use crqkd_forwarding::{Direction, FrameKind, RxFrame};
use crqkd_keys::{Epoch, WindowId};
use crqkd_sounding::{ChannelEstimate, DelayProfile, Demodulator, Estimate, Estimator, Frame};
use crqkd_sounding::{Header, PayloadShape, SoundingConfig, SoundingError};
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
    /// Of the frames so far, when estimates of least mean squared error are asked for.
    profile: Option<DelayProfile>,
    hooks: Hooks,
}

impl ChannelEstimator {
    /// An estimator with its tables.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn new(config: &SoundingConfig, hooks: Hooks) -> Result<Self, SoundingError> {
        let demodulator = Demodulator::new(config)?;
        let profile = (config.channel == ChannelEstimate::Mmse).then(DelayProfile::new);
        let estimator = Estimator::with_layout(config.layout);
        Ok(ChannelEstimator { estimator, demodulator, profile, hooks })
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
        let mut estimate = self.estimator.estimate(frame);
        let header = self.demodulator.header(frame, &estimate);
        let received = header.map(|header| self.receive(frame, &estimate, &header));
        if let Some(profile) = &mut self.profile {
            let smoothed = profile.smooth(&estimate);
            (estimate.cir, estimate.csi) = (smoothed.cir, smoothed.csi);
            estimate.csi_noise_var = smoothed.csi_noise_var;
        }
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
