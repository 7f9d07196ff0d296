//! Arrays in numpy's format, versions 1 to 3, either byte order, C or Fortran order.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use npyz::{DType, Deserialize, NpyFile, NpyHeader, Order, WriterBuilder};
use num_complex::{Complex32, Complex64};

use crate::atomic::AtomicFile;
use crate::error::{ErrorKind, RecordingError, io};
use crate::matrix::{MAX_VALUES, Matrix, Values, too_many};
use crate::regular;

/// Longest header read; numpy itself refuses longer ones than 10 000 bytes.
const MAX_HEADER: u64 = 10_000;

/// Reads an array of shape `[probes]` or `[probes, features]`; integers become f64.
pub(super) fn read(path: &Path) -> Result<Matrix, RecordingError> {
    let fail = |kind| RecordingError::new(path, kind);
    let npy = |part, found: String, expected: &str| {
        fail(ErrorKind::Npy { part, found, expected: expected.into() })
    };
    let file = regular::open(path)?;
    let bytes = file.metadata().map_err(io(path, "open"))?.len();
    if bytes == 0 {
        return Err(fail(ErrorKind::Empty { expected: "a numpy array".into() }));
    }
    let mut reader = BufReader::new(file);
    check_header(&mut reader).map_err(|found| npy("header", found, "that of a .npy file"))?;
    reader.rewind().map_err(io(path, "read"))?;
    let header = NpyHeader::from_reader(&mut reader)
        .map_err(|error| npy("header", error.to_string(), "that of a .npy file"))?;
    let (probes, features) = match *header.shape() {
        [probes] => (probes, 1),
        [probes, features] => (probes, features),
        _ => {
            let found = format!("{:?}", header.shape());
            return Err(npy("shape", found, "[probes] or [probes, features]"));
        }
    };
    let count = match probes.checked_mul(features) {
        Some(0) => return Err(npy("shape", format!("{:?}", header.shape()), "at least one value")),
        Some(count) if count <= MAX_VALUES => count,
        other => return Err(fail(too_many(other.unwrap_or(u64::MAX)))),
    };
    let DType::Plain(dtype) = header.dtype() else {
        return Err(npy("dtype", header.dtype().descr(), "real or complex numbers"));
    };
    let begin = reader.stream_position().map_err(io(path, "read"))?;
    let (found, expected) =
        (bytes.saturating_sub(begin), dtype.num_bytes().map(|n| n as u64 * count));
    if expected.is_some_and(|expected| found != expected) {
        let (expected, shape) = (expected.unwrap_or(0), header.shape());
        let expected =
            format!("{expected} bytes, {count} values of {dtype} as shape {shape:?} says");
        return Err(npy("data", format!("{found} bytes from byte {begin}"), &expected));
    }
    let fortran = header.order() == Order::Fortran;
    let array = NpyFile::with_header(header, reader);
    let order = |index: usize| match fortran {
        true => (index % features as usize) * probes as usize + index / features as usize,
        false => index,
    };
    let name = dtype.to_string();
    let values = match &name[1..] {
        "f4" => reals::<f32>(array, order, f64::from),
        "f8" => reals::<f64>(array, order, |x| x),
        "i1" => reals::<i8>(array, order, f64::from),
        "i2" => reals::<i16>(array, order, f64::from),
        "i4" => reals::<i32>(array, order, f64::from),
        "i8" => reals::<i64>(array, order, |x| x as f64),
        "u1" => reals::<u8>(array, order, f64::from),
        "u2" => reals::<u16>(array, order, f64::from),
        "u4" => reals::<u32>(array, order, f64::from),
        "u8" => reals::<u64>(array, order, |x| x as f64),
        "c8" => ordered::<Complex32>(array, order).map(|values| {
            let wide = |x: Complex32| Complex64::new(x.re.into(), x.im.into());
            Values::Complex(values.into_iter().map(wide).collect())
        }),
        "c16" => ordered::<Complex64>(array, order).map(Values::Complex),
        _ => return Err(npy("dtype", name, "f4, f8, c8, c16 or integers")),
    };
    let values = values.map_err(io(path, "read"))?;
    Matrix::new(probes as usize, features as usize, values).map_err(fail)
}

