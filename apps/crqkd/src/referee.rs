//! The referee of a simulation: sees the bits of all sides, which no role does, and counts.

use crate::decisions::{Comparison, Decisions, LinkRate, link_rate, named};
use crate::message::KeyAtUser;
use anyhow::{Result, ensure};
use crqkd_bits::{BitString, Fingerprint, SecretBits};
use crqkd_blocks::messages::{FinalKey, ProbeData, WindowBits};
use crqkd_channel_key::KdrCount;
use crqkd_experiment::{GroupTally, RunTally, WindowTally};
use crqkd_flowgraphs::{Notice, Role};
use crqkd_forwarding::{Direction, Event};
use crqkd_keys::{Epoch, Group, GroupId, KeyId, PadRef, WindowId};
use crqkd_otp::OtpConfig;
use crqkd_scenario::Scenario;
use std::collections::{BTreeMap, BTreeSet};

/// One cell: an access point, its user and the eavesdropper beside the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Party {
    Qap,
    User,
    Eve,
    EveReverse,
}

type WindowKey = (Epoch, WindowId);

/// What is known of one cell.
#[derive(Default)]
struct Cell {
    windows: BTreeMap<(Party, WindowKey), WindowBits>,
    sent: BTreeMap<(GroupId, u8), Vec<PadRef>>,
    /// Whether the user opened it, and how many bits were corrected.
    tried: BTreeMap<(GroupId, u8), (bool, u32)>,
    /// Groups that the user opened to something else than the group.
    wrong: BTreeSet<GroupId>,
    opened: BTreeMap<GroupId, Fingerprint>,
    cracked: BTreeSet<GroupId>,
    burned: BTreeSet<GroupId>,
    observations: BTreeMap<(Party, u64), ProbeData>,
    keys: BTreeMap<KeyId, FinalKey>,
    endings: BTreeMap<Role, String>,
}

/// Collects notices in any order.
pub(crate) struct Referee {
    truth: BTreeMap<GroupId, SecretBits>,
    cells: [Cell; 2],
    window_probes: u64,
    window_s: f64,
    otp: OtpConfig,
}

/// One link after the run.
pub(crate) struct LinkVerdict {
    /// Counts for Table II.
    pub(crate) tally: RunTally,
    /// Transmissions with the disagreement of their pads, in the order of groups and attempts.
    pub(crate) groups: Vec<GroupVerdict>,
    /// Windows that gave key, with the bits of all sides.
    pub(crate) windows: Vec<WindowVerdict>,
    /// Kept measurements: access point, user, eavesdropper (on the access point's frames), by air time.
    pub(crate) observations: [Vec<ProbeData>; 3],
    /// Different groups that the eavesdropper cracked.
    pub(crate) cracked: usize,
    /// Groups that were given up.
    pub(crate) burned: usize,
    /// The same transmissions opened with hard and with soft decisions.
    pub(crate) decisions: Decisions,
    /// What the decoder's counts say about the link.
    pub(crate) rate: LinkRate,
    /// Groups that the user opened.
    pub(crate) opened: BTreeMap<GroupId, Fingerprint>,
    /// How access point, user and eavesdropper ended.
    pub(crate) endings: Vec<(Role, String)>,
}

/// One transmission of one group.
pub(crate) struct GroupVerdict {
    pub(crate) group: GroupId,
    pub(crate) attempt: u8,
    pub(crate) kdr: KdrCount,
    pub(crate) eve_kdr: KdrCount,
    pub(crate) decoded: bool,
}

/// One window.
pub(crate) struct WindowVerdict {
    pub(crate) window: WindowId,
    pub(crate) kept: Vec<u16>,
    /// Access point, user, eavesdropper.
    pub(crate) bits: [BitString; 3],
}

/// What the referee found.
pub(crate) struct Verdict {
    pub(crate) links: [LinkVerdict; 2],
    /// Keys by name: at Alice and at Bob.
    pub(crate) keys: BTreeMap<KeyId, [Option<KeyAtUser>; 2]>,
}

impl Referee {
    /// `truth`: the groups as they came out of the quantum link.
    pub(crate) fn new(scenario: &Scenario, truth: &[Group]) -> Self {
        let forwarding = &scenario.forwarding;
        Referee {
            truth: truth.iter().map(|group| (group.id, group.bits.duplicate())).collect(),
            cells: [Cell::default(), Cell::default()],
            window_probes: forwarding.window_probes.into(),
            window_s: f64::from(forwarding.window_probes) / forwarding.probe_rate_hz,
            otp: scenario.otp.clone(),
        }
    }

