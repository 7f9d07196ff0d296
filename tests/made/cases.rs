//! Inputs on which something that is easily got wrong shows: small, seeded, with a known right answer.

use super::frames::{PATHS, Truth, gaussian, noise};
use crqkd_recording::{Complex32, Matrix, RecordingInfo, RecordingWriter, Values};
use crqkd_sounding::{Direction, FrameKind, Header, PayloadShape, Synthesizer};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use std::path::Path;

/// The generator of one case.
pub fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(4000 + seed)
}

fn normal(rng: &mut impl Rng) -> f64 {
    StandardNormal.sample(rng)
}

/// Gaussian features of QAP and user whose bits differ at this rate (Sheppard: ρ = cos(π·KDR)), and of an Eve who
/// measures something else.
pub fn reciprocal(n: usize, kdr: f64, rng: &mut impl Rng) -> [Vec<f64>; 3] {
    let rho = (std::f64::consts::PI * kdr).cos();
    let mut ends: [Vec<f64>; 3] = Default::default();
    for _ in 0..n {
        let [x, z, e] = std::array::from_fn(|_| normal(rng));
        ends[0].push(x);
        ends[1].push(rho * x + (1.0 - rho * rho).sqrt() * z);
        ends[2].push(e);
    }
    ends
}

/// Signal strength in whole dBm around −70, standard deviation `deviation`.
pub fn dbm(values: &[f64], deviation: f64) -> Vec<f64> {
    values.iter().map(|x| (-70.0 + deviation * x).round()).collect()
}

/// Two streams that have nothing in common but their distribution: −70 dBm, and −69 in 15 % of the probes.
pub fn independent_levels(n: usize, rng: &mut impl Rng) -> [Vec<f64>; 2] {
    [(); 2].map(|()| (0..n).map(|_| if rng.random_bool(0.15) { -69.0 } else { -70.0 }).collect())
}

/// A profile of `features` levels that does not change, measured `probes` times by two ends; four levels lie so near the
/// median that noise moves them across.
pub fn still_profile(probes: usize, features: usize, rng: &mut impl Rng) -> [Vec<f64>; 2] {
    let mut profile: Vec<f64> = (0..features)
        .map(|i| (1.0 + 6.0 * normal(rng).abs()) * if i % 2 == 0 { 1.0 } else { -1.0 })
        .collect();
    profile.iter_mut().take(4).for_each(|x| *x = 0.02 * normal(rng));
    [(); 2].map(|()| {
        (0..probes * features).map(|i| profile[i % features] + 0.1 * normal(rng)).collect()
    })
}

/// Writes one column a feature, cells as Rust prints them, after an optional line of names.
pub fn csv(path: &Path, names: Option<&str>, columns: &[&[f64]], separator: &str) {
    let mut text = names.map(|names| format!("{names}\n")).unwrap_or_default();
    for row in 0..columns[0].len() {
        let cells: Vec<String> = columns.iter().map(|column| column[row].to_string()).collect();
        text += &(cells.join(separator) + "\n");
    }
    std::fs::write(path, text).unwrap();
}

/// Writes a `.npy` file of `features` columns; double precision where the values need it.
pub fn npy(path: &Path, features: usize, values: &[f64]) {
    let matrix = Matrix::new(values.len() / features, features, Values::Real(values.to_vec()));
    matrix.unwrap().write_npy(path).unwrap();
}

/// Writes raw samples.
pub fn cf32(path: &Path, samples: &[Complex32]) {
    let bytes: Vec<u8> =
        samples.iter().flat_map(|s| [s.re.to_le_bytes(), s.im.to_le_bytes()].concat()).collect();
    std::fs::write(path, bytes).unwrap();
}

/// White noise of standard deviation 1 in each part.
pub fn white(n: usize, rng: &mut impl Rng) -> Vec<Complex32> {
    noise(n, 2.0, rng)
}

/// The header of a probe.
pub fn probe(direction: Direction, window: u32, index: u16) -> Header {
    Header {
        epoch: 7,
        window,
        index,
        direction,
        sender: if direction == Direction::Forward { 1 } else { 2 },
        kind: FrameKind::Probe,
        gain: 20,
        follow: false,
        more: false,
        payload: PayloadShape::default(),
    }
}

/// One frame at 20 dB through one path, its first sample at 1000, carrier offset 5 kHz.
pub fn one_frame(header: Option<&Header>, rng: &mut impl Rng) -> Vec<Complex32> {
    let mut taps = [Complex32::ZERO; PATHS];
    taps[0] = Complex32::new(1.0, 0.0);
    let truth = Truth { start: 1000, cfo_hz: 5000.0, taps, header: None };
    let burst = Synthesizer::new().burst(header, &[], &[]).unwrap();
    let mut samples = noise(burst.len() + 2000, 0.01, rng);
    truth.receive(&burst, 0, &mut samples);
    samples
}

/// What both ends of a link receive of `probes` probes through a channel that is the same for both and new for each:
/// recordings `qap` and `user` in `dir`. The frames in `lost` do not reach the end: (0 the QAP, 1 the user; probe).
pub fn link(dir: &Path, probes: u32, headers: bool, lost: &[(usize, u32)], rng: &mut impl Rng) {
    let synthesizer = Synthesizer::new();
    let info = RecordingInfo::default;
    let mut ends =
        ["qap", "user"].map(|name| RecordingWriter::create(&dir.join(name), info()).unwrap());
    for number in 0..probes {
        let taps: [Complex32; PATHS] =
            std::array::from_fn(|l| gaussian(rng) * (-(l as f32) / 4.0).exp());
        for (end, writer) in ends.iter_mut().enumerate() {
            if lost.contains(&(end, number)) {
                continue;
            }
            let direction = if end == 0 { Direction::Reverse } else { Direction::Forward };
            let header = headers.then(|| probe(direction, 3 + number / 64, (number % 64) as u16));
            let burst = synthesizer.burst(header.as_ref(), &[], &[]).unwrap();
            // The user's clock is ahead of the QAP's.
            let first = 1_000_000 + 20_000 * u64::from(number) + 5000 * end as u64;
            let truth = Truth { start: first + 200, cfo_hz: 1200.0, taps, header };
            let mut samples = noise(burst.len() + 600, 0.003, rng);
            truth.receive(&burst, first, &mut samples);
            writer.write(first, &samples).unwrap();
        }
    }
    for writer in ends {
        writer.finish().unwrap();
    }
}
