//! SigMF 1.2.6: recordings with their description, and collections of them.
//!
//! A recording is a data file and a JSON description. Air time is `core:global_index`: each stretch of samples without a
//! gap is one capture, so a radio that listens only in gates makes a small file. Everything of ours that the
//! specification has no name for stands in the namespace `crqkd`.

mod collection;
mod reader;
mod types;
mod writer;

pub use collection::{Collection, RunWriter};
pub use reader::Recording;
pub use types::{Annotation, RecordingInfo};
pub use writer::{Member, RecordingWriter};

/// Version of the specification that is written.
pub(crate) const VERSION: &str = "1.2.6";

/// Prefix of the fields that the specification does not have.
pub(crate) const NAMESPACE: &str = "crqkd:";

/// `core:extensions`: declares the namespace; a reader may ignore it.
pub(crate) fn extensions() -> serde_json::Value {
    serde_json::json!([{ "name": "crqkd", "version": "0.1.0", "optional": true }])
}

/// The files `BASE.sigmf-meta` and `BASE.sigmf-data` of the recording that `path` names with or without extension.
pub(crate) fn file_names(path: &std::path::Path) -> (std::path::PathBuf, std::path::PathBuf) {
    let base = match path.extension().and_then(|extension| extension.to_str()) {
        Some("sigmf-meta" | "sigmf-data") => path.with_extension(""),
        _ => path.to_path_buf(),
    };
    let with = |extension: &str| {
        let mut name = base.clone().into_os_string();
        name.push(extension);
        std::path::PathBuf::from(name)
    };
    (with(".sigmf-meta"), with(".sigmf-data"))
}
