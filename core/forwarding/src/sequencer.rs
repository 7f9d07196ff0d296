//! [`Sequencer`]: drives one station in air time, whatever order things arrive in.

use std::collections::{BTreeMap, VecDeque};

use crqkd_keys::{QapId, Record};

use crate::{
    AirTime, Answer, Direction, Event, Input, Job, JobKey, Listen, Output, Plan, RxFrame, Station,
    TxFrame, WireMessage,
};

/// Inputs that wait at most; more are refused.
const MAX_QUEUE: usize = 1 << 16;

/// Names one piece of work or one batch of records that a [`Sequencer`] handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What the shell around a [`Sequencer`] has to do, in the order given.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Send a frame whose first sample leaves at `at`.
    Transmit {
        /// Air time of the first sample.
        at: AirTime,
        /// The frame to send.
        frame: TxFrame,
    },
    /// Listen in this stretch of air time, as [`Output::Listen`] says.
    Listen(Listen),
    /// End the open stretch of listening before this sample, as [`Output::ListenUntil`] says.
    ListenUntil(AirTime),
    /// Keep the channel estimate of a frame as a measurement, as [`Output::Keep`] says.
    Keep {
        /// Air time of the frame's first sample.
        start: AirTime,
        /// Name of the probe that the measurement belongs to.
        probe: crqkd_keys::ProbeId,
        /// Which way the frame travelled.
        direction: Direction,
    },
    /// Do this and answer under the ticket, unless [`Job::key`] is `None`.
    Job {
        /// Number that the answer must carry.
        ticket: Ticket,
        /// The piece of work to do.
        job: Job,
    },
    /// Make these records durable, then call [`Sequencer::persisted`].
    Persist {
        /// Number that the answer must carry.
        ticket: Ticket,
        /// The records to make durable, in this order.
        records: Vec<Record>,
    },
    /// Deliver this message to another QAP; it takes effect there at `arrives`.
    Wire {
        /// The QAP that the message is for.
        to: QapId,
        /// Air time at which the message takes effect there.
        arrives: AirTime,
        /// The message to deliver.
        message: WireMessage,
    },
    /// Something happened that an observer may want to know.
    Event {
        /// Air time of the event.
        at: AirTime,
        /// What happened.
        event: Event,
    },
}

/// What a step promises. No number ever goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise {
    /// Every input before this air time was handled.
    pub handled: AirTime,
    /// No transmission that is not yet in the actions will start before this sample.
    pub transmit: AirTime,
    /// No wired message that is not yet in the actions will arrive before this air time.
    pub wire: AirTime,
    /// Whether the radio listens is decided for every sample before this one (and in every gate announced). A
    /// receiver with an open stretch must not read past it.
    pub listen: AirTime,
    /// The station has finished; nothing more will come.
    pub finished: bool,
}

/// What a sequencer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitingFor {
    /// More progress of the receiver, by [`Sequencer::radio_progress`].
    Radio,
    /// The horizon of a wire.
    Wire(QapId),
    /// The horizon of local inputs.
    Local,
    /// What is outstanding under this ticket: an answer to work, or the word that records are
    /// durable.
    Answer(Ticket),
    /// Nothing: there is nothing left to do.
    Nothing,
}

/// A mistake of the shell around a sequencer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SequencerError {
    /// An input for an air time that the station has passed: the progress or horizon reported before was wrong.
    #[error("an input for air time {at} came after {handled} was handled")]
    Late {
        /// Air time of the input.
        at: AirTime,
        /// Air time before which every input was handled.
        handled: AirTime,
    },
    /// A ticket that is not outstanding.
    #[error("nothing is outstanding under ticket {0:?}")]
    UnknownTicket(Ticket),
    /// A wire to a QAP that was not named at the start.
    #[error("no wire to QAP {0}")]
    UnknownWire(QapId),
    /// Too many inputs wait to be handled; how many do.
    #[error("{0} inputs are waiting")]
    Full(usize),
}

/// Source of an input; at equal air times the order of sources decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Local,
    Wire(QapId),
    Work,
    Radio,
}

