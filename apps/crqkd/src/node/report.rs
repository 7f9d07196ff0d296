//! What a role says at its end.

use super::voice::{Stage, Voice};
use crate::json;
use crate::output;
use crate::progress;
use crate::run::guarded;
use anyhow::{Context, Result};
use crqkd_air::Radio as Kind;
use crqkd_blocks::messages::{FinalKey, ProbeData};
use crqkd_flowgraphs::{Finished, Notice, Role, Running};
use crqkd_forwarding::{Counters, Event};
use crqkd_keys::Store;
use crqkd_node::delivery::Delivery;
use crqkd_node::lines::Lines;
use crqkd_node::radio::RadioSpec;
use crqkd_scenario::Scenario;
use serde::Serialize;
use serde_json::json;
use std::collections::VecDeque;
use std::io::Write;
use std::path::Path;
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
    /// Groups of quantum key that the asking user wants.
    groups_wanted: u32,
    /// Why a user has no key.
    no_key: Option<&'static str>,
    /// Keys that perhaps only one of the users has, when the run did not come to its end.
    uncertain_keys: Vec<UncertainKey>,
    /// A recording was listened to, to its end.
    #[serde(skip)]
    pub(super) heard_all: bool,
    /// A frame of the other end has come.
    #[serde(skip)]
    contact: bool,
    /// The request for groups was turned down.
    #[serde(skip)]
    refused: bool,
    /// Channel key of windows, the last ones (simulations only).
    windows: Latest<(u32, String)>,
    /// Groups of quantum key that were opened, the last ones: user, or eavesdropper (simulations only).
    groups: Latest<(u64, String)>,
    keys: Latest<NodeKey>,
    /// How many there were of each.
    pub(super) made: Made,
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
    fn push(&mut self, one: T) {
        if self.0.len() == SHOWN {
            self.0.pop_front();
        }
        self.0.push_back(one);
    }
}

/// Counts of what came out of a run.
#[derive(Default, Serialize)]
pub(super) struct Made {
    /// Windows that gave channel key.
    pub(super) windows: u64,
    /// Groups that were received and decoded.
    groups: u64,
    /// Keys that were released.
    keys: u64,
    /// Groups in these keys.
    groups_in_keys: u64,
    /// Groups that the other end of the link has acknowledged, or that were received.
    handed_over: u64,
    /// Blocks whose hashes differed at the two users.
    unequal: u64,
}

