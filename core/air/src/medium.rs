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
//! per radio, [`Medium::step`]: receive these samples now, take this wired message, know how far a
//! wire is complete, wait for somebody's promise, or end. What the answers are depends on air times
//! only, so a run does not depend on the order in which threads ask; only how a stretch is cut into
//! pieces does.
//!
//! Radios receive in *gates* that are announced in order of time and never withdrawn; the time
//! between them costs nothing. Radios of different cells do not hear each other. Wired messages
//! (between two access points) carry an arrival time, and the sender's promises for its wires are
//! passed on, so that the receiver can keep in step.

mod error;

pub use crqkd_ids::AirTime;
pub use error::MediumError;

use num_complex::Complex32;
use std::collections::VecDeque;
use std::sync::Arc;

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
    pub start: AirTime,
    /// Unit-power samples as the transmitter emits them.
    pub samples: Arc<[Complex32]>,
}

impl Transmission {
    /// Air time after the last sample.
    pub fn end(&self) -> AirTime {
        self.start.saturating_add(self.samples.len() as AirTime)
    }
}

/// A message that came over a wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wired<W> {
    /// Air time at which it takes effect at the receiver.
    pub arrival: AirTime,
    /// The radio that sent the message.
    pub from: RadioId,
    /// Counts the sender's messages from 0: with `arrival` and `from` a total order.
    pub number: u64,
    /// The payload; opaque to the medium.
    pub payload: W,
}

/// What a radio has promised; no number ever goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Promises {
    /// No burst that is not handed over starts before this sample.
    pub transmit: AirTime,
    /// No wired message that is not handed over arrives before this time.
    pub wire: AirTime,
    /// No gate that is not announced begins before this sample, and no open one is ended before it.
    pub listen: AirTime,
}

impl Promises {
    /// Nothing will come any more.
    pub const SILENT: Promises =
        Promises { transmit: AirTime::MAX, wire: AirTime::MAX, listen: AirTime::MAX };

    fn raise(&mut self, to: Promises) {
        self.transmit = self.transmit.max(to.transmit);
        self.wire = self.wire.max(to.wire);
        self.listen = self.listen.max(to.listen);
    }
}

/// What a radio does next; the answer of [`Medium::step`].
#[derive(Clone, Debug, PartialEq)]
pub enum Step<W> {
    /// Receive the samples `[from, to)`.
    Receive {
        /// Air time of the first sample to receive.
        from: AirTime,
        /// Air time just after the last sample to receive.
        to: AirTime,
        /// The radio stops listening at `to`.
        last: bool,
        /// All bursts of other radios that can be heard in it, ordered by (start, radio).
        bursts: Vec<Transmission>,
    },
    /// Handle this message, which came over a wire.
    Wired(Wired<W>),
    /// Every message of `from` that arrives before `until` was handed over. Comes when the radio can do something with
    /// it: before the samples that it goes beyond, not with every promise of the sender.
    WireHorizon {
        /// The radio at the other end of the wire.
        from: RadioId,
        /// Air time before which nothing more will come from it.
        until: AirTime,
    },
    /// Nothing can be said before somebody promises more.
    Wait,
    /// The radio has left the air: nothing more will come for it.
    End,
}

#[derive(Debug)]
struct State<W> {
    cell: u32,
    kind: RadioKind,
    promises: Promises,
    /// Everything before this sample has been received or passed.
    position: AirTime,
    /// Disjoint, ascending, not before `position`; the last one may be open-ended.
    gates: VecDeque<(AirTime, AirTime)>,
    /// End of the last gate that was announced.
    announced: AirTime,
    /// Ordered by (arrival, from, number).
    inbox: VecDeque<Wired<W>>,
    /// Wired radios, and how far each was last said to be complete.
    peers: Vec<(usize, AirTime)>,
    sent: u64,
    left: bool,
}

impl<W> State<W> {
    /// First sample that the radio may still receive.
    fn floor(&self) -> AirTime {
        let next = self.gates.front().map_or(self.promises.listen, |gate| gate.0);
        if self.left { AirTime::MAX } else { self.position.max(next) }
    }

