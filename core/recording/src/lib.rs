//! Files in, files out: the only core crate that touches the disk.
//!
//! | file | here |
//! |---|---|
//! | `.sigmf-meta` + `.sigmf-data` | [`RecordingWriter`], [`Recording`]: IQ with its description, one annotation a frame |
//! | `.sigmf-collection` | [`RunWriter`], [`Collection`]: the recordings of one run, tied by their hashes |
//! | `.cf32` | [`open_iq`]: raw IQ, little-endian f32 pairs |
//! | `.npy`, `.csv` | [`Matrix`]: measurements, real or complex, `[probes]` or `[probes, features]` |
//!
//! Samples are read and written in chunks, so that memory stays bounded. A file appears under its name only when it is
//! complete. Every error names the file, the place in it and what was expected there.
//!
//! ```
//! use crqkd_recording::{Annotation, Collection, Complex32, RecordingInfo, RunWriter};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let scratch = tempfile::tempdir()?;
//! let dir = scratch.path().join("run-1");
//! let run = RunWriter::create(&dir, "hall")?;
//! let mut qap = run.recording("qap", RecordingInfo::default())?;
//! qap.write(20_000, &[Complex32::new(0.5, -0.5); 64])?; // air time, samples
//! qap.write(40_000, &[Complex32::new(0.0, 1.0); 64])?; // a gap: another capture
//! qap.annotate(Annotation::new(40_003, 50, "probe 1"))?;
//! let qap = qap.finish()?;
//! run.finish(&[qap], serde_json::Map::new())?;
//!
//! let collection = Collection::open(&dir)?;
//! let recording = collection.recording("qap")?;
//! assert_eq!(recording.annotations()[0].start, 40_003);
//! let (mut iq, mut samples) = (recording.samples()?, Vec::new());
//! assert_eq!(iq.read(&mut samples, 1000)?, Some(20_000));
//! assert_eq!(samples, [Complex32::new(0.5, -0.5); 64]);
//! assert_eq!(iq.read(&mut samples, 1000)?, Some(40_000));
//! assert_eq!(iq.read(&mut samples, 1000)?, None);
//! # Ok(())
//! # }
//! ```

mod atomic;
mod error;
mod matrix;
mod regular;
mod samples;
mod sigmf;
mod unfinished;

pub use atomic::{AtomicFile, AtomicFolder, write_new_private};
pub use error::{ErrorKind, RecordingError};
pub use matrix::{Matrix, Values, read_matrix, read_paired};
pub use num_complex::Complex32;
pub use samples::{Datatype, IqSample, SampleReader, open_iq, open_iq_unverified};
pub use sigmf::{
    Annotation, Collection, Member, Recording, RecordingInfo, RecordingWriter, RunWriter,
};
pub use unfinished::{TemporaryFolder, remove_unfinished};
