//! One code, decoder and channel: error rate and CPU time.

use std::fmt;

use cpu_time::ProcessTime;
use crqkd_polar::{
    BatchAdaptiveDecoder, BatchListDecoder, BatchScDecoder, CodeSpec, Construction, InstructionSet,
    Noise, Outcome, PolarCode, Quantizer,
};
use rand::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::Serialize;
use statrs::distribution::{Beta, ContinuousCDF};

use super::BenchError;

/// Frames between two looks at the stop rule; a multiple of every batch size.
const CHUNK: usize = 512;

/// A decoder with 8-bit LLRs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoder {
    /// Successive cancellation, 64 frames at once.
    Sc,
    /// List of this many paths, 64 / paths frames at once.
    List {
        /// Number of paths that the decoder follows.
        paths: usize,
    },
    /// SC, then 8 paths, then this many.
    Adaptive {
        /// Paths of the last stage.
        paths: usize,
    },
    /// List of this many paths, one frame at a time.
    Single {
        /// Number of paths that the decoder follows.
        paths: usize,
    },
}

impl fmt::Display for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Sc => "SC".to_string(),
            Self::List { paths } => format!("SCL-{paths}"),
            Self::Adaptive { paths } => format!("adaptive SCL-{paths}"),
            Self::Single { paths } => format!("SCL-{paths} single"),
        };
        f.pad(&name)
    }
}

/// When enough is known: after this many frame errors, or frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Number of frame errors that are enough.
    pub errors: usize,
    /// Largest number of frames that are decoded.
    pub frames: usize,
}

/// One line of the benchmark: a code, a channel and a decoder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Case {
    /// Length, message bits and check of the code.
    pub spec: CodeSpec,
    /// How the information positions of the code are chosen.
    pub construction: Construction,
    /// The decoder that is measured.
    pub decoder: Decoder,
    /// The channel between the codeword and the decoder.
    pub noise: Noise,
    /// With which instructions (plain ones where the machine has them not).
    pub instructions: InstructionSet,
}

/// Error rates and speed that a case was measured to have.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measure {
    /// Number of frames that were decoded.
    pub frames: usize,
    /// Frames of which the message was wrong or not found.
    pub errors: usize,
    /// Those that passed the check all the same.
    pub undetected: usize,
    /// Frame error rate: `errors` over `frames`.
    pub fer: f64,
    /// Lower end of its 95 % confidence interval (Clopper and Pearson).
    pub low: f64,
    /// Upper end of that interval.
    pub high: f64,
    /// CPU time a frame, from 8-bit LLRs to message bits, in microseconds.
    pub cpu_us: f64,
    /// Message bits a second on one core, in millions.
    pub mbit_s: f64,
}

pub(crate) enum Engine {
    Sc(BatchScDecoder),
    List(BatchListDecoder),
    Adaptive(BatchAdaptiveDecoder),
    Single(BatchListDecoder),
}

impl Engine {
    pub(crate) fn new(
        decoder: Decoder,
        set: InstructionSet,
        code: &PolarCode,
    ) -> Result<Self, BenchError> {
        Ok(match decoder {
            Decoder::Sc => Self::Sc(BatchScDecoder::with_instructions(code, set)),
            Decoder::List { paths } => {
                Self::List(BatchListDecoder::with_instructions(code, paths, set)?)
            }
            Decoder::Adaptive { paths } => {
                Self::Adaptive(BatchAdaptiveDecoder::with_instructions(code, paths, set)?)
            }
            Decoder::Single { paths } => {
                Self::Single(BatchListDecoder::with_instructions(code, paths, set)?)
            }
        })
    }

    pub(crate) fn decode(
        &mut self,
        llr: &[i8],
        n: usize,
        k: usize,
        messages: &mut [u8],
        outcomes: &mut [Outcome],
    ) {
        match self {
            Self::Sc(decoder) => decoder.decode(llr, messages, outcomes),
            Self::List(decoder) => decoder.decode(llr, messages, outcomes),
            Self::Adaptive(decoder) => decoder.decode(llr, messages, outcomes),
            Self::Single(decoder) => {
                for ((llr, message), outcome) in
                    llr.chunks(n).zip(messages.chunks_mut(k)).zip(outcomes)
                {
                    *outcome = decoder.decode_one(llr, message);
                }
            }
        }
    }
}

