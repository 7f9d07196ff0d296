//! `crqkd receive`: IQ in, one line a frame out.

use crate::choices::{LayoutArg, SearchArg};
use crate::exit::{self, Outcome, Stopped};
use crate::oddities::Oddities;
use crate::reception::check_rate;
use crate::{json, output, progress};
use anyhow::{Result, bail};
use clap::Args;
use crqkd_blocks::Iq;
use crqkd_blocks::iq_source::{Fill, Piece};
use crqkd_blocks::messages::Measurement;
use crqkd_blocks::radio::RadioError;
use crqkd_flowgraphs::receive_iq;
use crqkd_node::number::workers;
use crqkd_recording::{Complex32, Datatype, IqSample, SampleReader, open_iq, open_iq_unverified};
use crqkd_sounding::{ChannelEstimate, FrameReport, Level, SoundingConfig};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// `crqkd receive`.
#[derive(Debug, Args)]
pub(crate) struct ReceiveArgs {
    /// Raw samples at 20 Msample/s, pairs of 32-bit floats (`.cf32`, `.fc32`, `.cfile`, `.iq`, `.raw`), or SigMF
    /// (`.sigmf-meta` or `.sigmf-data`).
    pub(crate) file: PathBuf,
    /// Training sequence of the frames.
    #[arg(long, value_enum, default_value_t = LayoutArg::Single)]
    pub(crate) layout: LayoutArg,
    /// Where frames are looked for.
    #[arg(long, value_enum, default_value_t = SearchArg::Gated)]
    pub(crate) search: SearchArg,
    /// Once three frames have come at equal distances, look only where the next one is expected.
    #[arg(long)]
    pub(crate) track: bool,
    /// Channel estimates of least mean squared error, with the delay profile of the frames before, in place of least
    /// squares.
    #[arg(long)]
    pub(crate) mmse: bool,
    /// Worker threads of the flowgraph, 1 to 64, and no more than there are processors. The result does not depend on it.
    #[arg(long, default_value_t = 1, value_parser = workers())]
    pub(crate) workers: u8,
    /// Do not check a SigMF recording's hash first: that takes several times as long as finding the frames.
    #[arg(long)]
    pub(crate) unverified: bool,
    /// Print one JSON object a frame.
    #[arg(long)]
    pub(crate) json: bool,
}

impl ReceiveArgs {
    /// The receiver's settings.
    pub(crate) fn config(&self) -> SoundingConfig {
        SoundingConfig {
            layout: self.layout.into(),
            search: self.search.into(),
            tracking: self.track,
            channel: if self.mmse { ChannelEstimate::Mmse } else { ChannelEstimate::LeastSquares },
            ..SoundingConfig::default()
        }
    }
}

/// Prints every frame of the file.
pub(crate) fn run(args: &ReceiveArgs) -> Result<Outcome> {
    let open = if args.unverified { open_iq_unverified } else { open_iq };
    let reader = open(&args.file)?;
    check_rate(&reader, &args.file)?;
    let mut oddities = Oddities::of(&reader, &args.file);
    let level = Arc::new(Mutex::new(Level::default()));
    let config = args.config();
    let bar = progress::bar(reader.total(), "samples");
    let mut out = BufWriter::new(output::stdout());
    let mut written = Ok(());
    let (mut frames, mut headers) = (0u64, 0u64);
    let fault = Fault::default();
    let full_scale = reader.full_scale();
    let workers = usize::from(args.workers);
    let found = |mut measurement: Measurement| {
        locked(&level).restore(&mut measurement.estimate);
        oddities.tone(measurement.odd_tone);
        let report = FrameReport::new(&measurement.estimate, measurement.header);
        frames += 1;
        headers += u64::from(report.header.is_some());
        written = write_frame(&mut out, &report, args.json);
        written.is_ok() && !exit::interrupted() && !output::nobody_reads()
    };
    let result = match reader.datatype() {
        Datatype::Cf32Le => {
            let fill = fill::<Complex32>(reader, &args.file, bar.clone(), fault.clone());
            let fill = leveled(fill, level.clone());
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
    if let Some(error) = locked(&fault.0).take() {
        return Err(error);
    }
    result?;
    if exit::interrupted() {
        bail!(Stopped);
    }
    if output::nobody_reads() {
        return Ok(Outcome::Ok);
    }
    for oddity in oddities.sentences() {
        progress::note(format_args!("note: {oddity}"));
    }
    progress::note(format_args!("{frames} frames, {headers} with a header"));
    Ok(Outcome::Ok)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Scales the samples to a usual level.
fn leveled(mut fill: Fill<Complex32>, level: Arc<Mutex<Level>>) -> Fill<Complex32> {
    Box::new(move |room| {
        let piece = fill(room)?;
        if let Some(piece) = &piece {
            locked(&level).scale(&mut room[..piece.len]);
        }
        Ok(piece)
    })
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
            *locked(&fault.0) = Some(error.into());
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
