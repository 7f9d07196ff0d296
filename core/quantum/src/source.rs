//! Numbered groups of quantum key: [`KeySource`], [`GroupBuffer`] and [`Bb84Source`].

use std::ops::RangeInclusive;

use crqkd_bits::SecretBits;
use crqkd_keys::{Group, GroupId};
use rand::Rng;

use crate::fibre::InterceptResend;
use crate::{AbortReason, Bb84Report, QuantumConfig, QuantumError, run_block};

/// Lengths that a group may have, in bits.
pub const GROUP_BITS: RangeInclusive<usize> = 1..=65_536;

/// One end of something that delivers the same numbered groups at both ends: a simulated link, key files, a QKD
/// terminal.
pub trait KeySource {
    /// Length L_G of every group of this source in bits.
    fn group_bits(&self) -> usize;

    /// Whole groups that are ready.
    fn available(&self) -> usize;

    /// The next group; numbers ascend, and are the same at both ends. `None` when none is ready now.
    ///
    /// # Errors
    /// When the source itself fails.
    fn next_group(&mut self) -> Result<Option<Group>, SourceError>;
}

/// Why a source delivers nothing.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SourceError {
    /// A group length out of range.
    #[error("groups of {group_bits} bits; a group has 1 to 65536")]
    BadGroupLength {
        /// Length of a group that was asked for, in bits.
        group_bits: usize,
    },
    /// So many blocks in a row gave no key.
    #[error("{blocks} blocks in a row gave no key, the last one: {reason}")]
    NoKey {
        /// Number of blocks in a row that gave no key.
        blocks: u32,
        /// Why the last one failed.
        reason: AbortReason,
    },
    /// The two ends of the link hold different keys. Neither was delivered.
    #[error("the two ends of the quantum link hold different keys")]
    EndsDiffer,
    /// The link could not be run.
    #[error(transparent)]
    Quantum(#[from] QuantumError),
    /// The device, file or service behind the source failed.
    #[error("{0}")]
    Backend(String),
}

/// A stream of secret bits cut into numbered groups: two ends that are fed the same bits cut the same groups.
#[derive(Debug)]
pub struct GroupBuffer {
    group_bits: usize,
    next: u64,
    bits: SecretBits,
}

impl GroupBuffer {
    /// An empty buffer whose first group has the number `first`.
    ///
    /// # Errors
    /// [`SourceError::BadGroupLength`] outside [`GROUP_BITS`].
    pub fn new(group_bits: usize, first: GroupId) -> Result<Self, SourceError> {
        if !GROUP_BITS.contains(&group_bits) {
            return Err(SourceError::BadGroupLength { group_bits });
        }
        Ok(Self { group_bits, next: first.0, bits: SecretBits::new() })
    }

    /// A buffer of the given bits, numbered from 0.
    ///
    /// # Errors
    /// [`SourceError::BadGroupLength`] outside [`GROUP_BITS`].
    pub fn from_bits(bits: SecretBits, group_bits: usize) -> Result<Self, SourceError> {
        let mut buffer = Self::new(group_bits, GroupId(0))?;
        buffer.feed(bits);
        Ok(buffer)
    }

    /// Appends bits, in the same order at both ends. A rest too short for a group waits for more.
    pub fn feed(&mut self, bits: SecretBits) {
        self.bits.append(bits);
    }

    /// Bits that wait, whole groups included.
    pub fn bits_left(&self) -> usize {
        self.bits.len()
    }
}

impl KeySource for GroupBuffer {
    fn group_bits(&self) -> usize {
        self.group_bits
    }

    fn available(&self) -> usize {
        self.bits.len() / self.group_bits
    }

    fn next_group(&mut self) -> Result<Option<Group>, SourceError> {
        if self.available() == 0 {
            return Ok(None);
        }
        let bits = self.bits.take_front(self.group_bits).expect("a whole group is available");
        let id = GroupId(self.next);
        self.next += 1;
        Ok(Some(Group { id, bits }))
    }
}

/// A simulated BB84 link: both ends' buffers, fed block by block.
#[derive(Debug)]
pub struct Bb84Source {
    config: QuantumConfig,
    eve: InterceptResend,
    alice: GroupBuffer,
    bob: GroupBuffer,
    reports: Vec<Bb84Report>,
}

