//! The inner loops of the receiver, written for any version of [`Simd`].
//!
//! Every sum has a fixed order (eight lanes), and nothing is contracted, so that each version gives the same bits. Closures
//! stay out of the loops: the compiler may leave one a function of its own, which then lacks the instructions.

use num_complex::Complex32;

use crate::simd::Simd;

/// Lanes of a sum: numbers that are added side by side, in a fixed order.
pub(crate) const LANES: usize = 8;
/// Four complex numbers, real and imaginary parts taking turns, or eight real ones.
pub(crate) type Lane = [f32; LANES];
/// Lanes of a row: four of real and four of imaginary parts of 32 taps.
pub(crate) const TAP_LANES: usize = 8;
/// One complex number for each tap of the channel estimate.
pub(crate) type TapRow = [Lane; TAP_LANES];
/// Samples of a block of the energy gate.
pub(crate) const GATE_BLOCK: usize = 64;

/// The sum of the lanes, pair by pair.
#[inline(always)]
fn total<S: Simd>(simd: S, a: S::F) -> f32 {
    let a = simd.lanes(a);
    ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]))
}

/// Energy of each whole block of [`GATE_BLOCK`] samples, appended.
#[inline(always)]
pub(crate) fn block_energies<S: Simd>(simd: S, samples: &[Complex32], energies: &mut Vec<f32>) {
    for block in samples.as_chunks::<GATE_BLOCK>().0 {
        energies.push(energy(simd, block));
    }
}

/// [`block_energies`] of what [`widen_ci16`] makes of integers.
#[inline(always)]
pub(crate) fn block_energies_ci16<S: Simd>(
    simd: S,
    samples: &[[i16; 2]],
    scale: f32,
    energies: &mut Vec<f32>,
) {
    let scale = simd.splat(scale);
    for block in samples.as_chunks::<GATE_BLOCK>().0 {
        let mut sums = [simd.splat(0.0); 2];
        for [a, b] in block.as_chunks::<4>().0.as_chunks::<2>().0 {
            let a = simd.mul(simd.load_integers(a), scale);
            let b = simd.mul(simd.load_integers(b), scale);
            sums[0] = simd.add(sums[0], simd.mul(a, a));
            sums[1] = simd.add(sums[1], simd.mul(b, b));
        }
        energies.push(total(simd, simd.add(sums[0], sums[1])));
    }
}

/// Σ |r|², in two sums that take turns: an addition need not wait for the one before.
#[inline(always)]
pub(crate) fn energy<S: Simd>(simd: S, samples: &[Complex32]) -> f32 {
    let (fours, rest) = samples.as_chunks::<4>();
    let (pairs, four) = fours.as_chunks::<2>();
    let mut sums = [simd.splat(0.0); 2];
    for [a, b] in pairs {
        let (a, b) = (simd.load_complex(a), simd.load_complex(b));
        sums[0] = simd.add(sums[0], simd.mul(a, a));
        sums[1] = simd.add(sums[1], simd.mul(b, b));
    }
    for a in four {
        let a = simd.load_complex(a);
        sums[0] = simd.add(sums[0], simd.mul(a, a));
    }
    total(simd, simd.add(sums[0], sums[1])) + rest.iter().map(|r| r.norm_sqr()).sum::<f32>()
}

/// Whether no sample is infinite or not a number.
pub(crate) fn all_finite(samples: &[Complex32]) -> bool {
    // Such values, and no others, have all exponent bits set. One pass without a branch.
    const EXPONENT: u32 = 0x7f80_0000;
    let bad = |x: f32| u32::from(x.to_bits() & EXPONENT == EXPONENT);
    samples.iter().fold(0, |any, s| any | bad(s.re) | bad(s.im)) == 0
}

/// x\[n\]·`scale` of integers.
#[inline(always)]
pub(crate) fn widen_ci16<S: Simd>(simd: S, src: &[[i16; 2]], scale: f32, dst: &mut [Complex32]) {
    let ((fours, rest), (out, out_rest)) = (src.as_chunks::<4>(), dst.as_chunks_mut::<4>());
    let factor = simd.splat(scale);
    for (out, x) in out.iter_mut().zip(fours) {
        simd.store_complex(simd.mul(simd.load_integers(x), factor), out);
    }
    let out_rest = if out.len() > fours.len() { &mut out[fours.len()][..] } else { out_rest };
    for (out, [re, im]) in out_rest.iter_mut().zip(rest) {
        *out = Complex32::new(f32::from(*re) * scale, f32::from(*im) * scale);
    }
}

