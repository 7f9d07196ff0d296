//! The key disagreement rate (KDR): how many bits of two ends differ.

use crqkd_bits::BitString;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Two-sided 95 % point of the standard normal distribution.
const Z95: f64 = 1.959_963_984_540_054;

/// An interval of a rate, `low <= high`, both in 0..=1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end of the interval, at least 0.
    pub low: f64,
    /// Upper end of the interval, at most 1.
    pub high: f64,
}

/// Bits compared and bits that differ. Serialises with their `rate`, which is null before the first bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct KdrCount {
    /// Number of the compared bits that differ between the two ends.
    pub errors: u64,
    /// Number of bits that were compared.
    pub bits: u64,
}

impl KdrCount {
    /// Compares two strings of equal length.
    pub fn compare(a: &BitString, b: &BitString) -> Result<Self, LengthMismatch> {
        FeatureKdr::compare(a, b, 1).map(|kdr| kdr.all())
    }

    /// Errors over bits; `None` before the first bit.
    pub fn rate(&self) -> Option<f64> {
        (self.bits > 0).then(|| self.errors as f64 / self.bits as f64)
    }

    /// Wilson's 95 % interval of the rate; `None` before the first bit.
    ///
    /// It takes the bits as independent. Bits of neighbouring probes and carriers are not: for a run, cut it into
    /// windows or groups and use [`clustered_interval95`].
    pub fn interval95(&self) -> Option<Interval> {
        let (n, p, zz) = (self.bits as f64, self.rate()?, Z95 * Z95);
        let middle = (p + zz / (2.0 * n)) / (1.0 + zz / n);
        let half = Z95 * (p * (1.0 - p) / n + zz / (4.0 * n * n)).sqrt() / (1.0 + zz / n);
        Some(Interval { low: (middle - half).max(0.0), high: (middle + half).min(1.0) })
    }
}

impl Serialize for KdrCount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut count = serializer.serialize_struct("KdrCount", 3)?;
        count.serialize_field("errors", &self.errors)?;
        count.serialize_field("bits", &self.bits)?;
        count.serialize_field("rate", &self.rate())?;
        count.end()
    }
}

impl std::ops::AddAssign for KdrCount {
    fn add_assign(&mut self, other: Self) {
        self.errors += other.errors;
        self.bits += other.bits;
    }
}

impl std::iter::Sum for KdrCount {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |mut sum, count| {
            sum += count;
            sum
        })
    }
}

/// 95 % interval of the rate over all `counts` when bits inside one count depend on each other (windows, groups) and the
/// counts themselves are taken as independent: the ratio estimator's standard error with Student's t, and no narrower than
/// Wilson's interval of as many independent bits. (Counts that happen to have equal rates, all zero say, have no spread;
/// that does not make the rate known.) `None` with fewer than two counts that hold bits.
///
/// ```text
/// p = Σ eᵢ / Σ nᵢ      s² = m/(m−1) · Σ (eᵢ − p·nᵢ)² / (Σ nᵢ)²      p ± t₀.₉₇₅(m−1)·s
/// ```
pub fn clustered_interval95(counts: &[KdrCount]) -> Option<Interval> {
    let m = counts.iter().filter(|count| count.bits > 0).count() as f64;
    let all: KdrCount = counts.iter().copied().sum();
    let rate = all.rate()?;
    if m < 2.0 {
        return None;
    }
    let residual: f64 =
        counts.iter().map(|c| (c.errors as f64 - rate * c.bits as f64).powi(2)).sum();
    let error = (m / (m - 1.0) * residual).sqrt() / all.bits as f64;
    let half = StudentsT::new(0.0, 1.0, m - 1.0).ok()?.inverse_cdf(0.975) * error;
    let independent = all.interval95()?;
    Some(Interval {
        low: (rate - half).max(0.0).min(independent.low),
        high: (rate + half).min(1.0).max(independent.high),
    })
}

/// The KDR of each feature, for strings whose bits are probe-major.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureKdr {
    /// Bits compared and bits that differ, one entry per feature, in the order of the features.
    pub features: Vec<KdrCount>,
}

impl FeatureKdr {
    /// Starts at nothing counted, for `features` features.
    pub fn new(features: usize) -> Self {
        Self { features: vec![KdrCount::default(); features] }
    }

    /// Compares two strings in which bit `i` belongs to feature `i % features`.
    pub fn compare(a: &BitString, b: &BitString, features: usize) -> Result<Self, LengthMismatch> {
        let mut kdr = Self::new(features);
        kdr.add(a, b)?;
        Ok(kdr)
    }

    /// Adds the comparison of two more strings; both must hold whole probes.
    pub fn add(&mut self, a: &BitString, b: &BitString) -> Result<(), LengthMismatch> {
        let features = self.features.len();
        if a.len() != b.len() || features == 0 || !a.len().is_multiple_of(features) {
            return Err(LengthMismatch { a: a.len(), b: b.len(), features });
        }
        for (index, (x, y)) in a.iter().zip(b.iter()).enumerate() {
            let count = &mut self.features[index % features];
            count.bits += 1;
            count.errors += u64::from(x != y);
        }
        Ok(())
    }

