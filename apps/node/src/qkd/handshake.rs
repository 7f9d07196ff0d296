//! The keyed handshake of a connection: whoever has no key of the link gets no further.
//!
//! ```text
//!   listener                                                    connector
//!     "crqkd q2", nonce N ------------------------------------>
//!     <-------------- ID of the secret, nonce M, greeting A, MAC(connect, N, M, A)
//!     greeting B, MAC(welcome, N, M, A, B) ------------------->          or: refused, with a reason
//!
//!   and on the connection that stands for the fibre, with S = MAC(session, N, M, A, B):
//!     "crqkd q2", nonce F ------------------------------------>
//!     <----------------------------------------------- MAC under S (fibre, F)
//!     taken --------------------------------------------------->
//! ```
//!
//! MAC is HMAC-SHA-256 under a part of the start-up secret that no tag uses. It is computationally secure only, and all that
//! depends on it is who may keep an end busy: what is secret and what is released is decided by the tags of the blocks, which
//! cover both greetings.

use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use rand::TryRngCore;
use rand::rngs::OsRng;
use subtle::ConstantTimeEq;

use super::secret::{StartupSecret, mac};
use crate::frames::Frames;

const MAGIC: &[u8; 8] = b"crqkd q2";
const CLASSICAL: u8 = 1;
const WELCOME: u8 = 2;
const REFUSED: u8 = 3;
const FIBRE: u8 = 4;
const TAKEN: u8 = 5;

/// The longest message of a handshake, in bytes.
const LIMIT: usize = 4096;

type Nonce = [u8; 32];

/// A session's key: it names the fibre's connection and signs the end.
pub(super) type SessionKey = [u8; 32];

fn nonce() -> Result<Nonce> {
    let mut nonce = [0; 32];
    OsRng.try_fill_bytes(&mut nonce).context("the operating system's generator")?;
    Ok(nonce)
}

fn same(a: &[u8], b: &[u8]) -> bool {
    bool::from(a.ct_eq(b))
}

/// What a connection to a listener turned out to be.
pub(super) enum Caller {
    /// The other end, on the classical channel.
    Classical(Box<Classical>),
    /// A connection that says it is the fibre of the session with this proof of the nonce.
    Fibre(Frames, Nonce, [u8; 32]),
}

/// The other end has proved itself; it waits to be welcomed.
pub(super) struct Classical {
    pub(super) frames: Frames,
    listener: Nonce,
    connector: Nonce,
    /// What it said of itself.
    pub(super) greeting: Vec<u8>,
}

/// The listener's side up to the caller's proof. Nothing of what is said before is kept.
///
/// # Errors
/// Silence, a broken connection, or a caller without the key.
pub(super) fn answer(mut frames: Frames, secret: &StartupSecret, by: Instant) -> Result<Caller> {
    let listener = nonce()?;
    frames.send(&[&MAGIC[..], &listener].concat())?;
    let message = frames.receive_by(LIMIT, by)?;
    match message.split_first() {
        Some((&CLASSICAL, rest)) if rest.len() > 16 + 32 + 32 => {
            let (id, rest) = rest.split_at(16);
            let (connector, rest) = rest.split_at(32);
            let (proof, greeting) = rest.split_at(32);
            if id != secret.id.as_bytes() {
                refuse(&mut frames, "the two ends have different start-up secrets");
                bail!(
                    "the other end has another start-up secret: {}, not {}",
                    String::from_utf8_lossy(id).escape_debug(),
                    secret.id
                );
            }
            let expected = mac(secret.link_key(), &[b"connect", &listener, connector, greeting]);
            ensure!(same(proof, &expected), "a stranger");
            let connector = connector.try_into()?;
            let greeting = greeting.to_vec();
            Ok(Caller::Classical(Box::new(Classical { frames, listener, connector, greeting })))
        }
        Some((&FIBRE, proof)) => Ok(Caller::Fibre(frames, listener, proof.try_into()?)),
        _ => bail!("a stranger"),
    }
}

fn refuse(frames: &mut Frames, reason: &str) {
    // Whoever it is may be gone.
    let _ = frames.send(&[&[REFUSED], reason.as_bytes()].concat());
}

