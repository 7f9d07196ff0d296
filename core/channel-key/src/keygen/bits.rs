//! From measurements to bits: what is left out, and the median as a threshold.

use serde::Serialize;
use std::fmt;

use super::{KeygenError, Measurements};
use crate::quantizer::Thresholds;
use statrs::distribution::{ContinuousCDF, Normal};

/// A column that no key can come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Its place, counted from 0.
    pub column: usize,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// Why.
    pub reason: Reason,
}

/// Why a column is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It has one value.
    Constant,
    /// It goes up or down by the same step: a number or a time of the probe.
    Counts,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.reason {
            Reason::Constant => "is constant",
            Reason::Counts => "counts the probes",
        };
        match &self.name {
            Some(name) => write!(f, "column {} ({name}) {reason}", self.column),
            None => write!(f, "column {} {reason}", self.column),
        }
    }
}

/// The probes and columns that are used at all ends.
pub(super) struct Sieve {
    pub(super) probes: Vec<usize>,
    pub(super) columns: Vec<usize>,
    pub(super) left_out: Vec<LeftOut>,
}

impl Sieve {
    pub(super) fn new(ends: &[&Measurements]) -> Result<Self, KeygenError> {
        let [all, count] = ends[0].shape();
        // An eavesdropper's still column is no reason against the users'.
        let users = &ends[..2];
        let complete = |probe: usize, columns: &[usize]| {
            ends.iter()
                .all(|end| columns.iter().all(|&column| end.features[probe][column].is_finite()))
        };
        let (mut columns, mut left_out) = (Vec::new(), Vec::new());
        for column in 0..count {
            let of = |end: &Measurements| -> Vec<f64> {
                let values = end.features.iter().map(|row| row[column]);
                values.filter(|value| value.is_finite()).collect()
            };
            let reason = users.iter().find_map(|end| reason(&of(end)));
            match reason {
                Some(reason) => {
                    let name = ends[0].names.as_ref().map(|names| names[column].clone());
                    left_out.push(LeftOut { column, name, reason });
                }
                None => columns.push(column),
            }
        }
        if columns.is_empty() {
            return Err(KeygenError::NoFeature(left_out));
        }
        let probes: Vec<usize> = (0..all).filter(|&probe| complete(probe, &columns)).collect();
        if probes.len() < 2 {
            return Err(KeygenError::Missing { complete: probes.len(), probes: all });
        }
        Ok(Self { probes, columns, left_out })
    }

    /// The bits of every window, at every end.
    pub(super) fn windows(
        &self,
        ends: &[&Measurements],
        window: usize,
        thresholds: Thresholds,
    ) -> Vec<Vec<Window>> {
        let windows = self.probes.chunks_exact(window);
        windows
            .map(|probes| {
                let of = |end: &&Measurements| {
                    let rows: Vec<Vec<f64>> = probes
                        .iter()
                        .map(|&probe| {
                            self.columns.iter().map(|&c| end.features[probe][c]).collect()
                        })
                        .collect();
                    Window::new(&rows, thresholds)
                };
                ends.iter().map(of).collect()
            })
            .collect()
    }
}

fn reason(values: &[f64]) -> Option<Reason> {
    let first = *values.first()?;
    // Two or three values may be equal, or lie on a line, by chance.
    if values.len() > 2 && values.iter().all(|&value| value == first) {
        return Some(Reason::Constant);
    }
    let step = values.get(1)? - first;
    let counts = values.len() > 8 && values.windows(2).all(|pair| pair[1] - pair[0] == step);
    counts.then_some(Reason::Counts)
}

/// One end's bits of one window, probe by probe.
pub(super) struct Window {
    pub(super) bits: Vec<bool>,
    /// Each sample's distance from the threshold in standard deviations, by its rank.
    pub(super) scores: Vec<f64>,
    /// Samples that equal their threshold.
    pub(super) ties: usize,
    /// Every threshold has samples on both sides.
    pub(super) moves: bool,
}

impl Window {
    fn new(rows: &[Vec<f64>], thresholds: Thresholds) -> Self {
        let (probes, features) = (rows.len(), rows[0].len());
        let mut window = Self {
            bits: vec![false; probes * features],
            scores: vec![0.0; probes * features],
            ties: 0,
            moves: true,
        };
        match thresholds {
            Thresholds::OverProbes => {
                for feature in 0..features {
                    let places = (0..probes).map(|probe| probe * features + feature);
                    let values: Vec<f64> = rows.iter().map(|row| row[feature]).collect();
                    window.take(&values, places);
                }
            }
            Thresholds::OverFeatures => {
                for (probe, row) in rows.iter().enumerate() {
                    let places = (0..features).map(|feature| probe * features + feature);
                    window.take(row, places);
                }
            }
        }
        window
    }

    /// Samples above the median are ones. Those that equal it are zeros at every end: which share of the bits is one then
    /// depends on the ties, and the chance level says what that is worth.
    fn take(&mut self, values: &[f64], places: impl Iterator<Item = usize>) {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
        let middle = values.len().div_ceil(2);
        let low = values[order[middle - 1]];
        let tied = order.get(middle).is_some_and(|&next| values[next] == low);
        let places: Vec<usize> = places.collect();
        let normal = Normal::standard();
        for (rank, &index) in order.iter().enumerate() {
            let equal = tied && values[index] == low;
            self.ties += usize::from(equal);
            self.bits[places[index]] = values[index] > low;
            if !equal {
                let quantile = (rank as f64 + 0.5) / order.len() as f64;
                self.scores[places[index]] = normal.inverse_cdf(quantile);
            }
        }
        self.moves &= values[order[0]] < values[order[order.len() - 1]];
    }
}
