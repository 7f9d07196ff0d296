//! The preamble of a frame: its tone and its M-sequence.

use num_complex::Complex32;

use crate::layout::{FrameLayout, PREFIX_LEN, SEQUENCE_LEN, TONE_LEN, TONE_PERIOD};

/// The bits of the M-sequence: s\[0..=9\] = 1, s\[i\] = s\[i−10\] xor s\[i−7\].
pub fn sequence_bits() -> [u8; SEQUENCE_LEN] {
    let mut s = [1; SEQUENCE_LEN];
    register(&mut s, FrameLayout::Single);
    s
}

/// The bits of one period of a layout's sequence. The one of 511 chips: s\[0..=8\] = 1, s\[i\] = s\[i−9\] xor s\[i−5\].
pub(crate) fn period_bits(layout: FrameLayout) -> Vec<u8> {
    let mut s = vec![1; layout.period()];
    register(&mut s, layout);
    s
}

/// The chips of one period of a layout's sequence.
pub(crate) fn period_chips(layout: FrameLayout) -> Vec<f32> {
    period_bits(layout).into_iter().map(|bit| 1.0 - 2.0 * f32::from(bit)).collect()
}

/// Runs the shift register from all ones.
fn register(s: &mut [u8], layout: FrameLayout) {
    for i in layout.stages()..s.len() {
        s[i] = s[i - layout.stages()] ^ s[i - layout.second_tap()];
    }
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

/// Tone, prefix and M-sequence: a frame without header.
pub fn preamble(layout: FrameLayout) -> Vec<Complex32> {
    let chips = period_chips(layout);
    let mut samples = Vec::with_capacity(layout.preamble_len() + 1);
    samples.extend((0..TONE_LEN).map(tone));
    let chip = |&c: &f32| Complex32::new(c, 0.0);
    samples.extend(chips[chips.len() - PREFIX_LEN..].iter().map(chip));
    for _ in 0..layout.periods() {
        samples.extend(chips.iter().map(chip));
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequences_are_maximal() {
        assert_eq!(sequence_bits()[..16], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0]);
        for layout in [FrameLayout::Single, FrameLayout::Double] {
            let m = period_chips(layout);
            let n = layout.period();
            assert_eq!(m.iter().sum::<f32>(), -1.0);
            for lag in 1..n {
                let sum: f32 = (0..n).map(|i| m[i] * m[(i + lag) % n]).sum();
                assert_eq!(sum, -1.0, "{layout:?}, lag {lag}");
            }
        }
    }

    #[test]
    fn the_preamble_has_unit_magnitude_and_a_cyclic_prefix() {
        for layout in [FrameLayout::Single, FrameLayout::Double] {
            let samples = preamble(layout);
            assert_eq!(samples.len(), layout.preamble_len());
            assert!(samples.iter().all(|s| (s.norm() - 1.0).abs() < 1e-6));
            assert_eq!(samples[256..320], samples[samples.len() - 64..]);
            assert!((samples[4] - Complex32::i()).norm() < 1e-6);
        }
        let twice = preamble(FrameLayout::Double);
        assert_eq!(twice[320..831], twice[831..]);
    }
}
