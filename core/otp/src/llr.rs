//! From what was received and the receiver's pad to the LLRs of the codeword.
//!
//! With x = c xor s (codeword x, ciphertext c, the sender's pad s), and every LLR = ln P(0)/P(1):
//! c known exactly gives x the LLR of s, negated where c = 1; c known with an LLR gives the box-plus of both.

/// Largest magnitude of an LLR that is computed with: far beyond certainty, far from overflow.
const LIMIT: f32 = 1e4;

/// A number to compute with, whatever came in: NaN is "unknown".
fn bounded(llr: f32) -> f32 {
    if llr.is_nan() { 0.0 } else { llr.clamp(-LIMIT, LIMIT) }
}

/// LLR of `a xor b` from those of `a` and `b`: 2·atanh(tanh(a/2)·tanh(b/2)).
///
/// Computed on the magnitudes, g ≥ s, as `s + ln(1+e^−(g+s)) − ln(1+e^−(g−s))`, which is good to 1e-6 everywhere and never
/// overflows. NaN counts as 0.
pub(crate) fn box_plus(a: f32, b: f32) -> f32 {
    let (a, b) = (bounded(a), bounded(b));
    let (great, small) = (a.abs().max(b.abs()), a.abs().min(b.abs()));
    let correction = (-(great + small)).exp().ln_1p() - (small - great).exp().ln_1p();
    let both = (small + correction).max(0.0);
    if (a < 0.0) == (b < 0.0) { both } else { -both }
}

/// LLR of `bit xor b` from that of `b`.
pub(crate) fn flip(bit: bool, b: f32) -> f32 {
    let b = bounded(b);
    if bit { -b } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn box_plus_of_certain_and_unknown() {
        for x in [-3.0, -0.25, 0.0, 1e-6, 0.7, 12.0] {
            assert_eq!(box_plus(f32::INFINITY, x), flip(false, x));
            assert_eq!(box_plus(f32::NEG_INFINITY, x), flip(true, x));
            assert_eq!(box_plus(0.0, x), 0.0);
            assert_eq!(box_plus(f32::NAN, x), 0.0);
        }
        // two equally sure: wrong when one of the two is
        assert!((box_plus(20.0, -20.0) - (2f32.ln() - 20.0)).abs() < 1e-5);
    }

    proptest! {
        /// Probabilities: P(a xor b = 0) = p·q + (1−p)(1−q), in double precision.
        #[test]
        fn box_plus_follows_the_probabilities(a in -15f32..15.0, b in -15f32..15.0) {
            let zero = |llr: f32| 1.0 / (1.0 + (-f64::from(llr)).exp());
            let (p, q) = (zero(a), zero(b));
            let (p1, q1) = (zero(-a), zero(-b));
            let expected = ((p * q + p1 * q1) / (p * q1 + p1 * q)).ln();
            prop_assert!((f64::from(box_plus(a, b)) - expected).abs() < 2e-6 * (1.0 + expected.abs()));
        }

        #[test]
        fn box_plus_is_symmetric_and_never_surer_than_its_arguments(a: f32, b: f32) {
            let both = box_plus(a, b);
            prop_assert!(both.is_finite());
            prop_assert_eq!(both, box_plus(b, a));
            prop_assert_eq!(both, -box_plus(-a, b));
            prop_assert!(both.abs() <= bounded(a).abs().min(bounded(b).abs()) + 1e-6);
        }
    }
}
