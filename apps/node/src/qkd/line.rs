//! The two connections of a link, the classical channel and the simulated fibre, made again and again.
//!
//! A listener takes connections side by side, a thread for each, and gives each a short time for its proof. When many wait
//! the one that has waited longest is dropped: a proof takes milliseconds, so the other end gets in whatever strangers do. A
//! new connection of the other end ends the old one: it would not call again otherwise.

use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rand::Rng;
use tracing::{debug, info};

use super::args::EndArgs;
use super::greeting::Greeting;
use super::handshake::{self, Caller, Classical, SessionKey};
use super::secret::StartupSecret;
use crate::frames::{Closer, Frames};
use crate::pending::Pending;
use crate::stop;
use crate::waiting::Waiting;

/// Time for a whole handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Connections that may be waiting for their proof side by side.
const MOST_PENDING: usize = 32;

/// Between two looks at whether the process is to end.
const LOOK: Duration = Duration::from_millis(100);

/// First and longest pause between attempts to connect.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(3)];

/// Both connections, and what was said on them.
pub(super) struct Line {
    pub(super) classical: Frames,
    pub(super) fibre: Frames,
    pub(super) key: SessionKey,
    /// This end's greeting, and the other's.
    pub(super) ours: Vec<u8>,
    pub(super) theirs: Vec<u8>,
}

/// Makes both connections, again and again.
pub(super) enum Connector {
    Listen(Listener),
    Connect { address: String, timeout: Duration, failed: u32 },
}

impl Connector {
    pub(super) fn new(args: &EndArgs, secret: &Arc<StartupSecret>) -> Result<Self> {
        let timeout = Duration::from_secs(args.timeout_s.max(1));
        match (&args.listen, &args.connect) {
            (Some(address), _) => Ok(Self::Listen(Listener::new(address, timeout, secret)?)),
            (None, Some(address)) => {
                // A name that nobody knows now may be known later, but what is no address never is.
                if !address.contains(':') {
                    bail!("{address}: not an address, HOST:PORT");
                }
                Ok(Self::Connect { address: address.clone(), timeout, failed: 0 })
            }
            (None, None) => bail!("neither an address to connect to nor one to listen on"),
        }
    }

    /// A pair of connections to the other end; `None` when the process is to end first.
    pub(super) fn line(
        &mut self,
        secret: &StartupSecret,
        greeting: &Greeting,
    ) -> Result<Option<Line>> {
        let ours = greeting.to_bytes()?;
        match self {
            Self::Listen(listener) => listener.line(secret, &ours),
            Self::Connect { address, timeout, failed } => {
                let mut waiting = Waiting::new();
                loop {
                    if stop::requested() {
                        return Ok(None);
                    }
                    let error = match connect(address, *timeout, secret, &ours) {
                        Ok(line) => return Ok(Some(line)),
                        Err(error) => error,
                    };
                    debug!("no connection: {error:#}");
                    waiting.say(|| format!("waiting for the other end at {address}: {error:#}"));
                    pause(failed);
                }
            }
        }
    }

    /// A connection has served its purpose: the next one is tried at once.
    pub(super) fn served(&mut self) {
        if let Self::Connect { failed, .. } = self {
            *failed = 0;
        }
    }

    /// A connection was of no use: the next one is tried after a while.
    pub(super) fn was_of_no_use(&mut self) {
        if let Self::Connect { failed, .. } = self {
            pause(failed);
        }
    }
}

/// Waits twice as long as the last time, with some randomness so that two ends do not keep in step.
fn pause(failed: &mut u32) {
    let longest = PAUSES[0] * 2u32.saturating_pow((*failed).min(16));
    *failed += 1;
    let pause = longest.min(PAUSES[1]).mul_f64(rand::rng().random_range(0.5..1.0));
    let end = Instant::now() + pause;
    while !stop::requested() && Instant::now() < end {
        std::thread::sleep(LOOK.min(end.saturating_duration_since(Instant::now())));
    }
}

fn connect(address: &str, timeout: Duration, secret: &StartupSecret, ours: &[u8]) -> Result<Line> {
    let by = Instant::now() + HANDSHAKE;
    let addresses: Vec<SocketAddr> =
        address.to_socket_addrs().with_context(|| format!("looking up {address}"))?.collect();
    let one = || {
        let mut last = None;
        for address in &addresses {
            match TcpStream::connect_timeout(address, HANDSHAKE) {
                Ok(stream) => return Ok(Frames::new(stream, HANDSHAKE)?),
                Err(error) => last = Some(error),
            }
        }
        match last {
            Some(error) => Err(anyhow::Error::from(error)),
            None => bail!("{address} has no address"),
        }
    };
    let mut classical = one()?;
    let (theirs, key) = handshake::call(&mut classical, secret, ours, by)?;
    let mut fibre = one()?;
    handshake::call_fibre(&mut fibre, &key, by).context("the simulated fibre")?;
    classical.set_timeout(timeout);
    fibre.set_timeout(timeout);
    Ok(Line { classical, fibre, key, ours: ours.to_vec(), theirs })
}

