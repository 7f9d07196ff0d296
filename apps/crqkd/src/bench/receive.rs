//! `crqkd bench receive`.

use crate::exit::{self, Outcome};
use crate::output;
use crate::{json, progress};
use anyhow::Result;
use clap::Args;
use crqkd_bench::receive::{Parts, ReceiveEffort, receive, steps};
use crqkd_node::number::whole;
use std::io::Write;
use std::ops::ControlFlow;

/// `crqkd bench receive`.
#[derive(Debug, Args)]
pub(super) struct ReceiveBenchArgs {
    /// Seed of frames, channels and noise; times vary all the same.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Frames a point of the sweep (default: 1000).
    #[arg(long, value_name = "N", conflicts_with = "speed", value_parser = whole::<usize>(1, 10_000_000))]
    frames: Option<usize>,
    /// Only what is found and how well it is measured.
    #[arg(long, conflicts_with = "speed")]
    accuracy: bool,
    /// Only what it costs.
    #[arg(long)]
    speed: bool,
    /// A tenth of the frames, short times: seconds instead of minutes.
    #[arg(long)]
    quick: bool,
    /// Exit with 1 when a limit is missed: an estimate misses it when its whole 95 % interval does.
    #[arg(long)]
    check: bool,
    /// Print one JSON document instead of the tables.
    #[arg(long)]
    json: bool,
}

/// Prints what was measured; after Ctrl-C, what was measured until then.
pub(super) fn run(args: &ReceiveBenchArgs) -> Result<Outcome> {
    let mut effort = if args.quick { ReceiveEffort::quick() } else { ReceiveEffort::standard() };
    effort.frames = args.frames.unwrap_or(effort.frames);
    let parts = match (args.accuracy, args.speed) {
        (true, _) => Parts::Accuracy,
        (_, true) => Parts::Speed,
        _ => Parts::All,
    };
    let bar = progress::bar(steps(parts, effort) as u64, "receive");
    let report = receive(parts, effort, args.seed, |what| {
        bar.inc(1);
        bar.set_message(format!("receive: {what}"));
        if exit::interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    bar.finish_and_clear();
    if args.json {
        json::print("crqkd/bench-receive/1", &report)?;
    } else {
        write!(output::stdout(), "{report}")?;
    }
    let missed = report.limits.iter().any(|limit| !limit.met);
    Ok(if args.check && missed { Outcome::Missed } else { Outcome::Ok })
}
