//! Messages that cannot be: refused without a panic, and without a key.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use crqkd_bits::BitString;
use crqkd_quantum::cascade::{Nodes, ParityRequest, Section};
use crqkd_quantum::{
    AbortReason, Bb84Alice, Bb84Bob, InterceptResend, ProtocolError, Pulses, QuantumConfig, Status,
    ToAlice, ToBob, transmit,
};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn config() -> QuantumConfig {
    // Few pulses, no loss: some 2500 sifted bits, too few for a key at full security, so the bounds are loose.
    QuantumConfig {
        distance_km: 0.0,
        detector_efficiency: 1.0,
        pulses_per_block: 5000,
        sample_fraction: 0.3,
        eps_sec: 0.01,
        eps_cor: 0.01,
        ..Default::default()
    }
}

fn ends(seed: u64) -> (Bb84Alice, Bb84Bob, ToAlice, ChaCha8Rng) {
    let (config, mut rng) = (config(), ChaCha8Rng::seed_from_u64(seed));
    let pulses = Pulses::random(&mut rng, config.pulses_per_block as usize);
    let clicks = transmit(&config, &pulses, &mut InterceptResend::new(0.0), &mut rng);
    let (bob, first) = Bb84Bob::new(&config, clicks);
    (Bb84Alice::new(&config, pulses), bob, first, rng)
}

/// How a message is spoilt on its way.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Shorter,
    Longer,
    Flip(usize),
    Empty,
    Number(u64),
    Another(u8),
    Again,
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Shorter),
        Just(Fault::Longer),
        any::<usize>().prop_map(Fault::Flip),
        Just(Fault::Empty),
        any::<u64>().prop_map(Fault::Number),
        (0u8..6).prop_map(Fault::Another),
        Just(Fault::Again),
    ]
}

fn spoil_bits(bits: &mut BitString, fault: Fault) {
    match fault {
        Fault::Shorter => bits.truncate(bits.len().saturating_sub(1)),
        Fault::Longer => bits.push(true),
        Fault::Flip(i) if !bits.is_empty() => bits.flip(i % bits.len()),
        Fault::Empty => *bits = BitString::new(),
        Fault::Number(n) => *bits = BitString::with_len((n % 10_000) as usize),
        _ => {}
    }
}

fn spoil_to_bob(message: &mut ToBob, fault: Fault, which: usize) {
    if let Fault::Another(kind) = fault {
        let bits = BitString::with_len(100);
        *message = match kind {
            0 => {
                ToBob::Sifting { same_basis: bits.clone(), sample: bits.clone(), sample_bits: bits }
            }
            1 => ToBob::Reconcile { shuffle_seed: 1 },
            2 => ToBob::Parities(bits),
            3 => ToBob::Verify { hash_key: 1, tag: 2 },
            4 => ToBob::Amplify { length: 1, seed: bits },
            _ => ToBob::Abort(AbortReason::VerificationFailed),
        };
        return;
    }
    match message {
        ToBob::Sifting { same_basis, sample, sample_bits } => {
            spoil_bits([same_basis, sample, sample_bits][which % 3], fault);
        }
        ToBob::Parities(bits) => spoil_bits(bits, fault),
        ToBob::Amplify { length, seed } => match (fault, which % 2) {
            (Fault::Number(n), 0) => *length = n,
            (Fault::Flip(i), 0) => *length ^= 1 << (i % 64),
            _ => spoil_bits(seed, fault),
        },
        ToBob::Reconcile { shuffle_seed: n } | ToBob::Verify { tag: n, .. } => {
            if let Fault::Number(other) = fault {
                *n = other;
            }
        }
        ToBob::Abort(_) => {}
    }
}

fn spoil_to_alice(message: &mut ToAlice, fault: Fault, which: usize) {
    if let Fault::Another(kind) = fault {
        let bits = BitString::with_len(100);
        *message = match kind {
            0 => ToAlice::Detections { clicked: bits.clone(), bases: bits },
            1 => ToAlice::SampleBits(bits),
            2 => ToAlice::Parities(ParityRequest {
                sections: vec![Section { pass: 3, level: 0, nodes: Nodes::Listed(vec![1]) }],
            }),
            3 => ToAlice::Reconciled,
            4 => ToAlice::Verified { equal: true },
            _ => ToAlice::Abort(AbortReason::VerificationFailed),
        };
        return;
    }
    match message {
        ToAlice::Detections { clicked, bases } => spoil_bits([clicked, bases][which % 2], fault),
        ToAlice::SampleBits(bits) => spoil_bits(bits, fault),
        ToAlice::Parities(request) => {
            let more = Section { pass: which as u8, level: 0, nodes: Nodes::Listed(vec![1]) };
            let at = which % request.sections.len().max(1);
            match (fault, request.sections.get_mut(at)) {
                (Fault::Shorter, _) => drop(request.sections.pop()),
                (Fault::Longer, _) => request.sections.push(more),
                (Fault::Empty, _) => request.sections.clear(),
                (Fault::Flip(i), Some(section)) => match &mut section.nodes {
                    Nodes::Listed(nodes) if !nodes.is_empty() => {
                        let node = i % nodes.len();
                        nodes[node] ^= 1 << (which % 32);
                    }
                    nodes => *nodes = Nodes::Listed(vec![i as u32]),
                },
                (Fault::Number(n), Some(section)) if n.is_multiple_of(2) => section.pass = n as u8,
                (Fault::Number(n), Some(section)) => section.level = n as u8,
                _ => {}
            }
        }
        ToAlice::Verified { equal } => *equal = !*equal,
        ToAlice::Reconciled | ToAlice::Abort(_) => {}
    }
}