/// Checks what the header's length and numbers could do to a reader that trusts them.
fn check_header(reader: &mut impl Read) -> Result<(), String> {
    let mut start = [0u8; 12];
    reader.read_exact(&mut start).map_err(|_| "less than 12 bytes".to_string())?;
    if &start[..6] != b"\x93NUMPY" {
        return Err("no magic number".into());
    }
    let (length, read) = match start[6] {
        1 => (u64::from(u16::from_le_bytes([start[8], start[9]])), 2),
        _ => (u64::from(u32::from_le_bytes([start[8], start[9], start[10], start[11]])), 0),
    };
    if length > MAX_HEADER {
        return Err(format!("a header of {length} bytes"));
    }
    let mut text = start[12 - read..].to_vec();
    reader.take(length).read_to_end(&mut text).map_err(|error| error.to_string())?;
    // The product of three numbers of 6 digits, or of two of 9, fits in 64 bits: no shape that is read has more.
    let digits = text.split(|byte| !byte.is_ascii_digit()).filter(|run| !run.is_empty());
    let total: usize = digits.map(|run| run.len()).sum();
    if total > 19 {
        return Err(format!("numbers of {total} digits"));
    }
    Ok(())
}

fn ordered<T: Deserialize + Copy>(
    array: NpyFile<BufReader<File>>,
    order: impl Fn(usize) -> usize,
) -> std::io::Result<Vec<T>> {
    let stored: Vec<T> = array.into_vec()?;
    Ok((0..stored.len()).map(|index| stored[order(index)]).collect())
}

fn reals<T: Deserialize + Copy>(
    array: NpyFile<BufReader<File>>,
    order: impl Fn(usize) -> usize,
    convert: impl Fn(T) -> f64,
) -> std::io::Result<Values> {
    Ok(Values::Real(ordered(array, order)?.into_iter().map(convert).collect()))
}

/// Writes an array, `<f4` or `<c8` when that loses nothing, else `<f8` or `<c16`; shape `[probes, features]`.
pub(super) fn write(matrix: &Matrix, path: &Path) -> Result<(), RecordingError> {
    let mut file = AtomicFile::create(path)?;
    let shape = matrix.shape().map(|x| x as u64);
    let narrow = |x: f64| f64::from(x as f32) == x || x.is_nan();
    let written = match matrix.values() {
        Values::Real(values) if values.iter().all(|&x| narrow(x)) => {
            fill(&mut file, &shape, values.iter().map(|&x| x as f32))
        }
        Values::Real(values) => fill(&mut file, &shape, values.iter().copied()),
        Values::Complex(values) if values.iter().all(|x| narrow(x.re) && narrow(x.im)) => {
            let narrowed = values.iter().map(|x| Complex32::new(x.re as f32, x.im as f32));
            fill(&mut file, &shape, narrowed)
        }
        Values::Complex(values) => fill(&mut file, &shape, values.iter().copied()),
    };
    written.map_err(io(path, "write"))?;
    file.finish().map(drop)
}

