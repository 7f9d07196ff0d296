//! [`Ledger`]: the record of a released key.

use crqkd_bits::{Fingerprint, SecretBits};
use crqkd_quantum::decoy::{CONFIRMATION_BITS, DecoyCounts};
use serde::{Deserialize, Serialize};

/// Bits of every block's key that go back into the pools: two tags each way.
pub(super) const REFILL_BITS: usize = 256;

/// What is known about a released key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// The block.
    pub block: u64,
    /// Bits for groups, after the refill of the pools.
    pub bits: u64,
    /// First bits of the block's key, which confirmed it and are public.
    pub confirmation_bits: u64,
    /// The bits after these, which went into the pools.
    pub refill_bits: u64,
    /// Of the whole key.
    pub fingerprint: String,
    /// Secrecy.
    pub eps_sec: f64,
    /// Correctness.
    pub eps_cor: f64,
    /// Probability that one of the block's two tags was forged.
    pub eps_auth: f64,
    /// Bits disclosed about the key, tag included.
    pub leak: u64,
    /// Error rate of the key basis.
    pub qber: f64,
    /// Disclosed bits over the Shannon limit.
    pub efficiency: Option<f64>,
    /// Sifted bits that the key was made of.
    pub sifted: u64,
    /// Sifted bits in the other basis, which were compared.
    pub tested: u64,
    /// Questions and answers of reconciliation.
    pub rounds: u64,
}

impl Ledger {
    pub(super) fn new(block: u64, key: &SecretBits, counts: &DecoyCounts, eps: [f64; 3]) -> Self {
        let rest = key.len().saturating_sub(CONFIRMATION_BITS) as u64;
        let refill_bits = rest.min(REFILL_BITS as u64);
        Self {
            block,
            bits: rest - refill_bits,
            confirmation_bits: CONFIRMATION_BITS as u64,
            refill_bits,
            fingerprint: Fingerprint::to_string(&key.fingerprint()),
            eps_sec: eps[0],
            eps_cor: eps[1],
            eps_auth: eps[2],
            leak: counts.disclosed + counts.tag_bits,
            qber: counts.key_qber(),
            efficiency: counts.efficiency(),
            sifted: counts.sifted(),
            tested: counts.test_bits.iter().sum(),
            rounds: counts.rounds,
        }
    }
}
