//! Hard against soft decisions on one run's own pads, and the code length that the run's KDR asks for.
//!
//! The referee has the pads of both ends: it encrypts every group once more as the access point did and opens the
//! ciphertext twice with the user's pad, once by its bits alone and once with their log-likelihood ratios. Code, pads and
//! ciphertexts are the same; only what the decoder is told differs. Each transmission stands alone (no combining), and
//! the ciphertext counts as received without errors.

use anyhow::Result;
use crqkd_bits::SecretBits;
use crqkd_keys::{Group, GroupId, Pad};
use crqkd_otp::{Decision, KdrTracker, Opening, OtpCodec, OtpConfig, RateLadder};
use serde::Serialize;

/// Retransmissions that a code length is chosen for.
const WANTED_RR: f64 = 0.02;
/// Code lengths to choose from.
const LENGTHS: [usize; 5] = [256, 512, 1024, 2048, 4096];

/// Outcomes of the same transmissions with either kind of decisions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Decisions {
    pub(crate) transmissions: u64,
    /// Groups that hard decisions leave to be sent again.
    pub(crate) hard_again: u64,
    /// Groups that soft decisions leave to be sent again.
    pub(crate) soft_again: u64,
}

impl Decisions {
    /// Retransmission rates, hard and soft.
    pub(crate) fn rates(&self) -> Option<[f64; 2]> {
        let rate = |again: u64| again as f64 / self.transmissions as f64;
        (self.transmissions > 0).then(|| [rate(self.hard_again), rate(self.soft_again)])
    }
}

impl std::ops::AddAssign for Decisions {
    fn add_assign(&mut self, other: Self) {
        self.transmissions += other.transmissions;
        self.hard_again += other.hard_again;
        self.soft_again += other.soft_again;
    }
}

/// What the decoder's own counts of corrected bits say about the link.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct LinkRate {
    /// Mean KDR of the decoded groups, the last ones counting most.
    pub(crate) kdr: f64,
    /// Upper confidence bound on the next group's KDR (95 %, one-sided).
    pub(crate) kdr_upper: f64,
    /// Shortest code for that KDR at 2 % retransmissions, with hard decisions.
    pub(crate) n_hard: Option<usize>,
    /// The same with soft decisions.
    pub(crate) n_soft: Option<usize>,
}

/// Opens everything twice.
pub(crate) struct Comparison {
    sender: OtpCodec,
    hard: OtpCodec,
    soft: OtpCodec,
}

impl Comparison {
    /// With the code of a run.
    pub(crate) fn new(config: &OtpConfig) -> Result<Self> {
        let config = OtpConfig { ciphertext: Default::default(), ..config.clone() };
        let sender = OtpCodec::new(config)?;
        let (hard, soft) = (sender.deciding(Decision::Hard), sender.deciding(Decision::Soft));
        Ok(Self { sender, hard, soft })
    }

    /// One transmission: the group, the sender's pad, and the bits and ratios of the receiver's.
    pub(crate) fn open(
        &mut self,
        group: &Group,
        sent: SecretBits,
        own: &SecretBits,
        llr: &[f32],
    ) -> Result<Decisions> {
        let ciphertext = self.sender.encrypt(group, Pad::uniform(Vec::new(), sent, 1.0))?;
        let received = ciphertext.into();
        let mut again = [0; 2];
        for (again, codec) in again.iter_mut().zip([&mut self.hard, &mut self.soft]) {
            let pad = Pad::new(Vec::new(), own.duplicate(), llr.to_vec())?;
            let opening = codec.decrypt(group.id, &received, pad)?;
            let right = |opened: &Group| opened.bits.ct_eq(&group.bits);
            let good = matches!(&opening, Opening::Decoded { group, .. } if right(group));
            *again = u64::from(!good);
        }
        Ok(Decisions { transmissions: 1, hard_again: again[0], soft_again: again[1] })
    }
}

/// Follows the outcomes of a link's transmissions (corrected bits of the decoded ones) in their order.
pub(crate) fn link_rate(
    config: &OtpConfig,
    outcomes: impl IntoIterator<Item = Option<u32>>,
) -> LinkRate {
    let ladder = |decision| RateLadder::new(config.k, &LENGTHS, decision, WANTED_RR);
    let (hard, soft) = (ladder(Decision::Hard), ladder(Decision::Soft));
    let own = if config.decision == Decision::Hard { &hard } else { &soft };
    let limit = own.limit(config.n).unwrap_or(config.design_kdr);
    let mut tracker = KdrTracker::new(config.design_kdr, 0.98, 1.64);
    for outcome in outcomes {
        match outcome {
            Some(corrected) => tracker.decoded(corrected as usize, config.n),
            None => tracker.failed(limit),
        }
    }
    let kdr_upper = tracker.upper();
    LinkRate {
        kdr: tracker.mean(),
        kdr_upper,
        n_hard: hard.length(kdr_upper),
        n_soft: soft.length(kdr_upper),
    }
}

/// Names a group with its bits.
pub(crate) fn named(id: GroupId, bits: &SecretBits) -> Group {
    Group { id, bits: bits.duplicate() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_noisier_link_is_advised_a_longer_code_and_soft_decisions_a_shorter_one() {
        let config = OtpConfig::default();
        let at = |corrected| link_rate(&config, std::iter::repeat_n(Some(corrected), 50));
        let (quiet, noisy) = (at(20), at(150));
        assert!((quiet.kdr - 20.0 / 1024.0).abs() < 1e-9 && quiet.kdr < quiet.kdr_upper);
        assert!(noisy.n_hard > quiet.n_hard && noisy.n_soft < noisy.n_hard, "{noisy:?}");
        let failing = link_rate(&config, std::iter::repeat_n(None, 20));
        assert!(failing.kdr_upper > 0.11, "{failing:?}");
    }
}
