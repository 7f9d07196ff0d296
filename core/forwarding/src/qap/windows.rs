//! Closing of windows at the QAP: both ends agree on the probes that they hold.
//!
//! ```text
//! filling --last probe--> CloseWindow --Bitmap--> Intersection --WindowAck--> deriving --Derived--> pad bits
//! ```

use std::collections::BTreeMap;

use crqkd_bits::BitString;
use crqkd_keys::{ProbeId, WindowId};

use super::Qap;
use crate::check::{both, ones};
use crate::{DropReason, Event, Job, Message, Output, Plan, window_check};

/// Windows that are being filled or closed.
#[derive(Debug)]
pub(super) struct Windows {
    probes: usize,
    discard: u32,
    min_kept: usize,
    max_open: usize,
    filling: BTreeMap<WindowId, BitString>,
    closing: BTreeMap<WindowId, Closing>,
    deriving: BTreeMap<WindowId, u32>,
}

#[derive(Debug)]
enum Closing {
    /// The user was asked for its bitmap; this is ours.
    AwaitBitmap(BitString),
    /// The user was told the intersection.
    AwaitAck { kept: BitString, check32: u32 },
}

impl Windows {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            probes: usize::from(plan.config.window_probes),
            discard: plan.config.discard_windows,
            min_kept: usize::from(plan.config.min_kept_probes),
            max_open: plan.config.open_windows as usize,
            filling: BTreeMap::new(),
            closing: BTreeMap::new(),
            deriving: BTreeMap::new(),
        }
    }

    /// Marks a probe as held; false in the windows that are thrown away.
    pub(super) fn hold(&mut self, probe: ProbeId) -> bool {
        if probe.window.0 < self.discard {
            return false;
        }
        let bitmap =
            self.filling.entry(probe.window).or_insert_with(|| BitString::with_len(self.probes));
        bitmap.set(usize::from(probe.index), true);
        true
    }
}

impl Qap {
    /// The last probe of `window` and its answer are over.
    pub(super) fn close_window(&mut self, window: WindowId, out: &mut Vec<Output>) {
        if window.0 < self.windows.discard {
            let reason = DropReason::Discarded;
            out.push(Output::Event(Event::WindowDropped { window, reason }));
            return;
        }
        let held = self.windows.filling.remove(&window).unwrap_or_default();
        if held.count_ones() < self.windows.min_kept {
            if self.last_heard.is_some() {
                self.drop_window(window, DropReason::TooFewProbes, out);
            }
            return;
        }
        self.windows.closing.insert(window, Closing::AwaitBitmap(held));
        self.queue(Message::CloseWindow { window }, None);
        while self.windows.closing.len() > self.windows.max_open {
            if let Some((oldest, _)) = self.windows.closing.pop_first() {
                self.drop_window(oldest, DropReason::Overtaken, out);
            }
        }
    }

    pub(super) fn bitmap(&mut self, window: WindowId, theirs: &BitString, out: &mut Vec<Output>) {
        let Some(Closing::AwaitBitmap(ours)) = self.windows.closing.get(&window) else {
            self.counters.unexpected_messages += 1;
            return;
        };
        match both(ours, theirs) {
            Some(kept) if kept.count_ones() >= self.windows.min_kept => {
                let check32 = window_check(window, &kept);
                let bitmap = kept.clone();
                self.windows.closing.insert(window, Closing::AwaitAck { kept, check32 });
                self.queue(Message::Intersection { window, bitmap, check32 }, None);
            }
            kept => {
                let reason = match kept {
                    Some(_) => DropReason::TooFewProbes,
                    None => DropReason::BadClose,
                };
                self.windows.closing.remove(&window);
                self.queue(Message::WindowDropped { window }, None);
                self.drop_window(window, reason, out);
            }
        }
    }

    pub(super) fn window_ack(&mut self, window: WindowId, check: u32, out: &mut Vec<Output>) {
        match self.windows.closing.get(&window) {
            Some(Closing::AwaitAck { kept, check32 }) if *check32 == check => {
                let kept = ones(kept);
                self.windows.closing.remove(&window);
                self.windows.deriving.insert(window, check);
                out.push(Output::Event(Event::WindowKept { window, kept: kept.len() as u16 }));
                out.push(Output::Job(Job::Derive { epoch: self.epoch, window, kept }));
            }
            Some(Closing::AwaitAck { .. }) => {
                self.windows.closing.remove(&window);
                self.queue(Message::WindowDropped { window }, None);
                self.drop_window(window, DropReason::BadClose, out);
            }
            _ => self.counters.unexpected_messages += 1,
        }
    }

    /// The user has no use for this window.
    pub(super) fn window_refused(&mut self, window: WindowId, out: &mut Vec<Output>) {
        match self.windows.closing.remove(&window) {
            Some(_) => self.drop_window(window, DropReason::BadClose, out),
            None => self.counters.unexpected_messages += 1,
        }
    }

    pub(super) fn derived(&mut self, window: WindowId, bits: u32, out: &mut Vec<Output>) {
        match self.windows.deriving.remove(&window) {
            Some(check32) if bits > 0 => {
                self.pads.insert(window, check32, bits);
                out.push(Output::Event(Event::PadReady { window, bits }));
            }
            Some(_) => {
                let reason = DropReason::Refused;
                out.push(Output::Event(Event::WindowDropped { window, reason }));
            }
            None => self.counters.unexpected_messages += 1,
        }
    }

    fn drop_window(&mut self, window: WindowId, reason: DropReason, out: &mut Vec<Output>) {
        out.push(Output::Event(Event::WindowDropped { window, reason }));
        out.push(Output::Job(Job::DropWindow { epoch: self.epoch, window }));
    }
}
