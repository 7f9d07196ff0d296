//! A run as a folder for `crqkd report`.

use crate::demo::Report;
use crate::output::write;
use crate::provenance::Provenance;
use crate::referee::{LinkVerdict, Verdict};
use anyhow::Result;
use crqkd_channel_key::{FeatureMap, LogAmplitude, MedianQuantizer};
use crqkd_experiment::{Estimate, PaperRow, TableRow as Figures};
use crqkd_quantum::{Bb84Report, QuantumConfig};
use crqkd_report::{
    ByEnd, Counting, Disturbances, GroupRecord, Impulse, LinkData, Matrix, QuantumBlock,
    QuantumData, RunData, SimulatedBits, TableRow, WindowData,
};
use crqkd_scenario::Scenario;
use crqkd_sounding::{CARRIERS, PEAK_TAP, SAMPLE_RATE_HZ, TAPS};
use num_complex::Complex32;
use std::collections::BTreeMap;
use std::path::Path;

/// Writes `run.json` with its arrays, and the resolved scenario beside it.
pub(crate) fn save(
    dir: &Path,
    scenario: &Scenario,
    report: &Report,
    verdict: &Verdict,
    made: Provenance,
) -> Result<()> {
    run_data(scenario, report, verdict, made)?.save(dir)?;
    write(&dir.join("scenario.toml"), &scenario.to_toml())
}

fn run_data(
    scenario: &Scenario,
    report: &Report,
    verdict: &Verdict,
    made: Provenance,
) -> Result<RunData> {
    let mut run = RunData::new(&report.scenario, report.seed);
    run.command = Some(made.command);
    run.version = Some(concat!("crqkd ", env!("CARGO_PKG_VERSION")).to_owned());
    for (name, value) in made.options {
        run.option(name, value);
    }
    run.air_time_s = report.row.as_ref().map(|row| row.air_s);
    run.disturbances = Some(Disturbances {
        share: scenario.air.disturbance_share,
        mean_s: scenario.air.disturbance_s,
        rise_db: scenario.air.disturbance_rise_db,
    });
    run.quantum = Some(quantum_data(&scenario.quantum, &report.quantum));
    let otp = &report.otp;
    run.fact("code", format!("polar ({}, {}) with CRC-{}", otp.n, otp.k, otp.crc));
    run.fact("authentication", "none: messages carry no tags yet");
    for key in &report.keys {
        let end = |end: &Option<String>| end.clone().unwrap_or_else(|| "-".to_owned());
        let name = format!("key of block {} ({} bits)", key.block, key.bits);
        run.fact(name, format!("Alice {}, Bob {}", end(&key.alice), end(&key.bob)));
    }
    if let Some(row) = &report.row {
        run.table = table(row, report);
    }
    for (link, roles) in verdict.links.iter().zip(&report.links) {
        let names = [roles.qap.to_string(), roles.user.to_string()];
        run.links.push(link_data(scenario, link, names)?);
    }
    Ok(run)
}

fn quantum_data(config: &QuantumConfig, reports: &[Bb84Report]) -> QuantumData {
    let block = |report: &Bb84Report| QuantumBlock {
        pulses: report.counts.pulses,
        detected: report.counts.detected,
        sifted: report.counts.sifted,
        sample: report.counts.sample,
        sample_errors: report.counts.sample_errors,
        disclosed: report.leak,
        key_bits: report.final_length(),
        abort: report.abort.map(|reason| reason.to_string()),
    };
    QuantumData {
        protocol: "BB84".to_owned(),
        distance_km: config.distance_km,
        qber_threshold: config.qber_threshold,
        intercept_share: config.intercept_share,
        blocks: reports.iter().map(block).collect(),
    }
}

fn table(row: &Figures, report: &Report) -> Vec<TableRow> {
    let paper = report.paper;
    let line =
        |label: &str, ours: Option<Estimate>, factor, unit: &str, counting, paper: Option<f64>| {
            let mut line = match ours {
                Some(e) => {
                    let e = e.times(factor);
                    TableRow::new(label, e.mean, unit, counting).interval(e.low, e.high).decimals(1)
                }
                None => TableRow::not_accounted(label, unit, counting),
            };
            if let Some(figure) = paper {
                line = line.paper(figure * factor);
            }
            line
        };
    vec![
        line(
            "key generation rate",
            row.kgr_raw_bit_per_s,
            1.0,
            "bit/s",
            Counting::Raw,
            paper.map(|p| p.kgr_bit_per_s),
        ),
        line(
            "key generation rate",
            row.kgr_corrected_bit_per_s,
            1.0,
            "bit/s",
            Counting::Corrected,
            None,
        ),
        TableRow::not_accounted("key generation rate", "bit/s", Counting::Secret),
        line("key disagreement rate", row.kdr, 100.0, "%", Counting::None, paper.map(|p| p.kdr)),
        line("retransmission rate", row.rr, 100.0, "%", Counting::None, paper.map(|p| p.rr)),
        line(
            TableRow::EVE_ON_QAP,
            row.eve_kdr,
            100.0,
            "%",
            Counting::None,
            paper.map(|p| p.eve_kdr),
        ),
        line(TableRow::EVE_ON_USER, row.eve_reverse_kdr, 100.0, "%", Counting::None, None),
        cracked(row, paper),
    ]
}

