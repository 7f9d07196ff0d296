//! [`Code`]: a low-density parity-check code made to measure from a public seed.

use crqkd_bits::BitString;

use super::kernel::MAX_ROW;
use super::profile::Profile;
use super::{LdpcError, MAX_FRAME_BITS};

/// Bits that are shifted together: the lifting of the base graph.
pub(super) const LIFT: usize = 256;

/// One entry of the base matrix: bit i of the check row meets bit (i + shift) mod 256 of the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) column: u32,
    pub(super) shift: u8,
}

/// A quasi-cyclic code: rows of 256 checks, columns of 256 bits, the same at both ends for the same seed.
///
/// The columns of degree two form a staircase, so that no loop of them exists; the others meet the rows that have the
/// fewest bits so far, and their shifts are drawn so that no two columns meet in two checks (no cycle of length 4).
#[derive(Debug, Clone)]
pub struct Code {
    bits: usize,
    columns: usize,
    /// First entry of each row, and the end.
    starts: Vec<u32>,
    entries: Vec<Entry>,
}

impl Code {
    /// A code of `bits` bits and about `checks` checks (rounded up to whole rows of 256) with the degrees of `profile`.
    ///
    /// # Errors
    /// [`LdpcError::BadSize`] for no bits or too many, or not at least four rows and fewer rows than columns.
    pub fn new(
        bits: usize,
        checks: usize,
        profile: &Profile,
        seed: u64,
    ) -> Result<Self, LdpcError> {
        let (columns, rows) = (bits.div_ceil(LIFT), checks.div_ceil(LIFT));
        if bits == 0 || bits > MAX_FRAME_BITS || rows < 4 || rows >= columns {
            return Err(LdpcError::BadSize { bits, checks });
        }
        let degrees = profile.degrees(columns, rows);
        if degrees.iter().sum::<usize>() > rows * MAX_ROW {
            return Err(LdpcError::BadSize { bits, checks });
        }
        let mut builder = Builder::new(rows, seed);
        for (column, degree) in degrees.into_iter().enumerate() {
            builder.column(column as u32, degree.min(rows));
        }
        if builder.rows.iter().any(|row| row.len() > MAX_ROW) {
            return Err(LdpcError::BadSize { bits, checks });
        }
        let mut starts = vec![0];
        let mut entries = Vec::new();
        for row in builder.rows {
            entries.extend(row);
            starts.push(entries.len() as u32);
        }
        Ok(Self { bits, columns, starts, entries })
    }

    /// Length in bits of the words that the code is made for.
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// Checks: bits of the syndrome.
    pub fn checks(&self) -> usize {
        self.rows() * LIFT
    }

    /// Ones of the parity-check matrix.
    pub fn edges(&self) -> usize {
        self.entries.len() * LIFT
    }

    pub(super) fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    pub(super) fn row(&self, row: usize) -> (usize, &[Entry]) {
        let (from, to) = (self.starts[row] as usize, self.starts[row + 1] as usize);
        (from, &self.entries[from..to])
    }

    /// The parity of every check, for a word of [`bits`](Self::bits) bits; missing bits count as zero.
    pub fn syndrome(&self, word: &BitString) -> BitString {
        let words = word.words();
        let column = |c: usize| -> [u64; 4] {
            std::array::from_fn(|i| words.get(4 * c + i).copied().unwrap_or(0))
        };
        let mut out = Vec::with_capacity(4 * self.rows());
        for row in 0..self.rows() {
            let mut sum = [0u64; 4];
            for entry in self.row(row).1 {
                let turned = turn(column(entry.column as usize), entry.shift);
                sum.iter_mut().zip(turned).for_each(|(s, t)| *s ^= t);
            }
            out.extend(sum);
        }
        BitString::from_words(out, self.checks())
    }
}

/// 256 bits of which bit i is bit (i + shift) mod 256 of the input.
fn turn(bits: [u64; 4], shift: u8) -> [u64; 4] {
    let (words, rest) = (usize::from(shift) / 64, u32::from(shift) % 64);
    std::array::from_fn(|i| {
        let (low, high) = (bits[(i + words) % 4], bits[(i + words + 1) % 4]);
        if rest == 0 { low } else { low >> rest | high << (64 - rest) }
    })
}

/// The public generator of the graph: splitmix64.
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((u128::from(z ^ z >> 31) * bound as u128) >> 64) as usize
    }
}

struct Builder {
    rows: Vec<Vec<Entry>>,
    /// Rows by their number of entries, each in random order.
    open: Vec<u32>,
    /// Two rows, and a difference of shifts with which they share a column.
    shared: Table,
    draws: Draws,
}

impl Builder {
    fn new(rows: usize, seed: u64) -> Self {
        Self {
            rows: vec![Vec::new(); rows],
            open: Vec::new(),
            shared: Table { slots: vec![0; 1 << 12], used: 0 },
            draws: Draws(seed),
        }
    }

