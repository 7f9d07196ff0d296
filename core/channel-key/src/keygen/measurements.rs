//! What one end measured: a matrix of features in which values may be missing.

use num_complex::Complex64;
use serde::{Deserialize, Serialize};

use super::error::KeygenError;

/// Largest magnitude of a value that is not taken for missing: its square is finite.
const MOST: f64 = 1e150;

/// Features of one end, `[probe][feature]`, in double precision. A value that is not finite is missing, and so is one
/// beyond ±1e150.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurements {
    values: Vec<f64>,
    count: usize,
    kind: FeatureKind,
    names: Option<Vec<String>>,
}

/// What the features are: real values as measured, or log-amplitudes of complex values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeatureKind {
    /// Real measurements, quantised as they are.
    Real,
    /// Log-amplitudes 20·log10|h| in decibels of complex measurements h.
    LogAmplitude,
}

impl FeatureKind {
    /// The kind in words, for error messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Real => "real values",
            Self::LogAmplitude => "log-amplitudes of complex values",
        }
    }
}

impl Measurements {
    /// Takes real measurements, `probes` rows of `count` values each; what is no number of at most 1e150 is a
    /// missing value.
    ///
    /// # Errors
    /// [`KeygenError::Shape`] when the values do not fill the matrix, or there are none.
    pub fn real(probes: usize, count: usize, values: &[f64]) -> Result<Self, KeygenError> {
        Self::new(probes, count, values, FeatureKind::Real, |&x| x)
    }

    /// Takes complex measurements, `probes` rows of `count` values each; their log-amplitudes 20·log10|h| are the
    /// features. What is not finite is missing, and so is zero, which no receiver measures: it stands for a packet that
    /// was lost.
    ///
    /// # Errors
    /// [`KeygenError::Shape`] when the values do not fill the matrix, or there are none.
    pub fn complex(probes: usize, count: usize, values: &[Complex64]) -> Result<Self, KeygenError> {
        Self::new(probes, count, values, FeatureKind::LogAmplitude, |h| 20.0 * h.norm().log10())
    }

    fn new<T>(
        probes: usize,
        count: usize,
        values: &[T],
        kind: FeatureKind,
        feature: impl Fn(&T) -> f64,
    ) -> Result<Self, KeygenError> {
        if probes == 0 || count == 0 || probes.checked_mul(count) != Some(values.len()) {
            return Err(KeygenError::Shape { probes, count, values: values.len() });
        }
        let known = |x: f64| if x.abs() <= MOST { x } else { f64::NAN };
        let values = values.iter().map(|value| known(feature(value))).collect();
        Ok(Self { values, count, kind, names: None })
    }

    /// Names the features for the report; ignored unless there is one name for each.
    pub fn with_names(mut self, names: Vec<String>) -> Self {
        self.names = Some(names).filter(|names| names.len() == self.count);
        self
    }

    /// Number of probes and features of each.
    pub fn shape(&self) -> [usize; 2] {
        [self.values.len() / self.count, self.count]
    }

    /// Whether the features are real values as measured or log-amplitudes of complex ones.
    pub fn kind(&self) -> FeatureKind {
        self.kind
    }

    /// Names of the features, where there are any.
    pub fn names(&self) -> Option<&[String]> {
        self.names.as_deref()
    }

    /// One value; the place must be inside [`shape`](Self::shape).
    pub(super) fn value(&self, probe: usize, feature: usize) -> f64 {
        self.values[probe * self.count + feature]
    }

    /// The values of one feature, probe by probe.
    pub(super) fn column(&self, feature: usize) -> impl Iterator<Item = f64> + '_ {
        self.values.iter().skip(feature).step_by(self.count).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_do_not_fill_the_matrix_are_refused() {
        assert!(matches!(Measurements::real(2, 2, &[1.0; 3]), Err(KeygenError::Shape { .. })));
        assert!(matches!(Measurements::real(0, 2, &[]), Err(KeygenError::Shape { .. })));
        assert!(matches!(Measurements::complex(1, 0, &[]), Err(KeygenError::Shape { .. })));
        assert!(Measurements::real(usize::MAX, 2, &[1.0]).is_err());
        let rest = Measurements::real(3, 1, &[1e200, f64::INFINITY, 5.0]).unwrap();
        assert_eq!(rest.column(0).filter(|x| x.is_finite()).collect::<Vec<_>>(), [5.0]);
    }

    #[test]
    fn a_complex_zero_is_a_lost_packet_and_extreme_amplitudes_are_none() {
        let values = [0.0, 1e-300, 1.0, 1e300, f64::NAN].map(|x| Complex64::new(0.0, x));
        let column: Vec<f64> = Measurements::complex(5, 1, &values).unwrap().column(0).collect();
        assert!(!column[0].is_finite() && column[4].is_nan());
        for (found, expected) in column[1..4].iter().zip([-6000.0, 0.0, 6000.0]) {
            assert!((found - expected).abs() < 1e-6, "{found}");
        }
    }
}
