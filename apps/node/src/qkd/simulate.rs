//! [`simulate`]: the whole link in one process, at one or several distances, and the plot of its rate.

use anyhow::{Result, anyhow, bail};
use crqkd_quantum::decoy::{Asymptotic, DecoyConfig, run_decoy_block};
use crqkd_report::{Look, Panel, Plot, Scale, Series};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::args::SimulateArgs;
use crate::stop;

/// What came out at one distance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SimulatedPoint {
    /// Fibre length.
    pub distance_km: f64,
    /// Blocks run.
    pub blocks: u64,
    /// Blocks that gave a key.
    pub keys: u64,
    /// Error rate of the test basis, mean over blocks.
    pub qber: f64,
    /// Sifted bits in the key basis per block.
    pub sifted_bits: f64,
    /// Final key bits per block.
    pub key_bits: f64,
    /// Final key bits per pulse.
    pub rate_per_pulse: f64,
    /// Final key bits per second at the link's pulse rate.
    pub rate_bit_s: f64,
    /// The same per pulse for an endless run with the measured efficiency (1.16 where nothing was measured).
    pub asymptotic_per_pulse: f64,
    /// Disclosed bits over the Shannon limit.
    pub efficiency: Option<f64>,
    /// Rounds of reconciliation per block.
    pub rounds: f64,
    /// Messages per block.
    pub messages: f64,
    /// Why the last block without a key had none.
    pub reason: Option<String>,
}

/// Runs the link at every distance asked for. `progress` is told (blocks done, blocks in all).
///
/// A process that was asked to stop gets what was simulated until then: the last point may have fewer blocks, and there
/// may be no point.
///
/// # Errors
/// A configuration out of range, a last distance before the first.
pub fn simulate(
    args: &SimulateArgs,
    mut progress: impl FnMut(u64, u64),
) -> Result<Vec<SimulatedPoint>> {
    let first = args.link.resolve()?;
    let mut distances = vec![first.distance_km];
    if let Some(to) = args.to_km {
        if to < first.distance_km {
            bail!("--to-km {to} is below the first distance, {} km", first.distance_km);
        }
        let step = args.step_km.max(0.1);
        let mut next = first.distance_km + step;
        while next <= to + 1e-9 {
            distances.push(next);
            next += step;
        }
    }
    let all = args.blocks * distances.len() as u64;
    let mut points = Vec::with_capacity(distances.len());
    for (index, &distance_km) in distances.iter().enumerate() {
        if stop::requested() {
            break;
        }
        let config = DecoyConfig { distance_km, ..first.clone() };
        let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
        rng.set_stream(index as u64);
        let done = index as u64 * args.blocks;
        points.push(point(&config, args.blocks, &mut rng, |n| progress(done + n, all))?);
    }
    Ok(points)
}

fn point(
    config: &DecoyConfig,
    blocks: u64,
    rng: &mut ChaCha8Rng,
    mut progress: impl FnMut(u64),
) -> Result<SimulatedPoint> {
    let (mut keys, mut qber, mut sifted, mut bits, mut rounds, mut messages) =
        (0, 0.0, 0.0, 0.0, 0.0, 0.0);
    let (mut efficiency, mut reason) = (Vec::new(), None);
    let mut done = 0;
    while done < blocks && !(done > 0 && stop::requested()) {
        let run = run_decoy_block(config, rng)?;
        keys += u64::from(run.abort.is_none());
        reason = run.abort.map(|reason| reason.to_string()).or(reason);
        qber += run.counts.test_qber();
        sifted += run.counts.sifted() as f64;
        bits += run.counts.final_length as f64;
        rounds += run.counts.rounds as f64;
        messages += run.messages as f64;
        efficiency.extend(run.counts.efficiency().filter(|_| run.abort.is_none()));
        done += 1;
        progress(done);
    }
    let n = done.max(1) as f64;
    let mean = |list: &[f64]| list.iter().sum::<f64>() / list.len() as f64;
    let efficiency = (!efficiency.is_empty()).then(|| mean(&efficiency));
    let rate_per_pulse = bits / n / config.pulses_per_block as f64;
    let asymptotic = Asymptotic {
        mean_photons: config.mean_photons[0],
        transmittance: config.transmittance(),
        background: config.background_probability,
        misalignment: config.misalignment,
        efficiency: efficiency.unwrap_or(1.16),
    };
    Ok(SimulatedPoint {
        distance_km: config.distance_km,
        blocks: done,
        keys,
        qber: qber / n,
        sifted_bits: sifted / n,
        key_bits: bits / n,
        rate_per_pulse,
        rate_bit_s: rate_per_pulse * config.pulse_rate_mhz * 1e6,
        asymptotic_per_pulse: asymptotic.rate(),
        efficiency,
        rounds: rounds / n,
        messages: messages / n,
        reason,
    })
}

