//! Whether the parts of a run fit together.

use crate::ReportError;
use crate::matrix::Matrix;
use crate::quantum::QuantumData;
use crate::run::{Disturbances, LinkData, RunData, SimulatedBits};
use num_complex::Complex32;

impl RunData {
    /// Whether the parts fit together: equal shapes at both ends, windows that lie within the
    /// probes, finite numbers, rates within 0..=1.
    pub fn validate(&self) -> Result<(), ReportError> {
        for row in &self.table {
            let numbers = [row.value, row.paper].into_iter().flatten();
            let ends = row.interval.into_iter().flatten();
            for x in numbers.chain(ends) {
                expect(
                    x.is_finite(),
                    || format!("table row {:?}", row.label),
                    "finite numbers",
                    x,
                )?;
            }
        }
        if let Some(time) = self.air_time_s {
            let fits = time.is_finite() && time >= 0.0;
            expect(fits, || "air_time_s".into(), "a time of 0 s or more", time)?;
        }
        if let Some(Disturbances { share, mean_s, rise_db }) = self.disturbances {
            let place = || String::from("disturbances");
            expect((0.0..=1.0).contains(&share), place, "a share in 0..=1", share)?;
            let finite = mean_s.is_finite() && rise_db.is_finite();
            expect(finite, place, "finite numbers", format!("{mean_s} s, {rise_db} dB"))?;
        }
        self.quantum.as_ref().map_or(Ok(()), QuantumData::validate)?;
        self.links.iter().enumerate().try_for_each(|(i, link)| link.validate(i))
    }
}

impl LinkData {
    fn validate(&self, index: usize) -> Result<(), ReportError> {
        let place = |field: &str| format!("link {index} ({} and {}), {field}", self.qap, self.user);
        let probes = self.probes();
        ascending(&self.air_time_s, || place("air_time_s"))?;

        let shape = [probes, self.carriers.len()];
        for (end, csi) in self.csi.named() {
            let at = || place(&format!("csi of {end}"));
            has_shape(csi, shape, at)?;
            finite(csi, at)?;
        }

        let mut next = 0;
        for (w, window) in self.windows.iter().enumerate() {
            let at = || place(&format!("window {w}"));
            let end = window.first.saturating_add(window.probes);
            let range = format!("probes {}..{end}", window.first);
            expect(
                window.first >= next && end <= probes,
                at,
                &format!("a range within probes {next}..{probes}"),
                range,
            )?;
            next = end;
            let features = window.carriers.len();
            for (name, levels) in window.thresholds_db.named() {
                let what = format!("{features} thresholds of {name}, one a carrier");
                expect(levels.len() == features, at, &what, levels.len())?;
                for level in levels {
                    expect(level.is_finite(), at, "finite thresholds", level)?;
                }
            }
        }

        if let Some(SimulatedBits(bits)) = &self.simulated_bits {
            let shape = [probes, bits.qap.cols()];
            for (end, bits) in bits.named() {
                let at = || place(&format!("bits of {end}"));
                has_shape(bits, shape, at)?;
                if let Some(at_index) = bits.data().iter().position(|&bit| bit > 1) {
                    let found = format!("{} at index {at_index}", bits.data()[at_index]);
                    expect(false, at, "0 or 1", found)?;
                }
            }
        }

        let rates = self.groups.iter().flat_map(|g| [Some(g.kdr), g.eve_kdr]);
        for rate in rates.chain([self.tolerable_kdr]).flatten() {
            expect((0.0..=1.0).contains(&rate), || place("groups"), "a KDR in 0..=1", rate)?;
        }

        if let Some(impulse) = &self.impulse {
            let at = || place("impulse");
            ascending(&impulse.air_time_s, at)?;
            has_shape(&impulse.taps, [impulse.air_time_s.len(), impulse.taps.cols()], at)?;
            finite(&impulse.taps, at)?;
            let spacing = impulse.tap_spacing_s;
            expect(spacing.is_finite() && spacing > 0.0, at, "a tap spacing above 0 s", spacing)?;
        }
        Ok(())
    }
}

fn expect(
    holds: bool,
    place: impl Fn() -> String,
    expected: &str,
    found: impl ToString,
) -> Result<(), ReportError> {
    if holds {
        return Ok(());
    }
    Err(ReportError::Inconsistent {
        place: place(),
        expected: expected.into(),
        found: found.to_string(),
    })
}

fn has_shape<T: Copy>(
    matrix: &Matrix<T>,
    shape: [usize; 2],
    place: impl Fn() -> String,
) -> Result<(), ReportError> {
    let found = [matrix.rows(), matrix.cols()];
    expect(found == shape, place, &format!("shape {shape:?}"), format!("{found:?}"))
}

fn finite(matrix: &Matrix<Complex32>, place: impl Fn() -> String) -> Result<(), ReportError> {
    let cols = matrix.cols().max(1);
    match matrix.data().iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(i) => {
            let found = format!("{} at [{}, {}]", matrix.data()[i], i / cols, i % cols);
            expect(false, place, "finite values", found)
        }
    }
}

fn ascending(times: &[f64], place: impl Fn() -> String) -> Result<(), ReportError> {
    for (i, t) in times.iter().enumerate() {
        expect(t.is_finite(), &place, "finite air times", format!("{t} at index {i}"))?;
    }
    match times.windows(2).position(|pair| pair[1] < pair[0]) {
        None => Ok(()),
        Some(i) => {
            let found = format!("{} s after {} s at index {}", times[i + 1], times[i], i + 1);
            expect(false, place, "ascending air times", found)
        }
    }
}
