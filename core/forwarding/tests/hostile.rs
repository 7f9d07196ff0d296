//! Messages that an honest other end would never send: refused, counted, and without effect.

#![allow(clippy::unwrap_used, reason = "a test")]

use crqkd_bits::BitString;
use crqkd_forwarding::*;
use crqkd_keys::*;
use rand::SeedableRng;

const FRAMES: FrameLimits = FrameLimits {
    probe_samples: 3903,
    control_samples: 16_000,
    control_bytes: 400,
    cipher_bits: 1024,
};
const QAP: QapId = QapId(1);
const USER: UserId = UserId(101);
const OTHER: UserId = UserId(102);

fn plan() -> Plan {
    let config = ForwardingConfig {
        window_probes: 64,
        group_bits: 128,
        code_bits: 256,
        groups_per_block: 2,
        ..Default::default()
    };
    Plan::new(config, FRAMES).unwrap()
}

/// A station and an other end that says whatever the test wants.
struct Bench<S> {
    station: S,
    plan: Plan,
    direction: Direction,
    /// Number of the next probe.
    probe: u64,
    seq: u16,
    /// Last batch that the station sent.
    ack: u16,
    jobs: Vec<Job>,
    events: Vec<Event>,
    said: Vec<Message>,
}

impl<S: Station> Bench<S> {
    fn take(&mut self, out: Vec<Output>) -> Vec<(AirTime, TxFrame)> {
        let mut frames = Vec::new();
        for output in out {
            match output {
                Output::Job(job) => self.jobs.push(job),
                Output::Event(event) => self.events.push(event),
                Output::Transmit { at, frame } => {
                    if let Ok(control) = ControlFrame::parse(&frame.control)
                        && control.seq != self.ack
                        && control.seq != 0
                    {
                        self.ack = control.seq;
                        self.said.extend(control.messages);
                    }
                    frames.push((at, frame));
                }
                _ => {}
            }
        }
        frames
    }

    fn handle(&mut self, now: AirTime, input: Input) {
        let mut out = Vec::new();
        self.station.handle(now, input, &mut out);
        self.take(out);
    }

    fn id(&self, number: u64) -> ProbeId {
        let window = WindowId((number / 64) as u32);
        ProbeId { epoch: Epoch(0), window, index: (number % 64) as u16 }
    }

    fn frame(
        &self,
        start: AirTime,
        kind: FrameKind,
        probe: ProbeId,
        control: Option<Vec<u8>>,
    ) -> RxFrame {
        RxFrame {
            start,
            epoch: probe.epoch,
            window: probe.window,
            index: probe.index,
            direction: self.direction,
            kind,
            sender: if self.direction == Direction::Forward { QAP.0 } else { USER.0 },
            follow: true,
            more: true,
            clipped: false,
            control,
            cipher_llr: Vec::new(),
        }
    }

    fn control(&mut self, messages: Vec<Message>) -> Vec<u8> {
        self.seq += 1;
        ControlFrame { seq: self.seq, ack: self.ack, tag: vec![], messages }.emit()
    }

    fn has_said(&self, what: impl Fn(&Message) -> bool) -> bool {
        self.said.iter().any(what)
    }
}

impl Bench<User> {
    fn new() -> Self {
        let rng = Box::new(rand_chacha::ChaCha8Rng::seed_from_u64(1));
        let mut bench = Self {
            station: User::new(plan(), UserConfig { id: USER, qap: QAP }, rng),
            plan: plan(),
            direction: Direction::Forward,
            probe: 0,
            seq: 0,
            ack: 0,
            jobs: vec![],
            events: vec![],
            said: vec![],
        };
        bench.handle(0, Input::Start);
        bench.probes(3);
        bench
    }

    fn at(&self, number: u64) -> AirTime {
        100_000 + number * self.plan.period
    }

    fn probes(&mut self, count: u64) {
        for _ in 0..count {
            let at = self.at(self.probe);
            let frame = self.frame(at, FrameKind::Probe, self.id(self.probe), None);
            self.handle(at, Input::Frame(frame));
            self.probe += 1;
        }
    }

    /// The next probe and a control frame behind it.
    fn say(&mut self, messages: Vec<Message>) {
        let bytes = self.control(messages);
        self.say_bytes(bytes);
    }

