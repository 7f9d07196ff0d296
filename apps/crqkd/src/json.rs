//! What `--json` prints: one document with the name and version of its shape, which `docs/json.md` describes.

use crate::exit::interrupted;
use crate::output;
use anyhow::Result;
use serde::Serialize;
use std::io::Write;

/// The fields that every document has, before its own.
#[derive(Serialize)]
struct Document<'a, T> {
    /// Name and version of the shape, like `crqkd/demo/1`. A field that goes or changes its meaning raises the version.
    schema: &'a str,
    /// The command was asked to stop (Ctrl-C, SIGTERM) before it had everything: this is what it had.
    interrupted: bool,
    #[serde(flatten)]
    body: &'a T,
}

/// Prints the one document of a command.
pub(crate) fn print(schema: &str, body: &impl Serialize) -> Result<()> {
    let document = Document { schema, interrupted: interrupted(), body };
    let mut out = output::stdout();
    serde_json::to_writer_pretty(&mut out, &document)?;
    writeln!(out)?;
    Ok(())
}

/// One line of a command that prints many.
#[derive(Serialize)]
struct Line<'a, T> {
    schema: &'a str,
    #[serde(flatten)]
    body: &'a T,
}

/// Writes a line of a command whose result is lines.
pub(crate) fn line(
    out: &mut impl Write,
    schema: &str,
    body: &impl Serialize,
) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, &Line { schema, body })?;
    writeln!(out)
}
