//! Density evolution on a grid of LLR magnitudes.
//!
//! A symmetric channel is a mixture of binary symmetric channels, held as the masses of the LLR magnitudes k·step,
//! k = 0..GRID. Sums and differences of magnitudes (variable node) fall on the grid again; the box-plus (check node)
//! falls between two points and is split between them so that the conditional entropy, hence the capacity, is kept.
//! This is the quantised density evolution of Tal and Vardy ("How to construct polar codes", IEEE Trans. Information
//! Theory 59, 2013), merging after every step, with a merge that keeps the mean entropy instead of bounding it.
//!
//! Positions of a code may have different channels (punctured, shortened and repeated bits); pairs of densities that
//! occurred before are looked up.

use std::collections::HashMap;

use crate::channel::SoftChannel;

/// Number of LLR magnitudes of the grid, 0 included.
const GRID: usize = 128;
/// Widest grid step, in nats.
const STEP: f64 = 0.2;

/// What is known of a coded bit before anything is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Look {
    /// The bit is never sent, and nothing is known of it.
    Punctured,
    /// The bit is known to be 0.
    Known,
    /// It will come this many times.
    Received(u8),
}

/// Error probability of each polarised channel under a genie-aided successive cancellation decoder.
pub(crate) fn error_probabilities(channel: &SoftChannel, looks: &[Look]) -> Vec<f64> {
    let grid = Grid::new(step(channel));
    let mut evolution = Evolution { grid, densities: Vec::new(), pairs: HashMap::new() };
    let mut received = vec![0.0; GRID];
    for &(llr, mass) in channel.masses() {
        evolution.grid.split(llr, mass, &mut received);
    }
    let mut unknown = vec![0.0; GRID];
    unknown[0] = 1.0;
    let mut known = vec![0.0; GRID];
    known[GRID - 1] = 1.0;
    evolution.densities = vec![unknown, known, received];
    let ids: Vec<u32> = looks.iter().map(|&look| evolution.look(look)).collect();
    let mut out = Vec::with_capacity(looks.len());
    evolution.descend(&ids, &mut out);
    out
}

/// A single magnitude is put on the grid by stretching it a little.
fn step(channel: &SoftChannel) -> f64 {
    match channel.masses() {
        &[(llr, _)] if llr > STEP / 2.0 => llr / (llr / STEP).round().max(1.0),
        _ => STEP,
    }
}

const UNKNOWN: u32 = 0;
const KNOWN: u32 = 1;
const RECEIVED: u32 = 2;

struct Evolution {
    grid: Grid,
    densities: Vec<Vec<f64>>,
    /// Check and variable node of each pair of densities.
    pairs: HashMap<(u32, u32), (u32, u32)>,
}

impl Evolution {
    fn look(&mut self, look: Look) -> u32 {
        match look {
            Look::Punctured | Look::Received(0) => UNKNOWN,
            Look::Known => KNOWN,
            Look::Received(times) => {
                (1..times).fold(RECEIVED, |density, _| self.pair(density, RECEIVED).1)
            }
        }
    }

    fn descend(&mut self, ids: &[u32], out: &mut Vec<f64>) {
        if let &[id] = ids {
            out.push(self.grid.error_probability(&self.densities[id as usize]));
            return;
        }
        let (a, b) = ids.split_at(ids.len() / 2);
        let nodes: Vec<(u32, u32)> = a.iter().zip(b).map(|(&a, &b)| self.pair(a, b)).collect();
        let left: Vec<u32> = nodes.iter().map(|&(check, _)| check).collect();
        self.descend(&left, out);
        let right: Vec<u32> = nodes.iter().map(|&(_, variable)| variable).collect();
        self.descend(&right, out);
    }

    fn pair(&mut self, a: u32, b: u32) -> (u32, u32) {
        let key = (a.min(b), a.max(b));
        if let Some(&nodes) = self.pairs.get(&key) {
            return nodes;
        }
        let (a, b) = (&self.densities[a as usize], &self.densities[b as usize]);
        let (check, variable) = (self.grid.check(a, b), self.grid.variable(a, b));
        let at = self.densities.len() as u32;
        self.densities.extend([check, variable]);
        self.pairs.insert(key, (at, at + 1));
        (at, at + 1)
    }
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

