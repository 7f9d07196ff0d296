//! 95 % intervals that stay honest when neighbouring windows depend on each other.
//!
//! A run of 85 s has four geometries and a handful of disturbances: bits, and even groups, are far from independent.
//! Counts are therefore summed over blocks of time and the spread of the blocks gives the interval, with Student's t.
//! Short blocks underestimate the spread when they depend on each other, long blocks know it badly; the interval
//! spans those of 5, 10, 20 (a geometry) and 40 s, so it is rather too wide than too narrow.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use statrs::distribution::{Beta, ContinuousCDF, StudentsT};

/// Lengths of the blocks in seconds.
const BLOCKS_S: [f64; 4] = [5.0, 10.0, 20.0, 40.0];

/// Length of the spells that failures are taken to come in, in seconds.
const SPELL_S: f64 = 5.0;

/// A block length with fewer blocks than this says little about the spread.
const MIN_BLOCKS: f64 = 3.0;

/// A figure with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The figure itself, the middle estimate.
    pub mean: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Estimate {
    /// Whether the interval holds `value`.
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// The figure and its interval times a factor, as for per cent.
    pub fn times(&self, factor: f64) -> Self {
        Self { mean: self.mean * factor, low: self.low * factor, high: self.high * factor }
    }
}

/// A share of something: at some time of some run, `part` of `whole`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Number of the run (seed, link); blocks never reach from one into another.
    pub run: usize,
    /// Air time of the count in seconds.
    pub at_s: f64,
    /// What was counted, the numerator.
    pub part: f64,
    /// What it is a share of, the denominator.
    pub whole: f64,
}

/// Σ part / Σ whole with the interval described above, within 0 and `most`; `None` when nothing was counted.
///
/// With fewer than two blocks nothing is known about the spread and the interval is everything. Shares that are all 0, or
/// all `most`, have no spread either, which does not make the ratio known: then the other end is that of Clopper and
/// Pearson for as many chances as there are effective blocks of 5 s (about three over their number). A rate without a
/// largest value, where `most` is infinite, has no scale for that and keeps an interval from 0 to 0.
///
/// ```text
/// 0 <= ratio <= most · (1 − 0.025^(1/m'))
/// ```
pub fn ratio(shares: &[Share], most: f64) -> Option<Estimate> {
    let mut estimate = ratio_of_blocks(shares, most)?;
    if most.is_finite() && (estimate.mean <= 0.0 || estimate.mean >= most) {
        let whole: f64 = shares.iter().map(|s| s.whole).sum();
        let (spells, _) = jackknife(shares, estimate.mean, whole, SPELL_S);
        let unseen = most * (1.0 - 0.025f64.powf(1.0 / spells));
        if estimate.mean <= 0.0 {
            estimate.high = estimate.high.max(unseen);
        } else {
            estimate.low = estimate.low.min(most - unseen);
        }
    }
    Some(estimate)
}

/// The ratio with the interval of the blocks' spread alone.
fn ratio_of_blocks(shares: &[Share], most: f64) -> Option<Estimate> {
    let whole: f64 = shares.iter().map(|s| s.whole).sum();
    if whole <= 0.0 {
        return None;
    }
    let mean = shares.iter().map(|s| s.part).sum::<f64>() / whole;
    let half = half_width(shares, mean, whole);
    Some(Estimate { mean, low: (mean - half).max(0.0), high: (mean + half).min(most) })
}

/// As [`ratio`] for things that happen or do not (each `part` 0 or 1 of a `whole` of 1): the interval also spans that of
/// Clopper and Pearson, which does not vanish when nothing or everything happened.
///
/// Failures come in spells, which a run that saw few of them cannot measure; so n counts no more than one independent
/// chance every 5 s, and k is scaled with it.
pub fn proportion(shares: &[Share]) -> Option<Estimate> {
    let blocks = ratio_of_blocks(shares, 1.0)?;
    let whole: f64 = shares.iter().map(|s| s.whole).sum();
    let (spells, _) = jackknife(shares, blocks.mean, whole, SPELL_S);
    let n = whole.min(spells);
    let k = blocks.mean * n;
    let quantile = |a: f64, b: f64, p: f64| Beta::new(a, b).map(|beta| beta.inverse_cdf(p));
    let low = if k > 0.0 { quantile(k, n - k + 1.0, 0.025).unwrap_or(0.0) } else { 0.0 };
    let high = if k < n { quantile(k + 1.0, n - k, 0.975).unwrap_or(1.0) } else { 1.0 };
    Some(Estimate { mean: blocks.mean, low: blocks.low.min(low), high: blocks.high.max(high) })
}

/// The widest that the block lengths give; those with too few blocks count only when all have.
fn half_width(shares: &[Share], mean: f64, whole: f64) -> f64 {
    let widths = BLOCKS_S.map(|length| jackknife(shares, mean, whole, length));
    let enough = widths.iter().filter(|(blocks, _)| *blocks >= MIN_BLOCKS);
    enough.map(|(_, half)| *half).reduce(f64::max).unwrap_or(widths[0].1)
}

