//! [`AuthPool`]: pad bits for tags, each used once, by index.

use crqkd_bits::SecretBits;
use serde::{Deserialize, Serialize};

use super::AuthError;

/// Who sends under a pool's pads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthDirection {
    /// The end called A (Alice, QAP1, the QAP towards its user) sends.
    AToB,
    /// The end called B, opposite A, sends.
    BToA,
}

impl AuthDirection {
    /// The direction the other way.
    pub fn reversed(self) -> Self {
        match self {
            Self::AToB => Self::BToA,
            Self::BToA => Self::AToB,
        }
    }

    /// One byte that goes into every hashed transcript, so that a tag cannot be reflected.
    pub fn label(self) -> u8 {
        match self {
            Self::AToB => 0xA2,
            Self::BToA => 0xB1,
        }
    }
}

/// What must be durable before the pads below `next` are used: they are gone for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolMark {
    /// Direction of the tags that the pool is for.
    pub direction: AuthDirection,
    /// First pad bit that has not been used.
    pub next: u64,
}

/// The right to use one pad, after its mark is durable. Not `Clone`: a pad masks one tag.
#[derive(Debug, PartialEq, Eq)]
pub struct AuthTicket {
    mark: PoolMark,
    index: u64,
}

impl AuthTicket {
    /// What must be durable before the ticket is used.
    pub fn mark(&self) -> PoolMark {
        self.mark
    }

    /// Index of the pad's first bit.
    pub fn index(&self) -> u64 {
        self.index
    }
}

/// How many pads a tag may lie beyond the last one that was authenticated: each stands for a tag that was lost on its way.
pub const WINDOW_TAGS: u64 = 64;

/// Pad bits of one direction: a long string that grows at the end and is used up from the front.
///
/// Bit i of the string is the same secret at both ends. Used bits are wiped.
pub struct AuthPool {
    direction: AuthDirection,
    /// The bits from index `next` on, which are still unused.
    bits: SecretBits,
    next: u64,
    reserve: u64,
}

impl AuthPool {
    /// A pool that starts with these bits. No pad is given out for anything but a restart when fewer than `reserve`
    /// bits would remain.
    pub fn new(direction: AuthDirection, bits: SecretBits, reserve: u64) -> Self {
        Self { direction, bits, next: 0, reserve }
    }

    /// Takes the next pad of `bits` bits for sending.
    ///
    /// # Errors
    /// [`AuthError::PoolLow`] when fewer than the reserve would remain. Nothing is then used.
    pub fn reserve(&mut self, bits: u32) -> Result<(AuthTicket, u64), AuthError> {
        self.take(self.next, bits, self.reserve)
    }

    /// Takes the next pad whatever the reserve is: for the tag of a block that was begun with more.
    ///
    /// # Errors
    /// [`AuthError::PoolLow`] when there is none. Nothing is then used.
    pub fn reserve_last(&mut self, bits: u32) -> Result<(AuthTicket, u64), AuthError> {
        self.take(self.next, bits, 0)
    }

    /// Whether a pad of `bits` bits is there above the reserve.
    ///
    /// # Errors
    /// [`AuthError::PoolLow`] when fewer bits than the pad and the reserve are left.
    pub fn check_reserve(&self, bits: u32) -> Result<(), AuthError> {
        let needed = u64::from(bits);
        if needed.saturating_add(self.reserve) > self.left() {
            return Err(self.low(needed));
        }
        Ok(())
    }

    /// The pad at `index`, for checking what the other end says it sent with it. Nothing is used by that: a tag of
    /// somebody who has no key costs no pad.
    ///
    /// # Errors
    /// [`AuthError::PadUsed`] when the index was used or skipped before: a replay, or an end that was restored from an
    /// old copy. [`AuthError::PadAhead`] beyond [`WINDOW_TAGS`] pads from the last one that was authenticated.
    /// [`AuthError::PoolLow`] when the pool does not reach so far.
    pub fn peek(&self, index: u64, bits: u32) -> Result<u64, AuthError> {
        let skipped = self.skipped(index)?;
        if skipped > WINDOW_TAGS * u64::from(bits) {
            return Err(AuthError::PadAhead { direction: self.direction, index, next: self.next });
        }
        let needed = skipped + u64::from(bits);
        if needed > self.left() || bits == 0 || bits > 64 {
            return Err(self.low(needed));
        }
        let pad = self.bits.expose().iter().skip(skipped as usize).take(bits as usize).enumerate();
        Ok(pad.fold(0u64, |pad, (i, bit)| pad | u64::from(bit) << i))
    }

    /// Marks the pad of `bits` bits at `index` as used, with everything before it.
    ///
    /// # Errors
    /// The errors of [`peek`](Self::peek); nothing is then used.
    pub fn use_through(&mut self, index: u64, bits: u32) -> Result<PoolMark, AuthError> {
        self.peek(index, bits)?;
        self.skip_to(index + u64::from(bits))?;
        Ok(PoolMark { direction: self.direction, next: self.next })
    }

    /// Appends fresh secret bits, the same at both ends.
    pub fn refill(&mut self, bits: SecretBits) {
        self.bits.append(bits);
    }

