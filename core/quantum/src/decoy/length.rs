//! Secret length with decoy states and finite statistics: what was counted, and the statement of Lim et al. 2014.
//!
//! The statement for variable lengths is in `variable`; both estimate photon numbers with `estimates`.

use super::estimates::Estimates;
use crate::finite_key::binary_entropy;

/// Number of intensities: signal, decoy, (almost) vacuum.
pub const INTENSITIES: usize = 3;

/// What was counted in one basis, by intensity; a real number, so that it can be an expectation.
pub type ByIntensity = [f64; INTENSITIES];

/// The block that a secret length is computed for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DecoyBlock {
    /// Mean photon numbers μ₁ > μ₂ + μ₃, μ₂ > μ₃ ≥ 0.
    pub mean_photons: [f64; INTENSITIES],
    /// Probability p that Alice sends each intensity, in the same order.
    pub probabilities: [f64; INTENSITIES],
    /// Sifted bits in the key basis, n_X.
    pub key_bits: ByIntensity,
    /// Sifted bits in the test basis, n_Z.
    pub test_bits: ByIntensity,
    /// Errors among the test bits, m_Z, by intensity.
    pub test_errors: ByIntensity,
    /// Secrecy parameter eps_sec: bound on the distance of the key from an ideal one.
    pub eps_sec: f64,
    /// Correctness parameter eps_cor: bound on the probability that the keys differ unnoticed.
    pub eps_cor: f64,
}

/// What the decoy states say about a block, worst case.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct DecoyBounds {
    /// Least number of key bits from empty pulses, s_X,0.
    pub vacuum: f64,
    /// Least number of key bits from single photons, s_X,1.
    pub single_photons: f64,
    /// Highest phase error rate of these, φ_X; 1/2 when nothing is known.
    pub phase_error_rate: f64,
}

impl DecoyBlock {
    /// Lim, Curty, Walenta, Xu, Zbinden, "Concise security bounds for practical decoy-state quantum key distribution",
    /// Physical Review A 89, 022307 (2014), arXiv 1311.7129, eqs. 2 to 5, with Hoeffding deviations.
    pub fn bounds(&self) -> DecoyBounds {
        let estimates = Estimates::new(self, (21.0 / self.eps_sec).ln());
        let (vacuum, single_photons) = estimates.yields(&self.key_bits);
        let (_, test_single_photons) = estimates.yields(&self.test_bits);
        let none = DecoyBounds { vacuum, single_photons: 0.0, phase_error_rate: 0.5 };
        if single_photons <= 0.0 || test_single_photons <= 0.0 {
            return none;
        }
        let rate = estimates.single_photon_errors(&self.test_errors) / test_single_photons;
        let deviation = random_sampling(self.eps_sec, rate, test_single_photons, single_photons);
        let phase_error_rate = (rate + deviation).clamp(0.0, 0.5);
        DecoyBounds { vacuum, single_photons, phase_error_rate }
    }

    /// `l = ⌊s_X,0 + s_X,1·(1 − h(φ_X)) − leak − 6·log2(21/eps_sec) − log2(2/eps_cor)⌋`, never below 0 (eq. 1).
    ///
    /// `leak_bits` is everything said about the key bits but the verification tag, of which the last term pays for
    /// log2(2/eps_cor) bits.
    pub fn secret_bits(&self, leak_bits: f64) -> u64 {
        self.lim2014_bits(leak_bits, true)
    }

    /// The same with or without the bits of empty pulses, s_X,0.
    pub(super) fn lim2014_bits(&self, leak_bits: f64, vacuum: bool) -> u64 {
        let security = 6.0 * (21.0 / self.eps_sec).log2() + (2.0 / self.eps_cor).log2();
        // A NaN or a negative length saturates to 0.
        (self.bounds().entropy(vacuum) - leak_bits - security).floor() as u64
    }
}

impl DecoyBounds {
    /// `s_X,0 + s_X,1·(1 − h(φ_X))`, the first term only where it may be counted.
    pub(super) fn entropy(&self, vacuum: bool) -> f64 {
        let single = self.single_photons * (1.0 - binary_entropy(self.phase_error_rate));
        if vacuum { self.vacuum + single } else { single }
    }
}

/// By how much the error rate of d bits may exceed the rate b of c others (eq. 5):
/// `γ = sqrt((c+d)(1−b)b/(c·d·ln 2) · log2((c+d)/(c·d·(1−b)·b) · 21²/a²))`.
fn random_sampling(a: f64, b: f64, c: f64, d: f64) -> f64 {
    if b >= 1.0 {
        return 1.0;
    }
    // Without any error seen, the bound for half an error: it grows with b.
    let b = b.max(0.5 / c).min(0.5);
    let spread = (c + d) / (c * d);
    let log = (spread / ((1.0 - b) * b) * (21.0 / a).powi(2)).log2().max(0.0);
    (spread * (1.0 - b) * b / std::f64::consts::LN_2 * log).sqrt()
}

