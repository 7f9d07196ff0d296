//! Key bits from paired measurements of one's own: matrices in, bits and disagreement out.
//!
//! ```
//! use crqkd_channel_key::Complex32;
//! use crqkd_channel_key::keygen::{KeygenConfig, Measurements, keygen};
//!
//! # fn main() -> Result<(), crqkd_channel_key::keygen::KeygenError> {
//! // Two probes of four tones each, measured by both ends at different gains.
//! let tones = [1.0, 4.0, 2.0, 3.0, 5.0, 1.0, 2.0, 3.0].map(|a| Complex32::new(a, 0.0));
//! let qap = Measurements::complex(2, 4, &tones)?;
//! let user = Measurements::complex(2, 4, &tones.map(|h| h * Complex32::new(0.0, 3.0)))?;
//! let key = keygen(&qap, &user, None, &KeygenConfig::default())?;
//! assert_eq!(key.report.raw_bits.0, 8);
//! assert_eq!(key.report.user.kdr.errors, 0);
//! assert_eq!(key.qap.expose().to_string(), "01011001");
//! # Ok(())
//! # }
//! ```

mod bits;
mod evidence;

use crqkd_bits::{BitString, Fingerprint, SecretBits};
use num_complex::Complex32;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::counts::RawCount;
use crate::kdr::{Interval, KdrCount};
use crate::quantizer::Thresholds;
use crate::soft::{llr_of_bit, rho_from_kdr};
use bits::{Sieve, Window};
use evidence::compare;

pub use bits::{LeftOut, Reason};
pub use evidence::Verdict;

/// Features of one end, `[probe][feature]`. A value that was not measured is not a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurements {
    features: Vec<Vec<f64>>,
    count: usize,
    kind: FeatureKind,
    names: Option<Vec<String>>,
}

/// What the features are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeatureKind {
    /// Real measurements, quantised as they are.
    Real,
    /// Log-amplitudes of complex measurements.
    LogAmplitude,
}

impl Measurements {
    /// Takes real measurements, `probes` rows of `count` values each.
    pub fn real(probes: usize, count: usize, values: &[f64]) -> Result<Self, KeygenError> {
        Self::from_rows(probes, count, values, FeatureKind::Real, |&value| value)
    }

    /// Takes complex measurements, `probes` rows of `count` values each; their log-amplitudes are the features. An
    /// amplitude of zero counts as not measured.
    pub fn complex(probes: usize, count: usize, values: &[Complex32]) -> Result<Self, KeygenError> {
        let log = |value: &Complex32| f64::from(value.re).hypot(f64::from(value.im)).ln();
        Self::from_rows(probes, count, values, FeatureKind::LogAmplitude, log)
    }

    fn from_rows<T>(
        probes: usize,
        count: usize,
        values: &[T],
        kind: FeatureKind,
        feature: impl Fn(&T) -> f64,
    ) -> Result<Self, KeygenError> {
        if probes == 0 || count == 0 || probes.checked_mul(count) != Some(values.len()) {
            return Err(KeygenError::Shape { probes, count, values: values.len() });
        }
        let rows = values.chunks_exact(count).map(|row| row.iter().map(&feature).collect());
        Ok(Self { features: rows.collect(), count, kind, names: None })
    }

    /// Names the features for the report; ignored unless there is one name for each.
    pub fn with_names(mut self, names: Vec<String>) -> Self {
        self.names = Some(names).filter(|names| names.len() == self.count);
        self
    }

    /// Number of probes and features of each.
    pub fn shape(&self) -> [usize; 2] {
        [self.features.len(), self.count]
    }
}

/// How measurements become bits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeygenConfig {
    /// Over which samples thresholds are taken; without it over the longer side of the matrix, which gives the
    /// better-known medians (over the probes where both are equal).
    pub thresholds: Option<Thresholds>,
    /// Probes a window, at least 2. Fewer probes than one window make one window; otherwise those that do not fill the
    /// last one are left out.
    pub window_probes: usize,
}

impl Default for KeygenConfig {
    fn default() -> Self {
        Self { thresholds: None, window_probes: 128 }
    }
}

