//! The public shuffles of the passes, equal at both ends and on every machine, made of whole-word steps.

use zeroize::Zeroizing;

/// Where each bit of the key stands in one pass.
///
/// Pass 0 keeps the order of the key. A later pass shuffles the words of the key, turns each by its own amount and
/// cuts the list into groups of `rows` words; a group is transposed, so that each of its 64 columns becomes `rows`
/// positions in a row. Two bits of one word never share a column; two bits of different words do as often as in a
/// random shuffle. All of it costs a few instructions per 64 bits.
pub(super) struct Layout {
    /// Words of a group; 0 in pass 0.
    rows: usize,
    /// Word of the key at each row.
    order: Vec<u32>,
    /// Row of each word of the key.
    row_of: Vec<u32>,
    /// How far each word is turned.
    turn: Vec<u8>,
    /// Words in this pass, padding included.
    words: usize,
}

/// The public generator: splitmix64 (Steele, Lea, Flood 2014).
pub(super) fn mix(seed: u64, counter: u64) -> u64 {
    let mut z = seed.wrapping_add(counter.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}

impl Layout {
    /// The shuffle of `pass` for a key of `words` words, with blocks of 2^`level` positions.
    pub(super) fn new(words: usize, pass: usize, level: u32, seed: u64) -> Self {
        if pass == 0 {
            let unit = 1usize << level.saturating_sub(6);
            let (order, row_of, turn) = (Vec::new(), Vec::new(), Vec::new());
            return Self { rows: 0, order, row_of, turn, words: words.next_multiple_of(unit) };
        }
        let rows = (1usize << level).max(64);
        let words = words.next_multiple_of(rows);
        let seed = mix(seed, pass as u64);
        let mut order: Vec<u32> = (0..words as u32).collect();
        for i in (1..words).rev() {
            let j = (u128::from(mix(seed, i as u64)) * (i as u128 + 1)) >> 64;
            order.swap(i, j as usize);
        }
        let mut row_of = vec![0; words];
        for (row, &word) in order.iter().enumerate() {
            row_of[word as usize] = row as u32;
        }
        let turn = (0..words).map(|w| (mix(!seed, w as u64) & 63) as u8).collect();
        Self { rows, order, row_of, turn, words }
    }

    /// Positions, padding included.
    pub(super) fn len(&self) -> usize {
        self.words * 64
    }

    /// The words of a key in the order of this pass; padding is zero.
    pub(super) fn permute(&self, key: &[u64]) -> Zeroizing<Vec<u64>> {
        let mut out = Zeroizing::new(vec![0u64; self.words]);
        if self.rows == 0 {
            out[..key.len()].copy_from_slice(key);
            return out;
        }
        let per_column = self.rows / 64;
        let mut tile = Zeroizing::new([0u64; 64]);
        for first in (0..self.words).step_by(64) {
            for (i, row) in tile.iter_mut().enumerate() {
                let word = self.order[first + i] as usize;
                let bits = key.get(word).copied().unwrap_or(0);
                *row = bits.rotate_left(u32::from(self.turn[word]));
            }
            transpose(&mut tile);
            let (group, part) = (first / self.rows, first % self.rows / 64);
            for (column, &bits) in tile.iter().enumerate() {
                out[(group * 64 + column) * per_column + part] = bits;
            }
        }
        out
    }

    /// The position of a bit of the key.
    #[inline]
    pub(super) fn position(&self, bit: usize) -> usize {
        if self.rows == 0 {
            return bit;
        }
        let word = bit / 64;
        let (row, column) = (self.row_of[word] as usize, (bit + usize::from(self.turn[word])) & 63);
        (row / self.rows * 64 + column) * self.rows + row % self.rows
    }

    /// The bit of the key at a position; in the padding it lies past the end of the key.
    #[inline]
    pub(super) fn bit(&self, position: usize) -> usize {
        if self.rows == 0 {
            return position;
        }
        let (column, group) = (position / self.rows % 64, position / self.rows / 64);
        let word = self.order[group * self.rows + position % self.rows] as usize;
        word * 64 + ((column + 64 - usize::from(self.turn[word])) & 63)
    }
}

/// Transposes a 64 by 64 matrix of bits (Warren, Hacker's Delight, section 7-3).
fn transpose(a: &mut [u64; 64]) {
    let (mut j, mut mask) = (32, 0x0000_0000_FFFF_FFFFu64);
    while j != 0 {
        let mut k = 0;
        while k < 64 {
            let t = (a[k] >> j ^ a[k | j]) & mask;
            a[k | j] ^= t;
            a[k] ^= t << j;
            k = ((k | j) + 1) & !j;
        }
        j >>= 1;
        mask ^= mask << j;
    }
}

/// The parity of positions index·2^level .. (index+1)·2^level.
#[inline]
pub(super) fn parity(bits: &[u64], level: u32, index: usize) -> bool {
    let folded = if level >= 6 {
        let words = 1usize << (level - 6);
        bits[index * words..(index + 1) * words].iter().fold(0, |sum, word| sum ^ word)
    } else {
        let start = index << level;
        bits[start / 64] >> (start % 64) & ((1u64 << (1 << level)) - 1)
    };
    folded.count_ones() & 1 == 1
}

/// For each digit j below `level`, in bit j, the parity of the positions of the range whose offset has that digit: the
/// offset itself where the range differs from another in one position (the syndrome of a Hamming code).
#[inline]
pub(super) fn place(bits: &[u64], level: u32, index: usize) -> u32 {
    const DIGITS: [u64; 6] = [
        0xAAAA_AAAA_AAAA_AAAA,
        0xCCCC_CCCC_CCCC_CCCC,
        0xF0F0_F0F0_F0F0_F0F0,
        0xFF00_FF00_FF00_FF00,
        0xFFFF_0000_FFFF_0000,
        0xFFFF_FFFF_0000_0000,
    ];
    let (mut folded, mut place) = (0, 0);
    if level >= 6 {
        let words = 1usize << (level - 6);
        for (number, &word) in bits[index * words..(index + 1) * words].iter().enumerate() {
            folded ^= word;
            place ^= (word.count_ones() & 1) * number as u32;
        }
        place <<= 6;
    } else {
        let start = index << level;
        folded = bits[start / 64] >> (start % 64) & ((1u64 << (1 << level)) - 1);
    }
    let digits = DIGITS.iter().take(level as usize).enumerate();
    digits.fold(place, |place, (j, mask)| place | ((folded & mask).count_ones() & 1) << j)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_and_bits_are_inverse_and_the_words_agree() {
        for (words, pass, level) in [(100, 0, 8), (1, 0, 3), (70, 1, 5), (300, 1, 8), (257, 2, 7)] {
            let layout = Layout::new(words, pass, level, 9);
            let key: Vec<u64> = (0..words as u64).map(|w| mix(3, w)).collect();
            let permuted = layout.permute(&key);
            let mut seen = vec![false; layout.len()];
            for bit in 0..words * 64 {
                let position = layout.position(bit);
                assert_eq!(layout.bit(position), bit);
                assert!(!std::mem::replace(&mut seen[position], true));
                assert_eq!(
                    permuted[position / 64] >> (position % 64) & 1,
                    key[bit / 64] >> (bit % 64) & 1
                );
            }
        }
    }

    #[test]
    fn shuffles_differ_by_pass_and_seed() {
        let of = |pass, seed| Layout::new(256, pass, 6, seed).order;
        assert_eq!(of(1, 7), of(1, 7));
        assert_ne!(of(1, 7), of(2, 7));
        assert_ne!(of(1, 7), of(1, 8));
    }
}
