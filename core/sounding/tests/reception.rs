//! Frames of the crate's own synthesizer through noise and fading, and back.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Truth, noise, random_bits, random_header};
use crqkd_sounding::{
    Demodulator, Estimator, Frame, FrameReport, HEADER_FRAME_LEN, MAX_FRAME_LEN, PREAMBLE_LEN,
    SoundingConfig, SoundingError, Synchronizer, Synthesizer,
};
use num_complex::Complex32;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn synchronizer() -> Synchronizer {
    Synchronizer::new(&SoundingConfig::default()).unwrap()
}

fn frames_of(first: u64, samples: &[Complex32]) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut synchronizer = synchronizer();
    synchronizer.process(first, samples, &mut frames).unwrap();
    synchronizer.flush(&mut frames);
    assert_eq!(synchronizer.progress(), first + samples.len() as u64);
    frames
}

/// The estimation standard of the design: 10 dB, 16 Rayleigh paths, carrier offset; least squares over 32 taps has an
/// NMSE of 32/1024/SNR = −25.05 dB (30 frames: −25.05 ± 0.2 dB).
#[test]
fn frames_at_10_db_are_all_found_and_estimated_at_the_least_squares_bound() {
    for with_header in [false, true] {
        let mut rng = ChaCha8Rng::seed_from_u64(10 + u64::from(with_header));
        let mut samples = noise(620_000, 0.1, &mut rng);
        let synthesizer = Synthesizer::new();
        let mut truth = Vec::new();
        for i in 0..30 {
            let start = 5000 + 20_000 * i + rng.random_range(0..2000);
            let frame = Truth::draw(start, 1.0, &mut rng);
            let header = random_header(0, 0, &mut rng);
            let header = with_header.then_some(header);
            frame.receive(&synthesizer.burst(header.as_ref(), &[], &[]).unwrap(), 0, &mut samples);
            truth.push((frame, header));
        }
        let frames = frames_of(0, &samples);
        assert_eq!(frames.len(), truth.len());
        let mut estimator = Estimator::new();
        let mut demodulator = Demodulator::new(&SoundingConfig::default()).unwrap();
        let mut nmse = 0.0;
        for (frame, (truth, header)) in frames.iter().zip(&truth) {
            let estimate = estimator.estimate(frame);
            assert!(estimate.start.abs_diff(truth.strongest()) <= 1);
            assert!((estimate.cfo_hz - truth.cfo_hz).abs() < 300.0);
            assert!((estimate.snr_db - 10.0).abs() < 1.0);
            assert!((estimate.noise_power / 0.1 - 1.0).abs() < 0.15);
            assert_eq!(demodulator.header(frame, &estimate), *header);
            let again = estimator.measure(frame);
            assert_eq!(again.start, estimate.start);
            assert!((again.cfo_hz - estimate.cfo_hz).abs() < 30.0);
            assert_eq!(demodulator.decode_header(frame, &estimate), *header);
            nmse += truth.channel_nmse(&estimate) / frames.len() as f64;
        }
        assert!(10.0 * nmse.log10() < -24.7, "mean NMSE {:.2} dB", 10.0 * nmse.log10());
    }
}

#[test]
fn the_carriers_follow_from_the_taps_and_have_the_stated_noise() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let burst = Synthesizer::new().burst(None, &[], &[]).unwrap();
    let mut ratio = 0.0;
    let runs = 40;
    for _ in 0..runs {
        let mut samples = noise(4000, 0.1, &mut rng);
        let mut truth = Truth::draw(1000, 1.0, &mut rng);
        truth.taps[1..].fill(Complex32::ZERO);
        truth.taps[0] = Complex32::new(0.8, 0.6);
        truth.cfo_hz = 0.0;
        truth.receive(&burst, 0, &mut samples);
        let frames = frames_of(0, &samples);
        let estimate = Estimator::new().estimate(&frames[0]);
        let mut error = 0.0;
        for (csi, k) in estimate.csi.iter().zip(crqkd_sounding::carriers()) {
            let at = |l: usize| {
                let turn = -std::f32::consts::TAU * k as f32 * l as f32 / 64.0;
                estimate.cir[l] * Complex32::from_polar(1.0, turn)
            };
            assert!(((0..32).map(at).sum::<Complex32>() - csi).norm() < 1e-4);
            let turn = -std::f32::consts::TAU * k as f32 * 8.0 / 64.0;
            error += (csi - truth.taps[0] * Complex32::from_polar(1.0, turn)).norm_sqr() / 52.0;
        }
        ratio += error / estimate.csi_noise_var / runs as f32;
    }
    // 40·32 independent terms: ±2.8 %
    assert!((ratio - 1.0).abs() < 0.1, "measured over stated variance {ratio}");
}

