//! What is counted of a run, window by window and group by group; the demo on samples fills the same counts.

use crqkd_channel_key::KdrCount;
use serde::{Deserialize, Serialize};

/// One closed probe window of one link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WindowTally {
    /// Air time at which the window starts, in seconds from the start of the run.
    pub start_s: f64,
    /// Air time that the window takes in seconds.
    pub length_s: f64,
    /// Bits at the QAP against those at the user.
    pub user: KdrCount,
    /// Bits at the QAP against those that Eve measured on the QAP's frames.
    pub eve: KdrCount,
    /// Bits at the QAP against those that Eve measured on the user's frames.
    pub eve_reverse: KdrCount,
}

/// One transmission of a group under a pad of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupTally {
    /// Air time of the first bit of the pad, in seconds from the start of the run.
    pub start_s: f64,
    /// Pad bits at the QAP against those at the user.
    pub user: KdrCount,
    /// Whether the user decoded the group.
    pub decoded: bool,
    /// Whether the user decoded something else than the group (the block's hash finds it).
    pub wrong: bool,
    /// Whether Eve's decoder gave the true group.
    pub cracked: bool,
}

/// One link during one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunTally {
    /// Windows in the order of time.
    pub windows: Vec<WindowTally>,
    /// Groups in the order of time, one for each transmission.
    pub groups: Vec<GroupTally>,
    /// Number of probes that were sent.
    pub probes: u64,
    /// Probes that both ends kept.
    pub kept: u64,
    /// Bits of quantum key in a group.
    pub group_bits: u64,
}

impl RunTally {
    /// Air time of the windows in seconds.
    pub fn seconds(&self) -> f64 {
        self.windows.iter().map(|window| window.length_s).sum()
    }

    /// Errors and bits of all windows: user, Eve on the QAP's frames, Eve on the user's.
    pub fn kdr(&self) -> [KdrCount; 3] {
        let sum = |part: fn(&WindowTally) -> KdrCount| self.windows.iter().map(part).sum();
        [sum(|w| w.user), sum(|w| w.eve), sum(|w| w.eve_reverse)]
    }
}
