//! Carrier frequency offset: a first value from a few strong paths, then maximum likelihood over the whole preamble.
//!
//! First: C\[l\]\[g\], the correlation of group g with the sequence as path l brings it, turns over g with the offset. The
//! turn over 512 samples gives ω; with the channel ĥ\[l\] = Σ_g C\[l\]\[g\]·e^(−jω·t_g), the slope of the phase of
//! P\[g\] = Σₗ ĥ\[l\]*·C\[l\]\[g\] corrects it.
//!
//! Then, with this value taken off, the rest δ maximises the likelihood of the whole preamble over all channels with
//! independent taps of variance λ\[l\] (h marginalised, as for a linear Gaussian model):
//!
//! L(δ) = bᴴ·A⁻¹·b,   b\[l\] = Σ_g C\[l\]\[g\]·e^(−jδ·t_g) + v\[l\]*·Σ_p T\[l\]\[p\]·e^(−jδ·t_p),   A = SᴴS + σ²·Λ⁻¹,
//!
//! T\[l\]\[p\] the correlation of a piece of the tone with itself, v\[l\] what a delay of tap l does to the tone, S the
//! preamble delayed to each tap. Newton's method finds it in one step or two, without a search.

use num_complex::Complex64;

use crate::despread::{CIRCULAR_GROUPS, Despreader, GROUP, GROUPS, Groups, TONE_PIECES, Tone, tap};
use crate::kernels::TapRow;
use crate::layout::{FrameLayout, PEAK_TAP, TAPS, TONE_PERIOD};
use crate::model::{Gram, MAX_TAPS, Model, Tap, Vector};
use crate::rotate::{narrow, widen};
use crate::simd;

/// Distance, in groups, of the pairs that give the first value: unambiguous within ±19.5 kHz, more than the search reaches.
const FIRST_LAG: usize = 8;
const ROUNDS: usize = 1;
const NEWTON_STEPS: usize = 4;
/// Half of the sequence, in samples, over which a Newton step may turn the phase by at most 0.5, and beyond which another
/// step follows when it was more than 0.02.
const HALF: f64 = 512.0;

/// Most paths used for the first value.
pub(crate) const MAX_PATHS: usize = 8;

/// Finds the offset of one frame.
pub(crate) struct CfoEstimator {
    gram: Gram,
    /// Middle of each group and of each piece of the tone, from the instant at which phases are kept.
    times: [f64; GROUPS],
    /// The same, in halves of the sequence.
    halves: [f32; GROUPS],
    tone_times: [f64; TONE_PIECES],
    /// v\[l\]*: turns of the tone on each tap, undone.
    steering: [Complex64; TAPS],
}

/// Result of [`CfoEstimator::rest`]: the carrier offset that is left, and how well it fits the
/// frame.
pub(crate) struct Rest {
    /// Rest of the offset, radians a sample.
    pub(crate) omega: f64,
    /// Place of the strongest tap.
    pub(crate) strongest: usize,
    /// How evenly the sequence fits over its length, 0 to 1.
    pub(crate) evenness: f32,
}

impl CfoEstimator {
    pub(crate) fn new(layout: FrameLayout, times: [f64; GROUPS]) -> Self {
        let turn = std::f64::consts::TAU / TONE_PERIOD as f64;
        Self {
            gram: Gram::new(layout),
            times,
            halves: times.map(|t| (t / HALF) as f32),
            tone_times: Despreader::tone_times(),
            steering: std::array::from_fn(|l| {
                Complex64::from_polar(1.0, turn * (l as f64 - PEAK_TAP as f64))
            }),
        }
    }

    /// First value of the offset in radians a sample, from the groups of the circular window with the offset in them;
    /// `paths` (at most [`MAX_PATHS`]) lists the taps to use.
    pub(crate) fn first(&self, raw: &[TapRow; CIRCULAR_GROUPS], paths: &[usize]) -> f64 {
        let mut rows = [[Complex64::ZERO; CIRCULAR_GROUPS]; MAX_PATHS];
        let rows = &mut rows[..paths.len().min(MAX_PATHS)];
        for (row, &l) in rows.iter_mut().zip(paths) {
            *row = std::array::from_fn(|g| widen(tap(&raw[g], l)));
        }
        let pairs: Complex64 = rows
            .iter()
            .flat_map(|row| row[FIRST_LAG..].iter().zip(row))
            .map(|(late, early)| late * early.conj())
            .sum();
        let mut omega = pairs.arg() / (FIRST_LAG * GROUP) as f64;
        for _ in 0..ROUNDS {
            omega += self.slope(rows, omega);
        }
        omega
    }

    /// Slope over time, in radians a sample, of the phase that C has left when `omega` is removed: one Gauss-Newton
    /// step of max |Σ P·e^(−jω·t)|.
    fn slope(&self, rows: &[[Complex64; CIRCULAR_GROUPS]], omega: f64) -> f64 {
        let times = &self.times[1..=CIRCULAR_GROUPS];
        let turns: [_; CIRCULAR_GROUPS] = phasors(times, omega);
        let mut p = [Complex64::ZERO; CIRCULAR_GROUPS];
        for row in rows {
            let channel: Complex64 = row.iter().zip(&turns).map(|(c, turn)| c * turn).sum();
            for ((place, c), turn) in p.iter_mut().zip(row).zip(&turns) {
                *place += channel.conj() * c * turn;
            }
        }
        let sum: Complex64 = p.iter().sum();
        let back = sum.conj() / sum.norm().max(f64::MIN_POSITIVE);
        let values = p.map(|p| p * back);
        let pairs = || values.iter().zip(times);
        let weight: f64 = values.iter().map(|value| value.re).sum();
        let mean = pairs().map(|(value, t)| value.re * t).sum::<f64>() / weight;
        let numerator: f64 = pairs().map(|(value, t)| (t - mean) * value.im).sum();
        let denominator: f64 = pairs().map(|(value, t)| (t - mean).powi(2) * value.re).sum();
        if denominator > 0.0 { numerator / denominator } else { 0.0 }
    }

