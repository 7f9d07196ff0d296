//! Header and payload of a frame.

use crqkd_polar::PolarCode;
use num_complex::{Complex32, Complex64};

use crate::coding::{
    BlockDecoder, CONTROL_CODED, HEADER_CODED, control_bytes, control_code, header_code,
};
use crate::equalizer::{Block, Equalizer};
use crate::estimator::PHASE_REFERENCE;
use crate::header::HEADER_BITS;
use crate::layout::{
    BLOCK_LEN, BLOCK_SYMBOLS, CONTROL_BLOCK_BYTES, CONTROL_CODE_BLOCKS, HEADER_COPIES,
    HEADER_COPY_BLOCKS, HEADER_LEN, PREFIX_LEN, SEQUENCE_LEN, TAPS, WINDOW_ADVANCE,
};
use crate::phase::{PhaseTracker, frequency_variance};
use crate::refine::{KNOWN, refine};
use crate::rotate::{derotate, unit, widen};
use crate::synthesizer::scramble;
use crate::waveform::sequence_chips;
use crate::{Estimate, Frame, Header, SoundingConfig, SoundingError, simd};

/// Blocks of the header, all copies.
const HEADER_BLOCKS: usize = HEADER_COPIES * HEADER_COPY_BLOCKS;
/// Samples from a block's window in one copy of the header to the same in the next.
const COPY_LEN: usize = HEADER_COPY_BLOCKS * BLOCK_LEN;
/// The list decoder is tried when the copies agree at least this much of what they should.
const PRESENCE: f32 = 0.3;
/// Where they agree less than this there is no header: at −11 dB a header has 1 ± 0.2.
const ABSENCE: f32 = 0.1;

const SILENCE: Block = [Complex32::ZERO; BLOCK_SYMBOLS];

/// What a frame carries behind its header.
#[derive(Clone, Debug, PartialEq)]
pub struct Payload {
    /// The control bytes: empty when the frame has none, `None` when their check fails.
    pub control: Option<Vec<u8>>,
    /// ln P(0)/P(1) of each cipher bit; 0 for bits that were not received.
    pub cipher_llr: Vec<f32>,
}

/// Decoder of headers and payloads.
pub struct Demodulator {
    chips: [f32; SEQUENCE_LEN],
    equalizer: Equalizer,
    header_code: PolarCode,
    header_decoder: BlockDecoder,
    control_decoder: BlockDecoder,
    /// Header blocks in order of reception, carrier offset removed.
    header: Box<[Block; HEADER_BLOCKS]>,
    pair: Box<[Block; 2]>,
    llr: Vec<f32>,
}