/// Σ a·b*, the inner product of two complex sequences.
#[inline(always)]
pub(crate) fn inner<S: Simd>(simd: S, a: &[Complex32], b: &[Complex32]) -> Complex32 {
    let ((a4, a_rest), (b4, b_rest)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    let (mut along, mut across) = (simd.splat(0.0), simd.splat(0.0));
    for (a, b) in a4.iter().zip(b4) {
        let (a, b) = (simd.load_complex(a), simd.load_complex(b));
        along = simd.add(along, simd.mul(a, b));
        across = simd.add(across, simd.mul(a, simd.swap(b)));
    }
    let t = simd.lanes(across);
    let im = ((t[1] - t[0]) + (t[3] - t[2])) + ((t[5] - t[4]) + (t[7] - t[6]));
    let rest: Complex32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b.conj()).sum();
    Complex32::new(total(simd, along), im) + rest
}

/// dst\[n\] += src\[n\]·factor, over the shorter of the two.
#[inline(always)]
pub(crate) fn accumulate<S: Simd>(
    simd: S,
    src: &[Complex32],
    factor: Complex32,
    dst: &mut [Complex32],
) {
    let len = src.len().min(dst.len());
    let (src, src_rest) = src[..len].as_chunks::<4>();
    let (dst, dst_rest) = dst[..len].as_chunks_mut::<4>();
    let factors = simd.gather([&factor; 4]);
    for (dst, src) in dst.iter_mut().zip(src) {
        let product = simd.mul_complex(simd.load_complex(src), factors);
        simd.store_complex(simd.add(simd.load_complex(dst), product), dst);
    }
    for (dst, src) in dst_rest.iter_mut().zip(src_rest) {
        *dst += src * factor;
    }
}

/// dst\[n\] = src\[n\]·start·table\[n\], over the shortest.
#[inline(always)]
pub(crate) fn turn<S: Simd>(
    simd: S,
    src: &[Complex32],
    start: Complex32,
    table: &[Complex32],
    dst: &mut [Complex32],
) {
    let len = src.len().min(table.len()).min(dst.len());
    let (src, src_rest) = src[..len].as_chunks::<4>();
    let (table, table_rest) = table[..len].as_chunks::<4>();
    let (dst, dst_rest) = dst[..len].as_chunks_mut::<4>();
    let first = simd.gather([&start; 4]);
    for ((dst, src), table) in dst.iter_mut().zip(src).zip(table) {
        let phasor = simd.mul_complex(first, simd.load_complex(table));
        simd.store_complex(simd.mul_complex(simd.load_complex(src), phasor), dst);
    }
    for ((dst, src), phasor) in dst_rest.iter_mut().zip(src_rest).zip(table_rest) {
        *dst = src * (start * phasor);
    }
}

/// Correlation of pieces of samples, [`bounds`\[p\], `bounds`\[p + 1\]), with chips as each tap brings them: tap l of the
/// last sample sees `chips`\[l\], of the one before it `chips`\[l + 1\], and so on.
#[inline(always)]
pub(crate) fn despread<S: Simd>(
    simd: S,
    samples: &[Complex32],
    chips: &[f32],
    bounds: &[usize],
    out: &mut [TapRow],
) {
    let samples = &samples[..bounds.last().copied().unwrap_or(0)];
    for (place, bounds) in out.iter_mut().zip(bounds.windows(2)) {
        let mut row = [simd.splat(0.0); TAP_LANES];
        for (n, r) in samples[..bounds[1]].iter().enumerate().skip(bounds[0]) {
            let at = samples.len() - 1 - n;
            let chips: &[f32; TAP_LANES / 2 * LANES] =
                chips[at..].first_chunk().expect("a chip for each tap");
            let chips = chips.as_chunks::<LANES>().0;
            let (re, im) = (simd.splat(r.re), simd.splat(r.im));
            for i in 0..TAP_LANES / 2 {
                let m = simd.load(&chips[i]);
                row[i] = simd.add(row[i], simd.mul(re, m));
                let i = i + TAP_LANES / 2;
                row[i] = simd.add(row[i], simd.mul(im, m));
            }
        }
        *place = rows_of(simd, row);
    }
}

