//! Other transmitters: short bursts and long disturbances that raise the noise floor of one end.
//!
//! Events are drawn per cell of time, at most one a cell, so that what happens at a sample index can be told without
//! following the past. Eve stands beside the user and hears the same interference.

use std::ops::Range;

use rand::Rng;

use crate::SAMPLE_RATE_HZ;
use crate::config::AirConfig;
use crate::radio::Radio;
use crate::random::{Purpose, stream};

/// One kind of interference: events at random times, at most one of which begins in each cell of
/// time.
#[derive(Clone, Debug)]
struct Process {
    purpose: Purpose,
    /// Chance of an event a cell.
    chance: f64,
    /// Length of a cell, and longest event, in samples.
    cell: u64,
    /// Highest rise of the noise floor in dB.
    rise_db: f64,
}

/// Something that disturbs a site.
#[derive(Clone, Debug, PartialEq)]
struct Event {
    /// Air time of the event in samples, its end excluded.
    time: Range<u64>,
    /// Power added, in units of the quiet noise floor.
    power: f32,
}

impl Process {
    /// Events are uniformly between a half and one and a half times `mean_s` long; the rise in dB of each is uniform
    /// up to `rise_db`.
    fn new(purpose: Purpose, share: f64, mean_s: f64, rise_db: f64) -> Self {
        let cell = (1.5 * mean_s * SAMPLE_RATE_HZ).ceil();
        Self { purpose, chance: 1.5 * share, cell: cell as u64, rise_db }
    }

    fn event(&self, seed: u64, site: u64, cell: u64) -> Option<Event> {
        let mut rng = stream(seed, self.purpose, site, cell);
        if rng.random::<f64>() >= self.chance {
            return None;
        }
        let start = cell * self.cell + rng.random_range(0..self.cell);
        let length = rng.random_range(self.cell / 3..=self.cell);
        let rise_db = self.rise_db * rng.random::<f64>();
        let power = 10f64.powf(rise_db / 10.0) - 1.0;
        Some(Event { time: start..start.saturating_add(length), power: power as f32 })
    }

    /// The events that overlap `range`.
    fn events(&self, seed: u64, site: u64, range: Range<u64>) -> impl Iterator<Item = Event> {
        let silent = self.chance <= 0.0 || self.rise_db <= 0.0 || range.is_empty();
        let cells = if silent {
            0..0
        } else {
            (range.start / self.cell).saturating_sub(1)..range.end.div_ceil(self.cell)
        };
        cells
            .filter_map(move |cell| self.event(seed, site, cell))
            .filter(move |event| event.time.start < range.end && event.time.end > range.start)
    }
}

/// All interference of a world.
#[derive(Clone, Debug)]
pub(crate) struct Interference {
    seed: u64,
    processes: [Process; 2],
}

impl Interference {
    pub(crate) fn new(config: &AirConfig, seed: u64) -> Self {
        let bursts = Process::new(
            Purpose::Burst,
            config.burst_share,
            config.burst_ms * 1e-3,
            config.burst_rise_db,
        );
        let disturbances = Process::new(
            Purpose::Disturbance,
            config.disturbance_share,
            config.disturbance_s,
            config.disturbance_rise_db,
        );
        Self { seed, processes: [bursts, disturbances] }
    }

    /// Power of the interference at a radio at one sample, in units of the quiet noise floor.
    pub(crate) fn level(&self, radio: Radio, t: u64) -> f32 {
        let mut level = 0.0;
        for process in &self.processes {
            for event in process.events(self.seed, site(radio), t..t + 1) {
                level += event.power;
            }
        }
        level
    }

    /// Splits `range` into stretches of constant power: each entry is (end of the stretch, power).
    pub(crate) fn stretches(&self, radio: Radio, range: Range<u64>, out: &mut Vec<(u64, f32)>) {
        out.clear();
        let mut any = false;
        for process in &self.processes {
            for event in process.events(self.seed, site(radio), range.clone()) {
                any = true;
                for edge in [event.time.start, event.time.end] {
                    if edge > range.start && edge < range.end {
                        out.push((edge, 0.0));
                    }
                }
            }
        }
        out.push((range.end, 0.0));
        if any {
            out.sort_unstable_by_key(|(edge, _)| *edge);
            let mut start = range.start;
            for (end, power) in out.iter_mut() {
                *power = self.level(radio, start);
                start = *end;
            }
        }
    }
}

/// Eve shares the user's site.
fn site(radio: Radio) -> u64 {
    match radio {
        Radio::Qap => 0,
        Radio::User | Radio::Eve => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noisy() -> Interference {
        let config = AirConfig {
            burst_share: 0.05,
            burst_ms: 2.0,
            burst_rise_db: 10.0,
            disturbance_share: 0.2,
            disturbance_s: 0.5,
            disturbance_rise_db: 3.0,
            ..AirConfig::default()
        };
        Interference::new(&config, 3)
    }

    #[test]
    fn events_take_their_share_of_the_time() {
        let air = noisy();
        let n = 200_000;
        let mean: f64 = (0..n).map(|i| f64::from(air.level(Radio::User, i * 20_011))).sum::<f64>()
            / f64::from(n as u32);
        // Mean of 10^(r/10) - 1 for r uniform up to R: (10^(R/10) - 1)/(R·ln(10)/10) - 1, 2.909 at 10 dB, 0.441 at 3 dB;
        // 0.05 · 2.909 + 0.2 · 0.441 = 0.234.
        assert!((mean - 0.234).abs() < 0.02, "{mean}");
        assert_eq!(air.level(Radio::User, 123_456_789), air.level(Radio::Eve, 123_456_789));
    }

    #[test]
    fn stretches_agree_with_the_level_at_every_sample() {
        let air = noisy();
        let mut stretches = Vec::new();
        for range in [0..400_000u64, 7_000_000..7_600_000] {
            air.stretches(Radio::Qap, range.clone(), &mut stretches);
            let mut t = range.start;
            for &(end, power) in &stretches {
                while t < end {
                    assert_eq!(air.level(Radio::Qap, t), power, "at {t}");
                    t += 97.min(end - t);
                }
            }
            assert_eq!(t, range.end);
        }
    }
}
