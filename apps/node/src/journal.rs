//! [`Journal`]: records that must survive a power cut, a line each.
//!
//! ```text
//!   1f2e3d4c {"record":"begin","block":7}\n       checksum, space, one JSON object
//! ```
//!
//! The checksum is a CRC-32 over the checksum of the line before and this line's JSON, so that a line that was changed, lost
//! or doubled is found. It is there for accidents: whoever can write the file can write checksums too.
//!
//! A record is durable when `append` returns. Only what an interrupted append left at the very end, the beginning of a line, is
//! cut off when the file is opened again: nothing was built on it. A record that is complete is never cut, and anything else
//! that does not fit is an error, and the file stays as it is.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};
use crc::{CRC_32_ISO_HDLC, Crc};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bounded;

/// An input/output error, as Linux, BSD and macOS number it.
const EIO: i32 = 5;

pub(crate) const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// The disk failed: it is full, read-only or broken. Nothing may be built on what was to be written, and the process that
/// it belongs to ends.
#[derive(Debug, thiserror::Error)]
#[error("{}: {what}", path.display())]
pub struct StorageError {
    /// The file.
    pub path: PathBuf,
    /// What was being done with the file.
    pub what: &'static str,
    /// What the operating system says.
    #[source]
    pub source: io::Error,
}

/// The append, counted in this process from 1, that fails as on a broken disk: half of it is written, and it can neither be
/// taken back nor synced. 0 for none.
static BROKEN_DISK: AtomicU64 = AtomicU64::new(0);
static APPENDS: AtomicU64 = AtomicU64::new(0);

/// Lets an append fail with an input/output error, for tests of what then happens.
pub fn break_disk_at(append: u64) {
    BROKEN_DISK.store(append, Ordering::SeqCst);
}

/// A file that only grows, by whole pieces. After a failed append it takes nothing more: the next piece would stand behind
/// the half of another.
#[derive(Debug)]
pub(crate) struct Appending {
    file: File,
    path: PathBuf,
    len: u64,
    failed: bool,
}

impl Appending {
    /// Opens or creates a file for its owner, locked against other processes, and reads it. A file that is created is durable
    /// with its folder.
    pub(crate) fn open(path: &Path) -> Result<(Self, Vec<u8>)> {
        let new = !path.exists();
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600).custom_flags(libc::O_NONBLOCK);
        }
        let opening = || format!("opening {}", path.display());
        let mut file = options.open(path).with_context(opening)?;
        bounded::check_regular(&file).with_context(opening)?;
        if file.try_lock().is_err() {
            bail!(
                "{} is in use by another process; every process needs a folder of its own",
                path.display()
            );
        }
        let error = |what| storage(path, what);
        if new {
            sync_folder(path).map_err(error("syncing its folder"))?;
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(error("reading"))?;
        let (path, len) = (path.to_owned(), bytes.len() as u64);
        Ok((Self { file, path, len, failed: false }, bytes))
    }

    /// Cuts off what an interrupted append left behind.
    pub(crate) fn cut(&mut self, len: u64) -> Result<()> {
        if len < self.len {
            tracing::warn!(
                "{}: {} bytes of a record that was never finished are cut off",
                self.path.display(),
                self.len - len
            );
            let cut = self.file.set_len(len).and_then(|()| self.file.sync_data());
            cut.map_err(storage(&self.path, "cutting off an unfinished record"))?;
            self.len = len;
        }
        Ok(())
    }

    /// Appends bytes; they are durable when this returns. When it fails they are gone as if they had never been written.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        if self.failed {
            let error = io::Error::other("an earlier write failed");
            return Err(storage(&self.path, "writing")(error).into());
        }
        self.failed = true;
        let broken =
            APPENDS.fetch_add(1, Ordering::SeqCst) + 1 == BROKEN_DISK.load(Ordering::SeqCst);
        let mut write = || {
            self.file.seek(SeekFrom::Start(self.len))?;
            if broken {
                self.file.write_all(&bytes[..bytes.len() / 2])?;
                return Err(io::Error::from_raw_os_error(EIO));
            }
            self.file.write_all(bytes)?;
            self.file.sync_data()
        };
        if let Err(error) = write() {
            if broken {
                return Err(storage(&self.path, "writing")(error).into());
            }
            // If this fails as well the half record stays at the end, where the next start finds and cuts it.
            let _ = self.file.set_len(self.len).and_then(|()| self.file.sync_data());
            return Err(storage(&self.path, "writing")(error).into());
        }
        self.failed = false;
        self.len += bytes.len() as u64;
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

