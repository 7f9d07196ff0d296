//! From groups to keys: the two users agree on a block of groups, verify it, and release the key.
//!
//! ```text
//! asking user                                             other user
//!   BlockPropose(groups it holds)            ---------->    waits until each is decoded or burned here
//!                                            <----------  BlockAccept(those it holds too: the block)
//!   draws the seed: BlockSeed in parts, BlockVerify(tag) ->  computes its own tag
//!                                            <----------  room for the key, then BlockConfirm(equal or not)
//!   room for the key, durable, then releases: BlockReleased ->    durable, then releases
//! ```

use crqkd_bits::Fingerprint;
use crqkd_keys::{Epoch, GroupId, KeyId, Record};

use super::User;
use super::holdings::Holding;
use crate::{BlockSeed, ControlFrame, Event, Job, Message, Output, PeerMessage, final_key_len};

/// Groups in a block at most, also when the other user proposes it.
const MAX_BLOCK: usize = 32;

/// A block that both users have agreed on.
#[derive(Debug, Clone)]
pub(super) struct Block {
    number: u32,
    /// Numbers of the groups in the block, ascending.
    groups: Vec<GroupId>,
    key: KeyId,
    seed: BlockSeed,
}

/// How far the asking user has come with a block.
#[derive(Debug)]
pub(super) enum Initiator {
    Idle,
    Proposed { number: u32, groups: Vec<GroupId> },
    Tagging(Block),
    AwaitConfirm(Block),
    Persisting(Block),
    Releasing(Block),
}

/// A block that was proposed to us.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Proposal {
    number: u32,
    epoch: Epoch,
    groups: Vec<GroupId>,
}

/// How far the other user has come with a block.
#[derive(Debug)]
pub(super) enum Responder {
    Idle,
    Seeding { proposal: Proposal, bytes: Vec<u8> },
    Tagging { block: Block, theirs: u64 },
    Promising(Block),
    AwaitRelease(Block),
    Persisting(Block),
    Releasing(Block),
}

impl User {
    /// Asking user: proposes a block when there are groups enough, or no more are to come.
    pub(super) fn propose(&mut self) {
        let Some(session) = self.session.filter(|s| s.pair.a == self.config.id) else { return };
        let Some(epoch) = self.epoch else { return };
        if !matches!(self.initiator, Initiator::Idle) || self.aborted {
            return;
        }
        let held: Vec<GroupId> = self.held().collect();
        let size = usize::from(self.plan.config.groups_per_block);
        let all_here = self.groups.total() >= session.total;
        let enough = held.len() >= if all_here { 1 } else { size };
        if !enough {
            return;
        }
        let groups: Vec<_> = held.into_iter().take(size).collect();
        for group in &groups {
            self.groups.set(*group, Holding::InBlock);
        }
        let number = self.next_block;
        self.next_block += 1;
        self.tell_peer(PeerMessage::BlockPropose { block: number, epoch, groups: groups.clone() });
        self.initiator = Initiator::Proposed { number, groups };
    }

    /// Other user: answers a proposal once every group in it is either here or given up.
    pub(super) fn accept(&mut self, out: &mut Vec<Output>) {
        let (Responder::Idle, Some(proposal)) = (&self.responder, &self.proposal) else { return };
        if proposal.groups.iter().any(|group| self.groups.get(*group).is_none()) {
            return;
        }
        let Some(mut proposal) = self.proposal.take() else { return };
        proposal.groups.retain(|group| self.groups.get(*group) == Some(Holding::Held));
        for group in &proposal.groups {
            self.groups.set(*group, Holding::InBlock);
        }
        let (block, groups) = (proposal.number, proposal.groups.clone());
        self.tell_peer(PeerMessage::BlockAccept { block, groups });
        if self.key_len(&proposal.groups) == 0 {
            self.burn_block(&proposal.groups, out);
        } else {
            self.responder = Responder::Seeding { proposal, bytes: Vec::new() };
        }
    }

