//! The knobs of the channel, with units in their names.

use serde::{Deserialize, Serialize};

use crate::csi::ESTIMATE_GAIN;

/// The channel and radio parameters of one place.
///
/// The defaults are the starting values for the paper's hall without interference; scenario files hold fitted ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AirConfig {
    /// Carrier frequency in Hz (the paper: 2.605 GHz).
    pub carrier_hz: f64,
    /// Speed of the user in metres a second; Eve moves along.
    pub speed_m_per_s: f64,
    /// Decay constant of the exponential delay profile in nanoseconds.
    pub delay_spread_ns: f64,
    /// Power of the line of sight over that of all other waves (linear).
    pub rician_k: f64,
    /// Share of the scattered power that comes from moving objects.
    pub moving_share: f64,
    /// Highest speed of those objects in metres a second.
    pub moving_speed_m_per_s: f64,
    /// Signal-to-noise ratio of one carrier's channel estimate in dB, at the median of the shadowing and without
    /// interference; a sample's is 15.05 dB lower (32-tap least squares on 1023 chips).
    pub estimate_snr_db: f64,
    /// Standard deviation of the log-normal shadowing in dB.
    pub shadowing_db: f64,
    /// Distance in metres over which the shadowing decorrelates to 1/e.
    pub shadowing_distance_m: f64,
    /// Correlation of Eve's shadowing with the user's, -1 to 1.
    pub shadowing_eve_correlation: f64,
    /// Distance between the user and Eve in metres.
    pub eve_distance_m: f64,
    /// Seconds after which the geometry (angles, phases, heading) is drawn again.
    pub geometry_s: f64,
    /// Standard deviation of a receiver's gain from frame to frame in dB.
    pub gain_jitter_db: f64,
    /// Filter ripple of each radio: step of its random walk over carriers in dB.
    pub ripple_db_per_carrier: f64,
    /// Largest carrier offset between two radios in parts per million (each is off by up to half of it).
    pub cfo_ppm: f64,
    /// Line width of the oscillators' phase noise in Hz.
    pub phase_noise_hz: f64,
    /// Standard deviation of a burst's sub-sample timing in samples.
    pub timing_jitter_samples: f64,
    /// Bits of the analog-to-digital converter (each of I and Q).
    pub adc_bits: u32,
    /// Amplitude at which the converter clips; a burst at the median gain has mean power 1.
    pub adc_full_scale: f64,
    /// Share of the time under short bursts of interference, for each end on its own.
    pub burst_share: f64,
    /// Mean length of such a burst in milliseconds.
    pub burst_ms: f64,
    /// Highest noise floor during a burst over the quiet one in dB; each burst's is uniform up to it.
    pub burst_rise_db: f64,
    /// Share of the time under long disturbances (another transmitter at work), for each end on its own.
    pub disturbance_share: f64,
    /// Mean length of a disturbance in seconds.
    pub disturbance_s: f64,
    /// Highest noise floor during a disturbance over the quiet one in dB; each one's is uniform up to it.
    pub disturbance_rise_db: f64,
}

impl Default for AirConfig {
    fn default() -> Self {
        Self {
            carrier_hz: 2.605e9,
            speed_m_per_s: 0.5,
            delay_spread_ns: 75.0,
            rician_k: 2.0,
            moving_share: 0.05,
            moving_speed_m_per_s: 1.0,
            estimate_snr_db: 26.6,
            shadowing_db: 1.0,
            shadowing_distance_m: 1.0,
            shadowing_eve_correlation: 0.08,
            eve_distance_m: 0.3,
            geometry_s: 20.0,
            gain_jitter_db: 0.15,
            ripple_db_per_carrier: 0.05,
            cfo_ppm: 2.5,
            phase_noise_hz: 2.0,
            timing_jitter_samples: 0.02,
            adc_bits: 12,
            adc_full_scale: 8.0,
            burst_share: 0.0,
            burst_ms: 2.0,
            burst_rise_db: 6.0,
            disturbance_share: 0.0,
            disturbance_s: 4.0,
            disturbance_rise_db: 6.0,
        }
    }
}

