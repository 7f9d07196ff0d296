//! A detected frame on its way from the synchronizer to the estimator.

use num_complex::Complex32;

use crate::layout::{HEADER_FRAME_LEN, SEQUENCE_START};
use crate::{Estimate, Header};

/// A detected frame with its samples.
///
/// To learn where a frame ends the synchronizer measures it and decodes its header; both stay with the frame, so that
/// [`Estimator::estimate`](crate::Estimator::estimate) and [`Demodulator::header`](crate::Demodulator::header) need not
/// do it again.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    pub(crate) first: u64,
    pub(crate) samples: Vec<Complex32>,
    pub(crate) clipped: usize,
    pub(crate) peek: Peek,
}

/// What the synchronizer found out about a frame.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Peek {
    pub(crate) estimate: Estimate,
    pub(crate) header: Option<Header>,
}

impl Frame {
    /// Samples kept before the start.
    pub(crate) const LEAD: usize = 16;

    /// Air time of the frame's first sample on the strongest path.
    pub fn start(&self) -> u64 {
        self.peek.estimate.start
    }

    /// Air time of the first element of [`Frame::samples`]: at most 16 before the start.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The samples of the frame, from a few before its start to its end or the end of the contiguous stretch: at most 16
    /// and [`MAX_FRAME_LEN`](crate::MAX_FRAME_LEN), of a frame without header at most 16 and
    /// [`HEADER_FRAME_LEN`](crate::HEADER_FRAME_LEN). The preamble is always whole.
    pub fn samples(&self) -> &[Complex32] {
        &self.samples
    }

    /// Samples at or above the clip level of the configuration.
    pub fn clipped(&self) -> usize {
        self.clipped
    }

    /// Whether the stretch ended before the frame did.
    pub fn is_truncated(&self) -> bool {
        let len = self.peek.header.map_or(HEADER_FRAME_LEN, |header| header.frame_len());
        self.offset() + len > self.samples.len()
    }

    /// Place of the frame's first sample in [`Frame::samples`].
    pub fn offset(&self) -> usize {
        (self.start() - self.first) as usize
    }

    pub(crate) fn sequence(&self) -> usize {
        self.offset() + SEQUENCE_START
    }

    pub(crate) fn peek(&self) -> &Peek {
        &self.peek
    }
}