impl Bb84Source {
    /// A link with empty buffers; the eavesdropper is that of `config.intercept_share`.
    ///
    /// # Errors
    /// A configuration or a group length out of range.
    pub fn new(config: QuantumConfig, group_bits: usize) -> Result<Self, SourceError> {
        config.validate().map_err(QuantumError::from)?;
        let alice = GroupBuffer::new(group_bits, GroupId(0))?;
        let bob = GroupBuffer::new(group_bits, GroupId(0))?;
        let eve = InterceptResend::new(config.intercept_share);
        Ok(Self { config, eve, alice, bob, reports: Vec::new() })
    }

    /// Runs one block and feeds both buffers; after an abort they stay as they are. Returns its report.
    ///
    /// # Errors
    /// [`SourceError::EndsDiffer`], or a bug in the protocol.
    pub fn run_block<R: Rng>(&mut self, rng: &mut R) -> Result<&Bb84Report, SourceError> {
        let block = run_block(&self.config, rng, &mut self.eve)?;
        if !block.alice.ct_eq(&block.bob) {
            return Err(SourceError::EndsDiffer);
        }
        self.alice.feed(block.alice);
        self.bob.feed(block.bob);
        let at = self.reports.len();
        self.reports.push(block.report);
        Ok(&self.reports[at])
    }

    /// Runs blocks until both ends hold `groups` groups.
    ///
    /// # Errors
    /// [`SourceError::NoKey`] after `patience` (at least 1) blocks in a row without key, as with an eavesdropper.
    pub fn fill<R: Rng>(
        &mut self,
        groups: usize,
        patience: u32,
        rng: &mut R,
    ) -> Result<(), SourceError> {
        let mut failed = 0;
        while self.alice.available() < groups {
            match self.run_block(rng)?.abort {
                None => failed = 0,
                Some(reason) => {
                    failed += 1;
                    if failed >= patience {
                        return Err(SourceError::NoKey { blocks: failed, reason });
                    }
                }
            }
        }
        Ok(())
    }

    /// The two ends: QAP1's buffer and QAP2's.
    pub fn ends(&mut self) -> (&mut GroupBuffer, &mut GroupBuffer) {
        (&mut self.alice, &mut self.bob)
    }

    /// Splits the link into the two ends' buffers, to be carried to where they are used.
    pub fn into_ends(self) -> (GroupBuffer, GroupBuffer) {
        (self.alice, self.bob)
    }

    /// The reports of all blocks so far.
    pub fn reports(&self) -> &[Bb84Report] {
        &self.reports
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn small() -> QuantumConfig {
        QuantumConfig { pulses_per_block: 300_000, ..Default::default() }
    }

    #[test]
    fn both_ends_cut_the_same_groups_across_blocks() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut source = Bb84Source::new(small(), 384).unwrap();
        source.fill(40, 3, &mut rng).unwrap();
        assert!(source.reports().len() >= 2);
        let (mut alice, mut bob) = source.into_ends();
        for number in 0..40 {
            let (a, b) = (alice.next_group().unwrap().unwrap(), bob.next_group().unwrap().unwrap());
            assert_eq!((a.id, b.id), (GroupId(number), GroupId(number)));
            assert_eq!(a.bits.len(), 384);
            assert!(a.bits.ct_eq(&b.bits));
        }
        assert_eq!(alice.available(), bob.available());
    }

    #[test]
    fn an_eavesdropper_on_everything_leaves_no_group_and_a_reason() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let config = QuantumConfig { intercept_share: 1.0, ..small() };
        let mut source = Bb84Source::new(config, 384).unwrap();
        let error = source.fill(1, 2, &mut rng).unwrap_err();
        assert!(matches!(
            error,
            SourceError::NoKey { blocks: 2, reason: AbortReason::QberAboveThreshold { .. } }
        ));
        let (alice, bob) = source.ends();
        assert_eq!((alice.bits_left(), bob.bits_left()), (0, 0));
    }

    #[test]
    fn a_rest_waits_for_more_bits() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut buffer = GroupBuffer::from_bits(SecretBits::random(&mut rng, 10), 8).unwrap();
        assert!(buffer.next_group().unwrap().is_some());
        assert!(buffer.next_group().unwrap().is_none());
        buffer.feed(SecretBits::random(&mut rng, 6));
        assert_eq!(buffer.next_group().unwrap().unwrap().id, GroupId(1));
        assert_eq!(buffer.bits_left(), 0);
        assert!(matches!(
            GroupBuffer::new(0, GroupId(0)),
            Err(SourceError::BadGroupLength { group_bits: 0 })
        ));
    }
}
