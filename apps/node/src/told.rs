//! What is said to people: a line on standard error, and an error with its causes as such a line.

use std::error::Error;
use std::fmt::Display;
use std::io::Write;

/// Writes a line to standard error. If nobody reads it any more, as after `2>&1 | head`, the line is lost and nothing else:
/// the macros of the standard library would end the thread.
pub fn say(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The error and its causes, separated by colons. A cause that the message before it already ends with is not said again.
pub fn told(error: &anyhow::Error) -> String {
    let chain: Vec<&(dyn Error + 'static)> = error.chain().collect();
    join(chain.iter().map(|cause| cause.to_string()))
}

fn join(messages: impl Iterator<Item = String>) -> String {
    let mut text = String::new();
    for message in messages {
        if text.is_empty() {
            text = message;
        } else if !text.ends_with(&message) {
            text = format!("{text}: {message}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_cause_that_the_message_has_already_is_said_once() {
        let error = anyhow::anyhow!("disk full").context("writing a: disk full").context("demo");
        assert_eq!(told(&error), "demo: writing a: disk full");
        let plain: anyhow::Result<()> = Err(anyhow::anyhow!("disk full"));
        assert_eq!(told(&plain.context("writing a").unwrap_err()), "writing a: disk full");
    }
}
