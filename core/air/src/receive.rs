//! What a radio's converter delivers: bursts through the channel, noise, interference.

use std::ops::Range;
use std::sync::Arc;

use num_complex::Complex32;

use crate::SAMPLE_RATE_HZ;
use crate::fir::{self, LEAD, RESPONSE};
use crate::math::{cos_sin_turns, round};
use crate::noise;
use crate::radio::Radio;
use crate::random::{Purpose, normal_pair, stream};
use crate::simd;
use crate::world::{World, direction};

/// Samples from the start of a burst at the sender to the arrival of its first path at a receiver.
pub const PATH_DELAY: u64 = LEAD as u64;
/// A burst of n samples is heard for n + this many samples.
pub const RESPONSE_SAMPLES: u64 = RESPONSE as u64 - 1;

/// Output samples that are worked on at a time.
pub(crate) const CHUNK: usize = 256;
/// Real and imaginary parts of a chunk.
pub(crate) type Chunk = [[f32; CHUNK]; 2];
/// Real and imaginary parts of what a chunk is made of.
pub(crate) type Input = [[f32; CHUNK + RESPONSE]; 2];
/// Samples between the nodes of the phase noise.
const NODE: usize = 64;
/// Taps below this share of the response's power are left out at its ends.
const NEGLIGIBLE: f32 = 1e-8;

/// A transmission as it leaves the antenna of one radio.
#[derive(Clone, Debug)]
pub struct Burst {
    /// Air time of its first sample.
    pub start: u64,
    /// The radio that transmits the burst.
    pub tx: Radio,
    /// What is sent; mean power 1 by convention.
    pub samples: Arc<[Complex32]>,
}

impl Burst {
    /// Air times at which anything of the burst may be heard.
    pub fn heard(&self) -> Range<u64> {
        self.start..self.start.saturating_add(self.samples.len() as u64 + RESPONSE_SAMPLES)
    }
}

/// Memory that is kept between calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scratch {
    stretches: Vec<(u64, f32)>,
    order: Vec<usize>,
}

impl World {
    /// Samples `range` of what `rx` receives, into `out` (cleared first).
    ///
    /// `bursts` must hold every burst of other radios whose [`Burst::heard`] overlaps `range`, in any order; more
    /// does no harm and `rx`'s own are skipped. The taps stand still during a burst, at their values at its start.
    /// Any split of a range gives the same samples.
    pub fn receive(
        &mut self,
        rx: Radio,
        range: Range<u64>,
        bursts: &[Burst],
        out: &mut Vec<Complex32>,
    ) {
        let mut scratch = std::mem::take(&mut self.scratch);
        noise::fill(self.seed, rx, range.clone(), out);
        self.interference.stretches(rx, range.clone(), &mut scratch.stretches);
        let mut from = 0;
        for &(end, power) in &scratch.stretches {
            let to = (end - range.start.min(end)) as usize;
            let sigma = (self.noise_power * (1.0 + power) / 2.0).sqrt();
            out[from..to].iter_mut().for_each(|sample| *sample *= sigma);
            from = to;
        }
        scratch.order.clear();
        scratch.order.extend((0..bursts.len()).filter(|&i| {
            let heard = bursts[i].heard();
            bursts[i].tx != rx && heard.start < range.end && heard.end > range.start
        }));
        scratch.order.sort_by_key(|&i| (bursts[i].start, bursts[i].tx));
        for &i in &scratch.order {
            self.add(rx, range.start, &bursts[i], out);
        }
        self.convert(out);
        self.scratch = scratch;
    }

    /// Adds what is heard of a burst to `out`, whose first sample is `origin`.
    fn add(&mut self, rx: Radio, origin: u64, burst: &Burst, out: &mut [Complex32]) {
        let taps = self.taps(burst.tx, rx, burst.start);
        let (gain, delay) = self.reception(burst.tx, rx, burst.start);
        let [sender, receiver] = [burst.tx, rx].map(|r| &self.hardware[r.index()].ripple);
        let response = fir::response(sender, receiver, &delay, &taps).map(|tap| tap * gain);
        let (first, response) = trim(&response);

        let mut rotation = Rotation::new(self, burst.tx, rx, burst.start);
        let heard = burst.samples.len() + RESPONSE - 1;
        // Times below are relative to the burst's start.
        let begin = origin.saturating_sub(burst.start) as usize;
        let end =
            (origin + out.len() as u64).saturating_sub(burst.start).min(heard as u64) as usize;
        let mut input = silence();
        for at in (0..end).step_by(CHUNK) {
            let turn = rotation.next();
            if at + CHUNK <= begin {
                continue;
            }
            // input[i] is sample at - first - (RESPONSE - 1) + i of the burst.
            let offset = at as isize - first as isize - (RESPONSE as isize - 1);
            load(&mut input, &burst.samples, offset);
            let [re, im] = simd::convolve(&input, response);
            let low = at.max(begin);
            let high = (at + CHUNK).min(end);
            let place = (burst.start + low as u64 - origin) as usize;
            let target = &mut out[place..place + (high - low)];
            for (i, sample) in (low - at..high - at).zip(target) {
                let (c, s) = (turn[0][i], turn[1][i]);
                sample.re += re[i] * c - im[i] * s;
                sample.im += re[i] * s + im[i] * c;
            }
        }
    }

