//! The air protocol: what a radio and the server of a virtual air say to each other.
//!
//! `docs/air-protocol.md` is the reference. A message is a length (32 bits, of what follows), a kind (8 bits) and a
//! body; numbers are little-endian, samples are pairs of 32-bit floats. Everything that arrives is taken for hostile:
//! a length beyond the limit ends the connection before memory is taken, and a body must have exactly its length.

use crqkd_air::medium::{AirTime, Promises};
use num_complex::Complex32;
use std::io::{self, Read};
use thiserror::Error;

/// Version of the protocol; both sides must have the same.
pub const VERSION: u16 = 1;
/// Longest burst, and longest piece of received samples.
pub const MAX_SAMPLES: usize = 1 << 16;
/// Longest message on the wire between access points.
pub const MAX_WIRE_BYTES: usize = 1 << 16;
/// Longest reason in [`FromServer::Refused`], [`FromServer::Failed`] and [`FromServer::NotYet`].
pub const MAX_REASON_BYTES: usize = 1 << 10;
/// Bytes of a complex sample.
const SAMPLE_BYTES: usize = 8;
/// Longest message without its length.
pub const MAX_MESSAGE_BYTES: usize = 1 + 16 + SAMPLE_BYTES * MAX_SAMPLES;
/// Longest message that a client may send before it was welcomed.
pub const MAX_HELLO_BYTES: usize = 64;

/// What of a radio's place a connection takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Samples and wired messages.
    Whole,
    /// Samples only: the wired messages go over another connection.
    Samples,
    /// Wired messages only.
    Wire,
}

/// The first message of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Version of the protocol.
    pub version: u16,
    /// What it wants of the place.
    pub part: Part,
    /// The radio's number: 1 and 2 access points, 101 and 102 users, 201 and 202 eavesdroppers.
    pub radio: u16,
    /// The simulation that the client is part of; `None` for a radio that does not care.
    pub run: Option<RunId>,
}

/// Names a simulation: all processes of one run must agree in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunId {
    /// The seed.
    pub seed: u64,
    /// SHA-256 of the resolved scenario.
    pub scenario: [u8; 32],
}

/// From a radio to the server.
#[derive(Clone, Debug, PartialEq)]
pub enum FromRadio {
    /// Comes first, once.
    Hello(Hello),
    /// A burst.
    Transmit {
        /// Air time of the first sample.
        start: AirTime,
        /// Unit-power samples.
        samples: Vec<Complex32>,
    },
    /// The lock step's promises; none goes back.
    Promise(Promises),
    /// Listen to `[from, to)`.
    Listen {
        /// First sample.
        from: AirTime,
        /// After the last one; `AirTime::MAX` for no end yet.
        to: AirTime,
    },
    /// Ends an open stretch of listening.
    ListenUntil(AirTime),
    /// A message for another access point.
    Wire {
        /// Number of the radio whose access point the message is for.
        to: u16,
        /// Air time of arrival.
        arrival: AirTime,
        /// The message; opaque to the air.
        bytes: Vec<u8>,
    },
    /// Nothing more will come; the radio counts as silent.
    Leave,
}

