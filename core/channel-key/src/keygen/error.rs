//! Why measurements give no bits.

use super::measurements::FeatureKind;
use super::select::ColumnLeftOut;
use crate::config::ConfigError;
use crate::quantizer::Thresholds;

/// Why measurements give no bits.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum KeygenError {
    /// The values do not fill the matrix, or there are none.
    #[error("{values} values, expected {probes} probes of {count} features, at least 1 each")]
    Shape {
        /// Number of probes asked for: rows of the matrix.
        probes: usize,
        /// Number of features per probe asked for: columns of the matrix.
        count: usize,
        /// Number of values that were given.
        values: usize,
    },
    /// The ends did not measure the same probes and features.
    #[error("{end} has {} probes of {} features, expected {} of {} as the qap has", .other[0], .other[1], .qap[0], .qap[1])]
    ShapesDiffer {
        /// Name of the end whose shape differs from the QAP's: `user` or `eve`.
        end: &'static str,
        /// Numbers of probes and of features per probe in the QAP's matrix.
        qap: [usize; 2],
        /// Numbers of probes and of features per probe in the other end's matrix.
        other: [usize; 2],
    },
    /// One end is real, the other complex.
    #[error("{end} has {}, expected {} as the qap has", .other.name(), .qap.name())]
    KindsDiffer {
        /// Name of the end whose kind differs from the QAP's: `user` or `eve`.
        end: &'static str,
        /// Kind of the QAP's features.
        qap: FeatureKind,
        /// Kind of the other end's features.
        other: FeatureKind,
    },
    /// The window length `window_probes` is below 2: too few samples for a median.
    #[error("window_probes is {value}, expected at least 2")]
    WindowProbes {
        /// Window length that was found, in probes.
        value: usize,
    },
    /// Every column was left out.
    #[error("no column measures a channel: {}", first_of(.left_out))]
    NoColumn {
        /// The columns, with the reasons.
        left_out: Vec<ColumnLeftOut>,
    },
    /// Too few samples for a threshold.
    #[error("{} for a threshold, expected at least 2", too_few(.over, .samples))]
    TooFew {
        /// Over what thresholds were to run.
        over: Thresholds,
        /// Probes or features that are left.
        samples: usize,
    },
    /// At the QAP or the user no window moves.
    #[error(
        "nothing moves: in all {windows} windows the samples of a threshold are equal at {end}, expected a channel that changes"
    )]
    NothingMoves {
        /// The end at which the last window does not move.
        end: &'static str,
        /// Windows, or probes where thresholds run over features.
        windows: usize,
    },
    /// A parameter out of its range.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

fn first_of(left_out: &[ColumnLeftOut]) -> String {
    let all: Vec<String> = left_out
        .iter()
        .take(3)
        .map(|c| format!("column {} {} at {}", c.column, c.reason.text(), c.end))
        .collect();
    all.join(", ") + if left_out.len() > 3 { ", ..." } else { "" }
}

fn too_few(over: &Thresholds, samples: &usize) -> String {
    match over {
        Thresholds::OverProbes => format!("{samples} probe(s) that every end has"),
        Thresholds::OverFeatures => format!("{samples} feature(s) of a probe"),
    }
}