/// Drives a [`Station`]: hands over its inputs in the order (air time, source, number), fires its timers in between,
/// and stops before anything that is not yet known.
///
/// Inputs may be pushed in any order as long as no horizon was passed. What comes out depends on the inputs and their
/// air times only, never on when they were pushed.
///
/// ```text
///  frames, progress --->|                        |---> transmit, listen, keep
///  wired messages  ---->|  Sequencer { Station } |---> wired messages
///  answers, persisted ->|                        |---> jobs, records, events
///  requests, groups --->|                        |---> promise
/// ```
#[derive(Debug)]
pub struct Sequencer<S> {
    station: S,
    turnaround: AirTime,
    wire_latency: AirTime,
    job_latency: AirTime,
    /// From the last sign of another QAP to taking it for closed.
    closed_after: AirTime,
    queue: BTreeMap<(AirTime, Source, u64), Input>,
    pushed: u64,
    /// Work and records handed out and not answered.
    outstanding: BTreeMap<Ticket, Outstanding>,
    tickets: u64,
    local: AirTime,
    wires: BTreeMap<QapId, AirTime>,
    /// Every frame that starts before was pushed.
    radio: AirTime,
    gates: VecDeque<Listen>,
    now: AirTime,
    promise: Promise,
    scratch: Vec<Output>,
    ignored_frames: u64,
}

#[derive(Debug)]
struct Outstanding {
    due: AirTime,
    what: What,
}

#[derive(Debug)]
enum What {
    Job(JobKey),
    Persist(u64),
}

impl<S: Station> Sequencer<S> {
    /// A sequencer around `station`, with a wire to each of `peers`.
    ///
    /// [`Input::Start`] is the first input, at air time `start`. Local inputs are complete unless
    /// [`local_horizon`](Self::local_horizon) says otherwise.
    pub fn new(station: S, plan: &Plan, peers: &[QapId], start: AirTime) -> Self {
        let mut sequencer = Self {
            station,
            turnaround: plan.turnaround,
            wire_latency: plan.wire_latency,
            job_latency: plan.job_latency,
            closed_after: plan.period.saturating_mul(plan.config.lost_probes.into()),
            queue: BTreeMap::new(),
            pushed: 0,
            outstanding: BTreeMap::new(),
            tickets: 0,
            local: AirTime::MAX,
            wires: peers.iter().map(|peer| (*peer, 0)).collect(),
            radio: 0,
            gates: VecDeque::new(),
            now: 0,
            promise: Promise { handled: 0, transmit: 0, wire: 0, listen: 0, finished: false },
            scratch: Vec::new(),
            ignored_frames: 0,
        };
        sequencer.queue.insert((start, Source::Local, 0), Input::Start);
        sequencer
    }

    /// A received frame. It is handled at its `start`. Like every input it is passed over once the station finished.
    ///
    /// # Errors
    /// [`SequencerError::Late`] when the progress had passed its start, [`SequencerError::Full`].
    pub fn frame(&mut self, frame: RxFrame) -> Result<(), SequencerError> {
        self.heard(frame.start, Input::Frame(frame))
    }

    /// A detected frame whose header could not be read.
    ///
    /// # Errors
    /// The errors of [`frame`](Self::frame).
    pub fn bad_frame(&mut self, start: AirTime) -> Result<(), SequencerError> {
        self.heard(start, Input::BadFrame)
    }

    /// Every frame that starts before `progress` was pushed: the first sample that may still start an undecided one.
    pub fn radio_progress(&mut self, progress: AirTime) {
        self.radio = self.radio.max(progress);
    }

    /// A wired message that takes effect at `arrives`.
    ///
    /// # Errors
    /// [`SequencerError::UnknownWire`], [`SequencerError::Late`], [`SequencerError::Full`].
    pub fn wire(
        &mut self,
        from: QapId,
        arrives: AirTime,
        message: WireMessage,
    ) -> Result<(), SequencerError> {
        if !self.wires.contains_key(&from) {
            return Err(SequencerError::UnknownWire(from));
        }
        self.push(arrives, Source::Wire(from), Input::Wire { from, message })
    }

    /// Every message of that QAP which arrives before `horizon` was pushed: its [`Promise::wire`]. After `AirTime::MAX` none is to
    /// come: a station that is not done some time later is told that the other one has closed.
    ///
    /// # Errors
    /// [`SequencerError::UnknownWire`], [`SequencerError::Full`].
    pub fn wire_horizon(&mut self, from: QapId, horizon: AirTime) -> Result<(), SequencerError> {
        let known = self.wires.get_mut(&from).ok_or(SequencerError::UnknownWire(from))?;
        let before = std::mem::replace(known, (*known).max(horizon));
        if before < AirTime::MAX && horizon == AirTime::MAX {
            let at = before.max(self.promise.handled).saturating_add(self.closed_after);
            let message = WireMessage::Closing;
            self.push(at, Source::Wire(from), Input::Wire { from, message })?;
        }
        Ok(())
    }

