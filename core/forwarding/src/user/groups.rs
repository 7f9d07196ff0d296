//! Ciphertexts and groups at the user.

use crqkd_keys::{GroupId, PadRef};

use super::User;
use super::holdings::Holding;
use crate::{
    Answer, CipherMode, CiphertextMessage, Event, Job, Message, Output, Received, Reception,
    final_key_len, pad_check,
};

/// Decodings under way at most.
const MAX_DECRYPTING: usize = 64;

impl User {
    pub(super) fn ciphertext(
        &mut self,
        message: CiphertextMessage,
        llr: &[f32],
        out: &mut Vec<Output>,
    ) {
        let (group, attempt) = (message.group, message.attempt);
        match self.groups.get(group) {
            _ if self.aborted => return,
            Some(Holding::Burned) => {
                self.counters.unexpected_messages += 1;
                return;
            }
            // The QAP missed that we have it.
            Some(_) => {
                self.results.push(Reception { group, attempt, ok: true });
                return;
            }
            None => {}
        }
        let room = self.decrypting.len() < MAX_DECRYPTING && self.results.len() < 1024;
        let wanted = self.session.is_some_and(|s| self.groups.total() < s.total);
        let good = wanted && room && self.pad_is_good(&message);
        let received = self.received(&message, llr);
        match received {
            Some(received) if good && self.decrypting.insert((group, attempt)) => {
                let pad = message.pad;
                out.push(Output::Job(Job::Decrypt { group, attempt, pad, received }));
            }
            _ if room => {
                self.counters.unexpected_messages += 1;
                self.results.push(Reception { group, attempt, ok: false });
            }
            _ => self.counters.queue_full += 1,
        }
    }

    /// True when the pad is as long as a codeword and both ends mean the same probes by it.
    fn pad_is_good(&self, message: &CiphertextMessage) -> bool {
        let checks: Option<Vec<u32>> =
            message.pad.iter().map(|p| self.windows.agreed.get(&p.window).copied()).collect();
        let bits = message.pad.iter().map(|place| u64::from(place.len)).sum::<u64>();
        message.code == 0
            && bits == u64::from(self.plan.config.code_bits)
            && message.pad.iter().all(|place: &PadRef| Some(place.epoch) == self.epoch)
            && checks.is_some_and(|checks| pad_check(checks) == message.check32)
    }

    fn received(&self, message: &CiphertextMessage, llr: &[f32]) -> Option<Received> {
        let code_bits = self.plan.config.code_bits as usize;
        match (self.plan.config.ciphertext, &message.bits) {
            (CipherMode::Protected, Some(bits)) if bits.len() == code_bits => {
                Some(Received::Exact(bits.clone()))
            }
            (CipherMode::Cascade, None) if llr.len() == code_bits => {
                Some(Received::Soft(llr.to_vec()))
            }
            _ => None,
        }
    }

    pub(super) fn decrypted(
        &mut self,
        group: GroupId,
        attempt: u8,
        answer: &Answer,
        out: &mut Vec<Output>,
    ) {
        self.decrypting.remove(&(group, attempt));
        let (ok, corrected) = match *answer {
            Answer::Decrypted { ok, corrected } => (ok, corrected),
            _ => (false, 0),
        };
        out.push(Output::Event(Event::GroupTried { group, attempt, ok, corrected }));
        if ok {
            match self.groups.get(group) {
                // Given up in the meantime.
                Some(_) => out.push(Output::Job(Job::Wipe { groups: vec![group] })),
                None => {
                    self.groups.set(group, Holding::Held);
                    let bits = u64::from(self.plan.config.group_bits);
                    self.balance.received += bits;
                    self.balance.in_flight += bits;
                }
            }
        }
        self.results.push(Reception { group, attempt, ok });
    }

    /// Answers ciphertexts: each one when protected, a batch when the QAP asks in cascade mode.
    pub(super) fn flush_results(&mut self) {
        let ready = match self.plan.config.ciphertext {
            CipherMode::Protected => !self.results.is_empty(),
            CipherMode::Cascade => self.answer_due && self.decrypting.is_empty(),
        };
        if !ready {
            return;
        }
        self.answer_due = false;
        let results = std::mem::take(&mut self.results);
        if results.is_empty() {
            self.queue(Message::Received { results });
        } else {
            for chunk in results.chunks(self.plan.list_chunk()) {
                self.queue(Message::Received { results: chunk.to_vec() });
            }
        }
    }

    /// The QAP has given groups up.
    pub(super) fn burned_by_qap(&mut self, groups: &[GroupId], out: &mut Vec<Output>) {
        let total = self.session.map_or(0, |session| session.total);
        for &group in groups {
            match self.groups.get(group) {
                Some(Holding::Held) => self.burn(&[group], out),
                None if self.groups.total() < total => self.burn(&[group], out),
                Some(Holding::Burned) => {}
                _ => self.counters.unexpected_messages += 1,
            }
        }
    }

    /// Gives groups up and wipes them. Never one that is in a released key.
    pub(super) fn burn(&mut self, groups: &[GroupId], out: &mut Vec<Output>) {
        let bits = u64::from(self.plan.config.group_bits);
        for &group in groups {
            let before = self.groups.set(group, Holding::Burned);
            debug_assert_ne!(before, Some(Holding::Released), "group {group} is in a key");
            if matches!(before, Some(Holding::Held | Holding::InBlock)) {
                self.balance.in_flight -= bits;
                self.balance.burned += bits;
            }
            out.push(Output::Event(Event::GroupBurned { group }));
        }
        if !groups.is_empty() {
            out.push(Output::Job(Job::Wipe { groups: groups.to_vec() }));
        }
    }

    /// Groups are in a released key.
    pub(super) fn count_released(&mut self, groups: &[GroupId]) {
        for group in groups {
            let before = self.groups.set(*group, Holding::Released);
            debug_assert_eq!(before, Some(Holding::InBlock), "group {group} is released");
        }
        let bits = groups.len() * self.plan.config.group_bits as usize;
        let key = final_key_len(bits);
        self.balance.in_flight -= bits as u64;
        self.balance.released += key as u64;
        self.balance.hashed_away += (bits - key) as u64;
    }

    /// Tells the QAP what became of groups.
    pub(super) fn settle(&mut self, released: Vec<GroupId>, burned: Vec<GroupId>) {
        let chunk = self.plan.list_chunk();
        for part in released.chunks(chunk) {
            self.queue(Message::Settled { released: part.to_vec(), burned: Vec::new() });
        }
        for part in burned.chunks(chunk) {
            self.queue(Message::Settled { released: Vec::new(), burned: part.to_vec() });
        }
    }

    /// Groups that were decoded and may still be burned.
    pub(super) fn unsettled(&self) -> Vec<GroupId> {
        let decided = self.releasing();
        let open = self.groups.open().map(|(group, _)| group);
        open.filter(|group| !decided.contains(group)).collect()
    }
}
