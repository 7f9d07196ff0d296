//! Authentication by Wegman-Carter tags: one per direction and block, over the whole ordered transcript.
//!
//! ```text
//! start-up secret | hash key A>B | hash key B>A | pads A>B ... | pads B>A ... |   then refills, block by block
//! tag = low t bits of TagHash(hash key, direction, number, transcript) xor t pad bits at an explicit index
//! ```
//!
//! The order of steps is fixed. Sending: reserve a pad, make its mark durable, only then compute and send. Checking: look at
//! the pad, compare, and only a tag that fits uses its pad and those before it; its mark is made durable before anything
//! that depends on the transcript is used. So nobody without the secret uses up a pad. A pad that has been tried stays good: an
//! attempt is right with the probability of [`TagHash::forgery_bound`], independently of all others, as the sender uses
//! the pad for one tag only.

mod pool;

use crqkd_bits::{BitString, BitsError, SecretBits, TagHash};

pub use pool::{AuthDirection, AuthPool, AuthTicket, PoolMark, WINDOW_TAGS};

/// An authentication tag as it travels: which pad hides it, and the hidden hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// Index of the first pad bit in the string of its direction.
    pub index: u64,
    /// Hash of the transcript xor the pad.
    pub value: u64,
}

/// Why a message or a block is not authenticated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The pool has too few pad bits left.
    #[error(
        "{direction:?} pool: {left} pad bits left, {needed} needed above a reserve of {reserve}"
    )]
    PoolLow {
        /// The direction whose pool it is.
        direction: AuthDirection,
        /// Number of bits that are left in the pool.
        left: u64,
        /// Bits needed, skipped ones included.
        needed: u64,
        /// Number of bits that must remain in the pool.
        reserve: u64,
    },
    /// A pad index that was used or skipped before.
    #[error("{direction:?} pool: pad {index} was used before, the next is {next}")]
    PadUsed {
        /// The direction whose pool it is.
        direction: AuthDirection,
        /// Index of the first bit of the pad asked for.
        index: u64,
        /// The first that has not been used.
        next: u64,
    },
    /// A pad further ahead than tags can have been lost.
    #[error(
        "{direction:?} pool: pad {index} is too far ahead, the next is {next}, at most {WINDOW_TAGS} tags may have been lost"
    )]
    PadAhead {
        /// The direction whose pool it is.
        direction: AuthDirection,
        /// Index of the first bit of the pad asked for.
        index: u64,
        /// The first that has not been used.
        next: u64,
    },
    /// A tag that does not fit its transcript.
    #[error("{direction:?}: the tag with pad {index} does not fit the transcript")]
    BadTag {
        /// The direction in which the tag was sent.
        direction: AuthDirection,
        /// Number of the pad that the tag was made with.
        index: u64,
    },
    /// A start-up secret too short to begin with.
    #[error("a start-up secret of {bits} bits; at least {needed} are needed")]
    SecretTooShort {
        /// Number of bits in the secret.
        bits: usize,
        /// Number of bits that are needed.
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
    fn hash(&self, number: u64) -> Result<TagHash, AuthError> {
        let mut hash = TagHash::new(&self.key)?;
        hash.update(&[self.pool.direction().label()]);
        hash.update(&number.to_be_bytes());
        Ok(hash)
    }
}

/// Everything both ends have said in a block, in order, as the hashes of its two tags: messages are hashed as they come, and
/// not kept.
///
/// Each message goes in with its direction and its length, so that two different sequences never look alike.
pub struct Transcript {
    send: TagHash,
    receive: TagHash,
}

impl Transcript {
    /// Appends a message with its direction and length; both ends must append the same ones in the same order.
    pub fn push(&mut self, direction: AuthDirection, message: &[u8]) {
        for hash in [&mut self.send, &mut self.receive] {
            hash.update(&[direction.label()]);
            hash.update(&(message.len() as u64).to_be_bytes());
            hash.update(message);
        }
    }

    /// Bytes so far, framing and block number included.
    pub fn bytes(&self) -> u64 {
        self.send.message_bytes()
    }
}

impl std::fmt::Debug for Transcript {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Transcript({} bytes)", self.bytes())
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

