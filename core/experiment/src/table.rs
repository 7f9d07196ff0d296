//! Table II of the paper: figures, their intervals, and the paper's own.

use serde::{Deserialize, Serialize};

use crate::interval::{Estimate, Share, proportion, ratio};
use crate::tally::{GroupTally, RunTally, WindowTally};

/// What the paper measured in one place (its Table II).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PaperRow {
    /// Name of the scenario, the place of the measurement.
    pub scenario: &'static str,
    /// Key generation rate in bits a second.
    pub kgr_bit_per_s: f64,
    /// Key disagreement rate, 0 to 1.
    pub kdr: f64,
    /// Retransmission rate, 0 to 1.
    pub rr: f64,
    /// Eve's key disagreement rate, 0 to 1.
    pub eve_kdr: f64,
    /// Number of groups that Eve decoded correctly.
    pub cracked: u64,
}

/// Table II of the paper.
pub const PAPER: [PaperRow; 3] = [
    PaperRow {
        scenario: "office",
        kgr_bit_per_s: 315.4,
        kdr: 0.081,
        rr: 0.116,
        eve_kdr: 0.481,
        cracked: 0,
    },
    PaperRow {
        scenario: "hall",
        kgr_bit_per_s: 424.7,
        kdr: 0.047,
        rr: 0.021,
        eve_kdr: 0.492,
        cracked: 0,
    },
    PaperRow {
        scenario: "corridor",
        kgr_bit_per_s: 383.7,
        kdr: 0.058,
        rr: 0.067,
        eve_kdr: 0.453,
        cracked: 0,
    },
];

impl PaperRow {
    /// The paper's figures for a scenario of this name.
    pub fn of(scenario: &str) -> Option<&'static Self> {
        PAPER.iter().find(|row| row.scenario == scenario)
    }
}

/// Our figures for one scenario; rates are 0 to 1, `None` where nothing was counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableRow {
    /// Name of the scenario that was run.
    pub scenario: String,
    /// Runs (seeds or links) that went into it.
    pub runs: usize,
    /// Air time in seconds, all runs together.
    pub air_s: f64,
    /// Number of probes sent, all runs together.
    pub probes: u64,
    /// Probes that both ends kept.
    pub kept: u64,
    /// Raw bits of channel key, before any error correction.
    pub bits: u64,
    /// Raw bits of channel key for each second of air time.
    pub kgr_raw_bit_per_s: Option<Estimate>,
    /// Bits of decoded groups a second of the air time that their pads took.
    pub kgr_corrected_bit_per_s: Option<Estimate>,
    /// Key disagreement rate between QAP and user.
    pub kdr: Option<Estimate>,
    /// Share of transmitted groups that had to be sent again.
    pub rr: Option<Estimate>,
    /// Eve's key disagreement rate on the QAP's frames.
    pub eve_kdr: Option<Estimate>,
    /// Eve's key disagreement rate on the user's frames.
    pub eve_reverse_kdr: Option<Estimate>,
    /// Standard deviation of the KDR from group to group.
    pub group_kdr_deviation: Option<f64>,
    /// Groups transmitted, counted once for each transmission.
    pub groups: u64,
    /// Groups that were decoded to something else.
    pub wrong: u64,
    /// Number of groups that Eve decoded correctly.
    pub cracked: u64,
}

impl TableRow {
    /// The row of a scenario from its runs.
    pub fn new(scenario: &str, runs: &[RunTally]) -> Self {
        let windows =
            |part: fn(&WindowTally) -> f64, whole: fn(&WindowTally) -> f64| -> Vec<Share> {
                let of_run = |(run, tally): (usize, &RunTally)| -> Vec<Share> {
                    let share = |w: &WindowTally| Share {
                        run,
                        at_s: w.start_s,
                        part: part(w),
                        whole: whole(w),
                    };
                    tally.windows.iter().map(share).collect()
                };
                runs.iter().enumerate().flat_map(of_run).collect()
            };
        let groups = |part: fn(&GroupTally) -> f64| -> Vec<Share> {
            let of_run = |(run, tally): (usize, &RunTally)| -> Vec<Share> {
                let share =
                    |g: &GroupTally| Share { run, at_s: g.start_s, part: part(g), whole: 1.0 };
                tally.groups.iter().map(share).collect()
            };
            runs.iter().enumerate().flat_map(of_run).collect()
        };
        let count = |happened: fn(&GroupTally) -> bool| {
            runs.iter().flat_map(|run| &run.groups).filter(|g| happened(g)).count() as u64
        };
        let kgr_raw = ratio(&windows(|w| w.user.bits as f64, |w| w.length_s), f64::INFINITY);
        let rr = proportion(&groups(|g| f64::from(!g.decoded)));
        Self {
            scenario: scenario.to_owned(),
            runs: runs.len(),
            air_s: runs.iter().map(RunTally::seconds).sum(),
            probes: runs.iter().map(|run| run.probes).sum(),
            kept: runs.iter().map(|run| run.kept).sum(),
            bits: runs.iter().flat_map(|run| &run.windows).map(|w| w.user.bits).sum(),
            kgr_raw_bit_per_s: kgr_raw,
            kgr_corrected_bit_per_s: corrected(runs, kgr_raw, rr),
            kdr: ratio(&windows(|w| w.user.errors as f64, |w| w.user.bits as f64), 1.0),
            rr,
            eve_kdr: ratio(&windows(|w| w.eve.errors as f64, |w| w.eve.bits as f64), 1.0),
            eve_reverse_kdr: ratio(
                &windows(|w| w.eve_reverse.errors as f64, |w| w.eve_reverse.bits as f64),
                1.0,
            ),
            group_kdr_deviation: deviation(runs),
            groups: count(|_| true),
            wrong: count(|g| g.wrong),
            cracked: count(|g| g.cracked),
        }
    }
}

/// Raw rate times the share of pads that delivered, times group bits a pad bit.
fn corrected(runs: &[RunTally], raw: Option<Estimate>, rr: Option<Estimate>) -> Option<Estimate> {
    let group = runs.iter().flat_map(|run| run.groups.iter().map(|g| (run.group_bits, g)));
    let (group_bits, first) = group.into_iter().next()?;
    let rate = group_bits as f64 / first.user.bits as f64;
    let (raw, rr) = (raw?, rr?);
    Some(Estimate {
        mean: raw.mean * rate * (1.0 - rr.mean),
        low: raw.low * rate * (1.0 - rr.high),
        high: raw.high * rate * (1.0 - rr.low),
    })
}

fn deviation(runs: &[RunTally]) -> Option<f64> {
    let rates: Vec<f64> =
        runs.iter().flat_map(|r| &r.groups).filter_map(|g| g.user.rate()).collect();
    let n = rates.len() as f64;
    let mean = rates.iter().sum::<f64>() / n;
    (n >= 2.0).then(|| (rates.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt())
}
