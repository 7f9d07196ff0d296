//! Closing of windows at the user.

use std::collections::BTreeMap;

use crqkd_bits::BitString;
use crqkd_keys::{Epoch, ProbeId, WindowId};

use super::User;
use crate::check::{both, ones};
use crate::{DropReason, Event, Job, Message, Output, Plan, window_check};

/// Windows that are being filled or closed, and the checks of those agreed on.
#[derive(Debug)]
pub(super) struct Windows {
    probes: usize,
    discard: u32,
    min_kept: usize,
    /// Windows that are remembered before they are agreed on.
    max_open: usize,
    open: BTreeMap<WindowId, BitString>,
    /// Checks of agreed windows, for the ciphertexts that name them.
    pub(super) agreed: BTreeMap<WindowId, u32>,
    max_agreed: usize,
}

impl Windows {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            probes: usize::from(plan.config.window_probes),
            discard: plan.config.discard_windows,
            min_kept: usize::from(plan.config.min_kept_probes),
            // One more than the QAP's, and the one being filled.
            max_open: plan.config.open_windows as usize + 2,
            open: BTreeMap::new(),
            agreed: BTreeMap::new(),
            max_agreed: plan.config.pad_windows as usize + 16,
        }
    }

    /// A probe of this window was heard; returns the windows that it overtakes.
    pub(super) fn begin(&mut self, probe: ProbeId) -> Vec<WindowId> {
        if probe.window.0 >= self.discard {
            self.open.entry(probe.window).or_insert_with(|| BitString::with_len(self.probes));
        }
        let mut overtaken = Vec::new();
        while self.open.len() > self.max_open {
            overtaken.extend(self.open.pop_first().map(|(window, _)| window));
        }
        overtaken
    }

    /// Marks a probe as held; false in the windows that are thrown away.
    pub(super) fn hold(&mut self, probe: ProbeId) -> bool {
        match self.open.get_mut(&probe.window) {
            Some(bitmap) if usize::from(probe.index) < bitmap.len() => {
                bitmap.set(usize::from(probe.index), true);
                true
            }
            _ => false,
        }
    }
}

impl User {
    pub(super) fn close_window(&mut self, window: WindowId) {
        match self.windows.open.get(&window) {
            Some(bitmap) => {
                let bitmap = bitmap.clone();
                self.queue(Message::Bitmap { window, bitmap });
            }
            // Nothing of it was heard, or it was overtaken.
            None => self.queue(Message::WindowDropped { window }),
        }
    }

    pub(super) fn intersection(
        &mut self,
        window: WindowId,
        bitmap: &BitString,
        check32: u32,
        out: &mut Vec<Output>,
    ) {
        let Some(held) = self.windows.open.remove(&window) else {
            self.queue(Message::WindowDropped { window });
            return;
        };
        let Some(epoch) = self.epoch else { return };
        let subset = both(&held, bitmap).is_some_and(|common| common == *bitmap);
        let enough = bitmap.count_ones() >= self.windows.min_kept;
        if !subset || !enough || check32 != window_check(window, bitmap) {
            self.counters.unexpected_messages += 1;
            self.queue(Message::WindowDropped { window });
            self.drop_window(epoch, window, DropReason::BadClose, out);
            return;
        }
        let kept = ones(bitmap);
        self.windows.agreed.insert(window, check32);
        while self.windows.agreed.len() > self.windows.max_agreed {
            self.windows.agreed.pop_first();
        }
        out.push(Output::Event(Event::WindowKept { window, kept: kept.len() as u16 }));
        out.push(Output::Job(Job::Derive { epoch, window, kept }));
        self.queue(Message::WindowAck { window, check32 });
    }

    pub(super) fn window_dropped(&mut self, window: WindowId, out: &mut Vec<Output>) {
        if let (Some(_), Some(epoch)) = (self.windows.open.remove(&window), self.epoch) {
            self.drop_window(epoch, window, DropReason::TooFewProbes, out);
        }
    }

    pub(super) fn derived(&mut self, window: WindowId, bits: u32, out: &mut Vec<Output>) {
        if bits > 0 {
            out.push(Output::Event(Event::PadReady { window, bits }));
        } else {
            self.windows.agreed.remove(&window);
            let reason = DropReason::Refused;
            out.push(Output::Event(Event::WindowDropped { window, reason }));
        }
    }

    pub(super) fn drop_window(
        &mut self,
        epoch: Epoch,
        window: WindowId,
        reason: DropReason,
        out: &mut Vec<Output>,
    ) {
        out.push(Output::Event(Event::WindowDropped { window, reason }));
        out.push(Output::Job(Job::DropWindow { epoch, window }));
    }
}
