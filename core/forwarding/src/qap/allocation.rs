//! Which group goes to which pair, agreed between the two QAPs.
//!
//! ```text
//! QAP1: Free -> Reserved, durable --Allocate--> QAP2: Free -> Reserved -> Committed, durable, may be forwarded
//! QAP1: Committed, durable, may be forwarded <--Allocated--
//! ```
//!
//! The QAP with the lower number allocates even groups and the other one odd groups, so that they never compete.

use std::collections::BTreeMap;

use crqkd_keys::{GroupId, KeysError, Mark, PairId, Record, UserId};

use super::sending::Tell;
use super::{After, Qap};
use crate::{Event, MAX_REQUEST, Message, Output, WireMessage};

/// Groups in one wired message.
const WIRE_LIST: usize = 256;

/// The pair that key is being shared for, and this QAP's share of the groups.
#[derive(Debug, Clone, Copy)]
pub(super) struct Demand {
    pair: PairId,
    /// Groups that this QAP has to allocate.
    share: u64,
    /// Groups that it has allocated.
    allocated: u64,
    /// Groups that the other QAP did not have, and that others took the place of.
    replaced: u64,
}

/// Where the groups of this life and of the peer's begin and end. After a restart they need not begin with the same one:
/// what an access point had read is lost with it.
#[derive(Debug, Default)]
pub(super) struct Supply {
    /// The first and the last group that came out of the quantum link here.
    here: Option<(GroupId, GroupId)>,
    /// The peer has no group below.
    peer_from: GroupId,
}

impl Qap {
    /// The user asks for `groups` groups to be shared with `target`.
    pub(super) fn request(&mut self, target: UserId, groups: u32, out: &mut Vec<Output>) {
        let pair = PairId { a: self.config.user, b: target };
        let free = self.demand.is_none_or(|demand| demand.pair == pair);
        if target != self.config.peer.user || !(1..=MAX_REQUEST).contains(&groups) || !free {
            self.queue(Message::Refused { target }, None);
            out.push(Output::Event(Event::RequestRefused { target }));
            return;
        }
        self.add_demand(pair, groups, groups.div_ceil(2), out);
        let message = WireMessage::Notify { pair, groups };
        out.push(Output::Wire { to: self.config.peer.qap, message });
        self.allocate(out);
    }

    /// The peer's user asks for groups to be shared with ours.
    pub(super) fn notified(&mut self, pair: PairId, groups: u32, out: &mut Vec<Output>) {
        let peer = self.config.peer;
        let known = pair == PairId { a: peer.user, b: self.config.user };
        let own = self.demand.filter(|demand| demand.pair != pair);
        // Two requests that cross: that of the QAP with the lower number stands, and both know it.
        let stands = own.is_some() && self.config.id < peer.qap;
        if !known || !(1..=MAX_REQUEST).contains(&groups) {
            out.push(Output::Wire { to: peer.qap, message: WireMessage::Refused { pair } });
            self.counters.unexpected_messages += 1;
        } else if !stands {
            if let Some(own) = own {
                self.abandon(own, out);
            }
            self.add_demand(pair, groups, groups / 2, out);
            self.queue(Message::Notify { pair, groups }, None);
            self.allocate(out);
        }
    }

    /// The peer cannot serve our user's request.
    pub(super) fn request_refused(&mut self, pair: PairId, out: &mut Vec<Output>) {
        match self.demand {
            Some(own) if own.pair == pair => self.abandon(own, out),
            _ => self.counters.unexpected_messages += 1,
        }
    }

    fn add_demand(&mut self, pair: PairId, groups: u32, share: u32, out: &mut Vec<Output>) {
        let demand =
            self.demand.get_or_insert(Demand { pair, share: 0, allocated: 0, replaced: 0 });
        demand.share += u64::from(share);
        out.push(Output::Event(Event::Requested { pair, groups }));
    }

    fn abandon(&mut self, own: Demand, out: &mut Vec<Output>) {
        self.demand = None;
        let target = own.pair.b;
        self.queue(Message::Refused { target }, None);
        out.push(Output::Event(Event::RequestRefused { target }));
        let groups: Vec<_> = self
            .marks
            .iter()
            .filter(|(_, mark)| !mark.is_final() && mark.pair() == Some(own.pair))
            .map(|(group, _)| group)
            .collect();
        self.burn(&groups, Tell::Nobody, out);
    }

    /// Groups have come out of the quantum link.
    pub(super) fn groups_ready(&mut self, groups: &[GroupId], out: &mut Vec<Output>) {
        if let (Some(&first), Some(&last)) = (groups.iter().min(), groups.iter().max()) {
            let before = self.supply.here;
            if before.is_none_or(|(began, _)| first < began) {
                let message = WireMessage::SupplyFrom { group: first };
                out.push(Output::Wire { to: self.config.peer.qap, message });
            }
            let (began, newest) = before.unwrap_or((first, last));
            self.supply.here = Some((began.min(first), newest.max(last)));
        }
        self.passed_over(groups, out);
        let (mut late, mut used) = (Vec::new(), 0);
        for &group in groups {
            if let Err(error) = self.marks.add(group) {
                match error {
                    KeysError::GroupTwice { .. } => used += 1,
                    _ => self.counters.queue_full += 1,
                }
            } else if let Some(pair) = self.awaited.remove(&group) {
                late.push((group, pair));
            } else if self.is_mine(group) {
                self.free.insert(group);
            }
        }
        if used > 0 {
            out.push(Output::Event(Event::GroupsUsedBefore { groups: used }));
        }
        for (group, pair) in late {
            self.accept(pair, vec![group], Vec::new(), out);
        }
        self.give_up_awaited(groups.iter().max().copied(), out);
        self.allocate(out);
    }

