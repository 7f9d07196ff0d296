//! `crqkd air`: the virtual air as a server.

use crate::choices::role;
use crate::exit::{self, Outcome};
use crate::faults::FaultArgs;
use crate::json;
use crate::output;
use crate::progress;
use crate::run::system_of;
use crate::scenario;
use anyhow::{Context, Result};
use clap::Args;
use crqkd_air::faults::Fault;
use crqkd_air::medium::{AirTime, Promises};
use crqkd_air::{RESPONSE_SAMPLES, Radio as Kind, SAMPLE_RATE_HZ};
use crqkd_blocks::radio::air::VirtualAir;
use crqkd_blocks::radio::{Progress, RadioError, RadioPort, RadioTx};
use crqkd_flowgraphs::{Role, SystemConfig, join_all, simulated_for, with_faults};
use crqkd_node::air::{Address, AirServer, Noticed, Place, RunId, ServeOptions, WireBytes};
use crqkd_node::lines::Lines;
use crqkd_node::number::{above, whole};
use crqkd_node::stop;
use crqkd_node::told::say;
use crqkd_scenario::Scenario;
use num_complex::Complex32;
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// `crqkd air`.
#[derive(Debug, Args)]
pub(crate) struct AirArgs {
    /// Where to listen: host:port (port 0: any), or the path of a Unix socket.
    #[arg(long, default_value = "127.0.0.1:7700", value_name = "ADDRESS")]
    pub(crate) listen: Address,
    /// A preset or a scenario file; those who join must use the same.
    #[arg(long, default_value = "hall")]
    pub(crate) scenario: String,
    /// Seed of the channel; those who join must use the same.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Radios that will join, separated by commas. The air stands still until each of them is there or has left again.
    #[arg(long, value_parser = role(&Role::ALL), value_delimiter = ',', default_value = "qap1,alice,eve1,qap2,bob,eve2")]
    pub(crate) radios: Vec<Role>,
    /// Runs, one after the other: the next one begins when every radio has left, and takes in roles that were started
    /// again. 0 for no end. The channel of each has a seed of its own, counted up from `--seed`.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole::<u64>(0, 1_000_000_000))]
    pub(crate) runs: u64,
    /// Seconds of air a second, 1 for real time (default: as fast as it goes).
    #[arg(long, value_name = "FACTOR", value_parser = above(0.0, 1e6), allow_negative_numbers = true)]
    pub(crate) pace: Option<f64>,
    #[command(flatten)]
    pub(crate) faults: FaultArgs,
    /// Write every burst that goes on the air to this file, a line of JSON each.
    #[arg(long, value_name = "FILE")]
    pub(crate) bursts: Option<PathBuf>,
    /// Print one JSON document at the end.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is said at the end.
#[derive(Serialize)]
struct AirReport {
    scenario: String,
    seed: u64,
    simulated: bool,
    radios: Vec<Role>,
    /// Runs that came to their end or were broken off.
    runs: u64,
    /// Air time of the radio that was furthest, in seconds, of all runs.
    air_s: f64,
    /// Wall time from the first sample on the air to the last radio's leaving, in seconds, of all runs.
    wall_s: f64,
    /// Seconds of air a second.
    times_real_time: f64,
}

/// The name of a simulation: what all its processes must agree in.
pub(crate) fn run_id(scenario: &Scenario, seed: u64) -> RunId {
    RunId { seed, scenario: Sha256::digest(scenario.to_toml()).into() }
}

/// Serves one run after the other, each until every radio has left.
pub(crate) fn run(args: &AirArgs) -> Result<Outcome> {
    let scenario = scenario::load(&args.scenario)?;
    let roles: BTreeSet<Role> = args.radios.iter().copied().collect();
    let roles: Vec<Role> = roles.into_iter().collect();
    let system = system_of(&scenario);
    let log = args.bursts.as_deref().map(BurstLog::create).transpose()?;
    let faults = args.faults.list();
    let options = ServeOptions { run: Some(run_id(&scenario, args.seed)), pace: args.pace };
    let noticed = |what: Noticed| say(format_args!("crqkd air: {}", tell(&what)));
    let server = AirServer::bind(&args.listen, options, noticed)
        .with_context(|| format!("cannot listen at {}", args.listen))?;
    say(format_args!("crqkd air: listening at {}", server.address()?));
    let most_s = scenario.forwarding.max_air_time_s.ceil() as u64;
    let (mut air_s, mut wall_s) = (0.0, 0.0);
    let mut runs = 0;
    while !exit::interrupted() && (args.runs == 0 || runs < args.runs) {
        let seed = args.seed.wrapping_add(runs);
        let log = log.as_ref().map(|log| BurstLog { run: runs + 1, ..log.clone() });
        let (air, places) = places(&system, seed, &roles, &faults, log.as_ref())?;
        runs += 1;
        let bar = progress::bar(most_s, "seconds of air");
        let mut begun = None;
        let seconds = || air.air_time() as f64 / SAMPLE_RATE_HZ;
        server.run(places, args.runs == 0 || runs < args.runs, || {
            if begun.is_none() && air.air_time() > 0 {
                begun = Some(Instant::now());
            }
            bar.set_position(seconds() as u64);
            exit::interrupted()
        });
        bar.finish_and_clear();
        air_s += seconds();
        wall_s += begun.map_or(0.0, |begin: Instant| begin.elapsed().as_secs_f64());
        if args.runs != 1 {
            say(format_args!("crqkd air: run {runs} is over after {:.2} s of air", seconds()));
        }
    }
    let saving = stop::saving();
    let logged = log.map_or(Ok(()), BurstLog::finish);
    drop(saving);
    let times_real_time = if wall_s > 0.0 { air_s / wall_s } else { 0.0 };
    let (seed, name) = (args.seed, scenario.name);
    let report = AirReport {
        scenario: name,
        seed,
        simulated: true,
        radios: roles,
        runs,
        air_s,
        wall_s,
        times_real_time,
    };
    if args.json {
        json::print("crqkd/air/1", &report)?;
    } else {
        writeln!(
            output::stdout(),
            "{air_s:.2} s of air in {wall_s:.2} s, {times_real_time:.1} times real time"
        )?;
    }
    logged?;
    Ok(Outcome::Ok)
}

/// A new air at time 0, with a place for every radio.
fn places(
    system: &SystemConfig,
    seed: u64,
    roles: &[Role],
    faults: &[(Role, Fault)],
    log: Option<&BurstLog>,
) -> Result<(VirtualAir<WireBytes>, Vec<Place>)> {
    let air = VirtualAir::<WireBytes>::new(RESPONSE_SAMPLES);
    let propagation = simulated_for(&system.air, seed, roles)?;
    let both = roles.contains(&Role::Qap1) && roles.contains(&Role::Qap2);
    let places = join_all(&air, roles, propagation).into_iter().map(|(role, radio)| {
        let tx = radio.handle();
        // What is noted is what leaves the antenna.
        let tx = log.map_or_else(|| tx.clone(), |log| log.listen_in(role, tx.clone()));
        let full_scale = system.air.adc_full_scale;
        let (radio, tx) = with_faults(role, Box::new(radio), tx, faults, full_scale);
        Place {
            number: role.number(),
            name: role.to_string(),
            cell: role.cell(),
            receiver: role.radio() == Kind::Eve,
            wired: role.radio() == Kind::Qap && both,
            radio,
            tx,
        }
    });
    let places = places.collect();
    Ok((air, places))
}

/// A file that notes what goes on the air.
#[derive(Clone)]
struct BurstLog {
    lines: Arc<Mutex<Lines>>,
    /// Number of the run, from 1.
    run: u64,
}

impl BurstLog {
    fn create(path: &Path) -> Result<Self> {
        let lines = Arc::new(Mutex::new(Lines::create("--bursts", path)?));
        Ok(BurstLog { lines, run: 1 })
    }

