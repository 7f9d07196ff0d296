//! Parameters of the codec, equal at both ends of a link.

use std::fmt;

use crqkd_polar::{CodeSpec, Construction, Crc, MAX_LIST, MAX_N};
use serde::{Deserialize, Serialize};

use crate::ConfigError;

/// Shortest code that a group is sent with.
const MIN_N: usize = 128;

/// What the receiver's decoder is told about its pad.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The bits only, all equally reliable (the paper).
    #[default]
    Hard,
    /// The log-likelihood ratio of each bit.
    Soft,
}

/// How a ciphertext reaches the receiver.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum CiphertextMode {
    /// In a coded control message: it arrives exactly or not at all.
    #[default]
    Protected,
    /// Uncoded on the air (the paper): one-time pad and radio channel are one channel to the code.
    Cascade,
}

impl fmt::Display for CiphertextMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Protected => "protected",
            Self::Cascade => "cascade",
        })
    }
}

/// Code and decoder of the polar one-time pad.
///
/// In hard mode the code is built by density evolution for a binary symmetric channel of error rate `design_kdr`, in
/// soft mode by β-expansion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OtpConfig {
    /// Code length in bits, a power of two in `128..=4096`: the pad that one group costs.
    pub n: usize,
    /// Bits of a group (L_G of the paper), at least 1; the check is not counted: `k + crc <= n`.
    pub k: usize,
    /// Bits of the check inside the pad: 11, 16 or 32.
    pub crc: usize,
    /// What the decoder is told about the pad.
    pub decision: Decision,
    /// How ciphertexts travel.
    pub ciphertext: CiphertextMode,
    /// Paths of the list decoder, `1..=64`.
    pub list_size: usize,
    /// Key disagreement rate for which the code is built and hard decisions are weighed, in `0.0001..=0.4999`.
    pub design_kdr: f64,
}

impl Default for OtpConfig {
    /// The demo's: (1024, 384) with hard decisions at the paper's highest KDR.
    fn default() -> Self {
        Self {
            n: 1024,
            k: 384,
            crc: 11,
            decision: Decision::Hard,
            ciphertext: CiphertextMode::Protected,
            list_size: 8,
            design_kdr: 0.081,
        }
    }
}

impl OtpConfig {
    /// Checks every value against its range.
    ///
    /// # Errors
    /// The first value that is out of range, with what was expected.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.code().map(|_| ())
    }

    /// Magnitude of the LLR of a bit that is wrong with probability `design_kdr`: ln((1−p)/p).
    pub fn hard_llr(&self) -> f32 {
        ((1.0 - self.design_kdr) / self.design_kdr).ln() as f32
    }

    /// Sizes and construction of the code, once everything is in range.
    pub(crate) fn code(&self) -> Result<(CodeSpec, Construction), ConfigError> {
        let Self { n, k, crc, list_size, design_kdr, .. } = *self;
        if !n.is_power_of_two() || !(MIN_N..=MAX_N).contains(&n) {
            return Err(ConfigError::Length { n });
        }
        // Without a check no failure would be seen, so 0 bits are refused.
        let check =
            Crc::from_bits(crc).filter(|crc| !crc.is_empty()).ok_or(ConfigError::Crc { crc })?;
        let most = n - crc;
        if !(1..=most).contains(&k) {
            return Err(ConfigError::Group { k, most, n, crc });
        }
        if !(1..=MAX_LIST).contains(&list_size) {
            return Err(ConfigError::ListSize { list_size });
        }
        if !(0.0001..=0.4999).contains(&design_kdr) {
            return Err(ConfigError::DesignKdr { value: design_kdr });
        }
        let construction = match self.decision {
            Decision::Hard => Construction::BscDensityEvolution { p: design_kdr },
            Decision::Soft => Construction::BetaExpansion,
        };
        Ok((CodeSpec { n, k, crc: check }, construction))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_survives_serialisation() {
        let config = OtpConfig::default();
        config.validate().unwrap();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<OtpConfig>(&text).unwrap(), config);
    }

    #[test]
    fn missing_keys_take_the_default_and_unknown_ones_are_refused() {
        let config: OtpConfig =
            serde_json::from_str(r#"{"n": 256, "k": 96, "decision": "soft"}"#).unwrap();
        assert_eq!(
            config,
            OtpConfig { n: 256, k: 96, decision: Decision::Soft, ..OtpConfig::default() }
        );
        let error = serde_json::from_str::<OtpConfig>(r#"{"list": 8}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `list`"), "{error}");
    }

    #[test]
    fn values_out_of_range_are_named() {
        let refuse = |change: fn(&mut OtpConfig)| {
            let mut config = OtpConfig::default();
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        assert_eq!(refuse(|c| c.n = 1000), "n is 1000, expected a power of two from 128 to 4096");
        assert_eq!(refuse(|c| c.n = 64), "n is 64, expected a power of two from 128 to 4096");
        assert_eq!(
            refuse(|c| c.k = 1014),
            "k is 1014, expected 1 to 1013 with n = 1024 and crc = 11"
        );
        assert_eq!(refuse(|c| c.k = 0), "k is 0, expected 1 to 1013 with n = 1024 and crc = 11");
        assert_eq!(refuse(|c| c.crc = 0), "crc is 0, expected 11, 16 or 32");
        assert_eq!(refuse(|c| c.list_size = 65), "list_size is 65, expected 1 to 64");
        for kdr in [0.0, 0.5, -0.1, f64::NAN, f64::INFINITY] {
            let config = OtpConfig { design_kdr: kdr, ..OtpConfig::default() };
            assert!(matches!(config.validate(), Err(ConfigError::DesignKdr { .. })));
        }
    }
}
