//! The recordings of one run, in one directory, tied by their hashes.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::atomic::{AtomicFile, AtomicFolder};
use crate::error::{ErrorKind, RecordingError, io};
use crate::regular;
use crate::sigmf::reader::{Object, Recording, check_hash, sha512_of};
use crate::sigmf::types::{RecordingInfo, put_fields, take_fields};
use crate::sigmf::writer::{Member, RecordingWriter};
use crate::sigmf::{VERSION, extensions, file_names};

/// File name extension of a SigMF collection, without the dot.
const EXTENSION: &str = "sigmf-collection";

/// Writes the directory of a run. Everything goes to a temporary directory beside it, which [`finish`](Self::finish)
/// renames; dropped before, the run leaves nothing.
#[derive(Debug)]
pub struct RunWriter {
    name: String,
    folder: AtomicFolder,
}

impl RunWriter {
    /// Starts the run that will be in `dir`, a directory that does not exist or is empty, as a collection called `name`
    /// (letters, digits, `.`, `_` and `-`).
    pub fn create(dir: &Path, name: &str) -> Result<Self, RecordingError> {
        check_name(dir, "name of the collection", name)?;
        Ok(Self { name: name.to_string(), folder: AtomicFolder::create(dir)? })
    }

    /// Where files of the run are until it is finished: whatever is put there comes along.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Starts one of its recordings; the name is of the same form as the collection's. The writer may be finished on
    /// another thread, before the run is.
    pub fn recording(
        &self,
        name: &str,
        info: RecordingInfo,
    ) -> Result<RecordingWriter, RecordingError> {
        check_name(self.folder.target(), "name of the recording", name)?;
        RecordingWriter::create_in(&self.path().join(name), info, Some(self.name.clone()))
    }

    /// Writes the collection of `members`, with `fields` in our namespace, and puts the directory in its place.
    pub fn finish(
        self,
        members: &[Member],
        fields: Map<String, Value>,
    ) -> Result<(), RecordingError> {
        let streams: Vec<Value> = members
            .iter()
            .map(|member| json!({ "name": member.name, "hash": member.meta_sha512 }))
            .collect();
        let mut collection = Map::new();
        collection.insert("core:version".into(), VERSION.into());
        collection.insert("core:extensions".into(), extensions());
        collection.insert("core:streams".into(), streams.into());
        put_fields(&mut collection, &fields);
        let text = serde_json::to_string_pretty(&json!({ "collection": collection }))
            .expect("invariant: JSON values serialise");
        let mut file = AtomicFile::create(&self.path().join(format!("{}.{EXTENSION}", self.name)))?;
        file.write(text.as_bytes())?;
        file.write(b"\n")?;
        file.finish()?;
        self.folder.finish()
    }
}

/// A collection whose members are all there, with the descriptions that it knows.
#[derive(Clone, Debug)]
pub struct Collection {
    path: PathBuf,
    members: Vec<String>,
    fields: Map<String, Value>,
}

#[derive(Deserialize)]
struct File {
    collection: Map<String, Value>,
}

impl Collection {
    /// Opens a `.sigmf-collection`, or the only one in a directory. Both files of every member must be there, and its
    /// description must have the hash that is listed; the samples are verified when a recording is opened.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let path = if path.is_dir() { only_collection(path)? } else { path.to_path_buf() };
        let text = regular::read(&path)?;
        if text.is_empty() {
            let kind = ErrorKind::Empty { expected: "a SigMF collection".into() };
            return Err(RecordingError::new(&path, kind));
        }
        let file: File = serde_json::from_slice(&text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            RecordingError::new(&path, ErrorKind::Json { line, column, message: error.to_string() })
        })?;
        let object = Object { path: &path, name: "collection".into(), fields: &file.collection };
        if object.text("core:version")?.is_none() {
            return object.refuse("core:version", "the version of SigMF");
        }
        let Some(streams) = file.collection.get("core:streams").and_then(Value::as_array) else {
            return object.refuse("core:streams", "a list of recordings");
        };
        if streams.is_empty() {
            return object.refuse("core:streams", "at least one recording");
        }
        let dir = path.parent().unwrap_or(Path::new(""));
        let mut members: Vec<String> = Vec::new();
        for (number, stream) in streams.iter().enumerate() {
            let field = format!("collection.core:streams[{number}]");
            let (Some(name), Some(hash)) = (stream["name"].as_str(), stream["hash"].as_str())
            else {
                return object.refuse("core:streams", "objects with a name and a hash");
            };
            check_name(&path, &format!("{field}.name"), name)?;
            if members.iter().any(|member| member == name) {
                return object.refuse("core:streams", "recordings with different names");
            }
            let (meta, data) = file_names(&dir.join(name));
            for file in [&meta, &data] {
                if !file.is_file() {
                    let (name, file) = (name.to_string(), file.clone());
                    let kind = ErrorKind::MissingMember { field, name, file };
                    return Err(RecordingError::new(&path, kind));
                }
            }
            let promise = format!("{field}.hash of {}", path.display());
            check_hash(&meta, &sha512_of(&meta)?, hash, &promise)?;
            members.push(name.to_string());
        }
        let fields = take_fields(&file.collection);
        Ok(Self { path, members, fields })
    }

    /// Names of the recordings, in the order of the file.
    pub fn members(&self) -> &[String] {
        &self.members
    }

    /// Opens one of them and verifies its samples.
    pub fn recording(&self, name: &str) -> Result<Recording, RecordingError> {
        if !self.members.iter().any(|member| member == name) {
            let kind = ErrorKind::NoSuchMember { name: name.into(), members: self.members.clone() };
            return Err(RecordingError::new(&self.path, kind));
        }
        Recording::open(&self.path.with_file_name(name))
    }

    /// The fields of our namespace, without it.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// Path of the collection's description file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn only_collection(dir: &Path) -> Result<PathBuf, RecordingError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io(dir, "list"))? {
        let path = entry.map_err(io(dir, "list"))?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            found.push(path);
        }
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        count => Err(RecordingError::new(
            dir,
            ErrorKind::Field {
                field: "the directory".into(),
                found: format!("with {count} .{EXTENSION} files"),
                expected: "one with exactly 1".into(),
            },
        )),
    }
}

/// A name becomes part of a path, so it must not lead anywhere else.
fn check_name(path: &Path, field: &str, name: &str) -> Result<(), RecordingError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !name.is_empty() && !name.starts_with('.') && name.len() <= 100 && name.chars().all(allowed)
    {
        return Ok(());
    }
    let kind = ErrorKind::Field {
        field: field.to_string(),
        found: format!("{name:?}"),
        expected: "1 to 100 letters, digits, '.', '_' and '-', not beginning with '.'".into(),
    };
    Err(RecordingError::new(path, kind))
}
