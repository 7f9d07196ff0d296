//! Faults in the course of a stream: samples that are lost, come twice or under a wrong time, and bursts that leave late.

use super::{Fault, FaultKind};
use crate::SAMPLE_RATE_HZ;
use crate::clock::Clock;
use num_complex::Complex32;
use std::collections::VecDeque;

/// A device finds its time again after so many samples, or at the end of a stretch.
pub const RESYNC: u64 = 65_536;
/// A device that loses samples tells the time so often.
const TELL: u64 = 1_000;

/// A piece of what a radio delivers.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// The time that the device gives to the first sample.
    pub time: u64,
    /// Received samples, one after the other.
    pub samples: Vec<Complex32>,
    /// The radio does not listen after them.
    pub last: bool,
}

/// What becomes of a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sending {
    /// When it leaves; `None` when it does not.
    pub at: Option<u64>,
    /// When it leaves once more.
    pub again: Option<u64>,
}

/// All faults of one radio, and where they are in its stream.
#[derive(Clone, Debug)]
pub struct Faults {
    list: Vec<Fault>,
    clock: Option<Clock>,
    full_scale: f32,
    /// Which of the faults that edit the stream is at work.
    edit: Option<Edit>,
    /// The latest samples of the stretch, for those that come twice.
    history: VecDeque<Complex32>,
    /// Samples of history that are needed.
    memory: usize,
    /// Air time of the sample that follows.
    next: Option<u64>,
    bursts: u64,
}

/// A fault that is changing the stream at present.
#[derive(Clone, Debug)]
enum Edit {
    /// Nothing is delivered before this.
    Lose { until: u64 },
    /// Samples come so many too early, until then.
    Early { by: u64, until: u64 },
    /// Samples wait here for their turn, until then.
    Delay { line: VecDeque<Complex32>, until: u64 },
}

impl Faults {
    /// `full_scale`: where the converter clips.
    pub fn new(list: Vec<Fault>, full_scale: f64) -> Self {
        let clock = list.iter().find_map(|fault| match fault.kind {
            FaultKind::Clock(ppm) => Some(Clock::new(ppm, fault.from, fault.to)),
            _ => None,
        });
        let memory = list.iter().map(|fault| match fault.kind {
            FaultKind::Duplicate(n) | FaultKind::Repeat(n) => n as usize,
            _ => 0,
        });
        Faults {
            memory: memory.max().unwrap_or(0),
            list,
            clock,
            full_scale: full_scale as f32,
            edit: None,
            history: VecDeque::new(),
            next: None,
            bursts: 0,
        }
    }

    /// Whether the list of faults is empty.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The radio's clock, when it is wrong.
    pub fn clock(&self) -> Option<Clock> {
        self.clock
    }

    /// When a burst that is due at `at` and `len` samples long really leaves.
    pub fn send(&mut self, at: u64, len: u64) -> Sending {
        let mut sending = Sending { at: Some(at), again: None };
        self.bursts += 1;
        for fault in self.list.iter().filter(|fault| fault.holds(at)) {
            match fault.kind {
                FaultKind::Late(by) => sending.at = sending.at.map(|at| at + by),
                FaultKind::Miss(every) if shuffled(self.bursts).is_multiple_of(every) => {
                    sending.at = None;
                }
                FaultKind::Twice(after) => sending.again = Some(at + len + after),
                FaultKind::Stall(s) if at < fault.from + seconds(s) => sending.at = None,
                _ => {}
            }
        }
        sending
    }

