//! How far two ends agree, and whether that is more than chance.

use serde::Serialize;

use crate::kdr::{Interval, KdrCount, clustered_interval95};

/// Probes from which on it is told whether agreement is more than chance.
const LEAST_PROBES: usize = 8;
/// Pairings that are not those of the measurement, at most.
const SHIFTS: usize = 64;
/// Standard deviations of the agreement of wrong pairings by which the right one must exceed their mean.
const DEVIATIONS: f64 = 4.0;
/// Share of the agreement that wrong pairings may have before it is called static.
const STATIC_SHARE: f64 = 0.5;

/// Whether two ends agree in more than chance would have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// They agree (or, with a KDR above chance, disagree) where they measured the same probe, and not elsewhere.
    BeyondChance,
    /// Bits of other probes agree as well: the ends share a profile that does not change, which is no secret.
    Static,
    /// No more than two ends would that measure nothing in common.
    Chance,
    /// Of an eavesdropper: no more than chance by comparison with wrong pairings, but the interval of her KDR leaves out
    /// chance. What is no proof of a key is no proof of secrecy either.
    Undecided,
    /// There are too few probes to tell.
    TooFewProbes,
}

/// What the bits of two ends have in common; rates are `None` where nothing was compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// Bits that differ, bits compared, and their rate, over all features.
    pub kdr: KdrCount,
    /// The KDR alone, errors over bits compared, 0..=1.
    pub kdr_rate: Option<f64>,
    /// 95 % interval of the rate, from the spread between windows (thresholds over probes) or probes (thresholds over
    /// features), at least that of independent bits; `None` when there is only one.
    pub kdr_interval95: Option<Interval>,
    /// KDR of two ends with the same shares of ones and nothing in common: p·(1−q) + q·(1−p).
    pub chance_kdr: Option<f64>,
    /// What a bit of one end tells about that of the other, in bit: 0 at chance, 1 when all are equal or all inverted.
    pub mutual_information: Option<f64>,
    /// KDR against the other end's probes in reverse order.
    pub kdr_reversed: Option<f64>,
    /// KDR against the other end's probes half a record later.
    pub kdr_half_apart: Option<f64>,
    /// Whether they agree in more than chance.
    pub verdict: Verdict,
    /// The KDR of each feature that is used, in the order of the columns.
    pub kdr_per_feature: Vec<KdrCount>,
}

impl Agreement {
    /// The same as that of an eavesdropper's bits: she is given the benefit of the doubt.
    pub(super) fn of_eavesdropper(mut self) -> Self {
        if let (Verdict::Chance, Some(interval), Some(chance)) =
            (self.verdict, self.kdr_interval95, self.chance_kdr)
            && !(interval.low..=interval.high).contains(&chance)
        {
            self.verdict = Verdict::Undecided;
        }
        self
    }
}

/// Two bit strings, probe-major, as bytes 0 and 1.
pub(super) struct Pair<'a> {
    pub(super) a: &'a [u8],
    pub(super) b: &'a [u8],
    /// Number of bits per probe: one for each feature that is used.
    pub(super) features: usize,
    /// Number of successive probes that share thresholds; they make one count of the interval.
    pub(super) block: usize,
}

