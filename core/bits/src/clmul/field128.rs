//! GF(2^128) = GF(2)\[z\]/(z^128 + z^7 + z^2 + z + 1), bit i of a word being the coefficient of z^i, over any product of
//! polynomials of degree below 64.

/// Powers of a key: k, k², k³, k⁴.
pub(crate) type Powers = [u128; 4];

/// A sum of products that is not reduced yet: low, middle (as Karatsuba gives it) and high.
#[derive(Clone, Copy, Default)]
struct Sum([u128; 3]);

impl Sum {
    #[inline(always)]
    fn add(&mut self, product: impl Fn(u64, u64) -> (u64, u64), x: u128, y: u128) {
        let (x0, x1, y0, y1) = (x as u64, (x >> 64) as u64, y as u64, (y >> 64) as u64);
        let wide = |(low, high): (u64, u64)| u128::from(low) | u128::from(high) << 64;
        self.0[0] ^= wide(product(x0, y0));
        self.0[1] ^= wide(product(x0 ^ x1, y0 ^ y1));
        self.0[2] ^= wide(product(x1, y1));
    }

    #[inline(always)]
    fn reduce(self) -> u128 {
        let [p0, p1, p2] = self.0;
        let middle = p0 ^ p1 ^ p2;
        let (low, high) = (p0 ^ middle << 64, p2 ^ middle >> 64);
        // z^128 = z^7 + z^2 + z + 1, twice: what the first fold pushes over the top is folded again.
        let over = high >> 121 ^ high >> 126 ^ high >> 127;
        let fold = |h: u128| h ^ h << 1 ^ h << 2 ^ h << 7;
        low ^ fold(high) ^ fold(over)
    }
}

/// x·y.
#[inline(always)]
pub(super) fn mul(product: impl Fn(u64, u64) -> (u64, u64), x: u128, y: u128) -> u128 {
    let mut sum = Sum::default();
    sum.add(product, x, y);
    sum.reduce()
}

/// Horner's rule from `sum` on over the 16-byte words of `bytes` (little endian), four words a reduction:
/// (sum + w₁)·k⁴ + w₂·k³ + w₃·k² + w₄·k. Bytes behind the last whole word are left out.
#[inline(always)]
pub(super) fn horner(
    product: impl Fn(u64, u64) -> (u64, u64) + Copy,
    mut sum: u128,
    powers: &Powers,
    bytes: &[u8],
) -> u128 {
    let word = |bytes: &[u8]| u128::from_le_bytes(bytes.try_into().unwrap_or_default());
    let mut fours = bytes.chunks_exact(64);
    for four in &mut fours {
        let mut products = Sum::default();
        products.add(product, sum ^ word(&four[..16]), powers[3]);
        products.add(product, word(&four[16..32]), powers[2]);
        products.add(product, word(&four[32..48]), powers[1]);
        products.add(product, word(&four[48..]), powers[0]);
        sum = products.reduce();
    }
    for one in fours.remainder().chunks_exact(16) {
        sum = mul(product, sum ^ word(one), powers[0]);
    }
    sum
}
