//! The preamble taken apart: what each path brings, piece by piece.
//!
//! ```text
//!   n      -8        24               248    256        304                                          len+304   len+312
//!           | head    |  tone         | tail / prefix    | one window of the sequence, circular        | rest  |
//!  chips                              | 8 | 8 | 8 ... | 8 | 8 | ... 128 pieces ...             | 7 |     | 8     |
//! ```
//!
//! n counts from the start of the frame on the strongest path, which is tap [`PEAK_TAP`]; the other taps begin up to 8
//! samples earlier and 23 later. C\[l\]\[p\] is the correlation of piece p with the chips as tap l brings them, for all taps
//! at once: a piece is so short that a carrier offset hardly turns the phase within it, so that everything that is
//! estimated is made of these few numbers, with no further pass over the samples.

use num_complex::{Complex32, Complex64};

use crate::kernels::{LANES, TAP_LANES, TapRow};
use crate::layout::{
    FrameLayout, PEAK_TAP, SEQUENCE_START, TAPS, TONE_LEN, TONE_PERIOD, WINDOW_ADVANCE,
};
use crate::rotate::{narrow, widen};
use crate::simd;
use crate::waveform::{period_chips, tone_period};

/// Samples from the frame's start on the strongest path to the instant at which phases are kept: about the middle of
/// the M-sequence.
pub(crate) const REFERENCE: usize = SEQUENCE_START + crate::estimator::PHASE_REFERENCE;
/// Samples of a piece, the shortest stretch over which chips are summed.
const PIECE: usize = 8;
/// First sample with chips, on the earliest tap.
const CHIPS: usize = TONE_LEN - PEAK_TAP;
/// First sample of the circular window.
const CIRCULAR: usize = SEQUENCE_START - WINDOW_ADVANCE;
/// Pieces of the prefix and of the circular window; one follows.
const PREFIX_PIECES: usize = 7;
const CIRCULAR_PIECES: usize = 128;
const LAST: usize = PREFIX_PIECES + CIRCULAR_PIECES;
const PIECES: usize = LAST + 1;
/// Pieces of a group; that of the prefix has one less.
const GROUPED: usize = 8;
/// Samples of a group of the circular window (the last one has less).
pub(crate) const GROUP: usize = GROUPED * PIECE;
/// Groups of the circular window.
pub(crate) const CIRCULAR_GROUPS: usize = CIRCULAR_PIECES / GROUPED;
/// Groups of all chips: prefix, circular window, rest.
pub(crate) const GROUPS: usize = CIRCULAR_GROUPS + 2;
/// Samples in which the tone begins and ends on one tap after the other.
const EDGE: usize = TAPS;
/// First sample, as an index, of the edge where the tone ends.
const TAIL: usize = PEAK_TAP + CHIPS;
/// Samples of a piece of the tone.
const TONE_PIECE: usize = 32;
/// Pieces of the tone that all taps bring whole.
pub(crate) const TONE_PIECES: usize = (TAIL - EDGE) / TONE_PIECE;

/// Groups of pieces, with a carrier offset taken off.
pub(crate) type Groups = [TapRow; GROUPS];

/// The tone of one frame, its turn and the carrier offset taken off.
pub(crate) struct Tone {
    /// Sums over the pieces that all taps bring.
    pub(crate) pieces: [Complex64; TONE_PIECES],
    /// Sum over what a tap brings before them.
    pub(crate) head: [Complex64; TAPS],
    /// Sum over what it brings behind them.
    pub(crate) tail: [Complex64; TAPS],
}

/// Splits the preamble of a frame, tone and M-sequence, into short sums for each tap.
pub(crate) struct Despreader {
    layout: FrameLayout,
    /// Chips of prefix and sequence, the last first, and zeros where a late tap still brings the tone.
    chips: Vec<f32>,
    /// Conjugate of one period of the tone.
    tone: [Complex32; TONE_PERIOD],
    /// Limits of the pieces, in samples from the first with chips.
    bounds: [usize; PIECES + 1],
    /// The samples from n = −8 on.
    samples: Vec<Complex32>,
    pieces: Box<[TapRow; PIECES]>,
}

impl Despreader {
    pub(crate) fn new(layout: FrameLayout) -> Self {
        let period = period_chips(layout);
        let len = layout.sequence_len();
        let prefix = period.len() - (SEQUENCE_START - TONE_LEN);
        let mut chips: Vec<f32> = period[prefix..].to_vec();
        (0..layout.periods()).for_each(|_| chips.extend(&period));
        chips.reverse();
        chips.resize(chips.len() + TAPS, 0.0);
        let bounds = std::array::from_fn(|p| match p {
            // The last piece of the circular window ends with it.
            ..LAST => p * PIECE,
            LAST => CIRCULAR - CHIPS + len,
            _ => SEQUENCE_START - PEAK_TAP - CHIPS + len,
        });
        Self {
            layout,
            chips,
            tone: tone_period().map(|value| value.conj()),
            bounds,
            samples: vec![Complex32::ZERO; SEQUENCE_START + len],
            pieces: Box::new([[[0.0; LANES]; TAP_LANES]; PIECES]),
        }
    }

