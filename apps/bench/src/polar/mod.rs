//! Error rates and CPU times of the polar decoders, beside what any code could do.
//!
//! [`PolarBench`] is `crqkd bench polar`: one [`Report`] with every figure, as a table or as JSON. [`Curve::run`] is
//! `crqkd polar fer`: one code and decoder over a range of error rates, as CSV and SVG.
//!
//! Messages are random, K never counts the check, and a wrong message that passes its check counts as a frame error.
//!
//! ```
//! use crqkd_bench::polar::{Case, Decoder, Measure, Stop};
//! use crqkd_polar::{CodeSpec, Construction, Crc, InstructionSet, Noise};
//!
//! let case = Case {
//!     spec: CodeSpec { n: 256, k: 100, crc: Crc::Crc11 },
//!     construction: Construction::BscDensityEvolution { p: 0.08 },
//!     decoder: Decoder::List { paths: 8 },
//!     noise: Noise::Bsc { p: 0.08 },
//!     instructions: InstructionSet::best(),
//! };
//! let measure: Measure = case.run(1, Stop { errors: 20, frames: 2000 })?;
//! assert!(measure.fer < 0.2 && measure.low < measure.fer && measure.fer < measure.high);
//! # Ok::<(), crqkd_bench::polar::BenchError>(())
//! ```

mod case;
mod chase;
mod curve;
mod error;
mod identity;
mod plan;
mod rate;
mod report;

pub use case::{Case, Decoder, Measure, Stop};
pub use chase::{Chase, ChaseMeasure};
pub use curve::{Curve, Point};
pub use error::BenchError;
pub use identity::Identity;
pub use plan::{Effort, PolarBench};
pub use rate::{RateGap, rate_at};
pub use report::{Report, Row};
