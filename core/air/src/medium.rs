//! Lock-step bookkeeping of a virtual air: who may receive what, and when.
//!
//! Time is a sample counter and never the wall clock. Every radio *promises* an air time before
//! which it will start nothing that it has not handed over yet; a radio may receive `[t, t + n)`
//! once every other transmitting radio of its cell has promised to stay silent before `t + n`:
//!
//! ```text
//! QAP    ──────▐burst▌──────────────────────┆ promise
//! user   ────────────────┆ promise
//! Eve         may receive ├→ up to the smallest promise of QAP and user, inside her gates
//! ```
//!
//! The state machine holds no samples of noise, no threads and no clock. It answers one question
//! per radio, [`Medium::step`]: receive these samples now, skip to there, take this wired message,
//! wait for somebody's promise, or end. What the answers are depends on air times only, so a run
//! does not depend on the order in which threads ask; only how a stretch is cut into pieces does.
//!
//! Radios of different cells do not hear each other. Wired messages (between two access points)
//! carry an arrival time and take part in the lock step: a radio does not pass the promise of a
//! peer that could still send it a message.

use num_complex::Complex32;
use std::collections::VecDeque;
use std::sync::Arc;
use thiserror::Error;

/// Air time: a sample index at 20 Msample/s.
pub type Air = u64;

/// Names one radio on a [`Medium`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RadioId(usize);

impl RadioId {
    /// Position in the order in which the radios joined.
    pub fn index(self) -> usize {
        self.0
    }
}

/// What a radio can do on the air.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RadioKind {
    /// Transmits and receives; the others wait for its promises.
    Transceiver,
    /// Only receives; nobody waits for it.
    Receiver,
}

/// A burst that some radio transmits.
#[derive(Clone, Debug, PartialEq)]
pub struct Transmission {
    /// The radio that sends it.
    pub radio: RadioId,
    /// Air time of the first sample.
    pub start: Air,
    /// Unit-power samples as the transmitter emits them.
    pub samples: Arc<[Complex32]>,
}

impl Transmission {
    /// Air time after the last sample.
    pub fn end(&self) -> Air {
        self.start.saturating_add(self.samples.len() as Air)
    }
}

/// A message that came over a wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wired<W> {
    /// Air time at which it takes effect at the receiver.
    pub arrival: Air,
    /// The sender.
    pub from: RadioId,
    /// Counts the sender's messages from 0: with `arrival` and `from` a total order.
    pub number: u64,
    /// The payload; opaque to the medium.
    pub payload: W,
}

/// What a radio does next; the answer of [`Medium::step`].
#[derive(Clone, Debug, PartialEq)]
pub enum Step<W> {
    /// Receive the samples `[from, to)`.
    Receive {
        /// First sample.
        from: Air,
        /// After the last sample.
        to: Air,
        /// All bursts of other radios that can be heard in it, ordered by (start, radio).
        bursts: Vec<Transmission>,
    },
    /// Nothing to listen to before `until`.
    Skip {
        /// The new position of the radio.
        until: Air,
    },
    /// A wired message whose arrival lies before the next position.
    Wired(Wired<W>),
    /// Nothing can be said before somebody promises more.
    Wait,
    /// The radio has left, or nothing can ever happen to it again.
    End,
}

/// A call that breaks the lock step; always a mistake of the caller.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum MediumError {
    /// A burst would start in time that others may have received already.
    #[error("radio {radio}: burst at {start} comes after the promise of silence before {promise}")]
    LateBurst {
        /// Who.
        radio: usize,
        /// Start of the burst.
        start: Air,
        /// The promise that it breaks.
        promise: Air,
    },
    /// A listening gate starts in time that the radio may have skipped already.
    #[error("radio {radio}: listening from {from} is asked for after the promise {promise}")]
    LateGate {
        /// Who.
        radio: usize,
        /// Start of the gate.
        from: Air,
        /// The promise that it breaks.
        promise: Air,
    },
    /// A wired message would arrive in time that the receiver may have passed already.
    #[error("radio {radio}: wired message for {arrival} comes after the promise {promise}")]
    LateWire {
        /// Who sends.
        radio: usize,
        /// Its arrival time.
        arrival: Air,
        /// The promise that it breaks.
        promise: Air,
    },
    /// The two radios are not connected by a wire.
    #[error("radio {from} has no wire to radio {to}")]
    NoWire {
        /// Who sends.
        from: usize,
        /// To whom.
        to: usize,
    },
    /// The radio only receives.
    #[error("radio {radio} is a receiver and cannot transmit")]
    NotATransmitter {
        /// Who.
        radio: usize,
    },
}

