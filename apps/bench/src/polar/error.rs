//! Errors of the polar benchmarks.

use crqkd_polar::PolarError;

/// A case that cannot be run, or a result that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// No code, decoder or channel has these parameters.
    #[error(transparent)]
    Polar(#[from] PolarError),
    /// A file could not be written.
    #[error("writing {path}")]
    Write {
        /// Path of the file.
        path: String,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A curve has no points, or error rates outside 0 to ½ (ends excluded) or in the wrong order.
    #[error("no error rates from {from} to {to} in {points} points")]
    Range {
        /// First error rate that was asked for.
        from: f64,
        /// Last error rate that was asked for.
        to: f64,
        /// Number of points that were asked for.
        points: usize,
    },
}
