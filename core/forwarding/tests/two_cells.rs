//! Both cells at work: from a request to equal keys, over good and bad air.

mod network;

use crqkd_forwarding::*;
use network::*;

fn run(config: ForwardingConfig, conditions: Conditions, seed: u64, groups: u32) -> Network {
    let mut network = Network::new(config, conditions, seed);
    network.quantum(0..u64::from(groups) + 4, [1000, 1000]);
    network.request(ALICE, groups, 5000);
    network.run();
    network
}

fn assert_all_done(network: &Network) {
    for index in [QAP1, ALICE, QAP2, BOB] {
        assert_eq!(network.ending(index), Some(Ending::Done), "station {index}");
    }
}

#[test]
fn over_clean_air_every_group_becomes_key_at_both_users() {
    let network = run(config(), Conditions::default(), 1, 8);
    assert_all_done(&network);
    assert_eq!(network.assert_equal_keys(), 2);
    let balance = network.user(ALICE).balance();
    assert_eq!(balance.received, 8 * 256);
    assert_eq!(balance.released, 2 * final_key_len(4 * 256) as u64);
    assert_eq!((balance.burned, balance.in_flight), (0, 0));
    for qap in [QAP1, QAP2] {
        let counts = network.qap(qap).group_counts();
        assert_eq!((counts.released, counts.free, counts.total()), (8, 4, 12));
        assert_eq!(
            network.qap(qap).counters(),
            Counters { frames: network.qap(qap).counters().frames, ..Default::default() }
        );
    }
    assert!(network.end_air_time() < 20.0, "{} s", network.end_air_time());
}
