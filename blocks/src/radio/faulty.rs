//! A radio with faults; a shell on [`crqkd_air::faults`].

use super::{Radio, RadioError, RadioPort, RadioTx, Reception, WireArrival, WireHorizon};
use crqkd_air::Clock;
use crqkd_air::faults::{Fault, Faults, Piece};
use crqkd_air::medium::{AirTime, Promises};
use futuresdr::num_complex::Complex32;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Any radio, with faults between it and its host.
pub struct Faulty<R> {
    radio: R,
    faults: Faults,
    /// Pieces that are not handed out yet, and how much of the first one was.
    waiting: VecDeque<Piece>,
    played: usize,
    pieces: Vec<Piece>,
}

/// Puts faults on a radio and its transmitting side; `full_scale` is where its converter clips.
pub fn faulty<R: Radio>(
    radio: R,
    tx: RadioTx<R::Wire>,
    list: Vec<Fault>,
    full_scale: f64,
) -> (Faulty<R>, RadioTx<R::Wire>) {
    let faults = Faults::new(list, full_scale);
    let port = FaultyPort { tx, clock: faults.clock(), faults: Mutex::new(faults.clone()) };
    let (waiting, pieces) = (VecDeque::new(), Vec::new());
    (Faulty { radio, faults, waiting, played: 0, pieces }, RadioTx::new(port))
}

impl<R: Radio> Faulty<R> {
    fn play(&mut self, out: &mut [Complex32]) -> Option<Reception<R::Wire>> {
        let piece = self.waiting.front()?;
        let rest = &piece.samples[self.played..];
        let len = rest.len().min(out.len());
        out[..len].copy_from_slice(&rest[..len]);
        let time = piece.time + self.played as AirTime;
        let done = len == rest.len();
        let last = done && piece.last;
        self.played += len;
        if done {
            self.waiting.pop_front();
            self.played = 0;
        }
        Some(Reception::Samples { time, len, last })
    }

    fn local(&self, air: AirTime) -> AirTime {
        self.faults.clock().map_or(air, |clock| clock.local(air))
    }
}

impl<R: Radio> Radio for Faulty<R> {
    type Wire = R::Wire;

    fn try_recv(&mut self, out: &mut [Complex32]) -> Result<Reception<R::Wire>, RadioError> {
        loop {
            if let Some(samples) = self.play(out) {
                return Ok(samples);
            }
            match self.radio.try_recv(out)? {
                Reception::Samples { time, len, last } => {
                    self.faults.receive(time, last, &out[..len], &mut self.pieces);
                    let real = self.pieces.drain(..).filter(|piece| !piece.samples.is_empty());
                    self.waiting.extend(real);
                }
                Reception::Wired(w) => {
                    let time = self.local(w.time);
                    return Ok(Reception::Wired(WireArrival { time, ..w }));
                }
                Reception::WireHorizon(h) => {
                    let until = self.local(h.until);
                    return Ok(Reception::WireHorizon(WireHorizon { until, ..h }));
                }
                Reception::Wait(ready) => return Ok(Reception::Wait(ready)),
                Reception::End => return Ok(Reception::End),
            }
        }
    }

    fn leave(&mut self) {
        self.radio.leave();
    }
}

struct FaultyPort<W> {
    tx: RadioTx<W>,
    clock: Option<Clock>,
    faults: Mutex<Faults>,
}

impl<W> FaultyPort<W> {
    fn air(&self, local: AirTime) -> AirTime {
        self.clock.map_or(local, |clock| clock.air(local))
    }
}

impl<W: Send + Sync> RadioPort<W> for FaultyPort<W> {
    fn send_at(&self, time: AirTime, burst: Vec<Complex32>) -> Result<(), RadioError> {
        let at = self.air(time);
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let sending = faults.send(at, burst.len() as AirTime);
        if let Some(again) = sending.again {
            self.tx.send_at(again, burst.clone())?;
        }
        sending.at.map_or(Ok(()), |at| self.tx.send_at(at, burst))
    }

    fn promise(&self, promises: Promises) -> Result<(), RadioError> {
        self.tx.promise(Promises {
            transmit: self.air(promises.transmit),
            wire: self.air(promises.wire),
            listen: self.air(promises.listen),
        })
    }

    fn listen(&self, from: AirTime, to: AirTime) -> Result<(), RadioError> {
        self.tx.listen(self.air(from), self.air(to))
    }

    fn listen_until(&self, at: AirTime) -> Result<(), RadioError> {
        self.tx.listen_until(self.air(at))
    }

    fn wire(&self, to: u16, arrival: AirTime, message: W) -> Result<(), RadioError> {
        self.tx.wire(to, self.air(arrival), message)
    }

    fn leave(&self) {
        self.tx.leave();
    }
}
