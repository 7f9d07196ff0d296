//! Runs on recordings: the same keys from the same samples, and an error with a reason where the
//! samples are not there.

mod common;

use common::{run, small, supply};
use crqkd_blocks::radio::air::Propagation;
use crqkd_blocks::radio::file::{Chunk, Recorded};
use crqkd_flowgraphs::{FlowgraphError, LoopbackConfig, Role, RunOptions, loopback, simulated};
use std::collections::BTreeMap;

type Recording = BTreeMap<u16, Vec<Chunk>>;

fn record(config: &LoopbackConfig) -> Result<Recording, FlowgraphError> {
    let options = RunOptions { record: true, ..Default::default() };
    let supply = supply(config.seed, 16, 96);
    let mut running = loopback(config, supply, simulated(config)?, &options)?;
    let captures = running.captures();
    let recorder = std::thread::spawn(move || {
        let mut recording = Recording::new();
        while let Some(c) = captures.as_ref().and_then(|c| c.recv_blocking().ok()) {
            let chunk = Chunk { time: c.time, samples: c.samples.to_vec() };
            recording.entry(c.radio).or_default().push(chunk);
        }
        recording
    });
    running.wait(|_, _| {})?;
    Ok(recorder.join().expect("the recorder does not panic"))
}

fn replayed(mut recording: Recording) -> impl FnMut(Role) -> Box<dyn Propagation> {
    move |role| {
        let chunks = recording.remove(&role.number()).unwrap_or_default();
        Box::new(Recorded::new(role.to_string(), chunks.into_iter().map(Ok)))
    }
}

#[test]
fn a_replay_gives_the_same_keys_and_a_hole_is_named() {
    let config = small(6);
    let mut recording = record(&config).unwrap();
    assert_eq!(recording.keys().copied().collect::<Vec<_>>(), [1, 2, 101, 102, 201, 202]);
    let gates = &recording[&101];
    assert!(gates.windows(2).all(|c| c[0].time + c[0].samples.len() as u64 <= c[1].time));

    let options = RunOptions::default();
    let original = run(&config, simulated(&config).unwrap(), &options).unwrap();
    let again = run(&config, replayed(recording.clone()), &options).unwrap();
    assert!(again == original);

    recording.entry(101).and_modify(|chunks| drop(chunks.drain(40..41)));
    let error = run(&config, replayed(recording), &options).unwrap_err().to_string();
    assert!(
        error.starts_with("transceiver of alice: recording of alice: no samples for"),
        "{error}"
    );
}
