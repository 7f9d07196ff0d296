//! What goes to standard error while a command runs: progress bars and notes.

use crqkd_node::told::say;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fmt::Arguments;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

static QUIET: AtomicBool = AtomicBool::new(false);

/// From now on neither bars nor notes are shown (`--quiet`).
pub(crate) fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// A bar of `length` steps with a label; nothing when standard error is not a terminal.
pub(crate) fn bar(length: u64, label: &str) -> ProgressBar {
    if QUIET.load(Ordering::Relaxed) {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {elapsed_precise}")
        .expect("the template names only known keys");
    bar.set_style(style);
    bar.set_message(label.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A line for people about what was done.
pub(crate) fn note(text: Arguments<'_>) {
    if !QUIET.load(Ordering::Relaxed) {
        say(text);
    }
}
