//! The sample types of a receiver.

use crqkd_air::medium::AirTime;
use crqkd_sounding::{Frame, SoundingError, Synchronizer};
use futuresdr::num_complex::Complex32;
use futuresdr::runtime::dev::prelude::CpuSample;

/// A received sample as a radio delivers it.
pub trait Iq: CpuSample + Copy {
    /// Hands samples from `time` on to the synchronizer; an integer of 32768 stands for `full_scale`.
    ///
    /// # Errors
    /// The errors of [`Synchronizer::process`].
    fn process(
        synchronizer: &mut Synchronizer,
        time: AirTime,
        samples: &[Self],
        full_scale: f32,
        frames: &mut Vec<Frame>,
    ) -> Result<(), SoundingError>;
}

impl Iq for Complex32 {
    fn process(
        synchronizer: &mut Synchronizer,
        time: AirTime,
        samples: &[Self],
        _full_scale: f32,
        frames: &mut Vec<Frame>,
    ) -> Result<(), SoundingError> {
        synchronizer.process(time, samples, frames)
    }
}

/// A sample of two 16-bit integers, I (real part) and Q (imaginary part).
impl Iq for [i16; 2] {
    fn process(
        synchronizer: &mut Synchronizer,
        time: AirTime,
        samples: &[Self],
        full_scale: f32,
        frames: &mut Vec<Frame>,
    ) -> Result<(), SoundingError> {
        synchronizer.process_ci16(time, samples, full_scale, frames)
    }
}