/// Frames with and without payload, a gap, a cut frame: the stream that the split test cuts.
fn mixed_stream(seed: u64) -> Vec<(u64, Vec<Complex32>)> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let synthesizer = Synthesizer::new();
    let mut stretches = Vec::new();
    for (first, len) in [(700u64, 60_000usize), (90_000, 4100), (95_000, 3000), (98_500, 9_000)] {
        let mut samples = noise(len, 0.2, &mut rng);
        let mut at = first + rng.random_range(40..80);
        loop {
            let (control, cipher) = (rng.random_range(0..200usize), rng.random_range(0..600usize));
            let header = random_header(control, cipher, &mut rng);
            let burst = if rng.random_bool(0.7) {
                let control: Vec<u8> = (0..control).map(|_| rng.random()).collect();
                let cipher = random_bits(cipher, &mut rng);
                synthesizer.burst(Some(&header), &control, &cipher).unwrap()
            } else {
                synthesizer.burst(None, &[], &[]).unwrap()
            };
            if at > first + len as u64 {
                break;
            }
            Truth::draw(at, 1.0, &mut rng).receive(&burst, first, &mut samples);
            at += burst.len() as u64 + rng.random_range(40..3000);
        }
        stretches.push((first, samples));
    }
    stretches
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_split_of_the_stream_gives_the_same_frames(
        seed in 0u64..4,
        cuts in proptest::collection::vec(0usize..6000, 1..60),
    ) {
        let stretches = mixed_stream(seed);
        let mut whole = Vec::new();
        let mut reference = synchronizer();
        for (first, samples) in &stretches {
            reference.process(*first, samples, &mut whole).unwrap();
        }
        reference.flush(&mut whole);
        prop_assert!(whole.len() > 6);

        let mut split = Vec::new();
        let mut synchronizer = synchronizer();
        let mut cuts = cuts.iter().cycle();
        for (first, samples) in &stretches {
            let mut at = 0;
            while at < samples.len() {
                let len = (1 + cuts.next().unwrap()).min(samples.len() - at);
                let (known, progress) = (split.len(), synchronizer.progress());
                let time = first + at as u64;
                synchronizer.process(time, &samples[at..at + len], &mut split).unwrap();
                prop_assert!(synchronizer.progress() >= progress);
                prop_assert!(synchronizer.progress() <= time + len as u64);
                prop_assert!(split[known..].iter().all(|frame| frame.start() >= progress));
                at += len;
            }
        }
        synchronizer.flush(&mut split);
        prop_assert_eq!(split, whole);
    }
}

/// The expected number of false frames is 10⁻⁶.
#[test]
fn noise_gives_no_frames_whatever_its_level() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for power in [1e-12, 1.0, 1e9] {
        assert_eq!(frames_of(0, &noise(1_500_000, power, &mut rng)), []);
    }
    // a carrier, silence, and silence that ends
    let tone: Vec<Complex32> =
        (0..100_000).map(|n| Complex32::from_polar(1.0, 0.1 * n as f32)).collect();
    assert_eq!(frames_of(0, &tone), []);
    let mut silence = vec![Complex32::ZERO; 60_000];
    assert_eq!(frames_of(0, &silence), []);
    silence[20_000..40_000].copy_from_slice(&noise(20_000, 1.0, &mut rng));
    assert_eq!(frames_of(0, &silence), []);
}

