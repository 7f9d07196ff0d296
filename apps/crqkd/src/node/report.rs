//! What a role says at its end.

use crate::json;
use crate::progress;
use crate::run::guarded;
use anyhow::{Context, Result};
use crqkd_air::Radio as Kind;
use crqkd_blocks::messages::{FinalKey, ProbeData};
use crqkd_flowgraphs::{Finished, Notice, Role, Running};
use crqkd_forwarding::{Counters, Event};
use crqkd_node::radio::RadioSpec;
use crqkd_recording::write_new_private;
use crqkd_scenario::Scenario;
use serde::Serialize;
use serde_json::json;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use zeroize::Zeroizing;

/// What a role says at its end. Bits are shown as fingerprints only.
#[derive(Serialize)]
pub(super) struct NodeReport {
    pub(super) role: Role,
    scenario: String,
    radio: String,
    pub(super) seed: Option<u64>,
    /// Keys of a simulation are known to the simulator.
    pub(super) simulated: bool,
    /// Messages carry no tags yet.
    authenticated: bool,
    /// Air time at the end, in seconds.
    pub(super) air_s: f64,
    ending: Option<String>,
    /// Channel key of windows, the last ones (simulations only).
    windows: Latest<(u32, String)>,
    /// Groups of quantum key that were opened, the last ones: user, or eavesdropper (simulations only).
    groups: Latest<(u64, String)>,
    keys: Latest<NodeKey>,
    /// How many there were of each.
    made: Made,
    pub(super) counters: Counters,
    pub(super) ignored_frames: u64,
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

impl NodeReport {
    pub(super) fn new(
        role: Role,
        scenario: &Scenario,
        radio: &RadioSpec,
        seed: Option<u64>,
    ) -> Self {
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
    pub(super) fn follow(
        &mut self,
        running: Running,
        scenario: &Scenario,
        outputs: &mut Outputs,
    ) -> Result<Finished> {
        let bar = progress::bar(scenario.groups.into(), &format!("{}: groups", self.role));
        let direction = self.role.hears();
        let finished = guarded(running, None, |_, notice| match notice {
            Notice::Event(event) => match event.event {
                Event::GroupAnswered { ok: true, .. } | Event::GroupTried { ok: true, .. } => {
                    bar.inc(1);
                }
                Event::GroupBurned { .. } => {
                    bar.inc(1);
                    outputs.burned_one();
                }
                Event::Finished { ending } => self.ending = Some(format!("{ending:?}")),
                _ => {}
            },
            Notice::Key(key) => {
                outputs.key(&key);
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
                outputs.probe(&probe);
            }
            Notice::Window(_) => {}
        });
        bar.finish_and_clear();
        outputs.finish()?;
        finished
    }

    /// Everything that was asked of the role is there.
    pub(super) fn complete(&self) -> bool {
        let done = self.ending.as_deref() == Some("Done");
        done && (self.role.radio() != Kind::User || self.made.keys > 0)
    }

    pub(super) fn print(&self, json: bool) -> Result<()> {
        if json {
            return json::print("crqkd/role/1", self);
        }
        let mut out = std::io::stdout();
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

/// Files that a role writes while it runs.
pub(super) struct Outputs {
    probes: Option<BufWriter<File>>,
    deliver: Option<PathBuf>,
    /// Groups of quantum key that are still to be read; a burned one is replaced.
    pub(super) wanted: Option<Arc<AtomicUsize>>,
    /// The first failure; nothing is written after it.
    failed: Result<()>,
}

impl Outputs {
    /// Creates what can be created now.
    pub(super) fn open(probes: Option<&Path>, deliver: Option<&Path>) -> Result<Self> {
        let create = |path: &Path| -> Result<BufWriter<File>> {
            let file = File::create(path).with_context(|| format!("{}", path.display()))?;
            Ok(BufWriter::new(file))
        };
        if let Some(dir) = deliver {
            fs::create_dir_all(dir).with_context(|| format!("--deliver {}", dir.display()))?;
        }
        let probes = probes.map(create).transpose()?;
        let deliver = deliver.map(Path::to_owned);
        Ok(Outputs { probes, deliver, wanted: None, failed: Ok(()) })
    }

    fn burned_one(&self) {
        if let Some(wanted) = &self.wanted {
            wanted.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Where and how a probe was received; the channel itself is key material and stays inside.
    fn probe(&mut self, data: &ProbeData) {
        let (Some(file), true) = (&mut self.probes, self.failed.is_ok()) else { return };
        let (probe, estimate) = (&data.probe, &data.estimate);
        let line = json!({
            "window": probe.window.0,
            "index": probe.index,
            "start": estimate.start,
            "cfo_hz": estimate.cfo_hz,
            "snr_db": estimate.snr_db,
        });
        self.failed = writeln!(file, "{line}").context("--probes");
    }

    /// A key has its name only when it is whole.
    fn key(&mut self, key: &FinalKey) {
        let (Some(dir), true) = (&self.deliver, self.failed.is_ok()) else { return };
        let whole = dir.join(format!("{}.key", key.key));
        let bytes = Zeroizing::new(key.bits.expose().to_bytes());
        self.failed = write_new_private(&whole, &bytes).context("--deliver");
    }

    fn finish(&mut self) -> Result<()> {
        std::mem::replace(&mut self.failed, Ok(()))?;
        self.probes.as_mut().map_or(Ok(()), |file| file.flush()).context("--probes")
    }
}
