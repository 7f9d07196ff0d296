//! Messages: over the air ([`Message`] in a [`ControlFrame`]), between users ([`PeerMessage`]) and between QAPs
//! ([`WireMessage`]).
//!
//! ```text
//! control frame:  seq u16 | ack u16 | tag length u16, tag | number of messages u8 | messages
//! message:        kind u8 | fields, numbers big-endian, lists with a u16 count before them
//! ```
//!
//! Whatever cannot be read to its last byte is refused whole.

use crqkd_bits::BitString;
use crqkd_keys::{Epoch, GroupId, PadRef, PairId, UserId, WindowId};

use crate::codec::{Reader, WireError, Writer};

/// Messages in one control frame at most.
pub(crate) const MAX_MESSAGES: usize = 64;

/// What a control frame carries: a numbered batch of messages, and which batch of the other end arrived.
///
/// ```
/// use crqkd_forwarding::{ControlFrame, Message};
/// use crqkd_keys::WindowId;
/// let messages = vec![Message::CloseWindow { window: WindowId(7) }];
/// let frame = ControlFrame { seq: 1, ack: 0, tag: vec![], messages };
/// assert_eq!(ControlFrame::parse(&frame.emit())?, frame);
/// assert!(ControlFrame::parse(&[0; 3]).is_err());
/// # Ok::<(), crqkd_forwarding::WireError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ControlFrame {
    /// Number of this batch, from 1 and around to 1; 0 without messages.
    pub seq: u16,
    /// Number of the last batch that arrived from the other end; 0 before the first.
    pub ack: u16,
    /// Authentication tag; empty means unauthenticated.
    pub tag: Vec<u8>,
    /// The messages of the batch, in the order in which they are sent.
    pub messages: Vec<Message>,
}

/// A ciphertext of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CiphertextMessage {
    /// Number of the group that is encrypted.
    pub group: GroupId,
    /// Number of the attempt to send this group, from 0.
    pub attempt: u8,
    /// Which code; 0 is the one of the configuration.
    pub code: u8,
    /// Pad bits, all of one epoch.
    pub pad: Vec<PadRef>,
    /// Check over the probes kept in the windows named, the CRC-32 over their window checks.
    pub check32: u32,
    /// The ciphertext (protected), or `None` when it follows uncoded behind the message (cascade).
    pub bits: Option<BitString>,
}

/// A user's answer to one ciphertext.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reception {
    /// Number of the group that the ciphertext was for.
    pub group: GroupId,
    /// Number of the attempt to send this group, from 0.
    pub attempt: u8,
    /// It was decoded and its check was right.
    pub ok: bool,
}

/// A message between a QAP and its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// QAP: the window's last probe is over; which probes do you hold?
    CloseWindow {
        /// Number of the window that is to be closed.
        window: WindowId,
    },
    /// User: these, one bit a probe.
    Bitmap {
        /// Number of the window that is being closed.
        window: WindowId,
        /// 1 for a probe held.
        bitmap: BitString,
    },
    /// QAP: we both hold these.
    Intersection {
        /// Number of the window that is being closed.
        window: WindowId,
        /// 1 for a probe that both hold.
        bitmap: BitString,
        /// CRC-32 over the window's number and the bitmap.
        check32: u32,
    },
    /// User: I agree to the intersection.
    WindowAck {
        /// Number of the window that is agreed on.
        window: WindowId,
        /// CRC-32 over the same number and bitmap.
        check32: u32,
    },
    /// Either: no key from this window.
    WindowDropped {
        /// Number of the window that is given up.
        window: WindowId,
    },
    /// QAP: a group of quantum key under a pad.
    Ciphertext(CiphertextMessage),
    /// QAP: answer the ciphertexts since the last answer now (cascade).
    BatchEnd,
    /// User: which ciphertexts were decoded.
    Received {
        /// One result for each ciphertext that is answered.
        results: Vec<Reception>,
    },
    /// QAP: these groups are given up.
    Burned {
        /// Numbers of the groups that are given up.
        groups: Vec<GroupId>,
    },
    /// User: share this many groups with that user.
    Request {
        /// The other user of the pair.
        target: UserId,
        /// Number of groups to share.
        groups: u32,
    },
    /// QAP: a user asked for groups to be shared with you.
    Notify {
        /// The two users who share the key.
        pair: PairId,
        /// Number of groups to share.
        groups: u32,
    },
    /// QAP: your request cannot be served.
    Refused {
        /// The user whom the request named.
        target: UserId,
    },
    /// From user to user, through the QAPs.
    Relay {
        /// The user who sends the message.
        from: UserId,
        /// The user whom the message is for.
        to: UserId,
        /// The message from user to user.
        body: PeerMessage,
    },
    /// User: what became of groups that were forwarded.
    Settled {
        /// Numbers of the groups whose key is released.
        released: Vec<GroupId>,
        /// Numbers of the groups that are given up.
        burned: Vec<GroupId>,
    },
    /// QAP: the pair's other link failed; give up what is not released.
    Abort,
    /// User: everything asked for is released or burned.
    Done,
    /// QAP: I have understood that you are done, and stop.
    DoneAck,
}

