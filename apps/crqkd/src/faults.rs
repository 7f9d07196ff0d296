//! Faults on the command line, and `crqkd faults`: every fault at three strengths.

use crate::exit::{Outcome, Stopped, interrupted};
use crate::json;
use crate::output;
use crate::progress;
use crate::run::{guarded, loopback_config};
use crate::scenario;
use anyhow::{Context, Result, bail};
use clap::Args;
use clap::builder::PossibleValuesParser;
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use crqkd_air::SAMPLE_RATE_HZ;
use crqkd_air::faults::Fault;
use crqkd_bits::SecretBits;
use crqkd_channel_key::KdrCount;
use crqkd_flowgraphs::{Notice, Role, RunOptions, Supply, loopback, simulated};
use crqkd_keys::{Group, GroupId};
use crqkd_node::number::workers;
use crqkd_scenario::Scenario;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::str::FromStr;
use std::time::Duration;

/// What goes wrong at the radios of a virtual air.
#[derive(Debug, Args)]
pub(crate) struct FaultArgs {
    /// A fault, as ROLE:KIND=STRENGTH@FROM..TO with times in seconds of air, e.g. alice:drop=1000@2..2.5; may be given
    /// again. Kinds: drop, slip, duplicate, repeat (samples), late, twice (samples), miss (one in so many), clip, dc
    /// (amplitude), gain, iq, burst, tone (dB), clock (ppm), cfo (Hz), stall (s).
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<RoleFault>,
}

impl FaultArgs {
    /// All of them.
    pub(crate) fn list(&self) -> Vec<(Role, Fault)> {
        self.faults.iter().map(|RoleFault(role, fault)| (*role, *fault)).collect()
    }
}

/// A fault and whose it is.
#[derive(Clone, Copy, Debug)]
struct RoleFault(Role, Fault);

impl FromStr for RoleFault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, fault) = text.split_once(':').ok_or("no role: ROLE:KIND=STRENGTH@FROM..TO")?;
        let role = Role::ALL.into_iter().find(|role| role.to_string() == name);
        Ok(RoleFault(role.ok_or(format!("no role is called '{name}'"))?, fault.parse()?))
    }
}

