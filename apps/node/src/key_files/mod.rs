//! [`KeyFiles`]: quantum key from a directory into which something else drops files.
//!
//! A file named `NUMBER.key` (decimal) holds key bytes, the same at both ends; its groups are numbered from its number, so
//! that a file that is lost at one end shifts no other. A file is claimed by linking it under `NUMBER.claimed`, which happens
//! once only even with several readers, and the claim is durable before a bit is read: after a crash a claimed file is never
//! read again, but wiped. What is read is overwritten; the empty file stays as the mark. What a process has not used when it
//! ends is put back as `NUMBER.rest`. While a process reads a file it has it locked: another one neither reads nor wipes it.
//! Whoever drops a file writes it under another name first and renames it when it is whole.
//!
//! Only regular files are read, and links are not followed. An entry that cannot be key is named once, left where it is, and the
//! others are read.

use std::collections::BTreeSet;
mod file;

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crqkd_bits::{BitString, SecretBits};
use crqkd_keys::{Group, GroupId};
use crqkd_quantum::{GROUP_BITS, KeySource, SourceError};
use zeroize::Zeroizing;

use self::file::{lock, open, read, usable, wipe};
use crate::qkd::group_id;

/// The longest file that is taken in.
pub const MAX_KEY_FILE_BYTES: u64 = 1 << 24;

/// Numbers of files, so that those of groups have room.
const MAX_NUMBER: u64 = 1 << 40;

/// Bytes before the bits of a `.rest`: the next group and the number of bits.
const REST_HEAD: usize = 16;

/// Groups of a file, at most: more than a file of single bits has.
const MAX_NEXT: u64 = 8 * MAX_KEY_FILE_BYTES;

/// A directory of key files as a source of groups.
#[derive(Debug)]
pub struct KeyFiles {
    directory: PathBuf,
    group_bits: usize,
    /// Number of the file that is in use, its next group, its bits.
    file: Option<(u64, u64, SecretBits)>,
    /// The last file that was claimed: older ones that come late would break the order.
    last: Option<u64>,
    /// Entries that were named as of no use.
    named: BTreeSet<PathBuf>,
}

impl KeyFiles {
    /// A source that reads the files of a directory in ascending order. Claims of a crash are wiped.
    ///
    /// # Errors
    /// A group length out of range, a directory that cannot be read.
    pub fn new(directory: &Path, group_bits: usize) -> Result<Self, SourceError> {
        if !GROUP_BITS.contains(&group_bits) {
            return Err(SourceError::BadGroupLength { group_bits });
        }
        let mut files = Self {
            directory: directory.to_owned(),
            group_bits,
            file: None,
            last: None,
            named: BTreeSet::new(),
        };
        for (number, path) in files.numbered("claimed")? {
            files.last = files.last.max(Some(number));
            if fs::symlink_metadata(&path).is_ok_and(|about| about.is_file() && about.len() > 0) {
                let wipe = || {
                    let mut file = open(&path)?;
                    // Another process is about to read it.
                    let left = lock(&file)? && file.metadata()?.len() > 0;
                    if left { wipe(&mut file).map(|()| true) } else { Ok(false) }
                };
                if wipe().map_err(|error| backend("wiping", &path, &error))? {
                    tracing::warn!("{}: claimed, but not read to its end: wiped", path.display());
                }
            }
        }
        Ok(files)
    }

