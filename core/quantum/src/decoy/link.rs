//! The simulated link: what Alice sends, and which of it clicks where at Bob.
//!
//! ```text
//! Alice: bit, basis, intensity --weak pulse--> [Eve] --fibre loss--> Bob's basis --> detector 0 | detector 1
//!                                                          (misalignment)  (background, dead time, after-pulses)
//! ```
//!
//! Alice's choice for pulse i is a function of her secret seed and i, so nothing is stored for the pulses that do not
//! click, and the pulses that cannot click are skipped: the distance to the next that may is geometric with the click
//! probability of the brightest pulses, and the rest is decided by acceptance. Good for simulation only: a real
//! transmitter draws every pulse from a physical generator.

use rand::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::config::DecoyConfig;
use super::length::INTENSITIES;

/// What Alice chose for one pulse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// The bit that the pulse encodes in its basis.
    pub bit: bool,
    /// True in the basis that the key is made of, false in the test basis.
    pub key_basis: bool,
    /// Signal, decoy or vacuum: 0, 1, 2.
    pub intensity: u8,
}

/// Alice's choices for all pulses of a block.
pub struct Choices {
    seed: [u64; 2],
    /// Thresholds on 32 random bits, 2^32 times the share: of the key basis, of signals, and of
    /// signals and decoys together.
    key_basis: u64,
    signal: u64,
    decoy: u64,
}

impl Choices {
    /// The choices of one block; the seed is secret.
    pub fn new(config: &DecoyConfig, seed: [u64; 2]) -> Self {
        let of = |p: f64| (p * 2f64.powi(32)) as u64;
        let [signal, decoy, _] = config.intensity_shares;
        Self {
            seed,
            key_basis: of(config.key_basis_share),
            signal: of(signal),
            decoy: of(signal + decoy),
        }
    }

    /// What Alice chose for pulse `index`.
    #[inline]
    pub fn get(&self, index: u64) -> Choice {
        let a = finish(self.seed[0] ^ index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let b = finish(a ^ self.seed[1]);
        let intensity = b >> 32;
        Choice {
            bit: a & 1 == 1,
            key_basis: b & 0xFFFF_FFFF < self.key_basis,
            intensity: u8::from(intensity >= self.signal) + u8::from(intensity >= self.decoy),
        }
    }
}

impl Drop for Choices {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.seed);
    }
}

impl std::fmt::Debug for Choices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Choices")
    }
}

/// The last steps of splitmix64.
fn finish(mut z: u64) -> u64 {
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}

/// One click of Bob's detectors: of which pulse, in which basis, with which bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Click {
    /// Number of the pulse in its block.
    pub index: u64,
    /// Bob's basis, true for the key's.
    pub key_basis: bool,
    /// The bit that his detectors gave.
    pub bit: bool,
}

/// Eve and the light at one intensity.
struct Light {
    /// η·μ.
    mean: f64,
    /// Probability of a click of an untouched pulse.
    click: f64,
    /// Probability of a click when photon numbers are split.
    click_split: f64,
    /// Share of these that come from light, not from the dark.
    lit_split: f64,
}

/// The link from pulse to pulse: an iterator over the clicks of one block.
pub struct Link<'a> {
    config: &'a DecoyConfig,
    choices: &'a Choices,
    rng: Xoshiro256PlusPlus,
    lights: [Light; INTENSITIES],
    most: f64,
    /// 1/ln(1 − most).
    scale: f64,
    dark: f64,
    next: u64,
    dead: u64,
    afterpulse_mean: f64,
    afterpulse: Option<u64>,
}

impl<'a> Link<'a> {
    /// The clicks of one block, the same for the same seed.
    pub fn new(config: &'a DecoyConfig, choices: &'a Choices, seed: u64) -> Self {
        let y0 = config.background_probability;
        let (eta, eta_det) = (config.transmittance(), config.detector_efficiency);
        let lights = config.mean_photons.map(|mu| {
            let mean = eta * mu;
            // One photon of several is kept, the others arrive without loss; a single one is blocked:
            // Σ_{n≥2} e^−μ μ^n/n! · (1 − (1−η_det)^(n−1)).
            let q = 1.0 - eta_det;
            let unseen =
                if q > 0.0 { (-mu).exp() * (((mu * q).exp() - 1.0 - mu * q) / q) } else { 0.0 };
            let several = 1.0 - (-mu).exp() * (1.0 + mu);
            let lit = (several - unseen).max(0.0);
            let click_split = 1.0 - (1.0 - y0) * (1.0 - lit);
            let lit_split = if click_split > 0.0 { lit / click_split } else { 0.0 };
            Light { mean, click: 1.0 - (1.0 - y0) * (-mean).exp(), click_split, lit_split }
        });
        let split = config.splitting_share;
        let most = lights
            .iter()
            .map(|l| if split > 0.0 { l.click.max(l.click_split) } else { l.click })
            .fold(0.0, f64::max)
            .clamp(1e-15, 1.0 - 1e-15);
        Self {
            config,
            choices,
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            lights,
            most,
            scale: 1.0 / (-most).ln_1p(),
            dark: 1.0 - (1.0 - y0).sqrt(),
            next: 0,
            dead: config.pulses_in(config.dead_time_ns).round() as u64,
            afterpulse_mean: config.pulses_in(config.afterpulse_ns).max(1.0),
            afterpulse: None,
        }
    }

