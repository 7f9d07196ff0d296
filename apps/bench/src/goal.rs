//! Figures with a limit.

use std::fmt;

use serde::Serialize;

/// A figure that is to be at most so much.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Goal {
    /// Which figure.
    pub what: &'static str,
    /// The largest value that it may have.
    pub at_most: f64,
    /// The value that was measured.
    pub seen: f64,
    /// Whether the limit holds.
    pub met: bool,
}

impl Goal {
    /// Compares a figure with its limit; NaN misses it.
    pub fn new(what: &'static str, at_most: f64, seen: f64) -> Self {
        Self { what, at_most, seen, met: seen <= at_most }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.met { "met" } else { "MISSED" };
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
        assert_eq!(Goal::new("FER", 0.03, 0.027).to_string(), "FER 2.700e-2 <= 3.000e-2: met");
    }
}
