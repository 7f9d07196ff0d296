//! The list decoder's door: any number of frames, any instruction set.

use zeroize::Zeroize;

use super::list::ListRun;
use super::program::Program;
use super::{check_lengths, finish, lanes};
use crate::simd::{Block, LANES, Simd, Task};
use crate::{InstructionSet, MAX_N, Outcome, PolarCode, PolarError};

/// Numbers of paths with which a [`BatchListDecoder`] can be made.
pub const BATCH_LIST_SIZES: [usize; 5] = [2, 4, 8, 16, 32];

/// CRC-aided list decoder with 8-bit LLRs for batches of 64 / L frames, L paths each.
///
/// ```
/// use crqkd_polar::{BatchListDecoder, CodeSpec, Construction, Crc, Outcome, PolarCode, Quantizer};
///
/// let spec = CodeSpec { n: 128, k: 40, crc: Crc::Crc11 };
/// let code = PolarCode::new(spec, Construction::BetaExpansion)?;
/// let sent = [code.encode(&[0; 40]), code.encode(&[1; 40])].concat();
/// let llr: Vec<i8> = sent.iter().map(|&bit| if bit == 0 { 1 } else { -1 }).collect();
///
/// let mut decoder = BatchListDecoder::new(&code, 8)?;
/// let (mut messages, mut outcomes) = ([0; 80], [Outcome::Failed; 2]);
/// decoder.decode(&llr, &mut messages, &mut outcomes);
/// assert!(outcomes.iter().all(Outcome::is_decoded));
/// assert_eq!(messages[..], [[0; 40], [1; 40]].concat());
/// # Ok::<(), crqkd_polar::PolarError>(())
/// ```
pub struct BatchListDecoder {
    code: PolarCode,
    paths: usize,
    instructions: InstructionSet,
    program: Program,
    room: Room,
}

/// Working memory of the decoder, kept from batch to batch.
struct Room {
    llr: Vec<Block>,
    codewords: Vec<u64>,
    words: Vec<u64>,
    inputs: Vec<u64>,
}

impl BatchListDecoder {
    /// A decoder of `paths` paths (one of [`BATCH_LIST_SIZES`]) with the best instructions of this machine.
    ///
    /// # Errors
    /// When there is no such list size, or the code is longer than [`MAX_N`].
    pub fn new(code: &PolarCode, paths: usize) -> Result<Self, PolarError> {
        Self::with_instructions(code, paths, InstructionSet::best())
    }

    /// As [`BatchListDecoder::new`] with the instructions named (plain ones where the machine has them not).
    ///
    /// # Errors
    /// When there is no such list size, or the code is longer than [`MAX_N`].
    pub fn with_instructions(
        code: &PolarCode,
        paths: usize,
        instructions: InstructionSet,
    ) -> Result<Self, PolarError> {
        if !BATCH_LIST_SIZES.contains(&paths) {
            return Err(PolarError::BatchListSize { size: paths });
        }
        let n = code.n();
        if n > MAX_N {
            return Err(PolarError::ListLength { n });
        }
        let room = Room {
            llr: vec![Block::ZERO; 2 * n],
            codewords: vec![0; n],
            words: vec![0; n],
            inputs: vec![0; code.information_set().len()],
        };
        let program = Program::new(code, true);
        Ok(Self { code: code.clone(), paths, instructions, program, room })
    }

    /// Decodes frames of n LLRs (ln P(0)/P(1), any scale, kept within ±127) to messages of k entries, one bit a byte;
    /// of the paths whose check holds the best. The message of a frame that fails is left alone. The path metrics are
    /// in units of the LLRs.
    ///
    /// Fastest when the number of frames is a multiple of [`BatchListDecoder::batch`].
    ///
    /// # Panics
    /// When the lengths do not fit each other.
    pub fn decode(&mut self, llr: &[i8], messages: &mut [u8], outcomes: &mut [Outcome]) {
        check_lengths(&self.code, llr, messages, outcomes);
        let (n, k, batch) = (self.code.n(), self.code.k(), self.batch());
        for ((llr, messages), outcomes) in llr
            .chunks(batch * n)
            .zip(messages.chunks_mut(batch * k))
            .zip(outcomes.chunks_mut(batch))
        {
            match self.paths {
                2 => self.run::<2>(llr, messages, outcomes),
                4 => self.run::<4>(llr, messages, outcomes),
                8 => self.run::<8>(llr, messages, outcomes),
                16 => self.run::<16>(llr, messages, outcomes),
                _ => self.run::<32>(llr, messages, outcomes),
            }
        }
    }

    /// Decodes one frame, as [`BatchListDecoder::decode`] does many.
    ///
    /// # Panics
    /// When `llr` has not n entries or `message` not k.
    pub fn decode_one(&mut self, llr: &[i8], message: &mut [u8]) -> Outcome {
        let mut outcome = [Outcome::Failed];
        self.decode(llr, message, &mut outcome);
        outcome[0]
    }

    /// Frames that are decoded at once: 64 / L.
    pub fn batch(&self) -> usize {
        LANES / self.paths
    }

    /// The instruction set that the decoder runs with.
    pub fn instructions(&self) -> InstructionSet {
        self.instructions
    }

    /// Overwrites everything that is left of the last decoding.
    pub fn wipe(&mut self) {
        for block in &mut self.room.llr {
            block.0.zeroize();
        }
        self.room.codewords.as_mut_slice().zeroize();
        self.room.words.as_mut_slice().zeroize();
        self.room.inputs.as_mut_slice().zeroize();
    }

    fn run<const PATHS: usize>(
        &mut self,
        llr: &[i8],
        messages: &mut [u8],
        outcomes: &mut [Outcome],
    ) {
        let Self { code, program, room, .. } = self;
        self.instructions.run(Batch::<PATHS> { code, program, room, llr, messages, outcomes });
    }
}

/// One batch, from LLRs to messages.
struct Batch<'a, const PATHS: usize> {
    code: &'a PolarCode,
    program: &'a Program,
    room: &'a mut Room,
    llr: &'a [i8],
    messages: &'a mut [u8],
    outcomes: &'a mut [Outcome],
}

impl<const PATHS: usize> Task for Batch<'_, PATHS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { code, program, room, llr, messages, outcomes } = self;
        let (n, k) = (code.n(), code.k());
        lanes::load::<S, PATHS>(simd, llr, n, &mut room.llr[n..]);
        room.codewords.fill(0);
        let mut metrics = [0; LANES];
        ListRun::<PATHS> {
            steps: &program.steps,
            llr: &mut room.llr,
            bits: &mut room.codewords,
            metrics: &mut metrics,
        }
        .run(simd);
        room.words.copy_from_slice(&room.codewords);
        let passed = finish::checked(code, &mut room.words, &mut room.inputs);
        for (f, ((llr, message), outcome)) in
            llr.chunks_exact(n).zip(messages.chunks_exact_mut(k)).zip(outcomes).enumerate()
        {
            let lanes = f * PATHS..(f + 1) * PATHS;
            let best =
                lanes.filter(|lane| passed >> lane & 1 == 1).min_by_key(|&lane| metrics[lane]);
            *outcome = match best {
                Some(lane) => {
                    finish::message(&room.inputs, lane, message);
                    finish::outcome(&room.codewords, lane, llr)
                }
                None => Outcome::Failed,
            };
        }
    }
}
