//! The virtual air as a server: one connection a radio, the lock step of [`VirtualAir`] behind it.
//!
//! [`VirtualAir`]: crqkd_blocks::radio::air::VirtualAir
//!
//! ```text
//!  client ──messages──> reader thread ──RadioTx──> ┐
//!                                                  │ virtual air, all radios
//!  client <──messages── pump thread <──try_recv─── ┘
//! ```
//!
//! A pump writes as long as the lock step has something for its radio; a client that does not read holds back its own
//! pump and, through the promises that it does not give, the others. A client that goes away has left the air. So what
//! the server keeps is bounded by the medium's limits, whatever clients do.

use super::protocol::{
    Emitter, FromRadio, FromServer, Hello, MAX_HELLO_BYTES, MAX_MESSAGE_BYTES, Part, RunId,
    VERSION, read_message,
};
use super::seats::{Claimed, Complete, Denied, Place, Seats, WireBytes};
use super::stream::{Address, Listener, Stream};
use crate::pending::Pending;
use crate::waiting::Waiting;
use crqkd_air::SAMPLE_RATE_HZ;
use crqkd_air::medium::{AirTime, Promises};
use crqkd_blocks::radio::{Radio, RadioError, RadioTx, Reception};
use futuresdr::num_complex::Complex32;
use futuresdr::prelude::Runtime;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Samples that are sent at once.
const PIECE: usize = 1 << 14;
/// What is read or written at once: a frame and what belongs to it.
const BUFFER_BYTES: usize = 1 << 16;
/// How long a new connection may take to say hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two looks for new connections, and whether all is over.
const TICK: Duration = Duration::from_millis(5);
/// How long a client may take to read its last messages.
const GOODBYE: Duration = Duration::from_secs(2);
/// The same when the server is told to stop: what is to be saved has to be saved within [`crate::stop::GRACE`].
const GOODBYE_STOPPED: Duration = Duration::from_millis(250);
/// Connections that may be about to say hello side by side.
const MAX_PENDING: usize = 32;
/// How long no connection is accepted after the system had no room for one.
const BACK_OFF: Duration = Duration::from_millis(50);
/// How long a radio may listen when all other transmitters of its cell have left: 10 s of air. Nobody will answer it.
const MAX_ALONE: AirTime = 200_000_000;
/// Largest amplitude of a sample on the air; bursts have unit power.
const MAX_AMPLITUDE: f32 = 1000.0;

/// How the air is served.
#[derive(Clone, Debug, Default)]
pub struct ServeOptions {
    /// The simulation; clients of another one are refused.
    pub run: Option<RunId>,
    /// Seconds of air a second; `None` for as fast as it goes.
    pub pace: Option<f64>,
}

/// Something that the server noticed, for its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Noticed {
    /// A client took a place.
    Joined(u16),
    /// A radio has left: its client is done, or gone.
    Left {
        /// The radio.
        radio: u16,
        /// Why, when it did not say goodbye.
        reason: Option<String>,
    },
    /// A connection was refused.
    Refused(String),
}

/// One run: every radio comes once and leaves.
struct Shared {
    seats: Mutex<Seats>,
    options: ServeOptions,
    /// When the first sample was handed out.
    begun: OnceLock<Instant>,
    pumps: Mutex<Vec<JoinHandle<()>>>,
    /// Connections that have not said hello.
    pending: Mutex<Pending<Stream>>,
    noticed: Arc<dyn Fn(Noticed) + Send + Sync>,
}

/// An air that listens for its radios.
pub struct AirServer {
    listener: Listener,
    options: ServeOptions,
    noticed: Arc<dyn Fn(Noticed) + Send + Sync>,
}

impl AirServer {
    /// Listens at `address`; `noticed` is told what happens, from any thread.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub fn bind(
        address: &Address,
        options: ServeOptions,
        noticed: impl Fn(Noticed) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Ok(AirServer { listener: address.listen()?, options, noticed: Arc::new(noticed) })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> io::Result<Address> {
        self.listener.address()
    }

