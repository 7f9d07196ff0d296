//! Bits, public and secret, and the universal hashes of the system.
//!
//! | type | what it is |
//! |---|---|
//! | [`BitString`] | packed bits that anyone may see |
//! | [`SecretBits`] | packed bits that are wiped when dropped and never printed, cloned or serialised by accident |
//! | [`BitSieve`] | collects the bits that are to be kept |
//! | [`Fingerprint`] | the most that is ever shown of a secret: 8 hex digits |
//! | [`Toeplitz`] | privacy amplification: n bits to m bits |
//! | [`PolyHash64`] | verification: any length to 64 bits |
//! | [`TagHash`] | authentication: any length to a tag, which goes under a one-time pad |
//!
//! ```
//! use crqkd_bits::{BitString, PolyHash64, SecretBits, Toeplitz};
//! use rand::SeedableRng;
//!
//! let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
//! let raw = SecretBits::random(&mut rng, 1000);
//! let seed = BitString::random(&mut rng, 1000 + 300 - 1); // public
//! let key = Toeplitz::new(seed, 1000, 300)?.hash_secret(&raw)?;
//! assert_eq!(key.len(), 300);
//! assert_eq!(format!("{key:?}"), "SecretBits(300)");
//! println!("key {}, check {:016x}", key.fingerprint(), PolyHash64::new(7).hash(raw.expose()));
//! # Ok::<(), crqkd_bits::BitsError>(())
//! ```

mod bit_string;
mod clmul;
mod error;
mod iter;
mod poly_hash;
mod secret;
mod sieve;
mod tag;
mod toeplitz;

pub use bit_string::BitString;
pub use error::BitsError;
pub use iter::Iter;
pub use poly_hash::PolyHash64;
pub use secret::{Fingerprint, SecretBits};
pub use sieve::BitSieve;
pub use tag::TagHash;
pub use toeplitz::Toeplitz;
