//! Faults that change the values of samples.

use super::{Fault, FaultKind};
use crate::SAMPLE_RATE_HZ;
use crate::math::cos_sin_turns;
use crate::noise;
use crate::radio::Radio;
use num_complex::Complex32;

/// Bursts of interference are this long (1 ms) ...
const BURST: u64 = 20_000;
/// ... and begin so many samples apart.
const BURST_PERIOD: u64 = 100_003;
/// The tone's place: 1.27 MHz above the carrier, not on the grid of the carriers' 312.5 kHz.
const TONE_TURNS: f64 = 1.27e6 / SAMPLE_RATE_HZ;
/// Degrees of phase imbalance for each dB of gain imbalance.
const IQ_DEGREES_PER_DB: f32 = 3.0;

impl Fault {
    /// Changes the values of samples, the first of them at air time `time`.
    pub(super) fn distort(&self, time: u64, samples: &mut [Complex32], full_scale: f32) {
        let begin = self.from.saturating_sub(time).min(samples.len() as u64) as usize;
        let end = self.to.saturating_sub(time).min(samples.len() as u64) as usize;
        let time = time + begin as u64;
        let samples = &mut samples[begin..end.max(begin)];
        let amplitude = |db: f64| 10f64.powf(db / 20.0) as f32;
        let clip = |x: f32, level: f32| x.clamp(-level, level);
        match self.kind {
            FaultKind::Clip(level) => {
                for s in samples {
                    *s = Complex32::new(clip(s.re, level as f32), clip(s.im, level as f32));
                }
            }
            FaultKind::Gain(db) => {
                let gain = amplitude(db);
                for s in samples {
                    *s = Complex32::new(
                        clip(s.re * gain, full_scale),
                        clip(s.im * gain, full_scale),
                    );
                }
            }
            FaultKind::Dc(level) => {
                let offset = Complex32::new(0.8, 0.6) * level as f32;
                samples.iter_mut().for_each(|s| *s += offset);
            }
            FaultKind::Iq(db) => {
                let (gain, phase) = (amplitude(db), (db as f32 * IQ_DEGREES_PER_DB).to_radians());
                for s in samples {
                    s.im = gain * (s.im * phase.cos() + s.re * phase.sin());
                }
            }
            FaultKind::Cfo(hz) => {
                for (i, s) in samples.iter_mut().enumerate() {
                    *s *= turn(hz / SAMPLE_RATE_HZ, time + i as u64);
                }
            }
            FaultKind::Tone(db) => {
                let level = amplitude(db);
                for (i, s) in samples.iter_mut().enumerate() {
                    *s += turn(TONE_TURNS, time + i as u64) * level;
                }
            }
            FaultKind::Burst(db) => {
                let level = amplitude(db) * std::f32::consts::FRAC_1_SQRT_2;
                let mut noise = Vec::new();
                noise::fill(self.from, Radio::Eve, time..time + samples.len() as u64, &mut noise);
                for (i, (s, n)) in samples.iter_mut().zip(&noise).enumerate() {
                    if (time + i as u64 - self.from) % BURST_PERIOD < BURST {
                        *s += n * level;
                    }
                }
            }
            _ => {}
        }
    }
}

/// A unit vector after `t` samples of `turns` each.
fn turn(turns: f64, t: u64) -> Complex32 {
    let angle = turns * t as f64;
    let (cos, sin) = cos_sin_turns((angle - angle.round()) as f32);
    Complex32::new(cos, sin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_changed_as_named_and_only_while_the_fault_lasts() {
        let run = |text: &str, x: Complex32| {
            let mut samples = vec![x; 60_000];
            text.parse::<Fault>().unwrap().distort(0, &mut samples, 8.0);
            assert_eq!((samples[0], samples[59_999]), (x, x), "{text}");
            samples[20_000..40_000].to_vec()
        };
        let one = Complex32::new(1.0, -0.5);
        let power = |samples: &[Complex32]| {
            samples.iter().map(|s| s.norm_sqr()).sum::<f32>() / samples.len() as f32
        };
        assert_eq!(run("gain=20@0.001..0.002", one)[5], Complex32::new(8.0, -5.0));
        assert_eq!(run("clip=0.25@0.001..0.002", one)[5], Complex32::new(0.25, -0.25));
        let moved = run("dc=0.5@0.001..0.002", one)[5] - Complex32::new(1.4, -0.2);
        assert!(moved.norm() < 1e-6);
        let tone = run("tone=30@0.001..0.002", Complex32::ZERO);
        assert!((power(&tone) - 1000.0).abs() < 1.0);
        let noise = run("burst=30@0.001..0.002", Complex32::ZERO);
        assert!((power(&noise) - 1000.0).abs() < 60.0, "{}", power(&noise));
        let turned = run("cfo=50000@0.001..0.002", Complex32::ONE);
        assert!((turned[100] / turned[0]).arg().abs() - std::f32::consts::FRAC_PI_2 < 1e-3);
    }
}
