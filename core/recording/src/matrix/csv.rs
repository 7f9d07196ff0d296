//! Tables as text: one line a probe, cells `1.5`, `-2e-3` or complex `re+imj`, an optional line of names first.

use std::io::{BufRead, BufReader};
use std::path::Path;

use num_complex::Complex64;

use crate::atomic::AtomicFile;
use crate::error::{ErrorKind, RecordingError, io};
use crate::matrix::{MAX_VALUES, Matrix, Values, too_many};
use crate::regular;

/// What stands in a cell for a measurement that is missing, besides `nan`, in any case of the letters.
const MISSING: [&str; 9] = ["", "na", "n/a", "null", "none", "lost", "missing", "-", "?"];

/// What a cell must hold.
const EXPECTED: &str = "a number like -1.5e3 or re+imj, or n/a";

/// Reads a table. Lines that begin with `#` are comments. Cells are separated by commas, semicolons (numbers may then
/// have a decimal comma), tabs or blanks: by whatever the first line has. The first line holds names when none of its
/// cells is a number and one of them is not a mark of a missing value either.
pub(super) fn read(path: &Path) -> Result<Matrix, RecordingError> {
    let fail = |kind| RecordingError::new(path, kind);
    let file = BufReader::new(regular::open(path)?);
    let mut table = Table::default();
    for (number, text) in file.split(b'\n').enumerate() {
        let text = text.map_err(io(path, "read"))?;
        let text = if number == 0 { text.strip_prefix(BOM).unwrap_or(&text) } else { &text };
        table.line(number as u64 + 1, text).map_err(fail)?;
    }
    table.finish().map_err(fail)
}

/// The mark that some programs put before UTF-8 text.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// A table as far as it has been read.
#[derive(Default)]
struct Table {
    separator: Separator,
    columns: usize,
    names: Option<Vec<String>>,
    values: Vec<Complex64>,
    complex: bool,
    /// The first of the empty lines since the last probe.
    empty_line: Option<u64>,
}

/// What parts the cells of a line.
#[derive(Clone, Copy, Default, PartialEq)]
enum Separator {
    #[default]
    Comma,
    Semicolon,
    Tab,
    Blanks,
}

impl Separator {
    /// By the first line, where quoted text counts for nothing.
    fn of(line: &[u8]) -> Self {
        let mut quoted = false;
        let bare: Vec<u8> = line
            .iter()
            .copied()
            .filter(|&byte| {
                quoted ^= byte == b'"';
                !quoted
            })
            .collect();
        let text = String::from_utf8_lossy(&bare);
        let words = || text.split_whitespace();
        match () {
            () if text.contains(';') => Self::Semicolon,
            () if text.contains(',') => Self::Comma,
            () if text.trim().contains('\t') => Self::Tab,
            () if words().count() > 1 && words().all(|word| parse(word).is_some()) => Self::Blanks,
            () => Self::Comma,
        }
    }

    fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
            Self::Blanks => b' ',
        }
    }
}

impl Table {
    fn line(&mut self, line: u64, text: &[u8]) -> Result<(), ErrorKind> {
        if text.starts_with(b"#") {
            return Ok(());
        }
        if text.trim_ascii().is_empty() {
            self.empty_line = self.empty_line.or(Some(line)).filter(|_| self.columns > 0);
            return Ok(());
        }
        if let Some(line) = self.empty_line {
            return Err(ErrorKind::EmptyLine { line });
        }
        let begins = self.columns == 0;
        if begins {
            self.separator = Separator::of(text);
        }
        let record = record(text, self.separator).map_err(|error| from_csv(error, line))?;
        let cells: Vec<Option<Cell>> =
            record.iter().map(|text| parse_with(text, self.separator)).collect();
        if begins {
            self.columns = record.len();
            let numbers = cells.iter().flatten().any(|cell| !cell.missing);
            if !numbers && cells.iter().any(Option::is_none) {
                self.names = Some(record.iter().map(str::to_string).collect());
                return Ok(());
            }
        }
        if record.len() != self.columns {
            let (found, expected) = (record.len(), self.columns);
            return Err(ErrorKind::Ragged { line, found, expected });
        }
        for (column, cell) in cells.into_iter().enumerate() {
            let Some(cell) = cell else {
                let found = record[column].chars().take(40).collect();
                let column = column + 1;
                return Err(ErrorKind::Cell { line, column, found, expected: EXPECTED });
            };
            self.complex |= cell.complex;
            self.values.push(cell.value);
        }
        match self.values.len() as u64 {
            values if values > MAX_VALUES => Err(too_many(values)),
            _ => Ok(()),
        }
    }