    /// A number from (0, 1].
    fn unit(&mut self) -> f64 {
        ((self.rng.next_u64() >> 11) + 1) as f64 / 2f64.powi(53)
    }

    /// Whether an event of this probability happens; costs nothing when it cannot.
    fn happens(&mut self, p: f64) -> bool {
        p > 0.0 && self.unit() <= p
    }

    /// Bob clicked: the receiver goes blind, and may click once more.
    fn clicked(&mut self, index: u64) {
        self.next = index + 1 + self.dead;
        if self.happens(self.config.afterpulse_probability) {
            let delay = (-self.unit().ln() * self.afterpulse_mean) as u64;
            self.afterpulse = Some(self.next + delay);
        }
    }

    /// The bit of a click that light had a part in.
    fn measure(&mut self, choice: Choice, key_basis: bool, mean: f64, split: bool) -> bool {
        let (mut bit, mut basis) = (choice.bit, choice.key_basis);
        if self.happens(self.config.intercept_share) {
            let eve = self.rng.next_u64();
            let eve_basis = eve & 1 == 1;
            if eve_basis != basis {
                (bit, basis) = (eve & 2 == 2, eve_basis);
            }
        }
        // In the other basis the light divides evenly.
        let wrong_share = if basis == key_basis { self.config.misalignment } else { 0.5 };
        if split {
            return bit ^ self.happens(wrong_share);
        }
        // Given that at least one of the two detectors clicked.
        let wrong = 1.0 - (1.0 - self.dark) * (-mean * wrong_share).exp();
        let right = 1.0 - (1.0 - self.dark) * (-mean * (1.0 - wrong_share)).exp();
        let any = 1.0 - (1.0 - wrong) * (1.0 - right);
        let error = (wrong * (1.0 - right) + wrong * right / 2.0) / any;
        bit ^ self.happens(error)
    }
}

impl Iterator for Link<'_> {
    type Item = Click;

    fn next(&mut self) -> Option<Click> {
        let end = self.config.pulses_per_block;
        loop {
            let gap = (self.unit().ln() * self.scale) as u64;
            let index = self.next.saturating_add(gap);
            if let Some(after) = self.afterpulse.take() {
                if after <= index {
                    if after >= end {
                        return None;
                    }
                    self.clicked(after);
                    let coin = self.rng.next_u64();
                    let key_basis = self.happens(self.config.key_basis_share);
                    return Some(Click { index: after, key_basis, bit: coin & 1 == 1 });
                }
                self.afterpulse = Some(after);
            }
            if index >= end {
                return None;
            }
            self.next = index + 1;
            let choice = self.choices.get(index);
            let split = self.happens(self.config.splitting_share);
            let light = &self.lights[usize::from(choice.intensity)];
            let (click, mean, lit) = if split {
                (light.click_split, 0.0, light.lit_split)
            } else {
                (light.click, light.mean, 1.0)
            };
            // The candidates come at the rate of the brightest pulses.
            if click < self.most && self.unit() * self.most > click {
                continue;
            }
            self.clicked(index);
            let key_basis = self.happens(self.config.key_basis_share);
            let bit = if split && !self.happens(lit) {
                self.rng.next_u64() & 1 == 1
            } else {
                self.measure(choice, key_basis, mean, split)
            };
            return Some(Click { index, key_basis, bit });
        }
    }
}

