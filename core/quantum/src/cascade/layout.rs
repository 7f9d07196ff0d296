//! The public shuffles of the passes, equal at both ends and on every machine, made of whole-word steps.

use zeroize::Zeroizing;

/// Where each bit of the key stands in one pass.
///
/// Pass 0 keeps the order of the key. A later pass puts the bytes of the key into another order where they are sorted, and
/// transposes each 64 words; then the words are shuffled, each is turned by its own amount, and each 64 of them are
/// transposed again. So two bits of one word come into words far apart, and the same two bits of another word into other
/// columns: pairs of errors that hold each other even in pass 0 do not meet again more often than in a random shuffle. All
/// of it costs a few instructions per byte.
pub(super) struct Layout {
    /// Byte of the key at each place; empty where they stay in order.
    bytes: Vec<u32>,
    /// Place of each byte of the key.
    place_of: Vec<u32>,
    /// Which word stands in each row, and the row of each; empty in pass 0.
    words: Vec<u32>,
    row_of: Vec<u32>,
    /// How far each row is turned.
    turn: Vec<u8>,
    /// The parts with blocks of one size, longest blocks first.
    parts: Vec<Part>,
    /// Which part each row belongs to.
    part_of: Vec<u8>,
}

/// Successive positions of a pass that are cut into blocks of one length.
struct Part {
    /// First position of the part, a multiple of 64.
    start: usize,
    /// Logarithm of the length of its blocks.
    level: u32,
}

/// Bytes that are shuffled among themselves, and the logarithm of their blocks' length.
pub(super) struct Stratum {
    pub(super) level: u32,
    /// Words of eight bytes of the key, padded with [`PADDING`] to the multiple of [`unit`](Self::unit).
    pub(super) words: Vec<[u32; 8]>,
}

impl Stratum {
    /// Whole blocks of 2^`level` bits, and whole groups of 64 words, in words.
    pub(super) fn unit(level: u32) -> usize {
        (1usize << level.saturating_sub(6)).max(64)
    }
}

/// No byte of the key.
pub(super) const PADDING: u32 = u32::MAX;

