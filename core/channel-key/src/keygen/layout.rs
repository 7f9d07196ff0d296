//! How probes and features are cut into the samples of one threshold, and the bits in the order of the probes.

use crqkd_bits::{BitString, SecretBits};
use zeroize::Zeroizing;

use super::block::BlockQuantizer;
use super::error::KeygenError;
use super::judge::{Agreement, Pair};
use super::measurements::Measurements;
use super::{KeygenConfig, Thresholds};
use crate::config::ChannelKeyConfig;
use crate::quantizer::SoftBits;

/// Bits as bytes 0 and 1, and their LLRs.
pub(super) type Bits = (Zeroizing<Vec<u8>>, Zeroizing<Vec<f32>>);

/// Which samples share a threshold.
pub(super) struct Layout {
    /// The features that are used.
    pub(super) columns: Vec<usize>,
    pub(super) thresholds: Thresholds,
    /// Probes of a window: those that share thresholds, or one probe where thresholds run over features.
    window: usize,
    design_kdr: f64,
    llr_limit: f32,
}

impl Layout {
    pub(super) fn new(
        columns: Vec<usize>,
        whole: &[usize],
        config: &KeygenConfig,
    ) -> Result<Self, KeygenError> {
        let longer = match columns.len() > whole.len() {
            true => Thresholds::OverFeatures,
            false => Thresholds::OverProbes,
        };
        let thresholds = config.thresholds.unwrap_or(longer);
        let (window, samples) = match thresholds {
            Thresholds::OverProbes => (config.window_probes.min(whole.len()), whole.len()),
            Thresholds::OverFeatures => (1, columns.len()),
        };
        if whole.is_empty() {
            return Err(KeygenError::TooFew { over: Thresholds::OverProbes, samples: 0 });
        }
        if samples < 2 {
            return Err(KeygenError::TooFew { over: thresholds, samples });
        }
        let ChannelKeyConfig { design_kdr, llr_limit, .. } = ChannelKeyConfig::default();
        Ok(Self { columns, thresholds, window, design_kdr, llr_limit })
    }

    /// The probes of each window; those that do not fill the last one are left out.
    pub(super) fn windows<'p>(&self, whole: &'p [usize]) -> impl Iterator<Item = &'p [usize]> {
        whole.chunks_exact(self.window)
    }

    pub(super) fn bits_of(&self, window: &[usize]) -> usize {
        window.len() * self.columns.len()
    }

    /// The samples of each threshold of a window, with the place of each in the window's bits.
    fn blocks(&self, end: &Measurements, window: &[usize]) -> Vec<(Vec<usize>, Vec<f64>)> {
        let width = self.columns.len();
        let block = |places: Vec<usize>| {
            let value = |&p: &usize| end.value(window[p / width], self.columns[p % width]);
            let values = places.iter().map(value).collect();
            (places, values)
        };
        let (probes, features) = (0..window.len(), 0..width);
        match self.thresholds {
            Thresholds::OverProbes => features
                .map(|feature| block(probes.clone().map(|probe| probe * width + feature).collect()))
                .collect(),
            Thresholds::OverFeatures => probes
                .map(|probe| block(features.clone().map(|f| probe * width + f).collect()))
                .collect(),
        }
    }

    /// Whether every threshold of the window has samples that differ.
    pub(super) fn moves(&self, end: &Measurements, window: &[usize]) -> bool {
        let blocks = self.blocks(end, window);
        blocks.iter().all(|(_, values)| values.iter().any(|x| *x != values[0]))
    }

    /// The bits of windows that move.
    pub(super) fn quantize(&self, end: &Measurements, windows: &[&[usize]], salt: u64) -> Bits {
        let quantizer = BlockQuantizer::new(self.design_kdr, self.llr_limit, salt);
        let total: usize = windows.iter().map(|window| self.bits_of(window)).sum();
        let mut bits = Zeroizing::new(vec![0; total]);
        let mut llr = Zeroizing::new(vec![0.0; total]);
        let mut first = 0;
        for window in windows {
            for (places, values) in self.blocks(end, window) {
                quantizer.run(&values, first + places[0], |sample, bit, ratio| {
                    bits[first + places[sample]] = u8::from(bit);
                    llr[first + places[sample]] = ratio;
                });
            }
            first += self.bits_of(window);
        }
        (bits, llr)
    }

    pub(super) fn compare(&self, a: &[u8], b: &[u8]) -> Agreement {
        Pair { a, b, features: self.columns.len(), block: self.window }.agreement()
    }

    /// Features whose bit is not the same in every probe.
    pub(super) fn positions_that_change(&self, bits: &SoftBits) -> usize {
        let width = self.columns.len();
        let mut ones = vec![0; width];
        for (index, bit) in bits.bits.expose().iter().enumerate() {
            ones[index % width] += usize::from(bit);
        }
        let probes = bits.len() / width;
        ones.iter().filter(|&&ones| ones > 0 && ones < probes).count()
    }
}

pub(super) fn soft_bits((bits, llr): Bits) -> SoftBits {
    SoftBits { bits: SecretBits::from(BitString::from_bits(&bits)), llr }
}