    /// Takes a notice of a run.
    pub(crate) fn note(&mut self, role: Role, notice: Notice) {
        let cell = &mut self.cells[role.cell() as usize];
        match notice {
            Notice::Event(event) => cell.event(role, event.event),
            Notice::Key(key) => {
                cell.keys.insert(key.key, key);
            }
            Notice::Window(window) => {
                let party = match (role.radio(), window.direction) {
                    (crqkd_air::Radio::Qap, _) => Party::Qap,
                    (crqkd_air::Radio::User, _) => Party::User,
                    (crqkd_air::Radio::Eve, Direction::Forward) => Party::Eve,
                    (crqkd_air::Radio::Eve, Direction::Reverse) => Party::EveReverse,
                };
                cell.windows.insert((party, (window.epoch, window.window)), window);
            }
            Notice::Opened(opened) => {
                let id = opened.group.id;
                let right = self.truth.get(&id).is_some_and(|bits| bits.ct_eq(&opened.group.bits));
                if role.radio() == crqkd_air::Radio::User {
                    cell.opened.insert(id, opened.group.bits.fingerprint());
                }
                match role.radio() {
                    crqkd_air::Radio::Eve if right => cell.cracked.insert(id),
                    crqkd_air::Radio::User if !right => cell.wrong.insert(id),
                    _ => false,
                };
            }
            Notice::Observation(probe) => {
                let party = match (role.radio(), probe.direction) {
                    (crqkd_air::Radio::Qap, _) => Party::Qap,
                    (crqkd_air::Radio::User, _) => Party::User,
                    (crqkd_air::Radio::Eve, Direction::Forward) => Party::Eve,
                    (crqkd_air::Radio::Eve, Direction::Reverse) => return,
                };
                cell.observations.insert((party, probe.estimate.start), *probe);
            }
        }
    }

    /// Counts what was collected.
    ///
    /// # Errors
    /// When the two ends of a link derived different numbers of bits from one window, which the protocol excludes.
    pub(crate) fn verdict(self) -> Result<Verdict> {
        let [one, two] = self.cells;
        let group_bits = self.otp.k as u64;
        let mut comparison = Comparison::new(&self.otp)?;
        let mut count = |cell: &mut Cell| -> Result<LinkVerdict> {
            let decisions = cell.decisions(&self.truth, &mut comparison)?;
            let tried = cell.tried.values();
            let rate = link_rate(&self.otp, tried.map(|&(ok, count)| ok.then_some(count)));
            cell.count(self.window_probes, self.window_s, group_bits, decisions, rate)
        };
        let (mut one, mut two) = (one, two);
        let links = [count(&mut one)?, count(&mut two)?];
        let mut keys: BTreeMap<KeyId, [Option<KeyAtUser>; 2]> = BTreeMap::new();
        for (user, cell) in [&mut one, &mut two].into_iter().enumerate() {
            for (id, key) in std::mem::take(&mut cell.keys) {
                keys.entry(id).or_default()[user] = Some(KeyAtUser::new(key));
            }
        }
        Ok(Verdict { links, keys })
    }
}

impl Cell {
    fn event(&mut self, role: Role, event: Event) {
        match (role.radio(), event) {
            (crqkd_air::Radio::Qap, Event::GroupSent { group, attempt, pad }) => {
                self.sent.insert((group, attempt), pad);
            }
            (crqkd_air::Radio::User, Event::GroupTried { group, attempt, ok, corrected }) => {
                self.tried.insert((group, attempt), (ok, corrected));
            }
            (crqkd_air::Radio::Qap, Event::GroupBurned { group }) => {
                self.burned.insert(group);
            }
            (_, Event::Finished { ending }) => {
                self.endings.insert(role, format!("{ending:?}"));
            }
            _ => {}
        }
    }

