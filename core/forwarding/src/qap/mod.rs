//! [`Qap`]: the quantum access point's side of one radio link.
//!
//! ```text
//!  t_i                 t_i + T_turn       t_i + P/2            t_i + P/2 + T_turn      t_i + P
//!   | probe i            | its answer       | control frame        | the user's            | probe i+1
//!   v                    v                  v (when flagged)       v                       v
//! ```

mod allocation;
mod sending;
mod slots;
mod windows;

use std::collections::{BTreeMap, BTreeSet};

use crqkd_bits::BitString;
use crqkd_keys::{
    Epoch, GroupId, GroupMarks, KeysError, Mark, MarkCounts, PadCounts, PairId, ProbeId, QapId,
    Record, UserId, WindowId,
};

use self::allocation::{Demand, Supply};
use self::sending::{InFlight, Tell};
use self::slots::Expected;
use self::windows::Windows;
use crate::arq::{Arq, Incoming};
use crate::pads::PadAllocator;
use crate::{
    AirTime, Answer, ControlFrame, Counters, Ending, Event, FrameKind, Input, JobKey, Message,
    Output, Plan, Station, WireMessage,
};

/// Who this QAP is and whom it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QapConfig {
    /// Number of the access point.
    pub id: QapId,
    /// The user in its cell.
    pub user: UserId,
    /// The other QAP and its user.
    pub peer: Peer,
    /// Groups of quantum key that it keeps track of.
    pub group_capacity: usize,
}

/// The other side of the quantum link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The QAP at the other end of the quantum link.
    pub qap: QapId,
    /// The user whom that QAP serves.
    pub user: UserId,
}

/// A quantum access point with one user: probes the channel, agrees on windows, allocates groups together with its
/// peer, and forwards them under pads.
#[derive(Debug)]
pub struct Qap {
    plan: Plan,
    config: QapConfig,
    epoch: Epoch,
    phase: Phase,
    deadline: AirTime,
    /// Number of the probe that comes next or whose control slot comes next.
    probe: u64,
    slot: FrameKind,
    /// When the next frame leaves.
    next_at: AirTime,
    expected: Option<Expected>,
    /// The user has said that it has messages.
    user_has_more: bool,
    last_heard: Option<AirTime>,
    user_done: bool,
    arq: Arq,
    windows: Windows,
    pads: PadAllocator,
    marks: GroupMarks,
    /// Free groups that are this QAP's to allocate.
    free: BTreeSet<GroupId>,
    /// Groups that the peer has allocated and that have not come out of the quantum link here.
    awaited: BTreeMap<GroupId, PairId>,
    demand: Option<Demand>,
    supply: Supply,
    /// Committed groups that wait for a pad, and the attempt to come; the lowest number goes first, at both QAPs.
    to_send: BTreeMap<GroupId, u8>,
    in_flight: BTreeMap<GroupId, InFlight>,
    batch_ended: bool,
    after: BTreeMap<u64, After>,
    persisted: u64,
    start_records: Vec<Record>,
    counters: Counters,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Starting,
    Probing,
    Finished,
}

/// What waits for records to be durable.
#[derive(Debug)]
enum After {
    Nothing,
    Begin,
    Allocate { pair: PairId, groups: Vec<GroupId> },
    Accept { pair: PairId, accepted: Vec<GroupId>, refused: Vec<GroupId> },
    Forward(Vec<GroupId>),
    TellBurned { groups: Vec<GroupId>, peer: bool },
}

impl Qap {
    /// A QAP whose durable memory holds `history` (empty at the very first start).
    ///
    /// Groups that were on their way in an earlier life are burned: nobody remembers who has them.
    ///
    /// # Errors
    /// [`KeysError`] when the history contradicts itself, or the epochs are used up.
    pub fn new(plan: Plan, config: QapConfig, history: &[Record]) -> Result<Self, KeysError> {
        let (mut marks, mut start_records) = GroupMarks::restore(config.group_capacity, history)?;
        let stranded: Vec<_> = marks
            .iter()
            .filter(|(_, mark)| matches!(mark, Mark::Committed(_) | Mark::Forwarded(_)))
            .map(|(group, _)| group)
            .collect();
        for group in stranded {
            start_records.push(marks.advance(group, Mark::Burned)?);
        }
        let last = history.iter().rev().find_map(|record| match record {
            Record::Epoch { epoch } => Some(epoch.0),
            _ => None,
        });
        let epoch = match last {
            None => Epoch(0),
            Some(last) => Epoch(last.checked_add(1).ok_or(KeysError::Full { capacity: 1 << 16 })?),
        };
        start_records.push(Record::Epoch { epoch });
        Ok(Self {
            arq: Arq::new(plan.frames.control_bytes),
            windows: Windows::new(&plan),
            pads: PadAllocator::new(epoch, plan.config.pad_windows as usize),
            plan,
            config,
            epoch,
            phase: Phase::Idle,
            deadline: AirTime::MAX,
            probe: 0,
            slot: FrameKind::Probe,
            next_at: 0,
            expected: None,
            user_has_more: false,
            last_heard: None,
            user_done: false,
            marks,
            free: BTreeSet::new(),
            awaited: BTreeMap::new(),
            demand: None,
            supply: Supply::default(),
            to_send: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            batch_ended: false,
            after: BTreeMap::new(),
            persisted: 0,
            start_records,
            counters: Counters::default(),
        })
    }