/// The public generator: splitmix64 (Steele, Lea, Flood 2014).
pub(super) fn mix(seed: u64, counter: u64) -> u64 {
    let mut z = seed.wrapping_add(counter.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}

/// A public random order (Fisher and Yates).
pub(super) fn shuffle<T>(list: &mut [T], seed: u64) {
    for i in (1..list.len()).rev() {
        let j = (u128::from(mix(seed, i as u64)) * (i as u128 + 1)) >> 64;
        list.swap(i, j as usize);
    }
}

impl Layout {
    /// The order of the key itself, with blocks of 2^`level` positions.
    pub(super) fn identity(words: usize, level: u32) -> Self {
        let rows = words.next_multiple_of(1usize << level.saturating_sub(6));
        let parts = vec![Part { start: 0, level }];
        let [bytes, place_of, words, row_of] = [const { Vec::new() }; 4];
        Self { bytes, place_of, words, row_of, turn: Vec::new(), parts, part_of: vec![0; rows] }
    }

    /// The shuffle of `pass` for a key of `words` words, all in blocks of 2^`level` positions.
    pub(super) fn shuffled(words: usize, pass: usize, level: u32, seed: u64) -> Self {
        let words = words.next_multiple_of(Stratum::unit(level));
        Self::new(vec![(level, words)], mix(seed, pass as u64))
    }

    /// The shuffle of a key of `words` words whose bytes have been sorted, longest blocks first.
    pub(super) fn sorted(words: usize, strata: &[Stratum], seed: u64) -> Self {
        let sizes = strata.iter().map(|stratum| (stratum.level, stratum.words.len())).collect();
        let mut layout = Self::new(sizes, seed);
        layout.bytes =
            strata.iter().flat_map(|stratum| stratum.words.as_flattened()).copied().collect();
        layout.place_of = inverse(&layout.bytes, words * 8);
        layout
    }

    /// The bytes in order, in parts of blocks of 2^level positions, each of so many words.
    fn new(sizes: Vec<(u32, usize)>, seed: u64) -> Self {
        let (mut parts, mut part_of, mut words) = (Vec::new(), Vec::<u8>::new(), Vec::<u32>::new());
        for (level, len) in sizes {
            let first = words.len();
            words.extend(first as u32..(first + len) as u32);
            shuffle(&mut words[first..], seed ^ first as u64);
            part_of.resize(words.len(), parts.len() as u8);
            parts.push(Part { start: first * 64, level });
        }
        let row_of = inverse(&words, words.len());
        let turn = (0..words.len()).map(|w| (mix(!seed, w as u64) & 63) as u8).collect();
        Self { bytes: Vec::new(), place_of: Vec::new(), words, row_of, turn, parts, part_of }
    }

    /// Number of positions of the pass, padding included; a multiple of 64.
    pub(super) fn len(&self) -> usize {
        self.part_of.len() * 64
    }

    /// Logarithm of the length of the longest blocks.
    pub(super) fn top(&self) -> u32 {
        self.parts.first().map_or(0, |part| part.level)
    }

    /// Logarithm of the length of the shortest blocks.
    pub(super) fn bottom(&self) -> u32 {
        self.parts.last().map_or(0, |part| part.level)
    }

    /// Logarithm of the length of the block that a position lies in.
    #[inline]
    pub(super) fn level(&self, position: usize) -> u32 {
        self.parts[usize::from(self.part_of[position / 64])].level
    }

    /// Every block in order: level and index.
    pub(super) fn blocks(&self) -> impl Iterator<Item = (u32, usize)> {
        let ends = self.parts.iter().skip(1).map(|part| part.start).chain([self.len()]);
        self.parts.iter().zip(ends).flat_map(|(part, end)| {
            let level = part.level;
            (part.start >> level..end >> level).map(move |index| (level, index))
        })
    }

    /// The words of a key in the order of this pass; padding is zero.
    pub(super) fn permute(&self, key: &[u64]) -> Zeroizing<Vec<u64>> {
        let mut out = Zeroizing::new(vec![0u64; self.part_of.len()]);
        if self.words.is_empty() {
            out[..key.len()].copy_from_slice(key);
            return out;
        }
        let mut planes = Zeroizing::new(vec![0u64; out.len()]);
        if self.bytes.is_empty() {
            planes[..key.len()].copy_from_slice(key);
        } else {
            let byte = |&byte: &u32| {
                let word = key.get(byte as usize / 8);
                word.map_or(0, |word| word >> (byte % 8 * 8) & 0xFF)
            };
            for (word, bytes) in planes.iter_mut().zip(self.bytes.chunks_exact(8)) {
                *word = bytes.iter().rev().fold(0, |word, number| word << 8 | byte(number));
            }
        }
        planes.as_chunks_mut().0.iter_mut().for_each(transpose);
        for ((row, &word), &turn) in out.iter_mut().zip(&self.words).zip(&self.turn) {
            *row = planes[word as usize].rotate_left(u32::from(turn));
        }
        out.as_chunks_mut().0.iter_mut().for_each(transpose);
        out
    }

    /// The position of a bit of the key.
    #[inline]
    pub(super) fn position(&self, bit: usize) -> usize {
        if self.words.is_empty() {
            return bit;
        }
        let place = self.place_of.get(bit / 8).map_or(bit / 8, |&place| place as usize);
        let (word, at) = (place / 8, place % 8 * 8 + bit % 8);
        let row = self.row_of[word / 64 * 64 + at] as usize;
        let column = (word + usize::from(self.turn[row])) & 63;
        row / 64 * 4096 + column * 64 + row % 64
    }

    /// The bit of the key at a position; in the padding it lies past the end of the key.
    #[inline]
    pub(super) fn bit(&self, position: usize) -> usize {
        if self.words.is_empty() {
            return position;
        }
        let (row, column) = (position / 4096 * 64 + position % 64, position / 64 % 64);
        let plane = self.words[row] as usize;
        let word = plane / 64 * 64 + ((column + 64 - usize::from(self.turn[row])) & 63);
        let place = word * 8 + plane % 64 / 8;
        self.bytes.get(place).map_or(place, |&byte| byte as usize) * 8 + plane % 8
    }
}

/// Where each of `len` numbers stands in a list.
fn inverse(list: &[u32], len: usize) -> Vec<u32> {
    let mut inverse = vec![0; len];
    for (place, &number) in list.iter().enumerate() {
        if let Some(entry) = inverse.get_mut(number as usize) {
            *entry = place as u32;
        }
    }
    inverse
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

    fn check(layout: &Layout, words: usize) {
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
        for position in (0..layout.len()).filter(|&position| !seen[position]) {
            assert!(layout.bit(position) >= words * 64, "padding lies past the end");
            assert_eq!(permuted[position / 64] >> (position % 64) & 1, 0);
        }
        let covered: usize = layout.blocks().map(|(level, _)| 1 << level).sum();
        assert_eq!(covered, layout.len());
    }

    #[test]
    fn positions_and_bits_are_inverse_and_the_words_agree() {
        check(&Layout::identity(100, 8), 100);
        check(&Layout::identity(1, 3), 1);
        for (words, pass, level) in [(70, 1, 5), (300, 1, 8), (257, 2, 7)] {
            check(&Layout::shuffled(words, pass, level, 9), words);
        }
        let mut bytes: Vec<u32> = (0..200 * 8).collect();
        shuffle(&mut bytes, 5);
        let mut words = bytes.as_chunks().0.to_vec();
        let mut rest = words.split_off(128);
        rest.resize(128, [PADDING; 8]);
        let strata = [Stratum { level: 7, words }, Stratum { level: 4, words: rest }];
        check(&Layout::sorted(200, &strata, 3), 200);
    }

    #[test]
    fn shuffles_differ_by_pass_and_seed() {
        let of = |pass, seed| Layout::shuffled(256, pass, 6, seed).words;
        assert_eq!(of(1, 7), of(1, 7));
        assert_ne!(of(1, 7), of(2, 7));
        assert_ne!(of(1, 7), of(1, 8));
    }
}
