//! What is done to one file of key: opened, locked, read and wiped.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use zeroize::Zeroizing;

use super::MAX_KEY_FILE_BYTES;

/// Opens a file for reading and wiping, but neither a link nor something that would be waited for.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        libc::O_NOFOLLOW | libc::O_NONBLOCK,
    );
    options.open(path)
}

/// Locks a file against other processes, until it is closed; false when one of them has it.
pub(super) fn lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Opens a regular file that is neither empty nor too long.
pub(super) fn usable(path: &Path) -> io::Result<File> {
    let about = fs::symlink_metadata(path)?;
    if !about.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let file = open(path)?;
    let about = file.metadata()?;
    match about.len() {
        _ if !about.is_file() => Err(io::Error::other("not a regular file")),
        0 => Err(io::Error::other("empty")),
        MAX_KEY_FILE_BYTES.. => Err(io::Error::other(format!(
            "{} bytes, fewer than {MAX_KEY_FILE_BYTES} are taken",
            about.len()
        ))),
        _ => Ok(file),
    }
}

/// What a claimed file holds while a process uses what was in it.
const IN_USE: &[u8] = b"in use\n";

/// Says that a process, which has the file locked, uses what was in it. Whoever finds this in a file that nobody has locked knows
/// that the process died, and with it what it had not used.
pub(super) fn mark_in_use(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(IN_USE)?;
    file.sync_all()
}

/// Whether a file says so.
pub(super) fn was_in_use(file: &mut File) -> io::Result<bool> {
    file.seek(SeekFrom::Start(0))?;
    Ok(file.metadata()?.len() == IN_USE.len() as u64 && read(file)?[..] == *IN_USE)
}

/// All that a file holds.
pub(super) fn read(file: &mut File) -> io::Result<Zeroizing<Vec<u8>>> {
    let length = file.metadata()?.len();
    let mut bytes = Zeroizing::new(Vec::with_capacity(length as usize));
    Read::take(&*file, MAX_KEY_FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Overwrites what a file holds and empties it. On media that write elsewhere, as flash does, old copies may remain.
pub(super) fn wipe(file: &mut File) -> io::Result<()> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(0))?;
    io::copy(&mut io::repeat(0).take(length), file)?;
    file.sync_all()?;
    file.set_len(0)?;
    file.sync_all()
}
