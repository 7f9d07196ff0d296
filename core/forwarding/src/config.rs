//! [`ForwardingConfig`]: what a scenario sets, and [`Plan`]: the same in samples, checked.

use serde::{Deserialize, Serialize};

use crate::{AirTime, SAMPLE_RATE_HZ};

/// Most groups that a user may ask for.
pub const MAX_REQUEST: u32 = 65_536;

/// How a ciphertext travels over the air (DESIGN section 6).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum CipherMode {
    /// Inside a coded control message: it arrives exactly or not at all. Each one is answered.
    #[default]
    Protected,
    /// Uncoded, behind the control message: the receiver has a log-likelihood ratio per bit. One answer per batch.
    Cascade,
}

/// Parameters of the protocol. Both ends of a link must use the same ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ForwardingConfig {
    /// Probes a second.
    pub probe_rate_hz: f64,
    /// From the start of a received frame to the start of the answer (T_turn, the reply delay).
    pub turnaround_ms: f64,
    /// From sending a wired message between QAPs to its arrival; at least the turnaround.
    pub wire_latency_ms: f64,
    /// From handing out a piece of work (derive, encrypt, decrypt, hash, persist) to the answer taking effect.
    pub job_latency_ms: f64,
    /// How far a frame may start from where it is expected, either side. Covers propagation there and back.
    pub guard_samples: u32,
    /// Probes in a window, 64 to 256.
    pub window_probes: u16,
    /// Windows thrown away at the start.
    pub discard_windows: u32,
    /// A window with fewer probes that both ends hold is dropped.
    pub min_kept_probes: u16,
    /// Windows whose closing may be under way at once; a later one overtakes and drops the oldest.
    pub open_windows: u32,
    /// Windows of channel key that are kept for use; a later one drops the oldest.
    pub pad_windows: u32,
    /// Bits of quantum key in a group (L_G, K of the code).
    pub group_bits: u32,
    /// Bits of a ciphertext, and of its pad (N of the code).
    pub code_bits: u32,
    /// How a ciphertext travels.
    pub ciphertext: CipherMode,
    /// Groups in a block (M).
    pub groups_per_block: u16,
    /// Ciphertexts that are sent for one group before it is burned.
    pub max_attempts: u8,
    /// Probes missed in a row after which a user listens all the time again.
    pub relock_probes: u32,
    /// Probes in a row without a sign of the other end after which the link counts as lost.
    pub lost_probes: u32,
    /// Probes in a row without a sign of the QAP after which a user who is done, or Eve, stops.
    pub silence_probes: u32,
    /// The run ends after this much air time, done or not.
    pub max_air_time_s: f64,
}

impl Default for ForwardingConfig {
    fn default() -> Self {
        Self {
            probe_rate_hz: 100.0,
            turnaround_ms: 2.0,
            wire_latency_ms: 5.0,
            job_latency_ms: 5.0,
            guard_samples: 128,
            window_probes: 128,
            discard_windows: 0,
            min_kept_probes: 32,
            open_windows: 4,
            pad_windows: 64,
            group_bits: 384,
            code_bits: 1024,
            ciphertext: CipherMode::Protected,
            groups_per_block: 8,
            max_attempts: 8,
            relock_probes: 64,
            lost_probes: 200,
            silence_probes: 50,
            max_air_time_s: 600.0,
        }
    }
}

/// What the waveform allows, as plain numbers from the sounding crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameLimits {
    /// Length of a probe frame (preamble and header) in samples.
    pub probe_samples: u64,
    /// Length of the longest control frame in samples.
    pub control_samples: u64,
    /// Bytes of control message that such a frame holds.
    pub control_bytes: usize,
    /// Uncoded ciphertext bits that such a frame holds beside them.
    pub cipher_bits: usize,
}

/// A configuration that cannot work, with the numbers that show it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A value outside its range.
    #[error("{key} = {value} is outside {min} to {max}")]
    Range {
        /// Name of the key in the configuration.
        key: &'static str,
        /// The value that it has.
        value: f64,
        /// Smallest value that is allowed.
        min: f64,
        /// Largest value that is allowed.
        max: f64,
    },
    /// A frame is not over when the turnaround ends, so that nothing could be answered in time.
    #[error(
        "turnaround_ms gives {turnaround} samples, but a control frame with its guard lasts {needed}"
    )]
    TurnaroundTooShort {
        /// Turnaround that the configuration gives, in samples.
        turnaround: u64,
        /// Samples that a control frame with its guard lasts.
        needed: u64,
    },
    /// Half a probe period does not hold an exchange of two frames.
    #[error("half a probe period is {half} samples, an exchange of two frames takes {needed}")]
    PeriodTooShort {
        /// Half the probe period in samples.
        half: u64,
        /// Samples that an exchange of two frames takes.
        needed: u64,
    },
    /// A message does not fit into a control frame.
    #[error("{what} takes {needed} bytes, a control frame holds {available}")]
    ControlTooSmall {
        /// Name of the message, for people.
        what: &'static str,
        /// Bytes that the message takes.
        needed: usize,
        /// Bytes that a control frame holds.
        available: usize,
    },
    /// An uncoded ciphertext does not fit behind a control message.
    #[error("code_bits = {needed}, a control frame carries {available} uncoded bits")]
    CipherTooLong {
        /// Bits of a ciphertext, `code_bits` of the configuration.
        needed: usize,
        /// Uncoded bits that a control frame carries.
        available: usize,
    },
}

