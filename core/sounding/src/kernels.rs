//! The inner loops of the receiver as safe code, written so that the compiler vectorises them.
//!
//! Every sum has a fixed order (eight lanes), and nothing is contracted, so that each version of
//! [`simd`](crate::simd) gives the same bits.

use num_complex::Complex32;

/// Lanes of a sum.
pub(crate) const LANES: usize = 8;
/// Four complex numbers, interleaved.
pub(crate) type Lane = [f32; LANES];
/// Lanes of a row: four of real and four of imaginary parts of 32 taps.
pub(crate) const TAP_LANES: usize = 8;
/// One complex number for each tap of the channel estimate.
pub(crate) type TapRow = [Lane; TAP_LANES];
/// Samples of a block of the energy gate.
pub(crate) const GATE_BLOCK: usize = 64;

#[inline(always)]
fn add(a: Lane, b: Lane) -> Lane {
    std::array::from_fn(|i| a[i] + b[i])
}

#[inline(always)]
fn sub(a: Lane, b: Lane) -> Lane {
    std::array::from_fn(|i| a[i] - b[i])
}

/// The sum of the lanes, pair by pair.
#[inline(always)]
pub(crate) fn total(a: Lane) -> f32 {
    ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]))
}

/// Energy of each whole block of [`GATE_BLOCK`] samples, appended.
#[inline(always)]
pub(crate) fn block_energies(samples: &[Complex32], energies: &mut Vec<f32>) {
    for block in samples.as_chunks::<GATE_BLOCK>().0 {
        energies.push(energy(block));
    }
}

/// Σ |r|².
#[inline(always)]
pub(crate) fn energy(samples: &[Complex32]) -> f32 {
    let (fours, rest) = samples.as_chunks::<4>();
    let mut sums = [0.0; LANES];
    for r in fours {
        let lane = [r[0].re, r[0].im, r[1].re, r[1].im, r[2].re, r[2].im, r[3].re, r[3].im];
        sums = std::array::from_fn(|i| sums[i] + lane[i] * lane[i]);
    }
    total(sums) + rest.iter().map(|r| r.norm_sqr()).sum::<f32>()
}

/// Whether no sample is infinite or not a number.
#[inline(always)]
pub(crate) fn all_finite(samples: &[Complex32]) -> bool {
    // Such values, and no others, have all exponent bits set. One pass without a branch.
    const EXPONENT: u32 = 0x7f80_0000;
    let bad = |x: f32| u32::from(x.to_bits() & EXPONENT == EXPONENT);
    samples.iter().fold(0, |any, s| any | bad(s.re) | bad(s.im)) == 0
}

/// Correlation of pieces of samples, [`bounds`\[p\], `bounds`\[p + 1\]), with chips as each tap brings them: tap l of the
/// last sample sees `chips`\[l\], of the one before it `chips`\[l + 1\], and so on.
#[inline(always)]
pub(crate) fn despread(
    samples: &[Complex32],
    chips: &[f32],
    bounds: &[usize],
    out: &mut [TapRow],
) {
    let samples = &samples[..bounds.last().copied().unwrap_or(0)];
    for (place, bounds) in out.iter_mut().zip(bounds.windows(2)) {
        let mut row = [[0.0; LANES]; TAP_LANES];
        for (n, r) in samples[..bounds[1]].iter().enumerate().skip(bounds[0]) {
            let at = samples.len() - 1 - n;
            let chips: &Chips = chips[at..].first_chunk().expect("a chip for each tap");
            row = add_chips(row, *r, chips);
        }
        *place = row;
    }
}

/// A chip for each of 32 taps.
type Chips = [f32; TAP_LANES / 2 * LANES];

#[inline(always)]
fn add_chips(row: TapRow, r: Complex32, chips: &Chips) -> TapRow {
    let m = chips.as_chunks::<LANES>().0;
    std::array::from_fn(|i| {
        let part = if i < TAP_LANES / 2 { r.re } else { r.im };
        add(row[i], m[i % (TAP_LANES / 2)].map(|m| part * m))
    })
}

