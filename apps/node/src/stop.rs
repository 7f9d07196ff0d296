//! Ctrl-C and SIGTERM: the first asks the work that is under way to end, and ends the process if it does not.
//!
//! ```text
//!   first signal ──► requested() is true: long loops return what they have, or nothing
//!                └─► after GRACE, when nothing is being saved: temporary files are removed, the process ends with 128 + signal
//!   second signal ─► the same at once
//! ```

use crate::told::say;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::time::Duration;

/// Time from the first signal to the end of a process that does not end by itself.
pub const GRACE: Duration = Duration::from_millis(800);

/// Between two looks at whether something is still being saved.
const LOOK: Duration = Duration::from_millis(20);

static SIGNAL: AtomicI32 = AtomicI32::new(0);
static SAVING: AtomicUsize = AtomicUsize::new(0);

/// Whether Ctrl-C was pressed or SIGTERM came. Long work looks at it at least every few hundred milliseconds and ends.
pub fn requested() -> bool {
    SIGNAL.load(Ordering::SeqCst) != 0
}

/// The exit code of a process that was asked to end: 130 after Ctrl-C, 143 after SIGTERM; `None` when it was not.
pub fn exit_code() -> Option<u8> {
    match SIGNAL.load(Ordering::SeqCst) {
        0 => None,
        signal => Some(128u8.saturating_add(u8::try_from(signal).unwrap_or(127))),
    }
}

/// While it exists, only a second signal ends the process: what is being saved is worth waiting for, a recording say.
#[derive(Debug)]
pub struct Saving(());

/// Announces that something is saved that a signal should not destroy.
pub fn saving() -> Saving {
    SAVING.fetch_add(1, Ordering::SeqCst);
    Saving(())
}

impl Drop for Saving {
    fn drop(&mut self) {
        SAVING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// From now on signals are handled as described above. To be called once, at the beginning of a program.
///
/// # Errors
/// Those of the operating system.
#[cfg(unix)]
pub fn catch_signals(program: &'static str) -> io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    // A file that grows beyond `ulimit -f` is an error of the write then, and not the end of the process.
    signal_hook::flag::register(libc::SIGXFSZ, Arc::default())?;
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    let watch = move || {
        let Some(first) = signals.forever().next() else { return };
        SIGNAL.store(first, Ordering::SeqCst);
        // First of all the watchdog: standard error may be a pipe that nobody empties.
        let watchdog = std::thread::Builder::new().name("watchdog".into()).spawn(move || {
            std::thread::sleep(GRACE);
            while SAVING.load(Ordering::SeqCst) > 0 {
                std::thread::sleep(LOOK);
            }
            end(first)
        });
        if watchdog.is_err() {
            end(first);
        }
        say(format_args!("{program}: stopping"));
        if let Some(second) = signals.forever().next() {
            end(second);
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(watch).map(|_| ())
}

/// Elsewhere the operating system ends the process by itself.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn catch_signals(_program: &'static str) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn end(signal: i32) -> ! {
    crqkd_recording::remove_unfinished();
    std::process::exit(128 + signal)
}
