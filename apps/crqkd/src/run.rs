//! One run of the whole system in one process: the quantum link, then both cells on the virtual air.

use crate::exit;
use crate::progress;
use crate::referee::{Referee, Verdict};
use anyhow::{Context, Result, bail};
use clap::Args;
use crqkd_experiment::{Probing, Setup};
use crqkd_flowgraphs::{
    Finished, FlowgraphError, LoopbackConfig, Notice, Role, RunOptions, Running, Supply,
    SystemConfig, loopback, simulated,
};
use crqkd_forwarding::Event;
use crqkd_keys::Group;
use crqkd_node::number::{real, workers};
use crqkd_quantum::{Bb84Report, Bb84Source, KeySource, SourceError};
use crqkd_scenario::Scenario;
use crqkd_sounding::SoundingConfig;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Options that every run of the virtual air shares.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Seed of everything random; the same seed gives the same output, byte by byte.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Worker threads of the flowgraph, 1 to 64, and no more than there are processors. The result does not depend on it.
    #[arg(long, default_value_t = 1, value_parser = workers())]
    pub(crate) workers: u8,
    /// Put random sleeps into every block (a test of determinism; slow).
    #[arg(long, hide = true)]
    pub(crate) jitter: bool,
    /// Share of the quantum pulses that an eavesdropper on the fibre intercepts and resends, 0 to 1 (default:
    /// what the scenario says).
    #[arg(long, value_name = "SHARE", value_parser = real(0.0, 1.0), allow_negative_numbers = true)]
    pub(crate) intercept: Option<f64>,
}

/// A run in which nothing happens on the air for so long is taken for stuck.
const STALL: Duration = Duration::from_secs(60);

/// BB84 blocks in a row that may give no key before the quantum link is given up.
const QUANTUM_PATIENCE: u32 = 3;

/// What the quantum link gave: the same groups at both access points.
pub(crate) struct QuantumKey {
    pub(crate) qap1: Vec<Group>,
    pub(crate) qap2: Vec<Group>,
    pub(crate) reports: Vec<Bb84Report>,
}

/// The quantum link's outcome: keys, or the reason why there are none.
pub(crate) enum Quantum {
    /// Groups at both ends.
    Key(QuantumKey),
    /// No block gave a key.
    NoKey {
        /// What happened to each block.
        reports: Vec<Bb84Report>,
        /// The last one's reason, for people.
        reason: String,
    },
}

/// Runs BB84 until both access points hold a quarter more groups than the users ask for, so that burned ones can be
/// replaced.
pub(crate) fn quantum(scenario: &Scenario, seed: u64) -> Result<Quantum> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(1);
    let mut source = Bb84Source::new(scenario.quantum.clone(), scenario.otp.k)?;
    let wanted = scenario.groups as usize + (scenario.groups as usize / 4).max(2);
    match source.fill(wanted, QUANTUM_PATIENCE, &mut rng) {
        Ok(()) => {}
        Err(error @ SourceError::NoKey { .. }) => {
            return Ok(Quantum::NoKey {
                reports: source.reports().to_vec(),
                reason: error.to_string(),
            });
        }
        Err(error) => return Err(error).context("quantum link"),
    }
    let reports = source.reports().to_vec();
    let (mut end1, mut end2) = source.into_ends();
    let take = |end: &mut dyn KeySource| -> Result<Vec<Group>> {
        (0..wanted)
            .map(|_| end.next_group()?.context("the quantum link promised more groups than it has"))
            .collect()
    };
    Ok(Quantum::Key(QuantumKey { qap1: take(&mut end1)?, qap2: take(&mut end2)?, reports }))
}

/// The flowgraphs' view of a scenario.
pub(crate) fn system_of(scenario: &Scenario) -> SystemConfig {
    let air = &scenario.air;
    // The largest value that the converter gives: a frame that reaches it is not measured.
    let top = air.adc_full_scale * (1.0 - 0.5f64.powi(air.adc_bits as i32 - 1));
    SystemConfig {
        air: air.clone(),
        sounding: SoundingConfig { clip_level: Some(top as f32), ..SoundingConfig::default() },
        channel_key: scenario.channel_key.clone(),
        otp: scenario.otp.clone(),
        forwarding: scenario.forwarding.clone(),
    }
}

/// The experiment's view of a scenario.
pub(crate) fn setup_of(scenario: &Scenario) -> Setup {
    Setup {
        air: scenario.air.clone(),
        probing: Probing {
            probe_rate_hz: scenario.forwarding.probe_rate_hz,
            turnaround_ms: scenario.forwarding.turnaround_ms,
            window_probes: scenario.forwarding.window_probes,
        },
        channel_key: scenario.channel_key.clone(),
        otp: scenario.otp.clone(),
    }
}

