//! Lengths by the variable-length statement: against independent vectors, and against what really happened.

#![allow(clippy::unwrap_used, reason = "a test")]

use crqkd_quantum::decoy::{
    CascadeCharge, DecoyBlock, DecoyConfig, DecoyCounts, LengthMethod, LengthRule, Reconciliation,
    TAILS,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

#[derive(Deserialize)]
struct Vector {
    name: String,
    mean_photons: [f64; 3],
    intensity_shares: [f64; 3],
    key_basis_share: f64,
    eps_sec: f64,
    key_bits: [u64; 3],
    test_bits: [u64; 3],
    test_errors: [u64; 3],
    leak: u64,
    vacuum: f64,
    single_photons: f64,
    phase_error_rate: f64,
    /// Without and with empty pulses.
    length: [u64; 2],
}

impl Vector {
    fn all() -> Vec<Self> {
        serde_json::from_str(include_str!("vectors/variable_length.json")).unwrap()
    }

    fn counts(&self) -> DecoyCounts {
        DecoyCounts {
            key_bits: self.key_bits,
            test_bits: self.test_bits,
            test_errors: self.test_errors,
            ..DecoyCounts::default()
        }
    }

    fn rule(&self) -> LengthRule {
        LengthRule {
            mean_photons: self.mean_photons,
            intensity_shares: self.intensity_shares,
            key_basis_share: self.key_basis_share,
            eps_sec: self.eps_sec,
            ..LengthRule::new(&DecoyConfig::default())
        }
    }
}

#[test]
fn the_variable_length_vectors_hold_to_the_bit() {
    let vectors = Vector::all();
    assert!(vectors.len() >= 10 && vectors.iter().any(|v| v.length[0] == 0));
    for vector in vectors {
        let block = vector.rule().block(&vector.counts());
        let bounds = block.variable_bounds(vector.key_basis_share);
        let near = |ours: f64, theirs: f64| (ours - theirs).abs() <= 1e-8 * theirs.abs().max(1e-9);
        assert!(near(bounds.vacuum, vector.vacuum), "{}: {bounds:?}", vector.name);
        assert!(near(bounds.single_photons, vector.single_photons), "{}: {bounds:?}", vector.name);
        assert!(near(bounds.phase_error_rate, vector.phase_error_rate), "{}", vector.name);
        let length =
            |vacuum| block.variable_bits(vector.key_basis_share, vector.leak as f64, vacuum);
        assert_eq!([length(false), length(true)], vector.length, "{}", vector.name);
    }
}

#[test]
fn both_ways_are_charged_twice_and_empty_pulses_count_only_where_errors_stay_hidden() {
    let vector = Vector::all().into_iter().find(|v| v.vacuum > 1000.0).unwrap();
    let told = DecoyCounts { disclosed: 150_000, tag_bits: 64, ..vector.counts() };
    let one_way = vector.rule();
    let leak = one_way.leak(&told);
    assert_eq!((leak.parities, leak.questions, leak.numbers), (150_000, 0, 0));
    assert_eq!((leak.verification, leak.total()), (65, 150_065));
    let both = LengthRule { charge: CascadeCharge::BothWays, ..one_way.clone() };
    let leak = both.leak(&told);
    assert_eq!((leak.parities, leak.questions), (150_000, 150_000));
    // A number of as many as 2^22 bits.
    assert_eq!(leak.numbers, 64 - u64::from(told.sifted().leading_zeros()));
    let vacuum = vector.vacuum as u64;
    let difference = one_way.length(&told) + vacuum - both.length(&told);
    assert!((150_000 + leak.numbers).abs_diff(difference) <= 1, "{difference}");
    // A syndrome is one message of Alice's, whatever Cascade would be charged.
    for charge in [CascadeCharge::OneWay, CascadeCharge::BothWays] {
        let rule = LengthRule { reconciliation: Reconciliation::OneWay, charge, ..one_way.clone() };
        let leak = rule.leak(&told);
        assert_eq!(
            (leak.questions, leak.numbers),
            (0, 64 - u64::from(told.sifted().leading_zeros()))
        );
        assert!(!rule.error_pattern_is_public());
        assert_eq!(rule.length(&told), one_way.length(&told) + vacuum - leak.numbers);
    }
}

#[test]
fn lim2014_pays_for_its_tag_in_its_own_terms() {
    let vector = Vector::all().into_iter().find(|v| v.vacuum > 1000.0).unwrap();
    let rule = LengthRule {
        length: LengthMethod::Lim2014,
        reconciliation: Reconciliation::OneWay,
        ..vector.rule()
    };
    let told = DecoyCounts { disclosed: vector.leak, tag_bits: 64, ..vector.counts() };
    let leak = rule.leak(&told);
    let paid = (2.0 / rule.eps_cor).log2();
    let block = DecoyBlock { eps_cor: rule.eps_cor, ..rule.block(&told) };
    let expected = block.secret_bits(leak.total() as f64 - paid);
    assert_eq!(rule.length(&told), expected);
    assert!(paid > 60.0 && paid < 65.0);
    // Where errors are public the empty pulses go, here as well.
    let cascade = LengthRule { reconciliation: Reconciliation::Cascade, ..rule.clone() };
    assert!(cascade.length(&told) < expected);
}

#[test]
fn no_counts_and_no_parameters_make_it_panic_or_run_for_ever() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let odd = [0.0, -1.0, 1.0, 2.0, 0.5, 1e-300, 1e300, f64::NAN, f64::INFINITY];
    for _ in 0..20_000 {
        let mut number = || odd[rng.random_range(0..odd.len())];
        let rule = LengthRule {
            mean_photons: [number(), number(), number()],
            intensity_shares: [number(), number(), number()],
            key_basis_share: number(),
            eps_sec: number(),
            eps_cor: number(),
            ..LengthRule::new(&DecoyConfig::default())
        };
        let mut count = || {
            let shift = rng.random_range(0..64);
            rng.random::<u64>() >> shift
        };
        let counts = DecoyCounts {
            key_bits: [count(), count(), count()],
            test_bits: [count(), count(), count()],
            test_errors: [count(), count(), count()],
            disclosed: count(),
            ..DecoyCounts::default()
        };
        for length in [LengthMethod::Variable, LengthMethod::Lim2014] {
            let _ = LengthRule { length, ..rule.clone() }.length(&counts);
        }
    }
}

