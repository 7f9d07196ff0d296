//! 32-bit checks that show that both ends mean the same probes.

use crc::{CRC_32_ISO_HDLC, Crc};
use crqkd_bits::BitString;
use crqkd_keys::WindowId;

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// CRC-32 over a window's number and the bitmap of its kept probes.
pub fn window_check(window: WindowId, bitmap: &BitString) -> u32 {
    let mut digest = CRC.digest();
    digest.update(&window.0.to_be_bytes());
    digest.update(&(bitmap.len() as u32).to_be_bytes());
    digest.update(&bitmap.to_bytes());
    digest.finalize()
}

/// CRC-32 over the window checks of a ciphertext's pad ranges, in their order.
pub fn pad_check(window_checks: impl IntoIterator<Item = u32>) -> u32 {
    let mut digest = CRC.digest();
    window_checks.into_iter().for_each(|check| digest.update(&check.to_be_bytes()));
    digest.finalize()
}

/// Positions of the ones in a bitmap, from 0, ascending.
pub(crate) fn ones(bitmap: &BitString) -> Vec<u16> {
    (0u16..).zip(bitmap.iter()).filter(|(_, held)| *held).map(|(index, _)| index).collect()
}

/// Positions where both are one; `None` when the lengths differ.
pub(crate) fn both(a: &BitString, b: &BitString) -> Option<BitString> {
    (a.len() == b.len()).then(|| a.iter().zip(b.iter()).map(|(a, b)| a && b).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_sees_window_length_and_bits() {
        // python: zlib.crc32(bytes.fromhex("00000003" "00000008" "a5"))
        let bitmap: BitString = "10100101".parse().unwrap();
        assert_eq!(window_check(WindowId(3), &bitmap), 0xef8bb6f);
        assert_ne!(window_check(WindowId(4), &bitmap), window_check(WindowId(3), &bitmap));
        assert_ne!(pad_check([1, 2]), pad_check([2, 1]));
        assert_eq!(ones(&bitmap), [0, 2, 5, 7]);
        assert_eq!(both(&bitmap, &"11110000".parse().unwrap()), Some("10100000".parse().unwrap()));
        assert_eq!(both(&bitmap, &"1".parse().unwrap()), None);
    }
}
