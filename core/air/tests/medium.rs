//! The lock step of the virtual air under scripted and random use.

use crqkd_air::medium::{Air, LEASH, Medium, MediumError, RadioId, RadioKind, Step};
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

/// (from, to, starts of the bursts)
fn received<W>(step: Step<W>) -> (Air, Air, Vec<Air>) {
    let Step::Receive { from, to, bursts } = step else { unreachable!("not a reception") };
    (from, to, bursts.iter().map(|b| b.start).collect())
}

#[test]
fn a_gate_is_received_once_the_other_has_promised() {
    let (mut m, a, b) = pair();
    m.listen(b, 100, 300).unwrap();
    m.promise(b, 1_000);
    assert_eq!(m.step(b, 1_000), Step::Skip { until: 100 });
    assert_eq!(m.step(b, 1_000), Step::Wait);
    m.transmit(a, 150, burst(10)).unwrap();
    assert_eq!(m.step(b, 1_000), Step::Wait, "a burst alone promises nothing");
    m.promise(a, 250);
    assert_eq!(received(m.step(b, 100)), (100, 200, vec![150]));
    assert_eq!(received(m.step(b, 100)), (200, 250, vec![150]), "the echo of 64 samples");
    m.promise(a, 2_000);
    assert_eq!(received(m.step(b, 100)), (250, 300, vec![]));
    assert_eq!(m.step(b, 100), Step::Skip { until: 1_000 });
    assert_eq!(m.step(b, 100), Step::Wait, "its own promise holds it");
}

#[test]
fn what_comes_after_a_promise_is_refused() {
    let (mut m, a, b) = pair();
    m.connect(a, b);
    m.promise(a, 500);
    m.promise(a, 400); // changes nothing
    let late = |e: Result<(), MediumError>| e.unwrap_err().to_string();
    assert!(late(m.transmit(a, 499, burst(1))).contains("499"));
    assert!(late(m.listen(a, 499, 600)).contains("499"));
    assert!(late(m.listen_always(a, 499)).contains("499"));
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
    m.listen_always(b, 0).unwrap();
    m.transmit(a, 10, burst(10)).unwrap();
    m.promise(b, 100);
    assert_eq!(received(m.step(b, 1_000)), (0, 100, vec![]));
}

#[test]
fn nobody_waits_for_a_receiver_but_only_so_far() {
    let (mut m, a, b) = pair();
    let eve = m.join(0, RadioKind::Receiver);
    m.promise(a, 3 * LEASH);
    m.promise(b, 3 * LEASH);
    assert_eq!(m.step(a, 1), Step::Skip { until: LEASH });
    assert_eq!(m.step(a, 1), Step::Wait);
    m.promise(eve, 10);
    assert_eq!(m.step(eve, 1), Step::Skip { until: 10 });
    assert_eq!(m.step(a, 1), Step::Skip { until: LEASH + 10 });
    m.leave(eve);
    assert_eq!(m.step(a, 1), Step::Skip { until: 3 * LEASH });
}

#[test]
fn a_radio_that_leaves_counts_as_silent() {
    let (mut m, a, b) = pair();
    m.listen_always(b, 0).unwrap();
    m.promise(b, 1_000);
    m.transmit(a, 5, burst(10)).unwrap();
    m.leave(a);
    assert_eq!(m.step(a, 10), Step::End);
    assert_eq!(m.transmit(a, 0, burst(1)), Ok(()), "dropped");
    assert_eq!(received(m.step(b, 2_000)), (0, 1_000, vec![5]), "its burst stays on the air");
    assert_eq!(m.step(b, 10), Step::Wait, "until it promises more");
    m.promise(b, Air::MAX);
    assert_eq!(m.step(b, 10), Step::End, "nothing can come and it wants nothing");
}

