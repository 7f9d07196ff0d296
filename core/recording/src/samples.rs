//! IQ samples as bytes, and reading them in chunks.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use num_complex::Complex32;

use crate::error::{ErrorKind, RecordingError, io};
use crate::regular;
use crate::sigmf::Recording;

/// How a sample is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Datatype {
    /// Two little-endian 32-bit floats, I then Q.
    #[default]
    Cf32Le,
    /// Two little-endian 16-bit integers, I then Q; ±32768 stands for ± full scale.
    Ci16Le,
}

impl Datatype {
    /// Number of bytes that one complex sample takes.
    pub fn sample_bytes(self) -> usize {
        match self {
            Self::Cf32Le => 8,
            Self::Ci16Le => 4,
        }
    }

    /// Name of the type in SigMF's `core:datatype`, like `cf32_le`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cf32Le => "cf32_le",
            Self::Ci16Le => "ci16_le",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Cf32Le, Self::Ci16Le].into_iter().find(|datatype| datatype.name() == name)
    }

    /// Appends the bytes of `samples`; returns how many left the range of the integers and were clipped.
    pub(crate) fn encode(self, samples: &[Complex32], full_scale: f32, bytes: &mut Vec<u8>) -> u64 {
        let mut clipped = 0;
        for sample in samples {
            match self {
                Self::Cf32Le => {
                    bytes.extend_from_slice(&sample.re.to_le_bytes());
                    bytes.extend_from_slice(&sample.im.to_le_bytes());
                }
                Self::Ci16Le => {
                    let scaled = [sample.re, sample.im].map(|x| (x / full_scale * 32768.0).round());
                    clipped += u64::from(scaled.iter().any(|x| !(-32768.0..=32767.0).contains(x)));
                    // A float-to-integer cast saturates.
                    bytes.extend(scaled.into_iter().flat_map(|x| (x as i16).to_le_bytes()));
                }
            }
        }
        clipped
    }
}

/// A type that samples can be read into.
pub trait IqSample: bytemuck::Pod {
    /// The format whose bytes, on a little-endian machine, are those of the type: no pass over them is needed.
    const STORED: Datatype;
    /// Fills `out` from as many samples in `bytes`, stored as `datatype` with this full scale.
    fn decode(datatype: Datatype, bytes: &[u8], full_scale: f32, out: &mut [Self]);
    /// Place and value of the first sample that is infinite or not a number.
    fn not_finite(samples: &[Self]) -> Option<(usize, String)>;
}

impl IqSample for Complex32 {
    const STORED: Datatype = Datatype::Cf32Le;

    fn decode(datatype: Datatype, bytes: &[u8], full_scale: f32, out: &mut [Self]) {
        match datatype {
            Datatype::Cf32Le => {
                for (out, b) in out.iter_mut().zip(bytes.as_chunks::<8>().0) {
                    let [re, im] = [[b[0], b[1], b[2], b[3]], [b[4], b[5], b[6], b[7]]]
                        .map(f32::from_le_bytes);
                    *out = Complex32::new(re, im);
                }
            }
            Datatype::Ci16Le => {
                for (out, b) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
                    let [re, im] = [[b[0], b[1]], [b[2], b[3]]]
                        .map(|x| f32::from(i16::from_le_bytes(x)) / 32768.0 * full_scale);
                    *out = Complex32::new(re, im);
                }
            }
        }
    }

    fn not_finite(samples: &[Self]) -> Option<(usize, String)> {
        // Such values, and no others, have all exponent bits set. The common case is one pass without a branch.
        const EXPONENT: u32 = 0x7f80_0000;
        let bad = |x: f32| x.to_bits() & EXPONENT == EXPONENT;
        let any = samples.iter().fold(false, |any, s| any | bad(s.re) | bad(s.im));
        let place = any.then(|| samples.iter().position(|s| bad(s.re) || bad(s.im))).flatten()?;
        Some((place, samples[place].to_string()))
    }
}

/// I and Q; 32768 stands for full scale. Floating-point samples are rounded, and clipped at full scale.
impl IqSample for [i16; 2] {
    const STORED: Datatype = Datatype::Ci16Le;