#[test]
fn a_loud_frame_is_one_frame_at_any_scale() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let header = random_header(20, 500, &mut rng);
    let cipher = random_bits(500, &mut rng);
    let burst = Synthesizer::new().burst(Some(&header), b"twenty bytes of text", &cipher).unwrap();
    for (amplitude, floor) in [(1.0, 0.0), (1e-6, 1e-18), (1e6, 1e3), (1.0, 1e-6)] {
        for _ in 0..20 {
            let mut samples = noise(14_000, floor, &mut rng);
            let truth = Truth::draw(2000, amplitude * amplitude, &mut rng);
            truth.receive(&burst, 0, &mut samples);
            let frames = frames_of(0, &samples);
            assert_eq!(frames.len(), 1);
            let estimate = Estimator::new().estimate(&frames[0]);
            assert!((estimate.cfo_hz - truth.cfo_hz).abs() < 30.0);
            let mut demodulator = Demodulator::new(&SoundingConfig::default()).unwrap();
            assert_eq!(demodulator.header(&frames[0], &estimate), Some(header));
            let payload = demodulator.payload(&frames[0], &estimate, &header);
            assert_eq!(payload.control.as_deref(), Some(&b"twenty bytes of text"[..]));
            let wrong = payload.cipher_llr.iter().zip(&cipher);
            assert_eq!(wrong.filter(|(llr, bit)| (**llr < 0.0) != (**bit == 1)).count(), 0);
        }
    }
}

#[test]
fn a_frame_is_reported_with_what_its_stretch_holds_of_it() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let header = random_header(100, 700, &mut rng);
    let cipher = random_bits(700, &mut rng);
    let burst = Synthesizer::new().burst(Some(&header), &[9; 100], &cipher).unwrap();
    let mut truth = Truth::draw(500, 1.0, &mut rng);
    truth.taps[1..].fill(Complex32::ZERO);
    truth.taps[0] = Complex32::ONE;
    let mut samples = noise(500 + burst.len(), 0.01, &mut rng);
    truth.receive(&burst, 0, &mut samples);
    let mut demodulator = Demodulator::new(&SoundingConfig::default()).unwrap();
    let mut estimator = Estimator::new();

    // The stretch starts with the frame's first sample and ends with its last.
    let frames = frames_of(500, &samples[500..]);
    assert_eq!((frames[0].start(), frames[0].first(), frames[0].is_truncated()), (500, 500, false));
    let estimate = estimator.estimate(&frames[0]);
    let payload = demodulator.payload(&frames[0], &estimate, &header);
    assert_eq!(payload.control, Some(vec![9; 100]));

    // Cut in the payload: the header stays, the control bytes are lost, the bits that are missing have LLR 0.
    let frames = frames_of(0, &samples[..500 + burst.len() - 320]);
    assert!(frames[0].is_truncated());
    assert_eq!(demodulator.header(&frames[0], &estimate), Some(header));
    let payload = demodulator.payload(&frames[0], &estimate, &header);
    assert_eq!(payload.control, Some(vec![9; 100]));
    assert!(payload.cipher_llr[..512].iter().all(|&llr| llr != 0.0));
    assert!(payload.cipher_llr[512..].iter().all(|&llr| llr == 0.0));
    let frames = frames_of(0, &samples[..500 + HEADER_FRAME_LEN + 320]);
    assert_eq!(demodulator.payload(&frames[0], &estimate, &header).control, None);

    // Cut in the header, right behind the preamble, before its end, and after its start.
    let frames = frames_of(0, &samples[..500 + HEADER_FRAME_LEN - 100]);
    assert_eq!(demodulator.header(&frames[0], &estimator.estimate(&frames[0])), None);
    let frames = frames_of(0, &samples[..500 + PREAMBLE_LEN]);
    assert_eq!((frames.len(), frames[0].samples().len()), (1, 16 + PREAMBLE_LEN));
    assert_eq!(frames_of(0, &samples[..500 + PREAMBLE_LEN - 1]), []);
    assert_eq!(frames_of(501, &samples[501..]), []);
}

