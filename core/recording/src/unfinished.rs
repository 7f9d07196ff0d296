//! Files and folders under temporary names that exist now, so that a process that must end at once can remove them.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

static PATHS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn paths() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    PATHS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes something at `path` and notes it.
pub(crate) fn begin<T>(path: &Path, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let mut paths = paths();
    let made = make()?;
    paths.insert(path.to_path_buf());
    Ok(made)
}

/// Gives what is at `path` its final name with `rename`, and forgets it.
pub(crate) fn end(path: &Path, rename: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let mut paths = paths();
    rename()?;
    paths.remove(path);
    Ok(())
}

/// Removes what is at `path`, and forgets it.
pub(crate) fn remove(path: &Path) {
    let mut paths = paths();
    remove_path(path);
    paths.remove(path);
}

fn remove_path(path: &Path) {
    // Nothing can be done about a failure here, and nothing of ours carries the final name.
    let _ = match path.is_dir() {
        true => std::fs::remove_dir_all(path),
        false => std::fs::remove_file(path),
    };
}

/// Removes every file and folder of this process that is under a temporary name. To be called immediately before the
/// process ends: a thread that starts, finishes or drops such a file afterwards waits for ever.
pub fn remove_unfinished() {
    let paths = paths();
    for path in paths.iter() {
        // Another thread may be writing into a folder while it is removed.
        for _ in 0..3 {
            remove_path(path);
            if !path.exists() {
                break;
            }
        }
    }
    std::mem::forget(paths);
}

/// A folder for temporary files, removed with its content when dropped and by [`remove_unfinished`].
#[derive(Debug)]
pub struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    /// Makes the folder `PREFIX-PID` in the operating system's folder for temporary files, for this user only.
    ///
    /// # Errors
    /// Those of the operating system, a folder of that name included.
    pub fn new(prefix: &str) -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("{prefix}-{}", std::process::id()));
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        begin(&path, || builder.create(&path))?;
        Ok(Self(path))
    }

    /// Path of the temporary folder.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        remove(&self.0);
    }
}
