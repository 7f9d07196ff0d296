//! What the blocks tell each other, apart from samples. Each type travels in its own
//! [`Parcel`](crate::envelope::Parcel).
//!
//! ```text
//! transceiver ~~IQ~~> synchronizer --Detections--> channel_estimator --Measurements--> protocol
//! protocol --Orders--> sounder --> radio
//! protocol --ProbeData, Work--> quantizer --Pads, Work, Reply--> key_buffer
//! key_buffer --Encryption, Decryption--> polar_otp --Reply, Opened--> key_buffer --Reply--> protocol
//! ```

use crqkd_air::medium::{AirTime, Promises};
use crqkd_channel_key::SoftBits;
use crqkd_forwarding::{Direction, Event, RxFrame, Ticket, TxFrame, WireMessage};
use crqkd_keys::{Epoch, Group, GroupId, ProbeId, QapId, WindowId};
use crqkd_sounding::{Estimate, Frame, Header, OddTone};

pub use crqkd_forwarding::desk::{
    Decryption, Encryption, FinalKey, Opened, OpenedGroup, Reply, Work,
};

/// Frames that the synchronizer has found.
#[derive(Debug)]
pub struct Detections {
    /// In order of their start.
    pub frames: Vec<Frame>,
    /// No frame that starts before this sample will come later.
    pub progress: AirTime,
}

/// A frame with its channel.
#[derive(Debug)]
pub struct Measurement {
    /// Channel, offset and noise; also the start of the frame.
    pub estimate: Estimate,
    /// What the frame says about itself, when that could be read.
    pub header: Option<Header>,
    /// The same and its payload, as the protocol takes it.
    pub frame: Option<RxFrame>,
    /// What is odd about its tone; looked at in the first frames of a stream only.
    pub odd_tone: Option<OddTone>,
}

/// Frames with their channels.
#[derive(Debug)]
pub struct Measurements {
    /// In order of their start.
    pub list: Vec<Measurement>,
    /// No frame that starts before this sample will come later.
    pub progress: AirTime,
}

/// What a radio is told to do.
#[derive(Debug)]
pub enum Order {
    /// Send a frame, its first sample at `at`.
    Transmit {
        /// Air time of the first sample.
        at: AirTime,
        /// The frame.
        frame: TxFrame,
    },
    /// Listen to `[from, to)`.
    Listen {
        /// First sample.
        from: AirTime,
        /// After the last sample, or `AirTime::MAX`.
        to: AirTime,
    },
    /// End an open stretch of listening.
    ListenUntil(AirTime),
    /// Send a message over a wire.
    Wire {
        /// Receiver.
        to: QapId,
        /// Air time of arrival.
        arrives: AirTime,
        /// The message.
        message: WireMessage,
    },
}

/// Orders, and what is promised once they are carried out.
#[derive(Debug)]
pub struct Orders {
    /// In order.
    pub list: Vec<Order>,
    /// The promises.
    pub promises: Promises,
    /// Leave the air.
    pub leave: bool,
}

/// A channel measurement that the protocol keeps.
#[derive(Clone, Debug)]
pub struct ProbeData {
    /// Name of the probe that the frame carried.
    pub probe: ProbeId,
    /// Which way the frame travelled.
    pub direction: Direction,
    /// The measurement.
    pub estimate: Estimate,
}

/// Channel key of a window on its way into the key buffer.
#[derive(Debug)]
pub struct Pads {
    /// Number of the work that this belongs to.
    pub ticket: Ticket,
    /// Life of the link.
    pub epoch: Epoch,
    /// The window.
    pub window: WindowId,
    /// Bits of channel key with their reliabilities.
    pub soft: SoftBits,
}

/// What a role begins with, posted to its key buffer once the flowgraph runs.
#[derive(Debug, Default)]
pub struct Begin {
    /// Groups of quantum key and the air time at which each batch is there (QAP).
    pub supply: Vec<(AirTime, Vec<Group>)>,
    /// Requests of programs for key shared with another user, and their air times (user).
    pub requests: Vec<(AirTime, crqkd_keys::UserId, u32)>,
}

/// The public part of [`Begin`], from the key buffer to the protocol.
#[derive(Debug, Default)]
pub struct Began {
    /// Numbers of the groups, and when they are there.
    pub supply: Vec<(AirTime, Vec<GroupId>)>,
    /// See [`Begin::requests`].
    pub requests: Vec<(AirTime, crqkd_keys::UserId, u32)>,
}

/// An event with its air time, for the application.
#[derive(Clone, Debug, PartialEq)]
pub struct TimedEvent {
    /// Air time.
    pub at: AirTime,
    /// The event.
    pub event: Event,
}

/// Bits of a window for the referee of a simulation, who sees all sides.
#[derive(Debug)]
pub struct WindowBits {
    /// Life of the link.
    pub epoch: Epoch,
    /// The window.
    pub window: WindowId,
    /// Direction of the frames they were measured on.
    pub direction: Direction,
    /// Probes they come from.
    pub kept: Vec<u16>,
    /// A copy of the bits.
    pub soft: SoftBits,
}
