//! BB84 with weak pulses and decoy states, a complete link.
//!
//! | module | what it is |
//! |---|---|
//! | `config` | [`DecoyConfig`]: sender, fibre, detectors, Eve, post-processing |
//! | `link` | [`Link`]: the simulated pulses and clicks |
//! | `length` | [`DecoyBlock`]: the finite-key length of Lim et al. 2014; [`Asymptotic`]: the limit that it tends to |
//! | `variable` | the length when it follows from what was observed |
//! | `rule` | [`LengthRule`]: method and parameters, and the length as a function of the counts |
//! | `epsilon` | [`BlockEps`], [`PadOrigins`]: what keys may fail with, alone and all together |
//! | `message` | [`Message`] and its bytes |
//! | `alice`, `bob` | [`DecoyAlice`], [`DecoyBob`]: the two ends of a block as state machines |
//! | `sifting` | [`Detections`], and what both ends keep of them |
//! | `counts` | [`DecoyCounts`]: what both count, and the length that follows |
//! | `account` | [`KeyAccount`], [`KeyFigures`]: facts about a key, and what follows from them |
//! | `session` | [`Session`]: an end with its transcript and its tags: no key without authentication |
//! | `block` | [`run_decoy_block`]: both ends in one process |

mod account;
mod alice;
mod block;
mod bob;
mod config;
mod counts;
mod epsilon;
mod estimates;
mod length;
mod link;
mod message;
mod random;
mod rule;
mod session;
mod sifting;
mod variable;

pub use account::{KeyAccount, KeyFigures};
pub use alice::DecoyAlice;
pub use block::{DecoyRun, run_decoy_block};
pub use bob::DecoyBob;
pub use config::{DecoyConfig, Reconciliation};
pub use counts::DecoyCounts;
pub use epsilon::{BlockEps, EPS_LIFETIME, EpsError, MAX_TRANSCRIPT_BYTES, PadOrigins, TagEps};
pub use length::{Asymptotic, ByIntensity, DecoyBlock, DecoyBounds, INTENSITIES};
pub use link::{Choice, Choices, Click, Link};
pub use message::{MAX_CLICKS, Message};
pub use rule::{CascadeCharge, Leak, LengthMethod, LengthRule};
pub use session::{
    CONFIRMATION_BITS, FINGERPRINT_BITS, PUBLIC_BITS, Session, SessionEnd, SessionError, Step,
    confirmation,
};
pub use sifting::Detections;
pub use variable::TAILS;
