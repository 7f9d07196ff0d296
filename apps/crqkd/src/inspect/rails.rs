//! Whether samples are cut off, at whatever level: a value that ends the distribution and comes again and again.

use crqkd_recording::Complex32;

/// A largest value that comes so often is a rail, ...
const LEAST_COUNT: u64 = 8;
/// ... when it comes so many times as often as the next.
const LEAST_RATIO: u64 = 4;

/// The largest and the next largest value of one part with one sign, and how often they came.
#[derive(Clone, Copy)]
struct Top {
    value: f32,
    count: u64,
    next: f32,
    next_count: u64,
}

impl Default for Top {
    fn default() -> Self {
        Top { value: f32::NEG_INFINITY, count: 0, next: f32::NEG_INFINITY, next_count: 0 }
    }
}

/// The ends of the distribution: I, −I, Q and −Q.
#[derive(Default)]
pub(super) struct Rails {
    tops: [Top; 4],
    /// Samples by which of the four are at their top, bit by bit.
    at_top: [u64; 16],
    samples: u64,
}

/// Where and how often samples are cut off.
pub(super) struct Clipping {
    /// Share of the samples with a part that is cut off.
    pub(super) share: f64,
    /// The largest real, least real, largest imaginary and least imaginary part, where it is a rail.
    pub(super) levels: [Option<f32>; 4],
}

impl Rails {
    /// Takes one sample.
    pub(super) fn add(&mut self, sample: Complex32) {
        self.samples += 1;
        let mut at_top = 0;
        for (i, x) in [sample.re, -sample.re, sample.im, -sample.im].into_iter().enumerate() {
            let top = &mut self.tops[i];
            if x > top.value {
                (top.next, top.next_count) = (top.value, top.count);
                (top.value, top.count) = (x, 1);
                at_top |= 1 << i;
                // Those that were at the old top are at none any more.
                for with in (0..16).filter(|with| with & (1 << i) != 0) {
                    self.at_top[with & !(1 << i)] += std::mem::take(&mut self.at_top[with]);
                }
            } else if x == top.value {
                top.count += 1;
                at_top |= 1 << i;
            } else if x > top.next {
                (top.next, top.next_count) = (x, 1);
            } else if x == top.next {
                top.next_count += 1;
            }
        }
        self.at_top[at_top] += 1;
    }

    /// Largest magnitude of a part.
    pub(super) fn peak(&self) -> f32 {
        self.tops.iter().map(|top| top.value).fold(0.0, f32::max)
    }

    /// What is cut off. Integers, of which 32768 stands for `full_scale`, are so at the ends of their range however rarely.
    pub(super) fn clipping(&self, full_scale: Option<f32>) -> Clipping {
        let mut levels = [None; 4];
        let mut rails = 0;
        for (i, top) in self.tops.iter().enumerate() {
            let end = full_scale.is_some_and(|scale| top.value >= scale * (32767.0 / 32768.0));
            let often = top.count >= LEAST_COUNT
                && top.next_count > 0
                && top.count >= LEAST_RATIO * top.next_count;
            if end || often {
                levels[i] = Some(if i % 2 == 0 { top.value } else { -top.value });
                rails |= 1 << i;
            }
        }
        let cut: u64 = (0..16).filter(|with| with & rails != 0).map(|with| self.at_top[with]).sum();
        Clipping { share: cut as f64 / self.samples.max(1) as f64, levels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    fn noise(n: usize, change: impl Fn(f32, usize) -> f32) -> (Rails, Vec<Complex32>) {
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let mut rails = Rails::default();
        let samples: Vec<Complex32> = (0..n)
            .map(|_| {
                let [re, im]: [f32; 2] = std::array::from_fn(|_| rng.sample(StandardNormal));
                Complex32::new(change(re, 0), change(im, 1))
            })
            .collect();
        samples.iter().for_each(|&sample| rails.add(sample));
        (rails, samples)
    }

    #[test]
    fn noise_that_is_not_cut_off_has_no_rail_whatever_its_steps() {
        for step in [0.0, 1.0 / 2048.0, 0.05, 0.25] {
            let quantized = |x: f32, _| if step > 0.0 { (x / step).round() * step } else { x };
            let (rails, _) = noise(20_000, quantized);
            let found = rails.clipping(None);
            assert_eq!((found.share, found.levels), (0.0, [None; 4]), "step {step}");
            assert!(rails.peak() > 3.0);
        }
    }

    #[test]
    fn a_plateau_is_found_at_any_level_and_each_sample_is_counted_once() {
        // Four different rails, as an amplifier with an offset makes them.
        let rails_at = [0.4f32, 0.5, 1.5, 2.0];
        let (rails, samples) =
            noise(20_000, |x, part| x.clamp(-rails_at[2 * part + 1], rails_at[2 * part]));
        let found = rails.clipping(None);
        assert_eq!(found.levels, [Some(0.4), Some(-0.5), Some(1.5), Some(-2.0)]);
        let at = |x: f32, part: usize| x == rails_at[2 * part] || x == -rails_at[2 * part + 1];
        let count = samples.iter().filter(|s| at(s.re, 0) || at(s.im, 1)).count();
        assert_eq!(found.share, count as f64 / 20_000.0);
    }

    #[test]
    fn the_ends_of_integers_count_though_they_are_rare_and_a_constant_is_no_rail() {
        let mut rails = Rails::default();
        for i in 0..1000 {
            let x = if i == 500 { 32767.0 / 32768.0 } else { (i % 10) as f32 / 20.0 };
            rails.add(Complex32::new(x, 0.25));
        }
        let found = rails.clipping(Some(1.0));
        assert_eq!(found.levels, [Some(32767.0 / 32768.0), None, None, None]);
        assert_eq!(found.share, 0.001);
        assert_eq!(rails.clipping(None).share, 0.0);
    }
}
