//! A receiver on stored samples: radio, synchronizer, channel estimator, and out.

use crate::config::FlowgraphError;
use crate::run::runtime;
use crqkd_blocks::messages::{Measurement, Measurements};
use crqkd_blocks::radio::RadioError;
use crqkd_blocks::radio::file::{Chunk, FileRadio};
use crqkd_blocks::{ChannelEstimator, Hooks, Synchronizer, Tap, Transceiver};
use crqkd_sounding::SoundingConfig;
use futuresdr::num_complex::Complex32;
use futuresdr::prelude::*;
use futuresdr::runtime::dev::DefaultCpuReader;

/// Measurements that wait for a slow reader; then the receiver waits too.
const WAITING: usize = 64;

/// Finds all frames in `chunks` (in order of time, without overlap) and hands them to `found` in the order of their
/// start. `found` ends the receiver early by returning `false`.
///
/// # Errors
/// When a setting is out of range, a chunk cannot be read, or a sample is not a number.
pub fn receive(
    chunks: impl Iterator<Item = Result<Chunk, RadioError>> + Send + 'static,
    config: &SoundingConfig,
    workers: usize,
    mut found: impl FnMut(Measurement) -> bool,
) -> Result<(), FlowgraphError> {
    let hooks = Hooks::default();
    let radio = FileRadio::new(chunks);
    let starter = radio.starter();
    let (sender, measured) = async_channel::bounded::<Measurements>(WAITING);

    let mut fg = Flowgraph::new();
    let transceiver = Transceiver::<_>::new(radio, None, hooks.of("file"));
    let synchronizer =
        Synchronizer::<DefaultCpuReader<Complex32>>::new(config, hooks.of("synchronizer"))?;
    let estimator = ChannelEstimator::new(config, hooks.of("channel estimator"))?;
    let tap = Tap::new(sender, |measurements: Measurements| measurements, hooks.of("tap"));
    connect!(fg,
        transceiver > synchronizer;
        synchronizer.frames | frames.estimator;
        estimator.measurements | r#in.tap;
    );

    let runtime = runtime(workers);
    let running = runtime.start(fg)?;
    let handle = running.handle();
    starter.start();
    let (end, ended) = async_channel::bounded(1);
    runtime.spawn_background(async move {
        // The flowgraph, and with it the tap's sender, goes before the result is told.
        let result = running.wait_async().await.map(drop);
        let _ = end.send(result).await;
    });
    'all: while let Ok(measurements) = measured.recv_blocking() {
        for measurement in measurements.list {
            if !found(measurement) {
                measured.close();
                let _ = Runtime::block_on(handle.stop()); // it may have ended already
                break 'all;
            }
        }
    }
    let result = ended.recv_blocking();
    if let Some(fault) = hooks.fault() {
        return Err(fault.into());
    }
    result.map_err(|_| FlowgraphError::Fault("the runtime has died".into()))??;
    Ok(())
}
