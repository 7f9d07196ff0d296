//! What the header of a frame says of its way and purpose.

use serde::{Deserialize, Serialize};

/// Which way a frame travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the access point to the user.
    Forward,
    /// From the user to the access point.
    Reverse,
}

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FrameKind {
    /// A numbered measurement of the channel: preamble and header.
    Probe,
    /// Messages: preamble, header and payload. Its probe number is that of the probe half a period before.
    Control,
}
