//! Authentication by Wegman-Carter tags: one per direction and block, over the whole ordered transcript.
//!
//! ```text
//! start-up secret | hash key A>B | hash key B>A | pads A>B ... | pads B>A ... |   then refills, block by block
//! tag = low t bits of TagHash(hash key, direction, number, transcript) xor t pad bits at an explicit index
//! ```
//!
//! The order of steps is fixed: reserve a pad, make its mark durable, only then compute or send; check a tag before
//! anything that depends on the transcript is used; a tag that fails has used its pad all the same.

mod pool;

use crqkd_bits::{BitString, BitsError, SecretBits, TagHash};

pub use pool::{AuthDirection, AuthPool, AuthTicket, PoolMark};

/// A tag as it travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// First pad bit.
    pub index: u64,
    /// Hash xor pad.
    pub value: u64,
}

/// Why nothing is authenticated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Too few pad bits.
    #[error(
        "{direction:?} pool: {left} pad bits left, {needed} needed above a reserve of {reserve}"
    )]
    PoolLow {
        /// The pool.
        direction: AuthDirection,
        /// Bits left.
        left: u64,
        /// Bits needed, skipped ones included.
        needed: u64,
        /// Bits that must remain.
        reserve: u64,
    },
    /// A pad index that was used or skipped before.
    #[error("{direction:?} pool: pad {index} was used before, the next is {next}")]
    PadUsed {
        /// The pool.
        direction: AuthDirection,
        /// The index asked for.
        index: u64,
        /// The first that has not been used.
        next: u64,
    },
    /// A tag that does not fit its transcript.
    #[error("{direction:?}: the tag with pad {index} does not fit the transcript")]
    BadTag {
        /// The direction.
        direction: AuthDirection,
        /// Its pad.
        index: u64,
    },
    /// A start-up secret too short to begin with.
    #[error("a start-up secret of {bits} bits; at least {needed} are needed")]
    SecretTooShort {
        /// Bits there are.
        bits: usize,
        /// Bits needed.
        needed: usize,
    },
    /// Bit strings that do not fit.
    #[error(transparent)]
    Bits(#[from] BitsError),
}

/// One end's authentication: its own direction to tag, the other one to check.
pub struct Authenticator {
    send: Way,
    receive: Way,
    tag_bits: u32,
}

struct Way {
    pool: AuthPool,
    key: SecretBits,
}

impl Way {
    fn hash(&self, number: u64, transcript: &Transcript) -> Result<TagHash, AuthError> {
        let mut hash = TagHash::new(&self.key)?;
        hash.update(&[self.pool.direction().label()]);
        hash.update(&number.to_be_bytes());
        hash.update(&transcript.bytes);
        Ok(hash)
    }
}

/// Everything both ends have said in a block, in order.
///
/// Each message goes in with its direction and its length, so that two different sequences never look alike.
#[derive(Debug, Clone, Default)]
pub struct Transcript {
    bytes: Vec<u8>,
}

impl Transcript {
    /// Nothing said yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a message.
    pub fn push(&mut self, direction: AuthDirection, message: &[u8]) {
        self.bytes.push(direction.label());
        self.bytes.extend_from_slice(&(message.len() as u64).to_be_bytes());
        self.bytes.extend_from_slice(message);
    }

    /// Bytes so far, framing included.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// True when nothing was said.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl Authenticator {
    /// Length of a tag in normal use.
    pub const TAG_BITS: u32 = 64;

    /// Both pools from a start-up secret that the two ends share; `own` is the direction that this end sends.
    /// `reserve_tags` tags in each pool are kept back.
    ///
    /// # Errors
    /// [`AuthError::SecretTooShort`] below two hash keys and one tag each way.
    pub fn new(
        mut secret: SecretBits,
        own: AuthDirection,
        reserve_tags: u64,
        tag_bits: u32,
    ) -> Result<Self, AuthError> {
        let tag_bits = tag_bits.clamp(1, 64);
        let (bits, needed) = (secret.len(), 2 * TagHash::KEY_BITS + 2 * tag_bits as usize);
        if bits < needed {
            return Err(AuthError::SecretTooShort { bits, needed });
        }
        let a_key = secret.take_front(TagHash::KEY_BITS)?;
        let b_key = secret.take_front(TagHash::KEY_BITS)?;
        let a_bits = secret.take_front(secret.len() / 2)?;
        let b_bits = secret.take_front(a_bits.len())?;
        let reserve = reserve_tags * u64::from(tag_bits);
        let a = Way { pool: AuthPool::new(AuthDirection::AToB, a_bits, reserve), key: a_key };
        let b = Way { pool: AuthPool::new(AuthDirection::BToA, b_bits, reserve), key: b_key };
        let (send, receive) = if own == AuthDirection::AToB { (a, b) } else { (b, a) };
        Ok(Self { send, receive, tag_bits })
    }