/// Single photons and their phase errors are drawn as they are on a link; the bounds see only the counts. At an eps_sec of 1
/// each of the eight tails may fail once in 128 runs.
#[test]
fn the_bounds_fail_no_more_often_than_their_tails_allow() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let (mean_photons, probabilities, basis) = ([0.9_f64, 0.4, 0.01], [0.3_f64, 0.4, 0.3], 0.7);
    let (runs, mut failed, mut tightness) = (250, 0, [0.0; 2]);
    for _ in 0..runs {
        let (mut key_bits, mut test_errors) = ([0.0; 3], [0.0; 3]);
        let (mut single, mut phase_errors) = (0.0, 0.0);
        for _ in 0..160_000 {
            let draw: f64 = rng.random();
            let k = usize::from(draw > probabilities[0])
                + usize::from(draw > probabilities[0] + probabilities[1]);
            let (mut photons, mut left) = (0, rng.random::<f64>() - (-mean_photons[k]).exp());
            let mut term = (-mean_photons[k]).exp();
            while left > 0.0 {
                photons += 1;
                term *= mean_photons[k] / f64::from(photons);
                left -= term;
                if photons > 20 {
                    break;
                }
            }
            let heard = [0.05, 0.5, 0.8][photons.min(2) as usize];
            if !rng.random_bool(heard) || rng.random_bool(0.42) {
                continue;
            }
            let error = rng.random_bool(if photons == 0 { 0.5 } else { 0.03 });
            let in_test = rng.random_bool(0.09 / (0.09 + basis * basis));
            if in_test {
                test_errors[k] += f64::from(u8::from(error));
            } else {
                key_bits[k] += 1.0;
                if photons == 1 {
                    single += 1.0;
                    phase_errors += f64::from(u8::from(error));
                }
            }
        }
        let block = DecoyBlock {
            mean_photons,
            probabilities,
            key_bits,
            test_bits: [0.0; 3],
            test_errors,
            eps_sec: 1.0,
            eps_cor: 1.0,
        };
        let bounds = block.variable_bounds(basis);
        let most = bounds.phase_error_rate * bounds.single_photons;
        let unbounded = bounds.phase_error_rate >= 0.5;
        failed += u32::from(bounds.single_photons > single || (!unbounded && phase_errors > most));
        tightness[0] += bounds.single_photons / single / f64::from(runs);
        tightness[1] += phase_errors / most / f64::from(runs);
    }
    let allowed = f64::from(runs) * TAILS / 128.0;
    assert!(f64::from(failed) < allowed + 4.0 * allowed.sqrt(), "{failed} of {allowed}");
    println!("{failed} of {allowed}, {tightness:?}");
    assert!(tightness[0] > 0.5 && tightness[1] > 0.1, "too wide to see anything: {tightness:?}");
}
