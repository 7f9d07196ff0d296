//! What the keys of a link may fail with: one block, and all blocks together.
//!
//! **Statement.** Let block j fail to be secret and correct with probability at most e_j when the pads of its two tags are
//! perfect. Then all keys of blocks 0 to n together are at a distance of at most `Σ_{j≤n} e_j` from perfect ones: replacing the
//! real keys by perfect ones block after block, from the first on, costs e_j each time, as the pads of block j are start-up
//! bits or part of a key that has been replaced before (composition, e.g. Portmann and Renner, Reviews of Modern Physics
//! 94, 025008 (2022), section III; for the hash key that is kept, Portmann, IEEE Transactions on Information Theory 60,
//! 4383 (2014)). Each block counts once, however many later tags its key feeds.
//!
//! For one key alone the pads' own failures may also be added: e_n and the eps of the keys that the pads came from. Of the two
//! bounds the smaller holds.

use crqkd_bits::TagHash;
use serde::{Deserialize, Serialize};

use super::rule::LengthRule;

/// Most that all keys of a link together may fail with.
///
/// 2⁻²⁸ is one in 2.7·10⁸: with a link a second for eight years, one is expected to fail. Blocks at the default eps_sec
/// reach it after 3.7 million.
pub const EPS_LIFETIME: f64 = 1.0 / (1u64 << 28) as f64;

/// The longest transcript of a block, in bytes, for the forgery bound.
pub const MAX_TRANSCRIPT_BYTES: u64 = 1 << 30;

/// Why a block may not begin: the failure probability left to the link does not suffice.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum EpsError {
    /// All blocks together would fail with more than is allowed in a link's lifetime.
    #[error(
        "block {block} would take the link's failure probability to {sum:.3e}, above {EPS_LIFETIME:.3e} for its \
         lifetime: begin a new link with a new secret"
    )]
    Spent {
        /// Number of the block that was to begin.
        block: u64,
        /// Failure probability of all blocks up to and including that one.
        sum: f64,
    },
}

/// What a block of a link fails with when its pads are perfect.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockEps {
    /// Failure probability of secrecy, eps_sec.
    pub sec: f64,
    /// Failure probability of correctness, eps_cor.
    pub cor: f64,
    /// Forgery of one tag. Each end checks one tag of a block at most, as a tag that does not fit ends it.
    pub forgery: f64,
}

impl BlockEps {
    /// Of a block under this rule, with tags of `tag_bits` bits.
    pub fn new(rule: &LengthRule, tag_bits: u32) -> Self {
        let forgery = TagHash::forgery_bound(MAX_TRANSCRIPT_BYTES, tag_bits);
        Self { sec: rule.eps_sec, cor: rule.eps_cor, forgery }
    }

    /// `e = eps_sec + eps_cor + 2·forgery`.
    pub fn own(&self) -> f64 {
        self.sec + self.cor + 2.0 * self.forgery
    }

    /// All blocks up to this number, whether they gave a key or not: an attack that mostly makes blocks stop is in their
    /// eps as well.
    pub fn sum(&self, block: u64) -> f64 {
        (block as f64 + 1.0) * self.own()
    }

    /// Checks that this block may begin.
    ///
    /// # Errors
    /// [`EpsError::Spent`] when the sum with this block exceeds [`EPS_LIFETIME`].
    pub fn check(&self, block: u64) -> Result<(), EpsError> {
        let sum = self.sum(block);
        // A sum that is not a number is refused as well.
        if sum <= EPS_LIFETIME { Ok(()) } else { Err(EpsError::Spent { block, sum }) }
    }

    /// What the key of this block alone fails with, its tags' pads having come from keys that fail with `pads`.
    pub fn key(&self, block: u64, pads: [f64; 2]) -> f64 {
        (self.own() + pads[0] + pads[1]).min(self.sum(block))
    }
}

/// The pad of a tag, where it came from, and what the tag fails with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagEps {
    /// Index in the pool of the first bit of the pad.
    pub index: u64,
    /// The block whose key the pad is part of; none for the start-up secret.
    pub from_block: Option<u64>,
    /// Forgery, and what that block's key fails with.
    pub eps: f64,
}

/// Where the bits of a pool came from, the same for both directions: start-up bits, then the refill of each released block.
#[derive(Debug, Clone, PartialEq)]
pub struct PadOrigins {
    /// First bit after each stretch, its block, and what its bits fail with.
    stretches: Vec<(u64, Option<u64>, f64)>,
}

