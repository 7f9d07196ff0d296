//! [`KeyBuffer`]: the secret material of one station.

use std::collections::BTreeMap;

use crqkd_bits::SecretBits;

use crate::{Group, GroupId, KeysError, PadStore};

/// Groups and pads of one station: at a QAP the quantum key and the channel key of its user's link, at a user the
/// groups that were decoded and the channel key.
///
/// ```
/// use crqkd_bits::{BitString, SecretBits};
/// use crqkd_keys::{Group, GroupId, KeyBuffer};
/// let mut buffer = KeyBuffer::new(1000, 16);
/// buffer.insert(Group { id: GroupId(2), bits: BitString::with_len(384).into() })?;
/// buffer.insert(Group { id: GroupId(4), bits: BitString::with_len(384).into() })?;
/// assert_eq!(buffer.join(&[GroupId(2), GroupId(4)])?.len(), 768);
/// assert_eq!(buffer.remove(&[GroupId(2)]), 384);
/// # Ok::<(), crqkd_keys::KeysError>(())
/// ```
#[derive(Debug)]
pub struct KeyBuffer {
    groups: BTreeMap<GroupId, SecretBits>,
    capacity: usize,
    /// Pads of channel key, by window.
    pub pads: PadStore,
}

impl KeyBuffer {
    /// An empty buffer for `groups` groups and the pads of `windows` windows.
    pub fn new(groups: usize, windows: usize) -> Self {
        Self { groups: BTreeMap::new(), capacity: groups, pads: PadStore::new(windows) }
    }

    /// Stores a group of quantum key under its number.
    ///
    /// # Errors
    /// [`KeysError::GroupTwice`] or [`KeysError::Full`]; the group is then wiped.
    pub fn insert(&mut self, group: Group) -> Result<(), KeysError> {
        if self.groups.contains_key(&group.id) {
            return Err(KeysError::GroupTwice { group: group.id });
        }
        if self.groups.len() >= self.capacity {
            return Err(KeysError::Full { capacity: self.capacity });
        }
        self.groups.insert(group.id, group.bits);
        Ok(())
    }

    /// Removes and wipes groups; unknown ones are passed over. Returns the number of bits wiped.
    pub fn remove(&mut self, groups: &[GroupId]) -> usize {
        groups.iter().filter_map(|group| self.groups.remove(group)).map(|bits| bits.len()).sum()
    }

    /// The bits of a group.
    ///
    /// # Errors
    /// [`KeysError::UnknownGroup`] when no group of this number is stored.
    pub fn group(&self, group: GroupId) -> Result<&SecretBits, KeysError> {
        self.groups.get(&group).ok_or(KeysError::UnknownGroup { group })
    }

    /// The bits of several groups behind each other, in the order given.
    ///
    /// # Errors
    /// [`KeysError::UnknownGroup`] for the first that is not there.
    pub fn join(&self, groups: &[GroupId]) -> Result<SecretBits, KeysError> {
        let mut joined = SecretBits::new();
        for group in groups {
            joined.append(self.group(*group)?.duplicate());
        }
        Ok(joined)
    }

    /// Number of groups that are stored.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether no group is stored; pads do not count.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use crqkd_bits::BitString;

    use super::*;

    fn group(id: u64) -> Group {
        Group { id: GroupId(id), bits: BitString::with_len(8).into() }
    }

    #[test]
    fn a_number_is_stored_once_and_room_is_bounded() {
        let mut buffer = KeyBuffer::new(2, 1);
        buffer.insert(group(1)).unwrap();
        assert_eq!(buffer.insert(group(1)), Err(KeysError::GroupTwice { group: GroupId(1) }));
        buffer.insert(group(2)).unwrap();
        assert_eq!(buffer.insert(group(3)), Err(KeysError::Full { capacity: 2 }));
        assert_eq!(buffer.remove(&[GroupId(1), GroupId(9)]), 8);
        let missing = buffer.join(&[GroupId(2), GroupId(1)]).unwrap_err();
        assert_eq!(missing, KeysError::UnknownGroup { group: GroupId(1) });
    }
}