    /// The configuration that the QAP was made with.
    pub fn config(&self) -> &QapConfig {
        &self.config
    }

    /// The present life of its link.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// What was dropped, and why.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Groups by mark; their sum is the number of groups that came in.
    pub fn group_counts(&self) -> MarkCounts {
        self.marks.counts()
    }

    /// Pad bits in and out: inserted = taken + dropped + free.
    pub fn pad_counts(&self) -> PadCounts {
        self.pads.counts()
    }

    /// The mark of a group.
    pub fn mark(&self, group: GroupId) -> Option<Mark> {
        self.marks.mark(group)
    }

    fn probe_id(&self, number: u64) -> ProbeId {
        let probes = u64::from(self.plan.config.window_probes);
        let window = u32::try_from(number / probes).expect("the run ends before 2^32 windows");
        ProbeId { epoch: self.epoch, window: WindowId(window), index: (number % probes) as u16 }
    }

    fn persist(&mut self, records: Vec<Record>, after: After, out: &mut Vec<Output>) {
        self.persisted += 1;
        self.after.insert(self.persisted, after);
        out.push(Output::Persist { number: self.persisted, records });
    }

    fn queue(&mut self, message: Message, cipher: Option<BitString>) {
        if !self.arq.push(message, cipher) {
            self.counters.queue_full += 1;
        }
    }

    fn finish(&mut self, ending: Ending, out: &mut Vec<Output>) {
        if ending != Ending::Done {
            out.push(Output::Wire { to: self.config.peer.qap, message: WireMessage::Closing });
        }
        self.phase = Phase::Finished;
        out.push(Output::Event(Event::Finished { ending }));
    }

    fn control(&mut self, bytes: Option<&[u8]>, out: &mut Vec<Output>) {
        let Some(frame) = bytes.and_then(|bytes| ControlFrame::parse(bytes).ok()) else {
            self.counters.bad_control += 1;
            return;
        };
        match self.arq.receive(frame) {
            Incoming::New(messages) => {
                for message in messages {
                    self.message(message, out);
                }
            }
            Incoming::Repeated => self.counters.repeated_control += 1,
            Incoming::Unexpected => self.counters.bad_control += 1,
        }
        if self.user_done && !self.arq.is_pending() {
            self.finish(Ending::Done, out);
        }
    }

    fn message(&mut self, message: Message, out: &mut Vec<Output>) {
        let peer = self.config.peer;
        match message {
            Message::Bitmap { window, bitmap } => self.bitmap(window, &bitmap, out),
            Message::WindowAck { window, check32 } => self.window_ack(window, check32, out),
            Message::WindowDropped { window } => self.window_refused(window, out),
            Message::Received { results } => self.received(&results, out),
            Message::Request { target, groups } => self.request(target, groups, out),
            Message::Settled { released, burned } => self.settled(&released, &burned, out),
            Message::Relay { from, to, body } if from == self.config.user && to == peer.user => {
                let message = WireMessage::Relay { from, to, body };
                out.push(Output::Wire { to: peer.qap, message });
            }
            Message::Done => {
                self.user_done = true;
                self.queue(Message::DoneAck, None);
            }
            _ => self.counters.unexpected_messages += 1,
        }
    }

    fn wire(&mut self, from: QapId, message: WireMessage, out: &mut Vec<Output>) {
        if from != self.config.peer.qap {
            self.counters.unknown_sender += 1;
            return;
        }
        match message {
            WireMessage::Notify { pair, groups } => self.notified(pair, groups, out),
            WireMessage::Allocate { pair, groups } => self.allocate_for_peer(pair, groups, out),
            WireMessage::Allocated { pair, accepted, refused } => {
                self.allocated(pair, &accepted, &refused, out);
            }
            WireMessage::Burned { groups } => self.burn(&groups, Tell::User, out),
            WireMessage::Relay { from, to, body }
                if from == self.config.peer.user && to == self.config.user =>
            {
                self.queue(Message::Relay { from, to, body }, None);
            }
            WireMessage::Refused { pair } => self.request_refused(pair, out),
            WireMessage::Closing if !self.user_done => self.queue(Message::Abort, None),
            WireMessage::Closing => {}
            WireMessage::SupplyFrom { group } => self.peer_supply_from(group, out),
            WireMessage::Relay { .. } => self.counters.unexpected_messages += 1,
        }
    }

