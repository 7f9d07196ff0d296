//! [`KeyFiles`]: quantum key from a directory into which something else drops files.
//!
//! A file named `NUMBER.key` (decimal) holds key bytes, the same at both ends; its groups are numbered from its number, so
//! that a file that is lost at one end shifts no other. A file is claimed by renaming it, which happens once only even
//! with several readers, and the claim is durable before a bit is read: after a crash a claimed file is never read again.
//! Whoever drops a file writes it under another name first and renames it when it is whole.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crqkd_bits::{BitString, SecretBits};
use crqkd_keys::{Group, GroupId};
use crqkd_quantum::{GROUP_BITS, KeySource, SourceError};
use zeroize::{Zeroize, Zeroizing};

use crate::qkd::group_id;

/// The longest file that is taken in.
pub const MAX_KEY_FILE_BYTES: u64 = 1 << 24;

/// A directory of key files as a source of groups.
#[derive(Debug)]
pub struct KeyFiles {
    directory: PathBuf,
    group_bits: usize,
    /// Number of the file that is in use, its next group, its bits.
    file: Option<(u64, u64, SecretBits)>,
    /// The last file that was claimed: older ones that come late would break the order.
    last: Option<u64>,
}

impl KeyFiles {
    /// A source that reads the files of a directory in ascending order.
    ///
    /// # Errors
    /// A group length out of range, a directory that cannot be read.
    pub fn new(directory: &Path, group_bits: usize) -> Result<Self, SourceError> {
        if !GROUP_BITS.contains(&group_bits) {
            return Err(SourceError::BadGroupLength { group_bits });
        }
        let mut files =
            Self { directory: directory.to_owned(), group_bits, file: None, last: None };
        files.last = files.numbers("claimed")?.into_iter().max();
        Ok(files)
    }

    /// Numbers of the files with this extension, ascending.
    fn numbers(&self, extension: &str) -> Result<Vec<u64>, SourceError> {
        let failed = |error| backend("reading", &self.directory, &error);
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|e| e == extension)
                && let Some(number) = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok())
            {
                numbers.push(number);
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }

    /// The path of a file: its name may have leading zeros.
    fn find(&self, number: u64) -> Option<PathBuf> {
        let paths =
            fs::read_dir(&self.directory).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
        let mut fitting = paths.filter(|path| {
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            path.extension().is_some_and(|e| e == "key")
                && stem.and_then(|stem| stem.parse().ok()) == Some(number)
        });
        fitting.next()
    }

    /// Claims the next file and reads it; false when there is none.
    fn claim(&mut self) -> Result<bool, SourceError> {
        for number in self.numbers("key")? {
            if self.last.is_some_and(|last| number <= last) || number >= 1 << 40 {
                continue;
            }
            let Some(path) = self.find(number) else { continue };
            let claimed = path.with_extension("claimed");
            // Never over an older claim: a link fails when the name is taken, unlike a renaming.
            match fs::hard_link(&path, &claimed).and_then(|()| fs::remove_file(&path)) {
                Ok(()) => {}
                // Another reader was faster.
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::NotFound | std::io::ErrorKind::AlreadyExists
                    ) =>
                {
                    continue;
                }
                Err(error) => return Err(backend("claiming", &path, &error)),
            }
            let directory = File::open(&self.directory).and_then(|directory| directory.sync_all());
            directory.map_err(|error| backend("claiming", &path, &error))?;
            self.last = Some(number);
            self.file = Some((number, 0, read(&claimed)?));
            return Ok(true);
        }
        Ok(false)
    }
}

fn backend(doing: &str, path: &Path, error: &std::io::Error) -> SourceError {
    SourceError::Backend(format!("{doing} {}: {error}", path.display()))
}

