//! A radio whose air is in another process.

use super::protocol::{
    Emitter, FromRadio, FromServer, Hello, MAX_MESSAGE_BYTES, MAX_SAMPLES, Part, RunId, VERSION,
    read_message,
};
use super::stream::{Address, Stream};
use crate::stop;
use crate::waiting::Waiting;
use async_channel::{Receiver, Sender, TryRecvError};
use crqkd_air::medium::{AirTime, Promises};
use crqkd_blocks::radio::{
    Progress, Radio, RadioError, RadioPort, RadioTx, Reception, WireArrival, WireHorizon,
};
use crqkd_forwarding::WireMessage;
use event_listener::Event;
use futuresdr::num_complex::Complex32;
use std::io::{self, BufReader, BufWriter, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a server that does not listen yet is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two times that a client asks whether the next run has begun.
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// How long it may take to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// Messages that wait to be read; then the server waits.
const WAITING: usize = 16;

/// What is read or written at once: a frame and what belongs to it.
const BUFFER_BYTES: usize = 1 << 16;

/// What both sides of the radio share.
struct Shared {
    name: String,
    stream: Stream,
    writer: Mutex<Writer>,
    arrived: Event,
    left: AtomicBool,
    activity: AtomicU64,
    air_time: AtomicU64,
}

/// The way to the server.
struct Writer {
    stream: BufWriter<Stream>,
    emitter: Emitter,
    /// The radio only receives.
    receiver: bool,
    /// It listens without an end.
    open: bool,
    /// It has announced something since the last flush.
    news: bool,
}

impl Writer {
    /// Writes a message. It may wait in the buffer for the next one when nobody can go on because of it, like the
    /// promise of a receiver whose gates have all been announced.
    fn send(&mut self, message: &FromRadio) -> std::io::Result<()> {
        self.stream.write_all(self.emitter.radio(message))?;
        match message {
            FromRadio::Listen { to, .. } => self.open = *to == AirTime::MAX,
            FromRadio::ListenUntil(_) => self.open = false,
            _ => {}
        }
        let covers = matches!(message, FromRadio::Promise(_) | FromRadio::Leave);
        self.news |= !covers || matches!(message, FromRadio::Leave);
        if covers && (self.news || self.open || !self.receiver) {
            self.news = false;
            self.stream.flush()?;
        }
        Ok(())
    }
}

/// A radio on the air of a server; it has left the air once it is dropped.
pub struct AirClient {
    shared: Arc<Shared>,
    incoming: Receiver<Incoming>,
    /// Received samples, and how many of them were handed out.
    present: Option<(AirTime, bool, Vec<Complex32>, usize)>,
    ended: bool,
}

type Incoming = Result<FromServer, String>;

impl AirClient {
    /// Takes the place of radio number `radio` on the air at `address`. When the radio has left a run that is still going on,
    /// the next one is waited for.
    ///
    /// # Errors
    /// When there is no server, or it refuses: the reason is the server's. When the process is asked to end while it waits.
    pub fn join(
        address: &Address,
        radio: u16,
        part: Part,
        run: Option<RunId>,
    ) -> Result<Self, RadioError> {
        let name = format!("air {address}");
        let failed = |reason: String| RadioError::Device { name: name.clone(), reason };
        let io = |error: std::io::Error| failed(error.to_string());
        let hello = Hello { version: VERSION, part, radio, run };
        let (mut emitter, mut buffer) = (Emitter::default(), Vec::new());
        let mut waiting = Waiting::new();
        let (stream, receiver) = loop {
            let mut stream = address.connect(PATIENCE).map_err(io)?;
            match greet(&mut stream, &hello, &mut emitter, &mut buffer).map_err(failed)? {
                FromServer::Welcome { version: VERSION, receiver } => break (stream, receiver),
                FromServer::Welcome { version, .. } => {
                    return Err(failed(format!("speaks version {version}, not {VERSION}")));
                }
                FromServer::NotYet(reason) if !stop::requested() => {
                    waiting.say(|| format!("{name}: {reason}"));
                    std::thread::sleep(ASK_AGAIN);
                }
                FromServer::Refused(reason) | FromServer::NotYet(reason) => {
                    return Err(failed(reason));
                }
                other => return Err(failed(format!("answered with {}", kind(&other)))),
            }
        };
        stream.read_timeout(None).map_err(io)?;
        let (sender, incoming) = async_channel::bounded(WAITING);
        let stream_to = BufWriter::with_capacity(BUFFER_BYTES, stream.another().map_err(io)?);
        let writer = Writer { stream: stream_to, emitter, receiver, open: false, news: false };
        let reader = stream.another().map_err(io)?;
        let shared = Arc::new(Shared {
            name,
            stream,
            writer: Mutex::new(writer),
            arrived: Event::new(),
            left: AtomicBool::new(false),
            activity: AtomicU64::new(0),
            air_time: AtomicU64::new(0),
        });
        let of_reader = Arc::clone(&shared);
        std::thread::spawn(move || read(&of_reader, reader, buffer, &sender));
        Ok(AirClient { shared, incoming, present: None, ended: false })
    }

    /// The transmitting side.
    pub fn handle(&self) -> RadioTx<WireMessage> {
        RadioTx::new(ClientPort(Arc::clone(&self.shared)))
    }

    /// Shows whether the air moves.
    pub fn progress(&self) -> Arc<dyn Progress> {
        Arc::new(ClientPort(Arc::clone(&self.shared)))
    }

    /// The next message, if one is there.
    fn next(&mut self) -> Result<Option<FromServer>, RadioError> {
        match self.incoming.try_recv() {
            Ok(Ok(message)) => Ok(Some(message)),
            Ok(Err(reason)) => Err(self.shared.failed(reason)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Closed) => Err(self.shared.failed("closed the connection".into())),
        }
    }

    fn play(&mut self, out: &mut [Complex32]) -> Option<Reception<WireMessage>> {
        let (time, last, samples, played) = self.present.as_mut()?;
        let from = *time + *played as AirTime;
        let len = out.len().min(samples.len() - *played);
        out[..len].copy_from_slice(&samples[*played..*played + len]);
        *played += len;
        let done = *played == samples.len();
        let last = done && *last;
        if done {
            self.present = None;
        }
        self.shared.air_time.fetch_max(from + len as AirTime, Ordering::Relaxed);
        Some(Reception::Samples { time: from, len, last })
    }
}

impl Radio for AirClient {
    type Wire = WireMessage;

    fn try_recv(&mut self, out: &mut [Complex32]) -> Result<Reception<WireMessage>, RadioError> {
        loop {
            if self.ended {
                return Ok(Reception::End);
            }
            if let Some(samples) = self.play(out) {
                return Ok(samples);
            }
            let arrived = self.shared.arrived.listen();
            let Some(message) = self.next()? else {
                return Ok(Reception::Wait(Box::pin(arrived)));
            };
            match message {
                FromServer::Samples { time, last, samples } => {
                    self.present = Some((time, last, samples, 0));
                }
                FromServer::Wired { from, arrival, bytes } => {
                    let message = WireMessage::parse(&bytes).map_err(|error| {
                        self.shared.failed(format!("wired message from radio {from}: {error}"))
                    })?;
                    return Ok(Reception::Wired(WireArrival { time: arrival, from, message }));
                }
                FromServer::WireHorizon { from, until } => {
                    return Ok(Reception::WireHorizon(WireHorizon { from, until }));
                }
                FromServer::End => self.ended = true,
                FromServer::Failed(reason) => return Err(self.shared.failed(reason)),
                FromServer::Welcome { .. } | FromServer::Refused(_) | FromServer::NotYet(_) => {
                    let reason = format!("sent {} in the middle", kind(&message));
                    return Err(self.shared.failed(reason));
                }
            }
        }
    }

    fn leave(&mut self) {
        ClientPort(Arc::clone(&self.shared)).leave();
    }
}

impl Drop for AirClient {
    fn drop(&mut self) {
        self.leave();
        self.shared.stream.close(); // ends the reader thread too
    }
}

/// Says hello; the server's answer.
fn greet(
    stream: &mut Stream,
    hello: &Hello,
    emitter: &mut Emitter,
    buffer: &mut Vec<u8>,
) -> Result<FromServer, String> {
    let text = |error: io::Error| error.to_string();
    stream.write_all(emitter.radio(&FromRadio::Hello(hello.clone()))).map_err(text)?;
    stream.read_timeout(Some(ANSWER)).map_err(text)?;
    if !read_message(stream, buffer, MAX_MESSAGE_BYTES).map_err(text)? {
        return Err("closed the connection".to_owned());
    }
    FromServer::parse(buffer).map_err(|error| error.to_string())
}

/// Takes messages off the stream; ends with the stream, or when nobody wants them any more.
fn read(shared: &Shared, stream: Stream, mut buffer: Vec<u8>, sender: &Sender<Incoming>) {
    let mut stream = BufReader::with_capacity(BUFFER_BYTES, stream);
    loop {
        let message = match read_message(&mut stream, &mut buffer, MAX_MESSAGE_BYTES) {
            Ok(true) => FromServer::parse(&buffer).map_err(|error| error.to_string()),
            Ok(false) => Err("closed the connection".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let over = matches!(message, Err(_) | Ok(FromServer::End | FromServer::Failed(_)));
        shared.activity.fetch_add(1, Ordering::Relaxed);
        let sent = sender.send_blocking(message);
        shared.arrived.notify(usize::MAX);
        if over || sent.is_err() {
            return;
        }
    }
}

fn kind(message: &FromServer) -> &'static str {
    match message {
        FromServer::Welcome { .. } => "a welcome",
        FromServer::Refused(_) => "a refusal",
        FromServer::Samples { .. } => "samples",
        FromServer::Wired { .. } => "a wired message",
        FromServer::WireHorizon { .. } => "a wire's horizon",
        FromServer::End => "the end",
        FromServer::Failed(_) => "a failure",
        FromServer::NotYet(_) => "a request to wait",
    }
}

impl Shared {
    fn failed(&self, reason: String) -> RadioError {
        RadioError::Device { name: self.name.clone(), reason }
    }

    fn send(&self, message: &FromRadio) -> Result<(), RadioError> {
        if self.left.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        match writer.send(message) {
            // The receiving side finds out how the air ended; its last word may have come already.
            Err(error) if is_gone(&error) => {
                self.left.store(true, Ordering::Release);
                Ok(())
            }
            sent => sent.map_err(|error| self.failed(error.to_string())),
        }
    }
}

/// The server has closed the connection.
fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset)
}

