//! [`KeyFiles`]: quantum key from a directory into which something else drops files.
//!
//! A file named `NUMBER.key` (decimal) holds key bytes, the same at both ends; its groups are numbered from its number, so
//! that a file that is lost at one end shifts no other. A file is claimed by linking it under `NUMBER.claimed`, which happens
//! once only even with several readers, and the claim is durable before a bit is used: after a crash a claimed file is never
//! read again, but wiped. What is read is overwritten, and the file says `in use` until all of it is used; the empty file stays as
//! the mark. What a process has not used when it ends is put back as `NUMBER.rest`; what one that dies had not used is lost, and
//! the next one says so. While a process reads or uses a file it has it locked: another one neither reads nor wipes it.
//! Whoever drops a file writes it under another name first and renames it when it is whole.
//!
//! Only regular files are read, and links are not followed. An entry that cannot be key is named once, left where it is, and the
//! others are read.

use std::collections::BTreeSet;
mod file;
mod rest;

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crqkd_bits::{BitString, SecretBits};
use crqkd_keys::{Group, GroupId};
use crqkd_quantum::{GROUP_BITS, KeySource, SourceError};

use self::file::{lock, mark_in_use, open, read, usable, was_in_use, wipe};
use crate::qkd::group_id;

/// The longest file that is taken in.
pub const MAX_KEY_FILE_BYTES: u64 = 1 << 24;

/// Numbers of files, so that those of groups have room.
const MAX_NUMBER: u64 = 1 << 40;

/// Why a file of zeros is no key.
const BLANK: &str =
    "nothing but zeros, as a power cut leaves them in place of what did not reach the disk";

/// A directory of key files as a source of groups.
#[derive(Debug)]
pub struct KeyFiles {
    directory: PathBuf,
    group_bits: usize,
    /// The file that is in use.
    file: Option<InUse>,
    /// The last file that was claimed: older ones that come late would break the order.
    last: Option<u64>,
    /// Entries that were named as of no use.
    named: BTreeSet<PathBuf>,
}

/// A file of which a part is not used yet.
#[derive(Debug)]
struct InUse {
    number: u64,
    /// Number of its next group.
    next: u64,
    /// What is left of it.
    bits: SecretBits,
    /// The claimed file, locked; one that is gone cannot say anything.
    claimed: Option<File>,
}

impl InUse {
    /// All of it is used, or put back.
    fn done(self) -> io::Result<()> {
        match self.claimed {
            Some(claimed) => claimed.set_len(0).and_then(|()| claimed.sync_all()),
            None => Ok(()),
        }
    }
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
                    if !lock(&file)? || file.metadata()?.len() == 0 {
                        return Ok(None);
                    }
                    let lost = match was_in_use(&mut file)? {
                        true => "the process that used it died, and what it had not used is lost",
                        false => "claimed, but not read to its end: wiped",
                    };
                    wipe(&mut file).map(|()| Some(lost))
                };
                if let Some(lost) = wipe().map_err(|error| backend("wiping", &path, &error))? {
                    tracing::warn!("{}: {lost}", path.display());
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
                    let claimed = self.reopen(number);
                    self.file = Some(InUse { number, next, bits, claimed });
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
            let bytes = match read(&mut file) {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.name(&path, &error.to_string());
                    continue;
                }
            };
            if is_blank(&bytes) {
                self.name(&path, BLANK);
                continue;
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
            wipe(&mut file).and_then(|()| mark_in_use(&mut file)).map_err(failed)?;
            let bits = bits(&bytes, bytes.len() * 8)?;
            self.file = Some(InUse { number, next: 0, bits, claimed: Some(file) });
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
        let (next, bits) = rest::parse(&read(&mut file)?)
            .ok_or_else(|| io::Error::other("not what an earlier run has put back, or damaged"))?;
        wipe(&mut file).and_then(|()| fs::remove_file(path)).and_then(|()| self.sync())?;
        Ok(Some((next, bits)))
    }

    /// The claimed file of a rest, in use again; `None` where it is gone or another process is just looking at it.
    fn reopen(&self, number: u64) -> Option<File> {
        let (_, path) = self.numbered("claimed").ok()?.into_iter().find(|(n, _)| *n == number)?;
        let mut file = open(&path).ok()?;
        let mine = file.metadata().ok()?.is_file() && lock(&file).ok()?;
        (mine && mark_in_use(&mut file).is_ok()).then_some(file)
    }

    /// Puts back what was not used, for the next process.
    ///
    /// # Errors
    /// A directory that cannot be written; the rest is then lost.
    pub fn put_back(&mut self) -> Result<(), SourceError> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let path = self.directory.join(format!("{}.rest", file.number));
        let failed = |error| backend("writing", &path, &error);
        if file.bits.len() >= self.group_bits {
            crqkd_recording::write_new_private(&path, &rest::to_bytes(file.next, &file.bits))
                .map_err(|error| SourceError::Backend(error.to_string()))?;
            self.sync().map_err(failed)?;
        }
        file.done().map_err(failed)
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

/// Nothing was ever written there.
fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
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
        let open = self.file.as_ref().map_or(0, |file| file.bits.len() / self.group_bits);
        let rest = |(_, path): &(u64, PathBuf)| {
            let len = fs::symlink_metadata(path).ok()?.len() as usize;
            Some(len.saturating_sub(rest::AROUND) * 8 / self.group_bits)
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
            if let Some(file) = &mut self.file
                && file.bits.len() >= self.group_bits
            {
                let id: GroupId = group_id(file.number, file.next);
                file.next += 1;
                let bits = file.bits.take_front(self.group_bits).expect("there are enough");
                return Ok(Some(Group { id, bits }));
            }
            // What is left of a file is too short for a group.
            if let Some(file) = self.file.take() {
                file.done().map_err(|error| backend("writing", &self.directory, &error))?;
            }
            if !self.claim()? {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests;