/// The disagreement of one end's bits with the QAP's, and what it is worth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Disagreement {
    /// Fingerprint of this end's bits.
    pub fingerprint: Fingerprint,
    /// Windows in which both ends moved.
    pub windows: usize,
    /// Windows in which one of them did not.
    pub still_windows: usize,
    /// Bits that differ, bits compared, and their rate, over all features.
    pub kdr: KdrCount,
    /// The rate alone.
    pub kdr_rate: f64,
    /// 95 % interval of the rate: the wider one of the spread between windows (thresholds over probes) or probes
    /// (thresholds over features) and of independent bits; absent when there is only one window or probe.
    pub kdr_interval95: Option<Interval>,
    /// The rate that independent bits with these shares of ones would have.
    pub chance: f64,
    /// Share of ones at this end.
    pub ones_rate: f64,
    /// Mutual information of the two ends' bits, in bits a bit, from their joint counts.
    pub information: f64,
    /// The rate with this end's probes shifted by half a record: a static profile is as alike then as before.
    pub kdr_apart: Option<f64>,
    /// What follows from these.
    pub verdict: Verdict,
    /// The same for each feature, in the order of the columns that were used.
    pub kdr_per_feature: Vec<KdrCount>,
}

/// What [`keygen`] found; holds no key bit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeygenReport {
    /// Probes in the measurements.
    pub probes: usize,
    /// Probes left out at all ends because a value is missing at one.
    pub probes_missing: usize,
    /// Features of a probe that were used.
    pub features: usize,
    /// Columns that were left out, with the reason.
    pub left_out: Vec<LeftOut>,
    /// What the features are.
    pub feature: FeatureKind,
    /// Their names, where the measurements have them.
    pub feature_names: Option<Vec<String>>,
    /// Over which samples the thresholds were taken.
    pub thresholds: Thresholds,
    /// Windows quantised.
    pub windows: usize,
    /// Probes in them.
    pub probes_used: usize,
    /// Share of the samples that equal their threshold: such bits are 0 at every end.
    pub tied: f64,
    /// Bits of each end as quantised.
    pub raw_bits: RawCount,
    /// Fingerprint of the QAP's bits.
    pub fingerprint: Fingerprint,
    /// Share of ones in the QAP's bits.
    pub ones_rate: f64,
    /// The user's bits against the QAP's.
    pub user: Disagreement,
    /// The eavesdropper's bits against the QAP's.
    pub eve: Option<Disagreement>,
}

/// The bits of every end beside the report about them.
#[derive(Debug)]
pub struct Keygen {
    /// Shapes, counts and disagreement.
    pub report: KeygenReport,
    /// The QAP's bits.
    pub qap: SecretBits,
    /// The user's bits.
    pub user: SecretBits,
    /// The eavesdropper's bits, of the windows in which she moved.
    pub eve: Option<SecretBits>,
    /// Log-likelihood ratios of the other end's bit, ln P(0)/P(1), of QAP, user and eavesdropper (she: of the QAP's): of jointly
    /// Gaussian features with the ranks and the disagreement that were found. Secret as the bits are.
    pub llrs: Vec<Zeroizing<Vec<f64>>>,
}