    /// Reserves a pad for the next tag. Its mark must be durable before [`tag`](Self::tag).
    ///
    /// # Errors
    /// [`AuthError::PoolLow`]: no block may be begun then.
    pub fn reserve(&mut self) -> Result<SendPad, AuthError> {
        let (ticket, pad) = self.send.pool.reserve(self.tag_bits)?;
        Ok(SendPad { ticket, pad })
    }

    /// The tag of block `number`; the pad is consumed.
    ///
    /// # Errors
    /// None in practice: the hash key has its length.
    pub fn tag(
        &self,
        pad: SendPad,
        number: u64,
        transcript: &Transcript,
    ) -> Result<Tag, AuthError> {
        let hash = self.send.hash(number, transcript)?.finish(self.tag_bits);
        Ok(Tag { index: pad.ticket.index(), value: hash ^ pad.pad })
    }

    /// Reserves the pad of a tag that came in. Its mark must be durable before [`verify`](Self::verify).
    ///
    /// # Errors
    /// [`AuthError::PadUsed`] for a replay, [`AuthError::PoolLow`].
    pub fn expect(&mut self, tag: Tag) -> Result<ReceivePad, AuthError> {
        let (ticket, pad) = self.receive.pool.expect(tag.index, self.tag_bits)?;
        Ok(ReceivePad { ticket, pad, value: tag.value })
    }

    /// Checks the tag of block `number`; the pad is consumed either way.
    ///
    /// # Errors
    /// [`AuthError::BadTag`].
    pub fn verify(
        &self,
        pad: ReceivePad,
        number: u64,
        transcript: &Transcript,
    ) -> Result<(), AuthError> {
        let hash = self.receive.hash(number, transcript)?.finish(self.tag_bits);
        // One comparison of whole words: nothing is learnt from its time.
        if hash ^ pad.pad == pad.value {
            return Ok(());
        }
        let direction = self.receive.pool.direction();
        Err(AuthError::BadTag { direction, index: pad.ticket.index() })
    }

    /// Appends fresh secret bits, half to each pool; the same bits at both ends. An odd last bit is dropped.
    ///
    /// # Errors
    /// None in practice.
    pub fn refill(&mut self, mut bits: SecretBits) -> Result<(), AuthError> {
        let a = bits.take_front(bits.len() / 2)?;
        let b = bits.take_front(a.len())?;
        let (a_way, b_way) = if self.send.pool.direction() == AuthDirection::AToB {
            (&mut self.send, &mut self.receive)
        } else {
            (&mut self.receive, &mut self.send)
        };
        a_way.pool.refill(a);
        b_way.pool.refill(b);
        Ok(())
    }

    /// The pool of a direction.
    pub fn pool(&self, direction: AuthDirection) -> &AuthPool {
        if self.send.pool.direction() == direction { &self.send.pool } else { &self.receive.pool }
    }

    /// The pool of a direction, to skip what was used before a restart.
    pub fn pool_mut(&mut self, direction: AuthDirection) -> &mut AuthPool {
        if self.send.pool.direction() == direction {
            &mut self.send.pool
        } else {
            &mut self.receive.pool
        }
    }

    /// Bits of a tag.
    pub fn tag_bits(&self) -> u32 {
        self.tag_bits
    }
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authenticator({:?}, {:?})", self.send.pool, self.receive.pool)
    }
}

/// A pad for a tag to be sent. Not `Clone`.
///
/// ```compile_fail
/// # fn twice(auth: &crqkd_keys::Authenticator, pad: crqkd_keys::SendPad, t: &crqkd_keys::Transcript) {
/// auth.tag(pad, 1, t);
/// auth.tag(pad, 2, t);
/// # }
/// ```
pub struct SendPad {
    ticket: AuthTicket,
    pad: u64,
}

impl SendPad {
    /// What must be durable first.
    pub fn mark(&self) -> PoolMark {
        self.ticket.mark()
    }

    /// Index of the pad's first bit.
    pub fn index(&self) -> u64 {
        self.ticket.index()
    }
}

/// A pad for a tag that came in. Not `Clone`.
pub struct ReceivePad {
    ticket: AuthTicket,
    pad: u64,
    value: u64,
}

impl ReceivePad {
    /// What must be durable first.
    pub fn mark(&self) -> PoolMark {
        self.ticket.mark()
    }
}

macro_rules! hidden {
    ($($name:ident),*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.ticket.index())
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                zeroize::Zeroize::zeroize(&mut self.pad);
            }
        }
    )*};
}
hidden!(SendPad, ReceivePad);

