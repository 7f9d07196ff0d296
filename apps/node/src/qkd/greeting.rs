//! What the two ends say about themselves when they meet, and what follows from it.

use anyhow::{Context, Result, anyhow, bail};
use crqkd_keys::AuthDirection;
use serde::{Deserialize, Serialize};

/// How many block numbers the other end may be ahead: they must not run out.
const MOST_AHEAD: u64 = 1 << 16;

/// What an end says of itself. It is proved by a keyed hash when it is said, and by the tags of the blocks that follow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Greeting {
    /// The direction that it sends.
    pub(super) own: AuthDirection,
    /// SHA-256 of the link's parameters.
    pub(super) link: String,
    pub(super) next_block: u64,
    /// The last block whose key it has released, and the first bits of that key.
    pub(super) last_released: Option<(u64, u64)>,
    /// The block whose key it holds.
    pub(super) held: Option<u64>,
    /// First unused pad bit of each pool, A to B first.
    pub(super) pads: [u64; 2],
    /// It has checked a tag since it was started, so its files are no old copy.
    pub(super) fresh: bool,
}

/// What two greetings agree on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Agreed {
    /// Number of the next block.
    pub(super) next_block: u64,
    /// The end that tags first.
    pub(super) first: AuthDirection,
    /// The other end has the key that this one holds.
    pub(super) release_held: bool,
}

/// Something that no new connection helps against.
#[derive(Debug)]
pub(super) struct Fatal;

impl std::fmt::Display for Fatal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the link cannot go on")
    }
}

/// The two ends are not set up for each other. The one that calls gives up; the one that listens waits for another caller.
#[derive(Debug)]
pub(super) struct Mismatch;

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the two ends do not fit together")
    }
}

fn fatal(text: String) -> anyhow::Error {
    anyhow!(text).context(Fatal)
}

impl Greeting {
    /// Compares two ends: `held` is the key that this one holds.
    ///
    /// # Errors
    /// [`Mismatch`] when they are no counterparts. [`Fatal`] when this end cannot go on: it was restored from an old copy.
    /// Other errors when the other end cannot.
    pub(super) fn agree(&self, theirs: &Self, held: Option<(u64, u64)>) -> Result<Agreed> {
        if theirs.own == self.own {
            return Err(anyhow!("both ends are {}", name(self.own)).context(Mismatch));
        }
        if theirs.link != self.link {
            return Err(anyhow!("the two ends have different links configured").context(Mismatch));
        }
        for (place, direction) in [AuthDirection::AToB, AuthDirection::BToA].into_iter().enumerate()
        {
            let (sender, receiver) = if direction == self.own {
                (self.pads[place], theirs.pads[place])
            } else {
                (theirs.pads[place], self.pads[place])
            };
            if receiver > sender && direction == self.own {
                return Err(fatal(format!(
                    "the other end has seen pads up to {receiver}, this one only knows of {sender}: this directory \
                     was restored from an old copy, and its pads would be used twice"
                )));
            }
            if receiver > sender {
                bail!(
                    "the other end only knows of pads up to {sender}, but {receiver} have been seen: it was \
                     restored from an old copy"
                );
            }
        }
        let release_held = self.compare_released(theirs, held)?;
        let next_block = self.next_block.max(theirs.next_block);
        if next_block - self.next_block > MOST_AHEAD {
            bail!("the other end is at block {next_block}, this one at {}", self.next_block);
        }
        let (alice, bob) = match self.own {
            AuthDirection::AToB => (self, theirs),
            AuthDirection::BToA => (theirs, self),
        };
        let first = match (alice.fresh, bob.fresh) {
            (false, true) => AuthDirection::BToA,
            _ => AuthDirection::AToB,
        };
        Ok(Agreed { next_block, first, release_held })
    }

    /// An end has released what the other has, or the other holds it.
    fn compare_released(&self, theirs: &Self, held: Option<(u64, u64)>) -> Result<bool> {
        if held.is_some() && held == theirs.last_released {
            return Ok(true);
        }
        let block = |last: Option<(u64, u64)>| last.map(|(block, _)| block);
        let (ours, other) = (block(self.last_released), block(theirs.last_released));
        if ours == other && self.last_released != theirs.last_released {
            return Err(fatal(format!("the two ends have different keys of block {ours:?}")));
        }
        if other > ours {
            return Err(fatal(format!(
                "the other end has released block {}, this one does not know it: restored from an old copy?",
                other.unwrap_or_default()
            )));
        }
        if ours > other && theirs.held != ours {
            bail!(
                "the other end does not know block {}: restored from an old copy?",
                ours.unwrap_or_default()
            );
        }
        Ok(false)
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        Ok(serde_json::to_vec(self)?)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).context("in the greeting")
    }
}

