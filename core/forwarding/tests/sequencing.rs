//! The sequencer on its own, with a station that writes down what happens to it.

#![allow(clippy::unwrap_used, reason = "a test")]

use crqkd_forwarding::*;
use crqkd_keys::*;
use proptest::prelude::*;

const FRAMES: FrameLimits = FrameLimits {
    probe_samples: 3903,
    control_samples: 16_000,
    control_bytes: 400,
    cipher_bits: 0,
};

/// Listens all the time, hands out one job per frame, and has a timer every 1 ms.
#[derive(Debug, Default)]
struct Diary {
    lines: Vec<(AirTime, String)>,
    timer: Option<AirTime>,
}

impl Station for Diary {
    fn handle(&mut self, now: AirTime, input: Input, out: &mut Vec<Output>) {
        let line = match input {
            Input::Start => {
                self.timer = Some(now);
                out.push(Output::Listen(Listen::open(now + 40_000)));
                "start".to_string()
            }
            Input::Frame(frame) => {
                let window = WindowId(frame.start as u32);
                out.push(Output::Job(Job::Derive { epoch: Epoch(0), window, kept: vec![] }));
                format!("frame {}", frame.index)
            }
            Input::Wire { message: WireMessage::Notify { groups, .. }, .. } => {
                format!("wire {groups}")
            }
            Input::Answer { key, .. } => format!("{key:?}"),
            Input::Request { groups, .. } => format!("request {groups}"),
            other => format!("{other:?}"),
        };
        self.lines.push((now, line));
    }
    fn next_timer(&self) -> Option<AirTime> {
        self.timer.filter(|at| *at < 2_000_000)
    }
    fn advance(&mut self, now: AirTime, _: &mut Vec<Output>) {
        self.lines.push((now, "timer".to_string()));
        self.timer = Some(now + 20_000);
    }
    fn promise(&self, progress: AirTime) -> AirTime {
        progress.saturating_add(40_000)
    }
    fn finished(&self) -> bool {
        false
    }
}

fn frame(start: AirTime, index: u16) -> RxFrame {
    RxFrame {
        start,
        epoch: Epoch(0),
        window: WindowId(0),
        index,
        direction: Direction::Forward,
        kind: FrameKind::Probe,
        sender: 0,
        follow: false,
        more: false,
        clipped: false,
        control: None,
        cipher_llr: vec![],
    }
}

fn notify(groups: u32) -> WireMessage {
    WireMessage::Notify { pair: PairId { a: UserId(1), b: UserId(2) }, groups }
}

fn sequencer() -> Sequencer<Diary> {
    let plan = Plan::new(Default::default(), FRAMES).unwrap();
    Sequencer::new(Diary::default(), &plan, &[QapId(7)], 0)
}

#[test]
fn it_waits_for_every_source_and_for_answers() {
    let mut s = sequencer();
    let mut actions = Vec::new();
    assert_eq!(s.step(&mut actions).handled, 0);
    assert_eq!(s.waiting_for(), WaitingFor::Wire(QapId(7)));
    s.wire_horizon(QapId(7), 10_000_000).unwrap();
    assert_eq!(s.step(&mut actions).handled, 40_000, "nothing can be heard before the gate opens");
    assert_eq!(s.waiting_for(), WaitingFor::Radio);
    s.frame(frame(50_000, 1)).unwrap();
    s.radio_progress(500_000);
    let promise = s.step(&mut actions);
    // The job of the frame at 50 000 is due 5 ms later.
    assert_eq!((promise.handled, promise.transmit, promise.listen), (150_000, 190_000, 190_000));
    assert_eq!(promise.wire, 150_000 + 100_000);
    let Some(Action::Job { ticket, .. }) = actions.pop() else { panic!("{actions:?}") };
    assert_eq!(s.waiting_for(), WaitingFor::Answer(ticket));
    assert!(s.persisted(ticket).is_err(), "it is a job, not a record");
    s.answer(ticket, Answer::Derived { bits: 1 }).unwrap();
    assert!(s.answer(ticket, Answer::Derived { bits: 1 }).is_err(), "answered once");
    assert_eq!(s.step(&mut actions).handled, 500_000);
    assert!(s.station().lines.contains(&(150_000, "Derive(WindowId(50000))".to_string())));
}

