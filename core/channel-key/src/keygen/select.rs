//! What of the measurements is used: columns that measure the channel, probes that every end has.

use serde::Serialize;

use super::measurements::Measurements;

/// Probes from which on a column that only grows, or only falls, is taken for a counter or a clock. Independent
/// samples do so twice in 16! ≈ 2·10¹³ records.
const MONOTONE_PROBES: usize = 16;
/// Share of equal steps from which on a column counts, wrapping around now and then.
const COUNTING_SHARE: f64 = 0.9;
/// Probes from which on equality to the last digit, of all probes or of two ends, is no chance.
const EQUAL_PROBES: usize = 8;

/// A column that is left out at all ends: it measures no channel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColumnLeftOut {
    /// Number of the column, from 0.
    pub column: usize,
    /// Its name, where there is one.
    pub name: Option<String>,
    /// The end at which this was seen first.
    pub end: &'static str,
    /// What is wrong with it.
    pub reason: ColumnFault,
}

/// Why a column is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColumnFault {
    /// No probe has a value.
    Missing,
    /// All values that are present are equal, and there are at least 8 of them.
    Constant,
    /// It grows or falls from probe to probe: a counter or a clock, which everybody can guess.
    Counts,
    /// QAP and user have the same values to the last digit, which no two receivers measure.
    EqualAtBothEnds,
}

impl ColumnFault {
    /// The fault as the predicate of a sentence whose subject is the column.
    pub fn text(self) -> &'static str {
        match self {
            Self::Missing => "is missing in every probe",
            Self::Constant => "never changes",
            Self::Counts => "counts like a clock or a row number",
            Self::EqualAtBothEnds => "is the same at both ends to the last digit",
        }
    }
}

