//! From a stream of samples to frames.
//!
//! ```text
//!  begin                                   lag                          end
//!    |<-- 320 -->|...decided lags...........|...lags to be searched......|  buffer
//!                                           ^ crossing -> peak within 48 lags -> measure, read the header, wait for
//!                                             the frame's end -> Frame; the search goes on behind it
//! ```
//!
//! All decisions depend on positions within the contiguous stretch alone, so that any split of the stream gives the same
//! frames. The statistic is that of the M-sequence itself ([`Correlator`]): with frequency-selective fading the tone may
//! vanish, the sequence does not.

use num_complex::Complex32;

use crate::correlator::{Correlator, SEARCH_SPAN};
use crate::estimator::{RECENTRE_MAX, is_frame};
use crate::frame::Peek;
use crate::layout::{HEADER_FRAME_LEN, PREAMBLE_LEN, SEQUENCE_START};
use crate::{Demodulator, Estimator, Frame, SoundingConfig, SoundingError};

/// Lags whose statistic is added up: paths of one channel.
const SPREAD: usize = 16;
/// Lags behind a crossing among which the strongest path is sought.
const PEAK_SEARCH: usize = 48;
/// How much earlier than its correlation peak a frame may turn out to start.
const MARGIN: u64 = 16;
/// Latest time of samples.
const MAX_TIME: u64 = u64::MAX / 2;
/// Decided samples that may stay in the buffer.
const SLACK: usize = 8192;

/// Streaming detector of sounding frames.
///
/// Samples come in stretches: a call that continues where the last one ended continues the stretch, a later time starts
/// a new one, and [`Synchronizer::flush`] ends it. A frame must lie in its stretch from its first sample (strongest
/// path) to the end of its M-sequence; header and payload may be cut off by the stretch's end.
pub struct Synchronizer {
    config: SoundingConfig,
    correlator: Correlator,
    estimator: Estimator,
    demodulator: Demodulator,
    /// First sample of the stretch, and the one after its last so far.
    begin: u64,
    end: u64,
    /// The stretch was ended by a flush.
    closed: bool,
    /// Samples from `base` to `end`.
    buffer: Vec<Complex32>,
    base: u64,
    /// First lag (air time of a frame's M-sequence) that is not decided.
    lag: u64,
    /// Statistic of the lags from `statistic_base`.
    statistic: Vec<f32>,
    statistic_base: u64,
    sums: Vec<f32>,
    pending: Option<Pending>,
}

/// A frame that was seen and is not complete.
enum Pending {
    /// The correlation has its peak at this lag.
    Peak(u64),
    /// Measured; the frame's samples end before this time.
    Measured(Box<Peek>, u64),
}

