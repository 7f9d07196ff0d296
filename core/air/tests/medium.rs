//! The lock step of the virtual air under scripted and random use.

use crqkd_air::medium::{AirTime, LEASH, Medium, MediumError, Promises, RadioId, RadioKind, Step};
use num_complex::Complex32;
use proptest::prelude::*;
use std::sync::Arc;

fn burst(len: usize) -> Arc<[Complex32]> {
    vec![Complex32::ONE; len].into()
}

fn pair() -> (Medium<u32>, RadioId, RadioId) {
    let mut medium = Medium::new(64);
    let a = medium.join(0, RadioKind::Transceiver);
    let b = medium.join(0, RadioKind::Transceiver);
    (medium, a, b)
}

fn all(air: AirTime) -> Promises {
    Promises { transmit: air, wire: air, listen: air }
}

/// (from, to, it is the last of the gate, starts of the bursts)
fn received<W>(step: Step<W>) -> (AirTime, AirTime, bool, Vec<AirTime>) {
    let Step::Receive { from, to, last, bursts } = step else { unreachable!("not a reception") };
    (from, to, last, bursts.iter().map(|b| b.start).collect())
}

#[test]
fn a_gate_is_received_once_the_other_has_promised() {
    let (mut m, a, b) = pair();
    m.listen(b, 100, 300).unwrap();
    m.listen(b, 5_000, 5_001).unwrap();
    assert_eq!(m.step(b, 1_000), Step::Wait);
    m.transmit(a, 150, burst(10)).unwrap();
    assert_eq!(m.step(b, 1_000), Step::Wait, "a burst alone promises nothing");
    m.promise(a, all(250));
    assert_eq!(received(m.step(b, 100)), (100, 200, false, vec![150]));
    assert_eq!(received(m.step(b, 100)), (200, 250, false, vec![150]), "its echo");
    assert_eq!(m.step(b, 1_000), Step::Wait);
    m.promise(a, all(2_000));
    assert_eq!(received(m.step(b, 100)), (250, 300, true, vec![]));
    assert_eq!(m.step(b, 1_000), Step::Wait);
    m.promise(a, all(9_000));
    assert_eq!(received(m.step(b, 100)), (5_000, 5_001, true, vec![]));
    assert_eq!(m.step(b, 1_000), Step::Wait);
}

#[test]
fn an_echo_is_heard_after_the_end_of_its_burst() {
    let (mut m, a, b) = pair();
    m.transmit(a, 100, burst(10)).unwrap();
    m.listen(b, 173, 180).unwrap();
    m.promise(a, all(1_000));
    assert_eq!(received(m.step(b, 1)), (173, 174, false, vec![100]));
    assert_eq!(received(m.step(b, 1)), (174, 175, false, vec![]));
}

#[test]
fn what_comes_after_a_promise_is_refused() {
    let (mut m, a, b) = pair();
    m.connect(a, b);
    m.promise(a, all(500));
    m.promise(a, all(400)); // changes nothing
    let late = |e: Result<(), MediumError>| e.unwrap_err().to_string();
    assert!(late(m.transmit(a, 499, burst(1))).contains("499"));
    assert!(late(m.listen(a, 499, 600)).contains("499"));
    assert!(late(m.listen_until(a, 499)).contains("499"));
    assert!(late(m.wire(a, b, 499, 0)).contains("499"));
    m.transmit(a, 500, burst(1)).unwrap();
    let eve = m.join(0, RadioKind::Receiver);
    assert_eq!(m.transmit(eve, 0, burst(1)), Err(MediumError::NotATransmitter { radio: 2 }));
    assert_eq!(m.wire(a, eve, 900, 0), Err(MediumError::NoWire { from: 0, to: 2 }));
}

#[test]
fn cells_do_not_hear_each_other() {
    let mut m = Medium::<()>::new(0);
    let [a, b] = [0, 1].map(|cell| m.join(cell, RadioKind::Transceiver));
    m.listen(b, 0, 100).unwrap();
    m.transmit(a, 10, burst(10)).unwrap();
    assert_eq!(received(m.step(b, 1_000)), (0, 100, true, vec![]));
}

#[test]
fn nobody_waits_for_a_receiver_but_only_so_far() {
    let (mut m, a, b) = pair();
    let eve = m.join(0, RadioKind::Receiver);
    m.promise(b, all(3 * LEASH));
    m.listen(a, 0, 2 * LEASH).unwrap();
    m.listen(eve, 10, 20).unwrap();
    assert_eq!(received(m.step(a, usize::MAX)), (0, LEASH + 10, false, vec![]));
    assert_eq!(m.step(a, 1), Step::Wait);
    m.leave(eve);
    assert_eq!(received(m.step(a, usize::MAX)), (LEASH + 10, 2 * LEASH, true, vec![]));
}

