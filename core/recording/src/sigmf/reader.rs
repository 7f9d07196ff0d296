//! Reading a recording: its description checked field by field, its samples against their checksum.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha512};

use crate::error::{ErrorKind, RecordingError, io};
use crate::regular;
use crate::samples::{Datatype, SampleReader, Segment, sample_count};
use crate::sigmf::file_names;
use crate::sigmf::types::{Annotation, take_fields};

/// A recording whose description is valid and whose samples match it.
#[derive(Clone, Debug)]
pub struct Recording {
    data_path: PathBuf,
    datatype: Datatype,
    full_scale: f32,
    sample_rate_hz: Option<f64>,
    frequency_hz: Option<f64>,
    description: Option<String>,
    collection: Option<String>,
    fields: Map<String, Value>,
    segments: Vec<Segment>,
    annotations: Vec<Annotation>,
    warnings: Vec<String>,
    samples: u64,
}

/// The three parts of a description; what is in them is checked by hand, so that errors name fields.
#[derive(Deserialize)]
struct Meta {
    global: Map<String, Value>,
    captures: Vec<Map<String, Value>>,
    annotations: Vec<Map<String, Value>>,
}

impl Recording {
    /// Opens the recording that `path` names, with or without extension, and verifies all of it: this reads the data
    /// once. Checked are the fields that matter here, the length of the data against them, and `core:sha512` where given.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        Self::open_with(path, true)
    }

    /// As [`Recording::open`], without `core:sha512`: the data are not read. Hashing a sample takes several times as long
    /// as receiving it.
    pub fn open_unverified(path: &Path) -> Result<Self, RecordingError> {
        Self::open_with(path, false)
    }

    fn open_with(path: &Path, with_hash: bool) -> Result<Self, RecordingError> {
        let (meta_path, data_path) = file_names(path);
        let text = regular::read(&meta_path)?;
        if text.is_empty() {
            let kind = ErrorKind::Empty { expected: "a SigMF description".into() };
            return Err(RecordingError::new(&meta_path, kind));
        }
        let meta: Meta = serde_json::from_slice(&text).map_err(|error| {
            RecordingError::new(
                &meta_path,
                ErrorKind::Json {
                    line: error.line(),
                    column: error.column(),
                    message: error.to_string(),
                },
            )
        })?;
        let global = Object { path: &meta_path, name: "global".into(), fields: &meta.global };
        let datatype = check_global(&global)?;
        let samples = sample_count(&data_path, datatype)?;
        let offset = global.unsigned("core:offset")?.unwrap_or(0);
        let truncated = |expected: u64, field: String| {
            RecordingError::new(&data_path, ErrorKind::Truncated { samples, expected, field })
        };

        let mut segments: Vec<Segment> = Vec::with_capacity(meta.captures.len());
        for (number, fields) in meta.captures.iter().enumerate() {
            let capture = Object { path: &meta_path, name: format!("captures[{number}]"), fields };
            if capture.unsigned("core:header_bytes")?.unwrap_or(0) != 0 {
                return capture.refuse("core:header_bytes", "0: only samples in the data file");
            }
            let start = capture.required("core:sample_start")?;
            let given = capture.unsigned("core:global_index")?;
            let least = segments.last().map_or(offset, |segment| segment.index + offset);
            let Some(index) = start.checked_sub(offset).filter(|_| start >= least) else {
                return capture.refuse("core:sample_start", &format!("at least {least}"));
            };
            if index > samples {
                return Err(truncated(index, format!("{}.core:sample_start", capture.name)));
            }
            // Where nothing is said, counting goes on from the capture before.
            let mut next = start;
            if let Some(last) = segments.last_mut() {
                last.len = index - last.index;
                next = last.time + last.len;
                if given.is_some_and(|time| time < next) {
                    return capture.refuse("core:global_index", &format!("at least {next}"));
                }
            }
            let time = given.unwrap_or(next);
            if time > i64::MAX as u64 {
                return capture.refuse("core:global_index", "at most 2^63 - 1");
            }
            segments.push(Segment { index, time, len: samples - index });
        }
        if segments.is_empty() {
            segments.push(Segment { index: 0, time: 0, len: samples });
        }

        let mut warnings = Vec::new();
        let mut annotations: Vec<Annotation> = Vec::with_capacity(meta.annotations.len());
        for (number, fields) in meta.annotations.iter().enumerate() {
            let object =
                Object { path: &meta_path, name: format!("annotations[{number}]"), fields };
            if fields.get("core:label") == Some(&Value::Null) {
                let place = format!("{}: {}.core:label", meta_path.display(), object.name);
                warnings.push(format!("{place} is null and stands for no label"));
            }
            // The samples can be read whatever is said about them.
            match annotation(&object, offset, samples, &segments) {
                Ok(annotation) => annotations.push(annotation),
                Err(error) => warnings.push(format!("{error}; the annotation is left out")),
            }
        }

        if let Some(expected) = global.text("core:sha512")?.filter(|_| with_hash) {
            let found = sha512_of(&data_path)?;
            check_hash(&data_path, &found, &expected, "global.core:sha512")?;
        }
        let full_scale = match (datatype, global.number("crqkd:full_scale")?) {
            (Datatype::Ci16Le, Some(scale)) if scale > 0.0 && scale as f32 > 0.0 => scale as f32,
            (Datatype::Ci16Le, Some(_)) => {
                return global.refuse("crqkd:full_scale", "a positive number");
            }
            _ => 1.0,
        };
        let frequency_hz = match meta.captures.first() {
            Some(fields) => Object { path: &meta_path, name: "captures[0]".into(), fields }
                .number("core:frequency")?,
            None => None,
        };
        Ok(Self {
            sample_rate_hz: global.number("core:sample_rate")?,
            frequency_hz,
            description: global.text("core:description")?,
            collection: global.text("core:collection")?,
            fields: take_fields(&meta.global),
            data_path,
            datatype,
            full_scale,
            segments,
            annotations,
            warnings,
            samples,
        })
    }

    /// A reader at the first sample.
    pub fn samples(&self) -> Result<SampleReader, RecordingError> {
        SampleReader::open(
            &self.data_path,
            self.datatype,
            self.full_scale,
            self.sample_rate_hz,
            Some(self.segments.clone()),
        )
        .map(|reader| reader.with_warnings(self.warnings.clone()))
    }

    /// The annotations in the order of their samples, in air time.
    pub fn annotations(&self) -> &[Annotation] {
        &self.annotations
    }

    /// What is wrong with the description without keeping anybody from reading the samples, a sentence each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The stretches without a gap, as air time and number of samples.
    pub fn captures(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.segments.iter().map(|segment| (segment.time, segment.len))
    }

    /// Number of samples in the recording, gaps not counted.
    pub fn len(&self) -> u64 {
        self.samples
    }

    /// Never: a recording has at least one sample.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// How the samples are stored.
    pub fn datatype(&self) -> Datatype {
        self.datatype
    }

    /// Sampling rate in samples a second; `None` when the description gives none.
    pub fn sample_rate_hz(&self) -> Option<f64> {
        self.sample_rate_hz
    }

    /// Centre frequency of the first capture in Hz; `None` when the description gives none.
    pub fn frequency_hz(&self) -> Option<f64> {
        self.frequency_hz
    }

    /// What was recorded, in words; `None` when the description does not say.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Name of the collection that the recording belongs to.
    pub fn collection(&self) -> Option<&str> {
        self.collection.as_deref()
    }

    /// The global fields of our namespace, without it.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }
}

