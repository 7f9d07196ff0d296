//! Features to bits: the quantisers.

use crqkd_bits::{BitString, SecretBits};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::config::{ChannelKeyConfig, ConfigError};
use crate::soft::{llr_of_bit, rho_from_kdr};

/// Turns the features of the kept probes of one window into bits. Both ends use the same quantiser, each on its own
/// features.
pub trait Quantizer {
    /// Quantises `features[probe][feature]`, all probes of equal length. The bits are probe-major, features ascending.
    fn quantize(&self, features: &[Vec<f32>]) -> Result<SoftBits, QuantizeError>;
}

/// Over which samples a threshold is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Thresholds {
    /// One threshold per feature, the median over the probes of the window: the channel's change in time gives the key.
    OverProbes,
    /// One threshold per probe, the median over its features: the channel's change over frequency gives the key.
    OverFeatures,
}

/// Channel-key bits with the log-likelihood ratio of each. Secret: both are wiped from memory when dropped, and `Debug`
/// shows only the length.
pub struct SoftBits {
    /// One bit per sample (one feature of one probe): probe by probe, features ascending.
    pub bits: SecretBits,
    /// `ln P(0)/P(1)` for the bit of the other end, as many as bits. Its sign tells the bit, so it is as secret.
    pub llr: Zeroizing<Vec<f32>>,
}

impl SoftBits {
    /// Number of bits, which is also the number of LLRs.
    pub fn len(&self) -> usize {
        self.llr.len()
    }

    /// Whether there are no bits at all.
    pub fn is_empty(&self) -> bool {
        self.llr.is_empty()
    }

    /// Hands out both parts; whoever takes the LLRs answers for wiping them.
    pub fn into_parts(mut self) -> (SecretBits, Vec<f32>) {
        (self.bits, std::mem::take(&mut *self.llr))
    }
}

impl std::fmt::Debug for SoftBits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SoftBits({})", self.len())
    }
}

/// One bit a sample: 1 above the block's median (the paper's quantiser).
///
/// The median of an even number of samples is the middle between the two central ones, that of an odd number the
/// central sample. A sample equal to the threshold gives bit 0 with LLR 0, so a block has at most half ones, exactly
/// half when its length is even and its central samples differ. The distance from the threshold is measured in standard
/// deviations of the block.
#[derive(Clone, Debug, PartialEq)]
pub struct MedianQuantizer {
    thresholds: Thresholds,
    rho: f64,
    llr_limit: f32,
}

impl MedianQuantizer {
    /// Takes thresholds, KDR estimate and LLR bound from the configuration.
    pub fn new(config: &ChannelKeyConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            thresholds: config.thresholds,
            rho: rho_from_kdr(config.design_kdr),
            llr_limit: config.llr_limit,
        })
    }

    /// The threshold and standard deviation of every block: one per feature or one per probe.
    pub fn levels(&self, features: &[Vec<f32>]) -> Result<Vec<Level>, QuantizeError> {
        let count = check(features)?;
        let blocks = match self.thresholds {
            Thresholds::OverProbes => count,
            Thresholds::OverFeatures => features.len(),
        };
        (0..blocks)
            .map(|block| {
                let samples: Vec<f32> = match self.thresholds {
                    Thresholds::OverProbes => features.iter().map(|probe| probe[block]).collect(),
                    Thresholds::OverFeatures => features[block].clone(),
                };
                Level::of(samples, self.thresholds, block)
            })
            .collect()
    }
}

impl Quantizer for MedianQuantizer {
    fn quantize(&self, features: &[Vec<f32>]) -> Result<SoftBits, QuantizeError> {
        let levels = self.levels(features)?;
        let mut bits = BitString::new();
        let mut llr = Zeroizing::new(Vec::with_capacity(features.len() * features[0].len()));
        for (probe, samples) in features.iter().enumerate() {
            for (feature, &sample) in samples.iter().enumerate() {
                let level = match self.thresholds {
                    Thresholds::OverProbes => levels[feature],
                    Thresholds::OverFeatures => levels[probe],
                };
                let distance = f64::from(sample) - level.threshold;
                bits.push(distance > 0.0);
                let exact = llr_of_bit(distance / level.deviation, self.rho) as f32;
                llr.push(exact.clamp(-self.llr_limit, self.llr_limit));
            }
        }
        Ok(SoftBits { bits: SecretBits::from(bits), llr })
    }
}

/// Threshold of one block, and the scale of its samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// The median of the block's samples.
    pub threshold: f64,
    /// Standard deviation of the block's samples (divisor n − 1), above 0.
    pub deviation: f64,
}