impl Pair<'_> {
    fn probes(&self) -> usize {
        self.a.len() / self.features
    }

    /// Bits that differ when probe `i` is compared with the other end's probe `other(i)`.
    fn errors(&self, other: impl Fn(usize) -> usize) -> u64 {
        let rows = self.a.chunks_exact(self.features).enumerate();
        rows.map(|(probe, a)| {
            let from = other(probe) * self.features;
            let b = &self.b[from..from + self.features];
            a.iter().zip(b).map(|(a, b)| u64::from(a ^ b)).sum::<u64>()
        })
        .sum()
    }

    fn rate(&self, errors: u64) -> Option<f64> {
        KdrCount { errors, bits: self.a.len() as u64 }.rate()
    }

    pub(super) fn agreement(&self) -> Agreement {
        let mut per_feature = vec![KdrCount::default(); self.features];
        let mut blocks = vec![KdrCount::default(); self.probes().div_ceil(self.block)];
        // Bits 0 and 1 of the one end (rows) and of the other.
        let mut joint = [[0u64; 2]; 2];
        for (index, (&a, &b)) in self.a.iter().zip(self.b).enumerate() {
            let bit = KdrCount { errors: u64::from(a != b), bits: 1 };
            per_feature[index % self.features] += bit;
            blocks[index / (self.features * self.block)] += bit;
            joint[usize::from(a)][usize::from(b)] += 1;
        }
        let kdr: KdrCount = per_feature.iter().copied().sum();
        let probes = self.probes();
        let chance = chance_kdr(&joint);
        Agreement {
            kdr,
            kdr_rate: kdr.rate(),
            kdr_interval95: clustered_interval95(&blocks),
            chance_kdr: chance,
            mutual_information: mutual_information(&joint),
            kdr_reversed: self.rate(self.errors(|i| probes - 1 - i)),
            kdr_half_apart: self.rate(self.errors(|i| (i + probes / 2) % probes)),
            verdict: chance.map_or(Verdict::TooFewProbes, |chance| self.verdict(chance)),
            kdr_per_feature: per_feature,
        }
    }

    /// Compares the agreement, as distance of the KDR from chance, with that of the ends' probes paired wrongly: by a
    /// quarter to three quarters of the record apart. What is alike in time within an end keeps its likeness, so that
    /// the spread of the wrong pairings is that of chance.
    fn verdict(&self, chance: f64) -> Verdict {
        let probes = self.probes();
        if probes < LEAST_PROBES {
            return Verdict::TooFewProbes;
        }
        let excess = |errors: u64| chance - errors as f64 / self.a.len() as f64;
        let (first, last) = (probes / 4, 3 * probes / 4);
        let count = (last - first + 1).min(SHIFTS);
        let wrong: Vec<f64> = (0..count)
            .map(|i| first + i * (last - first) / (count - 1).max(1))
            .map(|shift| excess(self.errors(|probe| (probe + shift) % probes)))
            .collect();
        let mean = wrong.iter().sum::<f64>() / count as f64;
        let square: f64 = wrong.iter().map(|x| (x - mean).powi(2)).sum();
        // No less than for independent bits.
        let independent = 0.5 / (self.a.len() as f64).sqrt();
        let deviation = (square / (count - 1).max(1) as f64).sqrt().max(independent);
        let right = excess(self.errors(|probe| probe));
        if (right - mean).abs() > DEVIATIONS * deviation && mean.abs() < STATIC_SHARE * right.abs()
        {
            Verdict::BeyondChance
        } else if right.abs() > DEVIATIONS * independent && mean.abs() > DEVIATIONS * independent {
            Verdict::Static
        } else {
            Verdict::Chance
        }
    }
}

fn chance_kdr(joint: &[[u64; 2]; 2]) -> Option<f64> {
    let bits = joint.iter().flatten().sum::<u64>() as f64;
    let (p, q) =
        ((joint[1][0] + joint[1][1]) as f64 / bits, (joint[0][1] + joint[1][1]) as f64 / bits);
    (bits > 0.0).then_some(p * (1.0 - q) + q * (1.0 - p))
}

