//! What goes in and out of a state machine: [`Station`], [`Input`], [`Output`], [`Job`], [`Answer`], [`Event`].

use crqkd_bits::{BitString, Fingerprint};
use crqkd_keys::{Epoch, GroupId, KeyId, PadRef, PairId, ProbeId, QapId, Record, UserId, WindowId};
use serde::Serialize;

use crate::{AirTime, BlockSeed, Direction, Listen, Received, RxFrame, TxFrame, WireMessage};

/// A role in the protocol: pure, without clock, threads or sockets. A [`Sequencer`](crate::Sequencer)
/// drives it.
///
/// `now` never goes back. Timers fire in order: before an input at `now` is handled, [`advance`](Self::advance) was
/// called for every timer up to `now`.
pub trait Station {
    /// Handles one input at air time `now`.
    fn handle(&mut self, now: AirTime, input: Input, out: &mut Vec<Output>);

    /// When [`advance`](Self::advance) must be called next.
    fn next_timer(&self) -> Option<AirTime>;

    /// Does what is due at `now`, which is [`next_timer`](Self::next_timer).
    fn advance(&mut self, now: AirTime, out: &mut Vec<Output>);

    /// The earliest sample that a transmission not yet output could start at, when every input before `progress` has
    /// been handled. `AirTime::MAX` when there will be none.
    fn promise(&self, progress: AirTime) -> AirTime;

    /// True when nothing more will come out.
    fn finished(&self) -> bool;
}

/// What a station reacts to.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The run begins; this is the first input.
    Start,
    /// A frame with a good header.
    Frame(RxFrame),
    /// A frame was detected whose header could not be read.
    BadFrame,
    /// A message over the wire between QAPs.
    Wire {
        /// The QAP that sent the message.
        from: QapId,
        /// The message that was received.
        message: WireMessage,
    },
    /// Groups of quantum key have become available in the key buffer (QAP).
    GroupsReady(Vec<GroupId>),
    /// A piece of work is done.
    Answer {
        /// The job that was done.
        key: JobKey,
        /// What came out of the job.
        answer: Answer,
    },
    /// The records of [`Output::Persist`] with this number are durable.
    Persisted(u64),
    /// A program at this user wants key shared with another user.
    Request {
        /// The other user of the pair.
        target: UserId,
        /// Number of groups of quantum key to ask for.
        groups: u32,
    },
}

/// What a station wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send a frame whose first sample leaves at `at`.
    Transmit {
        /// Air time of the first sample.
        at: AirTime,
        /// The frame to send.
        frame: TxFrame,
    },
    /// Listen in this stretch of air time.
    Listen(Listen),
    /// End the open stretch of listening before this sample.
    ListenUntil(AirTime),
    /// The frame that started at `start` counts as a measurement: its channel estimate goes to the quantizer under
    /// this name. Estimates of other frames are thrown away.
    Keep {
        /// Air time of the frame's first sample.
        start: AirTime,
        /// Name of the probe that the measurement belongs to.
        probe: ProbeId,
        /// Which way the frame travelled.
        direction: Direction,
    },
    /// Do a piece of work; most are answered by [`Input::Answer`].
    Job(Job),
    /// Send a message over the wire; it arrives a wire latency later.
    Wire {
        /// The QAP that the message is for.
        to: QapId,
        /// The message to send.
        message: WireMessage,
    },
    /// Make records durable, then answer with [`Input::Persisted`].
    Persist {
        /// Number to answer with.
        number: u64,
        /// The records to make durable, in this order.
        records: Vec<Record>,
    },
    /// Something happened that an observer may want to know.
    Event(Event),
}

