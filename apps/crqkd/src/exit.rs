//! What a program tells the shell: 0 ok, 1 threshold missed or no key, 2 usage or bad input, 3 device or storage, 130 and
//! 143 stopped by Ctrl-C or SIGTERM.

use crqkd_blocks::radio::RadioError;
use crqkd_flowgraphs::FlowgraphError;
use crqkd_keys::KeysError;
use crqkd_node::journal::StorageError;
use crqkd_node::stop;
use crqkd_node::told::{say, told};
use std::io::ErrorKind;
use std::process::ExitCode;

pub(crate) use crqkd_node::stop::requested as interrupted;

/// How a command ended, when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything as asked.
    Ok,
    /// It ran, but a threshold was missed, there is no key, or not everything that was asked for.
    Missed,
    /// Some of its input was bad; what exactly has been said already.
    BadInput,
}

impl Outcome {
    /// [`Outcome::Ok`] if `met`.
    pub(crate) fn of(met: bool) -> Self {
        if met { Outcome::Ok } else { Outcome::Missed }
    }
}

/// The quantum link gave no key, for this reason, to a command that can do nothing without.
#[derive(Debug, thiserror::Error)]
#[error("no group was made: {0}")]
pub(crate) struct NoKey(pub(crate) String);

/// Work that ended because of Ctrl-C or SIGTERM without a result.
#[derive(Debug, thiserror::Error)]
#[error("stopped without a result")]
pub(crate) struct Stopped;

/// The process's exit code; prints the error, with its causes, to standard error.
pub(crate) fn code(result: anyhow::Result<Outcome>) -> ExitCode {
    let code = match result {
        Ok(Outcome::Ok) => 0,
        Ok(Outcome::Missed) => 1,
        Ok(Outcome::BadInput) => 2,
        Err(error) => {
            say(format_args!("crqkd: {}", told(&error)));
            match error {
                error if error.is::<NoKey>() => 1,
                error if is_device(&error) => 3,
                _ => 2,
            }
        }
    };
    ExitCode::from(stop::exit_code().unwrap_or(code))
}

/// A radio refused its work or was lost, or the storage did; the command itself was right.
fn is_device(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        matches!(cause.downcast_ref(), Some(FlowgraphError::Device(_)))
            || cause.downcast_ref().is_some_and(RadioError::is_device)
            || cause.downcast_ref().is_some_and(|error: &StorageError| !is_path(&error.source))
            || matches!(cause.downcast_ref(), Some(KeysError::Store(_)))
            || cause.downcast_ref().is_some_and(is_storage)
    })
}

/// A path that does not exist, is of the wrong kind, or that the user may not use: what was asked for was wrong.
fn is_path(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::AlreadyExists
            | ErrorKind::PermissionDenied
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
    )
}

/// A disk that is full, read-only or damaged. A path that is wrong is the user's.
fn is_storage(error: &std::io::Error) -> bool {
    /// Linux, BSD and macOS number it alike.
    const EIO: i32 = 5;
    error.raw_os_error() == Some(EIO)
        || matches!(
            error.kind(),
            ErrorKind::StorageFull
                | ErrorKind::QuotaExceeded
                | ErrorKind::FileTooLarge
                | ErrorKind::ReadOnlyFilesystem
                | ErrorKind::WriteZero
        )
}
