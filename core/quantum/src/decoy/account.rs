//! [`KeyAccount`]: what length and eps of a key follow from; [`KeyFigures`]: what follows.
//!
//! Nothing else enters: whoever has the accounts of a link in order can compute every figure again.

use serde::{Deserialize, Serialize};

use super::counts::DecoyCounts;
use super::epsilon::{BlockEps, PadOrigins, TagEps};
use super::rule::{Leak, LengthRule};

/// Facts about the key of one block; none of them is secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyAccount {
    /// Number of the block in its link.
    pub block: u64,
    /// Method and parameters of the length.
    pub rule: LengthRule,
    /// Counts of the block, equal at both ends.
    pub counts: DecoyCounts,
    /// Length in bits of each authentication tag of the block.
    pub tag_bits: u32,
    /// First pad bit of Alice's tag and of Bob's.
    pub pads: [u64; 2],
}

/// What follows from an account and the origins of the pads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFigures {
    /// Length of the key in bits.
    pub length: u64,
    /// Bits said about the key, by cause.
    pub leak: Leak,
    /// Error rate of the key basis.
    pub qber: f64,
    /// Disclosed bits over the Shannon limit.
    pub efficiency: Option<f64>,
    /// What the block fails with when its pads are perfect.
    pub eps: BlockEps,
    /// Origin of the pad and failure probability, of Alice's authentication tag and of Bob's.
    pub tags: [TagEps; 2],
    /// What this key alone fails with.
    pub eps_key: f64,
    /// What all keys of the link up to this one fail with together.
    pub eps_link: f64,
}

impl KeyAccount {
    /// The figures; none when a pad lies outside the pools.
    pub fn figures(&self, origins: &PadOrigins) -> Option<KeyFigures> {
        let eps = BlockEps::new(&self.rule, self.tag_bits);
        let tag = |index| origins.tag(index, self.tag_bits, eps.forgery);
        let tags = [tag(self.pads[0])?, tag(self.pads[1])?];
        Some(KeyFigures {
            length: self.rule.length(&self.counts),
            leak: self.rule.leak(&self.counts),
            qber: self.counts.key_qber(),
            efficiency: self.counts.efficiency(),
            eps,
            tags,
            eps_key: eps.key(self.block, tags.map(|tag| tag.eps - eps.forgery)),
            eps_link: eps.sum(self.block),
        })
    }
}

impl KeyFigures {
    /// The first figure in which another reckoning differs: its name, here and there. Real numbers may differ in their last
    /// digits, as they have been through a text.
    pub fn difference(&self, other: &Self) -> Option<(&'static str, f64, f64)> {
        let near = |a: f64, b: f64| a == b || (a - b).abs() <= 1e-12 * a.abs().max(b.abs());
        let block = |tag: &TagEps| tag.from_block.map_or(-1.0, |block| block as f64);
        let pair = |name, of: &dyn Fn(&Self) -> f64| (name, of(self), of(other));
        [
            pair("length", &|f| f.length as f64),
            pair("leak: parities", &|f| f.leak.parities as f64),
            pair("leak: questions", &|f| f.leak.questions as f64),
            pair("leak: numbers", &|f| f.leak.numbers as f64),
            pair("leak: verification", &|f| f.leak.verification as f64),
            pair("qber", &|f| f.qber),
            pair("efficiency", &|f| f.efficiency.unwrap_or(0.0)),
            pair("eps: sec", &|f| f.eps.sec),
            pair("eps: cor", &|f| f.eps.cor),
            pair("eps: forgery", &|f| f.eps.forgery),
            pair("pad of Alice's tag", &|f| f.tags[0].index as f64),
            pair("pad of Bob's tag", &|f| f.tags[1].index as f64),
            pair("origin of Alice's pad", &|f| block(&f.tags[0])),
            pair("origin of Bob's pad", &|f| block(&f.tags[1])),
            pair("eps of Alice's tag", &|f| f.tags[0].eps),
            pair("eps of Bob's tag", &|f| f.tags[1].eps),
            pair("eps_key", &|f| f.eps_key),
            pair("eps_link", &|f| f.eps_link),
        ]
        .into_iter()
        .find(|(_, a, b)| !near(*a, *b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoy::DecoyConfig;

    fn account() -> KeyAccount {
        let counts = DecoyCounts {
            key_bits: [3_931_426, 2_039_420, 733],
            test_bits: [142_636, 73_992, 26],
            test_errors: [1427, 740, 0],
            disclosed: 500_000,
            tag_bits: 64,
            key_errors: 59_000,
            ..DecoyCounts::default()
        };
        let rule = LengthRule::new(&DecoyConfig::default());
        KeyAccount { block: 3, rule, counts, tag_bits: 64, pads: [128, 192] }
    }

    #[test]
    fn an_account_goes_through_json_and_its_figures_come_out_again() {
        let mut origins = PadOrigins::new(192);
        origins.refill(128, 1, 1.1e-15);
        let figures = account().figures(&origins).unwrap();
        assert_eq!(figures.tags.map(|tag| tag.from_block), [None, Some(1)]);
        assert_eq!(figures.eps_key, figures.eps.own() + 1.1e-15);
        assert_eq!(figures.eps_link, 4.0 * figures.eps.own());
        assert!(figures.length > 2_000_000 && figures.length < 2_100_000, "{figures:?}");
        let again: KeyFigures =
            serde_json::from_str(&serde_json::to_string(&figures).unwrap()).unwrap();
        assert_eq!(figures.difference(&again), None);
        let json = serde_json::to_string(&account()).unwrap();
        let again: KeyAccount = serde_json::from_str(&json).unwrap();
        assert_eq!(again.figures(&origins).unwrap().difference(&figures), None);
        assert!(KeyAccount { pads: [128, 320], ..account() }.figures(&origins).is_none());
    }

    #[test]
    fn every_changed_figure_is_named() {
        let figures = account().figures(&PadOrigins::new(6400)).unwrap();
        let changed = |change: &dyn Fn(&mut KeyFigures)| {
            let mut other = figures.clone();
            change(&mut other);
            figures.difference(&other).map(|(name, ..)| name)
        };
        assert_eq!(changed(&|_| ()), None);
        assert_eq!(changed(&|f| f.length -= 1), Some("length"));
        assert_eq!(changed(&|f| f.leak.parities += 1), Some("leak: parities"));
        assert_eq!(changed(&|f| f.eps_key *= 0.999), Some("eps_key"));
        assert_eq!(changed(&|f| f.eps_link = f64::NAN), Some("eps_link"));
        assert_eq!(changed(&|f| f.tags[1].from_block = Some(0)), Some("origin of Bob's pad"));
    }
}
