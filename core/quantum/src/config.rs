//! [`QuantumConfig`]: the fibre, the detectors and the post-processing of one quantum link.

use crqkd_bits::PolyHash64;
use serde::{Deserialize, Serialize};

/// Parameters of a BB84 link between two QAPs.
///
/// The defaults describe 10 km of standard fibre with avalanche detectors; one block of 10⁶ pulses gives about
/// 39 000 secret bits (some 100 groups of 384) in well under a second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QuantumConfig {
    /// Fibre length in km, 0..=1000.
    pub distance_km: f64,
    /// Fibre loss in dB/km, 0..=10.
    pub attenuation_db_per_km: f64,
    /// Probability that a photon at the receiver makes a click, 0 excluded to 1.
    pub detector_efficiency: f64,
    /// Probability of a dark count per pulse and detector, 0..=0.1.
    pub dark_count_probability: f64,
    /// Probability that a photon measured in its own basis takes the wrong detector, 0..=0.5.
    pub misalignment: f64,
    /// Pulses sent per block, 1000..=100 000 000.
    pub pulses_per_block: u32,
    /// Share of the sifted bits that is disclosed to estimate the error rate, 0.001..=0.9.
    pub sample_fraction: f64,
    /// A block whose sample has a higher error rate gives no key, 0 excluded to 0.5.
    pub qber_threshold: f64,
    /// Secrecy: distance of the key from an ideal one, 1e-30..=0.01.
    pub eps_sec: f64,
    /// Correctness: probability that the two keys differ unnoticed, 1e-30..=0.01.
    pub eps_cor: f64,
    /// Share of the pulses that an intercept-resend eavesdropper measures and sends again, 0..=1.
    pub intercept_share: f64,
}

impl Default for QuantumConfig {
    fn default() -> Self {
        Self {
            distance_km: 10.0,
            attenuation_db_per_km: 0.2,
            detector_efficiency: 0.25,
            dark_count_probability: 1e-6,
            misalignment: 0.01,
            pulses_per_block: 1_000_000,
            sample_fraction: 0.15,
            qber_threshold: 0.11,
            eps_sec: 1e-10,
            eps_cor: 1e-15,
            intercept_share: 0.0,
        }
    }
}

/// A parameter out of its range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// One value is out of its range.
    #[error("{key} = {value} is not in {range}")]
    OutOfRange {
        /// The key as in the file.
        key: &'static str,
        /// What it was set to.
        value: f64,
        /// The range that is allowed.
        range: &'static str,
    },
    /// The 64-bit verification tag is too short for so long a block.
    #[error(
        "eps_cor = {eps_cor:e} cannot be reached: a 64-bit tag over about {sifted_bits} sifted bits \
         lets a difference through with probability {bound:e}"
    )]
    TagTooShort {
        /// The eps_cor that was asked for.
        eps_cor: f64,
        /// Sifted bits expected in a block.
        sifted_bits: u64,
        /// What the tag guarantees for them.
        bound: f64,
    },
}

impl QuantumConfig {
    /// Checks that every parameter lies in its range and that the verification tag reaches
    /// `eps_cor`.
    ///
    /// # Errors
    /// The first parameter found out of its range, or [`ConfigError::TagTooShort`].
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = |key, value: f64, good: bool, range| {
            if good { Ok(()) } else { Err(ConfigError::OutOfRange { key, value, range }) }
        };
        let within = |key, value: f64, low: f64, high: f64, range| {
            check(key, value, (low..=high).contains(&value), range)
        };
        let positive = |key, value: f64, high: f64, range| {
            check(key, value, value > 0.0 && value <= high, range)
        };
        within("distance_km", self.distance_km, 0.0, 1000.0, "0..=1000")?;
        within("attenuation_db_per_km", self.attenuation_db_per_km, 0.0, 10.0, "0..=10")?;
        positive("detector_efficiency", self.detector_efficiency, 1.0, "(0, 1]")?;
        within("dark_count_probability", self.dark_count_probability, 0.0, 0.1, "0..=0.1")?;
        within("misalignment", self.misalignment, 0.0, 0.5, "0..=0.5")?;
        let pulses = f64::from(self.pulses_per_block);
        within("pulses_per_block", pulses, 1e3, 1e8, "1000..=100000000")?;
        within("sample_fraction", self.sample_fraction, 0.001, 0.9, "0.001..=0.9")?;
        positive("qber_threshold", self.qber_threshold, 0.5, "(0, 0.5]")?;
        within("eps_sec", self.eps_sec, 1e-30, 0.01, "1e-30..=0.01")?;
        within("eps_cor", self.eps_cor, 1e-30, 0.01, "1e-30..=0.01")?;
        within("intercept_share", self.intercept_share, 0.0, 1.0, "0..=1")?;

