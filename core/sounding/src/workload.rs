//! One call of each kernel on made-up samples, for benchmarks.

use num_complex::Complex32;

use crate::despread::Despreader;
use crate::kernels::GATE_BLOCK;
use crate::layout::{FrameLayout, SEQUENCE_START};
use crate::mtransform::MTransform;
use crate::waveform::preamble;
use crate::{Estimator, SoundingConfig, SoundingError, simd};

/// A kernel with its input.
pub struct Workload {
    /// Name of the kernel, for tables.
    pub name: &'static str,
    /// Samples that one call goes through.
    pub samples: usize,
    /// Runs the kernel once over its input.
    pub call: Box<dyn FnMut()>,
}

/// The kernels of the receiver, each on input that stays in the cache.
///
/// # Errors
/// Never; the default settings are in range.
pub fn workloads() -> Result<Vec<Workload>, SoundingError> {
    let layout = FrameLayout::Single;
    let mut samples = vec![Complex32::ZERO; 200];
    samples.extend(preamble(layout));
    samples.resize(4096, Complex32::ZERO);
    for (i, sample) in samples.iter_mut().enumerate() {
        // A deterministic stand-in for noise.
        let angle = (i * i % 9973) as f32;
        *sample += Complex32::from_polar(0.3, angle);
    }
    let integers: Vec<[i16; 2]> =
        samples.iter().map(|s| [(s.re * 8192.0) as i16, (s.im * 8192.0) as i16]).collect();
    let sequence = 200 + SEQUENCE_START;
    let len = layout.sequence_len();
    let window = samples[sequence - 16..][..len].to_vec();

    let mut all = Vec::new();
    let mut push = |name, samples, call| all.push(Workload { name, samples, call });
    let (input, mut energies) = (samples.clone(), Vec::with_capacity(samples.len()));
    push(
        "energy of blocks of 64",
        samples.len() / GATE_BLOCK * GATE_BLOCK,
        Box::new(move || {
            energies.clear();
            simd::block_energies(&input, &mut energies);
            std::hint::black_box(&energies);
        }) as Box<dyn FnMut()>,
    );
    let input = samples.clone();
    push(
        "check for numbers that are none",
        samples.len(),
        Box::new(move || {
            std::hint::black_box(crate::kernels::all_finite(&input));
        }),
    );
    let mut output = vec![Complex32::ZERO; integers.len()];
    push(
        "16-bit integers to floating point",
        integers.len(),
        Box::new(move || {
            simd::widen_ci16(&integers, 1.0 / 32768.0, &mut output);
            std::hint::black_box(&output);
        }),
    );
    let (mut transform, input) = (MTransform::new(layout), window.clone());
    push(
        "correlation of a window with all shifts, and its peak",
        len,
        Box::new(move || {
            std::hint::black_box(transform.run(&input));
        }),
    );
    let (mut despreader, input) = (Despreader::new(layout), samples.clone());
    push(
        "correlation of pieces with 32 taps",
        layout.preamble_len(),
        Box::new(move || {
            despreader.take(&input, 200);
            std::hint::black_box(despreader.energy());
        }),
    );
    let (mut estimator, input) = (Estimator::new(), samples.clone());
    push(
        "statistic at a lag",
        len,
        Box::new(move || {
            std::hint::black_box(estimator.statistic(&input[sequence - 16..][..len]));
        }),
    );
    let (mut estimator, input) = (Estimator::new(), samples.clone());
    push(
        "estimate of a frame",
        layout.preamble_len(),
        Box::new(move || {
            std::hint::black_box(estimator.run(&input, sequence, 200).estimate.cfo_hz);
        }),
    );
    let estimate = Estimator::new().run(&samples, sequence, 200).estimate;
    let mut demodulator = crate::Demodulator::new(&SoundingConfig::default())?;
    push(
        "search for a header where there is none",
        crate::HEADER_LEN,
        Box::new(move || {
            std::hint::black_box(demodulator.run_header(&samples, sequence, &estimate).is_some());
        }),
    );
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_runs_on_its_input() {
        for mut workload in workloads().unwrap() {
            (workload.call)();
            assert!(workload.samples > 500, "{}", workload.name);
        }
    }
}
