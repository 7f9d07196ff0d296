//! FutureSDR blocks of crqkd, one a file, each a thin shell on a core crate.

pub mod envelope;
pub mod jitter;
pub mod radio;
pub mod time_tag;
pub mod transceiver;

pub use jitter::Jitter;
pub use transceiver::{Capture, Transceiver};
