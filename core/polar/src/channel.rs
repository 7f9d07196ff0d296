//! Symmetric channels with binary input and soft output, as mixtures of binary symmetric channels.

use statrs::function::erf::erfc;

/// A binary-input channel that is symmetric: with probability `mass` it is a binary symmetric channel whose output has
/// an LLR of this magnitude, and the receiver knows which.
#[derive(Clone, Debug, PartialEq)]
pub struct SoftChannel {
    masses: Vec<(f64, f64)>,
}

impl SoftChannel {
    /// The binary symmetric channel: one magnitude, ln((1−p)/p).
    pub fn bsc(p: f64) -> Self {
        Self { masses: vec![(((1.0 - p) / p).ln(), 1.0)] }
    }

    /// One-bit quantised, jointly Gaussian measurements x and y of correlation ρ = cos(π·kdr), of which the receiver
    /// knows y and wants the sign of x:
    ///
    /// P(x > 0 | y) = Φ(t), t = ρ·y / √(1 − ρ²), hence |LLR| = ln[Φ(|t|) / Φ(−|t|)], y ~ N(0, 1).
    ///
    /// (The orthant probability of two Gaussians, P(signs differ) = arccos(ρ)/π, gives ρ.)
    pub fn gaussian(kdr: f64) -> Self {
        let rho = (std::f64::consts::PI * kdr).cos();
        let slope = rho / (1.0 - rho * rho).sqrt();
        // Midpoints of equal steps of |y|; the density of |y| is 2·φ(y).
        const STEPS: usize = 4000;
        const WIDEST: f64 = 8.0;
        let step = WIDEST / STEPS as f64;
        let mut masses: Vec<(f64, f64)> = (0..STEPS)
            .map(|i| {
                let y = (i as f64 + 0.5) * step;
                (gaussian_llr(slope * y), (-y * y / 2.0).exp())
            })
            .collect();
        let total: f64 = masses.iter().map(|(_, mass)| mass).sum();
        masses.iter_mut().for_each(|(_, mass)| *mass /= total);
        Self { masses }
    }

    /// A mixture of (LLR magnitude, probability); probabilities are scaled to the sum 1.
    pub fn mixture(masses: Vec<(f64, f64)>) -> Self {
        let total: f64 = masses.iter().map(|(_, mass)| mass).sum();
        Self { masses: masses.into_iter().map(|(llr, mass)| (llr.abs(), mass / total)).collect() }
    }

    /// The LLR magnitudes with their probabilities.
    pub fn masses(&self) -> &[(f64, f64)] {
        &self.masses
    }

    /// Capacity in bits a use: the mean of the information density.
    pub fn capacity(&self) -> f64 {
        self.moments().0
    }

    /// Dispersion in bits² a use: the variance of the information density.
    pub fn dispersion(&self) -> f64 {
        self.moments().1
    }

    /// Mean and variance of i = 1 − log₂(1 + e^(−l)), where l is the LLR in favour of the bit sent: +magnitude with
    /// probability 1/(1 + e^(−magnitude)), else −magnitude.
    fn moments(&self) -> (f64, f64) {
        let (mut mean, mut square) = (0.0, 0.0);
        for &(llr, mass) in &self.masses {
            let right = 1.0 / (1.0 + (-llr).exp());
            let (high, low) = (density(llr), density(-llr));
            let wrong = 1.0 / (1.0 + llr.exp());
            mean += mass * (right * high + wrong * low);
            square += mass * (right * high * high + wrong * low * low);
        }
        (mean, square - mean * mean)
    }
}

/// ln[Φ(t) / Φ(−t)].
pub(crate) fn gaussian_llr(t: f64) -> f64 {
    let root = std::f64::consts::SQRT_2;
    // Beyond 30 the ratio has no more than its leading term, and erfc underflows soon after.
    let t = t.clamp(-30.0, 30.0);
    (erfc(-t / root) / erfc(t / root)).ln()
}

fn density(llr: f64) -> f64 {
    let softplus = if llr > 0.0 { (-llr).exp().ln_1p() } else { llr.exp().ln_1p() - llr };
    1.0 - softplus / std::f64::consts::LN_2
}
