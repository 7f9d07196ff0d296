//! The words that all of crqkd shares.
//!
//! | type | what it is |
//! |---|---|
//! | [`AirTime`], [`SAMPLE_RATE_HZ`] | time on the air: an index of samples |
//! | [`Direction`], [`FrameKind`] | which way a frame travels, and what it is for |
//! | [`QapId`], [`UserId`], [`LinkId`], [`PairId`] | who |
//! | [`Epoch`], [`WindowId`], [`ProbeId`], [`PadRef`] | which channel measurement, and which bits of the key made of it |
//! | [`GroupId`], [`KeyId`] | which piece of quantum key, and which final key |
//!
//! Names hold no key and no logic; they can be printed, compared, sorted and written to disk.

mod frame;
mod names;
mod pad_ref;

pub use frame::{Direction, FrameKind};
pub use names::{
    BadKeyId, Epoch, GroupId, KeyId, LinkId, PairId, ProbeId, QapId, UserId, WindowId,
};
pub use pad_ref::PadRef;

/// Air time: an index of samples at [`SAMPLE_RATE_HZ`]; 2⁶⁴ − 1 stands for never.
pub type AirTime = u64;

/// Samples a second on the air.
pub const SAMPLE_RATE_HZ: f64 = 20e6;