/// From the server to a radio.
#[derive(Clone, Debug, PartialEq)]
pub enum FromServer {
    /// The place is the client's.
    Welcome {
        /// Version of the protocol.
        version: u16,
        /// The radio only receives.
        receiver: bool,
    },
    /// The place is not the client's; the connection ends.
    Refused(String),
    /// Received samples.
    Samples {
        /// Air time of the first one.
        time: AirTime,
        /// The radio does not listen after them.
        last: bool,
        /// The samples, at least one.
        samples: Vec<Complex32>,
    },
    /// A wired message.
    Wired {
        /// Radio number of the sender.
        from: u16,
        /// Air time at which it takes effect.
        arrival: AirTime,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Every message of `from` that arrives before `until` was handed over.
    WireHorizon {
        /// Radio number of the sender.
        from: u16,
        /// Every message that arrives before this air time was handed over.
        until: AirTime,
    },
    /// Nothing more will come.
    End,
    /// The radio has broken the lock step, or its samples cannot be had; the connection ends.
    Failed(String),
    /// The place is free again in the next run, when this one is over; the connection ends, and the client asks again.
    NotYet(String),
}

/// Bytes that are not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ParseError {
    /// The message is longer than any may be.
    #[error("a message of {length} bytes, at most {max} are allowed")]
    TooLong {
        /// Length of the message in bytes.
        length: usize,
        /// The limit.
        max: usize,
    },
    /// The body ends too early or too late.
    #[error("a message of kind {kind} with {length} bytes has a field that does not fit")]
    WrongLength {
        /// Number of the kind that was received.
        kind: u8,
        /// Length of the message.
        length: usize,
    },
    /// No message has this kind.
    #[error("no message has the kind {0}")]
    UnknownKind(u8),
    /// A field has a value that none may have.
    #[error("message of kind {kind}: {field} is {value}")]
    BadValue {
        /// Kind of the message.
        kind: u8,
        /// The field.
        field: &'static str,
        /// The value that the field has.
        value: u64,
    },
}

impl From<ParseError> for io::Error {
    fn from(error: ParseError) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

/// The bytes of a message, in a buffer that is used again.
#[derive(Debug, Default)]
pub struct Emitter {
    bytes: Vec<u8>,
}

impl Emitter {
    fn begin(&mut self, kind: u8) -> &mut Self {
        self.bytes.clear();
        self.bytes.extend([0, 0, 0, 0, kind]);
        self
    }

    fn number(&mut self, value: impl Into<u64>, bytes: usize) -> &mut Self {
        self.bytes.extend(&value.into().to_le_bytes()[..bytes]);
        self
    }

    fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend(bytes);
        self
    }

    fn samples(&mut self, samples: &[Complex32]) -> &mut Self {
        let at = self.bytes.len();
        self.bytes.resize(at + SAMPLE_BYTES * samples.len(), 0);
        for (place, sample) in self.bytes[at..].chunks_exact_mut(SAMPLE_BYTES).zip(samples) {
            place[..4].copy_from_slice(&sample.re.to_le_bytes());
            place[4..].copy_from_slice(&sample.im.to_le_bytes());
        }
        self
    }

    fn end(&mut self) -> &[u8] {
        let length = (self.bytes.len() - 4) as u32;
        self.bytes[..4].copy_from_slice(&length.to_le_bytes());
        &self.bytes
    }

    /// The message with its length.
    pub fn radio(&mut self, message: &FromRadio) -> &[u8] {
        match message {
            FromRadio::Hello(hello) => {
                let part = match hello.part {
                    Part::Whole => 0u8,
                    Part::Samples => 1,
                    Part::Wire => 2,
                };
                self.begin(1).number(hello.version, 2).number(part, 1).number(hello.radio, 2);
                if let Some(run) = &hello.run {
                    self.number(run.seed, 8).raw(&run.scenario);
                }
                self
            }
            FromRadio::Transmit { start, samples } => self.transmit(*start, samples),
            FromRadio::Promise(p) => {
                self.begin(3).number(p.transmit, 8).number(p.wire, 8).number(p.listen, 8)
            }
            FromRadio::Listen { from, to } => self.begin(4).number(*from, 8).number(*to, 8),
            FromRadio::ListenUntil(at) => self.begin(5).number(*at, 8),
            FromRadio::Wire { to, arrival, bytes } => {
                self.begin(6).number(*to, 2).number(*arrival, 8).raw(bytes)
            }
            FromRadio::Leave => self.begin(7),
        }
        .end()
    }

    fn transmit(&mut self, start: AirTime, samples: &[Complex32]) -> &mut Self {
        self.begin(2).number(start, 8).samples(samples)
    }