/// A piece of work on measurements and secrets, which the state machine never touches itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Job {
    /// Quantizer: channel key of a window from the measurements of these probes, in this order. A probe that was not
    /// measured (Eve's gaps) counts as unknown.
    Derive {
        /// Epoch: the life of the link that the window belongs to.
        epoch: Epoch,
        /// Number of the window to quantize.
        window: WindowId,
        /// Probes that both ends hold, ascending.
        kept: Vec<u16>,
    },
    /// Quantizer: throw the measurements of a window away. Not answered.
    DropWindow {
        /// Epoch: the life of the link that the window belongs to.
        epoch: Epoch,
        /// Number of the window to throw away.
        window: WindowId,
    },
    /// Key buffer and codec: the ciphertext of a group under these pad bits.
    Encrypt {
        /// Number of the group to encrypt.
        group: GroupId,
        /// Number of the attempt to send this group, from 0.
        attempt: u8,
        /// Ranges of pad bits, to be joined in this order.
        pad: Vec<PadRef>,
    },
    /// Key buffer and codec: the group from a received ciphertext; stored when it decodes.
    Decrypt {
        /// Number of the group to decrypt.
        group: GroupId,
        /// Number of the attempt to send this group, from 0.
        attempt: u8,
        /// Ranges of pad bits, to be joined in this order.
        pad: Vec<PadRef>,
        /// The ciphertext as it came off the air: bits, or log-likelihood ratios.
        received: Received,
    },
    /// Key buffer: the verification tag over these groups, joined in this order.
    TagBlock {
        /// Number that the asking user gave the block.
        block: u32,
        /// Numbers of the groups in the block, ascending.
        groups: Vec<GroupId>,
        /// Key of the hash.
        hash_key: u64,
    },
    /// Key buffer: make the final key of these groups by privacy amplification, hand it to the user's programs and
    /// wipe the groups.
    Release {
        /// Name of the key.
        key: KeyId,
        /// The two users who share the key.
        pair: PairId,
        /// Number that the asking user gave the block.
        block: u32,
        /// Numbers of the groups in the block, ascending.
        groups: Vec<GroupId>,
        /// Seed of the Toeplitz matrix.
        seed: BlockSeed,
        /// Length of the final key in bits.
        len: usize,
    },
    /// Key buffer: wipe groups, which are burned, or were forwarded and are not needed any more. Not answered.
    Wipe {
        /// Numbers of the groups to wipe.
        groups: Vec<GroupId>,
    },
}

/// Names a piece of work that is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobKey {
    /// [`Job::Derive`], by the number of the window.
    Derive(WindowId),
    /// [`Job::Encrypt`], by the group and its attempt.
    Encrypt(GroupId, u8),
    /// [`Job::Decrypt`], by the group and its attempt.
    Decrypt(GroupId, u8),
    /// [`Job::TagBlock`], by the number of the block.
    TagBlock(u32),
    /// [`Job::Release`], by the number of the block.
    Release(u32),
}

impl Job {
    /// Its name; `None` for work that is not answered.
    pub fn key(&self) -> Option<JobKey> {
        match *self {
            Self::Derive { window, .. } => Some(JobKey::Derive(window)),
            Self::Encrypt { group, attempt, .. } => Some(JobKey::Encrypt(group, attempt)),
            Self::Decrypt { group, attempt, .. } => Some(JobKey::Decrypt(group, attempt)),
            Self::TagBlock { block, .. } => Some(JobKey::TagBlock(block)),
            Self::Release { block, .. } => Some(JobKey::Release(block)),
            Self::DropWindow { .. } | Self::Wipe { .. } => None,
        }
    }
}

/// The result of a piece of work. It holds nothing secret.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Of [`Job::Derive`]: so many bits of channel key are in the key buffer.
    Derived {
        /// Number of bits of channel key.
        bits: u32,
    },
    /// Of [`Job::Encrypt`]: the group is encrypted.
    Encrypted {
        /// The bits of the ciphertext.
        ciphertext: BitString,
    },
    /// Of [`Job::Decrypt`]: the ciphertext was tried.
    Decrypted {
        /// The group was decoded, its check was right, and it is in the key buffer.
        ok: bool,
        /// Pad bits that the decoder corrected.
        corrected: u32,
    },
    /// Of [`Job::TagBlock`]: the tag is computed.
    Tagged {
        /// Tag over the groups of the block, for comparison with the other user's.
        tag: u64,
    },
    /// Of [`Job::Release`]: the key was made and handed out.
    Released {
        /// What may be shown of the key.
        fingerprint: Fingerprint,
    },
    /// The work could not be done.
    Failed {
        /// Why the work could not be done.
        reason: String,
    },
}

/// Why a station stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Everything that was asked for is released or burned.
    Done,
    /// The other end of the link fell silent.
    LinkLost,
    /// The pair's other link failed, so that the rest was burned.
    Aborted,
    /// The air time of the run is used up.
    OutOfTime,
}

