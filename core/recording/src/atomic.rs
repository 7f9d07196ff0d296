//! Files that are there whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::unfinished;

use sha2::{Digest, Sha512};

use crate::error::{ErrorKind, RecordingError, io};

/// A file that is written under a temporary name beside its own (`.NAME.PID-N.tmp`) and renamed by
/// [`finish`](Self::finish). Dropped before, it is removed, and so it is by
/// [`remove_unfinished`](crate::remove_unfinished); killed before, it leaves only the temporary file.
///
/// Only a regular file is replaced. Where the name is a symbolic link, the file that it points to is, and the link stays.
#[derive(Debug)]
pub struct AtomicFile {
    writer: BufWriter<File>,
    hash: Sha512,
    temporary: Temporary,
    target: PathBuf,
}

impl AtomicFile {
    /// Starts the file that will be at `target`; its directory must exist.
    ///
    /// # Errors
    /// [`ErrorKind::NoFolder`] when it does not, [`ErrorKind::NotRegular`] when a device, a pipe or a socket is there,
    /// [`ErrorKind::Io`] when the file cannot be made.
    pub fn create(target: &Path) -> Result<Self, RecordingError> {
        Self::open(target, &mut OpenOptions::new())
    }

    /// As [`create`](Self::create), for a file that only its owner may read and write.
    pub fn create_private(target: &Path) -> Result<Self, RecordingError> {
        Self::open(target, private(&mut OpenOptions::new()))
    }

    fn open(target: &Path, options: &mut OpenOptions) -> Result<Self, RecordingError> {
        let target = followed(target)?;
        let (temporary, file) = open(&target, options.write(true).read(true).create_new(true))?;
        let writer = BufWriter::with_capacity(1 << 16, file);
        Ok(Self { writer, hash: Sha512::new(), temporary, target })
    }

    /// Appends bytes to the temporary file and to the hash.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), RecordingError> {
        self.hash.update(bytes);
        self.writer.write_all(bytes).map_err(io(&self.target, "write"))
    }

    /// SHA-512 of what was written so far, in hexadecimal.
    pub fn sha512(&self) -> String {
        hex::encode(self.hash.clone().finalize())
    }

    /// Puts the file in its place, over one that is there, and returns the SHA-512 of its content.
    ///
    /// # Errors
    /// Those of the disk; the file is then not there, or is what it was before.
    pub fn finish(mut self) -> Result<String, RecordingError> {
        let path = &self.target;
        self.writer.flush().map_err(io(path, "write"))?;
        self.writer.get_ref().sync_all().map_err(io(path, "write"))?;
        self.temporary.rename_to(path).map_err(io(path, "rename the temporary file"))?;
        sync_folder_of(path).map_err(io(path, "sync the folder"))?;
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

/// A folder that is filled under a temporary name beside its own (`.NAME.PID-N.tmp`) and renamed by
/// [`finish`](Self::finish). Dropped before, it is removed with its content, and so it is by
/// [`remove_unfinished`](crate::remove_unfinished).
#[derive(Debug)]
pub struct AtomicFolder {
    temporary: Temporary,
    target: PathBuf,
}

impl AtomicFolder {
    /// Starts the folder that will be at `target`, which must not exist or be empty. Folders above it are made.
    ///
    /// # Errors
    /// [`ErrorKind::Exists`] when there is something in it, those of the operating system.
    pub fn create(target: &Path) -> Result<Self, RecordingError> {
        if target.exists() {
            let mut entries = std::fs::read_dir(target).map_err(io(target, "list"))?;
            if entries.next().is_some() {
                return Err(RecordingError::new(target, ErrorKind::Exists));
            }
        }
        // A path without a parent, like `run`, lies in the working directory.
        if let Some(parent) = folder_of(target) {
            std::fs::create_dir_all(parent).map_err(io(parent, "create the directory"))?;
        }
        let (temporary, ()) = Temporary::new(target, |path| std::fs::create_dir(path))
            .map_err(io(target, "create the directory"))?;
        Ok(Self { temporary, target: target.to_path_buf() })
    }

    /// Where its files are until it is finished: whatever is put there comes along.
    pub fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// The path that the folder gets when it is finished.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Puts the folder in its place.
    ///
    /// # Errors
    /// Those of the operating system, also when something has come into the place in the meantime.
    pub fn finish(mut self) -> Result<(), RecordingError> {
        let target = &self.target;
        if target.exists() {
            // Only an empty directory can be removed so.
            std::fs::remove_dir(target).map_err(io(target, "replace the directory"))?;
        }
        self.temporary.rename_to(target).map_err(io(target, "rename the temporary directory"))?;
        sync_folder_of(target).map_err(io(target, "sync the folder"))
    }
}

/// Writes a file that only the owner may read; it must not exist. It is complete and durable, or not there. No copy of
/// the bytes is kept in memory.
///
/// # Errors
/// [`ErrorKind::FileExists`], [`ErrorKind::NoFolder`], those of the disk.
pub fn write_new_private(target: &Path, bytes: &[u8]) -> Result<(), RecordingError> {
    if target.symlink_metadata().is_ok() {
        return Err(RecordingError::new(target, ErrorKind::FileExists));
    }
    let mut options = OpenOptions::new();
    let options = private(&mut options).write(true).create_new(true);
    let (mut temporary, mut file) = open(target, options)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io(target, "write"))?;
    temporary.rename_to_new(target).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => RecordingError::new(target, ErrorKind::FileExists),
        _ => io(target, "rename the temporary file")(error),
    })?;
    sync_folder_of(target).map_err(io(target, "sync the folder"))
}

