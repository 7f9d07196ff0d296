//! The short filters between two converters: sender's ripple, sub-sample delay, channel taps, receiver's ripple.

use num_complex::Complex32;

use crate::geometry::TAPS;

/// Taps of a radio's ripple on each side of the middle.
pub(crate) const RIPPLE_REACH: usize = 2;
/// Taps of a radio's ripple.
pub(crate) const RIPPLE_TAPS: usize = 2 * RIPPLE_REACH + 1;
/// Taps of the delay filter on each side of the middle.
pub(crate) const DELAY_REACH: usize = 2;
/// Taps of the delay filter.
pub(crate) const DELAY_TAPS: usize = 2 * DELAY_REACH + 1;
/// Tap of the whole response where the first path arrives.
pub(crate) const LEAD: usize = 2 * RIPPLE_REACH + DELAY_REACH;
/// Taps of the whole response.
pub(crate) const RESPONSE: usize = 2 * LEAD + TAPS;

/// Lagrange interpolation at `delay` samples (|delay| ≤ 1/2) on the five points -2..=2.
pub(crate) fn delay_filter(delay: f32) -> [f32; DELAY_TAPS] {
    let mut taps = [1.0f32; DELAY_TAPS];
    for (i, tap) in taps.iter_mut().enumerate() {
        for j in 0..DELAY_TAPS {
            if i != j {
                let (xi, xj) = (i as f32 - DELAY_REACH as f32, j as f32 - DELAY_REACH as f32);
                *tap *= (delay - xj) / (xi - xj);
            }
        }
    }
    taps
}

/// The whole response, first path at tap [`LEAD`]; `delay` is a [`delay_filter`].
pub(crate) fn response(
    sender: &[Complex32; RIPPLE_TAPS],
    receiver: &[Complex32; RIPPLE_TAPS],
    delay: &[f32; DELAY_TAPS],
    taps: &[Complex32; TAPS],
) -> [Complex32; RESPONSE] {
    let mut ripple = [Complex32::ZERO; 2 * RIPPLE_TAPS - 1];
    convolve(sender, receiver, &mut ripple);
    let delay = delay.map(|t| Complex32::new(t, 0.0));
    let mut front = [Complex32::ZERO; 2 * LEAD + 1];
    convolve(&ripple, &delay, &mut front);
    let mut whole = [Complex32::ZERO; RESPONSE];
    convolve(&front, taps, &mut whole);
    whole
}

/// Adds a * b to `out`, which has a.len() + b.len() - 1 taps.
fn convolve(a: &[Complex32], b: &[Complex32], out: &mut [Complex32]) {
    for (i, x) in a.iter().enumerate() {
        for (j, y) in b.iter().enumerate() {
            out[i + j] += x * y;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_delay_and_no_ripple_leave_the_taps_alone() {
        let mut flat = [Complex32::ZERO; RIPPLE_TAPS];
        flat[RIPPLE_REACH] = Complex32::ONE;
        let taps: [Complex32; TAPS] = std::array::from_fn(|l| Complex32::new(l as f32, -1.0));
        let whole = response(&flat, &flat, &delay_filter(0.0), &taps);
        assert_eq!(&whole[LEAD..LEAD + TAPS], &taps);
        assert!(whole[..LEAD].iter().all(|t| t.norm() == 0.0));
    }

    #[test]
    fn the_delay_filter_shifts_a_slow_tone() {
        let delay = 0.2f32;
        let omega = 0.4f32;
        let sum: Complex32 = delay_filter(delay)
            .iter()
            .enumerate()
            .map(|(i, t)| Complex32::from_polar(*t, -omega * (i as f32 - DELAY_REACH as f32)))
            .sum();
        assert!((sum - Complex32::from_polar(1.0, -omega * delay)).norm() < 1e-3);
    }
}
