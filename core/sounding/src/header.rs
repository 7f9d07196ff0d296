//! What a frame says about itself: 96 bits.

use crqkd_ids::{Direction, FrameKind};
use serde::{Deserialize, Serialize};

use crate::SoundingError;
use crate::layout::{
    BLOCK_LEN, BLOCK_SYMBOLS, CONTROL_BLOCK_BYTES, CONTROL_CODE_BLOCKS, CONTROL_OVERHEAD,
    HEADER_FRAME_LEN, MAX_CIPHER_BITS, MAX_CONTROL_BLOCKS, MAX_CONTROL_BYTES,
};

/// Bits of a header, check excluded.
pub const HEADER_BITS: usize = 96;

/// Largest number that a window may have: the field has 24 bits.
pub const MAX_WINDOW: u32 = (1 << 24) - 1;
/// Largest probe index within a window.
pub const MAX_INDEX: u16 = (1 << 10) - 1;

/// Sizes of the payload, which give the length of the frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PayloadShape {
    /// Coded control blocks of [`CONTROL_BLOCK_BYTES`] bytes, at most [`MAX_CONTROL_BLOCKS`].
    pub control_blocks: u8,
    /// Uncoded cipher bits, at most [`MAX_CIPHER_BITS`].
    pub cipher_bits: u16,
}

impl PayloadShape {
    /// The shape that holds so many control bytes and cipher bits; no control bytes need no block.
    ///
    /// # Errors
    /// When one of them does not fit into a frame.
    pub fn of(control_bytes: usize, cipher_bits: usize) -> Result<Self, SoundingError> {
        if control_bytes > MAX_CONTROL_BYTES {
            return Err(SoundingError::ControlTooLong {
                len: control_bytes,
                max: MAX_CONTROL_BYTES,
            });
        }
        if cipher_bits > MAX_CIPHER_BITS {
            return Err(SoundingError::CipherTooLong { len: cipher_bits, max: MAX_CIPHER_BITS });
        }
        let blocks = match control_bytes {
            0 => 0,
            n => (n + CONTROL_OVERHEAD).div_ceil(CONTROL_BLOCK_BYTES),
        };
        Ok(Self { control_blocks: blocks as u8, cipher_bits: cipher_bits as u16 })
    }

    /// Single-carrier blocks of the control part.
    pub fn control_symbol_blocks(&self) -> usize {
        usize::from(self.control_blocks) * CONTROL_CODE_BLOCKS
    }

    /// Single-carrier blocks of the cipher part.
    pub fn cipher_symbol_blocks(&self) -> usize {
        usize::from(self.cipher_bits).div_ceil(BLOCK_SYMBOLS)
    }

    /// Samples of a frame with a header and this payload, at most [`MAX_FRAME_LEN`](crate::MAX_FRAME_LEN).
    pub fn frame_len(&self) -> usize {
        HEADER_FRAME_LEN + (self.control_symbol_blocks() + self.cipher_symbol_blocks()) * BLOCK_LEN
    }
}

/// The header of a frame.
///
/// On the air, most significant bit first: epoch 16, window 24, index 10, direction 1, sender 16, kind 1, gain 8,
/// follow 1, more 1, control blocks 5, cipher bits 13.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Header {
    /// Epoch of the probe numbering.
    pub epoch: u16,
    /// Probe window, at most [`MAX_WINDOW`].
    pub window: u32,
    /// Probe within the window, at most [`MAX_INDEX`].
    pub index: u16,
    /// Which end of the link sends the frame.
    pub direction: Direction,
    /// Number of the sending radio.
    pub sender: u16,
    /// What the frame is for.
    pub kind: FrameKind,
    /// Gain setting of the sender, fixed inside a window.
    pub gain: u8,
    /// A control exchange follows in this probe period.
    pub follow: bool,
    /// The sender has messages waiting.
    pub more: bool,
    /// What comes behind the header.
    pub payload: PayloadShape,
}

/// Fields in order of transmission: name and width in bits.
const FIELDS: [(&str, u32); 11] = [
    ("epoch", 16),
    ("window", 24),
    ("index", 10),
    ("direction", 1),
    ("sender", 16),
    ("kind", 1),
    ("gain", 8),
    ("follow", 1),
    ("more", 1),
    ("payload.control_blocks", 5),
    ("payload.cipher_bits", 13),
];

