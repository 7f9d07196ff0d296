//! Parameter estimation: a random sample of the sifted bits is disclosed and counted.

use crqkd_bits::{BitString, SecretBits};
use rand::Rng;

use crate::message::{ProtocolError, expect_len};
use crate::sifting::select;

/// Size k of the sample out of `sifted` bits, or `None` when no split leaves both a sample and a key.
pub(crate) fn sample_size(sifted: usize, fraction: f64) -> Option<usize> {
    (sifted >= 2).then(|| ((sifted as f64 * fraction).round() as usize).clamp(1, sifted - 1))
}

/// A mask of `len` bits with exactly `count` ones, every such mask equally likely (Knuth, algorithm S).
pub(crate) fn random_sample<R: Rng + ?Sized>(len: usize, count: usize, rng: &mut R) -> BitString {
    let mut left = count;
    (0..len)
        .map(|i| {
            let take = rng.random_range(0..len - i) < left;
            left -= usize::from(take);
            take
        })
        .collect()
}

/// Splits sifted bits into the sample at the ones of `mask` and the rest, of which the key is made.
pub(crate) fn split(
    sifted: &SecretBits,
    mask: &BitString,
) -> Result<(BitString, SecretBits), ProtocolError> {
    expect_len("sample mask", sifted.len(), mask.len())?;
    let rest: BitString = mask.iter().map(|taken| !taken).collect();
    Ok((select(sifted.expose(), mask), select(sifted.expose(), &rest).into()))
}

/// In how many bits the two samples differ.
pub(crate) fn count_errors(ours: &BitString, theirs: &BitString) -> Result<usize, ProtocolError> {
    expect_len("sample", ours.len(), theirs.len())?;
    ours.hamming_distance(theirs).map_err(ProtocolError::from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn every_position_is_sampled_equally_often() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut hits = [0u32; 20];
        for _ in 0..10_000 {
            for (hit, taken) in hits.iter_mut().zip(&random_sample(20, 5, &mut rng)) {
                *hit += u32::from(taken);
            }
        }
        // 2500 expected, sigma = sqrt(10^4 · 1/4 · 3/4) = 43.
        assert!(hits.iter().all(|h| h.abs_diff(2500) < 4 * 44), "{hits:?}");
    }

    proptest! {
        #[test]
        fn a_sample_and_a_rest_always_remain(sifted in 0usize..5000, fraction in 0.001f64..0.9, seed: u64) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let Some(k) = sample_size(sifted, fraction) else {
                prop_assert!(sifted < 2);
                return Ok(());
            };
            let mask = random_sample(sifted, k, &mut rng);
            prop_assert_eq!((mask.len(), mask.count_ones()), (sifted, k));
            let (sample, rest) = split(&SecretBits::random(&mut rng, sifted), &mask).unwrap();
            prop_assert!(!sample.is_empty() && !rest.is_empty());
            prop_assert_eq!((sample.len(), rest.len()), (k, sifted - k));
        }
    }
}
