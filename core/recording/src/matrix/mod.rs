//! Measurements as tables: CSI and paired features, one row a probe.

mod csv;
mod npy;

use std::path::Path;

use num_complex::Complex64;

use crate::error::{ErrorKind, RecordingError};

/// Most values a matrix may have: 2²⁹, 8 GiB of complex numbers.
const MAX_VALUES: u64 = 1 << 29;

/// A matrix of measurements, one row a probe, at least one value. A value that is not finite stands for a measurement
/// that is missing.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    probes: usize,
    features: usize,
    values: Values,
    names: Option<Vec<String>>,
}

/// The values of a [`Matrix`], row by row, with the precision of the file.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Real features: amplitudes, received signal strength.
    Real(Vec<f64>),
    /// Complex features: channel coefficients.
    Complex(Vec<Complex64>),
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Self::Real(values) => values.len(),
            Self::Complex(values) => values.len(),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Real(_) => "real values",
            Self::Complex(_) => "complex values",
        }
    }
}

impl Matrix {
    /// Makes a matrix of `probes` rows of `features` values.
    pub fn new(probes: usize, features: usize, values: Values) -> Result<Self, ErrorKind> {
        if probes == 0 || features == 0 || probes.checked_mul(features) != Some(values.len()) {
            return Err(ErrorKind::Npy {
                part: "shape",
                found: format!("{} values", values.len()),
                expected: format!("{probes} × {features}, at least one"),
            });
        }
        Ok(Self { probes, features, values, names: None })
    }

    /// Names the columns; ignored unless there is one name for each.
    pub fn with_names(mut self, names: Vec<String>) -> Self {
        self.names = Some(names).filter(|names| names.len() == self.features);
        self
    }

    /// Number of rows and of columns.
    pub fn shape(&self) -> [usize; 2] {
        [self.probes, self.features]
    }

    /// The values, row by row.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// Names of the columns, where the file has them.
    pub fn names(&self) -> Option<&[String]> {
        self.names.as_deref()
    }

    /// Says which probes are missing, for people; empty when none is.
    fn missing(&self) -> String {
        let known: Vec<bool> = match &self.values {
            Values::Real(values) => values.iter().map(|x| x.is_finite()).collect(),
            Values::Complex(values) => values.iter().map(|x| x.is_finite()).collect(),
        };
        let rows = known.chunks_exact(self.features).enumerate();
        let missing: Vec<usize> =
            rows.filter(|(_, row)| row.contains(&false)).map(|(row, _)| row).collect();
        match missing.first() {
            None => String::new(),
            Some(first) => format!(" ({} missing, the first is probe {first})", missing.len()),
        }
    }

    /// Writes a `.npy` file, shape `[probes, features]`: f32 or complex64 when every value is one exactly, else f64 or
    /// complex128.
    pub fn write_npy(&self, path: &Path) -> Result<(), RecordingError> {
        npy::write(self, path)
    }

    /// Writes a `.csv` file, one line a probe, with a line of names first where there are names.
    pub fn write_csv(&self, path: &Path) -> Result<(), RecordingError> {
        csv::write(self, path)
    }
}

/// Reads a matrix by the name of the file: `.npy` or `.csv`.
pub fn read_matrix(path: &Path) -> Result<Matrix, RecordingError> {
    let extension =
        path.extension().map(|x| x.to_string_lossy().to_lowercase()).unwrap_or_default();
    match extension.as_str() {
        "npy" => npy::read(path),
        "csv" | "tsv" | "txt" => csv::read(path),
        _ => Err(RecordingError::new(
            path,
            ErrorKind::Extension { found: extension, expected: ".npy, .csv, .tsv or .txt" },
        )),
    }
}

/// Reads matrices that belong together: all must have the shape, the kind and the column names of the first. A table
/// without names beside one with names is refused too: which of the two first lines is a probe would be a guess, and
/// a wrong one pairs every probe with its neighbour.
pub fn read_paired(paths: &[&Path]) -> Result<Vec<Matrix>, RecordingError> {
    let mut matrices: Vec<Matrix> = Vec::with_capacity(paths.len());
    for &path in paths {
        let matrix = read_matrix(path)?;
        if let Some(first) = matrices.first() {
            let refuse = |found: String, expected: String| {
                let other = paths[0].to_path_buf();
                RecordingError::new(path, ErrorKind::NotPaired { found, expected, other })
            };
            // A difference of the names explains one of the shapes, not the other way round.
            let (found, expected) = (named(&matrix, path), named(first, paths[0]));
            if found.is_some() && expected.is_some() && found != expected {
                return Err(refuse(found.unwrap_or_default(), expected.unwrap_or_default()));
            }
            let shape = |matrix: &Matrix| {
                let [probes, features] = matrix.shape();
                format!("{probes} probes × {features} features of {}", matrix.values.kind())
            };
            if shape(&matrix) != shape(first) {
                let with = |matrix: &Matrix| shape(matrix) + &matrix.missing();
                return Err(refuse(with(&matrix), with(first)));
            }
        }
        matrices.push(matrix);
    }
    Ok(matrices)
}

/// What the first line of a table is; nothing of an array, which never has names.
fn named(matrix: &Matrix, path: &Path) -> Option<String> {
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npy")) {
        return None;
    }
    Some(match matrix.names() {
        None => "a first line of numbers".to_owned(),
        Some(names) => {
            let shown: String = names.join(", ").chars().take(80).collect();
            format!("a first line of names ({shown})")
        }
    })
}

fn too_many(values: u64) -> ErrorKind {
    ErrorKind::Npy {
        part: "shape",
        found: format!("{values} values"),
        expected: format!("at most {MAX_VALUES}"),
    }
}
