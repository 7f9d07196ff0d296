//! `crqkd qap`, `crqkd user`, `crqkd eve`: one role as a process of its own, on any radio.

mod report;
mod source;

use self::report::{NodeReport, Outputs};
use self::source::Drops;
use crate::air::run_id;
use crate::cli::{DatatypeArg, RoleArg};
use crate::exit::Outcome;
use crate::record::Recorder;
use crate::run::system_of;
use crate::scenario;
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use crqkd_air::{Radio as Kind, SAMPLE_RATE_HZ};
use crqkd_flowgraphs::{Assembly, Finished, Role, RunOptions, Running, Seat, begin, simulated_rng};
use crqkd_keys::{Forgetful, Store};
use crqkd_node::air::Address;
use crqkd_node::radio::{RadioSpec, open_radio};
use crqkd_node::store::JournalStore;
use crqkd_recording::{Datatype, RunWriter};
use crqkd_scenario::Scenario;
use rand::TryRngCore;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// `crqkd qap`, `crqkd user`, `crqkd eve`.
#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    /// A TOML file with any of: scenario, role, radio, wire, seed, keys, deliver, record, workers. Options on the command line come first.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A preset or a scenario file (default: hall).
    #[arg(long)]
    pub(crate) scenario: Option<String>,
    /// Which one: qap1 or qap2, alice or bob, eve1 or eve2 (default: the first).
    #[arg(long, value_enum)]
    pub(crate) role: Option<RoleArg>,
    /// The radio: air:HOST:PORT or air:/path/of/socket (`crqkd air`), file:RECORDING, soapy:ARGUMENTS.
    #[arg(long)]
    pub(crate) radio: Option<RadioSpec>,
    /// For an access point whose radio is not on an air: the address of the `crqkd air` that carries its wire.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) wire: Option<Address>,
    /// Simulation: everything random follows from this seed and the role, and the keys are no secret.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Quantum key of an access point: a folder into which NUMBER.key files are dropped, the same at both. What is read is
    /// wiped. The marks of its groups are kept there too.
    #[arg(long, value_name = "DIR", conflicts_with = "seed")]
    pub(crate) keys: Option<PathBuf>,
    /// Write the keys that a user releases to this folder, KEY-ID.key each, for its owner only.
    #[arg(long, value_name = "DIR")]
    pub(crate) deliver: Option<PathBuf>,
    /// Write what the radio receives to this folder (SigMF); it must not exist yet.
    #[arg(long, value_name = "DIR")]
    pub(crate) record: Option<PathBuf>,
    /// Write every probe that was measured and kept to this file, a line of JSON each.
    #[arg(long, value_name = "FILE")]
    pub(crate) probes: Option<PathBuf>,
    /// Worker threads of the flowgraph. The result does not depend on it.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) workers: Option<u8>,
    /// Sample format of the recording.
    #[arg(long, value_enum, default_value_t = DatatypeArg::Ci16)]
    pub(crate) datatype: DatatypeArg,
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
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
pub(crate) fn run(args: &NodeArgs, kind: Kind) -> Result<Outcome> {
    let settings = Settings::of(args, kind)?;
    let Settings { scenario, role, radio: spec, seed, .. } = &settings;
    let (role, seed) = (*role, *seed);
    let recording = match settings.record.as_deref() {
        Some(dir) => Some((RunWriter::create(dir, &scenario.name)?, dir)),
        None => None,
    };
    let mut outputs = Outputs::open(args.probes.as_deref(), settings.deliver.as_deref())?;
    let quantum = settings.quantum()?;
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
    if let Some(end) = finished?.roles().first() {
        report.counters = end.counters;
        report.ignored_frames = end.ignored_frames;
    }
    fed.context("--keys")?;
    report.print(args.json)?;
    Ok(if report.complete() { Outcome::Ok } else { Outcome::Missed })
}

/// What a role has of quantum key when it begins.
struct Quantum {
    groups: Vec<crqkd_keys::Group>,
    drops: Option<Drops>,
    store: Box<dyn Store + Send>,
}

impl Settings {
    fn of(args: &NodeArgs, kind: Kind) -> Result<Self> {
        let file = args.config.as_deref().map(read).transpose()?.unwrap_or_default();
        let named = args.scenario.clone().or(file.scenario);
        let role = match args.role.map(Role::from).or(file.role) {
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
            workers: args.workers.or(file.workers).unwrap_or(1).clamp(1, 64),
        };
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<()> {
        let hardware = matches!(&self.radio, RadioSpec::Soapy(arguments)
            if !arguments.split(',').any(|argument| argument == "driver=crqkd"));
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
        let mut store: Box<dyn Store + Send> = Box::new(Forgetful);
        match (role.radio(), &self.keys, self.seed) {
            (Kind::Qap, Some(_), Some(_)) => bail!("--keys and --seed exclude each other"),
            (Kind::Qap, Some(dir), None) => {
                drops = Some(Drops::open(dir, scenario.otp.k, scenario.groups)?);
                store = Box::new(JournalStore::open(&dir.join("marks.jsonl"))?);
            }
            (Kind::Qap, None, Some(seed)) => groups = source::simulated(scenario, role, seed)?,
            (Kind::Qap, None, None) => {
                bail!("no source of quantum key: --keys DIR, or --seed for a simulation")
            }
            (_, Some(_), _) => bail!("{role} is no access point and has no --keys"),
            (_, None, _) => {}
        }
        Ok(Quantum { groups, drops, store })
    }
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
    let text = std::fs::read_to_string(path).with_context(|| format!("{name}: cannot be read"))?;
    let mut file: NodeFile = toml::from_str(&text).with_context(|| format!("{name}"))?;
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
    let members = recorder.finish()?;
    let mut fields = Map::new();
    fields.insert("scenario".into(), scenario.name.clone().into());
    fields.insert("seed".into(), report.seed.into());
    fields.insert("simulated".into(), Value::Bool(report.simulated));
    writer.finish(&members, fields)?;
    eprintln!("recorded {} in {}", report.role, dir.display());
    finished
}