    /// The message with its length.
    pub fn server(&mut self, message: &FromServer) -> &[u8] {
        match message {
            FromServer::Welcome { version, receiver } => {
                self.begin(1).number(*version, 2).number(*receiver, 1).end()
            }
            FromServer::Refused(reason) => self.begin(2).raw(cut(reason)).end(),
            FromServer::Samples { time, last, samples } => self.received(*time, *last, samples),
            FromServer::Wired { from, arrival, bytes } => {
                self.begin(4).number(*from, 2).number(*arrival, 8).raw(bytes).end()
            }
            FromServer::WireHorizon { from, until } => {
                self.begin(5).number(*from, 2).number(*until, 8).end()
            }
            FromServer::End => self.begin(6).end(),
            FromServer::Failed(reason) => self.begin(7).raw(cut(reason)).end(),
            FromServer::NotYet(reason) => self.begin(8).raw(cut(reason)).end(),
        }
    }

    /// [`FromServer::Samples`] from a slice.
    pub fn received(&mut self, time: AirTime, last: bool, samples: &[Complex32]) -> &[u8] {
        self.begin(3).number(time, 8).number(last, 1).samples(samples).end()
    }
}

/// As much of a text as a message holds.
fn cut(reason: &str) -> &[u8] {
    let mut end = reason.len().min(MAX_REASON_BYTES);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason.as_bytes()[..end]
}

/// Takes fields off a body; every length is checked.
struct Fields<'a> {
    kind: u8,
    length: usize,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The kind, and the fields behind it.
    fn of(message: &'a [u8]) -> Result<Self, ParseError> {
        match message {
            [kind, rest @ ..] => Ok(Fields { kind: *kind, length: message.len(), rest }),
            [] => Err(ParseError::WrongLength { kind: 0, length: 0 }),
        }
    }

    fn wrong_length(&self) -> ParseError {
        ParseError::WrongLength { kind: self.kind, length: self.length }
    }

    fn number(&mut self, bytes: usize) -> Result<u64, ParseError> {
        let (field, rest) = self.rest.split_at_checked(bytes).ok_or(self.wrong_length())?;
        self.rest = rest;
        let mut value = [0; 8];
        value[..bytes].copy_from_slice(field);
        Ok(u64::from_le_bytes(value))
    }

    fn short(&mut self) -> Result<u16, ParseError> {
        Ok(self.number(2)? as u16)
    }

    fn flag(&mut self, field: &'static str) -> Result<bool, ParseError> {
        match self.number(1)? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(ParseError::BadValue { kind: self.kind, field, value }),
        }
    }

    /// The rest, at most `max` bytes.
    fn bytes(&mut self, max: usize) -> Result<&'a [u8], ParseError> {
        if self.rest.len() > max {
            return Err(ParseError::TooLong { length: self.rest.len(), max });
        }
        Ok(std::mem::take(&mut self.rest))
    }

    /// The rest as text; what is not UTF-8 is replaced.
    fn text(&mut self) -> Result<String, ParseError> {
        Ok(String::from_utf8_lossy(self.bytes(MAX_REASON_BYTES)?).into_owned())
    }

    /// The rest as samples, at least one; each must be a number.
    fn samples(&mut self) -> Result<Vec<Complex32>, ParseError> {
        let bytes = self.bytes(SAMPLE_BYTES * MAX_SAMPLES)?;
        if bytes.is_empty() || bytes.len() % SAMPLE_BYTES != 0 {
            return Err(self.wrong_length());
        }
        let part = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        let samples: Vec<Complex32> = bytes
            .chunks_exact(SAMPLE_BYTES)
            .map(|b| Complex32::new(part(&b[..4]), part(&b[4..])))
            .collect();
        // Without an early end, so that it becomes vector code.
        let all = samples.iter().fold(true, |ok, s| ok & s.re.is_finite() & s.im.is_finite());
        if !all {
            let bits = samples.iter().find(|s| !s.re.is_finite() || !s.im.is_finite());
            let value = bits.map_or(0, |s| u64::from(s.re.to_bits()));
            return Err(ParseError::BadValue { kind: self.kind, field: "a sample", value });
        }
        Ok(samples)
    }

    fn done<T>(self, message: T) -> Result<T, ParseError> {
        if self.rest.is_empty() { Ok(message) } else { Err(self.wrong_length()) }
    }
}

