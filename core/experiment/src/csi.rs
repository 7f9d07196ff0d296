//! Windows of features as the two ends and Eve would measure them, straight from the channel model.

use crqkd_air::{CarrierSet, PATH_DELAY, Radio, World};
use crqkd_channel_key::{FeatureMap, LogAmplitude};
use num_complex::Complex32;

use crate::setup::{ExperimentError, Setup};

/// Signal-to-noise ratio of a sample in dB below which a frame is taken as lost: its header cannot be read, so the probe
/// is missing from its receiver's bitmap and costs no wrong bits. Half of the headers of crqkd-sounding decode at
/// -11.4 dB, 19 % between -12 and -11 dB and 77 % between -11 and -10 dB (counted on the office's channel).
pub const FRAME_FLOOR_DB: f32 = -11.4;

/// Features of one window, one row a probe, of the probes that both ends kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WindowFeatures {
    /// Number of the window, from 0.
    pub window: u64,
    /// At the QAP, from the user's frames.
    pub qap: Vec<Vec<f32>>,
    /// At the user, from the QAP's frames.
    pub user: Vec<Vec<f32>>,
    /// At Eve, from the QAP's frames.
    pub eve: Vec<Vec<f32>>,
    /// At Eve, from the user's frames.
    pub eve_reverse: Vec<Vec<f32>>,
}

/// A link that gives window after window, without end.
pub struct CsiLink {
    world: World,
    carriers: CarrierSet,
    map: LogAmplitude,
    period: u64,
    turnaround: u64,
    window_probes: u64,
    next: u64,
    csi: Vec<Complex32>,
}

impl CsiLink {
    /// The link of a world with this seed.
    ///
    /// # Errors
    /// The first value of `setup` that is out of range.
    pub fn new(setup: &Setup, seed: u64) -> Result<Self, ExperimentError> {
        setup.validate()?;
        let world = World::new(&setup.air, seed)?;
        let indices: Vec<usize> = setup.channel_key.carriers.iter().map(|&c| c.into()).collect();
        Ok(Self {
            carriers: world.carriers(&indices)?,
            map: LogAmplitude::all(indices.len()).expect("validated: at least one carrier"),
            world,
            period: setup.probing.period_samples(),
            turnaround: setup.probing.turnaround_samples(),
            window_probes: setup.probing.window_probes.into(),
            next: 0,
            csi: vec![Complex32::ZERO; indices.len()],
        })
    }

    /// The next window; a frame below [`FRAME_FLOOR_DB`] at either end loses its probe.
    pub fn window(&mut self) -> WindowFeatures {
        let mut out = WindowFeatures { window: self.next, ..WindowFeatures::default() };
        self.next += 1;
        for probe in 0..self.window_probes {
            let forward = (out.window * self.window_probes + probe) * self.period;
            if let Some([qap, user, eve, eve_reverse]) = self.probe(forward) {
                out.qap.push(qap);
                out.user.push(user);
                out.eve.push(eve);
                out.eve_reverse.push(eve_reverse);
            }
        }
        out
    }

    /// Features at QAP, user, and Eve for both frames; `None` when a frame is lost.
    fn probe(&mut self, forward: u64) -> Option<[Vec<f32>; 4]> {
        let reverse = forward + PATH_DELAY + self.turnaround;
        let mut features = [const { Vec::new() }; 4];
        let hops = [
            (Radio::User, Radio::Qap, reverse),
            (Radio::Qap, Radio::User, forward),
            (Radio::Qap, Radio::Eve, forward),
            (Radio::User, Radio::Eve, reverse),
        ];
        for ((tx, rx, start), out) in hops.into_iter().zip(&mut features) {
            let heard = self.world.probe(tx, rx, start, &self.carriers, &mut self.csi);
            if rx != Radio::Eve && heard.sample_snr_db < FRAME_FLOOR_DB {
                return None;
            }
            self.map.map_into(&self.csi, out).ok()?;
        }
        Some(features)
    }
}
