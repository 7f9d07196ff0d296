//! Where the errors that are left may be: the bits of the key sorted by what the search of pass 0 told about them.
//!
//! When pass 0 is over, all its blocks are even, and everybody knows which ranges were halved on the way. A block that was
//! even from the start may hold two errors anywhere; in one that was odd, the halves that turned out even are the less
//! likely to hold two the shorter they are, and the shortest hold hardly any. A shuffle that mixes all these bits makes
//! ranges whose halves are unequal, and the parity of an unequal half tells less than a bit. So pass 1 sorts: each
//! *stratum* has bits that are equally suspect and blocks of a size that fits them. Pacher, Grabenweger, Martinez-Mateo
//! and Martin, "An information reconciliation protocol for secret-key agreement with small leakage" (2015) sort bits in
//! the same spirit; here bytes are sorted, which keeps the shuffle cheap.

use std::collections::BTreeMap;

use super::layout::{PADDING, Stratum, shuffle};
use super::searched::Searched;

/// Ranges shorter than a byte are not told apart.
const BYTE: u32 = 3;

/// Longest blocks of pass 1.
const MAX_LEVEL: u32 = 13;

/// Errors that a block of pass 1 holds on average, times those of a block of pass 0. Both passes together leave a net of
/// errors that hold each other even, which is larger the larger this product; but small blocks are often even, and their
/// parities tell less than a bit.
const PRODUCT: f64 = 1.55;

/// The strata of pass 1, longest blocks first, for a key of `words` words whose pass 0 had blocks of 2^`top`.
pub(super) fn strata(
    searched: &Searched,
    words: usize,
    top: u32,
    rate: f64,
    seed: u64,
) -> Vec<Stratum> {
    let mut by_leaf = vec![Vec::new(); top as usize + 1];
    let bytes = words * 8;
    if top < BYTE {
        by_leaf[top as usize].extend(0..bytes as u32);
    } else {
        let per_block = 1 << (top - BYTE);
        for block in 0..bytes.div_ceil(per_block) {
            leaves(searched, top, block, &mut by_leaf);
        }
        // The last block may reach past the key.
        by_leaf.iter_mut().for_each(|class| class.retain(|&byte| (byte as usize) < bytes));
    }
    let target = PRODUCT / (rate * f64::from(1u32 << top));
    let mut by_level = BTreeMap::<u32, Vec<Vec<[u32; 8]>>>::new();
    for (leaf, mut class) in by_leaf.into_iter().enumerate() {
        shuffle(&mut class, seed ^ leaf as u64);
        class.resize(class.len().next_multiple_of(8), PADDING);
        let mut words = class.as_chunks().0.to_vec();
        // An average between two powers of two is made of blocks of both sizes.
        let level =
            (target / suspicion(leaf as u32, top, rate)).log2().clamp(2.0, MAX_LEVEL.into());
        let shorter = words.split_off((level.fract() * words.len() as f64) as usize);
        for (level, part) in [(level as u32 + 1, words), (level as u32, shorter)] {
            if !part.is_empty() {
                by_level.entry(level.min(MAX_LEVEL)).or_default().push(part);
            }
        }
    }
    by_level.into_iter().rev().map(|(level, parts)| stratum(level, &parts, seed)).collect()
}

/// Probability that a bit is wrong whose shortest searched range has 2^`leaf` bits and is even: of Poisson distributed
/// errors with mean λ there are λ·tanh(λ) on average when their number is even.
fn suspicion(leaf: u32, top: u32, rate: f64) -> f64 {
    if leaf == 0 {
        // Bytes whose ranges are shorter, of which the shortest are known to be right.
        return rate * (rate * 4.0).tanh() / 2.0;
    }
    rate * (rate * f64::from(1u32 << leaf.min(top))).tanh()
}

/// Sorts the bytes of a range by the shortest searched range that each lies in; what is shorter than a byte, or has been
/// looked at in every place, is class 0.
fn leaves(searched: &Searched, level: u32, index: usize, by_leaf: &mut [Vec<u32>]) {
    if level > BYTE && searched.is_split(level, index) {
        leaves(searched, level - 1, 2 * index, by_leaf);
        leaves(searched, level - 1, 2 * index + 1, by_leaf);
        return;
    }
    let known = searched.is_placed(level, index) || searched.is_split(level, index);
    let bytes = 1 << (level - BYTE);
    let first = index * bytes;
    by_leaf[if known { 0 } else { level as usize }].extend(first as u32..(first + bytes) as u32);
}

/// Blocks of 2^`level` out of classes of bytes, padded to what the layout needs; the padding is spread over the last class.
fn stratum(level: u32, classes: &[Vec<[u32; 8]>], seed: u64) -> Stratum {
    let mut words = classes.concat();
    let last = words.len() - classes.last().map_or(0, Vec::len);
    words.resize(words.len().next_multiple_of(Stratum::unit(level)), [PADDING; 8]);
    shuffle(&mut words[last..], !seed ^ u64::from(level));
    Stratum { level, words }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cascade::{Nodes, Section};

    #[test]
    fn every_byte_is_in_one_stratum_and_the_suspect_ones_in_short_blocks() {
        let (words, top) = (500, 5);
        let mut searched = Searched::new(words * 64, top);
        // Every other block was odd: its left half, then the left quarter of the right half were asked.
        for block in (0..words as u32 * 2).step_by(2) {
            for (level, node) in [(4, 2 * block), (3, 4 * block + 2)] {
                searched.note(&Section { pass: 0, level, nodes: Nodes::Listed(vec![node]) });
            }
        }
        let strata = strata(&searched, words, top, 0.03, 1);
        let mut level_of = vec![None; words * 8];
        for stratum in &strata {
            assert_eq!(stratum.words.len() % Stratum::unit(stratum.level), 0);
            for &byte in stratum.words.as_flattened().iter().filter(|&&byte| byte != PADDING) {
                assert_eq!(level_of[byte as usize].replace(stratum.level), None, "byte {byte}");
            }
        }
        assert!(strata.is_sorted_by_key(|stratum| std::cmp::Reverse(stratum.level)));
        // Bytes of odd and even blocks in turn: left half, quarters of the right half; whole block.
        let mean = |bytes: &[usize]| {
            let levels = level_of.chunks(8).flat_map(|block| bytes.iter().map(|&i| block[i]));
            levels.map(|level| f64::from(level.unwrap())).sum::<f64>() / bytes.len() as f64
        };
        let [whole, half, quarter] = [mean(&[4, 5, 6, 7]), mean(&[0, 1]), mean(&[2, 3])];
        assert!(whole + 200.0 < half && half + 200.0 < quarter, "{whole} {half} {quarter}");
    }

    #[test]
    fn short_blocks_and_short_keys_have_strata_too() {
        for (words, top, rate) in [(64usize, 2, 0.25), (65, 16, 1e-5), (64, 13, 1e-4)] {
            let searched = Searched::new((words * 64).next_multiple_of(1 << top), top);
            let strata = strata(&searched, words, top, rate, 1);
            let bytes = strata.iter().flat_map(|stratum| stratum.words.as_flattened());
            assert_eq!(bytes.filter(|&&byte| byte != PADDING).count(), words * 8);
        }
    }
}