    /// Box-plus of a look through each of two channels.
    fn check(&self, a: &[f64], b: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; GRID];
        let mut row = 0;
        for i in 0..GRID {
            let pairs = &self.boxplus[row..row + GRID - i];
            row += GRID - i;
            if a[i].max(b[i]) <= NOTHING {
                continue;
            }
            for (j, &(k, share)) in (i..GRID).zip(pairs) {
                let both = a[i] * b[j] + if i == j { 0.0 } else { a[j] * b[i] };
                let above = both * f64::from(share);
                out[k as usize] += both - above;
                out[k as usize + 1] += above;
            }
        }
        out
    }

    /// Two looks at the same bit, one through each channel.
    fn variable(&self, a: &[f64], b: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; 2 * GRID];
        for i in 0..GRID {
            if a[i].max(b[i]) <= NOTHING {
                continue;
            }
            // Looks of magnitudes i and j agree with probability (1 − p)(1 − q) + p·q, and both orders count.
            let p = self.crossover[i];
            let (agree, slope) = (1.0 - p, 2.0 * p - 1.0);
            let weight = |j: usize| a[i] * b[j] + a[j] * b[i];
            for j in i + 1..GRID {
                out[i + j] += weight(j) * (agree + slope * self.crossover[j]);
            }
            for j in i + 1..GRID {
                out[j - i] += weight(j) * (p - slope * self.crossover[j]);
            }
            out[2 * i] += a[i] * b[i] * (agree + slope * p);
            out[0] += a[i] * b[i] * (p - slope * p);
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

    fn bsc(n: usize, p: f64) -> Vec<f64> {
        error_probabilities(&SoftChannel::bsc(p), &vec![Look::Received(1); n])
    }

    /// The polarised channels of length 2 over a BSC, by hand: 2p(1−p), and the error of two agreeing looks.
    #[test]
    fn length_two_follows_the_closed_form() {
        let p = 0.1;
        let found = bsc(2, p);
        assert!((found[0] - 2.0 * p * (1.0 - p)).abs() < 1e-3, "{found:?}");
        // both wrong p², or a tie 2p(1−p) decided by a coin
        assert!((found[1] - p).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn density_evolution_keeps_the_capacity() {
        for channel in [0.02, 0.081, 0.12, 0.3]
            .map(SoftChannel::bsc)
            .into_iter()
            .chain([0.047, 0.081, 0.17].map(SoftChannel::gaussian))
        {
            let grid = Grid::new(step(&channel));
            let mut start = vec![0.0; GRID];
            for &(llr, mass) in channel.masses() {
                grid.split(llr, mass, &mut start);
            }
            let mut level = vec![start];
            for _ in 0..6 {
                level =
                    level.iter().flat_map(|m| [grid.check(m, m), grid.variable(m, m)]).collect();
            }
            let entropy: f64 = level
                .iter()
                .map(|m| m.iter().zip(&grid.entropy).map(|(m, h)| m * h).sum::<f64>())
                .sum();
            let expected = 64.0 * (1.0 - channel.capacity());
            assert!((entropy - expected).abs() < 2e-4 * expected, "{entropy} against {expected}");
        }
    }

    /// Another way to the same figures: send 0, let a genie tell the decoder the bits before, and count its errors.
    /// Some positions are punctured, some known, some come twice.
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
        let mixed: Vec<Look> = (0..n)
            .map(|i| match i {
                0 | 8 | 16 => Look::Punctured,
                31 => Look::Known,
                5 | 9 => Look::Received(2),
                _ => Look::Received(1),
            })
            .collect();
        for looks in [vec![Look::Received(1); n], mixed] {
            let mut rng = ChaCha8Rng::seed_from_u64(5);
            let llr = ((1.0 - p) / p).ln();
            let mut errors = vec![0.0; n];
            for _ in 0..trials {
                let mut one = || if rng.random_bool(p) { -llr } else { llr };
                let word: Vec<f64> = looks
                    .iter()
                    .map(|look| match look {
                        Look::Punctured => 0.0,
                        Look::Known => 25.0,
                        Look::Received(times) => (0..*times).map(|_| one()).sum(),
                    })
                    .collect();
                genie(&word, &mut errors);
            }
            let expected = error_probabilities(&SoftChannel::bsc(p), &looks);
            for (i, (errors, expected)) in errors.iter().zip(expected).enumerate() {
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
}
