//! Carrier frequency offset: a first value from a few strong paths, then maximum likelihood over the whole frame.
//!
//! First, the M-sequence is cut into segments. C\[l\]\[s\], the correlation of segment s with the sequence delayed as path
//! l, turns over s with the offset. With the channel ĥ\[l\] = Σₛ C\[l\]\[s\]·e^(−jω·t_s) of the present ω, the slope of the
//! phase of P\[s\] = Σₗ ĥ\[l\]*·C\[l\]\[s\] corrects ω.
//!
//! Then, with this value taken off, the rest δ maximises the likelihood of sequence and tone over all channels with
//! independent taps of variance λ\[l\] (h marginalised, as for a linear Gaussian model):
//!
//! L(δ) = bᴴ·A⁻¹·b,   b\[l\] = Σₛ C\[l\]\[s\]·e^(−jδ·t_s) + v\[l\]*·Σₛ T\[s\]·e^(−jδ·t_s),   A = (N+1)·I + N_T·v*·vᵀ + σ²·Λ⁻¹,
//!
//! T\[s\] the correlation of a segment of the tone with itself, v\[l\] what a delay of tap l does to the tone, N and
//! N_T the samples of sequence (and prefix) and tone. Newton's method finds it in one step or two, without a search.

use num_complex::{Complex32, Complex64};

use crate::layout::{FrameLayout, PEAK_TAP, PREFIX_LEN, SEQUENCE_LEN, TAPS, TONE_LEN, TONE_PERIOD};
use crate::rotate::widen;
use crate::simd;
use crate::waveform::{period_chips, tone_period};

/// Samples of a segment.
const SEGMENT: usize = 64;
/// Samples of the prefix that every path within the estimate has reached.
pub(crate) const PREFIX_USED: usize = PREFIX_LEN - (TAPS - PEAK_TAP);
/// Most segments of prefix and sequence.
const SEGMENTS: usize = (PREFIX_USED + SEQUENCE_LEN).div_ceil(SEGMENT);
/// First tone sample used: every path within the estimate has arrived, and none has ended.
pub(crate) const TONE_SKIP: usize = 24;
const TONE_SEGMENT: usize = 32;
const TONE_SEGMENTS: usize = (TONE_LEN - TONE_SKIP - PEAK_TAP) / TONE_SEGMENT;
/// Samples of the tone used.
pub(crate) const TONE_USED: usize = TONE_SEGMENTS * TONE_SEGMENT;
/// Distance, in segments, of the pairs that give the first value: unambiguous within ±19.5 kHz.
const FIRST_LAG: usize = 8;
const ROUNDS: usize = 2;
const NEWTON_STEPS: usize = 3;
/// Half of the sequence, in samples, over which a Newton step may turn the phase by at most 0.5, and beyond which another
/// step follows when it was more than 0.02.
const HALF: f64 = 512.0;

/// Most paths used for the first value.
pub(crate) const MAX_PATHS: usize = 8;
/// Most taps used for the second.
pub(crate) const MAX_TAPS: usize = 16;

/// A tap of the channel that takes part in the estimate of the offset.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tap {
    /// Delay from the strongest path.
    pub(crate) delay: isize,
    /// λ/σ², variance of the tap over that of the noise.
    pub(crate) variance: f64,
}

/// Finds the offset of one frame.
pub(crate) struct CfoEstimator {
    /// Chips of one period.
    period: usize,
    /// Chips of prefix and sequence and one period more.
    chips: Vec<f32>,
    /// One period of the tone as sent.
    tone: [Complex32; TONE_PERIOD],
    /// Real and imaginary parts of the samples at hand.
    re: Vec<f32>,
    im: Vec<f32>,
    /// Time of each of their segments.
    times: [f64; SEGMENTS],
    c: Box<[[Complex64; SEGMENTS]; MAX_TAPS]>,
}

impl CfoEstimator {
    pub(crate) fn new(layout: FrameLayout) -> Self {
        let chips = period_chips(layout);
        let most = PREFIX_USED + layout.sequence_len();
        Self {
            period: chips.len(),
            chips: chips.iter().copied().cycle().take(most + chips.len()).collect(),
            tone: tone_period(),
            re: Vec::with_capacity(most),
            im: Vec::with_capacity(most),
            times: [0.0; SEGMENTS],
            c: Box::new([[Complex64::ZERO; SEGMENTS]; MAX_TAPS]),
        }
    }

    /// First value of the offset in radians a sample, from the window of the sequence. `lags` (at most [`MAX_PATHS`])
    /// lists the delays, from the window's start, of the paths to use.
    pub(crate) fn first(&mut self, window: &[Complex32], lags: &[isize]) -> f64 {
        let lags = &lags[..lags.len().min(MAX_PATHS)];
        self.load(window, -((window.len() / 2) as f64));
        for (l, &lag) in lags.iter().enumerate() {
            self.segments(l, lag);
        }
        let c = &self.c[..lags.len()];
        let pairs: Complex64 = c
            .iter()
            .flat_map(|row| row[FIRST_LAG..].iter().zip(row))
            .map(|(late, early)| late * early.conj())
            .sum();
        let mut omega = pairs.arg() / (FIRST_LAG * SEGMENT) as f64;
        for _ in 0..ROUNDS {
            omega += self.slope(lags.len(), omega);
        }
        omega
    }

