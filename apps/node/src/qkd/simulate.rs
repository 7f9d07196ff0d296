//! [`simulate`]: the whole link in one process, at one or several distances, and the plot of its rate.

use anyhow::{Result, anyhow, bail};
use crqkd_quantum::decoy::{Asymptotic, DecoyConfig, run_decoy_block};
use plotters::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::args::SimulateArgs;
use crate::stop;

/// One distance.
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

/// The rates per pulse against the distance, on a logarithmic scale, as SVG.
///
/// # Errors
/// No point with a rate.
pub fn plot(points: &[SimulatedPoint]) -> Result<String> {
    let finite: Vec<(f64, f64)> =
        points.iter().map(|p| (p.distance_km, p.rate_per_pulse)).filter(|p| p.1 > 0.0).collect();
    let endless: Vec<(f64, f64)> = points
        .iter()
        .map(|p| (p.distance_km, p.asymptotic_per_pulse))
        .filter(|p| p.1 > 0.0)
        .collect();
    let rates = finite.iter().chain(&endless).map(|p| p.1);
    let low = rates.clone().fold(f64::INFINITY, f64::min);
    let high = rates.fold(0.0, f64::max);
    if high <= 0.0 {
        return Err(anyhow!("no distance gives a key: there is nothing to draw"));
    }
    let from = points.first().map_or(0.0, |p| p.distance_km);
    let to = points.last().map_or(1.0, |p| p.distance_km).max(from + 1.0);
    let mut text = String::new();
    let mut draw = || -> Result<(), Box<dyn std::error::Error>> {
        let area = SVGBackend::with_string(&mut text, (800, 500)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .margin(16)
            .x_label_area_size(40)
            .y_label_area_size(70)
            .build_cartesian_2d(from..to, ((low / 2.0)..(high * 2.0)).log_scale())?;
        chart
            .configure_mesh()
            .x_desc("fibre in km")
            .y_desc("secret bits per pulse")
            .y_label_formatter(&|rate| format!("{rate:.0e}"))
            .draw()?;
        chart
            .draw_series(LineSeries::new(endless.iter().copied(), &BLACK.mix(0.5)))?
            .label("endless run")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], BLACK.mix(0.5)));
        chart
            .draw_series(LineSeries::new(finite.iter().copied(), &BLUE))?
            .label("simulated blocks")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], BLUE));
        chart.draw_series(finite.iter().map(|&point| Circle::new(point, 3, BLUE.filled())))?;
        chart.configure_series_labels().background_style(WHITE).border_style(BLACK).draw()?;
        area.present()?;
        Ok(())
    };
    draw().map_err(|error| anyhow!("the plot: {error}"))?;
    Ok(text)
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
