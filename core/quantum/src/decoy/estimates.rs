//! [`Estimates`]: least and greatest numbers of detections by photon number, from counts by intensity.
//!
//! Given the photon number m of a detected pulse, its intensity is k with probability `p_k·e^(−μ_k)·μ_k^m / (m!·τ_m)`
//! whatever Eve has done, as the intensity is not in the light. The n_k of one basis are therefore sums of independent
//! variables, and lie within `δ = sqrt(n/2 · ln(1/t))` of their means, each side but with probability t (Hoeffding 1963).

use super::length::{ByIntensity, DecoyBlock, INTENSITIES};

/// Estimates whose every one-sided tail has the same probability t.
pub(super) struct Estimates<'a> {
    block: &'a DecoyBlock,
    /// ln(1/t).
    ln_tail: f64,
}

impl<'a> Estimates<'a> {
    /// `ln_tail` is ln(1/t).
    pub(super) fn new(block: &'a DecoyBlock, ln_tail: f64) -> Self {
        Self { block, ln_tail }
    }

    /// Probability that a pulse holds n photons, n = 0, 1: `τ_n = Σ_k e^(−μ_k)·μ_k^n·p_k / n!`.
    fn photon_number(&self, n: i32) -> f64 {
        let terms = self.block.mean_photons.iter().zip(&self.block.probabilities);
        terms.map(|(mu, p)| (-mu).exp() * mu.powi(n) * p).sum()
    }

    /// `e^μ_k/p_k · (n_k ± δ)` as (lower, upper).
    fn scaled(&self, counts: &ByIntensity) -> ([f64; INTENSITIES], [f64; INTENSITIES]) {
        let total: f64 = counts.iter().sum();
        let delta = (total / 2.0 * self.ln_tail).sqrt();
        let (means, shares) = (&self.block.mean_photons, &self.block.probabilities);
        let of = |sign: f64| {
            std::array::from_fn(|k| means[k].exp() / shares[k] * (counts[k] + sign * delta))
        };
        (of(-1.0), of(1.0))
    }

    /// Least numbers of bits from empty and from single-photon pulses (Lim et al. 2014, eqs. 2 and 3). Five tails are used:
    /// n₁ above, n₂ and n₃ on both sides.
    pub(super) fn yields(&self, counts: &ByIntensity) -> (f64, f64) {
        let [m1, m2, m3] = self.block.mean_photons;
        let (low, high) = self.scaled(counts);
        let (tau0, tau1) = (self.photon_number(0), self.photon_number(1));
        let vacuum = (tau0 * (m2 * low[2] - m3 * high[1]) / (m2 - m3)).max(0.0);
        let others = (m2 * m2 - m3 * m3) / (m1 * m1) * (high[0] - vacuum / tau0);
        let single = tau1 * m1 * (low[1] - high[2] - others) / (m1 * (m2 - m3) - m2 * m2 + m3 * m3);
        (vacuum, single.max(0.0))
    }

    /// Most errors of single photons, v_Z,1 (Lim et al. 2014, eq. 4). Two tails are used.
    pub(super) fn single_photon_errors(&self, errors: &ByIntensity) -> f64 {
        let [_, m2, m3] = self.block.mean_photons;
        let (low, high) = self.scaled(errors);
        (self.photon_number(1) * (high[1] - low[2]) / (m2 - m3)).max(0.0)
    }
}
