//! Which of the polarised channels carry information.

use serde::{Deserialize, Serialize};

/// How the reliabilities of the polarised channels are found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Construction {
    /// Density evolution for the binary symmetric channel of crossover probability `p` (0 < p < 0.5).
    BscDensityEvolution {
        /// Crossover probability for which the code is best.
        p: f64,
    },
    /// Polarisation weights Σ bⱼ·βʲ, β = 2^(1/4), bⱼ the binary digits of the index (He et al. 2017): no design point.
    BetaExpansion,
}

/// Number of LLR magnitudes of the grid, 0 included.
const GRID: usize = 128;
/// Widest grid step, in nats.
const STEP: f64 = 0.2;

/// Indices of all channels of a code of length `n`, least reliable first.
pub(crate) fn reliability_order(n: usize, construction: Construction) -> Vec<u16> {
    let weights: Vec<f64> = (0..n).map(polarisation_weight).collect();
    let mut order: Vec<u16> = (0..n).map(|i| i as u16).collect();
    match construction {
        Construction::BetaExpansion => {
            order.sort_by(|&i, &j| weights[i as usize].total_cmp(&weights[j as usize]));
        }
        Construction::BscDensityEvolution { p } => {
            let scores: Vec<f64> = error_probabilities(n, p).into_iter().map(score).collect();
            order.sort_by(|&i, &j| {
                let (i, j) = (i as usize, j as usize);
                scores[j].total_cmp(&scores[i]).then(weights[i].total_cmp(&weights[j]))
            });
        }
    }
    order
}

/// Logarithm of an error probability, rounded so that rounding errors of the last digits give ties, which the
/// polarisation weight then breaks: the order is the same on every machine.
fn score(error_probability: f64) -> f64 {
    (error_probability.max(1e-12).ln() * 1e4).round()
}

fn polarisation_weight(index: usize) -> f64 {
    (0..usize::BITS).filter(|j| index >> j & 1 == 1).map(|j| 2f64.powf(f64::from(j) / 4.0)).sum()
}

/// Error probability of each polarised channel under a genie-aided successive cancellation decoder.
///
/// A symmetric channel is a mixture of binary symmetric channels, held as the masses of the LLR magnitudes
/// `k·step`, k = 0..GRID. Sums and differences of magnitudes (variable node) fall on the grid again; the box-plus (check
/// node) falls between two points and is split between them so that the conditional entropy, hence the capacity, is
/// kept.
pub(crate) fn error_probabilities(n: usize, p: f64) -> Vec<f64> {
    let llr = ((1.0 - p) / p).ln();
    // The grid is stretched a little so that the channel itself lies on it.
    let step = if llr > STEP / 2.0 { llr / (llr / STEP).round().max(1.0) } else { STEP };
    let grid = Grid::new(step);
    let mut start = vec![0.0; GRID];
    grid.split(llr, 1.0, &mut start);
    let mut level = vec![start];
    while level.len() < n {
        level = level.iter().flat_map(|mass| [grid.check(mass), grid.variable(mass)]).collect();
    }
    level.iter().map(|mass| grid.error_probability(mass)).collect()
}

/// The LLR magnitudes k·step and what happens to pairs of them.
struct Grid {
    step: f64,
    /// Crossover probability of each magnitude.
    crossover: Vec<f64>,
    /// Entropy of each crossover probability, in bits.
    entropy: Vec<f64>,
    /// For each pair i ≤ j, at row i: lower grid point of the box-plus, and the share of the point above.
    boxplus: Vec<(u16, f32)>,
}