#[derive(Debug)]
struct State<W> {
    cell: u32,
    kind: RadioKind,
    /// Nothing that this radio has not handed over takes effect before this time.
    promise: Air,
    /// Everything before this sample has been received or skipped.
    position: Air,
    /// Disjoint, ascending, not before `position`; the last one may be open-ended.
    gates: VecDeque<(Air, Air)>,
    /// Ordered by (arrival, from, number).
    inbox: VecDeque<Wired<W>>,
    peers: Vec<usize>,
    sent: u64,
    left: bool,
}

/// The shared bookkeeping of all cells; see the [module](self) for the rules.
///
/// ```
/// use crqkd_air::medium::{Medium, RadioKind, Step};
/// let mut medium = Medium::<()>::new(64);
/// let qap = medium.join(0, RadioKind::Transceiver);
/// let user = medium.join(0, RadioKind::Transceiver);
/// medium.listen(user, 900, 2_000).unwrap();
/// medium.transmit(qap, 1_000, vec![Default::default(); 500].into()).unwrap();
/// medium.promise(user, 5_000);
/// assert_eq!(medium.step(user, 4096), Step::Skip { until: 900 });
/// assert_eq!(medium.step(user, 4096), Step::Wait); // the access point has not promised yet
/// medium.promise(qap, 1_500);
/// let Step::Receive { from: 900, to: 1_500, bursts } = medium.step(user, 4096) else { panic!() };
/// assert_eq!(bursts.len(), 1);
/// ```
#[derive(Debug)]
pub struct Medium<W> {
    radios: Vec<State<W>>,
    bursts: VecDeque<Transmission>,
    echo: Air,
    leash: Air,
}

/// How far a transmitter may run ahead of the slowest receiver of its cell: 2 s of air, which
/// bounds the bursts that are kept.
pub const LEASH: Air = 40_000_000;

impl<W> Medium<W> {
    /// An empty medium on which a burst can be heard until `echo` samples after its end.
    pub fn new(echo: Air) -> Self {
        Medium { radios: Vec::new(), bursts: VecDeque::new(), echo, leash: LEASH }
    }

    /// Adds a radio to a cell. It stands at air time 0 and has promised nothing.
    pub fn join(&mut self, cell: u32, kind: RadioKind) -> RadioId {
        self.radios.push(State {
            cell,
            kind,
            promise: 0,
            position: 0,
            gates: VecDeque::new(),
            inbox: VecDeque::new(),
            peers: Vec::new(),
            sent: 0,
            left: false,
        });
        RadioId(self.radios.len() - 1)
    }

    /// Lays a wire between two radios, for both directions.
    pub fn connect(&mut self, a: RadioId, b: RadioId) {
        if a != b && !self.radios[a.0].peers.contains(&b.0) {
            self.radios[a.0].peers.push(b.0);
            self.radios[b.0].peers.push(a.0);
        }
    }

    /// Puts a burst on the air.
    ///
    /// # Errors
    /// When it starts before the radio's own promise, or the radio is a receiver.
    pub fn transmit(
        &mut self,
        radio: RadioId,
        start: Air,
        samples: Arc<[Complex32]>,
    ) -> Result<(), MediumError> {
        let state = &self.radios[radio.0];
        if state.left {
            return Ok(());
        }
        if state.kind == RadioKind::Receiver {
            return Err(MediumError::NotATransmitter { radio: radio.0 });
        }
        if start < state.promise {
            let promise = state.promise;
            return Err(MediumError::LateBurst { radio: radio.0, start, promise });
        }
        self.bursts.push_back(Transmission { radio, start, samples });
        Ok(())
    }

    /// Promises that nothing not yet handed over takes effect before `until`: no burst starts, no
    /// wired message arrives, no listening begins. A smaller value than before changes nothing.
    pub fn promise(&mut self, radio: RadioId, until: Air) {
        let state = &mut self.radios[radio.0];
        state.promise = state.promise.max(until);
    }

