//! Who owns which key bits: pads, groups with their one-way marks, and what has to be durable.
//!
//! | type | what it is |
//! |---|---|
//! | [`GroupId`], [`UserId`], [`QapId`], [`PairId`], [`LinkId`], [`Epoch`], [`WindowId`], [`ProbeId`], [`KeyId`] | names |
//! | [`PadRef`], [`Pad`], [`PadStore`] | channel key: where pad bits lie, and the bits, each given out once |
//! | [`Group`], [`Mark`], [`GroupMarks`] | quantum key: the bits, and how far a group has come |
//! | [`KeyBuffer`] | the secret material of one station: groups and pads |
//! | [`Authenticator`], [`AuthPool`], [`Transcript`] | Wegman-Carter tags: pads by index, each used once |
//! | [`Record`], [`Store`], [`MemoryStore`], [`Forgetful`] | marks that must be durable before anything is sent |
//!
//! ```
//! use crqkd_bits::SecretBits;
//! use crqkd_keys::{Epoch, PadRef, PadStore, WindowId};
//! use rand::SeedableRng;
//!
//! let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
//! let mut pads = PadStore::new(16);
//! pads.insert(Epoch(1), WindowId(0), SecretBits::random(&mut rng, 512), vec![2.0; 512])?;
//!
//! let place = PadRef { epoch: Epoch(1), window: WindowId(0), start: 100, len: 256 };
//! let pad = pads.take(&[place])?;
//! assert_eq!((pad.len(), pads.counts().free), (256, 256));
//! assert!(pads.take(&[place]).is_err()); // no pad bit twice
//! # Ok::<(), crqkd_keys::KeysError>(())
//! ```

mod auth;
mod error;
mod group;
mod key_buffer;
mod marks;
mod pad;
mod pad_store;
mod record;

pub use auth::{
    AuthDirection, AuthError, AuthPool, AuthTicket, Authenticator, PoolMark, SendPad, Tag,
    Transcript, WINDOW_TAGS, secret_from_bytes,
};
pub use crqkd_ids::{
    Epoch, GroupId, KeyId, LinkId, PadRef, PairId, ProbeId, QapId, UserId, WindowId,
};
pub use error::KeysError;
pub use group::Group;
pub use key_buffer::KeyBuffer;
pub use marks::{GroupMarks, Mark, MarkCounts};
pub use pad::Pad;
pub use pad_store::{PadCounts, PadStore};
pub use record::{Forgetful, MemoryStore, Record, Store};