impl Demodulator {
    /// A demodulator with its tables.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn new(config: &SoundingConfig) -> Result<Self, SoundingError> {
        config.validate()?;
        let header_code = header_code();
        Ok(Self {
            chips: sequence_chips(),
            equalizer: Equalizer::new(),
            header_decoder: BlockDecoder::new(&header_code, config.list_size),
            control_decoder: BlockDecoder::new(&control_code(), config.list_size),
            header_code,
            header: Box::new([SILENCE; HEADER_BLOCKS]),
            pair: Box::new([SILENCE; 2]),
            llr: Vec::with_capacity(CONTROL_CODED),
        })
    }

    /// The header of a frame: the one that the synchronizer decoded to find its length. `None` when the frame has none
    /// or it cannot be read.
    pub fn header(&mut self, frame: &Frame, _estimate: &Estimate) -> Option<Header> {
        frame.peek().header
    }

    /// The header of a frame, decoded anew with the given estimate.
    pub fn decode_header(&mut self, frame: &Frame, estimate: &Estimate) -> Option<Header> {
        self.run_header(frame.samples(), frame.sequence(), estimate)
    }

    /// Decodes the header of the frame whose M-sequence starts at `sequence` in `samples`.
    pub(crate) fn run_header(
        &mut self,
        samples: &[Complex32],
        sequence: usize,
        estimate: &Estimate,
    ) -> Option<Header> {
        // Fourth powers of an amplitude that is far from 1 do not fit into single precision.
        let power = estimate.noise_power.max(f32::MIN_POSITIVE);
        if (1e-9..1e7).contains(&power) || !power.is_finite() {
            return self.run_header_near_one(samples, sequence, estimate);
        }
        // A power of two changes no digit.
        let scale = (-0.5 * power.log2()).round().clamp(-120.0, 120.0).exp2();
        let samples: Vec<Complex32> = samples.iter().map(|sample| sample * scale).collect();
        let mut estimate = estimate.clone();
        estimate.noise_power = estimate.noise_power * scale * scale;
        estimate.cir.iter_mut().for_each(|tap| *tap *= scale);
        self.run_header_near_one(&samples, sequence, &estimate)
    }

    fn run_header_near_one(
        &mut self,
        samples: &[Complex32],
        sequence: usize,
        estimate: &Estimate,
    ) -> Option<Header> {
        let body = sequence + SEQUENCE_LEN;
        if samples.len() + WINDOW_ADVANCE < body + HEADER_LEN {
            return None;
        }
        let copies = HEADER_COPIES as f32;
        let snr = 10f64.powf(f64::from(estimate.snr_db) / 10.0);
        let signal = snr as f32 * estimate.noise_power;

        let (slope, slope_variance, agreement) =
            turn_of_copies(&samples[body..], estimate.omega(), estimate.noise_power, snr);
        let pairs = (HEADER_COPIES * (HEADER_COPIES - 1) / 2 * HEADER_CODED) as f32;
        if agreement < ABSENCE * pairs * signal {
            return None;
        }
        let present = agreement > PRESENCE * pairs * signal;

        // Add up the copies, each with its phase.
        self.set_channel(estimate);
        let mut tracker = PhaseTracker::new(snr, SEQUENCE_LEN);
        tracker.set_slope(slope, slope_variance);
        let omega = estimate.omega();
        for (half, sum) in self.pair.iter_mut().enumerate() {
            let first = |copy: usize| window_of(body, copy * HEADER_COPY_BLOCKS + half);
            sum.fill(Complex32::ZERO);
            for copy in 0..HEADER_COPIES {
                let late = slope * block_time(copy * HEADER_COPY_BLOCKS + half);
                let turn = unit(-omega * (first(copy) - first(0)) as f64 - late) / copies;
                simd::accumulate(&samples[first(copy)..], turn, sum);
            }
            let phase = omega * (first(0) as f64 - (sequence + PHASE_REFERENCE) as f64);
            let added = *sum;
            derotate(&added, omega, phase, sum);
            self.equalizer.spectrum(sum);
        }
        let v = self.equalizer.effective_noise(estimate.noise_power / copies);
        let quality = self.equalizer.quality(v);
        // The sum has the phase that the copies have at their mean time.
        let before = tracker.predict((block_time(0) + block_time(HEADER_BLOCKS - 1)) / 2.0);
        let doubled: Complex64 = self.pair.iter().map(|block| self.equalizer.phase(block, v)).sum();
        let after = tracker.update(doubled.arg() / 2.0, quality.phase_variance(HEADER_CODED));
        let turn = unit(before - after);
        self.pair.iter_mut().flatten().for_each(|value| *value *= turn);

        let [a, b] = &*self.pair;
        let symbols = self.equalizer.equalize(a, b, v);
        self.llr.clear();
        push_llr(&mut self.llr, symbols, &self.chips, 0, quality.llr_scale());
        let mut message = [0; HEADER_BITS];
        let decoded = self.header_decoder.decode(&self.llr, &mut message, present);
        if decoded { Header::from_bits(&message) } else { None }
    }

    /// Control bytes and cipher LLRs of a frame with this header.
    pub fn payload(&mut self, frame: &Frame, estimate: &Estimate, header: &Header) -> Payload {
        self.run_payload(frame.samples(), frame.sequence(), estimate, header)
    }

    pub(crate) fn run_payload(
        &mut self,
        samples: &[Complex32],
        sequence: usize,
        estimate: &Estimate,
        header: &Header,
    ) -> Payload {
        let cipher_bits = usize::from(header.payload.cipher_bits);
        let control_blocks = usize::from(header.payload.control_blocks);
        let mut payload = Payload {
            control: (control_blocks == 0).then(Vec::new),
            cipher_llr: Vec::with_capacity(cipher_bits),
        };
        let body = sequence + SEQUENCE_LEN;
        let (Ok(bits), true) = (header.to_bits(), samples.len() >= body + HEADER_LEN) else {
            payload.cipher_llr.resize(cipher_bits, 0.0);
            return payload;
        };
        self.load_header(samples, sequence, estimate);
        let (mut tracker, noise) = self.learn_from_header(&bits, estimate);

        let mut receiver = BlockReceiver {
            samples,
            first: body + HEADER_LEN + PREFIX_LEN - WINDOW_ADVANCE,
            reference: sequence + PHASE_REFERENCE,
            omega: estimate.omega(),
            noise,
            next: HEADER_BLOCKS,
        };
        let mut control = Vec::with_capacity(control_blocks * 8 * CONTROL_BLOCK_BYTES);
        let mut good = true;
        for _ in 0..control_blocks {
            self.llr.clear();
            let complete = receiver.receive(self, &mut tracker, CONTROL_CODE_BLOCKS);
            let at = control.len();
            control.resize(at + 8 * CONTROL_BLOCK_BYTES, 0);
            // Behind a lost block nothing of the control part can be used.
            good = good
                && complete
                && self.control_decoder.decode(&self.llr, &mut control[at..], true);
        }
        if control_blocks > 0 && good {
            payload.control = control_bytes(header, &control);
        }
        let cipher_blocks = header.payload.cipher_symbol_blocks();
        self.llr.clear();
        receiver.receive(self, &mut tracker, cipher_blocks);
        payload.cipher_llr.extend_from_slice(&self.llr[..cipher_bits]);
        payload
    }

    fn set_channel(&mut self, estimate: &Estimate) {
        self.equalizer.set_channel(&estimate.cir, estimate.csi_noise_var / TAPS as f32);
    }

    /// Takes the channel and the header blocks with the carrier offset removed.
    fn load_header(&mut self, samples: &[Complex32], sequence: usize, estimate: &Estimate) {
        self.set_channel(estimate);
        let omega = estimate.omega();
        for (number, block) in self.header.iter_mut().enumerate() {
            let first = window_of(sequence + SEQUENCE_LEN, number);
            let phase = omega * (first as f64 - (sequence + PHASE_REFERENCE) as f64);
            derotate(&samples[first..first + BLOCK_SYMBOLS], omega, phase, block);
        }
    }

    /// Follows the phase over the known header, takes it as further training for the channel, and measures the noise of
    /// a sample, errors of the channel included.
    fn learn_from_header(
        &mut self,
        bits: &[u8; HEADER_BITS],
        estimate: &Estimate,
    ) -> (PhaseTracker, f32) {
        let coded = self.header_code.encode(bits);
        let symbols: [[f32; BLOCK_SYMBOLS]; HEADER_COPY_BLOCKS] = std::array::from_fn(|half| {
            std::array::from_fn(|i| {
                let at = half * BLOCK_SYMBOLS + i;
                (1.0 - 2.0 * f32::from(coded[at])) * scramble(&self.chips, at)
            })
        });
        for (symbols, block) in symbols.iter().zip(self.pair.iter_mut()) {
            self.equalizer.expected(symbols, block);
        }
        let snr = 10f64.powf(f64::from(estimate.snr_db) / 10.0);
        let v = self.equalizer.effective_noise(estimate.noise_power);
        let mut tracker = PhaseTracker::new(snr, SEQUENCE_LEN);
        let mut sums = [SILENCE; HEADER_COPY_BLOCKS];
        for (number, block) in self.header.iter_mut().enumerate() {
            let expected = &self.pair[number % HEADER_COPY_BLOCKS];
            let energy: f32 = expected.iter().map(|value| value.norm_sqr()).sum();
            let before = tracker.predict(block_time(number));
            let turned = widen(simd::inner(block, expected)) * Complex64::from_polar(1.0, -before);
            let variance = f64::from(v) / (2.0 * f64::from(energy).max(f64::MIN_POSITIVE));
            let turn = unit(-tracker.update(turned.arg(), variance));
            for (value, sum) in block.iter_mut().zip(&mut sums[number % HEADER_COPY_BLOCKS]) {
                *value *= turn;
                *sum += *value;
            }
        }

        let cir = refine(&mut self.equalizer, &estimate.cir, &symbols, &sums);
        self.equalizer.set_channel(&cir, estimate.noise_power / KNOWN as f32);
        for (symbols, block) in symbols.iter().zip(self.pair.iter_mut()) {
            self.equalizer.expected(symbols, block);
        }
        let mut residual = 0.0;
        for (number, block) in self.header.iter().enumerate() {
            let pairs = block.iter().zip(&self.pair[number % HEADER_COPY_BLOCKS]);
            residual += pairs.map(|(y, x)| f64::from((y - x).norm_sqr())).sum::<f64>();
        }
        // Taps and phases were fitted to these very samples.
        let samples = (HEADER_BLOCKS * BLOCK_SYMBOLS) as f64;
        let fitted = TAPS as f64 * samples / KNOWN as f64 + HEADER_BLOCKS as f64 / 2.0;
        let noise = (residual / (samples - fitted)) as f32;
        (tracker, self.equalizer.effective_noise(noise).max(1e-6 * v))
    }
}