    fn column(&mut self, column: u32, degree: usize) {
        let places: Vec<u32> = if degree == 2 {
            vec![column % self.rows.len() as u32, (column + 1) % self.rows.len() as u32]
        } else {
            self.emptiest(degree)
        };
        let mut chosen: Vec<(u32, u8)> = Vec::with_capacity(degree);
        for row in places {
            let mut shift = self.draws.below(LIFT) as u8;
            for _ in 0..64 {
                if chosen.iter().all(|&other| !self.closes(other, (row, shift))) {
                    break;
                }
                shift = self.draws.below(LIFT) as u8;
            }
            chosen.push((row, shift));
        }
        for (i, &a) in chosen.iter().enumerate() {
            for &b in &chosen[..i] {
                self.shared.insert(pair(a, b));
            }
            self.rows[a.0 as usize].push(Entry { column, shift: a.1 });
        }
    }

    /// Different rows: each in turn is the next of a random order of all of them.
    fn emptiest(&mut self, degree: usize) -> Vec<u32> {
        let mut places: Vec<u32> = Vec::with_capacity(degree);
        let mut later = Vec::new();
        while places.len() < degree {
            if self.open.is_empty() {
                self.open = (0..self.rows.len() as u32).collect();
                for i in (1..self.open.len()).rev() {
                    let j = self.draws.below(i + 1);
                    self.open.swap(i, j);
                }
            }
            match self.open.pop() {
                Some(row) if places.contains(&row) => later.push(row),
                Some(row) => places.push(row),
                None => {}
            }
        }
        self.open.extend(later);
        places
    }

    /// Whether two entries of a column close a cycle of length 4 with an earlier column.
    fn closes(&self, a: (u32, u8), b: (u32, u8)) -> bool {
        self.shared.contains(pair(a, b))
    }
}

/// One number for two entries of a column, never 0.
fn pair(a: (u32, u8), b: (u32, u8)) -> u64 {
    let (a, b) = if a.0 < b.0 { (a, b) } else { (b, a) };
    1 << 63 | u64::from(a.0) << 32 | u64::from(b.0) << 8 | u64::from(a.1.wrapping_sub(b.1))
}

/// A set of numbers other than 0.
struct Table {
    slots: Vec<u64>,
    used: usize,
}

impl Table {
    /// Where a number is, or the free slot where it belongs.
    fn find(&self, key: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize & mask;
        while self.slots[at] != 0 && self.slots[at] != key {
            at = (at + 1) & mask;
        }
        at
    }

    fn contains(&self, key: u64) -> bool {
        self.slots[self.find(key)] == key
    }

    fn insert(&mut self, key: u64) {
        if 2 * self.used >= self.slots.len() {
            let old = std::mem::take(&mut self.slots);
            self.slots = vec![0; 2 * old.len()];
            for key in old.into_iter().filter(|&key| key != 0) {
                let at = self.find(key);
                self.slots[at] = key;
            }
        }
        let at = self.find(key);
        self.used += usize::from(self.slots[at] == 0);
        self.slots[at] = key;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// How many checks there are is said by the other end, before it is authenticated.
    #[test]
    fn a_row_with_more_bits_than_the_decoder_takes_is_refused() {
        for checks in [1024, 2048, 4096] {
            let error = Code::new(1 << 20, checks, &Profile::for_rate(0.01), 1).unwrap_err();
            assert!(matches!(error, LdpcError::BadSize { .. }), "{error}");
        }
    }

    #[test]
    fn a_code_has_its_degrees_and_no_cycle_of_length_4() {
        let code = Code::new(100_000, 16_000, &Profile::for_rate(0.02), 1).unwrap();
        assert_eq!((code.bits(), code.checks()), (100_000, 16_128));
        let mut columns = vec![Vec::new(); code.columns()];
        for row in 0..code.rows() {
            let entries = code.row(row).1;
            entries.iter().for_each(|e| columns[e.column as usize].push((row as u32, e.shift)));
        }
        let mut degrees: Vec<usize> = columns.iter().map(Vec::len).collect();
        degrees.sort_unstable();
        let wanted = Profile::for_rate(0.02).degrees(code.columns(), code.rows());
        assert_eq!(degrees, wanted);
        let mut seen = HashSet::new();
        let mut cycles = 0;
        for column in &columns {
            for (i, &a) in column.iter().enumerate() {
                cycles += column[..i].iter().filter(|&&b| !seen.insert(pair(a, b))).count();
            }
        }
        // A short code has too few shifts to avoid them all.
        assert!(cycles < 200, "{cycles}");
    }

    #[test]
    fn sizes_without_a_code_are_refused() {
        let profile = Profile::for_rate(0.02);
        for (bits, checks) in [(0, 1), (1000, 900), (1 << 30, 1 << 20), (100_000, 100_000)] {
            assert!(Code::new(bits, checks, &profile, 1).is_err(), "{bits}, {checks}");
        }
    }
}
