//! Sounding frames: synthesis, detection, channel estimation, header and payload.
//!
//! A frame is a tone, an M-sequence with its cyclic prefix, and optionally a coded header with control bytes (coded) and
//! cipher bits (uncoded, received as calibrated LLRs). Received samples go through [`Synchronizer`],
//! [`Estimator`] and [`Demodulator`]; air time is a sample number. The example `sounding_standard` measures what they achieve.
//!
//! ```text
//! header, control, cipher -> Synthesizer -> burst ))) samples -> Synchronizer -> Frame -> Estimator   -> Estimate
//!                                                                                      -> Demodulator -> Header, Payload
//! ```
//!
//! ```
//! use crqkd_sounding::*;
//!
//! let header = Header {
//!     epoch: 1, window: 20, index: 3, direction: Direction::Forward, sender: 7, kind: FrameKind::Control, gain: 0,
//!     follow: false, more: true, payload: PayloadShape::of(5, 256)?,
//! };
//! let burst = Synthesizer::new().burst(Some(&header), b"hello", &[1; 256])?;
//!
//! // 1000 samples of silence, then the burst at a tenth of its amplitude
//! let mut samples = vec![num_complex::Complex32::ZERO; 1000];
//! samples.extend(burst.iter().map(|sample| 0.1 * sample));
//!
//! let config = SoundingConfig::default();
//! let (mut synchronizer, mut estimator) = (Synchronizer::new(&config)?, Estimator::new());
//! let mut demodulator = Demodulator::new(&config)?;
//! let mut frames = Vec::new();
//! synchronizer.process(50_000, &samples, &mut frames)?;
//! synchronizer.flush(&mut frames);
//!
//! let estimate = estimator.estimate(&frames[0]);
//! assert_eq!(estimate.start, 51_000);
//! assert!((estimate.cir[PEAK_TAP].norm() - 0.1).abs() < 1e-3);
//! assert_eq!(demodulator.header(&frames[0], &estimate), Some(header));
//! let payload = demodulator.payload(&frames[0], &estimate, &header);
//! assert_eq!(payload.control.as_deref(), Some(&b"hello"[..]));
//! assert!(payload.cipher_llr.iter().all(|&llr| llr < 0.0));
//! # Ok::<(), SoundingError>(())
//! ```
//!
//! | module | content |
//! |---|---|
//! | `layout`, `waveform` | lengths of the frame's parts; tone and M-sequence |
//! | `header`, `coding` | [`Header`] and its 96 bits; polar codes of header and control bytes |
//! | `synthesizer` | [`Synthesizer`]: bursts |
//! | `gate`, `mtransform`, `held`, `synchronizer`, `frame` | [`Synchronizer`]: stream to [`Frame`]s |
//! | `despread`, `model`, `cfo`, `estimator`, `profile` | [`Estimator`]: offset, channel, noise; [`DelayProfile`]: channel of least error |
//! | `kernels`, `simd` | inner loops, and their versions for the processor at hand |
//! | `equalizer`, `phase`, `refine`, `demodulator` | [`Demodulator`]: header and [`Payload`] |
//! | `level`, `tone_finder` | [`Level`]: samples of any level; [`ToneFinder`]: exchanged I and Q, wrong sample rates |
//! | `report`, `spectrum` | [`FrameReport`]: one JSON line a frame; [`Spectrum`] |
//! | `workload` | [`workloads`]: each kernel by itself, for benchmarks |

mod cfo;
mod coding;
mod config;
#[cfg(test)]
mod correlator;
mod demodulator;
mod despread;
mod equalizer;
mod error;
mod estimator;
mod frame;
mod gate;
mod header;
mod held;
mod kernels;
mod layout;
mod level;
mod model;
mod mtransform;
mod phase;
mod profile;
mod refine;
mod report;
mod rotate;
mod simd;
mod spectrum;
mod synchronizer;
mod synthesizer;
mod tone_finder;
mod tracker;
mod waveform;
mod workload;

pub use config::{ChannelEstimate, SearchMode, SoundingConfig};
pub use crqkd_ids::{Direction, FrameKind, SAMPLE_RATE_HZ};
pub use demodulator::{Demodulator, Payload};
pub use error::SoundingError;
pub use estimator::{Estimate, Estimator};
pub use frame::Frame;
pub use header::{HEADER_BITS, Header, MAX_INDEX, MAX_WINDOW, PayloadShape};
pub use layout::{
    BLOCK_LEN, BLOCK_SYMBOLS, CARRIERS, CONTROL_BLOCK_BYTES, FrameLayout, HEADER_FRAME_LEN,
    HEADER_LEN, MAX_CIPHER_BITS, MAX_CONTROL_BLOCKS, MAX_CONTROL_BYTES, MAX_FRAME_LEN, PEAK_TAP,
    PREAMBLE_LEN, PREFIX_LEN, SEQUENCE_LEN, TAPS, TONE_LEN, carriers,
};
pub use level::Level;
pub use profile::{DelayProfile, Smoothed};
pub use report::FrameReport;
pub use spectrum::Spectrum;
pub use synchronizer::Synchronizer;
pub use synthesizer::Synthesizer;
pub use tone_finder::{OddTone, ToneFinder};
pub use waveform::{preamble, sequence_bits, sequence_chips, tone};
pub use workload::{Workload, workloads};
