//! Whole messages over a stream: four bytes of length, then the bytes. Every wait has an end, and every message a limit.

use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::stop;

/// A message that is under way may take this long a byte beside the time for its beginning.
const SLOWEST: Duration = Duration::from_micros(15); // 64 KiB a second

/// Between two looks at whether the process is to end.
const LOOK: Duration = Duration::from_millis(100);

/// How long silence is borne when it is: less than [`stop::GRACE`], so that there is time for a report.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// Memory is taken in such steps while a message comes in: it grows with what arrives, not with what is announced.
const STEP: usize = 1 << 16;

/// One end of a connection.
#[derive(Debug)]
pub struct Frames {
    read: BufReader<TcpStream>,
    write: TcpStream,
    timeout: Duration,
    /// Bytes sent and received, lengths included.
    bytes: u64,
}

impl Frames {
    /// Both directions of a connection on which silence of `timeout` is the end. Small messages are sent at once.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn new(stream: TcpStream, timeout: Duration) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        let read = BufReader::with_capacity(STEP, stream.try_clone()?);
        Ok(Self { read, write: stream, timeout, bytes: 0 })
    }

    /// The same connection with another limit on silence.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// The limit on silence.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends a message.
    ///
    /// # Errors
    /// A message that is too long, a broken connection, or a far end that does not take it in.
    pub fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let length = u32::try_from(message.len())
            .map_err(|_| io::Error::other(format!("a message of {} bytes", message.len())))?;
        // One write for both parts, so that no packet waits for the other.
        let mut frame = Vec::with_capacity(message.len() + 4);
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(message);
        self.bytes += frame.len() as u64;
        let deadline = Instant::now() + self.timeout + SLOWEST * length;
        let mut rest = &frame[..];
        while !rest.is_empty() {
            self.write.set_write_timeout(Some(left(deadline)?))?;
            match self.write.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(sent) => rest = &rest[sent..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(late(error)),
            }
        }
        Ok(())
    }

    /// Waits for a message of at most `limit` bytes.
    ///
    /// # Errors
    /// A message that is announced longer, a broken connection, or silence.
    pub fn receive(&mut self, limit: usize) -> io::Result<Vec<u8>> {
        self.receive_by(limit, Instant::now() + self.timeout)
    }

    /// The same with a time by which the message must begin.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub fn receive_by(&mut self, limit: usize, deadline: Instant) -> io::Result<Vec<u8>> {
        let mut length = [0u8; 4];
        self.read_by(&mut length, deadline)?;
        let announced = u32::from_be_bytes(length);
        let length = announced as usize;
        if length > limit {
            let text = format!("a message of {length} bytes announced, at most {limit} may come");
            return Err(io::Error::new(ErrorKind::InvalidData, text));
        }
        let deadline = deadline + SLOWEST * announced;
        let mut message = Vec::with_capacity(length.min(STEP));
        while message.len() < length {
            let from = message.len();
            message.resize(length.min(from + STEP), 0);
            self.read_by(&mut message[from..], deadline)?;
        }
        self.bytes += length as u64 + 4;
        Ok(message)
    }

    fn read_by(&mut self, into: &mut [u8], deadline: Instant) -> io::Result<()> {
        let (mut at, mut stopped) = (0, None::<Instant>);
        while at < into.len() {
            if self.read.buffer().is_empty() {
                self.write.set_read_timeout(Some(left(deadline)?.min(LOOK)))?;
            }
            match self.read.read(&mut into[at..]) {
                Ok(0) => {
                    return Err(io::Error::new(
                        ErrorKind::UnexpectedEof,
                        "the other end closed the connection",
                    ));
                }
                Ok(found) => at += found,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    // What the other end sends at once may still end a block well.
                    if stop::requested()
                        && stopped.get_or_insert_with(Instant::now).elapsed() > LAST_WORDS
                    {
                        return Err(io::Error::other("stopped while waiting for the other end"));
                    }
                }
                Err(error) => return Err(late(error)),
            }
        }
        Ok(())
    }

    /// Whether the far end has closed the connection, as far as is known without waiting.
    pub fn is_closed(&self) -> bool {
        if !self.read.buffer().is_empty() {
            return false;
        }
        let look = || {
            self.write.set_read_timeout(Some(Duration::from_millis(1)))?;
            self.write.peek(&mut [0])
        };
        match look() {
            Ok(found) => found == 0,
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }

    /// Something that ends the connection when it is dropped, whoever waits on it.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn closer(&self) -> io::Result<Closer> {
        Ok(Closer(self.write.try_clone()?))
    }

    /// Bytes sent and received so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(late(ErrorKind::TimedOut.into())) } else { Ok(left) }
}

/// A time that is over, said as that.
fn late(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            io::Error::new(ErrorKind::TimedOut, "the other end was silent for too long")
        }
        _ => error,
    }
}

/// Ends a connection when it is dropped.
#[derive(Debug)]
pub struct Closer(TcpStream);

impl Drop for Closer {
    fn drop(&mut self) {
        // It may be closed already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const SOON: Duration = Duration::from_millis(200);

    /// A raw stream and the frames at its other end.
    fn pair() -> (TcpStream, Frames) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let raw = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (raw, Frames::new(listener.accept().unwrap().0, SOON).unwrap())
    }

    #[test]
    fn messages_arrive_whole_and_are_counted() {
        let (raw, mut far) = pair();
        let mut near = Frames::new(raw, SOON).unwrap();
        for message in [&b"one"[..], b"", &[7; 100_000]] {
            near.send(message).unwrap();
            assert_eq!(far.receive(100_000).unwrap(), message);
        }
        assert_eq!((near.bytes(), far.bytes()), (100_015, 100_015));
    }

    #[test]
    fn whoever_waits_on_a_connection_is_told_when_it_is_closed() {
        let (raw, mut far) = pair();
        assert!(!far.is_closed());
        let closer = far.closer().unwrap();
        let waiting = std::thread::spawn(move || far.receive(10));
        drop(closer);
        assert!(waiting.join().unwrap().is_err());
        drop(raw);
        let (raw, far) = pair();
        drop(raw);
        std::thread::sleep(Duration::from_millis(20));
        assert!(far.is_closed());
    }

    #[test]
    fn a_message_beyond_the_limit_and_one_that_is_cut_are_errors() {
        let (mut raw, mut far) = pair();
        raw.write_all(&u32::MAX.to_be_bytes()).unwrap();
        assert!(far.receive(1 << 20).unwrap_err().to_string().contains("4294967295"));
        let (mut raw, mut far) = pair();
        raw.write_all(&[0, 0, 0, 9, 1, 2]).unwrap();
        drop(raw);
        assert_eq!(far.receive(9).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }

    /// A byte now and then is not silence to a read, but the message must be there in time.
    #[test]
    fn neither_silence_nor_dripping_lasts_beyond_the_limit() {
        for drip in [false, true] {
            let (mut raw, mut far) = pair();
            if drip {
                raw.write_all(&1000u32.to_be_bytes()).unwrap();
            }
            std::thread::spawn(move || {
                for _ in 0..100 {
                    std::thread::sleep(Duration::from_millis(30));
                    if drip && raw.write_all(&[0]).is_err() {
                        return;
                    }
                }
            });
            let begun = Instant::now();
            assert_eq!(far.receive(1000).unwrap_err().kind(), ErrorKind::TimedOut);
            assert!(begun.elapsed() < Duration::from_secs(1));
        }
        // A far end that takes nothing in.
        let (_raw, mut far) = pair();
        let begun = Instant::now();
        let error = (0..1000).find_map(|_| far.send(&[7; 1 << 16]).err()).unwrap();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}