    /// Marks everything below `next` as used, as after a restart.
    ///
    /// # Errors
    /// [`AuthError::PadUsed`] when the pool is further already, [`AuthError::PoolLow`] when it does not reach so far.
    pub fn skip_to(&mut self, next: u64) -> Result<(), AuthError> {
        let skipped = next.checked_sub(self.next).ok_or(AuthError::PadUsed {
            direction: self.direction,
            index: next,
            next: self.next,
        })?;
        if skipped > self.left() {
            return Err(self.low(skipped));
        }
        let gone = self.bits.take_front(skipped as usize).expect("it was compared with the length");
        drop(gone);
        self.next = next;
        Ok(())
    }

    /// The direction in which tags under these pads travel.
    pub fn direction(&self) -> AuthDirection {
        self.direction
    }

    /// First bit that has not been used.
    pub fn next_index(&self) -> u64 {
        self.next
    }

    /// Number of bits that are left, those of the reserve included.
    pub fn left(&self) -> u64 {
        self.bits.len() as u64
    }

    /// Bits before `index` that have not been used.
    fn skipped(&self, index: u64) -> Result<u64, AuthError> {
        let (direction, next) = (self.direction, self.next);
        index.checked_sub(next).ok_or(AuthError::PadUsed { direction, index, next })
    }

    fn take(
        &mut self,
        index: u64,
        bits: u32,
        reserve: u64,
    ) -> Result<(AuthTicket, u64), AuthError> {
        let skipped = self.skipped(index)?;
        let needed = skipped.saturating_add(u64::from(bits));
        if needed.saturating_add(reserve) > self.left() || bits == 0 || bits > 64 {
            return Err(self.low(needed));
        }
        let taken = self.bits.take_front(needed as usize).expect("it was compared with the length");
        let pad = taken.expose().iter().skip(skipped as usize).enumerate();
        let pad = pad.fold(0u64, |pad, (i, bit)| pad | u64::from(bit) << i);
        self.next += needed;
        let mark = PoolMark { direction: self.direction, next: self.next };
        Ok((AuthTicket { mark, index }, pad))
    }

    fn low(&self, needed: u64) -> AuthError {
        AuthError::PoolLow {
            direction: self.direction,
            left: self.left(),
            needed,
            reserve: self.reserve,
        }
    }
}

impl std::fmt::Debug for AuthPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AuthPool({:?}, {} bits from {})", self.direction, self.left(), self.next)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn pair(len: usize) -> (AuthPool, AuthPool) {
        let bits = SecretBits::random(&mut ChaCha8Rng::seed_from_u64(1), len);
        let pool = |bits| AuthPool::new(AuthDirection::AToB, bits, 0);
        (pool(bits.duplicate()), pool(bits))
    }

    #[test]
    fn an_index_is_used_once_and_skipped_ones_are_gone() {
        let (mut a, mut b) = pair(640);
        let _lost = a.reserve(64).unwrap();
        let (ticket, pad) = a.reserve(64).unwrap();
        assert_eq!((ticket.index(), ticket.mark().next), (64, 128));
        assert_eq!(pad, b.peek(64, 64).unwrap());
        assert_eq!(b.next_index(), 0, "looking uses nothing");
        assert_eq!(b.use_through(64, 64).unwrap().next, 128);
        for old in [0, 63, 64, 127] {
            assert!(matches!(b.peek(old, 64), Err(AuthError::PadUsed { next: 128, .. })));
        }
        assert!(b.skip_to(127).is_err());
        b.skip_to(200).unwrap();
        assert_eq!((b.next_index(), b.left()), (200, 440));
    }

    #[test]
    fn below_the_reserve_nothing_is_given_out_until_a_refill() {
        let bits = SecretBits::random(&mut ChaCha8Rng::seed_from_u64(2), 200);
        let mut pool = AuthPool::new(AuthDirection::BToA, bits, 128);
        pool.reserve(64).unwrap();
        let error = pool.reserve(64).unwrap_err();
        assert!(matches!(error, AuthError::PoolLow { left: 136, reserve: 128, .. }), "{error}");
        pool.refill(SecretBits::random(&mut ChaCha8Rng::seed_from_u64(3), 64));
        assert_eq!(pool.reserve(64).unwrap().0.index(), 64);
    }

    #[test]
    fn a_pad_far_ahead_is_refused_and_nothing_is_skipped() {
        let (_, mut b) = pair(64 * 200);
        b.use_through(64, 64).unwrap();
        let last = 128 + WINDOW_TAGS * 64;
        assert!(b.peek(last, 64).is_ok());
        for index in [last + 1, last + 64, 64 * 199, u64::MAX - 64, u64::MAX] {
            assert!(matches!(b.use_through(index, 64), Err(AuthError::PadAhead { next: 128, .. })));
        }
        assert_eq!((b.next_index(), b.left()), (128, 64 * 198));
    }

    proptest! {
        #[test]
        fn any_order_of_requests_uses_no_bit_twice(
            steps in prop::collection::vec((any::<bool>(), 0u64..700, 1u32..=64), 1..40),
        ) {
            let (mut pool, _) = pair(640);
            let mut used = [false; 640];
            for (send, index, bits) in steps {
                let taken = if send {
                    pool.reserve(bits).map(|(ticket, _)| (ticket.index(), ticket.mark()))
                } else {
                    pool.use_through(index, bits).map(|mark| (index, mark))
                };
                if let Ok((index, mark)) = taken {
                    for i in index..index + u64::from(bits) {
                        prop_assert!(!std::mem::replace(&mut used[i as usize], true));
                    }
                    prop_assert_eq!(mark.next, index + u64::from(bits));
                }
                prop_assert_eq!(pool.next_index() + pool.left(), 640);
            }
        }
    }
}
