//! Tables as text: one line a probe, cells `1.5`, `-2e-3` or complex `re+imj`, an optional line of names first.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use num_complex::{Complex32, Complex64};

use crate::atomic::AtomicFile;
use crate::error::{ErrorKind, RecordingError, io};
use crate::matrix::{Matrix, Values};

/// Reads a table. Lines that begin with `#` are comments. The first line holds names when none of its cells is a number and
/// one of them begins with a letter and stands for no missing value. Cells are separated by commas, or by the semicolons or tabs of a first line without a comma.
pub(super) fn read(path: &Path) -> Result<Matrix, RecordingError> {
    let fail = |kind| RecordingError::new(path, kind);
    let file = BufReader::new(File::open(path).map_err(io(path, "open"))?);
    let (mut values, mut columns, mut names, mut complex) = (Vec::new(), 0, None, false);
    let mut delimiter = None;
    for (number, text) in file.split(b'\n').enumerate() {
        let line = number as u64 + 1;
        let text = text.map_err(io(path, "read"))?;
        if text.trim_ascii().is_empty() || text.starts_with(b"#") {
            continue;
        }
        let delimiter = *delimiter.get_or_insert_with(|| delimiter_of(&text));
        let Some(record) = record(&text, delimiter).map_err(|error| fail(from_csv(error, line)))?
        else {
            continue;
        };
        let cells: Vec<Option<Cell>> = record.iter().map(parse).collect();
        if columns == 0 {
            columns = record.len();
            let number = |(text, cell): (&str, &Option<Cell>)| cell.is_some() && !is_missing(text);
            if record.iter().any(is_name) && !record.iter().zip(&cells).any(number) {
                names = Some(record.iter().map(str::to_string).collect());
                continue;
            }
        }
        if record.len() != columns {
            return Err(fail(ErrorKind::Ragged { line, found: record.len(), expected: columns }));
        }
        for (column, cell) in cells.into_iter().enumerate() {
            let Some(cell) = cell else {
                return Err(fail(ErrorKind::Cell {
                    line,
                    column: column + 1,
                    found: record[column].chars().take(40).collect(),
                    expected: "a number like -1.5e3 or re+imj",
                }));
            };
            complex |= cell.complex;
            values.push(cell.value);
        }
    }
    if values.is_empty() {
        let expected = "lines of numbers like -1.5e3 or re+imj, separated by commas".to_string();
        return Err(fail(ErrorKind::Empty { expected }));
    }
    let probes = values.len() / columns;
    let values = match complex {
        true => {
            let narrow = |x: Complex64| Complex32::new(x.re as f32, x.im as f32);
            Values::Complex(values.into_iter().map(narrow).collect())
        }
        false => Values::Real(values.into_iter().map(|x| x.re).collect()),
    };
    let matrix = Matrix::new(probes, columns, values).map_err(fail)?;
    Ok(match names {
        Some(names) => matrix.with_names(names),
        None => matrix,
    })
}