/// Alice or Bob.
pub(super) fn name(own: AuthDirection) -> &'static str {
    match own {
        AuthDirection::AToB => "Alice",
        AuthDirection::BToA => "Bob",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AuthDirection::{AToB, BToA};

    fn pair() -> (Greeting, Greeting) {
        let end = |own| Greeting {
            own,
            link: "x".into(),
            next_block: 7,
            last_released: Some((5, 99)),
            held: None,
            pads: [640, 640],
            fresh: true,
        };
        (end(AToB), end(BToA))
    }

    #[test]
    fn an_end_that_has_just_started_tags_second_where_the_other_has_not() {
        let (mut a, mut b) = pair();
        let first = |a: &Greeting, b: &Greeting| {
            let first = a.agree(b, None).unwrap().first;
            assert_eq!(b.agree(a, None).unwrap().first, first);
            first
        };
        assert_eq!(first(&a, &b), AToB);
        a.fresh = false;
        assert_eq!(first(&a, &b), BToA);
        b.fresh = false;
        assert_eq!(first(&a, &b), AToB);
        a.fresh = true;
        assert_eq!(first(&a, &b), AToB);
    }

    #[test]
    fn only_the_end_that_was_rolled_back_cannot_go_on() {
        let is_fatal = |result: Result<Agreed>| result.unwrap_err().is::<Fatal>();
        type Old = fn(&mut Greeting);
        let old: [Old; 3] = [
            |end| end.pads[usize::from(end.own == BToA)] = 576,
            |end| end.last_released = Some((4, 98)),
            |end| end.last_released = None,
        ];
        for make_old in old {
            let (mut a, b) = pair();
            make_old(&mut a);
            assert!(is_fatal(a.agree(&b, None)) && !is_fatal(b.agree(&a, None)));
            let (a, mut b) = pair();
            make_old(&mut b);
            assert!(!is_fatal(a.agree(&b, None)) && is_fatal(b.agree(&a, None)));
        }
        // Pads that were lost on their way are known to their sender only.
        let (mut a, b) = pair();
        a.pads[0] += 6400;
        assert!(a.agree(&b, None).is_ok() && b.agree(&a, None).is_ok());
    }

    #[test]
    fn a_held_key_is_released_when_the_other_end_has_it() {
        let (mut a, mut b) = pair();
        a.last_released = Some((6, 123));
        b.held = Some(6);
        assert!(b.agree(&a, Some((6, 123))).unwrap().release_held);
        assert!(!a.agree(&b, None).unwrap().release_held);
        // Another key of the same block, or none.
        assert!(b.agree(&a, Some((6, 124))).unwrap_err().is::<Fatal>());
        assert!(b.agree(&a, None).unwrap_err().is::<Fatal>());
        b.held = None;
        assert!(a.agree(&b, None).is_err());
        let (a, b) = pair();
        assert!(!b.agree(&a, Some((6, 1))).unwrap().release_held, "the other end does not have it");
    }

    #[test]
    fn counterparts_have_other_roles_and_the_same_link_and_near_numbers() {
        let (a, b) = pair();
        let said = |end: Result<Agreed>| format!("{:#}", end.unwrap_err());
        assert!(said(a.agree(&a, None)).contains("both ends are Alice"));
        let other = Greeting { link: "y".into(), ..b.clone() };
        assert!(said(a.agree(&other, None)).contains("different links"));
        let far = Greeting { next_block: 1 << 40, ..b.clone() };
        assert!(said(a.agree(&far, None)).contains("at block"));
        assert_eq!(a.agree(&Greeting { next_block: 300, ..b }, None).unwrap().next_block, 300);
        let bytes = a.to_bytes().unwrap();
        assert_eq!(Greeting::from_bytes(&bytes).unwrap(), a);
    }
}
