//! What can go wrong.

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
        /// The file.
        path: String,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A curve needs points.
    #[error("no error rates from {from} to {to} in {points} points")]
    Range {
        /// First error rate.
        from: f64,
        /// Last error rate.
        to: f64,
        /// Number of points.
        points: usize,
    },
}
