//! The batch decoders: the same on every instruction set, and as good as the plain ones.

#![allow(clippy::unwrap_used)]

use crqkd_polar::{
    BATCH_LIST_SIZES, BatchAdaptiveDecoder, BatchListDecoder, BatchScDecoder, CodeSpec,
    Construction, Crc, InstructionSet, ListDecoder, MAX_N, MIN_N, Outcome, PolarCode, Quantizer,
    ScDecoder,
};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn random_message(rng: &mut impl Rng, k: usize) -> Vec<u8> {
    (0..k).map(|_| rng.random_range(0..2)).collect()
}

/// A decoder of any kind.
enum Decoder {
    Sc(BatchScDecoder),
    List(BatchListDecoder),
    Adaptive(BatchAdaptiveDecoder),
}

impl Decoder {
    /// SC for 1 path, adaptive for 0.
    fn new(code: &PolarCode, paths: usize, set: InstructionSet) -> Self {
        match paths {
            0 => Self::Adaptive(
                BatchAdaptiveDecoder::with_instructions(code, 32, set).expect("list size"),
            ),
            1 => Self::Sc(BatchScDecoder::with_instructions(code, set)),
            _ => Self::List(
                BatchListDecoder::with_instructions(code, paths, set).expect("list size"),
            ),
        }
    }

    fn decode(&mut self, llr: &[i8], n: usize, k: usize) -> (Vec<u8>, Vec<Outcome>) {
        let frames = llr.len() / n;
        let (mut messages, mut outcomes) = (vec![7; frames * k], vec![Outcome::Failed; frames]);
        match self {
            Self::Sc(decoder) => decoder.decode(llr, &mut messages, &mut outcomes),
            Self::List(decoder) => decoder.decode(llr, &mut messages, &mut outcomes),
            Self::Adaptive(decoder) => decoder.decode(llr, &mut messages, &mut outcomes),
        }
        (messages, outcomes)
    }
}

fn all_sizes() -> impl Iterator<Item = usize> {
    [0, 1].into_iter().chain(BATCH_LIST_SIZES)
}

#[test]
fn all_instruction_sets_give_identical_bits_and_metrics() {
    identical(1, 4_000);
}

