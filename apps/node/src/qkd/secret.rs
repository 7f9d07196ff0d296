//! The start-up secret of a link: a file for each end, and its place in the directory of an end.
//!
//! ```text
//!   "crqkd secret 1 ID alice:-------- bob:--------\n"  then the secret bytes
//!                             \________ directory that has used it, 8 hexadecimal digits
//!   secret bytes:  32 for the handshake (link key) | two hash keys | pads A to B | pads B to A
//! ```
//!
//! The ID is a keyed hash of the link key; it says nothing about any other bit. An end takes a copy of the secret into its
//! directory (`secret.begun`), enters the directory into the file, and only then calls the copy `secret.bin`, all while it has
//! the file locked: so no second directory begins with the same pads, which would mask two tags with one pad. A directory that
//! is restored from an old copy is found out by the other end.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use crqkd_keys::AuthDirection;
use crqkd_recording::write_new_private;
use hmac::{Hmac, KeyInit, Mac};
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::args::SecretArgs;
use crate::bounded;
use crate::journal::{storage, sync_folder};

/// Bytes of the handshake's key.
pub(super) const LINK_KEY_BYTES: usize = 32;

/// The shortest secret: the link key, two hash keys, a tag each way.
pub const MIN_SECRET_BYTES: usize = LINK_KEY_BYTES + 64 + 16;
/// Bytes of a start-up secret, at most.
pub(super) const MAX_SECRET_BYTES: u64 = 1 << 24;

const MAGIC: &str = "crqkd secret 1 ";
const HEADER: usize = 60;
const MAX_FILE_BYTES: u64 = HEADER as u64 + MAX_SECRET_BYTES;
const NOBODY: &str = "--------";

/// A start-up secret.
pub(super) struct StartupSecret {
    /// Its public name, 16 hexadecimal digits.
    pub(super) id: String,
    bytes: Zeroizing<Vec<u8>>,
    /// Directories that use it, Alice's and Bob's.
    used_by: [String; 2],
}

impl StartupSecret {
    /// The key of the handshake.
    pub(super) fn link_key(&self) -> &[u8] {
        &self.bytes[..LINK_KEY_BYTES]
    }

    /// What the tags' keys and pads are taken from.
    pub(super) fn pads(&self) -> &[u8] {
        &self.bytes[LINK_KEY_BYTES..]
    }

    fn parse(bytes: Vec<u8>) -> Option<Self> {
        let mut bytes = Zeroizing::new(bytes);
        let header = std::str::from_utf8(bytes.get(..HEADER)?).ok()?;
        let words: Vec<&str> = header.strip_prefix(MAGIC)?.strip_suffix('\n')?.split(' ').collect();
        let [id, alice, bob] = words[..] else { return None };
        let used_by = [alice.strip_prefix("alice:")?, bob.strip_prefix("bob:")?].map(str::to_owned);
        let id = id.to_owned();
        let secret = Zeroizing::new(bytes.split_off(HEADER));
        let whole = secret.len() >= MIN_SECRET_BYTES && secret_id(&secret[..LINK_KEY_BYTES]) == id;
        whole.then_some(Self { id, bytes: secret, used_by })
    }

    fn read(path: &Path) -> Result<Self> {
        let file = bounded::regular(path).with_context(|| format!("reading {}", path.display()))?;
        Self::read_open(&file, path)
    }

    /// Reads an open file from where it stands.
    fn read_open(file: &File, path: &Path) -> Result<Self> {
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES + 1)
            .read_to_end(&mut bytes)
            .with_context(|| format!("reading {}", path.display()))?;
        Self::parse(bytes).with_context(|| {
            format!("{}: not a start-up secret of `crqkd qkd secret`, or damaged", path.display())
        })
    }

    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let [alice, bob] = &self.used_by;
        let mut bytes = Zeroizing::new(Vec::with_capacity(HEADER + self.bytes.len()));
        bytes.extend(format!("{MAGIC}{} alice:{alice} bob:{bob}\n", self.id).into_bytes());
        bytes.extend_from_slice(&self.bytes);
        bytes
    }
}

impl std::fmt::Debug for StartupSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StartupSecret({})", self.id)
    }
}

fn secret_id(link_key: &[u8]) -> String {
    hex::encode(&mac(link_key, &[b"crqkd secret id 1"])[..8])
}