    /// Entries with a number and this extension, ascending.
    fn numbered(&self, extension: &str) -> Result<Vec<(u64, PathBuf)>, SourceError> {
        let failed = |error| backend("reading", &self.directory, &error);
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|e| e == extension)
                && let Some(number) = number(&path)
            {
                numbers.push((number, path));
            }
        }
        numbers.sort();
        Ok(numbers)
    }

    /// Names an entry that is of no use, once.
    fn name(&mut self, path: &Path, why: &str) {
        if self.named.insert(path.to_owned()) {
            tracing::warn!("{}: {why}; it is left where it is", path.display());
        }
    }

    /// Names what looks like a key file and is none.
    fn look_for_misnamed(&mut self) -> Result<(), SourceError> {
        let failed = |error| backend("reading", &self.directory, &error);
        let mut misnamed = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let right = path.extension().is_some_and(|e| e == "key") && number(&path).is_some();
            if name.to_ascii_lowercase().ends_with(".key") && !right {
                misnamed.push(path);
            }
        }
        for path in misnamed {
            self.name(&path, "not a key file, which is called NUMBER.key with a number below 2^40");
        }
        Ok(())
    }

    /// Claims the next file and reads it; false when there is none.
    fn claim(&mut self) -> Result<bool, SourceError> {
        for (number, path) in self.numbered("rest")? {
            match self.take_rest(&path) {
                Ok(Some((next, bits))) => {
                    self.file = Some((number, next, bits));
                    return Ok(true);
                }
                Ok(None) => {}
                Err(error) => self.name(&path, &error.to_string()),
            }
        }
        self.look_for_misnamed()?;
        for (number, path) in self.numbered("key")? {
            if self.last.is_some_and(|last| number <= last) {
                self.name(&path, "its number is not above those that were read before");
                continue;
            }
            let mut file = match usable(&path) {
                Ok(file) => file,
                Err(error) => {
                    self.name(&path, &error.to_string());
                    continue;
                }
            };
            match lock(&file) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(error) => {
                    self.name(&path, &format!("it cannot be locked: {error}"));
                    continue;
                }
            }
            let claimed = path.with_extension("claimed");
            // Never over an older claim: a link fails when the name is taken, unlike a renaming.
            match fs::hard_link(&path, &claimed).and_then(|()| fs::remove_file(&path)) {
                Ok(()) => {}
                // Another reader was faster.
                Err(error)
                    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists) =>
                {
                    continue;
                }
                Err(error) => {
                    self.name(&path, &format!("it cannot be claimed: {error}"));
                    continue;
                }
            }
            let failed = |error| backend("reading", &claimed, &error);
            self.sync().map_err(failed)?;
            self.last = Some(number);
            let bytes = read(&mut file).and_then(|bytes| wipe(&mut file).map(|()| bytes));
            let bytes = bytes.map_err(failed)?;
            self.file = Some((number, 0, bits(&bytes, bytes.len() * 8)?));
            return Ok(true);
        }
        Ok(false)
    }

    /// What an earlier process has not used of a file: its next group and its bits; `None` when another reader was faster.
    ///
    /// # Errors
    /// What is no such file is left as it is.
    fn take_rest(&self, path: &Path) -> io::Result<Option<(u64, SecretBits)>> {
        let mut file = match usable(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        if !lock(&file)? || file.metadata()?.len() == 0 {
            return Ok(None);
        }
        let bytes = read(&mut file)?;
        let damaged = || io::Error::other("not what an earlier run has put back, or damaged");
        let (head, body) = bytes.split_at_checked(REST_HEAD).ok_or_else(damaged)?;
        let word = |at: usize| head[at..at + 8].iter().fold(0, |w, &byte| w << 8 | u64::from(byte));
        let (next, len) = (word(0), word(8));
        if next >= MAX_NEXT || len.div_ceil(8) != body.len() as u64 {
            return Err(damaged());
        }
        let bits = BitString::from_bytes(body, len as usize).map_err(|_| damaged())?;
        wipe(&mut file).and_then(|()| fs::remove_file(path)).and_then(|()| self.sync())?;
        Ok(Some((next, bits.into())))
    }

    /// Puts back what was not used, for the next process.
    ///
    /// # Errors
    /// A directory that cannot be written; the rest is then lost.
    pub fn put_back(&mut self) -> Result<(), SourceError> {
        let Some((number, next, bits)) = self.file.take() else { return Ok(()) };
        if bits.len() < self.group_bits {
            return Ok(());
        }
        let mut bytes = Zeroizing::new(next.to_be_bytes().to_vec());
        bytes.extend_from_slice(&(bits.len() as u64).to_be_bytes());
        bytes.extend_from_slice(&Zeroizing::new(bits.expose().to_bytes()));
        let path = self.directory.join(format!("{number}.rest"));
        crqkd_recording::write_new_private(&path, &bytes)
            .map_err(|error| SourceError::Backend(error.to_string()))?;
        self.sync().map_err(|error| backend("writing", &path, &error))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.directory).and_then(|directory| directory.sync_all())
    }
}

/// The number that a file is named by; it may have leading zeros.
fn number(path: &Path) -> Option<u64> {
    let stem = path.file_stem()?.to_str()?;
    let digits = !stem.is_empty() && stem.bytes().all(|byte| byte.is_ascii_digit());
    stem.parse().ok().filter(|&number| digits && number < MAX_NUMBER)
}

