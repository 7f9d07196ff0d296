//! Frequency-domain equaliser for blocks of real (BPSK) symbols.
//!
//! The symbols are real, so that X\[−k\] = X\[k\]* and each symbol component is seen at two frequencies, k and −k. With
//! the block's phase removed, the widely linear MMSE estimate is
//!
//! X̂\[k\] = (H\[k\]*·Y\[k\] + H\[−k\]·Y\[−k\]*) / (A\[k\] + v),   A\[k\] = |H\[k\]|² + |H\[−k\]|²,
//!
//! v the noise variance of a sample. It is real in time, with gain μ = mean A/(A+v) and error variance μ(1−μ), so that
//! the LLR of a symbol is 2·x̂/(1−μ).

use std::sync::Arc;

use num_complex::{Complex32, Complex64};
use rustfft::{Fft, FftPlanner};

use crate::layout::{BLOCK_SYMBOLS, PEAK_TAP, TAPS, WINDOW_ADVANCE};
use crate::rotate::widen;

const N: usize = BLOCK_SYMBOLS;
/// Place of tap 0 in a block window, which starts [`WINDOW_ADVANCE`] samples before the strongest path.
pub(crate) const TAP_0: usize = WINDOW_ADVANCE - PEAK_TAP;

/// Samples, or spectrum, of one block.
pub(crate) type Block = [Complex32; N];

/// Equaliser with the channel of one frame.
pub(crate) struct Equalizer {
    forward: Arc<dyn Fft<f32>>,
    inverse: Arc<dyn Fft<f32>>,
    scratch: Vec<Complex32>,
    channel: Box<Block>,
    /// Variance of the error of the channel estimate, per carrier.
    channel_error: f32,
    /// A\[k\] = |H\[k\]|² + |H\[−k\]|², the power of the channel at carriers k and −k.
    gain: Box<[f32; N]>,
    work: Box<Block>,
}

/// What the equaliser makes of its input: symbol gain μ.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quality {
    pub(crate) gain: f32,
}

impl Quality {
    /// LLR of an equalised symbol of value 1.
    pub(crate) fn llr_scale(self) -> f32 {
        2.0 / (1.0 - self.gain).max(1e-6)
    }

    /// Variance of the phase found by [`Equalizer::phase`] over so many symbols, rad².
    pub(crate) fn phase_variance(self, symbols: usize) -> f64 {
        let snr = f64::from(self.gain / (1.0 - self.gain).max(1e-6)).max(1e-3);
        (1.0 + 1.0 / snr) / (snr * symbols as f64)
    }
}

impl Equalizer {
    pub(crate) fn new() -> Self {
        let mut planner = FftPlanner::new();
        let forward = planner.plan_fft_forward(N);
        let inverse = planner.plan_fft_inverse(N);
        let scratch = forward.get_inplace_scratch_len().max(inverse.get_inplace_scratch_len());
        Self {
            forward,
            inverse,
            scratch: vec![Complex32::ZERO; scratch],
            channel: Box::new([Complex32::ZERO; N]),
            channel_error: 0.0,
            gain: Box::new([0.0; N]),
            work: Box::new([Complex32::ZERO; N]),
        }
    }

    /// Takes the channel, whose taps each have an error of variance `tap_error`. Taps are drawn towards zero by what is
    /// noise in them.
    pub(crate) fn set_channel(&mut self, cir: &[Complex32; TAPS], tap_error: f32) {
        self.channel.fill(Complex32::ZERO);
        self.channel_error = 0.0;
        for (place, tap) in self.channel[TAP_0..].iter_mut().zip(cir) {
            let power = tap.norm_sqr();
            let keep = if power > 0.0 { (1.0 - tap_error / power).max(0.0) } else { 0.0 };
            *place = tap * keep;
            self.channel_error += keep * tap_error;
        }
        self.forward.process_with_scratch(&mut self.channel[..], &mut self.scratch);
        for k in 0..N {
            self.gain[k] = self.channel[k].norm_sqr() + self.channel[(N - k) % N].norm_sqr();
        }
    }

    /// Noise variance with that of the channel's error added.
    pub(crate) fn effective_noise(&self, noise: f32) -> f32 {
        noise + self.channel_error
    }

    /// Quality at noise variance `v`.
    pub(crate) fn quality(&self, v: f32) -> Quality {
        // Eight sums: an addition need not wait for the one before.
        let mut sums = [0.0; 8];
        for gains in self.gain.as_chunks::<8>().0 {
            for (sum, a) in sums.iter_mut().zip(gains) {
                *sum += a / (a + v);
            }
        }
        Quality { gain: sums.iter().sum::<f32>() / N as f32 }
    }

