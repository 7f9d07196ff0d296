//! [`Received`]: a ciphertext as it arrived.

use crqkd_bits::BitString;

/// A ciphertext as it arrived.
#[derive(Debug, Clone, PartialEq)]
pub enum Received {
    /// Exactly, in a protected message.
    Exact(BitString),
    /// Uncoded: ln P(0)/P(1) of each bit.
    Soft(Vec<f32>),
}