    fn check_gate(&self, radio: RadioId, from: AirTime) -> Result<(), MediumError> {
        let promise = self.promises.listen;
        if from < promise && !self.left {
            return Err(MediumError::LateGate { radio: radio.0, from, promise });
        }
        Ok(())
    }
}

/// The shared bookkeeping of all cells; see the [module](self) for the rules.
///
/// ```
/// use crqkd_air::medium::{Medium, Promises, RadioKind, Step};
/// let mut medium = Medium::<()>::new(64);
/// let qap = medium.join(0, RadioKind::Transceiver);
/// let user = medium.join(0, RadioKind::Transceiver);
/// medium.listen(user, 900, 2_000)?;
/// medium.transmit(qap, 1_000, vec![Default::default(); 500].into())?;
/// assert_eq!(medium.step(user, 4096), Step::Wait); // the access point has not promised yet
/// medium.promise(qap, Promises { transmit: 1_500, ..Default::default() });
/// let Step::Receive { from: 900, to: 1_500, last: false, bursts } = medium.step(user, 4096) else {
///     unreachable!()
/// };
/// assert_eq!(bursts.len(), 1);
/// # Ok::<(), crqkd_air::medium::MediumError>(())
/// ```
#[derive(Debug)]
pub struct Medium<W> {
    radios: Vec<State<W>>,
    bursts: VecDeque<Transmission>,
    echo: AirTime,
}

/// How far a transmitter may run ahead of the slowest receiver of its cell: 2 s of air, which
/// bounds the bursts that are kept.
pub const LEASH: AirTime = 40_000_000;

/// Samples of one radio's bursts that wait at most: more than the leash lets anybody run ahead.
pub const MAX_BURST_SAMPLES: usize = 2 * LEASH as usize;
/// Gates of one radio that wait at most.
pub const MAX_GATES: usize = 1 << 16;
/// The longest piece of a gate that a radio waits for rather than take a part of it.
const MAX_PIECE: AirTime = 1 << 16;
/// Wired messages for one radio that wait at most.
pub const MAX_WIRED: usize = 1 << 12;

impl<W> Medium<W> {
    /// An empty medium on which a burst can be heard until `echo` samples after its end.
    pub fn new(echo: AirTime) -> Self {
        Medium { radios: Vec::new(), bursts: VecDeque::new(), echo }
    }

    /// Adds a radio to a cell. It stands at air time 0 and has promised nothing.
    pub fn join(&mut self, cell: u32, kind: RadioKind) -> RadioId {
        self.radios.push(State {
            cell,
            kind,
            promises: Promises::default(),
            position: 0,
            gates: VecDeque::new(),
            announced: 0,
            inbox: VecDeque::new(),
            peers: Vec::new(),
            sent: 0,
            left: false,
        });
        RadioId(self.radios.len() - 1)
    }

    /// Lays a wire between two radios, for both directions.
    pub fn connect(&mut self, a: RadioId, b: RadioId) {
        if a != b && !self.radios[a.0].peers.iter().any(|peer| peer.0 == b.0) {
            self.radios[a.0].peers.push((b.0, 0));
            self.radios[b.0].peers.push((a.0, 0));
        }
    }

    /// Puts a burst on the air.
    ///
    /// # Errors
    /// When it starts before the radio's own promise, or the radio is a receiver.
    pub fn transmit(
        &mut self,
        radio: RadioId,
        start: AirTime,
        samples: Arc<[Complex32]>,
    ) -> Result<(), MediumError> {
        let state = &self.radios[radio.0];
        if state.left {
            return Ok(());
        }
        if state.kind == RadioKind::Receiver {
            return Err(MediumError::NotATransmitter { radio: radio.0 });
        }
        let promise = state.promises.transmit;
        if start < promise {
            return Err(MediumError::LateBurst { radio: radio.0, start, promise });
        }
        let mine = self.bursts.iter().filter(|burst| burst.radio == radio);
        let waiting = mine.map(|burst| burst.samples.len()).sum();
        if waiting > MAX_BURST_SAMPLES {
            return Err(MediumError::Backlog { radio: radio.0, waiting, what: "samples to send" });
        }
        self.bursts.push_back(Transmission { radio, start, samples });
        Ok(())
    }