    pub(super) fn peer_message(&mut self, message: PeerMessage, out: &mut Vec<Output>) {
        let asking = self.session.is_some_and(|s| s.pair.a == self.config.id);
        let understood = match message {
            PeerMessage::BlockPropose { block, epoch, groups } if !asking => {
                self.proposed(Proposal { number: block, epoch, groups })
            }
            PeerMessage::BlockSeed { block, offset, bytes } if !asking => {
                self.seed_part(block, offset, &bytes)
            }
            PeerMessage::BlockVerify { block, tag } if !asking => self.verify(block, tag, out),
            PeerMessage::BlockReleased { block } if !asking => self.other_released(block, out),
            PeerMessage::BlockAccept { block, groups } if asking => {
                self.accepted(block, &groups, out)
            }
            PeerMessage::BlockConfirm { block, ok } => self.confirmed(block, ok, out),
            _ => false,
        };
        if !understood {
            self.counters.unexpected_messages += 1;
        }
    }

    fn proposed(&mut self, proposal: Proposal) -> bool {
        let sorted = proposal.groups.windows(2).all(|pair| pair[0] < pair[1]);
        let size = (1..=MAX_BLOCK).contains(&proposal.groups.len());
        if !sorted || !size || proposal.number < self.next_block {
            return false;
        }
        // The asking user may have released the last block and go on while it is still being released here.
        let ready = matches!(
            self.responder,
            Responder::Idle | Responder::Persisting(_) | Responder::Releasing(_)
        );
        if !ready || self.proposal.is_some() || self.aborted {
            return false;
        }
        self.next_block = proposal.number.saturating_add(1);
        self.proposal = Some(proposal);
        true
    }

    fn accepted(&mut self, number: u32, accepted: &[GroupId], out: &mut Vec<Output>) -> bool {
        let Some(session) = self.session else { return false };
        let Some(epoch) = self.epoch else { return false };
        let Initiator::Proposed { number: expected, groups } = &self.initiator else {
            return false;
        };
        let sorted = accepted.windows(2).all(|pair| pair[0] < pair[1]);
        if *expected != number || !sorted || !accepted.iter().all(|g| groups.contains(g)) {
            return false;
        }
        let missing: Vec<_> =
            groups.iter().copied().filter(|group| !accepted.contains(group)).collect();
        let groups = accepted.to_vec();
        self.initiator = Initiator::Idle;
        self.burn_block(&missing, out);
        if self.key_len(&groups) == 0 {
            self.burn_block(&groups, out);
            return true;
        }
        let bits = groups.len() * self.plan.config.group_bits as usize;
        let seed = BlockSeed::draw(&mut *self.rng, bits);
        // kind, from, to, kind, block, offset, length
        let room = self.plan.frames.control_bytes - ControlFrame::OVERHEAD - 16;
        let mut offset = 0;
        for part in seed.to_bytes().chunks(room) {
            let bytes = part.to_vec();
            self.tell_peer(PeerMessage::BlockSeed { block: number, offset, bytes });
            offset += part.len() as u32;
        }
        let hash_key = seed.hash_key;
        let key = KeyId::of(session.pair, epoch, number, &seed.to_bytes());
        out.push(Output::Job(Job::TagBlock { block: number, groups: groups.clone(), hash_key }));
        self.initiator = Initiator::Tagging(Block { number, groups, key, seed });
        true
    }

    fn seed_part(&mut self, number: u32, offset: u32, part: &[u8]) -> bool {
        let group_bits = self.plan.config.group_bits as usize;
        match &mut self.responder {
            Responder::Seeding { proposal, bytes }
                if proposal.number == number
                    && offset as usize == bytes.len()
                    && bytes.len() + part.len()
                        <= BlockSeed::byte_len(proposal.groups.len() * group_bits) =>
            {
                bytes.extend(part);
                true
            }
            _ => false,
        }
    }

