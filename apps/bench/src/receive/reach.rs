//! How large a carrier offset may be: frames are found by correlation over a whole sequence, which an offset of one turn
//! over the sequence (19.55 kHz for 1023 chips) makes vanish.

use crqkd_sounding::{
    Estimator, FrameLayout, SoundingConfig, SoundingError, Synchronizer, Synthesizer,
};
use num_complex::Complex32;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::Serialize;

use super::accuracy::SPACING;
use super::channel::{Truth, fill_noise};

/// Magnitudes of the carrier offset, Hz; its sign alternates from frame to frame.
pub const OFFSET_HZ: [f64; 7] = [7e3, 8e3, 9e3, 10e3, 12e3, 14e3, 16e3];
/// ‖h‖²/σ² of the frames, dB.
pub const REACH_SNR_DB: [f64; 3] = [-5.0, 0.0, 10.0];

/// Offset up to which every frame must be found, Hz. Beyond it a 2x511 frame may also be taken for its wrong half, whose
/// quarter of the energy is no less than what the offset leaves of the whole.
pub(super) fn every_frame_hz(layout: FrameLayout, snr_db: f64) -> f64 {
    match layout {
        FrameLayout::Single if snr_db >= 0.0 => 12e3,
        FrameLayout::Single => 10e3,
        FrameLayout::Double => 8e3,
    }
}

/// One carrier offset at one SNR.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ReachRow {
    /// Training sequence.
    pub layout: FrameLayout,
    /// ‖h‖²/σ², dB.
    pub snr_db: f64,
    /// Magnitude of the carrier offset, Hz.
    pub offset_hz: f64,
    /// Frames sent, every other one with a negative offset.
    pub frames: usize,
    /// Share that was found.
    pub detected: f64,
    /// Frames found where none is.
    pub false_frames: usize,
    /// Share of the found frames whose estimated offset is wrong by more than 2 kHz.
    pub wrong_offset: f64,
}

/// Error of an estimated offset that is no noise, Hz: ten times the standard deviation at 0 dB.
const WRONG_HZ: f64 = 2000.0;

/// Frames about 20000 samples apart in noise, all with this offset.
pub(super) fn reach(
    layout: FrameLayout,
    snr_db: f64,
    offset_hz: f64,
    frames: usize,
    seed: u64,
) -> Result<ReachRow, SoundingError> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let config = SoundingConfig { layout, ..Default::default() };
    let burst = Synthesizer::with_layout(layout).burst(None, &[], &[])?;
    let noise = 10f64.powf(-snr_db / 10.0) as f32;
    let mut synchronizer = Synchronizer::new(&config)?;
    let mut estimator = Estimator::with_layout(layout);
    let mut samples = vec![Complex32::ZERO; SPACING];
    let mut found = Vec::new();
    let mut row = ReachRow { layout, snr_db, offset_hz, frames, ..Default::default() };
    let (mut hits, mut wrong) = (0, 0);
    for number in 0..frames {
        let first = (number * SPACING) as u64;
        let signed = if number % 2 == 0 { offset_hz } else { -offset_hz };
        let start = first + rng.random_range(4000..12_000);
        let truth = Truth::draw_at(start, signed, &mut rng);
        fill_noise(&mut samples, noise, &mut rng);
        truth.receive(&burst, first, &mut samples);
        synchronizer.process(first, &samples, &mut found)?;
        if number + 1 == frames {
            synchronizer.flush(&mut found);
        }
        let mut hit = false;
        for frame in found.drain(..) {
            let estimate = estimator.estimate(&frame);
            if hit || estimate.start.abs_diff(truth.strongest()) > 32 {
                row.false_frames += 1;
                continue;
            }
            hit = true;
            hits += 1;
            wrong += usize::from((estimate.cfo_hz - truth.cfo_hz).abs() > WRONG_HZ);
        }
    }
    row.detected = f64::from(hits) / frames as f64;
    row.wrong_offset = wrong as f64 / f64::from(hits.max(1));
    Ok(row)
}
