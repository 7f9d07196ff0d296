//! The radios and what is imperfect about each.

use num_complex::Complex32;
use serde::{Deserialize, Serialize};

use crate::config::AirConfig;
use crate::fir::{RIPPLE_REACH, RIPPLE_TAPS};
use crate::random::{Purpose, normal_pair, normal_pair_at, stream};
use rand::Rng;

/// One radio of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Radio {
    /// The quantum access point (QAP).
    Qap,
    /// The user with the mobile terminal.
    User,
    /// The eavesdropper, close to the user.
    Eve,
}

impl Radio {
    /// All radios, in the order of [`Radio::index`].
    pub const ALL: [Radio; 3] = [Radio::Qap, Radio::User, Radio::Eve];

    /// Number of the radio, from 0.
    pub fn index(self) -> usize {
        self as usize
    }
}

/// What stays the same about a radio for a whole run.
#[derive(Clone, Debug)]
pub(crate) struct Hardware {
    /// Offset of the oscillator in Hz at the carrier.
    pub(crate) offset_hz: f64,
    /// Filter: 1 in the middle and a little around it.
    pub(crate) ripple: [Complex32; RIPPLE_TAPS],
}

impl Hardware {
    pub(crate) fn new(config: &AirConfig, seed: u64, radio: Radio) -> Self {
        let index = radio.index() as u64;
        let ppm =
            stream(seed, Purpose::Oscillator, index, 0).random_range(-0.5..=0.5) * config.cfo_ppm;
        // A random walk of step s around 64 carriers, without its mean, has Fourier coefficients of standard
        // deviation s·√64·√2/(2πm) (Karhunen-Loève of the Brownian bridge); the first few are kept. A small gain
        // g(k) in dB is a filter 1 + (ln 10/20)·g(k).
        let mut rng = stream(seed, Purpose::Ripple, index, 0);
        let mut ripple = [Complex32::ZERO; RIPPLE_TAPS];
        ripple[RIPPLE_REACH] = Complex32::ONE;
        for m in 1..=RIPPLE_REACH {
            let scale = config.ripple_db_per_carrier as f32 * 8.0 * std::f32::consts::SQRT_2
                / (std::f32::consts::TAU * m as f32);
            let [a, b] = normal_pair(&mut rng).map(|z| z * scale * std::f32::consts::LN_10 / 20.0);
            // a·cos(2πmk/64) + b·sin(2πmk/64) as taps at ±m.
            ripple[RIPPLE_REACH + m] += Complex32::new(a, b) * 0.5;
            ripple[RIPPLE_REACH - m] += Complex32::new(a, -b) * 0.5;
        }
        Self { offset_hz: ppm * 1e-6 * config.carrier_hz, ripple }
    }
}

/// What differs from burst to burst at one receiver.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reception {
    /// Deviation of the burst's gain from its usual value, in dB.
    pub(crate) gain_db: f32,
    /// Deviation of the burst's arrival from its usual time, in samples, within ±0.5.
    pub(crate) delay: f32,
}

impl Reception {
    pub(crate) fn new(config: &AirConfig, seed: u64, tx: Radio, rx: Radio, start: u64) -> Self {
        let direction = (tx.index() * 3 + rx.index()) as u64;
        let [gain, delay] = normal_pair_at(seed, Purpose::Gain, direction, start);
        Self {
            gain_db: gain * config.gain_jitter_db as f32,
            delay: (delay * config.timing_jitter_samples as f32).clamp(-0.5, 0.5),
        }
    }
}
