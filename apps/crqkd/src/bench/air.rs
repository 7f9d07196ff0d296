//! `crqkd bench air`: the whole system as six processes, for speed, memory and equality with one process.

use crate::exit::{NoKey, Outcome, Stopped, interrupted};
use crate::output;
use crate::referee::Referee;
use crate::run::{Quantum, guarded, loopback_config, quantum, supply};
use crate::{json, progress, scenario};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use crqkd_flowgraphs::{RunOptions, loopback, simulated};
use crqkd_node::number::real;
use crqkd_recording::TemporaryFolder;
use crqkd_scenario::Scenario;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// `crqkd bench air`.
#[derive(Debug, Args)]
pub(super) struct AirArgs {
    /// A preset or a scenario file.
    #[arg(long, default_value = "hall")]
    scenario: String,
    /// Seed of everything random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds of air, whatever is done by then, for the slope of memory (default: until all groups are there).
    #[arg(long, value_parser = real(0.01, 1e7), allow_negative_numbers = true)]
    seconds: Option<f64>,
    /// Exit with 1 when the keys differ from those of one process or a limit is missed.
    #[arg(long)]
    check: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

const RADIOS: &str = "qap1,alice,eve1,qap2,bob";
const ROLES: [(&str, &str); 5] =
    [("qap", "qap1"), ("user", "alice"), ("eve", "eve1"), ("qap", "qap2"), ("user", "bob")];
/// Between two looks at the processes' memory.
const LOOK: Duration = Duration::from_millis(500);
/// Parts of the second half for the slope of memory.
const PARTS: usize = 12;
/// What is to be reached.
const TIMES_REAL_TIME: f64 = 10.0;

#[derive(Serialize)]
struct AirBench {
    scenario: String,
    seed: u64,
    air_s: f64,
    wall_s: f64,
    times_real_time: f64,
    /// CPU time of all processes.
    cpu_s: f64,
    /// Keys of users and of one process with the same seed; `None` when they were not compared.
    keys: usize,
    equal_to_one_process: Option<bool>,
    memory: Vec<Memory>,
}

/// Resident memory of a process.
#[derive(Serialize)]
struct Memory {
    process: String,
    end_kib: f64,
    /// Slope in the second half, in KiB an hour of air, and its standard error.
    kib_per_air_hour: f64,
    standard_error: f64,
}

pub(super) fn run(args: &AirArgs) -> Result<Outcome> {
    let mut scenario = scenario::load(&args.scenario)?;
    if let Some(seconds) = args.seconds {
        scenario.forwarding.max_air_time_s = seconds;
        // More than the air can carry.
        let bits_s = scenario.forwarding.probe_rate_hz * scenario.channel_key.carriers.len() as f64;
        scenario.groups = (seconds * bits_s / scenario.otp.n as f64) as u32 + 8;
        scenario = scenario::checked(scenario).context("--seconds")?;
    }
    let dir = TemporaryFolder::new("crqkd-bench").context("a folder for temporary files")?;
    let mut bench = processes(args, &scenario, dir.path())?;
    drop(dir);
    if args.seconds.is_none() {
        bench.report.equal_to_one_process = Some(one_process(&scenario, args.seed)? == bench.keys);
    }
    let report = bench.report;
    if args.json {
        json::print("crqkd/bench-air/1", &report)?;
    } else {
        print(&report)?;
    }
    let met =
        report.equal_to_one_process != Some(false) && report.times_real_time >= TIMES_REAL_TIME;
    Ok(if args.check && !met { Outcome::Missed } else { Outcome::Ok })
}

struct Ran {
    report: AirBench,
    /// Fingerprints by name of the key, at Alice and at Bob.
    keys: BTreeMap<String, [Option<String>; 2]>,
}

/// A process, and its memory over time: wall seconds, KiB.
struct Watched {
    name: &'static str,
    child: Child,
    memory: Vec<(f64, f64)>,
    cpu_s: f64,
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = (self.child.kill(), self.child.wait()); // it has ended, unless we gave up
    }
}

