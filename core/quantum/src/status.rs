//! [`Status`]: how far one end of a block is.

use crate::report::AbortReason;

/// How far one end of a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The block is not over: further messages of the other end are expected.
    Running,
    /// This end has computed its final key.
    Done,
    /// There is no key, for this reason.
    Aborted(AbortReason),
    /// There is no key: the other end sent what cannot be.
    Failed,
}