    /// Listens to `[from, to)` too. Ends an open-ended listening at `to`.
    ///
    /// # Errors
    /// When `from` lies before the radio's own promise: the time may have been skipped.
    pub fn listen(&mut self, radio: RadioId, from: Air, to: Air) -> Result<(), MediumError> {
        let state = &mut self.radios[radio.0];
        if state.left {
            return Ok(());
        }
        if from < state.promise {
            let promise = state.promise;
            return Err(MediumError::LateGate { radio: radio.0, from, promise });
        }
        if let Some(last) = state.gates.back_mut()
            && last.1 == Air::MAX
        {
            if last.0 <= from {
                last.1 = to;
                return Ok(());
            }
            state.gates.pop_back();
        }
        insert(&mut state.gates, from, to);
        Ok(())
    }

    /// Listens from `from` on until a later [`listen`](Self::listen) ends it.
    ///
    /// # Errors
    /// When `from` lies before the radio's own promise.
    pub fn listen_always(&mut self, radio: RadioId, from: Air) -> Result<(), MediumError> {
        let state = &mut self.radios[radio.0];
        if state.left {
            return Ok(());
        }
        if from < state.promise {
            let promise = state.promise;
            return Err(MediumError::LateGate { radio: radio.0, from, promise });
        }
        insert(&mut state.gates, from, Air::MAX);
        Ok(())
    }

    /// Sends a message over the wire to `to`, where it takes effect at `arrival`.
    ///
    /// # Errors
    /// When there is no such wire, or `arrival` lies before the sender's own promise.
    pub fn wire(
        &mut self,
        from: RadioId,
        to: RadioId,
        arrival: Air,
        payload: W,
    ) -> Result<(), MediumError> {
        if self.radios[from.0].left || self.radios[to.0].left {
            return Ok(());
        }
        let sender = &mut self.radios[from.0];
        if !sender.peers.contains(&to.0) {
            return Err(MediumError::NoWire { from: from.0, to: to.0 });
        }
        if arrival < sender.promise {
            let promise = sender.promise;
            return Err(MediumError::LateWire { radio: from.0, arrival, promise });
        }
        let message = Wired { arrival, from, number: sender.sent, payload };
        sender.sent += 1;
        let inbox = &mut self.radios[to.0].inbox;
        let key = |m: &Wired<W>| (m.arrival, m.from, m.number);
        let at = inbox.partition_point(|m| key(m) < key(&message));
        inbox.insert(at, message);
        Ok(())
    }

    /// The radio is gone: it counts as silent for ever, and what it still wants to send or hear is
    /// dropped. What it has sent stays on the air.
    pub fn leave(&mut self, radio: RadioId) {
        let state = &mut self.radios[radio.0];
        state.left = true;
        state.promise = Air::MAX;
        state.gates.clear();
        state.inbox.clear();
    }

    /// True after [`leave`](Self::leave).
    pub fn has_left(&self, radio: RadioId) -> bool {
        self.radios[radio.0].left
    }

    /// Everything before this sample has been received or skipped by the radio.
    pub fn position(&self, radio: RadioId) -> Air {
        self.radios[radio.0].position
    }

    /// What the radio would do next, without doing it; `max` bounds the samples to receive.
    pub fn peek(&self, radio: RadioId, max: usize) -> StepKind {
        let state = &self.radios[radio.0];
        if state.left {
            return StepKind::End;
        }
        let position = state.position;
        let limit = state.promise.min(self.wire_horizon(radio)).min(self.leash_end(radio));
        let gate = state.gates.front().copied();
        let kind = match gate {
            Some((from, to)) if from <= position => {
                let end = position.saturating_add(max as Air);
                let horizon = self.horizon(radio);
                if limit == Air::MAX && horizon == Air::MAX && !self.audible_after(radio, position)
                {
                    return StepKind::End;
                }
                StepKind::Receive { from: position, to: to.min(limit).min(horizon).min(end) }
            }
            Some((from, _)) => StepKind::Skip { until: from.min(limit) },
            None => StepKind::Skip { until: limit },
        };
        let until = match kind {
            StepKind::Receive { to, .. } => to,
            StepKind::Skip { until } => until,
            _ => position,
        };
        match state.inbox.front() {
            Some(message) if message.arrival < until || until == Air::MAX => StepKind::Wired,
            _ if until <= position => StepKind::Wait,
            _ if until == Air::MAX => StepKind::End,
            _ => kind,
        }
    }

