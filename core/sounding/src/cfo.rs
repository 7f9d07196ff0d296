//! Carrier frequency offset: a first value from a few strong paths, then the rest from the whole waveform.
//!
//! First, the M-sequence is cut into segments. C\[t\]\[s\], the correlation of segment s with the sequence delayed as path
//! t, turns over s with the offset. With the channel ĥ\[t\] = Σₛ C\[t\]\[s\]·e^(−jω·t_s) of the present ω, the slope of the
//! phase of P\[s\] = Σₜ ĥ\[t\]*·C\[t\]\[s\] corrects ω.
//!
//! When this offset is off and the channel is estimated, P\[s\] = Σ r·x̂* with the expected waveform x̂ of all paths, over
//! segments of sequence and tone, gives what is left: maximum likelihood, but for the channel's error at the tone's
//! frequency, for which the tone's weight is lowered.

use num_complex::{Complex32, Complex64};

use crate::layout::{PEAK_TAP, SEQUENCE_LEN, TONE_LEN, TONE_PERIOD};
use crate::rotate::widen;
use crate::waveform::sequence_chips;

/// Samples of a segment.
const SEGMENT: usize = 64;
const SEGMENTS: usize = SEQUENCE_LEN.div_ceil(SEGMENT);
/// First tone sample used, and segments: every path within the estimate has arrived, and none has ended.
const TONE_SKIP: usize = 24;
const TONE_SEGMENT: usize = 32;
const TONE_SEGMENTS: usize = (TONE_LEN - TONE_SKIP - PEAK_TAP) / TONE_SEGMENT;
/// Distance, in segments, of the pairs that give the first value: unambiguous within ±19.5 kHz.
const FIRST_LAG: usize = 8;
const ROUNDS: usize = 2;

/// Most paths used for the first value.
pub(crate) const MAX_PATHS: usize = 8;

/// Finds the offset of one frame.
pub(crate) struct CfoEstimator {
    /// Chips of two periods.
    chips: Vec<f32>,
    re: Vec<f32>,
    im: Vec<f32>,
}

impl CfoEstimator {
    pub(crate) fn new() -> Self {
        let chips = sequence_chips();
        Self {
            chips: [chips, chips].concat(),
            re: vec![0.0; SEQUENCE_LEN],
            im: vec![0.0; SEQUENCE_LEN],
        }
    }

    /// First value of the offset in radians a sample, from the window of the sequence. `lags` (at most [`MAX_PATHS`])
    /// lists the delays, from the window's start, of the paths to use.
    pub(crate) fn first(&mut self, window: &[Complex32; SEQUENCE_LEN], lags: &[isize]) -> f64 {
        let lags = &lags[..lags.len().min(MAX_PATHS)];
        for ((re, im), value) in self.re.iter_mut().zip(&mut self.im).zip(window) {
            (*re, *im) = (value.re, value.im);
        }
        let mut c = [[Complex64::ZERO; SEGMENTS]; MAX_PATHS];
        for (row, &lag) in c.iter_mut().zip(lags) {
            self.segments(lag, row);
        }
        let c = &c[..lags.len()];

        let pairs: Complex64 = c
            .iter()
            .flat_map(|row| row[FIRST_LAG..].iter().zip(row))
            .map(|(late, early)| late * early.conj())
            .sum();
        let mut omega = pairs.arg() / (FIRST_LAG * SEGMENT) as f64;
        for _ in 0..ROUNDS {
            omega += slope(&phasors(c, omega));
        }
        omega
    }

    /// Correlation of each segment of the window with the sequence delayed by `lag` from the window's start.
    fn segments(&self, lag: isize, row: &mut [Complex64; SEGMENTS]) {
        let first = (-lag).rem_euclid(SEQUENCE_LEN as isize) as usize;
        let chips = &self.chips[first..first + SEQUENCE_LEN];
        let parts = self.re.chunks(SEGMENT).zip(self.im.chunks(SEGMENT)).zip(chips.chunks(SEGMENT));
        for (place, ((re, im), chips)) in row.iter_mut().zip(parts) {
            *place = Complex64::new(dot(re, chips).into(), dot(im, chips).into());
        }
    }
}