impl Level {
    fn of(mut samples: Vec<f32>, over: Thresholds, block: usize) -> Result<Self, QuantizeError> {
        let n = samples.len();
        if n < 2 {
            return Err(QuantizeError::BlockTooShort { over, block, samples: n });
        }
        let mean = samples.iter().map(|&x| f64::from(x)).sum::<f64>() / n as f64;
        let square = samples.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>();
        let deviation = (square / (n - 1) as f64).sqrt();
        samples.sort_unstable_by(f32::total_cmp);
        if samples[0] == samples[n - 1] {
            return Err(QuantizeError::NoMovement { over, block, samples: n });
        }
        let threshold = 0.5 * (f64::from(samples[(n - 1) / 2]) + f64::from(samples[n / 2]));
        Ok(Self { threshold, deviation })
    }
}

/// Checks the shape and every sample; returns the number of features of a probe.
fn check(features: &[Vec<f32>]) -> Result<usize, QuantizeError> {
    let count = features.first().map_or(0, Vec::len);
    if count == 0 {
        return Err(QuantizeError::Empty);
    }
    for (probe, samples) in features.iter().enumerate() {
        if samples.len() != count {
            return Err(QuantizeError::Ragged { probe, found: samples.len(), expected: count });
        }
        if let Some(feature) = samples.iter().position(|x| !x.is_finite()) {
            return Err(QuantizeError::NotFinite { probe, feature });
        }
    }
    Ok(count)
}

/// Why a window gives no bits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantizeError {
    /// No probe, or probes without a feature.
    #[error("the window has no sample, expected at least 2 probes of at least 1 feature")]
    Empty,
    /// A probe with another number of features than the first.
    #[error("probe {probe} has {found} features, expected {expected}")]
    Ragged {
        /// Place of the probe in the window.
        probe: usize,
        /// Features that the probe has.
        found: usize,
        /// Features the first probe has.
        expected: usize,
    },
    /// A feature that is NaN or infinite.
    #[error("feature {feature} of probe {probe} is not a finite number")]
    NotFinite {
        /// Place of the probe in the window.
        probe: usize,
        /// Place of the feature in the probe.
        feature: usize,
    },
    /// Too few samples for a threshold.
    #[error("{} {block} has {samples} sample(s), expected at least 2 for a threshold", block_name(.over))]
    BlockTooShort {
        /// Over which samples thresholds run: a block is then one feature or one probe.
        over: Thresholds,
        /// Index of the block from 0: of the feature, or of the probe in the window.
        block: usize,
        /// Samples that the block has.
        samples: usize,
    },
    /// All samples of a block are equal: a channel that does not move gives no key.
    #[error("all {samples} samples of {} {block} are equal, expected a channel that moves", block_name(.over))]
    NoMovement {
        /// Over which samples thresholds run: a block is then one feature or one probe.
        over: Thresholds,
        /// Index of the block from 0: of the feature, or of the probe in the window.
        block: usize,
        /// Samples that the block has.
        samples: usize,
    },
}

