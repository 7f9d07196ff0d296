//! Plane waves, line of sight and shadowing of one link while one geometry lasts.
//!
//! ```text
//! tap l:   hₗ(t) = √(pₗ(1−m)/16) Σ₁₆ e^{j2π(φ + ν·t)}   waves from things that stand still
//!                + √(pₗ m/8)     Σ₈  e^{j2π(φ + ν·t)}   waves from things that move
//! ```
//!
//! `pₗ` decays exponentially with the delay; ν is the Doppler shift that the user's movement (and the thing's own)
//! gives to a wave of that angle. Eve sees the same waves from a place 0.3 m away, so each phase is shifted by that
//! distance along the wave: how much her channel resembles the user's emerges, it is not set.

use std::f64::consts::TAU;

use num_complex::Complex32;
use rand::Rng;

use crate::SAMPLE_RATE_HZ;
use crate::config::AirConfig;
use crate::math::{amplitude, cos_sin_turns};
use crate::random::{Purpose, stream};

/// Taps of the channel, one sample (50 ns) apart.
pub const TAPS: usize = 16;
/// Lanes that are summed side by side.
const LANES: usize = 8;
/// Groups of lanes a tap: two of waves from things that stand still, one of waves from things that move.
const GROUPS: usize = 3;
/// Waves that are summed for one tap.
const WAVES: usize = LANES * GROUPS;
/// Waves that make up the shadowing.
const SHADOW_WAVES: usize = 16;
/// Taps below this share of the scattered power are left out.
const NEGLIGIBLE: f64 = 1e-5;

/// Which two places a link joins; both directions of a link are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    QapUser,
    QapEve,
    UserEve,
}

/// Phase and Doppler shift of eight waves, in turns and turns a second.
#[derive(Clone, Copy, Debug, Default)]
struct Waves {
    phase: [f32; LANES],
    doppler: [f32; LANES],
}

impl Waves {
    /// Sum of the waves at `t` seconds.
    #[inline(always)]
    fn sum(&self, t: f32) -> [[f32; LANES]; 2] {
        let mut re = [0.0; LANES];
        let mut im = [0.0; LANES];
        for i in 0..LANES {
            (re[i], im[i]) = cos_sin_turns(self.phase[i] + self.doppler[i] * t);
        }
        [re, im]
    }
}

/// One link during one geometry.
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    /// Groups of waves of the taps in use.
    taps: Vec<[Waves; GROUPS]>,
    /// Amplitude of one wave that stands still, and of one that moves, for each tap.
    amplitudes: Vec<[f32; 2]>,
    /// Phase in turns, Doppler in turns a second, amplitude.
    sight: [f32; 3],
    shadow: Shadow,
}

impl Geometry {
    /// The link during the `epoch`th geometry of the world `seed`.
    pub(crate) fn new(config: &AirConfig, seed: u64, link: Link, epoch: u64) -> Self {
        let wavelength = config.wavelength_m();
        // User and Eve look at the same waves; the link between these two has its own.
        let family = u64::from(link == Link::UserEve);
        let mut rng = stream(seed, Purpose::Geometry, family, epoch);
        let user_doppler = config.speed_m_per_s / wavelength;
        let thing_doppler = 2.0 * config.moving_speed_m_per_s / wavelength;
        let eve_angle = rng.random_range(0.0..TAU);
        let eve_turns = match link {
            Link::QapEve => config.eve_distance_m / wavelength,
            _ => 0.0,
        };
        let k = config.rician_k;
        let angle: f64 = rng.random_range(0.0..TAU);
        let sight = [
            (rng.random_range(0.0..1.0) + eve_turns * (angle - eve_angle).cos()) as f32,
            (user_doppler * angle.cos()) as f32,
            (k / (k + 1.0)).sqrt() as f32,
        ];
        let mut taps = Vec::new();
        let mut amplitudes = Vec::new();
        for power in profile(config.delay_spread_ns) {
            let power = power / (k + 1.0);
            let still = power * (1.0 - config.moving_share) / (WAVES - LANES) as f64;
            let moving = power * config.moving_share / LANES as f64;
            amplitudes.push([still.sqrt() as f32, moving.sqrt() as f32]);
            taps.push(std::array::from_fn(|group| {
                let mut waves = Waves::default();
                let moving = group + 1 == GROUPS;
                for i in 0..LANES {
                    // One wave from each of 16 sectors (8 for things that move): scatterers all around.
                    let (sector, sectors) =
                        if moving { (i, LANES) } else { (i * (GROUPS - 1) + group, WAVES - LANES) };
                    let within: f64 = rng.random_range(0.0..1.0);
                    let angle = TAU * (sector as f64 + within) / sectors as f64;
                    let phase: f64 = rng.random_range(0.0..1.0);
                    let own: f64 = rng.random_range(-1.0..1.0);
                    let own = if moving { own * thing_doppler } else { 0.0 };
                    waves.phase[i] = (phase + eve_turns * (angle - eve_angle).cos()) as f32;
                    waves.doppler[i] = (user_doppler * angle.cos() + own) as f32;
                }
                waves
            }));
        }
        Self { taps, amplitudes, sight, shadow: Shadow::new(config, seed, link, epoch) }
    }

