//! Files that only their owner may read.

/// From now on every file that this process makes is for its owner only: recordings and measurements of a real run tell its
/// channel key.
pub fn keep_files_private() {
    #[cfg(unix)]
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}
