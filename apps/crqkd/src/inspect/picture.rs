//! The picture of a recording: spectrum above, impulse responses below.

use super::Findings;
use crqkd_recording::Complex32;
use crqkd_report::{Look, Panel, Plot, Scale, Series};
use crqkd_sounding::{PEAK_TAP, SAMPLE_RATE_HZ, TAPS};

/// Range of the impulse responses below the strongest tap, dB.
const FLOOR_DB: f64 = -40.0;

/// An SVG document.
pub(super) fn draw(name: &str, findings: &Findings, responses: &[[Complex32; TAPS]]) -> String {
    let plot = Plot {
        title: name.to_owned(),
        description: format!(
            "Mean spectrum of {} samples, and impulse responses of {} of {} frames.",
            findings.samples,
            responses.len(),
            findings.frames
        ),
        panels: vec![spectrum(findings), impulses(findings, responses)],
    };
    plot.to_svg()
}

fn spectrum(findings: &Findings) -> Panel {
    let half_mhz = SAMPLE_RATE_HZ / 2e6;
    let bins = findings.spectrum_dbfs.len();
    let low = findings.spectrum_dbfs.iter().copied().fold(f64::INFINITY, f64::min).max(-200.0);
    let high = findings.spectrum_dbfs.iter().copied().fold(-200.0, f64::max);
    let frequency = |i: usize| (i as f64 / bins as f64 * 2.0 - 1.0) * half_mhz;
    let levels = findings.spectrum_dbfs.iter().enumerate();
    Panel {
        heading: "Mean spectrum".into(),
        height: Panel::HEIGHT,
        x: Scale::linear("MHz from the centre", -half_mhz, half_mhz),
        y: Scale::linear(
            format!("dBFS in {:.1} kHz", SAMPLE_RATE_HZ / 1e3 / bins as f64),
            low.floor() - 1.0,
            high.ceil() + 1.0,
        ),
        series: vec![Series::curve(
            "mean power",
            Look::Main,
            levels.map(|(i, level)| [frequency(i), *level]).collect(),
        )],
    }
}

fn impulses(findings: &Findings, responses: &[[Complex32; TAPS]]) -> Panel {
    let tap_ns = 1e9 / SAMPLE_RATE_HZ;
    let delay = |l: usize| (l as f64 - PEAK_TAP as f64) * tap_ns;
    let decibel = |power: f64| (10.0 * power.max(1e-12).log10()).max(FLOOR_DB);
    let curve = |cir: &[Complex32; TAPS]| -> Vec<[f64; 2]> {
        let strongest = f64::from(cir[PEAK_TAP].norm_sqr()).max(1e-30);
        let level = |tap: &Complex32| decibel(f64::from(tap.norm_sqr()) / strongest);
        cir.iter().enumerate().map(|(l, tap)| [delay(l), level(tap)]).collect()
    };
    let mut series: Vec<Series> = responses
        .iter()
        .enumerate()
        .map(|(i, cir)| {
            let name = if i == 0 { "one frame" } else { "" };
            Series::curve(name, Look::Faint, curve(cir))
        })
        .collect();
    if findings.frames > 0 {
        let mean = findings.profile.iter().enumerate();
        let mean = mean.map(|(l, power)| [delay(l), decibel(*power)]).collect();
        series.push(Series::curve("mean of all frames, noise removed", Look::Second, mean));
    }
    Panel {
        heading: format!("Impulse responses of {} of {} frames", responses.len(), findings.frames),
        height: Panel::HEIGHT,
        x: Scale::linear("ns from the strongest path", delay(0), delay(TAPS - 1)),
        y: Scale::linear("dB below it", FLOOR_DB, 2.0),
        series,
    }
}