/// Σ rows\[p\], the sum of rows tap by tap.
#[inline(always)]
pub(crate) fn sum<S: Simd>(simd: S, rows: &[TapRow]) -> TapRow {
    let mut sum = [simd.splat(0.0); TAP_LANES];
    for row in rows {
        for (sum, lane) in sum.iter_mut().zip(row) {
            *sum = simd.add(*sum, simd.load(lane));
        }
    }
    rows_of(simd, sum)
}

#[inline(always)]
fn rows_of<S: Simd>(simd: S, sum: [S::F; TAP_LANES]) -> TapRow {
    let mut row = [[0.0; LANES]; TAP_LANES];
    for (place, lane) in row.iter_mut().zip(sum) {
        simd.store(lane, place);
    }
    row
}

/// Σ rows\[p\]·turns\[p\], the sum of rows tap by tap after each was turned in phase.
#[inline(always)]
pub(crate) fn merge<S: Simd>(simd: S, rows: &[TapRow], turns: &[Complex32]) -> TapRow {
    const HALF: usize = TAP_LANES / 2;
    let mut sum = [simd.splat(0.0); TAP_LANES];
    for (row, turn) in rows.iter().zip(turns) {
        let (c, s) = (simd.splat(turn.re), simd.splat(turn.im));
        for i in 0..HALF {
            let (re, im) = (simd.load(&row[i]), simd.load(&row[HALF + i]));
            let real = simd.sub(simd.mul(re, c), simd.mul(im, s));
            let imaginary = simd.add(simd.mul(re, s), simd.mul(im, c));
            sum[i] = simd.add(sum[i], real);
            sum[HALF + i] = simd.add(sum[HALF + i], imaginary);
        }
    }
    rows_of(simd, sum)
}

/// Σ x\[p\], Σ t\[p\]·x\[p\] and Σ t\[p\]²·x\[p\], x\[p\] = rows\[p\]·turns\[p\].
#[inline(always)]
pub(crate) fn moments<S: Simd>(
    simd: S,
    rows: &[TapRow],
    turns: &[Complex32],
    times: &[f32],
) -> [TapRow; 3] {
    const HALF: usize = TAP_LANES / 2;
    let mut out = [[[0.0; LANES]; TAP_LANES]; 3];
    for i in 0..HALF {
        let mut sums = [[simd.splat(0.0); 2]; 3];
        for ((row, turn), &t) in rows.iter().zip(turns).zip(times) {
            let (c, s, t) = (simd.splat(turn.re), simd.splat(turn.im), simd.splat(t));
            let (re, im) = (simd.load(&row[i]), simd.load(&row[HALF + i]));
            let mut x = [
                simd.sub(simd.mul(re, c), simd.mul(im, s)),
                simd.add(simd.mul(re, s), simd.mul(im, c)),
            ];
            for sums in &mut sums {
                *sums = [simd.add(sums[0], x[0]), simd.add(sums[1], x[1])];
                x = [simd.mul(x[0], t), simd.mul(x[1], t)];
            }
        }
        for (out, sums) in out.iter_mut().zip(sums) {
            simd.store(sums[0], &mut out[i]);
            simd.store(sums[1], &mut out[HALF + i]);
        }
    }
    out
}

/// |x|² of four complex numbers, each twice.
#[inline(always)]
fn powers<S: Simd>(simd: S, x: S::F) -> S::F {
    let squares = simd.mul(x, x);
    simd.add(squares, simd.swap(squares))
}

/// Largest |x|² among the complex numbers, 0 when there are none.
#[inline(always)]
pub(crate) fn largest<S: Simd>(simd: S, x: &[Lane]) -> f32 {
    let mut most = simd.splat(0.0);
    for lane in x {
        most = simd.max(most, powers(simd, simd.load(lane)));
    }
    simd.lanes(most).into_iter().fold(0.0, f32::max)
}

/// The place of the number of this |x|², if there is one.
#[inline(always)]
pub(crate) fn place_of<S: Simd>(simd: S, x: &[Lane], power: f32) -> Option<usize> {
    for (i, lane) in x.iter().enumerate() {
        let powers = simd.lanes(powers(simd, simd.load(lane)));
        for k in 0..LANES / 2 {
            if powers[2 * k] == power {
                return Some(LANES / 2 * i + k);
            }
        }
    }
    None
}

#[inline(always)]
fn butterflies<S: Simd>(simd: S, v: [S::F; 4]) -> [S::F; 4] {
    let (p, q) = (simd.add(v[0], v[1]), simd.sub(v[0], v[1]));
    let (r, s) = (simd.add(v[2], v[3]), simd.sub(v[2], v[3]));
    [simd.add(p, r), simd.add(q, s), simd.sub(p, r), simd.sub(q, s)]
}

