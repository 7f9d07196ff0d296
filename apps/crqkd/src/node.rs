//! `crqkd qap`, `crqkd user`, `crqkd eve`: one role as a process of its own, on any radio.

use crate::air::run_id;
use crate::cli::{DatatypeArg, RoleArg};
use crate::exit::Outcome;
use crate::progress;
use crate::record::Recorder;
use crate::run::{Quantum, guarded, quantum, system_of};
use crate::scenario;
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use crqkd_air::{Radio as Kind, SAMPLE_RATE_HZ};
use crqkd_blocks::messages::ProbeData;
use crqkd_flowgraphs::{
    Assembly, Finished, Notice, Role, RunOptions, Running, Seat, begin, simulated_rng,
};
use crqkd_forwarding::{Counters, Event};
use crqkd_keys::{Forgetful, Group};
use crqkd_node::air::Address;
use crqkd_node::radio::{RadioSpec, open_radio};
use crqkd_recording::{Datatype, RunWriter};
use crqkd_scenario::Scenario;
use rand::TryRngCore;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// `crqkd qap`, `crqkd user`, `crqkd eve`.
#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    /// A TOML file with any of: scenario, role, radio, wire, seed, record, workers. Options on the command line come first.
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
    record: Option<PathBuf>,
    workers: u8,
}

/// What a role says at its end. Bits are shown as fingerprints only.
#[derive(Serialize)]
struct NodeReport {
    role: Role,
    scenario: String,
    radio: String,
    seed: Option<u64>,
    /// Keys of a simulation are known to the simulator.
    simulated: bool,
    /// Messages carry no tags yet.
    authenticated: bool,
    /// Air time at the end, in seconds.
    air_s: f64,
    ending: Option<String>,
    /// Channel key of windows, the last ones (simulations only).
    windows: Latest<(u32, String)>,
    /// Groups of quantum key that were opened, the last ones: user, or eavesdropper (simulations only).
    groups: Latest<(u64, String)>,
    keys: Latest<NodeKey>,
    /// How many there were of each.
    made: Made,
    counters: Counters,
    ignored_frames: u64,
}

/// The last things of a kind: a role may run for months.
#[derive(Serialize)]
#[serde(transparent)]
struct Latest<T>(VecDeque<T>);

/// Things of a kind that a report shows.
const SHOWN: usize = 128;

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Latest(VecDeque::with_capacity(SHOWN))
    }
}

impl<T> Latest<T> {
    fn push(&mut self, one: T, made: &mut u64) {
        *made += 1;
        if self.0.len() == SHOWN {
            self.0.pop_front();
        }
        self.0.push_back(one);
    }
}

/// Counts of what came out of a run.
#[derive(Default, Serialize)]
struct Made {
    windows: u64,
    groups: u64,
    keys: u64,
}

#[derive(Serialize)]
struct NodeKey {
    key_id: String,
    block: u32,
    groups: usize,
    bits: usize,
    fingerprint: String,
}

/// Runs the role to its end.
pub(crate) fn run(args: &NodeArgs, kind: Kind) -> Result<Outcome> {
    let Settings { scenario, role, radio: spec, wire, seed, record, workers } =
        Settings::of(args, kind)?;
    let groups = groups(&scenario, role, seed)?;
    let recording = record.map(|dir| RunWriter::create(&dir, &scenario.name)).transpose()?;
    let mut probes = args.probes.as_deref().map(create).transpose()?;
    let run = seed.map(|seed| run_id(&scenario, seed));
    let open = open_radio(&spec, role.number(), run, wire.as_ref())?;
    let options = RunOptions {
        workers: workers.into(),
        referee: seed.is_some(),
        record: recording.is_some(),
        observe: probes.is_some(),
        ..RunOptions::default()
    };
    let system = system_of(&scenario);
    let mut assembly = Assembly::new(&system, &options)?;
    assembly.add(Seat {
        role,
        radio: open.radio,
        tx: open.tx,
        rng: match seed {
            Some(seed) => simulated_rng(seed, role),
            None => Box::new(rand::rngs::OsRng.unwrap_err()),
        },
        store: Box::new(Forgetful),
        begin: begin(role, vec![(0, groups)], scenario.groups),
    })?;
    let mut report = NodeReport::new(role, &scenario, &spec, seed);
    let running = assembly.start(open.progress)?;
    let monitor = running.monitor();
    let finished = match recording {
        None => report.follow(running, &scenario, &mut probes),
        Some(writer) => {
            recorded(running, writer, args.datatype, &scenario, &mut report, &mut probes)
        }
    };
    report.air_s = monitor.air_time() as f64 / SAMPLE_RATE_HZ;
    if let Some(end) = finished?.roles().first() {
        report.counters = end.counters;
        report.ignored_frames = end.ignored_frames;
    }
    report.print(args.json)?;
    Ok(if report.complete() { Outcome::Ok } else { Outcome::Missed })
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
        Ok(Settings {
            scenario: scenario::load(named.as_deref().unwrap_or("hall"))?,
            role,
            radio,
            wire,
            seed: args.seed.or(file.seed),
            record: args.record.clone().or(file.record),
            workers: args.workers.or(file.workers).unwrap_or(1).clamp(1, 64),
        })
    }
}

fn create(path: &Path) -> Result<BufWriter<File>> {
    let file = File::create(path).with_context(|| format!("{}", path.display()))?;
    Ok(BufWriter::new(file))
}

