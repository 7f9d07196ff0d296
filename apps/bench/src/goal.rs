//! Measured figures that are held against a limit.

use std::fmt;

use serde::Serialize;

/// A figure that is to be at most so much.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Goal {
    /// Name of the figure, for people.
    pub what: &'static str,
    /// The largest value that it may have.
    pub at_most: f64,
    /// The value that was measured.
    pub seen: f64,
    /// Of an estimate: the lower end of its 95 % interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Whether the figure keeps to the limit.
    pub met: bool,
}

impl Goal {
    /// Compares a figure with its limit; NaN misses it.
    pub fn new(what: &'static str, at_most: f64, seen: f64) -> Self {
        Self { what, at_most, seen, low: None, met: seen <= at_most }
    }

    /// Compares an estimate with its limit: it misses it when its whole 95 % interval, which begins at `low`, lies beyond. So a
    /// short run misses only what it shows to be wrong, and a long one is strict.
    pub fn estimated(what: &'static str, at_most: f64, seen: f64, low: f64) -> Self {
        Self { what, at_most, seen, low: Some(low), met: seen <= at_most || low <= at_most }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.met {
            true if self.seen <= self.at_most => "met",
            true => "met within its interval",
            false => "MISSED",
        };
        write!(f, "{} {:.3e} <= {:.3e}: {verdict}", self.what, self.seen, self.at_most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_met_at_most() {
        assert!(Goal::new("x", 1.0, 1.0).met);
        assert!(!Goal::new("x", 1.0, 1.01).met);
        assert!(!Goal::new("x", 1.0, f64::NAN).met);
        let estimate = |low| Goal::estimated("f", 1.05, 1.06, low).to_string();
        assert_eq!(estimate(1.04), "f 1.060e0 <= 1.050e0: met within its interval");
        assert_eq!(estimate(1.051), "f 1.060e0 <= 1.050e0: MISSED");
        assert!(!Goal::estimated("f", 1.05, 1.06, f64::NAN).met);
        assert_eq!(Goal::new("FER", 0.03, 0.027).to_string(), "FER 2.700e-2 <= 3.000e-2: met");
    }
}