    fn say_bytes(&mut self, bytes: Vec<u8>) {
        self.probes(1);
        let last = self.probe - 1;
        let at = self.at(last) + self.plan.half;
        let frame = self.frame(at, FrameKind::Control, self.id(last), Some(bytes));
        self.handle(at, Input::Frame(frame));
    }

    /// Agrees on window 0 and hands its 256 pad bits over.
    fn with_window(mut self) -> Self {
        self.probes(64 - self.probe);
        let window = WindowId(0);
        self.say(vec![Message::CloseWindow { window }]);
        let bitmap = self
            .said
            .iter()
            .find_map(|message| match message {
                Message::Bitmap { bitmap, .. } => Some(bitmap.clone()),
                _ => None,
            })
            .unwrap();
        assert_eq!(bitmap.count_ones(), 63, "the first probe is not believed at once");
        let check32 = window_check(window, &bitmap);
        self.say(vec![Message::Intersection { window, bitmap, check32 }]);
        let now = self.at(self.probe) - 1;
        let key = JobKey::Derive(window);
        self.handle(now, Input::Answer { key, answer: Answer::Derived { bits: 1008 } });
        let pair = PairId { a: OTHER, b: USER };
        self.say(vec![Message::Notify { pair, groups: 4 }]);
        self
    }

    fn ciphertext(&self, change: impl Fn(&mut CiphertextMessage)) -> Message {
        let window = WindowId(0);
        let bitmap: BitString = (0..64).map(|i| i > 0).collect();
        let mut message = CiphertextMessage {
            group: GroupId(7),
            attempt: 0,
            code: 0,
            pad: vec![PadRef { epoch: Epoch(0), window, start: 0, len: 256 }],
            check32: pad_check([window_check(window, &bitmap)]),
            bits: Some(BitString::with_len(256)),
        };
        change(&mut message);
        Message::Ciphertext(message)
    }
}

fn is_decrypt(job: &Job) -> bool {
    matches!(job, Job::Decrypt { .. })
}

#[test]
fn a_good_ciphertext_is_tried_and_answered() {
    let mut bench = Bench::<User>::new().with_window();
    bench.say(vec![bench.ciphertext(|_| ())]);
    assert!(bench.jobs.iter().any(is_decrypt));
    let now = bench.at(bench.probe) - 1;
    let answer = Answer::Decrypted { ok: true, corrected: 3 };
    bench.handle(now, Input::Answer { key: JobKey::Decrypt(GroupId(7), 0), answer });
    bench.say(vec![]);
    let ok = Reception { group: GroupId(7), attempt: 0, ok: true };
    assert!(bench.has_said(|m| *m == Message::Received { results: vec![ok] }));
}

#[test]
fn ciphertexts_that_cannot_be_are_refused_without_touching_the_pad() {
    type Change = fn(&mut CiphertextMessage);
    let changes: [(&str, Change); 9] = [
        ("unknown window", |c| c.pad[0].window = WindowId(3)),
        ("other epoch", |c| c.pad[0].epoch = Epoch(1)),
        ("short pad", |c| c.pad[0].len = 255),
        ("overflowing pad", |c| c.pad = vec![PadRef { len: u32::MAX, ..c.pad[0] }; 2]),
        ("no pad", |c| c.pad.clear()),
        ("other probes", |c| c.check32 ^= 1),
        ("unknown code", |c| c.code = 1),
        ("short ciphertext", |c| c.bits = Some(BitString::with_len(255))),
        ("no ciphertext", |c| c.bits = None),
    ];
    for (what, change) in changes {
        let mut bench = Bench::<User>::new().with_window();
        bench.say(vec![bench.ciphertext(change)]);
        bench.say(vec![]);
        assert!(!bench.jobs.iter().any(is_decrypt), "{what}");
        let refused = Reception { group: GroupId(7), attempt: 0, ok: false };
        assert!(bench.has_said(|m| *m == Message::Received { results: vec![refused] }), "{what}");
        assert_eq!(bench.station.counters().unexpected_messages, 1, "{what}");
    }
}

