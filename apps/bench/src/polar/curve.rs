//! `crqkd polar fer`: one code and decoder over a range of error rates.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use crqkd_polar::{Noise, SoftChannel, bounds};
use crqkd_report::{Look, Panel, Plot, Scale, Series};
use serde::Serialize;
use statrs::distribution::{Beta, ContinuousCDF};

use super::case::confidence;
use super::{BenchError, Case, Stop};

/// One error rate of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Mean share of wrong hard decisions.
    pub kdr: f64,
    /// Number of frames that were decoded wrongly or not at all.
    pub errors: usize,
    /// Number of frames that were decoded.
    pub frames: usize,
    /// Frame error rate: `errors` over `frames`.
    pub fer: f64,
    /// Lower end of its 95 % confidence interval.
    pub fer_low: f64,
    /// Upper end of that interval.
    pub fer_high: f64,
    /// Least frame error rate that any code of this size could have: meta-converse for hard decisions, normal
    /// approximation for soft ones; the mean of it where the KDR is drawn anew for each frame, even if the receiver knew
    /// what was drawn. None for bursts.
    pub bound_fer: Option<f64>,
    /// CPU time a frame in microseconds.
    pub cpu_us: f64,
}

/// A frame error rate over error rates of the channel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Curve {
    /// What was run, for the title.
    pub title: String,
    /// The points, by rising KDR.
    pub points: Vec<Point>,
}

impl Curve {
    /// Runs `case` at `points` error rates from `from` to `to`; its noise gives the kind of channel. The code stays the
    /// same. Every finished point goes to `progress`, which can end the run.
    ///
    /// # Errors
    /// When a parameter is out of range.
    pub fn run(
        case: &Case,
        (from, to): (f64, f64),
        points: usize,
        seed: u64,
        stop: Stop,
        mut progress: impl FnMut(&Point) -> ControlFlow<()>,
    ) -> Result<Self, BenchError> {
        if !(from > 0.0 && from <= to && to < 0.5 && points > 0) {
            return Err(BenchError::Range { from, to, points });
        }
        let spec = case.spec;
        let rate = spec.k as f64 / spec.n as f64;
        let mut found = Vec::with_capacity(points);
        for i in 0..points {
            let kdr = from + (to - from) * i as f64 / (points - 1).max(1) as f64;
            let measure = Case { noise: with_mean(case.noise, kdr), ..*case }.run(seed, stop)?;
            let (fer_low, fer_high) = confidence(measure.errors, measure.frames);
            let bound_fer = bound_fer(with_mean(case.noise, kdr), spec.n, rate);
            let point = Point {
                kdr,
                errors: measure.errors,
                frames: measure.frames,
                fer: measure.fer,
                fer_low,
                fer_high,
                bound_fer,
                cpu_us: measure.cpu_us,
            };
            let on = progress(&point);
            found.push(point);
            if on.is_break() {
                break;
            }
        }
        let title = format!(
            "({}, {}) CRC-{}, {}, {}",
            spec.n,
            spec.k,
            spec.crc.len(),
            case.decoder,
            super::report::mode(case.noise)
        );
        Ok(Self { title, points: found })
    }

    /// Comma-separated values, one line a point.
    pub fn to_csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for point in &self.points {
            writer.serialize(point).expect("a flat record into memory");
        }
        let bytes = writer.into_inner().expect("memory takes everything");
        String::from_utf8(bytes).expect("numbers are ASCII")
    }

    /// The curve with its confidence intervals and the bound, as SVG.
    pub fn to_svg(&self) -> String {
        // Below, the bound is drawn at the lower edge.
        const LEAST: f64 = 1e-5;
        let percent = |point: &Point| 100.0 * point.kdr;
        let first = self.points.iter().map(percent).fold(f64::INFINITY, f64::min);
        let last = self.points.iter().map(percent).fold(f64::NEG_INFINITY, f64::max);
        let seen = || self.points.iter().filter(|point| point.errors > 0);
        let simulated = Series::curve(
            "simulated, 95\u{a0}%",
            Look::Main,
            seen().map(|p| [percent(p), p.fer]).collect(),
        )
        .with_marks()
        .with_intervals(seen().map(|p| [percent(p), p.fer_low.max(LEAST), p.fer_high]).collect());
        let bound: Vec<[f64; 2]> = self
            .points
            .iter()
            .filter_map(|p| Some([percent(p), p.bound_fer?.max(LEAST)]))
            .collect();
        let mut series = vec![simulated];
        if !bound.is_empty() {
            series.insert(0, Series::curve("bound for any code", Look::Second, bound));
        }
        let plot = Plot {
            title: self.title.clone(),
            description: format!(
                "Frame error rate at {} key disagreement rates, and the least that any code of this size could have.",
                self.points.len()
            ),
            panels: vec![Panel {
                heading: String::new(),
                height: Panel::HEIGHT,
                x: Scale::linear("key disagreement rate (%)", first, last.max(first + 1e-3)),
                y: Scale::logarithmic("frame error rate", LEAST, 1.0),
                series,
            }],
        };
        plot.to_svg()
    }

    /// Writes the curve as a table, `BASE.csv`, and as a drawing, `BASE.svg`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, base: &Path) -> Result<(), BenchError> {
        for (extension, text) in [("csv", self.to_csv()), ("svg", self.to_svg())] {
            let path = base.with_extension(extension);
            fs::write(&path, text)
                .map_err(|source| BenchError::Write { path: path.display().to_string(), source })?;
        }
        Ok(())
    }
}