/// I = Σ P(a,b)·log₂[P(a,b)/(P(a)·P(b))] of the shares counted.
fn mutual_information(joint: &[[u64; 2]; 2]) -> Option<f64> {
    let bits = joint.iter().flatten().sum::<u64>() as f64;
    let mut sum = 0.0;
    for a in 0..2 {
        for b in 0..2 {
            let both = joint[a][b] as f64;
            let alone = (joint[a][0] + joint[a][1]) as f64 * (joint[0][b] + joint[1][b]) as f64;
            if both > 0.0 {
                sum += both / bits * (both * bits / alone).log2();
            }
        }
    }
    (bits > 0.0).then_some(sum.max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn judge(a: &[u8], b: &[u8], features: usize, block: usize) -> Agreement {
        Pair { a, b, features, block }.agreement()
    }

    fn random(n: usize, ones: f64, rng: &mut ChaCha8Rng) -> Vec<u8> {
        (0..n).map(|_| u8::from(rng.random_bool(ones))).collect()
    }

    fn flipped(bits: &[u8], rate: f64, rng: &mut ChaCha8Rng) -> Vec<u8> {
        bits.iter().map(|bit| bit ^ u8::from(rng.random_bool(rate))).collect()
    }

    #[test]
    fn bits_that_agree_are_told_from_those_that_only_have_few_ones() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let a = random(512, 0.15, &mut rng);
        let few = judge(&a, &random(512, 0.15, &mut rng), 1, 128);
        assert!(few.kdr_rate.unwrap() < 0.35, "looks like a key");
        assert_eq!(few.verdict, Verdict::Chance);
        assert!(few.mutual_information.unwrap() < 0.02);
        assert!((few.chance_kdr.unwrap() - few.kdr_rate.unwrap()).abs() < 0.08);
        let key = judge(&a, &flipped(&a, 0.05, &mut rng), 1, 128);
        assert_eq!(key.verdict, Verdict::BeyondChance);
    }

    #[test]
    fn chance_is_rarely_taken_for_more_and_slow_channels_are_no_exception() {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let mut seen = 0;
        for run in 0..400 {
            // Bits that stay for some probes, as in a slow channel.
            let stay = 1 + run % 8;
            let end = |rng: &mut ChaCha8Rng| -> Vec<u8> {
                random(512 / stay, 0.5, rng).iter().flat_map(|&bit| vec![bit; stay]).collect()
            };
            let (a, b) = (end(&mut rng), end(&mut rng));
            seen += usize::from(judge(&a, &b, 1, 64).verdict == Verdict::BeyondChance);
        }
        assert!(seen <= 4, "{seen} of 400");
    }

    #[test]
    fn inverted_bits_tell_as_much_as_equal_ones() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let a = random(1024, 0.5, &mut rng);
        let b = flipped(&a, 0.06, &mut rng);
        let inverted: Vec<u8> = b.iter().map(|bit| 1 - bit).collect();
        let (same, other) = (judge(&a, &b, 4, 64), judge(&a, &inverted, 4, 64));
        assert_eq!([same.verdict, other.verdict], [Verdict::BeyondChance; 2]);
        let [same, other] = [same, other].map(|found| found.mutual_information.unwrap());
        // 1 − H₂(0.06) = 0.673.
        assert!((same - other).abs() < 1e-12 && (same - 0.673).abs() < 0.1, "{same}");
    }

    #[test]
    fn a_profile_that_does_not_change_is_no_key() {
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        let profile = random(64, 0.5, &mut rng);
        let end = |rng: &mut ChaCha8Rng| -> Vec<u8> {
            (0..60).flat_map(|_| flipped(&profile, 0.03, rng)).collect()
        };
        let (a, b) = (end(&mut rng), end(&mut rng));
        let found = judge(&a, &b, 64, 1);
        assert_eq!(found.verdict, Verdict::Static);
        let (rate, reversed) = (found.kdr_rate.unwrap(), found.kdr_reversed.unwrap());
        assert!((rate - reversed).abs() < 0.02 && rate < 0.08);
    }

    #[test]
    fn what_is_unknown_is_none() {
        let nothing = judge(&[], &[], 1, 4);
        assert_eq!(
            (nothing.kdr_rate, nothing.chance_kdr, nothing.kdr_reversed),
            (None, None, None)
        );
        assert_eq!((nothing.kdr_interval95, nothing.mutual_information), (None, None));
        let one = judge(&[0, 1, 1, 0], &[0, 1, 1, 0], 1, 4);
        assert_eq!((one.kdr_interval95, one.verdict), (None, Verdict::TooFewProbes));
        let equal = judge(&[0, 1, 1, 0], &[0, 1, 1, 0], 1, 2);
        assert!(equal.kdr_interval95.unwrap().high > 0.3, "four bits without an error");
    }
}