    fn decode(datatype: Datatype, bytes: &[u8], full_scale: f32, out: &mut [Self]) {
        match datatype {
            Datatype::Cf32Le => {
                for (out, b) in out.iter_mut().zip(bytes.as_chunks::<8>().0) {
                    *out = [[b[0], b[1], b[2], b[3]], [b[4], b[5], b[6], b[7]]]
                        .map(|x| (f32::from_le_bytes(x) / full_scale * 32768.0).round() as i16);
                }
            }
            Datatype::Ci16Le => {
                for (out, b) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
                    *out = [[b[0], b[1]], [b[2], b[3]]].map(i16::from_le_bytes);
                }
            }
        }
    }

    fn not_finite(_: &[Self]) -> Option<(usize, String)> {
        None
    }
}

/// A stretch of samples without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Index in the file of its first sample.
    pub(crate) index: u64,
    /// Air time of that sample.
    pub(crate) time: u64,
    /// Number of samples in the segment.
    pub(crate) len: u64,
}

/// Reads the samples of a file in chunks.
#[derive(Debug)]
pub struct SampleReader {
    path: PathBuf,
    file: BufReader<File>,
    datatype: Datatype,
    full_scale: f32,
    sample_rate_hz: Option<f64>,
    warnings: Vec<String>,
    segments: std::vec::IntoIter<Segment>,
    current: Segment,
    total: u64,
    bytes: Vec<u8>,
}

impl SampleReader {
    /// Opens the samples of a data file; `segments` must lie in it and ascend.
    pub(crate) fn open(
        path: &Path,
        datatype: Datatype,
        full_scale: f32,
        sample_rate_hz: Option<f64>,
        segments: Option<Vec<Segment>>,
    ) -> Result<Self, RecordingError> {
        let total = sample_count(path, datatype)?;
        let file = regular::open(path)?;
        let segments = segments.unwrap_or_else(|| vec![Segment { index: 0, time: 0, len: total }]);
        Ok(Self {
            path: path.to_path_buf(),
            file: BufReader::with_capacity(1 << 16, file),
            datatype,
            full_scale,
            sample_rate_hz,
            warnings: Vec::new(),
            segments: segments.into_iter(),
            current: Segment { index: 0, time: 0, len: 0 },
            total,
            bytes: Vec::new(),
        })
    }

    /// Replaces `out` by the next samples, at most `max` (at least 1) of them and none across a gap; returns the air time of the
    /// first, or `None` at the end. Two chunks follow each other without a gap when the second's time is the first's
    /// plus its length.
    pub fn read(
        &mut self,
        out: &mut Vec<Complex32>,
        max: usize,
    ) -> Result<Option<u64>, RecordingError> {
        out.clear();
        let Some(len) = self.next_len(max)? else { return Ok(None) };
        out.resize(len, Complex32::ZERO);
        self.fill(out).map(Some)
    }

    /// Fills the front of `out` (at least 1 long) with the next samples, none across a gap; returns the air time of the
    /// first and their number, or `None` at the end.
    pub fn read_into<S: IqSample>(
        &mut self,
        out: &mut [S],
    ) -> Result<Option<(u64, usize)>, RecordingError> {
        let Some(len) = self.next_len(out.len())? else { return Ok(None) };
        let time = self.fill(&mut out[..len])?;
        Ok(Some((time, len)))
    }

    /// Whether the next sample follows the last without a gap.
    pub fn continues(&self) -> bool {
        let next = self.segments.as_slice().iter().find(|segment| segment.len > 0);
        self.current.len > 0 || next.is_some_and(|next| next.time == self.current.time)
    }

    /// How many samples, at most `max` (at least 1), come next without a gap; `None` at the end.
    fn next_len(&mut self, max: usize) -> Result<Option<usize>, RecordingError> {
        while self.current.len == 0 {
            let Some(segment) = self.segments.next() else { return Ok(None) };
            self.current = segment;
            let byte = segment.index * self.datatype.sample_bytes() as u64;
            self.file.seek(SeekFrom::Start(byte)).map_err(io(&self.path, "seek"))?;
        }
        Ok(Some(self.current.len.min(max.max(1) as u64) as usize))
    }

