//! What is wrong with a file: which one, where in it, and what was expected there.

use std::path::{Path, PathBuf};

/// An error of one file.
#[derive(Debug, thiserror::Error)]
#[error("{}: {kind}", path.display())]
pub struct RecordingError {
    /// The file or directory that the error is about.
    pub path: PathBuf,
    /// Where in it, what was found and what was expected.
    #[source]
    pub kind: ErrorKind,
}

impl RecordingError {
    pub(crate) fn new(path: &Path, kind: ErrorKind) -> Self {
        Self { path: path.to_path_buf(), kind }
    }
}

/// For `map_err`: an I/O error while doing `action` to `path`.
pub(crate) fn io(
    path: &Path,
    action: &'static str,
) -> impl FnOnce(std::io::Error) -> RecordingError {
    let path = path.to_path_buf();
    move |source| {
        let kind = if source.kind() == std::io::ErrorKind::NotFound {
            ErrorKind::Missing
        } else {
            ErrorKind::Io { action, source }
        };
        RecordingError { path, kind }
    }
}

/// What was wrong with a file; the kinds of [`RecordingError`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system refused an operation on the file.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was being done with the file.
        action: &'static str,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// There is no such file.
    #[error("no such file")]
    Missing,
    /// The file is there already and is not overwritten.
    #[error("is there already, expected a new or empty directory")]
    Exists,
    /// A file of this name is there already and is kept.
    #[error("the file exists already")]
    FileExists,
    /// The folder that the file is to be written to is not there.
    #[error("the folder {} does not exist", .folder.display())]
    NoFolder {
        /// The folder that does not exist.
        folder: PathBuf,
    },
    /// There is a folder where a file is to be written.
    #[error("is a folder, expected a file")]
    IsFolder,
    /// A folder, a pipe or a device where a file is to be read or written.
    #[error("is no regular file")]
    NotRegular,
    /// The file has no content.
    #[error("the file is empty, expected {expected}")]
    Empty {
        /// What the file should hold.
        expected: String,
    },
    /// The name does not tell a format that is read here.
    #[error("extension {found:?}, expected {expected}")]
    Extension {
        /// The extension that the name has.
        found: String,
        /// The extensions that are read.
        expected: &'static str,
    },
    /// The data ends inside a sample.
    #[error("byte {byte}: {left} bytes left over, expected whole samples of {sample_bytes} bytes")]
    PartialSample {
        /// Where the incomplete sample begins.
        byte: u64,
        /// Bytes that are there of it.
        left: u64,
        /// Number of bytes that one sample takes.
        sample_bytes: u64,
    },
    /// The data ends before something that the description places in it.
    #[error("sample {samples}: the data ends, expected at least {expected} samples ({field})")]
    Truncated {
        /// Number of samples in the file.
        samples: u64,
        /// Number of samples that there should be at least.
        expected: u64,
        /// Which part of the description says so.
        field: String,
    },
    /// NaN or infinity among the samples.
    #[error("sample {sample} (byte {byte}): {found}, expected finite numbers")]
    NotFinite {
        /// Index of the sample, from 0.
        sample: u64,
        /// Position of the sample's first byte.
        byte: u64,
        /// The value of the sample, as text.
        found: String,
    },
    /// The description is not JSON of the right form.
    #[error("line {line}, column {column}: {message}")]
    Json {
        /// Line of the fault, counted from 1.
        line: usize,
        /// Column of the fault, counted from 1.
        column: usize,
        /// What the parser expected.
        message: String,
    },
    /// A field of the description does not have a value that is accepted.
    #[error("{field} is {found}, expected {expected}")]
    Field {
        /// Path of the field, like `global.core:datatype`.
        field: String,
        /// The value that the field has.
        found: String,
        /// Which values are accepted, in words.
        expected: String,
    },
    /// A file is not the one that was described.
    #[error("SHA-512 is {found}, expected {expected} ({field})")]
    Checksum {
        /// Hash of the file, in hexadecimal, shortened.
        found: String,
        /// Hash that was promised, in hexadecimal, shortened.
        expected: String,
        /// Where the hash was promised: a field of a description.
        field: String,
    },
    /// A recording that a collection lists is not there.
    #[error("{field} names {name:?}, expected a file {}", .file.display())]
    MissingMember {
        /// Path of the field, like `collection.core:streams[1]`.
        field: String,
        /// Name of the member that is missing.
        name: String,
        /// The file that is missing.
        file: PathBuf,
    },
    /// The collection has no such member.
    #[error("no member {name:?}, expected one of {members:?}")]
    NoSuchMember {
        /// Name of the member that was asked for.
        name: String,
        /// Names of the members that there are.
        members: Vec<String>,
    },
    /// A table cell that is not a number.
    #[error("line {line}, column {column}: {found:?}, expected {expected}")]
    Cell {
        /// Line of the cell, counted from 1.
        line: u64,
        /// Column of the cell, counted from 1.
        column: usize,
        /// The text of the cell.
        found: String,
        /// Which texts are accepted, in words.
        expected: &'static str,
    },
    /// A table row of another length than the first.
    #[error("line {line}: {found} cells, expected {expected}")]
    Ragged {
        /// Line of the row, counted from 1.
        line: u64,
        /// Number of cells in the row.
        found: usize,
        /// Cells of the first row.
        expected: usize,
    },
    /// An empty line between the probes of a table.
    #[error("line {line} is empty, expected a probe; a missing one is written as n/a")]
    EmptyLine {
        /// Number of the line, counted from 1.
        line: u64,
    },
    /// An array file of the wrong form.
    #[error("{part}: {found}, expected {expected}")]
    Npy {
        /// Which part: header, dtype, shape, data.
        part: &'static str,
        /// What the file has there, in words.
        found: String,
        /// What is accepted there, in words.
        expected: String,
    },
    /// Two matrices that should belong together do not.
    #[error("{found}, expected {expected} as in {}", .other.display())]
    NotPaired {
        /// Shape or kind of this file's matrix.
        found: String,
        /// Shape or kind of the other's.
        expected: String,
        /// The file whose matrix it was compared with.
        other: PathBuf,
    },
    /// Samples were written that lie before the end of those written so far.
    #[error("samples of air time {time} to write, expected {expected} or later")]
    TimeBackwards {
        /// Air time of the samples.
        time: u64,
        /// End of what is written.
        expected: u64,
    },
}