/// Quantises the measurements of the QAP, the user and, when there is one, the eavesdropper, window by window, and
/// compares them. Probe `i` of every matrix is the same probe.
///
/// What no key can come from is left out at all ends and counted: probes with a missing value, columns that are constant or
/// count, windows without movement.
///
/// # Errors
/// Measurements that do not fit together, or of which nothing is left.
pub fn keygen(
    qap: &Measurements,
    user: &Measurements,
    eve: Option<&Measurements>,
    config: &KeygenConfig,
) -> Result<Keygen, KeygenError> {
    if config.window_probes < 2 {
        return Err(KeygenError::WindowProbes { value: config.window_probes });
    }
    for (end, other) in [("user", Some(user)), ("eve", eve)] {
        let Some(other) = other else { continue };
        if other.shape() != qap.shape() {
            let (qap, other) = (qap.shape(), other.shape());
            return Err(KeygenError::ShapesDiffer { end, qap, other });
        }
        if other.kind != qap.kind {
            return Err(KeygenError::KindsDiffer { end, qap: qap.kind, other: other.kind });
        }
    }
    let ends: Vec<&Measurements> = [Some(qap), Some(user), eve].into_iter().flatten().collect();
    let sieve = Sieve::new(&ends)?;
    let (probes, features) = (sieve.probes.len(), sieve.columns.len());
    let thresholds = config.thresholds.unwrap_or(if features > probes {
        Thresholds::OverFeatures
    } else {
        Thresholds::OverProbes
    });
    let window = config.window_probes.min(probes);
    let windows = sieve.windows(&ends, window, thresholds);
    // Windows that both ends of a comparison moved in.
    let moving = |who: &[usize]| -> Vec<&[Window]> {
        windows
            .iter()
            .map(Vec::as_slice)
            .filter(|ends| who.iter().all(|&end| ends[end].moves))
            .collect()
    };
    let of_user = moving(&[0, 1]);
    if of_user.is_empty() {
        return Err(KeygenError::Still { windows: windows.len() });
    }
    let joined = |windows: &[&[Window]], end: usize| -> BitString {
        windows.iter().flat_map(|ends| ends[end].bits.iter().copied()).collect()
    };
    let shape = evidence::Shape { features, window, thresholds };
    let disagreement = |windows: &[&[Window]], end: usize, all: usize| {
        let (ours, theirs) = (joined(windows, 0), joined(windows, end));
        let still = all - windows.len();
        (compare(&ours, &theirs, windows.len(), still, &shape), SecretBits::from(theirs))
    };
    let (user_found, user_bits) = disagreement(&of_user, 1, windows.len());
    let of_eve = eve.map(|_| moving(&[0, 1, 2])).filter(|windows| !windows.is_empty());
    let eve_found = of_eve.map(|windows| disagreement(&windows, 2, of_user.len()));
    let qap_bits = SecretBits::from(joined(&of_user, 0));
    let ties: usize = of_user.iter().map(|ends| ends[0].ties + ends[1].ties).sum();
    let report = KeygenReport {
        probes: qap.shape()[0],
        probes_missing: qap.shape()[0] - probes,
        features,
        feature: qap.kind,
        feature_names: qap
            .names
            .as_ref()
            .map(|names| sieve.columns.iter().map(|&column| names[column].clone()).collect()),
        left_out: sieve.left_out,
        thresholds,
        windows: of_user.len(),
        probes_used: of_user.len() * window,
        tied: ties as f64 / (2 * qap_bits.len()) as f64,
        raw_bits: RawCount(qap_bits.len() as u64),
        fingerprint: qap_bits.fingerprint(),
        ones_rate: qap_bits.expose().count_ones() as f64 / qap_bits.len() as f64,
        user: user_found,
        eve: eve_found.as_ref().map(|(found, _)| found.clone()),
    };
    let llrs = |windows: &[&[Window]], end: usize, kdr: f64| {
        let rho = rho_from_kdr(kdr.clamp(0.001, 0.499));
        let scores = windows.iter().flat_map(|ends| ends[end].scores.iter());
        Zeroizing::new(scores.map(|&score| llr_of_bit(score, rho)).collect::<Vec<f64>>())
    };
    let kdr = report.user.kdr_rate;
    let mut all = vec![llrs(&of_user, 0, kdr), llrs(&of_user, 1, kdr)];
    if let Some((found, _)) = &eve_found {
        all.push(llrs(&moving(&[0, 1, 2]), 2, found.kdr_rate));
    }
    let eve = eve_found.map(|(_, bits)| bits);
    Ok(Keygen { report, qap: qap_bits, user: user_bits, eve, llrs: all })
}