#[test]
fn an_intersection_that_is_not_one_is_refused() {
    let window = WindowId(0);
    let full: BitString = (0..64).map(|_| true).collect();
    let few: BitString = (0..64).map(|i| (1..9).contains(&i)).collect();
    let long: BitString = (0..65).map(|i| i > 0).collect();
    let good: BitString = (0..64).map(|i| i > 0).collect();
    for (what, bitmap, flip) in [
        ("a probe that the user does not hold", full, 0),
        ("too few probes", few, 0),
        ("wrong length", long, 0),
        ("no bits", BitString::new(), 0),
        ("wrong check", good, 1),
    ] {
        let mut bench = Bench::<User>::new();
        bench.probes(64 - bench.probe);
        bench.say(vec![Message::CloseWindow { window }]);
        let check32 = window_check(window, &bitmap) ^ flip;
        bench.say(vec![Message::Intersection { window, bitmap, check32 }]);
        bench.say(vec![]);
        assert!(bench.has_said(|m| *m == Message::WindowDropped { window }), "{what}");
        assert!(!bench.jobs.iter().any(|job| matches!(job, Job::Derive { .. })), "{what}");
    }
}

#[test]
fn a_user_ignores_what_only_users_say_and_what_strangers_say() {
    let mut bench = Bench::<User>::new().with_window();
    let relay = |from, body| Message::Relay { from, to: USER, body };
    let propose = |block, groups: &[u64]| PeerMessage::BlockPropose {
        block,
        epoch: Epoch(0),
        groups: groups.iter().copied().map(GroupId).collect(),
    };
    let before = bench.station.counters().unexpected_messages;
    let strange = vec![
        Message::Done,
        Message::Request { target: OTHER, groups: 1 },
        Message::WindowAck { window: WindowId(0), check32: 0 },
        Message::DoneAck,
        Message::Notify { pair: PairId { a: UserId(9), b: USER }, groups: 3 },
        Message::Notify { pair: PairId { a: OTHER, b: USER }, groups: u32::MAX },
        Message::Refused { target: OTHER },
        relay(UserId(9), propose(0, &[1])),
        relay(OTHER, propose(0, &[2, 1])),
        relay(OTHER, propose(0, &[])),
        relay(OTHER, propose(0, &(0..33).collect::<Vec<_>>())),
        relay(OTHER, PeerMessage::BlockSeed { block: 0, offset: 0, bytes: vec![0; 9] }),
        relay(OTHER, PeerMessage::BlockVerify { block: 0, tag: 0 }),
        relay(OTHER, PeerMessage::BlockReleased { block: 0 }),
        relay(OTHER, PeerMessage::BlockConfirm { block: 0, ok: true }),
    ];
    let count = strange.len() as u64;
    for part in strange.chunks(5) {
        bench.say(part.to_vec());
    }
    assert_eq!(bench.station.counters().unexpected_messages - before, count);
    assert!(!bench.station.finished());
    assert!(
        !bench.jobs.iter().any(|job| matches!(job, Job::Release { .. } | Job::TagBlock { .. }))
    );
}

#[test]
fn broken_control_frames_are_counted_and_answered_with_the_old_acknowledgement() {
    let mut bench = Bench::<User>::new();
    for bytes in [vec![], vec![0xff; 300], vec![0, 1, 0, 0, 0, 0, 200], vec![0; 5]] {
        bench.say_bytes(bytes);
    }
    let counters = bench.station.counters();
    assert_eq!((counters.bad_control, counters.unexpected_messages), (4, 0));
    bench.say(vec![Message::CloseWindow { window: WindowId(77) }]);
    bench.say(vec![]);
    assert!(bench.has_said(|m| *m == Message::WindowDropped { window: WindowId(77) }));
}

#[test]
fn messages_with_a_number_out_of_turn_are_not_acted_on() {
    let mut bench = Bench::<User>::new();
    bench.seq = 40;
    bench.say(vec![Message::CloseWindow { window: WindowId(77) }]);
    bench.say(vec![]);
    assert_eq!(bench.said, []);
    assert_eq!(bench.station.counters().bad_control, 2);
}

// ---- the other way: a QAP with a hostile user --------------------------------------------------------------------

impl Bench<Qap> {
    fn new() -> Self {
        let config = QapConfig {
            id: QAP,
            user: USER,
            peer: Peer { qap: QapId(2), user: OTHER },
            group_capacity: 100,
        };
        let mut bench = Self {
            station: Qap::new(plan(), config, &[]).unwrap(),
            plan: plan(),
            direction: Direction::Reverse,
            probe: 0,
            seq: 0,
            ack: 0,
            jobs: vec![],
            events: vec![],
            said: vec![],
        };
        bench.handle(0, Input::Start);
        bench.handle(100, Input::Persisted(1));
        bench
    }

