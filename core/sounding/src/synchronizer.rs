//! From a stream of samples to frames.
//!
//! ```text
//!           |<-- tone 256 -->|<-CP 64->|<------ training sequence, 1023 ------>|
//!  window:              |<----------------- 1023 ------------------>|            one Walsh-Hadamard transform
//!                                                    |<----------------- 1023 ------------------>|  the next, 512 later
//! ```
//!
//! A window is correlated with all shifts of the periodic sequence at once ([`MTransform`]). Of a frame whose sequence
//! starts from 224 samples before to 288 after the window's start, the prefix included, it holds 799 samples at
//! least, so that windows 512 apart see every frame with a loss of 2.2 dB at most. The largest lag of a window, if it
//! stands out of the noise, is a candidate; where the sequence would then start is transformed exactly, and decides. In
//! gated mode, windows that are no louder than the noise floor are passed over ([`Gate`]).
//!
//! All decisions depend on positions within the contiguous stretch alone, so that any split of the stream gives the same
//! frames. Nothing is allocated but the samples of a frame that is handed over.

use num_complex::Complex32;

use crate::config::SearchMode;
use crate::estimator::{Estimator, RECENTRE_MAX};
use crate::frame::Peek;
use crate::gate::Gate;
use crate::held::{AtHand, Held};
use crate::layout::{FrameLayout, HEADER_FRAME_LEN, PREFIX_LEN, SEQUENCE_START, WINDOW_ADVANCE};
use crate::mtransform::MTransform;
use crate::tracker::Tracker;
use crate::{Demodulator, Frame, SoundingConfig, SoundingError, simd};

/// Distance between the starts of successive correlation windows, in samples.
const HOP: u64 = 512;
/// How far behind the window's start a sequence may start that this window is to see.
const BEHIND: u64 = (HOP + PREFIX_LEN as u64) / 2;
/// How far before the window's start a sequence may start that this window is to see.
const BEFORE: u64 = HOP - BEHIND;
/// Correlation energy of a lag, in units of its mean over noise, that makes a candidate: one window of noise in 400.
const CANDIDATE: f32 = 13.0;
/// [`SoundingConfig::detection_threshold`] of a frame at a predicted place: on noise once in 10⁵ such places.
const EXPECTED: f32 = 45.0;
/// How much earlier than its correlation peak a frame may turn out to start.
const MARGIN: u64 = 16;
/// Samples before the presumed start that a measurement may look at: the strongest path may turn out to be earlier, and
/// other paths are earlier than it.
const EARLIER: u64 = 2 * MARGIN;
/// Windows that begin so many samples behind a frame are looked at whatever their energy: frames may follow so closely
/// that the gate's floor never sees the noise between them, which takes 1023 samples at most.
const OPEN_BEHIND: u64 = 1536;
/// Largest air time that samples may have.
const MAX_TIME: u64 = u64::MAX / 2;

/// Streaming detector of sounding frames.
///
/// Samples come in stretches: a call that continues where the last one ended continues the stretch, a later time starts
/// a new one, and [`Synchronizer::flush`] ends it. A frame must lie in its stretch from its first sample (strongest
/// path) to the end of its M-sequence; header and payload may be cut off by the stretch's end.
pub struct Synchronizer {
    config: SoundingConfig,
    layout: FrameLayout,
    gate: Gate,
    transform: MTransform,
    estimator: Estimator,
    demodulator: Demodulator,
    /// First sample of the stretch, and the one after its last so far.
    begin: u64,
    end: u64,
    /// The stretch was ended by a flush.
    closed: bool,
    samples: Held,
    /// The next window to be transformed.
    window: u64,
    /// First lag (air time of a frame's M-sequence) that may belong to a frame.
    lag: u64,
    /// Windows before this are transformed whatever their energy.
    open_until: u64,
    tracker: Tracker,
    pending: Option<Pending>,
}

