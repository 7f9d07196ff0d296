//! From two measurements of one radio channel to two nearly equal bit strings.
//!
//! ```text
//! CSI of the kept probes --FeatureMap--> features [probe][feature] --Quantizer--> SoftBits { bits, llr }
//! ```
//!
//! Each end runs this on its own measurements; nothing is sent. The order of the bits is probe-major and, inside a
//! probe, feature by feature (carrier ascending); a sample above its threshold is bit 1. Every bit comes with its
//! log-likelihood ratio `llr = ln P(0)/P(1)` for the bit that the *other* end holds.
//!
//! ```
//! use crqkd_channel_key::{
//!     ChannelKeyConfig, Complex32, FeatureMap, KdrCount, LogAmplitude, MedianQuantizer, Quantizer,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = ChannelKeyConfig::default();
//! let map = LogAmplitude::new(&config.carriers)?;
//! let quantizer = MedianQuantizer::new(&config)?;
//!
//! // Two ends that measure the same 8 probes; the second a little differently.
//! let csi = |probe: u32, error: f32| -> Vec<Complex32> {
//!     (0..52).map(|c| Complex32::from_polar(1.5 + ((probe * 7 + c) as f32).sin() + error, 0.0)).collect()
//! };
//! let end = |error: f32| -> Result<_, Box<dyn std::error::Error>> {
//!     let features = (0..8).map(|p| map.map(&csi(p, error))).collect::<Result<Vec<_>, _>>()?;
//!     Ok(quantizer.quantize(&features)?)
//! };
//! let (qap, user) = (end(0.0)?, end(0.01)?);
//! assert_eq!(qap.len(), 8 * config.carriers.len());
//! let kdr = KdrCount::compare(qap.bits.expose(), user.bits.expose())?;
//! assert!(kdr.rate().is_some_and(|rate| rate < 0.1));
//! # Ok(())
//! # }
//! ```
//!
//! - [`FeatureMap`]: what is quantised ([`LogAmplitude`], the paper's; [`RealPassthrough`]).
//! - [`Quantizer`]: how ([`MedianQuantizer`], one bit, with [`llr_of_bit`] behind it).
//! - [`Windows`]: measurements by window and direction, until both ends have agreed on those that count.
//! - [`KdrCount`], [`FeatureKdr`]: disagreement, with intervals; [`RawCount`], [`CorrectedCount`]: bits by what has been
//!   done to them.
//! - [`keygen`]: the whole thing on measurements of one's own.

mod config;
mod counts;
mod features;
mod kdr;
pub mod keygen;
mod quantizer;
mod soft;
mod windows;

pub use config::{ChannelKeyConfig, ConfigError};
pub use counts::{CorrectedCount, RawCount};
pub use features::{CARRIERS, FeatureError, FeatureMap, LogAmplitude, RealPassthrough};
pub use kdr::{FeatureKdr, Interval, KdrCount, LengthMismatch, clustered_interval95};
pub use num_complex::Complex32;
pub use quantizer::{MedianQuantizer, QuantizeError, Quantizer, SoftBits, Thresholds};
pub use soft::{llr_of_bit, ln_normal_cdf, rho_from_kdr};
pub use windows::Windows;