/// Effective number m' of blocks of `length_s`, and t₀.₉₇₅(m'−1) times the jackknife's standard error of the ratio over
/// the m blocks.
///
/// ```text
/// s² = (m−1)/m · Σ [ (partᵢ − mean·wholeᵢ) / (Σ whole − wholeᵢ) ]²      m' = (Σ wholeᵢ)² / Σ wholeᵢ²
/// ```
fn jackknife(shares: &[Share], mean: f64, whole: f64, length_s: f64) -> (f64, f64) {
    let mut blocks: BTreeMap<(usize, u64), (f64, f64)> = BTreeMap::new();
    for share in shares.iter().filter(|s| s.whole > 0.0) {
        let block = (share.at_s / length_s) as u64;
        let (residual, size) = blocks.entry((share.run, block)).or_default();
        *residual += share.part - mean * share.whole;
        *size += share.whole;
    }
    let m = blocks.len() as f64;
    let effective = whole * whole / blocks.values().map(|(_, size)| size * size).sum::<f64>();
    let Ok(student) = StudentsT::new(0.0, 1.0, effective - 1.0) else {
        return (effective, f64::INFINITY);
    };
    let square: f64 =
        blocks.values().map(|(residual, size)| (residual / (whole - size)).powi(2)).sum();
    (effective, student.inverse_cdf(0.975) * ((m - 1.0) / m * square).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    fn at(i: usize, part: f64) -> Share {
        Share { run: 0, at_s: i as f64 * 5.0, part, whole: 1.0 }
    }

    #[test]
    fn blocks_by_hand() {
        let shares: Vec<Share> = [1.0, 2.0, 2.0, 3.0]
            .iter()
            .enumerate()
            .map(|(i, &part)| Share { run: 0, at_s: 10.0 * i as f64, part, whole: 2.0 })
            .collect();
        // Four blocks of 5 or 10 s, mean 1, residuals -1 0 0 1, each over the other blocks' 6: √(3/4·2/36) = 0.2041,
        // t(3) = 3.1824. Two blocks of 20 s do not count.
        let estimate = ratio(&shares, 10.0).unwrap();
        assert_eq!(estimate.mean, 1.0);
        assert!((estimate.high - 1.6496).abs() < 1e-3, "{estimate:?}");
        assert!((estimate.low - 0.3504).abs() < 1e-3, "{estimate:?}");
        // Two shares: t(1) = 12.706, residuals ∓1/2 over 2: 12.706·√(1/2·2/16) = 3.1766.
        let estimate = ratio(&[shares[0], shares[1]], 10.0).unwrap();
        assert!((estimate.high - 0.75 - 3.1766).abs() < 1e-3, "{estimate:?}");
        let estimate = ratio(&shares[..1], 10.0).unwrap();
        assert_eq!((estimate.low, estimate.high), (0.0, 10.0));
        assert_eq!(ratio(&[], 1.0), None);
    }

    #[test]
    fn nothing_in_thirty_two_spells_may_still_be_a_tenth() {
        // 1 - 0.025^(1/32) = 0.1089; 64 groups, two in each 5 s
        let shares: Vec<Share> =
            (0..64).map(|i| Share { at_s: 2.5 * i as f64, ..at(i, 0.0) }).collect();
        let estimate = proportion(&shares).unwrap();
        assert_eq!((estimate.mean, estimate.low), (0.0, 0.0));
        assert!((estimate.high - 0.1089).abs() < 1e-3, "{estimate:?}");
    }

    #[test]
    fn shares_at_an_end_leave_room_for_what_was_not_seen() {
        // 512 bits each 5 s, twenty times: 1 - 0.025^(1/20) = 0.16843.
        let bits = |part: f64| -> Vec<Share> {
            (0..20).map(|i| Share { whole: 512.0, ..at(i, part) }).collect()
        };
        let none = ratio(&bits(0.0), 1.0).unwrap();
        assert_eq!((none.mean, none.low), (0.0, 0.0));
        assert!((none.high - 0.16843).abs() < 1e-5, "{none:?}");
        let all = ratio(&bits(512.0), 1.0).unwrap();
        assert_eq!((all.mean, all.high), (1.0, 1.0));
        assert!((all.low - (1.0 - 0.16843)).abs() < 1e-5, "{all:?}");
        // One error among all the bits is measured by its block, as before.
        let mut one = bits(0.0);
        one[3].part = 1.0;
        assert_eq!(ratio(&one, 1.0), ratio_of_blocks(&one, 1.0));
        // Bits a second have no largest value.
        let rate = ratio(&bits(0.0), f64::INFINITY).unwrap();
        assert_eq!((rate.low, rate.high), (0.0, 0.0));
    }

    #[test]
    fn intervals_of_correlated_rates_hold_the_truth() {
        // A rate that lasts 8 s: 85 s a run, two runs.
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let trials = 2000;
        let mut held = 0;
        for _ in 0..trials {
            let mut shares = Vec::new();
            for run in 0..2 {
                let mut rate = 0.0;
                let shift: f64 = rng.random_range(0.0..8.0);
                let mut last = u64::MAX;
                for i in 0..68 {
                    let at_s = 1.25 * f64::from(i);
                    let now = ((at_s + shift) / 8.0) as u64;
                    if now != last {
                        rate = 0.05 + 0.05 * rng.random::<f64>();
                        last = now;
                    }
                    let errors = (0..512).filter(|_| rng.random_bool(rate)).count();
                    shares.push(Share { run, at_s, part: errors as f64, whole: 512.0 });
                }
            }
            held += usize::from(ratio(&shares, 1.0).unwrap().contains(0.075));
        }
        assert!(held as f64 >= 0.95 * trials as f64, "{held} of {trials}");
    }
}
