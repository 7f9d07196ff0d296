//! The `crqkd` command.

mod air;
mod bench;
mod cli;
mod decisions;
mod demo;
mod exit;
mod faults;
mod inspect;
mod keygen;
mod message;
mod node;
mod polar;
mod progress;
mod qkd;
mod receive;
mod record;
mod referee;
mod report;
mod reproduce;
mod run;
mod saved;
mod scenario;
mod simulate;
mod table;

use clap::Parser;
use cli::{Cli, Command, Experiment};
use crqkd_air::Radio as Kind;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| EnvFilter::new("warn,futuresdr=off")),
        )
        .with_writer(std::io::stderr)
        .init();
    exit::catch_interrupts();
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
        Command::Qap(args) => node::run(args, Kind::Qap),
        Command::User(args) => node::run(args, Kind::User),
        Command::Eve(args) => node::run(args, Kind::Eve),
    })
}
