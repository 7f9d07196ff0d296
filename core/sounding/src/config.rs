//! Settings of the receiver of sounding frames, with their ranges.

use serde::{Deserialize, Serialize};

use crate::SoundingError;
use crate::layout::FrameLayout;

/// Where the synchronizer looks for the training sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SearchMode {
    /// Where the energy exceeds the noise floor, by 7 % over 960 samples: frames from about −7 dB on.
    #[default]
    Gated,
    /// Everywhere: the correlator runs over all samples, whatever their energy.
    AlwaysCorrelate,
}

/// Which channel estimate is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelEstimate {
    /// Least squares over 32 taps: unbiased, each frame by itself.
    #[default]
    LeastSquares,
    /// Least mean squared error, with the delay profile of the frames before.
    Mmse,
}

/// Settings of [`Synchronizer`](crate::Synchronizer), [`Estimator`](crate::Estimator) and
/// [`Demodulator`](crate::Demodulator).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SoundingConfig {
    /// Training sequence of the frames.
    pub layout: FrameLayout,
    /// Where frames are looked for.
    pub search: SearchMode,
    /// Frames that are looked for only where they are expected, once three have come at equal distances.
    pub tracking: bool,
    /// Channel estimate that a receiver hands on.
    pub channel: ChannelEstimate,
    /// A frame is looked at where the correlator energy of 16 consecutive lags, in units of its mean over noise, exceeds
    /// this: 20 to 200. On noise the sum is Gamma(16) distributed, so that 64 is exceeded once in 5·10¹² samples.
    pub detection_threshold: f32,
    /// Least ‖h‖²/σ² at which a frame is reported, dB.
    pub min_snr_db: f32,
    /// Samples with a real or imaginary part of at least this magnitude are counted as clipped; absent: none is.
    pub clip_level: Option<f32>,
    /// Paths of the list decoder that is tried when successive cancellation fails: 1 to 32.
    pub list_size: usize,
}

impl Default for SoundingConfig {
    fn default() -> Self {
        Self {
            layout: FrameLayout::Single,
            search: SearchMode::Gated,
            tracking: false,
            channel: ChannelEstimate::LeastSquares,
            detection_threshold: 64.0,
            min_snr_db: -11.0,
            clip_level: None,
            list_size: 8,
        }
    }
}

impl SoundingConfig {
    /// Checks that every setting is within its range.
    ///
    /// # Errors
    /// Names the first setting that is out of its range.
    pub fn validate(&self) -> Result<(), SoundingError> {
        let check = |key, value: f64, good: bool, expected| {
            if good { Ok(()) } else { Err(SoundingError::Config { key, value, expected }) }
        };
        let threshold = self.detection_threshold;
        check(
            "detection_threshold",
            threshold.into(),
            (20.0..=200.0).contains(&threshold),
            "20 to 200",
        )?;
        let snr = self.min_snr_db;
        check("min_snr_db", snr.into(), (-20.0..=40.0).contains(&snr), "-20 to 40 dB")?;
        if let Some(level) = self.clip_level {
            check("clip_level", level.into(), level > 0.0 && level.is_finite(), "above 0")?;
        }
        let list = self.list_size;
        check(
            "list_size",
            list as f64,
            (1..=32).contains(&list) && list.is_power_of_two(),
            "1, 2, 4, 8, 16 or 32",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_is_valid_and_a_wrong_range_is_named() {
        SoundingConfig::default().validate().unwrap();
        let config = SoundingConfig { list_size: 3, ..Default::default() };
        let text = config.validate().unwrap_err().to_string();
        assert_eq!(text, "list_size = 3 is out of range: 1, 2, 4, 8, 16 or 32");
        let config = SoundingConfig { clip_level: Some(f32::NAN), ..Default::default() };
        assert!(config.validate().is_err());
    }
}