/// Reads a claimed file and wipes it.
fn read(path: &Path) -> Result<SecretBits, SourceError> {
    let failed = |error| backend("reading", path, &error);
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    if length > MAX_KEY_FILE_BYTES {
        return Err(SourceError::Backend(format!(
            "{}: {length} bytes, at most {MAX_KEY_FILE_BYTES} are taken",
            path.display()
        )));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(length as usize));
    file.take(MAX_KEY_FILE_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    let bits = BitString::from_bytes(&bytes, bytes.len() * 8);
    let bits = bits.map_err(|error| SourceError::Backend(error.to_string()))?;
    // The name stays as the mark of what was read.
    bytes.zeroize();
    fs::write(path, []).map_err(failed)?;
    Ok(bits.into())
}

impl KeySource for KeyFiles {
    fn group_bits(&self) -> usize {
        self.group_bits
    }

    fn available(&self) -> usize {
        let open = self.file.as_ref().map_or(0, |(_, _, bits)| bits.len() / self.group_bits);
        let size = |&number: &u64| {
            let path = self.find(number).filter(|_| self.last.is_none_or(|last| number > last))?;
            Some(fs::metadata(path).ok()?.len() as usize * 8 / self.group_bits)
        };
        open + self.numbers("key").unwrap_or_default().iter().filter_map(size).sum::<usize>()
    }

    fn next_group(&mut self) -> Result<Option<Group>, SourceError> {
        loop {
            if let Some((number, next, bits)) = &mut self.file
                && bits.len() >= self.group_bits
            {
                let id: GroupId = group_id(*number, *next);
                *next += 1;
                let bits = bits.take_front(self.group_bits).expect("there are enough");
                return Ok(Some(Group { id, bits }));
            }
            // What is left of a file is too short for a group.
            self.file = None;
            if !self.claim()? {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drop_file(directory: &Path, name: &str, bytes: &[u8]) {
        fs::write(directory.join("part"), bytes).unwrap();
        fs::rename(directory.join("part"), directory.join(name)).unwrap();
    }

    fn all(source: &mut KeyFiles) -> Vec<(GroupId, Vec<u8>)> {
        let mut groups = Vec::new();
        while let Some(group) = source.next_group().unwrap() {
            groups.push((group.id, group.bits.expose().to_bytes()));
        }
        groups
    }

    #[test]
    fn files_are_read_in_order_once_and_wiped() {
        let dir = tempfile::tempdir().unwrap();
        drop_file(dir.path(), "0010.key", &[3; 5]);
        drop_file(dir.path(), "9.key", &[1, 2, 3, 4]);
        drop_file(dir.path(), "notes.txt", b"not a key");
        let mut source = KeyFiles::new(dir.path(), 16).unwrap();
        assert_eq!(source.available(), 4);
        let expected = [(9, 0, [1, 2]), (9, 1, [3, 4]), (10, 0, [3, 3]), (10, 1, [3, 3])];
        let expected = expected.map(|(file, group, bytes)| (group_id(file, group), bytes.to_vec()));
        assert_eq!(all(&mut source), expected);
        assert_eq!(fs::metadata(dir.path().join("9.claimed")).unwrap().len(), 0);
        // Not again: not by another reader, not under an old number.
        drop_file(dir.path(), "9.key", &[7; 4]);
        drop_file(dir.path(), "11.key", &[5, 6]);
        let mut again = KeyFiles::new(dir.path(), 16).unwrap();
        assert_eq!(all(&mut again), [(group_id(11, 0), vec![5, 6])]);
        assert!(all(&mut source).is_empty());
    }

    #[test]
    fn readers_side_by_side_share_no_file() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..60u8 {
            drop_file(dir.path(), &format!("{number}.key"), &[number; 2]);
        }
        let read = || {
            let mut source = KeyFiles::new(dir.path(), 16).unwrap();
            all(&mut source)
        };
        let mut groups: Vec<_> = std::thread::scope(|scope| {
            let readers: Vec<_> = (0..4).map(|_| scope.spawn(read)).collect();
            readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect()
        });
        let count = groups.len();
        groups.sort();
        groups.dedup();
        assert_eq!(groups.len(), count, "no group twice");
    }

    #[test]
    fn a_missing_directory_and_a_file_that_is_too_long_are_errors_with_names() {
        let dir = tempfile::tempdir().unwrap();
        let error = KeyFiles::new(&dir.path().join("none"), 16).unwrap_err();
        assert!(error.to_string().contains("none"), "{error}");
        assert!(KeyFiles::new(dir.path(), 0).is_err());
        let file = File::create(dir.path().join("1.key")).unwrap();
        file.set_len(MAX_KEY_FILE_BYTES + 1).unwrap();
        let error = KeyFiles::new(dir.path(), 16).unwrap().next_group().unwrap_err();
        assert!(error.to_string().contains("1.claimed"), "{error}");
    }
}
