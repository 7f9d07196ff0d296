//! Radios: where samples come from and where bursts go, with the air time of both.
//!
//! A [`Radio`] is read by the transceiver block; it is written through a [`RadioTx`], a cloneable
//! handle that works at once and does not pass through the inbox of a block. A block's inbox is
//! read only between two calls of `work()`, so a radio that waited inside `work()` for a promise
//! lying in that inbox would wait for ever. For the same reason reading never blocks: a radio that
//! has nothing to say hands out a future, [`Reception::Wait`].

pub mod air;
pub mod faulty;
pub mod file;
#[cfg(feature = "soapy")]
pub mod soapy;

use crqkd_air::medium::{AirTime, MediumError, Promises};
use futuresdr::num_complex::Complex32;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use thiserror::Error;

/// A future that is ready when reading again makes sense.
pub type Ready = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a radio has to say; the answer of [`Radio::try_recv`].
pub enum Reception<W> {
    /// The first `len` samples of the buffer were received from `time` on.
    Samples {
        /// Air time of the first sample.
        time: AirTime,
        /// Number of samples, at least 1.
        len: usize,
        /// The radio does not listen after them.
        last: bool,
    },
    /// A message came over a wire.
    Wired(WireArrival<W>),
    /// A wire is complete up to a time.
    WireHorizon(WireHorizon),
    /// Nothing yet: read again when the future is ready.
    Wait(Ready),
    /// Nothing will come any more.
    End,
}

/// A message that came over a wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireArrival<W> {
    /// Air time at which it takes effect.
    pub time: AirTime,
    /// The name under which the receiver knows the sender.
    pub from: u16,
    /// The message that arrives.
    pub message: W,
}

/// Every message from `from` that arrives before `until` was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireHorizon {
    /// The name under which the receiver knows the sender.
    pub from: u16,
    /// Air time before which nothing more will come from it.
    pub until: AirTime,
}

/// Shows whether a radio, or a whole air, moves; for watchdogs and progress bars.
pub trait Progress: Send + Sync {
    /// Changes as long as anything happens.
    fn activity(&self) -> u64;
    /// The air time of the radio that is furthest.
    fn air_time(&self) -> AirTime;
    /// Who waits where, in one line.
    fn describe(&self) -> String;
}

/// A source of received samples with their air time.
pub trait Radio: Send + 'static {
    /// The messages that come over wires.
    type Wire: Send + Sync + Clone + 'static;

    /// Receives into `out` as much as is there, without waiting.
    ///
    /// # Errors
    /// When the device or file fails; the radio is not usable afterwards.
    fn try_recv(&mut self, out: &mut [Complex32]) -> Result<Reception<Self::Wire>, RadioError>;

    /// Leaves the air: the radio counts as silent from now on.
    fn leave(&mut self) {}
}

impl<W: Send + Sync + Clone + 'static> Radio for Box<dyn Radio<Wire = W>> {
    type Wire = W;

    fn try_recv(&mut self, out: &mut [Complex32]) -> Result<Reception<W>, RadioError> {
        (**self).try_recv(out)
    }

    fn leave(&mut self) {
        (**self).leave();
    }
}

/// The transmitting side of a radio, whatever its kind; the object behind a [`RadioTx`].
pub trait RadioPort<W>: Send + Sync {
    /// Transmits `burst` with its first sample at exactly `time`.
    ///
    /// # Errors
    /// When `time` is too late.
    fn send_at(&self, time: AirTime, burst: Vec<Complex32>) -> Result<(), RadioError>;
    /// Promises that nothing that is not handed over yet takes effect before these times.
    ///
    /// # Errors
    /// When the device has failed.
    fn promise(&self, promises: Promises) -> Result<(), RadioError>;
    /// Listens to `[from, to)`; `to` may be `AirTime::MAX`.
    ///
    /// # Errors
    /// When `from` is too late.
    fn listen(&self, from: AirTime, to: AirTime) -> Result<(), RadioError>;
    /// Ends an open stretch of listening at `at`.
    ///
    /// # Errors
    /// When `at` is too late.
    fn listen_until(&self, at: AirTime) -> Result<(), RadioError>;
    /// Sends a message over the wire to `to`, where it takes effect at `arrival`.
    ///
    /// # Errors
    /// When there is no such wire or `arrival` is too early.
    fn wire(&self, to: u16, arrival: AirTime, message: W) -> Result<(), RadioError>;
    /// Leaves the air: the radio counts as silent from now on.
    fn leave(&self);
}

/// Cloneable handle to the transmitting side of a radio. It bypasses all inboxes.
pub struct RadioTx<W>(Arc<dyn RadioPort<W>>);

impl<W> Clone for RadioTx<W> {
    fn clone(&self) -> Self {
        RadioTx(self.0.clone())
    }
}

impl<W> fmt::Debug for RadioTx<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RadioTx")
    }
}

impl<W> RadioTx<W> {
    /// A handle to a radio of any kind.
    pub fn new(port: impl RadioPort<W> + 'static) -> Self {
        RadioTx(Arc::new(port))
    }
}

impl<W> std::ops::Deref for RadioTx<W> {
    type Target = dyn RadioPort<W>;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

/// A radio failed or was used against its rules.
#[derive(Debug, Error)]
pub enum RadioError {
    /// The lock step was broken.
    #[error(transparent)]
    LockStep(#[from] MediumError),
    /// There is no wire to that access point.
    #[error("no wire to access point {to}")]
    NoWire {
        /// The name that was asked for.
        to: u16,
    },
    /// The samples of a recording do not cover what the radio was told to receive.
    #[error("recording of {name}: no samples for air time {from} to {to}")]
    NotRecorded {
        /// Name of the recording, for people.
        name: String,
        /// First sample that is missing.
        from: AirTime,
        /// Air time at which the stretch to receive ends.
        to: AirTime,
    },
    /// A file could not be read.
    #[error("{name}: {reason}")]
    File {
        /// Name of the file that could not be read.
        name: String,
        /// What is wrong, and where.
        reason: String,
    },
    /// A device, or the server of an air, refused its work or was lost.
    #[error("{name}: {reason}")]
    Device {
        /// Name of the device or the air.
        name: String,
        /// What the device or the server said.
        reason: String,
    },
}

impl RadioError {
    /// True when a device failed, not the one who used it.
    pub fn is_device(&self) -> bool {
        matches!(self, RadioError::Device { .. })
    }
}