    /// Reads so many samples of the present segment; returns the air time of the first.
    fn fill<S: IqSample>(&mut self, out: &mut [S]) -> Result<u64, RecordingError> {
        let Segment { index, time, len } = self.current;
        if S::STORED == self.datatype && cfg!(target_endian = "little") {
            let bytes = bytemuck::cast_slice_mut(out);
            self.file.read_exact(bytes).map_err(io(&self.path, "read"))?;
        } else {
            self.bytes.resize(out.len() * self.datatype.sample_bytes(), 0);
            self.file.read_exact(&mut self.bytes).map_err(io(&self.path, "read"))?;
            S::decode(self.datatype, &self.bytes, self.full_scale, out);
        }
        if let Some((bad, found)) = S::not_finite(out) {
            let sample = index + bad as u64;
            let byte = sample * self.datatype.sample_bytes() as u64;
            let kind = ErrorKind::NotFinite { sample, byte, found };
            return Err(RecordingError::new(&self.path, kind));
        }
        let count = out.len() as u64;
        self.current = Segment { index: index + count, time: time + count, len: len - count };
        Ok(time)
    }

    /// Number of samples in the file.
    pub fn total(&self) -> u64 {
        self.total
    }

    pub(crate) fn with_warnings(mut self, warnings: Vec<String>) -> Self {
        self.warnings = warnings;
        self
    }

    /// What is wrong with the file's description without keeping anybody from reading the samples, a sentence each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Samples a second, where the file says.
    pub fn sample_rate_hz(&self) -> Option<f64> {
        self.sample_rate_hz
    }

    /// What the integer 32768 stands for.
    pub fn full_scale(&self) -> f32 {
        self.full_scale
    }

    /// How the samples are stored.
    pub fn datatype(&self) -> Datatype {
        self.datatype
    }
}

/// Number of samples in a data file, which must hold at least one and only whole ones.
pub(crate) fn sample_count(path: &Path, datatype: Datatype) -> Result<u64, RecordingError> {
    let bytes = std::fs::metadata(path).map_err(io(path, "open"))?.len();
    let sample_bytes = datatype.sample_bytes() as u64;
    let left = bytes % sample_bytes;
    if bytes == 0 {
        let expected = format!("{} samples of {sample_bytes} bytes", datatype.name());
        return Err(RecordingError::new(path, ErrorKind::Empty { expected }));
    }
    if left != 0 {
        let kind = ErrorKind::PartialSample { byte: bytes - left, left, sample_bytes };
        return Err(RecordingError::new(path, kind));
    }
    Ok(bytes / sample_bytes)
}

/// Opens IQ by the name of the file: `.sigmf-meta` and `.sigmf-data` as a SigMF recording, verified; `.cf32`, `.fc32`,
/// `.cfile`, `.iq` and `.raw` as raw little-endian f32 pairs.
pub fn open_iq(path: &Path) -> Result<SampleReader, RecordingError> {
    open_by(path, Recording::open)
}

/// As [`open_iq`], a SigMF recording without its hash.
pub fn open_iq_unverified(path: &Path) -> Result<SampleReader, RecordingError> {
    open_by(path, Recording::open_unverified)
}