struct ClientPort(Arc<Shared>);

impl RadioPort<WireMessage> for ClientPort {
    fn send_at(&self, time: AirTime, burst: Vec<Complex32>) -> Result<(), RadioError> {
        if burst.len() > MAX_SAMPLES {
            let samples = burst.len();
            return Err(self.0.failed(format!("a burst of {samples} samples is too long")));
        }
        self.0.send(&FromRadio::Transmit { start: time, samples: burst })
    }

    fn promise(&self, promises: Promises) -> Result<(), RadioError> {
        self.0.send(&FromRadio::Promise(promises))
    }

    fn listen(&self, from: AirTime, to: AirTime) -> Result<(), RadioError> {
        self.0.send(&FromRadio::Listen { from, to })
    }

    fn listen_until(&self, at: AirTime) -> Result<(), RadioError> {
        self.0.send(&FromRadio::ListenUntil(at))
    }

    fn wire(&self, to: u16, arrival: AirTime, message: WireMessage) -> Result<(), RadioError> {
        self.0.send(&FromRadio::Wire { to, arrival, bytes: message.emit() })
    }

    fn leave(&self) {
        let _ = self.0.send(&FromRadio::Leave); // a server that is gone knows
        self.0.left.store(true, Ordering::Release);
    }
}

impl Progress for ClientPort {
    fn activity(&self) -> u64 {
        self.0.activity.load(Ordering::Relaxed)
    }

    fn air_time(&self) -> AirTime {
        self.0.air_time.load(Ordering::Relaxed)
    }

    fn describe(&self) -> String {
        format!("{} has sent nothing new at air time {}", self.0.name, self.air_time())
    }
}
