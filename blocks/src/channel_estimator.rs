//! From frames to channels, headers and payloads.

use crate::envelope::{pack, unpack};
use crate::hooks::Hooks;
use crate::messages::{Detections, Measurement, Measurements};
use crqkd_air::medium::AirTime;
use crqkd_forwarding::RxFrame;
use crqkd_keys::{Epoch, WindowId};
use crqkd_sounding::{ChannelEstimate, DelayProfile, Demodulator, Estimate, Estimator, Frame};
use crqkd_sounding::{Header, PayloadShape, SoundingConfig, SoundingError, ToneFinder};
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
/// `measurements`: [`Measurements`], one for each input, or for several of them within the
/// [patience](ChannelEstimator::with_patience).
#[derive(Block)]
#[message_inputs(frames)]
#[message_outputs(measurements)]
#[null_kernel]
pub struct ChannelEstimator {
    estimator: Estimator,
    demodulator: Demodulator,
    /// Of the frames so far, when estimates of least mean squared error are asked for.
    profile: Option<DelayProfile>,
    tones: ToneFinder,
    /// What was not told yet, and up to where it was told.
    list: Vec<Measurement>,
    progress: AirTime,
    told: AirTime,
    patience: AirTime,
    hooks: Hooks,
}

/// So many measurements are told whatever the patience.
const MANY: usize = 64;

impl ChannelEstimator {
    /// An estimator with its tables.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn new(config: &SoundingConfig, hooks: Hooks) -> Result<Self, SoundingError> {
        let demodulator = Demodulator::new(config)?;
        let profile = (config.channel == ChannelEstimate::Mmse).then(DelayProfile::new);
        let estimator = Estimator::with_layout(config.layout);
        Ok(ChannelEstimator {
            estimator,
            demodulator,
            profile,
            tones: ToneFinder::default(),
            list: Vec::new(),
            progress: 0,
            told: 0,
            patience: 0,
            hooks,
        })
    }

    /// Sets by how many samples measurements may be late; 0 at first. Whoever receives them then wakes up less often.
    pub fn with_patience(self, samples: AirTime) -> Self {
        ChannelEstimator { patience: samples, ..self }
    }

    async fn frames(
        &mut self,
        io: &mut WorkIo,
        mo: &mut MessageOutputs,
        _meta: &mut BlockMeta,
        message: Pmt,
    ) -> Result<Pmt> {
        self.hooks.nap().await;
        let ended = message == Pmt::Finished;
        if !ended {
            let detections =
                self.hooks.watch(unpack::<Detections>(&message).map_err(Into::into))?;
            self.progress = detections.progress;
            for frame in &detections.frames {
                let measurement = self.measure(frame);
                self.list.push(measurement);
            }
        }
        let late =
            self.progress.saturating_sub(self.told) >= self.patience || self.list.len() >= MANY;
        if (late && !ended) || !self.list.is_empty() && ended {
            self.told = self.progress;
            let list = std::mem::take(&mut self.list);
            mo.post("measurements", pack(Measurements { list, progress: self.told })).await?;
        }
        io.finished = ended;
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
        let odd_tone = self.tones.odd(frame);
        Measurement { estimate, header, frame: received, odd_tone }
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
            direction: header.direction,
            kind: header.kind,
            sender: header.sender,
            follow: header.follow,
            more: header.more,
            clipped: frame.clipped() > 0 || frame.is_truncated(),
            control,
            cipher_llr,
        }
    }
}
