//! Frames into lanes and back.

use crate::simd::{Block, LANES, Simd};

/// Puts the LLRs of up to 64 / PATHS frames, n values each and one after another, into the lanes: PATHS lanes a frame.
#[inline(always)]
pub(super) fn load<S: Simd, const PATHS: usize>(s: S, llr: &[i8], n: usize, out: &mut [Block]) {
    let out = &mut out[..n];
    let room = LANES / PATHS;
    if llr.len() < room * n {
        out.fill(Block::ZERO);
    }
    if PATHS == 1 {
        for (group, frames) in llr.chunks(8 * n).enumerate() {
            if frames.len() == 8 * n {
                transpose(frames, n, group, out);
            } else {
                for (i, frame) in frames.chunks_exact(n).enumerate() {
                    for (block, &x) in out.iter_mut().zip(frame) {
                        block.0[8 * group + i] = x;
                    }
                }
            }
        }
    } else {
        for (f, frame) in llr.chunks_exact(n).enumerate() {
            for (block, &x) in out.iter_mut().zip(frame) {
                block.0[f * PATHS..(f + 1) * PATHS].fill(x);
            }
        }
    }
    for block in out {
        s.store(s.max(s.load(block), s.splat(-127)), block);
    }
}

/// Eight frames to eight neighbouring lanes, in tiles of 8 × 8 bytes.
#[inline(always)]
fn transpose(frames: &[i8], n: usize, group: usize, out: &mut [Block]) {
    for (tile, blocks) in out.chunks_exact_mut(8).enumerate() {
        let mut rows = [0u64; 8];
        for (f, row) in rows.iter_mut().enumerate() {
            let bytes = &frames[f * n + 8 * tile..][..8];
            let mut word = [0u8; 8];
            for (to, &from) in word.iter_mut().zip(bytes) {
                *to = from as u8;
            }
            *row = u64::from_le_bytes(word);
        }
        for (distance, mask) in
            [(4, 0x0000_0000_ffff_ffffu64), (2, 0x0000_ffff_0000_ffff), (1, 0x00ff_00ff_00ff_00ff)]
        {
            let shift = 8 * distance as u32;
            for i in 0..8 {
                if i & distance == 0 {
                    let (a, b) = (rows[i], rows[i + distance]);
                    let moved = ((a >> shift) ^ b) & mask;
                    rows[i] = a ^ (moved << shift);
                    rows[i + distance] = b ^ moved;
                }
            }
        }
        for (block, row) in blocks.iter_mut().zip(rows) {
            for (to, from) in block.0[8 * group..][..8].iter_mut().zip(row.to_le_bytes()) {
                *to = from as i8;
            }
        }
    }
}