/// A message between the two users of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerMessage {
    /// Asking user: let these groups be a block.
    BlockPropose {
        /// Number that the asking user gives the block.
        block: u32,
        /// Epoch of the asking user's link, part of the key's name.
        epoch: Epoch,
        /// Numbers of the groups proposed, ascending.
        groups: Vec<GroupId>,
    },
    /// Other user: of these I hold the following; they are the block.
    BlockAccept {
        /// Number of the block, as in the proposal.
        block: u32,
        /// Numbers of the groups that the other user holds too, ascending.
        groups: Vec<GroupId>,
    },
    /// Asking user: a part of the public seed, drawn after the list was agreed.
    BlockSeed {
        /// Number of the block, as in the proposal.
        block: u32,
        /// Byte position of this part.
        offset: u32,
        /// Bytes of the seed from that position on.
        bytes: Vec<u8>,
    },
    /// Asking user: my tag over the block.
    BlockVerify {
        /// Number of the block, as in the proposal.
        block: u32,
        /// Tag over the groups of the block, for comparison.
        tag: u64,
    },
    /// Other user: mine is the same, or not.
    BlockConfirm {
        /// Number of the block, as in the proposal.
        block: u32,
        /// Whether the other user's tag is equal.
        ok: bool,
    },
    /// Asking user: I have released the key, do so too.
    BlockReleased {
        /// Number of the block, as in the proposal.
        block: u32,
    },
}

/// A message between the two QAPs, reliable and in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WireMessage {
    /// A user asked for groups to be shared.
    Notify {
        /// The two users who share the key.
        pair: PairId,
        /// Number of groups to share.
        groups: u32,
    },
    /// These groups of mine go to this pair.
    Allocate {
        /// The two users who are to share the groups.
        pair: PairId,
        /// Numbers of the groups to commit to the pair.
        groups: Vec<GroupId>,
    },
    /// I have committed `accepted` to the pair; `refused` were not free.
    Allocated {
        /// The two users who are to share the groups.
        pair: PairId,
        /// Numbers of the groups that are now committed to the pair.
        accepted: Vec<GroupId>,
        /// Numbers of the groups that are not free here, to be burned.
        refused: Vec<GroupId>,
    },
    /// These groups are given up.
    Burned {
        /// Numbers of the groups that are given up.
        groups: Vec<GroupId>,
    },
    /// A message from one user to the other, on its way between the QAPs.
    Relay {
        /// The user who sends the message.
        from: UserId,
        /// The user whom the message is for.
        to: UserId,
        /// The message from user to user.
        body: PeerMessage,
    },
    /// My user's request for this pair crossed with yours and is dropped; or yours cannot be served.
    Refused {
        /// The two users of the request.
        pair: PairId,
    },
    /// I stop although my user is not done.
    Closing,
    /// My quantum key begins with this group: I have none below it in this life of mine.
    SupplyFrom {
        /// Number of the first group.
        group: GroupId,
    },
}

