//! The hot loops compiled for what the processor has, chosen at run time.
//!
//! Each function is the safe code of its name in [`noise`] or [`receive`], compiled once for the base instruction set and
//! once with AVX2. Both do the same operations in the same order, without fused multiply-add, and so give the same bits.
//!
//! # Safety
//!
//! The only unsafe operation of this crate is here: the call of a function compiled with AVX2, made only when
//! [`is_x86_feature_detected!`] has found AVX2.
#![allow(unsafe_code)]

use num_complex::Complex32;

use crate::receive::{Chunk, Input};
use crate::{noise, receive};

/// Declares functions that call the one of their name in `module`, with AVX2 where the processor has it.
macro_rules! dispatched {
    ($($module:ident: fn $name:ident($($arg:ident: $type:ty),*) $(-> $result:ty)?;)*) => {$(
        #[inline]
        pub(crate) fn $name($($arg: $type),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn avx2($($arg: $type),*) $(-> $result)? {
                    $module::$name($($arg),*)
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: AVX2 was detected.
                    return unsafe { avx2($($arg),*) };
                }
            }
            $module::$name($($arg),*)
        }
    )*};
}

dispatched! {
    noise: fn normals(bits: &[u64], out: &mut [Complex32]);
    receive: fn convolve(input: &Input, response: &[Complex32]) -> Chunk;
    receive: fn turns(starts: &[f32], slopes: &[f32]) -> Chunk;
    receive: fn convert(out: &mut [Complex32], full: f32, step: f32);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receive::CHUNK;

    #[test]
    fn every_version_gives_the_same_bits() {
        let bits: Vec<u64> = (0..777u64).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect();
        let mut ours = vec![Complex32::ZERO; bits.len()];
        let mut plain = ours.clone();
        normals(&bits, &mut ours);
        noise::normals(&bits, &mut plain);
        assert_eq!(ours, plain);
        let mut input = receive::silence();
        input[0].iter_mut().zip(&ours).for_each(|(x, z)| *x = z.re);
        input[1].iter_mut().zip(&ours).for_each(|(x, z)| *x = z.im);
        assert_eq!(convolve(&input, &ours[..9]), receive::convolve(&input, &ours[..9]));
        let starts: Vec<f32> = ours.iter().map(|z| z.re).take(4).collect();
        let slopes: Vec<f32> = ours.iter().map(|z| 1e-4 * z.im).take(4).collect();
        assert_eq!(turns(&starts, &slopes), receive::turns(&starts, &slopes));
        assert!(turns(&starts, &slopes)[0].iter().take(CHUNK).all(|c| c.abs() <= 1.0 + 1e-6));
        convert(&mut ours, 4.0, 1.0 / 512.0);
        receive::convert(&mut plain, 4.0, 1.0 / 512.0);
        assert_eq!(ours, plain);
    }
}
