//! `crqkd bench quantum`.

use super::checked;
use crate::exit::{self, Outcome};
use crate::output;
use crate::{json, progress};
use anyhow::Result;
use clap::Args;
use crqkd_bench::quantum::{QuantumBench, QuantumEffort};
use crqkd_node::number::whole;
use std::io::Write;
use std::ops::ControlFlow;

/// `crqkd bench quantum`.
#[derive(Debug, Args)]
pub(super) struct QuantumArgs {
    /// Seed of keys and errors; times vary all the same.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Few blocks and transcripts: seconds instead of minutes.
    #[arg(long)]
    quick: bool,
    /// Blocks of the one-way codes at each error rate, for small frame error rates.
    #[arg(long, value_name = "N", value_parser = whole::<u32>(1, 1_000_000))]
    one_way_blocks: Option<u32>,
    /// Exit with 1 when a limit is missed: an estimate misses it when its whole 95 % interval does.
    #[arg(long)]
    check: bool,
    /// Print one JSON document instead of the table.
    #[arg(long)]
    json: bool,
}

/// Prints what was measured; after Ctrl-C, what was measured until then.
pub(super) fn run(args: &QuantumArgs) -> Result<Outcome> {
    let mut effort = if args.quick { QuantumEffort::quick() } else { QuantumEffort::default() };
    effort.one_way_blocks = args.one_way_blocks.unwrap_or(effort.one_way_blocks);
    let bench = QuantumBench::new(args.seed, effort);
    let bar = progress::bar(bench.len() as u64, "quantum");
    let report = bench.run(|row| {
        bar.inc(1);
        bar.set_message(format!("quantum: {}", row.what));
        if exit::interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    bar.finish_and_clear();
    if args.json {
        json::print("crqkd/bench-quantum/1", &report)?;
    } else {
        write!(output::stdout(), "{report}")?;
    }
    Ok(checked(args.check, report.goals()))
}
