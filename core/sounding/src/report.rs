//! The line that a receiver prints for a frame.

use num_complex::Complex32;
use serde::{Deserialize, Serialize};

use crate::layout::TAPS;
use crate::{Estimate, Header};

/// A received frame as one line of JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrameReport {
    /// Sample number of the frame's first sample on the strongest path.
    pub start: u64,
    /// Carrier frequency offset of the frame in Hz.
    pub cfo_hz: f64,
    /// Channel power over noise power, ‖h‖²/σ², in dB.
    pub snr_db: f32,
    /// Noise power of a complex sample, in the units of the samples.
    pub noise_power: f32,
    /// Impulse response, `[re, im]` a tap, the strongest at index 8.
    pub cir: [Complex32; TAPS],
    /// The header, or null when there is none that could be read.
    pub header: Option<Header>,
}

impl FrameReport {
    /// The report of a frame.
    pub fn new(estimate: &Estimate, header: Option<Header>) -> Self {
        Self {
            start: estimate.start,
            cfo_hz: estimate.cfo_hz,
            snr_db: estimate.snr_db,
            noise_power: estimate.noise_power,
            cir: estimate.cir,
            header,
        }
    }
}
