//! Names of groups, people, links, windows, probes and keys.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A text that is no [`KeyId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a key ID (a UUID of version 8)")]
pub struct BadKeyId {
    /// The text, cut to 64 characters.
    pub text: String,
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($raw:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $raw);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl From<$raw> for $name {
            fn from(raw: $raw) -> Self {
                Self(raw)
            }
        }
    };
}

number! {
    /// Number of a group of quantum key, equal at both QAPs, never used twice. Even numbers are allocated to pairs by
    /// the QAP with the lower number, odd ones by the other.
    GroupId(u64)
}
number! {
    /// A user: a mobile radio and the person or device behind it.
    UserId(u16)
}
number! {
    /// A quantum access point.
    QapId(u16)
}
number! {
    /// One life of a QAP's link. A restart begins a new epoch, so that (epoch, window, bit) names a pad bit once.
    Epoch(u16)
}
number! {
    /// Window of probes inside an epoch, counted from 0.
    WindowId(u32)
}

/// Two users that share a key. The order matters: `a` asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PairId {
    /// The user who asked, who also proposes the blocks.
    pub a: UserId,
    /// The user asked for.
    pub b: UserId,
}

impl PairId {
    /// True for either of the two.
    pub fn contains(&self, user: UserId) -> bool {
        self.a == user || self.b == user
    }

    /// The other one of the two; `None` for a stranger.
    pub fn other(&self, user: UserId) -> Option<UserId> {
        match user {
            u if u == self.a => Some(self.b),
            u if u == self.b => Some(self.a),
            _ => None,
        }
    }
}

impl fmt::Display for PairId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}>{}", self.a, self.b)
    }
}

/// The radio link between a QAP and one of its users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LinkId {
    /// The access point.
    pub qap: QapId,
    /// The user.
    pub user: UserId,
}

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}~{}", self.qap, self.user)
    }
}

/// A probe: one measurement of the channel, in both directions. Never sent twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProbeId {
    /// Life of the link.
    pub epoch: Epoch,
    /// Window in the epoch.
    pub window: WindowId,
    /// Probe in the window, from 0.
    pub index: u16,
}

impl fmt::Display for ProbeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.epoch, self.window, self.index)
    }
}

/// Name of a released key: a UUID of version 8, equal at both ends.
///
/// ```
/// use crqkd_ids::{Epoch, KeyId, PairId, UserId};
/// let pair = PairId { a: UserId(1), b: UserId(2) };
/// let key = KeyId::of(pair, Epoch(0), 7, b"seed");
/// assert_eq!(key, KeyId::of(pair, Epoch(0), 7, b"seed"));
/// assert_ne!(key, KeyId::of(pair, Epoch(0), 8, b"seed"));
/// assert_ne!(key, KeyId::of(pair, Epoch(0), 7, b"another seed"));
/// assert_eq!(key.to_string().parse::<KeyId>()?, key);
/// # Ok::<(), crqkd_ids::BadKeyId>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Uuid);

impl KeyId {
    /// The key of block number `block` of `pair` in `epoch`: 122 bits of SHA-256 over the four numbers and the block's
    /// public seed.
    ///
    /// `epoch` is that of the asking user's QAP. It begins at 0 again with a new store, and blocks with each start of a user,
    /// so the numbers alone would come again; the seed is drawn anew for each block.
    pub fn of(pair: PairId, epoch: Epoch, block: u32, seed: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"crqkd key id\0");
        hash.update(pair.a.0.to_be_bytes());
        hash.update(pair.b.0.to_be_bytes());
        hash.update(epoch.0.to_be_bytes());
        hash.update(block.to_be_bytes());
        hash.update(seed);
        let digest = hash.finalize();
        let mut bytes = [0u8; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(Uuid::new_v8(bytes))
    }

    /// The 16 bytes of the UUID.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.hyphenated(), f)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl FromStr for KeyId {
    type Err = BadKeyId;

    fn from_str(text: &str) -> Result<Self, BadKeyId> {
        match Uuid::parse_str(text) {
            Ok(uuid) if uuid.get_version_num() == 8 => Ok(Self(uuid)),
            _ => Err(BadKeyId { text: text.chars().take(64).collect() }),
        }
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_id_is_a_uuid_of_version_8_over_the_labelled_sha256() {
        // python: d = hashlib.sha256(b"crqkd key id\0" + bytes.fromhex("0001" "0002" "0003" "00000004") + b"seed").digest();
        //         b = bytearray(d[:16]); b[6] = b[6] & 15 | 0x80; b[8] = b[8] & 63 | 0x80; uuid.UUID(bytes=bytes(b))
        let key = KeyId::of(PairId { a: UserId(1), b: UserId(2) }, Epoch(3), 4, b"seed");
        assert_eq!(key.to_string(), "8e7fc723-8702-85d7-9f5c-582390c0b011");
        assert_eq!(serde_json::to_string(&key).unwrap(), format!("\"{key}\""));
    }

    #[test]
    fn a_text_that_is_no_version_8_uuid_is_refused() {
        for text in ["", "nonsense", "936da01f-9abd-4d9d-80c7-02af85c822a8"] {
            assert!(text.parse::<KeyId>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_other_of_a_pair() {
        let pair = PairId { a: UserId(1), b: UserId(2) };
        assert_eq!(pair.other(UserId(1)), Some(UserId(2)));
        assert_eq!(pair.other(UserId(2)), Some(UserId(1)));
        assert_eq!(pair.other(UserId(3)), None);
        assert!(pair.contains(UserId(2)) && !pair.contains(UserId(3)));
    }
}
