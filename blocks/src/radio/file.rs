//! A radio that plays stored samples; it cannot transmit.

use super::{Radio, RadioError, Ready, Reception};
use crqkd_air::medium::AirTime;
use event_listener::Event;
use futuresdr::num_complex::Complex32;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Stored samples with the air time of the first one.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// Air time of the first sample.
    pub time: AirTime,
    /// The samples, one after the other without a gap.
    pub samples: Vec<Complex32>,
}

/// Lets a [`FileRadio`] begin. A flowgraph loses messages that are posted before all its blocks are
/// initialised, so a radio must not begin by itself.
#[derive(Clone, Debug, Default)]
pub struct Starter(Arc<(AtomicBool, Event)>);

impl Starter {
    /// Lets the radio begin.
    pub fn start(&self) {
        self.0.0.store(true, Ordering::Release);
        self.0.1.notify(usize::MAX);
    }

    /// A future that is ready once it has begun; `None` when it has.
    pub(crate) fn wait(&self) -> Option<Ready> {
        let ready = self.0.1.listen();
        (!self.0.0.load(Ordering::Acquire)).then(|| Box::pin(ready) as Ready)
    }
}

/// Plays chunks of samples, in order of time, as fast as they are taken.
///
/// ```
/// use crqkd_blocks::radio::file::{Chunk, FileRadio};
/// use crqkd_blocks::radio::{Radio, Reception};
/// let chunks = [Chunk { time: 7, samples: vec![Default::default(); 3] }];
/// let mut radio = FileRadio::new(chunks.into_iter().map(Ok));
/// radio.starter().start();
/// let mut buffer = [Default::default(); 2];
/// let next = |radio: &mut FileRadio, buffer: &mut [_]| match radio.try_recv(buffer) {
///     Ok(Reception::Samples { time, len, last }) => Some((time, len, last)),
///     _ => None,
/// };
/// assert_eq!(next(&mut radio, &mut buffer), Some((7, 2, false)));
/// assert_eq!(next(&mut radio, &mut buffer), Some((9, 1, true)));
/// assert_eq!(next(&mut radio, &mut buffer), None);
/// ```
pub struct FileRadio {
    chunks: Box<dyn Iterator<Item = Result<Chunk, RadioError>> + Send>,
    /// The chunk being played, and how much of it was.
    present: Option<(Chunk, usize)>,
    following: Option<Chunk>,
    begun: bool,
    starter: Starter,
}

impl FileRadio {
    /// A radio that plays `chunks` once it is [started](Self::starter). Chunks must not overlap;
    /// those that follow each other without a gap are one stretch.
    pub fn new(
        chunks: impl Iterator<Item = Result<Chunk, RadioError>> + Send + 'static,
    ) -> FileRadio {
        let chunks = Box::new(chunks);
        let starter = Starter::default();
        FileRadio { chunks, present: None, following: None, begun: false, starter }
    }

    /// A handle that lets the radio begin, once the flowgraph runs.
    pub fn starter(&self) -> Starter {
        self.starter.clone()
    }

    /// The next chunk that is not empty.
    fn read(&mut self) -> Result<Option<Chunk>, RadioError> {
        loop {
            match self.chunks.next().transpose()? {
                Some(chunk) if chunk.samples.is_empty() => {}
                chunk => return Ok(chunk),
            }
        }
    }
}

impl Radio for FileRadio {
    type Wire = Infallible;

    fn try_recv(&mut self, out: &mut [Complex32]) -> Result<Reception<Infallible>, RadioError> {
        if !self.begun {
            if let Some(ready) = self.starter.wait() {
                return Ok(Reception::Wait(ready));
            }
            self.begun = true;
            self.following = self.read()?;
        }
        if self.present.is_none() {
            let Some(chunk) = self.following.take() else { return Ok(Reception::End) };
            self.following = self.read()?;
            self.present = Some((chunk, 0));
        }
        let Some((chunk, played)) = &mut self.present else { return Ok(Reception::End) };
        let rest = &chunk.samples[*played..];
        let len = rest.len().min(out.len());
        out[..len].copy_from_slice(&rest[..len]);
        let time = chunk.time + *played as AirTime;
        *played += len;
        let done = *played == chunk.samples.len();
        let next = self.following.as_ref().map(|chunk| chunk.time);
        let last = done && next != Some(time + len as AirTime);
        if done {
            self.present = None;
        }
        Ok(Reception::Samples { time, len, last })
    }
}

