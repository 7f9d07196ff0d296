//! Writing a recording, sample by sample, in bounded memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use num_complex::Complex32;
use serde_json::{Map, Value, json};

use crate::atomic::AtomicFile;
use crate::error::{ErrorKind, RecordingError, io};
use crate::samples::{Datatype, Segment};
use crate::sigmf::types::{Annotation, RecordingInfo, put_fields};
use crate::sigmf::{VERSION, extensions, file_names};

/// Samples converted at a time.
const CHUNK: usize = 4096;

/// Writes `BASE.sigmf-data` and `BASE.sigmf-meta`. Samples go to the disk as they come, and so do annotations (into a
/// temporary file that [`finish`](Self::finish) joins to the description); memory holds 16 bytes a capture. Dropped before
/// `finish`, it leaves nothing. Only the owner may read the files: whoever has what an end of a link received can compute
/// the key that the end made of it.
#[derive(Debug)]
pub struct RecordingWriter {
    meta_path: PathBuf,
    data_path: PathBuf,
    name: String,
    info: RecordingInfo,
    collection: Option<String>,
    data: AtomicFile,
    /// Index and air time of each capture's first sample.
    captures: Vec<(u64, u64)>,
    annotations: AtomicFile,
    current: Segment,
    annotation_count: u64,
    last_start: u64,
    in_order: bool,
    clipped: u64,
    bytes: Vec<u8>,
}

/// A recording that has been written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name: the file names without directory and extension.
    pub name: String,
    /// SHA-512 of the description, in hexadecimal.
    pub meta_sha512: String,
    /// SHA-512 of the samples, in hexadecimal.
    pub data_sha512: String,
    /// Number of samples that were written.
    pub samples: u64,
    /// Samples that left the range of the integers.
    pub clipped: u64,
    /// Number of annotations that were written.
    pub annotations: u64,
}

impl RecordingWriter {
    /// Starts a recording; `path` is its name with or without extension, in a directory that exists.
    pub fn create(path: &Path, info: RecordingInfo) -> Result<Self, RecordingError> {
        Self::create_in(path, info, None)
    }

    pub(crate) fn create_in(
        path: &Path,
        info: RecordingInfo,
        collection: Option<String>,
    ) -> Result<Self, RecordingError> {
        let (meta_path, data_path) = file_names(path);
        let field = |field: &str, found: String, expected: &str| {
            let kind = ErrorKind::Field { field: field.into(), found, expected: expected.into() };
            Err(RecordingError::new(&meta_path, kind))
        };
        if !(info.sample_rate_hz > 0.0 && info.sample_rate_hz <= 1e12) {
            let found = info.sample_rate_hz.to_string();
            return field("global.core:sample_rate", found, "above 0, at most 1e12");
        }
        if !(info.full_scale > 0.0 && info.full_scale.is_finite()) {
            let found = info.full_scale.to_string();
            return field("global.crqkd:full_scale", found, "a positive number");
        }
        let name =
            meta_path.file_stem().map(|x| x.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Self {
            data: AtomicFile::create_private(&data_path)?,
            captures: Vec::new(),
            annotations: AtomicFile::create_private(&meta_path.with_extension("annotations"))?,
            meta_path,
            data_path,
            name,
            info,
            collection,
            current: Segment { index: 0, time: 0, len: 0 },
            annotation_count: 0,
            last_start: 0,
            in_order: true,
            clipped: 0,
            bytes: Vec::new(),
        })
    }

