//! [`Holdings`]: what a user has of each group, in bounded memory.

use std::collections::BTreeMap;

use crqkd_keys::GroupId;

/// Groups that are done with and remembered by name. Of older ones only the number is.
const REMEMBERED: usize = 1024;

/// What a user has of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holding {
    /// Decoded, in no block yet.
    Held,
    /// In the block that is being agreed on.
    InBlock,
    /// Hashed into a key that was released.
    Released,
    /// Given up: it will be part of no key.
    Burned,
}

impl Holding {
    fn is_settled(self) -> bool {
        matches!(self, Holding::Released | Holding::Burned)
    }
}

/// All groups that a user has heard of. Of those that are done with the lowest names are forgotten, and stay closed: a
/// group can not come back.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    open: BTreeMap<GroupId, Holding>,
    settled: BTreeMap<GroupId, Holding>,
    forgotten: u64,
    /// Groups with a lower number may have been forgotten, and count as given up.
    floor: GroupId,
}

impl Holdings {
    /// Notes what became of a group; returns what was known of it before.
    pub(super) fn set(&mut self, group: GroupId, holding: Holding) -> Option<Holding> {
        let before = self.open.remove(&group).or_else(|| self.settled.remove(&group));
        let of = if holding.is_settled() { &mut self.settled } else { &mut self.open };
        of.insert(group, holding);
        if self.settled.len() > REMEMBERED
            && let Some((oldest, _)) = self.settled.pop_first()
        {
            self.floor = self.floor.max(GroupId(oldest.0.saturating_add(1)));
            self.forgotten += 1;
        }
        before
    }

    /// What is known of a group; one that may have been forgotten counts as given up.
    pub(super) fn get(&self, group: GroupId) -> Option<Holding> {
        let closed = (group < self.floor).then_some(Holding::Burned);
        self.open.get(&group).or_else(|| self.settled.get(&group)).copied().or(closed)
    }

    /// Groups that are neither released nor given up.
    pub(super) fn open(&self) -> impl Iterator<Item = (GroupId, Holding)> + '_ {
        self.open.iter().map(|(group, holding)| (*group, *holding))
    }

    /// Number of groups ever heard of, open or settled.
    pub(super) fn total(&self) -> u64 {
        self.open.len() as u64 + self.settled()
    }

    /// Groups that are released or given up.
    pub(super) fn settled(&self) -> u64 {
        self.settled.len() as u64 + self.forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_groups_are_counted_and_closed_but_not_remembered() {
        let mut holdings = Holdings::default();
        let many = 10 * REMEMBERED as u64;
        holdings.set(GroupId(4), Holding::Held);
        for number in 5..5 + many {
            assert_eq!(holdings.set(GroupId(2 * number), Holding::InBlock), None);
            let before = holdings.set(GroupId(2 * number), Holding::Released);
            assert_eq!(before, Some(Holding::InBlock));
            assert!(holdings.settled.len() <= REMEMBERED && holdings.open.len() == 1);
        }
        assert_eq!((holdings.total(), holdings.settled()), (many + 1, many));
        for old in [0, 1, 10, 11, many] {
            assert_eq!(holdings.get(GroupId(old)), Some(Holding::Burned), "{old}");
        }
        assert_eq!(holdings.get(GroupId(2 * many + 8)), Some(Holding::Released));
        assert_eq!(holdings.get(GroupId(2 * many + 10)), None);
        // The one that is still open is known by name, however old.
        assert_eq!(holdings.open().collect::<Vec<_>>(), [(GroupId(4), Holding::Held)]);
        assert_eq!(holdings.set(GroupId(4), Holding::Burned), Some(Holding::Held));
        assert_eq!((holdings.total(), holdings.settled()), (many + 1, many + 1));
    }
}
