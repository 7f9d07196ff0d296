//! The reference: every operation lane by lane, which the compiler vectorises as far as the target allows.

use num_complex::Complex32;

use super::Simd;
use crate::kernels::{LANES, Lane};

/// The operations in plain Rust, for any machine.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

#[inline(always)]
fn lanes(f: impl FnMut(usize) -> f32) -> Lane {
    std::array::from_fn::<f32, LANES, _>(f)
}

impl Simd for Portable {
    type F = Lane;

    #[inline(always)]
    fn load(self, lane: &Lane) -> Lane {
        *lane
    }
    #[inline(always)]
    fn store(self, a: Lane, lane: &mut Lane) {
        *lane = a;
    }
    #[inline(always)]
    fn load_complex(self, x: &[Complex32; 4]) -> Lane {
        self.gather(x.each_ref())
    }
    #[inline(always)]
    fn store_complex(self, a: Lane, x: &mut [Complex32; 4]) {
        for (i, x) in x.iter_mut().enumerate() {
            *x = Complex32::new(a[2 * i], a[2 * i + 1]);
        }
    }
    #[inline(always)]
    fn gather(self, [a, b, c, d]: [&Complex32; 4]) -> Lane {
        [a.re, a.im, b.re, b.im, c.re, c.im, d.re, d.im]
    }
    #[inline(always)]
    fn load_integers(self, x: &[[i16; 2]; 4]) -> Lane {
        lanes(|i| f32::from(x[i / 2][i % 2]))
    }
    #[inline(always)]
    fn splat(self, value: f32) -> Lane {
        [value; LANES]
    }
    #[inline(always)]
    fn add(self, a: Lane, b: Lane) -> Lane {
        lanes(|i| a[i] + b[i])
    }
    #[inline(always)]
    fn sub(self, a: Lane, b: Lane) -> Lane {
        lanes(|i| a[i] - b[i])
    }
    #[inline(always)]
    fn mul(self, a: Lane, b: Lane) -> Lane {
        lanes(|i| a[i] * b[i])
    }
    #[inline(always)]
    fn max(self, a: Lane, b: Lane) -> Lane {
        lanes(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    fn swap(self, a: Lane) -> Lane {
        lanes(|i| a[i ^ 1])
    }
    #[inline(always)]
    fn mul_complex(self, a: Lane, b: Lane) -> Lane {
        lanes(|i| {
            if i % 2 == 0 {
                a[i] * b[i] - a[i + 1] * b[i + 1]
            } else {
                a[i] * b[i - 1] + a[i - 1] * b[i]
            }
        })
    }
    #[inline(always)]
    fn transpose(self, rows: [Lane; 4]) -> [Lane; 4] {
        std::array::from_fn(|i| lanes(|k| rows[k / 2][2 * i + k % 2]))
    }
}
