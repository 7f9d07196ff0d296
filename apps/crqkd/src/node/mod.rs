//! `crqkd qap`, `crqkd user`, `crqkd eve`: one role as a process of its own, on any radio.

mod args;
mod report;
mod source;
mod voice;

pub(crate) use self::args::{EveArgs, QapArgs, UserArgs};

use self::report::{NodeReport, Outputs};
use self::source::Drops;
use crate::air::run_id;
use crate::choices::DatatypeArg;
use crate::exit::Outcome;
use crate::progress::note;
use crate::record::Recorder;
use crate::run::system_of;
use crate::scenario;
use anyhow::{Context, Result, bail, ensure};
use crqkd_air::{Radio as Kind, SAMPLE_RATE_HZ};
use crqkd_flowgraphs::{Assembly, Finished, Role, RunOptions, Running, Seat, begin, simulated_rng};
use crqkd_keys::{Forgetful, Store};
use crqkd_node::air::Address;
use crqkd_node::bounded;
use crqkd_node::number::at_most_processors;
use crqkd_node::qkd::SIMULATED;
use crqkd_node::radio::{RadioSpec, open_radio};
use crqkd_node::store::JournalStore;
use crqkd_recording::{Datatype, RunWriter};
use crqkd_scenario::{Scenario, ScenarioError, parse_toml};
use rand::TryRngCore;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// What the command line says, whatever the role.
#[derive(Debug)]
struct NodeArgs {
    config: Option<PathBuf>,
    scenario: Option<String>,
    role: Option<Role>,
    radio: Option<RadioSpec>,
    wire: Option<Address>,
    seed: Option<u64>,
    keys: Option<PathBuf>,
    deliver: Option<PathBuf>,
    record: Option<PathBuf>,
    probes: Option<PathBuf>,
    workers: Option<u8>,
    datatype: DatatypeArg,
    json: bool,
}

/// The same from a file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct NodeFile {
    scenario: Option<String>,
    role: Option<Role>,
    radio: Option<String>,
    wire: Option<String>,
    seed: Option<u64>,
    keys: Option<PathBuf>,
    deliver: Option<PathBuf>,
    record: Option<PathBuf>,
    workers: Option<u8>,
}

/// File and command line together.
struct Settings {
    scenario: Scenario,
    role: Role,
    radio: RadioSpec,
    wire: Option<Address>,
    seed: Option<u64>,
    keys: Option<PathBuf>,
    deliver: Option<PathBuf>,
    record: Option<PathBuf>,
    workers: u8,
}

/// Runs the role to its end.
fn run(args: &NodeArgs, kind: Kind) -> Result<Outcome> {
    let settings = Settings::of(args, kind)?;
    let Settings { scenario, role, radio: spec, seed, .. } = &settings;
    let (role, seed) = (*role, *seed);
    if seed.is_none() {
        crqkd_node::private::keep_files_private();
    }
    let recording = match settings.record.as_deref() {
        Some(dir) => Some((RunWriter::create(dir, &scenario.name).context("--record")?, dir)),
        None => None,
    };
    let mut outputs = Outputs::open(args.probes.as_deref(), settings.deliver.as_deref())?;
    let mut quantum = settings.quantum()?;
    if let Some(store) = outputs.store() {
        quantum.store = store;
    }
    if seed.is_none() && (recording.is_some() || args.probes.is_some()) {
        warn_of_secrets();
    }
    let run = seed.map(|seed| run_id(scenario, seed));
    let open = open_radio(spec, role.number(), run, settings.wire.as_ref())?;
    let options = RunOptions {
        workers: settings.workers.into(),
        referee: seed.is_some(),
        record: recording.is_some(),
        observe: args.probes.is_some(),
        ..RunOptions::default()
    };
    let system = system_of(scenario);
    let mut assembly = Assembly::new(&system, &options)?;
    assembly.add(Seat {
        role,
        radio: open.radio,
        tx: open.tx,
        rng: match seed {
            Some(seed) => simulated_rng(seed, role),
            None => Box::new(rand::rngs::OsRng.unwrap_err()),
        },
        store: quantum.store,
        begin: begin(role, vec![(0, quantum.groups)], scenario.groups),
    })?;
    let mut report = NodeReport::new(role, scenario, spec, seed);
    report.simulated |= quantum.simulated;
    let running = assembly.start(open.progress)?;
    let monitor = running.monitor();
    let feeding = match quantum.drops {
        Some(drops) => {
            outputs.wanted = Some(drops.wanted());
            running.supplier(role).map(|supplier| drops.feed(supplier))
        }
        None => None,
    };
    let finished = match recording {
        None => report.follow(running, scenario, &mut outputs),
        Some(writer) => {
            recorded(running, writer, args.datatype, scenario, &mut report, &mut outputs)
        }
    };
    let fed = feeding.map_or(Ok(()), |feeding| feeding.finish());
    report.air_s = monitor.air_time() as f64 / SAMPLE_RATE_HZ;
    if let Some(end) = finished.as_ref().ok().and_then(|finished| finished.roles().first()) {
        report.counters = end.counters;
        report.ignored_frames = end.ignored_frames;
    }
    let recorded = matches!(spec, RadioSpec::File(_)) && kind == Kind::Eve;
    report.heard_all = recorded && finished.is_ok() && report.made.windows > 0;
    report.conclude();
    // However it ended, these keys were released.
    report.print(args.json)?;
    finished?;
    fed.context("--keys")?;
    Ok(if report.complete() { Outcome::Ok } else { Outcome::Missed })
}

