//! A receiver on stored samples: source, synchronizer, channel estimator, and out.

use crate::config::FlowgraphError;
use crate::run::{check_buffers, runtime};
use crqkd_blocks::iq_source::{Fill, Piece};
use crqkd_blocks::messages::{Measurement, Measurements};
use crqkd_blocks::radio::RadioError;
use crqkd_blocks::radio::file::Chunk;
use crqkd_blocks::{ChannelEstimator, Hooks, Iq, IqSource, Synchronizer, Tap};
use crqkd_sounding::SoundingConfig;
use futuresdr::prelude::*;
use futuresdr::runtime::dev::{DefaultCpuReader, DefaultCpuWriter};

/// Measurements that wait for a slow reader; then the receiver waits too.
const WAITING: usize = 64;

/// By how many samples measurements may be late, 50 ms of air: waking the reader up costs as much as receiving a frame.
const PATIENCE: u64 = 1 << 20;

/// Finds all frames in `chunks` (in order of time, without overlap) and hands them to `found` in the order of their
/// start. `found` ends the receiver early by returning `false`.
///
/// # Errors
/// When a setting is out of range, a chunk cannot be read, or a sample is not a number.
pub fn receive(
    chunks: impl Iterator<Item = Result<Chunk, RadioError>> + Send + 'static,
    config: &SoundingConfig,
    workers: usize,
    found: impl FnMut(Measurement) -> bool,
) -> Result<(), FlowgraphError> {
    let mut chunks =
        chunks.filter(|chunk| !chunk.as_ref().is_ok_and(|c| c.samples.is_empty())).peekable();
    let mut present: Option<Chunk> = None;
    let mut played = 0;
    let fill = move |room: &mut [_]| {
        if present.is_none() {
            present = chunks.next().transpose()?;
            played = 0;
        }
        let Some(chunk) = &present else { return Ok(None) };
        let rest = &chunk.samples[played..];
        let len = rest.len().min(room.len());
        room[..len].copy_from_slice(&rest[..len]);
        let time = chunk.time + played as u64;
        played += len;
        let mut last = false;
        if played == chunk.samples.len() {
            let next = chunks.peek().and_then(|next| next.as_ref().ok());
            last = next.map(|next| next.time) != Some(time + len as u64);
            present = None;
        }
        Ok(Some(Piece { time, len, last }))
    };
    receive_iq(Box::new(fill), 1.0, config, workers, found)
}

/// [`receive`] for samples of any kind, which `fill` reads into the buffers of the stream; an integer of 32768 stands for
/// `full_scale`.
///
/// # Errors
/// When a setting is out of range, `fill` fails, or a sample is not a number.
pub fn receive_iq<S: Iq>(
    fill: Fill<S>,
    full_scale: f32,
    config: &SoundingConfig,
    workers: usize,
    mut found: impl FnMut(Measurement) -> bool,
) -> Result<(), FlowgraphError> {
    check_buffers()?;
    let hooks = Hooks::default();
    let (sender, measured) = async_channel::bounded::<Measurements>(WAITING);

    let mut fg = Flowgraph::new();
    let source = IqSource::<S, DefaultCpuWriter<S>>::new(fill, hooks.of("file"));
    let starter = source.starter();
    let synchronizer = Synchronizer::<DefaultCpuReader<S>>::new(config, hooks.of("synchronizer"))?
        .with_full_scale(full_scale)
        .with_patience(PATIENCE);
    let estimator =
        ChannelEstimator::new(config, hooks.of("channel estimator"))?.with_patience(PATIENCE);
    let tap = Tap::new(sender, |measurements: Measurements| measurements, hooks.of("tap"));
    connect!(fg,
        source > synchronizer;
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