impl Grid {
    fn new(step: f64) -> Self {
        let crossover: Vec<f64> =
            (0..GRID).map(|k| 1.0 / (1.0 + (k as f64 * step).exp())).collect();
        let entropy = crossover.iter().map(|&p| binary_entropy(p)).collect();
        let mut grid =
            Self { step, crossover, entropy, boxplus: Vec::with_capacity(GRID * (GRID + 1) / 2) };
        for i in 0..GRID {
            for j in i..GRID {
                let (a, b) = (i as f64 * step, j as f64 * step);
                // box-plus of two magnitudes: min(a,b) − ln[(1+e^−|a−b|)/(1+e^−(a+b))]
                let both = a.min(b) - (-(a - b).abs()).exp().ln_1p() + (-(a + b)).exp().ln_1p();
                let at = grid.place(both.max(0.0));
                grid.boxplus.push(at);
            }
        }
        grid
    }

    /// Lower grid point and share of the upper one for a magnitude.
    fn place(&self, llr: f64) -> (u16, f32) {
        let k = (llr / self.step) as usize;
        if k >= GRID - 1 {
            return (GRID as u16 - 2, 1.0);
        }
        let entropy = binary_entropy(1.0 / (1.0 + llr.exp()));
        let share = (self.entropy[k] - entropy) / (self.entropy[k] - self.entropy[k + 1]);
        (k as u16, share.clamp(0.0, 1.0) as f32)
    }

    fn split(&self, llr: f64, mass: f64, out: &mut [f64]) {
        let (k, share) = self.place(llr);
        out[k as usize] += mass * (1.0 - f64::from(share));
        out[k as usize + 1] += mass * f64::from(share);
    }

    fn check(&self, mass: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; GRID];
        let mut row = 0;
        for i in 0..GRID {
            let pairs = &self.boxplus[row..row + GRID - i];
            row += GRID - i;
            if mass[i] <= NOTHING {
                continue;
            }
            for (j, &(k, share)) in (i..GRID).zip(pairs) {
                let times = if i == j { 1.0 } else { 2.0 };
                let both = times * mass[i] * mass[j];
                let above = both * f64::from(share);
                out[k as usize] += both - above;
                out[k as usize + 1] += above;
            }
        }
        out
    }

    fn variable(&self, mass: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; 2 * GRID];
        for i in 0..GRID {
            if mass[i] <= NOTHING {
                continue;
            }
            // Looks of magnitudes i and j agree with probability (1 − p)(1 − q) + p·q, and both orders count.
            let p = self.crossover[i];
            let (agree, slope) = (1.0 - p, 2.0 * p - 1.0);
            let masses = &mass[i + 1..];
            let crossovers = &self.crossover[i + 1..];
            let together = |m: f64, q: f64| 2.0 * mass[i] * m * (agree + slope * q);
            let apart = |m: f64, q: f64| 2.0 * mass[i] * m * (p - slope * q);
            for ((out, &m), &q) in out[2 * i + 1..].iter_mut().zip(masses).zip(crossovers) {
                *out += together(m, q);
            }
            for ((out, &m), &q) in out[1..].iter_mut().zip(masses).zip(crossovers) {
                *out += apart(m, q);
            }
            out[2 * i] += together(mass[i], p) / 2.0;
            out[0] += apart(mass[i], p) / 2.0;
        }
        let beyond: f64 = out[GRID..].iter().sum();
        out.truncate(GRID);
        out[GRID - 1] += beyond;
        out
    }

    fn error_probability(&self, mass: &[f64]) -> f64 {
        mass.iter().zip(&self.crossover).map(|(m, p)| m * p).sum()
    }
}

/// Masses below this are left out: far below the last digit of the scores that matter.
const NOTHING: f64 = 1e-15;