#[test]
fn a_radio_that_leaves_counts_as_silent() {
    let (mut m, a, b) = pair();
    m.connect(a, b);
    m.listen(b, 0, 1_000).unwrap();
    m.transmit(a, 5, burst(10)).unwrap();
    m.leave(a);
    assert_eq!(m.step(a, 10), Step::End);
    assert_eq!(m.transmit(a, 0, burst(1)), Ok(()), "dropped");
    assert_eq!(m.step(b, 10), Step::WireHorizon { from: a, until: AirTime::MAX });
    assert_eq!(received(m.step(b, 2_000)), (0, 1_000, true, vec![5]), "its burst stays on the air");
    assert_eq!(m.step(b, 10), Step::Wait);
}

#[test]
fn wired_messages_come_before_the_promise_that_covers_them() {
    let mut m = Medium::new(0);
    let [a, b, c] = [0, 1, 2].map(|cell| m.join(cell, RadioKind::Transceiver));
    m.connect(a, c);
    m.connect(b, c);
    m.wire(b, c, 700, 'x').unwrap();
    m.wire(a, c, 700, 'y').unwrap();
    m.wire(a, c, 600, 'z').unwrap();
    m.promise(a, all(650));
    m.promise(b, all(300));
    m.promise(b, all(600));
    let mut seen = Vec::new();
    loop {
        match m.step(c, 1) {
            Step::Wired(w) => seen.push((w.arrival, w.from.index(), Some(w.payload))),
            Step::WireHorizon { from, until } => seen.push((until, from.index(), None)),
            step => break assert_eq!(step, Step::Wait),
        }
    }
    let messages = [(600, 0, Some('z')), (700, 0, Some('y')), (700, 1, Some('x'))];
    assert_eq!(seen[..3], messages);
    assert_eq!(seen[3..], [(650, 0, None), (600, 1, None)]);
}

#[test]
fn a_wire_is_told_of_when_the_radio_can_go_further_for_it() {
    let mut m = Medium::<()>::new(0);
    let [a, b] = [0, 1].map(|cell| m.join(cell, RadioKind::Transceiver));
    let c = m.join(1, RadioKind::Transceiver);
    m.connect(a, b);
    m.listen(b, 1_000, 1_100).unwrap();
    let horizon = |until| Step::WireHorizon { from: a, until };
    m.promise(a, all(900));
    assert_eq!(m.step(b, 500), horizon(900));
    m.promise(a, all(1_000));
    assert_eq!(m.step(b, 500), horizon(1_000));
    m.promise(a, all(5_000));
    assert!(!m.can_step(b, 500), "its own samples from 1000 on come first");
    assert_eq!(m.step(b, 500), Step::Wait);
    m.promise(c, all(1_100));
    assert_eq!(m.step(b, 500), horizon(5_000));
    assert_eq!(received(m.step(b, 500)), (1_000, 1_100, true, vec![]));
    m.promise(a, all(9_000));
    assert_eq!(m.step(b, 500), horizon(9_000), "it listens to nothing");
}

#[test]
fn a_radio_that_promised_silence_for_a_gate_gets_it_in_one_piece() {
    let (mut m, a, b) = pair();
    m.listen(b, 100, 300).unwrap();
    m.promise(a, all(200));
    m.promise(b, all(299));
    assert_eq!(received(m.step(b, 50)), (100, 150, false, vec![]), "all that it has room for");
    m.promise(b, all(300));
    assert_eq!(m.step(b, 500), Step::Wait);
    assert_eq!(received(m.step(b, 50)), (150, 200, false, vec![]));
    m.promise(a, all(300));
    assert_eq!(received(m.step(b, 500)), (200, 300, true, vec![]));
}

#[test]
fn an_open_gate_ends_where_it_is_told_to_and_its_end_is_seen() {
    let (mut m, a, b) = pair();
    m.promise(a, all(100_000));
    m.listen(b, 0, AirTime::MAX).unwrap();
    assert_eq!(m.step(b, 9_999), Step::Wait, "it might be ended at once");
    m.promise(b, all(500));
    assert_eq!(received(m.step(b, 9_999)), (0, 499, false, vec![]));
    m.listen_until(b, 500).unwrap();
    m.listen(b, 2_000, 2_100).unwrap();
    assert_eq!(received(m.step(b, 9_999)), (499, 500, true, vec![]));
    assert_eq!(received(m.step(b, 9_999)), (2_000, 2_100, true, vec![]));
}

