//! [`Outlet`]: released keys on their way to an access point.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use crqkd_bits::SecretBits;
use crqkd_recording::{ErrorKind, write_new_private};
use zeroize::Zeroizing;

use super::record::Ledger;
use crate::journal::StorageError;

/// Name of the file in a folder of key files that says that they come from a simulated link.
pub const SIMULATED: &str = "SIMULATED";

/// The text of that file.
const SAYS: &str = "The key files of this folder come from a simulated quantum link: whoever runs the simulator knows them.\n";

/// A folder of key files, as [`KeyFiles`](crate::key_files::KeyFiles) reads it.
#[derive(Debug)]
pub(super) struct Outlet {
    folder: PathBuf,
}

impl Outlet {
    /// Makes the folder if it is missing, and marks it as that of a simulated link.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let open = || -> Result<()> {
            std::fs::create_dir_all(folder)?;
            let mark = folder.join(SIMULATED);
            if mark.symlink_metadata().is_err() {
                write_new_private(&mark, SAYS.as_bytes())?;
            }
            Ok(())
        };
        open().with_context(|| format!("--deliver {}", folder.display()))?;
        Ok(Outlet { folder: folder.to_owned() })
    }

    /// Writes the bits of a key that are for groups, its last ones, in whole bytes. The file is durable and complete, or not there.
    ///
    /// # Errors
    /// [`StorageError`]; a file of this number is never written over.
    pub(super) fn write(&self, ledger: &Ledger, key: &SecretBits) -> Result<()> {
        let mut key = key.duplicate();
        let Some(others) = key.len().checked_sub(ledger.bits as usize) else {
            bail!("the key is shorter than its record says");
        };
        drop(key.take_front(others)?);
        let bits = key.take_front(key.len() / 8 * 8)?;
        if bits.is_empty() {
            return Ok(());
        }
        let path = self.folder.join(format!("{}.key", ledger.block()));
        let bytes = Zeroizing::new(bits.expose().to_bytes());
        write_new_private(&path, &bytes).map_err(|error| {
            let kind = match error.kind {
                ErrorKind::FileExists => io::ErrorKind::AlreadyExists,
                _ => io::ErrorKind::Other,
            };
            let source = io::Error::new(kind, error.kind.to_string());
            StorageError { path, what: "handing over a key", source }.into()
        })
    }
}
