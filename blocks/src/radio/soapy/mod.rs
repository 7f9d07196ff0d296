//! Radios that SoapySDR knows (feature `soapy`): hardware time, time stamps, timed bursts, fixed gains.
//!
//! ```text
//!  device ──> reader thread ──queue, with times──> try_recv, inside the gates ──> flowgraph
//!  device <── timed bursts ── send_at
//! ```
//!
//! A device cannot be told to wait. The reader takes everything off it; samples between the gates are thrown away as
//! soon as a promise says that nobody wants them. A burst that comes too late, or that the device refuses, is counted
//! and costs its probe; samples that the device has lost are a gap in time. Only a device that is gone ends the run.
//!
//! On the virtual air's driver (`apps/soapy-air`) time goes on as samples are read. There `lookahead` says how far before
//! its start a burst must be handed over, and the reader stays that far behind the role's own promise, so that no burst
//! is ever late.

mod config;

pub use config::SoapyConfig;

use super::{Progress, Radio, RadioError, RadioPort, RadioTx, Reception};
use crqkd_air::SAMPLE_RATE_HZ;
use crqkd_air::medium::{AirTime, Promises};
use event_listener::Event;
use futuresdr::num_complex::Complex32;
use soapysdr::{Args, Device, Direction, ErrorCode, RxStream, TxStream};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Received samples that wait for the flowgraph, 0.4 s; more are lost.
const QUEUE: usize = 1 << 23;
/// Samples that are read at once.
const PIECE: usize = 1 << 12;
/// How long one read or write may take.
const TIMEOUT_US: i64 = 100_000;
/// A device that gives nothing for so long is lost.
const LOST: Duration = Duration::from_secs(5);

/// What a device did wrong so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoapyCounts {
    /// Times that the device lost received samples.
    pub overflows: u64,
    /// Bursts that came too late.
    pub late: u64,
    /// Bursts that ran dry or were refused.
    pub failed: u64,
    /// Samples that were thrown away because the flowgraph was too slow.
    pub dropped: u64,
}

struct Shared {
    name: String,
    state: Mutex<State>,
    changed: Condvar,
    arrived: Event,
    left: AtomicBool,
    activity: AtomicU64,
    tx: Mutex<Sender>,
    lookahead: Option<AirTime>,
}

struct Sender {
    stream: TxStream<Complex32>,
    scale: f32,
}

impl Sender {
    /// Whether the device took the burst.
    fn send(&mut self, at_ns: i64, mut burst: Vec<Complex32>) -> bool {
        burst.iter_mut().for_each(|sample| *sample *= self.scale);
        self.stream.write_all(&[&burst], Some(at_ns), true, TIMEOUT_US).is_ok()
    }
}

#[derive(Default)]
struct State {
    /// Pieces with the air time of their first sample.
    queue: VecDeque<(AirTime, Vec<Complex32>)>,
    queued: usize,
    /// Air time after everything that was handed out or passed over.
    position: AirTime,
    gates: VecDeque<(AirTime, AirTime)>,
    promises: Promises,
    fault: Option<String>,
    /// Device time of air time 0; known when the device has given its first samples.
    origin_ns: Option<i64>,
    /// Bursts that wait for it.
    early: Vec<(AirTime, Vec<Complex32>)>,
    counts: SoapyCounts,
}

/// A radio that SoapySDR drives.
pub struct SoapyRadio<W = Infallible> {
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
    wire: PhantomData<fn() -> W>,
}