/// What a role has of quantum key when it begins.
struct Quantum {
    groups: Vec<crqkd_keys::Group>,
    drops: Option<Drops>,
    store: Box<dyn Store + Send>,
    /// It comes from a simulated link.
    simulated: bool,
}

impl Settings {
    fn of(args: &NodeArgs, kind: Kind) -> Result<Self> {
        let file = args.config.as_deref().map(read).transpose()?.unwrap_or_default();
        let named = args.scenario.clone().or(file.scenario);
        let role = match args.role.or(file.role) {
            Some(role) => role,
            None => first(kind),
        };
        ensure!(role.radio() == kind, "{role} is not {}", what(kind));
        let of_file = |radio: String| radio.parse().map_err(anyhow::Error::msg);
        let radio = match (args.radio.clone(), file.radio) {
            (Some(radio), _) => radio,
            (None, Some(radio)) => of_file(radio).context("radio in the configuration")?,
            (None, None) => {
                bail!("no radio: use --radio air:ADDRESS, file:PATH or soapy:ARGUMENTS")
            }
        };
        let wire = match (args.wire.clone(), file.wire) {
            (None, Some(text)) => Some(text.parse().map_err(anyhow::Error::msg).context("wire")?),
            (wire, _) => wire,
        };
        let settings = Settings {
            scenario: scenario::load(named.as_deref().unwrap_or("hall"))?,
            role,
            radio,
            wire,
            seed: args.seed.or(file.seed),
            keys: args.keys.clone().or(file.keys),
            deliver: args.deliver.clone().or(file.deliver),
            record: args.record.clone().or(file.record),
            workers: at_most_processors(args.workers.or(file.workers).unwrap_or(1)),
        };
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<()> {
        let (role, kind) = (self.role, self.role.radio());
        ensure!(
            self.deliver.is_none() || kind == Kind::User,
            "{role} is no user and has no --deliver"
        );
        ensure!(
            self.wire.is_none() || kind == Kind::Qap,
            "{role} is no access point and has no --wire"
        );
        let hardware = matches!(self.radio, RadioSpec::Soapy(_)) && !self.radio.is_simulated();
        ensure!(
            !hardware || self.scenario.forwarding.discard_windows > 0,
            "gains and oscillators of a device settle in the first windows: set discard_windows = 1 or more in \
             [forwarding] of the scenario, at both ends"
        );
        Ok(())
    }

    /// Quantum key and marks of an access point; other roles have none.
    fn quantum(&self) -> Result<Quantum> {
        let (scenario, role) = (&self.scenario, self.role);
        let (mut groups, mut drops) = (Vec::new(), None);
        let mut simulated = self.seed.is_some() || self.radio.is_simulated();
        let mut store: Box<dyn Store + Send> = Box::new(Forgetful);
        match (role.radio(), &self.keys, self.seed) {
            (Kind::Qap, Some(_), Some(_)) => bail!("--keys and --seed exclude each other"),
            (Kind::Qap, Some(dir), None) => {
                drops = Some(Drops::open(dir, scenario.otp.k, scenario.groups)?);
                simulated |= dir.join(SIMULATED).exists();
                let marks = dir.join("marks.jsonl");
                ensure!(
                    marks.exists() || !has_claims(dir)?,
                    "{}: it is missing, but key files have been read here: without it pads and groups would be used \
                     again. Restore it, or begin with a new folder and new key files",
                    marks.display()
                );
                store = Box::new(JournalStore::open(&marks)?);
            }
            (Kind::Qap, None, Some(seed)) => groups = source::simulated(scenario, role, seed)?,
            (Kind::Qap, None, None) => {
                bail!("no source of quantum key: --keys DIR, or --seed for a simulation")
            }
            (_, Some(_), _) => bail!("{role} is no access point and has no --keys"),
            (_, None, _) => {}
        }
        Ok(Quantum { groups, drops, store, simulated })
    }
}

/// Whether key files of this folder have been read.
fn has_claims(dir: &Path) -> Result<bool> {
    let entries = std::fs::read_dir(dir).with_context(|| format!("--keys {}", dir.display()))?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(paths.any(|path| path.extension().is_some_and(|ending| ending == "claimed")))
}

/// What a radio of a real run receives is what its channel key is made of.
fn warn_of_secrets() {
    tracing::warn!(
        "what is recorded here tells the channel key of this run: keep it secret, and destroy it when it has been used"
    );
}

fn first(kind: Kind) -> Role {
    match kind {
        Kind::Qap => Role::Qap1,
        Kind::User => Role::Alice,
        Kind::Eve => Role::Eve1,
    }
}

fn what(kind: Kind) -> &'static str {
    match kind {
        Kind::Qap => "an access point (qap1, qap2)",
        Kind::User => "a user (alice, bob)",
        Kind::Eve => "an eavesdropper (eve1, eve2)",
    }
}

