//! The inner loops of encoder and decoders, in plain safe Rust.
//!
//! Everything that is hot goes through these few functions over slices, so that a vector version can take their place;
//! it must give the same results bit for bit.

/// Check node in the max-log form: `out[i] = sign(a[i])·sign(b[i])·min(|a[i]|, |b[i]|)`.
#[inline]
pub(crate) fn check(a: &[f32], b: &[f32], out: &mut [f32]) {
    const SIGN: u32 = 0x8000_0000;
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        let sign = (a.to_bits() ^ b.to_bits()) & SIGN;
        let (a, b) = (a.abs(), b.abs());
        let least = if a < b { a } else { b };
        *out = f32::from_bits(least.to_bits() | sign);
    }
}

/// Variable node: `out[i] = b[i] + (1 − 2·bits[i])·a[i]`.
#[inline]
pub(crate) fn variable(a: &[f32], b: &[f32], bits: &[u8], out: &mut [f32]) {
    for (((out, a), b), &bit) in out.iter_mut().zip(a).zip(b).zip(bits) {
        *out = b + f32::from_bits(a.to_bits() ^ (u32::from(bit) << 31));
    }
}

/// Variable node behind a left half that is all zero: `out[i] = b[i] + a[i]`.
#[inline]
pub(crate) fn variable_zero(a: &[f32], b: &[f32], out: &mut [f32]) {
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out = b + a;
    }
}

/// Partial sums of a node from those of its halves: `out = (left xor right, right)`.
#[inline]
pub(crate) fn combine(left: &[u8], right: &[u8], out: &mut [u8]) {
    let (first, second) = out.split_at_mut(left.len());
    for ((out, left), right) in first.iter_mut().zip(left).zip(right) {
        *out = left ^ right;
    }
    second.copy_from_slice(right);
}

/// Hard decisions: 1 where the LLR is negative.
#[inline]
pub(crate) fn decide(llr: &[f32], out: &mut [u8]) {
    for (out, llr) in out.iter_mut().zip(llr) {
        *out = u8::from(*llr < 0.0);
    }
}

/// What the path metric grows by when every bit of a node is `0` and when every bit is `1`.
#[inline]
pub(crate) fn penalties(llr: &[f32]) -> (f32, f32) {
    llr.iter().fold((0.0, 0.0), |(zero, one), &x| (zero + (-x).max(0.0), one + x.max(0.0)))
}

/// The polar transform in place: `x = u·F⊗ⁿ`, F = [1 0; 1 1], natural order; its own inverse.
pub(crate) fn transform(bits: &mut [u8]) {
    let mut half = 1;
    while half < bits.len() {
        for block in bits.chunks_exact_mut(2 * half) {
            let (left, right) = block.split_at_mut(half);
            for (left, right) in left.iter_mut().zip(right) {
                *left ^= *right;
            }
        }
        half *= 2;
    }
}

/// Copies the channel LLRs, with NaN as "unknown" and magnitudes bounded so that no sum overflows.
pub(crate) fn load(llr: &[f32], out: &mut [f32]) {
    /// 4096 values of this size add up without loss of range, and e⁻¹⁰⁰⁰⁰ is certainty enough.
    const LIMIT: f32 = 1e4;
    for (out, &llr) in out.iter_mut().zip(llr) {
        *out = if llr.is_nan() { 0.0 } else { llr.clamp(-LIMIT, LIMIT) };
    }
}