/// Reads the payload blocks of a frame one after the other.
struct BlockReceiver<'a> {
    samples: &'a [Complex32],
    /// Place of the window of the first payload block.
    first: usize,
    /// Place of the instant at which the channel estimate's phase holds.
    reference: usize,
    omega: f64,
    noise: f32,
    /// Number of the next block, counted from the header's first.
    next: usize,
}

impl BlockReceiver<'_> {
    /// Appends the LLRs of `count` blocks to the demodulator's; 0 where samples are missing. Tells whether all
    /// blocks were there.
    fn receive(
        &mut self,
        demodulator: &mut Demodulator,
        tracker: &mut PhaseTracker,
        count: usize,
    ) -> bool {
        let Demodulator { equalizer, pair, llr, chips, .. } = demodulator;
        let quality = equalizer.quality(self.noise);
        let mut complete = true;
        let mut done = 0;
        while done < count {
            let now = (count - done).min(2);
            let mut there = [false; 2];
            for (block, there) in pair.iter_mut().zip(&mut there).take(now) {
                *there = self.load(block);
                if *there {
                    equalizer.spectrum(block);
                    let before = tracker.predict(block_time(self.next));
                    block.iter_mut().for_each(|value| *value *= unit(-before));
                    let doubled = equalizer.phase(block, self.noise);
                    let after =
                        tracker.update(doubled.arg() / 2.0, quality.phase_variance(BLOCK_SYMBOLS));
                    let turn = unit(before - after);
                    block.iter_mut().for_each(|value| *value *= turn);
                }
                complete &= *there;
                self.next += 1;
            }
            let [a, b] = &**pair;
            let symbols = equalizer.equalize(a, b, self.noise);
            let before = llr.len();
            push_llr(llr, symbols, chips, done * BLOCK_SYMBOLS, quality.llr_scale());
            llr.truncate(before + now * BLOCK_SYMBOLS);
            for (block, there) in llr[before..].chunks_mut(BLOCK_SYMBOLS).zip(there) {
                if !there {
                    block.fill(0.0);
                }
            }
            done += now;
        }
        complete
    }

    /// The next block with the carrier offset removed, if its samples are there.
    fn load(&self, block: &mut Block) -> bool {
        let first = self.first + (self.next - HEADER_BLOCKS) * BLOCK_LEN;
        let Some(samples) = self.samples.get(first..first + BLOCK_SYMBOLS) else { return false };
        let phase = self.omega * (first as f64 - self.reference as f64);
        derotate(samples, self.omega, phase, block);
        true
    }
}

