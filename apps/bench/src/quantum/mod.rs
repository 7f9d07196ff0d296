//! The quantum side: how close reconciliation comes to the Shannon limit, how fast each step is, and what a forger gets.
//!
//! [`QuantumBench`] is `crqkd bench quantum`. Times are CPU time of the process, on one core.

mod forgery;

use std::fmt;
use std::ops::ControlFlow;

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use cpu_time::ProcessTime;
use crqkd_bits::{BitString, SecretBits, Toeplitz};
use crqkd_quantum::cascade::{CascadeAlice, CascadeBob};
use crqkd_quantum::decoy::{Choices, DecoyConfig, Link};
use crqkd_quantum::finite_key::binary_entropy;
use crqkd_quantum::ldpc::{Plan, correct, planned_efficiency, syndromes};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::Serialize;

use crate::Goal;
use crate::mean::Mean;

/// How much of everything the benchmark runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuantumEffort {
    /// Blocks of Cascade at each error rate.
    pub cascade_blocks: u32,
    /// Blocks of the one-way codes at each error rate.
    pub one_way_blocks: u32,
    /// Mutated transcripts; a tenth as many are replayed.
    pub transcripts: u32,
    /// Products by a Toeplitz matrix.
    pub products: u32,
    /// Pulses of the link model.
    pub pulses: u64,
}

impl Default for QuantumEffort {
    fn default() -> Self {
        Self {
            cascade_blocks: 20,
            one_way_blocks: 40,
            transcripts: 1_000_000,
            products: 40,
            pulses: 1_000_000_000,
        }
    }
}

impl QuantumEffort {
    /// An effort of seconds instead of minutes.
    pub fn quick() -> Self {
        Self {
            cascade_blocks: 4,
            one_way_blocks: 2,
            transcripts: 20_000,
            products: 4,
            pulses: 100_000_000,
        }
    }
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QuantumRow {
    /// Name of what was run.
    pub what: &'static str,
    /// Error rate, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qber: Option<f64>,
    /// What was counted, by name.
    pub figures: Vec<(&'static str, f64)>,
    /// The limits for figures of this line.
    pub goals: Vec<Goal>,
}

/// Everything that the benchmark measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QuantumReport {
    /// Bits of a block in the lines on reconciliation: Cascade, one-way.
    pub block_bits: [usize; 2],
    /// The lines of the report, in the order in which they were measured.
    pub rows: Vec<QuantumRow>,
}

/// The benchmark of the quantum side.
#[derive(Debug, Clone)]
pub struct QuantumBench {
    seed: u64,
    effort: QuantumEffort,
}

const RATES: [f64; 4] = [0.01, 0.02, 0.03, 0.05];
const CASCADE_BITS: usize = 1 << 20;
const ONE_WAY_BITS: usize = 1 << 21;

type Step = fn(&QuantumBench, &mut Xoshiro256PlusPlus, f64) -> QuantumRow;

/// The lines, in order, and the error rate of each.
const STEPS: [(Step, f64); 12] = [
    (QuantumBench::cascade, RATES[0]),
    (QuantumBench::cascade, RATES[1]),
    (QuantumBench::cascade, RATES[2]),
    (QuantumBench::cascade, RATES[3]),
    (QuantumBench::one_way, RATES[0]),
    (QuantumBench::one_way, RATES[1]),
    (QuantumBench::one_way, RATES[2]),
    (QuantumBench::one_way, RATES[3]),
    (QuantumBench::toeplitz, 0.0),
    (QuantumBench::link, 0.0),
    (|bench, rng, _| forgery::transcripts(bench.effort.transcripts, rng), 0.0),
    (|bench, rng, _| forgery::toy_tags(bench.effort.transcripts, rng), 0.0),
];

impl QuantumBench {
    /// A benchmark with this seed of all keys and errors.
    pub fn new(seed: u64, effort: QuantumEffort) -> Self {
        Self { seed, effort }
    }

    /// Number of lines that a complete run gives.
    pub fn len(&self) -> usize {
        STEPS.len()
    }

    /// Whether there are no lines, which is never so.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Runs line by line; `progress` sees each and may stop.
    pub fn run(&self, mut progress: impl FnMut(&QuantumRow) -> ControlFlow<()>) -> QuantumReport {
        let mut report =
            QuantumReport { block_bits: [CASCADE_BITS, ONE_WAY_BITS], rows: Vec::new() };
        for (number, (step, rate)) in STEPS.into_iter().enumerate() {
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(self.seed);
            (0..number).for_each(|_| rng.jump());
            let row = step(self, &mut rng, rate);
            let flow = progress(&row);
            report.rows.push(row);
            if flow.is_break() {
                break;
            }
        }
        report
    }

