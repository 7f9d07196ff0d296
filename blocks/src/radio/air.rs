//! Radios on the virtual air: lock-step air time, samples made by a channel model.

use super::{Progress, Radio, RadioError, RadioPort, RadioTx, Reception, WireArrival, WireHorizon};
use crqkd_air::medium::{AirTime, Medium, Promises, RadioId, RadioKind, Step, Transmission};
use event_listener::Event;
use futuresdr::num_complex::Complex32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Makes the samples that one radio receives; the channel model, or a recording of it.
pub trait Propagation: Send + 'static {
    /// Fills `out` with the samples from air time `from` on, given all `bursts` that can be heard
    /// in that stretch. Must not depend on how a stretch is cut into calls.
    ///
    /// # Errors
    /// When the samples cannot be had (a recording has a hole there).
    fn receive(
        &mut self,
        from: AirTime,
        bursts: &[Transmission],
        out: &mut [Complex32],
    ) -> Result<(), RadioError>;
}

/// The air that all radios of a run share: their lock step, and the wires between them.
///
/// Cloning gives another handle to the same air.
pub struct VirtualAir<W> {
    shared: Arc<Shared<W>>,
}

impl<W> Clone for VirtualAir<W> {
    fn clone(&self) -> Self {
        VirtualAir { shared: self.shared.clone() }
    }
}

struct Shared<W> {
    inner: Mutex<Inner<W>>,
    activity: AtomicU64,
}

struct Inner<W> {
    medium: Medium<W>,
    /// One a radio, in the order of joining.
    seats: Vec<Seat>,
}

struct Seat {
    radio: RadioId,
    /// The name under which other radios know this one on the wire.
    name: u16,
    event: Arc<Event>,
    /// The radio waits, with room for so many samples.
    waiting: Option<usize>,
}

/// Largest number of samples that are synthesised at once.
const MAX_CHUNK: usize = 1 << 16;

impl<W: Send + Sync + Clone + 'static> VirtualAir<W> {
    /// An empty air on which a burst echoes for at most `echo` samples.
    pub fn new(echo: AirTime) -> Self {
        let inner = Inner { medium: Medium::new(echo), seats: Vec::new() };
        VirtualAir {
            shared: Arc::new(Shared { inner: Mutex::new(inner), activity: AtomicU64::new(0) }),
        }
    }

    /// Adds a radio to a cell; `name` is its address on wires. All radios must have joined before
    /// the first one is read.
    pub fn join(
        &self,
        cell: u32,
        name: u16,
        kind: RadioKind,
        propagation: Box<dyn Propagation>,
    ) -> AirRadio<W> {
        let mut inner = self.shared.lock();
        let radio = inner.medium.join(cell, kind);
        inner.seats.push(Seat { radio, name, event: Arc::new(Event::new()), waiting: None });
        AirRadio { shared: self.shared.clone(), radio, propagation }
    }

    /// Lays a wire between two radios.
    pub fn connect(&self, a: &AirRadio<W>, b: &AirRadio<W>) {
        self.shared.lock().medium.connect(a.radio, b.radio);
    }
}

impl<W: Send + Sync> Progress for VirtualAir<W> {
    fn activity(&self) -> u64 {
        self.shared.activity.load(Ordering::Relaxed)
    }

    fn air_time(&self) -> AirTime {
        let inner = self.shared.lock();
        inner.seats.iter().map(|s| inner.medium.position(s.radio)).max().unwrap_or(0)
    }

    fn describe(&self) -> String {
        let inner = self.shared.lock();
        let line = |s: &Seat| {
            let m = &inner.medium;
            let state = if m.has_left(s.radio) { "has left" } else { "is" };
            let waiting = if s.waiting.is_some() { ", waiting" } else { "" };
            format!("radio {} {state} at {}{waiting}", s.name, m.position(s.radio))
        };
        inner.seats.iter().map(line).collect::<Vec<_>>().join("; ")
    }
}

impl<W> Shared<W> {
    fn lock(&self) -> MutexGuard<'_, Inner<W>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the medium and wakes the radios that can go on because of it, once they can have the lock.
    fn change<T>(&self, f: impl FnOnce(&mut Inner<W>) -> T) -> T {
        let mut inner = self.lock();
        let result = f(&mut inner);
        self.activity.fetch_add(1, Ordering::Relaxed);
        let woken = inner.woken();
        drop(inner);
        woken.iter().for_each(|event| _ = event.notify(usize::MAX));
        result
    }
}