impl std::fmt::Debug for Link<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Link(pulse {} of {})", self.next, self.config.pulses_per_block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clicks, errors and sifted bits by intensity, over both bases.
    fn count(config: &DecoyConfig, seed: u64) -> [[u64; 3]; INTENSITIES] {
        config.validate().unwrap();
        let choices = Choices::new(config, [seed, seed + 1]);
        let mut counts = [[0; 3]; INTENSITIES];
        for click in Link::new(config, &choices, seed) {
            let choice = choices.get(click.index);
            let count = &mut counts[usize::from(choice.intensity)];
            count[0] += 1;
            if choice.key_basis == click.key_basis {
                count[1] += 1;
                count[2] += u64::from(choice.bit != click.bit);
            }
        }
        counts
    }

    fn assert_binomial(count: u64, of: f64, p: f64, what: &str) {
        let sigma = (of * p * (1.0 - p)).sqrt().max(1.0);
        let off = (count as f64 - of * p).abs() / sigma;
        assert!(off <= 4.0, "{what}: {count} of {of}, p = {p}: {off:.1} sigma");
    }

    #[test]
    fn gains_and_errors_follow_the_formulas_at_every_intensity() {
        let base = DecoyConfig {
            pulses_per_block: 20_000_000,
            key_basis_share: 0.9,
            ..Default::default()
        };
        let configs = [
            base.clone(),
            DecoyConfig { background_probability: 0.01, misalignment: 0.03, ..base.clone() },
            DecoyConfig { distance_km: 0.0, detector_efficiency: 1.0, ..base.clone() },
            DecoyConfig { intercept_share: 0.4, background_probability: 1e-3, ..base },
        ];
        for (seed, config) in configs.iter().enumerate() {
            let counts = count(config, seed as u64);
            for k in 0..INTENSITIES {
                let sent = config.pulses_per_block as f64 * config.intensity_shares[k];
                // The number sent at an intensity is binomial itself; its share is absorbed in the click's.
                let p = config.gains()[k] * config.intensity_shares[k];
                assert_binomial(counts[k][0], sent / config.intensity_shares[k], p, "clicks");
                let same = 0.9f64.powi(2) + 0.1f64.powi(2);
                assert_binomial(counts[k][1], counts[k][0] as f64, same, "sifted");
                assert_binomial(counts[k][2], counts[k][1] as f64, config.qbers()[k], "errors");
            }
        }
    }

    #[test]
    fn intercepting_a_share_p_makes_a_qber_of_p_over_4() {
        for (seed, share) in [0.0, 0.1, 0.5, 1.0].into_iter().enumerate() {
            let config = DecoyConfig {
                misalignment: 0.0,
                background_probability: 0.0,
                intercept_share: share,
                pulses_per_block: 50_000_000,
                key_basis_share: 0.5,
                // No pulse of two photons to speak of, as the errors of both detectors at once come on top.
                mean_photons: [0.01, 0.001, 0.0],
                ..Default::default()
            };
            let counts = count(&config, 100 + seed as u64);
            let (sifted, errors) = counts.iter().fold((0, 0), |s, c| (s.0 + c[1], s.1 + c[2]));
            assert_binomial(errors, sifted as f64, share / 4.0, "errors");
        }
    }

    #[test]
    fn dead_time_and_afterpulses_change_the_rate_as_they_should() {
        let base =
            DecoyConfig { pulses_per_block: 20_000_000, dead_time_ns: 100.0, ..Default::default() };
        // A receiver that is blind for D pulses after each click has the rate r/(1 + r·D).
        let rate: f64 = (0..3).map(|k| base.gains()[k] * base.intensity_shares[k]).sum();
        let total =
            |config: &DecoyConfig| count(config, 5).iter().map(|c| c[0]).sum::<u64>() as f64;
        let expected = 2e7 * rate / (1.0 + rate * 100.0);
        let found = total(&base);
        assert!((found / expected - 1.0).abs() < 0.01, "{found}, {expected}");
        let after = DecoyConfig { afterpulse_probability: 0.1, afterpulse_ns: 20.0, ..base };
        let with = total(&after);
        assert!(with > 1.03 * found && with < 1.12 * found, "{with}, {found}");
    }

    #[test]
    fn splitting_photon_numbers_leaves_the_errors_and_moves_the_yields() {
        let base = DecoyConfig {
            pulses_per_block: 20_000_000,
            mean_photons: [0.5, 0.1, 0.0002],
            intensity_shares: [0.7, 0.2, 0.1],
            ..Default::default()
        };
        let split = DecoyConfig { splitting_share: 1.0, ..base.clone() };
        let (honest, tapped) = (count(&base, 1), count(&split, 1));
        let ratio = |counts: &[[u64; 3]; 3]| counts[1][0] as f64 / counts[0][0] as f64;
        // Of two photons and more a decoy pulse has (μ2/μ1)² as many, not μ2/μ1.
        assert!(ratio(&tapped) < 0.4 * ratio(&honest));
        let qber = tapped[0][2] as f64 / tapped[0][1] as f64;
        assert!((qber - 0.01).abs() < 0.002, "{qber}");
    }

    #[test]
    fn the_same_seed_gives_the_same_clicks() {
        let config = DecoyConfig { pulses_per_block: 200_000, ..Default::default() };
        let choices = Choices::new(&config, [1, 2]);
        let clicks = |seed| Link::new(&config, &choices, seed).collect::<Vec<_>>();
        assert_eq!(clicks(3), clicks(3));
        assert_ne!(clicks(3), clicks(4));
        assert!(clicks(3).is_sorted_by_key(|click| click.index));
    }
}