impl ControlFrame {
    /// Bytes of a frame without messages and tag.
    pub const OVERHEAD: usize = 7;

    /// The frame as bytes, in the form that the module describes.
    pub fn emit(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.u16(self.seq).u16(self.ack).bytes(&self.tag).u8(self.messages.len() as u8);
        for message in &self.messages {
            message.write(&mut w);
        }
        w.bytes
    }

    /// Reads a control frame from exactly its bytes.
    ///
    /// # Errors
    /// [`WireError`] with the position of the first byte that cannot be.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        let (seq, ack, tag) = (r.u16()?, r.u16()?, r.bytes()?);
        let count = usize::from(r.u8()?);
        if count > MAX_MESSAGES {
            let max = MAX_MESSAGES;
            return Err(WireError::TooMany { at: 6 + tag.len(), what: "messages", count, max });
        }
        let messages = (0..count).map(|_| Message::read(&mut r)).collect::<Result<_, _>>()?;
        r.finish()?;
        Ok(Self { seq, ack, tag, messages })
    }
}

impl Message {
    /// Bytes that the message takes in a control frame.
    pub fn emitted_len(&self) -> usize {
        let mut w = Writer::default();
        self.write(&mut w);
        w.bytes.len()
    }

    fn write(&self, w: &mut Writer) {
        match self {
            Self::CloseWindow { window } => w.u8(1).u32(window.0),
            Self::Bitmap { window, bitmap } => w.u8(2).u32(window.0).bits(bitmap),
            Self::Intersection { window, bitmap, check32 } => {
                w.u8(3).u32(window.0).bits(bitmap).u32(*check32)
            }
            Self::WindowAck { window, check32 } => w.u8(4).u32(window.0).u32(*check32),
            Self::WindowDropped { window } => w.u8(5).u32(window.0),
            Self::Ciphertext(c) => {
                w.u8(6).u64(c.group.0).u8(c.attempt).u8(c.code).pads(&c.pad).u32(c.check32);
                match &c.bits {
                    Some(bits) => w.flag(true).bits(bits),
                    None => w.flag(false),
                }
            }
            Self::BatchEnd => w.u8(7),
            Self::Received { results } => {
                w.u8(8).count(results.len());
                for result in results {
                    w.u64(result.group.0).u8(result.attempt).flag(result.ok);
                }
                w
            }
            Self::Burned { groups } => w.u8(9).groups(groups),
            Self::Request { target, groups } => w.u8(10).u16(target.0).u32(*groups),
            Self::Notify { pair, groups } => w.u8(11).pair(*pair).u32(*groups),
            Self::Refused { target } => w.u8(12).u16(target.0),
            Self::Relay { from, to, body } => {
                w.u8(13).u16(from.0).u16(to.0);
                body.write(w)
            }
            Self::Settled { released, burned } => w.u8(14).groups(released).groups(burned),
            Self::Abort => w.u8(15),
            Self::Done => w.u8(16),
            Self::DoneAck => w.u8(17),
        };
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(match r.u8()? {
            1 => Self::CloseWindow { window: r.window()? },
            2 => Self::Bitmap { window: r.window()?, bitmap: r.bits()? },
            3 => Self::Intersection { window: r.window()?, bitmap: r.bits()?, check32: r.u32()? },
            4 => Self::WindowAck { window: r.window()?, check32: r.u32()? },
            5 => Self::WindowDropped { window: r.window()? },
            6 => Self::Ciphertext(CiphertextMessage {
                group: r.group()?,
                attempt: r.u8()?,
                code: r.u8()?,
                pad: r.pads()?,
                check32: r.u32()?,
                bits: if r.flag()? { Some(r.bits()?) } else { None },
            }),
            7 => Self::BatchEnd,
            8 => {
                let count = r.count("results", crate::codec::MAX_GROUPS)?;
                let read = |r: &mut Reader<'_>| {
                    Ok(Reception { group: r.group()?, attempt: r.u8()?, ok: r.flag()? })
                };
                Self::Received { results: (0..count).map(|_| read(r)).collect::<Result<_, _>>()? }
            }
            9 => Self::Burned { groups: r.groups()? },
            10 => Self::Request { target: r.user()?, groups: r.u32()? },
            11 => Self::Notify { pair: r.pair()?, groups: r.u32()? },
            12 => Self::Refused { target: r.user()? },
            13 => Self::Relay { from: r.user()?, to: r.user()?, body: PeerMessage::read(r)? },
            14 => Self::Settled { released: r.groups()?, burned: r.groups()? },
            15 => Self::Abort,
            16 => Self::Done,
            17 => Self::DoneAck,
            kind => return Err(r.unknown("message kind", kind)),
        })
    }
}

