//! Key bits from paired measurements of one's own: matrices in, bits and disagreement out.
//!
//! ```text
//! matrices --columns--> --probes--> windows --median--> bits, LLRs --judge--> KDR, chance, verdict
//!          that do not  that all    that move            of each end          user and Eve against the QAP
//!          count        ends have
//! ```
//!
//! What is left out is left out at all ends and counted in the report; a window in which nothing moves at the
//! eavesdropper is left out of her comparison only.
//!
//! ```
//! use crqkd_channel_key::keygen::{KeygenConfig, Measurements, keygen};
//! use num_complex::Complex64;
//!
//! # fn main() -> Result<(), crqkd_channel_key::keygen::KeygenError> {
//! // Two probes of four tones each, measured by both ends at different gains.
//! let tones = [1.0, 4.0, 2.0, 3.0, 5.0, 1.0, 2.0, 3.0].map(|a| Complex64::new(a, 0.0));
//! let qap = Measurements::complex(2, 4, &tones)?;
//! let user = Measurements::complex(2, 4, &tones.map(|h| h * Complex64::new(0.0, 3.0)))?;
//! let key = keygen(&qap, &user, None, &KeygenConfig::default())?;
//! assert_eq!(key.report.raw_bits.0, 8);
//! assert_eq!(key.report.user.agreement.kdr.errors, 0);
//! assert_eq!(key.qap.bits.expose().to_string(), "01011001");
//! # Ok(())
//! # }
//! ```

mod block;
mod error;
mod judge;
mod layout;
mod measurements;
mod report;
mod select;
#[cfg(test)]
mod tests;

pub use error::KeygenError;
pub use judge::{Agreement, Verdict};
pub use measurements::{FeatureKind, Measurements};
pub use report::{Disagreement, KeygenReport, LeftOut, WindowStill};
pub use select::{ColumnFault, ColumnLeftOut, ProbesMissing};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::counts::RawCount;
use crate::quantizer::{SoftBits, Thresholds};
use layout::Layout;
use select::{columns_left_out, whole_probes};

/// Settings of [`keygen()`]: over which samples thresholds are taken, and the length of a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeygenConfig {
    /// Over which samples thresholds are taken; without it over the longer side of what is used of the matrix, which
    /// gives the better-known medians (over the probes where both are equal).
    pub thresholds: Option<Thresholds>,
    /// Probes a window, at least 2, where thresholds run over probes. Fewer probes than one window make one window;
    /// otherwise those that do not fill the last one are left out.
    pub window_probes: usize,
}

impl Default for KeygenConfig {
    fn default() -> Self {
        Self { thresholds: None, window_probes: 128 }
    }
}

/// The bits of every end beside the report about them.
#[derive(Debug)]
pub struct Keygen {
    /// What was used and left out, and how far the ends disagree; it holds no key bit.
    pub report: KeygenReport,
    /// The QAP's bits, probe-major over the probes and features that are used.
    pub qap: SoftBits,
    /// The user's bits, as many as the QAP's and in the same order.
    pub user: SoftBits,
    /// The eavesdropper's bits; `None` when her measurements were not given.
    pub eve: Option<EveBits>,
}

/// What an eavesdropper makes of her measurements.
#[derive(Debug)]
pub struct EveBits {
    /// Her bits, of the windows in which she measured movement.
    pub bits: SoftBits,
    /// For each of the QAP's bits, whether she has one.
    pub has: Vec<bool>,
}

