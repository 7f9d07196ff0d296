//! What `crqkd qap`, `user` and `eve` take: the options of each role, and those that all share.

use super::{NodeArgs, run};
use crate::choices::{DatatypeArg, role};
use crate::exit::Outcome;
use anyhow::Result;
use clap::Args;
use crqkd_air::Radio as Kind;
use crqkd_flowgraphs::Role;
use crqkd_node::air::Address;
use crqkd_node::number::workers;
use crqkd_node::radio::RadioSpec;
use std::path::PathBuf;

/// The help of `--config`: the keys that the file may have.
fn keys_of_file(arg: clap::Arg, keys: &str) -> clap::Arg {
    arg.help(format!("A TOML file with any of: {keys}. Options on the command line come first"))
}

/// `crqkd qap`.
#[derive(Debug, Args)]
#[command(mut_arg("config", |arg| {
    keys_of_file(arg, "scenario, role, radio, wire, seed, keys, record, workers")
}))]
pub(crate) struct QapArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Which access point (default: qap1).
    #[arg(long, value_parser = role(&[Role::Qap1, Role::Qap2]))]
    role: Option<Role>,
    /// Quantum key: a folder into which NUMBER.key files are dropped, the same at both access points. What is read is
    /// wiped. The marks of its groups are kept there too.
    #[arg(long, value_name = "DIR", conflicts_with = "seed")]
    keys: Option<PathBuf>,
    /// With a radio that is not on an air: the address of the `crqkd air` that carries the wire to the other access point.
    #[arg(long, value_name = "ADDRESS")]
    wire: Option<Address>,
}

/// `crqkd user`.
#[derive(Debug, Args)]
#[command(mut_arg("config", |arg| {
    keys_of_file(arg, "scenario, role, radio, seed, deliver, record, workers")
}))]
pub(crate) struct UserArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Which user (default: alice).
    #[arg(long, value_parser = role(&[Role::Alice, Role::Bob]))]
    role: Option<Role>,
    /// Write the keys that are released to this folder, KEY-ID.key each, for its owner only.
    #[arg(long, value_name = "DIR")]
    deliver: Option<PathBuf>,
}

/// `crqkd eve`.
#[derive(Debug, Args)]
#[command(mut_arg("config", |arg| {
    keys_of_file(arg, "scenario, role, radio, seed, record, workers")
}))]
pub(crate) struct EveArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Which eavesdropper: eve1 beside Alice, eve2 beside Bob (default: eve1).
    #[arg(long, value_parser = role(&[Role::Eve1, Role::Eve2]))]
    role: Option<Role>,
}

/// What every role takes.
#[derive(Debug, Args)]
struct CommonArgs {
    /// A TOML file of options; those on the command line come first.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A preset or a scenario file (default: hall).
    #[arg(long)]
    scenario: Option<String>,
    /// The radio: air:HOST:PORT or air:/path/of/socket (`crqkd air`), file:RECORDING, soapy:ARGUMENTS.
    #[arg(long)]
    radio: Option<RadioSpec>,
    /// Simulation: everything random follows from this seed and the role, and the keys are no secret.
    #[arg(long)]
    seed: Option<u64>,
    /// Write what the radio receives to this folder (SigMF); it must not exist or be empty.
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// Write every probe that was measured and kept to this file, a line of JSON each.
    #[arg(long, value_name = "FILE")]
    probes: Option<PathBuf>,
    /// Worker threads of the flowgraph, 1 to 64, and no more than there are processors (default: 1). The result does not depend
    /// on it.
    #[arg(long, value_parser = workers())]
    workers: Option<u8>,
    /// Sample format of the recording.
    #[arg(long, value_enum, default_value_t = DatatypeArg::Ci16)]
    datatype: DatatypeArg,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl CommonArgs {
    fn with(&self, role: Option<Role>) -> NodeArgs {
        NodeArgs {
            config: self.config.clone(),
            scenario: self.scenario.clone(),
            role,
            radio: self.radio.clone(),
            wire: None,
            seed: self.seed,
            keys: None,
            deliver: None,
            record: self.record.clone(),
            probes: self.probes.clone(),
            workers: self.workers,
            datatype: self.datatype,
            json: self.json,
        }
    }
}

impl QapArgs {
    /// Runs the access point to its end.
    pub(crate) fn run(&self) -> Result<Outcome> {
        let (keys, wire) = (self.keys.clone(), self.wire.clone());
        run(&NodeArgs { keys, wire, ..self.common.with(self.role) }, Kind::Qap)
    }
}

impl UserArgs {
    /// Runs the user to their end.
    pub(crate) fn run(&self) -> Result<Outcome> {
        run(&NodeArgs { deliver: self.deliver.clone(), ..self.common.with(self.role) }, Kind::User)
    }
}

impl EveArgs {
    /// Runs the eavesdropper to her end.
    pub(crate) fn run(&self) -> Result<Outcome> {
        run(&self.common.with(self.role), Kind::Eve)
    }
}
