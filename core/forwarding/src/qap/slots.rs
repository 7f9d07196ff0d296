//! Probe and control slots on the air, and the user's answers in them.

use crqkd_bits::BitString;
use crqkd_keys::ProbeId;

use super::Qap;
use crate::{AirTime, Direction, Ending, Event, FrameKind, Listen, Output, RxFrame, TxFrame};

/// The answer that the user owes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    kind: FrameKind,
    probe: ProbeId,
    at: AirTime,
}

impl Qap {
    pub(super) fn transmit(&mut self, now: AirTime, out: &mut Vec<Output>) {
        match self.slot {
            FrameKind::Probe => self.transmit_probe(now, out),
            FrameKind::Control => self.transmit_control(out),
        }
    }

    fn transmit_probe(&mut self, now: AirTime, out: &mut Vec<Output>) {
        let probes = u64::from(self.plan.config.window_probes);
        if self.probe > 0 && self.probe.is_multiple_of(probes) {
            self.close_window(self.probe_id(self.probe - 1).window, out);
        }
        if let Some(ending) = self.silence(now) {
            self.finish(ending, out);
            return;
        }
        let follow = self.arq.is_pending() || self.user_has_more;
        self.send(FrameKind::Probe, follow, Vec::new(), None, out);
        if follow {
            self.slot = FrameKind::Control;
            self.next_at += self.plan.half;
        } else {
            self.next_probe(self.plan.period);
        }
    }

    fn transmit_control(&mut self, out: &mut Vec<Output>) {
        let (control, cipher) = self.arq.compose();
        self.send(FrameKind::Control, false, control, cipher, out);
        self.next_probe(self.plan.period - self.plan.half);
    }

    fn next_probe(&mut self, after: AirTime) {
        self.slot = FrameKind::Probe;
        self.probe += 1;
        self.next_at += after;
    }

    fn send(
        &mut self,
        kind: FrameKind,
        follow: bool,
        control: Vec<u8>,
        cipher: Option<BitString>,
        out: &mut Vec<Output>,
    ) {
        let probe = self.probe_id(self.probe);
        let at = self.next_at;
        let sender = self.config.id.0;
        let direction = Direction::Forward;
        let frame =
            TxFrame { kind, direction, probe, sender, follow, more: false, control, cipher };
        out.push(Output::Transmit { at, frame });
        let samples = match kind {
            FrameKind::Probe => self.plan.frames.probe_samples,
            FrameKind::Control => self.plan.frames.control_samples,
        };
        let answer_at = at + self.plan.turnaround;
        out.push(Output::Listen(Listen::around(answer_at, self.plan.guard, samples)));
        self.expected = Some(Expected { kind, probe, at: answer_at });
    }

    /// How the run ends when the user has been silent for too long.
    fn silence(&self, now: AirTime) -> Option<Ending> {
        let silent = now.saturating_sub(self.last_heard?) / self.plan.period;
        if self.user_done && silent > u64::from(self.plan.config.silence_probes) {
            Some(Ending::Done)
        } else if silent > u64::from(self.plan.config.lost_probes) {
            Some(Ending::LinkLost)
        } else {
            None
        }
    }

    pub(super) fn frame(&mut self, now: AirTime, frame: RxFrame, out: &mut Vec<Output>) {
        if frame.direction != Direction::Reverse || frame.sender != self.config.user.0 {
            self.counters.unknown_sender += 1;
            return;
        }
        if frame.epoch != self.epoch {
            self.counters.wrong_epoch += 1;
            return;
        }
        let fits = |e: &Expected| {
            e.kind == frame.kind
                && e.probe == frame.probe()
                && e.at.abs_diff(frame.start) <= self.plan.guard
        };
        if !self.expected.as_ref().is_some_and(fits) {
            self.counters.wrong_time += 1;
            return;
        }
        self.expected = None;
        self.counters.frames += 1;
        if self.last_heard.replace(now).is_none() {
            out.push(Output::Event(Event::Contact));
        }
        self.user_has_more = frame.more;
        match frame.kind {
            FrameKind::Probe => {
                let probe = frame.probe();
                if !frame.clipped && self.windows.hold(probe) {
                    let (start, direction) = (frame.start, frame.direction);
                    out.push(Output::Keep { start, probe, direction });
                }
            }
            FrameKind::Control => self.control(frame.control.as_deref(), out),
        }
    }
}