/// The rate per pulse of an endless signal-and-decoy run, which no finite block reaches.
///
/// `R = ½·(Q₁·(1 − h(e₁)) − f·Q_μ·h(E_μ))`, never below 0: Lo, Ma, Chen, PRL 94, 230504 (2005), with yields and errors
/// of an undisturbed link.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Asymptotic {
    /// Mean photon number of the signal, μ.
    pub mean_photons: f64,
    /// Probability that a photon sent makes a click, η.
    pub transmittance: f64,
    /// Probability of a click without photons, Y₀.
    pub background: f64,
    /// Share of photons that take the wrong detector, e_d.
    pub misalignment: f64,
    /// Reconciliation over the Shannon limit, f.
    pub efficiency: f64,
}

impl Asymptotic {
    /// The rate R in secret bits per pulse, at least 0, by the formula of [`Asymptotic`].
    pub fn rate(&self) -> f64 {
        let (mu, eta, y0) = (self.mean_photons, self.transmittance, self.background);
        let some = 1.0 - (-eta * mu).exp();
        let gain = y0 + some;
        let qber = (y0 / 2.0 + self.misalignment * some) / gain;
        let yield1 = y0 + eta - y0 * eta;
        let error1 = (y0 / 2.0 + self.misalignment * eta) / yield1;
        let gain1 = yield1 * mu * (-mu).exp();
        let rate =
            gain1 * (1.0 - binary_entropy(error1)) - self.efficiency * gain * binary_entropy(qber);
        (rate / 2.0).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// DESIGN section 8: expected counts of an undisturbed link, N = 10¹⁰.
    fn design_block(eta: f64) -> (DecoyBlock, f64) {
        let (pulses, key_basis, y0, misalignment) = (1e10, 0.9f64, 6e-7, 0.01);
        let (mean_photons, probabilities) = ([0.5, 0.1, 0.0002], [0.7, 0.2, 0.1]);
        let some = mean_photons.map(|mu: f64| 1.0 - (-eta * mu).exp());
        let gain = some.map(|s| 1.0 - (1.0 - y0) * (1.0 - s));
        let error = some.map(|s| y0 / 2.0 + misalignment * s);
        let count = |basis: f64, of: &[f64; 3]| {
            std::array::from_fn(|k| pulses * basis * basis * probabilities[k] * of[k])
        };
        let mean = |of: &[f64; 3]| (0..3).map(|k| probabilities[k] * of[k]).sum::<f64>();
        let block = DecoyBlock {
            mean_photons,
            probabilities,
            key_bits: count(key_basis, &gain),
            test_bits: count(1.0 - key_basis, &gain),
            test_errors: count(1.0 - key_basis, &error),
            eps_sec: 1e-9,
            eps_cor: 1e-15,
        };
        let n = pulses * key_basis * key_basis * mean(&gain);
        (block, 1.16 * n * binary_entropy(mean(&error) / mean(&gain)))
    }

    #[test]
    fn the_decoy_vectors_of_the_design_hold() {
        for (eta, expected) in [(0.1, 120_184_124), (0.01, 7_188_510), (0.001, 0)] {
            let (block, leak) = design_block(eta);
            assert_eq!(block.secret_bits(leak), expected, "eta {eta}");
        }
    }

    #[test]
    fn the_asymptotic_vectors_of_the_design_hold() {
        // Gobby, Yuan, Shields (2004): 0.21 dB/km, e_d = 3.3 %, Y0 = 1.7e-6, eta_Bob = 4.5 %.
        let rate = |km: f64| {
            Asymptotic {
                mean_photons: 0.48,
                transmittance: 0.045 * 10f64.powf(-0.021 * km),
                background: 1.7e-6,
                misalignment: 0.033,
                efficiency: 1.22,
            }
            .rate()
        };
        for (km, expected) in [(0.0, 2.555e-3), (50.0, 2.226e-4), (100.0, 1.718e-5)] {
            assert!((rate(km) / expected - 1.0).abs() < 3e-4, "{km} km: {}", rate(km));
        }
        assert!(rate(141.95) > 0.0 && rate(142.05) == 0.0);
    }

    proptest! {
        #[test]
        fn lengths_are_bounded_by_the_key_and_never_panic(
            key in prop::array::uniform3(0.0f64..1e9),
            test in prop::array::uniform3(0.0f64..1e8),
            errors in prop::array::uniform3(0.0f64..1e7),
            leak in 0.0f64..1e8,
        ) {
            let block = DecoyBlock {
                mean_photons: [0.5, 0.1, 0.0002],
                probabilities: [0.7, 0.2, 0.1],
                key_bits: key,
                test_bits: test,
                test_errors: std::array::from_fn(|k| errors[k].min(test[k])),
                eps_sec: 1e-9,
                eps_cor: 1e-15,
            };
            let bounds = block.bounds();
            prop_assert!((0.0..=0.5).contains(&bounds.phase_error_rate));
            prop_assert!(bounds.single_photons >= 0.0 && bounds.vacuum >= 0.0);
            let length = block.secret_bits(leak);
            prop_assert!(block.secret_bits(leak + 1.0) <= length);
        }
    }
}