impl AirConfig {
    /// Checks every value against its range; the error names the key and the range.
    pub fn validate(&self) -> Result<(), AirError> {
        let check = |key: &'static str, value: f64, min: f64, max: f64| {
            if value.is_finite() && (min..=max).contains(&value) {
                Ok(())
            } else {
                Err(AirError::OutOfRange { key, value, min, max })
            }
        };
        check("carrier_hz", self.carrier_hz, 1e8, 1e11)?;
        check("speed_m_per_s", self.speed_m_per_s, 0.0, 50.0)?;
        check("delay_spread_ns", self.delay_spread_ns, 1.0, 300.0)?;
        check("rician_k", self.rician_k, 0.0, 1000.0)?;
        check("moving_share", self.moving_share, 0.0, 1.0)?;
        check("moving_speed_m_per_s", self.moving_speed_m_per_s, 0.0, 50.0)?;
        check("estimate_snr_db", self.estimate_snr_db, -20.0, 80.0)?;
        check("shadowing_db", self.shadowing_db, 0.0, 12.0)?;
        check("shadowing_distance_m", self.shadowing_distance_m, 0.05, 1000.0)?;
        check("shadowing_eve_correlation", self.shadowing_eve_correlation, -1.0, 1.0)?;
        check("eve_distance_m", self.eve_distance_m, 0.0, 100.0)?;
        check("geometry_s", self.geometry_s, 0.1, 3600.0)?;
        check("gain_jitter_db", self.gain_jitter_db, 0.0, 6.0)?;
        check("ripple_db_per_carrier", self.ripple_db_per_carrier, 0.0, 0.5)?;
        check("cfo_ppm", self.cfo_ppm, 0.0, 5.0)?;
        check("phase_noise_hz", self.phase_noise_hz, 0.0, 1000.0)?;
        check("timing_jitter_samples", self.timing_jitter_samples, 0.0, 0.25)?;
        check("adc_bits", f64::from(self.adc_bits), 4.0, 16.0)?;
        check("adc_full_scale", self.adc_full_scale, 0.1, 1000.0)?;
        check("burst_share", self.burst_share, 0.0, 0.5)?;
        check("burst_ms", self.burst_ms, 0.1, 100.0)?;
        check("burst_rise_db", self.burst_rise_db, 0.0, 40.0)?;
        check("disturbance_share", self.disturbance_share, 0.0, 0.5)?;
        check("disturbance_s", self.disturbance_s, 0.1, 60.0)?;
        check("disturbance_rise_db", self.disturbance_rise_db, 0.0, 40.0)
    }

    /// Mean signal-to-noise ratio of one sample in dB.
    pub fn sample_snr_db(&self) -> f64 {
        self.estimate_snr_db - 10.0 * f64::from(ESTIMATE_GAIN).log10()
    }

    /// Wavelength of the carrier in metres: the speed of light over `carrier_hz`.
    pub fn wavelength_m(&self) -> f64 {
        299_792_458.0 / self.carrier_hz
    }
}

/// What is wrong with a channel description.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum AirError {
    /// A value lies outside its range.
    #[error("{key} = {value} is outside {min}..={max}")]
    OutOfRange {
        /// Name of the field of [`AirConfig`] that is out of range.
        key: &'static str,
        /// The value that it has.
        value: f64,
        /// Smallest value that the field may have.
        min: f64,
        /// Largest value that the field may have.
        max: f64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_survives_toml() {
        let config = AirConfig::default();
        config.validate().unwrap();
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<AirConfig>(&text).unwrap(), config);
    }

    #[test]
    fn unknown_keys_and_values_out_of_range_are_refused() {
        assert!(toml::from_str::<AirConfig>("speed_kmh = 3.0").is_err());
        let config = AirConfig { speed_m_per_s: f64::NAN, ..AirConfig::default() };
        assert!(matches!(
            config.validate(),
            Err(AirError::OutOfRange { key: "speed_m_per_s", .. })
        ));
        let config = AirConfig { burst_share: 0.9, ..AirConfig::default() };
        assert_eq!(
            config.validate().unwrap_err().to_string(),
            "burst_share = 0.9 is outside 0..=0.5"
        );
    }
}