/// Why measurements give no bits.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum KeygenError {
    /// The values do not fill the matrix, or there are none.
    #[error("{values} values, expected {probes} probes of {count} features, at least 1 each")]
    Shape {
        /// Rows.
        probes: usize,
        /// Columns.
        count: usize,
        /// Values given.
        values: usize,
    },
    /// The ends did not measure the same probes and features.
    #[error("{end} has {} probes of {} features, expected {} of {} as the qap has", .other[0], .other[1], .qap[0], .qap[1])]
    ShapesDiffer {
        /// The end that differs.
        end: &'static str,
        /// Shape of the QAP's matrix.
        qap: [usize; 2],
        /// Shape of the other.
        other: [usize; 2],
    },
    /// One end is real, the other complex.
    #[error("{end} has {other:?} features, expected {qap:?} as the qap has")]
    KindsDiffer {
        /// The end that differs.
        end: &'static str,
        /// Kind of the QAP's features.
        qap: FeatureKind,
        /// Kind of the other's.
        other: FeatureKind,
    },
    /// The window length.
    #[error("window_probes is {value}, expected at least 2")]
    WindowProbes {
        /// The value found.
        value: usize,
    },
    /// Fewer than two probes are complete at all ends.
    #[error(
        "only {complete} of {probes} probes have all their values at all ends, expected at least 2"
    )]
    Missing {
        /// Complete ones.
        complete: usize,
        /// All.
        probes: usize,
    },
    /// No column has anything of a channel in it.
    #[error("no column is left: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    NoFeature(Vec<LeftOut>),
    /// Nothing moves.
    #[error("none of {windows} windows has movement at both ends, expected a channel that moves")]
    Still {
        /// Windows.
        windows: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::rho_from_kdr;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    /// Matrices of the QAP, of a user of the given KDR and of an Eve who measures something else.
    fn ends(probes: usize, count: usize, kdr: f64) -> [Measurements; 3] {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let rho = rho_from_kdr(kdr);
        let mut values = [vec![], vec![], vec![]];
        for _ in 0..probes * count {
            let [x, z, e]: [f64; 3] = std::array::from_fn(|_| rng.sample(StandardNormal));
            values[0].push(x);
            values[1].push(rho * x + (1.0 - rho * rho).sqrt() * z);
            values[2].push(e);
        }
        values.map(|v| Measurements::real(probes, count, &v).unwrap())
    }

    #[test]
    fn the_disagreement_of_gaussian_features_is_found() {
        let [qap, user, eve] = ends(1300, 8, 0.08);
        let Keygen { report, qap, user, eve, llrs } =
            keygen(&qap, &user, Some(&eve), &KeygenConfig::default()).unwrap();
        // A ratio says 1 where it is negative, and so does the end's own bit, but for those near the threshold.
        for (bits, llrs) in [(&qap, &llrs[0]), (&user, &llrs[1])] {
            assert!(bits.expose().iter().zip(llrs.iter()).all(|(bit, &llr)| bit == (llr < 0.0)));
        }
        assert_eq!((report.windows, report.probes_used), (10, 1280));
        assert_eq!(report.raw_bits, RawCount(10240));
        assert_eq!(
            [qap.expose().len(), user.expose().len(), eve.unwrap().expose().len()],
            [10240; 3]
        );
        assert_eq!(report.ones_rate, 0.5, "medians over even blocks");
        let within = |d: &Disagreement, kdr: f64| {
            // Five standard deviations of a binomial share.
            assert!((d.kdr_rate - kdr).abs() < 5.0 * (kdr * (1.0 - kdr) / 10240.0).sqrt(), "{d:?}");
            assert_eq!(d.kdr_per_feature.iter().map(|c| c.errors).sum::<u64>(), d.kdr.errors);
            assert!(d.kdr_per_feature.iter().all(|c| c.bits == 1280));
            assert!(d.kdr_interval95.is_some_and(|i| i.low < d.kdr_rate && d.kdr_rate < i.high));
        };
        within(&report.user, 0.08);
        assert!(report.user.information > 0.5 && report.user.chance == 0.5);
        within(&report.eve.unwrap(), 0.5);
    }

    #[test]
    fn thresholds_go_over_the_longer_side_unless_told() {
        let [qap, user, _] = ends(20, 30, 0.05);
        let with = |thresholds| {
            let config = KeygenConfig { thresholds, ..Default::default() };
            keygen(&qap, &user, None, &config).unwrap().report
        };
        assert_eq!(with(None).thresholds, Thresholds::OverFeatures);
        assert_eq!(with(None), with(Some(Thresholds::OverFeatures)));
        assert_eq!(with(None).probes_used, 20, "fewer probes than a window make one window");
        let over_probes = with(Some(Thresholds::OverProbes));
        assert_eq!(over_probes.thresholds, Thresholds::OverProbes);
        assert_eq!(over_probes.user.kdr_interval95, None, "one window");
    }

    #[test]
    fn measurements_that_do_not_fit_together_are_refused() {
        let [qap, user, _] = ends(4, 3, 0.1);
        let [other, ..] = ends(5, 3, 0.1);
        let config = KeygenConfig::default();
        assert_eq!(
            keygen(&qap, &user, Some(&other), &config).unwrap_err().to_string(),
            "eve has 5 probes of 3 features, expected 4 of 3 as the qap has"
        );
        let complex = Measurements::complex(4, 3, &[Complex32::new(1.0, 0.0); 12]).unwrap();
        assert_eq!(
            keygen(&qap, &complex, None, &config).unwrap_err().to_string(),
            "user has LogAmplitude features, expected Real as the qap has"
        );
        assert_eq!(
            keygen(&complex, &complex, None, &config).unwrap_err().to_string(),
            "no column is left: column 0 is constant, column 1 is constant, column 2 is constant"
        );
        let config = KeygenConfig { window_probes: 1, ..config };
        assert!(matches!(
            keygen(&qap, &user, None, &config),
            Err(KeygenError::WindowProbes { value: 1 })
        ));
    }

    #[test]
    fn what_no_key_comes_from_is_left_out_at_all_ends_and_counted() {
        let [qap, user, eve] = ends(512, 2, 0.06);
        let clean = keygen(&qap, &user, Some(&eve), &KeygenConfig::default()).unwrap();
        assert_eq!(clean.report.user.verdict, Verdict::Agree);
        assert_eq!(clean.report.eve.as_ref().unwrap().verdict, Verdict::Chance);
        // A column that counts, one that is constant, two probes that are missing, and a window in which Eve's radio stood.
        let widen = |m: &Measurements, missing: Option<usize>, still: bool| {
            let mut values = Vec::new();
            for (probe, row) in m.features.iter().enumerate() {
                let stuck = still && probe < 200;
                values.extend([probe as f64, if stuck { 1.0 } else { row[0] }, -7.0, row[1]]);
                if missing == Some(probe) {
                    *values.last_mut().unwrap() = f64::NAN;
                }
            }
            let names = ["seq", "a", "flag", "b"].map(String::from).to_vec();
            Measurements::real(512, 4, &values).unwrap().with_names(names)
        };
        let [qap, user] =
            [(&qap, Some(300)), (&user, Some(301))].map(|(m, at)| widen(m, at, false));
        let eve = widen(&eve, None, true);
        let report = keygen(&qap, &user, Some(&eve), &KeygenConfig::default()).unwrap().report;
        let left_out: Vec<String> = report.left_out.iter().map(ToString::to_string).collect();
        assert_eq!(left_out, ["column 0 (seq) counts the probes", "column 2 (flag) is constant"]);
        assert_eq!(report.feature_names.unwrap(), ["a", "b"]);
        assert_eq!((report.probes_missing, report.windows, report.features), (2, 3, 2));
        let eve = report.eve.unwrap();
        assert_eq!((eve.windows, eve.still_windows), (2, 1));
        assert!((report.user.kdr_rate - 0.06).abs() < 0.03 && report.user.still_windows == 0);
        let nothing = Measurements::real(2, 2, &[f64::NAN; 4]).unwrap();
        assert!(keygen(&nothing, &nothing, None, &KeygenConfig::default()).is_err());
        assert!(matches!(Measurements::real(2, 2, &[1.0; 3]), Err(KeygenError::Shape { .. })));
        assert!(matches!(Measurements::real(0, 2, &[]), Err(KeygenError::Shape { .. })));
        assert!(matches!(Measurements::complex(1, 0, &[]), Err(KeygenError::Shape { .. })));
    }

    /// Two streams of integers that have nothing in common but their most frequent value.
    #[test]
    fn ties_agree_by_chance_only_and_small_differences_of_large_numbers_count() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut coarse = || -> Vec<f64> {
            (0..512).map(|_| if rng.random_bool(0.15) { -69.0 } else { -70.0 }).collect()
        };
        let [qap, user] = [coarse(), coarse()].map(|v| Measurements::real(512, 1, &v).unwrap());
        let report = keygen(&qap, &user, None, &KeygenConfig::default()).unwrap().report;
        assert!((report.ones_rate - 0.15).abs() < 0.05 && report.tied > 0.8, "{report:?}");
        // A rate of a quarter looks like that of a channel; it is what chance gives.
        let user = &report.user;
        assert_eq!(user.verdict, Verdict::Chance);
        assert!(user.kdr_rate < 0.33 && (user.chance - 0.255).abs() < 0.06, "{report:?}");
        assert!(user.information < 0.02);
        let [qap, user, _] = ends(512, 1, 0.06);
        let far = |m: &Measurements| {
            let values: Vec<f64> = m.features.iter().map(|row| row[0] + 1e7).collect();
            Measurements::real(512, 1, &values).unwrap()
        };
        let config = KeygenConfig::default();
        let near = keygen(&qap, &user, None, &config).unwrap().report.user.kdr;
        assert_eq!(keygen(&far(&qap), &far(&user), None, &config).unwrap().report.user.kdr, near);
    }

    #[test]
    fn a_static_profile_an_inverted_end_and_equal_ends_are_told_apart() {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let profile: Vec<f64> = (0..64).map(|_| rng.sample(StandardNormal)).collect();
        let mut noisy = || -> Vec<f64> {
            (0..60)
                .flat_map(|_| profile.clone())
                .map(|x| x + 0.2 * rng.sample::<f64, _>(StandardNormal))
                .collect()
        };
        let [a, b] = [noisy(), noisy()].map(|v| Measurements::real(60, 64, &v).unwrap());
        let report = keygen(&a, &b, None, &KeygenConfig::default()).unwrap().report;
        assert!(report.user.kdr_rate < 0.2 && report.user.kdr_apart.unwrap() < 0.2, "{report:?}");
        assert_eq!(report.user.verdict, Verdict::StaticProfile);
        let [qap, user, _] = ends(512, 1, 0.06);
        let values: Vec<f64> = user.features.iter().map(|row| -row[0]).collect();
        let eve = Measurements::real(512, 1, &values).unwrap();
        let report = keygen(&qap, &user, Some(&eve), &KeygenConfig::default()).unwrap().report;
        let inverted = report.eve.unwrap();
        assert_eq!(inverted.verdict, Verdict::Inverted);
        assert!((inverted.information - report.user.information).abs() < 1e-12);
        // No error in 512 bits is no proof of a rate of nothing.
        let report = keygen(&qap, &qap, None, &KeygenConfig::default()).unwrap().report;
        let interval = report.user.kdr_interval95.unwrap();
        assert!(report.user.kdr_rate == 0.0 && interval.high > 3.0 / 512.0, "{interval:?}");
    }

    #[test]
    fn the_report_serialises_without_bits() {
        let [qap, user, eve] = ends(4, 3, 0.1);
        let report = keygen(&qap, &user, Some(&eve), &KeygenConfig::default()).unwrap().report;
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["feature"], "real");
        assert_eq!(json["thresholds"], "over-probes");
        assert_eq!(json["raw_bits"], 12);
        assert_eq!(json["user"]["kdr"]["bits"], 12);
        assert_eq!(json["eve"]["kdr_per_feature"][2]["bits"], 4);
        let qap = qap.with_names(["a", "b", "c"].map(String::from).to_vec());
        let report = keygen(&qap, &user, None, &KeygenConfig::default()).unwrap().report;
        assert_eq!(report.feature_names.unwrap()[2], "c");
    }
}
