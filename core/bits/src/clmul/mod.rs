//! Carry-less multiplication: the arithmetic of polynomials over GF(2), without secret-dependent branches or tables.

mod field128;
#[cfg(target_arch = "x86_64")]
mod hardware;
mod middle;

pub(crate) use field128::Powers;
pub(crate) use middle::{block_words, middle_product};

/// Words of the smallest block that [`middle_product`] is cut into.
pub(crate) const BLOCK: usize = 8;

/// The arithmetic that is at hand: the processor's instruction, or integer products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// Integer products with holes, on any processor.
    Portable,
    /// The carry-less product of x86-64.
    #[cfg(target_arch = "x86_64")]
    Hardware(hardware::Level),
}

impl Engine {
    /// The fastest one that this processor has.
    pub(crate) fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(level) = hardware::Level::detect() {
            return Self::Hardware(level);
        }
        Self::Portable
    }

    /// Every one that this processor has: they must give the same bits.
    #[cfg(test)]
    pub(crate) fn all() -> Vec<Self> {
        let mut all = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        if let Some(level) = hardware::Level::detect() {
            all.push(Self::Hardware(hardware::Level::Clmul));
            all.push(Self::Hardware(level));
        }
        all
    }

    /// The product of two polynomials of degree below 64, as (low, high) words.
    #[inline]
    pub(crate) fn clmul(self, x: u64, y: u64) -> (u64, u64) {
        match self {
            Self::Portable => clmul(x, y),
            #[cfg(target_arch = "x86_64")]
            Self::Hardware(level) => level.clmul(x, y),
        }
    }

    /// The product in GF(2^64) = GF(2)[z] / (z^64 + z^4 + z^3 + z + 1), bit i being the coefficient of z^i.
    #[inline]
    pub(crate) fn gf64_mul(self, x: u64, y: u64) -> u64 {
        reduce(self.clmul(x, y))
    }

    /// The product in GF(2^128), see [`field128`].
    pub(crate) fn gf128_mul(self, x: u128, y: u128) -> u128 {
        field128::mul(|x, y| self.clmul(x, y), x, y)
    }

    /// Horner's rule in GF(2^128) over the whole 16-byte words of `bytes`, see [`field128`].
    pub(crate) fn gf128_horner(self, sum: u128, powers: &Powers, bytes: &[u8]) -> u128 {
        match self {
            Self::Portable => field128::horner(clmul, sum, powers, bytes),
            #[cfg(target_arch = "x86_64")]
            Self::Hardware(level) => level.gf128_horner(sum, powers, bytes),
        }
    }

    /// `y ^= words 8..16 of t·x`.
    #[inline]
    fn middle_block(self, t: &[u64; 2 * BLOCK], x: &[u64; BLOCK], y: &mut [u64; BLOCK]) {
        match self {
            Self::Portable => middle_block(t, x, y),
            #[cfg(target_arch = "x86_64")]
            Self::Hardware(level) => level.middle_block(t, x, y),
        }
    }
}

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

/// The remainder of a (low, high) product modulo z^64 + z^4 + z^3 + z + 1.
#[inline]
fn reduce((low, high): (u64, u64)) -> u64 {
    let over = high >> 63 ^ high >> 61 ^ high >> 60;
    let fold = |h: u64| h ^ h << 1 ^ h << 3 ^ h << 4;
    low ^ fold(high) ^ fold(over)
}

/// `y ^= words 8..16 of t·x`, diagonal by diagonal: word i takes the low half of diagonal 8+i and the high half of
/// diagonal 7+i, diagonal d being the sum of all products t\[a\]·x\[b\] with a + b = d.
fn middle_block(t: &[u64; 2 * BLOCK], x: &[u64; BLOCK], y: &mut [u64; BLOCK]) {
    let mut carry = 0;
    for d in 0..=BLOCK {
        let (mut low, mut high) = (0, 0);
        for b in 0..BLOCK {
            let (l, h) = clmul(t[d + BLOCK - 1 - b], x[b]);
            low ^= l;
            high ^= h;
        }
        if d > 0 {
            y[d - 1] ^= carry ^ low;
        }
        carry = high;
    }
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
        for engine in Engine::all() {
            assert_eq!(engine.gf64_mul(1 << 63, 2), 0b11011, "{engine:?}");
        }
    }

    proptest! {
        #[test]
        fn word_products_are_shift_and_add(x: u64, y: u64) {
            for engine in Engine::all() {
                prop_assert_eq!(engine.clmul(x, y), plain(x, y), "{:?}", engine);
            }
        }

        #[test]
        fn the_field_is_a_field(x: u64, y: u64, z: u64) {
            let mul = |a, b| Engine::best().gf64_mul(a, b);
            prop_assert_eq!(mul(x, y), mul(y, x));
            prop_assert_eq!(mul(x, mul(y, z)), mul(mul(x, y), z));
            prop_assert_eq!(mul(x, y ^ z), mul(x, y) ^ mul(x, z));
            // Fermat: x^(2^64) = x.
            prop_assert_eq!((0..64).fold(x, |p, _| mul(p, p)), x);
        }

        #[test]
        fn every_engine_gives_the_same_block(
            t: [u64; 16], x: [u64; 8], y: [u64; 8],
        ) {
            let mut expected = y;
            middle_block(&t, &x, &mut expected);
            for engine in Engine::all() {
                let mut found = y;
                engine.middle_block(&t, &x, &mut found);
                prop_assert_eq!(found, expected, "{:?}", engine);
            }
        }
    }
}
