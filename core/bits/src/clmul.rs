//! Carry-less multiplication: the arithmetic of polynomials over GF(2), without secret-dependent branches or tables.

use zeroize::Zeroizing;

/// Below this many words the schoolbook product is faster than Karatsuba's.
const KARATSUBA_WORDS: usize = 12;

/// Low 64 bits of the carry-less product, by integer products with holes: each operand is split into four parts
/// whose set bits are four apart, so that the carries of up to 15 ones fall into the holes (T. Pornin, BearSSL,
/// `ghash_ctmul64`; a sixteenth one meets only at bit 60 and up, where the carry leaves the word).
fn clmul_low(x: u64, y: u64) -> u64 {
    const M: [u64; 4] = [
        0x1111_1111_1111_1111,
        0x2222_2222_2222_2222,
        0x4444_4444_4444_4444,
        0x8888_8888_8888_8888,
    ];
    let [x0, x1, x2, x3] = M.map(|m| x & m);
    let [y0, y1, y2, y3] = M.map(|m| y & m);
    let p = |a: u64, b: u64| a.wrapping_mul(b);
    let z0 = p(x0, y0) ^ p(x1, y3) ^ p(x2, y2) ^ p(x3, y1);
    let z1 = p(x0, y1) ^ p(x1, y0) ^ p(x2, y3) ^ p(x3, y2);
    let z2 = p(x0, y2) ^ p(x1, y1) ^ p(x2, y0) ^ p(x3, y3);
    let z3 = p(x0, y3) ^ p(x1, y2) ^ p(x2, y1) ^ p(x3, y0);
    z0 & M[0] | z1 & M[1] | z2 & M[2] | z3 & M[3]
}

/// The product of two polynomials of degree below 64, as (low, high) words.
pub(crate) fn clmul(x: u64, y: u64) -> (u64, u64) {
    let high = clmul_low(x.reverse_bits(), y.reverse_bits()).reverse_bits() >> 1;
    (clmul_low(x, y), high)
}

/// The product in GF(2^64) = GF(2)[z] / (z^64 + z^4 + z^3 + z + 1), bit i being the coefficient of z^i.
pub(crate) fn gf64_mul(x: u64, y: u64) -> u64 {
    let (low, high) = clmul(x, y);
    let over = high >> 63 ^ high >> 61 ^ high >> 60;
    let fold = |h: u64| h ^ h << 1 ^ h << 3 ^ h << 4;
    low ^ fold(high) ^ fold(over)
}

/// `out ^= a·b`; `out` has at least `a.len() + b.len()` words.
pub(crate) fn multiply_into(a: &[u64], b: &[u64], out: &mut [u64]) {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if short.is_empty() {
        return;
    }
    // Pieces of the longer one as long as the shorter, so that Karatsuba is always balanced.
    let mut scratch = Zeroizing::new(vec![0u64; 8 * short.len() + 128]);
    let mut product = Zeroizing::new(vec![0u64; 2 * short.len()]);
    for (index, piece) in long.chunks(short.len()).enumerate() {
        let start = index * short.len();
        if piece.len() == short.len() {
            balanced(piece, short, &mut product, &mut scratch);
            xor(&mut out[start..start + product.len()], &product);
        } else {
            multiply_into(piece, short, &mut out[start..]);
        }
    }
}

fn xor(out: &mut [u64], other: &[u64]) {
    for (a, b) in out.iter_mut().zip(other) {
        *a ^= b;
    }
}

/// `out = a·b` for `a` and `b` of n words, `out` of 2n words, `scratch` of at least 8n + 128.
///
/// With a = a0 + a1·z^(64h): a·b = p0 + (pm − p0 − p2)·z^(64h) + p2·z^(128h), p0 = a0·b0, p2 = a1·b1,
/// pm = (a0+a1)·(b0+b1).
fn balanced(a: &[u64], b: &[u64], out: &mut [u64], scratch: &mut [u64]) {
    let n = a.len();
    if n <= KARATSUBA_WORDS {
        out.fill(0);
        for (i, &x) in a.iter().enumerate() {
            for (j, &y) in b.iter().enumerate() {
                let (low, high) = clmul(x, y);
                out[i + j] ^= low;
                out[i + j + 1] ^= high;
            }
        }
        return;
    }
    let h = n.div_ceil(2);
    let ((a0, a1), (b0, b1)) = (a.split_at(h), b.split_at(h));
    let (low, high) = out.split_at_mut(2 * h);
    balanced(a0, b0, low, scratch);
    balanced(a1, b1, high, scratch);

    let (sums, rest) = scratch.split_at_mut(2 * h);
    let (middle, rest) = rest.split_at_mut(2 * h);
    let (sa, sb) = sums.split_at_mut(h);
    sa.copy_from_slice(a0);
    xor(sa, a1);
    sb.copy_from_slice(b0);
    xor(sb, b1);
    balanced(sa, sb, middle, rest);
    xor(middle, low);
    xor(middle, high);
    xor(&mut out[h..], middle);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition: shift and add.
    fn plain(x: u64, y: u64) -> (u64, u64) {
        let wide =
            (0..64).filter(|i| y >> i & 1 == 1).fold(0u128, |sum, i| sum ^ u128::from(x) << i);
        (wide as u64, (wide >> 64) as u64)
    }

    fn plain_words(a: &[u64], b: &[u64]) -> Vec<u64> {
        let mut out = vec![0; a.len() + b.len()];
        for (i, &x) in a.iter().enumerate() {
            for (j, &y) in b.iter().enumerate() {
                let (low, high) = plain(x, y);
                out[i + j] ^= low;
                out[i + j + 1] ^= high;
            }
        }
        out
    }

    #[test]
    fn extreme_words_multiply() {
        for x in [0, 1, u64::MAX, 1 << 63, 0x1111_1111_1111_1111] {
            for y in [0, 1, u64::MAX, 1 << 63, 0x8888_8888_8888_8888] {
                assert_eq!(clmul(x, y), plain(x, y), "{x:x} {y:x}");
            }
        }
    }

    #[test]
    fn z63_times_z_wraps_to_the_modulus() {
        assert_eq!(gf64_mul(1 << 63, 2), 0b11011);
    }

    proptest! {
        #[test]
        fn word_products_are_shift_and_add(x: u64, y: u64) {
            prop_assert_eq!(clmul(x, y), plain(x, y));
        }

        #[test]
        fn the_field_is_a_field(x: u64, y: u64, z: u64) {
            prop_assert_eq!(gf64_mul(x, y), gf64_mul(y, x));
            prop_assert_eq!(gf64_mul(x, gf64_mul(y, z)), gf64_mul(gf64_mul(x, y), z));
            prop_assert_eq!(gf64_mul(x, y ^ z), gf64_mul(x, y) ^ gf64_mul(x, z));
            // Fermat: x^(2^64) = x.
            prop_assert_eq!((0..64).fold(x, |p, _| gf64_mul(p, p)), x);
        }

        #[test]
        fn karatsuba_is_the_schoolbook_product(
            a in prop::collection::vec(any::<u64>(), 0..90),
            b in prop::collection::vec(any::<u64>(), 0..90),
        ) {
            let mut out = vec![0; a.len() + b.len()];
            multiply_into(&a, &b, &mut out);
            prop_assert_eq!(out, plain_words(&a, &b));
        }
    }
}
