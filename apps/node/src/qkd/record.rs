//! [`Ledger`]: the record of a key, from which its length and its eps can be computed again.

use crqkd_bits::SecretBits;
use crqkd_quantum::decoy::{
    CONFIRMATION_BITS, FINGERPRINT_BITS, KeyAccount, KeyFigures, PUBLIC_BITS,
};
use serde::{Deserialize, Serialize};

/// Bits of every block's key that go back into the pools: two tags each way.
pub(super) const REFILL_BITS: usize = 256;

/// What is known about a key: how it is divided, and what its length and eps follow from.
///
/// ```text
///   key:  64 confirm it (public) | 32 are its fingerprint (public) | 256 for the pools | the rest for groups
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// The fibre is simulated: the key is known to the simulator and to whoever listens to it.
    pub simulated: bool,
    /// Bits for groups.
    pub bits: u64,
    /// Bits for the pools, half for each.
    pub refill_bits: u64,
    /// Bits that are public: those that confirmed the key, and the fingerprint.
    pub public_bits: u64,
    /// The fingerprint: bits of the key that are used for nothing else.
    pub fingerprint: String,
    /// What length and eps follow from.
    pub account: KeyAccount,
    /// Figures that follow from the counts: error rates, lengths and eps.
    pub figures: KeyFigures,
}

impl Ledger {
    pub(super) fn new(key: &SecretBits, account: KeyAccount, figures: KeyFigures) -> Self {
        let rest = key.len().saturating_sub(PUBLIC_BITS);
        let refill = rest.min(REFILL_BITS);
        Self {
            simulated: true,
            bits: (rest - refill) as u64,
            refill_bits: refill as u64,
            public_bits: PUBLIC_BITS.min(key.len()) as u64,
            fingerprint: fingerprint(key),
            account,
            figures,
        }
    }

    /// The block.
    pub fn block(&self) -> u64 {
        self.account.block
    }

    /// Whether two records say the same. Real numbers may differ in their last digits, as they have been through a text.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        let figures = other.figures.clone();
        Self { figures, ..self.clone() } == *other
            && self.figures.difference(&other.figures).is_none()
    }

    /// Whether a key has the length and the fingerprint that are recorded.
    pub(super) fn fits(&self, key: &SecretBits) -> bool {
        let bits = self.bits + self.refill_bits + self.public_bits;
        key.len() as u64 == bits
            && self.figures.length == bits
            && self.public_bits <= PUBLIC_BITS as u64
            && self.refill_bits <= REFILL_BITS as u64
            && fingerprint(key) == self.fingerprint
    }
}

/// The bits of a key that are shown, as hexadecimal digits.
pub(super) fn fingerprint(key: &SecretBits) -> String {
    let bits = key.expose().iter().skip(CONFIRMATION_BITS).take(FINGERPRINT_BITS);
    let number = bits.fold(0u32, |number, bit| number << 1 | u32::from(bit));
    format!("{number:08x}")
}
