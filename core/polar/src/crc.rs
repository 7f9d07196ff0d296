//! Cyclic redundancy checks over bit sequences of any length.

use serde::{Deserialize, Serialize};

/// The check that is appended to a message before polar encoding.
///
/// Bits enter the shift register in message order and the check is appended high-order bit first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Crc {
    /// No check: every decoding is accepted.
    None,
    /// 11 bits, D¹¹+D¹⁰+D⁹+D⁵+1 (3GPP TS 38.212, section 5.1), register starts at 0.
    #[default]
    Crc11,
    /// 16 bits, D¹⁶+D¹²+D⁵+1 (3GPP TS 38.212, section 5.1), register starts at 0.
    Crc16,
    /// 32 bits, the CRC of IEEE 802.3: register starts at all ones, the check is complemented.
    Crc32,
}

impl Crc {
    /// The check with this many bits (0, 11, 16 or 32).
    pub fn from_bits(bits: usize) -> Option<Self> {
        match bits {
            0 => Some(Self::None),
            11 => Some(Self::Crc11),
            16 => Some(Self::Crc16),
            32 => Some(Self::Crc32),
            _ => None,
        }
    }

    /// Number of check bits that are appended to a message; 0 for [`Crc::None`].
    pub const fn len(self) -> usize {
        match self {
            Self::None => 0,
            Self::Crc11 => 11,
            Self::Crc16 => 16,
            Self::Crc32 => 32,
        }
    }

    /// Whether nothing is appended, which is so for [`Crc::None`] only.
    pub const fn is_empty(self) -> bool {
        matches!(self, Self::None)
    }

    /// The polynomial without its leading term, the start value, and the value xored to the end.
    pub(crate) const fn parameters(self) -> (u32, u32, u32) {
        match self {
            Self::None => (0, 0, 0),
            Self::Crc11 => (0x621, 0, 0),
            Self::Crc16 => (0x1021, 0, 0),
            Self::Crc32 => (0x04c1_1db7, u32::MAX, u32::MAX),
        }
    }

    /// The check value of a sequence of bits (0 or 1 each), in the low [`Crc::len`] bits.
    ///
    /// ```
    /// use crqkd_polar::Crc;
    /// // The ASCII digits 1..9, most significant bit first: CRC-16/XMODEM has 0x31c3 here.
    /// let bits: Vec<u8> = b"123456789".iter().flat_map(|b| (0..8).rev().map(move |i| b >> i & 1)).collect();
    /// assert_eq!(Crc::Crc16.checksum(&bits), 0x31c3);
    /// ```
    pub fn checksum(self, bits: &[u8]) -> u32 {
        if self.is_empty() {
            return 0;
        }
        let (polynomial, start, end) = self.parameters();
        // The register is kept at the top of the word, so that every width shifts out at bit 31.
        let shift = 32 - self.len() as u32;
        let polynomial = polynomial << shift;
        let register = bits.iter().fold(start << shift, |register, &bit| {
            let out = (register >> 31) ^ u32::from(bit & 1);
            (register << 1) ^ (polynomial & out.wrapping_neg())
        });
        (register >> shift) ^ end
    }

    /// Writes the check of `bits` to `check`, high-order bit first; `check` has [`Crc::len`] places.
    pub(crate) fn write(self, bits: &[u8], check: &mut [u8]) {
        let value = self.checksum(bits);
        let width = check.len();
        for (i, place) in check.iter_mut().enumerate() {
            *place = (value >> (width - 1 - i) & 1) as u8;
        }
    }

    /// Whether `check` is the check of `bits`.
    pub(crate) fn matches(self, bits: &[u8], check: &[u8]) -> bool {
        let value = check.iter().fold(0u32, |value, &bit| value << 1 | u32::from(bit & 1));
        value == self.checksum(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bits_msb(bytes: &[u8]) -> Vec<u8> {
        bytes.iter().flat_map(|b| (0..8).rev().map(move |i| b >> i & 1)).collect()
    }

    #[test]
    fn check_values_of_the_crc_catalogue() {
        // CRC RevEng catalogue: CRC-16/XMODEM 0x31c3; CRC-32/BZIP2 0xfc891918 (bytes most significant bit first).
        assert_eq!(Crc::Crc16.checksum(&bits_msb(b"123456789")), 0x31c3);
        assert_eq!(Crc::Crc32.checksum(&bits_msb(b"123456789")), 0xfc89_1918);
        // CRC-32/ISO-HDLC 0xcbf43926: bytes least significant bit first, value read in transmission order.
        let lsb: Vec<u8> =
            b"123456789".iter().flat_map(|b| (0..8).map(move |i| b >> i & 1)).collect();
        assert_eq!(Crc::Crc32.checksum(&lsb).reverse_bits(), 0xcbf4_3926);
    }

    /// Schoolbook long division by the full polynomial, an independent way to the remainder.
    fn remainder(message: &[u8], polynomial: &[u8]) -> u32 {
        let width = polynomial.len() - 1;
        let mut work = [message, &vec![0; width]].concat();
        for i in 0..message.len() {
            if work[i] == 1 {
                for (place, &term) in work[i..].iter_mut().zip(polynomial) {
                    *place ^= term;
                }
            }
        }
        work[message.len()..].iter().fold(0, |value, &bit| value << 1 | u32::from(bit))
    }

    proptest! {
        #[test]
        fn crc_11_is_the_remainder_of_long_division(message in proptest::collection::vec(0u8..2, 1..200)) {
            let polynomial = [1, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 1];
            prop_assert_eq!(Crc::Crc11.checksum(&message), remainder(&message, &polynomial));
        }

        #[test]
        fn a_written_check_matches_and_a_flipped_bit_does_not(
            message in proptest::collection::vec(0u8..2, 1..200),
            which in any::<prop::sample::Index>(),
        ) {
            for crc in [Crc::Crc11, Crc::Crc16, Crc::Crc32] {
                let mut check = vec![0; crc.len()];
                crc.write(&message, &mut check);
                prop_assert!(crc.matches(&message, &check));
                let mut damaged = message.clone();
                let i = which.index(damaged.len());
                damaged[i] ^= 1;
                prop_assert!(!crc.matches(&damaged, &check));
            }
        }
    }
}