/// Unnormalised Walsh-Hadamard transform of the numbers x\[`order`\[i\]\], 512 or 1024 of them, to `out`; `spare` is as
/// long. The result comes in the order of [`walsh_place`]; what is returned is its largest |x|².
///
/// Sixteen numbers at a time are fetched and transformed in registers, the rest by passes of constant geometry: such a
/// pass reads at four distances and writes in order, and leaves the places turned by two bits.
#[inline(always)]
pub(crate) fn walsh_hadamard<S: Simd>(
    simd: S,
    x: &[Complex32],
    order: &[u16],
    spare: &mut [Lane],
    out: &mut [Lane],
) -> f32 {
    if let (Some(x), 512) = (x.first_chunk::<512>(), order.len()) {
        fetch(simd, x, order, spare);
        pass_4(simd, spare, out);
        pass_4(simd, out, spare);
        pass_2(simd, spare, out)
    } else {
        let x = x.first_chunk::<1024>().expect("512 or 1024 numbers");
        fetch(simd, x, order, spare);
        pass_4(simd, spare, out);
        pass_4(simd, out, spare);
        pass_4(simd, spare, out)
    }
}

/// The first four bits of the transform.
#[inline(always)]
fn fetch<S: Simd, const N: usize>(simd: S, x: &[Complex32; N], order: &[u16], y: &mut [Lane]) {
    for (order, y) in order.as_chunks::<16>().0.iter().zip(y.as_chunks_mut::<4>().0) {
        let mut rows = [simd.splat(0.0); 4];
        for (row, &[a, b, c, d]) in rows.iter_mut().zip(order.as_chunks::<4>().0) {
            // The order has no entry beyond N; the remainder says so to the compiler.
            let [a, b, c, d] = [a as usize % N, b as usize % N, c as usize % N, d as usize % N];
            *row = simd.gather([&x[a], &x[b], &x[c], &x[d]]);
        }
        let rows = butterflies(simd, simd.transpose(butterflies(simd, rows)));
        for (y, row) in y.iter_mut().zip(rows) {
            simd.store(row, y);
        }
    }
}

/// Two bits more; the largest |y|².
#[inline(always)]
fn pass_4<S: Simd>(simd: S, x: &[Lane], y: &mut [Lane]) -> f32 {
    let (low, high) = x.split_at(x.len() / 2);
    let ((a, b), (c, d)) = (low.split_at(low.len() / 2), high.split_at(high.len() / 2));
    let rows = a.iter().zip(b).zip(c.iter().zip(d));
    let mut most = simd.splat(0.0);
    for (((a, b), (c, d)), y) in rows.zip(y.as_chunks_mut::<4>().0) {
        let rows = [simd.load(a), simd.load(b), simd.load(c), simd.load(d)];
        let rows = butterflies(simd, rows);
        let (p, q) = (powers(simd, rows[0]), powers(simd, rows[1]));
        let (r, s) = (powers(simd, rows[2]), powers(simd, rows[3]));
        most = simd.max(most, simd.max(simd.max(p, q), simd.max(r, s)));
        for (y, row) in y.iter_mut().zip(rows) {
            simd.store(row, y);
        }
    }
    simd.lanes(most).into_iter().fold(0.0, f32::max)
}

/// One bit more; the largest |y|².
#[inline(always)]
fn pass_2<S: Simd>(simd: S, x: &[Lane], y: &mut [Lane]) -> f32 {
    let (a, b) = x.split_at(x.len() / 2);
    let mut most = simd.splat(0.0);
    for ((a, b), y) in a.iter().zip(b).zip(y.as_chunks_mut::<2>().0) {
        let (a, b) = (simd.load(a), simd.load(b));
        let rows = [simd.add(a, b), simd.sub(a, b)];
        most = simd.max(most, simd.max(powers(simd, rows[0]), powers(simd, rows[1])));
        for (y, row) in y.iter_mut().zip(rows) {
            simd.store(row, y);
        }
    }
    simd.lanes(most).into_iter().fold(0.0, f32::max)
}