    /// Takes the frame of which the strongest path starts at `start` of `samples`; what is not there counts as zero.
    pub(crate) fn take(&mut self, samples: &[Complex32], start: isize) {
        let from = start - PEAK_TAP as isize;
        let missing = usize::try_from(-from).unwrap_or(0).min(self.samples.len());
        let (before, here) = self.samples.split_at_mut(missing);
        before.fill(Complex32::ZERO);
        let there = samples.get(usize::try_from(from).unwrap_or(0)..).unwrap_or_default();
        let count = there.len().min(here.len());
        here[..count].copy_from_slice(&there[..count]);
        here[count..].fill(Complex32::ZERO);
        let chips = &self.samples[PEAK_TAP + CHIPS..];
        simd::despread(chips, &self.chips, &self.bounds, &mut self.pieces[..]);
    }

    /// Energy of the circular window.
    pub(crate) fn energy(&self) -> f64 {
        let first = PEAK_TAP + CIRCULAR;
        let window = &self.samples[first..first + self.layout.sequence_len()];
        window.chunks(128).map(|part| f64::from(simd::energy(part))).sum()
    }

    /// Middle of each group, in samples from [`REFERENCE`].
    pub(crate) fn times(&self) -> [f64; GROUPS] {
        std::array::from_fn(|g| {
            let (first, last) = pieces_of(g);
            middle(CHIPS + self.bounds[first], CHIPS + self.bounds[last])
        })
    }

    /// The groups of the circular window, with the carrier offset in them.
    pub(crate) fn raw(&self) -> [TapRow; CIRCULAR_GROUPS] {
        let mut groups = [[[0.0; LANES]; TAP_LANES]; CIRCULAR_GROUPS];
        for (g, group) in groups.iter_mut().enumerate() {
            let (first, last) = pieces_of(g + 1);
            *group = simd::sum(&self.pieces[first..last]);
        }
        groups
    }

    /// The groups, with the carrier offset `omega` (radians a sample) taken off.
    pub(crate) fn groups(&self, omega: f64) -> Groups {
        let turn = |p: usize| {
            let time = middle(CHIPS + self.bounds[p], CHIPS + self.bounds[p + 1]);
            Complex64::from_polar(1.0, -omega * time)
        };
        let mut turns = [Complex32::ZERO; PIECES];
        // Pieces of equal length lie in equal distances.
        let (step, mut present) = (Complex64::from_polar(1.0, -omega * PIECE as f64), turn(0));
        for place in &mut turns[..LAST - 1] {
            *place = narrow(present);
            present *= step;
        }
        for p in [LAST - 1, LAST] {
            turns[p] = narrow(turn(p));
        }
        let mut groups = [[[0.0; LANES]; TAP_LANES]; GROUPS];
        for (g, group) in groups.iter_mut().enumerate() {
            let (first, last) = pieces_of(g);
            *group = simd::merge(&self.pieces[first..last], &turns[first..last]);
        }
        groups
    }

    /// The tone, with the carrier offset `omega` taken off.
    pub(crate) fn tone(&self, omega: f64) -> Tone {
        let mut turned = [Complex32::ZERO; TAIL + EDGE];
        let time = -((PEAK_TAP + REFERENCE) as f64);
        crate::rotate::derotate(&self.samples, omega, omega * time, &mut turned);
        // Index 0 is n = −8, half a period of the tone before its start.
        for period in turned.as_chunks_mut::<TONE_PERIOD>().0 {
            for (i, value) in period.iter_mut().enumerate() {
                *value *= self.tone[(i + TONE_PERIOD - PEAK_TAP) % TONE_PERIOD];
            }
        }
        let (head, rest) = turned.split_at(EDGE);
        let (whole, tail) = rest.split_at(TAIL - EDGE);
        let mut tone = Tone {
            pieces: std::array::from_fn(|p| {
                widen(whole[p * TONE_PIECE..][..TONE_PIECE].iter().sum())
            }),
            head: [Complex64::ZERO; TAPS],
            tail: [Complex64::ZERO; TAPS],
        };
        // Tap l begins at index l and ends before index l of the tail.
        let mut sum = Complex64::ZERO;
        for l in (0..TAPS).rev() {
            sum += widen(head[l]);
            tone.head[l] = sum;
        }
        sum = Complex64::ZERO;
        for l in 0..TAPS {
            tone.tail[l] = sum;
            sum += widen(tail[l]);
        }
        tone
    }

    /// Middle of each piece of the tone, in samples from [`REFERENCE`].
    pub(crate) fn tone_times() -> [f64; TONE_PIECES] {
        let first = EDGE - PEAK_TAP;
        std::array::from_fn(|p| middle(first + p * TONE_PIECE, first + (p + 1) * TONE_PIECE))
    }

    /// Middle of what tap l brings of the tone before and behind them.
    pub(crate) fn edge_times(l: usize) -> [f64; 2] {
        let half = l as f64 / 2.0;
        let reference = (PEAK_TAP + REFERENCE) as f64;
        [half + (EDGE - 1) as f64 / 2.0 - reference, half + TAIL as f64 - 0.5 - reference]
    }
}

/// First piece of a group, and the one behind its last.
fn pieces_of(group: usize) -> (usize, usize) {
    let before = GROUPED - PREFIX_PIECES;
    ((group * GROUPED).saturating_sub(before), ((group + 1) * GROUPED - before).min(PIECES))
}

/// Middle of the samples from `from` to before `to`, from the reference.
fn middle(from: usize, to: usize) -> f64 {
    (from + to - 1) as f64 / 2.0 - REFERENCE as f64
}

/// Tap l of a row.
pub(crate) fn tap(row: &TapRow, l: usize) -> Complex32 {
    Complex32::new(row[l / LANES][l % LANES], row[TAP_LANES / 2 + l / LANES][l % LANES])
}
