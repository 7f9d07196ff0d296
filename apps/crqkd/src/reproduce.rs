//! `crqkd reproduce`: experiments of the paper at CSI level, over many seeds.

use crate::exit::{Outcome, Stopped, interrupted};
use crate::json;
use crate::output;
use crate::progress;
use crate::run::setup_of;
use crate::scenario;
use crate::table::scenario_table;
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use crqkd_experiment::fit::{Effort, Targets, fit};
use crqkd_experiment::{EveDecodes, PaperRow, RunTally, Setup, TableRow, run_seeds};
use crqkd_node::number::whole;
use crqkd_node::told::say;
use crqkd_scenario::Scenario;
use serde::Serialize;
use std::io::Write;

/// `crqkd reproduce`.
#[derive(Debug, Args)]
pub(crate) struct ReproduceArgs {
    /// The experiment.
    #[command(subcommand)]
    pub(crate) experiment: Experiment,
}

/// The experiments of the paper.
#[derive(Debug, Subcommand)]
pub(crate) enum Experiment {
    /// Table II: key generation, disagreement and retransmission rates in office, hall and corridor, at CSI level.
    Table2(Table2Args),
}

/// `crqkd reproduce table2`.
#[derive(Debug, Args)]
pub(crate) struct Table2Args {
    /// Seeds a scenario.
    #[arg(long, default_value_t = 10, value_parser = whole::<u64>(1, 10_000))]
    pub(crate) seeds: u64,
    /// First seed.
    #[arg(long, default_value_t = 1, value_parser = whole::<u64>(0, u64::MAX - 10_000))]
    pub(crate) first_seed: u64,
    /// Bits of channel key that a scenario sends over all seeds, raw; a few per cent are lost with their probes.
    #[arg(long, default_value_t = 3_600_000, value_parser = whole::<u64>(1, 1_000_000_000_000))]
    pub(crate) bits: u64,
    /// A preset, a scenario file, or `all`.
    #[arg(long, default_value = "all")]
    pub(crate) scenario: String,
    /// Refit the channel parameters of the scenario to the paper's figures and print them as TOML.
    #[arg(long)]
    pub(crate) fit: bool,
    /// Print one JSON document.
    #[arg(long, conflicts_with = "fit")]
    pub(crate) json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document {
    experiment: &'static str,
    first_seed: u64,
    seeds: u64,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    figures: TableRow,
    /// The KDR of each seed, for the spread.
    kdr_per_seed: Vec<f64>,
    eve_kdr_per_seed: Vec<f64>,
    rr_per_seed: Vec<f64>,
    paper: Option<&'static PaperRow>,
}

/// Table II over `--seeds` seeds.
pub(crate) fn table2(args: &Table2Args) -> Result<Outcome> {
    let scenarios = scenario::load_all(&args.scenario)?;
    if args.fit {
        return fit_all(args, scenarios);
    }
    let mut rows = Vec::new();
    for scenario in &scenarios {
        let setup = setup_of(scenario);
        let runs = run_all(args, &scenario.name, &setup)?;
        if runs.is_empty() {
            break;
        }
        let per_seed = |figure: fn(&TableRow) -> Option<f64>| -> Vec<f64> {
            runs.iter()
                .filter_map(|run| figure(&TableRow::new("", std::slice::from_ref(run))))
                .collect()
        };
        let row = Row {
            kdr_per_seed: per_seed(|row| row.kdr.map(|e| e.mean)),
            eve_kdr_per_seed: per_seed(|row| row.eve_kdr.map(|e| e.mean)),
            rr_per_seed: per_seed(|row| row.rr.map(|e| e.mean)),
            figures: TableRow::new(&scenario.name, &runs),
            paper: PaperRow::of(&scenario.name),
        };
        if !args.json {
            print_row(&row)?;
        }
        rows.push(row);
    }
    if rows.is_empty() {
        bail!(Stopped);
    }
    // Too few bits for one window or group, say.
    let measured = rows.iter().all(|row| row.figures.kdr.is_some() && row.figures.groups > 0);
    if args.json {
        let document =
            Document { experiment: "table2", first_seed: args.first_seed, seeds: args.seeds, rows };
        json::print("crqkd/reproduce-table2/1", &document)?;
    }
    if !measured {
        say("crqkd: too few bits for a group in every scenario; give more with --bits");
    }
    Ok(Outcome::of(measured))
}

/// Whole groups of seeds at a time, so that the bar moves; after Ctrl-C those that were done by then.
fn run_all(args: &Table2Args, name: &str, setup: &Setup) -> Result<Vec<RunTally>> {
    let bits_a_probe = setup.channel_key.carriers.len() as u64;
    let probes = args.bits.div_ceil(args.seeds * bits_a_probe);
    let bar = progress::bar(args.seeds, &format!("{name}: seeds"));
    let mut runs = Vec::new();
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let mut seed = args.first_seed;
    let end = args.first_seed + args.seeds;
    while seed < end && !interrupted() {
        let next = end.min(seed + cores);
        runs.extend(run_seeds(setup, seed..next, probes, EveDecodes::Every)?);
        bar.inc(next - seed);
        seed = next;
    }
    bar.finish_and_clear();
    Ok(runs)
}

fn print_row(row: &Row) -> Result<()> {
    writeln!(output::stdout(), "{}", scenario_table(&row.figures))?;
    writeln!(
        output::stdout(),
        "{} raw bits, {} groups, {} seeds; spread over seeds (standard deviation): KDR {}, Eve's KDR {}, RR {} points\n",
        row.figures.bits,
        row.figures.groups,
        row.figures.runs,
        spread(&row.kdr_per_seed),
        spread(&row.eve_kdr_per_seed),
        spread(&row.rr_per_seed),
    )?;
    Ok(())
}

/// Standard deviation in points.
fn spread(values: &[f64]) -> String {
    let n = values.len() as f64;
    if n < 2.0 {
        return "-".to_owned();
    }
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    format!("{:.2}", 100.0 * variance.sqrt())
}

/// `--fit`: prints the fitted `[air]` values as TOML, one scenario after the other.
fn fit_all(args: &Table2Args, scenarios: Vec<Scenario>) -> Result<Outcome> {
    for mut scenario in scenarios {
        if interrupted() {
            break;
        }
        let paper = PaperRow::of(&scenario.name).with_context(|| {
            format!(
                "the paper has no figures for '{}', so there is nothing to fit to",
                scenario.name
            )
        })?;
        let setup = setup_of(&scenario);
        let bits_a_probe = setup.channel_key.carriers.len() as u64;
        let effort = Effort {
            seeds: args.first_seed..args.first_seed + args.seeds,
            probes: args.bits.div_ceil(args.seeds * bits_a_probe),
            steps: 6,
        };
        let bar = progress::bar(4 + effort.steps as u64, &format!("{}: fit", scenario.name));
        let (fitted, best) = fit(&setup, Targets::from(paper), &effort, |step| {
            bar.inc(1);
            bar.println(format!("{:?} -> KDR, Eve's KDR, RR {:?}", step.parameters, step.figures));
        })?;
        bar.finish_and_clear();
        scenario.air = fitted.air;
        writeln!(
            output::stdout(),
            "# {}: KDR {:.4}, Eve's KDR {:.4}, RR {:.4}, seeds {}..={}",
            scenario.name,
            best.figures[0],
            best.figures[1],
            best.figures[2],
            args.first_seed,
            args.first_seed + args.seeds - 1
        )?;
        writeln!(output::stdout(), "{}", scenario.to_toml())?;
    }
    Ok(Outcome::Ok)
}