    /// What the device makes of received samples. They come in order of time; any split of a stretch gives the same.
    pub fn receive(&mut self, time: u64, last: bool, samples: &[Complex32], out: &mut Vec<Piece>) {
        let mut samples = samples.to_vec();
        for fault in &self.list {
            fault.distort(time, &mut samples, self.full_scale);
        }
        if self.next != Some(time) {
            self.edit = self.lost_since(time);
            self.history.clear();
        }
        let before = out.len();
        let (mut at, mut heard) = (0, false);
        while at < samples.len() {
            let now = time + at as u64;
            self.events(now, out);
            let end = self.steady_until(now).min(time + samples.len() as u64);
            let len = (end - now) as usize;
            heard = self.deliver(now, &samples[at..at + len], out);
            at += len;
        }
        self.next = (!last).then_some(time + samples.len() as u64);
        if last && !heard && !samples.is_empty() {
            // The end of the stretch must be told even when its last samples are lost: by one of nothing.
            let time = time + samples.len() as u64 - 1;
            out.truncate(out.len() - usize::from(out.last().is_some_and(|p| p.time == time)));
            out.push(Piece { time, samples: vec![Complex32::ZERO], last });
        } else if let Some(piece) = out[before..].last_mut() {
            piece.last = last;
        }
        if let Some(clock) = self.clock {
            let pieces = out.split_off(before);
            pieces.into_iter().for_each(|piece| on_clock(&clock, piece, out));
        }
    }

    /// Samples are lost at the begin of a stretch by an event before it. (A device that slips has its time again.)
    fn lost_since(&self, time: u64) -> Option<Edit> {
        let until = self.list.iter().filter_map(|fault| {
            let n = match fault.kind {
                FaultKind::Drop(n) | FaultKind::Slip(n) => n,
                _ => return None,
            };
            let period = fault.kind.period();
            let last = time.min(fault.to - 1).checked_sub(fault.from)? / period;
            let until = fault.from + last * period + n;
            (until > time && until - n < time).then_some(until)
        });
        until.max().map(|until| Edit::Lose { until })
    }

    /// Begins and ends what is due at `now`.
    fn events(&mut self, now: u64, out: &mut Vec<Piece>) {
        let over = match &self.edit {
            None => true,
            Some(Edit::Lose { until } | Edit::Early { until, .. } | Edit::Delay { until, .. }) => {
                *until <= now
            }
        };
        if !over {
            return;
        }
        self.edit = None;
        for fault in self.list.iter().filter(|fault| fault.kind.edits()) {
            let due = match fault.kind {
                FaultKind::Stall(_) => fault.from <= now && now < fault.to,
                _ => fault.next_event(now) == Some(now),
            };
            self.edit = match fault.kind {
                FaultKind::Stall(s) if due && now < fault.from + seconds(s) => {
                    Some(Edit::Lose { until: fault.from + seconds(s) })
                }
                FaultKind::Drop(n) if due => Some(Edit::Lose { until: now + n }),
                FaultKind::Slip(n) if due => Some(Edit::Early { by: n, until: now + n + RESYNC }),
                FaultKind::Duplicate(n) if due => {
                    let skip = self.history.len().saturating_sub(n as usize);
                    let line = self.history.iter().skip(skip).copied().collect();
                    Some(Edit::Delay { line, until: now + RESYNC })
                }
                FaultKind::Repeat(n) if due => {
                    let n = self.history.len().min(n as usize);
                    let samples: Vec<_> =
                        self.history.iter().skip(self.history.len() - n).copied().collect();
                    if n > 0 {
                        out.push(Piece { time: now - n as u64, samples, last: false });
                    }
                    None
                }
                _ => continue,
            };
            if self.edit.is_some() {
                return;
            }
        }
    }

    /// Nothing begins or ends before this, after `now`.
    fn steady_until(&self, now: u64) -> u64 {
        let edge = match &self.edit {
            Some(Edit::Early { until, .. }) if now < until - RESYNC => Some(until - RESYNC),
            Some(Edit::Lose { until } | Edit::Early { until, .. } | Edit::Delay { until, .. }) => {
                Some(*until)
            }
            None => None,
        };
        if let Some(edge) = edge {
            return edge;
        }
        let events = self.list.iter().filter(|fault| fault.kind.edits());
        let next = events.filter_map(|fault| match fault.kind {
            FaultKind::Stall(_) => (fault.from > now).then_some(fault.from),
            _ => fault.next_event(now + 1),
        });
        next.min().unwrap_or(u64::MAX)
    }

