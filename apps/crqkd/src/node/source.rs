//! Where an access point's groups of quantum key come from: the simulated link, or a directory of key files.

use crate::exit::NoKey;
use crate::run::{Quantum, quantum};
use anyhow::{Context, Result, bail};
use crqkd_flowgraphs::{Role, Supplier};
use crqkd_keys::Group;
use crqkd_node::key_files::KeyFiles;
use crqkd_node::waiting::Waiting;
use crqkd_quantum::KeySource;
use crqkd_scenario::Scenario;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two looks into the directory.
const LOOK: Duration = Duration::from_millis(200);

/// An access point's end of the simulated quantum link. Each access point simulates the whole link from the seed and
/// keeps its own end, so both hold the same groups without a word between them.
pub(super) fn simulated(scenario: &Scenario, role: Role, seed: u64) -> Result<Vec<Group>> {
    match quantum(scenario, seed)? {
        Quantum::Key(key) => Ok(if role == Role::Qap1 { key.qap1 } else { key.qap2 }),
        Quantum::NoKey { reason, .. } => bail!(NoKey(reason)),
    }
}

/// A directory of key files that is read while the role runs: never further than the users' request needs, because what
/// is read is lost when the process dies.
pub(super) struct Drops {
    files: KeyFiles,
    folder: PathBuf,
    wanted: Arc<AtomicUsize>,
}

impl Drops {
    /// The directory, for `groups` groups of `group_bits` and a quarter more, so that burned ones can be replaced.
    pub(super) fn open(dir: &Path, group_bits: usize, groups: u32) -> Result<Self> {
        let files =
            KeyFiles::new(dir, group_bits).with_context(|| format!("--keys {}", dir.display()))?;
        let groups = groups as usize;
        let folder = dir.to_owned();
        Ok(Drops {
            files,
            folder,
            wanted: Arc::new(AtomicUsize::new(groups + (groups / 4).max(2))),
        })
    }

    /// Groups that are still to be read; may be raised.
    pub(super) fn wanted(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.wanted)
    }

    /// Feeds the role from a thread, until that is dropped.
    pub(super) fn feed(self, supplier: Supplier) -> Feeding {
        let over = Arc::new(AtomicBool::new(false));
        let Drops { mut files, wanted, folder } = self;
        let ended = Arc::clone(&over);
        let thread = std::thread::spawn(move || -> Result<()> {
            let mut waiting = Waiting::new();
            while !ended.load(Ordering::SeqCst) {
                let mut groups = Vec::new();
                while groups.len() < wanted.load(Ordering::SeqCst)
                    && let Some(group) = files.next_group()?
                {
                    groups.push(group);
                }
                wanted.fetch_sub(groups.len(), Ordering::SeqCst);
                if !groups.is_empty() || wanted.load(Ordering::SeqCst) == 0 {
                    waiting = Waiting::new();
                }
                waiting
                    .say(|| format!("waiting for key files, NUMBER.key in {}", folder.display()));
                if !groups.is_empty() && !supplier.supply(groups) {
                    break;
                }
                std::thread::park_timeout(LOOK);
            }
            Ok(files.put_back()?)
        });
        Feeding { over, thread: Some(thread) }
    }
}

/// A thread that reads key files.
pub(super) struct Feeding {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Feeding {
    /// Ends it; why it could not go on, if so.
    pub(super) fn finish(mut self) -> Result<()> {
        self.over.store(true, Ordering::SeqCst);
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.thread().unpark();
        thread.join().unwrap_or_else(|_| bail!("the reader of key files has died"))
    }
}