/// Received samples of one role from a recording, in place of a channel model.
///
/// Chunks are read as they are needed. A hole between them, or before the first, is an error: the role behaves
/// differently from the one that was recorded. After the last one it is silent: when a run ends, radios have asked
/// for samples that they did not get any more.
pub struct Recorded {
    name: String,
    chunks: Box<dyn Iterator<Item = Result<Chunk, RadioError>> + Send>,
    chunk: Chunk,
}

impl Recorded {
    /// Plays `chunks`, in order of time and without overlap; `name` is for errors.
    pub fn new(
        name: impl Into<String>,
        chunks: impl Iterator<Item = Result<Chunk, RadioError>> + Send + 'static,
    ) -> Self {
        let chunk = Chunk { time: 0, samples: Vec::new() };
        Recorded { name: name.into(), chunks: Box::new(chunks), chunk }
    }
}

impl super::air::Propagation for Recorded {
    fn receive(
        &mut self,
        from: AirTime,
        _bursts: &[crqkd_air::medium::Transmission],
        out: &mut [Complex32],
    ) -> Result<(), RadioError> {
        let mut done = 0;
        while done < out.len() {
            let at = from + done as AirTime;
            let end = self.chunk.time + self.chunk.samples.len() as AirTime;
            if at >= end {
                let missing = || RadioError::NotRecorded {
                    name: self.name.clone(),
                    from: at,
                    to: from + out.len() as AirTime,
                };
                match self.chunks.next() {
                    Some(chunk) => self.chunk = chunk?,
                    None if self.chunk.samples.is_empty() => return Err(missing()),
                    None => {
                        out[done..].fill(Complex32::ZERO);
                        return Ok(());
                    }
                }
                continue;
            }
            if at < self.chunk.time {
                let (name, to) = (self.name.clone(), from + out.len() as AirTime);
                return Err(RadioError::NotRecorded { name, from: at, to });
            }
            let place = (at - self.chunk.time) as usize;
            let len = (out.len() - done).min(self.chunk.samples.len() - place);
            out[done..done + len].copy_from_slice(&self.chunk.samples[place..place + len]);
            done += len;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::air::Propagation;
    use super::*;

    fn chunk(time: AirTime, len: usize) -> Result<Chunk, RadioError> {
        let samples = (0..len).map(|i| Complex32::new((time + i as AirTime) as f32, 0.0)).collect();
        Ok(Chunk { time, samples })
    }

    #[test]
    fn a_recording_is_found_again_whatever_the_pieces_asked_for() {
        let chunks = [chunk(10, 4), chunk(14, 2), chunk(30, 5), chunk(50, 5)];
        let mut recorded = Recorded::new("alice", chunks.into_iter());
        let mut get = |from: AirTime, len: usize| -> Result<Vec<f32>, String> {
            let mut out = vec![Complex32::ZERO; len];
            let got = recorded.receive(from, &[], &mut out);
            got.map(|()| out.iter().map(|s| s.re).collect()).map_err(|e| e.to_string())
        };
        assert_eq!(get(11, 5), Ok(vec![11.0, 12.0, 13.0, 14.0, 15.0]));
        assert_eq!(get(32, 1), Ok(vec![32.0]));
        assert_eq!(get(33, 2), Ok(vec![33.0, 34.0]));
        let hole = "recording of alice: no samples for air time 40 to 41";
        assert_eq!(get(40, 1), Err(hole.to_owned()));
        let after_the_end = [50.0, 51.0, 52.0, 53.0, 54.0, 0.0, 0.0];
        assert_eq!(get(50, 7), Ok(after_the_end.to_vec()));
    }

    #[test]
    fn stretches_end_at_gaps_and_at_the_end() {
        let chunks = [chunk(10, 4), chunk(14, 0), chunk(14, 2), chunk(30, 5)];
        let mut radio = FileRadio::new(chunks.into_iter());
        let mut buffer = [Complex32::ZERO; 3];
        assert!(matches!(radio.try_recv(&mut buffer), Ok(Reception::Wait(_))));
        radio.starter().start();
        let mut seen = Vec::new();
        while let Ok(Reception::Samples { time, len, last }) = radio.try_recv(&mut buffer) {
            seen.push((time, len, last));
        }
        let all = [(10, 3, false), (13, 1, false), (14, 2, true), (30, 3, false), (33, 2, true)];
        assert_eq!(seen, all);
        assert!(matches!(radio.try_recv(&mut buffer), Ok(Reception::End)));
    }
}
