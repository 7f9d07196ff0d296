//! The quantum channel: pulses in, clicks out, an eavesdropper in between.
//!
//! ```text
//! Alice: bit, basis --photon--> [Eve] --fibre loss--> analyser in Bob's basis --> detector 0 | detector 1
//!                                                     (misalignment, p_det)       (dark counts)
//! ```

use crqkd_bits::{BitString, SecretBits};
use rand::{Rng, RngCore};

use crate::QuantumConfig;

/// What Alice sends in one block: a random bit in a random basis per pulse. Secret until sifting.
#[derive(Debug)]
pub struct Pulses {
    pub(crate) bits: SecretBits,
    pub(crate) bases: SecretBits,
}

impl Pulses {
    /// `count` pulses with uniformly random bits and bases.
    pub fn random<R: Rng + ?Sized>(rng: &mut R, count: usize) -> Self {
        Self { bits: SecretBits::random(rng, count), bases: SecretBits::random(rng, count) }
    }

    /// Number of pulses that Alice sends in the block.
    pub fn len(&self) -> usize {
        self.bits.len()
    }

    /// Whether there are no pulses at all.
    pub fn is_empty(&self) -> bool {
        self.bits.is_empty()
    }
}

/// What Bob has after one block: his basis for each pulse, which pulses clicked, and the bit of each click.
#[derive(Debug)]
pub struct Clicks {
    pub(crate) bases: SecretBits,
    pub(crate) clicked: BitString,
    pub(crate) bits: SecretBits,
}

impl Clicks {
    /// Number of pulses that clicked at Bob, which is the number of his bits.
    pub fn detected(&self) -> usize {
        self.bits.len()
    }
}

/// One photon on the fibre: a bit in one of two conjugate bases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Photon {
    /// The bit that is encoded in the photon's basis.
    pub bit: bool,
    /// The basis, false = rectilinear, true = diagonal.
    pub basis: bool,
}

impl Photon {
    /// The result of an ideal measurement: the bit in the photon's own basis, a coin in the other.
    pub fn measure<R: Rng + ?Sized>(self, basis: bool, rng: &mut R) -> bool {
        if basis == self.basis { self.bit } else { rng.random() }
    }
}

/// Somebody on the fibre, next to Alice. What it returns travels on to Bob.
pub trait Eavesdropper {
    /// Takes one photon and returns the one that travels on to Bob; random choices come from `rng`.
    fn touch(&mut self, photon: Photon, rng: &mut dyn RngCore) -> Photon;
}

/// Measures a share p of the photons in a random basis and sends what it saw: QBER p/4.
#[derive(Debug, Clone, PartialEq)]
pub struct InterceptResend {
    share: f64,
    intercepted: u64,
}

impl InterceptResend {
    /// An eavesdropper on this share (0..=1) of the pulses; 0 is nobody.
    pub fn new(share: f64) -> Self {
        Self { share, intercepted: 0 }
    }

    /// Number of photons that were measured and sent again so far.
    pub fn intercepted(&self) -> u64 {
        self.intercepted
    }
}

impl Eavesdropper for InterceptResend {
    fn touch(&mut self, photon: Photon, rng: &mut dyn RngCore) -> Photon {
        if self.share <= 0.0 || rng.random::<f64>() >= self.share {
            return photon;
        }
        self.intercepted += 1;
        let basis = rng.random();
        Photon { bit: photon.measure(basis, rng), basis }
    }
}

/// Sends `pulses` over the fibre of `config` and past `eve`, and measures them in random bases.
pub fn transmit<R: Rng, E: Eavesdropper + ?Sized>(
    config: &QuantumConfig,
    pulses: &Pulses,
    eve: &mut E,
    rng: &mut R,
) -> Clicks {
    let eta = config.transmittance();
    let bases = SecretBits::random(rng, pulses.len());
    let mut clicked = BitString::with_len(pulses.len());
    let mut bits = BitString::with_capacity(pulses.len());
    let sent = pulses.bits.expose().iter().zip(pulses.bases.expose());
    for (index, ((bit, basis), bob_basis)) in sent.zip(bases.expose()).enumerate() {
        let photon = eve.touch(Photon { bit, basis }, rng);
        let mut detectors = [false; 2];
        if rng.random::<f64>() < eta {
            let flipped = rng.random::<f64>() < config.misalignment;
            detectors[usize::from(photon.measure(bob_basis, rng) ^ flipped)] = true;
        }
        for detector in &mut detectors {
            *detector |= rng.random::<f64>() < config.dark_count_probability;
        }
        // Both at once: a random bit (squashing), never a discarded pulse, which Eve could exploit.
        let bit = match detectors {
            [false, false] => continue,
            [true, true] => rng.random(),
            [_, one] => one,
        };
        clicked.set(index, true);
        bits.push(bit);
    }
    Clicks { bases, clicked, bits: bits.into() }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Errors, sifted bits and clicks of one block.
    fn errors_sifted_clicks(config: &QuantumConfig, seed: u64) -> (usize, usize, usize) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let pulses = Pulses::random(&mut rng, config.pulses_per_block as usize);
        let mut eve = InterceptResend::new(config.intercept_share);
        let clicks = transmit(config, &pulses, &mut eve, &mut rng);
        let (mut sifted, mut errors, mut at) = (0, 0, 0);
        for i in 0..pulses.len() {
            if clicks.clicked[i] {
                if pulses.bases.expose()[i] == clicks.bases.expose()[i] {
                    sifted += 1;
                    errors += usize::from(pulses.bits.expose()[i] != clicks.bits.expose()[at]);
                }
                at += 1;
            }
        }
        assert_eq!(at, clicks.detected());
        (errors, sifted, at)
    }

    fn assert_binomial(count: usize, of: usize, p: f64, what: &str) {
        let (mean, sigma) = (of as f64 * p, (of as f64 * p * (1.0 - p)).sqrt());
        assert!((count as f64 - mean).abs() <= 4.0 * sigma, "{what}: {count} of {of}, p = {p}");
    }

    #[test]
    fn clicks_and_errors_follow_the_formulas() {
        let base = QuantumConfig { pulses_per_block: 300_000, ..Default::default() };
        let variants = [
            base.clone(),
            QuantumConfig { dark_count_probability: 0.02, misalignment: 0.0, ..base.clone() },
            QuantumConfig { distance_km: 60.0, dark_count_probability: 0.003, ..base.clone() },
            QuantumConfig { distance_km: 0.0, detector_efficiency: 1.0, ..base.clone() },
            QuantumConfig { intercept_share: 0.3, dark_count_probability: 0.01, ..base },
        ];
        for (seed, config) in variants.iter().enumerate() {
            let (errors, sifted, clicks) = errors_sifted_clicks(config, seed as u64);
            let pulses = config.pulses_per_block as usize;
            assert_binomial(clicks, pulses, config.click_probability(), "clicks");
            assert_binomial(sifted, clicks, 0.5, "sifted");
            assert_binomial(errors, sifted, config.expected_qber(), "errors");
        }
    }

    #[test]
    fn intercepting_a_share_p_makes_a_qber_of_p_over_4() {
        for (seed, share) in [0.0, 0.1, 0.5, 1.0].into_iter().enumerate() {
            let config = QuantumConfig {
                misalignment: 0.0,
                dark_count_probability: 0.0,
                intercept_share: share,
                pulses_per_block: 500_000,
                ..Default::default()
            };
            let (errors, sifted, _) = errors_sifted_clicks(&config, 100 + seed as u64);
            assert_binomial(errors, sifted, share / 4.0, "errors");
        }
    }
}
