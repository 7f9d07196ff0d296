//! The `crqkd` command.

#![warn(clippy::print_stderr, clippy::print_stdout)]

mod air;
mod bench;
mod choices;
mod cli;
mod decisions;
mod demo;
mod exit;
mod faults;
mod inspect;
mod json;
mod keygen;
mod link;
mod message;
mod node;
mod oddities;
mod output;
mod polar;
mod progress;
mod provenance;
mod qkd;
mod receive;
mod reception;
mod record;
mod referee;
mod report;
mod reproduce;
mod run;
mod saved;
mod scenario;
mod shell;
mod simulate;
mod table;

use clap::{CommandFactory, FromArgMatches};
use cli::{Cli, Command};
use reproduce::Experiment;
use std::io::IsTerminal;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let matches = named(Cli::command()).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    logs(&cli);
    if let Err(error) = crqkd_node::stop::catch_signals("crqkd") {
        tracing::warn!("Ctrl-C cannot be caught: {error}");
    }
    exit::code(match &cli.command {
        Command::Demo(args) => demo::run(args),
        Command::Receive(args) => receive::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Keygen(args) => keygen::run(args),
        Command::Reproduce(args) => match &args.experiment {
            Experiment::Table2(args) => reproduce::table2(args),
        },
        Command::Simulate(args) => simulate::run(args),
        Command::Replay(args) => simulate::replay(args),
        Command::Scenario(args) => scenario::run(&args.action),
        Command::Report(args) => report::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Polar(args) => polar::run(args),
        Command::Qkd(args) => qkd::run(args),
        Command::Air(args) => air::run(args),
        Command::Faults(args) => faults::run(args),
        Command::Qap(args) => args.run(),
        Command::User(args) => args.run(),
        Command::Eve(args) => args.run(),
        Command::Completions(args) => shell::completions(args),
        Command::Man(args) => shell::man(args),
    })
}

/// `--version` says `crqkd` at every level: the sub-commands are no programs of their own.
fn named(command: clap::Command) -> clap::Command {
    command.display_name("crqkd").mut_subcommands(named)
}

/// Logs go to standard error, in colour only on a terminal. `RUST_LOG` comes before `-v` and `-q`.
fn logs(cli: &Cli) {
    if cli.quiet {
        progress::be_quiet();
    }
    let level = match (cli.quiet, cli.verbose) {
        (true, _) => "error",
        (_, 0) => "warn",
        (_, 1) => "info",
        (_, 2) => "debug",
        _ => "trace",
    };
    // What was not built in cannot be said.
    let level = match tracing::level_filters::STATIC_MAX_LEVEL {
        most if level
            .parse()
            .is_ok_and(|wanted: tracing::level_filters::LevelFilter| wanted > most) =>
        {
            most.to_string()
        }
        _ => level.to_owned(),
    };
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| EnvFilter::new(format!("{level},futuresdr=off"))),
        )
        .with_ansi(std::io::stderr().is_terminal() && !no_color)
        .with_writer(std::io::stderr)
        // It would say so on standard error, and end the thread if nobody reads that.
        .log_internal_errors(false)
        .init();
}
