//! Decoy-state blocks and sessions: keys, refusals, spoilt transcripts.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::collections::VecDeque;

use crqkd_bits::SecretBits;
use crqkd_keys::{AuthDirection, AuthError, Authenticator};
use crqkd_quantum::AbortReason;
use crqkd_quantum::decoy::{
    Choices, DecoyConfig, Link, Reconciliation, Session, SessionEnd, SessionError, Step,
    run_decoy_block,
};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// No loss and loose bounds, so that few pulses give a key.
fn small() -> DecoyConfig {
    DecoyConfig {
        distance_km: 0.0,
        detector_efficiency: 1.0,
        background_probability: 1e-7,
        misalignment: 0.005,
        pulses_per_block: 200_000,
        key_basis_share: 0.76,
        mean_photons: [1.0, 0.42, 0.0002],
        intensity_shares: [0.25, 0.51, 0.24],
        eps_sec: 0.01,
        eps_cor: 0.01,
        ..Default::default()
    }
}

#[test]
fn a_quiet_link_gives_equal_keys_and_consistent_counts() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let config =
        DecoyConfig { pulses_per_block: 60_000_000, distance_km: 0.0, ..Default::default() };
    let run = run_decoy_block(&config, &mut rng).unwrap();
    assert_eq!(run.abort, None, "{:?}", run.counts);
    assert!(run.alice.ct_eq(&run.bob));
    assert_eq!(run.alice.len() as u64, run.counts.final_length);
    assert!(run.counts.sifted() > 1_000_000, "{:?}", run.counts);
    let efficiency = run.counts.efficiency().unwrap();
    assert!((1.0..1.10).contains(&efficiency), "{efficiency}");
    assert!((run.counts.key_qber() - config.qbers()[0]).abs() < 0.002);
    println!("{:?} {efficiency}", run.counts);
}

#[test]
fn whoever_intercepts_or_splits_gets_no_key_through() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let base = DecoyConfig { pulses_per_block: 20_000_000, ..Default::default() };
    let intercepted = DecoyConfig { intercept_share: 0.5, ..base.clone() };
    let reason = run_decoy_block(&intercepted, &mut rng).unwrap().abort;
    assert!(matches!(reason, Some(AbortReason::QberAboveThreshold { .. })), "{reason:?}");
    let split = DecoyConfig { splitting_share: 1.0, ..base };
    let run = run_decoy_block(&split, &mut rng).unwrap();
    assert!(matches!(run.abort, Some(AbortReason::NoSecretBits { .. })), "{:?}", run.abort);
    // Nothing in the errors gives it away.
    assert!(run.counts.test_qber() < 0.02);
}

const GREETINGS: [&[u8]; 2] = [b"alice", b"bob"];

struct Pair {
    first: AuthDirection,
    config: DecoyConfig,
    auth: [Authenticator; 2],
    rng: ChaCha8Rng,
}

#[derive(Default)]
struct Outcome {
    keys: [Option<SecretBits>; 2],
    /// What Bob still holds.
    held: Option<SecretBits>,
    ends: [Option<SessionEnd>; 2],
    errors: Vec<SessionError>,
    frames: Vec<(usize, Vec<u8>)>,
}