    /// Spectrum of a block, in place.
    pub(crate) fn spectrum(&mut self, block: &mut Block) {
        self.forward.process_with_scratch(block, &mut self.scratch);
    }

    /// Sum whose angle is twice the block's common phase: Σ H\[k\]*Y\[k\]·H\[−k\]*Y\[−k\]/(A\[k\]+v).
    pub(crate) fn phase(&self, spectrum: &Block, v: f32) -> Complex64 {
        let matched = |k: usize| self.channel[k].conj() * spectrum[k];
        let term = |k: usize| matched(k) * matched(N - k) * (1.0 / (self.gain[k] + v));
        // Four sums, as above.
        let mut sums = [term(1), term(2), term(3), Complex32::ZERO];
        for k in (4..N / 2).step_by(4) {
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum += term(k + i);
            }
        }
        widen(sums.iter().sum())
    }

    /// Symbols of two blocks (spectra, phase removed) at once: the first in the real, the second in the imaginary
    /// parts.
    pub(crate) fn equalize(&mut self, a: &Block, b: &Block, v: f32) -> &Block {
        for k in 0..N {
            let mirror = (N - k) % N;
            let (h, g) = (self.channel[k].conj(), self.channel[mirror]);
            let scale = 1.0 / ((self.gain[k] + v) * N as f32);
            let x = h * a[k] + g * a[mirror].conj();
            let y = h * b[k] + g * b[mirror].conj();
            self.work[k] = Complex32::new(x.re - y.im, x.im + y.re) * scale;
        }
        self.inverse.process_with_scratch(&mut self.work[..], &mut self.scratch);
        &self.work
    }

    /// Circular correlation Σₙ a\[n\]·b\[n−l\]* at all lags.
    pub(crate) fn correlate(&mut self, a: &Block, b: &Block) -> Block {
        let (mut a, mut b) = (*a, *b);
        self.spectrum(&mut a);
        self.spectrum(&mut b);
        for (a, b) in a.iter_mut().zip(&b) {
            *a *= b.conj() / N as f32;
        }
        self.inverse.process_with_scratch(&mut a, &mut self.scratch);
        a
    }

    /// What the channel makes of a block of real symbols, in the receiver's window; without noise and phase.
    pub(crate) fn expected(&mut self, symbols: &[f32; N], block: &mut Block) {
        for (place, &symbol) in block.iter_mut().zip(symbols) {
            *place = Complex32::new(symbol / N as f32, 0.0);
        }
        self.forward.process_with_scratch(block, &mut self.scratch);
        for (value, h) in block.iter_mut().zip(self.channel.iter()) {
            *value *= h;
        }
        self.inverse.process_with_scratch(block, &mut self.scratch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn undoes_a_known_channel_and_measures_its_phase() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut cir = [Complex32::ZERO; TAPS];
        for (l, tap) in cir.iter_mut().enumerate() {
            let size = if l < PEAK_TAP { 0.05 } else { (-0.3 * (l - PEAK_TAP) as f32).exp() };
            *tap = Complex32::new(rng.random_range(-size..size), rng.random_range(-size..size));
        }
        let mut equalizer = Equalizer::new();
        equalizer.set_channel(&cir, 0.0);
        let mut draw = || -> [f32; N] {
            std::array::from_fn(|_| if rng.random::<bool>() { 1.0 } else { -1.0 })
        };
        let (a, b) = (draw(), draw());
        let mut spectra = [[Complex32::ZERO; N]; 2];
        for (block, symbols) in spectra.iter_mut().zip([&a, &b]) {
            equalizer.expected(symbols, block);
            // by hand: the symbol i on tap l arrives at i + l − PEAK_TAP + WINDOW_ADVANCE
            let direct: Complex32 = (0..TAPS)
                .map(|l| cir[l] * symbols[(N + 40 - l + PEAK_TAP - WINDOW_ADVANCE) % N])
                .sum();
            assert!((block[40] - direct).norm() < 1e-4);
            equalizer.spectrum(block);
        }
        let turned = spectra[0].map(|value| value * Complex32::from_polar(1.0, 0.4));
        assert!((equalizer.phase(&turned, 1e-3).arg() - 0.8).abs() < 0.02);
        let symbols = equalizer.equalize(&spectra[0], &spectra[1], 1e-6);
        for i in 0..N {
            assert!((symbols[i].re - a[i]).abs() < 0.02 && (symbols[i].im - b[i]).abs() < 0.02);
        }
    }
}
