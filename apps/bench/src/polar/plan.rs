//! `crqkd bench polar`: which cases are run, and what their figures are to be.

use std::ops::ControlFlow;

use crqkd_polar::{
    BATCH_LIST_SIZES, CodeSpec, Construction, Crc, InstructionSet, Noise, SoftChannel, bounds,
};

use super::identity::identity;
use super::{BenchError, Case, Chase, Decoder, Report, Row, Stop, rate_at};
use crate::Goal;

/// KDRs of the paper's three places: hall, corridor, office.
const KDRS: [f64; 3] = [0.047, 0.058, 0.081];
/// The retransmission rates that are to be had there with soft decisions, and what may be left after one more attempt.
const RETRANSMISSIONS: [f64; 3] = [0.014, 0.029, 0.082];
const RESIDUAL: f64 = 2e-3;
/// Concentration of the KDR from group to group that fits the paper's retransmission rates.
const CONCENTRATION: f64 = 44.0;
/// Design KDR of soft codes over the channel's own: list decoders want a little more distance than successive
/// cancellation, for which density evolution is exact.
const SOFT_MARGIN: f64 = 1.73;
/// Design KDR of the soft code for links whose KDR varies: about where (1024, 512) begins to fail.
const SPREAD_DESIGN: f64 = 0.13;

/// How many frames to spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Frame errors after which a point is known well enough.
    pub errors: usize,
    /// Most frames for a point.
    pub frames: usize,
    /// Frames for a time that does not need errors.
    pub timing: usize,
    /// Frames for the residual after retransmission.
    pub chase: usize,
    /// Frames for the comparison of instruction sets, for each decoder.
    pub identity: usize,
}

impl Default for Effort {
    /// A few minutes on one core.
    fn default() -> Self {
        Self { errors: 1000, frames: 150_000, timing: 8192, chase: 60_000, identity: 100_000 }
    }
}

impl Effort {
    /// Seconds, for a first look and for tests; too few errors for the small rates.
    pub fn quick() -> Self {
        Self { errors: 10, frames: 512, timing: 512, chase: 256, identity: 512 }
    }

    fn stop(self) -> Stop {
        Stop { errors: self.errors, frames: self.frames }
    }
}

/// All cases of the benchmark, in the order in which they are run.
pub struct PolarBench {
    seed: u64,
    effort: Effort,
    lines: Vec<Line>,
}

