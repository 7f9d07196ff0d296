//! What is quantised: real features of one probe's channel.

use num_complex::Complex32;

/// Number of carriers in the CSI of a probe: k = −26..=−1, 1..=26 of a 64-point grid.
pub const CARRIERS: usize = 52;

/// A map from one probe's CSI to real features. Both ends and the eavesdropper use the same one.
pub trait FeatureMap {
    /// Number of features of a probe, at least 1.
    fn count(&self) -> usize;

    /// Number of complex values a probe has.
    fn inputs(&self) -> usize;

    /// Writes [`count`](Self::count) features of `csi` to `out`, replacing what was there; refuses a probe that has a
    /// sample from which no feature can be taken.
    fn map_into(&self, csi: &[Complex32], out: &mut Vec<f32>) -> Result<(), FeatureError>;

    /// The features of one probe as a new vector.
    fn map(&self, csi: &[Complex32]) -> Result<Vec<f32>, FeatureError> {
        let mut out = Vec::with_capacity(self.count());
        self.map_into(csi, &mut out)?;
        Ok(out)
    }
}

/// Amplitude in decibels, 20·log10|h\[c\]|, of selected carriers (the paper takes 4 of 52).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogAmplitude {
    carriers: Vec<usize>,
    inputs: usize,
}

impl LogAmplitude {
    /// Takes every one of `inputs` values, at least 1: for measurements on any number of tones.
    pub fn all(inputs: usize) -> Result<Self, FeatureError> {
        if inputs == 0 {
            return Err(FeatureError::NoCarrier);
        }
        Ok(Self { carriers: (0..inputs).collect(), inputs })
    }

    /// Takes the carriers at these indices of a 52-carrier CSI; they must ascend.
    pub fn new(carriers: &[u8]) -> Result<Self, FeatureError> {
        if carriers.is_empty() {
            return Err(FeatureError::NoCarrier);
        }
        for (place, &index) in carriers.iter().enumerate() {
            if usize::from(index) >= CARRIERS {
                return Err(FeatureError::NoSuchCarrier { place, index });
            }
            if place > 0 && carriers[place - 1] >= index {
                return Err(FeatureError::NotAscending { place, index });
            }
        }
        Ok(Self { carriers: carriers.iter().map(|&c| c.into()).collect(), inputs: CARRIERS })
    }

    /// Indices of the carriers, ascending.
    pub fn carriers(&self) -> &[usize] {
        &self.carriers
    }
}

impl FeatureMap for LogAmplitude {
    fn count(&self) -> usize {
        self.carriers.len()
    }

    fn inputs(&self) -> usize {
        self.inputs
    }

    fn map_into(&self, csi: &[Complex32], out: &mut Vec<f32>) -> Result<(), FeatureError> {
        if csi.len() != self.inputs {
            return Err(FeatureError::WrongLength { found: csi.len(), expected: self.inputs });
        }
        out.clear();
        for &carrier in &self.carriers {
            out.push(log_amplitude(csi[carrier], carrier)?);
        }
        Ok(())
    }
}

/// 20·log10|h| of the value at `index`, or why there is none.
fn log_amplitude(h: Complex32, index: usize) -> Result<f32, FeatureError> {
    let power = f64::from(h.re) * f64::from(h.re) + f64::from(h.im) * f64::from(h.im);
    if !power.is_finite() {
        return Err(FeatureError::NotFinite { index });
    }
    if power == 0.0 {
        return Err(FeatureError::ZeroAmplitude { index });
    }
    Ok((10.0 * power.log10()) as f32)
}

/// The real parts as they are: for measurements that are real features already (RSS, amplitudes, differences).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RealPassthrough {
    count: usize,
}

impl RealPassthrough {
    /// Passes `count` values a probe, at least 1.
    pub fn new(count: usize) -> Result<Self, FeatureError> {
        if count == 0 { Err(FeatureError::NoCarrier) } else { Ok(Self { count }) }
    }
}

impl FeatureMap for RealPassthrough {
    fn count(&self) -> usize {
        self.count
    }

    fn inputs(&self) -> usize {
        self.count
    }