    fn verify(&mut self, number: u32, theirs: u64, out: &mut Vec<Output>) -> bool {
        let Some(session) = self.session else { return false };
        let Responder::Seeding { proposal, bytes } = &self.responder else { return false };
        if proposal.number != number {
            return false;
        }
        let bits = proposal.groups.len() * self.plan.config.group_bits as usize;
        let groups = proposal.groups.clone();
        let Ok(seed) = BlockSeed::from_bytes(bytes, bits) else {
            self.refuse_block(number, &groups, out);
            return true;
        };
        let key = KeyId::of(session.pair, proposal.epoch, number, bytes);
        let hash_key = seed.hash_key;
        out.push(Output::Job(Job::TagBlock { block: number, groups: groups.clone(), hash_key }));
        self.responder = Responder::Tagging { block: Block { number, groups, key, seed }, theirs };
        true
    }

    /// Our own tag is there (`None`: it could not be computed).
    pub(super) fn tagged(&mut self, number: u32, tag: Option<u64>, out: &mut Vec<Output>) {
        match std::mem::replace(&mut self.initiator, Initiator::Idle) {
            Initiator::Tagging(block) if block.number == number => {
                match tag {
                    Some(tag) => {
                        self.tell_peer(PeerMessage::BlockVerify { block: number, tag });
                        self.initiator = Initiator::AwaitConfirm(block);
                    }
                    None => {
                        self.tell_peer(PeerMessage::BlockConfirm { block: number, ok: false });
                        self.burn_block(&block.groups, out);
                    }
                }
                return;
            }
            other => self.initiator = other,
        }
        match std::mem::replace(&mut self.responder, Responder::Idle) {
            Responder::Tagging { block, theirs } if block.number == number => {
                let ok = tag == Some(theirs);
                self.verified(&block, ok, out);
                if ok {
                    self.promise(&block, out);
                    self.responder = Responder::Promising(block);
                } else {
                    self.refuse_block(number, &block.groups, out);
                }
            }
            other => self.responder = other,
        }
    }

    fn confirmed(&mut self, number: u32, ok: bool, out: &mut Vec<Output>) -> bool {
        match std::mem::replace(&mut self.initiator, Initiator::Idle) {
            Initiator::AwaitConfirm(block) if block.number == number => {
                self.verified(&block, ok, out);
                if ok {
                    let bits = self.key_len(&block.groups) as u64;
                    let (key, groups) = (block.key, block.groups.clone());
                    let records = vec![Record::Promise { key, bits }, Record::Key { key, groups }];
                    self.persist(number, records, out);
                    self.initiator = Initiator::Persisting(block);
                } else {
                    self.burn_block(&block.groups, out);
                }
                return true;
            }
            // The other one could not even try.
            Initiator::Tagging(block) if block.number == number && !ok => {
                self.burn_block(&block.groups, out);
                return true;
            }
            other => self.initiator = other,
        }
        let groups = match &self.responder {
            Responder::Seeding { proposal, .. } if proposal.number == number && !ok => {
                proposal.groups.clone()
            }
            _ => return false,
        };
        self.responder = Responder::Idle;
        self.burn_block(&groups, out);
        true
    }

    fn other_released(&mut self, number: u32, out: &mut Vec<Output>) -> bool {
        match std::mem::replace(&mut self.responder, Responder::Idle) {
            Responder::AwaitRelease(block) if block.number == number => {
                let (key, groups) = (block.key, block.groups.clone());
                self.persist(number, vec![Record::Key { key, groups }], out);
                self.responder = Responder::Persisting(block);
                true
            }
            other => {
                self.responder = other;
                false
            }
        }
    }

    /// The record of a key is durable: it may be released, and the other user told.
    pub(super) fn durable(&mut self, number: u64, out: &mut Vec<Output>) {
        let Some(block) = self.after.remove(&number) else {
            self.counters.unexpected_messages += 1;
            return;
        };
        match std::mem::replace(&mut self.initiator, Initiator::Idle) {
            Initiator::Persisting(b) if b.number == block => {
                self.tell_peer(PeerMessage::BlockReleased { block });
                self.release(&b, out);
                self.initiator = Initiator::Releasing(b);
                return;
            }
            other => self.initiator = other,
        }
        match std::mem::replace(&mut self.responder, Responder::Idle) {
            Responder::Promising(b) if b.number == block => {
                self.tell_peer(PeerMessage::BlockConfirm { block, ok: true });
                self.responder = Responder::AwaitRelease(b);
            }
            Responder::Persisting(b) if b.number == block => {
                self.release(&b, out);
                self.responder = Responder::Releasing(b);
            }
            other => self.responder = other,
        }
    }

