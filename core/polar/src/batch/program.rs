//! The walk through the decoding tree, written out as a list of steps.
//!
//! Which node comes when depends only on the code; a flat list lets one loop, compiled for the instruction set at
//! hand, do all the work.

use crate::PolarCode;
use crate::code::NodeKind;

/// Largest node that is decided at once by its least reliable bits: their positions fit a byte beside a magnitude.
const MAX_FLIPS_LEVEL: u8 = 7;

/// One step. A node of level s has 2^s LLRs; its partial sums are `at..at + 2^s` of the codeword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) action: Action,
    pub(crate) level: u8,
    pub(crate) at: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// LLRs of the left half.
    Check,
    /// LLRs of the right half, from the partial sums of the left one.
    Variable,
    /// LLRs of the right half behind a left one that is frozen.
    VariableZero,
    /// Cost of a frozen left half, whose LLRs nobody else needs.
    PenaliseLeft,
    /// Partial sums of a node from those of its halves.
    Combine,
    /// The same where the left half is frozen.
    Repeat,
    /// The same where the right half is frozen.
    Keep,
    /// All bits are frozen: cost only.
    Frozen,
    /// Every partial sum is one bit.
    Repetition,
    /// All bits are information: the partial sums may be any bits.
    Information,
    /// All bits but the first are information.
    Parity,
}

/// The steps of a code.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) steps: Vec<Step>,
}

impl Program {
    /// For a list decoder (which pays for frozen bits and cannot take too large a node at once) or for successive
    /// cancellation.
    pub(crate) fn new(code: &PolarCode, list: bool) -> Self {
        let mut writer = Writer { code, list, informed: false, steps: Vec::new() };
        let levels = code.n().trailing_zeros() as u8;
        writer.node(1, levels, 0);
        Self { steps: writer.steps }
    }
}

struct Writer<'a> {
    code: &'a PolarCode,
    list: bool,
    /// An information bit came already: before, all paths are one and pay the same for frozen bits.
    informed: bool,
    steps: Vec<Step>,
}

impl Writer<'_> {
    fn node(&mut self, node: usize, level: u8, at: u16) {
        let whole = !self.list || level <= MAX_FLIPS_LEVEL;
        let action = match self.code.kind(node) {
            NodeKind::Frozen => Action::Frozen,
            NodeKind::Repetition => Action::Repetition,
            NodeKind::Information if level == 0 => Action::Repetition,
            NodeKind::Information if whole => Action::Information,
            NodeKind::Parity if whole => Action::Parity,
            _ => return self.halves(node, level, at),
        };
        self.informed |= action != Action::Frozen;
        // Before the first information bit all paths are one and pay the same.
        if action != Action::Frozen || (self.list && self.informed) {
            self.step(action, level, at);
        }
    }

    fn halves(&mut self, node: usize, level: u8, at: u16) {
        let (left, right) = (2 * node, 2 * node + 1);
        let frozen = |node| self.code.kind(node) == NodeKind::Frozen;
        let (left_frozen, right_frozen) = (frozen(left), frozen(right));
        let half = 1u16 << (level - 1);
        if left_frozen {
            if self.list && self.informed {
                self.step(Action::PenaliseLeft, level, at);
            }
            self.step(Action::VariableZero, level, at);
        } else {
            self.step(Action::Check, level, at);
            self.node(left, level - 1, at);
            self.step(Action::Variable, level, at);
        }
        self.node(right, level - 1, at + half);
        let action = match (left_frozen, right_frozen) {
            (true, _) => Action::Repeat,
            (_, true) => Action::Keep,
            _ => Action::Combine,
        };
        self.step(action, level, at);
    }

    fn step(&mut self, action: Action, level: u8, at: u16) {
        self.steps.push(Step { action, level, at });
    }
}
