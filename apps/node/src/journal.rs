//! [`Journal`]: records that must survive a power cut, one JSON object a line; [`KeyFile`]: secrets beside them.
//!
//! A record is durable when `append` returns. A line or key that was cut off by a crash is dropped when the file is
//! opened again: nothing was built on it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use crqkd_bits::{BitString, SecretBits};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// An append-only file of records.
#[derive(Debug)]
pub struct Journal {
    file: File,
}

impl Journal {
    /// Opens or creates a journal and reads all of it. A last line without an end is cut off.
    ///
    /// # Errors
    /// A file that cannot be read or written, a line that is no record, another process that has it open.
    pub fn open<T: DeserializeOwned>(path: &Path) -> Result<(Self, Vec<T>)> {
        let mut file = open_private(path)?;
        if file.try_lock().is_err() {
            bail!("{} is in use by another process", path.display());
        }
        let mut text = String::new();
        file.read_to_string(&mut text).with_context(|| format!("reading {}", path.display()))?;
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        file.set_len(whole as u64)?;
        file.seek(SeekFrom::End(0))?;
        let records = parse(&text[..whole]).with_context(|| format!("in {}", path.display()))?;
        Ok((Self { file }, records))
    }

    /// Appends records; they are durable when this returns.
    ///
    /// # Errors
    /// Those of the disk; nothing may then be built on the records.
    pub fn append<T: Serialize>(&mut self, records: &[T]) -> Result<()> {
        let mut lines = Vec::new();
        for record in records {
            serde_json::to_writer(&mut lines, record)?;
            lines.push(b'\n');
        }
        self.file.write_all(&lines).context("writing the journal")?;
        self.file.sync_data().context("syncing the journal")
    }
}

/// Reads a journal without opening it for writing; a last line without an end is left out.
///
/// # Errors
/// A file that cannot be read, a line that is no record.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    parse(&text[..text.rfind('\n').map_or(0, |at| at + 1)])
        .with_context(|| format!("in {}", path.display()))
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<Vec<T>> {
    let line = |(number, line): (usize, &str)| {
        serde_json::from_str(line).with_context(|| format!("line {}", number + 1))
    };
    text.lines().enumerate().map(line).collect()
}

/// An append-only file of keys by number. Only the owner may read it.
#[derive(Debug)]
pub struct KeyFile {
    file: File,
}

impl KeyFile {
    /// Opens or creates a key file and reads all of it. A last key that was cut off is dropped.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub fn open(path: &Path) -> Result<(Self, Vec<(u64, SecretBits)>)> {
        let mut file = open_private(path)?;
        let mut bytes = zeroize::Zeroizing::new(Vec::new());
        file.read_to_end(&mut bytes).with_context(|| format!("reading {}", path.display()))?;
        let (keys, whole) = split_keys(&bytes);
        file.set_len(whole as u64)?;
        file.seek(SeekFrom::End(0))?;
        Ok((Self { file }, keys))
    }

    /// Appends a key; it is durable when this returns.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn append(&mut self, number: u64, key: &SecretBits) -> Result<()> {
        let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(key.len() / 8 + 17));
        bytes.extend_from_slice(&number.to_be_bytes());
        bytes.extend_from_slice(&(key.len() as u64).to_be_bytes());
        bytes.extend_from_slice(&key.expose().to_bytes());
        self.file.write_all(&bytes).context("writing the key file")?;
        self.file.sync_data().context("syncing the key file")
    }
}

/// Reads a key file without opening it for writing.
///
/// # Errors
/// A file that cannot be read.
pub fn read_keys(path: &Path) -> Result<Vec<(u64, SecretBits)>> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(split_keys(&bytes).0)
}

/// The whole keys in these bytes, and how many bytes they take.
fn split_keys(bytes: &[u8]) -> (Vec<(u64, SecretBits)>, usize) {
    let (mut keys, mut at) = (Vec::new(), 0usize);
    while let Some((number, bits, key)) = next_key(&bytes[at..]) {
        at += 16 + bits.div_ceil(8);
        keys.push((number, key));
    }
    (keys, at)
}

fn next_key(bytes: &[u8]) -> Option<(u64, usize, SecretBits)> {
    let (number, rest) = bytes.split_first_chunk::<8>()?;
    let (bits, rest) = rest.split_first_chunk::<8>()?;
    let bits = usize::try_from(u64::from_be_bytes(*bits)).ok()?;
    let key = rest.get(..bits.div_ceil(8))?;
    Some((u64::from_be_bytes(*number), bits, BitString::from_bytes(key, bits).ok()?.into()))
}

fn open_private(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).with_context(|| format!("opening {}", path.display()))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn what_was_cut_off_is_dropped_and_the_rest_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j");
        let (mut journal, none) = Journal::open::<u32>(&path).unwrap();
        assert!(none.is_empty());
        assert!(Journal::open::<u32>(&path).is_err(), "it is locked");
        journal.append(&[1u32, 2]).unwrap();
        drop(journal);
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"3").unwrap();
        let (mut journal, records) = Journal::open::<u32>(&path).unwrap();
        assert_eq!(records, [1, 2]);
        journal.append(&[4u32]).unwrap();
        assert_eq!(read::<u32>(&path).unwrap(), [1, 2, 4]);
    }

    #[test]
    fn a_key_that_was_cut_off_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k");
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let key = SecretBits::random(&mut rng, 77);
        let (mut file, _) = KeyFile::open(&path).unwrap();
        file.append(5, &key).unwrap();
        file.append(6, &key).unwrap();
        let length = std::fs::metadata(&path).unwrap().len();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(length - 1).unwrap();
        let (_, keys) = KeyFile::open(&path).unwrap();
        assert_eq!(keys.len(), 1);
        assert!(keys[0].0 == 5 && keys[0].1.ct_eq(&key));
        assert_eq!(std::fs::metadata(&path).unwrap().len(), length / 2);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_whole_keys_and_a_rest(bytes: Vec<u8>, bits in 0usize..200, noise: Vec<u8>) {
            let (_, whole) = split_keys(&bytes);
            proptest::prop_assert!(whole <= bytes.len());
            let mut file = 7u64.to_be_bytes().to_vec();
            file.extend((bits as u64).to_be_bytes());
            file.extend(vec![0xFF; bits.div_ceil(8)]);
            file.extend(noise);
            let (keys, whole) = split_keys(&file);
            proptest::prop_assert!(whole <= file.len() && keys[0].0 == 7 && keys[0].1.len() == bits);
        }
    }
}
