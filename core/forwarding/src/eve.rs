//! [`Eve`]: an eavesdropper who follows both directions of one link and never transmits.

use std::collections::BTreeSet;

use crqkd_keys::{Epoch, GroupId, ProbeId, QapId, UserId, WindowId};

use crate::check::ones;
use crate::tracker::Tracker;
use crate::{
    AirTime, Answer, CiphertextMessage, ControlFrame, Counters, Direction, DropReason, Ending,
    Event, FrameKind, Input, Job, JobKey, Listen, Message, Output, Plan, Received, RxFrame,
    Station,
};

/// Windows whose measurements Eve keeps while their closing has not been overheard.
const MAX_OPEN: usize = 8;
/// Ciphertexts under examination at most.
const MAX_TRIES: usize = 256;

/// Whose link Eve listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EveConfig {
    /// The QAP of the link that is listened to.
    pub qap: QapId,
    /// The user of the link that is listened to.
    pub user: UserId,
}

/// The eavesdropper: measures the channel on both ends' frames, reads every control message, makes a pad of what she
/// measured over the public intersection of each window, and tries every ciphertext with it.
#[derive(Debug)]
pub struct Eve {
    plan: Plan,
    config: EveConfig,
    running: bool,
    finished: bool,
    deadline: AirTime,
    epoch: Option<Epoch>,
    tracker: Tracker,
    last_heard: Option<AirTime>,
    /// The control frame that the last probe announced.
    control: Option<(ProbeId, AirTime)>,
    /// The user's answer that comes next.
    answer: Option<(FrameKind, ProbeId, AirTime)>,
    /// Number of the QAP's last batch of messages that was read.
    read_seq: u16,
    open: BTreeSet<WindowId>,
    trying: BTreeSet<(GroupId, u8)>,
    tried: u64,
    passed: u64,
    counters: Counters,
}

impl Eve {
    /// An eavesdropper on this link.
    pub fn new(plan: Plan, config: EveConfig) -> Self {
        Self {
            tracker: Tracker::new(&plan),
            plan,
            config,
            running: false,
            finished: false,
            deadline: AirTime::MAX,
            epoch: None,
            last_heard: None,
            control: None,
            answer: None,
            read_seq: 0,
            open: BTreeSet::new(),
            trying: BTreeSet::new(),
            tried: 0,
            passed: 0,
            counters: Counters::default(),
        }
    }

    /// What was dropped, and why.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Ciphertexts that were tried, and those whose check was right afterwards. The latter need not be right: a short
    /// check lets some wrong groups pass.
    pub fn tries(&self) -> (u64, u64) {
        (self.tried, self.passed)
    }

    fn frame(&mut self, now: AirTime, frame: RxFrame, out: &mut Vec<Output>) {
        let sender = match frame.direction {
            Direction::Forward => self.config.qap.0,
            Direction::Reverse => self.config.user.0,
        };
        if frame.sender != sender {
            self.counters.unknown_sender += 1;
            return;
        }
        if self.epoch.is_some_and(|epoch| epoch != frame.epoch) {
            self.counters.wrong_epoch += 1;
            return;
        }
        let accepted = match (frame.direction, frame.kind) {
            (Direction::Forward, FrameKind::Probe) => self.probe(now, &frame, out),
            (Direction::Forward, FrameKind::Control) => self.control_frame(&frame, out),
            (Direction::Reverse, _) => self.reverse(&frame, out),
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
            self.epoch = Some(probe.epoch);
            if self.last_heard.replace(now).is_none() {
                out.push(Output::Event(Event::Contact));
            }
            self.begin_window(probe.epoch, probe.window, out);
            self.keep(frame, out);
            self.answer = Some((FrameKind::Probe, probe, start + self.plan.turnaround));
        }
        if confirmed && frame.follow {
            let at = start + self.plan.half;
            let samples = self.plan.frames.control_samples;
            self.control = Some((probe, at));
            out.push(Output::Listen(Listen::around(at, self.plan.guard, samples)));
            let answer = at + self.plan.turnaround;
            out.push(Output::Listen(Listen::around(answer, self.plan.guard, samples)));
        }
        self.next_gates(out);
        true
    }

    /// Gates for the next probe and for its answer, which would come too soon to be decided on when the probe is heard.
    fn next_gates(&self, out: &mut Vec<Output>) {
        if let Some(gate) = self.tracker.next_gate() {
            let answer = gate.from + self.plan.guard + self.plan.turnaround;
            let samples = self.plan.frames.probe_samples;
            out.push(Output::Listen(gate));
            out.push(Output::Listen(Listen::around(answer, self.plan.guard, samples)));
        }
    }

    fn begin_window(&mut self, epoch: Epoch, window: WindowId, out: &mut Vec<Output>) {
        self.open.insert(window);
        while self.open.len() > MAX_OPEN {
            if let Some(window) = self.open.pop_first() {
                let reason = DropReason::Overtaken;
                out.push(Output::Event(Event::WindowDropped { window, reason }));
                out.push(Output::Job(Job::DropWindow { epoch, window }));
            }
        }
    }

    fn keep(&self, frame: &RxFrame, out: &mut Vec<Output>) {
        let probe = frame.probe();
        if !frame.clipped && probe.window.0 >= self.plan.config.discard_windows {
            out.push(Output::Keep { start: frame.start, probe, direction: frame.direction });
        }
    }

    fn reverse(&mut self, frame: &RxFrame, out: &mut Vec<Output>) -> bool {
        let fits = |(kind, probe, at): (FrameKind, ProbeId, AirTime)| {
            kind == frame.kind
                && probe == frame.probe()
                && at.abs_diff(frame.start) <= self.plan.guard
        };
        if !self.answer.is_some_and(fits) {
            return false;
        }
        self.answer = None;
        if frame.kind == FrameKind::Probe {
            self.keep(frame, out);
        }
        true
    }