/// Σ rows\[p\].
#[inline(always)]
pub(crate) fn sum(rows: &[TapRow]) -> TapRow {
    let zero = [[0.0; LANES]; TAP_LANES];
    rows.iter().fold(zero, |sum, row| std::array::from_fn(|i| add(sum[i], row[i])))
}

/// Σ rows\[p\]·turns\[p\].
#[inline(always)]
pub(crate) fn merge(rows: &[TapRow], turns: &[Complex32]) -> TapRow {
    const HALF: usize = TAP_LANES / 2;
    let mut out = [[0.0; LANES]; TAP_LANES];
    for i in 0..HALF {
        let mut sums = ([0.0; LANES], [0.0; LANES]);
        for (row, turn) in rows.iter().zip(turns) {
            let (re, im) = (row[i], row[HALF + i]);
            let real = std::array::from_fn(|k| re[k] * turn.re - im[k] * turn.im);
            let imaginary = std::array::from_fn(|k| re[k] * turn.im + im[k] * turn.re);
            sums = (add(sums.0, real), add(sums.1, imaginary));
        }
        (out[i], out[HALF + i]) = sums;
    }
    out
}

/// Largest |x|² and its place.
#[inline(always)]
pub(crate) fn peak(x: &[Lane]) -> (usize, f32) {
    let powers = |lane: &Lane| -> [f32; 4] {
        std::array::from_fn(|i| lane[2 * i] * lane[2 * i] + lane[2 * i + 1] * lane[2 * i + 1])
    };
    let mut most = [0.0f32; 4];
    for lane in x {
        let power = powers(lane);
        most = std::array::from_fn(|i| if power[i] > most[i] { power[i] } else { most[i] });
    }
    let most = most.into_iter().fold(0.0, f32::max);
    for (i, lane) in x.iter().enumerate() {
        if let Some(k) = powers(lane).iter().position(|&power| power == most) {
            return (4 * i + k, most);
        }
    }
    (0, most)
}

/// dst\[n\] = src\[n\]·start·table\[n\], over the shortest.
#[inline(always)]
pub(crate) fn turn(
    src: &[Complex32],
    start: Complex32,
    table: &[Complex32],
    dst: &mut [Complex32],
) {
    for ((dst, src), phasor) in dst.iter_mut().zip(src).zip(table) {
        *dst = src * (start * phasor);
    }
}

/// x\[n\] of the other type, as the file formats define it: an integer of 32768 stands for `full_scale`.
#[inline(always)]
pub(crate) fn widen_ci16(src: &[[i16; 2]], full_scale: f32, dst: &mut [Complex32]) {
    for (dst, &[re, im]) in dst.iter_mut().zip(src) {
        let float = |x: i16| f32::from(x) / 32768.0 * full_scale;
        *dst = Complex32::new(float(re), float(im));
    }
}

/// Four complex numbers of each of four rows to columns.
#[inline(always)]
pub(crate) fn transpose(v: [Lane; 4]) -> [Lane; 4] {
    std::array::from_fn(|i| std::array::from_fn(|k| v[k / 2][2 * i + k % 2]))
}

#[inline(always)]
fn butterflies(v: [Lane; 4]) -> [Lane; 4] {
    let (p, q, r, s) = (add(v[0], v[1]), sub(v[0], v[1]), add(v[2], v[3]), sub(v[2], v[3]));
    [add(p, r), add(q, s), sub(p, r), sub(q, s)]
}

/// Unnormalised Walsh-Hadamard transform of 512 or 1024 complex numbers in `x`; `y` is as long. The result comes in
/// the order of [`walsh_place`].
///
/// Sixteen numbers at a time are transformed in registers, the rest by passes of constant geometry: such a pass reads
/// at four distances and writes in order, and leaves the places turned by two bits.
#[inline(always)]
pub(crate) fn walsh_hadamard(
    x: &mut [Lane],
    y: &mut [Lane],
    transpose: impl Fn([Lane; 4]) -> [Lane; 4],
) {
    for (x, y) in x.as_chunks::<4>().0.iter().zip(y.as_chunks_mut::<4>().0) {
        *y = butterflies(transpose(butterflies(*x)));
    }
    pass_4(y, x);
    pass_4(x, y);
    match x.len() {
        128 => pass_2(y, x),
        _ => pass_4(y, x),
    }
}