impl Pair {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let secret = SecretBits::random(&mut rng, 4096 * 8);
        let auth = |secret, own| Authenticator::new(secret, own, 0, 64).unwrap();
        let auth =
            [auth(secret.duplicate(), AuthDirection::AToB), auth(secret, AuthDirection::BToA)];
        Self { first: AuthDirection::AToB, config: small(), auth, rng }
    }

    /// Runs a block; `tamper` may change, drop or double what is on its way to end 0 or 1.
    fn run(
        &mut self,
        number: u64,
        mut tamper: impl FnMut(usize, usize, Vec<u8>) -> Vec<Vec<u8>>,
    ) -> Outcome {
        let (config, first, rng) = (&self.config, self.first, &mut self.rng);
        let choices = Choices::new(config, rng.random());
        let clicks = Link::new(config, &choices, rng.random()).collect();
        let [a, b] = &mut self.auth;
        let (alice, to_bob) = Session::alice(config, number, choices, GREETINGS, first, a).unwrap();
        let (bob, to_alice) = Session::bob(config, number, clicks, GREETINGS, first, b).unwrap();
        let mut sessions = [alice, bob];
        let (mut outcome, mut held) = (Outcome::default(), None);
        let mut todo: VecDeque<(usize, Step)> = to_bob.into_iter().map(|s| (0, s)).collect();
        todo.extend(to_alice.into_iter().map(|s| (1, s)));
        while let Some((end, step)) = todo.pop_front() {
            match step {
                Step::Send(bytes) => {
                    let at = outcome.frames.len();
                    outcome.frames.push((end, bytes.clone()));
                    for bytes in tamper(at, 1 - end, bytes) {
                        let mut steps = Vec::new();
                        let to = 1 - end;
                        let auth = &mut self.auth[to];
                        let result = sessions[to].receive(&bytes, auth, &mut self.rng, &mut steps);
                        outcome.errors.extend(result.err());
                        todo.extend(steps.into_iter().map(|s| (to, s)));
                    }
                }
                Step::Key(key) => outcome.keys[end] = Some(key),
                Step::Hold(key) => held = Some(key),
                Step::Release => outcome.keys[end] = held.take(),
                Step::End(how) => outcome.ends[end] = Some(how),
                Step::Persist(_) => {}
            }
        }
        outcome.held = held;
        outcome
    }
}

#[test]
fn sessions_give_equal_authenticated_keys_block_after_block() {
    let mut pair = Pair::new(3);
    for number in 0..5 {
        let outcome = pair.run(number, |_, _, bytes| vec![bytes]);
        assert_eq!(outcome.errors, []);
        let [Some(a), Some(b)] = &outcome.keys else { panic!("{:?}", outcome.ends) };
        assert!(a.ct_eq(b) && !a.is_empty());
    }
    assert_eq!(pair.auth[0].pool(AuthDirection::AToB).next_index(), 5 * 64);
    assert_eq!(pair.auth[1].pool(AuthDirection::BToA).next_index(), 5 * 64);
}

#[test]
fn either_end_may_tag_first_and_the_other_one_holds_its_key() {
    let mut pair = Pair::new(13);
    for (number, first) in [AuthDirection::BToA, AuthDirection::AToB].into_iter().enumerate() {
        pair.first = first;
        let outcome = pair.run(2 * number as u64, |_, _, bytes| vec![bytes]);
        assert_eq!(outcome.errors, []);
        let [Some(a), Some(b)] = &outcome.keys else { panic!("{:?}", outcome.ends) };
        assert!(a.ct_eq(b) && !a.is_empty());
        // Without the confirmation the first has its key and the second holds it.
        let confirmed = |bytes: Vec<u8>| if bytes[0] == 3 { vec![] } else { vec![bytes] };
        let outcome = pair.run(2 * number as u64 + 1, |_, _, bytes| confirmed(bytes));
        let place = usize::from(first == AuthDirection::BToA);
        let key = outcome.keys[place].as_ref().unwrap();
        assert!(outcome.keys[1 - place].is_none() && outcome.held.unwrap().ct_eq(key));
    }
    // Each waits for the other's tag: nobody has a key.
    let config = small();
    let choices = Choices::new(&config, [1, 2]);
    let clicks = Link::new(&config, &choices, 3).collect();
    let [a, b] = &mut pair.auth;
    let second = |direction: AuthDirection| direction.reversed();
    let (mut alice, _) =
        Session::alice(&config, 9, choices, GREETINGS, second(AuthDirection::AToB), a).unwrap();
    let (mut bob, steps) =
        Session::bob(&config, 9, clicks, GREETINGS, second(AuthDirection::BToA), b).unwrap();
    let mut todo: VecDeque<(usize, Step)> = steps.into_iter().map(|s| (1, s)).collect();
    while let Some((end, step)) = todo.pop_front() {
        let Step::Send(bytes) = step else { panic!("{step:?}") };
        let mut steps = Vec::new();
        match end {
            0 => bob.receive(&bytes, b, &mut pair.rng, &mut steps).unwrap(),
            _ => alice.receive(&bytes, a, &mut pair.rng, &mut steps).unwrap(),
        }
        todo.extend(steps.into_iter().map(|s| (1 - end, s)));
    }
}