fn block_name(over: &Thresholds) -> &'static str {
    match over {
        Thresholds::OverProbes => "feature",
        Thresholds::OverFeatures => "probe",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quantizer(thresholds: Thresholds) -> MedianQuantizer {
        MedianQuantizer::new(&ChannelKeyConfig { thresholds, ..Default::default() }).unwrap()
    }

    fn text(soft: &SoftBits) -> String {
        soft.bits.expose().iter().map(|bit| if bit { '1' } else { '0' }).collect()
    }

    #[test]
    fn thresholds_run_over_probes_or_over_features() {
        let features = vec![vec![1.0, 40.0, 3.0], vec![2.0, 30.0, 9.0], vec![3.0, 20.0, 6.0]];
        let over_probes = quantizer(Thresholds::OverProbes).quantize(&features).unwrap();
        assert_eq!(text(&over_probes), "010001100");
        let over_features = quantizer(Thresholds::OverFeatures).quantize(&features).unwrap();
        assert_eq!(text(&over_features), "010010010");
    }

    #[test]
    fn a_tie_with_the_threshold_is_bit_zero_with_llr_zero() {
        let features: Vec<Vec<f32>> = [5.0, 5.0, 5.0, 7.0, 1.0].map(|x| vec![x]).to_vec();
        let soft = quantizer(Thresholds::OverProbes).quantize(&features).unwrap();
        assert_eq!(text(&soft), "00010");
        assert_eq!(soft.llr[..3], [0.0; 3]);
        assert!(soft.llr[3] < 0.0 && soft.llr[4] > 0.0);
    }

    #[test]
    fn windows_that_give_no_bits_are_refused_with_a_reason() {
        let quantizer = quantizer(Thresholds::OverProbes);
        let reason = |features: &[Vec<f32>]| quantizer.quantize(features).unwrap_err().to_string();
        assert_eq!(
            reason(&[]),
            "the window has no sample, expected at least 2 probes of at least 1 feature"
        );
        assert_eq!(
            reason(&[vec![1.0]]),
            "feature 0 has 1 sample(s), expected at least 2 for a threshold"
        );
        assert_eq!(reason(&[vec![1.0, 2.0], vec![1.0]]), "probe 1 has 1 features, expected 2");
        assert_eq!(
            reason(&[vec![1.0, 2.0], vec![1.0, f32::NAN]]),
            "feature 1 of probe 1 is not a finite number"
        );
        assert_eq!(
            reason(&[vec![1.0, 2.0], vec![3.0, 2.0]]),
            "all 2 samples of feature 1 are equal, expected a channel that moves"
        );
    }

    #[test]
    fn debug_shows_no_bit() {
        let features: Vec<Vec<f32>> = vec![vec![1.0], vec![2.0]];
        let soft = quantizer(Thresholds::OverProbes).quantize(&features).unwrap();
        assert_eq!(format!("{soft:?}"), "SoftBits(2)");
    }

    #[test]
    fn an_llr_of_a_window_is_wrong_as_often_as_it_says() {
        use rand::{Rng, SeedableRng};
        use rand_distr::StandardNormal;
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(2);
        for kdr in [0.05, 0.1, 0.2] {
            let config = ChannelKeyConfig { design_kdr: kdr, ..Default::default() };
            let quantizer = MedianQuantizer::new(&config).unwrap();
            let rho = rho_from_kdr(kdr);
            let mut bins = [(0u32, 0.0f64); 8];
            for _ in 0..500 {
                let window: Vec<[f32; 2]> = (0..128)
                    .map(|_| {
                        let [x, z]: [f64; 2] = std::array::from_fn(|_| rng.sample(StandardNormal));
                        [x as f32, (rho * x + (1.0 - rho * rho).sqrt() * z) as f32]
                    })
                    .collect();
                let end = |i: usize| -> SoftBits {
                    let features: Vec<Vec<f32>> = window.iter().map(|xy| vec![xy[i]]).collect();
                    quantizer.quantize(&features).unwrap()
                };
                let (sender, receiver) = (end(0), end(1));
                for (bit, &llr) in sender.bits.expose().iter().zip(receiver.llr.iter()) {
                    let bin = &mut bins[(llr.abs() as usize).min(7)];
                    bin.0 += u32::from(bit != (llr < 0.0));
                    bin.1 += 1.0 / (1.0 + f64::from(llr.abs()).exp());
                }
            }
            for (index, (wrong, expected)) in bins.into_iter().enumerate().take(6) {
                // Five standard deviations of the count, and 20 % for thresholds known only from 128 samples.
                let tolerance = 0.2 * expected + 5.0 * expected.sqrt().max(1.0);
                assert!(
                    (f64::from(wrong) - expected).abs() < tolerance,
                    "KDR {kdr}, bin {index}: {wrong} wrong, the LLRs say {expected:.1}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn half_of_each_feature_is_above_and_llrs_agree_with_bits(
            probes in 1usize..40, count in 1usize..5, seed in any::<u64>(),
        ) {
            use rand::{Rng, SeedableRng};
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let features: Vec<Vec<f32>> =
                (0..2 * probes).map(|_| (0..count).map(|_| rng.random_range(-30.0..30.0)).collect()).collect();
            let quantizer = quantizer(Thresholds::OverProbes);
            let soft = quantizer.quantize(&features).unwrap();
            prop_assert_eq!(soft.len(), 2 * probes * count);
            for feature in 0..count {
                let ones = soft.bits.expose().iter().skip(feature).step_by(count).filter(|&bit| bit).count();
                prop_assert!(ones <= probes);
                // Two of the central samples may be equal; otherwise it is exactly half.
                let mut column: Vec<f32> = features.iter().map(|probe| probe[feature]).collect();
                column.sort_by(f32::total_cmp);
                if column[probes - 1] < column[probes] {
                    prop_assert_eq!(ones, probes);
                }
            }
            for (bit, llr) in soft.bits.expose().iter().zip(soft.llr.iter()) {
                prop_assert!(llr.abs() <= 8.0 && (bit == (*llr < 0.0)));
            }
            // A gain and an offset of the receiver change nothing, neither bits nor LLRs.
            let other: Vec<Vec<f32>> =
                features.iter().map(|probe| probe.iter().map(|x| 4.0 * x - 64.0).collect()).collect();
            let other = quantizer.quantize(&other).unwrap();
            let differ = soft.llr.iter().zip(other.llr.iter()).filter(|(a, b)| (*a - *b).abs() > 1e-2).count();
            prop_assert_eq!(differ, 0);
        }
    }
}
