//! What is known about a block afterwards; nothing in it is secret.

use serde::Serialize;

use crate::QuantumConfig;
use crate::finite_key::{SinglePhoton, binary_entropy};
use crate::verification::collision_bound;

/// Why a block gave no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum AbortReason {
    /// Too few bits survived sifting to hold a sample and a key.
    #[error("only {sifted} bits were sifted")]
    TooFewBits {
        /// Number of bits that were sifted.
        sifted: u64,
    },
    /// The sample shows more errors than the threshold allows: somebody may be listening.
    #[error("QBER too high: {errors} errors in a sample of {sample} bits")]
    QberAboveThreshold {
        /// Number of wrong bits among `sample`.
        errors: u64,
        /// Number of bits that the error rate was taken from.
        sample: u64,
    },
    /// Reconciliation disclosed as many bits as there are.
    #[error("reconciliation disclosed {disclosed} of {key_bits} bits")]
    LeakTooLarge {
        /// Number of bits that would have been disclosed.
        disclosed: u64,
        /// Bits of the sifted key before reconciliation.
        key_bits: u64,
    },
    /// The tag is too short for so many bits at the wanted correctness.
    #[error("a 64-bit tag cannot verify {key_bits} bits to the wanted correctness")]
    TagTooShort {
        /// Number of key bits that the tag would have to verify.
        key_bits: u64,
    },
    /// A one-way code had more errors than it corrects.
    #[error("the code cannot correct this many errors")]
    NotDecoded,
    /// The two ends still differ after reconciliation.
    #[error("verification failed")]
    VerificationFailed,
    /// The other end gave the block up.
    #[error("the other end gave the block up")]
    ByPeer,
    /// The finite-key formula leaves nothing.
    #[error(
        "no secret bits: {key_bits} bits, {sample} sampled with {errors} errors, {leak} leaked"
    )]
    NoSecretBits {
        /// Number of key bits before privacy amplification.
        key_bits: u64,
        /// Number of bits disclosed to estimate the error rate.
        sample: u64,
        /// Number of errors among these.
        errors: u64,
        /// Bits disclosed about the key.
        leak: u64,
    },
}

/// The counts that both ends keep for themselves, and that must agree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Number of pulses that Alice sent in the block.
    pub pulses: u64,
    /// Number of pulses that clicked at Bob.
    pub detected: u64,
    /// Number of clicks for which both ends used the same basis.
    pub sifted: u64,
    /// Sifted bits disclosed to estimate the error rate, k.
    pub sample: u64,
    /// Errors among the sampled bits.
    pub sample_errors: u64,
    /// Number of parity bits of the key that Cascade disclosed.
    pub parities: u64,
    /// Rounds of Cascade: a request and its answer.
    pub rounds: u64,
    /// Bits of verification tags disclosed.
    pub tag_bits: u64,
    /// Length of the final key.
    pub final_length: u64,
}

impl Counts {
    /// Bits that the key is made of, n.
    pub fn key_bits(&self) -> u64 {
        self.sifted.saturating_sub(self.sample)
    }

    /// Everything disclosed about the key bits: parities and tags.
    pub fn leak(&self) -> u64 {
        self.parities + self.tag_bits
    }

    /// Error rate of the sample; 0 without one.
    pub fn qber(&self) -> f64 {
        if self.sample == 0 { 0.0 } else { self.sample_errors as f64 / self.sample as f64 }
    }

    /// The error rate to reconcile for: half an error more than seen, as a sample without errors does not mean none.
    pub(crate) fn expected_rate(&self) -> f64 {
        (self.sample_errors as f64 + 0.5) / (self.sample as f64 + 1.0)
    }

    /// What is left to charge of the leak when the length formula pays for a tag of log2(1/eps_cor) bits itself.
    fn charged_leak(&self, config: &QuantumConfig) -> f64 {
        self.parities as f64 + (self.tag_bits as f64 + config.eps_cor.log2()).max(0.0)
    }

    /// Whether to go on after the sample: the error rate, the tag and the least leak that is possible.
    pub(crate) fn check_sample(&self, config: &QuantumConfig) -> Result<(), AbortReason> {
        if self.qber() > config.qber_threshold {
            let (errors, sample) = (self.sample_errors, self.sample);
            return Err(AbortReason::QberAboveThreshold { errors, sample });
        }
        let key_bits = self.key_bits();
        if collision_bound(key_bits as usize) > config.eps_cor {
            return Err(AbortReason::TagTooShort { key_bits });
        }
        // Not even with a reconciliation at the Shannon limit: no need to disclose anything.
        let least = key_bits as f64 * binary_entropy(self.qber());
        self.check_length(self.bound(config).secret_bits(least)).map(|_| ())
    }

    /// The secret length after all that was disclosed.
    pub(crate) fn secret_length(&self, config: &QuantumConfig) -> Result<u64, AbortReason> {
        self.check_length(self.bound(config).secret_bits(self.charged_leak(config)))
    }

    fn bound(&self, config: &QuantumConfig) -> SinglePhoton {
        SinglePhoton {
            key_bits: self.key_bits(),
            sample_bits: self.sample,
            qber: self.qber(),
            eps_sec: config.eps_sec,
            eps_cor: config.eps_cor,
        }
    }

    fn check_length(&self, length: u64) -> Result<u64, AbortReason> {
        if length > 0 {
            return Ok(length);
        }
        Err(AbortReason::NoSecretBits {
            key_bits: self.key_bits(),
            sample: self.sample,
            errors: self.sample_errors,
            leak: self.leak(),
        })
    }
}

/// One block, as seen by somebody who watched both ends.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bb84Report {
    /// Counts of the block, as Alice's end kept them.
    #[serde(flatten)]
    pub counts: Counts,
    /// Error rate of the sample.
    pub qber: f64,
    /// Errors over all sifted bits. Only a simulation knows this when a block is aborted.
    pub sifted_errors: u64,
    /// Bits that Bob flipped, when reconciliation was finished.
    pub corrected: Option<u64>,
    /// Parities over n·h(corrected/n): 1 is the Shannon limit. Absent without errors.
    pub efficiency: Option<f64>,
    /// Bits disclosed about the key: parities and tag.
    pub leak: u64,
    /// Messages over the classical channel, both ways.
    pub messages: u64,
    /// Why there is no key.
    pub abort: Option<AbortReason>,
}

impl Bb84Report {
    pub(crate) fn new(
        counts: Counts,
        abort: Option<AbortReason>,
        corrected: Option<u64>,
        sifted_errors: u64,
        messages: u64,
    ) -> Self {
        let limit = |errors: u64| {
            let n = counts.key_bits() as f64;
            n * binary_entropy(errors as f64 / n)
        };
        Self {
            counts,
            qber: counts.qber(),
            sifted_errors,
            corrected,
            efficiency: corrected.filter(|&e| e > 0).map(|e| counts.parities as f64 / limit(e)),
            leak: counts.leak(),
            messages,
            abort,
        }
    }

    /// Length of the final key, 0 after an abort.
    pub fn final_length(&self) -> u64 {
        self.counts.final_length
    }
}