    /// A request or new groups ([`Input::Request`], [`Input::GroupsReady`]), to take effect at `at` or, when that has
    /// passed, as soon as possible. Returns the air time at which it does.
    ///
    /// # Errors
    /// [`SequencerError::Full`].
    pub fn local(&mut self, at: AirTime, input: Input) -> Result<AirTime, SequencerError> {
        let at = at.max(self.promise.handled);
        self.push(at, Source::Local, input)?;
        Ok(at)
    }

    /// Every local input before `horizon` was pushed. `AirTime::MAX` (the start value) when none is to come; a lower value
    /// holds the station back until it is raised.
    pub fn local_horizon(&mut self, horizon: AirTime) {
        self.local = horizon.max(self.promise.handled);
    }

    /// The answer to a job.
    ///
    /// # Errors
    /// [`SequencerError::UnknownTicket`] when no job is outstanding under it.
    pub fn answer(&mut self, ticket: Ticket, answer: Answer) -> Result<(), SequencerError> {
        match self.outstanding.get(&ticket) {
            Some(&Outstanding { due, what: What::Job(key) }) => {
                self.outstanding.remove(&ticket);
                self.queue.insert((due, Source::Work, ticket.0), Input::Answer { key, answer });
                Ok(())
            }
            _ if self.promise.finished => Ok(()),
            _ => Err(SequencerError::UnknownTicket(ticket)),
        }
    }

    /// The records under this ticket are durable.
    ///
    /// # Errors
    /// [`SequencerError::UnknownTicket`] when no records are outstanding under it.
    pub fn persisted(&mut self, ticket: Ticket) -> Result<(), SequencerError> {
        match self.outstanding.get(&ticket) {
            Some(&Outstanding { due, what: What::Persist(number) }) => {
                self.outstanding.remove(&ticket);
                self.queue.insert((due, Source::Work, ticket.0), Input::Persisted(number));
                Ok(())
            }
            _ if self.promise.finished => Ok(()),
            _ => Err(SequencerError::UnknownTicket(ticket)),
        }
    }

    /// Lets the station do everything that is decided by what was pushed so far. The actions are appended in order;
    /// the promise holds once they have been carried out or handed on.
    pub fn step(&mut self, actions: &mut Vec<Action>) -> Promise {
        loop {
            let timer = self.station.next_timer().map(|at| at.max(self.now));
            let input = self.queue.first_key_value().map(|(key, _)| key.0);
            let next = match (timer, input) {
                (Some(timer), Some(input)) => timer.min(input),
                (Some(at), None) | (None, Some(at)) => at,
                (None, None) => break,
            };
            if next >= self.horizon() || self.station.finished() {
                break;
            }
            debug_assert!(next >= self.now, "air time went back");
            self.now = next;
            let mut outputs = std::mem::take(&mut self.scratch);
            if timer == Some(next) {
                self.station.advance(next, &mut outputs);
            } else if let Some((_, input)) = self.queue.pop_first() {
                self.hand_over(input, &mut outputs);
            }
            for output in outputs.drain(..) {
                self.carry_out(output, actions);
            }
            self.scratch = outputs;
        }
        self.update_promise()
    }

    /// The promise of the last step.
    pub fn promise(&self) -> Promise {
        self.promise
    }

    /// What has to be pushed before the station can go on.
    pub fn waiting_for(&self) -> WaitingFor {
        let horizon = self.horizon();
        if horizon == AirTime::MAX || self.station.finished() {
            return WaitingFor::Nothing;
        }
        if let Some((ticket, _)) = self.outstanding.iter().find(|(_, o)| o.due == horizon) {
            return WaitingFor::Answer(*ticket);
        }
        if let Some((peer, _)) = self.wires.iter().find(|(_, at)| **at == horizon) {
            return WaitingFor::Wire(*peer);
        }
        if self.local == horizon { WaitingFor::Local } else { WaitingFor::Radio }
    }

    /// The station that the sequencer drives.
    pub fn station(&self) -> &S {
        &self.station
    }

    /// Frames that were dropped because they started when the radio was not meant to listen.
    pub fn ignored_frames(&self) -> u64 {
        self.ignored_frames
    }

    fn heard(&mut self, start: AirTime, input: Input) -> Result<(), SequencerError> {
        if (self.radio..self.promise.handled).contains(&start) && !self.promise.finished {
            // The station has passed over a stretch in which it does not listen.
            self.ignored_frames += 1;
            return Ok(());
        }
        self.push(start, Source::Radio, input)
    }