    /// Serves the clients of `places` until every radio has left, or `stop` says so; all connections are closed then.
    ///
    /// A connection for which the system has no room is refused, and serving goes on. A radio that has left does not come
    /// back to this run; `again` says that another run follows, and its client is told to ask again.
    pub fn run(&self, places: Vec<Place>, again: bool, mut stop: impl FnMut() -> bool) {
        let shared = Arc::new(Shared {
            seats: Mutex::new(Seats::new(places, again)),
            options: self.options.clone(),
            begun: OnceLock::new(),
            pumps: Mutex::new(Vec::new()),
            pending: Mutex::new(Pending::new(MAX_PENDING)),
            noticed: Arc::clone(&self.noticed),
        });
        let mut waiting = Waiting::new();
        let mut goodbye = GOODBYE;
        for number in 0.. {
            if stop() {
                goodbye = GOODBYE_STOPPED;
                break;
            }
            if shared.seats().all_left() {
                break;
            }
            let missing = shared.seats().missing();
            if !missing.is_empty() {
                waiting.say(|| {
                    format!("the air stands still until these are there: {}", missing.join(", "))
                });
            }
            shared.drop_silent();
            let accepted = self.listener.accept().and_then(|stream| {
                let Some(stream) = stream else { return Ok(false) };
                shared.wait_for_hello(number, &stream)?;
                let shared = Arc::clone(&shared);
                std::thread::Builder::new().spawn(move || serve(&shared, number, stream))?;
                Ok(true)
            });
            match accepted {
                Ok(true) => {}
                Ok(false) => std::thread::sleep(TICK),
                // Its client has gone before it was accepted.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    shared.has_said_hello(number);
                    (shared.noticed)(Noticed::Refused(error.to_string()));
                    std::thread::sleep(BACK_OFF);
                }
            }
        }
        shared.seats().silence();
        shared.wait_for_pumps(goodbye);
        shared.seats().close();
    }
}

impl Shared {
    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending(&self) -> MutexGuard<'_, Pending<Stream>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a new connection. When too many are silent one is dropped: a hello takes milliseconds.
    fn wait_for_hello(&self, number: u64, stream: &Stream) -> io::Result<()> {
        let other = self.pending().add(number, stream.from(), stream.another()?);
        if let Some(other) = other {
            refuse(&other, "too many connections wait to say hello");
        }
        Ok(())
    }

    /// Drops connections that have been silent, or dripping, for too long.
    fn drop_silent(&self) {
        let mut pending = self.pending();
        while let Some(oldest) = pending.overdue(HELLO_TIMEOUT) {
            refuse(&oldest, "no hello in time");
        }
    }

    fn has_said_hello(&self, number: u64) {
        self.pending().remove(number);
    }

    /// Lets the clients have their last messages; one that does not read them is not waited for.
    fn wait_for_pumps(&self, at_most: Duration) {
        let begin = Instant::now();
        let pumps = std::mem::take(&mut *self.pumps.lock().unwrap_or_else(PoisonError::into_inner));
        while begin.elapsed() < at_most && !pumps.iter().all(JoinHandle::is_finished) {
            std::thread::sleep(TICK);
        }
    }

    /// Gives a place, or a part of one, to a client.
    fn claim(&self, hello: &Hello, stream: &Stream) -> Result<Claimed, Denied> {
        if hello.version != VERSION {
            return Err(format!("this air speaks version {VERSION}, not {}", hello.version).into());
        }
        if let (Some(mine), Some(theirs)) = (self.options.run, hello.run) {
            if mine.seed != theirs.seed {
                let (mine, theirs) = (mine.seed, theirs.seed);
                return Err(format!("the seed of this air is {mine}, not {theirs}").into());
            }
            if mine.scenario != theirs.scenario {
                return Err("this air has another scenario".to_owned().into());
            }
        }
        self.seats().claim(hello, stream)
    }

    /// The pump of a place, once, when every part of it is taken.
    fn pump(&self, number: u16) -> io::Result<Option<Pump>> {
        let complete = self.seats().complete(number)?;
        let buffered = |stream| BufWriter::with_capacity(BUFFER_BYTES, stream);
        Ok(complete.map(|Complete { radio, samples, wire }| Pump {
            radio,
            samples: buffered(samples),
            wire: wire.map(buffered),
        }))
    }

