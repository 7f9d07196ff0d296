//! What an experiment needs to know about a place and a protocol.

use crqkd_air::{AirConfig, AirError, SAMPLE_RATE_HZ};
use crqkd_channel_key::{ChannelKeyConfig, ConfigError as ChannelKeyError, QuantizeError};
use crqkd_otp::{ConfigError as OtpConfigError, OtpConfig};
use serde::{Deserialize, Serialize};

/// When probes are sent: their rate, the delay of the answers and the length of a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Probing {
    /// Probes a second, in `1..=1000`.
    pub probe_rate_hz: f64,
    /// Time from a frame to its answer in milliseconds, in `0.5..=10`.
    pub turnaround_ms: f64,
    /// Probes of a window, in `64..=256`.
    pub window_probes: u16,
}

impl Default for Probing {
    fn default() -> Self {
        Self { probe_rate_hz: 100.0, turnaround_ms: 2.0, window_probes: 128 }
    }
}

impl Probing {
    /// Samples from one probe to the next.
    pub fn period_samples(&self) -> u64 {
        (SAMPLE_RATE_HZ / self.probe_rate_hz).round() as u64
    }

    /// Samples from a frame to its answer.
    pub fn turnaround_samples(&self) -> u64 {
        (self.turnaround_ms * 1e-3 * SAMPLE_RATE_HZ).round() as u64
    }

    /// Checks every value against its range.
    pub fn validate(&self) -> Result<(), ExperimentError> {
        let check = |key: &'static str, value: f64, min: f64, max: f64| {
            if (min..=max).contains(&value) {
                Ok(())
            } else {
                Err(ExperimentError::OutOfRange { key, value, min, max })
            }
        };
        check("probe_rate_hz", self.probe_rate_hz, 1.0, 1000.0)?;
        check("turnaround_ms", self.turnaround_ms, 0.5, 10.0)?;
        check("window_probes", f64::from(self.window_probes), 64.0, 256.0)
    }
}

/// Everything about one place and one link.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Setup {
    /// The radio channel that the probes are sent over.
    pub air: AirConfig,
    /// When probes are sent.
    pub probing: Probing,
    /// How bits are made of channel measurements (CSI): features and quantizer.
    pub channel_key: ChannelKeyConfig,
    /// How groups are sent under those bits: code and decoder of the one-time pad.
    pub otp: OtpConfig,
}

impl Setup {
    /// Checks that every part is within its ranges.
    pub fn validate(&self) -> Result<(), ExperimentError> {
        self.air.validate()?;
        self.probing.validate()?;
        self.channel_key.validate()?;
        Ok(self.otp.validate()?)
    }
}

/// Why an experiment cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ExperimentError {
    /// A value lies outside its range.
    #[error("{key} = {value} is outside {min}..={max}")]
    OutOfRange {
        /// Name of the field that is out of range.
        key: &'static str,
        /// The value that it has.
        value: f64,
        /// Smallest value that the field may have.
        min: f64,
        /// Largest value that the field may have.
        max: f64,
    },
    /// The description of the channel is out of range.
    #[error(transparent)]
    Air(#[from] AirError),
    /// The parameters of the channel key are out of range.
    #[error(transparent)]
    ChannelKey(#[from] ChannelKeyError),
    /// The parameters of the one-time pad are out of range.
    #[error(transparent)]
    Otp(#[from] OtpConfigError),
    /// A window that gives no bits, by number.
    #[error("window {window}: {source}")]
    Quantize {
        /// Number of the window that gives no bits.
        window: u64,
        /// Why the quantizer refuses the window.
        source: QuantizeError,
    },
}