    /// Lets the QAP send `count` frames and answers each; control frames with `messages`.
    fn slots(&mut self, count: usize, messages: &[Message]) {
        let mut messages = Some(messages.to_vec());
        for _ in 0..count {
            let now = self.station.next_timer().unwrap();
            let mut out = Vec::new();
            self.station.advance(now, &mut out);
            for (at, tx) in self.take(out) {
                let control = (tx.kind == FrameKind::Control)
                    .then(|| self.control(messages.take().unwrap_or_default()));
                let start = at + self.plan.turnaround + 10;
                let frame = self.frame(start, tx.kind, tx.probe, control);
                self.handle(start, Input::Frame(frame));
            }
        }
    }

    /// Tells the QAP something in the next control slot.
    fn tell(&mut self, messages: &[Message]) {
        self.slots(4, messages);
    }
}

#[test]
fn a_qap_counts_messages_that_only_qaps_send_or_that_come_out_of_turn() {
    let mut bench = Bench::<Qap>::new();
    bench.slots(2, &[]);
    let window = WindowId(0);
    let strange = [
        Message::CloseWindow { window },
        Message::Bitmap { window, bitmap: BitString::with_len(64) },
        Message::WindowAck { window, check32: 0 },
        Message::WindowDropped { window },
        Message::Received { results: vec![Reception { group: GroupId(1), attempt: 0, ok: true }] },
        Message::Relay {
            from: OTHER,
            to: USER,
            body: PeerMessage::BlockConfirm { block: 0, ok: true },
        },
        Message::Settled { released: vec![GroupId(3)], burned: vec![GroupId(5)] },
        Message::DoneAck,
    ];
    bench.tell(&strange);
    // The burned group that nobody knows is passed over in silence.
    assert_eq!(bench.station.counters().unexpected_messages, strange.len() as u64);
    assert!(!bench.station.finished());
}

#[test]
fn a_qap_refuses_requests_that_it_cannot_serve() {
    let mut bench = Bench::<Qap>::new();
    bench.slots(2, &[]);
    for (target, groups) in [(UserId(77), 1), (OTHER, 0), (OTHER, u32::MAX), (USER, 1)] {
        bench.said.clear();
        bench.tell(&[Message::Request { target, groups }]);
        bench.tell(&[]);
        assert!(bench.has_said(|m| *m == Message::Refused { target }), "{target} {groups}");
    }
}

#[test]
fn a_bitmap_of_the_wrong_length_costs_the_window_only() {
    let mut bench = Bench::<Qap>::new();
    while !bench.has_said(|m| matches!(m, Message::CloseWindow { .. })) {
        bench.slots(1, &[]);
    }
    let window = WindowId(0);
    bench.tell(&[Message::Bitmap { window, bitmap: BitString::with_len(4096) }]);
    bench.tell(&[]);
    assert!(bench.has_said(|m| *m == Message::WindowDropped { window }));
    let reason = DropReason::BadClose;
    assert!(bench.events.contains(&Event::WindowDropped { window, reason }));
}

#[test]
fn frames_that_answer_nothing_are_dropped() {
    let mut bench = Bench::<Qap>::new();
    bench.slots(3, &[]);
    let now = bench.station.next_timer().unwrap();
    let good = bench.frame(now, FrameKind::Probe, bench.id(0), None);
    let before = bench.station.counters();
    for frame in [
        good.clone(),
        RxFrame { sender: 9, ..good.clone() },
        RxFrame { direction: Direction::Forward, ..good.clone() },
        RxFrame { epoch: Epoch(5), ..good.clone() },
        RxFrame { index: u16::MAX, window: WindowId(u32::MAX), ..good },
    ] {
        bench.handle(now, Input::Frame(frame));
    }
    bench.handle(now, Input::BadFrame);
    let after = bench.station.counters();
    assert_eq!(after.frames, before.frames);
    assert_eq!(after.unknown_sender - before.unknown_sender, 2);
    assert_eq!(after.wrong_epoch - before.wrong_epoch, 1);
    assert_eq!(after.wrong_time - before.wrong_time, 2);
    assert_eq!(after.bad_header - before.bad_header, 1);
}

