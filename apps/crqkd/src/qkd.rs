//! `crqkd qkd`: a quantum link, in one process or as two.

use crate::exit::{Outcome, Stopped, interrupted};
use crate::output;
use crate::output::Output;
use crate::{json, progress};
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use crqkd_node::number::whole;
use crqkd_node::qkd::{self, Audit, EndArgs, EndReport, SecretArgs, SimulateArgs, SimulatedPoint};
use crqkd_node::told::say;
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// `crqkd qkd`.
#[derive(Debug, Args)]
pub(crate) struct QkdArgs {
    /// What to do.
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Run the whole link in this process and report its rates; with `--to-km` at several distances.
    Simulate(SimulateCommand),
    /// Be the end that sends pulses, and make keys with `bob` over the network (the fibre is simulated).
    Alice(EndCommand),
    /// Be the end that receives pulses.
    // Alice decides how many blocks there are: Bob takes these options, so that one set of them starts either end.
    #[command(mut_arg("blocks", |arg| arg.hide(true)), mut_arg("pregenerate", |arg| arg.hide(true)))]
    Bob(EndCommand),
    /// Make a start-up secret for the authentication of both ends.
    Secret(SecretArgs),
    /// Compute every length and eps of a link again from the files of its two ends, and compare their keys and pads.
    Audit(AuditCommand),
    /// Show or check the parameters of a link.
    Link(crate::link::LinkCommand),
}

#[derive(Debug, Args)]
struct SimulateCommand {
    #[command(flatten)]
    args: SimulateArgs,
    /// Print one JSON document instead of the table.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct EndCommand {
    #[command(flatten)]
    args: EndArgs,
    /// Print one JSON document instead of lines.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct AuditCommand {
    /// Directory of one end.
    first: PathBuf,
    /// Directory of the other end.
    second: PathBuf,
    /// Bits of a group.
    #[arg(long, default_value_t = 384, value_parser = whole::<usize>(1, 1 << 20))]
    group_bits: usize,
    /// Print one JSON document instead of lines.
    #[arg(long)]
    json: bool,
}

/// Runs the command; without any key it is a missed threshold.
pub(crate) fn run(args: &QkdArgs) -> Result<Outcome> {
    match &args.action {
        Action::Simulate(command) => simulate(command),
        Action::Alice(command) => end(command, qkd::run_alice),
        Action::Bob(command) => end(command, qkd::run_bob),
        Action::Secret(args) => qkd::write_secret(args).map(|()| Outcome::Ok),
        Action::Audit(command) => audit(command),
        Action::Link(command) => crate::link::run(command),
    }
}

/// What `qkd simulate --json` prints.
#[derive(Serialize)]
struct Points {
    seed: u64,
    /// One a distance; after Ctrl-C those until then, the last one with fewer blocks.
    points: Vec<SimulatedPoint>,
}

fn simulate(command: &SimulateCommand) -> Result<Outcome> {
    let args = &command.args;
    let picture = args.plot.as_deref().map(|path| Output::begin("--plot", path)).transpose()?;
    let bar = progress::bar(1, "blocks");
    let points = qkd::simulate(args, |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    if points.is_empty() {
        bail!(Stopped);
    }
    let key = points.iter().any(|point| point.keys > 0);
    match picture {
        Some(picture) if key && !interrupted() => picture.finish(&qkd::plot(&points)?)?,
        Some(_) if !key => say("crqkd: no distance gives a key: there is nothing to draw"),
        _ => {}
    }
    if command.json {
        json::print("crqkd/qkd-simulate/1", &Points { seed: args.seed, points })?;
    } else {
        write!(output::stdout(), "{}", table(&points))?;
    }
    Ok(Outcome::of(key))
}

fn table(points: &[SimulatedPoint]) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header([
        "fibre",
        "QBER",
        "sifted bits",
        "key bits",
        "secret bit/s",
        "f",
        "rounds",
        "messages",
        "keys",
    ]);
    let mut reasons = String::new();
    for p in points {
        table.add_row([
            format!("{} km", p.distance_km),
            format!("{:.2} %", p.qber * 100.0),
            format!("{:.0}", p.sifted_bits),
            format!("{:.0}", p.key_bits),
            format!("{:.0}", p.rate_bit_s),
            p.efficiency.map_or("-".into(), |f| format!("{f:.3}")),
            format!("{:.0}", p.rounds),
            format!("{:.0}", p.messages),
            format!("{} of {}", p.keys, p.blocks),
        ]);
        if let Some(reason) = &p.reason {
            reasons += &format!("{} km: {reason}\n", p.distance_km);
        }
    }
    format!("{table}\n{reasons}")
}

fn end(command: &EndCommand, run: fn(&EndArgs) -> Result<EndReport>) -> Result<Outcome> {
    let report = run(&command.args)?;
    if command.json {
        json::print("crqkd/qkd-end/1", &report)?;
    } else {
        let mut out = output::stdout();
        writeln!(out, "blocks {}, keys released {}", report.blocks, report.released)?;
        writeln!(out, "key bits {} for groups", report.key_bits)?;
        let rate = report.sifted_bit_s / 1e6;
        writeln!(out, "sifted bits {}, {rate:.2} Mbit/s over the run", report.sifted_bits)?;
        if report.generation_s > 0.0 {
            let with = report.sifted_bits as f64 / (report.seconds + report.generation_s) / 1e6;
            let generation = report.generation_s;
            writeln!(
                out,
                "pulses generated beforehand in {generation:.1} s; {with:.2} Mbit/s with it"
            )?;
        }
        if let Some(eps) = report.eps_link {
            writeln!(out, "all keys of the link fail together with at most {eps:.3e}")?;
        }
        writeln!(out, "the fibre is simulated: whoever listens to it knows all keys")?;
        writeln!(out, "classical channel {} bytes", report.classical_bytes)?;
        writeln!(out, "connections broken {}", report.broken_connections)?;
        for reason in &report.burned {
            writeln!(out, "no key: {reason}")?;
        }
    }
    Ok(if report.released > 0 { Outcome::Ok } else { Outcome::Missed })
}

fn audit(command: &AuditCommand) -> Result<Outcome> {
    let audit = qkd::audit(&command.first, &command.second, command.group_bits)?;
    if command.json {
        json::print("crqkd/qkd-audit/1", &audit)?;
    } else {
        let mut out = output::stdout();
        let [first, second, both] = audit.released;
        writeln!(out, "keys released: {first} and {second}, at both ends {both}")?;
        writeln!(out, "whole groups in these: {}", audit.groups)?;
        if let Some(block) = audit.pending {
            writeln!(
                out,
                "block {block} is held at one end: it is released when the two meet again"
            )?;
        }
        writeln!(out, "pads marked as used: {}", audit.pad_marks)?;
        writeln!(out, "all keys together fail with at most {:.3e}", audit.eps_link)?;
        if audit.simulated {
            writeln!(out, "the fibre is simulated: whoever listens to it knows all keys")?;
        }
        for finding in &audit.findings {
            writeln!(out, "FOUND: {finding}")?;
        }
        match audit.findings.len() {
            0 => writeln!(out, "nothing was found; every length and eps was computed again")?,
            many => writeln!(out, "{many} found")?,
        }
        writeln!(out, "what an audit of files cannot see:")?;
        for what in Audit::BLIND_TO {
            writeln!(out, "- {what}")?;
        }
    }
    Ok(if audit.passed() { Outcome::Ok } else { Outcome::Missed })
}
