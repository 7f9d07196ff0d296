//! [`GroupMarks`]: how far each group has come, one way only.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{GroupId, KeysError, PairId, Record};

/// How far a group of quantum key has come at a QAP.
///
/// ```text
/// Free -> Reserved(pair) -> Committed(pair) -> Forwarded(pair) -> Released(pair)
///   \_________\__________________\__________________\___________-> Burned
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// Belongs to no pair of users yet.
    Free,
    /// Picked for a pair; the other QAP does not know yet.
    Reserved(PairId),
    /// Both QAPs know the pair; it may be sent to the user.
    Committed(PairId),
    /// This QAP's user has it.
    Forwarded(PairId),
    /// Part of a key that both users have confirmed.
    Released(PairId),
    /// Given up, and wiped everywhere.
    Burned,
}

impl Mark {
    /// The pair that the group goes to.
    pub fn pair(&self) -> Option<PairId> {
        match *self {
            Self::Free | Self::Burned => None,
            Self::Reserved(pair)
            | Self::Committed(pair)
            | Self::Forwarded(pair)
            | Self::Released(pair) => Some(pair),
        }
    }

    /// True for marks that nothing follows.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Released(_) | Self::Burned)
    }

    fn may_become(&self, next: Self) -> bool {
        match (*self, next) {
            (Self::Released(_) | Self::Burned, _) => false,
            (_, Self::Burned) => true,
            (Self::Free, Self::Reserved(_)) => true,
            (Self::Reserved(p), Self::Committed(q))
            | (Self::Committed(p), Self::Forwarded(q))
            | (Self::Forwarded(p), Self::Released(q)) => p == q,
            _ => false,
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Free => f.write_str("free"),
            Self::Reserved(pair) => write!(f, "reserved for {pair}"),
            Self::Committed(pair) => write!(f, "committed to {pair}"),
            Self::Forwarded(pair) => write!(f, "forwarded for {pair}"),
            Self::Released(pair) => write!(f, "released to {pair}"),
            Self::Burned => f.write_str("burned"),
        }
    }
}

/// The marks of all groups that a QAP knows. A group goes to at most one pair, ever.
///
/// Every change returns the [`Record`] that has to be durable before anything built on it is sent. Groups that are
/// done are forgotten from the lowest number up when there are too many; their numbers stay closed.
#[derive(Debug, Clone)]
pub struct GroupMarks {
    marks: BTreeMap<GroupId, Mark>,
    /// Numbers below are closed for ever.
    floor: GroupId,
    capacity: usize,
    forgotten: MarkCounts,
}

/// Groups by mark; the sum is the number of groups ever added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct MarkCounts {
    /// Number of groups that belong to no pair of users yet.
    pub free: u64,
    /// Promised to a pair of users: reserved or committed.
    pub allocated: u64,
    /// Handed over to the user, in no final key yet.
    pub forwarded: u64,
    /// Hashed into final keys that both users have.
    pub released: u64,
    /// Number of groups that were given up.
    pub burned: u64,
}

impl MarkCounts {
    /// Number of groups ever added: the sum over all marks.
    pub fn total(&self) -> u64 {
        self.free + self.allocated + self.forwarded + self.released + self.burned
    }

    fn add(&mut self, mark: &Mark) {
        match mark {
            Mark::Free => self.free += 1,
            Mark::Reserved(_) | Mark::Committed(_) => self.allocated += 1,
            Mark::Forwarded(_) => self.forwarded += 1,
            Mark::Released(_) => self.released += 1,
            Mark::Burned => self.burned += 1,
        }
    }
}

impl GroupMarks {
    /// No groups, with room for `capacity` (at least one).
    pub fn new(capacity: usize) -> Self {
        Self {
            marks: BTreeMap::new(),
            floor: GroupId(0),
            capacity: capacity.max(1),
            forgotten: MarkCounts::default(),
        }
    }

    /// The marks after a restart, from what was durable: `Reserved` has become `Burned`, never `Free`, because the
    /// other QAP may or may not have heard of it.
    ///
    /// # Errors
    /// [`KeysError::WrongMark`] when the records contradict each other, [`KeysError::Full`] when they are too many.
    pub fn restore<'a>(
        capacity: usize,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Result<(Self, Vec<Record>), KeysError> {
        let mut marks = Self::new(capacity);
        for record in records {
            if let Record::Mark { group, mark } = *record {
                match marks.mark(group) {
                    None if mark == Mark::Free => marks.add(group)?,
                    None => {
                        marks.add(group)?;
                        marks.marks.insert(group, mark);
                    }
                    Some(_) => {
                        marks.advance(group, mark)?;
                    }
                }
            }
        }
        let reserved: Vec<_> = marks
            .marks
            .iter()
            .filter(|(_, mark)| matches!(mark, Mark::Reserved(_)))
            .map(|(group, _)| *group)
            .collect();
        let burned = reserved
            .into_iter()
            .map(|group| marks.advance(group, Mark::Burned))
            .collect::<Result<_, _>>()?;
        Ok((marks, burned))
    }