    /// Takes samples of prefix and sequence, the first at `time`.
    fn load(&mut self, samples: &[Complex32], time: f64) {
        self.re.clear();
        self.im.clear();
        self.re.extend(samples.iter().map(|value| value.re));
        self.im.extend(samples.iter().map(|value| value.im));
        self.times = std::array::from_fn(|s| {
            let end = ((s + 1) * SEGMENT).min(samples.len()).max(s * SEGMENT + 1);
            time + (s * SEGMENT + end - 1) as f64 / 2.0
        });
    }

    /// C\[l\]: correlation of each segment with the sequence that starts at `lag` from the first sample.
    fn segments(&mut self, l: usize, lag: isize) {
        let first = (-lag).rem_euclid(self.period as isize) as usize;
        let mut row = [Complex32::ZERO; SEGMENTS];
        let chips = &self.chips[first..first + self.re.len()];
        simd::segment_dots((&self.re, &self.im), chips, SEGMENT, &mut row);
        self.c[l] = row.map(widen);
    }

    /// Slope over time, in radians a sample, of the phase that C has left when `omega` is removed: one Gauss-Newton
    /// step of max |Σ P·e^(−jω·t)|.
    fn slope(&self, paths: usize, omega: f64) -> f64 {
        let turns = self.times.map(|t| Complex64::from_polar(1.0, -omega * t));
        let mut p = [Complex64::ZERO; SEGMENTS];
        for row in &self.c[..paths] {
            let channel: Complex64 = row.iter().zip(&turns).map(|(c, turn)| c * turn).sum();
            for ((place, c), turn) in p.iter_mut().zip(row).zip(&turns) {
                *place += channel.conj() * c * turn;
            }
        }
        let sum: Complex64 = p.iter().sum();
        let back = sum.conj() / sum.norm().max(f64::MIN_POSITIVE);
        let values = p.map(|p| p * back);
        let pairs = || values.iter().zip(&self.times);
        let weight: f64 = values.iter().map(|value| value.re).sum();
        let mean = pairs().map(|(value, t)| value.re * t).sum::<f64>() / weight;
        let numerator: f64 = pairs().map(|(value, t)| (t - mean) * value.im).sum();
        let denominator: f64 = pairs().map(|(value, t)| (t - mean).powi(2) * value.re).sum();
        if denominator > 0.0 { numerator / denominator } else { 0.0 }
    }

    /// What is left of the offset, radians a sample, in the samples of a frame from which the first value was taken off:
    /// `sequence`, those of prefix and sequence, in which the strongest path's sequence starts at `start`, and `tone`,
    /// [`TONE_USED`] samples from the [`TONE_SKIP`]th on; both with the time of their first, from the instant at which the
    /// phase is kept. Also the evenness of the correlation over the sequence.
    pub(crate) fn rest(
        &mut self,
        sequence: (&[Complex32], f64),
        start: isize,
        taps: &[Tap],
        tone: Option<(&[Complex32], f64)>,
    ) -> Rest {
        let taps = &taps[..taps.len().min(MAX_TAPS)];
        self.load(sequence.0, sequence.1);
        for (l, tap) in taps.iter().enumerate() {
            self.segments(l, start + tap.delay);
        }
        // A chip more than the samples: what a neighbour's sidelobes leave of them.
        let n1 = (self.re.len() + 1) as f64;
        let mut model = Model::new(taps, n1, tone.is_some());
        let (mut segments, time) = match tone {
            Some((samples, time)) => (self.tone_segments(samples), time),
            None => ([Complex64::ZERO; TONE_SEGMENTS], 0.0),
        };
        let middle = (TONE_SEGMENT - 1) as f64 / 2.0;
        let tone_times: [f64; TONE_SEGMENTS] =
            std::array::from_fn(|s| time + (s * TONE_SEGMENT) as f64 + middle);
        let mut omega = 0.0;
        for _ in 0..NEWTON_STEPS {
            let tone = moments(&segments, &tone_times);
            for (l, row) in self.c[..taps.len()].iter().enumerate() {
                model.set(l, moments(row, &self.times), tone);
            }
            let step = model.newton_step().clamp(-0.5 / HALF, 0.5 / HALF);
            omega += step;
            if step.abs() * HALF < 0.02 {
                break;
            }
            for row in &mut self.c[..taps.len()] {
                turn(row, &self.times, step);
            }
            turn(&mut segments, &tone_times, step);
        }
        Rest { omega, evenness: self.evenness(&model.channel[..taps.len()]) }
    }