pub(crate) fn storage(
    path: &Path,
    what: &'static str,
) -> impl FnOnce(io::Error) -> StorageError + use<> {
    let path = path.to_owned();
    move |source| StorageError { path, what, source }
}

/// Makes the entry of a file durable in its folder.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    #[cfg(unix)]
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// An append-only file of records.
#[derive(Debug)]
pub struct Journal {
    file: Appending,
    /// Checksum of the last line.
    last: u32,
}

impl Journal {
    /// Opens or creates a journal and reads all of it. A last line without an end is cut off.
    ///
    /// # Errors
    /// A file that cannot be read or written, a line that is damaged or no record, another process that has it open.
    pub fn open<T: DeserializeOwned>(path: &Path) -> Result<(Self, Vec<T>)> {
        let (mut file, bytes) = Appending::open(path)?;
        let (records, last, whole) =
            parse(&bytes).with_context(|| format!("in {}", path.display()))?;
        file.cut(whole as u64)?;
        if !bytes[..whole].ends_with(b"\n") && whole > 0 {
            file.append(b"\n")?;
        }
        Ok((Self { file, last }, records))
    }

    /// True before the first record.
    pub fn is_empty(&self) -> bool {
        self.file.is_empty()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Appends records; they are durable when this returns.
    ///
    /// # Errors
    /// [`StorageError`]. Nothing may then be built on the records, and the journal takes no more.
    pub fn append<T: Serialize>(&mut self, records: &[T]) -> Result<()> {
        let (mut lines, mut last) = (Vec::new(), self.last);
        for record in records {
            let json = serde_json::to_vec(record)?;
            last = checksum(last, &json);
            lines.extend_from_slice(format!("{last:08x} ").as_bytes());
            lines.extend_from_slice(&json);
            lines.push(b'\n');
        }
        self.file.append(&lines)?;
        self.last = last;
        Ok(())
    }
}

/// Reads a journal without opening it for writing; a last line without an end is left out.
///
/// # Errors
/// A file that cannot be read, a line that is damaged or no record.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let mut bytes = Vec::new();
    bounded::regular(path)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .with_context(|| format!("reading {}", path.display()))?;
    let (records, ..) = parse(&bytes).with_context(|| format!("in {}", path.display()))?;
    Ok(records)
}

/// The checksum of a line behind one with the checksum `last`.
pub fn checksum(last: u32, json: &[u8]) -> u32 {
    let mut digest = CHECKSUM.digest();
    digest.update(&last.to_be_bytes());
    digest.update(json);
    digest.finalize()
}

/// The records, the last checksum, and how many bytes they take.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<(Vec<T>, u32, usize)> {
    let (mut records, mut last, mut whole) = (Vec::new(), 0, 0);
    for (number, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        // Zeros are what some file systems leave in place of bytes that did not reach the disk.
        if bytes[whole..].iter().all(|&byte| byte == 0) {
            break;
        }
        let fits = |line: &[u8]| split(line).is_some_and(|(sum, json)| sum == checksum(last, json));
        let record = match line.strip_suffix(b"\n") {
            Some(record) => record,
            None if fits(line) => line,
            None if fits(&line[..line.len() - 1]) => {
                bail!("line {}: its last byte is damaged", number + 1)
            }
            None => break,
        };
        let at = || format!("line {}", number + 1);
        let (found, json) =
            split(record).context("not a checksum and a record").with_context(at)?;
        let expected = checksum(last, json);
        if found != expected {
            bail!(
                "line {}: its checksum is {found:08x}, but it should be {expected:08x}: \
                 the line was changed, or lines before it are missing",
                number + 1
            );
        }
        records.push(serde_json::from_slice(json).with_context(at)?);
        last = found;
        whole += line.len();
    }
    Ok((records, last, whole))
}