    /// The key is with the user's programs (`None`: it could not be made).
    pub(super) fn released(
        &mut self,
        number: u32,
        fingerprint: Option<Fingerprint>,
        out: &mut Vec<Output>,
    ) {
        let block = match std::mem::replace(&mut self.initiator, Initiator::Idle) {
            Initiator::Releasing(block) if block.number == number => Some(block),
            other => {
                self.initiator = other;
                match std::mem::replace(&mut self.responder, Responder::Idle) {
                    Responder::Releasing(block) if block.number == number => Some(block),
                    other => {
                        self.responder = other;
                        None
                    }
                }
            }
        };
        let Some(Block { key, groups, .. }) = block else { return };
        let Some(fingerprint) = fingerprint else {
            self.burn_block(&groups, out);
            return;
        };
        self.count_released(&groups);
        self.settle(groups.clone(), Vec::new());
        let bits = self.key_len(&groups);
        out.push(Output::Event(Event::KeyReleased { key, bits, groups, fingerprint }));
    }

    /// Groups of a block whose release is decided.
    pub(super) fn releasing(&self) -> &[GroupId] {
        match (&self.initiator, &self.responder) {
            (Initiator::Persisting(block) | Initiator::Releasing(block), _)
            | (_, Responder::Persisting(block) | Responder::Releasing(block)) => &block.groups,
            _ => &[],
        }
    }

    /// Gives up every block whose release is not decided.
    pub(super) fn forget_blocks(&mut self) {
        if !matches!(self.initiator, Initiator::Persisting(_) | Initiator::Releasing(_)) {
            self.initiator = Initiator::Idle;
        }
        if !matches!(self.responder, Responder::Persisting(_) | Responder::Releasing(_)) {
            self.responder = Responder::Idle;
        }
        self.proposal = None;
    }

    fn release(&mut self, block: &Block, out: &mut Vec<Output>) {
        let Some(session) = self.session else { return };
        out.push(Output::Job(Job::Release {
            key: block.key,
            pair: session.pair,
            block: block.number,
            groups: block.groups.clone(),
            seed: block.seed.clone(),
            len: self.key_len(&block.groups),
        }));
    }

    /// The other user may rely on this end's copy: there must be room for it.
    fn promise(&mut self, block: &Block, out: &mut Vec<Output>) {
        let bits = self.key_len(&block.groups) as u64;
        self.persist(block.number, vec![Record::Promise { key: block.key, bits }], out);
    }

    fn verified(&self, block: &Block, ok: bool, out: &mut Vec<Output>) {
        let (number, groups) = (block.number, block.groups.clone());
        out.push(Output::Event(Event::BlockVerified { block: number, groups, ok }));
    }

    fn refuse_block(&mut self, number: u32, groups: &[GroupId], out: &mut Vec<Output>) {
        self.tell_peer(PeerMessage::BlockConfirm { block: number, ok: false });
        self.burn_block(groups, out);
        self.responder = Responder::Idle;
    }

    fn burn_block(&mut self, groups: &[GroupId], out: &mut Vec<Output>) {
        self.burn(groups, out);
        self.settle(Vec::new(), groups.to_vec());
    }

    fn tell_peer(&mut self, body: PeerMessage) {
        let from = self.config.id;
        if let Some(to) = self.session.and_then(|session| session.pair.other(from)) {
            self.queue(Message::Relay { from, to, body });
        }
    }

    fn key_len(&self, groups: &[GroupId]) -> usize {
        final_key_len(groups.len() * self.plan.config.group_bits as usize)
    }

    fn held(&self) -> impl Iterator<Item = GroupId> + '_ {
        let held = self.groups.open().filter(|(_, holding)| *holding == Holding::Held);
        held.map(|(group, _)| group)
    }
}
