//! Sounding frames of the project's own synthesizer through 16 fading paths, with the truth about each.

use super::Result;
use crqkd_recording::{Annotation, Complex32, Datatype, RecordingInfo, RecordingWriter};
use crqkd_sounding::{
    Direction, FrameKind, Header, PEAK_TAP, PayloadShape, SAMPLE_RATE_HZ, Synthesizer, TAPS,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;
use std::path::Path;

/// Paths of the channel, one a sample.
pub const PATHS: usize = 16;
/// Decay of the mean power over the paths: 2 samples, 100 ns.
const DECAY_SAMPLES: f64 = 2.0;
/// Largest carrier offset: 2.5 ppm of 2.6 GHz.
const MAX_CFO_HZ: f64 = 6500.0;
/// Noise power under frames of unit power: 10 dB.
const NOISE_POWER: f32 = 0.1;
/// Air time of the first frame, about.
const FIRST: u64 = 5_000_000;
/// Air time from frame to frame, about: 1 ms.
const SPACING: u64 = 20_000;
/// Frames of the clean recording.
const FRAMES: u64 = 12;

/// What one frame went through, and what it says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// Air time at which path 0 begins.
    pub start: u64,
    /// Carrier offset.
    pub cfo_hz: f64,
    /// The paths, with ‖h‖² = 1.
    pub taps: [Complex32; PATHS],
    /// The header sent, if any.
    pub header: Option<Header>,
}

impl Truth {
    /// Rayleigh paths of exponential profile; carrier offset uniform.
    pub(super) fn draw(start: u64, header: Option<Header>, rng: &mut impl Rng) -> Self {
        let mut taps: [Complex32; PATHS] = std::array::from_fn(|l| {
            gaussian(rng) * (-(l as f64) / (2.0 * DECAY_SAMPLES)).exp() as f32
        });
        let power: f32 = taps.iter().map(|tap| tap.norm_sqr()).sum();
        for tap in &mut taps {
            // Six decimals: what the truth file shows is what was used.
            let six = |x: f32| (f64::from(x / power.sqrt()) * 1e6).round() / 1e6;
            *tap = Complex32::new(six(tap.re) as f32, six(tap.im) as f32);
        }
        let cfo_hz = rng.random_range(-MAX_CFO_HZ..MAX_CFO_HZ).round();
        Self { start, cfo_hz, taps, header }
    }

    /// Air time at which the strongest path begins.
    pub fn strongest(&self) -> u64 {
        let power = |&l: &usize| self.taps[l].norm_sqr();
        let best = (0..PATHS).max_by(|a, b| power(a).total_cmp(&power(b)));
        self.start + best.expect("there are paths") as u64
    }

    /// Adds the burst as received to `samples`, the first of which has air time `first`.
    pub(super) fn receive(&self, burst: &[Complex32], first: u64, samples: &mut [Complex32]) {
        let omega = TAU * self.cfo_hz / SAMPLE_RATE_HZ;
        for n in 0..burst.len() + PATHS - 1 {
            let paths = n.saturating_sub(burst.len() - 1)..=n.min(PATHS - 1);
            let sum: Complex32 = paths.map(|l| self.taps[l] * burst[n - l]).sum();
            let (sin, cos) = (omega * n as f64).sin_cos();
            let place = (self.start - first) as usize + n;
            samples[place] += sum * Complex32::new(cos as f32, sin as f32);
        }
    }

    /// ‖ĥ − h‖²/‖h‖² of an impulse response with its strongest tap at [`PEAK_TAP`] and that path's frame start at
    /// `start`, after removing one common phase.
    pub fn channel_nmse(&self, start: u64, cir: &[Complex32; TAPS]) -> f64 {
        let mut expected = [Complex32::ZERO; TAPS];
        let mut outside = 0.0;
        for (l, tap) in self.taps.iter().enumerate() {
            let place = self.start as i64 + l as i64 - start as i64 + PEAK_TAP as i64;
            match usize::try_from(place).ok().and_then(|p| expected.get_mut(p)) {
                Some(place) => *place = *tap,
                None => outside += tap.norm_sqr(),
            }
        }
        let pairs = || cir.iter().zip(&expected);
        let common: Complex32 = pairs().map(|(h, e)| e * h.conj()).sum();
        let turn = common / common.norm();
        let error: f32 = pairs().map(|(h, e)| (h * turn - e).norm_sqr()).sum();
        let power: f32 = self.taps.iter().map(|tap| tap.norm_sqr()).sum();
        f64::from((error + outside) / power)
    }
}

