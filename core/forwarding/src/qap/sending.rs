//! Forwarding of committed groups to the user: ciphertexts, answers, retransmissions, burning.

use crqkd_bits::BitString;
use crqkd_keys::{GroupId, Mark, PadRef};

use super::{After, Qap};
use crate::{CipherMode, CiphertextMessage, Event, Job, Message, Output, Reception};

/// Messages in the queue above which no ciphertext is made.
const CROWDED: usize = 24;

/// A ciphertext on its way.
#[derive(Debug)]
pub(super) struct InFlight {
    attempt: u8,
    pad: Vec<PadRef>,
    check32: u32,
    sent: bool,
}

/// Who hears of burned groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tell {
    Nobody,
    User,
    UserAndPeer,
}

impl Qap {
    /// Makes as many ciphertexts as pads and queues allow.
    pub(super) fn pump(&mut self, out: &mut Vec<Output>) {
        let limit = 2 * usize::from(self.plan.config.groups_per_block);
        while self.in_flight.len() < limit && self.arq.waiting() < CROWDED {
            let Some((&group, &attempt)) = self.to_send.first_key_value() else { break };
            let pad = self.pads.allocate(self.plan.config.code_bits, self.plan.max_pad_refs());
            let Some((pad, check32)) = pad else { break };
            self.to_send.pop_first();
            out.push(Output::Job(Job::Encrypt { group, attempt, pad: pad.clone() }));
            self.in_flight.insert(group, InFlight { attempt, pad, check32, sent: false });
        }
        if self.plan.config.ciphertext == CipherMode::Cascade && !self.batch_ended {
            let sent = self.in_flight.values().filter(|flight| flight.sent).count();
            let more = !self.to_send.is_empty() || sent < self.in_flight.len();
            let full = sent >= usize::from(self.plan.config.groups_per_block);
            if sent > 0 && (full || !more) {
                self.batch_ended = true;
                self.queue(Message::BatchEnd, None);
            }
        }
    }

    pub(super) fn encrypted(
        &mut self,
        group: GroupId,
        attempt: u8,
        ciphertext: BitString,
        out: &mut Vec<Output>,
    ) {
        let Some(flight) = self.in_flight.get_mut(&group) else { return };
        if flight.attempt != attempt || flight.sent {
            self.counters.unexpected_messages += 1;
            return;
        }
        if ciphertext.len() != self.plan.config.code_bits as usize {
            let reason = format!("group {group}: a ciphertext of {} bits", ciphertext.len());
            out.push(Output::Event(Event::WorkFailed { reason }));
            self.burn(&[group], Tell::UserAndPeer, out);
            return;
        }
        flight.sent = true;
        let (pad, check32) = (flight.pad.clone(), flight.check32);
        let (bits, cipher) = match self.plan.config.ciphertext {
            CipherMode::Protected => (Some(ciphertext), None),
            CipherMode::Cascade => (None, Some(ciphertext)),
        };
        out.push(Output::Event(Event::GroupSent { group, attempt, pad: pad.clone() }));
        let message = CiphertextMessage { group, attempt, code: 0, pad, check32, bits };
        self.queue(Message::Ciphertext(message), cipher);
    }

    /// The user has answered ciphertexts.
    pub(super) fn received(&mut self, results: &[Reception], out: &mut Vec<Output>) {
        self.batch_ended = false;
        let (mut delivered, mut burned, mut records) = (Vec::new(), Vec::new(), Vec::new());
        for &Reception { group, attempt, ok } in results {
            let known = self.in_flight.get(&group);
            if !known.is_some_and(|flight| flight.sent && flight.attempt == attempt) {
                self.counters.unexpected_messages += 1;
                continue;
            }
            self.in_flight.remove(&group);
            out.push(Output::Event(Event::GroupAnswered { group, attempt, ok }));
            if ok {
                let pair = self.marks.mark(group).and_then(|mark| mark.pair());
                let advance = pair.map(|pair| self.marks.advance(group, Mark::Forwarded(pair)));
                records.extend(advance.into_iter().flatten());
                delivered.push(group);
            } else if attempt + 1 < self.plan.config.max_attempts {
                self.to_send.insert(group, attempt + 1);
            } else {
                burned.push(group);
            }
        }
        if !delivered.is_empty() {
            self.persist(records, After::Nothing, out);
            out.push(Output::Job(Job::Wipe { groups: delivered }));
        }
        self.burn(&burned, Tell::UserAndPeer, out);
    }

    /// What became of groups at the user.
    pub(super) fn settled(
        &mut self,
        released: &[GroupId],
        burned: &[GroupId],
        out: &mut Vec<Output>,
    ) {
        let mut records = Vec::new();
        for &group in released {
            let pair = self.marks.mark(group).and_then(|mark| mark.pair());
            match pair.map(|pair| self.marks.advance(group, Mark::Released(pair))) {
                Some(Ok(record)) => records.push(record),
                _ => self.counters.unexpected_messages += 1,
            }
        }
        for &group in burned {
            let mine = self.marks.mark(group).is_some_and(|mark| mark.pair().is_some());
            if let (true, Ok(record)) = (mine, self.marks.advance(group, Mark::Burned)) {
                records.push(record);
                self.forget(group);
                out.push(Output::Event(Event::GroupBurned { group }));
                out.push(Output::Job(Job::Wipe { groups: vec![group] }));
            }
        }
        if !records.is_empty() {
            self.persist(records, After::Nothing, out);
        }
    }

    /// Gives groups up and says so.
    pub(super) fn burn(&mut self, groups: &[GroupId], tell: Tell, out: &mut Vec<Output>) {
        let (mut burned, mut records) = (Vec::new(), Vec::new());
        for &group in groups {
            self.awaited.remove(&group);
            self.free.remove(&group);
            self.forget(group);
            match (self.marks.mark(group), self.marks.advance(group, Mark::Burned)) {
                (_, Ok(record)) => records.push(record),
                // The peer gave up a group that never came out here: the user must hear of it all the same.
                (None, _) if tell == Tell::User => {}
                _ => continue,
            }
            burned.push(group);
            out.push(Output::Event(Event::GroupBurned { group }));
        }
        if !burned.is_empty() {
            out.push(Output::Job(Job::Wipe { groups: burned.clone() }));
            let after = match tell {
                Tell::Nobody => After::Nothing,
                _ => After::TellBurned { groups: burned, peer: tell == Tell::UserAndPeer },
            };
            self.persist(records, after, out);
        }
    }

    fn forget(&mut self, group: GroupId) {
        self.to_send.remove(&group);
        self.in_flight.remove(&group);
    }
}