    /// The peer's quantum key begins with this group. Free groups below are of no use and stay as they are: nothing durable
    /// follows from what the peer says.
    pub(super) fn peer_supply_from(&mut self, group: GroupId, out: &mut Vec<Output>) {
        let before = std::mem::replace(&mut self.supply.peer_from, group);
        let free = self.marks.iter().filter(|(_, mark)| *mark == Mark::Free);
        let here: Vec<_> = free.map(|(group, _)| group).filter(|group| *group >= before).collect();
        self.passed_over(&here, out);
        self.allocate(out);
    }

    /// Tells how many of these groups the peer will never have: others must be read in their place.
    fn passed_over(&self, groups: &[GroupId], out: &mut Vec<Output>) {
        let passed = groups.iter().filter(|group| **group < self.supply.peer_from).count();
        if passed > 0 {
            out.push(Output::Event(Event::GroupsPassedOver { groups: passed as u32 }));
        }
    }

    /// Groups come out of the quantum link in ascending order: one that the peer has allocated and that was passed over, as a
    /// file of it is missing here, never comes.
    fn give_up_awaited(&mut self, newest: Option<GroupId>, out: &mut Vec<Output>) {
        let Some(newest) = newest else { return };
        let later = self.awaited.split_off(&newest);
        let passed = std::mem::replace(&mut self.awaited, later);
        let mut by_pair: BTreeMap<PairId, Vec<GroupId>> = BTreeMap::new();
        for (group, pair) in passed {
            by_pair.entry(pair).or_default().push(group);
        }
        for (pair, groups) in by_pair {
            for groups in groups.chunks(WIRE_LIST) {
                self.accept(pair, Vec::new(), groups.to_vec(), out);
            }
        }
    }

    /// Reserves free groups of ours until our share is filled.
    fn allocate(&mut self, out: &mut Vec<Output>) {
        let Some(demand) = &mut self.demand else { return };
        let pair = demand.pair;
        let (mut groups, mut records) = (Vec::new(), Vec::new());
        while demand.allocated < demand.share {
            let Some(&group) = self.free.range(self.supply.peer_from..).next() else { break };
            self.free.remove(&group);
            if let Ok(record) = self.marks.advance(group, Mark::Reserved(pair)) {
                demand.allocated += 1;
                groups.push(group);
                records.push(record);
            }
        }
        for (groups, records) in groups.chunks(WIRE_LIST).zip(records.chunks(WIRE_LIST)) {
            let after = After::Allocate { pair, groups: groups.to_vec() };
            self.persist(records.to_vec(), after, out);
        }
    }

    /// The peer has reserved groups of its own for a pair.
    pub(super) fn allocate_for_peer(
        &mut self,
        pair: PairId,
        groups: Vec<GroupId>,
        out: &mut Vec<Output>,
    ) {
        let wanted = self.demand.is_some_and(|demand| demand.pair == pair);
        let (mut accepted, mut refused) = (Vec::new(), Vec::new());
        for group in groups {
            // Groups come in ascending order.
            let to_come = self.supply.here.is_none_or(|(_, newest)| newest < group);
            let room = self.awaited.len() < self.config.group_capacity;
            match self.marks.mark(group) {
                _ if !wanted || self.is_mine(group) => refused.push(group),
                Some(Mark::Free) => accepted.push(group),
                // Not here yet, as far as can be told; `add` refuses numbers that were here before.
                None if to_come && room => {
                    self.awaited.insert(group, pair);
                }
                _ => refused.push(group),
            }
        }
        if !accepted.is_empty() || !refused.is_empty() {
            self.accept(pair, accepted, refused, out);
        }
    }

    fn accept(
        &mut self,
        pair: PairId,
        accepted: Vec<GroupId>,
        refused: Vec<GroupId>,
        out: &mut Vec<Output>,
    ) {
        let mut records = Vec::new();
        for &group in &accepted {
            for mark in [Mark::Reserved(pair), Mark::Committed(pair)] {
                records.extend(self.marks.advance(group, mark));
            }
        }
        self.persist(records, After::Accept { pair, accepted, refused }, out);
    }

    /// The peer has answered our allocation.
    pub(super) fn allocated(
        &mut self,
        pair: PairId,
        accepted: &[GroupId],
        refused: &[GroupId],
        out: &mut Vec<Output>,
    ) {
        let mut committed = Vec::new();
        let mut records: Vec<Record> = Vec::new();
        for &group in accepted {
            if let Ok(record) = self.marks.advance(group, Mark::Committed(pair)) {
                committed.push(group);
                records.push(record);
            } else {
                self.counters.unexpected_messages += 1;
            }
        }
        if !committed.is_empty() {
            self.persist(records, After::Forward(committed), out);
        }
        let refused: Vec<_> =
            refused.iter().copied().filter(|group| self.is_mine(*group)).collect();
        // Others take their place, but not without end: two sites may have different key files.
        let replace = |demand: &mut Demand| {
            let most = demand.share / 4 + 2 - demand.replaced.min(demand.share / 4 + 2);
            let replaced = (refused.len() as u64).min(most);
            demand.replaced += replaced;
            demand.allocated -= replaced.min(demand.allocated);
            replaced as usize
        };
        let replaced = self.demand.as_mut().filter(|demand| demand.pair == pair).map_or(0, replace);
        self.burn(&refused[..replaced], Tell::Nobody, out);
        self.burn(&refused[replaced..], Tell::UserAndPeer, out);
        self.allocate(out);
    }

    fn is_mine(&self, group: GroupId) -> bool {
        let even = self.config.id < self.config.peer.qap;
        group.0.is_multiple_of(2) == even
    }
}
