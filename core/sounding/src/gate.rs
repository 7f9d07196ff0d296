//! The energy gate: where the stream is loud enough above its noise floor to hold a frame.
//!
//! ```text
//!  energy of 64 samples   _ _ _ - _ _ _ - _ ========== _ _ - _ _      = frame
//!  sum of 15 blocks                    open ^^^^^^^^^^^^^^^^
//!  noise floor            the quietest 512 samples of the last 131072
//! ```
//!
//! The floor is the minimum of the energies of 512 samples over a long past, made unbiased (minimum statistics, Martin,
//! IEEE Trans. Speech Audio Process. 2001). Interference only adds energy, so bursts and traffic do not move it while one
//! stretch in 131072 samples is quiet; it follows a step down at once, and a step up after 6.5 ms, in which the gate is
//! open: a wrong floor costs time, not frames.

use std::collections::VecDeque;

use num_complex::Complex32;

use crate::held::AtHand;
use crate::kernels::GATE_BLOCK;
use crate::{kernels, simd};

/// Blocks of one entry of the floor: 512 samples.
const ENTRY: usize = 8;
/// Entries that the floor looks back on.
const MEMORY: u64 = 256;
/// Entries from which on there is a floor.
const ENOUGH: u64 = 64;
/// Blocks that decide: all that lie whole in a window of 1023 samples, wherever it begins.
const DECIDING: u64 = 15;
/// Blocks that lie whole in 1022 samples or more, wherever they begin.
const WHOLE: usize = 14;
/// Blocks behind those that the floor has taken in that a window may still look at.
const KEPT: u64 = 64;
/// Standard deviation of the energy of an entry of white noise, relative to its mean: 1/√512.
const SPREAD: f64 = 0.0442;
/// By how much the deciding blocks must exceed the floor. Their own standard deviation on noise is 1/√960 = 3.2 %, so
/// that 2 % of the windows of noise are looked at; a frame of −5 dB adds 26 % at least.
const EXCESS: f32 = 1.07;

/// Energies of a contiguous stretch and their floor.
pub(crate) struct Gate {
    /// Energies of the blocks from number `first`.
    blocks: Vec<f32>,
    first: u64,
    /// The block that is not whole yet, and how much of it there is.
    part: [Complex32; GATE_BLOCK],
    part_len: usize,
    /// Energies of the blocks that a call completes.
    fresh: Vec<f32>,
    /// Blocks that the floor has taken in.
    taken: u64,
    /// Candidates for the minimum: (entry, energy), energies ascending.
    minima: VecDeque<(u64, f32)>,
    /// Expected minimum of n entries of noise over their mean, at n.
    bias: Vec<f32>,
}

impl Gate {
    pub(crate) fn new() -> Self {
        let capacity = MEMORY as usize + 1;
        Self {
            blocks: Vec::new(),
            first: 0,
            part: [Complex32::ZERO; GATE_BLOCK],
            part_len: 0,
            fresh: Vec::new(),
            taken: 0,
            minima: VecDeque::with_capacity(capacity),
            bias: (0..=MEMORY).map(|n| (1.0 - SPREAD * least_of_normals(n)) as f32).collect(),
        }
    }

    /// Forgets all blocks: a new stretch of samples without a gap begins.
    fn reset(&mut self) {
        self.blocks.clear();
        self.minima.clear();
        (self.first, self.taken, self.part_len) = (0, 0, 0);
    }

    /// Number of blocks taken since the stretch began.
    fn end(&self) -> u64 {
        self.first + self.blocks.len() as u64
    }