/// Quantises the measurements of the QAP, the user and, when there is one, the eavesdropper, window by window, and
/// compares them. Probe `i` of every matrix is the same probe.
///
/// # Errors
/// Matrices that do not fit together, or of which nothing can be used.
pub fn keygen(
    qap: &Measurements,
    user: &Measurements,
    eve: Option<&Measurements>,
    config: &KeygenConfig,
) -> Result<Keygen, KeygenError> {
    let mut ends = vec![("qap", qap), ("user", user)];
    ends.extend(eve.map(|eve| ("eve", eve)));
    check(&ends, config)?;
    let [probes, count] = qap.shape();
    let left_out = columns_left_out(&ends);
    let columns: Vec<usize> =
        (0..count).filter(|&c| left_out.iter().all(|left| left.column != c)).collect();
    if columns.is_empty() {
        return Err(KeygenError::NoColumn { left_out });
    }
    let (whole, probes_missing) = whole_probes(&ends, &columns);
    let layout = Layout::new(columns, &whole, config)?;

    let (mut moving, mut windows_still): (Vec<&[usize]>, Vec<WindowStill>) = Default::default();
    for (number, window) in layout.windows(&whole).enumerate() {
        let still = ends.iter().find(|(_, end)| !layout.moves(end, window)).map(|(end, _)| *end);
        if let Some(end) = still {
            windows_still.push(WindowStill::new(number, window, end));
        }
        // What the eavesdropper cannot use, the others can.
        if still.is_none_or(|end| end == "eve") {
            moving.push(window);
        }
    }
    if moving.is_empty() {
        let end = windows_still.last().map_or("qap", |still| still.end);
        return Err(KeygenError::NothingMoves { end, windows: windows_still.len() });
    }
    // Salts differ from end to end.
    let qap_bits = layout.quantize(qap, &moving, 1);
    let user_bits = layout.quantize(user, &moving, 2);
    let user_found = layout.compare(&qap_bits.0, &user_bits.0);
    let eve = eve.map(|eve| {
        let has: Vec<bool> = moving
            .iter()
            .flat_map(|window| vec![layout.moves(eve, window); layout.bits_of(window)])
            .collect();
        let seen: Vec<&[usize]> =
            moving.iter().copied().filter(|window| layout.moves(eve, window)).collect();
        let bits = layout.quantize(eve, &seen, 3);
        let of_qap: Zeroizing<Vec<u8>> = Zeroizing::new(
            qap_bits.0.iter().zip(&has).filter_map(|(&bit, &has)| has.then_some(bit)).collect(),
        );
        let found = layout.compare(&of_qap, &bits.0).of_eavesdropper();
        (EveBits { bits: layout::soft_bits(bits), has }, found)
    });
    let [qap_bits, user_bits] = [qap_bits, user_bits].map(layout::soft_bits);
    let behind = whole.len() - layout.windows(&whole).map(<[usize]>::len).sum::<usize>();
    let report = KeygenReport {
        probes,
        features: count,
        feature: qap.kind(),
        feature_names: qap.names().map(<[String]>::to_vec),
        thresholds: layout.thresholds,
        windows: moving.len(),
        probes_used: moving.iter().map(|window| window.len()).sum(),
        raw_bits: RawCount(qap_bits.len() as u64),
        fingerprint: qap_bits.bits.fingerprint(),
        ones_rate: qap_bits.bits.expose().count_ones() as f64 / qap_bits.len() as f64,
        positions_that_change: layout.positions_that_change(&qap_bits),
        columns: layout.columns,
        left_out: LeftOut {
            columns: left_out,
            probes_missing,
            windows_still,
            probes_behind: behind,
        },
        user: Disagreement::new(&user_bits, user_found),
        eve: eve.as_ref().map(|(eve, found)| Disagreement::new(&eve.bits, found.clone())),
    };
    Ok(Keygen { report, qap: qap_bits, user: user_bits, eve: eve.map(|(eve, _)| eve) })
}

/// Whether the matrices belong together.
fn check(ends: &[(&'static str, &Measurements)], config: &KeygenConfig) -> Result<(), KeygenError> {
    if config.window_probes < 2 {
        return Err(KeygenError::WindowProbes { value: config.window_probes });
    }
    let qap = ends[0].1;
    for &(end, other) in &ends[1..] {
        if other.shape() != qap.shape() {
            let (qap, other) = (qap.shape(), other.shape());
            return Err(KeygenError::ShapesDiffer { end, qap, other });
        }
        if other.kind() != qap.kind() {
            return Err(KeygenError::KindsDiffer { end, qap: qap.kind(), other: other.kind() });
        }
    }
    Ok(())
}
