//! BB84 with weak pulses and decoy states, a complete link.
//!
//! | module | what it is |
//! |---|---|
//! | `config` | [`DecoyConfig`]: sender, fibre, detectors, Eve, post-processing |
//! | `link` | [`Link`]: the simulated pulses and clicks |
//! | `length` | [`DecoyBlock`]: the finite-key length; [`Asymptotic`]: the limit that it tends to |
//! | `message` | [`Message`] and its bytes |
//! | `alice`, `bob` | [`DecoyAlice`], [`DecoyBob`]: the two ends of a block as state machines |
//! | `sifting` | [`Detections`], and what both ends keep of them |
//! | `counts` | [`DecoyCounts`]: what both count, and the length that follows |
//! | `session` | [`Session`]: an end with its transcript and its tags: no key without authentication |
//! | `block` | [`run_decoy_block`]: both ends in one process |

mod alice;
mod block;
mod bob;
mod config;
mod counts;
mod length;
mod link;
mod message;
mod session;
mod sifting;

pub use alice::DecoyAlice;
pub use block::{DecoyRun, run_decoy_block};
pub use bob::DecoyBob;
pub use config::{DecoyConfig, Reconciliation};
pub use counts::DecoyCounts;
pub use length::{Asymptotic, ByIntensity, DecoyBlock, DecoyBounds, INTENSITIES};
pub use link::{Choice, Choices, Click, Link};
pub use message::{MAX_CLICKS, Message};
pub use session::{CONFIRMATION_BITS, Session, SessionEnd, SessionError, Step, confirmation};
pub use sifting::Detections;
