//! One matrix or list to one `.npy` file and back.

use crate::ReportError;
use crate::matrix::Matrix;
use crqkd_recording::AtomicFile;
use npyz::WriterBuilder;
use std::io::Write;
use std::path::Path;

/// An element type that a run keeps.
pub(crate) trait Element: npyz::AutoSerialize + npyz::Deserialize + Copy {
    /// numpy's name, for errors.
    const NAME: &'static str;
    /// Number of bytes that one element takes in a file.
    const BYTES: u64;
}

impl Element for u8 {
    const NAME: &'static str = "uint8";
    const BYTES: u64 = 1;
}

impl Element for f64 {
    const NAME: &'static str = "float64";
    const BYTES: u64 = 8;
}

impl Element for num_complex::Complex32 {
    const NAME: &'static str = "complex64";
    const BYTES: u64 = 8;
}

/// Longest header accepted in front of the data. The format allows 4 GiB; numpy writes 128 bytes.
const MAX_HEADER_BYTES: u64 = 64 * 1024;

pub(crate) fn write_matrix<T: Element>(path: &Path, matrix: &Matrix<T>) -> Result<(), ReportError> {
    write(path, &[matrix.rows() as u64, matrix.cols() as u64], matrix.data())
}

pub(crate) fn write_list<T: Element>(path: &Path, list: &[T]) -> Result<(), ReportError> {
    write(path, &[list.len() as u64], list)
}

pub(crate) fn read_matrix<T: Element>(
    path: &Path,
    [rows, cols]: [usize; 2],
) -> Result<Matrix<T>, ReportError> {
    let data = read(path, &[rows as u64, cols as u64])?;
    Ok(Matrix::new(rows, cols, data).expect("read() gives as many values as the shape has"))
}

pub(crate) fn read_list<T: Element>(path: &Path, len: usize) -> Result<Vec<T>, ReportError> {
    read(path, &[len as u64])
}

/// Writes a file: complete or not at all.
pub(crate) fn write_atomic(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), ReportError> {
    let mut file = AtomicFile::create(path)?;
    fill(&mut file).map_err(|source| ReportError::Io {
        path: path.into(),
        action: "write",
        source,
    })?;
    file.finish()?;
    Ok(())
}

fn write<T: Element>(path: &Path, shape: &[u64], data: &[T]) -> Result<(), ReportError> {
    write_atomic(path, |out| {
        let mut npy =
            npyz::WriteOptions::new().default_dtype().shape(shape).writer(out).begin_nd()?;
        npy.extend(data.iter().copied())?;
        npy.finish()
    })
}

fn read<T: Element>(path: &Path, shape: &[u64]) -> Result<Vec<T>, ReportError> {
    let expected = shape.iter().try_fold(T::BYTES, |n, &m| n.checked_mul(m)).unwrap_or(u64::MAX);
    let bytes = match read_at_most(path, expected.saturating_add(MAX_HEADER_BYTES)) {
        Err(ReportError::Missing { path, .. }) => {
            let expected = format!("an array of {} with shape {shape:?}", T::NAME);
            return Err(ReportError::Missing { path, expected });
        }
        other => other?,
    };

    let mut rest = &bytes[..];
    let header = npyz::NpyHeader::from_reader(&mut rest)
        .map_err(|e| ReportError::NotNpy { path: path.into(), reason: e.to_string() })?;
    let is_c = header.order() == npyz::Order::C || shape.len() < 2;
    if header.shape() != shape || !is_c {
        return Err(ReportError::WrongShape {
            path: path.into(),
            expected: shape.to_vec(),
            found: header.shape().to_vec(),
            order: if is_c { "C" } else { "Fortran" },
        });
    }
    let found = header.dtype().descr();
    let wrong_type = || ReportError::WrongType { path: path.into(), expected: T::NAME, found };
    let available = rest.len() as u64;
    let values = npyz::NpyFile::with_header(header, rest).data::<T>().map_err(|_| wrong_type())?;
    if available != expected {
        return Err(ReportError::WrongLength { path: path.into(), expected, found: available });
    }
    values
        .collect::<Result<_, _>>()
        .map_err(|e| ReportError::NotNpy { path: path.into(), reason: e.to_string() })
}

/// The content of a file, refused before it is read if it is longer than `limit`.
pub(crate) fn read_at_most(path: &Path, limit: u64) -> Result<Vec<u8>, ReportError> {
    let io = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => {
            ReportError::Missing { path: path.into(), expected: String::from("a file") }
        }
        _ => ReportError::Io { path: path.into(), action: "read", source },
    };
    let found = std::fs::metadata(path).map_err(io)?;
    if !found.is_file() {
        return Err(io(std::io::Error::other("is no regular file")));
    }
    if found.len() > limit {
        let found = found.len();
        return Err(ReportError::WrongLength { path: path.into(), expected: limit, found });
    }
    std::fs::read(path).map_err(io)
}