/// What the threads of a listener share.
struct Shared {
    secret: Arc<StartupSecret>,
    /// Connections that have not proved themselves.
    pending: Mutex<Pending<TcpStream>>,
    /// The session whose fibre is expected.
    session: Mutex<Option<SessionKey>>,
    /// Ends the line that is in use.
    current: Mutex<Option<Closer>>,
    /// Why the last connection was dropped.
    dropped: Mutex<Option<String>>,
    callers: Mutex<Sender<Classical>>,
    fibres: Mutex<Sender<Frames>>,
    over: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes connections in a thread of its own.
pub(super) struct Listener {
    shared: Arc<Shared>,
    callers: Receiver<Classical>,
    fibres: Receiver<Frames>,
    address: SocketAddr,
    timeout: Duration,
}

impl Listener {
    fn new(address: &str, timeout: Duration, secret: &Arc<StartupSecret>) -> Result<Self> {
        let listener =
            TcpListener::bind(address).with_context(|| format!("listening on {address}"))?;
        let address = listener.local_addr()?;
        info!("listening on {address}");
        let ((to_callers, callers), (to_fibres, fibres)) = (channel(), channel());
        let shared = Arc::new(Shared {
            secret: secret.clone(),
            pending: Mutex::new(Pending::new(MOST_PENDING)),
            session: Mutex::default(),
            current: Mutex::default(),
            dropped: Mutex::default(),
            callers: Mutex::new(to_callers),
            fibres: Mutex::new(to_fibres),
            over: AtomicBool::new(false),
        });
        let accepting = shared.clone();
        std::thread::Builder::new()
            .name("listener".into())
            .spawn(move || accept(&listener, &accepting))?;
        Ok(Self { shared, callers, fibres, address, timeout })
    }

    fn line(&mut self, secret: &StartupSecret, ours: &[u8]) -> Result<Option<Line>> {
        let mut waiting = Waiting::new();
        *locked(&self.shared.current) = None;
        loop {
            if stop::requested() {
                return Ok(None);
            }
            let address = self.address;
            waiting.say(|| match &*locked(&self.shared.dropped) {
                Some(why) => {
                    format!(
                        "waiting at {address} for the other end; the last caller was dropped: {why}"
                    )
                }
                None => format!("waiting at {address} for the other end to connect"),
            });
            let mut caller = match self.callers.recv_timeout(LOOK) {
                Ok(caller) => caller,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => bail!("the listener has ended"),
            };
            // The newest is the one that the other end still uses.
            while let Ok(newer) = self.callers.try_recv() {
                caller = newer;
            }
            match self.welcome(caller, secret, ours) {
                Ok(line) => return Ok(Some(line)),
                Err(error) => {
                    debug!("no connection: {error:#}");
                    *locked(&self.shared.dropped) = Some(format!("{error:#}"));
                }
            }
        }
    }

    fn welcome(&self, mut caller: Classical, secret: &StartupSecret, ours: &[u8]) -> Result<Line> {
        while self.fibres.try_recv().is_ok() {}
        let key = caller.session(secret, ours);
        *locked(&self.shared.session) = Some(key);
        let welcome = caller.welcome(secret, ours);
        let fibre = welcome.map(|()| self.fibres.recv_timeout(HANDSHAKE));
        *locked(&self.shared.session) = None;
        let fibre = fibre?;
        let mut fibre = fibre.context("the simulated fibre was not connected")?;
        let Classical { frames: mut classical, greeting: theirs, .. } = caller;
        classical.set_timeout(self.timeout);
        fibre.set_timeout(self.timeout);
        *locked(&self.shared.current) = Some(classical.closer()?);
        *locked(&self.shared.dropped) = None;
        Ok(Line { classical, fibre, key, ours: ours.to_vec(), theirs })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // The thread waits for a connection: this is one.
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        let _ = TcpStream::connect_timeout(&address, LOOK);
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for number in 0.. {
        let stream = listener.accept();
        if shared.over.load(Ordering::SeqCst) {
            return;
        }
        // Out of descriptors, or a connection that was gone at once: listening goes on.
        let taken = stream.and_then(|(stream, from)| {
            let copy = stream.try_clone()?;
            if let Some(other) = locked(&shared.pending).add(number, Some(from.ip()), copy) {
                let _ = other.shutdown(std::net::Shutdown::Both);
            }
            let own = shared.clone();
            std::thread::Builder::new().name("caller".into()).spawn(move || {
                if let Err(error) = meet(stream, &own) {
                    debug!("a caller is dropped: {error:#}");
                    *locked(&own.dropped) = Some(format!("{error:#}"));
                }
                locked(&own.pending).remove(number);
            })
        });
        if let Err(error) = taken {
            locked(&shared.pending).remove(number);
            debug!("no connection: {error}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Finds out who calls.
fn meet(stream: TcpStream, shared: &Shared) -> Result<()> {
    let frames = Frames::new(stream, HANDSHAKE)?;
    match handshake::answer(frames, &shared.secret, Instant::now() + HANDSHAKE)? {
        Caller::Classical(caller) => {
            // The other end is here again: whatever is left of its last connection is over.
            *locked(&shared.current) = None;
            locked(&shared.callers).send(*caller).context("the end is over")
        }
        Caller::Fibre(mut frames, nonce, proof) => {
            let session = *locked(&shared.session);
            let key = session.context("the fibre of no session")?;
            handshake::take_fibre(&mut frames, &key, &nonce, &proof)?;
            locked(&shared.fibres).send(frames).context("the end is over")
        }
    }
}
