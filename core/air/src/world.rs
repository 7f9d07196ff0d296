//! The world: configuration and seed turned into everything that happens on the air.

use num_complex::Complex32;

use crate::SAMPLE_RATE_HZ;
use crate::config::{AirConfig, AirError};
use crate::csi::{CARRIERS, CarrierSet, ESTIMATE_GAIN, Probe};
use crate::fir::{DELAY_TAPS, delay_filter};
use crate::geometry::{Geometry, Link, TAPS};
use crate::interference::Interference;
use crate::math::{amplitude, cos_sin_turns};
use crate::radio::{Hardware, Radio, Reception};
use crate::random::{Purpose, key, normal_pair, stream};
use crate::receive::Scratch;

/// One place with a QAP, a user and an eavesdropper.
///
/// Methods take `&mut self` for a cache and scratch memory only: every answer is a function of (configuration,
/// seed, arguments), and clones agree. Give each thread its own clone.
#[derive(Clone, Debug)]
pub struct World {
    pub(crate) config: AirConfig,
    pub(crate) seed: u64,
    /// Variance of a quiet noise sample, both parts together.
    pub(crate) noise_power: f32,
    pub(crate) hardware: [Hardware; 3],
    pub(crate) interference: Interference,
    pub(crate) scratch: Scratch,
    /// Samples that one geometry lasts.
    geometry_samples: u64,
    geometry: [Option<(u64, Geometry)>; 3],
    all: CarrierSet,
}

impl World {
    /// A world from its description; the error names a value that is out of range.
    pub fn new(config: &AirConfig, seed: u64) -> Result<Self, AirError> {
        config.validate()?;
        let hardware = Radio::ALL.map(|radio| Hardware::new(config, seed, radio));
        let all: Vec<usize> = (0..CARRIERS).collect();
        Ok(Self {
            config: config.clone(),
            seed,
            noise_power: 10f64.powf(-config.sample_snr_db() / 10.0) as f32,
            interference: Interference::new(config, seed),
            scratch: Scratch::default(),
            geometry_samples: (config.geometry_s * SAMPLE_RATE_HZ).round() as u64,
            geometry: [None, None, None],
            all: CarrierSet::new(&all, [0, 1, 2].map(|i| &hardware[i].ripple)),
            hardware,
        })
    }

    /// Taps of the channel from `tx` to `rx` at sample `t`, shadowing included; all zero from a radio to itself.
    ///
    /// Both directions have the same taps at the same time.
    pub fn taps(&mut self, tx: Radio, rx: Radio, t: u64) -> [Complex32; TAPS] {
        self.used_taps(tx, rx, t).0
    }

    /// The taps, and how many of them are in use.
    fn used_taps(&mut self, tx: Radio, rx: Radio, t: u64) -> ([Complex32; TAPS], usize) {
        let mut taps = [Complex32::ZERO; TAPS];
        let Some(link) = link(tx, rx) else { return (taps, 0) };
        let epoch = t / self.geometry_samples;
        let since_s = ((t % self.geometry_samples) as f64 / SAMPLE_RATE_HZ) as f32;
        let slot = &mut self.geometry[link as usize];
        if slot.as_ref().is_none_or(|(cached, _)| *cached != epoch) {
            *slot = Some((epoch, Geometry::new(&self.config, self.seed, link, epoch)));
        }
        let (_, geometry) = slot.as_ref().expect("filled just above");
        let used = geometry.taps(since_s, &mut taps);
        (taps, used)
    }

    /// Prepares a choice of carriers (indices below [`CARRIERS`]) for [`World::probe`].
    ///
    /// # Errors
    /// An index that is not below [`CARRIERS`].
    pub fn carriers(&self, indices: &[usize]) -> Result<CarrierSet, AirError> {
        if let Some(&bad) = indices.iter().find(|&&c| c >= CARRIERS) {
            let max = (CARRIERS - 1) as f64;
            return Err(AirError::OutOfRange { key: "carriers", value: bad as f64, min: 0.0, max });
        }
        Ok(CarrierSet::new(indices, [0, 1, 2].map(|i| &self.hardware[i].ripple)))
    }