fn backend(doing: &str, path: &Path, error: &io::Error) -> SourceError {
    SourceError::Backend(format!("{doing} {}: {error}", path.display()))
}

fn bits(bytes: &[u8], len: usize) -> Result<SecretBits, SourceError> {
    let bits = BitString::from_bytes(bytes, len);
    Ok(bits.map_err(|error| SourceError::Backend(error.to_string()))?.into())
}

impl KeySource for KeyFiles {
    fn group_bits(&self) -> usize {
        self.group_bits
    }

    fn available(&self) -> usize {
        let open = self.file.as_ref().map_or(0, |(_, _, bits)| bits.len() / self.group_bits);
        let rest = |(_, path): &(u64, PathBuf)| {
            let len = fs::symlink_metadata(path).ok()?.len() as usize;
            Some(len.saturating_sub(REST_HEAD) * 8 / self.group_bits)
        };
        let put_back = self.numbered("rest").unwrap_or_default();
        let open = open + put_back.iter().filter_map(rest).sum::<usize>();
        let size = |(number, path): &(u64, PathBuf)| {
            if self.last.is_some_and(|last| *number <= last) {
                return None;
            }
            Some(fs::symlink_metadata(path).ok()?.len() as usize * 8 / self.group_bits)
        };
        open + self.numbered("key").unwrap_or_default().iter().filter_map(size).sum::<usize>()
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
    fn a_missing_directory_is_an_error_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let error = KeyFiles::new(&dir.path().join("none"), 16).unwrap_err();
        assert!(error.to_string().contains("none"), "{error}");
        assert!(KeyFiles::new(dir.path(), 0).is_err());
    }

