//! [`DecoyConfig`]: the sender, the fibre, the detectors, Eve and the post-processing of a decoy-state link.

use serde::{Deserialize, Serialize};

use super::length::INTENSITIES;
use super::message::MAX_CLICKS;
use super::rule::{CascadeCharge, LengthMethod};
use crate::config::ConfigError;

/// How Bob's errors are corrected.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Reconciliation {
    /// Questions and answers: fewer bits told, many rounds.
    #[default]
    Cascade,
    /// One message with the syndrome of a low-density parity-check code: one way, a little more told.
    OneWay,
}

/// Parameters of a decoy-state BB84 link.
///
/// The defaults describe 20 km of fibre with gated avalanche detectors of the kind in use since the 2010s; intensities
/// and shares are near the optimum of the finite-key length for a block of 10⁸ pulses there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DecoyConfig {
    /// Fibre length in km, 0..=1000.
    pub distance_km: f64,
    /// Fibre loss in dB/km, 0..=10.
    pub attenuation_db_per_km: f64,
    /// Probability that a photon at the receiver makes a click, 0 excluded to 1.
    pub detector_efficiency: f64,
    /// Probability of a click without light per pulse, both detectors together (Y₀), 0..=0.1.
    pub background_probability: f64,
    /// Share of photons measured in their own basis that take the wrong detector, 0..=0.5.
    pub misalignment: f64,
    /// Pulses a second in MHz, 0.001..=100 000; only turns times into numbers of pulses.
    pub pulse_rate_mhz: f64,
    /// The receiver is blind for so long after a click, 0..=1 000 000 ns.
    pub dead_time_ns: f64,
    /// Probability that a click is followed by another without light, 0..=0.5.
    pub afterpulse_probability: f64,
    /// Mean delay of such a click after the dead time, 0..=1 000 000 ns.
    pub afterpulse_ns: f64,
    /// Mean photon numbers of signal, decoy and vacuum, 0..=2: descending, the first above the sum of the others.
    pub mean_photons: [f64; INTENSITIES],
    /// Share of the pulses that have each, adding up to 1, each at least 0.001.
    pub intensity_shares: [f64; INTENSITIES],
    /// Share of the pulses in the basis that the key is made of, 0.5..=0.99, at both ends.
    pub key_basis_share: f64,
    /// Pulses sent per block, 1000..=100 000 000 000.
    pub pulses_per_block: u64,
    /// How errors are corrected.
    pub reconciliation: Reconciliation,
    /// The statement that the length of a key follows from.
    pub length: LengthMethod,
    /// What Cascade's questions cost.
    pub charge: CascadeCharge,
    /// A block whose test basis has a higher error rate gives no key, 0 excluded to 0.5.
    pub qber_threshold: f64,
    /// Secrecy of each block's key, 1e-30..=0.01.
    pub eps_sec: f64,
    /// Correctness of each block's key, 1e-19..=0.01: a verification tag of 64 bits gives no better.
    pub eps_cor: f64,
    /// Share of the pulses that an eavesdropper measures and sends again, 0..=1.
    pub intercept_share: f64,
    /// Share of the pulses on which an eavesdropper splits photon numbers: she keeps one photon of several and brings
    /// the rest to Bob without loss, and blocks single photons. 0..=1.
    pub splitting_share: f64,
}

impl Default for DecoyConfig {
    fn default() -> Self {
        Self {
            distance_km: 20.0,
            attenuation_db_per_km: 0.2,
            detector_efficiency: 0.25,
            background_probability: 2e-6,
            misalignment: 0.01,
            pulse_rate_mhz: 1000.0,
            dead_time_ns: 0.0,
            afterpulse_probability: 0.0,
            afterpulse_ns: 100.0,
            mean_photons: [0.6, 0.3, 0.0002],
            intensity_shares: [0.4, 0.4, 0.2],
            key_basis_share: 0.84,
            pulses_per_block: 100_000_000,
            reconciliation: Reconciliation::Cascade,
            length: LengthMethod::Variable,
            charge: CascadeCharge::OneWay,
            qber_threshold: 0.08,
            eps_sec: 1e-15,
            eps_cor: 1e-18,
            intercept_share: 0.0,
            splitting_share: 0.0,
        }
    }
}