    fn map_into(&self, csi: &[Complex32], out: &mut Vec<f32>) -> Result<(), FeatureError> {
        if csi.len() != self.count {
            return Err(FeatureError::WrongLength { found: csi.len(), expected: self.count });
        }
        if let Some(index) = csi.iter().position(|h| !h.re.is_finite()) {
            return Err(FeatureError::NotFinite { index });
        }
        out.clear();
        out.extend(csi.iter().map(|h| h.re));
        Ok(())
    }
}

/// Why no features can be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeatureError {
    /// The list of carriers is empty.
    #[error("no carrier selected, expected at least 1")]
    NoCarrier,
    /// A carrier index beyond the band.
    #[error("carrier index {index} at place {place}, expected 0 to 51")]
    NoSuchCarrier {
        /// Place of the index in the list of carriers, from 0.
        place: usize,
        /// Carrier index found there, 52 or more.
        index: u8,
    },
    /// The carriers do not ascend.
    #[error(
        "carrier index {index} at place {place} does not follow the one before it, expected an ascending list"
    )]
    NotAscending {
        /// Place of the index in the list of carriers, from 0.
        place: usize,
        /// Carrier index found there, not above the one before it.
        index: u8,
    },
    /// A probe of the wrong length.
    #[error("the probe has {found} values, expected {expected}")]
    WrongLength {
        /// Number of values that the probe has.
        found: usize,
        /// Number of values that the map takes: [`FeatureMap::inputs`].
        expected: usize,
    },
    /// A carrier whose value is NaN or infinite.
    #[error("the value of carrier {index} is not a finite number")]
    NotFinite {
        /// Index of the value in the CSI of the probe, from 0.
        index: usize,
    },
    /// A carrier without a logarithm: nothing was received there.
    #[error("the amplitude of carrier {index} is zero")]
    ZeroAmplitude {
        /// Index of the value in the CSI of the probe, from 0.
        index: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_amplitude_is_in_decibels_and_blind_to_phase() {
        let mut csi = vec![Complex32::new(1.0, 0.0); CARRIERS];
        csi[3] = Complex32::new(0.0, -10.0);
        csi[51] = Complex32::new(0.6, 0.8);
        let map = LogAmplitude::new(&[0, 3, 51]).unwrap();
        let features = map.map(&csi).unwrap();
        assert_eq!(features[..2], [0.0, 20.0]);
        assert!(features[2].abs() < 1e-6);
    }

    #[test]
    fn amplitudes_whose_square_leaves_f32_are_still_taken() {
        let map = LogAmplitude::new(&[0]).unwrap();
        for (amplitude, db) in [(1e-30f32, -600.0f32), (1e30, 600.0)] {
            let csi = vec![Complex32::new(amplitude, 0.0); CARRIERS];
            assert!((map.map(&csi).unwrap()[0] - db).abs() < 1e-3);
        }
    }

    #[test]
    fn probes_without_a_feature_are_refused_with_the_carrier() {
        let map = LogAmplitude::new(&[7, 9]).unwrap();
        let mut csi = vec![Complex32::new(1.0, 1.0); CARRIERS];
        csi[8] = Complex32::new(f32::NAN, 0.0);
        assert!(map.map(&csi).is_ok(), "carrier 8 is not used");
        csi[9] = Complex32::new(0.0, f32::INFINITY);
        assert_eq!(map.map(&csi), Err(FeatureError::NotFinite { index: 9 }));
        csi[7] = Complex32::new(0.0, 0.0);
        assert_eq!(map.map(&csi), Err(FeatureError::ZeroAmplitude { index: 7 }));
        assert_eq!(map.map(&csi[1..]), Err(FeatureError::WrongLength { found: 51, expected: 52 }));
    }

    #[test]
    fn carrier_lists_must_ascend() {
        assert_eq!(LogAmplitude::new(&[]), Err(FeatureError::NoCarrier));
        assert_eq!(
            LogAmplitude::new(&[4, 4]),
            Err(FeatureError::NotAscending { place: 1, index: 4 })
        );
    }

    #[test]
    fn real_values_pass_as_they_are() {
        let map = RealPassthrough::new(2).unwrap();
        let probe = [Complex32::new(-3.5, 9.0), Complex32::new(0.0, 0.0)];
        assert_eq!(map.map(&probe).unwrap(), [-3.5, 0.0]);
        let probe = [Complex32::new(1.0, 0.0), Complex32::new(f32::NAN, 0.0)];
        assert_eq!(map.map(&probe), Err(FeatureError::NotFinite { index: 1 }));
    }
}
