//! Codes of any length: puncturing, shortening and repetition of a mother code.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::code::{MAX_N, MIN_N};
use crate::density::Look;
use crate::{CodeSpec, Construction, Crc, PolarCode, PolarError};

/// How a code length that is not a power of two comes about.
///
/// Coded bits are left out or repeated in bit-reversed order, which spreads them evenly ("quasi-uniform puncturing",
/// K. Niu, K. Chen, J. Lin, "Beyond turbo codes: rate-compatible punctured polar codes", ICC 2013; shortening: R. Wang,
/// R. Liu, "A novel puncturing scheme for polar codes", IEEE Comm. Letters 18, 2014).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Matching {
    /// From the next longer mother code; the receiver knows nothing of the bits left out. For low rates.
    Puncture,
    /// From the next longer mother code; the bits left out are 0 by construction. For high rates.
    Shorten,
    /// From the next shorter mother code; some bits are sent again.
    Repeat,
}

/// A polar code of any length.
///
/// Any decoder of the [`mother`](MatchedCode::mother) code decodes it, after [`MatchedCode::spread`].
///
/// ```
/// use crqkd_polar::{Construction, Crc, ListDecoder, MatchedCode, Matching};
///
/// let code = MatchedCode::new(300, 100, Crc::Crc11, Matching::Puncture, Construction::BetaExpansion)?;
/// let message = [1; 100];
/// let sent = code.encode(&message);
/// assert_eq!(sent.len(), 300);
///
/// let llr: Vec<f32> = sent.iter().map(|&bit| if bit == 0 { 2.0 } else { -2.0 }).collect();
/// let mut mother = vec![0.0; code.mother().n()];
/// code.spread(&llr, &mut mother);
/// let mut found = [0; 100];
/// assert!(ListDecoder::new(code.mother(), 8)?.decode(&mother, &mut found).is_decoded());
/// assert_eq!(found, message);
/// # Ok::<(), crqkd_polar::PolarError>(())
/// ```
#[derive(Clone, Debug)]
pub struct MatchedCode {
    mother: PolarCode,
    matching: Matching,
    /// Position in the mother codeword of each bit sent.
    sent: Arc<[u16]>,
    /// Positions of the mother codeword that are 0 and not sent.
    known: Arc<[u16]>,
}

impl MatchedCode {
    /// A code of `length` bits for `k` message bits.
    ///
    /// # Errors
    /// When the length is out of the range of mother codes (a repeated bit comes at most 8 times), `k` does not fit, or
    /// the construction is out of range.
    pub fn new(
        length: usize,
        k: usize,
        crc: Crc,
        matching: Matching,
        construction: Construction,
    ) -> Result<Self, PolarError> {
        let range = if matching == Matching::Repeat { MIN_N..=8 * MAX_N } else { MIN_N..=MAX_N };
        if !range.contains(&length) {
            return Err(PolarError::MatchedLength { length, most: *range.end() });
        }
        if k == 0 || k.saturating_add(crc.len()) > length {
            return Err(PolarError::Dimension { n: length, k, crc: crc.len() });
        }
        let n = match matching {
            Matching::Repeat => ((length + 1).next_power_of_two() / 2).min(MAX_N),
            _ => length.next_power_of_two(),
        };
        let levels = n.trailing_zeros();
        let reversed = |i: usize| ((i as u32).reverse_bits() >> (32 - levels)) as u16;
        let mut looks = vec![Look::Received(1); n];
        let (mut forbidden, mut known) = (Vec::new(), Vec::new());
        let sent: Vec<u16> = match matching {
            Matching::Puncture => {
                forbidden.extend((0..n - length).map(reversed));
                forbidden.iter().for_each(|&i| looks[i as usize] = Look::Punctured);
                (n - length..n).map(reversed).collect()
            }
            Matching::Shorten => {
                forbidden.extend((length..n).map(reversed));
                forbidden.iter().for_each(|&i| looks[i as usize] = Look::Known);
                known.clone_from(&forbidden);
                (0..length).map(reversed).collect()
            }
            Matching::Repeat => {
                // The last in bit-reversed order, which are the most reliable inputs' outputs, come again first.
                let sent: Vec<u16> = (0..length).map(|i| reversed(n - 1 - i % n)).collect();
                looks.fill(Look::Received(0));
                for &i in &sent {
                    if let Look::Received(times) = &mut looks[i as usize] {
                        *times += 1;
                    }
                }
                sent
            }
        };
        let spec = CodeSpec { n, k, crc };
        let mother = PolarCode::with_looks(spec, construction, &looks, &forbidden)?;
        Ok(Self { mother, matching, sent: sent.into(), known: known.into() })
    }

    /// The code that decoders are made for.
    pub fn mother(&self) -> &PolarCode {
        &self.mother
    }

    /// Number of bits that are sent for a codeword: the length after matching.
    pub fn length(&self) -> usize {
        self.sent.len()
    }

    /// How the length came about.
    pub fn matching(&self) -> Matching {
        self.matching
    }

    /// The codeword of a message, one bit a byte.
    ///
    /// # Panics
    /// When `message` has not [`PolarCode::k`] entries.
    pub fn encode(&self, message: &[u8]) -> Vec<u8> {
        let word = self.mother.encode(message);
        self.sent.iter().map(|&i| word[i as usize]).collect()
    }

    /// LLRs of the mother code's bits from those of the bits sent: 0 for what was punctured, certainty for what is
    /// known, the sum for what came several times.
    ///
    /// # Panics
    /// When `llr` has not [`MatchedCode::length`] entries or `out` not [`PolarCode::n`].
    pub fn spread(&self, llr: &[f32], out: &mut [f32]) {
        assert_eq!(llr.len(), self.length(), "number of LLRs");
        assert_eq!(out.len(), self.mother.n(), "length of the mother code");
        out.fill(0.0);
        for &i in self.known.iter() {
            // More than any sum of LLRs that a decoder takes.
            out[i as usize] = 1e4;
        }
        for (&i, &llr) in self.sent.iter().zip(llr) {
            out[i as usize] += llr;
        }
    }

    /// As [`MatchedCode::spread`], with the LLRs of the batch decoders.
    ///
    /// # Panics
    /// When `llr` has not [`MatchedCode::length`] entries or `out` not [`PolarCode::n`].
    pub fn spread_bytes(&self, llr: &[i8], out: &mut [i8]) {
        assert_eq!(llr.len(), self.length(), "number of LLRs");
        assert_eq!(out.len(), self.mother.n(), "length of the mother code");
        out.fill(0);
        for &i in self.known.iter() {
            out[i as usize] = i8::MAX;
        }
        for (&i, &llr) in self.sent.iter().zip(llr) {
            let place = &mut out[i as usize];
            *place = place.saturating_add(llr).max(-127);
        }
    }
}