/// 248 blocks that break before their tags emptied a pool once.
#[test]
fn a_block_that_breaks_before_its_tags_costs_no_pad() {
    let mut pair = Pair::new(12);
    for number in 0..300 {
        let outcome = pair.run(number, |_, _, _| vec![]);
        assert!(outcome.keys.iter().all(Option::is_none));
        // What a stranger can say: an abort.
        let outcome = pair.run(1000 + number, |_, _, _| vec![vec![1, 12]]);
        assert!(outcome.keys.iter().all(Option::is_none));
    }
    for auth in &pair.auth {
        for direction in [AuthDirection::AToB, AuthDirection::BToA] {
            assert_eq!(auth.pool(direction).next_index(), 0);
        }
    }
    assert!(pair.run(9999, |_, _, bytes| vec![bytes]).keys.iter().all(Option::is_some));
}

#[test]
fn the_longest_message_of_a_link_is_within_its_limit() {
    for distance_km in [0.0, 20.0, 100.0] {
        let config = DecoyConfig { distance_km, pulses_per_block: 3_000_000, ..Default::default() };
        let choices = Choices::new(&config, [1, 2]);
        let clicks: crqkd_quantum::decoy::Detections = Link::new(&config, &choices, 3).collect();
        let secret = SecretBits::random(&mut ChaCha8Rng::seed_from_u64(1), 4096);
        let auth = Authenticator::new(secret, AuthDirection::BToA, 0, 64).unwrap();
        let first = AuthDirection::AToB;
        let (_, steps) = Session::bob(&config, 0, clicks, GREETINGS, first, &auth).unwrap();
        let [Step::Send(bytes)] = &steps[..] else { panic!("{steps:?}") };
        let limit = config.longest_message();
        assert!(bytes.len() < limit && limit < 6 * bytes.len() + 65_536, "{limit} {}", bytes.len());
    }
}

#[test]
fn a_transcript_of_an_earlier_block_gives_no_key() {
    let mut pair = Pair::new(4);
    let old = pair.run(0, |_, _, bytes| vec![bytes]).frames;
    let to_bob: Vec<Vec<u8>> = old.iter().filter(|f| f.0 == 0).map(|f| f.1.clone()).collect();
    let to_alice: Vec<Vec<u8>> = old.iter().filter(|f| f.0 == 1).map(|f| f.1.clone()).collect();
    for (target, script) in [(0, &to_alice), (1, &to_bob)] {
        let mut next = 0;
        let outcome = pair.run(1 + target as u64, |_, to, bytes| {
            if to != target {
                return vec![bytes];
            }
            next += 1;
            script.get(next - 1).cloned().into_iter().collect()
        });
        assert!(outcome.keys[target].is_none());
        assert!(
            outcome.keys[0].is_none(),
            "Alice has a key only with Bob's tag over her transcript"
        );
    }
}

#[test]
fn one_way_blocks_give_equal_keys_and_their_syndromes_are_in_the_leak() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let config = DecoyConfig {
        pulses_per_block: 3_000_000,
        reconciliation: Reconciliation::OneWay,
        ..small()
    };
    let run = run_decoy_block(&config, &mut rng).unwrap();
    assert_eq!(run.abort, None, "{:?}", run.counts);
    assert!(run.alice.ct_eq(&run.bob) && !run.alice.is_empty());
    assert_eq!((run.counts.rounds, run.messages), (1, 8));
    assert!(run.counts.disclosed > 0 && run.counts.disclosed.is_multiple_of(256));
    let efficiency = run.counts.efficiency().unwrap();
    assert!((1.0..1.5).contains(&efficiency), "{efficiency}");
}