/// Runs a block in which message number `at` is spoilt; then both ends hold equal keys, or one end has none.
fn run_spoilt(seed: u64, at: usize, fault: Fault, which: usize) -> Result<(), TestCaseError> {
    let (mut alice, mut bob, first, mut rng) = ends(seed);
    let mut to_alice = Some(first);
    let (mut number, mut spoilt_seed) = (0, false);
    let repeat = matches!(fault, Fault::Again);
    while let Some(mut message) = to_alice.take() {
        if number == at {
            spoil_to_alice(&mut message, fault, which);
        }
        let answer = alice.handle(message.clone(), &mut rng);
        if number == at && repeat {
            prop_assert!(alice.handle(message, &mut rng).is_err() || number > 3);
        }
        number += 1;
        let Ok(Some(mut answer)) = answer else { break };
        if number == at {
            // Nothing here notices another seed of the right length: authentication will.
            spoilt_seed = matches!(answer, ToBob::Amplify { .. });
            spoil_to_bob(&mut answer, fault, which);
        }
        let reply = bob.handle(answer.clone());
        if number == at && repeat {
            let _ = bob.handle(answer);
        }
        number += 1;
        let Ok(reply) = reply else { break };
        to_alice = reply;
    }
    for status in [alice.status(), bob.status()] {
        if let Status::Aborted(AbortReason::QberAboveThreshold { errors, sample }) = status {
            prop_assert!(errors <= sample);
        }
    }
    if let (Some(a), Some(b)) = (alice.into_key(), bob.into_key())
        && !spoilt_seed
    {
        prop_assert!(a.ct_eq(&b));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn a_spoilt_message_never_panics_nor_gives_different_keys(
        seed in 0u64..4, at in 0usize..60, fault in fault(), which: usize,
    ) {
        run_spoilt(seed, at, fault, which)?;
    }

    #[test]
    fn messages_around_the_end_never_panic(
        seed in 0u64..4, back in 0usize..6, fault in fault(), which: usize,
    ) {
        run_spoilt(seed, messages(seed) - 1 - back, fault, which)?;
    }
}

/// Messages of an undisturbed block.
fn messages(seed: u64) -> usize {
    let (mut alice, mut bob, first, mut rng) = ends(seed);
    let (mut to_alice, mut number) = (Some(first), 0);
    while let Some(message) = to_alice.take() {
        number += 1;
        if let Some(answer) = alice.handle(message, &mut rng).unwrap() {
            number += 1;
            to_alice = bob.handle(answer).unwrap();
        }
    }
    assert_eq!((alice.status(), bob.status()), (Status::Done, Status::Done));
    number
}

#[test]
fn announced_counts_that_do_not_fit_are_errors_with_numbers() {
    let (mut alice, _, _, mut rng) = ends(1);
    let all = BitString::from_words(vec![u64::MAX; 100], 5001);
    let error = alice
        .handle(ToAlice::Detections { clicked: all.clone(), bases: all.clone() }, &mut rng)
        .unwrap_err();
    assert_eq!(
        error,
        ProtocolError::WrongCount { what: "detection mask", expected: 5000, found: 5001 }
    );
    assert_eq!(alice.status(), Status::Failed);
    assert!(alice.into_key().is_none());

    let (mut alice, mut bob, first, mut rng) = ends(2);
    let Some(ToBob::Sifting { same_basis, mut sample, sample_bits }) =
        alice.handle(first, &mut rng).unwrap()
    else {
        panic!("no sifting")
    };
    // A smaller sample than agreed would hide errors.
    let taken = sample.iter().position(|t| t).unwrap();
    sample.flip(taken);
    let error = bob.handle(ToBob::Sifting { same_basis, sample, sample_bits }).unwrap_err();
    assert!(
        matches!(error, ProtocolError::WrongCount { what: "sampled positions", .. }),
        "{error}"
    );
}

#[test]
fn a_finished_block_keeps_its_key_whatever_comes() {
    let (mut alice, mut bob, first, mut rng) = ends(3);
    let mut to_alice = Some(first.clone());
    while let Some(message) = to_alice.take() {
        if let Some(answer) = alice.handle(message, &mut rng).unwrap() {
            to_alice = bob.handle(answer).unwrap();
        }
    }
    assert!(alice.handle(first, &mut rng).is_err());
    assert!(bob.handle(ToBob::Abort(AbortReason::VerificationFailed)).is_err());
    assert!(alice.into_key().unwrap().ct_eq(&bob.into_key().unwrap()));
}