fn cracked(row: &Figures, paper: Option<&PaperRow>) -> TableRow {
    let line = TableRow::new("groups cracked by Eve", row.cracked as f64, "", Counting::None);
    let line = match paper {
        Some(paper) => line.paper(paper.cracked as f64),
        None => line,
    };
    line.decimals(0)
}

fn link_data(scenario: &Scenario, link: &LinkVerdict, names: [String; 2]) -> Result<LinkData> {
    let config = &scenario.channel_key;
    let carriers: Vec<u16> = config.carriers.iter().map(|&carrier| carrier.into()).collect();
    let map = LogAmplitude::new(&config.carriers)?;
    let quantizer = MedianQuantizer::new(config)?;
    // Kept measurements of each side by probe.
    let by_probe = link.observations.each_ref().map(|list| {
        list.iter().map(|p| ((p.probe.window, p.probe.index), p)).collect::<BTreeMap<_, _>>()
    });
    let features = carriers.len();
    let mut data = LinkData {
        carriers: carriers.clone(),
        csi: ends(|| Matrix::empty(features)),
        ..LinkData::default()
    };
    [data.qap, data.user] = names;
    let mut bits: ByEnd<Matrix<u8>> = ends(|| Matrix::empty(features));
    for window in &link.windows {
        let first = data.air_time_s.len();
        let mut rows: [Vec<Vec<f32>>; 3] = Default::default();
        for (row, &index) in window.kept.iter().enumerate() {
            let probe = (window.window, index);
            let Some(at_qap) = by_probe[0].get(&probe) else { continue };
            data.air_time_s.push(at_qap.estimate.start as f64 / SAMPLE_RATE_HZ);
            for (side, found) in by_probe.iter().enumerate() {
                let csi = found.get(&probe).map_or([Complex32::ZERO; CARRIERS], |p| p.estimate.csi);
                let chosen: Vec<Complex32> =
                    carriers.iter().map(|&c| csi[usize::from(c)]).collect();
                push(&mut data.csi, side, &chosen);
                if let Ok(features) = map.map(&csi) {
                    rows[side].push(features);
                }
                let all = &window.bits[side];
                let row_bits: Vec<u8> = (0..features)
                    .map(|f| u8::from(all.get(row * features + f).unwrap_or(false)))
                    .collect();
                push(&mut bits, side, &row_bits);
            }
        }
        let levels = |side: usize| -> Vec<f32> {
            match quantizer.levels(&rows[side]) {
                Ok(levels) if levels.len() == features => {
                    levels.iter().map(|level| level.threshold as f32).collect()
                }
                _ => vec![f32::NAN; features],
            }
        };
        data.windows.push(WindowData {
            window: window.window.0,
            first,
            probes: data.air_time_s.len() - first,
            carriers: carriers.clone(),
            thresholds_db: ByEnd { qap: levels(0), user: levels(1), eve: Some(levels(2)) },
        });
    }
    data.simulated_bits = Some(SimulatedBits(bits));
    data.groups = link
        .groups
        .iter()
        .map(|group| GroupRecord {
            group: group.group.0,
            attempt: u32::from(group.attempt) + 1,
            kdr: group.kdr.rate().unwrap_or(0.0),
            eve_kdr: group.eve_kdr.rate(),
            decoded: group.decoded,
        })
        .collect();
    let mut impulse = Impulse {
        measured_by: data.user.clone(),
        air_time_s: Vec::new(),
        taps: Matrix::empty(TAPS),
        zero_tap: PEAK_TAP,
        tap_spacing_s: 1.0 / SAMPLE_RATE_HZ,
    };
    for probe in &link.observations[1] {
        impulse.air_time_s.push(probe.estimate.start as f64 / SAMPLE_RATE_HZ);
        impulse.taps.push_row(&probe.estimate.cir);
    }
    data.impulse = Some(impulse);
    Ok(data)
}

fn ends<T>(mut make: impl FnMut() -> T) -> ByEnd<T> {
    ByEnd { qap: make(), user: make(), eve: Some(make()) }
}

fn push<T: Copy>(of: &mut ByEnd<Matrix<T>>, side: usize, row: &[T]) {
    let matrix = match side {
        0 => Some(&mut of.qap),
        1 => Some(&mut of.user),
        _ => of.eve.as_mut(),
    };
    if let Some(matrix) = matrix {
        matrix.push_row(row);
    }
}
