//! The standard of header and payload on few frames; the example `sounding_standard` does it on many.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Truth, noise, random_bits, random_header};
use crqkd_sounding::{Demodulator, Estimator, Frame, SoundingConfig, Synchronizer, Synthesizer};
use num_complex::Complex32;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The frames of a gate of 128 samples more than the burst.
fn gate(burst: &[Complex32], snr_db: f32, rng: &mut impl Rng) -> Vec<Frame> {
    let mut samples = noise(burst.len() + 128, 10f32.powf(-snr_db / 10.0), rng);
    Truth::draw(rng.random_range(32..96), 1.0, rng).receive(burst, 0, &mut samples);
    let mut frames = Vec::new();
    let mut synchronizer = Synchronizer::new(&SoundingConfig::default()).unwrap();
    synchronizer.process(0, &samples, &mut frames).unwrap();
    synchronizer.flush(&mut frames);
    frames
}

/// Of 20000 frames at −5 dB the example loses none: one lost of 300 would be a defect.
#[test]
fn headers_are_read_at_minus_5_db() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let synthesizer = Synthesizer::new();
    let mut estimator = Estimator::new();
    let mut demodulator = Demodulator::new(&SoundingConfig::default()).unwrap();
    for _ in 0..300 {
        let header = random_header(0, 0, &mut rng);
        let burst = synthesizer.burst(Some(&header), &[], &[]).unwrap();
        let frames = gate(&burst, -5.0, &mut rng);
        assert_eq!(frames.len(), 1);
        let estimate = estimator.estimate(&frames[0]);
        assert_eq!(demodulator.header(&frames[0], &estimate), Some(header));
    }
}

/// A bit of LLR x is wrong with probability 1/(1+e^|x|); with 400 errors expected, 20 % are four standard deviations.
#[test]
fn a_cipher_bit_is_wrong_as_often_as_its_llr_says() {
    const BIN: f32 = 0.75;
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let synthesizer = Synthesizer::new();
    let mut estimator = Estimator::new();
    let mut demodulator = Demodulator::new(&SoundingConfig::default()).unwrap();
    let mut counted = 0;
    for snr_db in [-5.0, 0.0, 4.0] {
        let mut bins = [(0, 0.0); 16];
        for _ in 0..150 {
            let cipher = random_bits(1500, &mut rng);
            let header = random_header(10, cipher.len(), &mut rng);
            let burst = synthesizer.burst(Some(&header), &[5; 10], &cipher).unwrap();
            let frames = gate(&burst, snr_db, &mut rng);
            let estimate = estimator.estimate(&frames[0]);
            let payload = demodulator.payload(&frames[0], &estimate, &header);
            assert_eq!(payload.cipher_llr.len(), cipher.len());
            assert!(snr_db < 4.0 || payload.control == Some(vec![5; 10]));
            for (llr, bit) in payload.cipher_llr.iter().zip(&cipher) {
                let bin = &mut bins[((llr.abs() / BIN) as usize).min(15)];
                bin.0 += usize::from((*llr < 0.0) != (*bit == 1));
                bin.1 += 1.0 / (1.0 + f64::from(llr.abs()).exp());
            }
        }
        for (i, &(wrong, expected)) in bins.iter().enumerate().filter(|(_, bin)| bin.1 >= 400.0) {
            let ratio = wrong as f64 / expected;
            let from = BIN * i as f32;
            assert!((ratio - 1.0).abs() < 0.2, "{snr_db} dB, |LLR| from {from}: {ratio:.3}");
            counted += 1;
        }
    }
    assert!(counted >= 12, "{counted} bins");
}
