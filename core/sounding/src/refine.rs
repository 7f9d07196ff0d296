//! Channel from M-sequence and known header blocks together.
//!
//! The header, once decoded, is 2048 more known symbols: three times the M-sequence. Least squares over both solves
//!
//! (R_m + C·Σ_h R_h)·ĥ = R_m·ĥ_m + Σ_h x_h ⋆ Σ_c y_{h,c}
//!
//! with the preamble's estimate ĥ_m, R_m = (N+1)·I − J, and for header block h (symbols x_h, C copies y_{h,c} with their
//! phase removed) the circular autocorrelation R_h and cross-correlation ⋆ at the lags of the taps.

use num_complex::{Complex32, Complex64};

use crate::equalizer::{Block, Equalizer, TAP_0};
use crate::layout::{BLOCK_SYMBOLS, HEADER_COPIES, HEADER_COPY_BLOCKS, SEQUENCE_LEN, TAPS};
use crate::rotate::widen;

/// Known symbols behind the estimate, M-sequence included.
pub(crate) const KNOWN: usize = SEQUENCE_LEN + HEADER_COPIES * HEADER_COPY_BLOCKS * BLOCK_SYMBOLS;

/// The estimate from the preamble's, the header's symbols, and the sums over their copies as received.
pub(crate) fn refine(
    equalizer: &mut Equalizer,
    cir: &[Complex32; TAPS],
    symbols: &[[f32; BLOCK_SYMBOLS]; HEADER_COPY_BLOCKS],
    received: &[Block; HEADER_COPY_BLOCKS],
) -> [Complex32; TAPS] {
    let total = widen(cir.iter().sum());
    let mut right: [Complex64; TAPS] =
        std::array::from_fn(|l| widen(cir[l]) * (SEQUENCE_LEN + 1) as f64 - total);
    let mut matrix = [[-1.0; TAPS]; TAPS];
    for (l, row) in matrix.iter_mut().enumerate() {
        row[l] += (SEQUENCE_LEN + 1) as f64;
    }
    for (symbols, received) in symbols.iter().zip(received) {
        let sent = symbols.map(|x| Complex32::new(x, 0.0));
        let auto = equalizer.correlate(&sent, &sent);
        let cross = equalizer.correlate(received, &sent);
        for l in 0..TAPS {
            right[l] += widen(cross[TAP_0 + l]);
            for m in 0..TAPS {
                matrix[l][m] += HEADER_COPIES as f64 * f64::from(auto[l.abs_diff(m)].re);
            }
        }
    }
    solve(&mut matrix, &mut right);
    right.map(|h| Complex32::new(h.re as f32, h.im as f32))
}

/// Solves a symmetric positive definite system in place (LDLᵀ).
fn solve(matrix: &mut [[f64; TAPS]; TAPS], right: &mut [Complex64; TAPS]) {
    for j in 0..TAPS {
        for i in j + 1..TAPS {
            let factor = matrix[i][j] / matrix[j][j];
            for k in i..TAPS {
                matrix[k][i] -= factor * matrix[k][j];
            }
            let above = right[j];
            right[i] -= above * factor;
        }
    }
    for j in (0..TAPS).rev() {
        let known: Complex64 = (j + 1..TAPS).map(|i| right[i] * matrix[i][j]).sum();
        right[j] = (right[j] - known) / matrix[j][j];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn the_true_channel_solves_the_equations() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut draw = || Complex32::new(rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0));
        let cir: [Complex32; TAPS] = std::array::from_fn(|_| draw());
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        let symbols: [[f32; BLOCK_SYMBOLS]; HEADER_COPY_BLOCKS] = std::array::from_fn(|_| {
            std::array::from_fn(|_| if rng.random::<bool>() { 1.0 } else { -1.0 })
        });
        let mut equalizer = Equalizer::new();
        equalizer.set_channel(&cir, 0.0);
        let mut received = [[Complex32::ZERO; BLOCK_SYMBOLS]; HEADER_COPY_BLOCKS];
        for (block, symbols) in received.iter_mut().zip(&symbols) {
            equalizer.expected(symbols, block);
            block.iter_mut().for_each(|value| *value *= HEADER_COPIES as f32);
        }
        let refined = refine(&mut equalizer, &cir, &symbols, &received);
        for (refined, tap) in refined.iter().zip(&cir) {
            assert!((refined - tap).norm() < 1e-4, "{refined} and {tap}");
        }
    }
}
