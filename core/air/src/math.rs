//! Short polynomials for the hot loops: branch-free, so that the compiler turns the loops into vector code.

use std::f32::consts::LN_2;

/// Adding and subtracting 1.5·2²³ rounds an f32 below 2²² to the nearest integer.
const ROUND: f32 = 12_582_912.0;

/// Nearest integer of `x`, |x| < 2²².
#[inline(always)]
pub(crate) fn round(x: f32) -> f32 {
    (x + ROUND) - ROUND
}

/// (cos 2πx, sin 2πx) of a phase in turns, |x| < 2²²; absolute error below 6·10⁻⁷ (plus that of `x` itself).
///
/// Chebyshev fits of sin(2πx)/(x(1−4x²)) and cos(2πx)/(1−16x²) in x² over |x| ≤ 1/2.
#[inline(always)]
pub(crate) fn cos_sin_turns(x: f32) -> (f32, f32) {
    let x = x - round(x);
    let u = x * x;
    let s = (((3.018_415_6 * u - 9.515_907) * u + 16.759_508) * u - 16.208_654) * u + 6.283_183_8;
    let c = ((((-0.413_716_86 * u + 1.601_016) * u - 3.661_386_6) * u + 5.111_903) * u
        - 3.739_205_6)
        * u
        + 1.0;
    ((1.0 - 16.0 * u) * c, x * (1.0 - 4.0 * u) * s)
}

/// Natural logarithm of a positive normal `x`; relative error of the mantissa part below 10⁻⁷.
#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    // x = m·2^e with m in [√½, √2): 0x3f3504f3 is √½.
    let shifted = x.to_bits().wrapping_sub(0x3f35_04f3);
    let e = (shifted as i32) >> 23;
    let m = f32::from_bits((shifted & 0x007f_ffff).wrapping_add(0x3f35_04f3)) - 1.0;
    let p = (((((((-0.101_340_57 * m + 0.162_341_9) * m - 0.172_470_13) * m + 0.198_985_65) * m
        - 0.249_700_72)
        * m
        + 0.333_351_14)
        * m)
        - 0.500_003_63)
        * m
        + 0.999_999_94;
    p * m + e as f32 * LN_2
}

/// Two independent standard normal numbers from 64 random bits (Box and Muller; |z| < 5.9).
#[inline(always)]
pub(crate) fn normal_pair(bits: u64) -> [f32; 2] {
    let u = (((bits >> 40) as i32) as f32 + 0.5) * (1.0 / 16_777_216.0);
    let v = (((bits & 0xff_ffff) as i32) as f32) * (1.0 / 16_777_216.0);
    let r = (-2.0 * ln(u)).max(0.0).sqrt();
    let (c, s) = cos_sin_turns(v);
    [r * c, r * s]
}

/// Amplitude of a gain in dB.
pub(crate) fn amplitude(db: f32) -> f32 {
    // 10^(dB/20) = 2^(dB·log₂(10)/20)
    (db * 0.166_096_4).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_polynomials_agree_with_the_standard_library() {
        for i in -200_000..200_000 {
            let x = i as f32 / 65_536.0;
            let (c, s) = cos_sin_turns(x);
            let (sin, cos) = (f64::from(x) * std::f64::consts::TAU).sin_cos();
            assert!((f64::from(c) - cos).abs() < 6e-7, "cos at {x}");
            assert!((f64::from(s) - sin).abs() < 6e-7, "sin at {x}");
        }
        for i in 1..200_000 {
            let x = i as f32 * 3.7e-5;
            let want = f64::from(x).ln();
            assert!((f64::from(ln(x)) - want).abs() < 3e-7 * (1.0 + want.abs()), "ln at {x}");
        }
        assert!((amplitude(20.0) - 10.0).abs() < 1e-5);
    }
}