    fn finish(self) -> Result<Matrix, ErrorKind> {
        if self.values.is_empty() {
            let expected =
                "lines of numbers like -1.5e3 or re+imj, separated by commas".to_string();
            return Err(ErrorKind::Empty { expected });
        }
        let probes = self.values.len() / self.columns;
        let values = match self.complex {
            true => Values::Complex(self.values),
            false => Values::Real(self.values.into_iter().map(|x| x.re).collect()),
        };
        let matrix = Matrix::new(probes, self.columns, values)?;
        Ok(match self.names {
            Some(names) => matrix.with_names(names),
            None => matrix,
        })
    }
}

/// The cells of one line that is not blank.
fn record(line: &[u8], separator: Separator) -> Result<csv::StringRecord, csv::Error> {
    if separator == Separator::Blanks {
        let text = String::from_utf8_lossy(line);
        return Ok(text.split_whitespace().collect::<Vec<_>>().into());
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(separator.byte())
        .trim(csv::Trim::All)
        .buffer_capacity(line.len().max(1))
        .from_reader(line);
    let mut record = csv::StringRecord::new();
    reader.read_record(&mut record)?;
    Ok(record)
}

fn from_csv(error: csv::Error, line: u64) -> ErrorKind {
    let (column, found) = match error.into_kind() {
        csv::ErrorKind::Io(source) => return ErrorKind::Io { action: "read", source },
        csv::ErrorKind::Utf8 { err, .. } => (err.field() + 1, "bytes that are not UTF-8"),
        _ => (1, "an unreadable line"),
    };
    ErrorKind::Cell { line, column, found: found.into(), expected: "cells of text" }
}

struct Cell {
    value: Complex64,
    complex: bool,
    missing: bool,
}

/// [`parse`], with decimal commas where commas do not part the cells.
fn parse_with(text: &str, separator: Separator) -> Option<Cell> {
    match text.contains(',') && separator == Separator::Semicolon {
        true => parse(&text.replace(',', ".")),
        false => parse(text),
    }
}

/// A number: real, or complex as `re+imj`, `re-imj` or `imj`, `i` for `j` allowed, and parentheses around it as numpy
/// writes them. A mark of a missing value is NaN.
fn parse(text: &str) -> Option<Cell> {
    if MISSING.contains(&text.to_ascii_lowercase().as_str()) {
        let value = Complex64::new(f64::NAN, 0.0);
        return Some(Cell { value, complex: false, missing: true });
    }
    let text = text.strip_prefix('(').and_then(|t| t.strip_suffix(')')).unwrap_or(text);
    let Some(body) = text.strip_suffix(['j', 'J', 'i']) else {
        let re: f64 = text.parse().ok()?;
        let value = Complex64::new(re, 0.0);
        return Some(Cell { value, complex: false, missing: re.is_nan() });
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
    Some(Cell { value: Complex64::new(re, im), complex: true, missing: false })
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
            Values::Complex(values) => values[row]
                .iter()
                .map(|x| format!("{:?}{}{:?}j", x.re, sign_before(x.im), x.im))
                .collect(),
        };
        writer.write_record(&cells).map_err(broken)?;
    }
    let file = writer.into_inner().map_err(|error| io(path, "write")(error.into_error()))?;
    file.finish().map(drop)
}

