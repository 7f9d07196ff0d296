//! The work behind `crqkd bench`: what is measured, beside what it is to be.
//!
//! | module | command |
//! |---|---|
//! | [`polar`] | `crqkd bench polar` and `crqkd polar fer` |
//! | [`receive`] | `crqkd bench receive` |
//! | [`quantum`] | `crqkd bench quantum` |
//!
//! Times are CPU time of the process, not wall time, so that a busy machine changes them little.

mod goal;
mod mean;
pub mod polar;
pub mod quantum;
pub mod receive;

pub use goal::Goal;
