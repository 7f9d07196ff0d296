//! [`Tracker`]: when a listener expects its QAP's next probe.

use crqkd_keys::{Epoch, ProbeId};

use crate::{AirTime, Listen, Output, Plan};

/// Follows a QAP's probes: listens all the time until the first one, then in gates around those to come, and all the
/// time again after too many were missed.
///
/// One frame is not believed: anybody may have sent it. The probes are *confirmed* when the next one comes on time with
/// the next number and the same epoch; if it does not, the search begins again.
#[derive(Debug)]
pub(crate) struct Tracker {
    period: AirTime,
    guard: AirTime,
    turnaround: AirTime,
    window_probes: u64,
    relock: u32,
    probe_samples: u64,
    state: State,
    /// The last probe that was heard, confirmed or not.
    last: Option<Heard>,
    /// Number of the last probe that was confirmed. Numbers never go back.
    confirmed: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Heard {
    epoch: Epoch,
    number: u64,
    at: AirTime,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Idle,
    Open,
    /// Waiting in a gate for the probe with this number.
    Gated {
        next: u64,
        confirmed: bool,
    },
}

impl Tracker {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            period: plan.period,
            guard: plan.guard,
            turnaround: plan.turnaround,
            window_probes: u64::from(plan.config.window_probes),
            relock: plan.config.relock_probes,
            probe_samples: plan.frames.probe_samples,
            state: State::Idle,
            last: None,
            confirmed: None,
        }
    }

    /// Begins to listen all the time.
    pub(crate) fn open(&mut self, now: AirTime, out: &mut Vec<Output>) {
        self.state = State::Open;
        out.push(Output::Listen(Listen::open(now + self.turnaround)));
    }

    /// Running number of a probe; `None` when its index is beyond the window.
    pub(crate) fn number(&self, probe: ProbeId) -> Option<u64> {
        (u64::from(probe.index) < self.window_probes)
            .then(|| u64::from(probe.window.0) * self.window_probes + u64::from(probe.index))
    }

    /// True when a probe with this number can start here: later than all before, and on time when locked.
    pub(crate) fn is_plausible(&self, epoch: Epoch, number: u64, start: AirTime) -> bool {
        match self.state {
            State::Idle => false,
            State::Open => self.confirmed.is_none_or(|confirmed| number > confirmed),
            State::Gated { next, .. } => {
                number == next
                    && self.last.is_some_and(|last| last.epoch == epoch)
                    && self.expected(next).abs_diff(start) <= self.guard
            }
        }
    }

    /// A plausible probe was heard: ends open listening. Gates for what follows are the caller's, in order of time;
    /// the one for the next probe comes from [`next_gate`](Self::next_gate). True when the probes are confirmed.
    pub(crate) fn heard(
        &mut self,
        epoch: Epoch,
        number: u64,
        start: AirTime,
        out: &mut Vec<Output>,
    ) -> bool {
        let confirmed = !matches!(self.state, State::Open);
        if confirmed {
            self.confirmed = Some(number);
        } else {
            out.push(Output::ListenUntil(start + self.turnaround));
        }
        self.last = Some(Heard { epoch, number, at: start });
        self.state = State::Gated { next: number + 1, confirmed };
        confirmed
    }

    /// The gate around the probe that is expected next.
    pub(crate) fn next_gate(&self) -> Option<Listen> {
        match self.state {
            State::Gated { next, .. } => {
                Some(Listen::around(self.expected(next), self.guard, self.probe_samples))
            }
            _ => None,
        }
    }

    /// When the probe that is expected next counts as missed.
    pub(crate) fn miss_at(&self) -> Option<AirTime> {
        self.next_gate().map(|gate| gate.last_start + 1)
    }

    /// The expected probe was missed: false when that is one too many and listening is open again.
    pub(crate) fn missed(&mut self, now: AirTime, out: &mut Vec<Output>) -> bool {
        let last = self.last.map_or(0, |last| last.number);
        match self.state {
            State::Gated { next, confirmed: true } if next - last < u64::from(self.relock) => {
                self.state = State::Gated { next: next + 1, confirmed: true };
                true
            }
            _ => {
                self.open(now, out);
                false
            }
        }
    }

    fn expected(&self, number: u64) -> AirTime {
        self.last.map_or(0, |last| last.at + (number - last.number) * self.period)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::FRAMES;
    use crate::{ForwardingConfig, Plan};

    #[test]
    fn gates_follow_the_last_probe_heard_and_open_again_after_too_many_misses() {
        let config = ForwardingConfig { relock_probes: 3, ..Default::default() };
        let plan = Plan::new(config, FRAMES).unwrap();
        let mut tracker = Tracker::new(&plan);
        let mut out = Vec::new();
        tracker.open(0, &mut out);
        let epoch = Epoch(3);
        assert!(tracker.is_plausible(epoch, 70, 1000));
        assert!(!tracker.heard(epoch, 70, 1000, &mut out));
        assert_eq!(out, [Output::Listen(Listen::open(40_000)), Output::ListenUntil(41_000)]);
        let gate = tracker.next_gate().unwrap();
        assert_eq!((gate.from, gate.last_start), (201_000 - 128, 201_000 + 128));
        assert!(tracker.is_plausible(epoch, 71, 201_100));
        assert!(
            !tracker.is_plausible(epoch, 71, 201_200) && !tracker.is_plausible(epoch, 72, 201_000)
        );
        assert!(!tracker.is_plausible(Epoch(4), 71, 201_100));
        assert!(tracker.heard(epoch, 71, 201_000, &mut out));
        assert!(tracker.missed(401_129, &mut out));
        assert_eq!(tracker.next_gate().unwrap().from, 601_000 - 128);
        assert!(tracker.missed(601_129, &mut out));
        assert!(!tracker.missed(801_129, &mut out));
        assert_eq!(out.last(), Some(&Output::Listen(Listen::open(841_129))));
        assert!(!tracker.is_plausible(epoch, 71, 900_000));
        assert!(tracker.is_plausible(epoch, 200, 900_000));
    }

    #[test]
    fn one_frame_alone_is_not_believed() {
        let plan = Plan::new(Default::default(), FRAMES).unwrap();
        let mut tracker = Tracker::new(&plan);
        let mut out = Vec::new();
        tracker.open(0, &mut out);
        assert!(!tracker.heard(Epoch(9), u64::from(u32::MAX), 1000, &mut out));
        assert!(!tracker.missed(201_129, &mut out));
        assert!(tracker.is_plausible(Epoch(0), 5, 300_000), "the forged number has no effect");
    }
}