/// Something worth telling; nothing secret.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// The first frame of the other end arrived.
    Contact,
    /// Key is to be shared: at the asking user and its QAP when the request went out, at the others when it came in.
    Requested {
        /// The two users who share the key.
        pair: PairId,
        /// Number of groups to share.
        groups: u32,
    },
    /// A request was turned down.
    RequestRefused {
        /// The user whom the request named.
        target: UserId,
    },
    /// Both ends (or, at Eve, the public messages) agree on the probes of a window; it is being turned into key.
    WindowKept {
        /// Number of the window that is kept.
        window: WindowId,
        /// Number of probes that are kept.
        kept: u16,
    },
    /// Channel key of a window is ready.
    PadReady {
        /// Number of the window that the key is from.
        window: WindowId,
        /// Number of bits of channel key.
        bits: u32,
    },
    /// A window gave no key.
    WindowDropped {
        /// Number of the window that gave no key.
        window: WindowId,
        /// Why the window gave no key.
        reason: DropReason,
    },
    /// QAP: a ciphertext goes out.
    GroupSent {
        /// Number of the group that is sent.
        group: GroupId,
        /// Number of the attempt to send this group, from 0.
        attempt: u8,
        /// The pad bits it goes out under.
        pad: Vec<PadRef>,
    },
    /// QAP: the user answered a ciphertext.
    GroupAnswered {
        /// Number of the group that was sent.
        group: GroupId,
        /// Number of the attempt to send this group, from 0.
        attempt: u8,
        /// Whether the user decoded the group.
        ok: bool,
    },
    /// User or Eve: a ciphertext was tried.
    GroupTried {
        /// Number of the group that was tried.
        group: GroupId,
        /// Number of the attempt to send this group, from 0.
        attempt: u8,
        /// Whether the check of the decoded group was right.
        ok: bool,
        /// Pad bits that were corrected.
        corrected: u32,
    },
    /// A group was given up.
    GroupBurned {
        /// Number of the group that was given up.
        group: GroupId,
    },
    /// QAP: so many groups that came out of the quantum link have a mark already; they are not used again.
    GroupsUsedBefore {
        /// Number of groups that are not used again.
        groups: u32,
    },
    /// QAP: so many groups are free here and the other access point will never have them.
    GroupsPassedOver {
        /// Number of groups that are passed over.
        groups: u32,
    },
    /// User: the tags of a block were compared.
    BlockVerified {
        /// Number that the asking user gave the block.
        block: u32,
        /// Numbers of the groups in the block.
        groups: Vec<GroupId>,
        /// Equal at both ends. If not, the block is burned.
        ok: bool,
    },
    /// User: a key is there for programs.
    KeyReleased {
        /// Name of the final key.
        key: KeyId,
        /// Length of the key in bits.
        bits: usize,
        /// Groups that the key was hashed from.
        groups: Vec<GroupId>,
        /// What may be shown of it.
        fingerprint: Fingerprint,
    },
    /// A piece of work failed.
    WorkFailed {
        /// Why the work failed.
        reason: String,
    },
    /// The station stops: its part in the run is over.
    Finished {
        /// How the station ended.
        ending: Ending,
    },
}

/// Why a window gave no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// One of the first, which are thrown away.
    Discarded,
    /// Too few probes that both ends hold.
    TooFewProbes,
    /// Its closing took so long that later windows overtook it.
    Overtaken,
    /// The messages of its closing contradict each other.
    BadClose,
    /// The quantizer failed on it, or gave no bits.
    Refused,
}

/// What was counted and dropped, or else would not be noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counters {
    /// Frames that were used.
    pub frames: u64,
    /// Frames whose header could not be read.
    pub bad_header: u64,
    /// Frames that neither this QAP nor this user sent, or that travel the wrong way.
    pub unknown_sender: u64,
    /// Frames of another life of the link.
    pub wrong_epoch: u64,
    /// Frames at a time, or with a probe number, that cannot be.
    pub wrong_time: u64,
    /// Control messages that could not be read, or whose check failed.
    pub bad_control: u64,
    /// Control messages that had been delivered before.
    pub repeated_control: u64,
    /// Messages that make no sense in the present state.
    pub unexpected_messages: u64,
    /// Messages dropped because a queue was full.
    pub queue_full: u64,
}
