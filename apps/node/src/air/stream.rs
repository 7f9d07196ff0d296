//! Addresses and byte streams: TCP, or a Unix socket.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::waiting::Waiting;

/// Where an air server is: `host:port`, or the path of a Unix socket (anything with a `/`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Host and port.
    Tcp(String),
    /// A Unix socket.
    Unix(PathBuf),
}

impl std::str::FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('/') {
            return Ok(Address::Unix(text.into()));
        }
        let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        match port.map(|(_, port)| port.parse::<u16>()) {
            Some(Ok(_)) => Ok(Address::Tcp(text.to_owned())),
            _ => {
                Err(format!("'{text}' is neither host:port nor the path of a socket (with a '/')"))
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => f.write_str(address),
            Address::Unix(path) => path.display().fmt(f),
        }
    }
}

/// Waits between two attempts to connect.
const RETRY: Duration = Duration::from_millis(50);

impl Address {
    /// Connects; a server that does not listen yet is tried again until `patience` is over, and that is said.
    ///
    /// # Errors
    /// The last attempt's.
    pub fn connect(&self, patience: Duration) -> io::Result<Stream> {
        let (begin, mut waiting) = (Instant::now(), Waiting::new());
        loop {
            let stream = match self {
                Address::Tcp(address) => TcpStream::connect(address).map(Stream::Tcp),
                Address::Unix(path) => UnixStream::connect(path).map(Stream::Unix),
            };
            let wait = |e: &io::Error| {
                matches!(e.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound)
            };
            match stream {
                Err(error) if wait(&error) && begin.elapsed() < patience => {
                    waiting.say(|| format!("waiting for a server at {self}: {error}"));
                    std::thread::sleep(RETRY);
                }
                Ok(stream) => {
                    stream.without_delay()?;
                    return Ok(stream);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Listens here. A socket that a dead server has left behind is replaced.
    ///
    /// # Errors
    /// When another server listens here, or the address cannot be used.
    pub fn listen(&self) -> io::Result<Listener> {
        match self {
            Address::Tcp(address) => {
                let listener = TcpListener::bind(address)?;
                listener.set_nonblocking(true)?;
                Ok(Listener::Tcp(listener))
            }
            Address::Unix(path) => {
                remove_dead_socket(path)?;
                let listener = UnixListener::bind(path)?;
                listener.set_nonblocking(true)?;
                Ok(Listener::Unix(listener, path.clone()))
            }
        }
    }
}

/// Removes what a dead server has left behind: a socket, and nothing else, on which nobody answers.
fn remove_dead_socket(path: &Path) -> io::Result<()> {
    let about = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        about => about?,
    };
    if !about.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "there is something that is no socket: it is left as it is",
        ));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        Err(error) => Err(error),
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
    }
}

/// Accepts connections without waiting; a Unix socket is removed at the end.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// Unix socket and its path.
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// The address, with the port that was given by the system.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> io::Result<Address> {
        Ok(match self {
            Listener::Tcp(listener) => Address::Tcp(listener.local_addr()?.to_string()),
            Listener::Unix(_, path) => Address::Unix(path.clone()),
        })
    }

    /// A connection, if one waits.
    ///
    /// # Errors
    /// When the listener fails.
    pub fn accept(&self) -> io::Result<Option<Stream>> {
        let stream = match self {
            Listener::Tcp(listener) => listener.accept().map(|(stream, _)| Stream::Tcp(stream)),
            Listener::Unix(listener, _) => {
                listener.accept().map(|(stream, _)| Stream::Unix(stream))
            }
        };
        match stream {
            Ok(stream) => {
                stream.set_blocking()?;
                stream.without_delay()?;
                Ok(Some(stream))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Listener::Unix(_, path) = self {
            let _ = std::fs::remove_file(path); // it may be gone
        }
    }
}

/// A connection.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// Unix socket.
    Unix(UnixStream),
}

impl Stream {
    /// Another handle to the same connection.
    ///
    /// # Errors
    /// When the system has no more handles.
    pub fn another(&self) -> io::Result<Stream> {
        Ok(match self {
            Stream::Tcp(stream) => Stream::Tcp(stream.try_clone()?),
            Stream::Unix(stream) => Stream::Unix(stream.try_clone()?),
        })
    }

    /// The address of the other end, if it has one.
    pub(crate) fn from(&self) -> Option<IpAddr> {
        match self {
            Stream::Tcp(stream) => stream.peer_addr().ok().map(|address| address.ip()),
            Stream::Unix(_) => None,
        }
    }

    /// Bounds the time that a read waits; `None` for no bound.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.set_read_timeout(timeout),
            Stream::Unix(stream) => stream.set_read_timeout(timeout),
        }
    }

    /// How long a write may wait.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.set_write_timeout(timeout),
            Stream::Unix(stream) => stream.set_write_timeout(timeout),
        }
    }

    /// Ends the connection for all its handles.
    pub fn close(&self) {
        let _ = match self {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Both),
        }; // the other side may have closed it
    }

    fn without_delay(&self) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.set_nodelay(true),
            Stream::Unix(_) => Ok(()),
        }
    }

    fn set_blocking(&self) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.set_nonblocking(false),
            Stream::Unix(stream) => stream.set_nonblocking(false),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buffer),
            Stream::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(buffer),
            Stream::Unix(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.flush(),
            Stream::Unix(stream) => stream.flush(),
        }
    }
}