impl Case {
    /// Runs random messages over the channel until the stop rule holds.
    ///
    /// # Errors
    /// When a parameter is out of range.
    pub fn run(&self, seed: u64, stop: Stop) -> Result<Measure, BenchError> {
        self.noise.validate()?;
        let code = PolarCode::new(self.spec, self.construction)?;
        let mut engine = Engine::new(self.decoder, self.instructions, &code)?;
        let mut source = Source::new(&code, self.noise, seed);
        let (n, k) = (code.n(), code.k());
        let mut found = vec![0; CHUNK * k];
        let mut outcomes = vec![Outcome::Failed; CHUNK];
        let (mut frames, mut errors, mut undetected, mut cpu) = (0, 0, 0, 0.0);
        // Once without looking, so that the first chunk's time is not that of cold caches.
        engine.decode(source.chunk(), n, k, &mut found, &mut outcomes);
        while frames < stop.frames && errors < stop.errors {
            let llr = source.chunk();
            let start = ProcessTime::now();
            engine.decode(llr, n, k, &mut found, &mut outcomes);
            cpu += start.elapsed().as_secs_f64();
            for ((found, sent), outcome) in
                found.chunks(k).zip(source.messages.chunks(k)).zip(&outcomes)
            {
                let right = outcome.is_decoded() && found == sent;
                errors += usize::from(!right);
                undetected += usize::from(outcome.is_decoded() && !right);
            }
            frames += CHUNK;
        }
        let (low, high) = confidence(errors, frames);
        let cpu_us = cpu / frames as f64 * 1e6;
        Ok(Measure {
            frames,
            errors,
            undetected,
            fer: errors as f64 / frames as f64,
            low,
            high,
            cpu_us,
            mbit_s: k as f64 / cpu_us,
        })
    }
}

/// 95 % confidence interval of a probability after `errors` of `frames` (C. J. Clopper, E. S. Pearson 1934).
pub(crate) fn confidence(errors: usize, frames: usize) -> (f64, f64) {
    let (e, f) = (errors as f64, frames as f64);
    let quantile = |a: f64, b: f64, q: f64| Beta::new(a, b).map_or(f64::NAN, |d| d.inverse_cdf(q));
    let low = if errors == 0 { 0.0 } else { quantile(e, f - e + 1.0, 0.025) };
    let high = if errors >= frames { 1.0 } else { quantile(e + 1.0, f - e, 0.975) };
    (low, high)
}

/// Random messages over a channel, in 8 bits.
pub(crate) struct Source<'a> {
    code: &'a PolarCode,
    noise: Noise,
    quantizer: Quantizer,
    rng: Xoshiro256PlusPlus,
    pub(crate) messages: Vec<u8>,
    real: Vec<f32>,
    llr: Vec<i8>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(code: &'a PolarCode, noise: Noise, seed: u64) -> Self {
        let (n, k) = (code.n(), code.k());
        let mean = noise.mean();
        let quantizer = match noise {
            Noise::Gaussian { .. } | Noise::GaussianSpread { .. } => Quantizer::default(),
            _ => Quantizer::hard(((1.0 - mean) / mean).ln() as f32),
        };
        Self {
            code,
            noise,
            quantizer,
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            messages: vec![0; CHUNK * k],
            real: vec![0.0; n],
            llr: vec![0; CHUNK * n],
        }
    }

    /// The next frames, as received.
    pub(crate) fn chunk(&mut self) -> &[i8] {
        let (n, k) = (self.code.n(), self.code.k());
        let mut word = vec![0; n];
        for (message, llr) in self.messages.chunks_mut(k).zip(self.llr.chunks_mut(n)) {
            message.iter_mut().for_each(|bit| *bit = (self.rng.next_u32() & 1) as u8);
            self.code.encode_into(message, &mut word);
            self.noise.receive(&word, &mut self.real, &mut self.rng);
            self.quantizer.quantize_into(&self.real, llr);
        }
        &self.llr
    }
}
