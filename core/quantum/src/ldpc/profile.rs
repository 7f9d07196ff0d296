//! [`Profile`]: how many checks the bits of a code take part in.

/// Shares of columns by degree; the columns of degree 2 form a staircase.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Share of all columns that have degree 2, less than there are rows.
    pub twos: f64,
    /// (degree, share of all columns), ascending; the rest has degree 3.
    pub others: [(usize, f64); 2],
}

/// The error rate up to which a profile is used, and the profile.
///
/// They were found by a search with quantised density evolution (messages in eighths, infinite length, 400 iterations)
/// for 1, 2 and 5 %, where their thresholds lie at 1.060, 1.065 and 1.063 times the Shannon limit. The borders are by
/// trial: a profile serves rates below its own better than rates above.
const DESIGNS: [(f64, Profile); 3] = [
    (0.013, Profile { twos: 0.0385, others: [(9, 0.2746), (32, 0.0922)] }),
    (0.0275, Profile { twos: 0.0793, others: [(8, 0.2102), (26, 0.1106)] }),
    (1.0, Profile { twos: 0.1270, others: [(9, 0.1024), (19, 0.1073)] }),
];

impl Profile {
    /// The profile for an error rate.
    pub fn for_rate(rate: f64) -> Self {
        let index = DESIGNS.iter().take_while(|(most, _)| rate > *most).count();
        DESIGNS[index.min(DESIGNS.len() - 1)].1.clone()
    }

    /// The degree of every column, ascending.
    pub(super) fn degrees(&self, columns: usize, rows: usize) -> Vec<usize> {
        let share = |share: f64| (share * columns as f64).round() as usize;
        let mut degrees = vec![2; share(self.twos).min(rows - 1).min(columns)];
        let mut tail = Vec::new();
        for (degree, part) in self.others {
            tail.extend(std::iter::repeat_n(degree, share(part)));
        }
        tail.truncate(columns - degrees.len());
        degrees.resize(columns - tail.len(), 3);
        degrees.extend(tail);
        degrees
    }
}