/// The cells of one line, or none of a blank line or a comment.
fn record(line: &[u8], delimiter: u8) -> Result<Option<csv::StringRecord>, csv::Error> {
    if line.trim_ascii().is_empty() || line.starts_with(b"#") {
        return Ok(None);
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(delimiter)
        .trim(csv::Trim::All)
        .buffer_capacity(line.len().max(1))
        .from_reader(line);
    let mut record = csv::StringRecord::new();
    Ok(reader.read_record(&mut record)?.then_some(record))
}

fn from_csv(error: csv::Error, line: u64) -> ErrorKind {
    let (column, found) = match error.into_kind() {
        csv::ErrorKind::Io(source) => return ErrorKind::Io { action: "read", source },
        csv::ErrorKind::Utf8 { err, .. } => (err.field() + 1, "bytes that are not UTF-8"),
        _ => (1, "an unreadable line"),
    };
    ErrorKind::Cell { line, column, found: found.into(), expected: "cells of text" }
}

/// What separates the cells of a table with this line.
fn delimiter_of(line: &[u8]) -> u8 {
    let has = |byte| line.contains(&byte);
    match () {
        _ if has(b',') => b',',
        _ if has(b';') => b';',
        _ if has(b'\t') => b'\t',
        _ => b',',
    }
}

/// How tables write that a value is missing.
const MISSING: [&str; 8] = ["", "n/a", "na", "nan", "null", "none", "-", "?"];

fn is_missing(text: &str) -> bool {
    MISSING.contains(&text.to_ascii_lowercase().as_str())
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_') && !is_missing(text)
}

struct Cell {
    value: Complex64,
    complex: bool,
}

/// A number: real, or complex as `re+imj`, `re-imj` or `imj`, `i` for `j` allowed, and parentheses around it as numpy
/// writes them.
fn parse(text: &str) -> Option<Cell> {
    if is_missing(text) {
        return Some(Cell { value: Complex64::new(f64::NAN, 0.0), complex: false });
    }
    let text = text.strip_prefix('(').and_then(|t| t.strip_suffix(')')).unwrap_or(text);
    let Some(body) = text.strip_suffix(['j', 'J', 'i']) else {
        return text.parse().ok().map(|re| Cell { value: Complex64::new(re, 0.0), complex: false });
    };
    // The sign that parts the two: not the first character, and not an exponent's.
    let bytes = body.as_bytes();
    let sign = (1..bytes.len())
        .rev()
        .find(|&i| matches!(bytes[i], b'+' | b'-') && !matches!(bytes[i - 1], b'e' | b'E'));
    let (re, im) = match sign {
        Some(at) => (body[..at].parse().ok()?, body[at..].parse().ok()?),
        None => (0.0, body.parse().ok()?),
    };
    Some(Cell { value: Complex64::new(re, im), complex: true })
}

/// Writes a table; every number has the digits to be read back as it was.
pub(super) fn write(matrix: &Matrix, path: &Path) -> Result<(), RecordingError> {
    let mut writer = csv::Writer::from_writer(AtomicFile::create(path)?);
    let broken = |error: csv::Error| match from_csv(error, 0) {
        ErrorKind::Io { source, .. } => io(path, "write")(source),
        kind => RecordingError::new(path, kind),
    };
    if let Some(names) = matrix.names() {
        writer.write_record(names).map_err(broken)?;
    }
    let [probes, features] = matrix.shape();
    for probe in 0..probes {
        let row = probe * features..(probe + 1) * features;
        let cells: Vec<String> = match matrix.values() {
            Values::Real(values) => values[row].iter().map(|x| format!("{x:?}")).collect(),
            Values::Complex(values) => {
                values[row].iter().map(|x| format!("{:?}{:+?}j", x.re, x.im)).collect()
            }
        };
        writer.write_record(&cells).map_err(broken)?;
    }
    let file = writer.into_inner().map_err(|error| io(path, "write")(error.into_error()))?;
    file.finish().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(text: impl AsRef<[u8]>) -> Result<Matrix, RecordingError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    fn reason(text: impl AsRef<[u8]>) -> String {
        table(text).unwrap_err().kind.to_string()
    }

    #[test]
    fn real_and_complex_cells_are_read() {
        let matrix = table("1,-2.5\n3e2, 4 \n").unwrap();
        assert_eq!(matrix.shape(), [2, 2]);
        assert_eq!(matrix.values(), &Values::Real(vec![1.0, -2.5, 300.0, 4.0]));
        let matrix = table("# a comment\na,b\n-70-53j,(1e-3+2.5E+1j)\n7i,-8\n").unwrap();
        assert_eq!(matrix.names().unwrap(), ["a", "b"]);
        let c = Complex32::new;
        assert_eq!(
            matrix.values(),
            &Values::Complex(vec![c(-70.0, -53.0), c(1e-3, 25.0), c(0.0, 7.0), c(-8.0, 0.0)])
        );
        assert_eq!(table("5\n6\n7\n").unwrap().shape(), [3, 1], "one feature a probe");
        assert_eq!(table("1,2").unwrap().shape(), [1, 2], "no line feed at the end");
    }

    #[test]
    fn broken_tables_are_refused_with_line_and_column() {
        let expected = "expected a number like -1.5e3 or re+imj";
        assert_eq!(reason("1,2\n3,x\n"), format!("line 2, column 2: \"x\", {expected}"));
        assert_eq!(reason("1,2x\n"), format!("line 1, column 2: \"2x\", {expected}"));
        assert_eq!(reason("a,b\n1,+-2j\n"), format!("line 2, column 2: \"+-2j\", {expected}"));
        assert_eq!(reason("1,2\r\n\r\n3\r\n"), "line 3: 1 cells, expected 2");
        assert_eq!(reason("a,b\n1,2,3\n"), "line 2: 3 cells, expected 2");
        assert_eq!(
            reason(b"1,2\n3,\xff\n"),
            "line 2, column 2: \"bytes that are not UTF-8\", expected cells of text"
        );
        for empty in ["", "\n", "# nothing\n", "a,b\n"] {
            assert!(reason(empty).starts_with("the file is empty, expected lines"), "{empty:?}");
        }
    }

    #[test]
    fn missing_values_and_other_separators_are_read_and_a_first_line_is_not_swallowed() {
        let is_missing = |text: &str| match table(text).unwrap().values() {
            Values::Real(values) => values.iter().map(|x| !x.is_finite()).collect::<Vec<_>>(),
            Values::Complex(values) => values.iter().map(|x| !x.re.is_finite()).collect(),
        };
        assert_eq!(is_missing("a,b\n1,2\nNaN,4\n"), [false, false, true, false]);
        assert_eq!(is_missing("1,2\n-inf,4\n"), [false, false, true, false]);
        assert_eq!(is_missing("1,2\n,N/A\n"), [false, false, true, true]);
        assert_eq!(is_missing("n/a\n1\n"), [true, false], "not a name");
        assert_eq!(table("a;b\n1;2\n").unwrap(), table("a,b\n1,2\n").unwrap());
        assert_eq!(table("# x,y\n1\t2\n").unwrap(), table("1,2\n").unwrap());
        let error = reason("-69;-66\n1,2\n");
        assert!(error.starts_with("line 2"), "{error}");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            pairs in prop::collection::vec((any::<i32>(), any::<f32>().prop_filter("finite", |x| x.is_finite())), 6),
            complex in any::<bool>(),
            named in any::<bool>(),
        ) {
            let values = match complex {
                true => Values::Complex(pairs.iter().map(|&(a, b)| Complex32::new(a as f32, b)).collect()),
                false => Values::Real(pairs.iter().map(|&(_, b)| f64::from(b)).collect()),
            };
            let mut matrix = Matrix::new(2, 3, values).unwrap();
            if named {
                matrix = matrix.with_names(["x", "y, z", "\"q\""].map(String::from).to_vec());
            }
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("a.csv");
            matrix.write_csv(&path).unwrap();
            prop_assert_eq!(read(&path).unwrap(), matrix);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[-+0-9eEijn(),.# \n]{0,60}") {
            let _ = table(text);
        }
    }
}
