//! A radio whose wire to the other access point is somewhere else.

use crqkd_air::medium::{AirTime, Promises};
use crqkd_blocks::radio::{Radio, RadioError, RadioPort, RadioTx, Ready, Reception};
use crqkd_forwarding::WireMessage;
use futuresdr::num_complex::Complex32;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Samples from one radio, wired messages from another.
pub(crate) struct Wired {
    samples: Box<dyn Radio<Wire = WireMessage>>,
    wire: Box<dyn Radio<Wire = WireMessage>>,
}

/// Joins a radio with one that only has a wire.
pub(crate) fn wired(
    samples: (Box<dyn Radio<Wire = WireMessage>>, RadioTx<WireMessage>),
    wire: (Box<dyn Radio<Wire = WireMessage>>, RadioTx<WireMessage>),
) -> (Wired, RadioTx<WireMessage>) {
    let tx = RadioTx::new(WiredPort { samples: samples.1, wire: wire.1 });
    (Wired { samples: samples.0, wire: wire.0 }, tx)
}

impl Radio for Wired {
    type Wire = WireMessage;

    fn try_recv(&mut self, out: &mut [Complex32]) -> Result<Reception<WireMessage>, RadioError> {
        let wire = match self.wire.try_recv(out)? {
            Reception::Wait(ready) => Some(ready),
            Reception::End => None, // samples may still come
            told => return Ok(told),
        };
        match (self.samples.try_recv(out)?, wire) {
            (Reception::Wait(samples), Some(wire)) => {
                Ok(Reception::Wait(Box::pin(Either { samples, wire })))
            }
            (told, _) => Ok(told),
        }
    }

    fn leave(&mut self) {
        self.samples.leave();
        self.wire.leave();
    }
}

/// Ready when one of the two is.
struct Either {
    samples: Ready,
    wire: Ready,
}

impl Future for Either {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.wire.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        self.samples.as_mut().poll(cx)
    }
}

struct WiredPort {
    samples: RadioTx<WireMessage>,
    wire: RadioTx<WireMessage>,
}

impl RadioPort<WireMessage> for WiredPort {
    fn send_at(&self, time: AirTime, burst: Vec<Complex32>) -> Result<(), RadioError> {
        self.samples.send_at(time, burst)
    }

    fn promise(&self, promises: Promises) -> Result<(), RadioError> {
        self.wire.promise(promises)?;
        self.samples.promise(promises)
    }

    fn listen(&self, from: AirTime, to: AirTime) -> Result<(), RadioError> {
        self.samples.listen(from, to)
    }

    fn listen_until(&self, at: AirTime) -> Result<(), RadioError> {
        self.samples.listen_until(at)
    }

    fn wire(&self, to: u16, arrival: AirTime, message: WireMessage) -> Result<(), RadioError> {
        self.wire.wire(to, arrival, message)
    }

    fn leave(&self) {
        self.samples.leave();
        self.wire.leave();
    }
}