    /// Whether a block may begin: both pools have a tag above the reserve.
    ///
    /// # Errors
    /// [`AuthError::PoolLow`] when a pool has fewer bits than a tag and the reserve.
    pub fn check_reserve(&self) -> Result<(), AuthError> {
        self.send.pool.check_reserve(self.tag_bits)?;
        self.receive.pool.check_reserve(self.tag_bits)
    }

    /// The transcript of block `number`, with nothing said yet.
    ///
    /// # Errors
    /// None in practice: the hash keys have their length.
    pub fn transcript(&self, number: u64) -> Result<Transcript, AuthError> {
        Ok(Transcript { send: self.send.hash(number)?, receive: self.receive.hash(number)? })
    }

    /// Reserves a pad for a tag, from the reserve too if need be: to be called when everything that the tag is about has been
    /// said. Its mark must be durable before [`tag`](Self::tag).
    ///
    /// # Errors
    /// [`AuthError::PoolLow`] when fewer bits than a tag are left.
    pub fn reserve(&mut self) -> Result<SendPad, AuthError> {
        let (ticket, pad) = self.send.pool.reserve_last(self.tag_bits)?;
        Ok(SendPad { ticket, pad })
    }

    /// The tag of a transcript; the pad is consumed.
    pub fn tag(&self, pad: SendPad, transcript: &Transcript) -> Tag {
        let hash = transcript.send.finish(self.tag_bits);
        Tag { index: pad.ticket.index(), value: hash ^ pad.pad }
    }

    /// Checks the tag of a transcript. One that fits uses its pad and those before it; the mark must be durable before
    /// anything is built on the transcript. One that does not fit changes nothing.
    ///
    /// # Errors
    /// [`AuthError::PadUsed`] for a replay, [`AuthError::PadAhead`], [`AuthError::PoolLow`], [`AuthError::BadTag`].
    pub fn verify(&mut self, tag: Tag, transcript: &Transcript) -> Result<PoolMark, AuthError> {
        let pool = &mut self.receive.pool;
        let pad = pool.peek(tag.index, self.tag_bits)?;
        let hash = transcript.receive.finish(self.tag_bits);
        // One comparison of whole words: nothing is learnt from its time.
        if hash ^ pad != tag.value {
            return Err(AuthError::BadTag { direction: pool.direction(), index: tag.index });
        }
        pool.use_through(tag.index, self.tag_bits)
    }

    /// Appends fresh secret bits, half to each pool; the same bits at both ends. An odd last bit is dropped.
    ///
    /// # Errors
    /// Only if the bits could not be split, which does not happen.
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

    /// Length of a tag in bits.
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
/// auth.tag(pad, t);
/// auth.tag(pad, t);
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

impl std::fmt::Debug for SendPad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SendPad({})", self.ticket.index())
    }
}

impl Drop for SendPad {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.pad);
    }
}