    /// `false` when the samples are lost.
    fn deliver(&mut self, now: u64, samples: &[Complex32], out: &mut Vec<Piece>) -> bool {
        self.history.extend(samples);
        let surplus = self.history.len().saturating_sub(self.memory);
        self.history.drain(..surplus);
        let (time, samples) = match &mut self.edit {
            None => (now, samples.to_vec()),
            Some(Edit::Lose { .. }) => return tell_time(now, samples.len(), out),
            Some(Edit::Early { until, .. }) if now < *until - RESYNC => {
                return tell_time(now, samples.len(), out);
            }
            Some(Edit::Early { by, .. }) => (now - *by, samples.to_vec()),
            Some(Edit::Delay { line, .. }) => {
                line.extend(samples);
                (now, line.drain(..samples.len()).collect())
            }
        };
        out.push(Piece { time, samples, last: false });
        true
    }
}

/// Lost samples: one of nothing at every [`TELL`], so that the host knows the time and the lock step goes on.
fn tell_time(time: u64, len: usize, out: &mut Vec<Piece>) -> bool {
    let end = time + len as u64;
    let mut at = time.next_multiple_of(TELL);
    while at < end {
        out.push(Piece { time: at, samples: vec![Complex32::ZERO], last: false });
        at += TELL;
    }
    false
}

/// A piece under the times of the radio's clock: a sample without a time of its own is lost, and one with two comes
/// twice.
fn on_clock(clock: &Clock, piece: Piece, out: &mut Vec<Piece>) {
    let mut samples = Vec::with_capacity(piece.samples.len() + 8);
    // Behind the sample before, wherever the stretch was cut.
    let begin = clock.local(piece.time.saturating_sub(1)) + u64::from(piece.time > 0);
    for (i, sample) in piece.samples.iter().enumerate() {
        let have = begin + samples.len() as u64;
        let local = clock.local(piece.time + i as u64);
        for _ in have..=local {
            samples.push(*sample);
        }
    }
    if piece.last && samples.is_empty() {
        samples.push(Complex32::ZERO);
    }
    if !samples.is_empty() {
        out.push(Piece { time: begin, samples, last: piece.last });
    }
}

/// A number without order, so that no kind of burst is missed again and again.
fn shuffled(number: u64) -> u64 {
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40
}

