//! What must be durable before it is acted on: [`Record`], [`Store`], [`MemoryStore`].

use serde::{Deserialize, Serialize};

use crate::{Epoch, GroupId, KeyId, KeysError, Mark};

/// One line of a station's durable memory. No secrets are in it.
///
/// A state machine hands out records with a number and does not act on them until that number comes back as persisted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "record")]
pub enum Record {
    /// A new life of the station began; pads of earlier ones are gone.
    Epoch {
        /// Number of the life that began.
        epoch: Epoch,
    },
    /// A group has moved on.
    Mark {
        /// Number of the group whose mark changed.
        group: GroupId,
        /// The mark that the group has from now on.
        mark: Mark,
    },
    /// A user is about to confirm a key to the other one: it must be able to keep it.
    Promise {
        /// Name of the final key.
        key: KeyId,
        /// Length of the key in bits.
        bits: u64,
    },
    /// A user releases a key made of these groups.
    Key {
        /// Name of the final key.
        key: KeyId,
        /// Sorted numbers of its groups.
        groups: Vec<GroupId>,
    },
}

/// Durable memory. `persist` returns when the records would survive a power cut.
pub trait Store {
    /// Appends records to those already stored, in this order.
    ///
    /// # Errors
    /// [`KeysError::Store`] when they are not durable; nothing may then be built on them.
    fn persist(&mut self, records: &[Record]) -> Result<(), KeysError>;

    /// Everything that was persisted, in order.
    ///
    /// # Errors
    /// [`KeysError::Store`] when it cannot be read.
    fn history(&self) -> Result<Vec<Record>, KeysError>;
}

/// A store that lasts as long as the process: for simulations and tests.
#[derive(Debug, Default)]
pub struct MemoryStore {
    records: Vec<Record>,
}

impl MemoryStore {
    /// A store without records.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Store for MemoryStore {
    fn persist(&mut self, records: &[Record]) -> Result<(), KeysError> {
        self.records.extend_from_slice(records);
        Ok(())
    }

    fn history(&self) -> Result<Vec<Record>, KeysError> {
        Ok(self.records.clone())
    }
}

/// A store that forgets: for a simulation, which is never resumed.
#[derive(Debug, Default, Clone, Copy)]
pub struct Forgetful;

impl Store for Forgetful {
    fn persist(&mut self, _records: &[Record]) -> Result<(), KeysError> {
        Ok(())
    }

    fn history(&self) -> Result<Vec<Record>, KeysError> {
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PairId, UserId};

    #[test]
    fn records_are_json_lines_without_secrets() {
        let pair = PairId { a: UserId(1), b: UserId(2) };
        let record = Record::Mark { group: GroupId(4), mark: Mark::Reserved(pair) };
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(json, r#"{"record":"mark","group":4,"mark":{"reserved":{"a":1,"b":2}}}"#);
        assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
    }

    #[test]
    fn history_is_what_was_persisted() {
        let mut store = MemoryStore::new();
        let record = Record::Epoch { epoch: Epoch(3) };
        store.persist(std::slice::from_ref(&record)).unwrap();
        assert_eq!(store.history().unwrap(), [record]);
    }
}