    /// None of them ends the supply, hangs it, or is touched.
    #[cfg(unix)]
    #[test]
    fn entries_that_are_no_key_are_left_alone_and_the_others_are_read() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let outside = tempfile::NamedTempFile::new().unwrap();
        fs::write(outside.path(), "the user's own").unwrap();
        symlink(outside.path(), path("1.key")).unwrap();
        symlink("nowhere", path("2.key")).unwrap();
        fs::create_dir(path("3.key")).unwrap();
        fs::write(path("4.key"), "").unwrap();
        File::create(path("5.key")).unwrap().set_len(MAX_KEY_FILE_BYTES + 1).unwrap();
        let fifo = std::process::Command::new("mkfifo").arg(path("6.key")).status().unwrap();
        assert!(fifo.success());
        fs::write(path("7.key"), "secret").unwrap();
        fs::set_permissions(path("7.key"), fs::Permissions::from_mode(0o000)).unwrap();
        for name in ["foo.key", "8.KEY", ".key", "-9.key", "99999999999999.key", "+9.key"] {
            fs::write(path(name), "text").unwrap();
        }
        drop_file(dir.path(), "20.key", &[1, 2]);
        let mut source = KeyFiles::new(dir.path(), 16).unwrap();
        let mut groups = all(&mut source);
        // Root may read everything.
        groups.retain(|(id, _)| *id >= group_id(20, 0));
        assert_eq!(groups, [(group_id(20, 0), vec![1, 2])]);
        let named: Vec<_> = source
            .named
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        for name in ["1.key", "2.key", "3.key", "4.key", "5.key", "6.key", "foo.key", "8.KEY"] {
            assert!(named.iter().any(|one| one == name), "{name} is not named: {named:?}");
        }
        assert_eq!(fs::read_to_string(outside.path()).unwrap(), "the user's own");
        // They come right: only a number above the last one is taken.
        fs::rename(path("foo.key"), path("21.key")).unwrap();
        assert_eq!(
            all(&mut source),
            [(group_id(21, 0), b"te".to_vec()), (group_id(21, 1), b"xt".to_vec())]
        );
    }

    #[test]
    fn what_a_process_has_not_used_is_there_for_the_next_and_what_a_crash_left_is_wiped() {
        let dir = tempfile::tempdir().unwrap();
        drop_file(dir.path(), "3.key", &[1, 2, 3, 4, 5, 6, 7]);
        let mut source = KeyFiles::new(dir.path(), 16).unwrap();
        assert_eq!(source.next_group().unwrap().unwrap().id, group_id(3, 0));
        source.put_back().unwrap();
        assert!(source.file.is_none());
        drop(source);
        drop_file(dir.path(), "4.key", &[8, 9]);
        // Killed after its claim of the last file.
        fs::write(dir.path().join("2.claimed"), "left by a crash").unwrap();
        let mut source = KeyFiles::new(dir.path(), 16).unwrap();
        let expected = [(3, 1, [3, 4]), (3, 2, [5, 6]), (4, 0, [8, 9])];
        let expected = expected.map(|(file, group, bytes)| (group_id(file, group), bytes.to_vec()));
        assert_eq!(all(&mut source), expected);
        source.put_back().unwrap();
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path()).collect();
        assert!(names.iter().all(|path| fs::metadata(path).unwrap().len() == 0), "{names:?}");
        assert!(names.iter().all(|path| path.extension().unwrap() == "claimed"), "{names:?}");
    }

    /// It does not end the supply, and it is left for whoever wants to look at it.
    #[test]
    fn a_damaged_rest_is_named_and_the_others_are_read() {
        let dir = tempfile::tempdir().unwrap();
        drop_file(dir.path(), "5.key", &[1, 2, 3, 4]);
        let mut source = KeyFiles::new(dir.path(), 16).unwrap();
        source.next_group().unwrap().unwrap();
        source.put_back().unwrap();
        let rest = |next: u64, len: u64, bytes: &[u8]| {
            [&next.to_be_bytes()[..], &len.to_be_bytes(), bytes].concat()
        };
        let damaged = [
            ("1.rest", Vec::new()),
            ("2.rest", vec![7; 15]),
            ("3.rest", rest(1, 17, &[1, 2])),
            ("4.rest", rest(1, u64::MAX, &[1, 2])),
            ("6.rest", rest(u64::MAX, 16, &[1, 2])),
        ];
        for (name, bytes) in &damaged {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        fs::create_dir(dir.path().join("0.rest")).unwrap();
        drop_file(dir.path(), "7.key", &[5, 6]);
        let mut source = KeyFiles::new(dir.path(), 16).unwrap();
        assert!(source.available() >= 2);
        let expected = [(group_id(5, 1), vec![3, 4]), (group_id(7, 0), vec![5, 6])];
        assert_eq!(all(&mut source), expected);
        assert_eq!(source.named.len(), damaged.len() + 1);
        for (name, bytes) in damaged {
            assert_eq!(fs::read(dir.path().join(name)).unwrap(), bytes, "{name}");
        }
    }

    /// A second process that starts must not wipe what the first is about to read, and reads none of it.
    #[test]
    fn what_another_process_reads_is_left_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut open = Vec::new();
        for name in ["1.claimed", "2.rest", "3.key"] {
            fs::write(dir.path().join(name), [9; 40]).unwrap();
            let file = File::open(dir.path().join(name)).unwrap();
            file.lock().unwrap();
            open.push(file);
        }
        assert!(all(&mut KeyFiles::new(dir.path(), 16).unwrap()).is_empty());
        for name in ["1.claimed", "2.rest", "3.key"] {
            assert_eq!(fs::read(dir.path().join(name)).unwrap(), [9; 40], "{name}");
        }
        drop(open);
        let mut source = KeyFiles::new(dir.path(), 16).unwrap();
        assert!(fs::read(dir.path().join("1.claimed")).unwrap().is_empty());
        assert_eq!(all(&mut source).len(), 20);
    }

    #[test]
    fn what_was_put_back_is_taken_once_by_readers_side_by_side() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..60u8 {
            drop_file(dir.path(), &format!("{number}.key"), &[number; 4]);
        }
        let mut sources: Vec<_> = (0..60).map(|_| KeyFiles::new(dir.path(), 16).unwrap()).collect();
        for source in &mut sources {
            source.next_group().unwrap().unwrap();
        }
        for source in &mut sources {
            source.put_back().unwrap();
        }
        let read = || all(&mut KeyFiles::new(dir.path(), 16).unwrap());
        let groups: Vec<_> = std::thread::scope(|scope| {
            let readers: Vec<_> = (0..4).map(|_| scope.spawn(read)).collect();
            readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect()
        });
        let names: BTreeSet<_> = groups.iter().map(|(id, _)| *id).collect();
        assert_eq!((groups.len(), names.len()), (60, 60));
    }
}