/// Frames of random codes, half of them noise around a codeword and half anything at all, through each decoder.
fn identical(seed: u64, wanted: usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let sets: Vec<_> = InstructionSet::ALL.into_iter().filter(|set| set.is_available()).collect();
    let mut frames = 0;
    while frames < wanted {
        let n = MIN_N << rng.random_range(0..3);
        let crc = [Crc::None, Crc::Crc11, Crc::Crc16][rng.random_range(0..3)];
        let k = rng.random_range(1..=n - crc.len());
        let code = PolarCode::new(CodeSpec { n, k, crc }, Construction::BetaExpansion).unwrap();
        let count = 512 + rng.random_range(0..64);
        let spread = rng.random_range(1..=127);
        let llr: Vec<i8> = (0..count)
            .flat_map(|frame| {
                let word = code.encode(&random_message(&mut rng, k));
                let any = frame % 2 == 0;
                word.into_iter()
                    .map(|bit| {
                        let strength = rng.random_range(0..=spread);
                        match (any, (bit == 1) ^ rng.random_bool(0.08)) {
                            (true, _) => rng.random(),
                            (_, true) => -strength,
                            _ => strength,
                        }
                    })
                    .collect::<Vec<_>>()
            })
            .collect();
        for paths in all_sizes() {
            let found: Vec<_> = sets
                .iter()
                .map(|&set| Decoder::new(&code, paths, set).decode(&llr, n, k))
                .collect();
            for (set, other) in sets.iter().zip(&found).skip(1) {
                assert!(found[0] == *other, "n = {n}, k = {k}, {crc:?}, {paths} paths: {set}");
            }
        }
        frames += count;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn clean_words_of_any_size_come_back(
        log_n in 5usize..=12,
        share in 0.0f64..1.0,
        crc in prop::sample::select(vec![Crc::None, Crc::Crc11, Crc::Crc16, Crc::Crc32]),
        paths in prop::sample::select(all_sizes().collect::<Vec<_>>()),
        frames in 1usize..70,
        seed: u64,
    ) {
        let n = 1 << log_n;
        let most = n - crc.len();
        prop_assume!(most > 0);
        let k = 1 + (share * (most - 1) as f64) as usize;
        let code = PolarCode::new(CodeSpec { n, k, crc }, Construction::BetaExpansion).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let messages = random_message(&mut rng, frames * k);
        let llr: Vec<i8> = messages
            .chunks(k)
            .flat_map(|message| code.encode(message))
            .map(|bit| if bit == 0 { 5 } else { -5 })
            .collect();
        let (found, outcomes) = Decoder::new(&code, paths, InstructionSet::best()).decode(&llr, n, k);
        prop_assert!(found == messages);
        let clean = Outcome::Decoded { path_metric: 0.0, corrected: 0 };
        prop_assert!(outcomes.iter().all(|&outcome| outcome == clean));
    }

    /// A decoder has no memory: a frame comes out the same alone and among others.
    #[test]
    fn frames_do_not_touch_each_other(
        llr in proptest::collection::vec(any::<i8>(), 64 * 37),
        paths in prop::sample::select(all_sizes().collect::<Vec<_>>()),
        crc in prop::sample::select(vec![Crc::None, Crc::Crc11]),
    ) {
        let code = PolarCode::new(CodeSpec { n: 64, k: 20, crc }, Construction::BetaExpansion).unwrap();
        let mut decoder = Decoder::new(&code, paths, InstructionSet::best());
        let (messages, outcomes) = decoder.decode(&llr, 64, 20);
        for (i, frame) in llr.chunks(64).enumerate() {
            let (message, outcome) = decoder.decode(frame, 64, 20);
            prop_assert_eq!(&messages[20 * i..20 * (i + 1)], &message[..]);
            prop_assert_eq!(outcomes[i], outcome[0]);
        }
    }
}

/// Failures of the plain and of the batch decoder on the same noisy words.
fn failures(n: usize, k: usize, paths: usize, p: f64, frames: usize) -> (usize, usize) {
    let spec = CodeSpec { n, k, crc: Crc::Crc16 };
    let code = PolarCode::new(spec, Construction::BscDensityEvolution { p }).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let messages = random_message(&mut rng, frames * k);
    let llr: Vec<i8> = messages
        .chunks(k)
        .flat_map(|message| code.encode(message))
        .map(|bit| if (bit == 1) ^ rng.random_bool(p) { -1 } else { 1 })
        .collect();
    let real: Vec<f32> = llr.iter().map(|&x| f32::from(x)).collect();
    let mut message = vec![0; k];
    let plain = real
        .chunks(n)
        .zip(messages.chunks(k))
        .filter(|(llr, sent)| {
            let outcome = match paths {
                1 => ScDecoder::new(&code).decode(llr, &mut message),
                _ => ListDecoder::new(&code, paths).unwrap().decode(llr, &mut message),
            };
            !outcome.is_decoded() || message != *sent
        })
        .count();
    let (found, outcomes) = Decoder::new(&code, paths, InstructionSet::best()).decode(&llr, n, k);
    let batch = found
        .chunks(k)
        .zip(messages.chunks(k))
        .zip(&outcomes)
        .filter(|((found, sent), outcome)| !outcome.is_decoded() || found != sent)
        .count();
    (plain, batch)
}

/// The shortcuts of the batch decoder and its 8 bits cost nothing that 2000 frames could show: the two see the same
/// noise, so that their failures differ by much less than two independent counts would.
#[test]
fn batches_fail_as_often_as_single_frames() {
    for (paths, k, p) in [(1, 100, 0.06), (4, 120, 0.07), (8, 120, 0.08), (32, 128, 0.08)] {
        let (plain, batch) = failures(256, k, paths, p, 2000);
        assert!(plain > 30, "{plain} failures say nothing");
        let allowed = 3.0 * (plain as f64).sqrt();
        assert!(
            (batch as f64 - plain as f64).abs() < allowed,
            "{paths} paths: {plain} against {batch}"
        );
    }
}

#[test]
fn quantizer_rounds_bounds_and_knows_nothing_of_nan() {
    let quantizer = Quantizer::new(4.0);
    let llr = [0.1, 0.13, -0.9, 1e9, f32::NEG_INFINITY, f32::NAN];
    let mut out = [0; 6];
    quantizer.quantize_into(&llr, &mut out);
    assert_eq!(out, [0, 1, -4, 127, -127, 0]);
    assert_eq!(Quantizer::hard(2.43).quantize(-2.43), -1);
    assert_eq!(Quantizer::new(f32::NAN), Quantizer::default());
}

#[test]
fn corrections_are_counted_at_the_longest_length() {
    let spec = CodeSpec { n: MAX_N, k: 1000, crc: Crc::Crc32 };
    let code = PolarCode::new(spec, Construction::BetaExpansion).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let message = random_message(&mut rng, 1000);
    let mut llr: Vec<i8> =
        code.encode(&message).iter().map(|&bit| if bit == 0 { 6 } else { -6 }).collect();
    for i in rand::seq::index::sample(&mut rng, MAX_N, 300) {
        llr[i] = if llr[i] > 0 { -5 } else { 5 };
    }
    let mut found = vec![0; 1000];
    let outcome = BatchListDecoder::new(&code, 8).unwrap().decode_one(&llr, &mut found);
    assert_eq!(outcome, Outcome::Decoded { path_metric: 1500.0, corrected: 300 });
    assert_eq!(found, message);
}
