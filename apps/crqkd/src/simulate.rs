//! `crqkd simulate --record`: a run whose received samples are written as SigMF, and `crqkd replay` of them.

use crate::choices::{DatatypeArg, role};
use crate::demo::Report;
use crate::exit::{NoKey, Outcome};
use crate::link::read;
use crate::output;
use crate::output::write;
use crate::progress::note;
use crate::provenance::Provenance;
use crate::record::{Recorder, play};
use crate::referee::{Referee, Verdict};
use crate::run::{How, Quantum, RunArgs, loopback_config, quantum, supply, watch, with_overrides};
use crate::{json, saved, scenario};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use crqkd_air::faults::Fault;
use crqkd_flowgraphs::{Finished, Role, RunOptions, loopback, simulated};
use crqkd_node::number::{real, workers};
use crqkd_node::told::say;
use crqkd_recording::{Collection, Datatype, RunWriter};
use crqkd_scenario::Scenario;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::io::Write;
use std::path::PathBuf;

/// `crqkd simulate`.
#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// A preset or a scenario file.
    #[arg(long, default_value = "hall")]
    pub(crate) scenario: String,
    /// Seconds of air time, 0.01 to 10000000.
    #[arg(long, default_value_t = 5.0, value_parser = real(0.01, 1e7), allow_negative_numbers = true)]
    pub(crate) seconds: f64,
    /// Folder for the recordings; it must not exist or be empty.
    #[arg(long, value_name = "DIR")]
    pub(crate) record: PathBuf,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) faults: crate::faults::FaultArgs,
    /// Sample format of the recordings.
    #[arg(long, value_enum, default_value_t = DatatypeArg::Ci16)]
    pub(crate) datatype: DatatypeArg,
    /// Radios to record, separated by commas; `crqkd replay` simulates the others again.
    #[arg(long, value_parser = role(&Role::ALL), value_delimiter = ',', default_value = "qap1,alice,eve1,qap2,bob,eve2")]
    pub(crate) roles: Vec<Role>,
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `crqkd replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// A folder that `simulate --record` wrote.
    pub(crate) dir: PathBuf,
    #[command(flatten)]
    pub(crate) faults: crate::faults::FaultArgs,
    /// Worker threads of the flowgraph, 1 to 64, and no more than there are processors.
    #[arg(long, default_value_t = 1, value_parser = workers())]
    pub(crate) workers: u8,
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

/// File of a recorded run that says what came out of it.
const OUTCOME_FILE: &str = "outcome.json";
/// File with the resolved scenario.
const SCENARIO_FILE: &str = "scenario.toml";

/// What a run and its replay must agree in: fingerprints only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OutcomeRecord {
    seed: u64,
    links: Vec<LinkFingerprints>,
    keys: Vec<KeyFingerprints>,
}

/// Fingerprints of one link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkFingerprints {
    /// Channel key: window, at the access point, at the user.
    windows: Vec<(u32, String, String)>,
    /// Groups of quantum key that the user opened.
    groups: Vec<(u64, String)>,
}

/// Fingerprints of a unified key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFingerprints {
    key_id: String,
    alice: Option<String>,
    bob: Option<String>,
}

impl OutcomeRecord {
    fn new(seed: u64, verdict: &Verdict) -> Self {
        let links = verdict.links.iter().map(|link| {
            let print = |bits: &crqkd_bits::BitString| {
                crqkd_bits::SecretBits::from(bits.clone()).fingerprint().to_string()
            };
            LinkFingerprints {
                windows: link
                    .windows
                    .iter()
                    .map(|w| (w.window.0, print(&w.bits[0]), print(&w.bits[1])))
                    .collect(),
                groups: link.opened.iter().map(|(id, print)| (id.0, print.to_string())).collect(),
            }
        });
        let keys = verdict.keys.iter().map(|(id, [alice, bob])| KeyFingerprints {
            key_id: id.to_string(),
            alice: alice.as_ref().map(|key| key.fingerprint.to_string()),
            bob: bob.as_ref().map(|key| key.fingerprint.to_string()),
        });
        OutcomeRecord { seed, links: links.collect(), keys: keys.collect() }
    }
}

/// `crqkd simulate`.
pub(crate) fn run(args: &SimulateArgs) -> Result<Outcome> {
    let mut scenario = with_overrides(scenario::load(&args.scenario)?, &args.run);
    scenario.forwarding.max_air_time_s = args.seconds;
    let scenario = scenario::checked(scenario)?;
    let writer = RunWriter::create(&args.record, &scenario.name).context("--record")?;
    let seed = args.run.seed;
    let key = match quantum(&scenario, seed)? {
        Quantum::Key(key) => key,
        Quantum::NoKey { reason, .. } => bail!(NoKey(reason)),
    };
    let mut report = Report::new(&scenario, seed);
    report.quantum.clone_from(&key.reports);
    let mut how = How::new(&args.run);
    how.options.observe = true;
    how.options.record = true;
    let mut config = loopback_config(&scenario, seed);
    config.faults = args.faults.list();
    let propagation = simulated(&config)?;
    let mut referee = Referee::new(&scenario, &key.qap1);
    let mut running = loopback(&config, supply(key), propagation, &how.options)?;
    let captures = running.captures().context("the run was not asked to record")?;
    let datatype = match args.datatype {
        DatatypeArg::Cf32 => Datatype::Cf32Le,
        DatatypeArg::Ci16 => Datatype::Ci16Le,
    };
    let roles: Vec<Role> = args.roles.clone();
    let recorder = Recorder::start(&writer, &roles, datatype, &scenario, captures)?;
    let finished = watch(running, &scenario, |role, notice| referee.note(role, notice));
    let members = recorder.finish()?;
    ensure!(!members.is_empty(), "nothing was received: there is no recording");
    let finished = finished?;
    let verdict = referee.verdict()?;
    report.fill(&verdict, &finished)?;
    let record = OutcomeRecord::new(seed, &verdict);
    write(&writer.path().join(OUTCOME_FILE), &(serde_json::to_string_pretty(&record)? + "\n"))?;
    let made = Provenance::new(&scenario, seed).option("faults", named(&config.faults));
    saved::save(writer.path(), &scenario, &report, &verdict, made)?;
    let mut fields = Map::new();
    fields.insert("scenario".into(), scenario.name.clone().into());
    fields.insert("seed".into(), seed.into());
    fields.insert("simulated".into(), Value::Bool(true));
    writer.finish(&members, fields)?;
    print_outcome("crqkd/simulate/1", &record, args.json)?;
    note(format_args!("recorded {} radios in {}", members.len(), args.record.display()));
    Ok(Outcome::Ok)
}

/// The faults of a run, for people.
fn named(faults: &[(Role, Fault)]) -> String {
    if faults.is_empty() {
        return "none".to_owned();
    }
    let one = |(role, fault): &(Role, Fault)| format!("{role}:{fault}");
    faults.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// `crqkd replay`: the recorded radios play their recordings, the others are simulated again from the seed.
pub(crate) fn replay(args: &ReplayArgs) -> Result<Outcome> {
    let collection = Collection::open(&args.dir)?;
    let scenario_file = args.dir.join(SCENARIO_FILE);
    ensure!(
        scenario_file.exists(),
        "{}: not the recording of a whole run (`crqkd simulate`); that of one role goes to `crqkd receive`, `inspect`, \
         or a role's `--radio file:`",
        args.dir.display()
    );
    let scenario = Scenario::parse(&read(&scenario_file)?, &scenario_file.display().to_string())?;
    let outcome_file = args.dir.join(OUTCOME_FILE);
    let expected: OutcomeRecord = serde_json::from_str(&read(&outcome_file)?)
        .with_context(|| format!("{}: not the outcome of a run", outcome_file.display()))?;
    let key = match quantum(&scenario, expected.seed)? {
        Quantum::Key(key) => key,
        Quantum::NoKey { reason, .. } => bail!(NoKey(reason)),
    };
    let mut config = loopback_config(&scenario, expected.seed);
    config.faults = args.faults.list();
    let mut air = simulated(&config)?;
    let mut recorded = Vec::new();
    for role in Role::ALL {
        let name = role.to_string();
        let listed = collection.members().contains(&name);
        recorded.push(listed.then(|| play(&collection, &name)).transpose()?);
    }
    ensure!(
        recorded.iter().any(Option::is_some),
        "{}: no recording of {}",
        args.dir.display(),
        Role::ALL.map(|role| role.to_string()).join(", ")
    );
    let mut referee = Referee::new(&scenario, &key.qap1);
    let options = RunOptions { workers: args.workers.into(), ..RunOptions::default() };
    let propagation = |role: Role| match recorded[role.index()].take() {
        Some(recording) => recording,
        None => air(role),
    };
    let running = loopback(&config, supply(key), propagation, &options)?;
    let _finished: Finished = watch(running, &scenario, |role, what| referee.note(role, what))?;
    let found = OutcomeRecord::new(expected.seed, &referee.verdict()?);
    print_outcome("crqkd/replay/1", &found, args.json)?;
    if !config.faults.is_empty() {
        return Ok(Outcome::Ok); // it is meant to differ
    }
    if found != expected {
        say(format_args!("crqkd: the replay differs from the run in {}", outcome_file.display()));
        return Ok(Outcome::Missed);
    }
    note(format_args!("the replay gives the keys of the run"));
    Ok(Outcome::Ok)
}

fn print_outcome(schema: &str, record: &OutcomeRecord, json: bool) -> Result<()> {
    if json {
        return json::print(schema, record);
    }
    for (number, link) in record.links.iter().enumerate() {
        writeln!(
            output::stdout(),
            "link {}: {} windows of channel key, {} groups opened",
            number + 1,
            link.windows.len(),
            link.groups.len()
        )?;
        for (group, print) in &link.groups {
            writeln!(output::stdout(), "  group {group}: {print}")?;
        }
    }
    for key in &record.keys {
        let show = |end: &Option<String>| end.clone().unwrap_or_else(|| "-".to_owned());
        writeln!(
            output::stdout(),
            "key {}: Alice {}, Bob {}",
            key.key_id,
            show(&key.alice),
            show(&key.bob)
        )?;
    }
    Ok(())
}