/// A key that was under way when the run broke off.
#[derive(Serialize)]
struct UncertainKey {
    key_id: String,
    /// This user has it and the other may not; else the other may have it and this one does not.
    here: bool,
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
            groups_wanted: scenario.groups,
            no_key: None,
            uncertain_keys: Vec::new(),
            heard_all: false,
            contact: false,
            refused: false,
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
        let (stop, voice) = (running.stop_handle(), Voice::start(&running, self.role));
        let finished = guarded(running, None, |_, notice| match notice {
            Notice::Event(event) => match event.event {
                Event::Contact => {
                    self.contact = true;
                    voice.reached(Stage::Contact);
                }
                Event::RequestRefused { .. } => self.refused = true,
                Event::PadReady { .. } => self.made.windows += 1,
                Event::BlockVerified { ok: false, .. } => self.made.unequal += 1,
                answered @ (Event::GroupAnswered { ok: true, .. }
                | Event::GroupTried { ok: true, .. }) => {
                    self.made.groups += u64::from(matches!(answered, Event::GroupTried { .. }));
                    voice.reached(Stage::Groups);
                    self.made.handed_over += 1;
                    bar.inc(1);
                }
                Event::GroupBurned { .. } => {
                    bar.inc(1);
                    outputs.read_more(1);
                }
                Event::GroupsUsedBefore { groups } => {
                    tracing::warn!(
                        "{groups} groups of quantum key were used before, as marks.jsonl says; others take their place"
                    );
                    outputs.read_more(groups as usize);
                }
                Event::GroupsPassedOver { groups } => {
                    tracing::warn!(
                        "the other access point does not have {groups} groups of quantum key that are here: they are given up, \
                         others take their place"
                    );
                    outputs.read_more(groups as usize);
                }
                Event::Finished { ending } => self.ending = Some(format!("{ending:?}")),
                _ => {}
            },
            Notice::Key(key) => {
                outputs.key(&key);
                if outputs.has_failed() {
                    // The other end must not go on relying on this one.
                    stop.stop();
                }
                let fingerprint = key.bits.fingerprint().to_string();
                tracing::info!("key {} of {} bits: {fingerprint}", key.key, key.bits.len());
                let shown = NodeKey {
                    key_id: key.key.to_string(),
                    block: key.block,
                    groups: key.groups.len(),
                    bits: key.bits.len(),
                    fingerprint,
                };
                self.made.keys += 1;
                self.made.groups_in_keys += key.groups.len() as u64;
                self.keys.push(shown);
            }
            Notice::Window(window) if window.direction == direction => {
                let print = window.soft.bits.fingerprint().to_string();
                self.windows.push((window.window.0, print));
            }
            Notice::Opened(opened) => {
                let print = opened.group.bits.fingerprint().to_string();
                self.groups.push((opened.group.id.0, print));
            }
            Notice::Observation(probe) => {
                outputs.probe(&probe);
            }
            Notice::Window(_) => {}
        });
        drop(voice);
        bar.finish_and_clear();
        if finished.is_err() || self.ending.as_deref() != Some("Done") {
            self.tell_uncertain(outputs);
        }
        outputs.finish()?;
        finished
    }

    /// Says which keys perhaps only one of the users has: the last word of any exchange may be lost.
    fn tell_uncertain(&mut self, outputs: &Outputs) {
        for key in outputs.deliver.iter().flat_map(Delivery::promised) {
            tracing::warn!(
                "key {key} was promised to the other user and is not here; the other user may have it"
            );
            self.uncertain_keys.push(UncertainKey { key_id: key.to_string(), here: false });
        }
        // The asking user has a key first. A later block would show that the other one has it too.
        if let (Role::Alice, Some(NodeKey { key_id, .. })) = (self.role, self.keys.0.back()) {
            tracing::warn!(
                "key {key_id} is the last one that was released here; the other user may not have it"
            );
            self.uncertain_keys.push(UncertainKey { key_id: key_id.clone(), here: true });
        }
    }

    /// Everything that was asked of the role is there.
    pub(super) fn complete(&self) -> bool {
        let done = self.ending.as_deref() == Some("Done") || self.heard_all;
        done && (self.role.radio() != Kind::User || self.lacking() == 0)
    }

    /// Groups that a user was to get and that are in none of its keys.
    fn lacking(&self) -> u64 {
        u64::from(self.groups_wanted).saturating_sub(self.made.groups_in_keys)
    }

    /// Finds out why a user has no key.
    pub(super) fn conclude(&mut self) {
        if self.role.radio() != Kind::User || self.made.keys > 0 {
            return;
        }
        self.no_key = Some(match &self.made {
            _ if !self.contact => "there was no contact with the access point",
            _ if self.refused => {
                "the access points turned the request down: more groups than one request may have, or another pair is served"
            }
            made if made.unequal > 0 => {
                "the users' groups differ: have the access points different key files, or different scenarios?"
            }
            Made { windows: 0, .. } => {
                "no window of channel key was made: too few probes came through"
            }
            made if made.handed_over == 0 => {
                "no group was handed over: no quantum key at the access points, or not the same at both"
            }
            _ => "too few groups were there at both users when the run ended",
        });
    }

    pub(super) fn print(&self, json: bool) -> Result<()> {
        if json {
            return json::print("crqkd/role/1", self);
        }
        let mut out = output::stdout();
        let ending = match &self.ending {
            Some(ending) => ending.as_str(),
            None if self.heard_all => "end of the recording",
            None => "stopped",
        };
        let (role, air_s, windows) = (self.role, self.air_s, self.made.windows);
        writeln!(
            out,
            "{role}: {ending} after {air_s:.1} s of air, {windows} windows of channel key"
        )?;
        for key in &self.keys.0 {
            let NodeKey { key_id, bits, groups, fingerprint, .. } = key;
            writeln!(out, "key {key_id} ({bits} bits of {groups} groups): {fingerprint}")?;
        }
        if let Some(why) = self.no_key {
            writeln!(out, "no key: {why}")?;
        } else if self.role.radio() == Kind::User && self.lacking() > 0 {
            let (have, wanted) = (self.made.groups_in_keys, self.groups_wanted);
            writeln!(out, "{have} of {wanted} groups that were asked for are in keys")?;
        }
        let keys = if self.simulated { "simulated keys, " } else { "" };
        writeln!(out, "{keys}unauthenticated messages, secrecy not accounted")?;
        Ok(())
    }
}