    /// Looks at the next samples of the stretch, or the first of the next one: whether all are finite.
    pub(crate) fn scan(&mut self, at_hand: AtHand<'_>, begins: bool) -> bool {
        let (part, head) = self.next_part(at_hand, begins);
        self.fresh.clear();
        if part == GATE_BLOCK {
            simd::block_energies(&self.part, &mut self.fresh);
        }
        at_hand.energies(head, &mut self.fresh);
        // A block whose energy is finite has finite samples; what is in no whole block is looked at one by one.
        let tail = (at_hand.len() - head) % GATE_BLOCK;
        let mut rest = [Complex32::ZERO; GATE_BLOCK];
        at_hand.copy(at_hand.len() - tail, &mut rest[..tail]);
        let parts = [&self.part[..part], &rest[..tail]];
        let finite = self.fresh.iter().all(|energy| energy.is_finite())
            && parts.iter().all(|part| kernels::all_finite(part));
        // An energy may also be too large a number.
        finite || at_hand.not_finite().is_none()
    }

    /// Completes the block that is not whole with the first samples at hand; gives its length then, and their number.
    fn next_part(&mut self, at_hand: AtHand<'_>, begins: bool) -> (usize, usize) {
        if begins || self.part_len == 0 {
            return (0, 0);
        }
        let head = (GATE_BLOCK - self.part_len).min(at_hand.len());
        at_hand.copy(0, &mut self.part[self.part_len..self.part_len + head]);
        (self.part_len + head, head)
    }

    /// Takes the samples that were looked at last.
    pub(crate) fn take(&mut self, at_hand: AtHand<'_>, begins: bool) {
        if begins {
            self.reset();
        }
        let done = self.taken.saturating_sub(self.first + KEPT);
        if done >= 4096 {
            self.blocks.drain(..done as usize);
            self.first += done;
        }
        self.blocks.append(&mut self.fresh);
        let (part, head) = self.next_part(at_hand, begins);
        let tail = (at_hand.len() - head) % GATE_BLOCK;
        self.part_len = part % GATE_BLOCK;
        if tail > 0 {
            at_hand.copy(at_hand.len() - tail, &mut self.part[..tail]);
            self.part_len = tail;
        }
    }

    /// Whether the 1023 samples from `window` on, counted from the stretch's first, may hold a part of a frame. Windows
    /// must ascend, and their blocks must have been taken.
    pub(crate) fn is_open(&mut self, window: u64) -> bool {
        let block = window / GATE_BLOCK as u64;
        self.learn(block + DECIDING);
        let entries = self.taken / ENTRY as u64;
        if entries < ENOUGH {
            return true;
        }
        let Some(&(_, least)) = self.minima.front() else { return true };
        let floor = least / (ENTRY as f32 * self.bias[entries.min(MEMORY) as usize]);
        let from = block.saturating_sub(self.first) as usize;
        let deciding = self.blocks.get(from..from + DECIDING as usize).unwrap_or_default();
        let sum: f32 = deciding.iter().sum();
        // The gate is open where a comparison makes no sense.
        let quiet = sum <= EXCESS * floor * DECIDING as f32;
        !quiet
    }

    /// A little less energy than that of the 1023 samples from `window` on: of the blocks that lie whole in them.
    pub(crate) fn least(&self, window: u64) -> f32 {
        let block = window.div_ceil(GATE_BLOCK as u64).saturating_sub(self.first) as usize;
        let whole = self.blocks.get(block..block + WHOLE).unwrap_or_default();
        // Less what sums in another order may differ by.
        0.9999 * whole.iter().sum::<f32>()
    }

    /// The floor takes in the entries that end at `block` or before.
    fn learn(&mut self, block: u64) {
        while self.taken + ENTRY as u64 <= block.min(self.end()) {
            let from = (self.taken - self.first) as usize;
            let energy: f32 = self.blocks[from..from + ENTRY].iter().sum();
            let entry = self.taken / ENTRY as u64;
            while self.minima.back().is_some_and(|&(_, least)| least >= energy) {
                self.minima.pop_back();
            }
            self.minima.push_back((entry, energy));
            while self.minima.front().is_some_and(|&(old, _)| old + MEMORY <= entry) {
                self.minima.pop_front();
            }
            self.taken += ENTRY as u64;
        }
    }
}