fn fill<T: npyz::AutoSerialize + Copy>(
    file: &mut AtomicFile,
    shape: &[u64],
    values: impl Iterator<Item = T>,
) -> std::io::Result<()> {
    let mut writer =
        npyz::WriteOptions::new().default_dtype().shape(shape).writer(file).begin_nd()?;
    writer.extend(values)?;
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn array(bytes: &[u8]) -> Result<Matrix, RecordingError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        std::fs::write(&path, bytes).unwrap();
        read(&path)
    }

    /// A version 1 file, its header padded to 64 bytes as numpy does.
    fn npy(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
        let fortran = if fortran { "True" } else { "False" };
        let mut text =
            format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}");
        while (10 + text.len() + 1) % 64 != 0 {
            text.push(' ');
        }
        text.push('\n');
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn reason(bytes: &[u8]) -> String {
        array(bytes).unwrap_err().kind.to_string()
    }

    #[test]
    fn kinds_byte_orders_and_layouts_are_read() {
        let be: Vec<u8> = [1.5f64, -2.0, 3.0].iter().flat_map(|x| x.to_be_bytes()).collect();
        let matrix = array(&npy(">f8", false, "(3,)", &be)).unwrap();
        assert_eq!(matrix.shape(), [3, 1]);
        assert_eq!(matrix.values(), &Values::Real(vec![1.5, -2.0, 3.0]));
        // Two rows of three, stored column by column.
        let columns: Vec<u8> = [1i16, 4, 2, 5, 3, 6].iter().flat_map(|x| x.to_le_bytes()).collect();
        let matrix = array(&npy("<i2", true, "(2, 3)", &columns)).unwrap();
        assert_eq!(matrix.values(), &Values::Real(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
        let pair: Vec<u8> = [0.5f64, -0.25].iter().flat_map(|x| x.to_le_bytes()).collect();
        let matrix = array(&npy("<c16", false, "(1, 1)", &pair)).unwrap();
        assert_eq!(matrix.values(), &Values::Complex(vec![Complex64::new(0.5, -0.25)]));
    }

    #[test]
    fn broken_arrays_are_refused_with_the_part() {
        assert_eq!(reason(&[]), "the file is empty, expected a numpy array");
        assert!(reason(b"1,2,3\n4,5,6\n").starts_with("header: no magic number, expected"));
        let data = [0u8; 24];
        assert_eq!(
            reason(&npy("<f4", false, "(2, 3)", &data[..21])),
            "data: 21 bytes from byte 128, expected 24 bytes, 6 values of <f4 as shape [2, 3] says"
        );
        assert!(reason(&npy("<f4", false, "(2, 2)", &data)).starts_with("data: 24 bytes"));
        assert_eq!(
            reason(&npy("<f4", false, "(1, 2, 3)", &data)),
            "shape: [1, 2, 3], expected [probes] or [probes, features]"
        );
        assert_eq!(
            reason(&npy("<f4", false, "(0, 3)", &[])),
            "shape: [0, 3], expected at least one value"
        );
        assert!(reason(&npy("|S4", false, "(6,)", &data)).starts_with("dtype: |S4, expected f4"));
        assert!(reason(&npy("<f4", false, "(999999999, 999999999)", &data)).starts_with("shape: "));
        let huge = npy("<f4", false, "(99999999999, 9999999999)", &data);
        assert!(reason(&huge).starts_with("header: numbers of"));
        let header = npy("<f4", false, "(2, 3)", &[]);
        assert!(reason(&header[..40]).starts_with("header: "));
    }

    #[test]
    fn a_value_that_is_not_finite_stays_as_a_missing_one_and_double_precision_is_kept() {
        let data: Vec<u8> = [1.0f32, f32::NAN].iter().flat_map(|x| x.to_le_bytes()).collect();
        let matrix = array(&npy("<f4", false, "(2,)", &data)).unwrap();
        let Values::Real(values) = matrix.values() else { panic!("real values") };
        assert!(values[0] == 1.0 && values[1].is_nan());
        let fine = [1e7 + 0.125, 1e7 + 0.25];
        let data: Vec<u8> = fine.iter().flat_map(|x: &f64| x.to_le_bytes()).collect();
        let matrix = array(&npy("<f8", false, "(2,)", &data)).unwrap();
        assert_eq!(matrix.values(), &Values::Real(fine.to_vec()));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        matrix.write_npy(&path).unwrap();
        assert_eq!(read(&path).unwrap(), matrix);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            probes in 1usize..10, features in 1usize..10, complex in any::<bool>(), scale in -1e30f64..1e30,
        ) {
            let value = |i: usize| i as f64 * scale;
            let n = probes * features;
            let values = match complex {
                true => Values::Complex((0..n).map(|i| Complex64::new(value(i), -1.0)).collect()),
                false => Values::Real((0..n).map(value).collect()),
            };
            let matrix = Matrix::new(probes, features, values).unwrap();
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("a.npy");
            matrix.write_npy(&path).unwrap();
            prop_assert_eq!(read(&path).unwrap(), matrix);
        }

        #[test]
        fn a_damaged_array_is_read_or_refused(at in 0usize..152, byte in any::<u8>(), len in 0usize..153) {
            let mut bytes = npy("<f4", false, "(2, 3)", &[0; 24]);
            bytes[at] = byte;
            let _ = array(&bytes[..len]);
        }
    }
}
