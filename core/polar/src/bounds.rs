//! How well any code of a length could do: finite-length bounds and approximations.
//!
//! Y. Polyanskiy, H. V. Poor, S. Verdú, "Channel coding rate in the finite blocklength regime", IEEE Trans.
//! Information Theory 56(5), 2010; quoted as PPV. Block error rates are called `fer`; rates are message bits a coded
//! bit, log₂(M)/n.

use statrs::distribution::{ContinuousCDF, Normal};
use statrs::function::gamma::ln_gamma;

use crate::channel::SoftChannel;

/// Normal approximation of the best rate (PPV eq. 296 with the third-order term of the BSC, theorem 52):
///
/// R ≈ C − √(V/n)·Q⁻¹(fer) + log₂(n)/(2n),
///
/// C and V the channel's capacity and dispersion, Q⁻¹ the inverse of the Gaussian tail.
pub fn normal_approximation(channel: &SoftChannel, n: usize, fer: f64) -> f64 {
    let n = n as f64;
    let tail = -standard().inverse_cdf(fer);
    let rate = channel.capacity() - (channel.dispersion() / n).sqrt() * tail + n.log2() / (2.0 * n);
    rate.clamp(0.0, 1.0)
}

/// The block error rate at which [`normal_approximation`] is this rate.
pub fn normal_approximation_fer(channel: &SoftChannel, n: usize, rate: f64) -> f64 {
    let n = n as f64;
    let excess = channel.capacity() + n.log2() / (2.0 * n) - rate;
    standard().cdf(-excess * (n / channel.dispersion()).sqrt())
}

/// Random-coding union bound for the BSC (PPV theorem 33): some code of rate `rate` has at most this block error rate.
///
/// fer ≤ Σₜ C(n,t)·pᵗ(1−p)ⁿ⁻ᵗ·min{1, (M−1)·Σₛ≤ₜ C(n,s)·2⁻ⁿ}
pub fn rcu_fer(n: usize, p: f64, rate: f64) -> f64 {
    let ln_m = rate * n as f64 * std::f64::consts::LN_2;
    // ln(M − 1)
    let others = if ln_m > 40.0 { ln_m } else { (ln_m.exp() - 1.0).max(0.0).ln() };
    let table = Binomial::new(n);
    let mut closer = f64::NEG_INFINITY;
    let mut fer = 0.0;
    for t in 0..=n {
        closer = ln_add(closer, table.ln_choose(t) - n as f64 * std::f64::consts::LN_2);
        fer += (table.ln_mass(t, p) + (others + closer).min(0.0)).exp();
    }
    fer.min(1.0)
}

/// Rate that the random-coding union bound guarantees for the BSC at this block error rate.
pub fn rcu_rate(n: usize, p: f64, fer: f64) -> f64 {
    bisect(|rate| rcu_fer(n, p, rate) <= fer)
}

/// Meta-converse for the BSC (PPV theorem 35): no code has a greater rate at this block error rate.
///
/// M ≤ 1/β, where β is the error of the second kind of the best test between the channel and a coin that accepts the
/// channel with probability 1 − fer: with the weights t = 0..L in full and a share λ of t = L + 1,
/// Σ P(t) = 1 − fer gives L and λ, and β = 2⁻ⁿ·(Σₜ≤L C(n,t) + λ·C(n,L+1)).
pub fn meta_converse_rate(n: usize, p: f64, fer: f64) -> f64 {
    let table = Binomial::new(n);
    let wanted = 1.0 - fer;
    let (mut reached, mut ln_beta) = (0.0, f64::NEG_INFINITY);
    for t in 0..=n {
        let mass = table.ln_mass(t, p).exp();
        let ln_count = table.ln_choose(t);
        if reached + mass >= wanted {
            let share = (wanted - reached).max(0.0) / mass;
            ln_beta = ln_add(ln_beta, ln_count + share.ln());
            break;
        }
        reached += mass;
        ln_beta = ln_add(ln_beta, ln_count);
    }
    (1.0 - ln_beta / (n as f64 * std::f64::consts::LN_2)).clamp(0.0, 1.0)
}

/// Least block error rate of any code of this rate on the BSC, by [`meta_converse_rate`].
pub fn meta_converse_fer(n: usize, p: f64, rate: f64) -> f64 {
    bisect(|fer| meta_converse_rate(n, p, fer) <= rate)
}

/// The greatest argument in 0..1 for which a condition holds that fails from some point on.
fn bisect(holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if holds(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// ln(eᵃ + eᵇ).
fn ln_add(a: f64, b: f64) -> f64 {
    let (most, least) = if a > b { (a, b) } else { (b, a) };
    if least == f64::NEG_INFINITY { most } else { most + (least - most).exp().ln_1p() }
}

fn standard() -> Normal {
    Normal::new(0.0, 1.0).expect("a positive deviation")
}

/// Logarithms of factorials up to n.
struct Binomial {
    ln_factorial: Vec<f64>,
}

impl Binomial {
    fn new(n: usize) -> Self {
        Self { ln_factorial: (0..=n).map(|t| ln_gamma(t as f64 + 1.0)).collect() }
    }

    fn n(&self) -> usize {
        self.ln_factorial.len() - 1
    }

    fn ln_choose(&self, t: usize) -> f64 {
        let n = self.n();
        self.ln_factorial[n] - self.ln_factorial[t] - self.ln_factorial[n - t]
    }

    fn ln_mass(&self, t: usize, p: f64) -> f64 {
        self.ln_choose(t) + t as f64 * p.ln() + (self.n() - t) as f64 * (-p).ln_1p()
    }
}