/// How to run, beyond the scenario. Nothing here changes the keys.
pub(crate) struct How {
    pub(crate) seed: u64,
    pub(crate) options: RunOptions,
}

impl How {
    /// From the command line.
    pub(crate) fn new(args: &RunArgs) -> Self {
        let options = RunOptions {
            workers: args.workers.into(),
            sleeps_us: args.jitter.then_some(200),
            ..RunOptions::default()
        };
        How { seed: args.seed, options }
    }
}

/// Applies the overrides of the command line that all runs share; `scenario::checked` follows.
pub(crate) fn with_overrides(mut scenario: Scenario, args: &RunArgs) -> Scenario {
    if let Some(share) = args.intercept {
        scenario.quantum.intercept_share = share;
    }
    scenario
}

/// Both cells on the virtual air, to the end.
pub(crate) fn on_the_air(
    scenario: &Scenario,
    how: &How,
    key: QuantumKey,
) -> Result<(Verdict, Finished)> {
    let config = loopback_config(scenario, how.seed);
    let propagation = simulated(&config)?;
    let mut referee = Referee::new(scenario, &key.qap1);
    let running = loopback(&config, supply(key), propagation, &how.options)?;
    let finished = watch(running, scenario, |role, notice| referee.note(role, notice))?;
    Ok((referee.verdict()?, finished))
}

/// What the flowgraphs need of a scenario and a seed.
pub(crate) fn loopback_config(scenario: &Scenario, seed: u64) -> LoopbackConfig {
    LoopbackConfig {
        system: system_of(scenario),
        seed,
        groups: scenario.groups,
        faults: Vec::new(),
    }
}

/// All groups are there when the run begins.
pub(crate) fn supply(key: QuantumKey) -> Supply {
    Supply { qap1: vec![(0, key.qap1)], qap2: vec![(0, key.qap2)] }
}

/// Waits for the end of a run behind a progress bar; Ctrl-C and a stuck run end it with an error.
pub(crate) fn watch(
    running: Running,
    scenario: &Scenario,
    mut notice: impl FnMut(Role, Notice),
) -> Result<Finished> {
    let bar = progress::bar(2 * u64::from(scenario.groups), &format!("{}: groups", scenario.name));
    let result = guarded(running, Some(STALL), |role, what| {
        if let Notice::Event(event) = &what
            && matches!(
                event.event,
                Event::GroupAnswered { ok: true, .. } | Event::GroupBurned { .. }
            )
            && matches!(role, Role::Qap1 | Role::Qap2)
        {
            bar.inc(1);
        }
        notice(role, what);
    });
    bar.finish_and_clear();
    result
}

/// Waits for the end of a run; Ctrl-C ends it with an error, and so does an air that stands still for `stall`.
pub(crate) fn guarded(
    running: Running,
    stall: Option<Duration>,
    notice: impl FnMut(Role, Notice),
) -> Result<Finished> {
    let guard = Guard::start(&running, stall);
    let result = running.wait(notice);
    match guard.finish() {
        Some(Stop::Interrupted) => bail!(exit::Stopped),
        Some(Stop::Stuck(where_)) => {
            bail!("nothing happened on the air for {} s: {where_}", STALL.as_secs())
        }
        None => result.map_err(|error: FlowgraphError| error.into()),
    }
}

/// Why a run was stopped from outside.
enum Stop {
    Interrupted,
    Stuck(String),
}

/// A thread that stops the run on Ctrl-C, or when it does not move any more.
struct Guard {
    done: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Option<Stop>>,
}

impl Guard {
    fn start(running: &Running, stall: Option<Duration>) -> Self {
        let (stop, monitor) = (running.stop_handle(), running.monitor());
        let done = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&done);
        let thread = std::thread::spawn(move || {
            let (mut seen, mut since) = (monitor.activity(), Instant::now());
            while !ended.load(Ordering::SeqCst) {
                std::thread::park_timeout(Duration::from_millis(100));
                let now = monitor.activity();
                if now != seen {
                    (seen, since) = (now, Instant::now());
                }
                let reason = if exit::interrupted() {
                    Stop::Interrupted
                } else if stall.is_some_and(|stall| since.elapsed() > stall) {
                    Stop::Stuck(monitor.describe())
                } else {
                    continue;
                };
                stop.stop();
                return Some(reason);
            }
            None
        });
        Guard { done, thread }
    }

    fn finish(self) -> Option<Stop> {
        self.done.store(true, Ordering::SeqCst);
        self.thread.thread().unpark();
        self.thread.join().unwrap_or(None)
    }
}