/// Only the owner may read and write what is made.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// A new name is durable when its folder is. Where folders cannot be synced, nothing is done.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(folder_of(path).unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(())
}

/// Where a file of this name really lies.
fn followed(target: &Path) -> Result<PathBuf, RecordingError> {
    let metadata = match target.symlink_metadata() {
        Ok(metadata) => metadata,
        // Nothing there, or nothing that can be seen: the system says which when the file is made.
        Err(_) => return Ok(target.to_path_buf()),
    };
    // `/dev/stdout` is a link to what may have no path.
    if target.metadata().is_ok_and(|file| !file.is_file() && !file.is_dir()) {
        return Err(RecordingError::new(target, ErrorKind::NotRegular));
    }
    if metadata.is_symlink() {
        let file = target.canonicalize().map_err(io(target, "follow the link"))?;
        return followed(&file);
    }
    Ok(target.to_path_buf())
}

/// A file under a temporary name beside `target`.
fn open(target: &Path, options: &OpenOptions) -> Result<(Temporary, File), RecordingError> {
    if target.is_dir() {
        return Err(RecordingError::new(target, ErrorKind::IsFolder));
    }
    Temporary::new(target, |path| options.open(path)).map_err(|error| {
        match folder_of(target).filter(|folder| !folder.exists()) {
            Some(folder) => {
                RecordingError::new(target, ErrorKind::NoFolder { folder: folder.to_path_buf() })
            }
            None => io(target, "create the file")(error),
        }
    })
}

/// The folder that a file lies in, when its path names one.
fn folder_of(path: &Path) -> Option<&Path> {
    path.parent().filter(|folder| !folder.as_os_str().is_empty())
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
            match unfinished::begin(&path, || make(&path)) {
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
        unfinished::end(&self.path, || std::fs::rename(&self.path, target))?;
        self.in_place = true;
        Ok(())
    }

    /// Fails when there is something at `target`.
    fn rename_to_new(&mut self, target: &Path) -> io::Result<()> {
        unfinished::end(&self.path, || {
            let path = tempfile::TempPath::try_from_path(&self.path)?;
            path.persist_noclobber(target).map_err(|error| error.error)
        })?;
        self.in_place = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.in_place {
            unfinished::remove(&self.path);
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
        assert_eq!(error.to_string(), "nowhere/a.txt: the folder nowhere does not exist");
        let dir = tempfile::tempdir().unwrap();
        let error = AtomicFile::create(dir.path()).unwrap_err();
        assert!(error.to_string().ends_with("is a folder, expected a file"), "{error}");
    }

    #[test]
    #[cfg(unix)]
    fn devices_pipes_and_links_are_not_replaced() {
        use std::os::unix::fs::FileTypeExt;
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        for (path, what) in [(pipe.as_path(), "pipe"), (Path::new("/dev/null"), "device")] {
            let error = AtomicFile::create(path).unwrap_err();
            assert!(error.to_string().ends_with("is no regular file"), "{what}: {error}");
        }
        assert!(pipe.metadata().unwrap().file_type().is_fifo());
        let (link, file) = (dir.path().join("link"), dir.path().join("file"));
        std::os::unix::fs::symlink("file", &link).unwrap();
        AtomicFile::create(&link).unwrap_err(); // it points to nothing
        std::fs::write(&file, "before").unwrap();
        let mut written = AtomicFile::create(&link).unwrap();
        AtomicFile::write(&mut written, b"after").unwrap();
        written.finish().unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "after");
        assert_eq!(names(dir.path()), ["file", "link", "pipe"]);
    }

    #[test]
    fn a_private_file_is_its_owners_and_never_replaces_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        write_new_private(&path, b"key").unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let error = write_new_private(&path, b"another").unwrap_err();
        assert!(error.to_string().ends_with("the file exists already"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"key");
        assert_eq!(names(dir.path()), ["secret"]);
    }
}
