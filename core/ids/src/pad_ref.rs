//! [`PadRef`]: where the bits of a pad lie.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Epoch, WindowId};

/// Address of pad bits: `len` bits of a window's channel key, from bit `start` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PadRef {
    /// Life of the link.
    pub epoch: Epoch,
    /// Window whose channel key this is.
    pub window: WindowId,
    /// First bit.
    pub start: u32,
    /// Number of bits.
    pub len: u32,
}

impl PadRef {
    /// The bit behind the last one.
    pub fn end(&self) -> u64 {
        u64::from(self.start) + u64::from(self.len)
    }

    /// True when the two name a common bit.
    pub fn overlaps(&self, other: &Self) -> bool {
        (self.epoch, self.window) == (other.epoch, other.window)
            && u64::from(self.start) < other.end()
            && u64::from(other.start) < self.end()
    }

    /// Bits that a list of addresses names.
    pub fn total(places: &[Self]) -> usize {
        places.iter().map(|place| place.len as usize).sum()
    }
}

impl fmt::Display for PadRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {} window {} bits {}..{}", self.epoch, self.window, self.start, self.end())
    }
}