impl<W> SoapyRadio<W> {
    /// Opens a device; nothing is received before the role has made its first promise.
    ///
    /// # Errors
    /// When SoapySDR refuses a setting, or the device has not the sample rate or no hardware time.
    pub fn open(config: &SoapyConfig) -> Result<Self, RadioError> {
        let name = format!("soapy:{}", config.device);
        let failed = |error: soapysdr::Error| RadioError::Device {
            name: name.clone(),
            reason: error.to_string(),
        };
        let device = Device::new(config.device.as_str()).map_err(failed)?;
        let sides = [
            (Direction::Rx, config.rx_gain_db, &config.rx_antenna),
            (Direction::Tx, config.tx_gain_db, &config.tx_antenna),
        ];
        for (direction, gain, antenna) in sides {
            device.set_sample_rate(direction, 0, SAMPLE_RATE_HZ).map_err(failed)?;
            device.set_frequency(direction, 0, config.frequency_hz, Args::new()).map_err(failed)?;
            if let Some(antenna) = antenna {
                device.set_antenna(direction, 0, antenna.as_str()).map_err(failed)?;
            }
            // Gains stand still inside a window: no automatic ones.
            if device.has_gain_mode(direction, 0).map_err(failed)? {
                device.set_gain_mode(direction, 0, false).map_err(failed)?;
            }
            if let Some(gain) = gain {
                device.set_gain(direction, 0, gain).map_err(failed)?;
            }
            let rate = device.sample_rate(direction, 0).map_err(failed)?;
            if (rate - SAMPLE_RATE_HZ).abs() > 1e-6 * SAMPLE_RATE_HZ {
                let reason = format!("gives {rate} samples a second, not {SAMPLE_RATE_HZ}");
                return Err(RadioError::Device { name, reason });
            }
        }
        if !device.has_hardware_time(None).map_err(failed)? {
            let reason = "has no hardware time, so no burst can be timed".to_owned();
            return Err(RadioError::Device { name, reason });
        }
        let rx = device.rx_stream::<Complex32>(&[0]).map_err(failed)?;
        let stream = device.tx_stream::<Complex32>(&[0]).map_err(failed)?;
        let shared = Arc::new(Shared {
            name,
            state: Mutex::new(State {
                // On the virtual air's driver device time is air time.
                origin_ns: config.lookahead.map(|_| 0),
                ..State::default()
            }),
            changed: Condvar::new(),
            arrived: Event::new(),
            left: AtomicBool::new(false),
            activity: AtomicU64::new(0),
            tx: Mutex::new(Sender { stream, scale: config.tx_scale }),
            lookahead: config.lookahead,
        });
        let of_reader = Arc::clone(&shared);
        let reader = Some(std::thread::spawn(move || of_reader.read(rx)));
        Ok(SoapyRadio { shared, reader, wire: PhantomData })
    }

    /// A cloneable handle to the transmitting side of this radio.
    pub fn handle(&self) -> RadioTx<W>
    where
        W: Send + Sync + 'static,
    {
        RadioTx::new(SoapyPort(Arc::clone(&self.shared)))
    }

    /// Shows whether the device gives samples.
    pub fn progress(&self) -> Arc<dyn Progress> {
        Arc::new(SoapyPort(Arc::clone(&self.shared)))
    }

    /// What went wrong so far.
    pub fn counts(&self) -> SoapyCounts {
        self.shared.lock().counts
    }
}

impl<W> Drop for SoapyRadio<W> {
    fn drop(&mut self) {
        self.shared.leave();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join(); // its error was told
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, reason: String) -> RadioError {
        RadioError::Device { name: self.name.clone(), reason }
    }

    fn leave(&self) {
        self.left.store(true, Ordering::Release);
        self.changed.notify_all();
        self.arrived.notify(usize::MAX);
    }

    /// The reader thread: everything off the device, until the radio leaves or the device is gone.
    fn read(&self, mut rx: RxStream<Complex32>) {
        if let Err(error) = self.take_samples(&mut rx) {
            self.lock().fault = Some(error.to_string());
        }
        self.arrived.notify(usize::MAX);
        let mut tx = self.tx.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = (tx.stream.deactivate(None), rx.deactivate(None)); // it may be gone
    }