/// Checks the fields of the global object that decide whether the recording can be read here.
fn check_global(global: &Object<'_>) -> Result<Datatype, RecordingError> {
    let version = global.text("core:version")?.unwrap_or_default();
    if !["0.", "1."].iter().any(|major| version.starts_with(major)) {
        return global.refuse("core:version", "0.x or 1.x");
    }
    let Some(datatype) = Datatype::parse(&global.text("core:datatype")?.unwrap_or_default()) else {
        return global.refuse("core:datatype", "\"cf32_le\" or \"ci16_le\"");
    };
    if global.unsigned("core:num_channels")?.is_some_and(|channels| channels != 1) {
        return global.refuse("core:num_channels", "1");
    }
    if global.number("core:sample_rate")?.is_some_and(|rate| rate <= 0.0 || rate > 1e12) {
        return global.refuse("core:sample_rate", "above 0, at most 1e12");
    }
    if global.text("core:dataset")?.is_some_and(|name| !name.is_empty()) {
        return global.refuse("core:dataset", "none: only samples in a .sigmf-data file");
    }
    if global.unsigned("core:trailing_bytes")?.unwrap_or(0) != 0 {
        return global.refuse("core:trailing_bytes", "0: only samples in the data file");
    }
    if global.fields.get("core:metadata_only") == Some(&Value::Bool(true)) {
        return global.refuse("core:metadata_only", "false: a recording with its samples");
    }
    let extensions = global.fields.get("core:extensions").and_then(Value::as_array);
    for extension in extensions.into_iter().flatten() {
        let known = extension["name"] == "crqkd";
        if !known && extension["optional"] == Value::Bool(false) {
            return global.refuse("core:extensions", "no extension that is needed but unknown");
        }
    }
    Ok(datatype)
}