    fn cascade(&self, rng: &mut Xoshiro256PlusPlus, rate: f64) -> QuantumRow {
        let (mut told, mut limit, mut rounds, mut failed) = (0.0, 0.0, 0u64, 0u32);
        let mut efficiency = Mean::default();
        let mut seconds = 0.0;
        for _ in 0..self.effort.cascade_blocks {
            let (alice, bob, errors) = pair(rng, CASCADE_BITS, rate);
            let seed = rng.random();
            let start = ProcessTime::now();
            let mut ends = (
                CascadeAlice::new(alice.duplicate(), rate, seed).expect("it is short enough"),
                CascadeBob::new(bob, rate, seed).expect("it is short enough"),
            );
            while let Ok(Some(request)) = ends.1.next_request() {
                let Ok(answers) = ends.0.answer(&request) else { break };
                if ends.1.answer(&answers).is_err() {
                    break;
                }
            }
            seconds += start.elapsed().as_secs_f64();
            let block_told = ends.1.parities() as f64 + 64.0;
            let block_limit =
                CASCADE_BITS as f64 * binary_entropy(errors as f64 / CASCADE_BITS as f64);
            told += block_told;
            limit += block_limit;
            efficiency.add(block_told / block_limit);
            rounds += ends.1.rounds();
            failed += u32::from(!ends.1.into_key().ct_eq(&alice));
        }
        let blocks = f64::from(self.effort.cascade_blocks);
        let nanoseconds = seconds * 1e9 / (blocks * CASCADE_BITS as f64);
        let (f, rounds) = (told / limit, rounds as f64 / blocks);
        QuantumRow {
            what: "cascade",
            qber: Some(rate),
            figures: vec![
                ("f", f),
                ("rounds", rounds),
                ("Mbit/s, both ends", 1000.0 / nanoseconds),
                ("blocks", blocks),
                ("not equal", f64::from(failed)),
            ],
            goals: vec![
                Goal::estimated("f", 1.05, f, f - efficiency.half_width()),
                Goal::new("rounds", 100.0, rounds),
                Goal::new("ns a bit", 20.0, nanoseconds),
                Goal::new("not equal", 0.0, f64::from(failed)),
            ],
        }
    }

    fn one_way(&self, rng: &mut Xoshiro256PlusPlus, rate: f64) -> QuantumRow {
        let plan = Plan::new(ONE_WAY_BITS, rate, planned_efficiency(ONE_WAY_BITS, rate));
        let limit = ONE_WAY_BITS as f64 * binary_entropy(rate);
        let (mut failed, mut seconds) = (0u32, 0.0);
        for _ in 0..self.effort.one_way_blocks {
            let (alice, mut bob, _) = pair(rng, ONE_WAY_BITS, rate);
            let start = ProcessTime::now();
            let told = syndromes(alice.expose(), &plan).expect("the plan has a code");
            let errors = correct(&mut bob, &told, &plan).expect("the syndromes are whole");
            seconds += start.elapsed().as_secs_f64();
            failed += u32::from(errors.is_none() || !bob.ct_eq(&alice));
        }
        let blocks = f64::from(self.effort.one_way_blocks);
        let nanoseconds = seconds * 1e9 / (blocks * ONE_WAY_BITS as f64);
        let f = (plan.told() as f64 + 64.0) / limit;
        let mut goals = vec![Goal::new("ns a bit", 200.0, nanoseconds)];
        if let Some(most) = [(0.01, 1.12), (0.02, 1.10)].iter().find(|g| g.0 == rate) {
            goals.push(Goal::new("f", most.1, f));
        }
        QuantumRow {
            what: "one way",
            qber: Some(rate),
            figures: vec![
                ("f", f),
                ("Mbit/s, both ends", 1000.0 / nanoseconds),
                ("blocks", blocks),
                ("not equal", f64::from(failed)),
                ("FER", f64::from(failed) / blocks),
            ],
            goals,
        }
    }

    fn toeplitz(&self, rng: &mut Xoshiro256PlusPlus, _: f64) -> QuantumRow {
        let (n, m) = (1usize << 20, 1usize << 19);
        let (mut seconds, mut wrong) = (0.0, 0u32);
        for _ in 0..self.effort.products {
            let seed = BitString::random(rng, n + m - 1);
            let input = SecretBits::random(rng, n);
            let matrix = Toeplitz::new(seed.clone(), n, m).expect("the seed has its length");
            let start = ProcessTime::now();
            let output = matrix.hash_secret(&input).expect("the input has its length");
            seconds += start.elapsed().as_secs_f64();
            // Some rows by the definition: y[i] = sum over j of t[i - j + n - 1] x[j].
            for _ in 0..20 {
                let i = rng.random_range(0..m);
                let row = seed.slice(i..i + n).expect("it lies inside").reversed();
                let pairs = row.words().iter().zip(input.expose().words());
                let ones: u32 = pairs.map(|(a, b)| (a & b).count_ones()).sum();
                wrong += u32::from(output.expose().get(i) != Some(ones % 2 == 1));
            }
        }
        let nanoseconds = seconds * 1e9 / (f64::from(self.effort.products) * n as f64);
        QuantumRow {
            what: "toeplitz, n = 2^20, m = n/2",
            qber: None,
            figures: vec![("Mbit/s of input", 1000.0 / nanoseconds), ("wrong", f64::from(wrong))],
            goals: vec![
                Goal::new("ns a bit", 5.0, nanoseconds),
                Goal::new("wrong", 0.0, f64::from(wrong)),
            ],
        }
    }