impl PeerMessage {
    fn write<'w>(&self, w: &'w mut Writer) -> &'w mut Writer {
        match self {
            Self::BlockPropose { block, epoch, groups } => {
                w.u8(1).u32(*block).u16(epoch.0).groups(groups)
            }
            Self::BlockAccept { block, groups } => w.u8(2).u32(*block).groups(groups),
            Self::BlockSeed { block, offset, bytes } => {
                w.u8(3).u32(*block).u32(*offset).bytes(bytes)
            }
            Self::BlockVerify { block, tag } => w.u8(4).u32(*block).u64(*tag),
            Self::BlockConfirm { block, ok } => w.u8(5).u32(*block).flag(*ok),
            Self::BlockReleased { block } => w.u8(6).u32(*block),
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let kind = r.u8()?;
        if !(1..=6).contains(&kind) {
            return Err(r.unknown("user message kind", kind));
        }
        let block = r.u32()?;
        Ok(match kind {
            1 => Self::BlockPropose { block, epoch: Epoch(r.u16()?), groups: r.groups()? },
            2 => Self::BlockAccept { block, groups: r.groups()? },
            3 => Self::BlockSeed { block, offset: r.u32()?, bytes: r.bytes()? },
            4 => Self::BlockVerify { block, tag: r.u64()? },
            5 => Self::BlockConfirm { block, ok: r.flag()? },
            _ => Self::BlockReleased { block },
        })
    }
}

impl WireMessage {
    /// The message as bytes: its kind, then its fields.
    pub fn emit(&self) -> Vec<u8> {
        let mut w = Writer::default();
        match self {
            Self::Notify { pair, groups } => w.u8(1).pair(*pair).u32(*groups),
            Self::Allocate { pair, groups } => w.u8(2).pair(*pair).groups(groups),
            Self::Allocated { pair, accepted, refused } => {
                w.u8(3).pair(*pair).groups(accepted).groups(refused)
            }
            Self::Burned { groups } => w.u8(4).groups(groups),
            Self::Relay { from, to, body } => {
                w.u8(5).u16(from.0).u16(to.0);
                body.write(&mut w)
            }
            Self::Refused { pair } => w.u8(6).pair(*pair),
            Self::Closing => w.u8(7),
            Self::SupplyFrom { group } => w.u8(8).u64(group.0),
        };
        w.bytes
    }

    /// Reads a message between QAPs from exactly its bytes.
    ///
    /// # Errors
    /// [`WireError`] with the position of the first byte that cannot be.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        let message = match r.u8()? {
            1 => Self::Notify { pair: r.pair()?, groups: r.u32()? },
            2 => Self::Allocate { pair: r.pair()?, groups: r.groups()? },
            3 => Self::Allocated { pair: r.pair()?, accepted: r.groups()?, refused: r.groups()? },
            4 => Self::Burned { groups: r.groups()? },
            5 => Self::Relay { from: r.user()?, to: r.user()?, body: PeerMessage::read(&mut r)? },
            6 => Self::Refused { pair: r.pair()? },
            7 => Self::Closing,
            8 => Self::SupplyFrom { group: r.group()? },
            kind => return Err(r.unknown("wire message kind", kind)),
        };
        r.finish()?;
        Ok(message)
    }
}