    /// Raises the radio's promises; a smaller value than before changes nothing.
    pub fn promise(&mut self, radio: RadioId, promises: Promises) {
        self.radios[radio.0].promises.raise(promises);
    }

    /// Listens to `[from, to)` too; `to` may be `AirTime::MAX`, see [`listen_until`](Self::listen_until).
    ///
    /// Gates come in order. One that begins before the last one ends begins where that ends; they
    /// stay two gates even then, so that it does not matter how far the first has been received.
    ///
    /// # Errors
    /// When `from` lies before the radio's own promise.
    pub fn listen(
        &mut self,
        radio: RadioId,
        from: AirTime,
        to: AirTime,
    ) -> Result<(), MediumError> {
        let state = &mut self.radios[radio.0];
        state.check_gate(radio, from)?;
        let from = from.max(state.announced);
        if state.gates.len() >= MAX_GATES {
            let waiting = state.gates.len();
            return Err(MediumError::Backlog { radio: radio.0, waiting, what: "gates" });
        }
        if from < to && !state.left {
            state.gates.push_back((from, to));
            state.announced = to;
        }
        Ok(())
    }

    /// Ends an open gate at `at`; without one nothing changes.
    ///
    /// # Errors
    /// When `at` lies before the radio's own promise.
    pub fn listen_until(&mut self, radio: RadioId, at: AirTime) -> Result<(), MediumError> {
        let state = &mut self.radios[radio.0];
        state.check_gate(radio, at)?;
        if let Some(gate) = state.gates.back_mut()
            && gate.1 == AirTime::MAX
        {
            gate.1 = at;
            state.announced = at.max(gate.0);
            if gate.0 >= at {
                state.gates.pop_back();
            }
        }
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
        arrival: AirTime,
        payload: W,
    ) -> Result<(), MediumError> {
        if self.radios[from.0].left || self.radios[to.0].left {
            return Ok(());
        }
        let sender = &mut self.radios[from.0];
        if !sender.peers.iter().any(|peer| peer.0 == to.0) {
            return Err(MediumError::NoWire { from: from.0, to: to.0 });
        }
        let promise = sender.promises.wire;
        if arrival < promise {
            return Err(MediumError::LateWire { radio: from.0, arrival, promise });
        }
        let message = Wired { arrival, from, number: sender.sent, payload };
        sender.sent += 1;
        let inbox = &mut self.radios[to.0].inbox;
        if inbox.len() >= MAX_WIRED {
            let waiting = inbox.len();
            return Err(MediumError::Backlog { radio: to.0, waiting, what: "wired messages" });
        }
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
        state.promises = Promises::SILENT;
        state.gates.clear();
        state.inbox.clear();
    }

    /// Whether [`leave`](Self::leave) was called for this radio.
    pub fn has_left(&self, radio: RadioId) -> bool {
        self.radios[radio.0].left
    }

    /// Everything before this sample has been received or passed by the radio.
    pub fn position(&self, radio: RadioId) -> AirTime {
        self.radios[radio.0].position
    }

    /// True when [`step`](Self::step) with this `max` would answer something else than [`Step::Wait`].
    pub fn can_step(&self, radio: RadioId, max: usize) -> bool {
        let state = &self.radios[radio.0];
        state.left
            || !state.inbox.is_empty()
            || self.news(radio, max).is_some()
            || self.receivable(radio, max).is_some()
    }