/// How far the least of n normal numbers is below their mean, in standard deviations, in the mean: Blom's approximation
/// Φ⁻¹((n − 0.375)/(n + 0.25)).
fn least_of_normals(n: u64) -> f64 {
    if n < 2 {
        return 0.0;
    }
    let tail = 0.625 / (n as f64 + 0.25);
    // Abramowitz and Stegun 26.2.23, error below 4.5e-4.
    let t = (-2.0 * tail.ln()).sqrt();
    t - (2.515517 + t * (0.802853 + t * 0.010328))
        / (1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    fn noise(len: usize, power: f32, rng: &mut ChaCha8Rng) -> Vec<Complex32> {
        let mut draw = || -> f32 { StandardNormal.sample(rng) };
        (0..len).map(|_| Complex32::new(draw(), draw()) * (power / 2.0).sqrt()).collect()
    }

    /// Share of the windows in `range` (samples) for which the gate is open.
    fn share(samples: &[Complex32], range: std::ops::Range<usize>) -> f64 {
        let mut gate = Gate::new();
        let at_hand = AtHand::Numbers(samples);
        assert!(gate.scan(at_hand, true));
        gate.take(at_hand, true);
        let windows = (0..samples.len() - 1023).step_by(512);
        let open: Vec<(usize, bool)> = windows.map(|w| (w, gate.is_open(w as u64))).collect();
        let inside: Vec<bool> =
            open.into_iter().filter(|(w, _)| range.contains(w)).map(|(_, open)| open).collect();
        inside.iter().filter(|&&open| open).count() as f64 / inside.len() as f64
    }

    #[test]
    fn the_expected_minimum_is_that_of_the_tables() {
        // Harter 1961: 1.5388 for 10, 2.5076 for 100.
        assert!((least_of_normals(10) - 1.5388).abs() < 0.02);
        assert!((least_of_normals(100) - 2.5076).abs() < 0.02);
    }

    #[test]
    fn noise_is_mostly_skipped_and_a_weak_frame_is_not() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut samples = noise(600_000, 2.0, &mut rng);
        let open = share(&samples, 40_000..600_000);
        assert!(open < 0.06, "{open}");
        // −5 dB for as long as a preamble, fifty times
        for at in (50_000..550_000).step_by(10_000) {
            for (place, s) in samples[at..at + 1343].iter_mut().zip(noise(1343, 0.632, &mut rng)) {
                *place += s;
            }
            let sequence = at + 320;
            assert_eq!(share(&samples[..at + 4000], sequence - 288..sequence + 224), 1.0, "{at}");
        }
    }

    /// Up, the gate is open until the floor has followed; down, a frame is seen at once; bursts do not move the floor.
    #[test]
    fn the_floor_survives_steps_and_interference() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut samples = noise(300_000, 1.0, &mut rng);
        samples.extend(noise(300_000, 10.0, &mut rng));
        assert_eq!(share(&samples, 301_000..400_000), 1.0);
        assert!(share(&samples, 440_000..600_000) < 0.06);

        samples.extend(noise(300_000, 0.1, &mut rng));
        for (place, s) in samples[610_000..611_343].iter_mut().zip(noise(1343, 0.04, &mut rng)) {
            *place += s;
        }
        assert_eq!(share(&samples, 610_032..610_544), 1.0);
        assert!(share(&samples, 620_000..900_000) < 0.06);

        // bursts of 30 dB in four fifths of the time
        for burst in samples[620_000..].chunks_exact_mut(10_000) {
            let loud = noise(8000, 100.0, &mut rng);
            burst.iter_mut().zip(loud).for_each(|(place, s)| *place += s);
        }
        let at = 620_000 + 8500 + 20 * 10_000;
        assert!(share(&samples, at - 100..at + 412) < 0.5);
        for (place, s) in samples[at - 320..at + 1023].iter_mut().zip(noise(1343, 0.04, &mut rng)) {
            *place += s;
        }
        assert_eq!(share(&samples, at - 288..at + 224), 1.0);
    }
}
