//! Table II of the paper at CSI level: millions of bits without a sample of IQ.
//!
//! ```text
//! World --csi::CsiLink--> features --MedianQuantizer--> bits --run--> RunTally --table--> TableRow
//! ```
//!
//! [`run_csi`] sends probes over one simulated link, quantises what QAP, user and Eve measure, and sends groups through
//! the polar one-time pad. [`TableRow`] makes figures and 95 % intervals of the counts; a run on samples fills the same
//! [`RunTally`]. [`fit`] finds the channel parameters that reproduce given figures.
//!
//! ```
//! use crqkd_experiment::{EveDecodes, Setup, TableRow, run_csi};
//!
//! let run = run_csi(&Setup::default(), 1, 2560, EveDecodes::Every)?;
//! let row = TableRow::new("hall", &[run]);
//! assert_eq!((row.bits, row.groups, row.cracked), (10_240, 10, 0));
//! assert!(row.kdr.is_some_and(|kdr| kdr.mean > 0.01 && kdr.mean < 0.12));
//! # Ok::<(), crqkd_experiment::ExperimentError>(())
//! ```

mod csi;
pub mod fit;
mod interval;
mod run;
mod setup;
mod table;
mod tally;

pub use csi::{CsiLink, FRAME_FLOOR_DB, WindowFeatures};
pub use interval::{Estimate, Share, proportion, ratio};
pub use run::{EveDecodes, run_csi, run_seeds};
pub use setup::{ExperimentError, Probing, Setup};
pub use table::{PAPER, PaperRow, TableRow};
pub use tally::{GroupTally, RunTally, WindowTally};