fn processes(args: &AirArgs, scenario: &Scenario, dir: &Path) -> Result<Ran> {
    let file = dir.join("scenario.toml");
    fs::write(&file, scenario.to_toml())?;
    let socket = dir.join("air.sock").display().to_string();
    let program = std::env::current_exe()?;
    let start = |name: &'static str, args_of: &[&str]| -> Result<Watched> {
        let mut command = Command::new(&program);
        command.args(args_of).args(["--json", "--seed", &args.seed.to_string(), "--scenario"]);
        command.arg(&file).stdout(File::create(dir.join(name))?);
        command.stdin(Stdio::null()).stderr(File::create(dir.join(format!("{name}.err")))?);
        Ok(Watched { name, child: command.spawn()?, memory: Vec::new(), cpu_s: 0.0 })
    };
    let mut all = vec![start("air", &["air", "--listen", &socket, "--radios", RADIOS])?];
    let radio = format!("air:{socket}");
    for (kind, role) in ROLES {
        all.push(start(role, &[kind, "--role", role, "--radio", &radio])?);
    }
    let (bar, begin) =
        (progress::bar(all.len() as u64, "processes that have ended"), Instant::now());
    loop {
        let at = begin.elapsed().as_secs_f64();
        let mut running = 0;
        for process in &mut all {
            if process.child.try_wait()?.is_none() {
                running += 1;
                process.look(at);
            }
        }
        bar.set_position((all.len() - running) as u64);
        if running == 0 {
            break;
        }
        if interrupted() {
            bail!(Stopped);
        }
        for _ in 0..LOOK.as_millis() / 50 {
            if !interrupted() {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
    bar.finish_and_clear();
    for process in &mut all {
        // 1: not all groups crossed the air in its time.
        let status = process.child.wait()?;
        if status.code().is_none_or(|code| code > 1) {
            let said = fs::read_to_string(dir.join(format!("{}.err", process.name)))?;
            bail!("{} has ended with {status}; it said: {}", process.name, said.trim_end());
        }
    }
    let said = |name: &str| -> Result<Value> {
        let text = fs::read_to_string(dir.join(name))?;
        serde_json::from_str(&text).with_context(|| format!("what {name} has printed"))
    };
    let air = said("air")?;
    let number = |key: &str| air[key].as_f64().with_context(|| format!("air: no {key}"));
    let times_real_time = number("times_real_time")?;
    let mut keys: BTreeMap<String, [Option<String>; 2]> = BTreeMap::new();
    for (place, name) in ["alice", "bob"].into_iter().enumerate() {
        let report = said(name)?;
        for key in report["keys"].as_array().context("no keys")? {
            let text = |field: &str| key[field].as_str().map(str::to_owned);
            keys.entry(text("key_id").context("no key_id")?).or_default()[place] =
                text("fingerprint");
        }
    }
    ensure!(all.iter().all(|process| process.memory.len() > 1), "it was over at once");
    Ok(Ran {
        report: AirBench {
            scenario: scenario.name.clone(),
            seed: args.seed,
            air_s: number("air_s")?,
            wall_s: number("wall_s")?,
            times_real_time,
            cpu_s: all.iter().map(|process| process.cpu_s).sum(),
            keys: keys.len(),
            equal_to_one_process: None,
            memory: all.iter().map(|process| process.slope(times_real_time)).collect(),
        },
        keys,
    })
}

impl Watched {
    /// Notes memory and CPU time from `/proc`; nothing on systems without it.
    fn look(&mut self, at: f64) {
        let read = |what: &str| fs::read_to_string(format!("/proc/{}/{what}", self.child.id()));
        let field = |text: &str, place: usize| -> Option<f64> {
            text.split_whitespace().nth(place)?.parse().ok()
        };
        // Pages of 4 KiB; ticks of 10 ms.
        if let Some(pages) = read("statm").ok().and_then(|text| field(&text, 1)) {
            self.memory.push((at, 4.0 * pages));
        }
        if let Ok(text) = read("stat")
            && let (Some(user), Some(system)) = (field(&text, 13), field(&text, 14))
        {
            self.cpu_s = (user + system) / 100.0;
        }
    }

    /// Least squares over the second half, on the means of [`PARTS`] parts of it: what is allocated and given back within
    /// a part must not pass for knowledge of the slope.
    fn slope(&self, times_real_time: f64) -> Memory {
        let half = &self.memory[self.memory.len() / 2..];
        let mean = |of: &[(f64, f64)], f: fn(&(f64, f64)) -> f64| {
            of.iter().map(f).sum::<f64>() / of.len().max(1) as f64
        };
        let both = |of: &[(f64, f64)]| (mean(of, |p| p.0), mean(of, |p| p.1));
        let parts: Vec<(f64, f64)> =
            half.chunks(half.len().div_ceil(PARTS).max(1)).map(both).collect();
        let (n, (x, y)) = (parts.len() as f64, both(&parts));
        let xx: f64 = parts.iter().map(|p| (p.0 - x).powi(2)).sum();
        let slope = parts.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>() / xx.max(1e-9);
        let rest: f64 = parts.iter().map(|p| (p.1 - y - slope * (p.0 - x)).powi(2)).sum();
        let error = (rest / (n - 2.0).max(1.0) / xx.max(1e-9)).sqrt();
        // A wall second is so many seconds of air.
        let to_air_hours = 3600.0 / times_real_time.max(1e-9);
        Memory {
            process: self.name.to_owned(),
            end_kib: half.last().map_or(0.0, |last| last.1),
            kib_per_air_hour: slope * to_air_hours,
            standard_error: error * to_air_hours,
        }
    }
}

/// The same run in this process.
fn one_process(scenario: &Scenario, seed: u64) -> Result<BTreeMap<String, [Option<String>; 2]>> {
    let key = match quantum(scenario, seed)? {
        Quantum::Key(key) => key,
        Quantum::NoKey { reason, .. } => bail!(NoKey(reason)),
    };
    let config = loopback_config(scenario, seed);
    let mut referee = Referee::new(scenario, &key.qap1);
    let running = loopback(&config, supply(key), simulated(&config)?, &RunOptions::default())?;
    guarded(running, None, |role, notice| referee.note(role, notice))?;
    let print = |key: &crate::message::KeyAtUser| key.fingerprint.to_string();
    let keys = referee.verdict()?.keys.into_iter();
    Ok(keys.map(|(id, ends)| (id.to_string(), ends.map(|key| key.as_ref().map(print)))).collect())
}

fn print(report: &AirBench) -> Result<()> {
    let mut out = output::stdout();
    writeln!(
        out,
        "{:.1} s of air in {:.1} s, {:.1} times real time ({TIMES_REAL_TIME} wanted), {:.1} CPU-s in six processes",
        report.air_s, report.wall_s, report.times_real_time, report.cpu_s
    )?;
    match report.equal_to_one_process {
        Some(true) => writeln!(out, "{} keys, equal to those of one process", report.keys)?,
        Some(false) => writeln!(out, "{} keys, NOT those of one process", report.keys)?,
        None => writeln!(out, "{} keys", report.keys)?,
    }
    for Memory { process, end_kib, kib_per_air_hour, standard_error } in &report.memory {
        writeln!(
            out,
            "{process:>6}: {end_kib:.0} KiB at the end, {kib_per_air_hour:+.0} ± {standard_error:.0} KiB an hour of \
             air in the second half"
        )?;
    }
    Ok(())
}
