//! Parameters of the channel key, equal at both ends of a link.

use serde::{Deserialize, Serialize};

use crate::features::{FeatureError, LogAmplitude};
use crate::quantizer::Thresholds;

/// What is measured, how it is quantised, and how much the two ends are expected to disagree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChannelKeyConfig {
    /// Indices of the carriers whose log-amplitude is quantised, ascending, each in `0..52`.
    pub carriers: Vec<u8>,
    /// Over which samples a threshold is the median.
    pub thresholds: Thresholds,
    /// Key disagreement rate that the LLRs assume, in `0.0001..=0.4999`.
    pub design_kdr: f64,
    /// Largest magnitude of an LLR, in `1..=1000`. The Gaussian model holds for most samples and fails for the odd
    /// deep fade or interfered probe, which must not outvote the code.
    pub llr_limit: f32,
}

impl Default for ChannelKeyConfig {
    /// The paper's: 4 of 52 carriers (the middles of four equal parts of the band), medians over the probes of a window.
    fn default() -> Self {
        Self {
            carriers: vec![6, 19, 32, 45],
            thresholds: Thresholds::OverProbes,
            design_kdr: 0.06,
            llr_limit: 8.0,
        }
    }
}

impl ChannelKeyConfig {
    /// Checks every value against its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        LogAmplitude::new(&self.carriers)?;
        if !(0.0001..=0.4999).contains(&self.design_kdr) {
            return Err(ConfigError::DesignKdr { value: self.design_kdr });
        }
        if !(1.0..=1000.0).contains(&self.llr_limit) {
            return Err(ConfigError::LlrLimit { value: self.llr_limit });
        }
        Ok(())
    }
}

/// A value of [`ChannelKeyConfig`] that is out of its range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// The list of carriers is empty, does not ascend or names a carrier that does not exist.
    #[error("carriers: {0}")]
    Carriers(#[from] FeatureError),
    /// The KDR that the LLRs assume.
    #[error("design_kdr is {value}, expected 0.0001 to 0.4999")]
    DesignKdr {
        /// Value of `design_kdr` that was found.
        value: f64,
    },
    /// The bound of the LLRs.
    #[error("llr_limit is {value}, expected 1 to 1000")]
    LlrLimit {
        /// Value of `llr_limit` that was found.
        value: f32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_survives_serialisation() {
        let config = ChannelKeyConfig::default();
        config.validate().unwrap();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<ChannelKeyConfig>(&text).unwrap(), config);
    }

    #[test]
    fn unknown_keys_and_values_out_of_range_are_refused() {
        assert!(serde_json::from_str::<ChannelKeyConfig>(r#"{"carrier":[1]}"#).is_err());
        for kdr in [0.0, 0.5, -0.1, f64::NAN] {
            let config = ChannelKeyConfig { design_kdr: kdr, ..Default::default() };
            assert!(matches!(config.validate(), Err(ConfigError::DesignKdr { .. })));
        }
        for limit in [0.0, f32::NAN, f32::INFINITY] {
            let config = ChannelKeyConfig { llr_limit: limit, ..Default::default() };
            assert!(matches!(config.validate(), Err(ConfigError::LlrLimit { .. })));
        }
        let config = ChannelKeyConfig { carriers: vec![3, 52], ..Default::default() };
        assert_eq!(
            config.validate().unwrap_err().to_string(),
            "carriers: carrier index 52 at place 1, expected 0 to 51"
        );
    }
}