/// The sign that a number does not bring itself.
fn sign_before(x: f64) -> &'static str {
    if x.is_sign_negative() && !x.is_nan() { "" } else { "+" }
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
        let c = Complex64::new;
        assert_eq!(
            matrix.values(),
            &Values::Complex(vec![c(-70.0, -53.0), c(1e-3, 25.0), c(0.0, 7.0), c(-8.0, 0.0)])
        );
        assert_eq!(table("5\n6\n7\n").unwrap().shape(), [3, 1], "one feature a probe");
        assert_eq!(table("1,2").unwrap().shape(), [1, 2], "no line feed at the end");
    }

    #[test]
    fn broken_tables_are_refused_with_line_and_column() {
        let expected = "expected a number like -1.5e3 or re+imj, or n/a";
        assert_eq!(reason("1,2\n3,x\n"), format!("line 2, column 2: \"x\", {expected}"));
        assert_eq!(reason("1,2x\n"), format!("line 1, column 2: \"2x\", {expected}"));
        assert_eq!(reason("a,b\n1,+-2j\n"), format!("line 2, column 2: \"+-2j\", {expected}"));
        assert_eq!(reason("1,2\r\n3\r\n"), "line 2: 1 cells, expected 2");
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
    fn missing_values_are_read_as_such_and_never_taken_for_names() {
        let reals = |text: &str| match table(text).unwrap().values() {
            Values::Real(values) => values.clone(),
            Values::Complex(_) => panic!("complex"),
        };
        let count = |text: &str| reals(text).iter().filter(|x| !x.is_finite()).count();
        assert_eq!(count("n/a\n2\n3\n"), 1, "a first line of marks is a probe");
        assert_eq!(count("a,b\n1,\nNaN,4\n-inf,NULL\n"), 4);
        assert_eq!(reals("1e99\n2\n"), [1e99, 2.0], "double precision");
        assert_eq!(table(",a,b\n0,1,2\n").unwrap().names().unwrap(), ["", "a", "b"]);
        // An empty line is a lost probe or nothing: the other end's lines would be paired with the wrong ones.
        assert_eq!(
            reason("1\n2\n\n4\n"),
            "line 3 is empty, expected a probe; a missing one is written as n/a"
        );
        assert_eq!(reals("\n1\n2\n\n\n"), [1.0, 2.0], "before and behind the probes");
    }

    #[test]
    fn separators_are_found_in_the_first_line() {
        let expected = Values::Real(vec![1.5, 2.0, 3.0, 4.5]);
        for text in ["1.5,2\n3,4.5\n", "1.5;2\n3;4.5\n", "1,5;2\n3;4,5\n", "1.5\t2\n3\t4.5\n"] {
            assert_eq!(table(text).unwrap().values(), &expected, "{text:?}");
        }
        assert_eq!(table(" 1.5  2.0\n3e0 4.5\n").unwrap().values(), &expected, "numpy.savetxt");
        assert_eq!(table("\u{feff}1.5,2\n3,4.5\n").unwrap().values(), &expected, "a mark first");
        assert_eq!(table("a;b\n1;2\n").unwrap().names().unwrap(), ["a", "b"]);
        assert_eq!(table("level in dB\n1\n").unwrap().names().unwrap(), ["level in dB"]);
        assert!(reason("1;2\n3,4\n").starts_with("line 2: 1 cells"));
    }

    #[test]
    fn a_named_table_of_zeros_of_either_sign_is_read_as_it_was_written() {
        let values = Values::Real(vec![0.0, 0.0, -0.0, 0.0, 0.0, 0.0]);
        let names = ["x", "y, z", "\"q\""].map(String::from).to_vec();
        let matrix = Matrix::new(2, 3, values).unwrap().with_names(names);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        matrix.write_csv(&path).unwrap();
        let found = read(&path).unwrap();
        assert_eq!(found, matrix);
        let Values::Real(found) = found.values() else { panic!("complex") };
        assert!(found[2].is_sign_negative() && found[0].is_sign_positive());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            pairs in prop::collection::vec((any::<i32>(), any::<f64>().prop_filter("finite", |x| x.is_finite())), 6),
            complex in any::<bool>(),
            named in any::<bool>(),
        ) {
            let values = match complex {
                true => Values::Complex(pairs.iter().map(|&(a, b)| Complex64::new(f64::from(a), b)).collect()),
                false => Values::Real(pairs.iter().map(|&(_, b)| b).collect()),
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
        fn any_text_is_read_or_refused(text in "[-+0-9eEijn(),;.#\t \n]{0,60}") {
            let _ = table(text);
        }
    }
}