#[test]
fn progress_stays_at_a_frame_until_its_end_and_no_longer() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let header = random_header(534, 4096, &mut rng);
    let cipher = random_bits(4096, &mut rng);
    let control: Vec<u8> = (0..534).map(|_| rng.random()).collect();
    let burst = Synthesizer::new().burst(Some(&header), &control, &cipher).unwrap();
    assert_eq!(burst.len(), MAX_FRAME_LEN);
    let mut samples = noise(40_000, 0.1, &mut rng);
    let mut truth = Truth::draw(3000, 1.0, &mut rng);
    truth.taps = [Complex32::ZERO; 16];
    truth.taps[0] = Complex32::ONE;
    truth.receive(&burst, 0, &mut samples);
    let end = 3000 + burst.len();
    let mut synchronizer = synchronizer();
    let mut frames = Vec::new();
    synchronizer.process(0, &samples[..end - 1], &mut frames).unwrap();
    assert_eq!((frames.len(), synchronizer.progress()), (0, 3000));
    synchronizer.process(end as u64 - 1, &samples[end - 1..end], &mut frames).unwrap();
    assert_eq!(frames.len(), 1);
    assert!(synchronizer.progress() >= end as u64 - 32);
    let estimate = Estimator::new().estimate(&frames[0]);
    let mut demodulator = Demodulator::new(&SoundingConfig::default()).unwrap();
    assert_eq!(demodulator.payload(&frames[0], &estimate, &header).control, Some(control));
    // A gap ends the stretch without a sample.
    synchronizer.process(1_000_000, &[], &mut frames).unwrap();
    assert_eq!(synchronizer.progress(), 1_000_000);
}

#[test]
fn bad_samples_are_refused_with_their_position_and_clipped_ones_counted() {
    let mut samples = vec![Complex32::ZERO; 100];
    samples[42].im = f32::NAN;
    let mut synchronizer = synchronizer();
    let mut frames = Vec::new();
    let error = synchronizer.process(1000, &samples, &mut frames).unwrap_err();
    assert_eq!(error, SoundingError::NotFinite { position: 1042 });
    assert_eq!(error.to_string(), "sample 1042 is not finite");
    samples[42].im = 0.0;
    synchronizer.process(1000, &samples, &mut frames).unwrap();
    let error = synchronizer.process(1000, &samples, &mut frames).unwrap_err();
    assert_eq!(error, SoundingError::TimeReversed { expected: 1100, got: 1000 });

    let burst = Synthesizer::new().burst(None, &[], &[]).unwrap();
    let mut samples = noise(3000, 1e-4, &mut ChaCha8Rng::seed_from_u64(8));
    for (place, sample) in samples[500..].iter_mut().zip(&burst) {
        *place += 0.5 * sample;
    }
    samples[700].re = 1.0;
    samples[10].re = 1.0;
    let config = SoundingConfig { clip_level: Some(0.99), ..Default::default() };
    let mut synchronizer = Synchronizer::new(&config).unwrap();
    synchronizer.process(0, &samples, &mut frames).unwrap();
    synchronizer.flush(&mut frames);
    assert_eq!((frames.len(), frames[0].clipped()), (1, 1));
}

proptest! {
    /// Any finite samples, at any time and of any size, near a frame: some frames or none, no panic.
    #[test]
    fn hostile_samples_do_no_harm(
        patterns in proptest::collection::vec(any::<(u32, u32)>(), 1..300),
        place in 0usize..4000,
        repeat in 1usize..8,
        time in 0..u64::MAX / 2,
    ) {
        let burst = Synthesizer::new().burst(None, &[], &[]).unwrap();
        let mut samples = vec![Complex32::ZERO; 5000];
        samples[700..700 + burst.len()].copy_from_slice(&burst);
        let finite = |bits: u32| Some(f32::from_bits(bits)).filter(|x| x.is_finite()).unwrap_or(1.0);
        for (i, &(re, im)) in patterns.iter().cycle().take(repeat * patterns.len()).enumerate() {
            if let Some(sample) = samples.get_mut(place + i) {
                *sample = Complex32::new(finite(re), finite(im));
            }
        }
        prop_assert!(frames_of(time, &samples).len() <= 4);
    }
}

#[test]
fn a_report_is_one_line_of_json() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let header = random_header(0, 0, &mut rng);
    let burst = Synthesizer::new().burst(Some(&header), &[], &[]).unwrap();
    let frames = frames_of(77, &burst);
    let estimate = Estimator::new().estimate(&frames[0]);
    let report = FrameReport::new(&estimate, Some(header));
    let line = serde_json::to_string(&report).unwrap();
    assert!(line.starts_with(r#"{"start":77,"cfo_hz":"#), "{line}");
    assert!(line.contains(r#""cir":[["#) && line.contains(r#""direction":""#), "{line}");
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert!((value["cir"][8][0].as_f64().unwrap() - 1.0).abs() < 1e-3);
    assert_eq!(serde_json::from_str::<FrameReport>(&line).unwrap(), report);
}
