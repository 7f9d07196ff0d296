//! The picture of a recording: spectrum above, impulse responses below.

use super::Findings;
use anyhow::{Result, anyhow};
use crqkd_recording::Complex32;
use crqkd_sounding::{PEAK_TAP, SAMPLE_RATE_HZ, TAPS};
use plotters::prelude::*;

const SIZE: (u32, u32) = (900, 760);
/// Range of the impulse responses below the strongest tap, dB.
const FLOOR_DB: f64 = -40.0;

/// An SVG document.
pub(super) fn draw(
    name: &str,
    findings: &Findings,
    responses: &[[Complex32; TAPS]],
) -> Result<String> {
    let mut svg = String::new();
    paint(&mut svg, name, findings, responses).map_err(|error| anyhow!("picture: {error}"))?;
    Ok(svg)
}

fn paint(
    svg: &mut String,
    name: &str,
    findings: &Findings,
    responses: &[[Complex32; TAPS]],
) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (above, below) = root.split_vertically(SIZE.1 / 2);

    let half_mhz = SAMPLE_RATE_HZ / 2e6;
    let bins = findings.spectrum_dbfs.len();
    let low = findings.spectrum_dbfs.iter().copied().fold(f64::INFINITY, f64::min).max(-200.0);
    let high = findings.spectrum_dbfs.iter().copied().fold(-200.0, f64::max);
    let mut chart = ChartBuilder::on(&above)
        .caption(format!("{name}: mean spectrum"), ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(-half_mhz..half_mhz, low.floor() - 1.0..high.ceil() + 1.0)?;
    chart
        .configure_mesh()
        .x_desc("MHz from the centre")
        .y_desc(format!("dBFS in {:.1} kHz", SAMPLE_RATE_HZ / 1e3 / bins as f64))
        .light_line_style(WHITE)
        .draw()?;
    let frequency = |i: usize| (i as f64 / bins as f64 * 2.0 - 1.0) * half_mhz;
    let line = findings.spectrum_dbfs.iter().enumerate().map(|(i, &level)| (frequency(i), level));
    chart.draw_series(LineSeries::new(line, BLUE.stroke_width(1)))?;

    let tap_ns = 1e9 / SAMPLE_RATE_HZ;
    let delay = |l: usize| (l as f64 - PEAK_TAP as f64) * tap_ns;
    let mut chart = ChartBuilder::on(&below)
        .caption(
            format!("impulse responses of {} of {} frames", responses.len(), findings.frames),
            ("sans-serif", 18),
        )
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(delay(0)..delay(TAPS - 1), FLOOR_DB..2.0)?;
    chart
        .configure_mesh()
        .x_desc("ns from the strongest path")
        .y_desc("dB below it")
        .light_line_style(WHITE)
        .draw()?;
    let decibel = |power: f64| (10.0 * power.max(1e-12).log10()).max(FLOOR_DB);
    for cir in responses {
        let strongest = f64::from(cir[PEAK_TAP].norm_sqr()).max(1e-30);
        let points = cir
            .iter()
            .enumerate()
            .map(|(l, tap)| (delay(l), decibel(f64::from(tap.norm_sqr()) / strongest)));
        chart.draw_series(LineSeries::new(points, BLUE.mix(0.15)))?;
    }
    if findings.frames > 0 {
        let mean = findings.profile.iter().enumerate().map(|(l, &p)| (delay(l), decibel(p)));
        chart.draw_series(LineSeries::new(mean, RED.stroke_width(2)))?;
    }
    root.present()?;
    Ok(())
}
