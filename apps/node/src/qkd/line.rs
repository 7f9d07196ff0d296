//! The two connections of a link: the classical channel and the simulated fibre.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rand::rngs::OsRng;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use tracing::info;

use super::args::EndArgs;
use crate::frames::Frames;

/// Names of the two connections, said first on each.
const CLASSICAL: &[u8; 32] = b"crqkd qkd 1: classical channel  ";
const FIBRE: &[u8; 32] = b"crqkd qkd 1: simulated fibre    ";

/// Both connections.
pub(super) struct Line {
    pub(super) classical: Frames,
    pub(super) fibre: Frames,
}

/// Makes both connections, again and again.
pub(super) enum Connector {
    Listen(TcpListener, Duration),
    Connect(SocketAddr, Duration),
}

impl Connector {
    pub(super) fn new(args: &EndArgs) -> Result<Self> {
        let timeout = Duration::from_secs(args.timeout_s.max(1));
        match (args.listen, args.connect) {
            (Some(address), _) => {
                let listener = TcpListener::bind(address)
                    .with_context(|| format!("listening on {address}"))?;
                info!("listening on {}", listener.local_addr()?);
                Ok(Self::Listen(listener, timeout))
            }
            (None, Some(address)) => Ok(Self::Connect(address, timeout)),
            (None, None) => bail!("neither an address to connect to nor one to listen on"),
        }
    }

    /// A pair of connections: the one that connects says which is which, with a number that pairs them.
    pub(super) fn line(&mut self) -> Result<Line> {
        loop {
            let pair = match self {
                Self::Listen(listener, timeout) => accept(listener, *timeout),
                Self::Connect(address, timeout) => connect(*address, *timeout),
            };
            match pair.and_then(|[classical, fibre]| {
                Ok(Line { classical: Frames::new(classical)?, fibre: Frames::new(fibre)? })
            }) {
                Ok(line) => return Ok(line),
                Err(error) => {
                    tracing::debug!("no connection: {error}");
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        }
    }
}

fn connect(address: SocketAddr, timeout: Duration) -> io::Result<[TcpStream; 2]> {
    let pairing: [u8; 16] =
        ChaCha20Rng::try_from_rng(&mut OsRng).map_err(io::Error::other)?.random();
    let one = |name: &[u8; 32]| {
        let mut stream = TcpStream::connect_timeout(&address, timeout)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        stream.write_all(&[&name[..], &pairing].concat())?;
        Ok::<_, io::Error>(stream)
    };
    Ok([one(CLASSICAL)?, one(FIBRE)?])
}

/// Waits for the two connections of one pair. A stranger, or half of an older pair, is dropped.
fn accept(listener: &TcpListener, timeout: Duration) -> io::Result<[TcpStream; 2]> {
    let mut classical: Option<(TcpStream, [u8; 16])> = None;
    loop {
        let (mut stream, _) = listener.accept()?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        let (mut name, mut pairing) = ([0; 32], [0; 16]);
        if stream.read_exact(&mut name).is_err() || stream.read_exact(&mut pairing).is_err() {
            continue;
        }
        if name == *CLASSICAL {
            classical = Some((stream, pairing));
        } else if name == *FIBRE
            && let Some((first, number)) = classical.take()
            && number == pairing
        {
            return Ok([first, stream]);
        }
    }
}