    fn link(&self, rng: &mut Xoshiro256PlusPlus, _: f64) -> QuantumRow {
        // One intensity stands out so that eta*mu is 0.05 for nearly all pulses.
        let config = DecoyConfig {
            distance_km: 0.0,
            detector_efficiency: 0.1,
            mean_photons: [0.5, 0.1, 0.0002],
            intensity_shares: [0.998, 0.001, 0.001],
            pulses_per_block: self.effort.pulses,
            ..DecoyConfig::default()
        };
        let choices = Choices::new(&config, rng.random());
        let start = ProcessTime::now();
        let clicks = Link::new(&config, &choices, rng.random()).count();
        let seconds = start.elapsed().as_secs_f64();
        let rate = self.effort.pulses as f64 / seconds;
        QuantumRow {
            what: "link model, eta*mu = 0.05",
            qber: None,
            figures: vec![("pulses/s", rate), ("clicks", clicks as f64)],
            goals: vec![Goal::new("ns a pulse", 20.0, 1e9 / rate)],
        }
    }
}

impl QuantumReport {
    /// The report as one JSON document.
    ///
    /// # Errors
    /// None: what a report holds can always be written as JSON.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    /// The limits of all lines.
    pub fn goals(&self) -> impl Iterator<Item = &Goal> {
        self.rows.iter().flat_map(|row| &row.goals)
    }
}

impl fmt::Display for QuantumReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_header(["what", "QBER", "measured", "limits"]);
        for row in &self.rows {
            let figures: Vec<String> = row
                .figures
                .iter()
                .map(|(name, value)| format!("{name} {}", short(*value)))
                .collect();
            let goals: Vec<String> = row.goals.iter().map(Goal::to_string).collect();
            let qber = row.qber.map_or(String::new(), |qber| format!("{:.0} %", qber * 100.0));
            table.add_row([row.what.to_owned(), qber, figures.join("\n"), goals.join("\n")]);
        }
        writeln!(f, "{table}")?;
        let [cascade, one_way] = self.block_bits;
        writeln!(
            f,
            "blocks of {cascade} bits (cascade) and {one_way} bits (one way); CPU time of one core for both ends"
        )
    }
}

/// A number as text: whole ones as they are, others with four decimals, very small or large ones with four
/// significant digits.
fn short(value: f64) -> String {
    if value == 0.0 || value.fract() == 0.0 && value.abs() < 1e9 {
        format!("{value}")
    } else if (0.01..1e5).contains(&value.abs()) {
        format!("{value:.4}")
    } else {
        format!("{value:.3e}")
    }
}

/// Alice's bits, Bob's, and how many differ.
fn pair(rng: &mut Xoshiro256PlusPlus, bits: usize, rate: f64) -> (SecretBits, SecretBits, usize) {
    let alice = BitString::random(rng, bits);
    let mut bob = alice.clone();
    let mut errors = 0;
    let mut next = 0usize;
    let scale = 1.0 / (-rate).ln_1p();
    loop {
        let unit: f64 = 1.0 - rng.random::<f64>();
        next += (unit.ln() * scale) as usize;
        if next >= bits {
            return (alice.into(), bob.into(), errors);
        }
        bob.flip(next);
        errors += 1;
        next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_run_has_every_line_equal_keys_and_no_forgery() {
        let effort = QuantumEffort {
            cascade_blocks: 1,
            one_way_blocks: 1,
            transcripts: 5000,
            products: 1,
            pulses: 5_000_000,
        };
        let bench = QuantumBench::new(1, effort);
        let mut seen = 0;
        let report = bench.run(|_| {
            seen += 1;
            ControlFlow::Continue(())
        });
        assert_eq!((seen, report.rows.len()), (bench.len(), bench.len()));
        let speed =
            |goal: &&Goal| !goal.what.starts_with("ns") && !["f", "rounds"].contains(&goal.what);
        let missed: Vec<_> = report.goals().filter(speed).filter(|goal| !goal.met).collect();
        assert!(missed.is_empty(), "{missed:?}");
        assert!(report.to_json().unwrap().contains("toy tags"));
        assert!(report.to_string().contains("Mbit/s"));
    }
}
