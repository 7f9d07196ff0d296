//! The codec from outside: round trips, error correction, and failure rates against their expectation.

use crqkd_polar::{
    AdaptiveDecoder, CodeSpec, Construction, Crc, ListDecoder, Outcome, PolarCode, ScDecoder,
};
use proptest::prelude::*;
use rand::seq::index::sample;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Beta, Distribution};

fn code(n: usize, k: usize, crc: Crc, p: f64) -> PolarCode {
    let spec = CodeSpec { n, k, crc };
    PolarCode::new(spec, Construction::BscDensityEvolution { p }).expect("parameters in range")
}

fn random_message(rng: &mut impl Rng, k: usize) -> Vec<u8> {
    (0..k).map(|_| rng.random_range(0..2)).collect()
}

fn hard(word: &[u8], magnitude: f32) -> Vec<f32> {
    word.iter().map(|&bit| if bit == 0 { magnitude } else { -magnitude }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_clean_word_of_any_size_comes_back(
        log_n in 5usize..=12,
        share in 0.0f64..1.0,
        crc in prop::sample::select(vec![Crc::None, Crc::Crc11, Crc::Crc16, Crc::Crc32]),
        list in 1usize..=9,
        seed: u64,
    ) {
        let n = 1 << log_n;
        let most = n - crc.len();
        prop_assume!(most > 0);
        let k = 1 + (share * (most - 1) as f64) as usize;
        let code = PolarCode::new(CodeSpec { n, k, crc }, Construction::BetaExpansion).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let message = random_message(&mut rng, k);
        let llr = hard(&code.encode(&message), 1.5);
        let clean = Outcome::Decoded { path_metric: 0.0, corrected: 0 };
        let mut decoded = vec![2; k];
        prop_assert_eq!(ScDecoder::new(&code).decode(&llr, &mut decoded), clean);
        prop_assert_eq!(&decoded, &message);
        decoded.fill(2);
        prop_assert_eq!(ListDecoder::new(&code, list).unwrap().decode(&llr, &mut decoded), clean);
        prop_assert_eq!(&decoded, &message);
    }

    #[test]
    fn noise_and_nonsense_never_panic(
        llr in proptest::collection::vec(prop_oneof![
            any::<f32>(), Just(f32::NAN), Just(f32::INFINITY), Just(f32::NEG_INFINITY), Just(0.0), Just(-0.0)
        ], 64),
    ) {
        let code = PolarCode::new(CodeSpec { n: 64, k: 20, crc: Crc::None }, Construction::BetaExpansion).unwrap();
        let mut message = vec![0; 20];
        for size in [1, 3, 8] {
            let outcome = ListDecoder::new(&code, size).unwrap().decode(&llr, &mut message);
            let Outcome::Decoded { path_metric, .. } = outcome else { panic!("no check, no failure") };
            prop_assert!(path_metric.is_finite());
            prop_assert!(message.iter().all(|&bit| bit < 2));
        }
        prop_assert!(ScDecoder::new(&code).decode(&llr, &mut message).is_decoded());
    }
}

#[test]
fn known_numbers_of_errors_are_corrected_and_counted() {
    let code = code(1024, 384, Crc::Crc11, 0.081);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut list = ListDecoder::new(&code, 8).unwrap();
    let mut adaptive = AdaptiveDecoder::new(&code, 8).unwrap();
    let mut decoded = vec![0; 384];
    for errors in [1, 10, 40, 60] {
        for _ in 0..10 {
            let message = random_message(&mut rng, 384);
            let mut word = code.encode(&message);
            for i in sample(&mut rng, 1024, errors) {
                word[i] ^= 1;
            }
            let llr = hard(&word, 2.0);
            let expected = Outcome::Decoded { path_metric: 2.0 * errors as f32, corrected: errors };
            assert_eq!(list.decode(&llr, &mut decoded), expected);
            assert_eq!(decoded, message);
            assert_eq!(adaptive.decode(&llr, &mut decoded), expected);
            assert_eq!(decoded, message);
        }
    }
}

#[test]
fn a_hopeless_word_fails_and_leaves_the_message_alone() {
    let code = code(512, 200, Crc::Crc32, 0.05);
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let llr: Vec<f32> = (0..512).map(|_| rng.random_range(-1.0..1.0)).collect();
    let mut decoded = vec![7; 200];
    assert_eq!(AdaptiveDecoder::new(&code, 8).unwrap().decode(&llr, &mut decoded), Outcome::Failed);
    assert!(decoded.iter().all(|&bit| bit == 7));
}

/// Short code: with 2^k paths the list holds every codeword, so the decoder is maximum-likelihood; compare with trying
/// all of them.
#[test]
fn a_full_list_is_maximum_likelihood() {
    let code =
        PolarCode::new(CodeSpec { n: 32, k: 6, crc: Crc::None }, Construction::BetaExpansion)
            .unwrap();
    let words: Vec<(Vec<u8>, Vec<u8>)> = (0u8..64)
        .map(|m| {
            let message: Vec<u8> = (0..6).map(|i| m >> i & 1).collect();
            (code.encode(&message), message)
        })
        .collect();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut decoder = ListDecoder::new(&code, 64).unwrap();
    let mut decoded = vec![0; 6];
    for _ in 0..300 {
        let llr: Vec<f32> = (0..32).map(|_| rng.random_range(-4.0..4.0)).collect();
        let against = |word: &[u8]| -> f32 {
            llr.iter().zip(word).map(|(l, &b)| (if b == 0 { -l } else { *l }).max(0.0)).sum()
        };
        let (best, message) =
            words.iter().min_by(|a, b| against(&a.0).total_cmp(&against(&b.0))).unwrap();
        let Outcome::Decoded { path_metric, .. } = decoder.decode(&llr, &mut decoded) else {
            panic!("a code without a check never fails")
        };
        assert_eq!(&decoded, message);
        assert!((path_metric - against(best)).abs() < 1e-3);
    }
}

/// Failures among `trials` random words whose error rate is drawn anew for each: beta distribution of this mean and
/// concentration (independent errors when it is infinite).
fn failures(code: &PolarCode, size: usize, p: f64, concentration: f64, trials: usize) -> usize {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut decoder = AdaptiveDecoder::new(code, size).expect("size in range");
    let mut decoded = vec![0; code.k()];
    let magnitude = ((1.0 - p) / p).ln() as f32;
    let even = concentration.is_infinite();
    let spread = Beta::new(p * concentration.min(1e6), (1.0 - p) * concentration.min(1e6))
        .expect("positive");
    (0..trials)
        .filter(|_| {
            let rate = if even { p } else { spread.sample(&mut rng) };
            let message = random_message(&mut rng, code.k());
            let mut word = code.encode(&message);
            for bit in &mut word {
                *bit ^= u8::from(rng.random_bool(rate.min(0.5)));
            }
            !decoder.decode(&hard(&word, magnitude), &mut decoded).is_decoded()
                || decoded != message
        })
        .count()
}

/// The retransmission rates that the project's error model expects of a (1024, 384) code with 8 paths and hard
/// decisions: 10.9, 3.4 and 1.8 % at mean error rates of 8.1, 5.8 and 4.7 % with beta concentration 44, with one code. Binomial
/// interval of 4 standard deviations over 2000 words.
#[test]
fn failure_rates_with_uneven_errors_are_those_of_the_error_model() {
    let trials = 2000;
    let code = code(1024, 384, Crc::Crc11, 0.081);
    for (p, expected) in [(0.081, 0.109), (0.058, 0.034), (0.047, 0.018)] {
        let rate = failures(&code, 8, p, 44.0, trials) as f64 / trials as f64;
        let deviation = (expected * (1.0 - expected) / trials as f64).sqrt();
        assert!((rate - expected).abs() < 4.0 * deviation, "{rate} against {expected} at {p}");
    }
}

/// With independent errors the same code decodes nearly everything at 8.1 % and about nine tenths at 12 %; density
/// evolution beats β-expansion on a binary symmetric channel, and a longer list beats a shorter one.
#[test]
fn failure_rates_with_even_errors() {
    let trials = 1000;
    assert!(failures(&code(1024, 384, Crc::Crc11, 0.081), 8, 0.081, f64::INFINITY, trials) <= 2);
    let at_limit = code(1024, 384, Crc::Crc11, 0.12);
    let [one, eight, many] =
        [1, 8, 32].map(|size| failures(&at_limit, size, 0.12, f64::INFINITY, trials));
    assert!((50..150).contains(&eight), "{eight} of {trials} fail with 8 paths");
    assert!(many < eight && eight < one / 3, "{one}, {eight}, {many} fail with 1, 8, 32 paths");
}
