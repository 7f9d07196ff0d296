//! `crqkd receive`: IQ in, one line a frame out.

use crate::cli::ReceiveArgs;
use crate::exit::{self, Outcome, Stopped};
use crate::inspect::{EXCHANGED, iq_is_exchanged};
use crate::{json, progress};
use anyhow::{Result, bail};
use crqkd_blocks::Iq;
use crqkd_blocks::iq_source::{Fill, Piece};
use crqkd_blocks::messages::Measurement;
use crqkd_blocks::radio::RadioError;
use crqkd_flowgraphs::receive_iq;
use crqkd_recording::{Complex32, Datatype, IqSample, SampleReader, open_iq, open_iq_unverified};
use crqkd_sounding::{FrameReport, SAMPLE_RATE_HZ};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Prints every frame of the file.
pub(crate) fn run(args: &ReceiveArgs) -> Result<Outcome> {
    let open = if args.unverified { open_iq_unverified } else { open_iq };
    let reader = open(&args.file)?;
    reader.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
    if iq_is_exchanged(open_iq_unverified(&args.file)?)? {
        tracing::warn!("{}: {EXCHANGED}", args.file.display());
    }
    if let Some(rate) = reader.sample_rate_hz()
        && rate != SAMPLE_RATE_HZ
    {
        bail!(
            "{}: recorded at {rate} samples a second, expected {SAMPLE_RATE_HZ}",
            args.file.display()
        );
    }
    let config = args.config();
    let bar = progress::bar(reader.total(), "samples");
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut written = Ok(());
    let (mut frames, mut headers, mut too_low) = (0u64, 0u64, false);
    let fault = Fault::default();
    let full_scale = reader.full_scale();
    let workers = usize::from(args.workers);
    let found = |measurement: Measurement| {
        let report = FrameReport::new(&measurement.estimate, measurement.header);
        frames += 1;
        // Squares of such amplitudes are no normal numbers in single precision.
        too_low |= report.noise_power < f32::MIN_POSITIVE;
        headers += u64::from(report.header.is_some());
        written = write_frame(&mut out, &report, args.json);
        written.is_ok() && !exit::interrupted()
    };
    let result = match reader.datatype() {
        Datatype::Cf32Le => {
            let fill = fill::<Complex32>(reader, &args.file, bar.clone(), fault.clone());
            receive_iq(fill, full_scale, &config, workers, found)
        }
        Datatype::Ci16Le => {
            let fill = fill::<[i16; 2]>(reader, &args.file, bar.clone(), fault.clone());
            receive_iq(fill, full_scale, &config, workers, found)
        }
    };
    bar.finish_and_clear();
    written?;
    out.flush()?;
    // What the file's reader said is better than what the flowgraph made of it.
    if let Some(error) = fault.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(error);
    }
    result?;
    if exit::interrupted() {
        bail!(Stopped);
    }
    if too_low {
        bail!(
            "{}: the level is too low for single precision, offsets are wrong: scale the samples up",
            args.file.display()
        );
    }
    progress::note(format_args!("{frames} frames, {headers} with a header"));
    Ok(Outcome::Ok)
}

/// What the file's reader said when it failed.
#[derive(Clone, Default)]
struct Fault(Arc<Mutex<Option<anyhow::Error>>>);

/// Reads the file into the buffers of a stream; an error is kept for the caller and ends the stream.
fn fill<S: Iq + IqSample>(
    mut reader: SampleReader,
    path: &Path,
    bar: indicatif::ProgressBar,
    fault: Fault,
) -> Fill<S> {
    let name = path.display().to_string();
    Box::new(move |room| match reader.read_into(room) {
        Ok(Some((time, len))) => {
            bar.inc(len as u64);
            Ok(Some(Piece { time, len, last: !reader.continues() }))
        }
        Ok(None) => Ok(None),
        Err(error) => {
            let reason = error.to_string();
            *fault.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.into());
            Err(RadioError::File { name: name.clone(), reason })
        }
    })
}

fn write_frame(out: &mut impl Write, report: &FrameReport, json: bool) -> std::io::Result<()> {
    if json {
        return json::line(out, "crqkd/frame/1", report);
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