    /// Takes the radio's next step and moves its position over it. `max` bounds the number of
    /// samples to receive in one step.
    pub fn step(&mut self, radio: RadioId, max: usize) -> Step<W> {
        if self.radios[radio.0].left {
            return Step::End;
        }
        if let Some(message) = self.radios[radio.0].inbox.pop_front() {
            return Step::Wired(message);
        }
        if let Some((peer, until)) = self.news(radio, max) {
            self.radios[radio.0].peers[peer].1 = until;
            let from = RadioId(self.radios[radio.0].peers[peer].0);
            return Step::WireHorizon { from, until };
        }
        let Some((from, to, last)) = self.receivable(radio, max) else { return Step::Wait };
        let bursts = self.audible(radio, from, to);
        let state = &mut self.radios[radio.0];
        state.position = to;
        if last {
            state.gates.pop_front();
        } else if let Some(gate) = state.gates.front_mut() {
            gate.0 = to;
        }
        if self.bursts.len() >= 16 {
            self.prune();
        }
        Step::Receive { from, to, last, bursts }
    }

    /// A wired peer that has promised more than was passed on: its place and its promise. The radio decides nothing
    /// beyond the first sample that it has not received, so what would take it further is kept until then.
    fn news(&self, radio: RadioId, max: usize) -> Option<(usize, AirTime)> {
        let state = &self.radios[radio.0];
        let next = state.gates.front().map_or(AirTime::MAX, |gate| gate.0);
        let peers = state.peers.iter().enumerate();
        peers
            .map(|(place, &(peer, told))| (place, told, self.radios[peer].promises.wire))
            .filter(|(_, told, promise)| promise > told)
            .find(|(_, told, _)| *told < next || self.receivable(radio, max).is_some())
            .map(|(place, _, promise)| (place, promise))
    }

    /// What of the next gate can be received: from, to, and whether it ends there.
    fn receivable(&self, radio: RadioId, max: usize) -> Option<(AirTime, AirTime, bool)> {
        let state = &self.radios[radio.0];
        let &(from, to) = state.gates.front()?;
        // An open gate may be ended at any sample from the promise on, and its last sample must
        // still come then.
        let end = if to == AirTime::MAX { state.promises.listen.saturating_sub(1) } else { to };
        let wanted = end.min(from.saturating_add(max as AirTime));
        let until = wanted.min(self.horizon(radio)).min(self.leash_end(radio));
        // A radio that is silent up to there anyway takes it in one piece: nobody waits for what it says to a part. Of
        // several that do so, each waits for one that has promised less, so one of them can go on.
        let short = to != AirTime::MAX && wanted <= from.saturating_add(MAX_PIECE);
        let whole = short && wanted <= state.promises.transmit;
        let enough = until > from && (until == wanted || !whole);
        enough.then_some((from, until, until == to))
    }

    /// The bursts of other radios of the cell that can be heard within `[from, to)`.
    fn audible(&self, radio: RadioId, from: AirTime, to: AirTime) -> Vec<Transmission> {
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

    /// No other transmitter of the cell starts anything new before this time.
    fn horizon(&self, radio: RadioId) -> AirTime {
        let cell = self.radios[radio.0].cell;
        self.radios
            .iter()
            .enumerate()
            .filter(|(i, s)| *i != radio.0 && s.cell == cell && s.kind == RadioKind::Transceiver)
            .map(|(_, s)| s.promises.transmit)
            .min()
            .unwrap_or(AirTime::MAX)
    }

    /// Transmitters wait for the slowest receiver of the cell, with [`LEASH`] to spare.
    fn leash_end(&self, radio: RadioId) -> AirTime {
        let me = &self.radios[radio.0];
        if me.kind == RadioKind::Receiver {
            return AirTime::MAX;
        }
        self.radios
            .iter()
            .filter(|s| s.cell == me.cell && s.kind == RadioKind::Receiver)
            .map(|s| s.floor().saturating_add(LEASH))
            .min()
            .unwrap_or(AirTime::MAX)
    }

    /// Forgets bursts that every radio of their cell has passed.
    fn prune(&mut self) {
        let (radios, echo) = (&self.radios, self.echo);
        self.bursts.retain(|b| {
            let cell = radios[b.radio.0].cell;
            let mut others =
                radios.iter().enumerate().filter(|(i, s)| s.cell == cell && *i != b.radio.0);
            others.any(|(_, s)| s.floor() < b.end().saturating_add(echo))
        });
    }
}