impl<W> Inner<W> {
    /// Those who wait and can go on now.
    fn woken(&mut self) -> Vec<Arc<Event>> {
        let mut woken = Vec::new();
        for seat in &mut self.seats {
            if let Some(max) = seat.waiting
                && self.medium.can_step(seat.radio, max)
            {
                seat.waiting = None;
                woken.push(Arc::clone(&seat.event));
            }
        }
        woken
    }
}

/// A radio on the virtual air; counts as silent once it is dropped.
pub struct AirRadio<W> {
    shared: Arc<Shared<W>>,
    radio: RadioId,
    propagation: Box<dyn Propagation>,
}

impl<W: Send + Sync + Clone + 'static> AirRadio<W> {
    /// A cloneable handle to the transmitting side of this radio.
    pub fn handle(&self) -> RadioTx<W> {
        RadioTx::new(AirPort { shared: self.shared.clone(), radio: self.radio })
    }
}

impl<W: Send + Sync + Clone + 'static> Radio for AirRadio<W> {
    type Wire = W;

    fn try_recv(&mut self, out: &mut [Complex32]) -> Result<Reception<W>, RadioError> {
        let mut guard = self.shared.lock();
        let inner = &mut *guard;
        let max = out.len().min(MAX_CHUNK);
        let step = inner.medium.step(self.radio, max);
        self.shared.activity.fetch_add(u64::from(!matches!(step, Step::Wait)), Ordering::Relaxed);
        match step {
            Step::Receive { from, to, last, bursts } => {
                // The position of a receiver holds transmitters on its leash.
                let woken = inner.woken();
                drop(guard);
                woken.iter().for_each(|event| _ = event.notify(usize::MAX));
                let len = (to - from) as usize;
                self.propagation.receive(from, &bursts, &mut out[..len])?;
                Ok(Reception::Samples { time: from, len, last })
            }
            Step::Wired(w) => Ok(Reception::Wired(WireArrival {
                time: w.arrival,
                from: inner.seats[w.from.index()].name,
                message: w.payload,
            })),
            Step::WireHorizon { from, until } => {
                let from = inner.seats[from.index()].name;
                Ok(Reception::WireHorizon(WireHorizon { from, until }))
            }
            Step::Wait => {
                let seat = &mut inner.seats[self.radio.index()];
                seat.waiting = Some(max);
                Ok(Reception::Wait(Box::pin(seat.event.listen())))
            }
            Step::End => Ok(Reception::End),
        }
    }

    fn leave(&mut self) {
        self.shared.change(|air| air.medium.leave(self.radio));
    }
}

impl<W> Drop for AirRadio<W> {
    fn drop(&mut self) {
        self.shared.change(|air| air.medium.leave(self.radio));
    }
}

struct AirPort<W> {
    shared: Arc<Shared<W>>,
    radio: RadioId,
}

impl<W: Send + Sync> RadioPort<W> for AirPort<W> {
    fn send_at(&self, time: AirTime, burst: Vec<Complex32>) -> Result<(), RadioError> {
        // Nobody can go on because of a burst alone, only because of a promise after it.
        Ok(self.shared.lock().medium.transmit(self.radio, time, burst.into())?)
    }

    fn promise(&self, promises: Promises) -> Result<(), RadioError> {
        self.shared.change(|air| air.medium.promise(self.radio, promises));
        Ok(())
    }

    fn listen(&self, from: AirTime, to: AirTime) -> Result<(), RadioError> {
        Ok(self.shared.change(|air| air.medium.listen(self.radio, from, to))?)
    }

    fn listen_until(&self, at: AirTime) -> Result<(), RadioError> {
        Ok(self.shared.change(|air| air.medium.listen_until(self.radio, at))?)
    }

    fn wire(&self, to: u16, arrival: AirTime, message: W) -> Result<(), RadioError> {
        self.shared.change(|air| {
            let peer = air.seats.iter().find(|s| s.name == to).ok_or(RadioError::NoWire { to })?;
            Ok(air.medium.wire(self.radio, peer.radio, arrival, message)?)
        })
    }

    fn leave(&self) {
        self.shared.change(|air| air.medium.leave(self.radio));
    }
}
