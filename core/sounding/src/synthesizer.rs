//! From header and payload to the samples of a burst.

use crqkd_polar::PolarCode;
use num_complex::Complex32;

use crate::SoundingError;
use crate::coding::{control_blocks, control_code, header_code};
use crate::header::{Header, PayloadShape};
use crate::layout::{
    BLOCK_SYMBOLS, FrameLayout, HEADER_COPIES, HEADER_FRAME_LEN, PREAMBLE_LEN, PREFIX_LEN,
    SEQUENCE_LEN, SEQUENCE_START,
};
use crate::waveform::{preamble, sequence_chips};

/// Makes the bursts of sounding frames; every sample has magnitude 1.
///
/// ```
/// use crqkd_sounding::{HEADER_FRAME_LEN, PREAMBLE_LEN, Synthesizer};
/// # use crqkd_sounding::{Direction, FrameKind, Header, PayloadShape};
/// let synthesizer = Synthesizer::new();
/// assert_eq!(synthesizer.burst(None, &[], &[])?.len(), PREAMBLE_LEN);
///
/// let header = Header {
///     epoch: 1, window: 2, index: 3, direction: Direction::Forward, sender: 4, kind: FrameKind::Probe, gain: 0,
///     follow: false, more: false, payload: PayloadShape::default(),
/// };
/// assert_eq!(synthesizer.burst(Some(&header), &[], &[])?.len(), HEADER_FRAME_LEN);
/// # Ok::<(), crqkd_sounding::SoundingError>(())
/// ```
pub struct Synthesizer {
    preamble: Vec<Complex32>,
    chips: [f32; SEQUENCE_LEN],
    header_code: PolarCode,
    control_code: PolarCode,
}

impl Default for Synthesizer {
    fn default() -> Self {
        Self::new()
    }
}

impl Synthesizer {
    /// A synthesizer of frames with one M-sequence of 1023 chips, with its tables.
    pub fn new() -> Self {
        Self::with_layout(FrameLayout::default())
    }

    /// A synthesizer of frames of this layout.
    pub fn with_layout(layout: FrameLayout) -> Self {
        Self {
            preamble: preamble(layout),
            chips: sequence_chips(),
            header_code: header_code(),
            control_code: control_code(),
        }
    }

    /// The samples of a frame: the preamble alone, or with header, control bytes (coded) and cipher bits (0 or 1 each,
    /// uncoded). `header.payload` must be [`PayloadShape::of`] the two.
    ///
    /// # Errors
    /// When a header field is out of range, or the payload is too long, other than announced, or without a header.
    pub fn burst(
        &self,
        header: Option<&Header>,
        control: &[u8],
        cipher: &[u8],
    ) -> Result<Vec<Complex32>, SoundingError> {
        let shape = PayloadShape::of(control.len(), cipher.len())?;
        let Some(header) = header else {
            if !control.is_empty() || !cipher.is_empty() {
                return Err(SoundingError::PayloadWithoutHeader);
            }
            return Ok(self.preamble.clone());
        };
        if header.payload != shape {
            return Err(SoundingError::PayloadShape {
                header_blocks: header.payload.control_blocks,
                header_cipher: header.payload.cipher_bits,
                blocks: shape.control_blocks,
                cipher: shape.cipher_bits,
            });
        }
        let header_bits = header.to_bits()?;
        let mut samples = Vec::with_capacity(shape.frame_len());
        samples.extend_from_slice(&self.preamble);
        // The periodic sequence goes on up to the place of the header, which is the same in all layouts.
        samples.extend_from_within(SEQUENCE_START..SEQUENCE_START + PREAMBLE_LEN - samples.len());

        let coded = self.header_code.encode(&header_bits);
        for _ in 0..HEADER_COPIES {
            self.blocks(&coded, &mut samples);
        }
        debug_assert_eq!(samples.len(), HEADER_FRAME_LEN);
        for message in control_blocks(&header_bits, control) {
            self.blocks(&self.control_code.encode(&message), &mut samples);
        }
        self.blocks(cipher, &mut samples);
        Ok(samples)
    }

    /// Appends single-carrier blocks with these bits, the last one filled up with zeros.
    fn blocks(&self, bits: &[u8], samples: &mut Vec<Complex32>) {
        for (number, block) in bits.chunks(BLOCK_SYMBOLS).enumerate() {
            let body = samples.len() + PREFIX_LEN;
            samples.resize(body, Complex32::ZERO);
            let padded = block.iter().copied().chain(std::iter::repeat(0));
            samples.extend(padded.take(BLOCK_SYMBOLS).enumerate().map(|(i, bit)| {
                let chip = scramble(&self.chips, number * BLOCK_SYMBOLS + i);
                Complex32::new(if bit & 1 == 0 { chip } else { -chip }, 0.0)
            }));
            samples.copy_within(body + BLOCK_SYMBOLS - PREFIX_LEN.., body - PREFIX_LEN);
        }
    }
}

/// Sign of symbol `i` of a run of blocks: the M-sequence, so that no content gives a line spectrum.
pub(crate) fn scramble(chips: &[f32; SEQUENCE_LEN], i: usize) -> f32 {
    chips[i % SEQUENCE_LEN]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::HEADER_BITS;
    use crate::layout::{BLOCK_LEN, HEADER_COPY_BLOCKS, PREAMBLE_LEN};

    fn header(control: usize, cipher: usize) -> Header {
        let mut header = Header::from_bits(&[0; HEADER_BITS]).unwrap();
        header.payload = PayloadShape::of(control, cipher).unwrap();
        header
    }

    #[test]
    fn a_burst_has_the_announced_length_unit_magnitude_and_prefixes() {
        let header = header(100, 300);
        let samples = Synthesizer::new().burst(Some(&header), &[7; 100], &[1; 300]).unwrap();
        assert_eq!(samples.len(), header.frame_len());
        assert!(samples.iter().all(|s| (s.norm() - 1.0).abs() < 1e-6));
        for block in samples[PREAMBLE_LEN..].chunks_exact(BLOCK_LEN) {
            assert_eq!(block[..PREFIX_LEN], block[BLOCK_SYMBOLS..]);
        }
        let copy = HEADER_COPY_BLOCKS * BLOCK_LEN;
        let header = &samples[PREAMBLE_LEN..HEADER_FRAME_LEN];
        assert!(header.chunks_exact(copy).all(|c| c == &header[..copy]));
    }

    #[test]
    fn a_payload_other_than_announced_is_refused() {
        let synthesizer = Synthesizer::new();
        let error = synthesizer.burst(Some(&header(0, 0)), &[1], &[]).unwrap_err();
        assert!(matches!(error, SoundingError::PayloadShape { blocks: 1, .. }));
        let error = synthesizer.burst(None, &[], &[1]).unwrap_err();
        assert_eq!(error, SoundingError::PayloadWithoutHeader);
    }
}
