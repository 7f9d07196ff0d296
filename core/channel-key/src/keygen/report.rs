//! What [`keygen`](super::keygen()) says; none of it holds a key bit.

use crqkd_bits::Fingerprint;
use serde::Serialize;

use super::judge::Agreement;
use super::measurements::FeatureKind;
use super::select::{ColumnLeftOut, ProbesMissing};
use crate::counts::RawCount;
use crate::quantizer::{SoftBits, Thresholds};

/// What [`keygen`](super::keygen()) used, left out and compared, without any key bit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeygenReport {
    /// Number of probes in each end's matrix, before any is left out.
    pub probes: usize,
    /// Number of features of a probe in each matrix, before any is left out.
    pub features: usize,
    /// Whether the features are real values or log-amplitudes of complex ones.
    pub feature: FeatureKind,
    /// Their names, where the measurements have them.
    pub feature_names: Option<Vec<String>>,
    /// The features that are used, by number.
    pub columns: Vec<usize>,
    /// Over which samples the thresholds were taken.
    pub thresholds: Thresholds,
    /// Windows quantised; single probes where thresholds run over features.
    pub windows: usize,
    /// Probes in the windows that were used.
    pub probes_used: usize,
    /// Bits of each end as quantised.
    pub raw_bits: RawCount,
    /// Fingerprint of the QAP's bits.
    pub fingerprint: Fingerprint,
    /// Share of ones in the QAP's bits.
    pub ones_rate: f64,
    /// Features whose bit is not the same in every probe at the QAP.
    pub positions_that_change: usize,
    /// Columns, probes and windows that were not used.
    pub left_out: LeftOut,
    /// The user's bits against the QAP's.
    pub user: Disagreement,
    /// The eavesdropper's bits against the QAP's.
    pub eve: Option<Disagreement>,
}

/// What was not used of the measurements, at any end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LeftOut {
    /// Columns that measure no channel.
    pub columns: Vec<ColumnLeftOut>,
    /// Probes that an end did not measure.
    pub probes_missing: ProbesMissing,
    /// Windows without movement. Those of the eavesdropper are left out of her comparison only.
    pub windows_still: Vec<WindowStill>,
    /// Probes that do not fill the last window.
    pub probes_behind: usize,
}

/// A window in which all samples of a threshold are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct WindowStill {
    /// Its number among all windows.
    pub window: usize,
    /// Number of the window's first probe.
    pub first_probe: usize,
    /// Number of the window's last probe.
    pub last_probe: usize,
    /// The first end at which nothing moves.
    pub end: &'static str,
}

impl WindowStill {
    pub(super) fn new(window: usize, probes: &[usize], end: &'static str) -> Self {
        let [first_probe, last_probe] =
            [probes.first(), probes.last()].map(|probe| probe.copied().unwrap_or(0));
        Self { window, first_probe, last_probe, end }
    }
}

/// The disagreement of one end's bits with the QAP's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Disagreement {
    /// Fingerprint of this end's bits.
    pub fingerprint: Fingerprint,
    /// How far this end's bits agree with the QAP's, and whether that is more than chance.
    #[serde(flatten)]
    pub agreement: Agreement,
}

impl Disagreement {
    pub(super) fn new(bits: &SoftBits, agreement: Agreement) -> Self {
        Self { fingerprint: bits.bits.fingerprint(), agreement }
    }
}