    /// Errors and bits of all features together.
    pub fn all(&self) -> KdrCount {
        self.features.iter().copied().sum()
    }
}

/// Two strings that cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "strings of {a} and {b} bits, expected equal lengths that are multiples of {features} features"
)]
pub struct LengthMismatch {
    /// Length of the first string in bits.
    pub a: usize,
    /// Length of the second string in bits.
    pub b: usize,
    /// Number of features of a probe, of which both lengths must be a multiple.
    pub features: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn bits(text: &str) -> BitString {
        text.chars().map(|c| c == '1').collect()
    }

    #[test]
    fn errors_are_counted_by_feature_and_over_all() {
        let kdr = FeatureKdr::compare(&bits("010101"), &bits("011100"), 3).unwrap();
        let count = |errors, bits| KdrCount { errors, bits };
        assert_eq!(kdr.features, [count(0, 2), count(0, 2), count(2, 2)]);
        assert_eq!(kdr.all(), count(2, 6));
        assert_eq!(kdr.all().rate(), Some(2.0 / 6.0));
        assert_eq!(KdrCount::default().rate(), None);
    }

    #[test]
    fn counts_serialise_with_their_rate_and_are_read_back_without() {
        let count = KdrCount { errors: 1, bits: 4 };
        let text = serde_json::to_string(&count).unwrap();
        assert_eq!(text, r#"{"errors":1,"bits":4,"rate":0.25}"#);
        assert_eq!(serde_json::from_str::<KdrCount>(&text).unwrap(), count);
    }

    #[test]
    fn strings_of_different_or_broken_length_are_refused() {
        let error = FeatureKdr::compare(&bits("0101"), &bits("010"), 1).unwrap_err();
        assert_eq!(error, LengthMismatch { a: 4, b: 3, features: 1 });
        assert!(FeatureKdr::compare(&bits("0101"), &bits("0101"), 3).is_err());
    }

    #[test]
    fn wilson_interval_equals_scipy() {
        // scipy.stats.binomtest(k, n).proportion_ci(0.95, "wilson"), scipy 1.17.1.
        for (errors, n, low, high) in [
            (26, 4464, 0.0039778844, 0.0085206474),
            (0, 100, 0.0, 0.0369934982),
            (481, 1000, 0.4501645631, 0.5119808537),
        ] {
            let interval = KdrCount { errors, bits: n }.interval95().unwrap();
            assert!((interval.low - low).abs() < 1e-9, "{interval:?}");
            assert!((interval.high - high).abs() < 1e-9, "{interval:?}");
        }
    }

    #[test]
    fn clustered_interval_covers_95_percent_of_runs_with_bursty_errors() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let (mut covered, runs) = (0, 2000);
        for _ in 0..runs {
            let counts: Vec<KdrCount> = (0..30)
                .map(|_| {
                    let p = if rng.random::<f64>() < 0.3 { 0.10 } else { 0.02 };
                    let errors = (0..512).filter(|_| rng.random::<f64>() < p).count() as u64;
                    KdrCount { errors, bits: 512 }
                })
                .collect();
            let interval = clustered_interval95(&counts).unwrap();
            covered += usize::from((interval.low..=interval.high).contains(&0.044));
        }
        let share = covered as f64 / runs as f64;
        // Five standard deviations of a binomial share, and one point for the skew of 30 clusters.
        assert!((share - 0.95).abs() < 0.035, "covered {share}");
        assert_eq!(clustered_interval95(&[KdrCount { errors: 1, bits: 5 }]), None);
    }

    #[test]
    fn counts_without_an_error_do_not_make_the_rate_known() {
        // Wilson's upper end of 0 of 256 is 1.48 %; the rule of three gives 1.17 %.
        for (errors, low, high) in [(0, 0.0, 0.0148), (128, 1.0 - 0.0148, 1.0)] {
            let interval = clustered_interval95(&[KdrCount { errors, bits: 128 }; 2]).unwrap();
            assert!((interval.low - low).abs() < 1e-4, "{interval:?}");
            assert!((interval.high - high).abs() < 1e-4, "{interval:?}");
        }
    }

    proptest! {
        #[test]
        fn the_interval_holds_the_rate(errors in 0u64..500, more in 0u64..500) {
            let count = KdrCount { errors, bits: errors + more };
            match (count.rate(), count.interval95()) {
                (Some(rate), Some(interval)) => {
                    prop_assert!(interval.low <= rate + 1e-12 && rate <= interval.high + 1e-12);
                    prop_assert!(interval.low >= 0.0 && interval.high <= 1.0);
                }
                (rate, interval) => prop_assert!(rate.is_none() && interval.is_none() && count.bits == 0),
            }
        }
    }
}
