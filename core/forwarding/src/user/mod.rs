//! [`User`]: the mobile side of a radio link.
//!
//! ```text
//!              first probe heard                    probe i                          control frame
//!  open: listens all the time  ---> gated: listens around [s+P-g, s+P+g]  and around  [s+P/2-g, s+P/2+g] when flagged
//!         ^                                              |                and answers each frame at start + T_turn
//!         +---------- too many probes missed ------------+
//! ```

mod blocks;
mod groups;
mod holdings;
mod windows;

use std::collections::{BTreeMap, BTreeSet};

use crqkd_keys::{Epoch, GroupId, PairId, ProbeId, QapId, Record, UserId};
use rand::RngCore;

use self::blocks::{Initiator, Proposal, Responder};
use self::holdings::Holdings;
use self::windows::Windows;
use crate::arq::{Arq, Incoming};
use crate::tracker::Tracker;
use crate::{
    AirTime, Answer, ControlFrame, Counters, Direction, DropReason, Ending, Event, FrameKind,
    Input, JobKey, Listen, Message, Output, Plan, Reception, RxFrame, Station, TxFrame,
};

/// Most groups that a user asks for.
const MAX_GROUPS: u64 = crate::MAX_REQUEST as u64;

/// Which user this is, and which QAP serves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserConfig {
    /// Number of the user, the sender in the headers of its frames.
    pub id: UserId,
    /// The QAP that serves it.
    pub qap: QapId,
}

/// Bits of quantum key at a user: `received = released + hashed_away + burned + in_flight`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct UserBalance {
    /// Bits of groups that were decoded.
    pub received: u64,
    /// Bits of the final keys that were released.
    pub released: u64,
    /// Bits that privacy amplification took.
    pub hashed_away: u64,
    /// Bits of groups that were decoded and then given up.
    pub burned: u64,
    /// Bits of groups that wait for their block.
    pub in_flight: u64,
}

impl UserBalance {
    /// True when nothing is missing.
    pub fn holds(&self) -> bool {
        self.received == self.released + self.hashed_away + self.burned + self.in_flight
    }
}

/// A user: answers probes, agrees on windows, decodes groups, and makes keys out of blocks of them together with the
/// other user of the pair.
pub struct User {
    plan: Plan,
    config: UserConfig,
    /// For the public seeds of blocks.
    rng: Box<dyn RngCore + Send>,
    phase: Phase,
    deadline: AirTime,
    epoch: Option<Epoch>,
    tracker: Tracker,
    last_heard: Option<AirTime>,
    /// The control frame that the last probe announced.
    control: Option<(ProbeId, AirTime)>,
    arq: Arq,
    windows: Windows,
    session: Option<Session>,
    groups: Holdings,
    decrypting: BTreeSet<(GroupId, u8)>,
    results: Vec<Reception>,
    /// The QAP asked for the answers of a batch.
    answer_due: bool,
    initiator: Initiator,
    responder: Responder,
    /// A block proposed to us that waits for its groups, or for the block before it.
    proposal: Option<Proposal>,
    next_block: u32,
    after: BTreeMap<u64, u32>,
    persisted: u64,
    aborted: bool,
    balance: UserBalance,
    counters: Counters,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Running,
    /// Has told the QAP that it is done.
    Leaving,
    Finished,
}

/// The pair that key is being shared for.
#[derive(Debug, Clone, Copy)]
struct Session {
    pair: PairId,
    /// Number of groups asked for in all requests of the session.
    total: u64,
}

impl User {
    /// A user. `rng` is for the public seeds of blocks: the operating system's generator, or a seeded one in a
    /// simulation.
    pub fn new(plan: Plan, config: UserConfig, rng: Box<dyn RngCore + Send>) -> Self {
        Self {
            tracker: Tracker::new(&plan),
            arq: Arq::new(plan.frames.control_bytes),
            windows: Windows::new(&plan),
            plan,
            config,
            rng,
            phase: Phase::Idle,
            deadline: AirTime::MAX,
            epoch: None,
            last_heard: None,
            control: None,
            session: None,
            groups: Holdings::default(),
            decrypting: BTreeSet::new(),
            results: Vec::new(),
            answer_due: false,
            initiator: Initiator::Idle,
            responder: Responder::Idle,
            proposal: None,
            next_block: 0,
            after: BTreeMap::new(),
            persisted: 0,
            aborted: false,
            balance: UserBalance::default(),
            counters: Counters::default(),
        }
    }

