//! The virtual air: one fading world that the QAP, the user and the eavesdropper share.
//!
//! A [`World`] is a pure function of a seed and an [`AirConfig`]: the taps of a link, the oscillators, the
//! interference and every noise sample depend on (seed, radio or link, sample index) and never on the order or
//! the number of calls, so runs are equal whatever the number of threads. Every clone gives the same answers.
//!
//! There are two levels with the same statistics:
//!
//! - IQ: [`World::receive`] convolves the bursts on the air with the taps that hold at their start, turns them by
//!   the oscillators, and adds noise and interference;
//! - CSI: [`World::probe`] gives the channel on selected carriers as an estimator would report it, in well under a
//!   microsecond, for experiments with millions of probes.
//!
//! ```
//! use crqkd_air::{AirConfig, Burst, Radio, World};
//! use num_complex::Complex32;
//!
//! let mut world = World::new(&AirConfig::default(), 7)?;
//! let burst = Burst { start: 1000, tx: Radio::Qap, samples: vec![Complex32::new(1.0, 0.0); 500].into() };
//! let mut samples = Vec::new();
//! world.receive(Radio::User, 900..1700, &[burst], &mut samples);
//! assert_eq!(samples.len(), 800);
//! # Ok::<(), crqkd_air::AirError>(())
//! ```

mod clock;
mod config;
mod csi;
pub mod faults;
mod fir;
mod geometry;
mod interference;
mod math;
pub mod medium;
mod noise;
mod radio;
mod random;
mod receive;
mod simd;
mod world;

pub use clock::Clock;
pub use config::{AirConfig, AirError};
pub use crqkd_ids::SAMPLE_RATE_HZ;
pub use csi::{CARRIERS, CarrierSet, ESTIMATE_GAIN, Probe, carrier_offset};
pub use geometry::TAPS;
pub use radio::Radio;
pub use receive::{Burst, PATH_DELAY, RESPONSE_SAMPLES};
pub use world::World;