/// A start-up secret from bytes, as it lies in a file that both ends were given.
///
/// # Errors
/// None in practice.
pub fn secret_from_bytes(bytes: &[u8]) -> Result<SecretBits, AuthError> {
    Ok(BitString::from_bytes(bytes, bytes.len() * 8)?.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn pair(tag_bits: u32, bytes: usize) -> (Authenticator, Authenticator) {
        let secret = SecretBits::random(&mut ChaCha8Rng::seed_from_u64(7), bytes * 8);
        let end = |secret, own| Authenticator::new(secret, own, 0, tag_bits).unwrap();
        (end(secret.duplicate(), AuthDirection::AToB), end(secret, AuthDirection::BToA))
    }

    fn transcript(messages: &[(AuthDirection, &[u8])]) -> Transcript {
        let mut transcript = Transcript::new();
        messages.iter().for_each(|(direction, bytes)| transcript.push(*direction, bytes));
        transcript
    }

    fn send(end: &mut Authenticator, number: u64, said: &Transcript) -> Tag {
        let pad = end.reserve().unwrap();
        end.tag(pad, number, said).unwrap()
    }

    fn check(
        end: &mut Authenticator,
        tag: Tag,
        number: u64,
        said: &Transcript,
    ) -> Result<(), AuthError> {
        let pad = end.expect(tag)?;
        end.verify(pad, number, said)
    }

    use AuthDirection::{AToB, BToA};

    #[test]
    fn four_kibibytes_are_about_500_tags() {
        let (mut a, mut b) = pair(64, 4096);
        let said = transcript(&[(AToB, b"hello")]);
        let mut tags = 0;
        while let Ok(pad) = a.reserve() {
            let tag = a.tag(pad, tags, &said).unwrap();
            check(&mut b, tag, tags, &said).unwrap();
            tags += 1;
        }
        assert_eq!(tags, 252);
        assert_eq!(b.pool(BToA).left() / 64, 252);
    }

    #[test]
    fn replayed_reflected_reordered_and_renumbered_tags_are_refused() {
        let (mut a, mut b) = pair(64, 4096);
        let said = transcript(&[(AToB, b"one"), (BToA, b"two")]);
        let tag = send(&mut a, 1, &said);
        assert!(check(&mut a, tag, 1, &said).is_err(), "reflected");
        check(&mut b, tag, 1, &said).unwrap();
        assert!(matches!(check(&mut b, tag, 1, &said), Err(AuthError::PadUsed { .. })));
        for (number, other) in [
            (2, said.clone()),
            (1, transcript(&[(BToA, b"two"), (AToB, b"one")])),
            (1, transcript(&[(AToB, b"one")])),
            (1, transcript(&[(AToB, b"onetwo")])),
            (1, transcript(&[(BToA, b"one"), (BToA, b"two")])),
            (1, transcript(&[(AToB, b"on"), (BToA, b"etwo")])),
        ] {
            let tag = send(&mut a, 1, &said);
            let error = check(&mut b, tag, number, &other).unwrap_err();
            assert!(matches!(error, AuthError::BadTag { .. }), "{error}");
            // The failed check has used the pad.
            assert!(matches!(check(&mut b, tag, 1, &said), Err(AuthError::PadUsed { .. })));
        }
    }

    #[test]
    fn eight_bit_tags_are_forged_no_more_often_than_the_bound() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let said = transcript(&[(AToB, b"the right message")]);
        let (attempts, mut forged) = (40_000u32, 0u32);
        for chunk in 0..attempts / 2000 {
            let (mut a, mut b) = pair(8, 4096);
            for number in 0..2000 {
                let number = u64::from(chunk * 2000 + number);
                let mut tag = send(&mut a, number, &said);
                let mut other = said.clone();
                let at = rng.random_range(0..other.bytes.len());
                other.bytes[at] ^= rng.random_range(1..=255u8);
                tag.value ^= rng.random_range(0..256);
                forged += u32::from(check(&mut b, tag, number, &other).is_ok());
            }
        }
        let bound = TagHash::forgery_bound(64, 8) * f64::from(attempts);
        let sigma = bound.sqrt();
        assert!(f64::from(forged) < bound + 4.0 * sigma, "{forged} forged, {bound} allowed");
        assert!(f64::from(forged) > bound - 4.0 * sigma, "the test itself is blind: {forged}");
    }

    #[test]
    fn refills_reach_both_pools_alike() {
        let (mut a, mut b) = pair(64, 80);
        let said = transcript(&[]);
        while a.reserve().is_ok() {}
        let fresh = SecretBits::random(&mut ChaCha8Rng::seed_from_u64(9), 257);
        a.refill(fresh.duplicate()).unwrap();
        b.refill(fresh).unwrap();
        let tag = send(&mut a, 5, &said);
        check(&mut b, tag, 5, &said).unwrap();
        let tag = send(&mut b, 5, &said);
        check(&mut a, tag, 5, &said).unwrap();
    }

    proptest! {
        #[test]
        fn no_change_of_tag_or_transcript_is_accepted(
            bytes in prop::collection::vec(any::<u8>(), 1..100),
            at: usize, flip in 1u8.., index: u64, value: u64, number: u64,
        ) {
            let (mut a, mut b) = pair(64, 256);
            let said = transcript(&[(AToB, &bytes)]);
            let tag = send(&mut a, number, &said);
            let mut other = said.clone();
            let at = at % other.bytes.len();
            other.bytes[at] ^= flip;
            prop_assert!(check(&mut b, tag, number, &other).is_err());
            let made_up = Tag { index, value };
            prop_assert!(check(&mut b, made_up, number, &said).is_err());
        }
    }
}
