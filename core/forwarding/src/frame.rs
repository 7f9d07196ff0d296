//! What goes over the air, seen from the protocol: [`RxFrame`], [`TxFrame`], and when to listen: [`Listen`].

use crqkd_bits::BitString;
use crqkd_keys::{Epoch, ProbeId, WindowId};

use crate::{AirTime, Direction, FrameKind};

/// A frame with a good header, as received. Nothing in it is trusted.
#[derive(Debug, Clone, PartialEq)]
pub struct RxFrame {
    /// Air time of the frame's first sample. Also the air time at which the protocol handles the frame.
    pub start: AirTime,
    /// Epoch: the life of the link that the frame belongs to.
    pub epoch: Epoch,
    /// Window of the probe that the frame belongs to.
    pub window: WindowId,
    /// Number of the probe within its window, from 0.
    pub index: u16,
    /// Which way the frame travels: from the QAP to the user, or back.
    pub direction: Direction,
    /// What the frame is for: a probe, or control messages.
    pub kind: FrameKind,
    /// Number of the QAP (forward) or of the user (reverse) that sent it.
    pub sender: u16,
    /// Of a QAP's probe: a control frame follows half a period later.
    pub follow: bool,
    /// Of a user's probe: the user has messages to send.
    pub more: bool,
    /// The samples were clipped, or are not all there: no measurement.
    pub clipped: bool,
    /// The control message, if there was one and its check was right.
    pub control: Option<Vec<u8>>,
    /// ln P(0)/P(1) of each uncoded ciphertext bit; empty without such bits.
    pub cipher_llr: Vec<f32>,
}

impl RxFrame {
    /// Name of the probe that the frame belongs to: epoch, window and number within the window.
    pub fn probe(&self) -> ProbeId {
        ProbeId { epoch: self.epoch, window: self.window, index: self.index }
    }
}

/// A frame to send; the sender's number is the station's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxFrame {
    /// What the frame is for: a probe, or control messages.
    pub kind: FrameKind,
    /// Which way the frame travels: from the QAP to the user, or back.
    pub direction: Direction,
    /// The probe's name, also of a control frame.
    pub probe: ProbeId,
    /// Number of the QAP (forward) or of the user (reverse) that sends it.
    pub sender: u16,
    /// Of a QAP's probe: a control frame follows half a period later, as [`RxFrame::follow`].
    pub follow: bool,
    /// Of a user's probe: the user has messages to send, as [`RxFrame::more`].
    pub more: bool,
    /// The control message, empty in a probe frame.
    pub control: Vec<u8>,
    /// Uncoded ciphertext bits behind the control message.
    pub cipher: Option<BitString>,
}

/// A stretch of air time in which the radio listens.
///
/// ```text
///      from      last_start             to
///        |<-- guard -->|                 |
///  ------[=============|=================)------
///         a frame may   ... and is over
///         start here    before `to`
/// ```
///
/// Gates never overlap and come in order of time. Each is announced at least a turnaround before `from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// Air time of the first sample to receive.
    pub from: AirTime,
    /// Last sample at which a frame may start. A receiver whose progress has passed it is done with the gate.
    pub last_start: AirTime,
    /// One past the last sample to receive.
    pub to: AirTime,
}

impl Listen {
    /// A gate around a frame that is expected at `at`.
    pub fn around(at: AirTime, guard: AirTime, frame_samples: u64) -> Self {
        Self {
            from: at.saturating_sub(guard),
            last_start: at + guard,
            to: at + guard + frame_samples,
        }
    }

    /// Listening from `from` on without an end, until [`Output::ListenUntil`](crate::Output::ListenUntil).
    pub fn open(from: AirTime) -> Self {
        Self { from, last_start: AirTime::MAX, to: AirTime::MAX }
    }

    /// True for a stretch without an end.
    pub fn is_open(&self) -> bool {
        self.to == AirTime::MAX
    }
}
