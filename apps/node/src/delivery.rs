//! [`Delivery`]: final keys as files in a folder, each there before the other user is told of it.
//!
//! ```text
//!   before this end confirms a block:   .KEY-ID.part   as long as the key, zeros, durable      (no room, no permission: no key)
//!   when the key is released:           written over these, durable, then linked as KEY-ID.key  (never over another file)
//! ```
//!
//! So a folder that is full or read-only shows before the other end relies on the key. A `.part` that a crash left behind is no
//! key: it is wiped when the folder is opened again. A folder belongs to one process at a time, which locks it: two users of a
//! pair have keys of the same names, and what one has promised would look to the other like what a crash has left.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crqkd_keys::{KeyId, KeysError, Record, Store};
use zeroize::Zeroizing;

use crate::journal::{StorageError, storage, sync_folder};

/// A folder for keys, and the store in which a user reserves room there.
#[derive(Debug, Clone)]
pub struct Delivery {
    dir: PathBuf,
    /// The folder, locked.
    _lock: Option<Arc<File>>,
    reserved: Arc<Mutex<BTreeMap<KeyId, File>>>,
    broken_off: Vec<KeyId>,
}

impl Delivery {
    /// Makes the folder if need be, locks it and wipes what a crash has left there.
    ///
    /// # Errors
    /// A folder that cannot be made, read or written, or into which another process delivers.
    pub fn open(dir: &Path) -> anyhow::Result<Self> {
        let failed = |what| storage(dir, what);
        if dir.exists() && !dir.is_dir() {
            anyhow::bail!("{}: is no folder", dir.display());
        }
        fs::create_dir_all(dir).map_err(failed("making the folder"))?;
        let lock = lock(dir)?;
        let mut broken_off = Vec::new();
        for entry in fs::read_dir(dir).map_err(failed("reading"))? {
            let entry = entry.map_err(failed("reading"))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let left = name.strip_prefix('.').and_then(|name| name.strip_suffix(".part"));
            if let Some(key) = left.and_then(|id| id.parse::<KeyId>().ok()) {
                let path = entry.path();
                wipe(&path).map_err(storage(&path, "wiping what a crash has left"))?;
                if !dir.join(format!("{key}.key")).exists() {
                    broken_off.push(key);
                }
            }
        }
        Ok(Self {
            dir: dir.to_owned(),
            _lock: lock.map(Arc::new),
            reserved: Arc::default(),
            broken_off,
        })
    }

    fn reserved(&self) -> MutexGuard<'_, BTreeMap<KeyId, File>> {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn paths(&self, key: KeyId) -> [PathBuf; 2] {
        [self.dir.join(format!(".{key}.part")), self.dir.join(format!("{key}.key"))]
    }

    /// Takes the room for a key of `bits` bits.
    fn reserve(&self, key: KeyId, bits: u64) -> Result<(), StorageError> {
        let [part, whole] = self.paths(key);
        if whole.exists() {
            let error = io::Error::from(ErrorKind::AlreadyExists);
            return Err(storage(&whole, "delivering a key")(error));
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let failed = |error| storage(&part, "taking room for a key")(error);
        let mut file = options.open(&part).map_err(failed)?;
        let filled = file
            .write_all(&vec![0; bits.div_ceil(8) as usize])
            .and_then(|()| file.sync_all())
            .and_then(|()| sync_folder(&part));
        if let Err(error) = filled {
            // What was made of it is of no use.
            let _ = fs::remove_file(&part);
            return Err(failed(error));
        }
        self.reserved().insert(key, file);
        Ok(())
    }

    /// Delivers a key. It is durable when this returns.
    ///
    /// # Errors
    /// A folder that cannot be written, or a key that is there already: it is never written over.
    pub fn deliver(&self, key: KeyId, bytes: &[u8]) -> Result<PathBuf, StorageError> {
        if !self.reserved().contains_key(&key) {
            self.reserve(key, 8 * bytes.len() as u64)?;
        }
        let file = self.reserved().remove(&key);
        let [part, whole] = self.paths(key);
        let write = || {
            let mut file = file.ok_or(ErrorKind::NotFound)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(bytes)?;
            file.set_len(bytes.len() as u64)?;
            file.sync_all()?;
            // A link fails when the name is taken, unlike a renaming.
            fs::hard_link(&part, &whole)?;
            fs::remove_file(&part)?;
            sync_folder(&whole)
        };
        write().map_err(storage(&whole, "delivering a key"))?;
        Ok(whole)
    }

    /// Keys that this end has promised and does not have: the other user may have them.
    pub fn promised(&self) -> Vec<KeyId> {
        self.reserved().keys().copied().collect()
    }

    /// Keys that an earlier run had promised when it was broken off; the other user may have them.
    pub fn broken_off(&self) -> &[KeyId] {
        &self.broken_off
    }

    /// The store of a user whose keys are delivered here: a key is promised to the other end when there is room for it.
    pub fn store(&self) -> DeliveryStore {
        DeliveryStore(self.clone())
    }
}

/// Locks a folder against other processes, until the file is closed; `None` where the system has no such locks.
fn lock(dir: &Path) -> anyhow::Result<Option<File>> {
    if !cfg!(unix) {
        return Ok(None);
    }
    let folder = File::open(dir).map_err(storage(dir, "opening"))?;
    match folder.try_lock() {
        Ok(()) => Ok(Some(folder)),
        Err(TryLockError::WouldBlock) => anyhow::bail!(
            "{}: another process delivers keys into this folder; each user needs a folder of its own",
            dir.display()
        ),
        Err(TryLockError::Error(error)) => {
            tracing::warn!(
                "{}: cannot be locked ({error}); no other user may deliver into it",
                dir.display()
            );
            Ok(None)
        }
    }
}