    /// Analog-to-digital conversion: clips and rounds.
    fn convert(&self, out: &mut [Complex32]) {
        let full = self.config.adc_full_scale as f32;
        let step = full / (1u32 << (self.config.adc_bits - 1)) as f32;
        simd::convert(out, full, step);
    }
}

/// Rounds to multiples of `step` within ±`full`.
#[inline(always)]
pub(crate) fn convert(out: &mut [Complex32], full: f32, step: f32) {
    let per_step = 1.0 / step;
    let convert = |x: f32| round(x.clamp(-full, full - step) * per_step) * step;
    for sample in out {
        *sample = Complex32::new(convert(sample.re), convert(sample.im));
    }
}

/// An input of zeros: what the receiver gets while no radio transmits.
pub(crate) fn silence() -> Input {
    [[0.0; CHUNK + RESPONSE]; 2]
}

/// The samples from `offset` on, zero where there are none.
fn load(input: &mut Input, samples: &[Complex32], offset: isize) {
    let skip = usize::try_from(-offset).unwrap_or(0).min(CHUNK + RESPONSE);
    let from = usize::try_from(offset).unwrap_or(0).min(samples.len());
    let len = (samples.len() - from).min(CHUNK + RESPONSE - skip);
    let [re, im] = input;
    for part in [&mut *re, &mut *im] {
        part[..skip].fill(0.0);
        part[skip + len..].fill(0.0);
    }
    let parts = re[skip..].iter_mut().zip(&mut im[skip..]);
    for ((re, im), x) in parts.zip(&samples[from..from + len]) {
        (*re, *im) = (x.re, x.im);
    }
}

/// Leaves out what is negligible at both ends; returns the number of taps dropped in front.
fn trim(response: &[Complex32]) -> (usize, &[Complex32]) {
    let floor = NEGLIGIBLE * response.iter().map(|tap| tap.norm_sqr()).sum::<f32>();
    let matters = |tap: &Complex32| tap.norm_sqr() > floor;
    let first = response.iter().position(matters).unwrap_or(0);
    let last = response.iter().rposition(matters).unwrap_or(0);
    (first, &response[first..=last])
}

/// `out[i] = Σₘ response[m]·input[i + RESPONSE - 1 - m]`, m ascending.
#[inline(always)]
pub(crate) fn convolve(input: &Input, response: &[Complex32]) -> Chunk {
    let mut re = [0.0f32; CHUNK];
    let mut im = [0.0f32; CHUNK];
    for (m, tap) in response.iter().enumerate() {
        let skip = RESPONSE - 1 - m;
        let (xr, xi) = (&input[0][skip..skip + CHUNK], &input[1][skip..skip + CHUNK]);
        for i in 0..CHUNK {
            re[i] += tap.re * xr[i] - tap.im * xi[i];
            im[i] += tap.re * xi[i] + tap.im * xr[i];
        }
    }
    [re, im]
}

/// The phase between two oscillators during a burst, chunk after chunk: frequency offset and a random walk whose
/// nodes lie [`NODE`] samples apart.
struct Rotation {
    rng: rand_xoshiro::Xoshiro256PlusPlus,
    /// Turns at the next sample.
    turns: f64,
    turns_per_sample: f64,
    /// Standard deviation in turns of a step between nodes.
    step: f32,
}

impl Rotation {
    fn new(world: &World, tx: Radio, rx: Radio, start: u64) -> Self {
        // A line of width β widens the phase by 2πβt rad² in the time t.
        let seconds = NODE as f64 / SAMPLE_RATE_HZ;
        let radians = (std::f64::consts::TAU * world.config.phase_noise_hz * seconds).sqrt();
        Self {
            rng: stream(world.seed, Purpose::Phase, direction(tx, rx), start),
            turns: f64::from(world.start_phase(tx, rx, start)),
            turns_per_sample: world.cfo_hz(tx, rx) / SAMPLE_RATE_HZ,
            step: (radians / std::f64::consts::TAU) as f32,
        }
    }

    /// Cosines and sines of the next chunk.
    fn next(&mut self) -> Chunk {
        let mut starts = [0.0f32; CHUNK / NODE];
        let mut slopes = [0.0f32; CHUNK / NODE];
        for (start, slope) in starts.iter_mut().zip(&mut slopes) {
            let [walk, _] = normal_pair(&mut self.rng);
            let exact = self.turns_per_sample + f64::from(walk * self.step) / NODE as f64;
            (*start, *slope) = ((self.turns - self.turns.round()) as f32, exact as f32);
            self.turns += exact * NODE as f64;
        }
        simd::turns(&starts, &slopes)
    }
}

/// Cosines and sines of phases in turns that go on in a line from each of `starts`.
#[inline(always)]
pub(crate) fn turns(starts: &[f32], slopes: &[f32]) -> Chunk {
    let mut cos = [0.0f32; CHUNK];
    let mut sin = [0.0f32; CHUNK];
    let nodes = cos.chunks_exact_mut(NODE).zip(sin.chunks_exact_mut(NODE));
    for ((cos, sin), (start, slope)) in nodes.zip(starts.iter().zip(slopes)) {
        for i in 0..NODE {
            (cos[i], sin[i]) = cos_sin_turns(start + slope * i as f32);
        }
    }
    [cos, sin]
}
