//! What the quantum link between the access points did, block by block.

use crate::ReportError;
use serde::{Deserialize, Serialize};

/// The quantum link of a run. Counts only: nothing in it is secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuantumData {
    /// Name of the protocol, "BB84" for instance.
    pub protocol: String,
    /// Length of the fibre in km.
    pub distance_km: f64,
    /// A block whose sample has a higher error rate gives no key, 0..1.
    pub qber_threshold: f64,
    /// Share of the pulses that an eavesdropper on the fibre measured and sent again, 0..1.
    pub intercept_share: f64,
    /// The blocks in the order in which they were made.
    pub blocks: Vec<QuantumBlock>,
}

/// One block of pulses and the key made of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuantumBlock {
    /// Number of pulses that were sent.
    pub pulses: u64,
    /// Number of pulses for which a detector clicked.
    pub detected: u64,
    /// Number of clicks for which both ends used the same basis.
    pub sifted: u64,
    /// Sifted bits disclosed to estimate the error rate.
    pub sample: u64,
    /// Errors among the sampled bits.
    pub sample_errors: u64,
    /// Bits disclosed about the key: parities and tags.
    pub disclosed: u64,
    /// Length of the final key; 0 when the block gave none.
    pub key_bits: u64,
    /// Why the block gave no key.
    pub abort: Option<String>,
}

impl QuantumBlock {
    /// Error rate of the sample; `None` without one.
    pub fn qber(&self) -> Option<f64> {
        (self.sample > 0).then(|| self.sample_errors as f64 / self.sample as f64)
    }
}

impl QuantumData {
    /// The counts of all blocks together.
    pub(crate) fn total(&self) -> QuantumBlock {
        self.blocks.iter().fold(QuantumBlock::default(), |sum, block| QuantumBlock {
            pulses: sum.pulses.saturating_add(block.pulses),
            detected: sum.detected.saturating_add(block.detected),
            sifted: sum.sifted.saturating_add(block.sifted),
            sample: sum.sample.saturating_add(block.sample),
            sample_errors: sum.sample_errors.saturating_add(block.sample_errors),
            disclosed: sum.disclosed.saturating_add(block.disclosed),
            key_bits: sum.key_bits.saturating_add(block.key_bits),
            abort: None,
        })
    }

    /// Whether each count is one of the things counted before it, and the shares lie within 0..=1.
    pub(crate) fn validate(&self) -> Result<(), ReportError> {
        let fail = |place: String, expected: &str, found: String| {
            Err(ReportError::Inconsistent { place, expected: expected.into(), found })
        };
        if !(self.distance_km.is_finite() && self.distance_km >= 0.0) {
            let found = self.distance_km.to_string();
            return fail("quantum, distance_km".into(), "a length of 0 km or more", found);
        }
        for (name, share) in
            [("qber_threshold", self.qber_threshold), ("intercept_share", self.intercept_share)]
        {
            if !(0.0..=1.0).contains(&share) {
                return fail(format!("quantum, {name}"), "a share in 0..=1", share.to_string());
            }
        }
        for (i, block) in self.blocks.iter().enumerate() {
            let falling = [block.pulses, block.detected, block.sifted, block.sample];
            let fits = falling.is_sorted_by(|a, b| a >= b)
                && block.sample_errors <= block.sample
                && block.key_bits <= block.sifted;
            if !fits {
                let found = format!(
                    "{falling:?}, {} errors, {} key bits",
                    block.sample_errors, block.key_bits
                );
                return fail(
                    format!("quantum, block {i}"),
                    "pulses >= detected >= sifted >= sample >= errors, and sifted >= key bits",
                    found,
                );
            }
        }
        Ok(())
    }
}
