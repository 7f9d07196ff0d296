//! Measurements as tables: CSI and paired features, one row a probe.

mod csv;
mod npy;

use std::path::Path;

use num_complex::Complex32;

use crate::error::{ErrorKind, RecordingError};
use crate::samples::open_iq;

/// Most values a matrix may have: 2³⁰, 8 GiB of complex numbers.
const MAX_VALUES: u64 = 1 << 30;

/// A matrix of measurements, one row a probe, at least one value. A value that is missing is not a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    probes: usize,
    features: usize,
    values: Values,
    names: Option<Vec<String>>,
}

/// The values of a [`Matrix`], row by row.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Real features: amplitudes, received signal strength.
    Real(Vec<f64>),
    /// Complex ones: channel coefficients.
    Complex(Vec<Complex32>),
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

    /// Writes a `.npy` file, f32 where that loses nothing, else f64, or complex64, shape `[probes, features]`.
    pub fn write_npy(&self, path: &Path) -> Result<(), RecordingError> {
        npy::write(self, path)
    }

    /// Writes a `.csv` file, one line a probe, with a line of names first where there are names.
    pub fn write_csv(&self, path: &Path) -> Result<(), RecordingError> {
        csv::write(self, path)
    }
}

/// Reads a matrix by the name of the file: `.npy`, `.csv`, or SigMF and raw IQ as one complex value a probe.
pub fn read_matrix(path: &Path) -> Result<Matrix, RecordingError> {
    let extension =
        path.extension().map(|x| x.to_string_lossy().to_lowercase()).unwrap_or_default();
    match extension.as_str() {
        "npy" => npy::read(path),
        "csv" => csv::read(path),
        "sigmf-meta" | "sigmf-data" | "cf32" => {
            let mut reader = open_iq(path)?;
            let (mut values, mut chunk) = (Vec::new(), Vec::new());
            if reader.total() > MAX_VALUES {
                return Err(RecordingError::new(path, too_many(reader.total())));
            }
            while reader.read(&mut chunk, 1 << 16)?.is_some() {
                values.extend_from_slice(&chunk);
            }
            Matrix::new(values.len(), 1, Values::Complex(values))
                .map_err(|kind| RecordingError::new(path, kind))
        }
        _ => Err(RecordingError::new(
            path,
            ErrorKind::Extension {
                found: extension,
                expected: ".npy, .csv, .sigmf-meta, .sigmf-data or .cf32",
            },
        )),
    }
}

/// Reads matrices that belong together: all must have the shape and the kind of the first.
pub fn read_paired(paths: &[&Path]) -> Result<Vec<Matrix>, RecordingError> {
    let mut matrices: Vec<Matrix> = Vec::with_capacity(paths.len());
    for &path in paths {
        let matrix = read_matrix(path)?;
        if let Some(first) = matrices.first() {
            let describe = |matrix: &Matrix| {
                let [probes, features] = matrix.shape();
                format!("{probes} probes × {features} features of {}", matrix.values.kind())
            };
            if describe(&matrix) != describe(first) {
                return Err(RecordingError::new(
                    path,
                    ErrorKind::NotPaired {
                        found: describe(&matrix),
                        expected: describe(first),
                        other: paths[0].to_path_buf(),
                    },
                ));
            }
        }
        matrices.push(matrix);
    }
    Ok(matrices)
}

fn too_many(values: u64) -> ErrorKind {
    ErrorKind::Npy {
        part: "shape",
        found: format!("{values} values"),
        expected: format!("at most {MAX_VALUES}"),
    }
}
