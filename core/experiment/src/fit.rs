//! Finds the channel parameters that reproduce measured figures.
//!
//! Three figures are matched by three parameters, each of which moves mainly one of them:
//!
//! | figure | parameter |
//! |---|---|
//! | KDR | `air.estimate_snr_db` |
//! | Eve's KDR | `air.shadowing_eve_correlation` |
//! | RR | `air.disturbance_rise_db` |
//!
//! Every evaluation uses the same seeds (common random numbers), so that a difference between two of them comes from
//! the parameters; finite differences give the first Jacobian and Broyden's method keeps it up to date.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::run::{EveDecodes, run_seeds};
use crate::setup::{ExperimentError, Setup};
use crate::table::{PaperRow, TableRow};

/// What a fit aims at; rates are 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Targets {
    /// Key disagreement rate (KDR) between QAP and user.
    pub kdr: f64,
    /// Eve's key disagreement rate on the QAP's frames.
    pub eve_kdr: f64,
    /// Retransmission rate (RR) of groups.
    pub rr: f64,
}

impl From<&PaperRow> for Targets {
    fn from(row: &PaperRow) -> Self {
        Self { kdr: row.kdr, eve_kdr: row.eve_kdr, rr: row.rr }
    }
}

/// How much computing a fit may spend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Worlds that are averaged over.
    pub seeds: Range<u64>,
    /// Probes that are sent in each world.
    pub probes: u64,
    /// Corrections after the four evaluations that give the first Jacobian.
    pub steps: usize,
}

/// One evaluation of the objective during a fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Values of `estimate_snr_db`, `shadowing_eve_correlation` and `disturbance_rise_db`, in this
    /// order.
    pub parameters: [f64; 3],
    /// KDR, Eve's KDR and RR that these parameters give, in this order.
    pub figures: [f64; 3],
    /// Sum of squared distances from the targets, in units of the tolerance of each.
    pub distance: f64,
}

/// Distances that count as one: half a point of KDR, one of Eve's, three of RR.
const TOLERANCE: [f64; 3] = [0.005, 0.010, 0.030];
/// Steps of the three parameters for the first Jacobian.
const PROBE: [f64; 3] = [1.0, 0.2, 1.0];
/// Smallest and largest value of each parameter.
const LIMITS: [(f64, f64); 3] = [(5.0, 60.0), (-0.95, 0.95), (0.0, 30.0)];
/// Largest change of each parameter in one correction.
const STRIDE: [f64; 3] = [4.0, 0.5, 4.0];

/// Fits `start` to `targets`; `watch` sees every evaluation. Returns the best setup met.
///
/// # Errors
/// The errors of [`run_seeds`].
pub fn fit(
    start: &Setup,
    targets: Targets,
    effort: &Effort,
    mut watch: impl FnMut(&Step),
) -> Result<(Setup, Step), ExperimentError> {
    let mut evaluate = |parameters: [f64; 3]| -> Result<(Setup, Step), ExperimentError> {
        let setup = with(start, parameters);
        let runs = run_seeds(&setup, effort.seeds.clone(), effort.probes, EveDecodes::Never)?;
        let row = TableRow::new("", &runs);
        let figures = [row.kdr, row.eve_kdr, row.rr].map(|e| e.map_or(f64::NAN, |e| e.mean));
        let distance = error(figures, targets).iter().map(|e| e * e).sum();
        let step = Step { parameters, figures, distance };
        watch(&step);
        Ok((setup, step))
    };
    let mut best = evaluate(parameters(start))?;
    let mut here = best.1.clone();
    // jacobian[figure][parameter], figures in units of their tolerance.
    let mut jacobian = [[0.0; 3]; 3];
    for p in 0..3 {
        let mut there = here.parameters;
        let (_, high) = LIMITS[p];
        let step = if there[p] + PROBE[p] > high { -PROBE[p] } else { PROBE[p] };
        there[p] += step;
        let (_, moved) = evaluate(there)?;
        let change = difference(error(moved.figures, targets), error(here.figures, targets));
        for f in 0..3 {
            jacobian[f][p] = change[f] / step;
        }
    }
    for _ in 0..effort.steps {
        let Some(mut correction) = correct(jacobian, error(here.figures, targets)) else { break };
        let mut there = here.parameters;
        for p in 0..3 {
            correction[p] = correction[p].clamp(-STRIDE[p], STRIDE[p]);
            there[p] = (there[p] + correction[p]).clamp(LIMITS[p].0, LIMITS[p].1);
        }
        let moved = evaluate(there)?;
        let dx = difference(there, here.parameters);
        let df = difference(error(moved.1.figures, targets), error(here.figures, targets));
        update(&mut jacobian, dx, df);
        here = moved.1.clone();
        if moved.1.distance < best.1.distance {
            best = moved;
        }
    }
    Ok(best)
}

