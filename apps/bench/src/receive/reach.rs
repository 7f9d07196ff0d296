//! How large a carrier offset may be: frames are found by correlation over a whole sequence, which an offset of one turn
//! over the sequence (19.55 kHz for 1023 chips) makes vanish.

use crqkd_sounding::{FrameLayout, SoundingConfig, SoundingError};
use serde::Serialize;

use super::channel::Truth;
use super::train::Train;

/// Magnitudes of the carrier offset, Hz; its sign alternates from frame to frame.
pub const OFFSET_HZ: [f64; 7] = [7e3, 8e3, 9e3, 10e3, 12e3, 14e3, 16e3];
/// Channel power over noise power, ‖h‖²/σ², of the frames, in dB.
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
    /// Training sequence of the frames.
    pub layout: FrameLayout,
    /// Channel power over noise power, ‖h‖²/σ², in dB.
    pub snr_db: f64,
    /// Magnitude of the carrier offset, Hz.
    pub offset_hz: f64,
    /// Frames sent, every other one with a negative offset.
    pub frames: usize,
    /// Share of the frames sent that were found, 0 to 1.
    pub detected: f64,
    /// Frames found where none is.
    pub false_frames: usize,
    /// Share of the found frames whose estimated offset is wrong by more than 2 kHz.
    pub wrong_offset: f64,
}

/// Error of an estimated offset that is no noise, Hz: ten times the standard deviation at 0 dB.
const WRONG_HZ: f64 = 2000.0;

/// A train of frames that all have this offset.
pub(super) fn reach(
    layout: FrameLayout,
    snr_db: f64,
    offset_hz: f64,
    frames: usize,
    seed: u64,
) -> Result<ReachRow, SoundingError> {
    let config = SoundingConfig { layout, ..Default::default() };
    let mut wrong = 0;
    let found = Train { config, snr_db, frames, seed }.receive(
        |number, start, rng| {
            Truth::draw_at(start, if number % 2 == 0 { offset_hz } else { -offset_hz }, rng)
        },
        |truth, estimate| {
            wrong += usize::from((estimate.cfo_hz - truth.cfo_hz).abs() > WRONG_HZ);
        },
    )?;
    Ok(ReachRow {
        layout,
        snr_db,
        offset_hz,
        frames,
        detected: found.hits as f64 / frames as f64,
        false_frames: found.false_frames,
        wrong_offset: wrong as f64 / found.hits.max(1) as f64,
    })
}