/// What is wrong with the columns, over all ends. The first end that shows a fault is named.
pub(super) fn columns_left_out(ends: &[(&'static str, &Measurements)]) -> Vec<ColumnLeftOut> {
    let Some((_, first)) = ends.first() else { return Vec::new() };
    let [_, count] = first.shape();
    let mut left_out = Vec::new();
    for column in 0..count {
        let name = first.names().map(|names| names[column].clone());
        let found = ends.iter().find_map(|&(end, m)| Some((end, fault(m.column(column))?)));
        if let Some((end, reason)) = found {
            left_out.push(ColumnLeftOut { column, name, end, reason });
        }
    }
    // Where nothing else is left, the same file was given twice: a test of the program, not of a channel.
    if let [(_, qap), (end, user), ..] = ends {
        let equal = |column: usize| equal(qap.column(column), user.column(column));
        let good = |column: &usize| left_out.iter().all(|other| other.column != *column);
        let same: Vec<usize> = (0..count).filter(good).filter(|&column| equal(column)).collect();
        if left_out.len() + same.len() < count {
            left_out.extend(same.into_iter().map(|column| ColumnLeftOut {
                column,
                name: first.names().map(|names| names[column].clone()),
                end,
                reason: ColumnFault::EqualAtBothEnds,
            }));
            left_out.sort_by_key(|left_out| left_out.column);
        }
    }
    left_out
}

fn fault(column: impl Iterator<Item = f64>) -> Option<ColumnFault> {
    let values: Vec<f64> = column.filter(|x| x.is_finite()).collect();
    let Some(first) = values.first() else { return Some(ColumnFault::Missing) };
    if values.len() >= EQUAL_PROBES && values.iter().all(|x| x == first) {
        return Some(ColumnFault::Constant);
    }
    let steps: Vec<f64> = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let monotone = steps.iter().all(|&step| step > 0.0) || steps.iter().all(|&step| step < 0.0);
    let mut sorted = steps.clone();
    sorted.sort_by(f64::total_cmp);
    let usual = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
    // Rounding of the values shows in their differences.
    let most = values.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    let slack = 1e-6 * usual.abs() + 4.0 * f64::EPSILON * most;
    let equal = steps.iter().filter(|&&step| (step - usual).abs() <= slack).count();
    let share = equal as f64 / steps.len().max(1) as f64;
    let counts = usual.abs() > slack
        && (share >= 1.0 && steps.len() >= 3 || share >= COUNTING_SHARE && steps.len() >= 16);
    (counts || monotone && values.len() >= MONOTONE_PROBES).then_some(ColumnFault::Counts)
}

fn equal(a: impl Iterator<Item = f64>, b: impl Iterator<Item = f64>) -> bool {
    let mut compared = 0;
    for (a, b) in a.zip(b).filter(|(a, b)| a.is_finite() && b.is_finite()) {
        if a != b {
            return false;
        }
        compared += 1;
    }
    compared >= EQUAL_PROBES
}

/// Probes at which an end lacks a value that is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProbesMissing {
    /// Number of probes in which the QAP lacks a value of a column that is used.
    pub qap: usize,
    /// Number of probes in which the user lacks a value of a column that is used.
    pub user: usize,
    /// Number of probes in which the eavesdropper lacks such a value; `None` without one.
    pub eve: Option<usize>,
    /// Number of probes in which at least one end lacks such a value; no end uses these probes.
    pub any: usize,
}

/// The probes that every end has in these columns, and how many are missing.
pub(super) fn whole_probes(
    ends: &[(&'static str, &Measurements)],
    columns: &[usize],
) -> (Vec<usize>, ProbesMissing) {
    let [probes, _] = ends.first().map_or([0; 2], |(_, first)| first.shape());
    let mut missing = [0; 3];
    let whole: Vec<usize> = (0..probes)
        .filter(|&probe| {
            let mut good = true;
            for ((_, end), missing) in ends.iter().zip(&mut missing) {
                let lacks = columns.iter().any(|&c| !end.value(probe, c).is_finite());
                *missing += usize::from(lacks);
                good &= !lacks;
            }
            good
        })
        .collect();
    let counted = ProbesMissing {
        qap: missing[0],
        user: missing[1],
        eve: (ends.len() > 2).then_some(missing[2]),
        any: probes - whole.len(),
    };
    (whole, counted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Option<ColumnFault> {
        fault(values.iter().copied())
    }

    #[test]
    fn counters_clocks_and_constants_are_told_from_measurements() {
        let rows = |step: fn(usize) -> f64| (0..40).map(step).collect::<Vec<f64>>();
        assert_eq!(of(&rows(|i| i as f64)), Some(ColumnFault::Counts));
        assert_eq!(of(&rows(|i| -0.1 * i as f64)), Some(ColumnFault::Counts), "falling, rounded");
        assert_eq!(of(&rows(|i| (i % 16) as f64)), Some(ColumnFault::Counts), "four bits");
        let clock = rows(|i| 1.7e9 + 0.01 * i as f64 + 0.0005 * ((i * 37 % 11) as f64));
        assert_eq!(of(&clock), Some(ColumnFault::Counts), "a clock that jitters");
        assert_eq!(of(&rows(|_| 4.5)), Some(ColumnFault::Constant));
        assert_eq!(of(&[f64::NAN; 9]), Some(ColumnFault::Missing));
        assert_eq!(of(&[3.0; 7]), None, "too short to tell");
        assert_eq!(of(&rows(|i| ((i * 29) % 17) as f64)), None);
        assert_eq!(of(&rows(|i| -70.0 + f64::from(u8::from(i % 3 == 0)))), None, "levels in dBm");
        assert_eq!(of(&[1.0, 2.0, 3.0]), None, "too short to tell");
        let mut lost = rows(|i| i as f64);
        lost[7] = f64::NAN;
        assert_eq!(of(&lost), Some(ColumnFault::Counts), "with a gap");
    }

    #[test]
    fn a_column_that_is_the_same_at_both_ends_is_left_out_unless_all_are() {
        let noise = |i: usize| ((i * 7919 + 13) % 101) as f64;
        let end = |salt: usize| -> Vec<f64> {
            (0..20).flat_map(|i| [noise(i), noise(i * i + salt)]).collect()
        };
        let [qap, user] = [1, 2].map(|salt| Measurements::real(20, 2, &end(salt)).unwrap());
        let found = columns_left_out(&[("qap", &qap), ("user", &user)]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].column, found[0].reason), (0, ColumnFault::EqualAtBothEnds));
        assert!(columns_left_out(&[("qap", &qap), ("user", &qap)]).is_empty());
    }
}
