//! The update of one row of checks, 256 of them side by side: the whole cost of decoding.
//!
//! The only `unsafe` of this crate: calls into the same plain code compiled for more instructions, each behind the
//! question whether the processor has them.

#![expect(unsafe_code, reason = "calls into functions with target features")]

use super::code::{Entry, LIFT};

/// Log-likelihood ratios ln P(0)/P(1) of 256 messages, in eighths; −127..=127.
pub(super) type Lanes = [i8; LIFT];

/// The same for 256 bits: the sum of what the channel and all messages say, never cut off.
pub(super) type Wide = [i16; LIFT];

/// Lanes that fill the registers at one time.
const CHUNK: usize = 64;

/// The most entries of a row.
pub(super) const MAX_ROW: usize = 256;

/// Working memory for the update of one row of checks with at most [`MAX_ROW`] entries.
pub(super) struct Scratch {
    inputs: Vec<Wide>,
    tree: Vec<[u8; CHUNK]>,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self { inputs: vec![[0; LIFT]; MAX_ROW], tree: vec![[0; CHUNK]; 2 * MAX_ROW] }
    }
}

/// Which instructions the update is compiled for: those of any processor, AVX2 or AVX-512.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kernel {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Kernel {
    pub(super) fn all() -> Vec<Self> {
        #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut))]
        let mut all = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                all.push(Self::Avx2);
            }
            if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl") {
                all.push(Self::Avx512);
            }
        }
        all
    }

    /// Updates one row: the bits' values and the messages of the row's entries. `odd` is 0 or −1 for each check.
    pub(super) fn update(
        self,
        row: &[Entry],
        odd: &Lanes,
        values: &mut [Wide],
        messages: &mut [Lanes],
        scratch: &mut Scratch,
    ) {
        match self {
            Self::Portable => update(row, odd, values, messages, scratch),
            // SAFETY: these are made by `all` only, which has asked the processor.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { update_avx2(row, odd, values, messages, scratch) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { update_avx512(row, odd, values, messages, scratch) },
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn update_avx2(r: &[Entry], odd: &Lanes, v: &mut [Wide], m: &mut [Lanes], s: &mut Scratch) {
    update(r, odd, v, m, s);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512bw,avx512vl")]
fn update_avx512(r: &[Entry], odd: &Lanes, v: &mut [Wide], m: &mut [Lanes], s: &mut Scratch) {
    update(r, odd, v, m, s);
}

#[inline(always)]
fn update(
    row: &[Entry],
    odd: &Lanes,
    values: &mut [Wide],
    messages: &mut [Lanes],
    scratch: &mut Scratch,
) {
    let degree = row.len();
    let (inputs, tree) = (&mut scratch.inputs[..degree], &mut scratch.tree[..2 * degree]);
    for ((entry, message), input) in row.iter().zip(&*messages).zip(&mut *inputs) {
        let (value, shift) = (&values[entry.column as usize], usize::from(entry.shift));
        let (head, tail) = input.split_at_mut(LIFT - shift);
        head.copy_from_slice(&value[shift..]);
        tail.copy_from_slice(&value[..shift]);
        for (x, &m) in input.iter_mut().zip(message) {
            *x -= i16::from(m);
        }
    }
    // A tree over the entries: leaf k is node degree + k, the parent of node i is node i/2, the root node 1.
    for start in (0..LIFT).step_by(CHUNK) {
        let mut sign: [i8; CHUNK] = std::array::from_fn(|i| odd[start + i]);
        for (input, node) in inputs.iter().zip(&mut tree[degree..]) {
            for i in 0..CHUNK {
                let x = input[start + i];
                node[i] = (x.abs().min(127) as u8) << 1;
                sign[i] ^= (x >> 15) as i8;
            }
        }
        for node in (2..degree).rev() {
            tree[node] = box_plus(&tree[2 * node], &tree[2 * node + 1]);
        }
        // From the root down each node is replaced by everything outside of it.
        (tree[2], tree[3]) = (tree[3], tree[2]);
        for node in 2..degree {
            let outside = tree[node];
            let (left, right) = (tree[2 * node], tree[2 * node + 1]);
            tree[2 * node] = box_plus(&outside, &right);
            tree[2 * node + 1] = box_plus(&outside, &left);
        }
        for ((input, out), message) in inputs.iter_mut().zip(&tree[degree..]).zip(&mut *messages) {
            for i in 0..CHUNK {
                let x = input[start + i];
                let negative = sign[i] ^ (x >> 15) as i8;
                let m = ((out[i] >> 1) as i8 ^ negative).wrapping_sub(negative);
                message[start + i] = m;
                input[start + i] = x + i16::from(m);
            }
        }
    }
    for (entry, input) in row.iter().zip(&*inputs) {
        let (value, shift) = (&mut values[entry.column as usize], usize::from(entry.shift));
        let (head, tail) = input.split_at(LIFT - shift);
        value[shift..].copy_from_slice(head);
        value[..shift].copy_from_slice(tail);
    }
}

/// `a ⊞ b = min(a, b) + c(a + b) − c(|a − b|)`, c(x) = ln(1 + e^−x): the reliability of the sum of two bits.
#[inline(always)]
fn box_plus(a: &[u8; CHUNK], b: &[u8; CHUNK]) -> [u8; CHUNK] {
    std::array::from_fn(|i| {
        let (low, high) = (a[i].min(b[i]), a[i].max(b[i]));
        let less = correction(high - low);
        low.saturating_sub(less).saturating_add(correction(low.saturating_add(high)))
    })
}

/// ln(1 + e^−x) in sixteenths.
#[inline(always)]
fn correction(x: u8) -> u8 {
    let near = 11u8
        .saturating_sub(x.saturating_add(1) >> 1)
        .max(9u8.saturating_sub(x.saturating_add(1) >> 2));
    near.max(6u8.saturating_sub(x >> 3)).max(1u8.saturating_sub(x.saturating_add(8) >> 6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_correction_is_the_logarithm_within_a_unit() {
        for x in 0..=255u8 {
            let exact = (-f64::from(x) / 16.0).exp().ln_1p() * 16.0;
            assert!((f64::from(correction(x)) - exact).abs() < 1.0, "{x}: {exact}");
        }
    }
}
