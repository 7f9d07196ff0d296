//! The door of successive cancellation in batches.

use zeroize::Zeroize;

use super::program::Program;
use super::sc::ScRun;
use super::{check_lengths, finish, lanes};
use crate::simd::{Block, LANES, Simd, Task};
use crate::{InstructionSet, Outcome, PolarCode};

/// Successive-cancellation decoder with 8-bit LLRs for batches of 64 frames.
pub struct BatchScDecoder {
    code: PolarCode,
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

impl BatchScDecoder {
    /// A decoder with the best instructions of this machine.
    pub fn new(code: &PolarCode) -> Self {
        Self::with_instructions(code, InstructionSet::best())
    }

    /// A decoder with the instructions named (plain ones where the machine has them not).
    pub fn with_instructions(code: &PolarCode, instructions: InstructionSet) -> Self {
        let n = code.n();
        let room = Room {
            llr: vec![Block::ZERO; 2 * n],
            codewords: vec![0; n],
            words: vec![0; n],
            inputs: vec![0; code.information_set().len()],
        };
        Self { code: code.clone(), instructions, program: Program::new(code, false), room }
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
            .chunks(LANES * n)
            .zip(messages.chunks_mut(LANES * k))
            .zip(outcomes.chunks_mut(LANES))
        {
            let Self { code, program, room, .. } = self;
            self.instructions.run(Batch { code, program, room, llr, messages, outcomes });
        }
    }

    /// Frames that are decoded at once.
    pub fn batch(&self) -> usize {
        LANES
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
}

/// One batch, from LLRs to messages.
struct Batch<'a> {
    code: &'a PolarCode,
    program: &'a Program,
    room: &'a mut Room,
    llr: &'a [i8],
    messages: &'a mut [u8],
    outcomes: &'a mut [Outcome],
}

impl Task for Batch<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { code, program, room, llr, messages, outcomes } = self;
        let (n, k) = (code.n(), code.k());
        lanes::load::<S, 1>(simd, llr, n, &mut room.llr[n..]);
        room.codewords.fill(0);
        ScRun { steps: &program.steps, llr: &mut room.llr, bits: &mut room.codewords }.run(simd);
        room.words.copy_from_slice(&room.codewords);
        let passed = finish::checked(code, &mut room.words, &mut room.inputs);
        for (f, ((llr, message), outcome)) in
            llr.chunks_exact(n).zip(messages.chunks_exact_mut(k)).zip(outcomes).enumerate()
        {
            *outcome = if passed >> f & 1 == 1 {
                finish::message(&room.inputs, f, message);
                finish::outcome(&room.codewords, f, llr)
            } else {
                Outcome::Failed
            };
        }
    }
}
