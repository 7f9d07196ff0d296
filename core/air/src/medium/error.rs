//! What a caller of the lock step can do wrong.

use super::AirTime;
use thiserror::Error;

/// A call that breaks the lock step; always a mistake of the caller.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum MediumError {
    /// A burst would start in time that others may have received already.
    #[error("radio {radio}: burst at {start} comes after the promise of silence before {promise}")]
    LateBurst {
        /// Index of the radio that wanted to send the burst.
        radio: usize,
        /// Air time of the burst's first sample.
        start: AirTime,
        /// The promise that it breaks.
        promise: AirTime,
    },
    /// A listening gate begins or ends in time that the radio may have passed already.
    #[error("radio {radio}: a gate with an edge at {from} comes after the promise {promise}")]
    LateGate {
        /// Index of the radio that wanted to listen.
        radio: usize,
        /// Air time of the gate's edge, its beginning or its end.
        from: AirTime,
        /// The promise that it breaks.
        promise: AirTime,
    },
    /// A wired message would arrive in time that the receiver may have passed already.
    #[error("radio {radio}: wired message for {arrival} comes after the promise {promise}")]
    LateWire {
        /// Index of the transmitting radio.
        radio: usize,
        /// Air time at which the message was to arrive.
        arrival: AirTime,
        /// The promise that it breaks.
        promise: AirTime,
    },
    /// The two radios are not connected by a wire.
    #[error("radio {from} has no wire to radio {to}")]
    NoWire {
        /// Index of the radio that sends the message.
        from: usize,
        /// Index of the radio that the message is for.
        to: usize,
    },
    /// Too much is waiting: whoever makes it does not mean the lock step.
    #[error("radio {radio}: {waiting} {what} are waiting")]
    Backlog {
        /// Index of the radio that has the backlog.
        radio: usize,
        /// How many samples, gates or messages are waiting already.
        waiting: usize,
        /// What is waiting: samples, gates or messages.
        what: &'static str,
    },
    /// A radio that can only receive was to transmit.
    #[error("radio {radio} is a receiver and cannot transmit")]
    NotATransmitter {
        /// Index of the radio that was to transmit.
        radio: usize,
    },
}