#[test]
fn a_forged_tag_cannot_use_up_a_pool_nor_a_forged_confirmation_release_a_key() {
    let mut pair = Pair::new(9);
    let outcome = pair.run(3, |_, _, mut bytes| {
        if bytes[0] == 2 {
            bytes[1..9].copy_from_slice(&12_800u64.to_be_bytes());
        }
        vec![bytes]
    });
    let [SessionError::Auth(AuthError::PadAhead { index: 12_800, .. })] = outcome.errors[..] else {
        panic!("{:?}", outcome.errors)
    };
    assert_eq!(pair.auth[1].pool(AuthDirection::AToB).next_index(), 0);
    let outcome = pair.run(4, |_, _, mut bytes| {
        if bytes[0] == 3 {
            bytes[8] ^= 1;
        }
        vec![bytes]
    });
    assert_eq!(outcome.errors, [SessionError::Unconfirmed]);
    assert!(outcome.keys[0].is_some() && outcome.keys[1].is_none());
}

#[test]
fn a_message_that_is_lost_or_reflected_ends_the_block() {
    let mut pair = Pair::new(5);
    for at in (0..120).step_by(7) {
        let lost = pair.run(at as u64, |n, _, bytes| if n == at { vec![] } else { vec![bytes] });
        let last = lost.frames.len() <= at + 1;
        assert!(last || lost.keys[0].is_none(), "message {at} was lost");
        // What an end has just said comes back to it in place of the answer.
        let mut said = [Vec::new(), Vec::new()];
        let outcome = pair.run(1000 + at as u64, |n, to, bytes| {
            said[1 - to] = bytes.clone();
            if n == at + 1 { vec![said[to].clone()] } else { vec![bytes] }
        });
        let last = outcome.frames.len() <= at + 2;
        assert!(last || outcome.keys[0].is_none(), "message {at} came back");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn nothing_spoilt_on_its_way_gives_a_key_at_either_end(
        seed in 0u64..1000, at in 0usize..200, place: usize, flip in 1u8.., what in 0u8..5,
    ) {
        let mut pair = Pair::new(seed);
        let mut last = Vec::new();
        let mut spoilt = false;
        let outcome = pair.run(0, |n, _, mut bytes| {
            let before = std::mem::replace(&mut last, bytes.clone());
            if n != at {
                return vec![bytes];
            }
            spoilt = true;
            match what {
                0 => {
                    let place = place % bytes.len();
                    bytes[place] ^= flip;
                    vec![bytes]
                }
                1 => {
                    bytes.truncate(place % bytes.len());
                    vec![bytes]
                }
                2 => vec![bytes.clone(), bytes],
                3 if before != bytes => vec![before],
                _ => vec![],
            }
        });
        let accepted = |end: usize| outcome.keys[end].is_some();
        let count = outcome.frames.len();
        if !spoilt {
            prop_assert!(accepted(0) && accepted(1));
        } else if accepted(0) && accepted(1) {
            // Only a repetition of the very last message changes nothing.
            prop_assert!(what == 2 && at + 1 >= count - 1);
        } else if accepted(0) {
            // Bob holds the same key: her tag came twice, or her confirmation was spoilt.
            let (Some(a), Some(b)) = (&outcome.keys[0], &outcome.held) else { panic!("not held") };
            prop_assert!(a.ct_eq(b));
            let twice = what == 2 && at + 3 == count;
            prop_assert!(at + 1 == count || twice, "message {at} of {count}");
        } else {
            prop_assert!(!accepted(1));
        }
    }
}
