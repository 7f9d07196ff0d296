//! One-way reconciliation by low-density parity-check codes: Alice sends the syndrome of her bits, Bob finds the errors.
//!
//! Why these and not polar codes: at a length of a million bits a polar code under list decoding stays some 15 to 20 %
//! above the Shannon limit at error rates of 1 and 2 % (Jouguet and Kunz-Jacques 2014; Yan et al. 2018), an irregular
//! low-density code under belief propagation less than 10 %, and its decoder is a stream of additions and minima on
//! bytes, 64 at an instruction.
//!
//! The rate adapts without puncturing: for each block a code is made to measure, with as many rows of checks as the
//! error rate asks for ([`Plan`]), from a few designed degree profiles ([`Profile`]); rows come in steps of 256
//! checks, 0.02 % of a frame. A longer block is cut into equal frames of some 2²¹ bits under one code.
//!
//! ```
//! use crqkd_bits::{BitString, SecretBits};
//! use crqkd_quantum::ldpc::{Plan, correct, syndromes};
//! use rand::{Rng, SeedableRng};
//!
//! let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
//! let alice = BitString::random(&mut rng, 100_000);
//! let bob: BitString = alice.iter().map(|bit| bit ^ (rng.random::<f64>() < 0.02)).collect();
//! let plan = Plan::new(100_000, 0.02, 1.25);
//! let told = syndromes(&alice, &plan)?; // the only message
//! let mut bob = SecretBits::from(bob);
//! let errors = correct(&mut bob, &told, &plan)?.expect("the code has room to spare");
//! assert!(bob.ct_eq(&alice.into()) && errors > 1800);
//! # Ok::<(), crqkd_quantum::ldpc::LdpcError>(())
//! ```

mod code;
mod decoder;
mod kernel;
mod plan;
mod profile;

pub use code::Code;
pub use decoder::{Decoded, Decoder};
pub use plan::{Plan, correct, planned_efficiency, syndromes};
pub use profile::Profile;

/// The most bits of a frame, the word that one code is applied to: 2²².
pub const MAX_FRAME_BITS: usize = 1 << 22;

/// Why there is no code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LdpcError {
    /// A size without a code.
    #[error("no code has {bits} bits and {checks} checks")]
    BadSize {
        /// Number of bits per word that was asked for.
        bits: usize,
        /// Number of checks (syndrome bits) that was asked for.
        checks: usize,
    },
    /// A syndrome of another length.
    #[error("a syndrome of {found} bits, the plan has {expected}")]
    WrongSyndrome {
        /// Number of syndrome bits that the plan has, over all frames.
        expected: usize,
        /// Number of syndrome bits that were given.
        found: usize,
    },
}