#[test]
fn what_comes_after_its_time_is_an_error_of_the_shell() {
    let mut s = sequencer();
    s.wire_horizon(QapId(7), 300_000).unwrap();
    s.radio_progress(200_000);
    assert_eq!(s.step(&mut Vec::new()).handled, 200_000);
    assert_eq!(
        s.frame(frame(199_999, 0)),
        Err(SequencerError::Late { at: 199_999, handled: 200_000 })
    );
    assert!(s.wire(QapId(7), 199_999, notify(1)).is_err());
    assert_eq!(s.wire(QapId(8), 400_000, notify(1)), Err(SequencerError::UnknownWire(QapId(8))));
    assert_eq!(s.local(5, Input::Request { target: UserId(1), groups: 1 }), Ok(200_000));
    s.local_horizon(250_000);
    s.radio_progress(280_000);
    assert_eq!(s.step(&mut Vec::new()).handled, 250_000);
    assert_eq!(s.waiting_for(), WaitingFor::Local);
}

#[test]
fn a_frame_outside_the_gates_is_ignored() {
    let mut s = sequencer();
    s.wire_horizon(QapId(7), AirTime::MAX).unwrap();
    s.frame(frame(30_000, 0)).unwrap();
    s.radio_progress(60_000);
    s.step(&mut Vec::new());
    assert_eq!(s.ignored_frames(), 1);
    assert!(!s.station().lines.iter().any(|(_, line)| line.starts_with("frame")));
}

proptest! {
    /// Frames, messages, requests and answers in any order of arrival give the same diary, in order of air time.
    #[test]
    fn the_order_of_arrival_does_not_matter(
        frames in prop::collection::btree_set(40_000u64..1_900_000, 0..20),
        wires in prop::collection::btree_set(1u64..1_900_000, 0..10),
        requests in prop::collection::btree_set(1u64..1_900_000, 0..5),
        choices in prop::collection::vec(any::<u8>(), 400),
    ) {
        let run = |choices: &[u8]| {
            let mut s = sequencer();
            s.local_horizon(0);
            let mut choices = choices.iter().copied();
            let (mut f, mut w, mut r) =
                (frames.iter().peekable(), wires.iter().peekable(), requests.iter().peekable());
            let mut tickets = Vec::new();
            let mut last = s.promise();
            loop {
                match choices.next().map_or(4, |c| c % 4) {
                    0 => match f.next() {
                        Some(at) => { s.radio_progress(*at); s.frame(frame(*at, 0)).unwrap(); }
                        None => s.radio_progress(AirTime::MAX),
                    },
                    1 => match w.next() {
                        Some(at) => {
                            s.wire_horizon(QapId(7), *at).unwrap();
                            s.wire(QapId(7), *at, notify(1)).unwrap();
                        }
                        None => s.wire_horizon(QapId(7), AirTime::MAX).unwrap(),
                    },
                    2 => match r.next() {
                        Some(at) => {
                            s.local_horizon(*at);
                            s.local(*at, Input::Request { target: UserId(1), groups: 1 }).unwrap();
                        }
                        None => s.local_horizon(AirTime::MAX),
                    },
                    3 => if let Some(ticket) = tickets.pop() {
                        s.answer(ticket, Answer::Derived { bits: 1 }).unwrap();
                    },
                    _ => {
                        // Everything that is left.
                        for at in f.by_ref() { s.frame(frame(*at, 0)).unwrap(); }
                        for at in w.by_ref() { s.wire(QapId(7), *at, notify(1)).unwrap(); }
                        for at in r.by_ref() {
                            s.local(*at, Input::Request { target: UserId(1), groups: 1 }).unwrap();
                        }
                        s.radio_progress(2_000_000);
                        s.wire_horizon(QapId(7), AirTime::MAX).unwrap();
                        s.local_horizon(AirTime::MAX);
                        for ticket in tickets.drain(..) {
                            s.answer(ticket, Answer::Derived { bits: 1 }).unwrap();
                        }
                    }
                }
                let mut actions = Vec::new();
                let promise = s.step(&mut actions);
                assert!(promise.handled >= last.handled && promise.transmit >= last.transmit);
                assert!(promise.wire >= last.wire && promise.listen >= last.listen);
                last = promise;
                tickets.extend(actions.into_iter().filter_map(|action| match action {
                    Action::Job { ticket, .. } => Some(ticket),
                    _ => None,
                }));
                if promise.handled >= 1_990_000 && tickets.is_empty() {
                    return s.station().lines.clone();
                }
            }
        };
        let (mixed, at_once) = (run(&choices), run(&[]));
        prop_assert!(mixed.windows(2).all(|pair| pair[0].0 <= pair[1].0));
        let until = |lines: Vec<(AirTime, String)>| {
            lines.into_iter().filter(|(at, _)| *at < 1_990_000).collect::<Vec<_>>()
        };
        prop_assert_eq!(until(mixed), until(at_once));
    }
}
