//! What can be wrong with a run and its files.

use std::path::PathBuf;

/// A run that cannot be saved or loaded: which file, what was expected and what was found.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The file system refused an operation.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file or folder that the operation was for.
        path: PathBuf,
        /// What was being done with the file.
        action: &'static str,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A file of the run cannot be written.
    #[error(transparent)]
    Write(#[from] crqkd_recording::RecordingError),
    /// A file of the run is not there.
    #[error("{}: missing; expected {expected}", path.display())]
    Missing {
        /// The file that is missing.
        path: PathBuf,
        /// What the file should hold, in words.
        expected: String,
    },
    /// `run.json` is not the JSON of a run.
    #[error("{}:{line}:{column}: {reason}", path.display())]
    Json {
        /// Path of the file, `run.json`.
        path: PathBuf,
        /// Line of the fault, counted from 1.
        line: usize,
        /// Column of the fault, counted from 1.
        column: usize,
        /// What the JSON parser says about that place.
        reason: String,
    },
    /// `run.json` was written by another version.
    #[error("{}: expected run format {expected}, found {found}", path.display())]
    Version {
        /// Path of the file, `run.json`.
        path: PathBuf,
        /// The version this crate reads.
        expected: u32,
        /// The version in the file.
        found: u32,
    },
    /// An array file does not start with a readable `.npy` header.
    #[error("{}: expected a .npy array: {reason}", path.display())]
    NotNpy {
        /// Path of the array file.
        path: PathBuf,
        /// What the reader of the header says.
        reason: String,
    },
    /// An array has another element type.
    #[error("{}: expected elements of type {expected}, found {found}", path.display())]
    WrongType {
        /// Path of the array file.
        path: PathBuf,
        /// numpy's name of the expected type.
        expected: &'static str,
        /// The type in the header, as numpy writes it.
        found: String,
    },
    /// An array has another shape or is stored column by column.
    #[error("{}: expected shape {expected:?} in C order, found {found:?} in {order} order", path.display())]
    WrongShape {
        /// Path of the array file.
        path: PathBuf,
        /// The shape that `run.json` gives.
        expected: Vec<u64>,
        /// The shape in the header.
        found: Vec<u64>,
        /// Order in which the file stores the elements: `C` (by rows) or `Fortran` (by columns).
        order: &'static str,
    },
    /// An array file is cut short or has something behind its end.
    #[error("{}: expected {expected} bytes of data, found {found}", path.display())]
    WrongLength {
        /// Path of the array file.
        path: PathBuf,
        /// Bytes that the shape needs.
        expected: u64,
        /// Number of bytes behind the header.
        found: u64,
    },
    /// The parts of the run do not fit together.
    #[error("{place}: expected {expected}, found {found}")]
    Inconsistent {
        /// Where the parts do not fit: the link and the field.
        place: String,
        /// What was expected there, in words.
        expected: String,
        /// What was found there, in words.
        found: String,
    },
    /// As [`ReportError::Inconsistent`], of a run in a file.
    #[error("{}: {inner}", path.display())]
    InFile {
        /// The file that the run was read from.
        path: PathBuf,
        /// The inconsistency that was found in it.
        inner: Box<ReportError>,
    },
}
