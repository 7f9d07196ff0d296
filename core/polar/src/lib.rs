//! A general polar codec: construction, encoder, successive-cancellation and CRC-aided list decoders.
//!
//! Bits are `u8` values 0 and 1; LLRs are `f32`, ln P(0)/P(1). Lengths are powers of two from [`MIN_N`] to [`MAX_N`] and
//! any number of message bits is possible. Decoders allocate at construction only.
//!
//! ```
//! use crqkd_polar::{AdaptiveDecoder, CodeSpec, Construction, Crc, Outcome, PolarCode};
//!
//! let spec = CodeSpec { n: 256, k: 96, crc: Crc::Crc11 };
//! let code = PolarCode::new(spec, Construction::BscDensityEvolution { p: 0.08 })?;
//! let message: Vec<u8> = (0..96).map(|i| (i % 3 == 0) as u8).collect();
//!
//! let mut received = code.encode(&message);
//! for i in [3, 40, 41, 97, 200, 251] {
//!     received[i] ^= 1;
//! }
//!
//! let llr: Vec<f32> = received.iter().map(|&bit| if bit == 0 { 2.4 } else { -2.4 }).collect();
//! let mut decoder = AdaptiveDecoder::new(&code, 8)?;
//! let mut decoded = vec![0; 96];
//! let outcome = decoder.decode(&llr, &mut decoded);
//! assert!(matches!(outcome, Outcome::Decoded { corrected: 6, .. }));
//! assert_eq!(decoded, message);
//! # Ok::<(), crqkd_polar::PolarError>(())
//! ```
//!
//! Many frames at once go through [`BatchListDecoder`], [`BatchScDecoder`] and [`BatchAdaptiveDecoder`], which take
//! 8-bit LLRs and use the widest registers of the machine. [`bounds`] tells how well any code could do, [`Noise`] makes
//! channels to try codes on.
//!
//! | module | content |
//! |---|---|
//! | `code` | [`CodeSpec`], [`PolarCode`]: information set and encoder |
//! | `construction`, `density`, `nr_sequence` | [`Construction`]: density evolution, β-expansion, the order of 5G |
//! | `matching` | [`MatchedCode`]: puncturing, shortening, repetition to any length |
//! | `crc` | [`Crc`] over bits |
//! | `sc`, `list`, `adaptive`, `kernel` | [`ScDecoder`], [`ListDecoder`], [`AdaptiveDecoder`]: one frame, `f32` |
//! | `batch`, `simd` | the batch decoders and the registers under them |
//! | `bounds`, `channel` | finite-length bounds; [`SoftChannel`] with capacity and dispersion |
//! | `noise` | [`Noise`]: test channels |

mod adaptive;
mod batch;
pub mod bounds;
mod channel;
mod code;
mod construction;
mod crc;
mod density;
mod error;
mod kernel;
mod list;
mod matching;
mod noise;
mod nr_sequence;
mod outcome;
mod sc;
mod simd;

pub use adaptive::AdaptiveDecoder;
pub use batch::{
    BATCH_LIST_SIZES, BatchAdaptiveDecoder, BatchListDecoder, BatchScDecoder, Quantizer,
};
pub use channel::SoftChannel;
pub use code::{CodeSpec, MAX_N, MAX_SC_N, MIN_N, PolarCode};
pub use construction::Construction;
pub use crc::Crc;
pub use error::PolarError;
pub use list::{ListDecoder, MAX_LIST};
pub use matching::{MatchedCode, Matching};
pub use noise::Noise;
pub use outcome::Outcome;
pub use sc::ScDecoder;
pub use simd::InstructionSet;

/// The example of the README is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