    /// The configuration that the user was made with.
    pub fn config(&self) -> &UserConfig {
        &self.config
    }

    /// What was dropped, and why.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Where the bits of quantum key are.
    pub fn balance(&self) -> UserBalance {
        self.balance
    }

    fn queue(&mut self, message: Message) {
        if !self.arq.push(message, None) {
            self.counters.queue_full += 1;
        }
    }

    fn persist(&mut self, block: u32, records: Vec<Record>, out: &mut Vec<Output>) {
        self.persisted += 1;
        self.after.insert(self.persisted, block);
        out.push(Output::Persist { number: self.persisted, records });
    }

    fn finish(&mut self, ending: Ending, out: &mut Vec<Output>) {
        let left = self.unsettled();
        if !left.is_empty() {
            self.burn(&left, out);
        }
        self.phase = Phase::Finished;
        let ending = if self.aborted && ending == Ending::Done { Ending::Aborted } else { ending };
        out.push(Output::Event(Event::Finished { ending }));
    }

    // ---- the air -------------------------------------------------------------------------------------------------

    fn frame(&mut self, now: AirTime, frame: RxFrame, out: &mut Vec<Output>) {
        if frame.direction != Direction::Forward || frame.sender != self.config.qap.0 {
            self.counters.unknown_sender += 1;
            return;
        }
        if self.epoch.is_some_and(|epoch| epoch != frame.epoch) {
            self.counters.wrong_epoch += 1;
            return;
        }
        let accepted = match frame.kind {
            FrameKind::Probe => self.probe(now, &frame, out),
            FrameKind::Control => self.control_frame(&frame, out),
        };
        if accepted {
            self.counters.frames += 1;
        } else {
            self.counters.wrong_time += 1;
        }
    }

    fn probe(&mut self, now: AirTime, frame: &RxFrame, out: &mut Vec<Output>) -> bool {
        let (probe, start) = (frame.probe(), frame.start);
        let plausible = |n: &u64| self.tracker.is_plausible(probe.epoch, *n, start);
        let Some(number) = self.tracker.number(probe).filter(plausible) else { return false };
        let confirmed = self.tracker.heard(probe.epoch, number, start, out);
        self.control = None;
        if confirmed {
            self.measured(frame, out);
            self.epoch = Some(probe.epoch);
            if self.last_heard.replace(now).is_none() {
                out.push(Output::Event(Event::Contact));
            }
        }
        self.reply(FrameKind::Probe, frame, Vec::new(), out);
        if confirmed && frame.follow {
            let at = start + self.plan.half;
            let samples = self.plan.frames.control_samples;
            self.control = Some((probe, at));
            out.push(Output::Listen(Listen::around(at, self.plan.guard, samples)));
        }
        out.extend(self.tracker.next_gate().map(Output::Listen));
        true
    }

    /// A probe that is surely the QAP's.
    fn measured(&mut self, frame: &RxFrame, out: &mut Vec<Output>) {
        let (probe, start) = (frame.probe(), frame.start);
        for window in self.windows.begin(probe) {
            self.drop_window(probe.epoch, window, DropReason::Overtaken, out);
        }
        if !frame.clipped && self.windows.hold(probe) {
            out.push(Output::Keep { start, probe, direction: frame.direction });
        }
    }

    fn control_frame(&mut self, frame: &RxFrame, out: &mut Vec<Output>) -> bool {
        let fits = |(probe, at): (ProbeId, AirTime)| {
            probe == frame.probe() && at.abs_diff(frame.start) <= self.plan.guard
        };
        if !self.control.is_some_and(fits) {
            return false;
        }
        self.control = None;
        let mut leave = false;
        match frame.control.as_deref().and_then(|bytes| ControlFrame::parse(bytes).ok()) {
            None => self.counters.bad_control += 1,
            Some(control) => match self.arq.receive(control) {
                Incoming::New(messages) => {
                    for message in messages {
                        leave |= self.message(message, &frame.cipher_llr, out);
                    }
                }
                Incoming::Repeated => self.counters.repeated_control += 1,
                Incoming::Unexpected => self.counters.bad_control += 1,
            },
        }
        self.progress(out);
        let (bytes, _) = self.arq.compose();
        self.reply(FrameKind::Control, frame, bytes, out);
        if leave {
            self.finish(Ending::Done, out);
        }
        true
    }