    /// Appends samples, the first of which was taken at air time `time`. A time beyond the end of what is written starts
    /// a new capture; one before it is an error, and so is a sample that is not a finite number.
    pub fn write(&mut self, time: u64, samples: &[Complex32]) -> Result<(), RecordingError> {
        if samples.is_empty() {
            return Ok(());
        }
        let Segment { index, time: start, len } = self.current;
        let (end, end_index) = (start + len, index + len);
        if time < end {
            let kind = ErrorKind::TimeBackwards { time, expected: end };
            return Err(RecordingError::new(&self.data_path, kind));
        }
        if let Some(bad) = samples.iter().position(|x| !x.re.is_finite() || !x.im.is_finite()) {
            let sample = end_index + bad as u64;
            let byte = sample * self.info.datatype.sample_bytes() as u64;
            let found = samples[bad].to_string();
            return Err(RecordingError::new(
                &self.data_path,
                ErrorKind::NotFinite { sample, byte, found },
            ));
        }
        if len == 0 || time > end {
            self.captures.push((end_index, time));
            self.current = Segment { index: end_index, time, len: 0 };
        }
        for chunk in samples.chunks(CHUNK) {
            self.bytes.clear();
            self.clipped += self.info.datatype.encode(chunk, self.info.full_scale, &mut self.bytes);
            self.data.write(&self.bytes)?;
        }
        self.current.len += samples.len() as u64;
        Ok(())
    }

    /// Adds an annotation, of samples that are written already or will be.
    pub fn annotate(&mut self, annotation: Annotation) -> Result<(), RecordingError> {
        self.in_order &= annotation.start >= self.last_start;
        self.last_start = annotation.start;
        self.annotation_count += 1;
        let mut object = Map::new();
        object.insert("core:label".into(), annotation.label.into());
        if let Some(comment) = annotation.comment {
            object.insert("core:comment".into(), comment.into());
        }
        put_fields(&mut object, &annotation.fields);
        let line = json!([annotation.start, annotation.count, object]);
        self.annotations.write(format!("{line}\n").as_bytes())
    }

    /// Nothing was written so far.
    pub fn is_empty(&self) -> bool {
        self.current.index + self.current.len == 0
    }

    /// Completes both files; a recording without a sample is an error and leaves none.
    pub fn finish(self) -> Result<Member, RecordingError> {
        if self.is_empty() {
            let kind = ErrorKind::Empty { expected: "at least one sample to be recorded".into() };
            return Err(RecordingError::new(&self.data_path, kind));
        }
        let samples = self.current.index + self.current.len;
        let path = self.meta_path;
        let data_sha512 = self.data.sha512();
        let mut meta = AtomicFile::create_private(&path)?;
        let global = global(&self.info, self.collection.as_deref(), &data_sha512);
        let global =
            serde_json::to_string_pretty(&global).expect("invariant: JSON values serialise");
        let write = |meta: &mut AtomicFile, text: &str| meta.write(text.as_bytes());
        write(&mut meta, "{\n\"global\": ")?;
        write(&mut meta, &global)?;

        write(&mut meta, ",\n\"captures\": [")?;
        for (number, &(index, time)) in self.captures.iter().enumerate() {
            let mut object = Map::new();
            object.insert("core:sample_start".into(), index.into());
            object.insert("core:global_index".into(), time.into());
            if let Some(frequency) = self.info.frequency_hz {
                object.insert("core:frequency".into(), frequency.into());
            }
            if let (Some(datetime), 0) = (&self.info.datetime, number) {
                object.insert("core:datetime".into(), datetime.clone().into());
            }
            write(&mut meta, if number == 0 { "\n" } else { ",\n" })?;
            write(&mut meta, &Value::Object(object).to_string())?;
        }
        write(&mut meta, "\n],\n\"annotations\": [")?;
        let (spool, _removed_at_the_end) = self.annotations.into_content()?;
        let places = Places { captures: &self.captures, samples };
        copy_annotations(spool, self.in_order, &places, &mut meta)
            .map_err(io(&path, "join the annotations"))?;
        write(&mut meta, "\n]\n}\n")?;
        self.data.finish()?;
        let meta_sha512 = meta.finish()?;
        Ok(Member {
            name: self.name,
            meta_sha512,
            data_sha512,
            samples,
            clipped: self.clipped,
            annotations: self.annotation_count,
        })
    }
}

