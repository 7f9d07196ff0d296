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

use crqkd_bits::{BitString, Fingerprint, SecretBits};
use num_complex::Complex32;
use serde::{Deserialize, Serialize};

use crate::config::{ChannelKeyConfig, ConfigError};
use crate::counts::RawCount;
use crate::features::{FeatureError, FeatureMap, LogAmplitude};
use crate::kdr::{FeatureKdr, Interval, KdrCount, clustered_interval95};
use crate::quantizer::{MedianQuantizer, QuantizeError, Quantizer, Thresholds};

/// Features of one end, `[probe][feature]`, all finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurements {
    features: Vec<Vec<f32>>,
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
    pub fn real(probes: usize, count: usize, values: &[f32]) -> Result<Self, KeygenError> {
        Self::from_rows(probes, count, values, FeatureKind::Real, |probe, row| {
            match row.iter().position(|value| !value.is_finite()) {
                Some(index) => {
                    Err(KeygenError::Feature { probe, source: FeatureError::NotFinite { index } })
                }
                None => Ok(row.to_vec()),
            }
        })
    }

    /// Takes complex measurements, `probes` rows of `count` values each; their log-amplitudes are the features.
    pub fn complex(probes: usize, count: usize, values: &[Complex32]) -> Result<Self, KeygenError> {
        let map = LogAmplitude::all(count).map_err(|_| KeygenError::Shape {
            probes,
            count,
            values: values.len(),
        })?;
        Self::from_rows(probes, count, values, FeatureKind::LogAmplitude, |probe, row| {
            map.map(row).map_err(|source| KeygenError::Feature { probe, source })
        })
    }

    fn from_rows<T>(
        probes: usize,
        count: usize,
        values: &[T],
        kind: FeatureKind,
        row: impl Fn(usize, &[T]) -> Result<Vec<f32>, KeygenError>,
    ) -> Result<Self, KeygenError> {
        if probes == 0 || count == 0 || probes.checked_mul(count) != Some(values.len()) {
            return Err(KeygenError::Shape { probes, count, values: values.len() });
        }
        let features = values
            .chunks_exact(count)
            .enumerate()
            .map(|(p, v)| row(p, v))
            .collect::<Result<_, _>>()?;
        Ok(Self { features, count, kind, names: None })
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

/// The disagreement of one end's bits with the QAP's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Disagreement {
    /// Fingerprint of this end's bits.
    pub fingerprint: Fingerprint,
    /// Bits that differ, bits compared, and their rate, over all features.
    pub kdr: KdrCount,
    /// The rate alone.
    pub kdr_rate: f64,
    /// 95 % interval of the rate, from the spread between windows (thresholds over probes) or probes (thresholds over
    /// features); absent when there is only one.
    pub kdr_interval95: Option<Interval>,
    /// The same for each feature, in the order of the columns.
    pub kdr_per_feature: Vec<KdrCount>,
}

/// What [`keygen`] found; holds no key bit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeygenReport {
    /// Probes in the measurements.
    pub probes: usize,
    /// Features of a probe.
    pub features: usize,
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
    /// The eavesdropper's bits.
    pub eve: Option<SecretBits>,
}

/// Quantises the measurements of the QAP, the user and, when there is one, the eavesdropper, window by window, and
/// compares them. Probe `i` of every matrix is the same probe.
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
        if let Some(other) = other {
            if other.shape() != qap.shape() {
                return Err(KeygenError::ShapesDiffer {
                    end,
                    qap: qap.shape(),
                    other: other.shape(),
                });
            }
            if other.kind != qap.kind {
                return Err(KeygenError::KindsDiffer { end, qap: qap.kind, other: other.kind });
            }
        }
    }
    let [probes, features] = qap.shape();
    let thresholds = config.thresholds.unwrap_or(if features > probes {
        Thresholds::OverFeatures
    } else {
        Thresholds::OverProbes
    });
    let window = config.window_probes.min(probes);
    let windows = probes / window;
    let quantizer =
        MedianQuantizer::new(&ChannelKeyConfig { thresholds, ..ChannelKeyConfig::default() })?;
    let bits_of = |end: &'static str, m: &Measurements| -> Result<BitString, KeygenError> {
        let mut bits = BitString::new();
        for (index, probes) in m.features.chunks_exact(window).enumerate() {
            let soft = quantizer.quantize(probes).map_err(|source| KeygenError::Quantize {
                end,
                window: index,
                first_probe: index * window,
                source,
            })?;
            bits.extend_from(soft.bits.expose());
        }
        Ok(bits)
    };
    let qap_bits = bits_of("qap", qap)?;
    let user_bits = SecretBits::from(bits_of("user", user)?);
    let eve_bits = eve.map(|eve| bits_of("eve", eve)).transpose()?.map(SecretBits::from);
    // Bits share a threshold inside a block; blocks stand alone.
    let block = match thresholds {
        Thresholds::OverProbes => window * features,
        Thresholds::OverFeatures => features,
    };
    let qap_bits = SecretBits::from(qap_bits);
    let disagreement = |other: &SecretBits| disagreement(qap_bits.expose(), other, features, block);
    let report = KeygenReport {
        probes,
        features,
        feature: qap.kind,
        feature_names: qap.names.clone(),
        thresholds,
        windows,
        probes_used: windows * window,
        raw_bits: RawCount(qap_bits.len() as u64),
        fingerprint: qap_bits.fingerprint(),
        ones_rate: qap_bits.expose().count_ones() as f64 / qap_bits.len() as f64,
        user: disagreement(&user_bits),
        eve: eve_bits.as_ref().map(disagreement),
    };
    Ok(Keygen { report, qap: qap_bits, user: user_bits, eve: eve_bits })
}

