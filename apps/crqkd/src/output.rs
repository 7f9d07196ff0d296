//! What commands write beside standard output. Files are complete or not there, folders are new.

use crate::progress;
use anyhow::{Context, Result};
use crqkd_recording::{AtomicFile, AtomicFolder};
use std::io::{self, ErrorKind, StdoutLock, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Nobody reads standard output any more.
static GONE: AtomicBool = AtomicBool::new(false);

/// Standard output. When its reader goes away, as `head` does, what is written is lost and the command goes on: its exit
/// code, and the files that it writes, do not depend on how much of its words was read.
pub(crate) fn stdout() -> Stdout {
    Stdout(std::io::stdout().lock())
}

/// Whether the reader of standard output has gone, so that there is no use in making more for it.
pub(crate) fn nobody_reads() -> bool {
    GONE.load(Ordering::Relaxed)
}

/// See [`stdout`].
pub(crate) struct Stdout(StdoutLock<'static>);

impl Stdout {
    fn unless_gone<T>(
        &mut self,
        lost: T,
        write: impl FnOnce(&mut StdoutLock<'static>) -> io::Result<T>,
    ) -> io::Result<T> {
        if nobody_reads() {
            return Ok(lost);
        }
        match write(&mut self.0) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                GONE.store(true, Ordering::Relaxed);
                Ok(lost)
            }
            result => result,
        }
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.unless_gone(bytes.len(), |out| out.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.unless_gone((), |out| out.flush())
    }
}

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

/// Writes a file and says so.
pub(crate) fn write_and_say(path: &Path, text: &str) -> Result<()> {
    write(path, text)?;
    progress::note(format_args!("wrote {}", path.display()));
    Ok(())
}

/// Writes a file that is complete or not there, over one that is there.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write(text.as_bytes())?;
    file.finish()?;
    Ok(())
}