/// `crqkd faults`.
#[derive(Debug, Args)]
pub(crate) struct MatrixArgs {
    /// A preset or a scenario file; its windows should be short (default: a small hall).
    #[arg(long)]
    scenario: Option<String>,
    /// Seed of everything random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only these kinds of fault, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "KIND", value_parser = PossibleValuesParser::new(MATRIX.map(|(kind, _)| kind)))]
    only: Vec<String>,
    /// Worker threads of the flowgraph, 1 to 64, and no more than there are processors.
    #[arg(long, default_value_t = 1, value_parser = workers())]
    workers: u8,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

const SMALL: &str = include_str!("../../../data/scenarios/hall-small.toml");

/// Kinds with three strengths each.
const MATRIX: [(&str, [f64; 3]); 16] = [
    ("drop", [1.0, 1e3, 1e5]),
    ("slip", [1.0, 1e3, 1e5]),
    ("duplicate", [1.0, 30.0, 1e3]),
    ("repeat", [1.0, 1e3, 1e5]),
    // One within the guard, one beyond it, one beyond the turnaround.
    ("late", [100.0, 200.0, 20_000.0]),
    ("clip", [1.0, 0.3, 0.05]),
    ("gain", [3.0, -10.0, 30.0]),
    ("dc", [0.03, 0.3, 3.0]),
    ("iq", [0.5, 2.0, 6.0]),
    ("clock", [5.0, 20.0, -20.0]),
    ("cfo", [5e3, -25e3, 50e3]),
    ("burst", [0.0, 15.0, 30.0]),
    ("tone", [0.0, 15.0, 30.0]),
    ("miss", [5.0, 2.0, 1.0]),
    // At once, in the next control slot, and in that of the next probe: half a period of the small hall or a whole one
    // from the start of a burst.
    ("twice", [0.0, 90_281.0, 184_465.0]),
    ("stall", [0.1, 0.5, 2.0]),
];

/// When a fault begins, and how long it lasts: some windows of a small scenario.
const FROM_S: f64 = 2.0;
const LASTS_S: f64 = 2.0;
/// A run in which nothing happens for so long has failed.
const STUCK: Duration = Duration::from_secs(60);
/// Groups of quantum key at each access point.
const GROUPS: u32 = 400;
/// Windows that are run after it.
const AFTER: u32 = 5;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Document {
    scenario: String,
    seed: u64,
    passed: usize,
    trials: Vec<Trial>,
}

/// What became of one run.
#[derive(Debug, Serialize)]
struct Trial {
    role: Role,
    fault: String,
    /// Windows of this cell from which both ends derived key: before, during and after the fault.
    windows: [usize; 3],
    /// Probes that both ends kept while the fault lasted, of those that were sent.
    kept: f64,
    /// Windows that the two ends derived from different probes.
    misaligned: usize,
    /// Largest disagreement of a window.
    worst_kdr: f64,
    /// Groups that a user opened, and those of them that were wrong.
    groups: usize,
    wrong_groups: usize,
    /// Keys of which the users' copies differ.
    unequal_keys: usize,
    /// Windows after the end of the fault until one gave key at both ends; `None` if none did.
    back_after: Option<u32>,
}

impl Trial {
    fn passed(&self) -> bool {
        let clean = self.misaligned == 0 && self.wrong_groups == 0 && self.unequal_keys == 0;
        clean && self.groups > 0 && self.back_after.is_some_and(|windows| windows <= 2)
    }
}

/// Runs the matrix.
pub(crate) fn run(args: &MatrixArgs) -> Result<Outcome> {
    let mut scenario = match &args.scenario {
        Some(name) => scenario::load(name)?,
        None => Scenario::parse(SMALL, "data/scenarios/hall-small.toml")?,
    };
    let forwarding = &mut scenario.forwarding;
    let window_s = f64::from(forwarding.window_probes) / forwarding.probe_rate_hz;
    forwarding.max_air_time_s = FROM_S + LASTS_S + f64::from(AFTER) * window_s;
    // A link that is silent for as long as the longest fault is not given up.
    forwarding.lost_probes = (1.5 * LASTS_S * forwarding.probe_rate_hz) as u32 + 200;
    // More than the air can carry, and less than the quantum link has.
    scenario.groups = GROUPS / 2;
    let mut list = Vec::new();
    for role in [Role::Alice, Role::Qap1] {
        for (kind, strengths) in MATRIX {
            if args.only.is_empty() || args.only.iter().any(|only| only == kind) {
                for strength in strengths {
                    let text = format!("{kind}={strength}@{FROM_S}..{}", FROM_S + LASTS_S);
                    list.push((role, text.parse::<Fault>().map_err(anyhow::Error::msg)?));
                }
            }
        }
    }
    let bar = progress::bar(list.len() as u64, "faults");
    let mut trials = Vec::new();
    for (role, fault) in list {
        match trial(&scenario, args, role, fault, window_s) {
            Err(_) if interrupted() => break,
            trial => trials.push(trial.with_context(|| format!("{role}: {fault}"))?),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let passed = trials.iter().filter(|trial| trial.passed()).count();
    if trials.is_empty() {
        bail!(Stopped);
    }
    let all = trials.len();
    if args.json {
        let scenario = scenario.name.clone();
        json::print("crqkd/faults/1", &Document { scenario, seed: args.seed, passed, trials })?;
    } else {
        print(&trials)?;
        writeln!(output::stdout(), "{passed} of {all} faults passed")?;
    }
    Ok(Outcome::of(passed == all))
}

fn trial(
    scenario: &Scenario,
    args: &MatrixArgs,
    role: Role,
    fault: Fault,
    window_s: f64,
) -> Result<Trial> {
    let mut config = loopback_config(scenario, args.seed);
    config.faults = vec![(role, fault)];
    let bits = scenario.otp.k;
    let groups = || -> Vec<Group> {
        let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
        (0..u64::from(GROUPS))
            .map(|id| Group { id: GroupId(id), bits: SecretBits::random(&mut rng, bits) })
            .collect()
    };
    let truth: BTreeMap<GroupId, SecretBits> =
        groups().into_iter().map(|group| (group.id, group.bits)).collect();
    let supply = Supply { qap1: vec![(0, groups())], qap2: vec![(0, groups())] };
    let options = RunOptions { workers: args.workers.into(), ..RunOptions::default() };
    let running = loopback(&config, supply, simulated(&config)?, &options)?;
    let (mut windows, mut keys) = (BTreeMap::new(), BTreeMap::new());
    let (mut opened, mut wrong_groups) = (0, 0);
    guarded(running, Some(STUCK), |of, notice| match notice {
        Notice::Window(window) if of.cell() == 0 && of.radio() != crqkd_air::Radio::Eve => {
            windows.entry(window.window.0).or_insert([None, None])
                [usize::from(of == Role::Alice)] = Some((window.kept, window.soft.bits));
        }
        Notice::Opened(group) if of.radio() == crqkd_air::Radio::User => {
            opened += 1;
            let bits = &group.group.bits;
            let right = truth.get(&group.group.id).is_some_and(|truth| truth.ct_eq(bits));
            wrong_groups += usize::from(!right);
        }
        Notice::Key(key) => {
            keys.entry(key.key).or_insert([None, None])[usize::from(of == Role::Bob)] =
                Some(key.bits);
        }
        _ => {}
    })?;
    let unequal = |ends: &&[Option<SecretBits>; 2]| matches!(ends, [Some(alice), Some(bob)] if !alice.ct_eq(bob));
    let end_s = fault.to as f64 / SAMPLE_RATE_HZ;
    // A window that began before the fault's end has part in it.
    let first_after = (end_s / window_s).ceil() as u32;
    let first_in = (fault.from as f64 / SAMPLE_RATE_HZ / window_s).floor() as u32;
    let mut trial = Trial {
        role,
        fault: fault.to_string(),
        windows: [0; 3],
        kept: 0.0,
        misaligned: 0,
        worst_kdr: 0.0,
        groups: opened,
        wrong_groups,
        unequal_keys: keys.values().filter(unequal).count(),
        back_after: None,
    };
    let mut kept = 0;
    for (number, ends) in &windows {
        let [Some((kept_qap, qap)), Some((kept_user, user))] = ends else { continue };
        trial.misaligned += usize::from(kept_qap != kept_user);
        let count = KdrCount::compare(qap.expose(), user.expose())?;
        trial.worst_kdr = trial.worst_kdr.max(count.errors as f64 / count.bits.max(1) as f64);
        let when = usize::from(*number >= first_in) + usize::from(*number >= first_after);
        trial.windows[when] += 1;
        if when == 1 {
            kept += kept_qap.len();
        }
        if when == 2 && trial.back_after.is_none() {
            trial.back_after = Some(number - first_after + 1);
        }
    }
    let sent = (first_after - first_in) * u32::from(scenario.forwarding.window_probes);
    trial.kept = kept as f64 / f64::from(sent);
    Ok(trial)
}

fn print(trials: &[Trial]) -> Result<()> {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "at",
        "fault",
        "windows before/in/after",
        "kept in it",
        "misaligned",
        "worst KDR",
        "wrong groups",
        "unequal keys",
        "back after",
        "",
    ]);
    for trial in trials {
        let [before, during, after] = trial.windows;
        table.add_row([
            trial.role.to_string(),
            trial.fault.clone(),
            format!("{before}/{during}/{after}"),
            format!("{:.0} %", 100.0 * trial.kept),
            trial.misaligned.to_string(),
            format!("{:.1} %", 100.0 * trial.worst_kdr),
            format!("{} of {}", trial.wrong_groups, trial.groups),
            trial.unequal_keys.to_string(),
            trial.back_after.map_or("never".to_owned(), |windows| windows.to_string()),
            if trial.passed() { "ok" } else { "MISSED" }.to_owned(),
        ]);
    }
    writeln!(output::stdout(), "{table}")?;
    Ok(())
}