impl DecoyConfig {
    /// Checks that every parameter lies in its range.
    ///
    /// # Errors
    /// The first parameter found out of its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = |key, value: f64, good: bool, range| {
            if good { Ok(()) } else { Err(ConfigError::OutOfRange { key, value, range }) }
        };
        let within = |key, value: f64, low: f64, high: f64, range| {
            check(key, value, (low..=high).contains(&value), range)
        };
        within("distance_km", self.distance_km, 0.0, 1000.0, "0..=1000")?;
        within("attenuation_db_per_km", self.attenuation_db_per_km, 0.0, 10.0, "0..=10")?;
        let efficiency = self.detector_efficiency;
        check("detector_efficiency", efficiency, efficiency > 0.0 && efficiency <= 1.0, "(0, 1]")?;
        within("background_probability", self.background_probability, 0.0, 0.1, "0..=0.1")?;
        within("misalignment", self.misalignment, 0.0, 0.5, "0..=0.5")?;
        within("pulse_rate_mhz", self.pulse_rate_mhz, 1e-3, 1e5, "0.001..=100000")?;
        within("dead_time_ns", self.dead_time_ns, 0.0, 1e6, "0..=1000000")?;
        within("afterpulse_probability", self.afterpulse_probability, 0.0, 0.5, "0..=0.5")?;
        within("afterpulse_ns", self.afterpulse_ns, 0.0, 1e6, "0..=1000000")?;
        let [m1, m2, m3] = self.mean_photons;
        let ordered = m1 <= 2.0 && m1 > m2 + m3 && m2 > m3 && m3 >= 0.0;
        check("mean_photons", m1, ordered, "2 >= m1 > m2 + m3, m2 > m3 >= 0")?;
        let shares = self.intensity_shares;
        let sum: f64 = shares.iter().sum();
        let good = (sum - 1.0).abs() < 1e-9 && shares.iter().all(|s| (0.001..1.0).contains(s));
        check("intensity_shares", sum, good, "shares of at least 0.001 that add up to 1")?;
        within("key_basis_share", self.key_basis_share, 0.5, 0.99, "0.5..=0.99")?;
        within("pulses_per_block", self.pulses_per_block as f64, 1e3, 1e11, "1000..=100000000000")?;
        let threshold = self.qber_threshold;
        check("qber_threshold", threshold, threshold > 0.0 && threshold <= 0.5, "(0, 0.5]")?;
        within("eps_sec", self.eps_sec, 1e-30, 0.01, "1e-30..=0.01")?;
        within("eps_cor", self.eps_cor, 1e-19, 0.01, "1e-19..=0.01")?;
        within("intercept_share", self.intercept_share, 0.0, 1.0, "0..=1")?;
        within("splitting_share", self.splitting_share, 0.0, 1.0, "0..=1")
    }

    /// Probability that a photon sent makes a click, η.
    pub fn transmittance(&self) -> f64 {
        self.detector_efficiency * 10f64.powf(-self.distance_km * self.attenuation_db_per_km / 10.0)
    }

    /// Clicks per pulse at each intensity when the receiver is always ready and nobody listens.
    pub fn gains(&self) -> [f64; INTENSITIES] {
        let eta = self.transmittance();
        self.mean_photons.map(|mu| 1.0 - (1.0 - self.background_probability) * (-eta * mu).exp())
    }

    /// Error rate at each intensity of a ready receiver: a photon errs with `e + (1−2e)·p/4`, p the intercepted share;
    /// two detectors at once are a coin.
    pub fn qbers(&self) -> [f64; INTENSITIES] {
        let (eta, gains) = (self.transmittance(), self.gains());
        let dark = 1.0 - (1.0 - self.background_probability).sqrt();
        std::array::from_fn(|k| {
            let light = eta * self.mean_photons[k];
            let error = |misalignment: f64| {
                let wrong = 1.0 - (1.0 - dark) * (-light * misalignment).exp();
                let right = 1.0 - (1.0 - dark) * (-light * (1.0 - misalignment)).exp();
                wrong * (1.0 - right) + wrong * right / 2.0
            };
            // A quarter of the intercepted pulses' bits is the other one: half in the wrong basis, half of these
            // wrong. Those are measured by Bob with light in both detectors alike.
            let own = error(self.misalignment);
            let half = self.intercept_share / 2.0;
            ((1.0 - half) * own + half * error(0.5)) / gains[k]
        })
    }

    /// More clicks than a block of this link has, dark counts and afterpulses included: twice the expected ones and ten
    /// thousand. For limits on what a message may hold.
    pub fn most_clicks(&self) -> u64 {
        let share: f64 = self.gains().iter().zip(&self.intensity_shares).map(|(g, s)| g * s).sum();
        let clicks =
            2.0 * share * self.pulses_per_block as f64 / (1.0 - self.afterpulse_probability);
        (clicks as u64).saturating_add(10_000).min(self.pulses_per_block).min(MAX_CLICKS)
    }

    /// Bytes of the longest message of a block: the detections, each with its distance from the one before.
    pub fn longest_message(&self) -> usize {
        let clicks = self.most_clicks() as f64;
        let distance = 2.0 + (self.pulses_per_block as f64 / clicks).log2().max(0.0) / 7.0;
        // A bit a click for the bases; questions of Cascade are at most four bytes for each of the n/2 first blocks.
        (clicks * (distance + 0.125)).max(2.0 * clicks) as usize + 4096
    }

    /// Pulses that a time in ns lasts.
    pub(crate) fn pulses_in(&self, ns: f64) -> f64 {
        ns * self.pulse_rate_mhz / 1000.0
    }
}
