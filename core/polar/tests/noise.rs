//! The test channels have the statistics that they say.

use crqkd_polar::Noise;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Share of wrong hard decisions in each of `frames` frames of 1000 bits of both values.
fn shares(noise: Noise, frames: usize) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let word: Vec<u8> = (0..1000).map(|i| (i / 3 % 2) as u8).collect();
    let mut llr = vec![0.0; 1000];
    (0..frames)
        .map(|_| {
            noise.receive(&word, &mut llr, &mut rng);
            let wrong = word.iter().zip(&llr).filter(|(bit, llr)| (**llr < 0.0) != (**bit == 1));
            wrong.count() as f64 / 1000.0
        })
        .collect()
}

fn moments(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
    (mean, variance / values.len() as f64)
}

#[test]
fn mean_and_spread_of_the_error_rate() {
    let p = 0.081;
    // Of a frame: p(1−p)/1000 of independent bits, and p(1−p)/(c+1) of the drawn rate.
    let own = p * (1.0 - p) / 1000.0;
    let drawn = p * (1.0 - p) / 45.0 * 0.999;
    for (noise, variance) in [
        (Noise::Bsc { p }, own),
        (Noise::Gaussian { kdr: p }, own),
        (Noise::BetaBinomial { p, concentration: 44.0 }, own + drawn),
        (Noise::GaussianSpread { kdr: p, concentration: 44.0 }, own + drawn),
    ] {
        let (mean, found) = moments(&shares(noise, 2000));
        assert!((mean - p).abs() < 5.0 * (variance / 2000.0).sqrt(), "{noise:?}: mean {mean}");
        assert!((found / variance - 1.0).abs() < 0.2, "{noise:?}: variance {found}");
    }
}

#[test]
fn bursts_of_gilbert_and_elliott() {
    let noise = Noise::GilbertElliott { good: 0.01, bad: 0.3, enter: 0.002, leave: 0.01 };
    let expected = (0.01 * 0.01 + 0.3 * 0.002) / 0.012;
    assert!((noise.mean() - expected).abs() < 1e-12);
    let (mean, variance) = moments(&shares(noise, 3000));
    assert!((mean / expected - 1.0).abs() < 0.05, "mean {mean}");
    // Bursts of 100 bits: far more spread than independent errors.
    assert!(variance > 10.0 * expected * (1.0 - expected) / 1000.0, "variance {variance}");
}

/// A bit of LLR x is wrong with probability 1/(1 + e^|x|).
#[test]
fn soft_llrs_are_true() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let word = vec![1; 200_000];
    let mut llr = vec![0.0; word.len()];
    Noise::Gaussian { kdr: 0.1 }.receive(&word, &mut llr, &mut rng);
    for bin in 0..5 {
        let inside = |x: f32| (x.abs() as usize) == bin;
        let of_bin: Vec<f32> = llr.iter().copied().filter(|&x| inside(x)).collect();
        let wrong = of_bin.iter().filter(|&&x| x > 0.0).count() as f64;
        let expected: f64 = of_bin.iter().map(|&x| 1.0 / (1.0 + f64::from(x.abs()).exp())).sum();
        assert!((wrong - expected).abs() < 4.0 * expected.sqrt(), "bin {bin}: {wrong}, {expected}");
    }
}

#[test]
fn parameters_out_of_range_are_refused() {
    for noise in [
        Noise::Bsc { p: 0.5 },
        Noise::Gaussian { kdr: f64::NAN },
        Noise::BetaBinomial { p: 0.1, concentration: 0.0 },
        Noise::GaussianSpread { kdr: 0.0, concentration: 1.0 },
        Noise::GilbertElliott { good: 0.0, bad: 1.5, enter: 0.1, leave: 0.1 },
        Noise::GilbertElliott { good: 0.0, bad: 0.5, enter: 0.0, leave: 0.0 },
    ] {
        assert!(noise.validate().is_err(), "{noise:?}");
    }
}
