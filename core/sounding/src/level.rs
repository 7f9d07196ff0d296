//! Samples of any level: scaled to about one, and the results scaled back.

use num_complex::Complex32;

use crate::Estimate;

/// Levels (root mean square) that need no scaling: sums of fourth powers stay within single precision.
const GOOD: std::ops::RangeInclusive<f64> = 1e-6..=1e6;

/// Scales floating-point samples whose level is far from one by a power of two, which changes no digit, and the estimates
/// back. The level is that of the first samples that are not all zero.
#[derive(Clone, Debug, Default)]
pub struct Level {
    scale: Option<f64>,
}

impl Level {
    /// Scales the next samples; those of a usual level are left as they are.
    pub fn scale(&mut self, samples: &mut [Complex32]) {
        let scale = match self.scale {
            Some(scale) => scale,
            None => {
                let square = |x: f32| f64::from(x) * f64::from(x);
                let energy: f64 = samples.iter().map(|s| square(s.re) + square(s.im)).sum();
                let rms = (energy / samples.len() as f64).sqrt();
                if !(rms > 0.0 && rms.is_finite()) {
                    return;
                }
                let scale = if GOOD.contains(&rms) { 1.0 } else { (-rms.log2().round()).exp2() };
                *self.scale.insert(scale)
            }
        };
        if scale != 1.0 {
            for s in samples {
                *s = Complex32::new(times(s.re, scale), times(s.im, scale));
            }
        }
    }

    /// By what the samples are multiplied; 1 until the first that are not zero.
    pub fn factor(&self) -> f64 {
        self.scale.unwrap_or(1.0)
    }

    /// Gives an estimate of scaled samples the units of the samples as they were. What single precision cannot hold
    /// becomes its largest or its least positive number.
    pub fn restore(&self, estimate: &mut Estimate) {
        let Some(back) = self.scale.filter(|&scale| scale != 1.0).map(f64::recip) else { return };
        for value in estimate.cir.iter_mut().chain(&mut estimate.csi) {
            *value = Complex32::new(times(value.re, back), times(value.im, back));
        }
        let power = |x: f32| times(x, back * back).clamp(f32::MIN_POSITIVE, f32::MAX);
        estimate.noise_power = power(estimate.noise_power);
        estimate.csi_noise_var = power(estimate.csi_noise_var);
    }
}

fn times(x: f32, factor: f64) -> f32 {
    (f64::from(x) * factor) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Estimator, PEAK_TAP, SoundingConfig, Synchronizer, Synthesizer};

    #[test]
    fn a_frame_is_the_same_at_every_level() {
        let mut clean = vec![Complex32::ZERO; 4000];
        let burst = Synthesizer::new().burst(None, &[], &[]).unwrap();
        for (i, (place, sample)) in clean[1000..].iter_mut().zip(&burst).enumerate() {
            // Something like noise, so that no estimate is exact.
            *place = sample + Complex32::new(((i * 37) % 11) as f32, ((i * 53) % 13) as f32) * 0.01;
        }
        let received = |amplitude: f64| {
            let mut samples: Vec<Complex32> = clean
                .iter()
                .map(|s| Complex32::new(times(s.re, amplitude), times(s.im, amplitude)))
                .collect();
            let config = SoundingConfig::default();
            let mut synchronizer = Synchronizer::new(&config).unwrap();
            let (mut level, mut frames) = (Level::default(), Vec::new());
            let (silence, rest) = samples.split_at_mut(500);
            level.scale(silence);
            level.scale(rest);
            synchronizer.process(0, &samples, &mut frames).unwrap();
            synchronizer.flush(&mut frames);
            assert_eq!(frames.len(), 1, "at {amplitude}");
            let mut estimate = Estimator::new().estimate(&frames[0]);
            level.restore(&mut estimate);
            estimate
        };
        let expected = received(1.0);
        for exponent in [-120, -66, -3, 3, 30, 110] {
            let amplitude = f64::from(exponent).exp2();
            let found = received(amplitude);
            assert!((found.cfo_hz - expected.cfo_hz).abs() < 1e-3, "2^{exponent}");
            assert!((found.snr_db - expected.snr_db).abs() < 1e-3, "2^{exponent}");
            let gain = f64::from(found.cir[PEAK_TAP].norm()) / amplitude;
            assert!((gain / f64::from(expected.cir[PEAK_TAP].norm()) - 1.0).abs() < 1e-5);
            assert!(found.noise_power > 0.0 && found.noise_power.is_finite());
        }
    }
}