    /// The channel, without noise, that a burst sent at sample `t` meets on the 52 carriers: taps, both radios'
    /// filters, the receiver's gain and sub-sample timing, and the phase between the oscillators at the start.
    pub fn csi(&mut self, tx: Radio, rx: Radio, t: u64) -> [Complex32; CARRIERS] {
        let mut out = [Complex32::ZERO; CARRIERS];
        let (taps, used) = self.used_taps(tx, rx, t);
        self.respond(&taps[..used], tx, rx, t, &self.all, &mut out);
        out
    }

    /// What an estimator (32-tap least squares) makes of a frame sent at sample `t`: the carriers of `set`, noise
    /// included, into `csi`.
    ///
    /// # Panics
    /// Never; carriers beyond the length of `csi` are left out.
    pub fn probe(
        &mut self,
        tx: Radio,
        rx: Radio,
        t: u64,
        set: &CarrierSet,
        csi: &mut [Complex32],
    ) -> Probe {
        let (taps, used) = self.used_taps(tx, rx, t);
        let gain = self.respond(&taps[..used], tx, rx, t, set, csi);
        let noise = self.noise_power * (1.0 + self.interference.level(rx, t));
        let power: f32 = taps.iter().map(|tap| tap.norm_sqr()).sum();
        let noise_var = noise / ESTIMATE_GAIN;
        let mut rng = stream(self.seed, Purpose::Estimate, direction(tx, rx), t);
        set.add_noise(noise_var, || normal_pair(&mut rng), csi);
        Probe { sample_snr_db: 10.0 * (power * gain * gain / noise).log10(), noise_var }
    }

    /// The response on the carriers of `set`; returns the receiver's gain.
    fn respond(
        &self,
        taps: &[Complex32],
        tx: Radio,
        rx: Radio,
        t: u64,
        set: &CarrierSet,
        out: &mut [Complex32],
    ) -> f32 {
        let (gain, delay) = self.reception(tx, rx, t);
        let (cos, sin) = cos_sin_turns(self.start_phase(tx, rx, t));
        set.transform(taps, out);
        set.color(tx.index(), rx.index(), &delay, Complex32::new(cos, sin) * gain, out);
        gain
    }

    /// Gain of `rx` and its delay filter for a burst sent at `start`.
    pub(crate) fn reception(&self, tx: Radio, rx: Radio, start: u64) -> (f32, [f32; DELAY_TAPS]) {
        let reception = Reception::new(&self.config, self.seed, tx, rx, start);
        (amplitude(reception.gain_db), delay_filter(reception.delay))
    }

    /// Phase between the oscillators, in turns, at the start of a burst: tuned anew for each.
    pub(crate) fn start_phase(&self, tx: Radio, rx: Radio, start: u64) -> f32 {
        let bits = key(self.seed, Purpose::Phase, direction(tx, rx), start);
        (bits >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Frequency of `tx` over that of `rx` in Hz.
    pub fn cfo_hz(&self, tx: Radio, rx: Radio) -> f64 {
        self.hardware[tx.index()].offset_hz - self.hardware[rx.index()].offset_hz
    }

    /// Variance of a quiet noise sample (both parts together); a burst at the median gain has mean power 1.
    pub fn noise_power(&self) -> f32 {
        self.noise_power
    }

    /// Power of the interference at `radio` at sample `t`, in units of [`World::noise_power`].
    pub fn interference(&self, radio: Radio, t: u64) -> f32 {
        self.interference.level(radio, t)
    }

    /// The description that this world was made from.
    pub fn config(&self) -> &AirConfig {
        &self.config
    }
}

/// Number of an ordered pair of radios.
pub(crate) fn direction(tx: Radio, rx: Radio) -> u64 {
    (tx.index() * 3 + rx.index()) as u64
}

fn link(a: Radio, b: Radio) -> Option<Link> {
    use Radio::{Eve, Qap, User};
    match (a, b) {
        (Qap, User) | (User, Qap) => Some(Link::QapUser),
        (Qap, Eve) | (Eve, Qap) => Some(Link::QapEve),
        (User, Eve) | (Eve, User) => Some(Link::UserEve),
        (Qap, Qap) | (User, User) | (Eve, Eve) => None,
    }
}