fn open_by(
    path: &Path,
    open: impl Fn(&Path) -> Result<Recording, RecordingError>,
) -> Result<SampleReader, RecordingError> {
    let extension =
        path.extension().map(|x| x.to_string_lossy().to_lowercase()).unwrap_or_default();
    match extension.as_str() {
        "sigmf-meta" | "sigmf-data" => open(path)?.samples(),
        "cf32" | "fc32" | "cfile" | "iq" | "raw" => {
            SampleReader::open(path, Datatype::Cf32Le, 1.0, None, None)
        }
        _ => Err(RecordingError::new(
            path,
            ErrorKind::Extension {
                found: extension,
                expected: ".sigmf-meta, .sigmf-data, .cf32, .fc32, .cfile, .iq or .raw",
            },
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    fn message(error: RecordingError) -> String {
        error.kind.to_string()
    }

    #[test]
    fn a_file_that_ends_inside_a_sample_is_refused_with_the_byte() {
        let (_dir, path) = file("a.cf32", &[0; 8 * 5 + 3]);
        let error = open_iq(&path).unwrap_err();
        assert_eq!(error.path, path);
        assert_eq!(message(error), "byte 40: 3 bytes left over, expected whole samples of 8 bytes");
    }

    #[test]
    fn an_empty_a_missing_and_an_unknown_file_are_refused() {
        let (_dir, path) = file("a.cf32", &[]);
        assert_eq!(
            message(open_iq(&path).unwrap_err()),
            "the file is empty, expected cf32_le samples of 8 bytes"
        );
        let error = open_iq(Path::new("nowhere/a.cf32")).unwrap_err();
        assert_eq!(error.to_string(), "nowhere/a.cf32: no such file");
        let (_dir, path) = file("a.wav", &[1]);
        assert!(
            message(open_iq(&path).unwrap_err()).starts_with("extension \"wav\", expected .sigmf")
        );
    }

    #[test]
    fn a_sample_that_is_not_a_number_is_named() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut samples = vec![Complex32::new(1.0, 2.0); 100];
            samples[70].im = bad;
            let mut bytes = Vec::new();
            Datatype::Cf32Le.encode(&samples, 1.0, &mut bytes);
            let (_dir, path) = file("a.cf32", &bytes);
            let (mut reader, mut out) = (open_iq(&path).unwrap(), Vec::new());
            assert_eq!(reader.read(&mut out, 64).unwrap(), Some(0));
            let text = message(reader.read(&mut out, 64).unwrap_err());
            assert!(text.starts_with("sample 70 (byte 560): 1"), "{text}");
            assert!(text.ends_with(", expected finite numbers"), "{text}");
        }
    }

    #[test]
    fn integers_are_rounded_and_clipped_at_full_scale() {
        let samples = [Complex32::new(1.0, -2.0), Complex32::new(2.5, -0.00004)];
        let mut bytes = Vec::new();
        assert_eq!(Datatype::Ci16Le.encode(&samples, 2.0, &mut bytes), 1);
        let mut back = [Complex32::ZERO; 2];
        Complex32::decode(Datatype::Ci16Le, &bytes, 2.0, &mut back);
        let mut integers = [[0; 2]; 2];
        <[i16; 2]>::decode(Datatype::Ci16Le, &bytes, 2.0, &mut integers);
        assert_eq!(integers, [[16384, -32768], [32767, -1]]);
        assert_eq!(back[0], samples[0]);
        assert_eq!(back[1], Complex32::new(32767.0 / 16384.0, -1.0 / 16384.0));
    }

    proptest! {
        #[test]
        fn any_chunk_length_gives_the_same_samples(max in 1usize..50, len in 1usize..200) {
            let samples: Vec<Complex32> = (0..len).map(|i| Complex32::new(i as f32, -0.5)).collect();
            let mut bytes = Vec::new();
            Datatype::Cf32Le.encode(&samples, 1.0, &mut bytes);
            let (_dir, path) = file("a.cf32", &bytes);
            let (mut reader, mut out, mut all) = (open_iq(&path).unwrap(), Vec::new(), Vec::new());
            prop_assert_eq!(reader.total(), len as u64);
            while let Some(time) = reader.read(&mut out, max).unwrap() {
                prop_assert_eq!(time, all.len() as u64);
                prop_assert!(!out.is_empty() && out.len() <= max);
                all.extend_from_slice(&out);
            }
            prop_assert_eq!(&all, &samples);

            // Read as they are stored, and as another type.
            let mut reader = open_iq(&path).unwrap();
            let (mut numbers, mut integers) = (vec![Complex32::ZERO; max], vec![[0; 2]; max]);
            let Some((0, count)) = reader.read_into(&mut numbers).unwrap() else { panic!() };
            prop_assert_eq!(&numbers[..count], &samples[..max.min(len)]);
            if let Some((time, count)) = reader.read_into(&mut integers).unwrap() {
                prop_assert_eq!((time, integers[0][1]), (max as u64, -16384));
                prop_assert!(integers[..count].iter().all(|x| x[0] == 32767));
            }
        }
    }
}