    fn answer(&mut self, key: JobKey, answer: Answer, out: &mut Vec<Output>) {
        if let Answer::Failed { reason } = &answer {
            out.push(Output::Event(Event::WorkFailed { reason: reason.clone() }));
        }
        match (key, answer) {
            (JobKey::Derive(window), answer) => {
                let bits = if let Answer::Derived { bits } = answer { bits } else { 0 };
                self.derived(window, bits, out);
            }
            (JobKey::Encrypt(group, attempt), Answer::Encrypted { ciphertext }) => {
                self.encrypted(group, attempt, ciphertext, out);
            }
            (JobKey::Encrypt(group, _), _) => self.burn(&[group], Tell::UserAndPeer, out),
            _ => self.counters.unexpected_messages += 1,
        }
    }

    fn durable(&mut self, now: AirTime, number: u64, out: &mut Vec<Output>) {
        let peer = self.config.peer.qap;
        match self.after.remove(&number) {
            None | Some(After::Nothing) => {}
            Some(After::Begin) => {
                self.phase = Phase::Probing;
                self.next_at = now + self.plan.turnaround;
            }
            Some(After::Allocate { pair, groups }) => {
                out.push(Output::Wire {
                    to: peer,
                    message: WireMessage::Allocate { pair, groups },
                });
            }
            Some(After::Accept { pair, accepted, refused }) => {
                self.to_send.extend(accepted.iter().map(|group| (*group, 0)));
                let message = WireMessage::Allocated { pair, accepted, refused };
                out.push(Output::Wire { to: peer, message });
            }
            Some(After::Forward(groups)) => {
                self.to_send.extend(groups.into_iter().map(|group| (group, 0)));
            }
            Some(After::TellBurned { groups, peer: tell_peer }) => {
                for chunk in groups.chunks(self.plan.list_chunk()) {
                    self.queue(Message::Burned { groups: chunk.to_vec() }, None);
                }
                if tell_peer {
                    out.push(Output::Wire { to: peer, message: WireMessage::Burned { groups } });
                }
            }
        }
    }
}

impl Station for Qap {
    fn handle(&mut self, now: AirTime, input: Input, out: &mut Vec<Output>) {
        if self.phase == Phase::Finished {
            return;
        }
        match input {
            Input::Start if self.phase == Phase::Idle => {
                self.phase = Phase::Starting;
                self.deadline = now.saturating_add(self.plan.max_air_time);
                let records = std::mem::take(&mut self.start_records);
                self.persist(records, After::Begin, out);
            }
            Input::Start | Input::Request { .. } => self.counters.unexpected_messages += 1,
            Input::Frame(frame) => self.frame(now, frame, out),
            Input::BadFrame => self.counters.bad_header += 1,
            Input::Wire { from, message } => self.wire(from, message, out),
            Input::GroupsReady(groups) => self.groups_ready(&groups, out),
            Input::Answer { key, answer } => self.answer(key, answer, out),
            Input::Persisted(number) => self.durable(now, number, out),
        }
        if self.phase != Phase::Finished {
            self.pump(out);
        }
    }

    fn next_timer(&self) -> Option<AirTime> {
        match self.phase {
            Phase::Idle | Phase::Finished => None,
            Phase::Starting => Some(self.deadline),
            Phase::Probing => Some(self.deadline.min(self.next_at - self.plan.turnaround)),
        }
    }

    fn advance(&mut self, now: AirTime, out: &mut Vec<Output>) {
        if self.phase == Phase::Finished {
            return;
        }
        if now >= self.deadline {
            self.finish(Ending::OutOfTime, out);
        } else if self.phase == Phase::Probing {
            self.transmit(now, out);
        }
    }

    fn promise(&self, progress: AirTime) -> AirTime {
        // Nothing but the grid of probes decides when a frame leaves.
        match self.phase {
            Phase::Finished => AirTime::MAX,
            Phase::Probing => progress.saturating_add(self.plan.turnaround).max(self.next_at),
            Phase::Idle | Phase::Starting => progress.saturating_add(self.plan.turnaround),
        }
    }

    fn finished(&self) -> bool {
        self.phase == Phase::Finished
    }
}