    fn control_frame(&mut self, frame: &RxFrame, out: &mut Vec<Output>) -> bool {
        let fits = |(probe, at): (ProbeId, AirTime)| {
            probe == frame.probe() && at.abs_diff(frame.start) <= self.plan.guard
        };
        if !self.control.is_some_and(fits) {
            return false;
        }
        self.control = None;
        let answer = frame.start + self.plan.turnaround;
        self.answer = Some((FrameKind::Control, frame.probe(), answer));
        match frame.control.as_deref().map(ControlFrame::parse) {
            Some(Ok(control)) if control.seq == self.read_seq || control.seq == 0 => {
                self.counters.repeated_control += 1;
            }
            Some(Ok(control)) => {
                self.read_seq = control.seq;
                for message in control.messages {
                    self.message(frame, message, out);
                }
            }
            _ => self.counters.bad_control += 1,
        }
        true
    }

    fn message(&mut self, frame: &RxFrame, message: Message, out: &mut Vec<Output>) {
        match message {
            Message::Intersection { window, bitmap, .. } if self.open.remove(&window) => {
                let kept = ones(&bitmap);
                let epoch = frame.epoch;
                out.push(Output::Event(Event::WindowKept { window, kept: kept.len() as u16 }));
                out.push(Output::Job(Job::Derive { epoch, window, kept }));
            }
            Message::WindowDropped { window } if self.open.remove(&window) => {
                out.push(Output::Job(Job::DropWindow { epoch: frame.epoch, window }));
            }
            Message::Ciphertext(ciphertext) => self.ciphertext(frame, ciphertext, out),
            _ => {}
        }
    }

    fn ciphertext(&mut self, frame: &RxFrame, c: CiphertextMessage, out: &mut Vec<Output>) {
        let code_bits = self.plan.config.code_bits as usize;
        let received = match c.bits {
            Some(bits) if bits.len() == code_bits => Received::Exact(bits),
            None if frame.cipher_llr.len() == code_bits => Received::Soft(frame.cipher_llr.clone()),
            _ => return,
        };
        let (group, attempt, pad) = (c.group, c.attempt, c.pad);
        let bits = pad.iter().map(|place| u64::from(place.len)).sum::<u64>();
        let room = self.trying.len() < MAX_TRIES;
        if bits == code_bits as u64 && room && self.trying.insert((group, attempt)) {
            out.push(Output::Job(Job::Decrypt { group, attempt, pad, received }));
        }
    }

    fn answered(&mut self, key: JobKey, answer: Answer, out: &mut Vec<Output>) {
        match (key, answer) {
            (JobKey::Derive(window), Answer::Derived { bits }) if bits > 0 => {
                out.push(Output::Event(Event::PadReady { window, bits }));
            }
            (JobKey::Derive(window), _) => {
                let reason = DropReason::Refused;
                out.push(Output::Event(Event::WindowDropped { window, reason }));
            }
            (JobKey::Decrypt(group, attempt), answer) => {
                self.trying.remove(&(group, attempt));
                self.tried += 1;
                let (ok, corrected) = match answer {
                    Answer::Decrypted { ok, corrected } => (ok, corrected),
                    _ => (false, 0),
                };
                self.passed += u64::from(ok);
                out.push(Output::Event(Event::GroupTried { group, attempt, ok, corrected }));
            }
            _ => self.counters.unexpected_messages += 1,
        }
    }

    fn silence_at(&self) -> Option<AirTime> {
        // Twice as long as a user who is done.
        let wait = 2 * u64::from(self.plan.config.silence_probes) * self.plan.period;
        self.last_heard.map(|at| at.saturating_add(wait))
    }

    fn finish(&mut self, ending: Ending, out: &mut Vec<Output>) {
        self.finished = true;
        out.push(Output::Event(Event::Finished { ending }));
    }
}

impl Station for Eve {
    fn handle(&mut self, now: AirTime, input: Input, out: &mut Vec<Output>) {
        if self.finished {
            return;
        }
        match input {
            Input::Start if !self.running => {
                self.running = true;
                self.deadline = now.saturating_add(self.plan.max_air_time);
                self.tracker.open(now, out);
            }
            Input::Frame(frame) => self.frame(now, frame, out),
            Input::BadFrame => self.counters.bad_header += 1,
            Input::Answer { key, answer } => self.answered(key, answer, out),
            _ => self.counters.unexpected_messages += 1,
        }
    }

    fn next_timer(&self) -> Option<AirTime> {
        let timers = [Some(self.deadline), self.tracker.miss_at(), self.silence_at()];
        if self.running && !self.finished { timers.into_iter().flatten().min() } else { None }
    }

    fn advance(&mut self, now: AirTime, out: &mut Vec<Output>) {
        if self.finished {
            return;
        }
        if now >= self.deadline {
            self.finish(Ending::OutOfTime, out);
        } else if self.silence_at().is_some_and(|at| now >= at) {
            self.finish(Ending::Done, out);
        } else if self.tracker.miss_at().is_some_and(|at| now >= at) {
            self.control = None;
            // Without the probe, its answer is worth nothing.
            self.answer = None;
            if self.tracker.missed(now, out) {
                self.next_gates(out);
            }
        }
    }

    /// The promise of silence has no end: Eve never transmits.
    fn promise(&self, _progress: AirTime) -> AirTime {
        AirTime::MAX
    }

    fn finished(&self) -> bool {
        self.finished
    }
}
