//! Chase combining: what failed attempts leave for the next one.

use crqkd_keys::{Group, GroupId};
use zeroize::Zeroize;

/// LLRs of one group's codeword, added up over the attempts that failed.
///
/// Every attempt masks the same codeword with a fresh pad, so the receiver's LLRs of the attempts are independent looks
/// at the same bits and add (D. Chase, "Code combining", IEEE Trans. Communications 33, 1985). The pads are spent; the
/// sums tell about the group and are wiped when dropped.
///
/// Sending new code bits instead of the same ones (incremental redundancy) is not offered: on links whose KDR varies it
/// could raise the goodput of two transmissions by 0.1 to 0.6 % at most (`crqkd bench polar`, the lines "goodput", where
/// the limit is that of a second attempt that never fails).
pub struct Attempts {
    pub(crate) group: GroupId,
    pub(crate) llr: Vec<f32>,
    pub(crate) count: usize,
}

impl Attempts {
    /// Number of the group that the attempts were made for.
    pub fn group(&self) -> GroupId {
        self.group
    }

    /// Number of failed attempts that were added up.
    pub fn count(&self) -> usize {
        self.count
    }
}

impl Drop for Attempts {
    fn drop(&mut self) {
        self.llr.as_mut_slice().zeroize();
    }
}

impl std::fmt::Debug for Attempts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Attempts({} for group {})", self.count, self.group)
    }
}

/// What came of an attempt.
#[derive(Debug)]
pub enum Combined {
    /// A group whose check holds; as [`Opening::Decoded`](crate::Opening::Decoded), only the hash over a block accepts
    /// it.
    Decoded {
        /// The group that was decoded.
        group: Group,
        /// Bits of this attempt's pad (in cascade mode: of pad or ciphertext) that differ from the codeword, of n: the
        /// disagreement of a fresh pad, free of charge.
        corrected: usize,
        /// Number of attempts that were combined, this one included.
        attempts: usize,
    },
    /// Still too different: send again under a fresh pad and hand this in.
    Again(Attempts),
}
