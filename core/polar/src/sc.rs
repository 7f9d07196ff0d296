//! Successive-cancellation decoding of one frame with floating-point LLRs.

use zeroize::Zeroize;

use crate::code::NodeKind;
use crate::{Outcome, PolarCode, kernel};

/// Successive-cancellation decoder: fast, for mild error rates.
///
/// It stops early at nodes that are all frozen, all information, a repetition or a single parity check.
pub struct ScDecoder {
    code: PolarCode,
    /// Channel LLRs (n), then room for the LLRs of every level (n).
    llr: Vec<f32>,
    codeword: Vec<u8>,
    message: Vec<u8>,
}

impl ScDecoder {
    /// A decoder with its buffers.
    pub fn new(code: &PolarCode) -> Self {
        let n = code.n();
        Self {
            code: code.clone(),
            llr: vec![0.0; 2 * n],
            codeword: vec![0; n],
            message: vec![0; code.k()],
        }
    }

    /// Decodes `llr` (n values, ln P(0)/P(1); NaN counts as unknown) to `message` (k entries, one bit a byte).
    ///
    /// # Panics
    /// When a slice has the wrong length.
    pub fn decode(&mut self, llr: &[f32], message: &mut [u8]) -> Outcome {
        let n = self.code.n();
        assert_eq!(llr.len(), n, "number of LLRs");
        assert_eq!(message.len(), self.code.k(), "message length");
        let (channel, room) = self.llr.split_at_mut(n);
        kernel::load(llr, channel);
        descend(&self.code, 1, channel, room, &mut self.codeword);
        let outcome = Outcome::of(channel, &self.codeword);
        if self.code.extract(&mut self.codeword, &mut self.message) {
            message.copy_from_slice(&self.message);
            outcome
        } else {
            Outcome::Failed
        }
    }

    /// Overwrites everything that is left of the last decoding.
    pub fn wipe(&mut self) {
        self.llr.as_mut_slice().zeroize();
        self.codeword.as_mut_slice().zeroize();
        self.message.as_mut_slice().zeroize();
    }
}

/// Finds the partial sums (`bits`) of a node from its LLRs; `room` has at least as many entries as `llr`.
fn descend(code: &PolarCode, node: usize, llr: &[f32], room: &mut [f32], bits: &mut [u8]) {
    match code.kind(node) {
        NodeKind::Frozen => bits.fill(0),
        NodeKind::Information => kernel::decide(llr, bits),
        NodeKind::Repetition => bits.fill(u8::from(llr.iter().sum::<f32>() < 0.0)),
        NodeKind::Parity => {
            kernel::decide(llr, bits);
            if bits.iter().fold(0, |parity, bit| parity ^ bit) == 1 {
                let least =
                    (1..llr.len()).fold(0, |m, i| if llr[i].abs() < llr[m].abs() { i } else { m });
                bits[least] ^= 1;
            }
        }
        NodeKind::Mixed => {
            let half = llr.len() / 2;
            let (a, b) = llr.split_at(half);
            let (own, room) = room.split_at_mut(half);
            let (left, right) = bits.split_at_mut(half);
            if code.kind(2 * node) == NodeKind::Frozen {
                left.fill(0);
                kernel::variable_zero(a, b, own);
            } else {
                kernel::check(a, b, own);
                descend(code, 2 * node, own, room, left);
                kernel::variable(a, b, left, own);
            }
            descend(code, 2 * node + 1, own, room, right);
            for (left, right) in left.iter_mut().zip(right) {
                *left ^= *right;
            }
        }
    }
}
