//! Successive cancellation first, then lists of growing size, each only for the frames that failed before.

use super::{BatchListDecoder, BatchScDecoder, check_lengths};
use crate::{InstructionSet, Outcome, PolarCode, PolarError};

/// Frames taken up at once, so that the later stages get full batches too.
const CHUNK: usize = 512;

/// Decoder with 8-bit LLRs that spends on a frame what it needs: SC, then 8 paths, then up to 32.
///
/// A code without a check goes to the largest list at once. Each stage lets a wrong word pass with probability up to
/// L·2^−c, c the check's length.
pub struct BatchAdaptiveDecoder {
    code: PolarCode,
    first: Option<BatchScDecoder>,
    lists: Vec<BatchListDecoder>,
    failed: Vec<usize>,
    llr: Vec<i8>,
    messages: Vec<u8>,
    outcomes: Vec<Outcome>,
}

impl BatchAdaptiveDecoder {
    /// A decoder whose last stage has `paths` paths (one of [`BATCH_LIST_SIZES`](crate::BATCH_LIST_SIZES)).
    ///
    /// # Errors
    /// When there is no such list size.
    pub fn new(code: &PolarCode, paths: usize) -> Result<Self, PolarError> {
        Self::with_instructions(code, paths, InstructionSet::best())
    }

    /// As [`BatchAdaptiveDecoder::new`] with the instructions named.
    ///
    /// # Errors
    /// When there is no such list size.
    pub fn with_instructions(
        code: &PolarCode,
        paths: usize,
        instructions: InstructionSet,
    ) -> Result<Self, PolarError> {
        let list = |paths| BatchListDecoder::with_instructions(code, paths, instructions);
        let last = list(paths)?;
        let checked = !code.crc().is_empty();
        let lists = if checked && paths > 8 { vec![list(8)?, last] } else { vec![last] };
        let most = lists.iter().map(BatchListDecoder::batch).max().unwrap_or(1);
        Ok(Self {
            code: code.clone(),
            first: checked.then(|| BatchScDecoder::with_instructions(code, instructions)),
            lists,
            failed: Vec::with_capacity(CHUNK),
            llr: vec![0; most * code.n()],
            messages: vec![0; most * code.k()],
            outcomes: vec![Outcome::Failed; most],
        })
    }

    /// Decodes frames of n LLRs (ln P(0)/P(1), any scale, kept within ±127) to messages of k entries, one bit a byte.
    /// The message of a frame that fails is left alone. The path metrics are in units of the LLRs.
    ///
    /// # Panics
    /// When the lengths do not fit each other.
    pub fn decode(&mut self, llr: &[i8], messages: &mut [u8], outcomes: &mut [Outcome]) {
        check_lengths(&self.code, llr, messages, outcomes);
        let (n, k) = (self.code.n(), self.code.k());
        for ((llr, messages), outcomes) in llr
            .chunks(CHUNK * n)
            .zip(messages.chunks_mut(CHUNK * k))
            .zip(outcomes.chunks_mut(CHUNK))
        {
            match &mut self.first {
                Some(first) => first.decode(llr, messages, outcomes),
                None => outcomes.fill(Outcome::Failed),
            }
            for stage in 0..self.lists.len() {
                self.retry(stage, llr, messages, outcomes);
            }
        }
    }

    /// Gives the frames that failed so far to a list decoder.
    fn retry(&mut self, stage: usize, llr: &[i8], messages: &mut [u8], outcomes: &mut [Outcome]) {
        let (n, k) = (self.code.n(), self.code.k());
        self.failed.clear();
        self.failed.extend((0..outcomes.len()).filter(|&i| !outcomes[i].is_decoded()));
        let list = &mut self.lists[stage];
        for group in self.failed.chunks(list.batch()) {
            let again = &mut self.llr[..group.len() * n];
            for (again, &frame) in again.chunks_exact_mut(n).zip(group) {
                again.copy_from_slice(&llr[frame * n..(frame + 1) * n]);
            }
            let found = &mut self.messages[..group.len() * k];
            let results = &mut self.outcomes[..group.len()];
            list.decode(again, found, results);
            for ((found, &result), &frame) in found.chunks_exact(k).zip(results.iter()).zip(group) {
                if result.is_decoded() {
                    messages[frame * k..(frame + 1) * k].copy_from_slice(found);
                    outcomes[frame] = result;
                }
            }
        }
    }

    /// Overwrites everything that is left of the last decoding.
    pub fn wipe(&mut self) {
        use zeroize::Zeroize;
        if let Some(first) = &mut self.first {
            first.wipe();
        }
        self.lists.iter_mut().for_each(BatchListDecoder::wipe);
        self.llr.as_mut_slice().zeroize();
        self.messages.as_mut_slice().zeroize();
    }
}
