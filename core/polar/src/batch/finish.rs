//! From codewords in lanes to messages: inverse transform, check, and what was corrected.

use crate::{Crc, Outcome, PolarCode};

/// Turns the masks of the codewords into those of message and check bits; tells the lanes whose check holds.
#[inline(always)]
pub(super) fn checked(code: &PolarCode, bits: &mut [u64], inputs: &mut [u64]) -> u64 {
    transform(bits);
    for (input, &at) in inputs.iter_mut().zip(code.information_set()) {
        *input = bits[at as usize];
    }
    let (message, check) = inputs.split_at(code.k());
    passed(code.crc(), message, check)
}

/// The polar transform of 64 words at once.
#[inline(always)]
fn transform(bits: &mut [u64]) {
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

/// Lanes whose check holds, with the shift register of the check as one mask a place.
#[inline(always)]
fn passed(crc: Crc, message: &[u64], check: &[u64]) -> u64 {
    let width = crc.len();
    if width == 0 {
        return u64::MAX;
    }
    let (polynomial, start, end) = crc.parameters();
    let mut register = [0u64; 32];
    for (i, place) in register.iter_mut().enumerate() {
        *place = (u64::from(start >> i & 1)).wrapping_neg();
    }
    // Place i of the register is `register[(i + first) % width]`: a shift moves `first` only.
    let mut first = 0;
    let mut taps = [0; 32];
    let mut count = 0;
    for i in 1..width {
        if polynomial >> i & 1 == 1 {
            taps[count] = i;
            count += 1;
        }
    }
    for &bit in message {
        first = if first == 0 { width - 1 } else { first - 1 };
        // The bit shifted out leaves its place to the lowest one, whose coefficient is always 1.
        let out = register[first] ^ bit;
        register[first] = out;
        for &tap in &taps[..count] {
            let at = if tap + first >= width { tap + first - width } else { tap + first };
            register[at] ^= out;
        }
    }
    let mut wrong = 0;
    for (i, &bit) in check.iter().enumerate() {
        let place = width - 1 - i;
        let at = (place + first) % width;
        wrong |= register[at] ^ bit ^ (u64::from(end >> place & 1)).wrapping_neg();
    }
    !wrong
}

/// Writes the message of a lane and says what its codeword corrected. `bits` are the inputs of the transform.
#[inline(always)]
pub(super) fn message(inputs: &[u64], lane: usize, out: &mut [u8]) {
    for (out, input) in out.iter_mut().zip(inputs) {
        *out = (input >> lane & 1) as u8;
    }
}

/// What the codeword of a lane corrected.
#[inline(always)]
pub(super) fn outcome(codeword: &[u64], lane: usize, llr: &[i8]) -> Outcome {
    let (mut metric, mut corrected) = (0i32, 0i32);
    for (&x, &bits) in llr.iter().zip(codeword) {
        let x = i32::from(x).max(-127);
        let sign = -((bits >> lane & 1) as i32);
        // Positive where the LLR speaks against the bit.
        let against = (-((x ^ sign) - sign)).max(0);
        metric += against;
        corrected += i32::from(against > 0);
    }
    Outcome::Decoded { path_metric: metric as f32, corrected: corrected as usize }
}
