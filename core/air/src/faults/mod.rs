//! Faults of one radio, by the air time at which they happen: what a device, a host or a jammer does to its samples.
//!
//! A [`Fault`] is written `KIND=STRENGTH@FROM..TO`, times in seconds of air: `drop=1000@2.0..2.5`. What it does to
//! samples is a function of their air times only, like everything on this air:
//!
//! ```
//! use crqkd_air::faults::{Fault, FaultKind};
//! let fault: Fault = "gain=6@1.5..2".parse()?;
//! assert_eq!((fault.kind, fault.from, fault.to), (FaultKind::Gain(6.0), 30_000_000, 40_000_000));
//! assert!("gain=6@2..1".parse::<Fault>().is_err());
//! # Ok::<(), String>(())
//! ```
//!
//! | module | faults that |
//! |---|---|
//! | `kind` | their names, strengths and times |
//! | `distort` | change the values of samples |
//! | `stream` | lose, repeat or delay them, and bursts |

mod distort;
mod kind;
mod stream;

pub use kind::{Fault, FaultKind};
pub use stream::{Faults, Piece, RESYNC, Sending};
