//! [`Arq`]: messages over lossy control frames, each delivered once and in order (stop-and-wait, both directions).
//!
//! ```text
//! QAP   seq 5 ack 2 ------------> user     user: 5 is new, deliver it
//!       <------------ seq 3 ack 5          QAP: 5 has arrived, next is 6; 3 is new, deliver it
//!       seq 6 ack 3 ---- lost
//!       (no answer: the same again in the next control slot)
//! ```

use std::collections::VecDeque;

use crqkd_bits::BitString;

use crate::message::MAX_MESSAGES;
use crate::{ControlFrame, Message};

/// Messages that wait at most.
const MAX_WAITING: usize = 128;

/// One end of the exchange.
#[derive(Debug)]
pub(crate) struct Arq {
    waiting: VecDeque<Outgoing>,
    /// Messages sent under `sent_seq` and not acknowledged.
    sent: Vec<Outgoing>,
    sent_seq: u16,
    received_seq: u16,
    /// Bytes of a control frame.
    frame_bytes: usize,
}

#[derive(Debug)]
struct Outgoing {
    message: Message,
    len: usize,
    /// Uncoded bits that go behind the frame.
    cipher: Option<BitString>,
}

/// What a received control frame holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// Messages to act on (none in a bare acknowledgement).
    New(Vec<Message>),
    /// Messages that were delivered before.
    Repeated,
    /// A number that cannot be.
    Unexpected,
}

impl Arq {
    pub(crate) fn new(frame_bytes: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            sent: Vec::new(),
            sent_seq: 0,
            received_seq: 0,
            frame_bytes,
        }
    }

    /// Queues a message; false, and nothing queued, when too many wait.
    #[must_use]
    pub(crate) fn push(&mut self, message: Message, cipher: Option<BitString>) -> bool {
        let room = self.waiting.len() < MAX_WAITING;
        if room {
            let len = message.emitted_len();
            self.waiting.push_back(Outgoing { message, len, cipher });
        }
        room
    }

    /// Messages queued and not yet sent.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// True while something is queued or not acknowledged.
    pub(crate) fn is_pending(&self) -> bool {
        !self.waiting.is_empty() || !self.sent.is_empty()
    }

    /// The next frame: what is not acknowledged again, or else as many queued messages as fit.
    pub(crate) fn compose(&mut self) -> (Vec<u8>, Option<BitString>) {
        if self.sent.is_empty() {
            self.pack();
        }
        let frame = ControlFrame {
            seq: if self.sent.is_empty() { 0 } else { self.sent_seq },
            ack: self.received_seq,
            tag: Vec::new(),
            messages: self.sent.iter().map(|outgoing| outgoing.message.clone()).collect(),
        };
        let cipher = self.sent.iter().find_map(|outgoing| outgoing.cipher.clone());
        (frame.emit(), cipher)
    }

    /// Takes a received frame in.
    pub(crate) fn receive(&mut self, frame: ControlFrame) -> Incoming {
        if !self.sent.is_empty() && frame.ack == self.sent_seq {
            self.sent.clear();
        }
        match frame.seq {
            0 if frame.messages.is_empty() => Incoming::New(Vec::new()),
            0 => Incoming::Unexpected,
            seq if seq == self.received_seq => Incoming::Repeated,
            seq if seq == following(self.received_seq) => {
                self.received_seq = seq;
                Incoming::New(frame.messages)
            }
            _ => Incoming::Unexpected,
        }
    }

    fn pack(&mut self) {
        let mut room = self.frame_bytes.saturating_sub(ControlFrame::OVERHEAD);
        while let Some(next) = self.waiting.front() {
            let second_cipher =
                next.cipher.is_some() && self.sent.iter().any(|sent| sent.cipher.is_some());
            let full = next.len > room || self.sent.len() >= MAX_MESSAGES || second_cipher;
            if full && !self.sent.is_empty() {
                break;
            }
            room = room.saturating_sub(next.len);
            self.sent.extend(self.waiting.pop_front());
        }
        if !self.sent.is_empty() {
            self.sent_seq = following(self.sent_seq);
        }
    }
}

/// 1, 2, ..., 65535, 1, ...
fn following(seq: u16) -> u16 {
    seq.checked_add(1).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use crqkd_keys::WindowId;
    use proptest::prelude::*;

    use super::*;

    fn message(n: u32) -> Message {
        Message::CloseWindow { window: WindowId(n) }
    }

    #[test]
    fn a_frame_holds_as_many_messages_as_fit_and_one_cipher() {
        let mut arq = Arq::new(ControlFrame::OVERHEAD + 3 * message(0).emitted_len());
        for n in 0..4 {
            assert!(arq.push(message(n), (n < 2).then(|| BitString::with_len(8))));
        }
        let (bytes, cipher) = arq.compose();
        assert_eq!(ControlFrame::parse(&bytes).unwrap().messages, [message(0)]);
        assert!(cipher.is_some());
        let ack = |ack| ControlFrame { ack, ..Default::default() };
        arq.receive(ack(1));
        let (bytes, _) = arq.compose();
        assert_eq!(ControlFrame::parse(&bytes).unwrap().messages.len(), 3);
        assert!(bytes.len() <= arq.frame_bytes);
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut arq = Arq::new(100);
        assert_eq!((0..1000).filter(|n| arq.push(message(*n), None)).count(), MAX_WAITING);
    }

    proptest! {
        #[test]
        fn every_message_arrives_once_and_in_order_over_a_lossy_link(
            losses in prop::collection::vec((any::<bool>(), any::<bool>()), 400),
            count in 1u32..60,
            first_seq in prop_oneof![Just(0u16), Just(65530u16)],
        ) {
            let (mut a, mut b) = (Arq::new(40), Arq::new(40));
            a.sent_seq = first_seq;
            b.received_seq = first_seq;
            let (mut at_b, mut at_a) = (Vec::new(), Vec::new());
            for n in 0..count {
                prop_assert!(a.push(message(n), None));
                prop_assert!(b.push(message(1000 + n), None));
            }
            // Two hundred exchanges without loss at the end, so that everything can arrive.
            for (forward, back) in losses.into_iter().chain([(true, true); 200]) {
                let (bytes, _) = a.compose();
                if !forward {
                    continue;
                }
                match b.receive(ControlFrame::parse(&bytes).unwrap()) {
                    Incoming::New(messages) => at_b.extend(messages),
                    other => prop_assert_eq!(other, Incoming::Repeated),
                }
                let (bytes, _) = b.compose();
                if back {
                    match a.receive(ControlFrame::parse(&bytes).unwrap()) {
                        Incoming::New(messages) => at_a.extend(messages),
                        other => prop_assert_eq!(other, Incoming::Repeated),
                    }
                }
            }
            prop_assert_eq!(at_b, (0..count).map(message).collect::<Vec<_>>());
            prop_assert_eq!(at_a, (1000..1000 + count).map(message).collect::<Vec<_>>());
            prop_assert!(!a.is_pending());
        }
    }
}