/// Overwrites a file and removes it. A file that has another name as well is a key that was delivered just before the crash:
/// only this name of it goes.
fn wipe(path: &Path) -> io::Result<()> {
    let about = fs::symlink_metadata(path)?;
    #[cfg(unix)]
    if about.is_file() && std::os::unix::fs::MetadataExt::nlink(&about) > 1 {
        return fs::remove_file(path);
    }
    let len = about.len();
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NOFOLLOW);
    let mut file = options.open(path)?;
    file.write_all(&Zeroizing::new(vec![0; len.min(1 << 20) as usize]))?;
    file.sync_all()?;
    fs::remove_file(path)
}

/// A user's store that takes room for a key in the folder before the key is promised; see [`Delivery::store`].
#[derive(Debug)]
pub struct DeliveryStore(Delivery);

impl Store for DeliveryStore {
    fn persist(&mut self, records: &[Record]) -> Result<(), KeysError> {
        for record in records {
            if let Record::Promise { key, bits } = record {
                let reserved = self.0.reserve(*key, *bits);
                reserved.map_err(|error| KeysError::Store(format!("{error}: {}", error.source)))?;
            }
        }
        Ok(())
    }

    /// A user begins anew each time: what it held is gone with the process.
    fn history(&self) -> Result<Vec<Record>, KeysError> {
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crqkd_keys::{Epoch, PairId, UserId};

    fn id(block: u32) -> KeyId {
        KeyId::of(PairId { a: UserId(1), b: UserId(2) }, Epoch(0), block, &[])
    }

    #[test]
    fn a_key_is_written_into_the_room_that_was_promised_and_never_over_another() {
        let dir = tempfile::tempdir().unwrap();
        let delivery = Delivery::open(dir.path()).unwrap();
        let mut store = delivery.store();
        store.persist(&[Record::Promise { key: id(1), bits: 19 }]).unwrap();
        let part = dir.path().join(format!(".{}.part", id(1)));
        assert_eq!(fs::read(&part).unwrap(), [0; 3]);
        assert_eq!(delivery.promised(), [id(1)]);
        let path = delivery.deliver(id(1), &[1, 2, 3]).unwrap();
        assert_eq!(delivery.promised(), []);
        assert!(!part.exists());
        assert_eq!(fs::read(&path).unwrap(), [1, 2, 3]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        // Once more under the same name, promised or not.
        assert!(store.persist(&[Record::Promise { key: id(1), bits: 19 }]).is_err());
        assert!(delivery.deliver(id(1), &[9, 9, 9]).is_err());
        assert_eq!(fs::read(&path).unwrap(), [1, 2, 3]);
        // Without a promise.
        delivery.deliver(id(2), &[7]).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_a_crash_left_is_wiped_and_other_files_stay() {
        let dir = tempfile::tempdir().unwrap();
        Delivery::open(dir.path()).unwrap().reserve(id(3), 800).unwrap();
        fs::write(dir.path().join(".notes.part"), "mine").unwrap();
        let target = dir.path().join("target");
        fs::write(&target, "mine").unwrap();
        let again = Delivery::open(dir.path()).unwrap();
        assert_eq!((again.broken_off(), again.promised()), (&[id(3)][..], vec![]));
        let mut left: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".notes.part", "target"]);
        #[cfg(unix)]
        {
            // A link in place of a part is not followed.
            let part = dir.path().join(format!(".{}.part", id(4)));
            std::os::unix::fs::symlink(&target, part).unwrap();
            assert!(Delivery::open(dir.path()).is_err());
            assert_eq!(fs::read_to_string(&target).unwrap(), "mine");
        }
    }

    /// Two users of a pair on one machine: the second one's start must not wipe what the first one has promised.
    #[test]
    #[cfg(unix)]
    fn a_folder_belongs_to_one_user_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = Delivery::open(dir.path()).unwrap();
        let mut store = first.store();
        drop(first);
        store.persist(&[Record::Promise { key: id(1), bits: 16 }]).unwrap();
        let refused = Delivery::open(dir.path()).unwrap_err().to_string();
        assert!(refused.ends_with("each user needs a folder of its own"), "{refused}");
        let part = dir.path().join(format!(".{}.part", id(1)));
        // Whoever came in all the same: the room that is taken already stays.
        assert!(store.0.reserve(id(1), 16).is_err());
        assert!(part.exists());
        drop(store);
        assert_eq!(Delivery::open(dir.path()).unwrap().broken_off(), [id(1)]);
    }

    /// Killed between the two steps of a delivery: the key is there, and its first name is too.
    #[test]
    #[cfg(unix)]
    fn a_key_that_was_delivered_just_before_a_crash_stays() {
        let dir = tempfile::tempdir().unwrap();
        let delivery = Delivery::open(dir.path()).unwrap();
        let key = delivery.deliver(id(1), &[1, 2, 3]).unwrap();
        drop(delivery);
        let part = dir.path().join(format!(".{}.part", id(1)));
        fs::hard_link(&key, &part).unwrap();
        assert!(Delivery::open(dir.path()).unwrap().broken_off().is_empty());
        assert!(!part.exists());
        assert_eq!(fs::read(&key).unwrap(), [1, 2, 3]);
    }

    /// A full disk, as a limit on the size of files would be: there is no room, so there is no promise.
    #[test]
    fn a_folder_that_is_gone_gives_no_promise() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        let delivery = Delivery::open(&keys).unwrap();
        fs::remove_dir(&keys).unwrap();
        let error = delivery.store().persist(&[Record::Promise { key: id(1), bits: 8 }]);
        assert!(error.unwrap_err().to_string().contains("taking room"));
        assert!(delivery.deliver(id(1), &[1]).is_err());
    }
}
