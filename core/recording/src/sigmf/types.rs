//! What a recording says about itself and its frames.

use serde_json::{Map, Value};

use crate::samples::Datatype;
use crate::sigmf::NAMESPACE;

/// The description of a recording to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordingInfo {
    /// How samples are stored: the type of their numbers.
    pub datatype: Datatype,
    /// The amplitude for which the integer 32768 stands ([`Datatype::Ci16Le`]), positive; kept as `crqkd:full_scale`.
    pub full_scale: f32,
    /// Sampling rate in samples a second, positive.
    pub sample_rate_hz: f64,
    /// Centre frequency of the radio in Hz, if known.
    pub frequency_hz: Option<f64>,
    /// What was recorded, in words.
    pub description: Option<String>,
    /// Who made the recording.
    pub author: Option<String>,
    /// The radio that the samples were taken with, in words.
    pub hardware: Option<String>,
    /// URL of the licence under which the recording is published.
    pub license: Option<String>,
    /// When the first sample was taken, ISO 8601 with `Z`; left out where air time is simulated.
    pub datetime: Option<String>,
    /// Anything else, by names without namespace.
    pub fields: Map<String, Value>,
}

impl Default for RecordingInfo {
    /// f32 samples at 20 Msample/s and nothing else said.
    fn default() -> Self {
        Self {
            datatype: Datatype::Cf32Le,
            full_scale: 1.0,
            sample_rate_hz: 20e6,
            frequency_hz: None,
            description: None,
            author: None,
            hardware: None,
            license: None,
            datetime: None,
            fields: Map::new(),
        }
    }
}

/// What is said of a stretch of samples: one for each frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotation {
    /// Air time of the first sample. In a file it names a sample that was recorded: one that lies in a gap is moved to the
    /// end of the gap.
    pub start: u64,
    /// Number of samples; in a file cut off at the next gap.
    pub count: u64,
    /// A short name, at most 20 characters by recommendation.
    pub label: String,
    /// A longer text about the samples.
    pub comment: Option<String>,
    /// Anything else, by names without namespace.
    pub fields: Map<String, Value>,
}

impl Annotation {
    /// An annotation with a label only.
    pub fn new(start: u64, count: u64, label: impl Into<String>) -> Self {
        Self { start, count, label: label.into(), comment: None, fields: Map::new() }
    }

    /// Adds a field of ours; `name` is without namespace.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_string(), value.into());
        self
    }
}

/// Puts `fields` into `target`, each name in our namespace.
pub(crate) fn put_fields(target: &mut Map<String, Value>, fields: &Map<String, Value>) {
    for (name, value) in fields {
        target.insert(format!("{NAMESPACE}{name}"), value.clone());
    }
}

/// The fields of our namespace in `source`, without it.
pub(crate) fn take_fields(source: &Map<String, Value>) -> Map<String, Value> {
    source
        .iter()
        .filter_map(|(name, value)| {
            Some((name.strip_prefix(NAMESPACE)?.to_string(), value.clone()))
        })
        .collect()
}