/// The global object of the description.
fn global(info: &RecordingInfo, collection: Option<&str>, data_sha512: &str) -> Value {
    let mut global = Map::new();
    let mut put = |name: &str, value: Value| global.insert(name.to_string(), value);
    put("core:datatype", info.datatype.name().into());
    put("core:sample_rate", info.sample_rate_hz.into());
    put("core:version", VERSION.into());
    put("core:sha512", data_sha512.into());
    put("core:num_channels", 1.into());
    put("core:recorder", concat!("crqkd ", env!("CARGO_PKG_VERSION")).into());
    put("core:extensions", extensions());
    for (name, text) in [
        ("core:description", info.description.as_deref()),
        ("core:author", info.author.as_deref()),
        ("core:hw", info.hardware.as_deref()),
        ("core:license", info.license.as_deref()),
        ("core:collection", collection),
    ] {
        if let Some(text) = text {
            put(name, text.into());
        }
    }
    put_fields(&mut global, &info.fields);
    if info.datatype == Datatype::Ci16Le {
        global.insert("crqkd:full_scale".into(), info.full_scale.into());
    }
    Value::Object(global)
}

/// Where air times lie among the recorded samples.
struct Places<'a> {
    /// Index and air time of each capture's first sample, at least one capture.
    captures: &'a [(u64, u64)],
    samples: u64,
}

impl Places<'_> {
    /// Index and number of the recorded samples of the stretch `start..start + count` of air time: up to the end of the
    /// capture that it begins in, or that follows it.
    fn of(&self, start: u64, count: u64) -> (u64, u64) {
        let after = self.captures.partition_point(|&(_, time)| time <= start);
        let end_of =
            |number: usize| self.captures.get(number + 1).map_or(self.samples, |next| next.0);
        if after > 0 {
            let (index, time) = self.captures[after - 1];
            let len = end_of(after - 1) - index;
            if start - time < len {
                let offset = start - time;
                return (index + offset, count.min(len - offset));
            }
        }
        match self.captures.get(after) {
            None => (self.samples, 0),
            Some(&(index, time)) => {
                (index, start.saturating_add(count).saturating_sub(time).min(end_of(after) - index))
            }
        }
    }
}

