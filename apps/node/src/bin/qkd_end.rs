//! One end of a quantum link, for tests that kill it; `crqkd qkd` is the same with more around it.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use crqkd_node::journal::{StorageError, break_disk_at};
use crqkd_node::qkd::{EndArgs, SecretArgs, run_alice, run_bob, write_secret};
use crqkd_node::told::{say, told};
use std::io::Write;

#[derive(Parser)]
#[command(name = "crqkd-qkd-end", about = "One end of a simulated quantum link")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Send pulses.
    Alice(EndArgs),
    /// Receive pulses.
    Bob(EndArgs),
    /// Make a start-up secret for both.
    Secret(SecretArgs),
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("crqkd-qkd-end: {}", told(&error)));
            ExitCode::from(if error.is::<StorageError>() { 3 } else { 2 })
        }
    }
}

fn run() -> anyhow::Result<()> {
    if let Ok(append) = std::env::var("CRQKD_BREAK_DISK_AT") {
        break_disk_at(append.parse()?);
    }
    let report = match Cli::parse().command {
        Command::Alice(args) => run_alice(&args)?,
        Command::Bob(args) => run_bob(&args)?,
        Command::Secret(args) => return write_secret(&args),
    };
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&report)?)?;
    Ok(())
}