    /// The radio is gone for good.
    fn left(&self, number: u16, reason: Option<String>) {
        let news = self.seats().leave(number, reason.as_deref());
        if news {
            (self.noticed)(Noticed::Left { radio: number, reason });
        }
    }

    /// Holds the air back to its pace.
    fn pace(&self, to: AirTime) {
        let Some(pace) = self.options.pace else { return };
        let begun = *self.begun.get_or_init(Instant::now);
        let due = begun + Duration::from_secs_f64(to as f64 / SAMPLE_RATE_HZ / pace);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

/// One connection, to its end.
fn serve(shared: &Arc<Shared>, connection: u64, mut stream: Stream) {
    let (mut buffer, mut emitter) = (Vec::new(), Emitter::default());
    let greeted = greet(shared, &mut stream, &mut buffer);
    shared.has_said_hello(connection);
    let (hello, claimed) = match greeted {
        Ok(claimed) => claimed,
        Err(Denied::For(reason)) => {
            refuse(&stream, &reason);
            (shared.noticed)(Noticed::Refused(reason));
            return;
        }
        Err(Denied::Now(reason)) => return dismiss(&stream, &FromServer::NotYet(reason)),
    };
    let number = claimed.number;
    let welcome = FromServer::Welcome { version: VERSION, receiver: claimed.receiver };
    let begun = stream.write_all(emitter.server(&welcome)).and_then(|()| shared.pump(number));
    let ended = match begun {
        Ok(pump) => {
            if let Some(pump) = pump {
                (shared.noticed)(Noticed::Joined(number));
                let of_pump = Arc::clone(shared);
                let pump = std::thread::spawn(move || pump.run(&of_pump, number));
                shared.pumps.lock().unwrap_or_else(PoisonError::into_inner).push(pump);
            }
            let mut reader = BufReader::with_capacity(BUFFER_BYTES, &mut stream);
            listen(&mut reader, &mut buffer, hello.part, &claimed.tx)
        }
        Err(error) => Err(error.to_string()),
    };
    match ended {
        Ok(()) if hello.part == Part::Wire => return, // its radio goes on
        Ok(()) => shared.left(number, None),
        Err(reason) => shared.left(number, Some(reason)),
    }
    if !shared.seats().has_pump(number) {
        let _ = stream.write_all(emitter.server(&shared.seats().goodbye(number))); // it may be gone
        stream.close();
    }
}

/// Tells a client why it is not taken, and closes.
fn refuse(stream: &Stream, reason: &str) {
    dismiss(stream, &FromServer::Refused(reason.to_owned()));
}

/// Says a last word, and closes; a client that does not read is not waited for.
fn dismiss(stream: &Stream, word: &FromServer) {
    let mut emitter = Emitter::default();
    if let Ok(mut stream) = stream.another() {
        let _ = stream.write_timeout(Some(TICK));
        let _ = stream.write_all(emitter.server(word));
    }
    stream.close();
}

/// The client's first message, and the place that it is given.
fn greet(
    shared: &Shared,
    stream: &mut Stream,
    buffer: &mut Vec<u8>,
) -> Result<(Hello, Claimed), Denied> {
    let text = |error: io::Error| Denied::For(error.to_string());
    stream.read_timeout(Some(HELLO_TIMEOUT)).map_err(text)?;
    if !read_message(stream, buffer, MAX_HELLO_BYTES).map_err(text)? {
        return Err("closed before it said hello".to_owned().into());
    }
    let FromRadio::Hello(hello) = FromRadio::parse(buffer).map_err(|e| e.to_string())? else {
        return Err("the first message is not a hello".to_owned().into());
    };
    let claimed = shared.claim(&hello, stream)?;
    stream.read_timeout(None).map_err(text)?;
    Ok((hello, claimed))
}

/// Carries out what a client says, until it leaves; the error is why it must.
fn listen(
    stream: &mut impl Read,
    buffer: &mut Vec<u8>,
    part: Part,
    tx: &RadioTx<WireBytes>,
) -> Result<(), String> {
    loop {
        match read_message(stream, buffer, MAX_MESSAGE_BYTES) {
            Ok(true) => {}
            Ok(false) => return Err("its connection was closed".to_owned()),
            Err(error) => return Err(error.to_string()),
        }
        let message = FromRadio::parse(buffer).map_err(|error| error.to_string())?;
        let (samples, wire) = (part != Part::Wire, part != Part::Samples);
        let done = match message {
            FromRadio::Transmit { start, samples: burst } if samples => {
                let within =
                    |s: &Complex32| s.re.abs() <= MAX_AMPLITUDE && s.im.abs() <= MAX_AMPLITUDE;
                // Not a number is not within either.
                if !burst.iter().all(within) {
                    return Err(format!("a sample beyond an amplitude of {MAX_AMPLITUDE}"));
                }
                tx.send_at(start, burst)
            }
            FromRadio::Listen { from, to } if samples => tx.listen(from, to),
            FromRadio::ListenUntil(at) if samples => tx.listen_until(at),
            FromRadio::Wire { to, arrival, bytes } if wire => tx.wire(to, arrival, bytes),
            FromRadio::Promise(promises) => tx.promise(Promises {
                transmit: if samples { promises.transmit } else { 0 },
                wire: if wire { promises.wire } else { 0 },
                listen: if samples { promises.listen } else { 0 },
            }),
            FromRadio::Leave if samples => return Ok(()),
            FromRadio::Leave => {
                let silent = Promises { wire: AirTime::MAX, ..Promises::default() };
                return tx.promise(silent).map_err(|error| error.to_string());
            }
            FromRadio::Hello(_) => return Err("it said hello twice".to_owned()),
            _ => return Err("a message that does not belong on this connection".to_owned()),
        };
        done.map_err(|error| error.to_string())?;
    }
}

/// Carries what a radio receives to its client.
struct Pump {
    radio: Box<dyn Radio<Wire = WireBytes>>,
    samples: BufWriter<Stream>,
    wire: Option<BufWriter<Stream>>,
}

impl Pump {
    fn run(mut self, shared: &Shared, number: u16) {
        if let Err(reason) = self.carry(shared, number) {
            shared.left(number, Some(reason));
        }
        let end = shared.seats().goodbye(number);
        let mut emitter = Emitter::default();
        for stream in [Some(&mut self.samples), self.wire.as_mut()].into_iter().flatten() {
            let _ = stream.write_all(emitter.server(&end)).and_then(|()| stream.flush());
            stream.get_ref().close(); // a client that is gone has closed it
        }
    }

    fn carry(&mut self, shared: &Shared, number: u16) -> Result<(), String> {
        let mut emitter = Emitter::default();
        let mut alone_from = None;
        let mut buffer = vec![Complex32::ZERO; PIECE];
        loop {
            let received =
                self.radio.try_recv(&mut buffer).map_err(|e: RadioError| e.to_string())?;
            let written = match received {
                Reception::Samples { time, len, last } => {
                    if shared.seats().is_alone(number)
                        && time.saturating_sub(*alone_from.get_or_insert(time)) > MAX_ALONE
                    {
                        return Err("nobody is left in its cell".to_owned());
                    }
                    shared.pace(time + len as AirTime);
                    self.samples.write_all(emitter.received(time, last, &buffer[..len]))
                }
                Reception::Wired(w) => {
                    let (from, arrival, bytes) = (w.from, w.time, w.message);
                    self.tell(&mut emitter, &FromServer::Wired { from, arrival, bytes })
                }
                Reception::WireHorizon(h) => self
                    .tell(&mut emitter, &FromServer::WireHorizon { from: h.from, until: h.until }),
                Reception::Wait(ready) => {
                    let flushed = self.flush();
                    if flushed.is_ok() {
                        Runtime::block_on(ready);
                    }
                    flushed
                }
                Reception::End => return self.flush().map_err(|error| error.to_string()),
            };
            written.map_err(|error| error.to_string())?;
        }
    }

    /// Over the wire's connection if it has one of its own.
    fn tell(&mut self, emitter: &mut Emitter, message: &FromServer) -> io::Result<()> {
        self.wire.as_mut().unwrap_or(&mut self.samples).write_all(emitter.server(message))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.samples.flush()?;
        self.wire.as_mut().map_or(Ok(()), BufWriter::flush)
    }
}