/// Where and how a probe was received; the channel itself is key material and stays inside.
fn write_probe(file: &mut impl Write, data: &ProbeData) -> std::io::Result<()> {
    let (probe, estimate) = (&data.probe, &data.estimate);
    let line = json!({
        "window": probe.window.0,
        "index": probe.index,
        "start": estimate.start,
        "cfo_hz": estimate.cfo_hz,
        "snr_db": estimate.snr_db,
    });
    writeln!(file, "{line}")
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
    file.record = file.record.map(|record| here.join(record));
    Ok(file)
}

/// An access point's end of the quantum link. In a simulation each access point simulates the whole link from the seed
/// and keeps its own end, so both hold the same groups without a word between them.
fn groups(scenario: &Scenario, role: Role, seed: Option<u64>) -> Result<Vec<Group>> {
    if role.radio() != Kind::Qap {
        return Ok(Vec::new());
    }
    let seed =
        seed.context("no source of quantum key: only simulated ones are built in, use --seed")?;
    match quantum(scenario, seed)? {
        Quantum::Key(key) => Ok(if role == Role::Qap1 { key.qap1 } else { key.qap2 }),
        Quantum::NoKey { reason, .. } => bail!("no group was made: {reason}"),
    }
}

/// Records while the role runs; what was recorded is kept however the run ends.
fn recorded(
    mut running: Running,
    writer: RunWriter,
    datatype: DatatypeArg,
    scenario: &Scenario,
    report: &mut NodeReport,
    probes: &mut Option<BufWriter<File>>,
) -> Result<Finished> {
    let captures = running.captures().context("the run was not asked to record")?;
    let datatype = match datatype {
        DatatypeArg::Cf32 => Datatype::Cf32Le,
        DatatypeArg::Ci16 => Datatype::Ci16Le,
    };
    let recorder = Recorder::start(&writer, &[report.role], datatype, scenario, captures)?;
    let finished = report.follow(running, scenario, probes);
    let members = recorder.finish()?;
    let mut fields = Map::new();
    fields.insert("scenario".into(), scenario.name.clone().into());
    fields.insert("seed".into(), report.seed.into());
    fields.insert("simulated".into(), Value::Bool(report.simulated));
    eprintln!("recorded {} in {}", report.role, writer.path().display());
    writer.finish(&members, fields)?;
    finished
}

impl NodeReport {
    fn new(role: Role, scenario: &Scenario, radio: &RadioSpec, seed: Option<u64>) -> Self {
        NodeReport {
            role,
            scenario: scenario.name.clone(),
            radio: radio.to_string(),
            seed,
            simulated: seed.is_some(),
            authenticated: false,
            air_s: 0.0,
            ending: None,
            windows: Latest::default(),
            groups: Latest::default(),
            keys: Latest::default(),
            made: Made::default(),
            counters: Counters::default(),
            ignored_frames: 0,
        }
    }

    /// Waits for the end of the run and notes what comes out of it.
    fn follow(
        &mut self,
        running: Running,
        scenario: &Scenario,
        probes: &mut Option<BufWriter<File>>,
    ) -> Result<Finished> {
        let bar = progress::bar(scenario.groups.into(), &format!("{}: groups", self.role));
        let direction = self.role.hears();
        let mut written = Ok(());
        let finished = guarded(running, None, |_, notice| match notice {
            Notice::Event(event) => match event.event {
                Event::GroupAnswered { ok: true, .. }
                | Event::GroupTried { ok: true, .. }
                | Event::GroupBurned { .. } => bar.inc(1),
                Event::Finished { ending } => self.ending = Some(format!("{ending:?}")),
                _ => {}
            },
            Notice::Key(key) => {
                let fingerprint = key.bits.fingerprint().to_string();
                tracing::info!("key {} of {} bits: {fingerprint}", key.key, key.bits.len());
                let shown = NodeKey {
                    key_id: key.key.to_string(),
                    block: key.block,
                    groups: key.groups.len(),
                    bits: key.bits.len(),
                    fingerprint,
                };
                self.keys.push(shown, &mut self.made.keys);
            }
            Notice::Window(window) if window.direction == direction => {
                let print = window.soft.bits.fingerprint().to_string();
                self.windows.push((window.window.0, print), &mut self.made.windows);
            }
            Notice::Opened(opened) => {
                let print = opened.group.bits.fingerprint().to_string();
                self.groups.push((opened.group.id.0, print), &mut self.made.groups);
            }
            Notice::Observation(probe) => {
                if let Some(file) = probes
                    && written.is_ok()
                {
                    written = write_probe(file, &probe);
                }
            }
            Notice::Window(_) => {}
        });
        if let Some(file) = probes {
            written.and_then(|()| file.flush()).context("--probes")?;
        }
        bar.finish_and_clear();
        finished
    }

    /// Everything that was asked of the role is there.
    fn complete(&self) -> bool {
        let done = self.ending.as_deref() == Some("Done");
        done && (self.role.radio() != Kind::User || self.made.keys > 0)
    }

    fn print(&self, json: bool) -> Result<()> {
        let mut out = std::io::stdout();
        if json {
            writeln!(out, "{}", serde_json::to_string_pretty(self)?)?;
            return Ok(());
        }
        let ending = self.ending.as_deref().unwrap_or("stopped");
        let (role, air_s, windows) = (self.role, self.air_s, self.made.windows);
        writeln!(
            out,
            "{role}: {ending} after {air_s:.1} s of air, {windows} windows of channel key"
        )?;
        for key in &self.keys.0 {
            let NodeKey { key_id, bits, groups, fingerprint, .. } = key;
            writeln!(out, "key {key_id} ({bits} bits of {groups} groups): {fingerprint}")?;
        }
        let keys = if self.simulated { "simulated keys, " } else { "" };
        writeln!(out, "{keys}unauthenticated messages, secrecy not accounted")?;
        Ok(())
    }
}