impl Synchronizer {
    /// A synchronizer before its first sample.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn new(config: &SoundingConfig) -> Result<Self, SoundingError> {
        Ok(Self {
            demodulator: Demodulator::new(config)?,
            config: config.clone(),
            correlator: Correlator::new(),
            estimator: Estimator::new(),
            begin: 0,
            end: 0,
            closed: true,
            buffer: Vec::new(),
            base: 0,
            lag: 0,
            statistic: Vec::new(),
            statistic_base: 0,
            sums: Vec::new(),
            pending: None,
        })
    }

    /// Takes samples of which the first has air time `time`, and appends the frames that they complete. A time later
    /// than the end of the last samples ends the stretch.
    ///
    /// # Errors
    /// When a sample is not finite, or the time is before the end of the last samples or absurd; nothing of the call is
    /// taken then.
    pub fn process(
        &mut self,
        time: u64,
        samples: &[Complex32],
        frames: &mut Vec<Frame>,
    ) -> Result<(), SoundingError> {
        if time > MAX_TIME {
            return Err(SoundingError::TimeRange { time, max: MAX_TIME });
        }
        if time < self.end {
            return Err(SoundingError::TimeReversed { expected: self.end, got: time });
        }
        if let Some(at) = not_finite(samples) {
            return Err(SoundingError::NotFinite { position: time + at as u64 });
        }
        if time > self.end {
            self.flush(frames);
        }
        if self.closed && !samples.is_empty() {
            self.open(time);
        }
        self.buffer.extend_from_slice(samples);
        self.end = self.end.max(time) + samples.len() as u64;
        self.advance(frames);
        Ok(())
    }

    /// Ends the stretch: frames that reach to its end are appended. The next samples start a new stretch even if they
    /// follow without a gap.
    pub fn flush(&mut self, frames: &mut Vec<Frame>) {
        self.closed = true;
        self.advance(frames);
    }

    /// First sample that may still start a frame which is not decided: no frame that starts before it will come.
    pub fn progress(&self) -> u64 {
        match &self.pending {
            _ if self.closed => self.end,
            Some(Pending::Measured(peek, _)) => peek.estimate.start,
            Some(Pending::Peak(_)) | None => {
                self.lag.saturating_sub(SEQUENCE_START as u64 + MARGIN).max(self.begin)
            }
        }
    }

    fn open(&mut self, time: u64) {
        self.closed = false;
        (self.begin, self.end, self.base) = (time, time, time);
        self.lag = time + SEQUENCE_START as u64;
        self.statistic_base = self.lag;
        self.statistic.clear();
        self.buffer.clear();
        self.pending = None;
    }

    /// Decides whatever the samples allow.
    fn advance(&mut self, frames: &mut Vec<Frame>) {
        loop {
            let moved = match self.pending.take() {
                None => self.search(),
                Some(Pending::Peak(peak)) => self.measure(peak),
                Some(Pending::Measured(peek, until)) => self.complete(peek, until, frames),
            };
            if !moved {
                break;
            }
        }
        self.forget();
    }

    /// Looks for the next crossing and its peak; false when samples are missing or all are decided.
    fn search(&mut self) -> bool {
        loop {
            let Some(from) = self.available(SPREAD) else { return false };
            let window = &self.statistic[from..];
            // Fewer than SPREAD lags are left at the end of a closed stretch only.
            let count =
                if window.len() < SPREAD { window.len() } else { window.len() - SPREAD + 1 };
            let sums = sums_ahead(window, &mut self.sums);
            let threshold = self.config.detection_threshold;
            let Some(crossing) = sums[..count].iter().position(|&sum| sum > threshold) else {
                self.lag += count as u64;
                continue;
            };
            self.lag += crossing as u64;
            let Some(from) = self.available(PEAK_SEARCH) else { return false };
            let window = &self.statistic[from..];
            let window = &window[..window.len().min(PEAK_SEARCH)];
            let best = (0..window.len()).max_by(|&a, &b| window[a].total_cmp(&window[b]));
            self.pending = Some(Pending::Peak(self.lag + best.unwrap_or(0) as u64));
            return true;
        }
    }

    /// Place of the present lag in the statistic, with `count` values from there on; fewer only at the end of a closed
    /// stretch. `None` when samples are missing or nothing is left.
    fn available(&mut self, count: usize) -> Option<usize> {
        loop {
            if self.lag > self.statistic_base + self.statistic.len() as u64 {
                // Behind a frame: nothing inside it is correlated.
                self.statistic.clear();
                self.statistic_base = self.lag;
            }
            let from = (self.lag - self.statistic_base) as usize;
            if from + count <= self.statistic.len() {
                return Some(from);
            }
            let next = self.statistic_base + self.statistic.len() as u64 - self.base;
            let rest = self.buffer.get(next as usize..).unwrap_or_default();
            let whole = rest.len() >= SEARCH_SPAN;
            if whole || self.closed {
                self.statistic.drain(..from);
                self.statistic_base = self.lag;
                self.correlator.run(&rest[..rest.len().min(SEARCH_SPAN)], &mut self.statistic);
            }
            if !whole {
                return (self.closed && !self.statistic.is_empty()).then_some(0);
            }
        }
    }

    /// Measures the frame whose sequence has its peak at this lag and reads its header.
    fn measure(&mut self, peak: u64) -> bool {
        let start = peak - SEQUENCE_START as u64;
        let needed = start + (HEADER_FRAME_LEN + RECENTRE_MAX) as u64;
        if self.end < needed && !self.closed {
            self.pending = Some(Pending::Peak(peak));
            return false;
        }
        let samples = &self.buffer[..(needed.min(self.end) - self.base) as usize];
        let estimate = self.estimator.run(samples, (peak - self.base) as usize, start);
        let start = estimate.start;
        let whole = start >= self.begin && start + PREAMBLE_LEN as u64 <= self.end;
        if !whole || !is_frame(&self.config, &estimate) {
            self.lag = peak + 1;
            return true;
        }
        let sequence = (start - self.base) as usize + SEQUENCE_START;
        let header = self.demodulator.run_header(samples, sequence, &estimate);
        let len = header.map_or(HEADER_FRAME_LEN, |header| header.frame_len());
        let peek = Box::new(Peek { estimate, header });
        self.pending = Some(Pending::Measured(peek, start + len as u64));
        true
    }

    /// Hands over the frame when its samples are there.
    fn complete(&mut self, peek: Box<Peek>, until: u64, frames: &mut Vec<Frame>) -> bool {
        if self.end < until && !self.closed {
            self.pending = Some(Pending::Measured(peek, until));
            return false;
        }
        let start = peek.estimate.start;
        let first = start.saturating_sub(Frame::LEAD as u64).max(self.begin);
        let place = |time: u64| (time - self.base) as usize;
        let samples = self.buffer[place(first)..place(until.min(self.end))].to_vec();
        let clipped = self.config.clip_level.map_or(0, |level| {
            let at_level = |s: &&Complex32| s.re.abs() >= level || s.im.abs() >= level;
            samples.iter().filter(at_level).count()
        });
        // A frame without header may be followed by another right behind its preamble.
        let behind = if peek.header.is_some() { until } else { start + PREAMBLE_LEN as u64 };
        self.lag = behind + SEQUENCE_START as u64 - MARGIN;
        frames.push(Frame { first, samples, clipped, peek: *peek });
        true
    }

    /// Drops samples that no decision needs any more.
    fn forget(&mut self) {
        let needed = match &self.pending {
            None => self.lag,
            Some(Pending::Peak(peak)) => *peak,
            Some(Pending::Measured(peek, _)) => peek.estimate.start + SEQUENCE_START as u64,
        };
        let keep = needed.saturating_sub(SEQUENCE_START as u64 + 2 * MARGIN).max(self.base);
        let drop = (keep - self.base).min(self.buffer.len() as u64) as usize;
        if drop >= SLACK && drop >= self.buffer.len() / 2 {
            self.buffer.drain(..drop);
            self.base += drop as u64;
        }
    }
}

/// Sums of [`SPREAD`] values from each place on, with zeros behind the end.
fn sums_ahead<'a>(values: &[f32], sums: &'a mut Vec<f32>) -> &'a [f32] {
    sums.clear();
    sums.extend_from_slice(values);
    sums.resize(values.len() + SPREAD, 0.0);
    let mut distance = 1;
    while distance < SPREAD {
        for i in 0..sums.len() - distance {
            sums[i] += sums[i + distance];
        }
        distance *= 2;
    }
    &sums[..values.len()]
}

/// Place of the first sample that is infinite or not a number.
fn not_finite(samples: &[Complex32]) -> Option<usize> {
    // Such values, and no others, have all exponent bits set. The common case is one pass without a branch.
    const EXPONENT: u32 = 0x7f80_0000;
    let bad = |x: f32| x.to_bits() & EXPONENT == EXPONENT;
    let any = samples.iter().fold(false, |any, s| any | bad(s.re) | bad(s.im));
    any.then(|| samples.iter().position(|s| bad(s.re) || bad(s.im))).flatten()
}
