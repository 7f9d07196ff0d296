//! The polar one-time pad: a group of quantum key under channel key that the two ends do not quite agree on.
//!
//! ```text
//! sender:    group || CRC --polar encode--> codeword --xor pad--> ciphertext
//! receiver:  ciphertext, own pad --LLRs of the codeword--> polar decode --> group, or retransmit
//! ```
//!
//! The code corrects where the receiver's pad differs from the sender's, so nothing about the pad is ever sent. A pad is
//! consumed by value: it masks one codeword, once ([`OtpCodec`] shows what the compiler says to a second use).
//!
//! ```
//! use crqkd_bits::SecretBits;
//! use crqkd_keys::{Group, GroupId, Pad};
//! use crqkd_otp::{Opening, OtpCodec, OtpConfig};
//! use rand::{Rng, SeedableRng};
//!
//! let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
//! let mut codec = OtpCodec::new(OtpConfig { n: 256, k: 96, ..OtpConfig::default() })?;
//!
//! // The two ends measured the same channel; 5 % of their bits differ.
//! let at_qap = SecretBits::random(&mut rng, 256);
//! let at_user: crqkd_bits::BitString = at_qap.expose().iter().map(|bit| bit ^ rng.random_bool(0.05)).collect();
//!
//! let group = Group { id: GroupId(16), bits: SecretBits::random(&mut rng, 96) };
//! let ciphertext = codec.encrypt(&group, Pad::uniform(vec![], at_qap, 1.0))?;
//!
//! let pad = Pad::uniform(vec![], at_user.into(), 1.0);
//! match codec.decrypt(group.id, &ciphertext.into(), pad)? {
//!     Opening::Decoded { group: opened, corrected, .. } => {
//!         assert!(opened.bits.ct_eq(&group.bits));
//!         assert!((5..25).contains(&corrected));
//!     }
//!     Opening::Retransmit { .. } => unreachable!("with this seed"),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | content |
//! |---|---|
//! | `config` | [`OtpConfig`], [`Decision`], [`CiphertextMode`] |
//! | `codec` | [`OtpCodec`] |
//! | `attempts` | [`Attempts`], [`Combined`]: Chase combining over retransmissions |
//! | `rate` | [`KdrTracker`], [`RateLadder`]: the code length that a link's KDR asks for |
//! | `ciphertext` | [`Ciphertext`], [`Received`], [`Opening`] |
//! | `llr` | sign flip and box-plus |
//! | `chance` | which decoded groups chance explains |
//! | `error` | [`ConfigError`], [`OtpError`] |

mod attempts;
mod chance;
mod ciphertext;
mod codec;
mod config;
mod error;
mod llr;
mod rate;

pub use attempts::{Attempts, Combined};
pub use ciphertext::{Ciphertext, Opening, Received};
pub use codec::OtpCodec;
pub use config::{CiphertextMode, Decision, OtpConfig};
pub use error::{ConfigError, OtpError};
pub use rate::{KdrTracker, RateLadder};
