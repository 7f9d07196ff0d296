//! What a process has not used of a file, as it is put back.
//!
//! ```text
//!   number of the next group (8 bytes) | bits (8) | the bits | CRC-32 of all (4)
//! ```

use crqkd_bits::{BitString, SecretBits};
use zeroize::Zeroizing;

use super::MAX_KEY_FILE_BYTES;
use crate::journal::CHECKSUM;

/// Bytes before the bits.
const HEAD: usize = 16;

/// Bytes before and behind the bits.
pub(super) const AROUND: usize = HEAD + 4;

/// Groups of a file, at most: more than a file of single bits has.
const MAX_NEXT: u64 = 8 * MAX_KEY_FILE_BYTES;

/// The bytes of a rest.
pub(super) fn to_bytes(next: u64, bits: &SecretBits) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(AROUND + bits.len().div_ceil(8)));
    bytes.extend_from_slice(&next.to_be_bytes());
    bytes.extend_from_slice(&(bits.len() as u64).to_be_bytes());
    bytes.extend_from_slice(&Zeroizing::new(bits.expose().to_bytes()));
    sealed(bytes)
}

/// The bytes with their checksum.
pub(super) fn sealed(mut bytes: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    let sum = CHECKSUM.checksum(&bytes);
    bytes.extend_from_slice(&sum.to_be_bytes());
    bytes
}

/// The next group and the bits; `None` when the bytes are no rest, or damaged.
pub(super) fn parse(bytes: &[u8]) -> Option<(u64, SecretBits)> {
    let (whole, sum) = bytes.split_last_chunk::<4>()?;
    let (head, body) = whole.split_at_checked(HEAD)?;
    let word = |at: usize| head[at..at + 8].iter().fold(0, |w, &byte| w << 8 | u64::from(byte));
    let (next, len) = (word(0), word(8));
    let fits = CHECKSUM.checksum(whole).to_be_bytes() == *sum
        && next < MAX_NEXT
        && len.div_ceil(8) == body.len() as u64;
    let bits = BitString::from_bytes(body, len as usize).ok().filter(|_| fits)?;
    Some((next, bits.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_is_read_as_it_was_put_back_and_no_flipped_bit_is_taken() {
        let bits = SecretBits::from(BitString::from_bytes(&[0xA5, 0x80], 9).unwrap());
        let bytes = to_bytes(7, &bits);
        let (next, found) = parse(&bytes).unwrap();
        assert!(next == 7 && found.ct_eq(&bits));
        for at in 0..8 * bytes.len() {
            let mut flipped = bytes.to_vec();
            flipped[at / 8] ^= 1 << (at % 8);
            assert!(parse(&flipped).is_none(), "bit {at}");
        }
        for len in 0..bytes.len() {
            assert!(parse(&bytes[..len]).is_none(), "{len} bytes");
        }
    }
}
