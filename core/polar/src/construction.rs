//! Which of the polarised channels carry information.

use serde::{Deserialize, Serialize};

use crate::PolarError;
use crate::channel::SoftChannel;
use crate::density::{Look, error_probabilities};
use crate::nr_sequence::NR_SEQUENCE;

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
    /// Density evolution for soft decisions about one-bit quantised, jointly Gaussian measurements
    /// ([`SoftChannel::gaussian`]).
    GaussianDensityEvolution {
        /// Share of bits that would differ if decided alone (0 < kdr < 0.5).
        kdr: f64,
    },
    /// The order of 5G New Radio, 3GPP TS 38.212 table 5.3.1.2-1, for n ≤ 1024: no design point.
    Nr5g,
}

impl Construction {
    pub(crate) fn validate(self, n: usize) -> Result<(), PolarError> {
        match self {
            Self::BscDensityEvolution { p } | Self::GaussianDensityEvolution { kdr: p }
                if !(p > 0.0 && p < 0.5) =>
            {
                Err(PolarError::ErrorRate { p })
            }
            Self::Nr5g if n > NR_SEQUENCE.len() => Err(PolarError::SequenceLength { n }),
            _ => Ok(()),
        }
    }
}

/// Indices of all channels of a code, least reliable first, given how often each coded bit is received.
pub(crate) fn reliability_order(construction: Construction, looks: &[Look]) -> Vec<u16> {
    let n = looks.len();
    match construction {
        Construction::BetaExpansion => beta_order(n),
        Construction::BscDensityEvolution { p } => evolved_order(&SoftChannel::bsc(p), looks),
        Construction::GaussianDensityEvolution { kdr } => {
            evolved_order(&SoftChannel::gaussian(kdr), looks)
        }
        Construction::Nr5g => NR_SEQUENCE.into_iter().filter(|&i| usize::from(i) < n).collect(),
    }
}

fn beta_order(n: usize) -> Vec<u16> {
    let weights: Vec<f64> = (0..n).map(polarisation_weight).collect();
    let mut order: Vec<u16> = (0..n).map(|i| i as u16).collect();
    order.sort_by(|&i, &j| weights[i as usize].total_cmp(&weights[j as usize]));
    order
}

fn evolved_order(channel: &SoftChannel, looks: &[Look]) -> Vec<u16> {
    let scores: Vec<f64> = error_probabilities(channel, looks).into_iter().map(score).collect();
    let mut order = beta_order(looks.len());
    // Stable: ties keep the order of the polarisation weights.
    order.sort_by(|&i, &j| scores[j as usize].total_cmp(&scores[i as usize]));
    order
}

/// Logarithm of an error probability, rounded so that rounding errors of the last digits give ties, which the
/// polarisation weight then breaks: the order is the same on every machine. Below 1e-10 the end of the grid is felt.
fn score(error_probability: f64) -> f64 {
    (error_probability.max(1e-10).ln() * 1e4).round()
}

fn polarisation_weight(index: usize) -> f64 {
    (0..usize::BITS).filter(|j| index >> j & 1 == 1).map(|j| 2f64.powf(f64::from(j) / 4.0)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(n: usize, construction: Construction) -> Vec<u16> {
        reliability_order(construction, &vec![Look::Received(1); n])
    }

    #[test]
    fn beta_expansion_of_length_eight() {
        // β = 2^(1/4): 3 (1 + 1.189) stands above 4 (1.414); the order of He et al. 2017 for N = 8.
        assert_eq!(order(8, Construction::BetaExpansion), [0, 1, 2, 4, 3, 5, 6, 7]);
    }

    #[test]
    fn all_constructions_end_in_the_same_corners() {
        for construction in [
            Construction::BetaExpansion,
            Construction::BscDensityEvolution { p: 0.08 },
            Construction::GaussianDensityEvolution { kdr: 0.08 },
            Construction::Nr5g,
        ] {
            let order = order(1024, construction);
            assert_eq!((order[0], order[1023]), (0, 1023));
        }
    }

    /// A channel whose index has a superset of another's binary ones is at least as reliable.
    #[test]
    fn order_respects_the_partial_order_of_polar_codes() {
        for construction in [
            Construction::BscDensityEvolution { p: 0.1 },
            Construction::GaussianDensityEvolution { kdr: 0.1 },
        ] {
            let order = order(256, construction);
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
    }
}