    fn count(
        &mut self,
        window_probes: u64,
        window_s: f64,
        group_bits: u64,
        decisions: Decisions,
        rate: LinkRate,
    ) -> Result<LinkVerdict> {
        let mut tally = RunTally { group_bits, ..RunTally::default() };
        let mut windows = Vec::new();
        let keys: BTreeSet<WindowKey> = self.windows.keys().map(|(_, key)| *key).collect();
        let last = keys.last().map_or(0, |(_, window)| window.0 + 1);
        for number in 0..last {
            let start_s = f64::from(number) * window_s;
            let mut row = WindowTally { start_s, length_s: window_s, ..WindowTally::default() };
            tally.probes += window_probes;
            let found = keys.iter().find(|(_, window)| window.0 == number);
            if let Some((key, qap, user)) = found.and_then(|key| {
                let of = |party| self.windows.get(&(party, *key));
                Some((key, of(Party::Qap)?, of(Party::User)?))
            }) {
                ensure!(
                    qap.kept == user.kept,
                    "window {number}: access point and user used different probes"
                );
                tally.kept += qap.kept.len() as u64;
                row.user = known_kdr(qap, user);
                let eve = self.windows.get(&(Party::Eve, *key));
                row.eve = eve.map_or(KdrCount::default(), |eve| known_kdr(qap, eve));
                let reverse = self.windows.get(&(Party::EveReverse, *key));
                row.eve_reverse = reverse.map_or(KdrCount::default(), |eve| known_kdr(qap, eve));
                let bits = |window: &WindowBits| window.soft.bits.expose().clone();
                windows.push(WindowVerdict {
                    window: key.1,
                    kept: qap.kept.clone(),
                    bits: [
                        bits(qap),
                        bits(user),
                        eve.map_or_else(|| BitString::with_len(qap.soft.len()), bits),
                    ],
                });
            }
            tally.windows.push(row);
        }
        let groups = self.groups();
        for group in &groups {
            let first = self.sent[&(group.group, group.attempt)].first();
            tally.groups.push(GroupTally {
                start_s: first.map_or(0.0, |pad| f64::from(pad.window.0) * window_s),
                user: group.kdr,
                decoded: group.decoded,
                wrong: group.decoded && self.wrong.contains(&group.group),
                cracked: self.cracked.contains(&group.group),
            });
        }
        tally.groups.sort_by(|a, b| a.start_s.total_cmp(&b.start_s));
        let observed = |party| {
            self.observations
                .iter()
                .filter(|((of, _), _)| *of == party)
                .map(|(_, probe)| probe.clone())
                .collect()
        };
        Ok(LinkVerdict {
            tally,
            groups,
            windows,
            observations: [observed(Party::Qap), observed(Party::User), observed(Party::Eve)],
            cracked: self.cracked.len(),
            burned: self.burned.len(),
            decisions,
            rate,
            opened: std::mem::take(&mut self.opened),
            endings: std::mem::take(&mut self.endings).into_iter().collect(),
        })
    }

    fn groups(&self) -> Vec<GroupVerdict> {
        self.sent
            .iter()
            .filter_map(|(&(group, attempt), pad)| {
                let (decoded, _) = *self.tried.get(&(group, attempt))?;
                Some(GroupVerdict {
                    group,
                    attempt,
                    kdr: self.pad_kdr(Party::User, pad),
                    eve_kdr: self.pad_kdr(Party::Eve, pad),
                    decoded,
                })
            })
            .collect()
    }

    /// Opens every transmission that the user tried once more, with hard and with soft decisions.
    fn decisions(
        &self,
        truth: &BTreeMap<GroupId, SecretBits>,
        comparison: &mut Comparison,
    ) -> Result<Decisions> {
        let mut total = Decisions::default();
        for ((group, attempt), pad) in &self.sent {
            let tried = self.tried.contains_key(&(*group, *attempt));
            let pads = (self.pad(Party::Qap, pad), self.pad(Party::User, pad));
            let (true, Some(bits), (Some((sent, _)), Some((own, llr)))) =
                (tried, truth.get(group), pads)
            else {
                continue;
            };
            total += comparison.open(&named(*group, bits), sent, &own, &llr)?;
        }
        Ok(total)
    }

    /// One side's pad, when all of it is known.
    fn pad(&self, party: Party, pad: &[PadRef]) -> Option<(SecretBits, Vec<f32>)> {
        let (mut bits, mut llr) = (Vec::new(), Vec::new());
        for place in pad {
            let window = self.windows.get(&(party, (place.epoch, place.window)))?;
            let range = place.start as usize..place.end() as usize;
            llr.extend_from_slice(window.soft.llr.get(range.clone())?);
            bits.extend(window.soft.bits.expose().slice(range).ok()?.to_bits());
        }
        Some((BitString::from_bits(&bits).into(), llr))
    }

    /// Disagreement of one side's pad with the access point's.
    fn pad_kdr(&self, party: Party, pad: &[PadRef]) -> KdrCount {
        let mut count = KdrCount::default();
        for place in pad {
            let of = |party| self.windows.get(&(party, (place.epoch, place.window)));
            let (Some(qap), Some(other)) = (of(Party::Qap), of(party)) else { continue };
            let range = place.start as usize..place.end() as usize;
            let slice = |window: &WindowBits| window.soft.bits.expose().slice(range.clone());
            if let (Ok(a), Ok(b)) = (slice(qap), slice(other))
                && let Ok(part) = KdrCount::compare(&a, &b)
            {
                count += part;
            }
        }
        count
    }
}

/// Disagreement over the bits that `other` has measured: those of probes that it missed have LLR 0.
fn known_kdr(qap: &WindowBits, other: &WindowBits) -> KdrCount {
    let pairs = qap.soft.bits.expose().iter().zip(other.soft.bits.expose().iter());
    let known = pairs.zip(other.soft.llr.iter()).filter(|(_, llr)| **llr != 0.0);
    known.fold(KdrCount::default(), |mut count, ((a, b), _)| {
        count.bits += 1;
        count.errors += u64::from(a != b);
        count
    })
}
