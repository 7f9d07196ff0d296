//! The receiver on stored samples.

use crqkd_blocks::radio::RadioError;
use crqkd_blocks::radio::file::Chunk;
use crqkd_flowgraphs::receive;
use crqkd_sounding::{SoundingConfig, Synthesizer};
use futuresdr::num_complex::Complex32;

/// Frames every 10 000 samples, in chunks of 7 000.
fn chunks(frames: usize) -> Vec<Result<Chunk, RadioError>> {
    let burst = Synthesizer::new().burst(None, &[], &[]).expect("no header to be wrong");
    let mut samples = vec![Complex32::ZERO; 10_000 * frames];
    for (i, frame) in samples.chunks_mut(10_000).enumerate() {
        // Tell noiseless frames apart by their amplitude.
        let place = &mut frame[500..500 + burst.len()];
        place.iter_mut().zip(&burst).for_each(|(s, b)| *s = b * (1.0 + i as f32));
    }
    let chunk =
        |(i, s): (usize, &[Complex32])| Chunk { time: 7_000 * i as u64, samples: s.to_vec() };
    samples.chunks(7_000).enumerate().map(chunk).map(Ok).collect()
}

#[test]
fn frames_come_in_order_and_the_receiver_ends_with_its_file() {
    for workers in [1, 2] {
        let mut starts = Vec::new();
        receive(chunks(30).into_iter(), &SoundingConfig::default(), workers, |m| {
            starts.push(m.estimate.start);
            true
        })
        .unwrap();
        assert_eq!(starts, (0..30).map(|i| 10_000 * i + 500).collect::<Vec<u64>>());
    }
}

#[test]
fn the_reader_may_end_early() {
    let mut found = 0;
    receive(chunks(200).into_iter(), &SoundingConfig::default(), 1, |_| {
        found += 1;
        found < 3
    })
    .unwrap();
    assert_eq!(found, 3);
}

#[test]
fn what_cannot_be_read_ends_it_with_a_reason() {
    let config = SoundingConfig::default();
    let mut broken = chunks(3);
    broken
        .push(Err(RadioError::File { name: "x.cf32".into(), reason: "byte 7 is missing".into() }));
    let error = receive(broken.into_iter(), &config, 1, |_| true).unwrap_err();
    assert_eq!(error.to_string(), "file: x.cf32: byte 7 is missing");
    let mut broken = chunks(3);
    if let Some(Ok(chunk)) = broken.last_mut() {
        chunk.samples[5].im = f32::NAN;
    }
    let error = receive(broken.into_iter(), &config, 1, |_| true).unwrap_err();
    assert!(error.to_string().starts_with("synchronizer: "), "{error}");
    receive(std::iter::empty(), &config, 1, |_| true).unwrap();
}
