//! The quantum side: a plain, complete BB84 between two quantum access points, and the groups cut from its key.
//!
//! | step | module | what it does |
//! |---|---|---|
//! | send | [`fibre`] | random bits in random bases over a lossy, noisy fibre, past an eavesdropper |
//! | sift | `sifting` | keep the clicks with equal bases |
//! | estimate | `estimation` | disclose a random sample, abort above the threshold |
//! | reconcile | [`cascade`] | correct Bob's bits, count every parity and round |
//! | verify | [`verification`] | a universal hash, counted as leak |
//! | amplify | `amplification`, [`finite_key`] | Toeplitz hash to the finite-key length |
//!
//! That is the plain link with single photons. [`decoy`] is the complete one: weak pulses with decoy states, messages
//! as bytes, and tags over the whole transcript.
//!
//! [`Bb84Alice`] and [`Bb84Bob`] are the two ends as state machines that exchange [`ToAlice`] and [`ToBob`];
//! [`run_block`] drives both in one process, [`Bb84Source`] makes numbered groups of their keys.
//!
//! ```
//! use crqkd_quantum::{InterceptResend, QuantumConfig, run_block};
//! use rand::SeedableRng;
//!
//! let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
//! let config = QuantumConfig::default();
//! let quiet = run_block(&config, &mut rng, &mut InterceptResend::new(0.0))?;
//! assert!(quiet.alice.ct_eq(&quiet.bob) && quiet.alice.len() > 12_288);
//!
//! let tapped = run_block(&config, &mut rng, &mut InterceptResend::new(1.0))?;
//! let reason = tapped.report.abort.expect("a quarter of the bits is wrong");
//! println!("{reason}"); // QBER too high: 2989 errors in a sample of 11830 bits
//! # Ok::<(), crqkd_quantum::QuantumError>(())
//! ```

mod alice;
mod amplification;
mod block;
mod bob;
pub mod cascade;
mod config;
pub mod decoy;
mod estimation;
pub mod fibre;
pub mod finite_key;
pub mod ldpc;
mod message;
mod report;
mod sifting;
mod source;
mod status;
pub mod verification;
mod wire;

pub use alice::Bb84Alice;
pub use block::{Block, QuantumError, run_block};
pub use bob::Bb84Bob;
pub use config::{ConfigError, QuantumConfig};
pub use fibre::{Clicks, Eavesdropper, InterceptResend, Pulses, transmit};
pub use message::{ProtocolError, ToAlice, ToBob};
pub use report::{AbortReason, Bb84Report, Counts};
pub use source::{Bb84Source, GROUP_BITS, GroupBuffer, KeySource, SourceError};
pub use status::Status;
pub use wire::WireError;