    fn take_samples(&self, rx: &mut RxStream<Complex32>) -> Result<(), soapysdr::Error> {
        let mut buffer = vec![Complex32::ZERO; PIECE];
        let mut heard = None;
        loop {
            let Some(room) = self.room() else { return Ok(()) };
            if heard.is_none() {
                rx.activate(None)?;
                self.tx.lock().unwrap_or_else(PoisonError::into_inner).stream.activate(None)?;
            }
            let since = *heard.get_or_insert_with(Instant::now);
            match rx.read(&mut [&mut buffer[..room]], TIMEOUT_US) {
                Ok(0) => {}
                Ok(count) => {
                    heard = Some(Instant::now());
                    self.took(rx.time_ns(), &buffer[..count]);
                }
                Err(error) if error.code == ErrorCode::Overflow => {
                    self.lock().counts.overflows += 1
                }
                Err(error) if error.code == ErrorCode::Timeout => {
                    // On the virtual air others may take their time.
                    if self.lookahead.is_none() && since.elapsed() > LOST {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
            self.status();
        }
    }

    /// Waits until samples may be read; how many, or `None` at the end.
    fn room(&self) -> Option<usize> {
        let mut state = self.lock();
        loop {
            if self.left.load(Ordering::Acquire) {
                return None;
            }
            let promised = state.promises.transmit;
            let room = match self.lookahead {
                _ if promised == 0 => 0, // the role has not begun
                None => PIECE as AirTime,
                Some(lookahead) => promised.saturating_sub(lookahead + state.end()),
            };
            if room > 0 {
                return Some(room.min(PIECE as AirTime) as usize);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn took(&self, time_ns: i64, samples: &[Complex32]) {
        self.activity.fetch_add(1, Ordering::Relaxed);
        let origin = self.begin(time_ns);
        let mut state = self.lock();
        let time = to_air(time_ns - origin);
        if state.queued + samples.len() > QUEUE {
            state.counts.dropped += samples.len() as u64;
        } else {
            state.queued += samples.len();
            state.queue.push_back((time, samples.to_vec()));
        }
        drop(state);
        self.arrived.notify(usize::MAX);
    }

    /// Device time of air time 0, which the first samples fix; sends the bursts that waited for it, before any other.
    fn begin(&self, time_ns: i64) -> i64 {
        if let Some(origin) = self.lock().origin_ns {
            return origin;
        }
        let mut tx = self.tx.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.lock();
        state.origin_ns = Some(time_ns);
        let early = std::mem::take(&mut state.early);
        drop(state);
        let sent = early.into_iter().map(|(at, burst)| tx.send(time_ns + to_ns(at), burst));
        let failed = sent.filter(|sent| !sent).count() as u64;
        self.lock().counts.failed += failed;
        time_ns
    }

    /// What the device says about bursts, without waiting for it.
    fn status(&self) {
        let Ok(mut tx) = self.tx.try_lock() else { return };
        let (mut channels, mut flags, mut time_ns) = (0, 0, 0);
        while let Err(error) = tx.stream.read_status(&mut channels, &mut flags, &mut time_ns, 0) {
            match error.code {
                ErrorCode::TimeError => self.lock().counts.late += 1,
                ErrorCode::Underflow | ErrorCode::StreamError => self.lock().counts.failed += 1,
                _ => break,
            }
        }
    }
}

impl State {
    /// Air time after the last sample that was read.
    fn end(&self) -> AirTime {
        self.queue.back().map_or(self.position, |(time, samples)| time + samples.len() as AirTime)
    }

    /// Takes samples that lie in a gate off the queue; `None` when nothing can be said yet.
    fn take(&mut self, out: &mut [Complex32]) -> Option<(AirTime, usize, bool)> {
        loop {
            let gate = self.gates.front().copied();
            let (time, samples) = self.queue.front()?;
            let (time, end) = (*time, time + samples.len() as AirTime);
            if let Some((from, to)) = gate
                && time >= to
            {
                // The end of the gate was lost: that it is over must be told all the same.
                self.gates.pop_front();
                self.position = to;
                out[0] = Complex32::ZERO;
                return (to > from).then_some((to - 1, 1, true));
            }
            // Nobody wants what comes before the next gate.
            let wanted = gate.map_or(self.promises.listen, |gate| gate.0);
            if time < wanted {
                self.skip((end.min(wanted) - time) as usize);
                continue;
            }
            let (_, to) = gate?;
            // An open gate may still end at any sample from the promise on.
            let decided =
                if to == AirTime::MAX { self.promises.listen.saturating_sub(1) } else { to };
            let len = end.min(decided).saturating_sub(time).min(out.len() as AirTime) as usize;
            if len == 0 {
                return None;
            }
            out[..len].copy_from_slice(&samples[..len]);
            self.skip(len);
            let last = time + len as AirTime == to;
            if last {
                self.gates.pop_front();
            } else if let Some(gate) = self.gates.front_mut() {
                gate.0 = time + len as AirTime;
            }
            return Some((time, len, last));
        }
    }

    fn skip(&mut self, count: usize) {
        if let Some((time, samples)) = self.queue.front_mut() {
            samples.drain(..count);
            *time += count as AirTime;
            self.position = *time;
            self.queued -= count;
            if samples.is_empty() {
                self.queue.pop_front();
            }
        }
    }
}

impl<W: Send + Sync + Clone + 'static> Radio for SoapyRadio<W> {
    type Wire = W;

    fn try_recv(&mut self, out: &mut [Complex32]) -> Result<Reception<W>, RadioError> {
        let arrived = self.shared.arrived.listen();
        if self.shared.left.load(Ordering::Acquire) {
            return Ok(Reception::End);
        }
        let mut state = self.shared.lock();
        if let Some((time, len, last)) = state.take(out) {
            drop(state);
            self.shared.changed.notify_all();
            return Ok(Reception::Samples { time, len, last });
        }
        match &state.fault {
            Some(reason) => Err(self.shared.failed(reason.clone())),
            None => Ok(Reception::Wait(Box::pin(arrived))),
        }
    }

    fn leave(&mut self) {
        self.shared.leave();
    }
}

struct SoapyPort(Arc<Shared>);

impl<W: Send + Sync> RadioPort<W> for SoapyPort {
    fn send_at(&self, time: AirTime, burst: Vec<Complex32>) -> Result<(), RadioError> {
        let mut state = self.0.lock();
        let Some(origin) = state.origin_ns else {
            state.early.push((time, burst));
            return Ok(());
        };
        drop(state);
        let mut tx = self.0.tx.lock().unwrap_or_else(PoisonError::into_inner);
        if !tx.send(origin + to_ns(time), burst) {
            self.0.lock().counts.failed += 1; // costs the probe, not the run
        }
        Ok(())
    }

    fn promise(&self, promises: Promises) -> Result<(), RadioError> {
        let mut state = self.0.lock();
        let old = state.promises;
        state.promises = Promises {
            transmit: old.transmit.max(promises.transmit),
            wire: old.wire.max(promises.wire),
            listen: old.listen.max(promises.listen),
        };
        drop(state);
        self.0.changed.notify_all();
        self.0.arrived.notify(usize::MAX);
        Ok(())
    }

    fn listen(&self, from: AirTime, to: AirTime) -> Result<(), RadioError> {
        let mut state = self.0.lock();
        let from = state.gates.back().map_or(from, |gate| from.max(gate.1));
        if from < to {
            state.gates.push_back((from, to));
        }
        Ok(())
    }

    fn listen_until(&self, at: AirTime) -> Result<(), RadioError> {
        let mut state = self.0.lock();
        if let Some(gate) = state.gates.back_mut()
            && gate.1 == AirTime::MAX
        {
            gate.1 = at.max(gate.0);
        }
        Ok(())
    }

    fn wire(&self, to: u16, _arrival: AirTime, _message: W) -> Result<(), RadioError> {
        Err(RadioError::NoWire { to })
    }

    fn leave(&self) {
        self.0.leave();
    }
}

impl Progress for SoapyPort {
    fn activity(&self) -> u64 {
        self.0.activity.load(Ordering::Relaxed)
    }

    fn air_time(&self) -> AirTime {
        self.0.lock().position
    }

    fn describe(&self) -> String {
        let state = self.0.lock();
        format!("{} is at air time {}, {:?}", self.0.name, state.position, state.counts)
    }
}

/// 50 ns a sample; a device whose ticks do not fit is rounded.
fn to_air(ns: i64) -> AirTime {
    (ns as f64 * SAMPLE_RATE_HZ / 1e9).round().max(0.0) as AirTime
}

fn to_ns(air: AirTime) -> i64 {
    (air as f64 * 1e9 / SAMPLE_RATE_HZ).round() as i64
}
