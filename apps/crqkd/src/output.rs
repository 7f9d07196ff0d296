//! What commands write beside standard output. Files are complete or not there, folders are new.

use crate::progress;
use anyhow::{Context, Result};
use crqkd_recording::{AtomicFile, AtomicFolder};
use std::path::{Path, PathBuf};

/// A file that was begun before the work whose result it will hold, so that a path that cannot be written is found
/// before. Dropped without [`finish`](Output::finish), it leaves nothing.
pub(crate) struct Output {
    file: AtomicFile,
    path: PathBuf,
}

impl Output {
    /// Begins the file of an option.
    pub(crate) fn begin(option: &str, path: &Path) -> Result<Self> {
        let file = AtomicFile::create(path).with_context(|| option.to_owned())?;
        Ok(Output { file, path: path.to_owned() })
    }

    /// Writes the file and says so.
    pub(crate) fn finish(mut self, text: &str) -> Result<()> {
        self.file.write(text.as_bytes())?;
        self.file.finish()?;
        progress::note(format_args!("wrote {}", self.path.display()));
        Ok(())
    }
}

/// Begins the folder of an option, which must not exist or be empty.
pub(crate) fn new_folder(option: &str, dir: &Path) -> Result<AtomicFolder> {
    AtomicFolder::create(dir).with_context(|| option.to_owned())
}

/// Writes a file of a folder that is being made.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write(text.as_bytes())?;
    file.finish()?;
    Ok(())
}