/// A frame that was seen and is not complete.
enum Pending {
    /// This lag stands out in the present window.
    Candidate(u64),
    /// The sequence is expected at this lag.
    Expected(u64),
    /// The sequence starts at this lag.
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
            layout: config.layout,
            gate: Gate::new(),
            transform: MTransform::new(config.layout),
            estimator: Estimator::with_layout(config.layout),
            begin: 0,
            end: 0,
            closed: true,
            samples: Held::new(),
            window: 0,
            lag: 0,
            open_until: 0,
            tracker: Tracker::default(),
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
        self.take(time, AtHand::Numbers(samples), frames)
    }

    /// [`Synchronizer::process`] for samples of two 16-bit integers, I and Q, of which 32768 stands for `full_scale`.
    /// Frames and estimates are those of the same samples as floating-point numbers, bit by bit.
    ///
    /// # Errors
    /// When the time is before the end of the last samples or absurd; nothing of the call is taken then.
    pub fn process_ci16(
        &mut self,
        time: u64,
        samples: &[[i16; 2]],
        full_scale: f32,
        frames: &mut Vec<Frame>,
    ) -> Result<(), SoundingError> {
        self.take(time, AtHand::Integers(samples, full_scale / 32768.0), frames)
    }

    fn take(
        &mut self,
        time: u64,
        at_hand: AtHand<'_>,
        frames: &mut Vec<Frame>,
    ) -> Result<(), SoundingError> {
        self.check(time)?;
        let begins = time > self.end || self.closed;
        if !self.gate.scan(at_hand, begins) {
            let at = at_hand.not_finite().unwrap_or(0);
            return Err(SoundingError::NotFinite { position: time + at as u64 });
        }
        if time > self.end {
            self.flush(frames);
        }
        let count = at_hand.len() as u64;
        if count == 0 {
            self.end = time;
        } else {
            if self.closed {
                self.open(time);
            }
            self.gate.take(at_hand, begins);
            self.end += count;
        }
        if self.closed {
            self.seek(self.end); // no stretch, nothing to look for
        }
        self.advance(at_hand, frames);
        Ok(())
    }

    fn check(&self, time: u64) -> Result<(), SoundingError> {
        if time > MAX_TIME {
            return Err(SoundingError::TimeRange { time, max: MAX_TIME });
        }
        if time < self.end {
            return Err(SoundingError::TimeReversed { expected: self.end, got: time });
        }
        Ok(())
    }

    /// Ends the stretch: frames that reach to its end are appended. The next samples start a new stretch even if they
    /// follow without a gap.
    pub fn flush(&mut self, frames: &mut Vec<Frame>) {
        self.closed = true;
        self.advance(AtHand::NOTHING, frames);
    }

    /// First sample that may still start a frame which is not decided: no frame that starts before it will come.
    pub fn progress(&self) -> u64 {
        match &self.pending {
            _ if self.closed => self.end,
            Some(Pending::Measured(peek, _)) => peek.estimate.start,
            Some(_) | None => {
                self.least_lag().saturating_sub(SEQUENCE_START as u64 + MARGIN).max(self.begin)
            }
        }
    }

    fn open(&mut self, time: u64) {
        self.closed = false;
        (self.begin, self.end) = (time, time);
        self.seek(time + SEQUENCE_START as u64);
        self.open_until = time;
        self.tracker = Tracker::default();
        self.samples.reset(time);
        self.pending = None;
    }

    /// Looks for lags from `lag` on.
    fn seek(&mut self, lag: u64) {
        self.lag = lag;
        self.window = lag + BEFORE;
    }

    /// The least lag at which the present window may find a frame.
    fn least_lag(&self) -> u64 {
        self.lag.max(self.window.saturating_sub(BEFORE + MARGIN))
    }

    /// Decides whatever the samples allow.
    fn advance(&mut self, at_hand: AtHand<'_>, frames: &mut Vec<Frame>) {
        loop {
            let moved = match self.pending.take() {
                None => self.search(at_hand),
                Some(Pending::Candidate(lag)) => self.decide(at_hand, lag),
                Some(Pending::Expected(lag)) => self.expect(at_hand, lag),
                Some(Pending::Peak(peak)) => self.measure(at_hand, peak),
                Some(Pending::Measured(peek, until)) => self.complete(at_hand, peek, until, frames),
            };
            if !moved {
                break;
            }
        }
        self.samples.keep(at_hand, self.needed());
    }

    /// Transforms windows until one has a candidate; false when samples are missing or all are decided.
    fn search(&mut self, at_hand: AtHand<'_>) -> bool {
        let len = self.transform.len() as u64;
        loop {
            if self.window + len > self.end {
                // The last window of a stretch ends with it.
                let last = self.end.checked_sub(len).filter(|&last| last >= self.least_lag());
                let Some(last) = last.filter(|_| self.closed) else { return false };
                self.seek(self.least_lag());
                self.window = last;
            }
            let last = self.closed && self.window + len == self.end;
            if let Some(lag) = self.candidate(at_hand) {
                self.pending = Some(Pending::Candidate(lag));
                return true;
            }
            self.next_window(last);
        }
    }

    fn next_window(&mut self, last: bool) {
        // Behind the last window of a stretch there is no lag any more.
        self.window = if last { self.end + BEFORE + MARGIN } else { self.window + HOP };
    }

    /// The lag that stands out in the present window, if one does.
    fn candidate(&mut self, at_hand: AtHand<'_>) -> Option<u64> {
        let from = self.window - self.begin;
        let open = self.gate.is_open(from);
        let gated = self.config.search == SearchMode::Gated && self.window >= self.open_until;
        if gated && !open {
            return None;
        }
        let len = self.transform.len() as u64;
        let window = self.samples.view(at_hand, self.window, self.window + len);
        let power = self.transform.run(window);
        // The gate knows most of the energy.
        let stands_out =
            power > CANDIDATE * self.gate.least(from) && power > CANDIDATE * simd::energy(window);
        let lag = stands_out.then(|| self.transform.lag_of(power)).flatten()?;
        Some(self.window + lag as u64)
    }

    /// Finds out at which of the starts that the periodic correlation leaves open the sequence begins: a lag stands for
    /// every lag one period away, and for one period of the two, when there are two.
    fn decide(&mut self, at_hand: AtHand<'_>, lag: u64) -> bool {
        let (period, len) = (self.layout.period() as u64, self.transform.len() as u64);
        let latest = lag + period * (self.layout.periods() as u64 - 1);
        if self.end < latest + len && !self.closed {
            self.pending = Some(Pending::Candidate(lag));
            return false;
        }
        let mut best = (0, self.config.detection_threshold);
        for back in 0..2 * self.layout.periods() as u64 {
            let start = latest.saturating_sub(back * period);
            if start >= self.least_lag() && start + len <= self.end {
                let statistic = self.statistic(at_hand, start);
                if statistic > best.1 {
                    best = (start, statistic);
                }
            }
        }
        if best.0 == 0 {
            self.next_window(self.closed && self.window + len == self.end);
        } else {
            self.pending = Some(Pending::Peak(best.0));
        }
        true
    }

    /// [`Estimator::statistic`] of the sequence that starts at this lag.
    fn statistic(&mut self, at_hand: AtHand<'_>, lag: u64) -> f32 {
        let from = lag - WINDOW_ADVANCE as u64;
        let len = self.transform.len() as u64;
        self.estimator.statistic(self.samples.view(at_hand, from, from + len))
    }

    /// Looks for a predicted frame at its place alone.
    fn expect(&mut self, at_hand: AtHand<'_>, lag: u64) -> bool {
        if self.end < lag + self.transform.len() as u64 && !self.closed {
            self.pending = Some(Pending::Expected(lag));
            return false;
        }
        let whole = lag + self.transform.len() as u64 <= self.end;
        if whole && self.statistic(at_hand, lag) > EXPECTED {
            self.pending = Some(Pending::Peak(lag));
        } else {
            self.lose(lag);
        }
        true
    }

    /// The predicted frame did not come.
    fn lose(&mut self, lag: u64) {
        self.tracker.missed();
        self.seek(lag);
        self.predict();
    }

    /// Skips to where the next frame is expected, if that is known.
    fn predict(&mut self) {
        let next = self.tracker.next().filter(|_| self.config.tracking);
        if let Some(lag) = next.map(|start| start + SEQUENCE_START as u64).filter(|&l| l > self.lag)
        {
            self.seek(lag - MARGIN);
            self.pending = Some(Pending::Expected(lag));
        }
    }

    /// Measures the frame whose sequence starts at this lag and reads its header.
    fn measure(&mut self, at_hand: AtHand<'_>, peak: u64) -> bool {
        let start = peak - SEQUENCE_START as u64;
        let needed = start + (HEADER_FRAME_LEN + RECENTRE_MAX) as u64;
        if self.end < needed && !self.closed {
            self.pending = Some(Pending::Peak(peak));
            return false;
        }
        let from = start.saturating_sub(EARLIER).max(self.begin);
        let samples = self.samples.view(at_hand, from, needed.min(self.end));
        let measured = self.estimator.run(samples, (peak - from) as usize, start);
        let start = measured.estimate.start;
        let preamble = self.layout.preamble_len() as u64;
        let whole = start >= self.begin && start + preamble <= self.end;
        if !whole || !measured.is_frame(&self.config) {
            let len = self.transform.len() as u64;
            if self.config.tracking && self.tracker.next().is_some() {
                self.lose(peak);
            } else {
                self.next_window(self.closed && self.window + len == self.end);
            }
            return true;
        }
        let estimate = measured.estimate;
        let sequence = (start - from) as usize + SEQUENCE_START;
        let header = self.demodulator.run_header(samples, sequence, &estimate);
        let len = header.map_or(HEADER_FRAME_LEN, |header| header.frame_len());
        let peek = Box::new(Peek { estimate, header });
        self.pending = Some(Pending::Measured(peek, start + len as u64));
        true
    }

    /// Hands over the frame when its samples are there.
    fn complete(
        &mut self,
        at_hand: AtHand<'_>,
        peek: Box<Peek>,
        until: u64,
        frames: &mut Vec<Frame>,
    ) -> bool {
        if self.end < until && !self.closed {
            self.pending = Some(Pending::Measured(peek, until));
            return false;
        }
        let start = peek.estimate.start;
        let first = start.saturating_sub(Frame::LEAD as u64).max(self.begin);
        let samples = self.samples.view(at_hand, first, until.min(self.end)).to_vec();
        let clipped = self.config.clip_level.map_or(0, |level| {
            let at_level = |s: &&Complex32| s.re.abs() >= level || s.im.abs() >= level;
            samples.iter().filter(at_level).count()
        });
        // A frame without header may be followed by another right behind its preamble.
        let preamble = start + self.layout.preamble_len() as u64;
        let behind = if peek.header.is_some() { until } else { preamble };
        self.seek(behind + SEQUENCE_START as u64 - MARGIN);
        self.open_until = behind + OPEN_BEHIND;
        frames.push(Frame { first, samples, clipped, peek: *peek });
        self.tracker.found(start);
        self.predict();
        true
    }

    /// The first sample that a decision may still need.
    fn needed(&self) -> u64 {
        let needed = match &self.pending {
            None | Some(Pending::Candidate(_)) => self.least_lag(),
            // If it is refused, the search goes on with the next window.
            Some(Pending::Peak(peak) | Pending::Expected(peak)) => (*peak).min(self.least_lag()),
            Some(Pending::Measured(peek, _)) => peek.estimate.start + SEQUENCE_START as u64,
        };
        let back = SEQUENCE_START as u64 + WINDOW_ADVANCE as u64 + EARLIER;
        needed.saturating_sub(back).max(self.begin)
    }
}
