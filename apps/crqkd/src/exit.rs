//! What a program tells the shell: 0 ok, 1 threshold missed, 2 usage or bad input, 3 device.

use crqkd_blocks::radio::RadioError;
use crqkd_flowgraphs::FlowgraphError;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

/// How a command ended, when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything as asked.
    Ok,
    /// It ran, but a threshold was missed or no key could be made.
    Missed,
}

/// The process's exit code; prints the error, with its causes, to standard error.
pub(crate) fn code(result: anyhow::Result<Outcome>) -> ExitCode {
    match result {
        Ok(Outcome::Ok) => ExitCode::SUCCESS,
        Ok(Outcome::Missed) => ExitCode::from(1),
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crqkd: {error:#}");
            ExitCode::from(if is_device(&error) { 3 } else { 2 })
        }
    }
}

/// A radio refused its work or was lost; the command itself was right.
fn is_device(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        matches!(cause.downcast_ref(), Some(FlowgraphError::Device(_)))
            || cause.downcast_ref().is_some_and(RadioError::is_device)
    })
}

/// `crqkd receive FILE | head` closes our output early; that is not an error.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Whether Ctrl-C was pressed. Long work looks at it and stops with nothing half-written.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// From now on Ctrl-C asks the running command to stop; pressed again it ends the process at once.
pub(crate) fn catch_interrupts() {
    let installed = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        eprintln!("crqkd: stopping (press Ctrl-C again to end at once)");
    });
    if let Err(error) = installed {
        tracing::warn!("Ctrl-C cannot be caught: {error}");
    }
}
