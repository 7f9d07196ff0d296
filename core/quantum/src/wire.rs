//! Bytes of messages: a writer that cannot fail and a reader that trusts nothing.

use crqkd_bits::BitString;

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end too early.
    #[error("the message ends in the middle of {what}")]
    Truncated {
        /// Name of the field that was being read.
        what: &'static str,
    },
    /// Bytes are left over after the last field of the message.
    #[error("{bytes} bytes follow the message")]
    TrailingBytes {
        /// Number of bytes left over.
        bytes: usize,
    },
    /// A number that is not allowed here.
    #[error("{what} = {value}, at most {most} is allowed")]
    TooLarge {
        /// Name of the field that holds the number.
        what: &'static str,
        /// The number received, above `most`.
        value: u64,
        /// The most that is allowed.
        most: u64,
    },
    /// A code without a meaning, or a number not written in its shortest form.
    #[error("{what}: {value} means nothing")]
    Unknown {
        /// Name of the field that was being read.
        what: &'static str,
        /// The byte received, which has no meaning there.
        value: u64,
    },
}

/// Builds the bytes of a message: what is written is appended to the inner vector.
#[derive(Debug, Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn word(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// Seven bits a byte, the lowest first; the top bit says that more follows.
    pub(crate) fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// The length, then the bits.
    pub(crate) fn bits(&mut self, bits: &BitString) {
        self.number(bits.len() as u64);
        self.0.extend_from_slice(&bits.to_bytes());
    }
}

/// Reads bytes from the front.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn left(&self) -> usize {
        self.0.len()
    }

    fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(WireError::Truncated { what })?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn byte(&mut self, what: &'static str) -> Result<u8, WireError> {
        Ok(self.take(1, what)?[0])
    }

    pub(crate) fn word(&mut self, what: &'static str) -> Result<u64, WireError> {
        let bytes = self.take(8, what)?;
        Ok(u64::from_be_bytes(bytes.try_into().expect("eight bytes were taken")))
    }

    /// A number of at most `most`, in its shortest form.
    #[inline]
    pub(crate) fn number(&mut self, what: &'static str, most: u64) -> Result<u64, WireError> {
        let (mut value, mut shift) = (0u64, 0);
        loop {
            let (&byte, rest) = self.0.split_first().ok_or(WireError::Truncated { what })?;
            self.0 = rest;
            if shift == 63 && byte > 1 || shift > 0 && byte == 0 {
                return Err(WireError::Unknown { what, value: u64::from(byte) });
            }
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                break;
            }
            shift += 7;
        }
        if value > most { Err(WireError::TooLarge { what, value, most }) } else { Ok(value) }
    }

    /// So many numbers, each of at most `most`. The caller bounds how many.
    pub(crate) fn numbers(
        &mut self,
        what: &'static str,
        count: usize,
        most: u64,
    ) -> Result<Vec<u64>, WireError> {
        let mut numbers = Vec::with_capacity(count);
        for _ in 0..count {
            // Most are one byte long.
            match self.0.split_first() {
                Some((&byte, rest)) if byte < 0x80 && u64::from(byte) <= most => {
                    self.0 = rest;
                    numbers.push(u64::from(byte));
                }
                _ => numbers.push(self.number(what, most)?),
            }
        }
        Ok(numbers)
    }

    pub(crate) fn bits(&mut self, what: &'static str) -> Result<BitString, WireError> {
        // No more bits than there are bytes for: nothing is allocated on a stranger's word.
        let most = self.left() as u64 * 8;
        let len = self.number(what, most)? as usize;
        let bytes = self.take(len.div_ceil(8), what)?;
        if !len.is_multiple_of(8) && bytes[len / 8] & (0xFF >> (len % 8)) != 0 {
            return Err(WireError::Unknown { what, value: u64::from(bytes[len / 8]) });
        }
        BitString::from_bytes(bytes, len).map_err(|_| WireError::Truncated { what })
    }

    pub(crate) fn end(self) -> Result<(), WireError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(WireError::TrailingBytes { bytes: self.0.len() })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_and_bits_go_there_and_back(numbers: Vec<u64>, bits in prop::collection::vec(any::<bool>(), 0..100)) {
            let bits: BitString = bits.into_iter().collect();
            let mut writer = Writer::default();
            numbers.iter().for_each(|&n| writer.number(n));
            writer.bits(&bits);
            writer.word(7);
            let mut reader = Reader::new(&writer.0);
            for &n in &numbers {
                prop_assert_eq!(reader.number("n", u64::MAX).unwrap(), n);
            }
            prop_assert_eq!(reader.bits("bits").unwrap(), bits);
            prop_assert_eq!(reader.word("seven").unwrap(), 7);
            reader.end().unwrap();
        }

        #[test]
        fn what_is_read_is_what_would_be_written(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            if let Ok(value) = reader.number("n", u64::MAX) {
                let mut writer = Writer::default();
                writer.number(value);
                prop_assert_eq!(&bytes[..bytes.len() - reader.left()], &writer.0[..]);
            }
            let mut reader = Reader::new(&bytes);
            if let Ok(bits) = reader.bits("bits") {
                let mut writer = Writer::default();
                writer.bits(&bits);
                prop_assert_eq!(&bytes[..bytes.len() - reader.left()], &writer.0[..]);
            }
        }
    }
}