/// Copies the annotations from their temporary file to the description, in the order of their samples.
fn copy_annotations(
    spool: File,
    in_order: bool,
    places: &Places<'_>,
    meta: &mut AtomicFile,
) -> io::Result<()> {
    let parse = |line: io::Result<String>| -> io::Result<(u64, u64, Map<String, Value>)> {
        Ok(serde_json::from_str(&line?)?)
    };
    let mut separator = "\n";
    let mut put = |(start, count, mut object): (u64, u64, Map<String, Value>)| {
        let (index, count) = places.of(start, count);
        object.insert("core:sample_start".into(), index.into());
        object.insert("core:sample_count".into(), count.into());
        let result = write!(meta, "{separator}{}", Value::Object(object));
        separator = ",\n";
        result
    };
    let lines = BufReader::new(spool).lines();
    if in_order {
        for line in lines {
            put(parse(line)?)?;
        }
    } else {
        let mut all = lines.map(parse).collect::<io::Result<Vec<_>>>()?;
        all.sort_by_key(|&(start, ..)| start);
        for annotation in all {
            put(annotation)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sigmf::Recording;
    use proptest::prelude::*;

    fn samples(from: u64, len: usize) -> Vec<Complex32> {
        (0..len).map(|i| Complex32::new((from + i as u64) as f32, -1.0)).collect()
    }

    fn files(dir: &Path) -> usize {
        std::fs::read_dir(dir).unwrap().count()
    }

    #[test]
    fn stretches_of_air_time_are_placed_among_the_recorded_samples() {
        // Captures: samples 0..10 at time 100, 10..30 at 200, 30..35 at 220 (no gap before it).
        let places = Places { captures: &[(0, 100), (10, 200), (30, 220)], samples: 35 };
        assert_eq!(places.of(103, 4), (3, 4));
        assert_eq!(places.of(108, 50), (8, 2), "cut off at the gap");
        assert_eq!(places.of(150, 10), (10, 0), "in the gap, over before its end");
        assert_eq!(places.of(195, 10), (10, 5), "begins in the gap");
        assert_eq!(places.of(0, 105), (0, 5));
        assert_eq!(places.of(219, 3), (29, 1));
        assert_eq!(places.of(300, 3), (35, 0), "after the end");
        assert_eq!(places.of(u64::MAX, u64::MAX), (35, 0));
    }

    #[test]
    fn a_recording_given_up_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer =
            RecordingWriter::create(&dir.path().join("a"), RecordingInfo::default()).unwrap();
        writer.write(0, &samples(0, 10)).unwrap();
        writer.annotate(Annotation::new(0, 5, "x")).unwrap();
        assert!(files(dir.path()) > 0);
        drop(writer);
        assert_eq!(files(dir.path()), 0);
        let writer =
            RecordingWriter::create(&dir.path().join("a"), RecordingInfo::default()).unwrap();
        let error = writer.finish().unwrap_err();
        assert!(matches!(error.kind, ErrorKind::Empty { .. }), "{error}");
        assert_eq!(files(dir.path()), 0);
    }

    #[test]
    fn samples_out_of_time_or_out_of_range_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer =
            RecordingWriter::create(&dir.path().join("a"), RecordingInfo::default()).unwrap();
        writer.write(100, &samples(0, 10)).unwrap();
        let error = writer.write(109, &samples(0, 1)).unwrap_err();
        assert!(matches!(error.kind, ErrorKind::TimeBackwards { time: 109, expected: 110 }));
        let error = writer.write(110, &[Complex32::new(f32::NAN, 0.0)]).unwrap_err();
        assert!(matches!(error.kind, ErrorKind::NotFinite { sample: 10, byte: 80, .. }));
        for info in [
            RecordingInfo { sample_rate_hz: f64::NAN, ..Default::default() },
            RecordingInfo { full_scale: 0.0, ..Default::default() },
        ] {
            assert!(RecordingWriter::create(&dir.path().join("b"), info).is_err());
        }
    }

    #[test]
    fn annotations_out_of_order_are_sorted() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("a.b");
        let mut writer = RecordingWriter::create(&base, RecordingInfo::default()).unwrap();
        writer.annotate(Annotation::new(70, 5, "late").with("snr_db", 12.5)).unwrap();
        writer.annotate(Annotation::new(20, 5, "early")).unwrap();
        writer.write(10, &samples(0, 100)).unwrap();
        let member = writer.finish().unwrap();
        assert_eq!((member.name.as_str(), member.annotations), ("a.b", 2));
        let recording = Recording::open(&base).unwrap();
        assert_eq!(
            recording.annotations(),
            [Annotation::new(20, 5, "early"), Annotation::new(70, 5, "late").with("snr_db", 12.5)]
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn what_is_written_is_read(
            stretches in prop::collection::vec((0u64..50, 1usize..200), 1..8),
            chunk in 1usize..300,
            integer in any::<bool>(),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let base = dir.path().join("a");
            let datatype = if integer { Datatype::Ci16Le } else { Datatype::Cf32Le };
            // Whole numbers below 2^15 at full scale 2^15 survive integers.
            let info = RecordingInfo { datatype, full_scale: 32768.0, ..Default::default() };
            let mut writer = RecordingWriter::create(&base, info).unwrap();
            let (mut time, mut expected) = (0, Vec::new());
            for (gap, len) in stretches {
                time += gap;
                let stretch = samples(time, len);
                writer.write(time, &stretch).unwrap();
                expected.extend((time..).zip(stretch));
                time += len as u64;
            }
            let member = writer.finish().unwrap();
            prop_assert_eq!((member.samples, member.clipped), (expected.len() as u64, 0));
            let mut reader = Recording::open(&base).unwrap().samples().unwrap();
            let (mut found, mut out) = (Vec::new(), Vec::new());
            while let Some(time) = reader.read(&mut out, chunk).unwrap() {
                found.extend((time..).zip(out.iter().copied()));
            }
            prop_assert_eq!(found, expected);
        }
    }
}
