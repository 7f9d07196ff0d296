//! Means of measured values with a confidence interval.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// The mean of values that are taken to be independent, as they come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mean {
    count: usize,
    sum: f64,
    squares: f64,
}

impl Mean {
    /// Adds one value to those that the mean is over.
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        self.squares += value * value;
    }

    /// The mean; NaN without a value.
    pub(crate) fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }

    /// Half the width of the mean's 95 % interval after Student, for values that are about normal; infinite for fewer than two.
    pub(crate) fn half_width(&self) -> f64 {
        let n = self.count as f64;
        let Ok(student) = StudentsT::new(0.0, 1.0, n - 1.0) else { return f64::INFINITY };
        let variance = (self.squares / n - self.mean().powi(2)).max(0.0) / (n - 1.0);
        student.inverse_cdf(0.975) * variance.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R: `t.test(c(1, 2, 3, 6))$conf.int` is -0.4374 to 6.4374.
    #[test]
    fn the_interval_is_students() {
        let mut mean = Mean::default();
        assert!(mean.mean().is_nan());
        for value in [1.0, 2.0, 3.0, 6.0] {
            mean.add(value);
            assert_eq!(mean.half_width().is_infinite(), mean.count == 1);
        }
        assert_eq!(mean.mean(), 3.0);
        assert!((mean.half_width() - 3.437_435).abs() < 1e-5, "{}", mean.half_width());
    }
}