impl Header {
    /// The bits on the air, one a byte.
    ///
    /// # Errors
    /// When a field exceeds its range.
    pub fn to_bits(&self) -> Result<[u8; HEADER_BITS], SoundingError> {
        let values: [u64; FIELDS.len()] = [
            self.epoch.into(),
            self.window.into(),
            self.index.into(),
            (self.direction == Direction::Reverse).into(),
            self.sender.into(),
            (self.kind == FrameKind::Control).into(),
            self.gain.into(),
            self.follow.into(),
            self.more.into(),
            self.payload.control_blocks.into(),
            self.payload.cipher_bits.into(),
        ];
        let mut bits = [0; HEADER_BITS];
        let mut at = 0;
        for ((field, width), value) in FIELDS.into_iter().zip(values) {
            let max = match field {
                "payload.control_blocks" => MAX_CONTROL_BLOCKS as u64,
                "payload.cipher_bits" => MAX_CIPHER_BITS as u64,
                _ => (1 << width) - 1,
            };
            if value > max {
                return Err(SoundingError::Field { field, value, max });
            }
            for shift in (0..width).rev() {
                bits[at] = (value >> shift & 1) as u8;
                at += 1;
            }
        }
        Ok(bits)
    }

    /// The header from its bits; `None` when the payload announced is larger than any frame's.
    pub fn from_bits(bits: &[u8; HEADER_BITS]) -> Option<Self> {
        let mut values = [0u64; FIELDS.len()];
        let mut rest = bits.iter();
        for (value, (_, width)) in values.iter_mut().zip(FIELDS) {
            *value =
                rest.by_ref().take(width as usize).fold(0, |v, &bit| v << 1 | u64::from(bit & 1));
        }
        let [epoch, window, index, direction, sender, kind, gain, follow, more, blocks, cipher] =
            values;
        if blocks > MAX_CONTROL_BLOCKS as u64 || cipher > MAX_CIPHER_BITS as u64 {
            return None;
        }
        Some(Self {
            epoch: epoch as u16,
            window: window as u32,
            index: index as u16,
            direction: if direction == 0 { Direction::Forward } else { Direction::Reverse },
            sender: sender as u16,
            kind: if kind == 0 { FrameKind::Probe } else { FrameKind::Control },
            gain: gain as u8,
            follow: follow == 1,
            more: more == 1,
            payload: PayloadShape { control_blocks: blocks as u8, cipher_bits: cipher as u16 },
        })
    }

    /// Samples of the frame that starts with this header.
    pub fn frame_len(&self) -> usize {
        self.payload.frame_len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::MAX_FRAME_LEN;
    use proptest::prelude::*;

    fn any_header() -> impl Strategy<Value = Header> {
        let numbers = (
            any::<u16>(),
            0..=MAX_WINDOW,
            0..=MAX_INDEX,
            any::<u16>(),
            any::<u8>(),
            0u8..=18,
            0u16..=4096,
        );
        (numbers, any::<[bool; 4]>()).prop_map(|(n, flags)| Header {
            epoch: n.0,
            window: n.1,
            index: n.2,
            direction: if flags[0] { Direction::Forward } else { Direction::Reverse },
            sender: n.3,
            kind: if flags[1] { FrameKind::Probe } else { FrameKind::Control },
            gain: n.4,
            follow: flags[2],
            more: flags[3],
            payload: PayloadShape { control_blocks: n.5, cipher_bits: n.6 },
        })
    }

    proptest! {
        #[test]
        fn parse_of_emit_is_the_header(header in any_header()) {
            prop_assert_eq!(Header::from_bits(&header.to_bits().unwrap()), Some(header));
        }

        #[test]
        fn any_bits_give_no_header_or_one_of_bounded_length(bits in any::<[bool; HEADER_BITS]>()) {
            let bits = bits.map(u8::from);
            if let Some(header) = Header::from_bits(&bits) {
                prop_assert!(header.frame_len() <= MAX_FRAME_LEN);
                prop_assert_eq!(header.to_bits().unwrap(), bits);
            }
        }
    }

    #[test]
    fn the_fields_fill_the_header() {
        assert_eq!(FIELDS.iter().map(|f| f.1 as usize).sum::<usize>(), HEADER_BITS);
        let longest = PayloadShape::of(MAX_CONTROL_BYTES, MAX_CIPHER_BITS).unwrap();
        assert_eq!(longest.frame_len(), MAX_FRAME_LEN);
        assert!(PayloadShape::of(MAX_CONTROL_BYTES + 1, 0).is_err());
        assert!(PayloadShape::of(0, MAX_CIPHER_BITS + 1).is_err());
    }

    #[test]
    fn a_field_out_of_range_is_named() {
        let mut header = Header::from_bits(&[0; HEADER_BITS]).unwrap();
        header.window = 1 << 24;
        let text = header.to_bits().unwrap_err().to_string();
        assert_eq!(text, "header field window is 16777216, the largest possible value is 16777215");
    }
}
