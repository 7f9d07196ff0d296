//! Whatever the air does: keys are equal or absent, and a run depends on its seed only.

mod network;

use crqkd_forwarding::*;
use network::*;
use proptest::prelude::*;

fn conditions() -> impl Strategy<Value = Conditions> {
    let shares = (0.0..0.35, 0.0..0.35, 0.0..0.2, 0.0..0.2, 0.0..0.3, 0.0..0.15);
    let start = [0u64..40_000_000, 0u64..40_000_000];
    let silent = || prop_oneof![4 => Just(AirTime::MAX), 1 => 0u64..300_000_000];
    (shares, 0.0..0.16, 0.0..0.04, start, [silent(), silent()]).prop_map(
        |(shares, kdr, spread, start, qap_silent_from)| {
            let (forward_loss, reverse_loss, bad_control, doubled, forged, clipped) = shares;
            Conditions {
                forward_loss,
                reverse_loss,
                bad_control,
                doubled,
                forged,
                clipped,
                kdr,
                kdr_spread: spread,
                user_start: start,
                qap_silent_from,
                ..Default::default()
            }
        },
    )
}

fn short() -> ForwardingConfig {
    ForwardingConfig { max_attempts: 3, max_air_time_s: 40.0, ..config() }
}

fn go(config: ForwardingConfig, conditions: Conditions, seed: u64, schedule: u64) -> Network {
    let mut network = Network::scheduled(config, conditions, seed, schedule);
    network.quantum(0..14, [1000, 3000]);
    network.request(ALICE, 10, 5000);
    network.run();
    network
}

fn assert_everything_is_accounted_for(network: &Network) {
    for user in [ALICE, BOB] {
        let balance = network.user(user).balance();
        let buffered: u64 = network.nodes[user].desk.buffer().len() as u64 * 256;
        assert!(balance.holds() && balance.in_flight == buffered, "{balance:?} {buffered}");
    }
    for qap in [QAP1, QAP2] {
        assert_eq!(network.qap(qap).group_counts().total(), 14);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_users_end_with_the_same_keys_or_with_none(
        conditions in conditions(),
        seed: u64,
        cascade: bool,
    ) {
        let ciphertext = if cascade { CipherMode::Cascade } else { CipherMode::Protected };
        let network = go(ForwardingConfig { ciphertext, ..short() }, conditions, seed, seed);
        assert_everything_is_accounted_for(&network);
        prop_assert_eq!(network.cracked, 0);
        if std::env::var_os("TRACE").is_some() {
            println!("{:?} {:?} {} {} s", network.ending(ALICE), network.ending(BOB), network.nodes[BOB].keys.len(), network.end_air_time());
        }
        if [ALICE, BOB].iter().all(|user| network.ending(*user) == Some(Ending::Done)) {
            network.assert_equal_keys();
        } else {
            // A run that was cut off: Alice may have released a key whose last message did not reach Bob.
            let (alice, bob) = (&network.nodes[ALICE].keys, &network.nodes[BOB].keys);
            prop_assert!(alice.len() - bob.len() <= 1);
            for (id, key) in bob {
                prop_assert!(key.ct_eq(&alice[id]));
            }
        }
    }

    #[test]
    fn a_run_does_not_depend_on_who_gets_its_turn_when(
        conditions in conditions(),
        seed: u64,
        schedules in [any::<u64>(), any::<u64>()],
    ) {
        let config = ForwardingConfig { max_air_time_s: 8.0, ..short() };
        let runs = schedules.map(|schedule| go(config.clone(), conditions.clone(), seed, schedule));
        let [a, b] = &runs;
        for index in 0..6 {
            prop_assert_eq!(&a.nodes[index].events, &b.nodes[index].events);
        }
        for user in [ALICE, BOB] {
            let keys = |n: &Network| n.nodes[user].keys.keys().copied().collect::<Vec<_>>();
            prop_assert_eq!(keys(a), keys(b));
            prop_assert_eq!(a.user(user).counters(), b.user(user).counters());
        }
    }
}

/// In cascade mode an answer may be kept for a batch that never ends, because the peer burned its groups.
#[test]
fn an_answer_that_nobody_asks_for_any_more_does_not_keep_a_user_from_being_done() {
    // Seed 27 is one where it happened.
    for seed in 24..30 {
        let conditions = Conditions { kdr: 0.154, reverse_loss: 0.3, ..Default::default() };
        let config = ForwardingConfig { ciphertext: CipherMode::Cascade, ..short() };
        let network = go(config, conditions, seed, seed);
        for user in [ALICE, BOB] {
            assert_eq!(network.ending(user), Some(Ending::Done), "seed {seed}");
        }
    }
}
