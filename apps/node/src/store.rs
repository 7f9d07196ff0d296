//! [`JournalStore`]: a station's marks in a [`Journal`].

use std::path::Path;

use anyhow::Result;
use crqkd_keys::{KeysError, Record, Store};

use crate::journal::Journal;

/// Marks that survive a power cut: a journal of [`Record`]s.
#[derive(Debug)]
pub struct JournalStore {
    journal: Journal,
    /// What was durable when it was opened.
    history: Vec<Record>,
}

impl JournalStore {
    /// Opens or creates the journal.
    ///
    /// # Errors
    /// A file that cannot be read or written, a line that is no record, another process that has it open.
    pub fn open(path: &Path) -> Result<Self> {
        let (journal, history) = Journal::open(path)?;
        Ok(JournalStore { journal, history })
    }
}

impl Store for JournalStore {
    fn persist(&mut self, records: &[Record]) -> Result<(), KeysError> {
        self.journal.append(records).map_err(|error| KeysError::Store(format!("{error:#}")))
    }

    fn history(&self) -> Result<Vec<Record>, KeysError> {
        Ok(self.history.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crqkd_keys::{Epoch, GroupId, Mark};

    #[test]
    fn what_was_persisted_is_the_history_of_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("marks.jsonl");
        let records = [
            Record::Epoch { epoch: Epoch(3) },
            Record::Mark { group: GroupId(4), mark: Mark::Burned },
        ];
        let mut store = JournalStore::open(&path).unwrap();
        assert_eq!(store.history().unwrap(), []);
        store.persist(&records).unwrap();
        let error = JournalStore::open(&path).unwrap_err();
        assert!(error.to_string().contains("in use"), "{error}");
        drop(store);
        assert_eq!(JournalStore::open(&path).unwrap().history().unwrap(), records);
    }
}