fn seconds(s: f64) -> u64 {
    (s * SAMPLE_RATE_HZ).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Fault {
        text.parse().unwrap()
    }

    /// Samples that name their air time.
    fn ramp(time: u64, len: usize) -> Vec<Complex32> {
        (0..len).map(|i| Complex32::new((time + i as u64) as f32, 1.0)).collect()
    }

    /// (time given, air time inside) of every sample delivered, from stretches cut into pieces of `cut`.
    fn delivered(faults: &str, stretches: &[(u64, usize)], cut: usize) -> (Vec<(u64, u64)>, usize) {
        let mut faults = Faults::new(vec![fault(faults)], 1e9);
        let mut out = Vec::new();
        for &(time, len) in stretches {
            for at in (0..len).step_by(cut) {
                let n = cut.min(len - at);
                let time = time + at as u64;
                faults.receive(time, at + n == len, &ramp(time, n), &mut out);
            }
        }
        let ends = out.iter().filter(|piece| piece.last).count();
        let seen = out.iter().flat_map(|piece| {
            let numbered = piece.samples.iter().enumerate();
            // What only tells the time has no imaginary part.
            let real = numbered.filter(|(_, s)| s.im == 1.0);
            real.map(|(i, s)| (piece.time + i as u64, s.re as u64))
        });
        (seen.collect(), ends)
    }

    #[test]
    fn lost_samples_leave_a_gap_or_shift_what_follows_until_the_device_finds_its_time() {
        let stretch = [(0, 400_000)];
        let (seen, ends) = delivered("drop=5@0.0005..0.001", &stretch, 400_000);
        assert_eq!((seen.len(), ends), (399_995, 1));
        assert!(seen.iter().all(|(time, air)| time == air));
        assert!(!seen.iter().any(|(time, _)| (10_000..10_005).contains(time)));
        let (seen, _) = delivered("slip=5@0.0005..0.001", &stretch, 400_000);
        assert_eq!(seen[10_000], (10_000, 10_005));
        let (until, _) = *seen.iter().rfind(|(time, air)| time != air).unwrap();
        assert_eq!(until, 10_000 + RESYNC - 1);
        let (seen, _) = delivered("duplicate=5@0.0005..0.001", &stretch, 400_000);
        assert_eq!(seen[9_999..10_002], [(9_999, 9_999), (10_000, 9_995), (10_001, 9_996)]);
        assert_eq!(seen.len(), 400_000);
        let (seen, _) = delivered("repeat=5@0.0005..0.001", &stretch, 400_000);
        assert_eq!(seen[9_999..10_002], [(9_999, 9_999), (9_995, 9_995), (9_996, 9_996)]);
        let (seen, ends) = delivered("stall=0.019@0.0005..1", &stretch, 400_000);
        assert_eq!((seen.len(), ends), (20_000, 1));
    }

    #[test]
    fn what_is_lost_between_stretches_is_lost_at_the_begin_of_the_next() {
        // Events at 10 000 and 110 001, the second before a stretch.
        for kind in ["drop", "slip"] {
            let text = format!("{kind}=50000@0.0005..0.01");
            let (seen, ends) = delivered(&text, &[(0, 9_000), (120_000, 60_000)], 7_000);
            assert_eq!((seen.len(), ends), (9_000 + 60_000 - 40_001, 2), "{kind}");
            assert_eq!(seen[9_000], (160_001, 160_001), "{kind}");
        }
    }

    #[test]
    fn a_stretch_that_ends_in_a_gap_still_ends() {
        let (seen, ends) =
            delivered("drop=50000@0.001..0.002", &[(0, 30_000), (90_000, 10)], 7_000);
        assert_eq!(ends, 2);
        assert_eq!(seen.len(), 20_010);
    }

    #[test]
    fn no_fault_depends_on_how_a_stretch_is_cut() {
        let stretches = [(100, 150_000), (200_000, 90_000), (400_000, 300_000)];
        for text in [
            "drop=999@0..0.03",
            "slip=40000@0..0.03",
            "duplicate=300@0.001..0.03",
            "repeat=70@0.001..0.03",
            "stall=0.011@0.001..0.03",
            "clock=20@0..0.02",
            "clock=-20@0..1",
        ] {
            let whole = delivered(text, &stretches, 1 << 20);
            for cut in [977, 10_000, 65_536] {
                assert!(delivered(text, &stretches, cut) == whole, "{text} in pieces of {cut}");
            }
        }
        for text in ["burst=20@0..1", "tone=10@0..1", "cfo=50000@0..1", "iq=1@0.0002..1"] {
            let run = |cut: usize| {
                let mut samples = ramp(0, 30_000);
                for (i, part) in samples.chunks_mut(cut).enumerate() {
                    fault(text).distort((i * cut) as u64, part, 8.0);
                }
                samples
            };
            assert!(run(30_000) == run(777), "{text}");
        }
    }

    #[test]
    fn bursts_are_late_missing_or_sent_again() {
        let send = |text: &str, at: u64| Faults::new(vec![fault(text)], 8.0).send(at, 100);
        let usual = Sending { at: Some(25_000), again: None };
        assert_eq!(send("late=7@0.001..0.002", 25_000), Sending { at: Some(25_007), ..usual });
        assert_eq!(send("miss=1@0.001..0.002", 25_000), Sending { at: None, ..usual });
        assert_eq!(send("twice=9@0.001..0.002", 25_000), Sending { again: Some(25_109), ..usual });
        assert_eq!(send("stall=0.0005@0.001..0.002", 25_000), Sending { at: None, ..usual });
        assert_eq!(send("stall=0.0001@0.001..0.002", 25_000), usual);
        assert_eq!(send("late=7@0.001..0.0012", 25_000), usual);
    }
}