impl PadOrigins {
    /// A pool with so many bits of the start-up secret.
    pub fn new(startup_bits: u64) -> Self {
        Self { stretches: vec![(startup_bits, None, 0.0)] }
    }

    /// Appends the refill of a block whose key fails with `eps`.
    pub fn refill(&mut self, bits: u64, block: u64, eps: f64) {
        let end = self.stretches.last().map_or(0, |stretch| stretch.0);
        self.stretches.push((end.saturating_add(bits), Some(block), eps));
    }

    /// A tag with the pad of `bits` bits at `index`: of two stretches that it lies in, the worse counts.
    pub fn tag(&self, index: u64, bits: u32, forgery: f64) -> Option<TagEps> {
        let end = index.checked_add(u64::from(bits))?;
        let first = self.stretches.partition_point(|stretch| stretch.0 <= index);
        let last = self.stretches.partition_point(|stretch| stretch.0 < end);
        let touched = self.stretches.get(first..=last)?;
        let worst = touched.iter().max_by(|a, b| a.2.total_cmp(&b.2))?;
        Some(TagEps { index, from_block: worst.1, eps: forgery + worst.2 })
    }

    /// Bits of the pool so far, used ones included.
    pub fn len(&self) -> u64 {
        self.stretches.last().map_or(0, |stretch| stretch.0)
    }

    /// True for a pool without any bit.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoy::DecoyConfig;

    fn eps() -> BlockEps {
        BlockEps::new(&LengthRule::new(&DecoyConfig::default()), 64)
    }

    #[test]
    fn the_default_link_lasts_for_millions_of_blocks_and_then_refuses() {
        let eps = eps();
        assert!(eps.check(3_700_000).is_ok());
        let last = (EPS_LIFETIME / eps.own()) as u64;
        assert!(eps.check(last - 2).is_ok());
        let error = eps.check(last + 1).unwrap_err();
        assert!(matches!(error, EpsError::Spent { block, .. } if block == last + 1), "{error}");
        assert!(error.to_string().contains("begin a new link"), "{error}");
        assert!(BlockEps { sec: f64::NAN, ..eps }.check(0).is_err());
        assert!(BlockEps { sec: 0.01, ..eps }.check(0).is_err());
    }

    #[test]
    fn a_pad_has_the_eps_of_the_block_that_it_came_from() {
        let mut origins = PadOrigins::new(128);
        origins.refill(128, 4, 1e-15);
        origins.refill(100, 6, 3e-15);
        let tag = |index| origins.tag(index, 64, 1e-19);
        let of = |index| tag(index).map(|t| (t.from_block, t.eps));
        assert_eq!(of(64), Some((None, 1e-19)));
        assert_eq!(of(65), Some((Some(4), 1e-19 + 1e-15)), "its last bit lies in the refill");
        assert_eq!(of(128), Some((Some(4), 1e-19 + 1e-15)));
        assert_eq!(of(192), Some((Some(4), 1e-19 + 1e-15)));
        assert_eq!(of(193), Some((Some(6), 1e-19 + 3e-15)));
        assert_eq!(of(292), Some((Some(6), 1e-19 + 3e-15)));
        assert_eq!(of(293), None, "the pool does not reach so far");
        assert_eq!(of(u64::MAX), None);
        assert_eq!(origins.len(), 356);
    }

    /// As on a link: 252 tags of start-up bits, and each block's key has two tags each way. Adding up the pads' eps grows
    /// faster than counting each block once; the key's bound is the smaller of the two.
    #[test]
    fn the_eps_of_keys_grows_with_their_pads_and_never_beyond_the_sum() {
        let eps = eps();
        let mut origins = PadOrigins::new(252 * 64);
        let (mut alone, mut both) = (Vec::new(), 0);
        for block in 0..200_000u64 {
            let tag = origins.tag(block * 64, 64, eps.forgery).unwrap();
            let pad = tag.eps - eps.forgery;
            let key = eps.key(block, [pad, pad]);
            both += u64::from(eps.own() + 2.0 * pad > eps.sum(block));
            assert!(key >= eps.own() && key <= eps.sum(block));
            alone.push(key / eps.own());
            origins.refill(128, block, key);
        }
        assert_eq!(alone[251], 1.0);
        assert!((alone[252] - 3.0).abs() < 1e-6, "{}", alone[252]);
        assert!(alone[199_999] > 500.0 && both < 200_000, "{}", alone[199_999]);
    }
}
