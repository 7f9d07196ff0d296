//! Removal of a carrier frequency offset.

use num_complex::{Complex32, Complex64};

use crate::simd;

/// Samples between two exact phases.
const STRIDE: usize = 64;

/// dst\[n\] = src\[n\]·exp(−j·(phase + omega·n)), over the shorter of the two; `omega` in radians a sample.
pub(crate) fn derotate(src: &[Complex32], omega: f64, phase: f64, dst: &mut [Complex32]) {
    let step = Complex64::from_polar(1.0, -omega);
    let mut turn = Complex64::ONE;
    let table: [Complex32; STRIDE] = std::array::from_fn(|_| {
        let value = turn;
        turn *= step;
        narrow(value)
    });
    let mut start = Complex64::from_polar(1.0, -phase);
    for (src, dst) in src.chunks(STRIDE).zip(dst.chunks_mut(STRIDE)) {
        simd::turn(src, narrow(start), &table, dst);
        start *= turn;
    }
}

/// exp(j·angle) in single precision.
pub(crate) fn unit(angle: f64) -> Complex32 {
    narrow(Complex64::from_polar(1.0, angle))
}

pub(crate) fn narrow(value: Complex64) -> Complex32 {
    Complex32::new(value.re as f32, value.im as f32)
}

pub(crate) fn widen(value: Complex32) -> Complex64 {
    Complex64::new(value.re.into(), value.im.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_a_rotation_made_sample_by_sample() {
        let omega = 0.0021;
        let src: Vec<Complex32> = (0..5000).map(|n| unit(0.3 + omega * f64::from(n))).collect();
        let mut dst = vec![Complex32::ZERO; src.len()];
        derotate(&src, omega, 0.3, &mut dst);
        assert!(dst.iter().all(|value| (value - Complex32::ONE).norm() < 2e-6));
    }
}