/// Files that a role writes while it runs.
pub(super) struct Outputs {
    probes: Option<Lines>,
    deliver: Option<Delivery>,
    /// Groups of quantum key that are still to be read; a burned one is replaced.
    pub(super) wanted: Option<Arc<AtomicUsize>>,
    /// The first key that could not be delivered; no other is after it.
    failed: Result<()>,
}

impl Outputs {
    /// Creates what can be created now.
    pub(super) fn open(probes: Option<&Path>, deliver: Option<&Path>) -> Result<Self> {
        let probes = probes.map(|path| Lines::create("--probes", path)).transpose()?;
        let deliver = deliver.map(Delivery::open).transpose().context("--deliver")?;
        for key in deliver.iter().flat_map(|delivery| delivery.broken_off()) {
            tracing::warn!(
                "key {key} was promised to the other user when an earlier run was broken off, and is not here; the \
                 other user may have it"
            );
        }
        Ok(Outputs { probes, deliver, wanted: None, failed: Ok(()) })
    }

    /// So many groups of quantum key will not do: others must take their place.
    fn read_more(&self, groups: usize) {
        if let Some(wanted) = &self.wanted {
            wanted.fetch_add(groups, Ordering::SeqCst);
        }
    }

    /// Where and how a probe was received; the channel itself is key material and stays inside.
    fn probe(&mut self, data: &ProbeData) {
        let Some(lines) = &mut self.probes else { return };
        let (probe, estimate) = (&data.probe, &data.estimate);
        lines.write(json!({
            "window": probe.window.0,
            "index": probe.index,
            "start": estimate.start,
            "cfo_hz": estimate.cfo_hz,
            "snr_db": estimate.snr_db,
        }));
    }

    /// Where a user's promises are kept, if keys are delivered.
    pub(super) fn store(&self) -> Option<Box<dyn Store + Send>> {
        let delivery = self.deliver.as_ref()?;
        Some(Box::new(delivery.store()))
    }

    /// A key has its name only when it is whole. The first failure is the end of the role.
    fn key(&mut self, key: &FinalKey) {
        let (Some(delivery), true) = (&self.deliver, self.failed.is_ok()) else { return };
        let bytes = Zeroizing::new(key.bits.expose().to_bytes());
        self.failed = delivery.deliver(key.key, &bytes).map(drop).context("--deliver");
    }

    /// A key could not be delivered.
    fn has_failed(&self) -> bool {
        self.failed.is_err()
    }

    fn finish(&mut self) -> Result<()> {
        let probes = self.probes.as_mut().map_or(Ok(()), Lines::finish);
        std::mem::replace(&mut self.failed, Ok(()))?;
        probes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A burned group ends in no key, and the protocol is done all the same.
    #[test]
    fn a_user_without_all_the_groups_that_were_asked_for_has_not_got_everything() {
        let scenario = Scenario::preset("hall").unwrap();
        let radio: RadioSpec = "air:/nowhere".parse().unwrap();
        for (role, groups, complete) in [
            (Role::Alice, scenario.groups, true),
            (Role::Bob, scenario.groups - 1, false),
            (Role::Bob, 0, false),
            (Role::Qap1, 0, true),
        ] {
            let mut report = NodeReport::new(role, &scenario, &radio, None);
            report.ending = Some("Done".to_owned());
            report.made.groups_in_keys = groups.into();
            assert_eq!(report.complete(), complete, "{role}, {groups} groups");
            report.ending = Some("OutOfTime".to_owned());
            assert!(!report.complete(), "{role}");
        }
    }
}