/// The rates per pulse against the distance, on a logarithmic scale, and the error rate below, as SVG.
///
/// # Errors
/// No point with a rate.
pub fn plot(points: &[SimulatedPoint]) -> Result<String> {
    let curve = |pick: fn(&SimulatedPoint) -> f64| -> Vec<[f64; 2]> {
        points.iter().map(|p| [p.distance_km, pick(p)]).filter(|p| p[1] > 0.0).collect()
    };
    let (finite, endless) = (curve(|p| p.rate_per_pulse), curve(|p| p.asymptotic_per_pulse));
    let rates = finite.iter().chain(&endless).map(|p| p[1]);
    let low = rates.clone().fold(f64::INFINITY, f64::min);
    let high = rates.fold(0.0, f64::max);
    if high <= 0.0 {
        return Err(anyhow!("no distance gives a key: there is nothing to draw"));
    }
    let from = points.first().map_or(0.0, |p| p.distance_km);
    let to = points.last().map_or(1.0, |p| p.distance_km).max(from + 1.0);
    let fibre = || Scale::linear("fibre in km", from, to);
    let errors: Vec<[f64; 2]> = points.iter().map(|p| [p.distance_km, 100.0 * p.qber]).collect();
    let most = errors.iter().map(|p| p[1]).fold(0.0, f64::max);
    let plot = Plot {
        title: "Decoy-state BB84 over fibre".into(),
        description: format!(
            "Secret bits per pulse and error rate of the test basis at {} distances from {from} to {to} km.",
            points.len()
        ),
        panels: vec![
            Panel {
                heading: "Secret bits per pulse".into(),
                height: Panel::HEIGHT,
                x: fibre(),
                y: Scale::logarithmic("secret bits per pulse", low / 2.0, high * 2.0),
                series: vec![
                    Series::curve("endless run", Look::Third, endless),
                    Series::curve("simulated blocks", Look::Main, finite).with_marks(),
                ],
            },
            Panel {
                heading: "Error rate of the test basis".into(),
                height: Panel::HEIGHT,
                x: fibre(),
                y: Scale::linear("QBER (%)", 0.0, 1.1 * most + 0.1),
                series: vec![Series::curve("mean over blocks", Look::Main, errors).with_marks()],
            },
        ],
    };
    Ok(plot.to_svg())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qkd::LinkArgs;

    #[test]
    fn a_sweep_gives_a_point_a_distance_and_a_plot() {
        let args = SimulateArgs {
            link: LinkArgs {
                distance_km: Some(0.0),
                pulses_per_block: Some(20_000_000),
                ..LinkArgs::default()
            },
            to_km: Some(10.0),
            step_km: 10.0,
            blocks: 1,
            seed: 1,
            plot: None,
        };
        let mut last = (0, 0);
        let points = simulate(&args, |done, all| last = (done, all)).unwrap();
        assert_eq!(last, (2, 2));
        assert_eq!(points.iter().map(|p| p.distance_km).collect::<Vec<_>>(), [0.0, 10.0]);
        assert!(points[0].rate_per_pulse > points[1].rate_per_pulse);
        assert!(points[0].rate_per_pulse < points[0].asymptotic_per_pulse);
        assert!(plot(&points).unwrap().contains("secret bits per pulse"));
    }

    #[test]
    fn a_last_distance_before_the_first_is_refused() {
        let args = SimulateArgs {
            link: LinkArgs { distance_km: Some(20.0), ..LinkArgs::default() },
            to_km: Some(10.0),
            step_km: 10.0,
            blocks: 1,
            seed: 1,
            plot: None,
        };
        let error = simulate(&args, |_, _| {}).unwrap_err().to_string();
        assert_eq!(error, "--to-km 10 is below the first distance, 20 km");
    }
}