fn binary_entropy(p: f64) -> f64 {
    if p <= 0.0 || p >= 1.0 {
        return 0.0;
    }
    // ln_1p keeps the small term for p near 0.
    -(p * p.ln() + (1.0 - p) * (-p).ln_1p()) / std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// The polarised channels of length 2 over a BSC, by hand: 2p(1−p), and the error of two agreeing looks.
    #[test]
    fn length_two_follows_the_closed_form() {
        let p = 0.1;
        let found = error_probabilities(2, p);
        assert!((found[0] - 2.0 * p * (1.0 - p)).abs() < 1e-3, "{found:?}");
        // both wrong p², or a tie 2p(1−p) decided by a coin
        assert!((found[1] - p).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn density_evolution_keeps_the_capacity() {
        for p in [0.02, 0.081, 0.12, 0.3f64] {
            let llr = ((1.0 - p) / p).ln();
            let grid = Grid::new(llr / (llr / STEP).round().max(1.0));
            let mut start = vec![0.0; GRID];
            grid.split(llr, 1.0, &mut start);
            let mut level = vec![start];
            for _ in 0..6 {
                level = level.iter().flat_map(|m| [grid.check(m), grid.variable(m)]).collect();
            }
            let entropy: f64 = level
                .iter()
                .map(|m| m.iter().zip(&grid.entropy).map(|(m, h)| m * h).sum::<f64>())
                .sum();
            let expected = 64.0 * binary_entropy(p);
            assert!(
                (entropy - expected).abs() < 1e-4 * expected,
                "p = {p}: {entropy} against {expected}"
            );
        }
    }

    #[test]
    fn beta_expansion_of_length_eight() {
        // β = 2^(1/4): 3 (1 + 1.189) stands above 4 (1.414); the order of He et al. 2017 for N = 8.
        assert_eq!(reliability_order(8, Construction::BetaExpansion), [0, 1, 2, 4, 3, 5, 6, 7]);
    }

    #[test]
    fn both_constructions_end_in_the_same_corners() {
        for construction in
            [Construction::BetaExpansion, Construction::BscDensityEvolution { p: 0.08 }]
        {
            let order = reliability_order(1024, construction);
            assert_eq!((order[0], order[1023]), (0, 1023));
        }
    }

    /// A channel whose index has a superset of another's binary ones is at least as reliable.
    #[test]
    fn order_respects_the_partial_order_of_polar_codes() {
        let order = reliability_order(256, Construction::BscDensityEvolution { p: 0.1 });
        let mut rank = [0; 256];
        for (r, &i) in order.iter().enumerate() {
            rank[i as usize] = r;
        }
        for i in 0..256usize {
            for bit in 0..8 {
                assert!(
                    i >> bit & 1 == 1 || rank[i | 1 << bit] > rank[i],
                    "{i} against {}",
                    i | 1 << bit
                );
            }
        }
    }

    /// Another way to the same figures: send 0, let a genie tell the decoder the bits before, and count its errors.
    #[test]
    fn error_probabilities_agree_with_a_simulated_genie_decoder() {
        fn genie(llr: &[f64], errors: &mut [f64]) {
            if let [llr] = llr {
                errors[0] += if llr.abs() < 1e-9 { 0.5 } else { f64::from(*llr < 0.0) };
                return;
            }
            let half = llr.len() / 2;
            let (a, b) = llr.split_at(half);
            let pairs = || a.iter().zip(b);
            let check: Vec<f64> =
                pairs().map(|(a, b)| 2.0 * ((a / 2.0).tanh() * (b / 2.0).tanh()).atanh()).collect();
            let variable: Vec<f64> = pairs().map(|(a, b)| a + b).collect();
            let (left, right) = errors.split_at_mut(half);
            genie(&check, left);
            genie(&variable, right);
        }
        let (n, p, trials) = (32, 0.1f64, 20_000);
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let llr = ((1.0 - p) / p).ln();
        let mut errors = vec![0.0; n];
        for _ in 0..trials {
            let word: Vec<f64> =
                (0..n).map(|_| if rng.random_bool(p) { -llr } else { llr }).collect();
            genie(&word, &mut errors);
        }
        for (i, (errors, expected)) in errors.iter().zip(error_probabilities(n, p)).enumerate() {
            let found = errors / f64::from(trials);
            let deviation = (expected * (1.0 - expected) / f64::from(trials)).sqrt();
            // 4 standard deviations, and 1 % for the grid
            assert!(
                (found - expected).abs() < 4.0 * deviation + 0.01 * expected,
                "{i}: {found} against {expected}"
            );
        }
    }
}
