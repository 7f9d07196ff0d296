//! [`Toeplitz`]: the universal hash of privacy amplification.

use zeroize::{Zeroize, Zeroizing};

use crate::bit_string::words_for;
use crate::clmul::{Engine, block_words, middle_product};
use crate::{BitString, BitsError, SecretBits};

/// Up to this many rows the matrix is multiplied row by row.
const ROWS_BY_DOT_PRODUCT: usize = 64;

/// A binary Toeplitz matrix T of m rows and n columns, T\[i\]\[j\] = t\[i−j+n−1\], from a seed t of n+m−1 bits.
///
/// Over a uniform seed the family is dual-universal: two different inputs collide with probability 2^−m, and the
/// leftover-hash lemma holds (DESIGN section 8; Krawczyk 1994). The seed may be public once it can no longer
/// influence the input.
///
/// The product is a coefficient range of the polynomial product t(z)·x(z). It is computed exactly, over GF(2), by
/// carry-less products of words (the processor's own where it has them) and a Karatsuba recursion that computes only
/// the wanted range, in constant time with respect to the bits. Up to some 2²² bits this is faster than a Fourier
/// transform, which computes with 64 bits per coefficient what takes one here: n = 2²⁰ and m = n/2 take about three
/// milliseconds, a floating-point transform over two blocks at once forty.
#[derive(Debug, Clone)]
pub struct Toeplitz {
    seed: BitString,
    inputs: usize,
    outputs: usize,
}

impl Toeplitz {
    /// The matrix of `outputs` rows (m) and `inputs` columns (n) with the given seed.
    ///
    /// # Errors
    /// [`BitsError::EmptyMatrix`] when a side is zero, [`BitsError::LengthMismatch`] when the seed does not have
    /// exactly n+m−1 bits.
    pub fn new(seed: BitString, inputs: usize, outputs: usize) -> Result<Self, BitsError> {
        let needed = inputs.checked_add(outputs).filter(|_| inputs > 0 && outputs > 0);
        let needed = needed.ok_or(BitsError::EmptyMatrix { inputs, outputs })? - 1;
        if seed.len() != needed {
            return Err(BitsError::LengthMismatch { left: seed.len(), right: needed });
        }
        Ok(Self { seed, inputs, outputs })
    }

    /// Number n of input bits, which is the number of columns of the matrix.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Number m of output bits, which is the number of rows of the matrix.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// y = T·x over GF(2).
    ///
    /// # Errors
    /// [`BitsError::LengthMismatch`] when x does not have n bits.
    pub fn hash(&self, input: &BitString) -> Result<BitString, BitsError> {
        if input.len() != self.inputs {
            return Err(BitsError::LengthMismatch { left: input.len(), right: self.inputs });
        }
        Ok(if self.outputs <= ROWS_BY_DOT_PRODUCT {
            self.by_rows(input)
        } else {
            self.by_polynomials(input, Engine::best())
        })
    }

    /// [`hash`](Self::hash) of secret bits into secret bits; every intermediate value is wiped.
    ///
    /// # Errors
    /// [`BitsError::LengthMismatch`] when `input` does not have n bits.
    pub fn hash_secret(&self, input: &SecretBits) -> Result<SecretBits, BitsError> {
        self.hash(input.expose()).map(SecretBits::from)
    }

    /// y\[i\] is the parity of t\[i..i+n\] and the reversed input.
    fn by_rows(&self, input: &BitString) -> BitString {
        let mut reversed = input.reversed();
        let row = |i: usize| {
            let folded = reversed
                .words()
                .iter()
                .enumerate()
                .fold(0, |sum, (w, &x)| sum ^ x & self.seed.word_at(i + 64 * w));
            folded.count_ones() % 2 == 1
        };
        let output = (0..self.outputs).map(row).collect();
        reversed.zeroize();
        output
    }

    /// y\[i\] is coefficient i+n−1 of t(z)·x(z).
    ///
    /// The matrix is covered with square blocks of s words. With t moved up so that coefficient n−1 comes to lie at
    /// the start of word N, the words of a block's share are the middle of a product of 2s and s words.
    fn by_polynomials(&self, input: &BitString, engine: Engine) -> BitString {
        let (rows, columns, size) = tiling(words_for(self.outputs), words_for(self.inputs));
        let words = columns * size;
        let shift = 64 * words - (self.inputs - 1);
        let mut seed = vec![0u64; (rows + columns) * size];
        let (first, by) = (shift / 64, shift % 64);
        for (w, &word) in self.seed.words().iter().enumerate() {
            seed[first + w] |= word << by;
            if by > 0 && first + w + 1 < seed.len() {
                seed[first + w + 1] |= word >> (64 - by);
            }
        }
        let mut x = Zeroizing::new(vec![0u64; words]);
        x[..input.words().len()].copy_from_slice(input.words());
        let mut scratch = Zeroizing::new(vec![0u64; 8 * size]);
        let mut output = vec![0u64; rows * size];
        for (row, y) in output.chunks_exact_mut(size).enumerate() {
            for (column, x) in x.chunks_exact(size).enumerate() {
                let start = (columns - 1 + row - column) * size;
                middle_product(engine, &seed[start..start + 2 * size], x, y, &mut scratch);
            }
        }
        output[words_for(self.outputs)..].zeroize();
        BitString::from_words(output, self.outputs)
    }
}