fn disagreement(
    qap: &BitString,
    other: &SecretBits,
    features: usize,
    block: usize,
) -> Disagreement {
    let per_feature = FeatureKdr::compare(qap, other.expose(), features)
        .expect("invariant: both ends quantised the same number of whole probes");
    let mut blocks = vec![KdrCount::default(); qap.len() / block];
    for (index, (a, b)) in qap.iter().zip(other.expose().iter()).enumerate() {
        blocks[index / block] += KdrCount { errors: u64::from(a != b), bits: 1 };
    }
    let kdr = per_feature.all();
    Disagreement {
        fingerprint: other.fingerprint(),
        kdr,
        kdr_rate: kdr.rate().unwrap_or(0.0),
        kdr_interval95: clustered_interval95(&blocks),
        kdr_per_feature: per_feature.features,
    }
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
    /// A value from which no feature can be taken.
    #[error("probe {probe} (counted from 0): {source}")]
    Feature {
        /// Row of the matrix.
        probe: usize,
        /// What is wrong with it, with the column.
        source: FeatureError,
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
    /// A window was refused.
    #[error("{end}, window {window} (from probe {first_probe}): {source}")]
    Quantize {
        /// Whose window.
        end: &'static str,
        /// Its number.
        window: usize,
        /// Row of its first probe.
        first_probe: usize,
        /// Why, with places counted inside the window.
        source: QuantizeError,
    },
    /// A parameter out of its range.
    #[error(transparent)]
    Config(#[from] ConfigError),
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
            values[0].push(x as f32);
            values[1].push((rho * x + (1.0 - rho * rho).sqrt() * z) as f32);
            values[2].push(e as f32);
        }
        values.map(|v| Measurements::real(probes, count, &v).unwrap())
    }

    #[test]
    fn the_disagreement_of_gaussian_features_is_found() {
        let [qap, user, eve] = ends(1300, 8, 0.08);
        let Keygen { report, qap, user, eve } =
            keygen(&qap, &user, Some(&eve), &KeygenConfig::default()).unwrap();
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
            "qap, window 0 (from probe 0): all 4 samples of feature 0 are equal, expected a channel that moves"
        );
        let config = KeygenConfig { window_probes: 1, ..config };
        assert!(matches!(
            keygen(&qap, &user, None, &config),
            Err(KeygenError::WindowProbes { value: 1 })
        ));
    }

    #[test]
    fn values_that_give_no_feature_are_named() {
        assert_eq!(
            Measurements::real(2, 2, &[1.0, 2.0, 3.0, f32::NAN]).unwrap_err().to_string(),
            "probe 1 (counted from 0): the value of carrier 1 is not a finite number"
        );
        let values = [Complex32::new(1.0, 0.0), Complex32::new(0.0, 0.0)];
        assert_eq!(
            Measurements::complex(2, 1, &values).unwrap_err().to_string(),
            "probe 1 (counted from 0): the amplitude of carrier 0 is zero"
        );
        assert!(matches!(Measurements::real(2, 2, &[1.0; 3]), Err(KeygenError::Shape { .. })));
        assert!(matches!(Measurements::real(0, 2, &[]), Err(KeygenError::Shape { .. })));
        assert!(matches!(Measurements::complex(1, 0, &[]), Err(KeygenError::Shape { .. })));
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