    fn push(&mut self, at: AirTime, source: Source, input: Input) -> Result<(), SequencerError> {
        if self.promise.finished {
            return Ok(());
        }
        if at < self.promise.handled {
            return Err(SequencerError::Late { at, handled: self.promise.handled });
        }
        if self.queue.len() >= MAX_QUEUE {
            return Err(SequencerError::Full(self.queue.len()));
        }
        self.pushed += 1;
        self.queue.insert((at, source, self.pushed), input);
        Ok(())
    }

    /// Every input before this air time is known.
    fn horizon(&self) -> AirTime {
        let wires = self.wires.values().copied().min().unwrap_or(AirTime::MAX);
        let work = self.outstanding.values().map(|o| o.due).min().unwrap_or(AirTime::MAX);
        self.local.min(wires).min(work).min(self.radio_horizon())
    }

    /// Every frame that starts before this is known: progress, and no frame can start outside a gate.
    fn radio_horizon(&self) -> AirTime {
        let gate = self.gates.iter().find(|gate| gate.last_start >= self.radio);
        gate.map_or(AirTime::MAX, |gate| gate.from.max(self.radio))
    }

    fn hand_over(&mut self, input: Input, outputs: &mut Vec<Output>) {
        let heard = |gate: &Listen| gate.from <= self.now && self.now <= gate.last_start;
        let frame = matches!(input, Input::Frame(_) | Input::BadFrame);
        if frame && !self.gates.iter().any(heard) {
            self.ignored_frames += 1;
        } else {
            self.station.handle(self.now, input, outputs);
        }
    }

    fn carry_out(&mut self, output: Output, actions: &mut Vec<Action>) {
        let now = self.now;
        actions.push(match output {
            Output::Transmit { at, frame } => {
                assert!(at >= self.promise.transmit, "a frame at {at} breaks a promise");
                assert!(at >= now + self.turnaround, "a frame at {at} is decided at {now}");
                Action::Transmit { at, frame }
            }
            Output::Listen(gate) => {
                assert!(gate.from >= now + self.turnaround, "a gate comes too late at {now}");
                assert!(gate.from >= self.promise.listen, "{gate:?} breaks a promise");
                let ordered = self.gates.back().is_none_or(|last| last.last_start < gate.from);
                assert!(ordered, "{gate:?} comes before an earlier one ends");
                self.gates.push_back(gate);
                Action::Listen(gate)
            }
            Output::ListenUntil(at) => {
                assert!(at >= now + self.turnaround, "listening cannot end at {at}, now {now}");
                for gate in self.gates.iter_mut().filter(|gate| gate.is_open()) {
                    gate.last_start = at.saturating_sub(1);
                    gate.to = at;
                }
                Action::ListenUntil(at)
            }
            Output::Keep { start, probe, direction } => Action::Keep { start, probe, direction },
            Output::Job(job) => {
                let ticket = self.ticket();
                if let Some(key) = job.key() {
                    let due = now + self.job_latency;
                    self.outstanding.insert(ticket, Outstanding { due, what: What::Job(key) });
                }
                Action::Job { ticket, job }
            }
            Output::Persist { number, records } => {
                let ticket = self.ticket();
                let due = now + self.job_latency;
                let what = What::Persist(number);
                self.outstanding.insert(ticket, Outstanding { due, what });
                Action::Persist { ticket, records }
            }
            Output::Wire { to, message } => {
                let arrives = now + self.wire_latency;
                assert!(arrives >= self.promise.wire, "a message at {arrives} breaks a promise");
                Action::Wire { to, arrives, message }
            }
            Output::Event(event) => Action::Event { at: now, event },
        });
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    fn update_promise(&mut self) -> Promise {
        let finished = self.station.finished();
        let handled = if finished { AirTime::MAX } else { self.horizon() };
        let handled = handled.max(self.promise.handled);
        let transmit = if finished { AirTime::MAX } else { self.station.promise(handled) };
        self.promise = Promise {
            handled,
            transmit: transmit.max(self.promise.transmit),
            wire: handled.saturating_add(self.wire_latency).max(self.promise.wire),
            listen: handled.saturating_add(self.turnaround).max(self.promise.listen),
            finished,
        };
        while self.gates.front().is_some_and(|gate| gate.last_start < handled.min(self.radio)) {
            self.gates.pop_front();
        }
        if finished {
            self.gates.clear();
            self.queue.clear();
            self.outstanding.clear();
        }
        self.promise
    }
}
