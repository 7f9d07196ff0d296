//! [`Finding`]: something in the files of a link that must not be.

use crqkd_keys::AuthDirection;
use serde::Serialize;

use crate::qkd::greeting::name;

/// Something that must not be. `end` is 1 or 2, in the order in which the directories were given.
#[derive(Debug, Clone, PartialEq, Serialize, thiserror::Error)]
#[serde(tag = "finding", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the message of each says what it and its fields are")]
pub enum Finding {
    #[error("both directories are the same")]
    SameDirectory,
    #[error("end {end}: {what}")]
    Damaged { end: u8, what: String },
    #[error("end {end}: the journal does not begin with the start of an end")]
    NoStart { end: u8 },
    #[error("end {end}: a start with other parameters than the first")]
    StartsDiffer { end: u8 },
    #[error("both directories are {who}'s")]
    SameRole { who: &'static str },
    #[error("the two ends belong to different links: {what}")]
    NotOneLink { what: &'static str },
    #[error("end {end}: pads of {}'s pool were used twice: up to {next} after {last}", name(*pool))]
    PadTwice { end: u8, pool: AuthDirection, next: u64, last: u64 },
    #[error("end {end}: pads of {}'s pool up to {next}, which has {len}", name(*pool))]
    PadBeyondPool { end: u8, pool: AuthDirection, next: u64, len: u64 },
    #[error("end {end}: pads of {}'s pool up to {next} were authenticated, but their sender never used them", name(*pool))]
    PadNeverSent { end: u8, pool: AuthDirection, next: u64 },
    #[error("end {end}: block {block} began twice, or after a later one")]
    BlockTwice { end: u8, block: u64 },
    #[error("end {end}: block {block} has a record, but never began")]
    NeverBegan { end: u8, block: u64 },
    #[error("end {end}: block {block} is {then} after it was {before}")]
    TwoOutcomes { end: u8, block: u64, before: &'static str, then: &'static str },
    #[error("end {end}: the key of block {block} stands twice in the file of keys")]
    KeyTwice { end: u8, block: u64 },
    #[error(
        "end {end}: the key of block {block} is there, but the journal does not know the block"
    )]
    KeyOfNoBlock { end: u8, block: u64 },
    #[error("end {end}: the key of block {block} is missing")]
    KeyMissing { end: u8, block: u64 },
    #[error(
        "end {end}: the key of block {block} has not the length or the fingerprint of its record"
    )]
    KeyNotAsRecorded { end: u8, block: u64 },
    #[error("end {end}: block {block}: {what} is recorded as {recorded}, but is {computed}")]
    FigureWrong { end: u8, block: u64, what: &'static str, recorded: f64, computed: f64 },
    #[error("end {end}: block {block}: {what}")]
    RecordWrong { end: u8, block: u64, what: &'static str },
    #[error("end {end}: block {block}: the pad at {index} of {}'s pool was never marked as used", name(*pool))]
    PadNotMarked { end: u8, block: u64, pool: AuthDirection, index: u64 },
    #[error("end {end}: block {block}: the pad at {index} of {}'s pool has tagged another block", name(*pool))]
    PadOfTwoBlocks { end: u8, block: u64, pool: AuthDirection, index: u64 },
    #[error(
        "end {end}: block {block}: all keys together fail with {eps:.3e}, more than a link may"
    )]
    EpsSpent { end: u8, block: u64, eps: f64 },
    #[error("block {block}: the two ends have different keys")]
    KeysDiffer { block: u64 },
    #[error("block {block}: the two ends have different records")]
    RecordsDiffer { block: u64 },
    #[error("block {block} was released at one end, and end {end} neither released nor holds it")]
    ReleasedAtOneEnd { end: u8, block: u64 },
}