#[test]
fn wired_messages_come_in_the_order_of_their_arrival_and_hold_the_receiver() {
    let mut m = Medium::new(0);
    let [a, b, c] = [0, 1, 2].map(|cell| m.join(cell, RadioKind::Transceiver));
    m.connect(a, c);
    m.connect(b, c);
    m.promise(c, 10_000);
    assert_eq!(m.step(c, 1), Step::Wait, "a peer may still send a message for time 0");
    m.wire(b, c, 700, 'x').unwrap();
    m.wire(a, c, 700, 'y').unwrap();
    m.wire(a, c, 600, 'z').unwrap();
    m.promise(a, 650);
    m.promise(b, 1_000);
    let mut seen = Vec::new();
    let mut take = |m: &mut Medium<char>| loop {
        match m.step(c, 1) {
            Step::Wired(w) => seen.push((w.arrival, w.from.index(), w.payload)),
            step => break step,
        }
    };
    assert_eq!(take(&mut m), Step::Skip { until: 650 });
    m.promise(a, 5_000);
    assert_eq!(take(&mut m), Step::Skip { until: 1_000 });
    assert_eq!(seen, [(600, 0, 'z'), (700, 0, 'y'), (700, 1, 'x')]);
}

#[test]
fn a_gate_ends_open_ended_listening() {
    let (mut m, a, b) = pair();
    m.promise(a, 100_000);
    m.listen_always(b, 0).unwrap();
    m.promise(b, 500);
    assert_eq!(received(m.step(b, 9_999)), (0, 500, vec![]));
    m.listen(b, 800, 900).unwrap();
    m.listen(b, 2_000, 2_100).unwrap();
    m.promise(b, 50_000);
    assert_eq!(received(m.step(b, 9_999)), (500, 900, vec![]));
    assert_eq!(m.step(b, 9_999), Step::Skip { until: 2_000 });
    assert_eq!(received(m.step(b, 9_999)), (2_000, 2_100, vec![]));
}

#[derive(Clone, Debug)]
enum Op {
    Promise(usize, Air),
    Transmit(usize, Air, usize),
    Listen(usize, Air, Air),
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
    /// received lies inside the gates, without overlap, and no burst is forgotten too early.
    #[test]
    fn nothing_is_heard_late_or_twice(ops in prop::collection::vec(op(), 1..400)) {
        let mut m = Medium::<()>::new(8);
        let kinds = [RadioKind::Transceiver, RadioKind::Transceiver, RadioKind::Receiver];
        let radios = kinds.map(|k| m.join(0, k));
        let mut promised = [0u64; 3];
        let mut gates: [Vec<(Air, Air)>; 3] = Default::default();
        let mut sent: Vec<(usize, Air, Air)> = Vec::new();
        let mut heard: Vec<(usize, Air, Air, Vec<Air>)> = Vec::new();
        for op in ops {
            match op {
                Op::Promise(r, by) => {
                    promised[r] += by;
                    m.promise(radios[r], promised[r]);
                }
                Op::Transmit(r, after, len) if r < 2 => {
                    let start = promised[r] + after;
                    m.transmit(radios[r], start, burst(len)).unwrap();
                    sent.push((r, start, start + len as Air + 8));
                }
                Op::Transmit(..) => {}
                Op::Listen(r, after, len) => {
                    let from = promised[r] + after;
                    m.listen(radios[r], from, from + len).unwrap();
                    gates[r].push((from, from + len));
                }
                Op::Step(r, max) => {
                    let before = m.position(radios[r]);
                    match m.step(radios[r], max) {
                        Step::Receive { from, to, bursts } => {
                            prop_assert!(from == before && from < to && to - from <= max as Air);
                            heard.push((r, from, to, bursts.iter().map(|b| b.start).collect()));
                        }
                        Step::Skip { until } => {
                            prop_assert!(until > before);
                            let skipped = |g: &&(Air, Air)| g.0 < until && before < g.1;
                            prop_assert!(!gates[r].iter().any(|g| skipped(&g)));
                        }
                        step => prop_assert!(step == Step::Wait),
                    }
                    prop_assert!(m.position(radios[r]) <= promised[r]);
                }
            }
        }
        for (r, from, to, starts) in heard {
            for t in [from, to - 1] {
                prop_assert!(gates[r].iter().any(|g| (g.0..g.1).contains(&t)));
            }
            let mut all: Vec<(Air, usize)> = sent
                .iter()
                .filter(|(s, start, end)| *s != r && *start < to && *end > from)
                .map(|(s, start, _)| (*start, *s))
                .collect();
            all.sort();
            prop_assert_eq!(starts, all.iter().map(|a| a.0).collect::<Vec<_>>());
        }
    }
}
