//! Bytes in and out, checked: [`Writer`] and [`Reader`]. Numbers are big-endian.

use crqkd_bits::BitString;
use crqkd_keys::{Epoch, GroupId, PadRef, PairId, UserId, WindowId};

/// Why bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end in the middle of a field.
    #[error("byte {at}: {needed} more bytes needed, {left} left")]
    Truncated {
        /// Position of the field in the bytes, from 0.
        at: usize,
        /// Bytes that the field takes.
        needed: usize,
        /// Bytes that are left from there on.
        left: usize,
    },
    /// Bytes are left over behind the last field.
    #[error("byte {at}: {left} bytes left over")]
    Trailing {
        /// Position of the first byte too many, from 0.
        at: usize,
        /// Number of bytes too many.
        left: usize,
    },
    /// A kind that does not exist, or a flag that is neither 0 nor 1.
    #[error("byte {at}: {what} {value} does not exist")]
    Unknown {
        /// Position of the field in the bytes, from 0.
        at: usize,
        /// Name of the field, for people.
        what: &'static str,
        /// The value that was received.
        value: u8,
    },
    /// A count beyond what the protocol allows.
    #[error("byte {at}: {count} {what}, at most {max} allowed")]
    TooMany {
        /// Position of the count in the bytes, from 0.
        at: usize,
        /// Name of what the count is of.
        what: &'static str,
        /// The count that was announced.
        count: usize,
        /// Largest count that is allowed.
        max: usize,
    },
}

/// Longest list of groups in one message.
pub(crate) const MAX_GROUPS: usize = 1024;
/// Most pad ranges of one ciphertext.
pub(crate) const MAX_PAD_REFS: usize = 16;
/// Longest bit string in a message.
pub(crate) const MAX_BITS: usize = 4096;
/// Longest byte string in a message.
pub(crate) const MAX_BYTES: usize = 4096;

/// Appends fields to a byte vector.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    pub(crate) bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes.push(value);
        self
    }

    pub(crate) fn flag(&mut self, value: bool) -> &mut Self {
        self.u8(u8::from(value))
    }

    pub(crate) fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes.extend(value.to_be_bytes());
        self
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes.extend(value.to_be_bytes());
        self
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes.extend(value.to_be_bytes());
        self
    }

    /// A count, which our own messages keep below 65536.
    pub(crate) fn count(&mut self, count: usize) -> &mut Self {
        debug_assert!(count <= usize::from(u16::MAX));
        self.u16(count as u16)
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.count(bytes.len());
        self.bytes.extend(bytes);
        self
    }

    pub(crate) fn bits(&mut self, bits: &BitString) -> &mut Self {
        self.count(bits.len());
        self.bytes.extend(bits.to_bytes());
        self
    }

    pub(crate) fn pair(&mut self, pair: PairId) -> &mut Self {
        self.u16(pair.a.0).u16(pair.b.0)
    }

    pub(crate) fn groups(&mut self, groups: &[GroupId]) -> &mut Self {
        self.count(groups.len());
        for group in groups {
            self.u64(group.0);
        }
        self
    }

    /// Pad ranges, all of one epoch.
    pub(crate) fn pads(&mut self, pads: &[PadRef]) -> &mut Self {
        self.u16(pads.first().map_or(0, |pad| pad.epoch.0)).u8(pads.len() as u8);
        for pad in pads {
            self.u32(pad.window.0).u32(pad.start).u32(pad.len);
        }
        self
    }
}

/// Takes fields off a byte slice; every length is checked.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn finish(self) -> Result<(), WireError> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            left => Err(WireError::Trailing { at: self.at, left }),
        }
    }

    pub(crate) fn unknown(&self, what: &'static str, value: u8) -> WireError {
        WireError::Unknown { at: self.at - 1, what, value }
    }

    pub(crate) fn take(&mut self, needed: usize) -> Result<&'a [u8], WireError> {
        let left = self.bytes.len() - self.at;
        let field = self
            .bytes
            .get(self.at..)
            .and_then(|rest| rest.get(..needed))
            .ok_or(WireError::Truncated { at: self.at, needed, left })?;
        self.at += needed;
        Ok(field)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, WireError> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn flag(&mut self) -> Result<bool, WireError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(self.unknown("flag", value)),
        }
    }

    pub(crate) fn u16(&mut self) -> Result<u16, WireError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, WireError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub(crate) fn count(&mut self, what: &'static str, max: usize) -> Result<usize, WireError> {
        let at = self.at;
        let count = usize::from(self.u16()?);
        if count > max { Err(WireError::TooMany { at, what, count, max }) } else { Ok(count) }
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, WireError> {
        let count = self.count("bytes", MAX_BYTES)?;
        Ok(self.take(count)?.to_vec())
    }

    /// Bits; the unused ones of the last byte must be zero.
    pub(crate) fn bits(&mut self) -> Result<BitString, WireError> {
        let count = self.count("bits", MAX_BITS)?;
        let bytes = self.take(count.div_ceil(8))?;
        let last = bytes.last().copied().unwrap_or(0);
        if count % 8 != 0 && last << (count % 8) != 0 {
            return Err(self.unknown("filler", last));
        }
        Ok(BitString::from_bytes(bytes, count).expect("the bytes were counted for these bits"))
    }

    pub(crate) fn window(&mut self) -> Result<WindowId, WireError> {
        Ok(WindowId(self.u32()?))
    }

    pub(crate) fn user(&mut self) -> Result<UserId, WireError> {
        Ok(UserId(self.u16()?))
    }

    pub(crate) fn group(&mut self) -> Result<GroupId, WireError> {
        Ok(GroupId(self.u64()?))
    }

    pub(crate) fn pair(&mut self) -> Result<PairId, WireError> {
        Ok(PairId { a: self.user()?, b: self.user()? })
    }

    pub(crate) fn groups(&mut self) -> Result<Vec<GroupId>, WireError> {
        let count = self.count("groups", MAX_GROUPS)?;
        (0..count).map(|_| self.group()).collect()
    }

    pub(crate) fn pads(&mut self) -> Result<Vec<PadRef>, WireError> {
        let epoch = Epoch(self.u16()?);
        let at = self.at;
        let count = usize::from(self.u8()?);
        if count > MAX_PAD_REFS {
            return Err(WireError::TooMany { at, what: "pad ranges", count, max: MAX_PAD_REFS });
        }
        (0..count)
            .map(|_| {
                let window = self.window()?;
                Ok(PadRef { epoch, window, start: self.u32()?, len: self.u32()? })
            })
            .collect()
    }
}