    /// Taps at `t` seconds of this geometry; returns how many are in use.
    pub(crate) fn taps(&self, t: f32, out: &mut [Complex32; TAPS]) -> usize {
        let gain = self.shadow.gain(t);
        for ((tap, groups), [still, moving]) in out.iter_mut().zip(&self.taps).zip(&self.amplitudes)
        {
            let [a, b, c] = [groups[0].sum(t), groups[1].sum(t), groups[2].sum(t)];
            let part = |i: usize| {
                let mut sums = [0.0f32; LANES];
                for j in 0..LANES {
                    sums[j] = still * (a[i][j] + b[i][j]) + moving * c[i][j];
                }
                let [s0, s1, s2, s3, s4, s5, s6, s7] = sums;
                gain * (((s0 + s4) + (s2 + s6)) + ((s1 + s5) + (s3 + s7)))
            };
            *tap = Complex32::new(part(0), part(1));
        }
        let [phase, doppler, size] = self.sight;
        let (cos, sin) = cos_sin_turns(phase + doppler * t);
        out[0] += Complex32::new(cos, sin) * (gain * size);
        out[self.taps.len()..].fill(Complex32::ZERO);
        self.taps.len()
    }
}

/// Powers of the taps in use, with sum 1.
fn profile(delay_spread_ns: f64) -> Vec<f64> {
    let spacing_ns = 1e9 / SAMPLE_RATE_HZ;
    let raw: Vec<f64> =
        (0..TAPS).map(|l| (-(l as f64) * spacing_ns / delay_spread_ns).exp()).collect();
    let total: f64 = raw.iter().sum();
    let used: Vec<f64> = raw.into_iter().filter(|p| *p >= NEGLIGIBLE * total).collect();
    let total: f64 = used.iter().sum();
    used.into_iter().map(|p| p / total).collect()
}

/// Log-normal shadowing along the way: a sum of cosines whose correlation falls as exp(-distance/d₀).
#[derive(Clone, Debug)]
struct Shadow {
    /// Groups of waves and the amplitude in dB of each wave of the group.
    groups: Vec<(Waves, f32)>,
}

impl Shadow {
    fn new(config: &AirConfig, seed: u64, link: Link, epoch: u64) -> Self {
        let size = config.shadowing_db;
        let own = match link {
            Link::QapUser => return Self::of(config, seed, epoch, &[(0, size)]),
            Link::QapEve => config.shadowing_eve_correlation,
            // 0.3 m of free space.
            Link::UserEve => return Self { groups: Vec::new() },
        };
        Self::of(config, seed, epoch, &[(0, size * own), (1, size * (1.0 - own * own).sqrt())])
    }

    /// A weighted sum of the independent processes named by number, with their standard deviations in dB.
    fn of(config: &AirConfig, seed: u64, epoch: u64, parts: &[(u64, f64)]) -> Self {
        let mut groups = Vec::new();
        for &(process, size) in parts {
            let mut rng = stream(seed, Purpose::Shadowing, process, epoch);
            let each = size * (2.0 / SHADOW_WAVES as f64).sqrt();
            for group in 0..SHADOW_WAVES / LANES {
                let mut waves = Waves::default();
                for i in 0..LANES {
                    // Spatial frequencies of an exponential correlation are Cauchy distributed; stratified draws,
                    // cut off at 20/d₀ where 3 % of the power lies beyond.
                    let stratum = (group * LANES + i) as f64;
                    let u = (stratum + rng.random_range(0.0..1.0)) / SHADOW_WAVES as f64;
                    let turns_per_m =
                        (u * TAU / 4.0).tan().min(20.0) / (TAU * config.shadowing_distance_m);
                    waves.phase[i] = rng.random_range(0.0..1.0);
                    waves.doppler[i] = (turns_per_m * config.speed_m_per_s) as f32;
                }
                groups.push((waves, each as f32));
            }
        }
        Self { groups }
    }

    fn db(&self, t: f32) -> f32 {
        self.groups
            .iter()
            .map(|(waves, size)| {
                let [s0, s1, s2, s3, s4, s5, s6, s7] = waves.sum(t)[0];
                size * (((s0 + s4) + (s2 + s6)) + ((s1 + s5) + (s3 + s7)))
            })
            .sum()
    }

    fn gain(&self, t: f32) -> f32 {
        if self.groups.is_empty() { 1.0 } else { amplitude(self.db(t)) }
    }
}
