//! A sounding frame through a fading channel, for tests and for the example `sounding_standard`.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::f64::consts::TAU;

use crqkd_sounding::{
    Direction, Estimate, FrameKind, Header, MAX_INDEX, MAX_WINDOW, PEAK_TAP, PayloadShape,
    SAMPLE_RATE_HZ, TAPS,
};
use num_complex::{Complex32, Complex64};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

/// Paths of the channel.
pub const PATHS: usize = 16;
/// Decay of the mean power over the paths, samples: 100 ns.
pub const DECAY: f64 = 2.0;
/// Largest carrier offset, Hz.
pub const MAX_CFO_HZ: f64 = 6500.0;

/// A complex Gaussian number of unit mean power.
pub fn gaussian(rng: &mut impl Rng) -> Complex32 {
    let mut draw = || -> f32 { StandardNormal.sample(rng) };
    Complex32::new(draw(), draw()) * std::f32::consts::FRAC_1_SQRT_2
}

/// White noise of the given power.
pub fn noise(len: usize, power: f32, rng: &mut impl Rng) -> Vec<Complex32> {
    let amplitude = power.sqrt();
    (0..len).map(|_| gaussian(rng) * amplitude).collect()
}

/// What one frame went through.
#[derive(Clone, Debug)]
pub struct Truth {
    /// Sample at which path 0 begins.
    pub start: u64,
    pub cfo_hz: f64,
    pub taps: [Complex32; PATHS],
}

impl Truth {
    /// Rayleigh paths of exponential profile, scaled to ‖h‖² = `power`; carrier offset uniform.
    pub fn draw(start: u64, power: f32, rng: &mut impl Rng) -> Self {
        let mut taps: [Complex32; PATHS] =
            std::array::from_fn(|l| gaussian(rng) * (-(l as f64) / (2.0 * DECAY)).exp() as f32);
        let sum: f32 = taps.iter().map(|tap| tap.norm_sqr()).sum();
        taps.iter_mut().for_each(|tap| *tap *= (power / sum).sqrt());
        Self { start, cfo_hz: rng.random_range(-MAX_CFO_HZ..MAX_CFO_HZ), taps }
    }

    /// Sample at which the strongest path begins.
    pub fn strongest(&self) -> u64 {
        let power = |&l: &usize| self.taps[l].norm_sqr();
        let best = (0..PATHS).max_by(|a, b| power(a).total_cmp(&power(b))).unwrap();
        self.start + best as u64
    }

    /// Adds the burst as received to `samples`, the first of which has air time `first`; what lies outside is lost.
    pub fn receive(&self, burst: &[Complex32], first: u64, samples: &mut [Complex32]) {
        let omega = TAU * self.cfo_hz / SAMPLE_RATE_HZ;
        let step = Complex64::from_polar(1.0, omega);
        let mut turn = Complex64::ONE;
        for n in 0..burst.len() + PATHS - 1 {
            let mut sum = Complex32::ZERO;
            for l in n.saturating_sub(burst.len() - 1)..=n.min(PATHS - 1) {
                sum += self.taps[l] * burst[n - l];
            }
            let time = self.start + n as u64;
            let phasor = Complex32::new(turn.re as f32, turn.im as f32);
            if let Some(place) = time.checked_sub(first).and_then(|i| samples.get_mut(i as usize)) {
                *place += sum * phasor;
            }
            turn *= step;
        }
    }

    /// ‖ĥ − h‖²/‖h‖² after removing one common phase.
    pub fn channel_nmse(&self, estimate: &Estimate) -> f64 {
        let mut expected = [Complex32::ZERO; TAPS];
        let mut outside = 0.0;
        for (l, tap) in self.taps.iter().enumerate() {
            let place = self.start as i64 + l as i64 - estimate.start as i64 + PEAK_TAP as i64;
            match usize::try_from(place).ok().and_then(|p| expected.get_mut(p)) {
                Some(place) => *place = *tap,
                None => outside += tap.norm_sqr(),
            }
        }
        let pairs = || estimate.cir.iter().zip(&expected);
        let common: Complex32 = pairs().map(|(h, e)| e * h.conj()).sum();
        let turn = common / common.norm();
        let error: f32 = pairs().map(|(h, e)| (h * turn - e).norm_sqr()).sum();
        let power: f32 = self.taps.iter().map(|tap| tap.norm_sqr()).sum();
        f64::from((error + outside) / power)
    }
}

/// A header with random fields.
pub fn random_header(control: usize, cipher: usize, rng: &mut impl Rng) -> Header {
    Header {
        epoch: rng.random(),
        window: rng.random_range(0..=MAX_WINDOW),
        index: rng.random_range(0..=MAX_INDEX),
        direction: if rng.random() { Direction::Forward } else { Direction::Reverse },
        sender: rng.random(),
        kind: if rng.random() { FrameKind::Probe } else { FrameKind::Control },
        gain: rng.random(),
        follow: rng.random(),
        more: rng.random(),
        payload: PayloadShape::of(control, cipher).unwrap(),
    }
}

/// Random bits, one a byte.
pub fn random_bits(len: usize, rng: &mut impl Rng) -> Vec<u8> {
    (0..len).map(|_| rng.random_range(0..2)).collect()
}
