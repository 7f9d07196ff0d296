//! Files that are there whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha512};

use crate::error::{RecordingError, io};

/// A file that is written under a temporary name beside its own (`.NAME.PID-N.tmp`) and renamed by
/// [`finish`](Self::finish). Dropped before, it is removed; killed before, it leaves only the temporary file.
#[derive(Debug)]
pub struct AtomicFile {
    writer: BufWriter<File>,
    hash: Sha512,
    temporary: Temporary,
    target: PathBuf,
}

impl AtomicFile {
    /// Starts the file that will be at `target`; its directory must exist.
    pub fn create(target: &Path) -> Result<Self, RecordingError> {
        let (temporary, file) = Temporary::new(target, |path| {
            OpenOptions::new().write(true).read(true).create_new(true).open(path)
        })
        .map_err(io(target, "create the file"))?;
        let writer = BufWriter::with_capacity(1 << 16, file);
        Ok(Self { writer, hash: Sha512::new(), temporary, target: target.to_path_buf() })
    }

    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), RecordingError> {
        self.hash.update(bytes);
        self.writer.write_all(bytes).map_err(io(&self.target, "write"))
    }

    /// SHA-512 of what was written so far, in hexadecimal.
    pub fn sha512(&self) -> String {
        hex::encode(self.hash.clone().finalize())
    }

    /// Puts the file in its place, over one that is there, and returns the SHA-512 of its content.
    pub fn finish(mut self) -> Result<String, RecordingError> {
        let path = &self.target;
        self.writer.flush().map_err(io(path, "write"))?;
        self.writer.get_ref().sync_all().map_err(io(path, "write"))?;
        self.temporary.rename_to(path).map_err(io(path, "rename the temporary file"))?;
        Ok(hex::encode(self.hash.finalize()))
    }

    /// The content written so far, for reading back; the file is then removed.
    pub(crate) fn into_content(mut self) -> Result<(File, Temporary), RecordingError> {
        use std::io::Seek;
        self.writer.flush().map_err(io(&self.target, "write"))?;
        let mut file = self
            .writer
            .into_inner()
            .map_err(|error| io(&self.target, "write")(error.into_error()))?;
        file.rewind().map_err(io(&self.target, "read back"))?;
        Ok((file, self.temporary))
    }
}

impl io::Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.writer.write(bytes)?;
        self.hash.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// A file or directory under a temporary name, removed when dropped.
#[derive(Debug)]
pub(crate) struct Temporary {
    path: PathBuf,
    in_place: bool,
}

impl Temporary {
    /// Makes the first of `.NAME.PID-0.tmp`, `.NAME.PID-1.tmp`, … that `make` finds free.
    pub(crate) fn new<T>(
        target: &Path,
        make: impl Fn(&Path) -> io::Result<T>,
    ) -> io::Result<(Self, T)> {
        let name = target.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
        for number in 0u32.. {
            let path =
                target.with_file_name(format!(".{name}.{}-{number}.tmp", std::process::id()));
            match make(&path) {
                Ok(made) => return Ok((Self { path, in_place: false }, made)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 1000 => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn rename_to(&mut self, target: &Path) -> io::Result<()> {
        std::fs::rename(&self.path, target)?;
        self.in_place = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.in_place {
            // Nothing can be done about a failure here, and nothing of ours carries the final name.
            let _ = match self.path.is_dir() {
                true => std::fs::remove_dir_all(&self.path),
                false => std::fs::remove_file(&self.path),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_when_it_is_finished() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        let mut file = AtomicFile::create(&path).unwrap();
        AtomicFile::write(&mut file, b"ab").unwrap();
        assert!(!path.exists());
        AtomicFile::write(&mut file, b"c").unwrap();
        let hash = file.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"abc");
        assert_eq!(names(dir.path()), ["a.txt"]);
        // FIPS 180-4, example of SHA-512("abc").
        assert!(hash.starts_with("ddaf35a193617abacc417349ae204131"), "{hash}");
    }

    #[test]
    fn a_file_given_up_leaves_nothing_and_harms_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        std::fs::write(&path, "before").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        let second = AtomicFile::create(&path).unwrap();
        AtomicFile::write(&mut file, b"half").unwrap();
        assert_eq!(names(dir.path()).len(), 3);
        drop((file, second));
        assert_eq!(names(dir.path()), ["a.txt"]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
    }

    #[test]
    fn a_missing_directory_is_reported_with_the_path() {
        let error = AtomicFile::create(Path::new("nowhere/a.txt")).unwrap_err();
        assert_eq!(error.to_string(), "nowhere/a.txt: no such file");
    }
}
