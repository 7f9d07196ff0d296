//! `crqkd receive`: IQ in, one line a frame out.

use crate::cli::ReceiveArgs;
use crate::exit::{self, Outcome};
use crate::progress;
use anyhow::{Result, bail};
use crqkd_blocks::radio::RadioError;
use crqkd_blocks::radio::file::Chunk;
use crqkd_flowgraphs::receive;
use crqkd_recording::{SampleReader, open_iq};
use crqkd_sounding::{FrameReport, SAMPLE_RATE_HZ, SoundingConfig};
use std::io::{BufWriter, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Samples that are read at once.
const CHUNK: usize = 1 << 16;

/// Prints every frame of the file.
pub(crate) fn run(args: &ReceiveArgs) -> Result<Outcome> {
    let reader = open_iq(&args.file)?;
    if let Some(rate) = reader.sample_rate_hz()
        && rate != SAMPLE_RATE_HZ
    {
        bail!(
            "{}: recorded at {rate} samples a second, expected {SAMPLE_RATE_HZ}",
            args.file.display()
        );
    }
    let bar = progress::bar(reader.total(), "samples");
    let name = args.file.display().to_string();
    let fault = Arc::new(Mutex::new(None));
    let chunks = chunks(reader, name, bar.clone(), Arc::clone(&fault));
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut written = Ok(());
    let (mut frames, mut headers) = (0u64, 0u64);
    let result = receive(chunks, &SoundingConfig::default(), 1, |measurement| {
        let report = FrameReport::new(&measurement.estimate, measurement.header);
        frames += 1;
        headers += u64::from(report.header.is_some());
        written = write_frame(&mut out, &report, args.json);
        written.is_ok() && !exit::interrupted()
    });
    bar.finish_and_clear();
    written?;
    out.flush()?;
    // What the file's reader said is better than what the flowgraph made of it.
    if let Some(error) = fault.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(error);
    }
    result?;
    if exit::interrupted() {
        bail!("interrupted");
    }
    eprintln!("{frames} frames, {headers} with a header");
    Ok(Outcome::Ok)
}

/// The file in pieces; an error is kept for the caller and ends the stream.
fn chunks(
    mut reader: SampleReader,
    name: String,
    bar: indicatif::ProgressBar,
    fault: Arc<Mutex<Option<anyhow::Error>>>,
) -> impl Iterator<Item = Result<Chunk, RadioError>> + Send {
    std::iter::from_fn(move || {
        let mut samples = Vec::new();
        match reader.read(&mut samples, CHUNK) {
            Ok(Some(time)) => {
                bar.inc(samples.len() as u64);
                Some(Ok(Chunk { time, samples }))
            }
            Ok(None) => None,
            Err(error) => {
                let reason = error.to_string();
                *fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.into());
                Some(Err(RadioError::File { name: name.clone(), reason }))
            }
        }
    })
}

fn write_frame(out: &mut impl Write, report: &FrameReport, json: bool) -> std::io::Result<()> {
    if json {
        serde_json::to_writer(&mut *out, report)?;
        return writeln!(out);
    }
    let header = match &report.header {
        Some(h) => format!(
            "{:?} {:?} from {}, epoch {}, window {}, index {}",
            h.kind, h.direction, h.sender, h.epoch, h.window, h.index
        ),
        None => "no header".to_owned(),
    };
    writeln!(
        out,
        "{:>12}  {:>8.1} Hz  {:>6.2} dB  {header}",
        report.start, report.cfo_hz, report.snr_db
    )
}
