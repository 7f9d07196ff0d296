//! Whether a decoded group could be there by chance.
//!
//! A list decoder turns any word into codewords, and a check of c bits lets one of 2^c pass: with 8 paths and 11 bits 0.4 %
//! of all words that have nothing to do with the sender "decode". Such a codeword is no nearer to the word than chance
//! puts one, and that shows.

/// A codeword is refused when a word without relation to any has more than 2^−12 of them as near, at the mean.
const CERTAINTY_BITS: f64 = 12.0;
/// Short of redundancy r = n − k, 2^(−r/8): otherwise a code of high rate could correct nothing.
const REDUNDANCY_PER_BIT: f64 = 8.0;
/// Steps towards the best exponent; any exponent gives a bound.
const STEPS: usize = 12;

/// True when a codeword of metric `metric` (the sum of |LLR| where it differs from the hard decisions) is nearer than
/// chance explains, among the 2^k codewords whose check holds.
///
/// By Chernoff's bound, the signs of an unrelated word being fair coins, at any s ≥ 0:
///
/// `2ᵏ·P(Σ |LLRᵢ|·coinᵢ ≤ metric) ≤ 2ᵏ·e^(s·metric)·Πᵢ (1 + e^(−s·|LLRᵢ|))/2`
pub(crate) fn is_significant(llr: &[f32], metric: f32, k: usize) -> bool {
    let n = llr.len();
    let wanted = CERTAINTY_BITS.min(n.saturating_sub(k) as f64 / REDUNDANCY_PER_BIT);
    k as f64 + chance_log2(llr, f64::from(metric)) <= -wanted
}

/// log₂ of a bound on the probability that a word of fair coins is as near to a codeword.
fn chance_log2(llr: &[f32], metric: f64) -> f64 {
    let total: f64 = llr.iter().map(|x| f64::from(x.abs())).sum();
    let scale = total / llr.len() as f64;
    let share = (metric / total).max(1e-6);
    if total.partial_cmp(&0.0) != Some(std::cmp::Ordering::Greater) || share >= 0.5 {
        return 0.0;
    }
    // Exact for equal magnitudes; otherwise Newton's method goes on from there, on a convex function.
    let mut s = ((1.0 - share) / share).ln() / scale;
    let mut best = 0.0f64;
    for _ in 0..STEPS {
        let (mut value, mut slope, mut bend) = (s * metric, metric, 0.0);
        for x in llr {
            let x = f64::from(x.abs());
            let tail = (-s * x).exp();
            let wrong = tail / (1.0 + tail);
            value += tail.ln_1p() - std::f64::consts::LN_2;
            slope -= x * wrong;
            bend += x * x * wrong * (1.0 - wrong);
        }
        best = best.min(value);
        let step = slope / bend;
        if !step.is_finite() || step.abs() < 1e-3 * s {
            break;
        }
        s = (s - step).max(s / 4.0);
    }
    best / std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// log₂ of the probability that at most `most` of `n` fair coins fall on one side.
    fn tail_log2(n: u32, most: u32) -> f64 {
        let (mut term, mut sum) = (1.0f64, 1.0f64);
        for i in 0..most {
            term *= f64::from(n - i) / f64::from(i + 1);
            sum += term;
        }
        sum.log2() - f64::from(n)
    }

    #[test]
    fn the_bound_lies_closely_above_the_binomial_tail_when_all_bits_weigh_the_same() {
        for most in [0, 1, 10, 35, 60, 100] {
            let llr = vec![2.43f32; 256];
            let bound = chance_log2(&llr, 2.43 * f64::from(most));
            let exact = tail_log2(256, most);
            assert!(bound >= exact && bound < exact + 6.0, "{most}: {bound} {exact}");
        }
    }

    #[test]
    fn bits_of_which_nothing_is_known_prove_nothing() {
        let llr: Vec<f32> = (0..512).map(|i| if i % 2 == 0 { 0.0 } else { -1.5 }).collect();
        let half = vec![1.5f32; 256];
        let (with, without) = (chance_log2(&llr, 30.0), chance_log2(&half, 30.0));
        assert!((with - without).abs() < 0.5, "{with} {without}");
        assert_eq!(chance_log2(&[0.0; 128], 0.0), 0.0);
        assert_eq!(chance_log2(&half, 1.5 * 128.0), 0.0, "half of the bits");
        assert!(!is_significant(&[f32::NAN; 128], 0.0, 64));
    }

    #[test]
    fn a_code_of_high_rate_still_corrects_something() {
        assert!(is_significant(&[2.0; 128], 0.0, 117));
        assert!(is_significant(&[2.0; 128], 2.0 * 3.0, 96));
        assert!(!is_significant(&[2.0; 128], 2.0 * 12.0, 96));
    }
}