#[inline(always)]
fn pass_4(x: &[Lane], y: &mut [Lane]) {
    let (low, high) = x.split_at(x.len() / 2);
    let ((a, b), (c, d)) = (low.split_at(low.len() / 2), high.split_at(high.len() / 2));
    let rows = a.iter().zip(b).zip(c.iter().zip(d));
    for (((a, b), (c, d)), y) in rows.zip(y.as_chunks_mut::<4>().0) {
        *y = butterflies([*a, *b, *c, *d]);
    }
}

#[inline(always)]
fn pass_2(x: &[Lane], y: &mut [Lane]) {
    let (a, b) = x.split_at(x.len() / 2);
    for ((a, b), y) in a.iter().zip(b).zip(y.as_chunks_mut::<2>().0) {
        *y = [add(*a, *b), sub(*a, *b)];
    }
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
            let mut x = vec![[0.0; LANES]; size / 4];
            x.iter_mut().flatten().for_each(|v| *v = rng.random_range(-9i8..9).into());
            let before: Vec<f32> = x.iter().flatten().copied().collect();
            let mut y = x.clone();
            walsh_hadamard(&mut x, &mut y, transpose);
            let after: Vec<f32> = x.iter().flatten().copied().collect();
            for j in (0..size).step_by(7) {
                for part in 0..2 {
                    let sign =
                        |i: usize| if (i & j).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 };
                    let plain: f32 = (0..size).map(|i| before[2 * i + part] * sign(i)).sum();
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
        despread(&r, &chips, &bounds, &mut rows);
        let turns = [Complex32::new(0.6, 0.8), Complex32::new(0.0, 1.0), Complex32::ONE];
        let merged = merge(&rows, &turns);
        for l in 0..32 {
            let mut sum = Complex32::ZERO;
            for p in 0..3 {
                let plain: Complex32 =
                    (bounds[p]..bounds[p + 1]).map(|n| r[n] * chips[39 - n + l]).sum();
                let value = |row: &TapRow| Complex32::new(row[l / 8][l % 8], row[4 + l / 8][l % 8]);
                assert!((value(&rows[p]) - plain).norm() < 1e-5);
                sum += plain * turns[p];
                if p == 2 {
                    assert!((value(&merged) - sum).norm() < 1e-5);
                }
            }
        }
    }

    #[test]
    fn energies_products_and_peaks_equal_the_plain_loops() {
        let r = samples(64 * 5 + 7);
        let mut energies = Vec::new();
        block_energies(&r, &mut energies);
        assert_eq!(energies.len(), 5);
        for (energy, block) in energies.iter().zip(r.chunks(64)) {
            let plain: f32 = block.iter().map(|r| r.norm_sqr()).sum();
            assert!((energy - plain).abs() < 1e-5 * plain);
        }
        let plain: f32 = r.iter().map(|r| r.norm_sqr()).sum();
        assert!((energy(&r) - plain).abs() < 1e-5 * plain);
        let lanes: Vec<Lane> = r
            .as_chunks::<4>()
            .0
            .iter()
            .map(|c| std::array::from_fn(|i| if i % 2 == 0 { c[i / 2].re } else { c[i / 2].im }))
            .collect();
        let best =
            (0..4 * lanes.len()).max_by(|&i, &k| r[i].norm_sqr().total_cmp(&r[k].norm_sqr()));
        assert_eq!(peak(&lanes).0, best.unwrap_or(0));
        assert!(all_finite(&r));
        for bad in [f32::NAN, f32::INFINITY] {
            let mut r = r.clone();
            r[200].im = bad;
            assert!(!all_finite(&r));
        }
    }
}
