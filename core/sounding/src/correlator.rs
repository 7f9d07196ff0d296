//! Sliding correlation with the M-sequence, normalised by the energy it saw.

use std::sync::Arc;

use num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

use crate::layout::SEQUENCE_LEN;
use crate::waveform::sequence_chips;

/// Transform size of the overlap-save correlation.
pub(crate) const SEARCH_SPAN: usize = 4096;

/// s\[n\] = |Σₖ r\[n+k\]·m\[k\]|² / Σₖ |r\[n+k\]|², k = 0..1023: of mean 1 and exponentially distributed on noise of any
/// level, 1023 on the sequence itself.
pub(crate) struct Correlator {
    forward: Arc<dyn Fft<f32>>,
    inverse: Arc<dyn Fft<f32>>,
    /// Conjugate spectrum of the sequence.
    reference: Vec<Complex32>,
    work: Vec<Complex32>,
    scratch: Vec<Complex32>,
    /// Energy of the first n samples.
    energy: Vec<f64>,
}

impl Correlator {
    pub(crate) fn new() -> Self {
        let mut planner = FftPlanner::new();
        let forward = planner.plan_fft_forward(SEARCH_SPAN);
        let inverse = planner.plan_fft_inverse(SEARCH_SPAN);
        let mut reference = vec![Complex32::ZERO; SEARCH_SPAN];
        for (place, chip) in reference.iter_mut().zip(sequence_chips()) {
            // The transform pair is unnormalised.
            *place = Complex32::new(chip / SEARCH_SPAN as f32, 0.0);
        }
        forward.process(&mut reference);
        reference.iter_mut().for_each(|value| *value = value.conj());
        let scratch = forward.get_inplace_scratch_len().max(inverse.get_inplace_scratch_len());
        Self {
            forward,
            inverse,
            reference,
            work: vec![Complex32::ZERO; SEARCH_SPAN],
            scratch: vec![Complex32::ZERO; scratch],
            energy: vec![0.0; SEARCH_SPAN + 1],
        }
    }

    /// Appends s\[n\] for every lag that the samples (at most [`SEARCH_SPAN`]) cover whole.
    pub(crate) fn run(&mut self, samples: &[Complex32], statistic: &mut Vec<f32>) {
        let count = samples.len().min(SEARCH_SPAN);
        let samples = &samples[..count];
        let Some(lags) = (count + 1).checked_sub(SEQUENCE_LEN) else { return };

        self.work[..count].copy_from_slice(samples);
        self.work[count..].fill(Complex32::ZERO);
        self.forward.process_with_scratch(&mut self.work, &mut self.scratch);
        for (value, reference) in self.work.iter_mut().zip(&self.reference) {
            *value *= reference;
        }
        self.inverse.process_with_scratch(&mut self.work, &mut self.scratch);

        let mut sum = 0.0;
        for (place, sample) in self.energy[1..].iter_mut().zip(samples) {
            sum += f64::from(sample.norm_sqr());
            *place = sum;
        }
        statistic.extend((0..lags).map(|n| {
            let energy = (self.energy[n + SEQUENCE_LEN] - self.energy[n]) as f32;
            let statistic = self.work[n].norm_sqr() / energy;
            // Energies below the resolution of the running sum are silence beside something much stronger; and by
            // Cauchy and Schwarz nothing but an overflow exceeds the sequence's length.
            let good = energy > sum as f32 * 1e-9 && statistic < 1.01 * SEQUENCE_LEN as f32;
            if good { statistic } else { 0.0 }
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn equals_the_plain_sum_and_finds_the_sequence() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut noise = || Complex32::new(rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0));
        let mut samples: Vec<Complex32> = (0..SEARCH_SPAN - 20).map(|_| noise()).collect();
        let m = sequence_chips();
        for (sample, chip) in samples[700..].iter_mut().zip(m) {
            *sample += Complex32::new(0.0, 3.0 * chip);
        }
        let mut statistic = Vec::new();
        Correlator::new().run(&samples, &mut statistic);
        assert_eq!(statistic.len(), SEARCH_SPAN - 20 - SEQUENCE_LEN + 1);
        for (n, &s) in statistic.iter().enumerate() {
            let window = &samples[n..n + SEQUENCE_LEN];
            let sum: Complex32 = window.iter().zip(m).map(|(r, m)| r * m).sum();
            let energy: f32 = window.iter().map(|r| r.norm_sqr()).sum();
            let plain = sum.norm_sqr() / energy;
            assert!((s - plain).abs() < 1e-2 * (1.0 + plain), "lag {n}: {s} and {plain}");
        }
        assert!(statistic[700] > 900.0);
    }

    #[test]
    fn silence_and_short_input_give_nothing() {
        let mut correlator = Correlator::new();
        let mut statistic = Vec::new();
        correlator.run(&[Complex32::ONE; SEQUENCE_LEN - 1], &mut statistic);
        assert!(statistic.is_empty());
        correlator.run(&[Complex32::ZERO; SEQUENCE_LEN + 1], &mut statistic);
        assert_eq!(statistic, [0.0, 0.0]);
    }
}
