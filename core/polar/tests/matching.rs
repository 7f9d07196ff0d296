//! Codes of any length.

use crqkd_polar::{
    BatchListDecoder, Construction, Crc, ListDecoder, MAX_N, MatchedCode, Matching, Outcome,
    PolarError, ScDecoder,
};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const ALL: [Matching; 3] = [Matching::Puncture, Matching::Shorten, Matching::Repeat];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_clean_word_of_any_length_comes_back(
        length in prop_oneof![32usize..300, 300usize..4096],
        share in 0.0f64..1.0,
        matching in prop::sample::select(ALL.to_vec()),
        crc in prop::sample::select(vec![Crc::None, Crc::Crc11, Crc::Crc16]),
        seed: u64,
    ) {
        // Repetition sends the bits of a shorter mother code again, punctured bits are unknown: less room for messages.
        let room = match matching {
            Matching::Repeat => (length + 1).next_power_of_two() / 2,
            _ => length,
        };
        prop_assume!(room > crc.len());
        let k = 1 + (share * (room - crc.len() - 1) as f64) as usize;
        let code = MatchedCode::new(length, k, crc, matching, Construction::BetaExpansion).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let message: Vec<u8> = (0..k).map(|_| rng.random_range(0..2)).collect();
        let word = code.encode(&message);
        prop_assert_eq!((word.len(), code.length()), (length, length));
        let llr: Vec<f32> = word.iter().map(|&bit| if bit == 0 { 3.0 } else { -3.0 }).collect();
        let n = code.mother().n();
        let mut spread = vec![0.0; n];
        code.spread(&llr, &mut spread);
        let mut found = vec![9; k];
        // A list, as punctured bits leave the decoder with ties.
        let outcome = ListDecoder::new(code.mother(), 8).unwrap().decode(&spread, &mut found);
        prop_assert!(outcome.is_decoded());
        prop_assert_eq!(&found, &message);
        if matching != Matching::Puncture {
            let outcome = ScDecoder::new(code.mother()).decode(&spread, &mut found);
            prop_assert_eq!(outcome, Outcome::Decoded { path_metric: 0.0, corrected: 0 });
            prop_assert_eq!(&found, &message);
        }

        let bytes: Vec<i8> = word.iter().map(|&bit| if bit == 0 { 3 } else { -3 }).collect();
        let mut spread = vec![0; n];
        code.spread_bytes(&bytes, &mut spread);
        let mut found = vec![9; k];
        prop_assert!(BatchListDecoder::new(code.mother(), 8).unwrap().decode_one(&spread, &mut found).is_decoded());
        prop_assert_eq!(&found, &message);
    }
}

#[test]
fn a_shortened_bit_is_always_0() {
    let construction = Construction::BscDensityEvolution { p: 0.05 };
    let code = MatchedCode::new(200, 120, Crc::Crc11, Matching::Shorten, construction).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut spread = vec![0.0; 256];
    code.spread(&[1.0; 200], &mut spread);
    for _ in 0..50 {
        let message: Vec<u8> = (0..120).map(|_| rng.random_range(0..2)).collect();
        let word = code.mother().encode(&message);
        for (bit, llr) in word.iter().zip(&spread) {
            assert!(*llr < 100.0 || *bit == 0);
        }
    }
}

/// Frames lost of 400 at one error rate, with 240 of 320 bits' worth of redundancy made in each way: none is far from
/// the others, and the construction for the actual pattern keeps all of them usable.
#[test]
fn each_way_of_matching_corrects_errors() {
    let p = 0.06;
    let construction = Construction::BscDensityEvolution { p };
    for (length, k, matching) in [
        (300, 130, Matching::Puncture),
        (300, 130, Matching::Shorten),
        (300, 130, Matching::Repeat),
        (1500, 760, Matching::Shorten),
    ] {
        let code = MatchedCode::new(length, k, Crc::Crc11, matching, construction).unwrap();
        let mut decoder = BatchListDecoder::new(code.mother(), 8).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut spread = vec![0; code.mother().n()];
        let mut found = vec![0; k];
        let lost = (0..400)
            .filter(|_| {
                let message: Vec<u8> = (0..k).map(|_| rng.random_range(0..2)).collect();
                let llr: Vec<i8> = code
                    .encode(&message)
                    .iter()
                    .map(|&bit| if (bit == 1) ^ rng.random_bool(p) { -4 } else { 4 })
                    .collect();
                code.spread_bytes(&llr, &mut spread);
                !decoder.decode_one(&spread, &mut found).is_decoded() || found != message
            })
            .count();
        assert!(lost <= 20, "{matching:?} to {length}: {lost} of 400 lost");
    }
}

#[test]
fn sizes_out_of_range_are_named() {
    let new = |length, k, matching| {
        MatchedCode::new(length, k, Crc::Crc11, matching, Construction::BetaExpansion).unwrap_err()
    };
    assert_eq!(
        new(31, 4, Matching::Puncture).to_string(),
        "matched length 31 is not from 32 to 4096"
    );
    assert!(matches!(new(MAX_N + 1, 4, Matching::Shorten), PolarError::MatchedLength { .. }));
    assert!(matches!(new(100, 90, Matching::Shorten), PolarError::Dimension { n: 100, .. }));
    assert!(matches!(new(100, 0, Matching::Puncture), PolarError::Dimension { .. }));
    // 90 + 11 bits do not fit the mother code of 64.
    assert!(matches!(new(120, 90, Matching::Repeat), PolarError::Dimension { n: 64, .. }));
}
