//! [`LengthRule`]: how long a key may be, as a pure function of what was counted: the run and an audit call the same.

use serde::{Deserialize, Serialize};

use super::config::{DecoyConfig, Reconciliation};
use super::counts::DecoyCounts;
use super::length::{DecoyBlock, INTENSITIES};
use crate::config::ConfigError;

/// The statement that a length follows from.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum LengthMethod {
    /// For lengths that follow from what was observed, see [`DecoyBlock::variable_bits`].
    #[default]
    Variable,
    /// Lim et al. 2014, see [`DecoyBlock::secret_bits`]: a statement for lengths that were fixed beforehand.
    Lim2014,
}

/// What Cascade's questions cost.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum CascadeCharge {
    /// Alice's parities. Where Bob's errors were counts as public, so empty pulses give no key.
    #[default]
    OneWay,
    /// Alice's parities and Bob's, of which his questions are a function.
    BothWays,
}

/// Method and parameters of a length. Both ends of a link and whoever audits it have the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LengthRule {
    /// Which security statement the length follows from.
    pub length: LengthMethod,
    /// How Bob's errors were corrected: by Cascade or by a one-way code.
    pub reconciliation: Reconciliation,
    /// Which parities count as said when Cascade was used: Alice's only, or both ends'.
    pub charge: CascadeCharge,
    /// Mean photon numbers of signal, decoy and vacuum pulses.
    pub mean_photons: [f64; INTENSITIES],
    /// Probability that Alice sends each intensity, in the same order.
    pub intensity_shares: [f64; INTENSITIES],
    /// Probability of the key basis at either end.
    pub key_basis_share: f64,
    /// Secrecy parameter eps_sec of a block: bound on the distance of its key from an ideal one.
    pub eps_sec: f64,
    /// Correctness parameter eps_cor of a block: bound on the probability of unequal keys.
    pub eps_cor: f64,
}

/// Bits said about a key, by cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leak {
    /// Parities and syndromes that Alice told.
    pub parities: u64,
    /// Parities of Bob's that his questions told.
    pub questions: u64,
    /// Numbers that depend on the key bits: of the errors, of the parities.
    pub numbers: u64,
    /// The verification tag, and whether it was the same.
    pub verification: u64,
}

impl Leak {
    /// Bits said about the key in all, the sum over the causes; saturates instead of overflowing.
    pub fn total(&self) -> u64 {
        [self.questions, self.numbers, self.verification]
            .into_iter()
            .fold(self.parities, u64::saturating_add)
    }
}

impl LengthRule {
    /// The rule of a link.
    pub fn new(config: &DecoyConfig) -> Self {
        Self {
            length: config.length,
            reconciliation: config.reconciliation,
            charge: config.charge,
            mean_photons: config.mean_photons,
            intensity_shares: config.intensity_shares,
            key_basis_share: config.key_basis_share,
            eps_sec: config.eps_sec,
            eps_cor: config.eps_cor,
        }
    }

    /// Checks every range, for a rule that was read from a file.
    ///
    /// # Errors
    /// The first parameter found out of its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        DecoyConfig {
            mean_photons: self.mean_photons,
            intensity_shares: self.intensity_shares,
            key_basis_share: self.key_basis_share,
            eps_sec: self.eps_sec,
            eps_cor: self.eps_cor,
            ..DecoyConfig::default()
        }
        .validate()
    }

    /// Whether the pattern of Bob's errors counts as public.
    ///
    /// A single photon's phase error is independent of it, so it costs nothing there. An empty pulse has no bit at Bob that
    /// Eve may not know, and with the pattern she knows Alice's: such bits are then not counted.
    pub fn error_pattern_is_public(&self) -> bool {
        self.reconciliation == Reconciliation::Cascade && self.charge == CascadeCharge::OneWay
    }

    /// What was said about the key bits.
    pub fn leak(&self, counts: &DecoyCounts) -> Leak {
        let both =
            self.reconciliation == Reconciliation::Cascade && !self.error_pattern_is_public();
        // A number from 0 to n: the number of errors, or of parities asked. Of a public pattern both are functions.
        let number = u64::from(u64::BITS - counts.sifted().leading_zeros());
        Leak {
            parities: counts.disclosed,
            questions: if both { counts.disclosed } else { 0 },
            numbers: if self.error_pattern_is_public() { 0 } else { number },
            verification: if counts.tag_bits == 0 { 0 } else { counts.tag_bits + 1 },
        }
    }

    /// The length that the counts allow, 0 for none.
    pub fn length(&self, counts: &DecoyCounts) -> u64 {
        self.bits(counts, &self.leak(counts))
    }

    /// The same for another leak.
    pub fn bits(&self, counts: &DecoyCounts, leak: &Leak) -> u64 {
        let block = self.block(counts);
        let vacuum = !self.error_pattern_is_public();
        match self.length {
            LengthMethod::Variable => {
                block.variable_bits(self.key_basis_share, leak.total() as f64, vacuum)
            }
            // The formula pays for log2(2/eps_cor) bits of the verification itself.
            LengthMethod::Lim2014 => {
                let paid = (2.0 / self.eps_cor).log2().min(leak.verification as f64);
                block.lim2014_bits(leak.total() as f64 - paid, vacuum)
            }
        }
    }

    /// The block that lengths and bounds are computed for.
    pub fn block(&self, counts: &DecoyCounts) -> DecoyBlock {
        let real = |counts: &[u64; INTENSITIES]| counts.map(|c| c as f64);
        DecoyBlock {
            mean_photons: self.mean_photons,
            probabilities: self.intensity_shares,
            key_bits: real(&counts.key_bits),
            test_bits: real(&counts.test_bits),
            test_errors: real(&counts.test_errors),
            eps_sec: self.eps_sec,
            eps_cor: self.eps_cor,
        }
    }
}