/// What is left of the offset in the window of the sequence, from which `omega` was taken off, and in the tone.
/// `expected` is the window without noise.
pub(crate) fn rest(
    window: &[Complex32; SEQUENCE_LEN],
    expected: &[Complex32; SEQUENCE_LEN],
    tone: &Tone<'_>,
    omega: f64,
) -> f64 {
    let mut result = [Phasor::default(); SEGMENTS + TONE_SEGMENTS];
    let parts = window.chunks(SEGMENT).zip(expected.chunks(SEGMENT));
    for (s, (place, (r, x))) in result.iter_mut().zip(parts).enumerate() {
        let value: Complex32 = r.iter().zip(x).map(|(r, x)| r * x.conj()).sum();
        *place = Phasor { value: widen(value), time: segment_time(s) };
    }
    for (s, place) in result[SEGMENTS..].iter_mut().enumerate() {
        *place = tone.phasor(s, omega);
    }
    slope(&result)
}

/// The tone of a frame and what the channel does to it.
pub(crate) struct Tone<'a> {
    /// One period as sent.
    pub(crate) period: &'a [Complex32; TONE_PERIOD],
    /// Received samples from the tone's first on the strongest path.
    pub(crate) samples: &'a [Complex32],
    /// Time of the first of them, from the middle of the sequence's window.
    pub(crate) time: f64,
    /// Response of the channel at the tone's frequency.
    pub(crate) response: Complex32,
    /// Variance of the response's error in units of σ².
    pub(crate) response_error: f32,
}

impl Tone<'_> {
    fn phasor(&self, s: usize, omega: f64) -> Phasor {
        let first = TONE_SKIP + s * TONE_SEGMENT;
        let value: Complex32 = self.samples[first..first + TONE_SEGMENT]
            .iter()
            .enumerate()
            .map(|(i, r)| r * self.period[(first + i) % TONE_PERIOD].conj())
            .sum();
        let time = self.time + first as f64 + (TONE_SEGMENT - 1) as f64 / 2.0;
        // The error of the response is common to all segments of the tone, whose own noise averages out.
        let weight = 1.0 / (1.0 + self.response_error * (TONE_SEGMENTS * TONE_SEGMENT) as f32);
        let value = widen(value * self.response.conj() * weight);
        Phasor { value: value * Complex64::from_polar(1.0, -omega * time), time }
    }
}

/// A correlation with the expected waveform, and its time from the middle of the sequence's window in samples.
#[derive(Clone, Copy, Default)]
struct Phasor {
    value: Complex64,
    time: f64,
}

/// Time of sequence segment `s`.
fn segment_time(s: usize) -> f64 {
    let end = ((s + 1) * SEGMENT).min(SEQUENCE_LEN);
    (s * SEGMENT + end - 1) as f64 / 2.0 - (SEQUENCE_LEN - 1) as f64 / 2.0
}

/// The phasors of all segments after removal of `omega`.
fn phasors(c: &[[Complex64; SEGMENTS]], omega: f64) -> [Phasor; SEGMENTS] {
    let turns: [Complex64; SEGMENTS] =
        std::array::from_fn(|s| Complex64::from_polar(1.0, -omega * segment_time(s)));
    let mut result = [Phasor::default(); SEGMENTS];
    for row in c {
        let channel: Complex64 = row.iter().zip(&turns).map(|(c, turn)| c * turn).sum();
        for (place, c) in result.iter_mut().zip(row) {
            place.value += channel.conj() * c;
        }
    }
    for (s, place) in result.iter_mut().enumerate() {
        place.value *= turns[s];
        place.time = segment_time(s);
    }
    result
}

/// Slope of the phasors' phase over time, in radians a sample: one Gauss-Newton step of max |Σ P·e^(−jω·t)|.
fn slope(phasors: &[Phasor]) -> f64 {
    let sum: Complex64 = phasors.iter().map(|p| p.value).sum();
    let back = sum.conj() / sum.norm().max(f64::MIN_POSITIVE);
    let (mut weight, mut moment) = (0.0, 0.0);
    for p in phasors {
        let energy = (p.value * back).re;
        weight += energy;
        moment += energy * p.time;
    }
    let mean = moment / weight;
    let (mut numerator, mut denominator) = (0.0, 0.0);
    for p in phasors {
        let value = p.value * back;
        numerator += (p.time - mean) * value.im;
        denominator += (p.time - mean).powi(2) * value.re;
    }
    if denominator > 0.0 { numerator / denominator } else { 0.0 }
}

/// Σ a·b in eight interleaved partial sums.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    let (a8, b8) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a8.remainder().iter().zip(b8.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a8.zip(b8) {
        for i in 0..LANES {
            sums[i] += a[i] * b[i];
        }
    }
    sums.iter().sum::<f32>() + rest
}