    /// Adds a new group as `Free`.
    ///
    /// # Errors
    /// [`KeysError::GroupTwice`] when the number was used before, [`KeysError::Full`] when nothing can be forgotten.
    pub fn add(&mut self, group: GroupId) -> Result<(), KeysError> {
        if group < self.floor || self.marks.contains_key(&group) {
            return Err(KeysError::GroupTwice { group });
        }
        while self.marks.len() >= self.capacity {
            let (first, mark) = self.marks.first_key_value().expect("capacity is at least one");
            if !mark.is_final() {
                return Err(KeysError::Full { capacity: self.capacity });
            }
            self.floor = GroupId(first.0.saturating_add(1));
            self.forgotten.add(mark);
            self.marks.pop_first();
        }
        if group < self.floor {
            return Err(KeysError::GroupTwice { group });
        }
        self.marks.insert(group, Mark::Free);
        Ok(())
    }

    /// Changes the mark of a group to one that may follow its present one.
    ///
    /// # Errors
    /// [`KeysError::UnknownGroup`], or [`KeysError::WrongMark`] when `to` may not follow the present mark or names
    /// another pair. Nothing changes then.
    pub fn advance(&mut self, group: GroupId, to: Mark) -> Result<Record, KeysError> {
        let mark = self.marks.get_mut(&group).ok_or(KeysError::UnknownGroup { group })?;
        if !mark.may_become(to) {
            return Err(KeysError::WrongMark { group, from: *mark, to });
        }
        *mark = to;
        Ok(Record::Mark { group, mark: to })
    }

    /// The mark of a group; `None` when it is unknown or forgotten.
    pub fn mark(&self, group: GroupId) -> Option<Mark> {
        self.marks.get(&group).copied()
    }

    /// All groups that are remembered, by number.
    pub fn iter(&self) -> impl Iterator<Item = (GroupId, Mark)> + '_ {
        self.marks.iter().map(|(group, mark)| (*group, *mark))
    }

    /// Groups by mark, forgotten ones included.
    pub fn counts(&self) -> MarkCounts {
        let mut counts = self.forgotten;
        self.marks.values().for_each(|mark| counts.add(mark));
        counts
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::UserId;

    fn pair(n: u16) -> PairId {
        PairId { a: UserId(n), b: UserId(n + 1) }
    }

    #[test]
    fn after_a_restart_reserved_is_burned_and_committed_stays() {
        let mut marks = GroupMarks::new(10);
        let mut records = Vec::new();
        for g in 0..3 {
            marks.add(GroupId(g)).unwrap();
            records.push(marks.advance(GroupId(g), Mark::Reserved(pair(1))).unwrap());
        }
        records.push(marks.advance(GroupId(1), Mark::Committed(pair(1))).unwrap());
        let (restored, burned) = GroupMarks::restore(10, &records).unwrap();
        assert_eq!(restored.mark(GroupId(0)), Some(Mark::Burned));
        assert_eq!(restored.mark(GroupId(1)), Some(Mark::Committed(pair(1))));
        assert_eq!(burned.len(), 2);
    }

    #[test]
    fn a_group_never_changes_its_pair() {
        let mut marks = GroupMarks::new(10);
        marks.add(GroupId(4)).unwrap();
        marks.advance(GroupId(4), Mark::Reserved(pair(1))).unwrap();
        let error = marks.advance(GroupId(4), Mark::Committed(pair(2))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "group 4 is reserved for 1>2 and cannot become committed to 2>3"
        );
    }

    #[test]
    fn a_full_list_forgets_what_is_done_and_keeps_its_number_closed() {
        let mut marks = GroupMarks::new(2);
        marks.add(GroupId(0)).unwrap();
        marks.add(GroupId(1)).unwrap();
        assert_eq!(marks.add(GroupId(2)), Err(KeysError::Full { capacity: 2 }));
        marks.advance(GroupId(0), Mark::Burned).unwrap();
        marks.add(GroupId(2)).unwrap();
        assert_eq!(marks.mark(GroupId(0)), None);
        assert_eq!(marks.add(GroupId(0)), Err(KeysError::GroupTwice { group: GroupId(0) }));
        assert_eq!(marks.counts().total(), 3);
    }

    proptest! {
        #[test]
        fn marks_only_move_forward_and_are_counted(
            steps in prop::collection::vec((0u64..6, 0u8..6, 0u16..2), 0..200),
        ) {
            let mut marks = GroupMarks::new(4);
            let mut added = 0;
            let mut pairs: BTreeMap<GroupId, PairId> = BTreeMap::new();
            for (g, step, p) in steps {
                let (group, pair) = (GroupId(g), pair(10 * p));
                let before = marks.mark(group);
                let to = match step {
                    0 => { added += u64::from(marks.add(group).is_ok()); continue }
                    1 => Mark::Reserved(pair),
                    2 => Mark::Committed(pair),
                    3 => Mark::Forwarded(pair),
                    4 => Mark::Released(pair),
                    _ => Mark::Burned,
                };
                if marks.advance(group, to).is_ok() {
                    let before = before.unwrap();
                    prop_assert!(before < to && !before.is_final());
                    if let Some(pair) = to.pair() {
                        prop_assert_eq!(*pairs.entry(group).or_insert(pair), pair);
                    }
                } else {
                    prop_assert_eq!(marks.mark(group), before);
                }
                prop_assert_eq!(marks.counts().total(), added);
            }
        }
    }
}
