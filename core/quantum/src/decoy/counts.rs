//! What both ends count in a block, and what follows from it.

use crqkd_bits::{BitString, SecretBits, TagHash};
use serde::{Deserialize, Serialize};

use super::config::DecoyConfig;
use super::length::INTENSITIES;
use super::rule::{Leak, LengthRule};
use super::session::PUBLIC_BITS;
use super::sifting::Sifted;
use crate::finite_key::binary_entropy;
use crate::ldpc::{Plan, planned_efficiency};
use crate::message::{ProtocolError, expect_len};
use crate::report::AbortReason;

/// Bits of the verification tag.
pub(super) const TAG_BITS: u32 = 64;

/// The counts that both ends keep for themselves, and that must agree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecoyCounts {
    /// Number of pulses that Alice sent in the block.
    pub pulses: u64,
    /// Number of pulses that clicked at Bob.
    pub clicks: u64,
    /// Sifted bits in the key basis by intensity, n_X.
    pub key_bits: [u64; INTENSITIES],
    /// Sifted bits in the test basis by intensity, n_Z.
    pub test_bits: [u64; INTENSITIES],
    /// Errors among the test bits by intensity, m_Z.
    pub test_errors: [u64; INTENSITIES],
    /// Bits disclosed to correct errors.
    pub disclosed: u64,
    /// Questions and answers of reconciliation; 1 for one way.
    pub rounds: u64,
    /// Errors that Bob corrected in the key basis.
    pub key_errors: u64,
    /// Bits of the verification tag disclosed.
    pub tag_bits: u64,
    /// Length of the final key.
    pub final_length: u64,
}

impl DecoyCounts {
    /// Sifted bits in the key basis.
    pub fn sifted(&self) -> u64 {
        self.key_bits.iter().fold(0, |sum, &bits| sum.saturating_add(bits))
    }

    /// Error rate of the test basis; 0 without bits.
    pub fn test_qber(&self) -> f64 {
        let bits: u64 = self.test_bits.iter().sum();
        let errors: u64 = self.test_errors.iter().sum();
        if bits == 0 { 0.0 } else { errors as f64 / bits as f64 }
    }

    /// Error rate of the key basis, known after reconciliation.
    pub fn key_qber(&self) -> f64 {
        if self.sifted() == 0 { 0.0 } else { self.key_errors as f64 / self.sifted() as f64 }
    }

    /// Everything disclosed about the key bits, tag included, over the Shannon limit of the errors that were there.
    pub fn efficiency(&self) -> Option<f64> {
        let limit = self.sifted() as f64 * binary_entropy(self.key_qber());
        (limit > 0.0).then(|| (self.disclosed + self.tag_bits) as f64 / limit)
    }

    /// The error rate to reconcile for, in units of 2^-32: half an error more than seen in the test basis.
    pub(super) fn expected_rate(&self) -> u32 {
        let bits: u64 = self.test_bits.iter().sum();
        let errors: u64 = self.test_errors.iter().sum();
        ((errors as f64 + 0.5) / (bits as f64 + 1.0) * 2f64.powi(32)) as u32
    }

    /// The code for one-way reconciliation of `bits` bits, and its error rate in units of 2^-32.
    ///
    /// Nothing can be asked for afterwards, so the rate is what it may be at three standard deviations of the
    /// difference between the test basis and the key basis.
    pub(super) fn plan(&self, bits: usize) -> (u32, Plan) {
        let seen = f64::from(self.expected_rate()) / 2f64.powi(32);
        let tested: u64 = self.test_bits.iter().sum();
        let spread = 1.0 / (tested as f64 + 1.0) + 1.0 / (bits as f64 + 1.0);
        let most = seen + 3.0 * (seen * (1.0 - seen) * spread).sqrt();
        let units = (most.min(0.4) * 2f64.powi(32)) as u32;
        let rate = f64::from(units) / 2f64.powi(32);
        // The fluctuations of a million bits are in the planned efficiency as well.
        (units, Plan::new(bits, rate, planned_efficiency(bits, rate)))
    }

    /// Takes over what was sifted, and compares the test bits of both ends.
    ///
    /// # Errors
    /// Not as many bits at the other end.
    pub(super) fn count_test(
        &mut self,
        ours: &Sifted,
        theirs: &BitString,
    ) -> Result<(), ProtocolError> {
        expect_len("test bits", ours.test.len(), theirs.len())?;
        (self.key_bits, self.test_bits) = (ours.key_bits, ours.test_bits);
        for ((a, b), &k) in ours.test.iter().zip(theirs).zip(&ours.intensities) {
            self.test_errors[usize::from(k)] += u64::from(a != b);
        }
        Ok(())
    }

    /// Whether to go on after the test basis was compared.
    pub(super) fn check_test(&self, config: &DecoyConfig) -> Result<(), AbortReason> {
        let (bits, errors) = (self.test_bits.iter().sum(), self.test_errors.iter().sum());
        if self.sifted() == 0 || bits == 0 {
            return Err(AbortReason::TooFewBits { sifted: self.sifted() + bits });
        }
        if self.test_qber() > config.qber_threshold {
            return Err(AbortReason::QberAboveThreshold { errors, sample: bits });
        }
        // Not even with a reconciliation at the Shannon limit: no need to disclose anything.
        // Reconciliation at the Shannon limit is the least that will be said.
        let parities = (self.sifted() as f64 * binary_entropy(self.test_qber())) as u64;
        let least = Leak { parities, ..Leak::default() };
        self.some(LengthRule::new(config).bits(self, &least), &least).map(|_| ())
    }

    /// Whether to go on after the errors were corrected.
    pub(super) fn check_key(&self, config: &DecoyConfig) -> Result<(), AbortReason> {
        if self.key_qber() > config.qber_threshold {
            let (errors, sample) = (self.key_errors, self.sifted());
            return Err(AbortReason::QberAboveThreshold { errors, sample });
        }
        self.secret_length(config).map(|_| ())
    }

    /// The secret length after all that was disclosed.
    pub(super) fn secret_length(&self, config: &DecoyConfig) -> Result<u64, AbortReason> {
        let rule = LengthRule::new(config);
        let leak = rule.leak(self);
        self.some(rule.bits(self, &leak), &leak)
    }

    fn some(&self, length: u64, leak: &Leak) -> Result<u64, AbortReason> {
        if length > PUBLIC_BITS as u64 {
            return Ok(length);
        }
        Err(AbortReason::NoSecretBits {
            key_bits: self.sifted(),
            sample: self.test_bits.iter().sum(),
            errors: self.test_errors.iter().sum(),
            leak: leak.total(),
        })
    }
}

/// The verification tag of a key: two keys that differ have one tag with probability 2^-64 and a little.
pub(super) fn tag(hash_key: [u64; 4], key: &SecretBits) -> Result<u64, ProtocolError> {
    let hash_key = crqkd_bits::BitString::from_words(hash_key.to_vec(), TagHash::KEY_BITS);
    let mut hash = TagHash::new(&hash_key.into())?;
    for word in key.expose().words() {
        hash.update(&word.to_le_bytes());
    }
    hash.update(&(key.len() as u64).to_le_bytes());
    Ok(hash.finish(TAG_BITS))
}