fn split(line: &[u8]) -> Option<(u32, &[u8])> {
    let (sum, rest) = line.split_at_checked(8)?;
    let number = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    (format!("{number:08x}").as_bytes() == sum).then_some((number, rest.strip_prefix(b" ")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(path: &Path) -> (Journal, Vec<u32>) {
        Journal::open(path).unwrap()
    }

    #[test]
    fn what_was_cut_off_is_dropped_and_the_rest_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j");
        let (mut file, none) = journal(&path);
        assert!(none.is_empty() && file.is_empty());
        assert!(Journal::open::<u32>(&path).is_err(), "it is locked");
        file.append(&[1u32, 2]).unwrap();
        drop(file);
        let whole = std::fs::read(&path).unwrap();
        let (mut file, _) = journal(&path);
        file.append(&[3u32]).unwrap();
        drop(file);
        let longer = std::fs::read(&path).unwrap();
        for cut in whole.len()..longer.len() - 1 {
            for zeros in [0, 5] {
                std::fs::write(&path, &longer[..cut]).unwrap();
                let mut raw = OpenOptions::new().append(true).open(&path).unwrap();
                raw.write_all(&vec![0; zeros]).unwrap();
                assert_eq!(read::<u32>(&path).unwrap(), [1, 2], "{cut}");
                let (mut file, records) = journal(&path);
                assert_eq!(records, [1, 2]);
                assert_eq!(std::fs::read(&path).unwrap(), whole);
                file.append(&[4u32]).unwrap();
                drop(file);
                assert_eq!(read::<u32>(&path).unwrap(), [1, 2, 4]);
            }
        }
        // Nothing but the end of the line is missing: the record is complete.
        std::fs::write(&path, &longer[..longer.len() - 1]).unwrap();
        let (mut file, records) = journal(&path);
        assert_eq!(records, [1, 2, 3]);
        file.append(&[4u32]).unwrap();
        assert_eq!(read::<u32>(&path).unwrap(), [1, 2, 3, 4]);
    }

    #[test]
    fn any_bit_that_is_flipped_is_found_with_its_line_and_nothing_is_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j");
        let (mut file, _) = journal(&path);
        file.append(&[100u32, 200, 300]).unwrap();
        drop(file);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                std::fs::write(&path, &bytes).unwrap();
                let error = Journal::open::<u32>(&path).unwrap_err();
                assert!(format!("{error:#}").contains("line "), "{error:#}");
                assert_eq!(std::fs::read(&path).unwrap(), bytes, "byte {at}, bit {bit}");
            }
        }
        // A line that is missing, doubled, or moved.
        let lines: Vec<&[u8]> = whole.split_inclusive(|&byte| byte == b'\n').collect();
        for order in [&[0, 2][..], &[1, 2], &[0, 0, 1, 2], &[1, 0, 2]] {
            let text: Vec<u8> = order.iter().flat_map(|&i| lines[i]).copied().collect();
            std::fs::write(&path, text).unwrap();
            assert!(read::<u32>(&path).is_err(), "{order:?}");
        }
    }

    #[test]
    fn after_a_failed_append_nothing_more_is_taken_and_the_file_is_as_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j");
        let (mut file, _) = journal(&path);
        file.append(&[1u32]).unwrap();
        // Opened for reading only: every write fails.
        file.file.file = File::open(&path).unwrap();
        let error = file.append(&[2u32]).unwrap_err();
        assert!(error.is::<StorageError>(), "{error:#}");
        file.file.file = OpenOptions::new().write(true).open(&path).unwrap();
        assert!(file.append(&[3u32]).unwrap_err().is::<StorageError>());
        assert_eq!(read::<u32>(&path).unwrap(), [1]);
    }

    /// Neither waited for nor read without an end.
    #[test]
    #[cfg(unix)]
    fn pipes_and_devices_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let device = dir.path().join("device");
        std::os::unix::fs::symlink("/dev/zero", &device).unwrap();
        for path in [&pipe, &device] {
            let errors = [
                Journal::open::<u32>(path).map(|_| ()).unwrap_err(),
                read::<u32>(path).map(|_| ()).unwrap_err(),
                crate::key_store::KeyFile::open(path).map(|_| ()).unwrap_err(),
                crate::key_store::read_keys(path).map(|_| ()).unwrap_err(),
            ];
            for error in errors {
                assert!(format!("{error:#}").ends_with("not a regular file"), "{error:#}");
            }
        }
    }
}
