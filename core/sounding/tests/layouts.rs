//! Both layouts, both sample types, both modes and tracking, on a stream long enough for the gate to have a floor.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Truth, noise, random_header};
use crqkd_sounding::{
    Demodulator, Estimator, Frame, FrameLayout, SearchMode, SoundingConfig, Synchronizer,
    Synthesizer,
};
use num_complex::Complex32;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const LAYOUTS: [FrameLayout; 2] = [FrameLayout::Single, FrameLayout::Double];
const FULL_SCALE: f32 = 8.0;

fn frames_of(config: &SoundingConfig, samples: &[Complex32]) -> Vec<Frame> {
    let (mut synchronizer, mut frames) = (Synchronizer::new(config).unwrap(), Vec::new());
    synchronizer.process(0, samples, &mut frames).unwrap();
    synchronizer.flush(&mut frames);
    frames
}

/// Frames every `distance` samples, every second one with a header, in noise.
fn stream(
    layout: FrameLayout,
    snr_db: f32,
    distance: u64,
    seed: u64,
) -> (Vec<Complex32>, Vec<Truth>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let synthesizer = Synthesizer::with_layout(layout);
    let mut samples = noise(12 * distance as usize, 10f32.powf(-snr_db / 10.0), &mut rng);
    let mut truths = Vec::new();
    for i in 0..12 {
        let header = (i % 2 == 1).then(|| random_header(0, 0, &mut rng));
        let burst = synthesizer.burst(header.as_ref(), &[], &[]).unwrap();
        let mut truth = Truth::draw(1000 + i * distance, 1.0, &mut rng);
        // the strongest path first, so that the distances are equal
        truth.taps[0] *= 3.0 / truth.taps[0].norm();
        let power: f32 = truth.taps.iter().map(|tap| tap.norm_sqr()).sum();
        truth.taps.iter_mut().for_each(|tap| *tap /= power.sqrt());
        truth.receive(&burst, 0, &mut samples);
        truths.push(truth);
    }
    (samples, truths)
}

#[test]
fn both_layouts_and_modes_find_every_frame_at_its_place() {
    for layout in LAYOUTS {
        for search in [SearchMode::Gated, SearchMode::AlwaysCorrelate] {
            for tracking in [false, true] {
                let config = SoundingConfig { layout, search, tracking, ..Default::default() };
                let (samples, truths) = stream(layout, 0.0, 20_000, 11);
                let frames = frames_of(&config, &samples);
                let starts: Vec<u64> = frames.iter().map(Frame::start).collect();
                let expected: Vec<u64> = truths.iter().map(Truth::strongest).collect();
                assert_eq!(starts, expected, "{config:?}");
                let mut estimator = Estimator::with_layout(layout);
                let mut demodulator = Demodulator::new(&config).unwrap();
                for (i, (frame, truth)) in frames.iter().zip(&truths).enumerate() {
                    let estimate = estimator.estimate(frame);
                    assert!((estimate.cfo_hz - truth.cfo_hz).abs() < 1000.0);
                    assert!(truth.channel_nmse(&estimate) < 0.1);
                    assert_eq!(demodulator.header(frame, &estimate).is_some(), i % 2 == 1);
                }
            }
        }
    }
}

/// A frame of two periods of which the first is missing must not be taken for one that starts half a sequence later.
/// Frames so close to each other that the gate's floor never sees the noise between them.
#[test]
fn frames_that_follow_closely_are_found_though_the_floor_is_theirs() {
    let mut rng = ChaCha8Rng::seed_from_u64(21);
    for layout in LAYOUTS {
        let burst = Synthesizer::with_layout(layout).burst(None, &[], &[]).unwrap();
        let mut samples = noise(400_000, 0.3, &mut rng);
        let (mut at, mut truths) = (1000, Vec::new());
        while at + 3000 < samples.len() as u64 {
            let truth = Truth::draw(at, 1.0, &mut rng);
            truth.receive(&burst, 0, &mut samples);
            truths.push(truth);
            at += burst.len() as u64 + rng.random_range(20..1000);
        }
        let config = SoundingConfig { layout, ..Default::default() };
        let frames = frames_of(&config, &samples);
        assert_eq!(frames.len(), truths.len(), "{layout:?}");
        for (frame, truth) in frames.iter().zip(&truths) {
            assert!(frame.start().abs_diff(truth.strongest()) <= 16);
        }
    }
}

