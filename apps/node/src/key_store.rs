//! [`KeyFile`]: keys by number in one file that only grows.
//!
//! ```text
//!   "crqkd keys 2\n"  then for each key:  number (8 bytes) | bits (8) | CRC-32 of these (4) | the bits | CRC-32 of all (4)
//! ```
//!
//! A key that an interrupted append left unfinished at the end is cut off. An entry that is complete is never cut: when it
//! does not fit its checksums the file is refused and stays as it is.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use crqkd_bits::{BitString, SecretBits};
use zeroize::Zeroizing;

use crate::bounded;
use crate::journal::{Appending, CHECKSUM};

const MAGIC: &[u8] = b"crqkd keys 2\n";
const HEAD: usize = 20;

/// An append-only file of keys by number. Only the owner may read it.
#[derive(Debug)]
pub struct KeyFile {
    file: Appending,
}

impl KeyFile {
    /// Opens or creates a key file and reads all of it. A last key that was cut off is dropped.
    ///
    /// # Errors
    /// A file that cannot be read or written, is damaged, or is open in another process.
    pub fn open(path: &Path) -> Result<(Self, Vec<(u64, SecretBits)>)> {
        let (mut file, bytes) = Appending::open(path)?;
        let bytes = Zeroizing::new(bytes);
        let (keys, whole) = split(&bytes).with_context(|| format!("in {}", path.display()))?;
        file.cut(whole as u64)?;
        if file.is_empty() {
            file.append(MAGIC)?;
        }
        Ok((Self { file }, keys))
    }

    /// Appends a key; it is durable when this returns.
    ///
    /// # Errors
    /// [`crate::journal::StorageError`]. The file takes no more keys then.
    pub fn append(&mut self, number: u64, key: &SecretBits) -> Result<()> {
        self.file.append(&entry(number, key))
    }
}

/// The bytes of an entry.
fn entry(number: u64, key: &SecretBits) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(key.len() / 8 + HEAD + 5));
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes.extend_from_slice(&(key.len() as u64).to_be_bytes());
    let sum = CHECKSUM.checksum(&bytes);
    bytes.extend_from_slice(&sum.to_be_bytes());
    bytes.extend_from_slice(&Zeroizing::new(key.expose().to_bytes()));
    let sum = CHECKSUM.checksum(&bytes);
    bytes.extend_from_slice(&sum.to_be_bytes());
    bytes
}

/// Reads a key file without opening it for writing; an unfinished last key is left out.
///
/// # Errors
/// A file that cannot be read or is damaged.
pub fn read_keys(path: &Path) -> Result<Vec<(u64, SecretBits)>> {
    let read = || {
        let mut file = bounded::regular(path)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(file.metadata()?.len() as usize));
        file.read_to_end(&mut bytes).map(|_| bytes)
    };
    let bytes = read().with_context(|| format!("reading {}", path.display()))?;
    Ok(split(&bytes).with_context(|| format!("in {}", path.display()))?.0)
}

/// The whole keys in these bytes, and how many bytes they take.
fn split(bytes: &[u8]) -> Result<(Vec<(u64, SecretBits)>, usize)> {
    let Some(_) = bytes.strip_prefix(MAGIC) else {
        if MAGIC.starts_with(bytes) || bytes.iter().all(|&byte| byte == 0) {
            return Ok((Vec::new(), 0));
        }
        bail!("not a file of keys, or one of an older version");
    };
    let (mut keys, mut at) = (Vec::new(), MAGIC.len());
    loop {
        let rest = &bytes[at..];
        let Some((head, body)) = rest.split_at_checked(HEAD) else { break };
        // Zeros are what some file systems leave in place of bytes that did not reach the disk.
        if rest.iter().all(|&byte| byte == 0) {
            break;
        }
        let word = |from: usize| head[from..].iter().take(8).fold(0, |w, &b| w << 8 | u64::from(b));
        let damaged = |what| format!("key {} at byte {at}: {what}", keys.len() + 1);
        if CHECKSUM.checksum(&head[..16]).to_be_bytes() != head[16..] {
            bail!(damaged("its length does not fit its checksum"));
        }
        let (number, bits) = (word(0), word(8));
        let bits = usize::try_from(bits).with_context(|| damaged("too long"))?;
        let len = bits.div_ceil(8);
        let Some(key) = body.get(..len.saturating_add(4)) else { break };
        if CHECKSUM.checksum(&rest[..HEAD + len]).to_be_bytes() != key[len..] {
            bail!(damaged("its bits do not fit their checksum"));
        }
        let key = BitString::from_bytes(&key[..len], bits)?;
        keys.push((number, key.into()));
        at += HEAD + len + 4;
    }
    Ok((keys, at))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn written(lengths: &[usize]) -> (tempfile::TempDir, std::path::PathBuf, Vec<SecretBits>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k");
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let (mut file, none) = KeyFile::open(&path).unwrap();
        assert!(none.is_empty());
        let keys: Vec<_> = lengths.iter().map(|&len| SecretBits::random(&mut rng, len)).collect();
        for (number, key) in keys.iter().enumerate() {
            file.append(number as u64 + 5, key).unwrap();
        }
        (dir, path, keys)
    }

    #[test]
    fn a_key_that_was_cut_off_anywhere_is_dropped_and_the_next_one_stands_behind_the_last_whole_one()
     {
        let (_dir, path, keys) = written(&[77, 100]);
        let whole = std::fs::read(&path).unwrap();
        let first = MAGIC.len() + HEAD + 10 + 4;
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (mut file, found) = KeyFile::open(&path).unwrap();
            assert_eq!(found.len(), usize::from(cut >= first), "{cut}");
            file.append(9, &keys[0]).unwrap();
            drop(file);
            let again = read_keys(&path).unwrap();
            assert!(again.len() == found.len() + 1 && again[found.len()].1.ct_eq(&keys[0]));
        }
    }

    #[test]
    fn any_bit_that_is_flipped_is_found_and_the_file_stays_as_it_is() {
        let (_dir, path, _) = written(&[77, 100]);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                std::fs::write(&path, &bytes).unwrap();
                let error = KeyFile::open(&path).unwrap_err();
                assert!(format!("{error:#}").contains("key"), "{error:#}");
                assert_eq!(std::fs::read(&path).unwrap(), bytes, "byte {at}, bit {bit}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_whole_keys_and_a_rest_or_refused(bytes: Vec<u8>, magic: bool) {
            let bytes = if magic { [MAGIC, &bytes].concat() } else { bytes };
            if let Ok((_, whole)) = split(&bytes) {
                proptest::prop_assert!(whole <= bytes.len());
            }
        }
    }
}