/// Bound on the frame error rate, where there is one.
fn bound_fer(noise: Noise, n: usize, rate: f64) -> Option<f64> {
    let hard = |p| bounds::meta_converse_fer(n, p, rate);
    let soft = |kdr| bounds::normal_approximation_fer(&SoftChannel::gaussian(kdr), n, rate);
    match noise {
        Noise::Bsc { p } => Some(hard(p)),
        Noise::Gaussian { kdr } => Some(soft(kdr)),
        Noise::BetaBinomial { p, concentration } => mean_over_draws(p, concentration, hard),
        Noise::GaussianSpread { kdr, concentration } => mean_over_draws(kdr, concentration, soft),
        Noise::GilbertElliott { .. } => None,
    }
}

/// Mean of a bound over Beta(p·c, (1 − p)·c), by the middles of equally probable parts.
fn mean_over_draws(p: f64, concentration: f64, bound: impl Fn(f64) -> f64) -> Option<f64> {
    const PARTS: usize = 100;
    let beta = Beta::new(p * concentration, (1.0 - p) * concentration).ok()?;
    let middles = (0..PARTS).map(|i| (i as f64 + 0.5) / PARTS as f64);
    let sum: f64 = middles
        .map(|share| match beta.inverse_cdf(share) {
            // Nothing can be told from a coin.
            rate if rate >= 0.499 => 1.0,
            rate => bound(rate.max(1e-6)),
        })
        .sum();
    Some(sum / PARTS as f64)
}

/// The same kind of channel with another mean error rate.
fn with_mean(noise: Noise, mean: f64) -> Noise {
    match noise {
        Noise::Bsc { .. } => Noise::Bsc { p: mean },
        Noise::BetaBinomial { concentration, .. } => Noise::BetaBinomial { p: mean, concentration },
        Noise::Gaussian { .. } => Noise::Gaussian { kdr: mean },
        Noise::GaussianSpread { concentration, .. } => {
            Noise::GaussianSpread { kdr: mean, concentration }
        }
        Noise::GilbertElliott { good, bad, enter, leave } => {
            let scale = mean / noise.mean();
            Noise::GilbertElliott { good: good * scale, bad: bad * scale, enter, leave }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::polar::Decoder;
    use crqkd_polar::{CodeSpec, Construction, Crc, InstructionSet};

    fn go_on() -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    #[test]
    fn a_curve_falls_with_the_error_rate_and_is_written_twice() {
        let case = Case {
            spec: CodeSpec { n: 128, k: 50, crc: Crc::Crc11 },
            construction: Construction::BscDensityEvolution { p: 0.08 },
            decoder: Decoder::List { paths: 8 },
            noise: Noise::Bsc { p: 0.08 },
            instructions: InstructionSet::best(),
        };
        let stop = Stop { errors: 50, frames: 2048 };
        let curve = Curve::run(&case, (0.04, 0.12), 3, 1, stop, |_| go_on()).unwrap();
        let fer: Vec<f64> = curve.points.iter().map(|point| point.fer).collect();
        assert!(fer[0] < fer[1] && fer[1] < fer[2], "{fer:?}");
        assert!(curve.points.iter().all(|point| point.bound_fer.unwrap() < point.fer_high));
        assert_eq!(curve.to_csv().lines().count(), 4);
        assert!(curve.to_csv().starts_with("kdr,errors,frames,fer"));
        assert!(curve.to_svg().contains("frame error rate"));
        assert!(Curve::run(&case, (0.2, 0.1), 3, 1, stop, |_| go_on()).is_err());
    }
}