    /// Takes the radio's next step and moves its position over it. `max` bounds the number of
    /// samples to receive in one step.
    pub fn step(&mut self, radio: RadioId, max: usize) -> Step<W> {
        match self.peek(radio, max) {
            StepKind::Receive { from, to } => {
                let bursts = self.audible(radio, from, to);
                self.advance(radio, to);
                Step::Receive { from, to, bursts }
            }
            StepKind::Skip { until } => {
                self.advance(radio, until);
                Step::Skip { until }
            }
            StepKind::Wired => {
                let message = self.radios[radio.0].inbox.pop_front();
                Step::Wired(message.expect("peek saw a message"))
            }
            StepKind::Wait => Step::Wait,
            StepKind::End => Step::End,
        }
    }

    /// Number of bursts kept because somebody may still hear them.
    pub fn bursts_kept(&self) -> usize {
        self.bursts.len()
    }

    /// The bursts of other radios of the cell that can be heard within `[from, to)`.
    fn audible(&self, radio: RadioId, from: Air, to: Air) -> Vec<Transmission> {
        let cell = self.radios[radio.0].cell;
        let mut heard: Vec<Transmission> = self
            .bursts
            .iter()
            .filter(|b| b.radio != radio && self.radios[b.radio.0].cell == cell)
            .filter(|b| b.start < to && b.end().saturating_add(self.echo) > from)
            .cloned()
            .collect();
        heard.sort_by_key(|b| (b.start, b.radio));
        heard
    }

    fn audible_after(&self, radio: RadioId, from: Air) -> bool {
        !self.audible(radio, from, Air::MAX).is_empty()
    }

    /// No other transmitter of the cell starts anything new before this time.
    fn horizon(&self, radio: RadioId) -> Air {
        let cell = self.radios[radio.0].cell;
        self.radios
            .iter()
            .enumerate()
            .filter(|(i, s)| *i != radio.0 && s.cell == cell && s.kind == RadioKind::Transceiver)
            .map(|(_, s)| s.promise)
            .min()
            .unwrap_or(Air::MAX)
    }

    /// No message of a wired peer arrives before this time that is not in the inbox.
    fn wire_horizon(&self, radio: RadioId) -> Air {
        let peers = &self.radios[radio.0].peers;
        peers.iter().map(|&p| self.radios[p].promise).min().unwrap_or(Air::MAX)
    }

    /// Transmitters wait for the slowest receiver of the cell, with [`LEASH`] to spare.
    fn leash_end(&self, radio: RadioId) -> Air {
        let me = &self.radios[radio.0];
        if me.kind == RadioKind::Receiver {
            return Air::MAX;
        }
        self.radios
            .iter()
            .filter(|s| s.cell == me.cell && s.kind == RadioKind::Receiver && !s.left)
            .map(|s| s.position.saturating_add(self.leash))
            .min()
            .unwrap_or(Air::MAX)
    }

    fn advance(&mut self, radio: RadioId, to: Air) {
        let state = &mut self.radios[radio.0];
        state.position = to;
        while let Some(gate) = state.gates.front_mut() {
            if gate.1 <= to {
                state.gates.pop_front();
            } else {
                gate.0 = gate.0.max(to.min(gate.1));
                break;
            }
        }
        if self.bursts.len() >= 16 {
            self.prune();
        }
    }

    /// Forgets bursts that every radio of their cell has passed.
    fn prune(&mut self) {
        let radios = &self.radios;
        let echo = self.echo;
        self.bursts.retain(|b| {
            let cell = radios[b.radio.0].cell;
            radios
                .iter()
                .enumerate()
                .filter(|(i, s)| s.cell == cell && !s.left && *i != b.radio.0)
                .any(|(_, s)| s.position < b.end().saturating_add(echo))
        });
    }
}

/// [`Step`] without the message: what [`Medium::peek`] sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// See [`Step::Receive`].
    Receive {
        /// First sample.
        from: Air,
        /// After the last sample.
        to: Air,
    },
    /// See [`Step::Skip`].
    Skip {
        /// The new position of the radio.
        until: Air,
    },
    /// See [`Step::Wired`].
    Wired,
    /// See [`Step::Wait`].
    Wait,
    /// See [`Step::End`].
    End,
}

/// Inserts `[from, to)` into disjoint ascending gates, merging what touches.
fn insert(gates: &mut VecDeque<(Air, Air)>, mut from: Air, mut to: Air) {
    if from >= to {
        return;
    }
    let first = gates.partition_point(|g| g.1 < from);
    while let Some(&(a, b)) = gates.get(first) {
        if a > to {
            break;
        }
        from = from.min(a);
        to = to.max(b);
        gates.remove(first);
    }
    gates.insert(first, (from, to));
}