    fn reply(&self, kind: FrameKind, to: &RxFrame, control: Vec<u8>, out: &mut Vec<Output>) {
        let frame = TxFrame {
            kind,
            direction: Direction::Reverse,
            probe: to.probe(),
            sender: self.config.id.0,
            follow: false,
            more: self.arq.is_pending(),
            control,
            cipher: None,
        };
        out.push(Output::Transmit { at: to.start + self.plan.turnaround, frame });
    }

    /// Acts on a message; true when the QAP has said good-bye.
    fn message(&mut self, message: Message, llr: &[f32], out: &mut Vec<Output>) -> bool {
        match message {
            Message::CloseWindow { window } => self.close_window(window),
            Message::Intersection { window, bitmap, check32 } => {
                self.intersection(window, &bitmap, check32, out);
            }
            Message::WindowDropped { window } => self.window_dropped(window, out),
            Message::Ciphertext(ciphertext) => self.ciphertext(ciphertext, llr, out),
            Message::BatchEnd => self.answer_due = true,
            Message::Burned { groups } => self.burned_by_qap(&groups, out),
            Message::Notify { pair, groups } => self.notified(pair, groups, out),
            Message::Refused { target } => self.refused(target, out),
            Message::Relay { from, to, body } => {
                let other = self.session.and_then(|session| session.pair.other(self.config.id));
                if to == self.config.id && Some(from) == other {
                    self.peer_message(body, out);
                } else {
                    self.counters.unexpected_messages += 1;
                }
            }
            Message::Abort => self.abort(out),
            Message::DoneAck if self.phase == Phase::Leaving => return true,
            _ => self.counters.unexpected_messages += 1,
        }
        false
    }

    fn notified(&mut self, pair: PairId, groups: u32, out: &mut Vec<Output>) {
        let free = self.session.is_none_or(|session| session.pair == pair);
        if !free || pair.b != self.config.id || !self.add_groups(pair, groups, out) {
            self.counters.unexpected_messages += 1;
        }
    }

    fn request(&mut self, target: UserId, groups: u32, out: &mut Vec<Output>) {
        let pair = PairId { a: self.config.id, b: target };
        let free = self.session.is_none_or(|session| session.pair == pair);
        let running = matches!(self.phase, Phase::Idle | Phase::Running) && !self.aborted;
        let allowed = free && running && groups > 0 && target != self.config.id;
        if allowed && self.add_groups(pair, groups, out) {
            self.queue(Message::Request { target, groups });
        } else {
            out.push(Output::Event(Event::RequestRefused { target }));
        }
    }

    fn add_groups(&mut self, pair: PairId, groups: u32, out: &mut Vec<Output>) -> bool {
        let session = self.session.get_or_insert(Session { pair, total: 0 });
        let fits = session.total + u64::from(groups) <= MAX_GROUPS;
        if fits {
            session.total += u64::from(groups);
            out.push(Output::Event(Event::Requested { pair, groups }));
        }
        fits
    }

    fn refused(&mut self, target: UserId, out: &mut Vec<Output>) {
        let pair = PairId { a: self.config.id, b: target };
        if self.session.is_some_and(|session| session.pair == pair) && self.groups.total() == 0 {
            self.session = None;
            out.push(Output::Event(Event::RequestRefused { target }));
        } else {
            self.counters.unexpected_messages += 1;
        }
    }

    /// The pair's other link failed: gives up what is not released.
    fn abort(&mut self, out: &mut Vec<Output>) {
        self.aborted = true;
        let left = self.unsettled();
        self.burn(&left, out);
        self.settle(Vec::new(), left);
        self.forget_blocks();
    }