#[test]
fn the_second_period_alone_is_no_frame() {
    let (samples, truths) = stream(FrameLayout::Double, 20.0, 20_000, 12);
    let config = SoundingConfig { layout: FrameLayout::Double, ..Default::default() };
    for truth in &truths {
        let start = truth.start as usize;
        for cut in [start + 20, start + 320, start + 600] {
            let rest = &samples[cut..start + 8000];
            assert_eq!(frames_of(&config, rest), [], "cut {} into the frame", cut - start);
        }
    }
    // A frame of the other layout is none of this one.
    let config = SoundingConfig::default();
    assert_eq!(frames_of(&config, &samples), []);
}

#[test]
fn tracking_bridges_lost_frames_and_gives_up_after_three() {
    let (mut samples, truths) = stream(FrameLayout::Single, 10.0, 20_000, 13);
    let config = SoundingConfig { tracking: true, ..Default::default() };
    let blank = |samples: &mut Vec<Complex32>, i: usize| {
        let at = truths[i].start as usize;
        let quiet = samples[at + 6000..at + 10_000].to_vec();
        samples[at..at + 4000].copy_from_slice(&quiet);
    };
    for i in [4, 5, 8, 9, 10] {
        blank(&mut samples, i);
    }
    let starts: Vec<u64> = frames_of(&config, &samples).iter().map(Frame::start).collect();
    let expected: Vec<u64> = [0, 1, 2, 3, 6, 7, 11].map(|i| truths[i].strongest()).to_vec();
    assert_eq!(starts, expected);
}

/// Loud bursts make many candidates late in their windows, all of which are refused; the stream goes on behind each.
#[test]
fn refused_candidates_do_not_stop_a_stream() {
    let mut rng = ChaCha8Rng::seed_from_u64(14);
    for search in [SearchMode::Gated, SearchMode::AlwaysCorrelate] {
        let config = SoundingConfig { search, ..Default::default() };
        let (mut synchronizer, mut frames) = (Synchronizer::new(&config).unwrap(), Vec::new());
        for piece in 0..100 {
            let mut samples = noise(20_000, 1.0, &mut rng);
            let mut at = 0;
            while at < 19_000 {
                let len = rng.random_range(8..900);
                let slow: f32 = rng.random_range(-0.02..0.02);
                for (n, sample) in samples[at..at + len].iter_mut().enumerate() {
                    *sample += Complex32::from_polar(30.0, slow * n as f32);
                }
                at += len + rng.random_range(20..2000);
            }
            synchronizer.process(20_000 * piece, &samples, &mut frames).unwrap();
        }
        assert_eq!(frames, []);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Integers give what the same samples give as floating-point numbers, under any split.
    #[test]
    fn integers_are_floating_point_numbers_bit_by_bit(
        layout in prop_oneof![Just(FrameLayout::Single), Just(FrameLayout::Double)],
        seed in 0u64..100,
        cuts in proptest::collection::vec(1usize..9000, 1..40),
    ) {
        let (samples, truths) = stream(layout, 5.0, 20_000, seed);
        let integer = |x: f32| (x / FULL_SCALE * 32768.0).round() as i16;
        let integers: Vec<[i16; 2]> =
            samples.iter().map(|s| [integer(s.re), integer(s.im)]).collect();
        let float = |x: i16| f32::from(x) / 32768.0 * FULL_SCALE;
        let floats: Vec<Complex32> =
            integers.iter().map(|&[re, im]| Complex32::new(float(re), float(im))).collect();
        let config = SoundingConfig { layout, ..Default::default() };
        let whole = frames_of(&config, &floats);
        prop_assert_eq!(whole.len(), truths.len());

        let (mut synchronizer, mut frames) = (Synchronizer::new(&config).unwrap(), Vec::new());
        let (mut at, mut cuts) = (0, cuts.iter().cycle());
        while at < integers.len() {
            let len = (*cuts.next().unwrap()).min(integers.len() - at);
            let piece = &integers[at..at + len];
            synchronizer.process_ci16(at as u64, piece, FULL_SCALE, &mut frames).unwrap();
            at += len;
        }
        synchronizer.flush(&mut frames);
        prop_assert_eq!(frames, whole);
    }

    /// A burst of a tone is no frame, whatever its length, level and frequency.
    #[test]
    fn a_burst_of_a_tone_is_no_frame(
        seed in any::<u64>(), len in 1usize..5000, omega in -3.2f32..3.2, slow in any::<bool>(),
    ) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut samples = noise(8000, 1.0, &mut rng);
        let omega = if slow { omega * 1e-3 } else { omega };
        let amplitude = 10f32.powf(rng.random_range(0.0..2.0));
        for (n, place) in samples[2000..2000 + len].iter_mut().enumerate() {
            *place += Complex32::from_polar(amplitude, omega * n as f32);
        }
        for layout in LAYOUTS {
            let config = SoundingConfig { layout, ..Default::default() };
            prop_assert_eq!(frames_of(&config, &samples), []);
        }
    }
}
