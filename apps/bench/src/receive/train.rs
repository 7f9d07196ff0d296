//! A train of frames through channels in noise, and what the receiver finds of it.

use crqkd_sounding::{
    Estimate, Estimator, SoundingConfig, SoundingError, Synchronizer, Synthesizer,
};
use num_complex::Complex32;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::channel::{Truth, fill_noise};

/// Samples from frame to frame, about.
pub(super) const SPACING: usize = 20_000;

/// Frames about [`SPACING`] samples apart in noise.
#[derive(Clone, Debug)]
pub(super) struct Train {
    /// Settings of the receiver, the training sequence of the frames among them.
    pub(super) config: SoundingConfig,
    /// ‖h‖²/σ² of each frame, dB.
    pub(super) snr_db: f64,
    /// Number of frames that are sent.
    pub(super) frames: usize,
    /// Seed of channels, places and noise.
    pub(super) seed: u64,
}

/// How many frames were found.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    /// Frames found where they were sent.
    pub(super) hits: usize,
    /// Frames found where none is.
    pub(super) false_frames: usize,
}

impl Train {
    /// Power of the noise when the channel has unit power.
    pub(super) fn noise(&self) -> f64 {
        10f64.powf(-self.snr_db / 10.0)
    }

    /// Receives all frames. `draw` makes the channel of a frame from its number and first sample, and `measure` is given each
    /// frame that is found where it was sent, once.
    pub(super) fn receive(
        &self,
        mut draw: impl FnMut(usize, u64, &mut Xoshiro256PlusPlus) -> Truth,
        mut measure: impl FnMut(&Truth, &Estimate),
    ) -> Result<Found, SoundingError> {
        let layout = self.config.layout;
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(self.seed);
        let burst = Synthesizer::with_layout(layout).burst(None, &[], &[])?;
        let mut synchronizer = Synchronizer::new(&self.config)?;
        let mut estimator = Estimator::with_layout(layout);
        let mut samples = vec![Complex32::ZERO; SPACING];
        let (mut frames, mut found) = (Vec::new(), Found::default());
        for number in 0..self.frames {
            let first = (number * SPACING) as u64;
            let start = first + rng.random_range(4000..12_000);
            let truth = draw(number, start, &mut rng);
            fill_noise(&mut samples, self.noise() as f32, &mut rng);
            truth.receive(&burst, first, &mut samples);
            synchronizer.process(first, &samples, &mut frames)?;
            if number + 1 == self.frames {
                synchronizer.flush(&mut frames);
            }
            // A frame is handed over before the end of its piece of the stream.
            let mut hit = false;
            for frame in frames.drain(..) {
                let estimate = estimator.estimate(&frame);
                if hit || estimate.start.abs_diff(truth.strongest()) > 32 {
                    found.false_frames += 1;
                    continue;
                }
                hit = true;
                found.hits += 1;
                measure(&truth, &estimate);
            }
        }
        Ok(found)
    }
}