/// HMAC-SHA-256 over parts, each with its length.
pub(super) fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Writes a start-up secret from the operating system's generator.
///
/// # Errors
/// A file that exists or cannot be written.
pub fn write_secret(args: &SecretArgs) -> Result<()> {
    ensure!(args.bytes >= MIN_SECRET_BYTES, "a secret has at least {MIN_SECRET_BYTES} bytes");
    let mut bytes = Zeroizing::new(vec![0u8; args.bytes]);
    OsRng.try_fill_bytes(&mut bytes).context("the operating system's generator")?;
    let id = secret_id(&bytes[..LINK_KEY_BYTES]);
    let secret = StartupSecret { id, bytes, used_by: [NOBODY; 2].map(str::to_owned) };
    write_new_private(&args.file, &secret.to_bytes())?;
    Ok(sync_folder(&args.file).map_err(storage(&args.file, "syncing its folder"))?)
}

/// The secret of an end's directory. The first time it is taken from `file`, which then names the directory; afterwards the
/// directory has its own copy, and `file` may be gone.
///
/// # Errors
/// A file that cannot be read or written, is another secret than the directory's, or has been used in another directory.
pub(super) fn take(dir: &Path, file: &Path, own: AuthDirection) -> Result<StartupSecret> {
    let place = usize::from(own == AuthDirection::BToA);
    let name = ["alice", "bob"][place];
    let kept = dir.join("secret.bin");
    if kept.exists() && !file.exists() {
        return StartupSecret::read(&kept);
    }
    // Until the end of this function no other end looks at it.
    let reading = || format!("reading {}", file.display());
    let locked = bounded::regular(file).with_context(reading)?;
    locked.lock().with_context(|| format!("{}: cannot be locked", file.display()))?;
    let given = StartupSecret::read_open(&locked, file)?;
    let used = given.used_by[place].clone();
    let enter = |ours: &str| {
        enter(file, place, ours)
            .with_context(|| format!("{}: cannot be marked as used by {name}", file.display()))
    };
    if !kept.exists() {
        if dir.join("journal.jsonl").exists() {
            bail!("{}: its secret.bin is missing, but it has a journal", dir.display());
        }
        let begun = dir.join("secret.begun");
        let ours = begin(&begun, given, place)?;
        if used == NOBODY {
            enter(&ours)?;
        } else if used != ours {
            remove(&begun)?;
            bail!(
                "{}: this secret was used by {name} with another directory ({used}); a second one would use the same pads \
                 again. Go on with that directory, or make a new secret for both ends",
                file.display()
            );
        }
        fs::rename(&begun, &kept).map_err(storage(&kept, "taking the secret into use"))?;
        sync_folder(&kept).map_err(storage(&kept, "syncing its folder"))?;
        return StartupSecret::read(&kept);
    }
    let secret = StartupSecret::read(&kept)?;
    if given.id != secret.id {
        bail!(
            "{}: this is secret {}, but {} was begun with secret {}",
            file.display(),
            given.id,
            dir.display(),
            secret.id
        );
    }
    let ours = &secret.used_by[place];
    if used == NOBODY {
        enter(ours)?;
    } else if &used != ours {
        bail!(
            "{}: this secret is used by {name} with another directory ({used}); {} must not be used",
            file.display(),
            dir.display()
        );
    }
    Ok(secret)
}

/// Copies the secret under a new name of this directory, which is returned; what an earlier start has left of the same secret
/// is gone on with.
fn begin(begun: &Path, mut secret: StartupSecret, place: usize) -> Result<String> {
    if begun.exists() {
        match StartupSecret::read(begun) {
            Ok(left) if left.id == secret.id => return Ok(left.used_by[place].clone()),
            _ => remove(begun)?,
        }
    }
    let mut id = [0u8; 4];
    OsRng.try_fill_bytes(&mut id).context("the operating system's generator")?;
    let ours = hex::encode(id);
    secret.used_by[place].clone_from(&ours);
    write_new_private(begun, &secret.to_bytes())?;
    sync_folder(begun).map_err(storage(begun, "syncing its folder"))?;
    Ok(ours)
}

fn remove(begun: &Path) -> Result<()> {
    Ok(fs::remove_file(begun).map_err(storage(begun, "removing"))?)
}

