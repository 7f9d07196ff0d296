//! What can go wrong with keys.

use crate::{GroupId, Mark, PadRef, WindowId};

/// Errors of this crate; each holds the numbers that explain it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// Bits and log-likelihood ratios of one pad differ in number.
    #[error("{bits} pad bits come with {llrs} log-likelihood ratios")]
    LlrCount {
        /// Number of pad bits.
        bits: usize,
        /// Number of log-likelihood ratios.
        llrs: usize,
    },
    /// A window was already stored, or lies before the oldest one that the store still knows.
    #[error("window {window} was stored or dropped before")]
    WindowGone {
        /// Number of the window.
        window: WindowId,
    },
    /// Nothing is stored for the window that a pad range names.
    #[error("{place}: no such window")]
    UnknownWindow {
        /// The pad range that was asked for.
        place: PadRef,
    },
    /// A pad range reaches past the end of its window, or is empty.
    #[error("{place}: the window has {bits} bits")]
    OutOfWindow {
        /// The pad range that was asked for.
        place: PadRef,
        /// Number of bits that the window had when it was stored.
        bits: usize,
    },
    /// A pad range names bits that were given out before, or twice in one request.
    #[error("{place}: pad bits were used before")]
    PadUsed {
        /// The pad range that was asked for.
        place: PadRef,
    },
    /// A group is not there.
    #[error("group {group} is unknown")]
    UnknownGroup {
        /// Number of the group that is not there.
        group: GroupId,
    },
    /// A group was there before: a number is used once.
    #[error("group {group} was there before")]
    GroupTwice {
        /// Number of the group that was there before.
        group: GroupId,
    },
    /// A mark that may not follow the present one.
    #[error("group {group} is {from} and cannot become {to}")]
    WrongMark {
        /// Number of the group whose mark was to change.
        group: GroupId,
        /// The mark that the group has.
        from: Mark,
        /// The mark that was asked for.
        to: Mark,
    },
    /// A bounded container is full.
    #[error("full: {capacity} entries")]
    Full {
        /// Entries that it holds at most.
        capacity: usize,
    },
    /// A durable store could not read or write its records; why not.
    #[error("store: {0}")]
    Store(String),
}
