//! `crqkd bench`: speed and quality of the parts, each beside what it is to be. One module a part.

mod air;
mod polar;
mod quantum;
mod receive;

use crate::exit::Outcome;
use anyhow::Result;
use clap::{Args, Subcommand};
use crqkd_bench::Goal;

/// `crqkd bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// The part.
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Polar decoders: error rates beside the finite-length bounds, and CPU time a frame on every instruction set.
    Polar(polar::PolarArgs),
    /// The receiver: frames found, accuracy beside its bounds, and CPU time of flowgraph, frames and kernels.
    Receive(receive::ReceiveBenchArgs),
    /// The quantum side: reconciliation, privacy amplification, link model, forged transcripts.
    Quantum(quantum::QuantumArgs),
    /// The virtual air with six processes: speed, memory, and the keys of one process with the same seed.
    Air(air::AirArgs),
}

/// Runs the benchmark of a part.
pub(crate) fn run(args: &BenchArgs) -> Result<Outcome> {
    match &args.part {
        Part::Polar(args) => polar::run(args),
        Part::Receive(args) => receive::run(args),
        Part::Quantum(args) => quantum::run(args),
        Part::Air(args) => air::run(args),
    }
}

/// With `--check`, a missed limit is a missed threshold.
fn checked<'a>(check: bool, mut goals: impl Iterator<Item = &'a Goal>) -> Outcome {
    if check && goals.any(|goal| !goal.met) { Outcome::Missed } else { Outcome::Ok }
}