/// Writes the directory's name into its place in the header.
fn enter(file: &Path, place: usize, name: &str) -> std::io::Result<()> {
    let at = MAGIC.len() + 17 + ["alice:".len(), "alice:-------- bob:".len()][place];
    let mut open = OpenOptions::new().write(true).open(file)?;
    open.seek(SeekFrom::Start(at as u64))?;
    open.write_all(name.as_bytes())?;
    open.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use AuthDirection::{AToB, BToA};

    #[test]
    fn a_secret_is_used_by_one_directory_an_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let file = path("secret");
        write_secret(&SecretArgs { file: file.clone(), bytes: MIN_SECRET_BYTES }).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().len() as usize, HEADER + MIN_SECRET_BYTES);
        for name in ["a", "a2", "b", "b2"] {
            std::fs::create_dir(path(name)).unwrap();
        }
        // Both ends may have the same file.
        let alice = take(&path("a"), &file, AToB).unwrap();
        let bob = take(&path("b"), &file, BToA).unwrap();
        assert_eq!(
            (&alice.id, alice.link_key(), alice.pads()),
            (&bob.id, bob.link_key(), bob.pads())
        );
        for (name, own) in [("a", AToB), ("b", BToA)] {
            take(&path(name), &file, own).unwrap();
            let error = take(&path(&format!("{name}2")), &file, own).unwrap_err();
            assert!(error.to_string().contains("another directory"), "{error}");
        }
        // Killed between the copy and the entry: the directory that comes first has it.
        let file2 = path("secret2");
        write_secret(&SecretArgs { file: file2.clone(), bytes: 200 }).unwrap();
        let unused = std::fs::read(&file2).unwrap();
        take(&path("a2"), &file2, AToB).unwrap();
        std::fs::write(&file2, unused).unwrap();
        std::fs::create_dir(path("a3")).unwrap();
        take(&path("a3"), &file2, AToB).unwrap();
        assert!(take(&path("a2"), &file2, AToB).unwrap_err().to_string().contains("must not"));
        // The file may be gone, and must not be another.
        let error = take(&path("a"), &file2, AToB).unwrap_err();
        assert!(error.to_string().contains("was begun with secret"), "{error}");
        std::fs::remove_file(&file).unwrap();
        assert_eq!(take(&path("a"), &file, AToB).unwrap().id, alice.id);
        // A journal without its secret is a restored or spoilt directory.
        std::fs::remove_file(path("b").join("secret.bin")).unwrap();
        std::fs::write(path("b").join("journal.jsonl"), "").unwrap();
        assert!(take(&path("b"), &file2, BToA).unwrap_err().to_string().contains("is missing"));
    }

    #[test]
    fn of_many_directories_that_begin_at_once_one_has_the_secret() {
        let dir = tempfile::tempdir().unwrap();
        for round in 0..20 {
            let file = dir.path().join(format!("secret {round}"));
            write_secret(&SecretArgs { file: file.clone(), bytes: MIN_SECRET_BYTES }).unwrap();
            let together = std::sync::Barrier::new(8);
            let begin = |number: usize| {
                let own = dir.path().join(format!("{round} {number}"));
                fs::create_dir(&own).unwrap();
                together.wait();
                let taken = take(&own, &file, AToB).is_ok();
                assert_eq!(fs::read_dir(own).unwrap().count(), usize::from(taken));
                usize::from(taken)
            };
            let begun: usize = std::thread::scope(|scope| {
                let ends: Vec<_> =
                    (0..8).map(|number| scope.spawn(move || begin(number))).collect();
                ends.into_iter().map(|end| end.join().unwrap()).sum()
            });
            assert_eq!(begun, 1);
        }
    }

    #[test]
    fn a_start_that_was_broken_off_is_gone_on_with() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let file = path("secret");
        write_secret(&SecretArgs { file: file.clone(), bytes: MIN_SECRET_BYTES }).unwrap();
        let unused = fs::read(&file).unwrap();
        fs::create_dir(path("a")).unwrap();
        take(&path("a"), &file, AToB).unwrap();
        let marked = fs::read(&file).unwrap();
        let [begun, kept] = ["secret.begun", "secret.bin"].map(|name| path("a").join(name));
        let kept_bytes = fs::read(&kept).unwrap();
        // Before the file was marked, and after.
        for state in [&unused, &marked] {
            fs::rename(&kept, &begun).unwrap();
            fs::write(&file, state).unwrap();
            take(&path("a"), &file, AToB).unwrap();
            assert_eq!(fs::read(&file).unwrap(), marked);
            assert_eq!(fs::read(&kept).unwrap(), kept_bytes);
            assert!(!begun.exists());
        }
        // Another directory was faster: what was begun here is of no use.
        fs::rename(&kept, &begun).unwrap();
        fs::write(&file, &unused).unwrap();
        fs::create_dir(path("a2")).unwrap();
        take(&path("a2"), &file, AToB).unwrap();
        assert!(
            take(&path("a"), &file, AToB).unwrap_err().to_string().contains("another directory")
        );
        assert!(!begun.exists() && !kept.exists());
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret");
        write_secret(&SecretArgs { file: file.clone(), bytes: 112 }).unwrap();
        let whole = std::fs::read(&file).unwrap();
        let mut flipped = whole.clone();
        flipped[HEADER + 5] ^= 1;
        for bytes in [&b""[..], &[7; 4096], &whole[..whole.len() - 1], &whole[..HEADER], &flipped] {
            std::fs::write(&file, bytes).unwrap();
            let error = take(dir.path(), &file, AToB).unwrap_err();
            assert!(error.to_string().contains("not a start-up secret"), "{error}");
        }
        assert!(!dir.path().join("secret.bin").exists());
    }
}