/// Rows and columns of square blocks, and words in a block's side, with the least work to cover a matrix.
fn tiling(row_words: usize, column_words: usize) -> (usize, usize, usize) {
    let side = row_words.min(column_words);
    let of = |cuts: usize| {
        let size = block_words(side.div_ceil(cuts));
        (row_words.div_ceil(size), column_words.div_ceil(size), size)
    };
    // A block of s words takes about s^1.585 products.
    let work = |&(r, c, size): &(usize, usize, usize)| (r * c) as f64 * (size as f64).powf(1.585);
    (1..=8).map(of).min_by(|a, b| work(a).total_cmp(&work(b))).expect("eight candidates")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;

    use super::*;

    /// The definition, entry by entry.
    fn plain(seed: &BitString, input: &BitString, outputs: usize) -> BitString {
        let n = input.len();
        (0..outputs)
            .map(|i| (0..n).fold(false, |sum, j| sum ^ (seed[i + n - 1 - j] & input[j])))
            .collect()
    }

    #[test]
    fn the_vector_of_the_design_holds() {
        // DESIGN section 8: n = 16, m = 8.
        let seed: BitString = "01111000010010100001100".parse().unwrap();
        let input: BitString = "1110100110110100".parse().unwrap();
        let matrix = Toeplitz::new(seed, 16, 8).unwrap();
        assert_eq!(matrix.hash(&input).unwrap().to_string(), "10011010");
        for engine in Engine::all() {
            assert_eq!(matrix.by_polynomials(&input, engine).to_string(), "10011010");
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_errors() {
        let seed = BitString::with_len(10);
        assert!(matches!(Toeplitz::new(seed.clone(), 0, 11), Err(BitsError::EmptyMatrix { .. })));
        assert!(matches!(Toeplitz::new(seed.clone(), 11, 0), Err(BitsError::EmptyMatrix { .. })));
        assert!(Toeplitz::new(seed.clone(), usize::MAX, 2).is_err());
        assert!(Toeplitz::new(seed.clone(), 8, 4).is_err());
        let matrix = Toeplitz::new(seed, 8, 3).unwrap();
        assert!(matrix.hash(&BitString::with_len(9)).is_err());
    }

    #[test]
    fn a_large_matrix_equals_single_rows() {
        let (n, m) = (1 << 20, 1 << 19);
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(11);
        let seed = BitString::random(&mut rng, n + m - 1);
        let input = BitString::random(&mut rng, n);
        let output = Toeplitz::new(seed.clone(), n, m).unwrap().hash(&input).unwrap();
        for i in (0..m).step_by(9973).chain([m - 1]) {
            let row = (0..n).fold(false, |sum, j| sum ^ (seed[i + n - 1 - j] & input[j]));
            assert_eq!(output[i], row, "row {i}");
        }
    }

    proptest! {
        #[test]
        fn all_methods_equal_the_direct_sum(n in 1usize..2000, m in 1usize..1500, seed: u64) {
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let t = BitString::random(&mut rng, n + m - 1);
            let x = BitString::random(&mut rng, n);
            let matrix = Toeplitz::new(t.clone(), n, m).unwrap();
            let expected = plain(&t, &x, m);
            prop_assert_eq!(matrix.by_rows(&x), expected.clone());
            for engine in Engine::all() {
                prop_assert_eq!(matrix.by_polynomials(&x, engine), expected.clone(), "{:?}", engine);
            }
            prop_assert!(matrix.hash_secret(&x.into()).unwrap().ct_eq(&expected.into()));
        }

        #[test]
        fn the_hash_is_linear(n in 1usize..200, m in 1usize..200, seed: u64) {
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let matrix = Toeplitz::new(BitString::random(&mut rng, n + m - 1), n, m).unwrap();
            let (a, b) = (BitString::random(&mut rng, n), BitString::random(&mut rng, n));
            let mut sum = a.clone();
            sum.xor_assign(&b).unwrap();
            let mut hashes = matrix.hash(&a).unwrap();
            hashes.xor_assign(&matrix.hash(&b).unwrap()).unwrap();
            prop_assert_eq!(matrix.hash(&sum).unwrap(), hashes);
        }
    }
}
