//! From header and control bytes to coded bits, and back.

use crqkd_polar::{CodeSpec, Construction, Crc, ListDecoder, Outcome, PolarCode, ScDecoder};

use crate::header::{HEADER_BITS, Header};
use crate::layout::{
    BLOCK_SYMBOLS, CONTROL_BLOCK_BYTES, CONTROL_CODE_BLOCKS, CONTROL_OVERHEAD, HEADER_COPY_BLOCKS,
};

/// Coded bits of the header.
pub(crate) const HEADER_CODED: usize = HEADER_COPY_BLOCKS * BLOCK_SYMBOLS;
/// Coded bits of one control block.
pub(crate) const CONTROL_CODED: usize = CONTROL_CODE_BLOCKS * BLOCK_SYMBOLS;

/// (512, 128) code of the header: 96 bits and CRC-32.
pub(crate) fn header_code() -> PolarCode {
    code(HEADER_CODED, HEADER_BITS, Crc::Crc32)
}

/// (512, 256) code of a control block: 240 bits and CRC-16.
pub(crate) fn control_code() -> PolarCode {
    code(CONTROL_CODED, 8 * CONTROL_BLOCK_BYTES, Crc::Crc16)
}

fn code(n: usize, k: usize, crc: Crc) -> PolarCode {
    PolarCode::new(CodeSpec { n, k, crc }, Construction::BetaExpansion)
        .expect("the sizes of the frame's codes are valid")
}

/// Decoder of one of the frame's codes: successive cancellation first, a list when its check fails.
pub(crate) struct BlockDecoder {
    quick: ScDecoder,
    list: ListDecoder,
}

impl BlockDecoder {
    pub(crate) fn new(code: &PolarCode, list_size: usize) -> Self {
        let list = ListDecoder::new(code, list_size).expect("validate() has checked the list size");
        Self { quick: ScDecoder::new(code), list }
    }

    /// Decodes to `message`; `with_list` allows the slow second try.
    pub(crate) fn decode(&mut self, llr: &[f32], message: &mut [u8], with_list: bool) -> bool {
        let good = |outcome| matches!(outcome, Outcome::Decoded { .. });
        good(self.quick.decode(llr, message)) || (with_list && good(self.list.decode(llr, message)))
    }
}

/// The messages of the control blocks, 240 bits each, one bit a byte: length (16 bits), CRC-32 over header, length and
/// bytes, bytes, zeros.
pub(crate) fn control_blocks(header: &[u8; HEADER_BITS], control: &[u8]) -> Vec<Vec<u8>> {
    if control.is_empty() {
        return Vec::new();
    }
    let check = control_check(header, control);
    let mut bytes = Vec::with_capacity(control.len() + CONTROL_OVERHEAD);
    bytes.extend((control.len() as u16).to_be_bytes());
    bytes.extend(check.to_be_bytes());
    bytes.extend(control);
    bytes.resize(bytes.len().next_multiple_of(CONTROL_BLOCK_BYTES), 0);
    bytes.chunks(CONTROL_BLOCK_BYTES).map(|chunk| bits_of(chunk).collect()).collect()
}

/// The control bytes from the messages of all blocks (bits), or `None` when length or check is wrong.
pub(crate) fn control_bytes(header: &Header, bits: &[u8]) -> Option<Vec<u8>> {
    let bytes: Vec<u8> =
        bits.chunks_exact(8).map(|b| b.iter().fold(0, |v, &bit| v << 1 | (bit & 1))).collect();
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let (check, rest) = rest.split_first_chunk::<4>()?;
    let control = rest.get(..usize::from(u16::from_be_bytes(*length)))?;
    let good = control_check(&header.to_bits().ok()?, control) == u32::from_be_bytes(*check);
    good.then(|| control.to_vec())
}

/// CRC-32 that binds the bytes to their header.
fn control_check(header: &[u8; HEADER_BITS], control: &[u8]) -> u32 {
    let length = (control.len() as u16).to_be_bytes();
    let bits: Vec<u8> =
        header.iter().copied().chain(bits_of(&length)).chain(bits_of(control)).collect();
    Crc::Crc32.checksum(&bits)
}

fn bits_of(bytes: &[u8]) -> impl Iterator<Item = u8> {
    bytes.iter().flat_map(|byte| (0..8).rev().map(move |i| byte >> i & 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::PayloadShape;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn control_bytes_come_back_and_belong_to_their_header(
            control in proptest::collection::vec(any::<u8>(), 1..=crate::MAX_CONTROL_BYTES),
        ) {
            let mut header = Header::from_bits(&[0; HEADER_BITS]).unwrap();
            header.payload = PayloadShape::of(control.len(), 0).unwrap();
            let blocks = control_blocks(&header.to_bits().unwrap(), &control);
            prop_assert_eq!(blocks.len(), usize::from(header.payload.control_blocks));
            let bits = blocks.concat();
            prop_assert_eq!(control_bytes(&header, &bits), Some(control));
            header.index = 1;
            prop_assert_eq!(control_bytes(&header, &bits), None);
        }

        #[test]
        fn hostile_bits_are_refused(bits in proptest::collection::vec(0u8..2, 0..1000)) {
            let header = Header::from_bits(&[0; HEADER_BITS]).unwrap();
            prop_assert_eq!(control_bytes(&header, &bits), None);
        }
    }
}