#[test]
fn a_gate_that_begins_in_an_earlier_one_begins_where_that_ends() {
    // Whether the earlier one has been received when the later one is announced does not matter.
    for early in [true, false] {
        let (mut m, a, b) = pair();
        m.promise(a, all(100_000));
        m.listen(b, 100, 200).unwrap();
        let mut seen = Vec::new();
        if early {
            seen.push(received(m.step(b, 9_999)));
        }
        m.listen(b, 150, 300).unwrap();
        m.listen(b, 160, 170).unwrap();
        while m.can_step(b, 9_999) {
            seen.push(received(m.step(b, 9_999)));
        }
        assert_eq!(seen, [(100, 200, true, vec![]), (200, 300, true, vec![])]);
    }
}

#[derive(Clone, Debug)]
enum Op {
    Promise(usize, AirTime),
    Transmit(usize, AirTime, usize),
    Listen(usize, AirTime, AirTime),
    Step(usize, usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (0..3usize, 0..400u64).prop_map(|(r, by)| Op::Promise(r, by)),
        (0..3usize, 0..300u64, 1..80usize).prop_map(|(r, a, n)| Op::Transmit(r, a, n)),
        (0..3usize, 0..300u64, 1..200u64).prop_map(|(r, a, n)| Op::Listen(r, a, n)),
        (0..3usize, 1..200usize).prop_map(|(r, max)| Op::Step(r, max)),
    ]
}

proptest! {
    /// Whatever the order of calls: nobody receives a stretch into which a burst is put later, what is
    /// received is what was asked for, in order and once, and no burst is forgotten too early.
    #[test]
    fn nothing_is_heard_late_or_twice(ops in prop::collection::vec(op(), 1..400)) {
        let mut m = Medium::<()>::new(8);
        let kinds = [RadioKind::Transceiver, RadioKind::Transceiver, RadioKind::Receiver];
        let radios = kinds.map(|k| m.join(0, k));
        let mut promised = [0u64; 3];
        let mut wanted: [Vec<AirTime>; 3] = Default::default();
        let mut ends: [Vec<AirTime>; 3] = Default::default();
        let mut got: [Vec<AirTime>; 3] = Default::default();
        let mut sent: Vec<(usize, AirTime, AirTime)> = Vec::new();
        let mut heard: Vec<(usize, AirTime, AirTime, Vec<AirTime>)> = Vec::new();
        for op in ops {
            match op {
                Op::Promise(r, by) => {
                    promised[r] += by;
                    m.promise(radios[r], all(promised[r]));
                }
                Op::Transmit(r, after, len) if r < 2 => {
                    let start = promised[r] + after;
                    m.transmit(radios[r], start, burst(len)).unwrap();
                    sent.push((r, start, start + len as AirTime + 8));
                }
                Op::Transmit(..) => {}
                Op::Listen(r, after, len) => {
                    // Gates come in order.
                    let from = wanted[r].last().map_or(0, |t| t + 1).max(promised[r] + after);
                    m.listen(radios[r], from, from + len).unwrap();
                    wanted[r].extend(from..from + len);
                    ends[r].push(from + len);
                }
                Op::Step(r, max) => {
                    let can = m.can_step(radios[r], max);
                    match m.step(radios[r], max) {
                        Step::Receive { from, to, bursts, last } => {
                            prop_assert!(can && from < to && to - from <= max as AirTime);
                            got[r].extend(from..to);
                            prop_assert_eq!(last, ends[r].contains(&to));
                            heard.push((r, from, to, bursts.iter().map(|b| b.start).collect()));
                        }
                        step => prop_assert!(!can && step == Step::Wait),
                    }
                }
            }
        }
        for r in 0..3 {
            prop_assert_eq!(&got[r][..], &wanted[r][..got[r].len()]);
        }
        for (r, from, to, starts) in heard {
            let mut all: Vec<(AirTime, usize)> = sent
                .iter()
                .filter(|(s, start, end)| *s != r && *start < to && *end > from)
                .map(|(s, start, _)| (*start, *s))
                .collect();
            all.sort();
            prop_assert_eq!(starts, all.iter().map(|a| a.0).collect::<Vec<_>>());
        }
    }
}