/// What is left of the carrier offset `omega` (radians a sample) by the turn from copy to copy of a header, with its
/// variance, and how much the copies agree; `samples` begin behind the M-sequence.
///
/// For equal copies y_c of an unknown waveform the likelihood is (1/2σ²)·Σ_d Re(R_d·e^(−j·ω·d·640)), R_d the sum of
/// y_{c+d}·y_c*; the preamble's estimate is the prior. The offset within a block does not matter to R_d.
fn turn_of_copies(samples: &[Complex32], omega: f64, noise: f32, snr: f64) -> (f64, f64, f32) {
    let mut turns = [Complex64::ZERO; HEADER_COPIES];
    for half in 0..HEADER_COPY_BLOCKS {
        let block = |copy: usize| &samples[window_of(0, copy * HEADER_COPY_BLOCKS + half)..];
        for late in 1..HEADER_COPIES {
            for early in 0..late {
                let (y, x) = (&block(late)[..BLOCK_SYMBOLS], &block(early)[..BLOCK_SYMBOLS]);
                turns[late - early] += widen(simd::inner(y, x));
            }
        }
    }
    let prior = 1.0 / frequency_variance(snr);
    let scale = 0.5 / f64::from(noise);
    let mut slope = 0.0;
    let mut information = prior;
    let mut agreement = 0.0;
    for _ in 0..3 {
        let mut gradient = -slope * prior;
        information = prior;
        agreement = 0.0;
        for (distance, turn) in turns.iter().enumerate().skip(1) {
            let samples = (distance * COPY_LEN) as f64;
            let value = turn * Complex64::from_polar(1.0, -(omega + slope) * samples);
            gradient += scale * samples * value.im;
            information += scale * samples * samples * value.re.max(0.0);
            agreement += value.re;
        }
        slope += gradient / information;
    }
    (slope, 1.0 / information, agreement as f32)
}

/// First sample of a block's window, numbered from the header's first, which begins at `body`.
fn window_of(body: usize, number: usize) -> usize {
    body + number * BLOCK_LEN + PREFIX_LEN - WINDOW_ADVANCE
}

/// Middle of a block, numbered from the header's first, in samples from the middle of the M-sequence.
fn block_time(number: usize) -> f64 {
    let first = window_of(SEQUENCE_LEN, number);
    (first - PHASE_REFERENCE) as f64 + (BLOCK_SYMBOLS - 1) as f64 / 2.0
}

/// LLRs of two blocks of equalised symbols, numbered from `symbol`.
fn push_llr(
    llr: &mut Vec<f32>,
    symbols: &Block,
    chips: &[f32; SEQUENCE_LEN],
    symbol: usize,
    scale: f32,
) {
    llr.extend(symbols.iter().enumerate().map(|(i, x)| x.re * scale * scramble(chips, symbol + i)));
    let second = symbol + BLOCK_SYMBOLS;
    llr.extend(symbols.iter().enumerate().map(|(i, x)| x.im * scale * scramble(chips, second + i)));
}
