//! `crqkd bench polar`.

use super::checked;
use crate::exit::{self, Outcome};
use crate::output;
use crate::{json, progress};
use anyhow::Result;
use clap::Args;
use crqkd_bench::polar::{Effort, PolarBench};
use std::io::Write;
use std::ops::ControlFlow;

/// `crqkd bench polar`.
#[derive(Debug, Args)]
pub(super) struct PolarArgs {
    /// Seed of messages and noise; times vary all the same.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A few hundred frames a line instead of enough errors: seconds instead of minutes.
    #[arg(long)]
    quick: bool,
    /// Exit with 1 when a limit is missed: an estimate misses it when its whole 95 % interval does.
    #[arg(long)]
    check: bool,
    /// Print one JSON document instead of the table.
    #[arg(long)]
    json: bool,
}

/// Prints what was measured; after Ctrl-C, what was measured until then.
pub(super) fn run(args: &PolarArgs) -> Result<Outcome> {
    let effort = if args.quick { Effort::quick() } else { Effort::default() };
    let bench = PolarBench::new(args.seed, effort);
    let bar = progress::bar(bench.len() as u64, "polar");
    let report = bench.run(|row| {
        bar.inc(1);
        bar.set_message(format!("polar: {} {} {}", row.group, row.decoder, row.instructions));
        if exit::interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    bar.finish_and_clear();
    if args.json {
        json::print("crqkd/bench-polar/1", &report)?;
    } else {
        write!(output::stdout(), "{report}")?;
    }
    Ok(checked(args.check, report.goals().map(|(_, goal)| goal)))
}
