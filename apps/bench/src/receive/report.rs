//! The report as tables, and its limits.

use std::fmt;

use crqkd_sounding::{FrameLayout, SearchMode};

use super::reach::every_frame_hz;
use super::{KernelRow, Limit, ReceiveReport};

/// NMSE of MMSE at 0 and 10 dB, at most, dB.
const MMSE_DB: [(f64, f64); 2] = [(0.0, -18.7), (10.0, -27.9)];

fn layout(layout: FrameLayout) -> &'static str {
    match layout {
        FrameLayout::Single => "1023",
        FrameLayout::Double => "2x511",
    }
}

fn search(search: SearchMode) -> &'static str {
    match search {
        SearchMode::Gated => "gated",
        SearchMode::AlwaysCorrelate => "always",
    }
}

/// The limits of the receiver, of what was measured.
pub(super) fn limits(report: &ReceiveReport) -> Vec<Limit> {
    let mut limits = Vec::new();
    let limit = |limits: &mut Vec<Limit>, what: String, at_least: bool, limit: f64, seen: f64| {
        let met = if at_least { seen >= limit } else { seen <= limit };
        limits.push(Limit { what, at_least, limit, seen, met });
    };
    for row in &report.accuracy {
        let name = |what: &str| format!("{what}, {}, {} dB", layout(row.layout), row.snr_db);
        let detected = if row.snr_db < 0.0 { 0.999 } else { 1.0 };
        limit(&mut limits, name("detected"), true, detected, row.detected);
        limit(&mut limits, name("false frames"), false, 0.0, row.false_frames as f64);
        match row.snr_db {
            0.0 => {
                limit(&mut limits, name("start on the strongest path"), true, 0.96, row.start_exact)
            }
            20.0 => {
                limit(&mut limits, name("start on the strongest path"), true, 0.99, row.start_exact)
            }
            _ => {}
        }
        limit(
            &mut limits,
            name("CFO RMS over its bound"),
            false,
            1.15,
            row.cfo_rms_hz / row.cfo_bound_hz,
        );
        let least_squares = -15.0 - row.snr_db;
        let off = (row.nmse_ls_db - least_squares).abs();
        limit(&mut limits, name("NMSE of least squares, dB off"), false, 0.3, off);
        for (_, most) in MMSE_DB.iter().filter(|(snr_db, _)| *snr_db == row.snr_db) {
            // Missed when its whole interval is.
            let (seen, low) = (row.nmse_mmse_db, row.nmse_mmse_low_db);
            let met = seen <= *most || low <= *most;
            let what = name("NMSE of MMSE, dB");
            limits.push(Limit { what, at_least: false, limit: *most, seen, met });
        }
    }
    for row in &report.reach {
        let name = |what: &str| {
            let khz = row.offset_hz / 1e3;
            format!("{what}, {}, {} dB, +-{khz} kHz", layout(row.layout), row.snr_db)
        };
        if row.offset_hz <= every_frame_hz(row.layout, row.snr_db) {
            limit(&mut limits, name("detected"), true, 1.0, row.detected);
            limit(&mut limits, name("false frames"), false, 0.0, row.false_frames as f64);
            limit(&mut limits, name("wrong offset"), false, 0.0, row.wrong_offset);
        }
    }
    for row in &report.disturbances {
        let name = |what: &str| {
            format!("{what}, {}, {}, {}", row.what, layout(row.layout), search(row.search))
        };
        limit(&mut limits, name("false frames"), false, 0.0, row.false_frames as f64);
        if row.sent > 0 {
            limit(&mut limits, name("frames found"), true, row.sent as f64, row.found as f64);
        }
    }
    for row in &report.speed {
        let least = match (row.source.starts_with("file"), row.search) {
            (true, _) => 300.0,
            (false, SearchMode::Gated) => 400.0,
            (false, SearchMode::AlwaysCorrelate) => 250.0,
        };
        let name = |what: &str| format!("{what}, {}, {}", row.source, search(row.search));
        limit(&mut limits, name("Msample per CPU second"), true, least, row.msample_per_cpu_second);
        limit(&mut limits, name("frames found"), true, row.sent as f64, row.frames as f64);
    }
    for row in &report.frames {
        limit(&mut limits, format!("µs a frame, {}", row.what), false, 25.0, row.us);
    }
    limits
}

impl fmt::Display for ReceiveReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_accuracy(f)?;
        self.fmt_speed(f)?;
        let missed: Vec<&Limit> = self.limits.iter().filter(|limit| !limit.met).collect();
        writeln!(f, "{} limits, {} missed", self.limits.len(), missed.len())?;
        for limit in missed {
            let sign = if limit.at_least { ">=" } else { "<=" };
            writeln!(f, "  {}: {:.4}, limit {sign} {}", limit.what, limit.seen, limit.limit)?;
        }
        Ok(())
    }
}

impl ReceiveReport {
    fn fmt_accuracy(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.accuracy.is_empty() {
            writeln!(
                f,
                "layout  SNR dB  frames  found %  false  start %  (+-1)  CFO rms Hz  bound  ratio  \
                 NMSE dB: LS    MMSE"
            )?;
        }
        for row in &self.accuracy {
            writeln!(
                f,
                "{:>6} {:7.0} {:7} {:8.2} {:6} {:8.1} {:6.1} {:11.1} {:6.1} {:6.3} {:11.2} {:7.2}",
                layout(row.layout),
                row.snr_db,
                row.frames,
                100.0 * row.detected,
                row.false_frames,
                100.0 * row.start_exact,
                100.0 * row.start_near,
                row.cfo_rms_hz,
                row.cfo_bound_hz,
                row.cfo_rms_hz / row.cfo_bound_hz,
                row.nmse_ls_db,
                row.nmse_mmse_db,
            )?;
        }
        if !self.reach.is_empty() {
            writeln!(f, "\nlayout  SNR dB  offset kHz  frames  found %  false  wrong offset %")?;
        }
        for row in &self.reach {
            writeln!(
                f,
                "{:>6} {:7.0} {:>11} {:7} {:8.2} {:6} {:15.2}",
                layout(row.layout),
                row.snr_db,
                format!("+-{}", row.offset_hz / 1e3),
                row.frames,
                100.0 * row.detected,
                row.false_frames,
                100.0 * row.wrong_offset,
            )?;
        }
        if !self.disturbances.is_empty() {
            writeln!(f, "\nlayout  search  seconds   sent  found  false  on the air")?;
        }
        for row in &self.disturbances {
            writeln!(
                f,
                "{:>6} {:>7} {:8.2} {:6} {:6} {:6}  {}",
                layout(row.layout),
                search(row.search),
                row.seconds,
                row.sent,
                row.found,
                row.false_frames,
                row.what,
            )?;
        }
        Ok(())
    }

    fn fmt_speed(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.speed.is_empty() {
            writeln!(f, "\nflowgraph, one worker    search  Msample/CPU s  frames found of")?;
        }
        for row in &self.speed {
            writeln!(
                f,
                "{:<24} {:>6} {:14.0} {:13} {}",
                row.source,
                search(row.search),
                row.msample_per_cpu_second,
                row.frames,
                row.sent,
            )?;
        }
        for row in &self.frames {
            writeln!(f, "a frame, {:<36} {:7.2} us", row.what, row.us)?;
        }
        for row in &self.kernels {
            let KernelRow { name, us, msample_per_second } = row;
            writeln!(f, "{name:<54} {us:7.2} us {msample_per_second:9.0} Msample/s")?;
        }
        writeln!(f)
    }
}
