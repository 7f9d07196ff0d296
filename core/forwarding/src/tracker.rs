//! [`Tracker`]: when a listener expects its QAP's next probe.

use crqkd_keys::ProbeId;

use crate::{Air, Listen, Output, Plan};

/// Follows a QAP's probes: listens all the time until the first one, then in gates around those to come, and all the
/// time again after too many were missed.
#[derive(Debug)]
pub(crate) struct Tracker {
    period: Air,
    guard: Air,
    turnaround: Air,
    window_probes: u64,
    relock: u32,
    probe_samples: u64,
    state: State,
    /// Number and air time of the last probe heard. Numbers never go back.
    last: Option<(u64, Air)>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Idle,
    Open,
    /// Waiting in a gate for the probe with this number.
    Gated {
        next: u64,
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
        }
    }

    /// Begins to listen all the time.
    pub(crate) fn open(&mut self, now: Air, out: &mut Vec<Output>) {
        self.state = State::Open;
        out.push(Output::Listen(Listen::open(now + self.turnaround)));
    }

    /// Running number of a probe; `None` when its index is beyond the window.
    pub(crate) fn number(&self, probe: ProbeId) -> Option<u64> {
        (u64::from(probe.index) < self.window_probes)
            .then(|| u64::from(probe.window.0) * self.window_probes + u64::from(probe.index))
    }

    /// True when a probe with this number can start here: later than the last one, and on time when locked.
    pub(crate) fn is_plausible(&self, number: u64, start: Air) -> bool {
        match (self.last, self.state) {
            (None, State::Open) => true,
            (Some((last, _)), State::Open) => number > last,
            (_, State::Gated { next }) => {
                number == next && self.expected(next).abs_diff(start) <= self.guard
            }
            _ => false,
        }
    }

    /// A probe was heard: ends open listening. Gates for what follows are the caller's, in order of time; the one for
    /// the next probe comes from [`next_gate`](Self::next_gate).
    pub(crate) fn heard(&mut self, number: u64, start: Air, out: &mut Vec<Output>) {
        if matches!(self.state, State::Open) {
            out.push(Output::ListenUntil(start + self.turnaround));
        }
        self.last = Some((number, start));
        self.state = State::Gated { next: number + 1 };
    }

    /// The gate around the probe that is expected next.
    pub(crate) fn next_gate(&self) -> Option<Listen> {
        match self.state {
            State::Gated { next } => {
                Some(Listen::around(self.expected(next), self.guard, self.probe_samples))
            }
            _ => None,
        }
    }

    /// When the probe that is expected next counts as missed.
    pub(crate) fn miss_at(&self) -> Option<Air> {
        self.next_gate().map(|gate| gate.last_start + 1)
    }

    /// The expected probe was missed: false when that is one too many and listening is open again.
    pub(crate) fn missed(&mut self, now: Air, out: &mut Vec<Output>) -> bool {
        let (last, _) = self.last.unwrap_or_default();
        match self.state {
            State::Gated { next } if next - last < u64::from(self.relock) => {
                self.state = State::Gated { next: next + 1 };
                true
            }
            _ => {
                self.open(now, out);
                false
            }
        }
    }

    fn expected(&self, number: u64) -> Air {
        let (last, at) = self.last.unwrap_or_default();
        at + (number - last) * self.period
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
        assert!(tracker.is_plausible(70, 1000));
        tracker.heard(70, 1000, &mut out);
        assert_eq!(out, [Output::Listen(Listen::open(40_000)), Output::ListenUntil(41_000)]);
        let gate = tracker.next_gate().unwrap();
        assert_eq!((gate.from, gate.last_start), (201_000 - 128, 201_000 + 128));
        assert!(tracker.is_plausible(71, 201_100) && !tracker.is_plausible(71, 201_200));
        assert!(!tracker.is_plausible(72, 201_000) && !tracker.is_plausible(70, 201_000));
        assert!(tracker.missed(201_129, &mut out));
        assert_eq!(tracker.next_gate().unwrap().from, 401_000 - 128);
        assert!(tracker.missed(401_129, &mut out));
        assert!(!tracker.missed(601_129, &mut out));
        assert_eq!(out.last(), Some(&Output::Listen(Listen::open(641_129))));
        assert!(!tracker.is_plausible(70, 700_000) && tracker.is_plausible(200, 700_000));
    }
}