impl FromRadio {
    /// Reads a message without its length.
    ///
    /// # Errors
    /// What does not fit.
    pub fn parse(message: &[u8]) -> Result<Self, ParseError> {
        let mut f = Fields::of(message)?;
        let parsed = match f.kind {
            1 => FromRadio::Hello(Hello::parse(&mut f)?),
            2 => FromRadio::Transmit { start: f.number(8)?, samples: f.samples()? },
            3 => FromRadio::Promise(Promises {
                transmit: f.number(8)?,
                wire: f.number(8)?,
                listen: f.number(8)?,
            }),
            4 => FromRadio::Listen { from: f.number(8)?, to: f.number(8)? },
            5 => FromRadio::ListenUntil(f.number(8)?),
            6 => FromRadio::Wire {
                to: f.short()?,
                arrival: f.number(8)?,
                bytes: f.bytes(MAX_WIRE_BYTES)?.to_vec(),
            },
            7 => FromRadio::Leave,
            kind => return Err(ParseError::UnknownKind(kind)),
        };
        f.done(parsed)
    }
}

impl Hello {
    fn parse(f: &mut Fields<'_>) -> Result<Self, ParseError> {
        let version = f.short()?;
        let part = match f.number(1)? {
            0 => Part::Whole,
            1 => Part::Samples,
            2 => Part::Wire,
            value => return Err(ParseError::BadValue { kind: f.kind, field: "part", value }),
        };
        let radio = f.short()?;
        let run = if f.rest.is_empty() {
            None
        } else {
            let seed = f.number(8)?;
            let mut scenario = [0; 32];
            for byte in &mut scenario {
                *byte = f.number(1)? as u8;
            }
            Some(RunId { seed, scenario })
        };
        Ok(Hello { version, part, radio, run })
    }
}

impl FromServer {
    /// Reads a message without its length.
    ///
    /// # Errors
    /// What does not fit.
    pub fn parse(message: &[u8]) -> Result<Self, ParseError> {
        let mut f = Fields::of(message)?;
        let parsed = match f.kind {
            1 => FromServer::Welcome { version: f.short()?, receiver: f.flag("receiver")? },
            2 => FromServer::Refused(f.text()?),
            3 => FromServer::Samples {
                time: f.number(8)?,
                last: f.flag("last")?,
                samples: f.samples()?,
            },
            4 => FromServer::Wired {
                from: f.short()?,
                arrival: f.number(8)?,
                bytes: f.bytes(MAX_WIRE_BYTES)?.to_vec(),
            },
            5 => FromServer::WireHorizon { from: f.short()?, until: f.number(8)? },
            6 => FromServer::End,
            7 => FromServer::Failed(f.text()?),
            8 => FromServer::NotYet(f.text()?),
            kind => return Err(ParseError::UnknownKind(kind)),
        };
        f.done(parsed)
    }
}

/// Reads the bytes of one message into `buffer`, without its length; `false` at the end of the stream.
///
/// # Errors
/// When the stream fails or ends inside a message, or the message is longer than `max`.
pub fn read_message(stream: &mut impl Read, buffer: &mut Vec<u8>, max: usize) -> io::Result<bool> {
    let mut length = [0; 4];
    let mut have = 0;
    while have < length.len() {
        match stream.read(&mut length[have..]) {
            Ok(0) if have == 0 => return Ok(false),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => have += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > max {
        return Err(ParseError::TooLong { length, max }.into());
    }
    buffer.resize(length, 0);
    stream.read_exact(buffer)?;
    Ok(true)
}