/// What one annotation says, in air time.
fn annotation(
    object: &Object<'_>,
    offset: u64,
    samples: u64,
    segments: &[Segment],
) -> Result<Annotation, RecordingError> {
    let start = object.required("core:sample_start")?;
    let count = object.unsigned("core:sample_count")?;
    let Some(index) = start.checked_sub(offset) else {
        return object.refuse("core:sample_start", &format!("at least {offset}"));
    };
    let expected = index.saturating_add(count.unwrap_or(0));
    if expected > samples {
        let kind = ErrorKind::Truncated { samples, expected, field: object.name.clone() };
        return Err(RecordingError::new(object.path, kind));
    }
    let segment = segments[segments.partition_point(|s| s.index <= index).saturating_sub(1)];
    Ok(Annotation {
        start: segment.time + index.saturating_sub(segment.index),
        count: count.unwrap_or((segment.index + segment.len).saturating_sub(index)),
        label: object.text("core:label")?.unwrap_or_default(),
        comment: object.text("core:comment")?,
        fields: take_fields(object.fields),
    })
}

/// An object of the description, with its place for errors. A field that is null says nothing, as one that is not there.
pub(crate) struct Object<'a> {
    pub(crate) path: &'a Path,
    pub(crate) name: String,
    pub(crate) fields: &'a Map<String, Value>,
}

impl Object<'_> {
    /// An error about `field`, with the value that it has.
    pub(crate) fn refuse<T>(&self, field: &str, expected: &str) -> Result<T, RecordingError> {
        let found = self
            .fields
            .get(field)
            .map_or("missing".to_string(), |value| value.to_string().chars().take(80).collect());
        let field = format!("{}.{field}", self.name);
        let kind = ErrorKind::Field { field, found, expected: expected.into() };
        Err(RecordingError::new(self.path, kind))
    }

    pub(crate) fn text(&self, field: &str) -> Result<Option<String>, RecordingError> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => self.refuse(field, "a string"),
        }
    }

    fn unsigned(&self, field: &str) -> Result<Option<u64>, RecordingError> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number) => Ok(Some(number)),
                None => self.refuse(field, "a whole number, 0 or more"),
            },
        }
    }

    fn required(&self, field: &str) -> Result<u64, RecordingError> {
        match self.unsigned(field)? {
            Some(number) => Ok(number),
            None => self.refuse(field, "a whole number, 0 or more"),
        }
    }

    fn number(&self, field: &str) -> Result<Option<f64>, RecordingError> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_f64() {
                Some(number) => Ok(Some(number)),
                None => self.refuse(field, "a number"),
            },
        }
    }
}

/// SHA-512 of a file, in hexadecimal.
pub(crate) fn sha512_of(path: &Path) -> Result<String, RecordingError> {
    let mut file = regular::open(path)?;
    let (mut hash, mut bytes) = (Sha512::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut bytes).map_err(io(path, "read"))? {
            0 => return Ok(hex::encode(hash.finalize())),
            count => hash.update(&bytes[..count]),
        }
    }
}

/// Compares the hash of `path` with the one that `field` promises.
pub(crate) fn check_hash(
    path: &Path,
    found: &str,
    expected: &str,
    field: &str,
) -> Result<(), RecordingError> {
    if found.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    let short = |hash: &str| hash.chars().take(16).collect::<String>() + "…";
    let kind = ErrorKind::Checksum {
        found: short(found),
        expected: short(expected),
        field: field.to_string(),
    };
    Err(RecordingError::new(path, kind))
}