/// Where [`walsh_hadamard`] of `size` numbers leaves the value that belongs at `place`.
pub(crate) fn walsh_place(place: usize, size: usize) -> usize {
    let rows = size / 4;
    let (row, column) = (place / 4, place % 4);
    let (row, column) = (row / 4 * 4 + column, row % 4);
    4 * (row / 4 + row % 4 * (rows / 4)) + column
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Portable;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn samples(len: usize) -> Vec<Complex32> {
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let mut draw = || rng.random_range(-1.0f32..1.0);
        (0..len).map(|_| Complex32::new(draw(), draw())).collect()
    }

    /// The definition: X\[j\] = Σᵢ x\[i\]·(−1)^⟨i, j⟩. Small integers, so that every order of additions is exact.
    #[test]
    fn the_walsh_hadamard_transform_is_its_definition() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for size in [512usize, 1024] {
            let mut draw = || f32::from(rng.random_range(-9i8..9));
            let x: Vec<Complex32> = (0..size).map(|_| Complex32::new(draw(), draw())).collect();
            // Any order will do.
            let order: Vec<u16> = (0..size).map(|i| (i * 77 + 5) as u16 % size as u16).collect();
            let mut y = vec![[0.0; LANES]; size / 4];
            let mut spare = y.clone();
            let most = walsh_hadamard(Portable, &x, &order, &mut spare, &mut y);
            let after: Vec<f32> = y.iter().flatten().copied().collect();
            let powers = after.chunks(2).map(|x| x[0] * x[0] + x[1] * x[1]);
            assert_eq!(most, powers.clone().fold(0.0, f32::max));
            assert_eq!(powers.clone().position(|p| p == most), place_of(Portable, &y, most));
            assert_eq!(largest(Portable, &y), most);
            for j in (0..size).step_by(7) {
                for part in 0..2 {
                    let sign =
                        |i: usize| if (i & j).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 };
                    let value = |i: usize| x[usize::from(order[i])];
                    let value = |i| if part == 0 { value(i).re } else { value(i).im };
                    let plain: f32 = (0..size).map(|i| value(i) * sign(i)).sum();
                    assert_eq!(after[2 * walsh_place(j, size) + part], plain, "{size}: {j}");
                }
            }
        }
    }

    #[test]
    fn pieces_are_correlated_with_what_each_tap_brings() {
        let r = samples(40);
        let chips: Vec<f32> = samples(72).iter().map(|x| x.re.signum()).collect();
        let bounds = [0, 8, 24, 40];
        let mut rows = [[[0.0; LANES]; TAP_LANES]; 3];
        despread(Portable, &r, &chips, &bounds, &mut rows);
        let turns = [Complex32::new(0.6, 0.8), Complex32::new(0.0, 1.0), Complex32::ONE];
        let merged = merge(Portable, &rows, &turns);
        let times = [-0.7, 0.1, 0.9];
        let moments = moments(Portable, &rows, &turns, &times);
        for l in 0..32 {
            let (mut sum, mut weighted) = (Complex32::ZERO, Complex32::ZERO);
            for p in 0..3 {
                let plain: Complex32 =
                    (bounds[p]..bounds[p + 1]).map(|n| r[n] * chips[39 - n + l]).sum();
                let value = |row: &TapRow| Complex32::new(row[l / 8][l % 8], row[4 + l / 8][l % 8]);
                assert!((value(&rows[p]) - plain).norm() < 1e-5);
                sum += plain * turns[p];
                weighted += plain * turns[p] * times[p] * times[p];
                if p == 2 {
                    assert!((value(&merged) - sum).norm() < 1e-5);
                    assert!((value(&moments[0]) - sum).norm() < 1e-5);
                    assert!((value(&moments[2]) - weighted).norm() < 1e-5);
                }
            }
        }
    }

    #[test]
    fn energies_equal_the_plain_loops() {
        let r = samples(64 * 5 + 7);
        let mut energies = Vec::new();
        block_energies(Portable, &r, &mut energies);
        assert_eq!(energies.len(), 5);
        for (energy, block) in energies.iter().zip(r.chunks(64)) {
            let plain: f32 = block.iter().map(|r| r.norm_sqr()).sum();
            assert!((energy - plain).abs() < 1e-5 * plain);
        }
        let plain: f32 = r.iter().map(|r| r.norm_sqr()).sum();
        assert!((energy(Portable, &r) - plain).abs() < 1e-5 * plain);
        assert!(all_finite(&r));
        for bad in [f32::NAN, f32::INFINITY] {
            let mut r = r.clone();
            r[200].im = bad;
            assert!(!all_finite(&r));
        }
    }
}
