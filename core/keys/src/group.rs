//! [`Group`]: a numbered piece of quantum key.

use crqkd_bits::SecretBits;

use crate::GroupId;

/// A group of quantum key (L_G bits in the paper): its number and its bits.
#[derive(Debug)]
pub struct Group {
    /// Number, equal at both QAPs.
    pub id: GroupId,
    /// The bits of quantum key, secret.
    pub bits: SecretBits,
}