/// A complex Gaussian number of unit mean power.
pub(super) fn gaussian(rng: &mut impl Rng) -> Complex32 {
    let mut draw = || -> f32 { StandardNormal.sample(rng) };
    Complex32::new(draw(), draw()) * std::f32::consts::FRAC_1_SQRT_2
}

/// White noise of the given power.
pub(super) fn noise(len: usize, power: f32, rng: &mut impl Rng) -> Vec<Complex32> {
    (0..len).map(|_| gaussian(rng) * power.sqrt()).collect()
}

/// A probe's header.
pub(super) fn header(index: u16, payload: PayloadShape) -> Header {
    Header {
        epoch: 7,
        window: 3,
        index,
        direction: if index.is_multiple_of(4) { Direction::Forward } else { Direction::Reverse },
        sender: 1 + index % 4,
        kind: if payload == PayloadShape::default() {
            FrameKind::Probe
        } else {
            FrameKind::Control
        },
        gain: 20,
        follow: false,
        more: false,
        payload,
    }
}

/// The description that all made recordings share.
pub(super) fn info(description: &str) -> RecordingInfo {
    RecordingInfo {
        datatype: Datatype::Ci16Le,
        full_scale: 4.0,
        frequency_hz: Some(2.605e9),
        description: Some(description.to_owned()),
        author: Some("the crqkd developers".into()),
        hardware: Some("none: computed".into()),
        license: Some("https://www.apache.org/licenses/LICENSE-2.0".into()),
        ..RecordingInfo::default()
    }
}

/// Twelve frames at 10 dB in stretches around each, every second one with a header, the last with a payload.
pub(super) fn make(dir: &Path) -> Result {
    let mut rng = ChaCha8Rng::seed_from_u64(10);
    let synthesizer = Synthesizer::new();
    let description = "12 sounding frames at 10 dB through 16 fading paths with carrier offset";
    let mut writer = RecordingWriter::create(&dir.join("frames-10db"), info(description))?;
    let mut lines = Vec::new();
    for number in 0..FRAMES {
        let start = FIRST + SPACING * number + rng.random_range(0..2000);
        let (control, cipher): (&[u8], &[u8]) = match number {
            11 => (b"twenty bytes of text", &[1; 256]),
            _ => (&[], &[]),
        };
        let header = (number % 2 == 1)
            .then(|| {
                PayloadShape::of(control.len(), cipher.len()).map(|p| header(number as u16, p))
            })
            .transpose()?;
        let truth = Truth::draw(start, header, &mut rng);
        let burst = synthesizer.burst(header.as_ref(), control, cipher)?;
        let (lead, tail) = (rng.random_range(100..300u64), rng.random_range(100..300usize));
        let first = start - lead;
        let len = lead as usize + burst.len() + PATHS + tail;
        let mut samples = noise(len, NOISE_POWER, &mut rng);
        truth.receive(&burst, first, &mut samples);
        writer.write(first, &samples)?;
        let annotation =
            Annotation::new(truth.strongest(), burst.len() as u64, format!("frame {number}"));
        writer.annotate(annotation.with("cfo_hz", truth.cfo_hz))?;
        lines.push(serde_json::to_string(&truth)?);
    }
    let member = writer.finish()?;
    assert_eq!(member.clipped, 0, "full scale is above every sample");
    std::fs::write(dir.join("frames-10db.truth.json"), format!("[\n{}\n]\n", lines.join(",\n")))?;
    Ok(())
}
