//! Power spectral density of received samples.

use std::sync::Arc;

use num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

/// Welch's estimate: the mean of the periodograms of windows (Hann) that overlap by half (Welch, IEEE Trans. Audio
/// Electroacoust. 1967).
///
/// ```
/// use crqkd_sounding::Spectrum;
/// let mut spectrum = Spectrum::new(64);
/// let tone: Vec<_> = (0..6400).map(|n| num_complex::Complex32::from_polar(1.0, n as f32 * 0.19635)).collect(); // 2·64/64
/// spectrum.add(&tone);
/// let power = spectrum.power();
/// let peak = (0..64).max_by(|&a, &b| power[a].total_cmp(&power[b]));
/// assert_eq!(peak, Some(32 + 2));
/// assert!((power.iter().sum::<f64>() - 1.0).abs() < 1e-3);
/// ```
pub struct Spectrum {
    transform: Arc<dyn Fft<f32>>,
    scratch: Vec<Complex32>,
    window: Vec<f32>,
    work: Vec<Complex32>,
    /// Samples that no whole window has taken yet.
    rest: Vec<Complex32>,
    sums: Vec<f64>,
    windows: u64,
}

impl Spectrum {
    /// A spectrum of `bins` bins, at least 2.
    pub fn new(bins: usize) -> Self {
        let bins = bins.max(2);
        let transform = FftPlanner::new().plan_fft_forward(bins);
        let hann =
            |n: usize| 0.5 - 0.5 * (std::f32::consts::TAU * (n as f32 + 0.5) / bins as f32).cos();
        let window: Vec<f32> = (0..bins).map(hann).collect();
        let energy: f32 = window.iter().map(|w| w * w).sum();
        let scale = 1.0 / (energy * bins as f32).sqrt();
        Self {
            scratch: vec![Complex32::ZERO; transform.get_inplace_scratch_len()],
            transform,
            window: window.into_iter().map(|w| w * scale).collect(),
            work: vec![Complex32::ZERO; bins],
            rest: Vec::with_capacity(2 * bins),
            sums: vec![0.0; bins],
            windows: 0,
        }
    }

    /// Takes samples that follow those before, without a gap.
    pub fn add(&mut self, samples: &[Complex32]) {
        let (bins, half) = (self.window.len(), self.window.len().div_ceil(2));
        for piece in samples.chunks(bins) {
            self.rest.extend_from_slice(piece);
            while self.rest.len() >= bins {
                for ((work, r), w) in self.work.iter_mut().zip(&self.rest).zip(&self.window) {
                    *work = r * w;
                }
                self.transform.process_with_scratch(&mut self.work, &mut self.scratch);
                for (sum, value) in self.sums.iter_mut().zip(&self.work) {
                    *sum += f64::from(value.norm_sqr());
                }
                self.windows += 1;
                self.rest.drain(..half);
            }
        }
    }

    /// The next samples do not follow those before.
    pub fn gap(&mut self) {
        self.rest.clear();
    }

    /// Mean power in each bin, from the lowest frequency (minus half the sample rate) up; the sum is the mean power of a
    /// sample. Zeros when no window was whole.
    pub fn power(&self) -> Vec<f64> {
        let bins = self.sums.len();
        let windows = self.windows.max(1) as f64;
        (0..bins).map(|i| self.sums[(i + bins.div_ceil(2)) % bins] / windows).collect()
    }
}
