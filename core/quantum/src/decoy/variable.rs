//! Secret length when the length follows from what was observed.
//!
//! **Statement.** Let bounds on s_X,1 and on the number of phase errors be functions of what the ends have counted, and fail
//! both together with probability at most ε_AT² for any attack. Hashing to
//!
//! `l = ⌊s_X,1·(1 − h(φ_X)) − leak − 2·log2(1/(2·ε_PA))⌋`
//!
//! bits then gives a key of variable length that is (2·ε_AT + ε_PA)-secret: Tupkary, Tan, Lütkenhaus, Physical Review
//! Research 6, 023002 (2024), arXiv 2311.01600, carried over to entropic uncertainty and decoy states by Wiesemann et al.,
//! arXiv 2405.16578, and by Tupkary et al., arXiv 2408.17349. Where each constant comes from stands in docs/quantum.md.

use super::estimates::Estimates;
use super::length::{DecoyBlock, DecoyBounds};

/// One-sided tails that the bounds take together: five of the yields of the key basis, two of the errors of the test basis,
/// one of the assignment of errors to bases.
pub const TAILS: f64 = 8.0;

impl DecoyBlock {
    /// The bounds, failing together with probability at most ε_AT² = (eps_sec/4)².
    ///
    /// `key_basis_share` is the probability p of the key basis at either end. An error of a single photon lies in the test
    /// basis with probability `π = (1−p)²/((1−p)² + p²)`, given that the bases agree, independently of every other.
    pub fn variable_bounds(&self, key_basis_share: f64) -> DecoyBounds {
        let ln_tail = self.ln_tail();
        let estimates = Estimates::new(self, ln_tail);
        let (vacuum, single_photons) = estimates.yields(&self.key_bits);
        if single_photons <= 0.0 {
            return DecoyBounds { vacuum, single_photons: 0.0, phase_error_rate: 0.5 };
        }
        let (test, key) = ((1.0 - key_basis_share).powi(2), key_basis_share.powi(2));
        let seen = estimates.single_photon_errors(&self.test_errors);
        let unseen = most_unseen(seen, test / (test + key), ln_tail);
        let phase_error_rate = (unseen / single_photons).clamp(0.0, 0.5);
        DecoyBounds { vacuum, single_photons, phase_error_rate }
    }

    /// `l = ⌊[s_X,0 +] s_X,1·(1 − h(φ_X)) − leak − 2·log2(1/eps_sec)⌋`, never below 0.
    ///
    /// eps_sec is divided evenly: ε_PA = eps_sec/2 and ε_AT = eps_sec/4. `leak_bits` is everything said about the key bits,
    /// the verification tag included. `vacuum` adds the bits of empty pulses, which is allowed only where Bob's errors
    /// are not made public.
    pub fn variable_bits(&self, key_basis_share: f64, leak_bits: f64, vacuum: bool) -> u64 {
        let entropy = self.variable_bounds(key_basis_share).entropy(vacuum);
        // A NaN or a negative length saturates to 0.
        (entropy - leak_bits - 2.0 * (1.0 / self.eps_sec).log2()).floor() as u64
    }

    /// ln(1/t), the tails t adding up to ε_AT² = (eps_sec/4)².
    fn ln_tail(&self) -> f64 {
        TAILS.ln() + 2.0 * (4.0 / self.eps_sec).ln()
    }
}

/// Most errors outside the test basis when at most `seen` are in it and each of all K errors is with probability `share`.
///
/// For K·share > seen, `Pr[no more than seen] ≤ e^(−K·D(seen/K ‖ share))` (Chernoff). The greatest K for which that is at
/// least t is exceeded with probability at most t, and K − seen grows with `seen`.
fn most_unseen(seen: f64, share: f64, ln_tail: f64) -> f64 {
    let exponent = |all: f64| {
        let unseen = all - seen;
        let first = if seen > 0.0 { seen * (seen / (all * share)).ln() } else { 0.0 };
        first + unseen * (unseen / (all * (1.0 - share))).ln()
    };
    let (mut low, mut high) = (seen / share, seen / share + 1.0);
    while exponent(high) < ln_tail {
        (low, high) = (high, 2.0 * high);
    }
    while high - low > 1e-9 * high {
        let middle = low + (high - low) / 2.0;
        if exponent(middle) < ln_tail { low = middle } else { high = middle }
    }
    high - seen
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn errors_outside_the_test_basis_exceed_their_bound_as_rarely_as_it_says() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let (share, tail) = (0.1, 0.05f64);
        for all in [20, 60, 300] {
            let (runs, mut exceeded) = (20_000, 0);
            for _ in 0..runs {
                let seen = (0..all).filter(|_| rng.random_bool(share)).count();
                let most = most_unseen(seen as f64, share, -tail.ln());
                exceeded += u32::from((all - seen) as f64 > most);
            }
            let rate = f64::from(exceeded) / f64::from(runs);
            // Chernoff's bound is a small factor above the binomial tail.
            assert!(rate <= tail && (all < 60 || rate > tail / 20.0), "{all}: {rate}");
        }
    }

    #[test]
    fn the_bound_grows_by_no_less_than_the_errors_seen() {
        let mut last = 0.0;
        for seen in 0..2000 {
            let most = most_unseen(f64::from(seen) / 4.0, 0.035, 70.0);
            assert!(most > last, "{seen}");
            last = most;
        }
    }
}
