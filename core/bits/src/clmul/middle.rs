//! The middle of a product: n words out of 2n times n, by Karatsuba's trick turned round.

use super::{BLOCK, Engine};

/// A number of words, at least `words`, that halving and thirds lead down to [`BLOCK`]: 8·2^a·3^b with b up to 2.
pub(crate) fn block_words(words: usize) -> usize {
    let mut best = usize::MAX;
    for odd in [1, 3, 9] {
        let mut size = BLOCK * odd;
        while size < words {
            size *= 2;
        }
        best = best.min(size);
    }
    best
}

/// `y ^= words n..2n of t·x`: x and y of n words, n from [`block_words`], t of 2n words.
///
/// With t in overlapping pieces A_j = t\[j·h..(j+2)·h\], h = n/2, and x, y in halves:
///
/// ```text
/// y0 = A1·x0 + A0·x1 = A1·(x0+x1) + (A0+A1)·x1
/// y1 = A2·x0 + A1·x1 = A1·(x0+x1) + (A1+A2)·x0
/// ```
///
/// three products of half the size instead of four (Winograd; Fan and Hasan 2007). In thirds it is six instead of
/// nine. The path depends on n alone. `scratch` has at least 8n words and holds secrets afterwards.
pub(crate) fn middle_product(
    engine: Engine,
    t: &[u64],
    x: &[u64],
    y: &mut [u64],
    scratch: &mut [u64],
) {
    let n = x.len();
    if n == BLOCK {
        let t = t.first_chunk().expect("t has 2n words");
        let x = x.first_chunk().expect("x has n words");
        engine.middle_block(t, x, y.first_chunk_mut().expect("y has n words"));
    } else if n.is_multiple_of(2 * BLOCK) {
        halves(engine, t, x, y, scratch);
    } else {
        thirds(engine, t, x, y, scratch);
    }
}

fn halves(engine: Engine, t: &[u64], x: &[u64], y: &mut [u64], scratch: &mut [u64]) {
    let h = x.len() / 2;
    let (x0, x1) = x.split_at(h);
    let (sums, rest) = scratch.split_at_mut(5 * h);
    let (t_sum, sums) = sums.split_at_mut(3 * h);
    let (x_sum, common) = sums.split_at_mut(h);
    add(t_sum, &t[..3 * h], &t[h..4 * h]);
    add(x_sum, x0, x1);
    common.fill(0);
    middle_product(engine, &t[h..3 * h], x_sum, common, rest);
    let (y0, y1) = y.split_at_mut(h);
    add_to(y0, common);
    add_to(y1, common);
    middle_product(engine, &t_sum[..2 * h], x1, y0, rest);
    middle_product(engine, &t_sum[h..], x0, y1, rest);
}

/// y0 = A2·x0 + A1·x1 + A0·x2, y1 = A3·x0 + A2·x1 + A1·x2, y2 = A4·x0 + A3·x1 + A2·x2; the products of two different
/// x's are shared as in the halves: A_i·(x_a + x_b) serves two of them.
fn thirds(engine: Engine, t: &[u64], x: &[u64], y: &mut [u64], scratch: &mut [u64]) {
    let h = x.len() / 3;
    let part = |j: usize| &x[j * h..(j + 1) * h];
    let piece = |j: usize| &t[j * h..(j + 2) * h];
    let (sums, rest) = scratch.split_at_mut(4 * h);
    let (t_sum, sums) = sums.split_at_mut(2 * h);
    let (x_sum, common) = sums.split_at_mut(h);
    // A1·(x1+x2) in y0 and y1, A2·(x0+x2) in y0 and y2, A3·(x0+x1) in y1 and y2.
    for (a, (i, j), (u, v)) in [(1, (1, 2), (0, 1)), (2, (0, 2), (0, 2)), (3, (0, 1), (1, 2))] {
        add(x_sum, part(i), part(j));
        common.fill(0);
        middle_product(engine, piece(a), x_sum, common, rest);
        add_to(&mut y[u * h..(u + 1) * h], common);
        add_to(&mut y[v * h..(v + 1) * h], common);
    }
    // What is left over: one x each.
    for (row, j, [a, b, c]) in [(0, 2, [0, 1, 2]), (1, 1, [1, 2, 3]), (2, 0, [2, 3, 4])] {
        add(t_sum, piece(a), piece(b));
        add_to(t_sum, piece(c));
        middle_product(engine, t_sum, part(j), &mut y[row * h..(row + 1) * h], rest);
    }
}

fn add(out: &mut [u64], a: &[u64], b: &[u64]) {
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out = a ^ b;
    }
}

fn add_to(out: &mut [u64], other: &[u64]) {
    for (out, other) in out.iter_mut().zip(other) {
        *out ^= other;
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};

    use super::*;

    /// The definition: all products, then the middle.
    fn plain(t: &[u64], x: &[u64]) -> Vec<u64> {
        let n = x.len();
        let mut out = vec![0; 3 * n];
        for (i, &a) in t.iter().enumerate() {
            for (j, &b) in x.iter().enumerate() {
                let (low, high) = Engine::Portable.clmul(a, b);
                out[i + j] ^= low;
                out[i + j + 1] ^= high;
            }
        }
        out[n..2 * n].to_vec()
    }

    #[test]
    fn sizes_are_those_that_can_be_cut() {
        for (words, size) in [(1, 8), (8, 8), (9, 16), (17, 24), (65, 72), (73, 96), (8192, 8192)] {
            assert_eq!(block_words(words), size);
        }
    }

    #[test]
    fn every_size_gives_the_middle_of_the_plain_product() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(4);
        for n in [8, 16, 24, 32, 48, 72, 96, 144, 192] {
            let t: Vec<u64> = (0..2 * n).map(|_| rng.random()).collect();
            let x: Vec<u64> = (0..n).map(|_| rng.random()).collect();
            let expected = plain(&t, &x);
            for engine in Engine::all() {
                let mut y = vec![0; n];
                middle_product(engine, &t, &x, &mut y, &mut vec![0; 8 * n]);
                assert_eq!(y, expected, "{n} words, {engine:?}");
            }
        }
    }
}