fn read(path: &Path) -> Result<NodeFile> {
    let name = path.display();
    let text = bounded::text(path).with_context(|| format!("{name}: cannot be read"))?;
    let mut file: NodeFile = parse_toml(&text, &name.to_string())?;
    if let Some(workers) = file.workers
        && !(1..=64).contains(&workers)
    {
        let message = format!("workers = {workers} is not in 1..=64");
        bail!(ScenarioError::refused(&name.to_string(), &text, "", message));
    }
    // Paths in a file are relative to it.
    let here = path.parent().unwrap_or(Path::new(""));
    if let Some(scenario) = &mut file.scenario
        && here.join(&*scenario).exists()
    {
        *scenario = here.join(&*scenario).display().to_string();
    }
    for place in [&mut file.record, &mut file.keys, &mut file.deliver] {
        *place = place.take().map(|path| here.join(path));
    }
    Ok(file)
}

/// Records while the role runs; what was recorded is kept however the run ends.
fn recorded(
    mut running: Running,
    (writer, dir): (RunWriter, &Path),
    datatype: DatatypeArg,
    scenario: &Scenario,
    report: &mut NodeReport,
    outputs: &mut Outputs,
) -> Result<Finished> {
    let captures = running.captures().context("the run was not asked to record")?;
    let datatype = match datatype {
        DatatypeArg::Cf32 => Datatype::Cf32Le,
        DatatypeArg::Ci16 => Datatype::Ci16Le,
    };
    let recorder = Recorder::start(&writer, &[report.role], datatype, scenario, captures)?;
    let finished = report.follow(running, scenario, outputs);
    // A recording is worth the time that it takes to reach the disk, also after Ctrl-C.
    let _saving = crqkd_node::stop::saving();
    let members = recorder.finish()?;
    if members.is_empty() {
        note(format_args!("{} received nothing: there is no recording", report.role));
        return finished;
    }
    let mut fields = Map::new();
    fields.insert("scenario".into(), scenario.name.clone().into());
    fields.insert("seed".into(), report.seed.into());
    fields.insert("simulated".into(), Value::Bool(report.simulated));
    writer.finish(&members, fields)?;
    note(format_args!("recorded {} in {}", report.role, dir.display()));
    finished
}