// ---- durable marks ---------------------------------------------------------------------------------------------

#[test]
fn nothing_is_sent_before_its_mark_is_durable() {
    let mut bench = Bench::<Qap>::new();
    bench.slots(2, &[]);
    let mut out = Vec::new();
    bench.station.handle(1_000_000, Input::GroupsReady((0..8).map(GroupId).collect()), &mut out);
    // Where the quantum key begins follows from no mark.
    let first = WireMessage::SupplyFrom { group: GroupId(0) };
    assert_eq!(out, [Output::Wire { to: QapId(2), message: first }]);
    out.clear();
    let pair = PairId { a: OTHER, b: USER };
    let wire = |message| Input::Wire { from: QapId(2), message };
    bench.station.handle(1_000_001, wire(WireMessage::Notify { pair, groups: 4 }), &mut out);
    let groups = vec![GroupId(1), GroupId(3)];
    bench.station.handle(1_000_002, wire(WireMessage::Allocate { pair, groups }), &mut out);
    assert!(!out.iter().any(|o| matches!(o, Output::Wire { .. })), "{out:?}");
    let numbers: Vec<u64> = out
        .iter()
        .filter_map(|o| match o {
            Output::Persist { number, .. } => Some(*number),
            _ => None,
        })
        .collect();
    assert_eq!(numbers.len(), 2);
    let mut out = Vec::new();
    for number in numbers {
        bench.station.handle(1_000_003, Input::Persisted(number), &mut out);
    }
    let sent: Vec<_> = out.iter().filter(|o| matches!(o, Output::Wire { .. })).collect();
    assert_eq!(sent.len(), 2, "our allocation and the answer to theirs: {sent:?}");
}

#[test]
fn a_group_that_is_not_free_or_not_the_peers_is_not_committed() {
    let mut bench = Bench::<Qap>::new();
    bench.handle(200, Input::GroupsReady((0..8).map(GroupId).collect()));
    let pair = PairId { a: OTHER, b: USER };
    let wire = |message| Input::Wire { from: QapId(2), message };
    bench.handle(300, wire(WireMessage::Notify { pair, groups: 8 }));
    for _ in 0..2 {
        // Even numbers are ours; the second time the odd one is taken.
        let groups = vec![GroupId(1), GroupId(2)];
        bench.handle(400, wire(WireMessage::Allocate { pair, groups }));
    }
    let mark = |group| bench.station.mark(GroupId(group));
    assert_eq!(mark(1), Some(Mark::Committed(pair)));
    assert_eq!(mark(2), Some(Mark::Reserved(pair)), "our own allocation, untouched");
    let stranger = PairId { a: UserId(9), b: USER };
    bench.handle(500, wire(WireMessage::Allocate { pair: stranger, groups: vec![GroupId(3)] }));
    assert_eq!(bench.station.mark(GroupId(3)), Some(Mark::Free));
}

#[test]
fn a_restarted_qap_begins_a_new_epoch_and_burns_what_was_on_its_way() {
    let pair = PairId { a: OTHER, b: USER };
    let mark = |group, mark| Record::Mark { group: GroupId(group), mark };
    let history = [
        Record::Epoch { epoch: Epoch(4) },
        mark(0, Mark::Reserved(pair)),
        mark(2, Mark::Reserved(pair)),
        mark(2, Mark::Committed(pair)),
        mark(4, Mark::Burned),
    ];
    let config = QapConfig {
        id: QAP,
        user: USER,
        peer: Peer { qap: QapId(2), user: OTHER },
        group_capacity: 100,
    };
    let mut qap = Qap::new(plan(), config, &history).unwrap();
    assert_eq!(qap.epoch(), Epoch(5));
    let mut out = Vec::new();
    qap.handle(0, Input::Start, &mut out);
    // Nothing goes on the air before the epoch is durable.
    assert!(matches!(&out[..], [Output::Persist { records, .. }] if records.len() == 3), "{out:?}");
    assert_eq!(qap.group_counts().burned, 3);
    qap.handle(10, Input::GroupsReady(vec![GroupId(0), GroupId(2), GroupId(6)]), &mut out);
    assert_eq!(qap.group_counts().free, 1, "old numbers stay closed");
}
