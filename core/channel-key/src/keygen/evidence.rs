//! What a disagreement rate is worth: chance level, information, and the rate half a record apart.

use crqkd_bits::{BitString, SecretBits};
use serde::Serialize;

use super::Disagreement;
use crate::kdr::{FeatureKdr, Interval, KdrCount, clustered_interval95};
use crate::quantizer::Thresholds;

/// What follows from a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The bits agree beyond chance, and with the channel of their time.
    Agree,
    /// They disagree beyond chance: inverted, which tells as much.
    Inverted,
    /// They agree as much half a record apart: what they share is a profile that does not change.
    StaticProfile,
    /// No agreement beyond chance.
    Chance,
}

/// How the bits lie.
pub(super) struct Shape {
    pub(super) features: usize,
    /// Probes of a window.
    pub(super) window: usize,
    pub(super) thresholds: Thresholds,
}

/// Standard deviations beyond which something is no chance.
const BEYOND: f64 = 3.5;

/// Compares one end's bits with the QAP's.
pub(super) fn compare(
    ours: &BitString,
    theirs: &BitString,
    windows: usize,
    still_windows: usize,
    shape: &Shape,
) -> Disagreement {
    let (a, b): (Vec<bool>, Vec<bool>) = (ours.iter().collect(), theirs.iter().collect());
    // Bits share a threshold inside a block; blocks stand alone.
    let block = match shape.thresholds {
        Thresholds::OverProbes => shape.window * shape.features,
        Thresholds::OverFeatures => shape.features,
    };
    let count = |a: &[bool], b: &[bool]| KdrCount {
        errors: a.iter().zip(b).filter(|(a, b)| a != b).count() as u64,
        bits: a.len() as u64,
    };
    let blocks: Vec<KdrCount> =
        a.chunks(block).zip(b.chunks(block)).map(|(a, b)| count(a, b)).collect();
    let kdr = count(&a, &b);
    let (n, rate) = (a.len() as f64, kdr.rate().unwrap_or(0.0));
    let ones = |bits: &[bool]| bits.iter().filter(|&&bit| bit).count() as f64 / n;
    let (p, q) = (ones(&a), ones(&b));
    let chance = p * (1.0 - q) + q * (1.0 - p);
    // Neighbouring bits are not independent, so fewer count: for the product of two series with these correlations.
    let step = match shape.thresholds {
        Thresholds::OverProbes => shape.features,
        Thresholds::OverFeatures => 1,
    };
    let r = (correlation(&a, step, p) * correlation(&b, step, q)).clamp(0.0, 0.99);
    let independent = n * (1.0 - r) / (1.0 + r);
    let sigma = (chance * (1.0 - chance) / independent).sqrt().max(1e-12);
    let beyond = |rate: f64| (chance - rate) / sigma;
    let apart = apart(&a, &b, shape).map(|(a, b)| count(&a, &b).rate().unwrap_or(0.0));
    let excess = beyond(rate);
    let static_profile = apart.is_some_and(|apart| {
        beyond(apart).abs() > BEYOND && chance - apart > 0.5 * (chance - rate)
    });
    let verdict = match excess {
        _ if excess > BEYOND && static_profile => Verdict::StaticProfile,
        _ if excess > BEYOND => Verdict::Agree,
        _ if excess < -BEYOND => Verdict::Inverted,
        _ => Verdict::Chance,
    };
    let interval = clustered_interval95(&blocks).map(|spread| {
        let binomial = wilson(rate, n);
        Interval { low: spread.low.min(binomial.low), high: spread.high.max(binomial.high) }
    });
    let per_feature = FeatureKdr::compare(ours, theirs, shape.features);
    Disagreement {
        fingerprint: SecretBits::from(theirs.clone()).fingerprint(),
        windows,
        still_windows,
        kdr,
        kdr_rate: rate,
        kdr_interval95: interval,
        chance,
        ones_rate: q,
        information: information(&a, &b),
        kdr_apart: apart,
        verdict,
        kdr_per_feature: per_feature.map(|kdr| kdr.features).unwrap_or_default(),
    }
}

/// Correlation of bits at a distance.
fn correlation(bits: &[bool], step: usize, mean: f64) -> f64 {
    let variance = mean * (1.0 - mean);
    if bits.len() <= step || variance == 0.0 {
        return 0.0;
    }
    let value = |bit: bool| f64::from(u8::from(bit)) - mean;
    let pairs = bits.iter().zip(&bits[step..]);
    let sum: f64 = pairs.map(|(&a, &b)| value(a) * value(b)).sum();
    sum / (bits.len() - step) as f64 / variance
}

/// Both strings, the second one half a record later.
fn apart(a: &[bool], b: &[bool], shape: &Shape) -> Option<(Vec<bool>, Vec<bool>)> {
    let probes = a.len() / shape.features;
    let shift = probes / 2 * shape.features;
    (shift > 0).then(|| {
        let later: Vec<bool> = b[shift..].iter().chain(&b[..shift]).copied().collect();
        (a.to_vec(), later)
    })
}

/// Mutual information of two bits, from their joint counts.
fn information(a: &[bool], b: &[bool]) -> f64 {
    let n = a.len() as f64;
    let share =
        |x: bool, y: bool| a.iter().zip(b).filter(|&(&a, &b)| a == x && b == y).count() as f64 / n;
    let mut sum = 0.0;
    for x in [false, true] {
        for y in [false, true] {
            let joint = share(x, y);
            let (px, py) = (share(x, false) + share(x, true), share(false, y) + share(true, y));
            if joint > 0.0 {
                sum += joint * (joint / (px * py)).log2();
            }
        }
    }
    sum.max(0.0)
}

/// Wilson's 95 % interval of a share.
fn wilson(rate: f64, n: f64) -> Interval {
    const Z: f64 = 1.959_963_984_540_054;
    let z2 = Z * Z;
    let centre = (rate + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z / (1.0 + z2 / n) * (rate * (1.0 - rate) / n + z2 / (4.0 * n * n)).sqrt();
    Interval { low: (centre - half).max(0.0), high: (centre + half).min(1.0) }
}