    /// What is left of the offset when the first value is taken off, from all groups and the tone; `taps` (at most
    /// [`MAX_TAPS`]) lists the taps that stand out.
    pub(crate) fn rest(&self, groups: &Groups, tone: &Tone, taps: &[Tap]) -> Rest {
        let taps = &taps[..taps.len().min(MAX_TAPS)];
        let model = Model::new(&self.gram, taps);
        let mut omega = 0.0;
        let mut white = [Complex64::ZERO; MAX_TAPS];
        for _ in 0..NEWTON_STEPS {
            let b = self.correlations(groups, tone, taps, omega);
            let (zeroth, first) = (model.whiten(&b[0]), model.whiten(&b[1]));
            let second = model.whiten(&b[2]);
            white = zeroth;
            let slope = 2.0 * inner(&first, &white);
            let curvature = 2.0 * (inner(&second, &white) + inner(&first, &first));
            // Not concave: far from the maximum, where one step of half the width leads nearer.
            let step =
                if curvature < 0.0 { -slope / curvature } else { 0.5 / HALF * slope.signum() };
            let step = step.clamp(-0.5 / HALF, 0.5 / HALF);
            omega += step;
            if step.abs() * HALF < 0.02 {
                break;
            }
        }
        let channel = model.channel(&white);
        let strongest = (0..taps.len())
            .max_by(|&a, &b| channel[a].norm_sqr().total_cmp(&channel[b].norm_sqr()))
            .map_or(PEAK_TAP, |i| taps[i].place);
        Rest { omega, strongest, evenness: evenness(groups, taps, &channel) }
    }

    /// b and its first two derivatives by δ, at δ = `omega`.
    fn correlations(&self, groups: &Groups, tone: &Tone, taps: &[Tap], omega: f64) -> [Vector; 3] {
        let turns: [Complex64; GROUPS] = phasors(&self.times, omega);
        let moments = simd::moments(groups, &turns.map(narrow), &self.halves);
        let tone_turns: [_; TONE_PIECES] = phasors(&self.tone_times, omega);
        // Of the tone's edges, one turn does for all taps: their middles are 16 samples from it at most.
        let edge_turns: [_; 2] = phasors(&Despreader::edge_times(PEAK_TAP), omega);
        let mut pieces = Moments::default();
        for ((x, turn), &t) in tone.pieces.iter().zip(&tone_turns).zip(&self.tone_times) {
            pieces.add(x * turn, t);
        }
        let mut b = [[Complex64::ZERO; MAX_TAPS]; 3];
        for (i, t) in taps.iter().enumerate() {
            let mut of_tone = pieces;
            let times = Despreader::edge_times(t.place);
            of_tone.add(tone.head[t.place] * edge_turns[0], times[0]);
            of_tone.add(tone.tail[t.place] * edge_turns[1], times[1]);
            let steering = self.steering[t.place];
            for k in 0..b.len() {
                let chips = widen(tap(&moments[k], t.place)) * HALF.powi(k as i32);
                b[k][i] = (chips + steering * of_tone.0[k]) * FACTORS[k];
            }
        }
        b
    }
}

/// (−j)^k: each derivative by δ brings one.
const FACTORS: [Complex64; 3] =
    [Complex64::ONE, Complex64::new(0.0, -1.0), Complex64::new(-1.0, 0.0)];

/// Σ x, Σ t·x and Σ t²·x.
#[derive(Clone, Copy, Default)]
struct Moments([Complex64; 3]);

impl Moments {
    fn add(&mut self, x: Complex64, t: f64) {
        self.0[0] += x;
        self.0[1] += x * t;
        self.0[2] += x * (t * t);
    }
}

/// e^(−jω·t) at each time.
fn phasors<const N: usize>(times: &[f64], omega: f64) -> [Complex64; N] {
    std::array::from_fn(|i| {
        if omega == 0.0 { Complex64::ONE } else { Complex64::from_polar(1.0, -omega * times[i]) }
    })
}

/// Re aᴴb, the real part of the inner product of two complex vectors.
fn inner(a: &Vector, b: &Vector) -> f64 {
    a.iter().zip(b).map(|(a, b)| a.re * b.re + a.im * b.im).sum()
}

/// (Σ P)²/(n·Σ P²) over the shares P of the circular groups in the fit: 1 when all agree.
fn evenness(groups: &Groups, taps: &[Tap], channel: &Vector) -> f32 {
    let (mut sum, mut squares) = (0.0, 0.0);
    for group in &groups[1..=CIRCULAR_GROUPS] {
        let mut share = 0.0;
        for (t, h) in taps.iter().zip(channel) {
            let c = widen(tap(group, t.place));
            share += h.re * c.re + h.im * c.im;
        }
        sum += share;
        squares += share * share;
    }
    let evenness = sum.max(0.0).powi(2) / (CIRCULAR_GROUPS as f64 * squares);
    evenness as f32
}