    fn listen_in(&self, role: Role, tx: RadioTx<WireBytes>) -> RadioTx<WireBytes> {
        RadioTx::new(Logged { role, log: self.clone(), tx })
    }

    fn finish(self) -> Result<()> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).finish()
    }
}

/// A transmitter whose bursts are noted.
struct Logged {
    role: Role,
    log: BurstLog,
    tx: RadioTx<WireBytes>,
}

impl RadioPort<WireBytes> for Logged {
    fn send_at(&self, time: AirTime, burst: Vec<Complex32>) -> Result<(), RadioError> {
        let line = json!({ "run": self.log.run, "radio": self.role, "start": time, "samples": burst.len() });
        self.tx.send_at(time, burst)?;
        self.log.lines.lock().unwrap_or_else(PoisonError::into_inner).write(line);
        Ok(())
    }

    fn promise(&self, promises: Promises) -> Result<(), RadioError> {
        self.tx.promise(promises)
    }

    fn listen(&self, from: AirTime, to: AirTime) -> Result<(), RadioError> {
        self.tx.listen(from, to)
    }

    fn listen_until(&self, at: AirTime) -> Result<(), RadioError> {
        self.tx.listen_until(at)
    }

    fn wire(&self, to: u16, arrival: AirTime, message: WireBytes) -> Result<(), RadioError> {
        self.tx.wire(to, arrival, message)
    }

    fn leave(&self) {
        self.tx.leave();
    }
}

fn tell(what: &Noticed) -> String {
    let name = |number: u16| {
        Role::of_number(number).map_or_else(|| format!("radio {number}"), |role| role.to_string())
    };
    match what {
        Noticed::Joined(radio) => format!("{} has joined", name(*radio)),
        Noticed::Left { radio, reason: None } => format!("{} has left", name(*radio)),
        Noticed::Left { radio, reason: Some(reason) } => {
            format!("{} has left: {reason}", name(*radio))
        }
        Noticed::Refused(reason) => format!("a connection was refused: {reason}"),
    }
}