/// A start-up secret from bytes, as it lies in a file that both ends were given.
///
/// # Errors
/// None: bytes always have eight bits each.
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

    type Said<'a> = Vec<(AuthDirection, &'a [u8])>;

    fn transcript(end: &Authenticator, number: u64, messages: &Said<'_>) -> Transcript {
        let mut transcript = end.transcript(number).unwrap();
        messages.iter().for_each(|(direction, bytes)| transcript.push(*direction, bytes));
        transcript
    }

    fn send(end: &mut Authenticator, number: u64, said: &Said<'_>) -> Tag {
        let pad = end.reserve().unwrap();
        end.tag(pad, &transcript(end, number, said))
    }

    fn check(
        end: &mut Authenticator,
        tag: Tag,
        number: u64,
        said: &Said<'_>,
    ) -> Result<(), AuthError> {
        let said = transcript(end, number, said);
        end.verify(tag, &said).map(drop)
    }

    use AuthDirection::{AToB, BToA};

    #[test]
    fn four_kibibytes_are_about_500_tags() {
        let (mut a, mut b) = pair(64, 4096);
        let said: Said<'_> = vec![(AToB, b"hello")];
        let mut tags = 0;
        while a.check_reserve().is_ok() && a.pool(AToB).left() >= 64 {
            let tag = send(&mut a, tags, &said);
            check(&mut b, tag, tags, &said).unwrap();
            tags += 1;
        }
        assert_eq!(tags, 252);
        assert_eq!(b.pool(BToA).left() / 64, 252);
    }

    #[test]
    fn replayed_reflected_reordered_and_renumbered_tags_are_refused_and_cost_no_pad() {
        let (mut a, mut b) = pair(64, 4096);
        let said: Said<'_> = vec![(AToB, b"one"), (BToA, b"two")];
        let tag = send(&mut a, 1, &said);
        assert!(check(&mut a, tag, 1, &said).is_err(), "reflected");
        check(&mut b, tag, 1, &said).unwrap();
        assert!(matches!(check(&mut b, tag, 1, &said), Err(AuthError::PadUsed { .. })));
        let left = b.pool(AToB).left();
        let tag = send(&mut a, 1, &said);
        let others: [(u64, Said<'_>); 6] = [
            (2, said.clone()),
            (1, vec![(BToA, b"two"), (AToB, b"one")]),
            (1, vec![(AToB, b"one")]),
            (1, vec![(AToB, b"onetwo")]),
            (1, vec![(BToA, b"one"), (BToA, b"two")]),
            (1, vec![(AToB, b"on"), (BToA, b"etwo")]),
        ];
        for (number, other) in &others {
            let error = check(&mut b, tag, *number, other).unwrap_err();
            assert!(matches!(error, AuthError::BadTag { .. }), "{error}");
        }
        assert_eq!(b.pool(AToB).left(), left, "a stranger's tags use up nothing");
        check(&mut b, tag, 1, &said).unwrap();
    }

    /// What a stranger could do before: one tag far ahead, and the pool was gone.
    #[test]
    fn a_tag_far_ahead_is_refused_and_the_link_goes_on() {
        let (mut a, mut b) = pair(64, 4096);
        let said: Said<'_> = vec![(AToB, b"hello")];
        for index in [64 * 251, 64 * 65, u64::MAX] {
            assert!(matches!(
                check(&mut b, Tag { index, value: 1 }, 300, &said),
                Err(AuthError::PadAhead { .. })
            ));
        }
        let tag = send(&mut a, 0, &said);
        check(&mut b, tag, 0, &said).unwrap();
        // As many lost tags as the window has places, and the next one is taken.
        let lost = (0..WINDOW_TAGS).map(|_| send(&mut a, 1, &said)).next_back().unwrap();
        let tag = send(&mut a, 2, &said);
        check(&mut b, tag, 2, &said).unwrap();
        assert!(matches!(check(&mut b, lost, 1, &said), Err(AuthError::PadUsed { .. })));
    }

    #[test]
    fn a_block_begins_above_the_reserve_and_its_tag_may_use_it() {
        let secret = SecretBits::random(&mut ChaCha8Rng::seed_from_u64(7), 512 + 2 * 64 * 3);
        let mut end = Authenticator::new(secret, AToB, 2, 64).unwrap();
        end.check_reserve().unwrap();
        for _ in 0..3 {
            end.reserve().unwrap();
            assert!(matches!(end.check_reserve(), Err(AuthError::PoolLow { reserve: 128, .. })));
        }
        assert!(matches!(end.reserve(), Err(AuthError::PoolLow { .. })));
    }

    #[test]
    fn eight_bit_tags_are_forged_no_more_often_than_the_bound() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let right = b"the right message";
        let (attempts, mut forged) = (40_000u32, 0u32);
        for chunk in 0..attempts / 2000 {
            let (mut a, mut b) = pair(8, 4096);
            for number in 0..2000 {
                let number = u64::from(chunk * 2000 + number);
                let mut tag = send(&mut a, number, &vec![(AToB, right)]);
                let mut other = right.to_vec();
                let at = rng.random_range(0..other.len());
                other[at] ^= rng.random_range(1..=255u8);
                tag.value ^= rng.random_range(0..256);
                forged += u32::from(check(&mut b, tag, number, &vec![(AToB, &other)]).is_ok());
                // So that the window follows.
                let _ = b.pool_mut(AToB).use_through(tag.index, 8);
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
        let said: Said<'_> = vec![];
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
            let tag = send(&mut a, number, &vec![(AToB, &bytes)]);
            let mut other = bytes.clone();
            let at = at % other.len();
            other[at] ^= flip;
            prop_assert!(check(&mut b, tag, number, &vec![(AToB, &other)]).is_err());
            let made_up = Tag { index, value };
            prop_assert!(check(&mut b, made_up, number, &vec![(AToB, &bytes)]).is_err());
        }
    }
}