/// A line of the report before it is run.
enum Line {
    /// Error rate and time of one case, with limits of the two.
    Measure { group: &'static str, case: Case, stop: Stop, fer: Option<f64>, cpu_us: Option<f64> },
    /// The rate at a frame error rate of 2 %, with the limit of its distance to the bound.
    Rate { case: Case, gap: f64 },
    /// Retransmission, with limits of the rate of it and of what is left.
    Chase { group: &'static str, chase: Chase, limits: Option<(f64, f64)> },
    /// Bits and metrics of one instruction set against the portable version.
    Identity { decoder: Decoder, set: InstructionSet },
}

impl PolarBench {
    /// The cases for the instruction sets of this machine.
    pub fn new(seed: u64, effort: Effort) -> Self {
        let best = InstructionSet::best();
        let mut lines = error_rates(best, effort.stop());
        lines.extend(rates(best));
        lines.extend(retransmissions());
        // The slow one first: the others' times are given as multiples of it.
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            lines.extend(times(set, Stop { errors: usize::MAX, frames: effort.timing }));
        }
        lines.extend(identities());
        Self { seed, effort, lines }
    }

    /// Number of lines that a complete run gives.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there are no lines, which is never so.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Runs all cases and hands every finished line to `progress`, which can end the run: the report then says that it
    /// is not complete.
    ///
    /// # Errors
    /// None with the built-in cases; the type is that of [`Case::run`].
    pub fn run(
        &self,
        mut progress: impl FnMut(&Row) -> ControlFlow<()>,
    ) -> Result<Report, BenchError> {
        let mut report = Report {
            instructions: InstructionSet::best().to_string(),
            seed: self.seed,
            complete: false,
            rows: Vec::new(),
        };
        for line in &self.lines {
            let mut row = line.run(self.seed, self.effort)?;
            row.times_portable = report.times_portable(&row);
            report.rows.push(row);
            if progress(&report.rows[report.rows.len() - 1]).is_break() {
                return Ok(report);
            }
        }
        report.complete = true;
        Ok(report)
    }
}

impl Line {
    fn run(&self, seed: u64, effort: Effort) -> Result<Row, BenchError> {
        match *self {
            Self::Measure { group, case, stop, fer, cpu_us } => {
                let mut row = measured(group, &case, seed, stop)?;
                if let Some(found) = row.measure {
                    row.goals.extend(
                        fer.map(|limit| Goal::estimated("FER", limit, found.fer, found.low)),
                    );
                    row.goals.extend(cpu_us.map(|limit| Goal::new("us", limit, found.cpu_us)));
                }
                Ok(row)
            }
            Self::Rate { case, gap } => {
                let mut row = Row::new("rate at 2 %", &case);
                let found = rate_at(&case, 0.02, seed, effort.stop())?;
                row.k = found.k.round() as usize;
                row.goals.push(Goal::new("gap", gap, found.gap));
                row.rate = Some(found);
                Ok(row)
            }
            Self::Chase { group, chase, limits } => {
                let case = Case {
                    spec: chase.spec,
                    construction: chase.construction,
                    decoder: Decoder::List { paths: chase.paths },
                    noise: chase.noise,
                    instructions: InstructionSet::best(),
                };
                let mut row = Row::new(group, &case);
                let found = chase.run(seed, effort.chase)?;
                if let Some((rr, residual)) = limits {
                    row.goals.push(Goal::estimated("RR", rr, found.rr, found.rr_low));
                    let (rate, low) = (found.residual_rate, found.residual_low);
                    row.goals.push(Goal::estimated("left", residual, rate, low));
                }
                row.chase = Some(found);
                Ok(row)
            }
            Self::Identity { decoder, set } => {
                let found = identity(decoder, set, effort.identity, seed)?;
                let mut row = Row::compared(decoder, set);
                row.goals.push(Goal::new("different", 0.0, found.different as f64));
                row.identity = Some(found);
                Ok(row)
            }
        }
    }
}

/// A case with its bounds.
fn measured(group: &'static str, case: &Case, seed: u64, stop: Stop) -> Result<Row, BenchError> {
    let mut row = Row::new(group, case);
    let found = case.run(seed, stop)?;
    let (n, rate) = (case.spec.n, case.spec.k as f64 / case.spec.n as f64);
    let seen = found.fer.max(0.5 / found.frames as f64);
    match case.noise {
        Noise::Bsc { p } => {
            row.bound_rate = Some(bounds::meta_converse_rate(n, p, seen));
            row.bound_fer = Some(bounds::meta_converse_fer(n, p, rate));
        }
        Noise::Gaussian { kdr } => {
            let channel = SoftChannel::gaussian(kdr);
            row.bound_rate = Some(bounds::normal_approximation(&channel, n, seen));
            row.bound_fer = Some(bounds::normal_approximation_fer(&channel, n, rate));
        }
        _ => {}
    }
    if found.errors < 50 {
        row.note = Some(format!("only {} errors", found.errors));
    }
    row.measure = Some(found);
    Ok(row)
}

fn bsc(n: usize, k: usize, crc: Crc, p: f64, decoder: Decoder, set: InstructionSet) -> Case {
    Case {
        spec: CodeSpec { n, k, crc },
        construction: Construction::BscDensityEvolution { p },
        decoder,
        noise: Noise::Bsc { p },
        instructions: set,
    }
}

fn gaussian(k: usize, kdr: f64, paths: usize, set: InstructionSet) -> Case {
    Case {
        spec: CodeSpec { n: 1024, k, crc: Crc::Crc11 },
        construction: Construction::GaussianDensityEvolution { kdr: kdr * SOFT_MARGIN },
        decoder: Decoder::List { paths },
        noise: Noise::Gaussian { kdr },
        instructions: set,
    }
}

fn error_rates(set: InstructionSet, stop: Stop) -> Vec<Line> {
    let short = |decoder| bsc(1024, 480, Crc::Crc16, 0.081, decoder, set);
    let list = |paths| Decoder::List { paths };
    let long = bsc(4096, 2048, Crc::Crc16, 0.081, list(8), set);
    [
        (short(Decoder::Sc), None),
        (short(list(8)), Some(0.030)),
        (short(list(32)), Some(0.009)),
        (short(Decoder::Adaptive { paths: 32 }), Some(0.010)),
        (long, Some(0.030)),
        (gaussian(660, 0.081, 8, set), Some(0.018)),
    ]
    .map(|(case, fer)| Line::Measure { group: "error rate", case, stop, fer, cpu_us: None })
    .into()
}

fn rates(set: InstructionSet) -> Vec<Line> {
    let hard = |p| bsc(1024, 512, Crc::Crc11, p, Decoder::List { paths: 32 }, set);
    let mut lines: Vec<Line> =
        KDRS.iter().map(|&p| Line::Rate { case: hard(p), gap: 0.055 }).collect();
    for (paths, gap) in [(8, 0.06), (32, 0.04)] {
        lines.extend(KDRS.map(|kdr| Line::Rate { case: gaussian(660, kdr, paths, set), gap }));
    }
    lines
}

/// (1024, 512) at the three KDRs, and then other rates: the goodput of Chase combining and the most that anything else
/// could make of the same two transmissions.
fn retransmissions() -> Vec<Line> {
    let chase = |k, kdr| Chase {
        spec: CodeSpec { n: 1024, k, crc: Crc::Crc11 },
        construction: Construction::GaussianDensityEvolution { kdr: SPREAD_DESIGN },
        paths: 8,
        noise: Noise::GaussianSpread { kdr, concentration: CONCENTRATION },
    };
    let mut lines = Vec::new();
    for (kdr, rr) in KDRS.into_iter().zip(RETRANSMISSIONS) {
        let limits = Some((rr, RESIDUAL));
        lines.push(Line::Chase { group: "retransmission", chase: chase(512, kdr), limits });
    }
    for kdr in KDRS {
        for k in [576, 640, 704, 768] {
            lines.push(Line::Chase { group: "goodput", chase: chase(k, kdr), limits: None });
        }
    }
    lines
}

/// The limits are those of AVX-512 and AVX2.
fn times(set: InstructionSet, stop: Stop) -> Vec<Line> {
    let at = |decoder| bsc(1024, 495, Crc::Crc11, 0.081, decoder, set);
    let list = |paths| at(Decoder::List { paths });
    let limits = |avx512, avx2| match set {
        InstructionSet::Avx512 => avx512,
        InstructionSet::Avx2 => avx2,
        InstructionSet::Portable => None,
    };
    [
        (at(Decoder::Sc), limits(Some(0.7), None)),
        (list(2), None),
        (list(4), None),
        (list(8), limits(Some(6.0), Some(15.0))),
        (at(Decoder::Single { paths: 8 }), limits(Some(60.0), None)),
        (list(16), None),
        (list(32), limits(Some(25.0), None)),
        (
            bsc(1024, 480, Crc::Crc16, 0.081, Decoder::Adaptive { paths: 32 }, set),
            limits(Some(6.0), None),
        ),
    ]
    .map(|(case, cpu_us)| Line::Measure { group: "speed", case, stop, fer: None, cpu_us })
    .into()
}

fn identities() -> Vec<Line> {
    let vector = InstructionSet::ALL.into_iter().filter(|&set| set != InstructionSet::Portable);
    let decoders = || {
        let lists = BATCH_LIST_SIZES.map(|paths| Decoder::List { paths });
        [Decoder::Sc, Decoder::Adaptive { paths: 32 }].into_iter().chain(lists)
    };
    vector
        .filter(|set| set.is_available())
        .flat_map(|set| decoders().map(move |decoder| Line::Identity { decoder, set }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quick_run_has_every_line_and_its_json_the_figures() {
        let mut seen = 0;
        let bench = PolarBench::new(1, Effort::quick());
        let report = bench
            .run(|_| {
                seen += 1;
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!((seen, report.complete), (bench.len(), true));
        let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
        let rows = json["rows"].as_array().unwrap();
        assert_eq!(rows.len(), bench.len());
        assert!(rows[0]["cpu_us"].as_f64().unwrap() > 0.0);
        assert!(rows[0]["bound_rate"].as_f64().unwrap() > 0.4);
        assert!(rows[1]["goals"][0]["met"].is_boolean());
        assert!(rows.iter().any(|row| row["chase"]["residual_rate"].is_number()));
        assert!(rows.iter().any(|row| row["rate"]["gap"].is_number()));
        assert!(
            rows.iter().filter_map(|row| row["identity"]["different"].as_u64()).all(|n| n == 0)
        );
        assert!(report.to_string().contains("SCL-32"));
    }

    #[test]
    fn a_run_that_is_stopped_keeps_what_it_has() {
        let report = PolarBench::new(1, Effort::quick()).run(|_| ControlFlow::Break(())).unwrap();
        assert_eq!((report.rows.len(), report.complete), (1, false));
    }
}