        let sifted_bits = self.expected_sifted();
        let bound = PolyHash64::collision_bound(sifted_bits as usize);
        if bound > self.eps_cor {
            return Err(ConfigError::TagTooShort { eps_cor: self.eps_cor, sifted_bits, bound });
        }
        Ok(())
    }

    /// Probability that a sent photon makes a click: `10^(−loss/10) · detector_efficiency`.
    pub fn transmittance(&self) -> f64 {
        let loss_db = self.distance_km * self.attenuation_db_per_km;
        10f64.powf(-loss_db / 10.0) * self.detector_efficiency
    }

    /// Probability that a pulse makes at least one click, of the photon or in the dark.
    pub fn click_probability(&self) -> f64 {
        1.0 - (1.0 - self.transmittance()) * (1.0 - self.dark_count_probability).powi(2)
    }

    /// Sifted bits of an average block: half of the clicks.
    pub fn expected_sifted(&self) -> u64 {
        (f64::from(self.pulses_per_block) * self.click_probability() / 2.0).round() as u64
    }

    /// Error rate of the sifted bits under this model, eavesdropper and dark counts included.
    ///
    /// A photon errs with `e' = e + (1−2e)·p/4`, e the misalignment and p the intercepted share; a click in the dark
    /// errs half of the time; two clicks at once are a random bit.
    pub fn expected_qber(&self) -> f64 {
        let (eta, d, e) = (self.transmittance(), self.dark_count_probability, self.misalignment);
        let photon = e + (1.0 - 2.0 * e) * self.intercept_share / 4.0;
        let with_photon = eta * ((1.0 - photon) * d / 2.0 + photon * (1.0 - d / 2.0));
        let dark = (1.0 - eta) * (1.0 - (1.0 - d).powi(2)) / 2.0;
        (with_photon + dark) / self.click_probability()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_ten_km_lose_2_db() {
        let config = QuantumConfig::default();
        config.validate().unwrap();
        assert!((config.transmittance() - 0.157_739).abs() < 1e-6); // 0.25 · 10^-0.2
        assert!((config.expected_qber() - 0.01).abs() < 1e-5);
    }

    #[test]
    fn a_file_needs_only_what_differs_and_unknown_keys_are_refused() {
        let config: QuantumConfig = toml::from_str("distance_km = 25.0").unwrap();
        assert_eq!(config, QuantumConfig { distance_km: 25.0, ..Default::default() });
        let error = toml::from_str::<QuantumConfig>("distance_m = 25.0").unwrap_err();
        assert!(error.to_string().contains("distance_m"), "{error}");
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<QuantumConfig>(&text).unwrap(), config);
    }

    #[test]
    fn every_value_out_of_range_is_named() {
        let refused = |edit: fn(&mut QuantumConfig), key: &str| {
            let mut config = QuantumConfig::default();
            edit(&mut config);
            let error = config.validate().unwrap_err();
            assert!(error.to_string().starts_with(key), "{error}");
        };
        refused(|c| c.distance_km = -1.0, "distance_km");
        refused(|c| c.distance_km = f64::NAN, "distance_km");
        refused(|c| c.attenuation_db_per_km = 11.0, "attenuation_db_per_km");
        refused(|c| c.detector_efficiency = 0.0, "detector_efficiency");
        refused(|c| c.dark_count_probability = 0.2, "dark_count_probability");
        refused(|c| c.misalignment = 0.6, "misalignment");
        refused(|c| c.pulses_per_block = 999, "pulses_per_block");
        refused(|c| c.sample_fraction = 0.0, "sample_fraction");
        refused(|c| c.qber_threshold = 0.0, "qber_threshold");
        refused(|c| c.eps_sec = 0.0, "eps_sec");
        refused(|c| c.eps_cor = 1.0, "eps_cor");
        refused(|c| c.eps_cor = 1e-18, "eps_cor");
        refused(|c| c.intercept_share = 1.1, "intercept_share");
    }
}