    fn tone_segments(&self, samples: &[Complex32]) -> [Complex64; TONE_SEGMENTS] {
        std::array::from_fn(|s| {
            let first = s * TONE_SEGMENT;
            let place = TONE_SKIP + first;
            let sum: Complex32 = samples[first..first + TONE_SEGMENT]
                .iter()
                .enumerate()
                .map(|(i, r)| r * self.tone[(place + i) % TONE_PERIOD].conj())
                .sum();
            widen(sum)
        })
    }

    /// (Σ P)²/(n·Σ P²) over the segments' shares P of the fit: 1 when all segments agree.
    fn evenness(&self, channel: &[Complex64]) -> f32 {
        let whole = self.re.len() / SEGMENT;
        let (mut sum, mut squares) = (0.0, 0.0);
        for s in 0..whole {
            let share: f64 =
                self.c.iter().zip(channel).map(|(row, h)| (h.conj() * row[s]).re).sum();
            sum += share;
            squares += share * share;
        }
        let evenness = sum.max(0.0).powi(2) / (whole as f64 * squares);
        evenness as f32
    }
}

/// What [`CfoEstimator::rest`] finds.
pub(crate) struct Rest {
    /// Rest of the offset, radians a sample.
    pub(crate) omega: f64,
    /// How evenly the sequence fits over its length, 0 to 1.
    pub(crate) evenness: f32,
}

/// Σ x, Σ −j·t·x and Σ −t²·x: a sum of turning phasors and its derivatives by the turn.
type Moments = [Complex64; 3];

fn moments(x: &[Complex64], times: &[f64]) -> Moments {
    let mut sums = [Complex64::ZERO; 3];
    for (x, &t) in x.iter().zip(times) {
        sums[0] += x;
        sums[1] += x * t;
        sums[2] -= x * (t * t);
    }
    sums[1] *= -Complex64::I;
    sums
}

fn turn(x: &mut [Complex64], times: &[f64], omega: f64) {
    for (x, t) in x.iter_mut().zip(times) {
        *x *= Complex64::from_polar(1.0, -omega * t);
    }
}

/// The Gaussian model of the taps, A and b of the module's text.
struct Model {
    /// v.
    steering: [Complex64; MAX_TAPS],
    /// 1/(N + σ²/λ).
    inverse: [f64; MAX_TAPS],
    /// N_T/(1 + N_T·Σ|v|²/D).
    tone: f64,
    /// b, its first and its second derivative.
    b: [[Complex64; MAX_TAPS]; 3],
    /// A⁻¹·b: the channel.
    channel: [Complex64; MAX_TAPS],
}

impl Model {
    fn new(taps: &[Tap], n1: f64, with_tone: bool) -> Self {
        let mut model = Self {
            steering: [Complex64::ZERO; MAX_TAPS],
            inverse: [0.0; MAX_TAPS],
            tone: 0.0,
            b: [[Complex64::ZERO; MAX_TAPS]; 3],
            channel: [Complex64::ZERO; MAX_TAPS],
        };
        for (l, tap) in taps.iter().enumerate() {
            let turn = -std::f64::consts::TAU * tap.delay as f64 / TONE_PERIOD as f64;
            model.steering[l] = Complex64::from_polar(1.0, turn);
            model.inverse[l] = 1.0 / (n1 + 1.0 / tap.variance.max(1e-9));
        }
        if with_tone {
            let used = TONE_USED as f64;
            model.tone = used / (1.0 + used * model.inverse.iter().sum::<f64>());
        }
        model
    }

    fn set(&mut self, l: usize, sequence: Moments, tone: Moments) {
        for (k, b) in self.b.iter_mut().enumerate() {
            b[l] = sequence[k] + self.steering[l].conj() * tone[k];
        }
    }

    /// A⁻¹·b, by the formula of Sherman and Morrison.
    fn solve(&self, b: &[Complex64; MAX_TAPS]) -> [Complex64; MAX_TAPS] {
        let mut x = [Complex64::ZERO; MAX_TAPS];
        let mut response = Complex64::ZERO;
        for l in 0..MAX_TAPS {
            x[l] = b[l] * self.inverse[l];
            response += self.steering[l] * x[l];
        }
        for l in 0..MAX_TAPS {
            x[l] -= self.steering[l].conj() * response * (self.tone * self.inverse[l]);
        }
        x
    }

    /// −L′/L″ at 0.
    fn newton_step(&mut self) -> f64 {
        let inner = |a: &[Complex64; MAX_TAPS], b: &[Complex64; MAX_TAPS]| -> f64 {
            a.iter().zip(b).map(|(a, b)| (a.conj() * b).re).sum()
        };
        self.channel = self.solve(&self.b[0]);
        let first = 2.0 * inner(&self.b[1], &self.channel);
        let second =
            2.0 * (inner(&self.b[2], &self.channel) + inner(&self.b[1], &self.solve(&self.b[1])));
        // Not concave: far from the maximum, where one step of half the width leads nearer.
        if second < 0.0 { -first / second } else { 0.5 / HALF * first.signum() }
    }
}