impl ForwardingConfig {
    /// Checks every value on its own. [`Plan::new`] checks them against the waveform too.
    ///
    /// # Errors
    /// [`ConfigError::Range`] for the first value outside its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let range = |key, value: f64, min: f64, max: f64| {
            if value >= min && value <= max {
                Ok(())
            } else {
                Err(ConfigError::Range { key, value, min, max })
            }
        };
        range("probe_rate_hz", self.probe_rate_hz, 0.1, 2000.0)?;
        range("turnaround_ms", self.turnaround_ms, 0.1, 1000.0)?;
        range("wire_latency_ms", self.wire_latency_ms, self.turnaround_ms, 10_000.0)?;
        range("job_latency_ms", self.job_latency_ms, 0.001, 10_000.0)?;
        range("guard_samples", self.guard_samples.into(), 1.0, 100_000.0)?;
        range("window_probes", self.window_probes.into(), 64.0, 256.0)?;
        range("discard_windows", self.discard_windows.into(), 0.0, 1000.0)?;
        range("min_kept_probes", self.min_kept_probes.into(), 1.0, self.window_probes.into())?;
        range("open_windows", self.open_windows.into(), 1.0, 16.0)?;
        range("pad_windows", self.pad_windows.into(), 2.0, 4096.0)?;
        range("group_bits", self.group_bits.into(), 16.0, 4096.0)?;
        range("code_bits", self.code_bits.into(), self.group_bits.into(), 4096.0)?;
        range("groups_per_block", self.groups_per_block.into(), 1.0, 32.0)?;
        range("max_attempts", self.max_attempts.into(), 1.0, 100.0)?;
        range("relock_probes", self.relock_probes.into(), 2.0, 1e6)?;
        range("lost_probes", self.lost_probes.into(), 8.0, 1e6)?;
        range("silence_probes", self.silence_probes.into(), 8.0, 1e6)?;
        range("max_air_time_s", self.max_air_time_s, 0.01, 1e7)
    }
}

/// A checked configuration with its times in samples. All stations of a run share one.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The configuration it was made from.
    pub config: ForwardingConfig,
    /// What the waveform allows.
    pub frames: FrameLimits,
    /// Probe period P: samples from one probe to the next.
    pub period: AirTime,
    /// Half a probe period: from a probe to its control slot.
    pub half: AirTime,
    /// From a received frame to the answer (T_turn), and the look-ahead of every promise.
    pub turnaround: AirTime,
    /// From sending a wired message to its arrival.
    pub wire_latency: AirTime,
    /// From handing out work to its answer taking effect.
    pub job_latency: AirTime,
    /// Tolerance of a frame's start, either side.
    pub guard: AirTime,
    /// Air time after which the run ends.
    pub max_air_time: AirTime,
}

/// Bytes of a ciphertext message with `refs` pad ranges, without the ciphertext's own bits.
pub(crate) const fn ciphertext_overhead(refs: usize) -> usize {
    6 + 1 + 8 + 1 + 1 + 4 + 2 + 1 + 12 * refs + 3
}

impl Plan {
    /// Checks the configuration against the waveform.
    ///
    /// # Errors
    /// [`ConfigError`] with what does not fit.
    ///
    /// ```
    /// use crqkd_forwarding::{ForwardingConfig, FrameLimits, Plan};
    /// let frames =
    ///     FrameLimits { probe_samples: 3903, control_samples: 16_000, control_bytes: 400, cipher_bits: 0 };
    /// let plan = Plan::new(ForwardingConfig::default(), frames)?;
    /// assert_eq!((plan.period, plan.turnaround), (200_000, 40_000));
    ///
    /// let hasty = ForwardingConfig { probe_rate_hz: 200.0, ..Default::default() };
    /// assert!(Plan::new(hasty, frames).is_err()); // half of 5 ms does not hold two frames 2 ms apart
    /// # Ok::<(), crqkd_forwarding::ConfigError>(())
    /// ```
    pub fn new(config: ForwardingConfig, frames: FrameLimits) -> Result<Self, ConfigError> {
        config.validate()?;
        let ms = |value: f64| (value * 1e-3 * SAMPLE_RATE_HZ).round() as AirTime;
        let half = (SAMPLE_RATE_HZ / config.probe_rate_hz / 2.0).round() as AirTime;
        let plan = Self {
            period: 2 * half,
            half,
            turnaround: ms(config.turnaround_ms),
            wire_latency: ms(config.wire_latency_ms),
            job_latency: ms(config.job_latency_ms).max(1),
            guard: AirTime::from(config.guard_samples),
            max_air_time: ms(config.max_air_time_s * 1e3),
            frames,
            config,
        };
        let longest = frames.control_samples.max(frames.probe_samples);
        let needed = longest + 2 * plan.guard;
        if plan.turnaround < needed {
            return Err(ConfigError::TurnaroundTooShort { turnaround: plan.turnaround, needed });
        }
        let needed = plan.turnaround + longest + 4 * plan.guard;
        if half < needed {
            return Err(ConfigError::PeriodTooShort { half, needed });
        }
        plan.check_messages()?;
        Ok(plan)
    }