fn parameters(setup: &Setup) -> [f64; 3] {
    let air = &setup.air;
    [air.estimate_snr_db, air.shadowing_eve_correlation, air.disturbance_rise_db]
}

/// `start` with these parameters, rounded to what a file would hold.
fn with(start: &Setup, [snr, correlation, rise]: [f64; 3]) -> Setup {
    let mut setup = start.clone();
    setup.air.estimate_snr_db = (snr * 100.0).round() / 100.0;
    setup.air.shadowing_eve_correlation = (correlation * 1000.0).round() / 1000.0;
    setup.air.disturbance_rise_db = (rise * 100.0).round() / 100.0;
    setup
}

fn error(figures: [f64; 3], targets: Targets) -> [f64; 3] {
    let targets = [targets.kdr, targets.eve_kdr, targets.rr];
    std::array::from_fn(|f| (figures[f] - targets[f]) / TOLERANCE[f])
}

fn difference(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    std::array::from_fn(|i| a[i] - b[i])
}

/// Broyden: the smallest change of the Jacobian that explains the last step.
fn update(jacobian: &mut [[f64; 3]; 3], dx: [f64; 3], df: [f64; 3]) {
    // Steps in units of the first ones, so that decibels do not drown shares.
    let weight = PROBE.map(|p| 1.0 / (p * p));
    let norm: f64 = (0..3).map(|p| dx[p] * dx[p] * weight[p]).sum();
    if norm < 1e-6 {
        return;
    }
    for f in 0..3 {
        let predicted: f64 = (0..3).map(|p| jacobian[f][p] * dx[p]).sum();
        for p in 0..3 {
            jacobian[f][p] += (df[f] - predicted) * dx[p] * weight[p] / norm;
        }
    }
}

/// Levenberg and Marquardt's step: minimises |J·d + e|² + λ·|d|², d in units of [`PROBE`], so that a figure that no
/// parameter moves yet stops nothing.
fn correct(jacobian: [[f64; 3]; 3], error: [f64; 3]) -> Option<[f64; 3]> {
    const DAMPING: f64 = 1e-3;
    let scaled = jacobian.map(|row| std::array::from_fn::<f64, 3, _>(|p| row[p] * PROBE[p]));
    let mut normal = [[0.0; 3]; 3];
    let mut right = [0.0; 3];
    for i in 0..3 {
        for j in 0..3 {
            normal[i][j] = (0..3).map(|f| scaled[f][i] * scaled[f][j]).sum();
        }
        normal[i][i] += DAMPING;
        right[i] = -(0..3).map(|f| scaled[f][i] * error[f]).sum::<f64>();
    }
    let step = solve(normal, right)?;
    Some(std::array::from_fn(|p| step[p] * PROBE[p]))
}

/// Gaussian elimination with pivoting; `None` when singular.
fn solve(mut a: [[f64; 3]; 3], mut b: [f64; 3]) -> Option<[f64; 3]> {
    for col in 0..3 {
        let pivot = (col..3).max_by(|&i, &j| a[i][col].abs().total_cmp(&a[j][col].abs()))?;
        if a[pivot][col].is_nan() || a[pivot][col].abs() < 1e-9 {
            return None;
        }
        a.swap(col, pivot);
        b.swap(col, pivot);
        for row in 0..3 {
            if row != col {
                let factor = a[row][col] / a[col][col];
                for k in 0..3 {
                    a[row][k] -= factor * a[col][k];
                }
                b[row] -= factor * b[col];
            }
        }
    }
    Some(std::array::from_fn(|i| b[i] / a[i][i]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solve_by_hand() {
        let a = [[0.0, 2.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 4.0]];
        assert_eq!(solve(a, [5.0, 3.0, 4.0]), Some([3.0, 2.0, 1.0]));
        assert_eq!(solve([[1.0; 3]; 3], [1.0; 3]), None);
    }

    #[test]
    fn a_fit_comes_closer() {
        let start = Setup::default();
        let targets = Targets { kdr: 0.065, eve_kdr: 0.511, rr: 0.0 };
        let effort = Effort { seeds: 0..2, probes: 128 * 40, steps: 2 };
        let mut steps = Vec::new();
        let (setup, best) = fit(&start, targets, &effort, |step| steps.push(step.clone())).unwrap();
        assert_eq!(steps.len(), 6);
        assert!(best.distance < 0.3 * steps[0].distance, "{steps:?}");
        assert!(setup.air.estimate_snr_db < start.air.estimate_snr_db);
    }
}