impl Classical {
    /// The key of the session in which this end answers with `greeting`.
    pub(super) fn session(&self, secret: &StartupSecret, greeting: &[u8]) -> SessionKey {
        session(secret, [&self.listener, &self.connector, &self.greeting, greeting])
    }

    /// Answers with this end's greeting. The fibre may be connected at once then.
    ///
    /// # Errors
    /// A broken connection.
    pub(super) fn welcome(&mut self, secret: &StartupSecret, greeting: &[u8]) -> Result<()> {
        let said = [&self.listener[..], &self.connector, &self.greeting, greeting];
        let proof = mac(secret.link_key(), &[&[&b"welcome"[..]], &said[..]].concat());
        Ok(self.frames.send(&[&[WELCOME], &proof[..], greeting].concat())?)
    }
}

fn session(secret: &StartupSecret, said: [&[u8]; 4]) -> SessionKey {
    mac(secret.link_key(), &[&[&b"session"[..]], &said[..]].concat())
}

/// Takes a connection as the fibre of a session.
///
/// # Errors
/// A wrong proof, or a broken connection.
pub(super) fn take_fibre(
    frames: &mut Frames,
    key: &SessionKey,
    nonce: &Nonce,
    proof: &[u8; 32],
) -> Result<()> {
    ensure!(same(&mac(key, &[b"fibre", nonce]), proof), "the fibre of another session");
    Ok(frames.send(&[TAKEN])?)
}

fn challenge(frames: &mut Frames, by: Instant) -> Result<Nonce> {
    let message = frames.receive_by(LIMIT, by)?;
    let nonce = message.strip_prefix(MAGIC).and_then(|nonce| nonce.try_into().ok());
    nonce.context("whoever listens there is no end of a quantum link")
}

/// The connector's side on the classical channel. Gives what the listener said of itself, and the session's key.
///
/// # Errors
/// Silence, a broken connection, a refusal, or a listener without the key.
pub(super) fn call(
    frames: &mut Frames,
    secret: &StartupSecret,
    greeting: &[u8],
    by: Instant,
) -> Result<(Vec<u8>, SessionKey)> {
    let listener = challenge(frames, by)?;
    let connector = nonce()?;
    let proof = mac(secret.link_key(), &[b"connect", &listener, &connector, greeting]);
    let id = secret.id.as_bytes();
    frames.send(&[&[CLASSICAL], id, &connector, &proof, greeting].concat())?;
    let message = frames.receive_by(LIMIT, by)?;
    match message.split_first() {
        Some((&WELCOME, rest)) if rest.len() > 32 => {
            let (proof, theirs) = rest.split_at(32);
            let said = [&listener[..], &connector, greeting, theirs];
            let expected = mac(secret.link_key(), &[&[&b"welcome"[..]], &said[..]].concat());
            ensure!(same(proof, &expected), "whoever listens there has not the key of this link");
            Ok((theirs.to_vec(), session(secret, said)))
        }
        Some((&REFUSED, reason)) => {
            let reason: String = String::from_utf8_lossy(reason).chars().take(200).collect();
            bail!("the other end refuses: {}", reason.escape_debug())
        }
        _ => bail!("whoever listens there is no end of a quantum link"),
    }
}

/// The connector's side on the connection that stands for the fibre.
///
/// # Errors
/// Silence, or a broken connection.
pub(super) fn call_fibre(frames: &mut Frames, key: &SessionKey, by: Instant) -> Result<()> {
    let nonce = challenge(frames, by)?;
    let proof = mac(key, &[b"fibre", &nonce]);
    frames.send(&[&[FIBRE], &proof[..]].concat())?;
    ensure!(frames.receive_by(1, by)? == [TAKEN], "not taken");
    Ok(())
}

/// Proof that the end of the link comes from the other end.
pub(super) fn farewell(key: &SessionKey) -> [u8; 32] {
    mac(key, &[b"bye"])
}

/// Whether it does.
pub(super) fn is_farewell(key: &SessionKey, proof: &[u8]) -> bool {
    same(&farewell(key), proof)
}