    fn check_messages(&self) -> Result<(), ConfigError> {
        let code_bits = self.config.code_bits as usize;
        let inside = match self.config.ciphertext {
            CipherMode::Protected => code_bits.div_ceil(8),
            CipherMode::Cascade if code_bits > self.frames.cipher_bits => {
                return Err(ConfigError::CipherTooLong {
                    needed: code_bits,
                    available: self.frames.cipher_bits,
                });
            }
            CipherMode::Cascade => 0,
        };
        let available = self.frames.control_bytes;
        let needs = [
            ("a ciphertext with four pad ranges", ciphertext_overhead(4) + inside),
            ("a window's bitmap", 6 + 11 + usize::from(self.config.window_probes).div_ceil(8)),
            ("a list of a block's groups", 6 + 16 + 8 * usize::from(self.config.groups_per_block)),
            ("a part of a seed", 64),
        ];
        for (what, needed) in needs {
            if needed > available {
                return Err(ConfigError::ControlTooSmall { what, needed, available });
            }
        }
        Ok(())
    }

    /// Entries of a list of groups that is sent in parts.
    pub(crate) fn list_chunk(&self) -> usize {
        (self.frames.control_bytes.saturating_sub(24) / 10).clamp(1, 32)
    }

    /// Most pad ranges that one ciphertext may name and still fit into a control frame (at most 16).
    pub fn max_pad_refs(&self) -> usize {
        let inside = match self.config.ciphertext {
            CipherMode::Protected => (self.config.code_bits as usize).div_ceil(8),
            CipherMode::Cascade => 0,
        };
        (self.frames.control_bytes.saturating_sub(ciphertext_overhead(0) + inside) / 12).min(16)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const FRAMES: FrameLimits = FrameLimits {
        probe_samples: 3903,
        control_samples: 16_000,
        control_bytes: 400,
        cipher_bits: 1024,
    };

    #[test]
    fn unknown_keys_and_values_out_of_range_are_refused() {
        let config: ForwardingConfig =
            toml::from_str("probe_rate_hz = 50.0\nciphertext = \"cascade\"").unwrap();
        assert_eq!((config.probe_rate_hz, config.ciphertext), (50.0, CipherMode::Cascade));
        assert!(toml::from_str::<ForwardingConfig>("probe_rate = 50.0").is_err());
        let config = ForwardingConfig { window_probes: 300, ..Default::default() };
        let error = config.validate().unwrap_err();
        assert_eq!(error.to_string(), "window_probes = 300 is outside 64 to 256");
        let config = ForwardingConfig { probe_rate_hz: f64::NAN, ..Default::default() };
        assert!(config.validate().is_err());
    }

    #[test]
    fn an_exchange_must_fit_into_half_a_period() {
        let config = ForwardingConfig { turnaround_ms: 4.5, ..Default::default() };
        let config = ForwardingConfig { wire_latency_ms: 5.0, ..config };
        assert_eq!(
            Plan::new(config, FRAMES),
            Err(ConfigError::PeriodTooShort { half: 100_000, needed: 106_512 })
        );
        let config = ForwardingConfig { turnaround_ms: 0.5, ..Default::default() };
        assert!(matches!(
            Plan::new(config, FRAMES),
            Err(ConfigError::TurnaroundTooShort { turnaround: 10_000, .. })
        ));
    }

    #[test]
    fn a_ciphertext_must_fit_into_a_control_frame() {
        let config = ForwardingConfig { code_bits: 4096, ..Default::default() };
        assert!(matches!(
            Plan::new(config.clone(), FRAMES),
            Err(ConfigError::ControlTooSmall { .. })
        ));
        let config = ForwardingConfig { ciphertext: CipherMode::Cascade, ..config };
        assert!(matches!(Plan::new(config, FRAMES), Err(ConfigError::CipherTooLong { .. })));
        assert_eq!(Plan::new(Default::default(), FRAMES).unwrap().max_pad_refs(), 16);
    }
}
