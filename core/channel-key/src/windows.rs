//! The measurements of the windows that are not closed yet, by direction.

use crate::{
    ChannelKeyConfig, ConfigError, FeatureMap, LogAmplitude, MedianQuantizer, Quantizer, SoftBits,
};
use crqkd_bits::{BitString, SecretBits};
use crqkd_ids::{Direction, Epoch, WindowId};
use num_complex::Complex32;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Windows of measurements that are kept at most; the oldest go.
const MAX_WINDOWS: usize = 32;

type Key = (Epoch, WindowId);
type Features = BTreeMap<(Direction, u16), Vec<f32>>;

/// Collects probes and makes channel key of the windows that both ends have agreed on.
#[derive(Debug)]
pub struct Windows {
    map: LogAmplitude,
    quantizer: MedianQuantizer,
    open: BTreeMap<Key, Features>,
}

impl Windows {
    /// Windows without any measurement.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn new(config: &ChannelKeyConfig) -> Result<Self, ConfigError> {
        Ok(Windows {
            map: LogAmplitude::new(&config.carriers)?,
            quantizer: MedianQuantizer::new(config)?,
            open: BTreeMap::new(),
        })
    }

    /// Takes a measurement. One without features (a carrier of amplitude zero) counts as missing.
    pub fn add(
        &mut self,
        epoch: Epoch,
        window: WindowId,
        index: u16,
        direction: Direction,
        csi: &[Complex32],
    ) {
        if let Ok(features) = self.map.map(csi) {
            let window = self.open.entry((epoch, window)).or_default();
            window.insert((direction, index), features);
        }
        while self.open.len() > MAX_WINDOWS {
            self.open.pop_first();
        }
    }

    /// Channel key of a window from the probes `kept` of one direction. With `gaps` a missing probe
    /// gives bits of LLR 0, otherwise none may be missing.
    ///
    /// # Errors
    /// Why there is none: a probe is missing, or the quantizer refuses; neither with `gaps`.
    pub fn derive(
        &self,
        epoch: Epoch,
        window: WindowId,
        direction: Direction,
        kept: &[u16],
        gaps: bool,
    ) -> Result<SoftBits, String> {
        let empty = Features::new();
        let probes = self.open.get(&(epoch, window)).unwrap_or(&empty);
        let found: Vec<Option<&Vec<f32>>> =
            kept.iter().map(|&index| probes.get(&(direction, index))).collect();
        let missing = found.iter().filter(|f| f.is_none()).count();
        if missing > 0 && !gaps {
            return Err(format!(
                "window {window}: {missing} of {} kept probes were not measured here",
                kept.len()
            ));
        }
        let present: Vec<Vec<f32>> = found.iter().copied().flatten().cloned().collect();
        let soft = match self.quantizer.quantize(&present) {
            Ok(soft) => soft,
            Err(_) if gaps => return Ok(unknown(kept.len() * self.map.count())),
            Err(error) => return Err(format!("window {window}: {error}")),
        };
        Ok(if missing == 0 { soft } else { spread(&soft, &found, self.map.count()) })
    }

    /// Forgets a window and all before it.
    pub fn forget(&mut self, epoch: Epoch, window: WindowId) {
        self.open.retain(|&key, _| key > (epoch, window));
    }
}

/// Bits of which nothing is known.
fn unknown(bits: usize) -> SoftBits {
    SoftBits { bits: BitString::with_len(bits).into(), llr: Zeroizing::new(vec![0.0; bits]) }
}

/// Puts bits of LLR 0 where a probe is missing.
fn spread(soft: &SoftBits, found: &[Option<&Vec<f32>>], count: usize) -> SoftBits {
    let mut all = BitString::new();
    let mut llr = Zeroizing::new(Vec::with_capacity(found.len() * count));
    let mut known = soft.bits.expose().iter().zip(soft.llr.iter());
    for probe in found {
        for _ in 0..count {
            let (bit, ratio) = if probe.is_some() {
                known.next().map_or((false, 0.0), |(bit, ratio)| (bit, *ratio))
            } else {
                (false, 0.0)
            };
            all.push(bit);
            llr.push(ratio);
        }
    }
    SoftBits { bits: SecretBits::from(all), llr }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Forward, Reverse};

    fn filled(probes: &[u16]) -> Windows {
        let mut windows = Windows::new(&ChannelKeyConfig::default()).unwrap();
        for &i in probes {
            let csi = [Complex32::new(1.0 + f32::from(i * 7 % 5) + 0.1 * f32::from(i), 0.0); 52];
            windows.add(Epoch(1), WindowId(2), i, Forward, &csi);
        }
        windows
    }

    fn text(soft: &SoftBits) -> String {
        soft.bits.expose().iter().map(|b| if b { '1' } else { '0' }).collect()
    }

    #[test]
    fn only_the_kept_probes_count_and_none_may_be_missing() {
        let windows = filled(&[0, 1, 2, 3, 4, 5]);
        let derive =
            |w: &Windows, kept: &[u16], gaps| w.derive(Epoch(1), WindowId(2), Forward, kept, gaps);
        let bits = derive(&windows, &[0, 1, 3, 4], false).unwrap();
        assert_eq!(
            text(&bits),
            text(&derive(&filled(&[0, 1, 3, 4]), &[0, 1, 3, 4], false).unwrap())
        );
        let error = derive(&filled(&[0, 1, 4]), &[0, 1, 3, 4], false).unwrap_err();
        assert!(error.contains("1 of 4 kept probes"), "{error}");
        assert!(windows.derive(Epoch(1), WindowId(2), Reverse, &[0, 1], false).is_err());
    }

    #[test]
    fn a_gap_gives_bits_of_which_nothing_is_known() {
        let windows = filled(&[0, 1, 4, 5]);
        let bits = windows.derive(Epoch(1), WindowId(2), Forward, &[0, 1, 3, 4, 5], true).unwrap();
        let full = filled(&[0, 1, 4, 5]);
        let full = full.derive(Epoch(1), WindowId(2), Forward, &[0, 1, 4, 5], false).unwrap();
        assert_eq!(bits.len(), 20);
        assert_eq!(bits.llr[8..12], [0.0; 4]);
        assert_eq!(text(&bits)[..8], text(&full)[..8]);
        assert_eq!(bits.llr[12..], full.llr[8..]);
        let nothing = windows.derive(Epoch(1), WindowId(9), Forward, &[0, 1], true).unwrap();
        assert_eq!(nothing.llr[..], [0.0; 8]);
    }

    #[test]
    fn a_window_is_forgotten_with_all_before_it_and_their_number_is_bounded() {
        let mut windows = filled(&[0, 1]);
        for w in 0..100 {
            windows.add(Epoch(1), WindowId(w), 0, Forward, &[Complex32::ONE; 52]);
        }
        assert_eq!(windows.open.len(), MAX_WINDOWS);
        windows.forget(Epoch(1), WindowId(97));
        assert_eq!(windows.open.len(), 2);
    }
}
