//! The public shuffles of the passes, equal at both ends and on every machine.

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The key index at each position of the shuffle of `pass`.
///
/// Fisher-Yates from the end: position i swaps with ⌊r·(i+1)/2^64⌋, r the next 64 bits of ChaCha8 seeded with
/// `seed` (`SeedableRng::seed_from_u64`) on stream `pass`.
pub(super) fn positions(len: usize, seed: u64, pass: usize) -> Vec<u32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(pass as u64);
    let mut positions: Vec<u32> = (0..len as u32).collect();
    for i in (1..len).rev() {
        let j = (u128::from(rng.next_u64()) * (i as u128 + 1)) >> 64;
        positions.swap(i, j as usize);
    }
    positions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffles_are_permutations_that_differ_by_pass_and_seed() {
        let a = positions(1000, 7, 0);
        let mut sorted = a.clone();
        sorted.sort_unstable();
        assert!(sorted.iter().enumerate().all(|(i, &p)| i == p as usize));
        assert_eq!(a, positions(1000, 7, 0));
        assert_ne!(a, positions(1000, 7, 1));
        assert_ne!(a, positions(1000, 8, 0));
        assert!(positions(0, 7, 0).is_empty());
    }
}
