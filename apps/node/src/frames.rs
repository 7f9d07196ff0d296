//! Whole messages over a stream: four bytes of length, then the bytes.

use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};

/// The longest message that is taken in.
pub const MAX_FRAME_BYTES: usize = 1 << 27;

/// One end of a connection.
#[derive(Debug)]
pub struct Frames {
    read: BufReader<TcpStream>,
    write: TcpStream,
    /// Bytes sent and received, lengths included.
    bytes: u64,
}

impl Frames {
    /// Both directions of a connection. Small messages are sent at once.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let read = BufReader::with_capacity(1 << 16, stream.try_clone()?);
        Ok(Self { read, write: stream, bytes: 0 })
    }

    /// Sends a message.
    ///
    /// # Errors
    /// A message that is too long, or a broken connection.
    pub fn send(&mut self, message: &[u8]) -> io::Result<()> {
        if message.len() > MAX_FRAME_BYTES {
            return Err(io::Error::other(format!("a message of {} bytes", message.len())));
        }
        // One write for both parts, so that no packet waits for the other.
        let mut frame = Vec::with_capacity(message.len() + 4);
        frame.extend_from_slice(&(message.len() as u32).to_be_bytes());
        frame.extend_from_slice(message);
        self.bytes += frame.len() as u64;
        self.write.write_all(&frame)
    }

    /// Waits for a message. Memory grows with what arrives, not with what is announced.
    ///
    /// # Errors
    /// A length that is too long, or a broken connection.
    pub fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0u8; 4];
        self.read.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_FRAME_BYTES {
            return Err(io::Error::other(format!("a message of {length} bytes announced")));
        }
        let mut message = Vec::with_capacity(length.min(1 << 20));
        let found = self.read.by_ref().take(length as u64).read_to_end(&mut message)?;
        if found < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.bytes += length as u64 + 4;
        Ok(message)
    }

    /// Waits for messages as long as it takes.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn wait_forever(&self) -> io::Result<()> {
        self.write.set_read_timeout(None)
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

    /// A raw stream and the frames at its other end.
    fn pair() -> (TcpStream, Frames) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let raw = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (raw, Frames::new(listener.accept().unwrap().0).unwrap())
    }

    #[test]
    fn messages_arrive_whole_and_are_counted() {
        let (raw, mut far) = pair();
        let mut near = Frames::new(raw).unwrap();
        for message in [&b"one"[..], b"", &[7; 100_000]] {
            near.send(message).unwrap();
            assert_eq!(far.receive().unwrap(), message);
        }
        assert_eq!((near.bytes(), far.bytes()), (100_015, 100_015));
    }

    #[test]
    fn whoever_waits_on_a_connection_is_told_when_it_is_closed() {
        let (_raw, mut far) = pair();
        let closer = far.closer().unwrap();
        let waiting = std::thread::spawn(move || far.receive());
        drop(closer);
        assert!(waiting.join().unwrap().is_err());
    }

    #[test]
    fn a_length_that_is_a_lie_and_a_message_that_is_cut_are_errors() {
        let (mut raw, mut far) = pair();
        raw.write_all(&u32::MAX.to_be_bytes()).unwrap();
        assert!(far.receive().unwrap_err().to_string().contains("4294967295"));
        let (mut raw, mut far) = pair();
        raw.write_all(&[0, 0, 0, 9, 1, 2]).unwrap();
        drop(raw);
        assert_eq!(far.receive().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
