//! Where the tone of a frame stands in the spectrum: what is wrong with a recording whose sample rate nobody knows.

use std::sync::Arc;

use crqkd_ids::SAMPLE_RATE_HZ;
use num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

use crate::Frame;
use crate::layout::TONE_LEN;

/// Bin of the tone, exp(j·2π·n/16), in a transform of [`TONE_LEN`].
const EXPECTED: usize = TONE_LEN / 16;
/// By how much another bin must exceed the tone's: the channel can be weak at one frequency.
const STANDS_OUT: f32 = 10.0;

/// Finds the tone in the first frames of a recording; its sample rate does not change later.
#[derive(Clone)]
pub struct ToneFinder {
    /// Frames that are still to be looked at.
    left: usize,
    transform: Arc<dyn Fft<f32>>,
    work: Vec<Complex32>,
}

/// What is odd about the tone of a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OddTone {
    /// It stands at the mirrored frequency: I and Q are exchanged, or the spectrum is turned over.
    Mirrored,
    /// It stands elsewhere; the sample rate is so many times that of the frames, should that be the reason.
    Elsewhere {
        /// Its frequency at 20 Msample/s, Hz.
        hz: f64,
        /// Presumed sample rate over 20 Msample/s.
        rate: f64,
    },
}

impl Default for ToneFinder {
    fn default() -> Self {
        let transform = FftPlanner::new().plan_fft_forward(TONE_LEN);
        Self { left: Self::FRAMES, transform, work: Vec::with_capacity(TONE_LEN) }
    }
}

impl ToneFinder {
    /// Frames that are looked at.
    pub const FRAMES: usize = 8;

    /// What is odd about the tone of the next frame; `None` when it stands where it should, as far as can be seen, and for
    /// every frame after the first [`FRAMES`](Self::FRAMES).
    pub fn odd(&mut self, frame: &Frame) -> Option<OddTone> {
        self.left = self.left.checked_sub(1)?;
        self.work.clear();
        let samples = frame.samples().iter().skip(frame.offset()).take(TONE_LEN);
        let energy: f32 = samples.clone().map(|s| s.norm_sqr()).sum();
        // Single precision holds the squares of the sums of anything that was received.
        let scale = (energy.max(f32::MIN_POSITIVE) / TONE_LEN as f32).sqrt().recip();
        self.work.extend(samples.map(|s| s * scale));
        self.work.resize(TONE_LEN, Complex32::ZERO);
        self.transform.process(&mut self.work);
        let power = |bin: usize| self.work[bin % TONE_LEN].norm_sqr();
        // A carrier offset moves it by a part of a bin.
        let around = |bin: usize| (0..3).map(|i| power(bin + TONE_LEN - 1 + i)).fold(0.0, f32::max);
        let strongest = (0..TONE_LEN).max_by(|&a, &b| power(a).total_cmp(&power(b)))?;
        if power(strongest) < STANDS_OUT * around(EXPECTED) {
            return None;
        }
        let signed = (strongest as isize + TONE_LEN as isize / 2) % TONE_LEN as isize
            - TONE_LEN as isize / 2;
        if (signed + EXPECTED as isize).abs() <= 1 {
            return Some(OddTone::Mirrored);
        }
        let hz = signed as f64 / TONE_LEN as f64 * SAMPLE_RATE_HZ;
        Some(OddTone::Elsewhere { hz, rate: EXPECTED as f64 / signed as f64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SoundingConfig, Synchronizer, Synthesizer};

    fn odd(change: impl Fn(usize, Complex32) -> Complex32) -> Option<OddTone> {
        let mut samples = vec![Complex32::ZERO; 3000];
        let burst = Synthesizer::new().burst(None, &[], &[]).unwrap();
        for (place, sample) in samples[500..].iter_mut().zip(&burst) {
            *place = *sample;
        }
        let samples: Vec<Complex32> =
            samples.iter().enumerate().map(|(n, &s)| change(n, s)).collect();
        let mut frames = Vec::new();
        let mut synchronizer = Synchronizer::new(&SoundingConfig::default()).unwrap();
        synchronizer.process(0, &samples, &mut frames).unwrap();
        synchronizer.flush(&mut frames);
        ToneFinder::default().odd(&frames[0])
    }

    #[test]
    fn a_tone_in_its_place_is_not_odd_and_one_elsewhere_says_why() {
        let turn = |n: usize, hz: f64| {
            Complex32::cis((std::f64::consts::TAU * hz / SAMPLE_RATE_HZ * n as f64) as f32)
        };
        assert_eq!(odd(|_, s| s), None);
        assert_eq!(odd(|n, s| s * turn(n, 9000.0)), None, "a carrier offset");
        assert_eq!(odd(|_, s| s.conj()), Some(OddTone::Mirrored));
        assert_eq!(odd(|_, s| Complex32::new(s.im, s.re)), Some(OddTone::Mirrored), "exchanged");
        assert_eq!(odd(|n, s| s.conj() * turn(n, -9000.0)), Some(OddTone::Mirrored));
        // The sequence as it is, the tone of a burst at twice the rate.
        let half = |n: usize, s: Complex32| match n {
            500..756 => Complex32::cis(std::f32::consts::TAU * n as f32 / 32.0),
            _ => s,
        };
        assert_eq!(odd(half), Some(OddTone::Elsewhere { hz: 625e3, rate: 2.0 }));
    }
}
