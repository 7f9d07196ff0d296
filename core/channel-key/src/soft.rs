//! How likely the other end holds a 0 rather than a 1, given how far our own sample lies from the threshold.
//!
//! With jointly Gaussian features of correlation ρ, both standardised, the other end's sample x given our y is
//! N(ρ·y, 1 − ρ²), so P(x > 0 | y) = Φ(t) with t = ρ·y/√(1−ρ²), and
//!
//! ```text
//! llr = ln P(0)/P(1) = −ln[ Φ(t)/Φ(−t) ]
//! ```
//!
//! ρ follows from the key disagreement rate by Sheppard's formula, KDR = arccos(ρ)/π.

use statrs::function::erf::erfc;
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// ln √(2π).
const LN_SQRT_2PI: f64 = 0.918_938_533_204_672_8;

/// Below this argument ln Φ comes from its asymptotic series: Φ(−20) is 2.8e-89, and five terms of the series are good
/// to 1e-11 there.
const SERIES_BELOW: f64 = -20.0;

/// ρ = cos(π·KDR): correlation of two Gaussian features whose one-bit quantisations disagree at the rate `kdr`.
pub fn rho_from_kdr(kdr: f64) -> f64 {
    (PI * kdr).cos()
}

/// ln Φ(t) of the standard normal distribution, finite for every finite t of magnitude below 1e150.
pub fn ln_normal_cdf(t: f64) -> f64 {
    if t < SERIES_BELOW {
        // Φ(t) = φ(t)/|t| · (1 − 1/t² + 3/t⁴ − 15/t⁶ + 105/t⁸ − …)
        let w = 1.0 / (t * t);
        let series = -w * (1.0 - w * (3.0 - w * (15.0 - w * (105.0 - w * 945.0))));
        -0.5 * t * t - (-t).ln() - LN_SQRT_2PI + series.ln_1p()
    } else if t < 0.0 {
        (0.5 * erfc(-t * FRAC_1_SQRT_2)).ln()
    } else {
        (-0.5 * erfc(t * FRAC_1_SQRT_2)).ln_1p()
    }
}

/// LLR, ln P(0)/P(1), of the other end's bit.
///
/// `y` is our sample's distance from the threshold in standard deviations (positive above, where the bit is 1) and
/// `rho` the correlation of the two ends' features, in −1..1. Finite for every finite `y`.
pub fn llr_of_bit(y: f64, rho: f64) -> f64 {
    let t = (rho * y / (1.0 - rho * rho).sqrt()).clamp(-1e8, 1e8);
    ln_normal_cdf(-t) - ln_normal_cdf(t)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    /// scipy vectors, one `rho y t lncdf llr` a line; made by `tests/vectors/soft.py`.
    const VECTORS: &str = include_str!("../tests/vectors/soft.txt");

    #[test]
    fn equals_scipy_to_nine_digits() {
        let mut seen = 0;
        for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
            let v: Vec<f64> = line.split_whitespace().map(|x| x.parse().unwrap()).collect();
            let [rho, y, t, lncdf, llr] = v[..] else { panic!("five numbers a line: {line}") };
            assert!((ln_normal_cdf(t) - lncdf).abs() <= 1e-9 * lncdf.abs(), "{line}");
            assert!((llr_of_bit(y, rho) - llr).abs() <= 1e-9 * llr.abs().max(1e-3), "{line}");
            seen += 1;
        }
        assert!(seen > 100);
    }

    #[test]
    fn an_llr_is_wrong_as_often_as_it_says() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for kdr in [0.04, 0.1, 0.2, 0.45] {
            let rho = rho_from_kdr(kdr);
            let mut bins = [(0u32, 0u32, 0.0f64); 12];
            for _ in 0..400_000 {
                let x: f64 = rng.sample(StandardNormal);
                let z: f64 = rng.sample(StandardNormal);
                let y = rho * x + (1.0 - rho * rho).sqrt() * z;
                let llr = llr_of_bit(y, rho);
                let wrong = (x > 0.0) != (llr < 0.0);
                let bin = &mut bins[((llr.abs() * 2.0) as usize).min(11)];
                bin.0 += 1;
                bin.1 += u32::from(wrong);
                bin.2 += 1.0 / (1.0 + llr.abs().exp());
            }
            let total: u32 = bins.iter().map(|bin| bin.1).sum();
            assert!((f64::from(total) / 400_000.0 - kdr).abs() < 0.003, "Sheppard's formula");
            for (index, (n, wrong, expected)) in bins.into_iter().enumerate() {
                // Five standard deviations of the binomial count.
                let tolerance = 5.0 * expected.sqrt().max(1.0);
                assert!(
                    (f64::from(wrong) - expected).abs() < tolerance,
                    "KDR {kdr}, bin {index} of {n}: {wrong} wrong, the LLRs say {expected:.1}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn is_finite_odd_and_falls_with_the_sample(
            y in -1e30f64..1e30, small in -50f64..50.0, step in 1e-3f64..1.0, kdr in 1e-4f64..0.4999,
        ) {
            let rho = rho_from_kdr(kdr);
            prop_assert!(llr_of_bit(y, rho).is_finite());
            let llr = llr_of_bit(small, rho);
            prop_assert_eq!(llr, -llr_of_bit(-small, rho));
            prop_assert!(llr_of_bit(small + step, rho) < llr);
        }
    }
}