    /// What follows from the state alone: answers to a batch, a new block, the end.
    fn progress(&mut self, out: &mut Vec<Output>) {
        self.flush_results();
        self.propose();
        self.accept(out);
        let resolved =
            self.aborted || self.session.is_some_and(|s| self.groups.settled() >= s.total);
        let idle = matches!(self.initiator, Initiator::Idle)
            && matches!(self.responder, Responder::Idle)
            && self.proposal.is_none();
        // Answers that are left over are about groups that were burned meanwhile.
        let done = resolved && idle && self.decrypting.is_empty();
        if self.phase == Phase::Running && done {
            self.phase = Phase::Leaving;
            self.queue(Message::Done);
        }
    }

    fn answer(&mut self, key: JobKey, answer: Answer, out: &mut Vec<Output>) {
        if let Answer::Failed { reason } = &answer {
            out.push(Output::Event(Event::WorkFailed { reason: reason.clone() }));
        }
        match key {
            JobKey::Derive(window) => {
                let bits = if let Answer::Derived { bits } = answer { bits } else { 0 };
                self.derived(window, bits, out);
            }
            JobKey::Decrypt(group, attempt) => self.decrypted(group, attempt, &answer, out),
            JobKey::TagBlock(block) => {
                let tag = if let Answer::Tagged { tag } = answer { Some(tag) } else { None };
                self.tagged(block, tag, out);
            }
            JobKey::Release(block) => {
                let fingerprint = match answer {
                    Answer::Released { fingerprint } => Some(fingerprint),
                    _ => None,
                };
                self.released(block, fingerprint, out);
            }
            JobKey::Encrypt(..) => self.counters.unexpected_messages += 1,
        }
    }

    fn silence_at(&self) -> Option<AirTime> {
        let probes = match self.phase {
            Phase::Leaving => self.plan.config.silence_probes,
            _ => self.plan.config.lost_probes,
        };
        self.last_heard.map(|at| at.saturating_add(u64::from(probes) * self.plan.period))
    }
}

impl Station for User {
    fn handle(&mut self, now: AirTime, input: Input, out: &mut Vec<Output>) {
        if self.phase == Phase::Finished {
            return;
        }
        match input {
            Input::Start if self.phase == Phase::Idle => {
                self.phase = Phase::Running;
                self.deadline = now.saturating_add(self.plan.max_air_time);
                self.tracker.open(now, out);
            }
            Input::Frame(frame) => self.frame(now, frame, out),
            Input::BadFrame => self.counters.bad_header += 1,
            Input::Answer { key, answer } => self.answer(key, answer, out),
            Input::Persisted(number) => self.durable(number, out),
            Input::Request { target, groups } => self.request(target, groups, out),
            Input::Start | Input::Wire { .. } | Input::GroupsReady(_) => {
                self.counters.unexpected_messages += 1;
            }
        }
        if self.phase != Phase::Finished {
            self.progress(out);
        }
    }

    fn next_timer(&self) -> Option<AirTime> {
        match self.phase {
            Phase::Idle | Phase::Finished => None,
            Phase::Running | Phase::Leaving => {
                let timers = [Some(self.deadline), self.tracker.miss_at(), self.silence_at()];
                timers.into_iter().flatten().min()
            }
        }
    }

    fn advance(&mut self, now: AirTime, out: &mut Vec<Output>) {
        if matches!(self.phase, Phase::Idle | Phase::Finished) {
            return;
        }
        if now >= self.deadline {
            self.finish(Ending::OutOfTime, out);
        } else if self.silence_at().is_some_and(|at| now >= at) {
            let done = self.phase == Phase::Leaving;
            self.finish(if done { Ending::Done } else { Ending::LinkLost }, out);
        } else if self.tracker.miss_at().is_some_and(|at| now >= at) {
            self.control = None;
            if self.tracker.missed(now, out) {
                out.extend(self.tracker.next_gate().map(Output::Listen));
            }
        }
    }

    fn promise(&self, progress: AirTime) -> AirTime {
        // A user only ever answers a frame.
        match self.phase {
            Phase::Finished => AirTime::MAX,
            _ => progress.saturating_add(self.plan.turnaround),
        }
    }

    fn finished(&self) -> bool {
        self.phase == Phase::Finished
    }
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("config", &self.config)
            .field("phase", &self.phase)
            .field("balance", &self.balance)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
