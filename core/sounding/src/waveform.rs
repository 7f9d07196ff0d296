//! Tone and M-sequence.

use num_complex::Complex32;

use crate::layout::{PREAMBLE_LEN, PREFIX_LEN, SEQUENCE_LEN, TONE_LEN, TONE_PERIOD};

/// Stages of the shift register of the M-sequence.
pub(crate) const STAGES: usize = 10;

/// The bits of the M-sequence: s\[0..=9\] = 1, s\[i\] = s\[i−10\] xor s\[i−7\].
pub fn sequence_bits() -> [u8; SEQUENCE_LEN] {
    let mut s = [1; SEQUENCE_LEN];
    for i in STAGES..SEQUENCE_LEN {
        s[i] = s[i - 10] ^ s[i - 7];
    }
    s
}

/// The chips of the M-sequence, m\[i\] = 1 − 2·s\[i\].
pub fn sequence_chips() -> [f32; SEQUENCE_LEN] {
    sequence_bits().map(|bit| 1.0 - 2.0 * f32::from(bit))
}

/// Sample n of the tone, exp(j·2π·n/16).
pub fn tone(n: usize) -> Complex32 {
    let phase = std::f64::consts::TAU * (n % TONE_PERIOD) as f64 / TONE_PERIOD as f64;
    Complex32::new(phase.cos() as f32, phase.sin() as f32)
}

/// One period of the tone.
pub(crate) fn tone_period() -> [Complex32; TONE_PERIOD] {
    std::array::from_fn(tone)
}

/// Tone, prefix and M-sequence.
pub fn preamble() -> Vec<Complex32> {
    let chips = sequence_chips();
    let mut samples = Vec::with_capacity(PREAMBLE_LEN);
    samples.extend((0..TONE_LEN).map(tone));
    let chip = |&c: &f32| Complex32::new(c, 0.0);
    samples.extend(chips[SEQUENCE_LEN - PREFIX_LEN..].iter().map(chip));
    samples.extend(chips.iter().map(chip));
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_maximal() {
        let m = sequence_chips();
        assert_eq!(sequence_bits()[..16], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(m.iter().sum::<f32>(), -1.0);
        for lag in 1..SEQUENCE_LEN {
            let sum: f32 = (0..SEQUENCE_LEN).map(|i| m[i] * m[(i + lag) % SEQUENCE_LEN]).sum();
            assert_eq!(sum, -1.0, "lag {lag}");
        }
    }

    #[test]
    fn the_preamble_has_unit_magnitude_and_a_cyclic_prefix() {
        let samples = preamble();
        assert_eq!(samples.len(), PREAMBLE_LEN);
        assert!(samples.iter().all(|s| (s.norm() - 1.0).abs() < 1e-6));
        assert_eq!(samples[256..320], samples[PREAMBLE_LEN - 64..]);
        assert!((samples[4] - Complex32::i()).norm() < 1e-6);
    }
}
