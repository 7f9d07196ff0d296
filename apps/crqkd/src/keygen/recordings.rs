//! Recordings of the ends of a link to measurements: the receiver finds the frames, their headers pair them.

use crate::exit::{Stopped, interrupted};
use crate::progress;
use crate::reception::Reception;
use anyhow::{Result, bail, ensure};
use crqkd_channel_key::ChannelKeyConfig;
use crqkd_channel_key::keygen::Measurements;
use crqkd_recording::{Complex32, open_iq};
use crqkd_sounding::{CARRIERS, Direction, FrameLayout, Header, SoundingConfig};
use num_complex::Complex64;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

/// Samples read at once.
const CHUNK: usize = 1 << 16;

/// How the frames of the recordings were paired.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Pairing {
    /// By the probe that the header names, or by their order.
    by: PairedBy,
    /// Frames found at each end.
    frames: Vec<usize>,
    /// Frames of them that stand for a probe: from the other end of the link, the first of each probe.
    probes: Vec<usize>,
    /// The carriers that are the features, 0 to 51.
    carriers: Vec<u8>,
    /// What is odd about the recordings, a sentence each.
    notes: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum PairedBy {
    Header,
    Order,
}

impl Pairing {
    /// Says in plain text how the frames were paired and what is odd.
    pub(super) fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let list = |counts: &[usize]| -> String {
            counts.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
        };
        let by = match self.by {
            PairedBy::Header => "the probe that their header names",
            PairedBy::Order => "their order, as they have no headers",
        };
        writeln!(
            out,
            "frames found at the ends: {}; paired by {by}: {}",
            list(&self.frames),
            list(&self.probes)
        )?;
        self.notes.iter().try_for_each(|note| writeln!(out, "note: {note}"))
    }
}

/// Whether the name is that of a recording of samples.
pub(super) fn is_recording(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    matches!(
        extension.as_str(),
        "sigmf-meta" | "sigmf-data" | "cf32" | "fc32" | "cfile" | "iq" | "raw"
    )
}

/// A frame's channel and header.
struct Received {
    csi: [Complex32; CARRIERS],
    header: Option<Header>,
}

/// Which probe a frame sounds: epoch, window, place in it.
type ProbeNumber = (u16, u32, u16);

/// Receives the recordings of the QAP, the user and perhaps an eavesdropper; a probe that an end did not receive is
/// missing there.
pub(super) fn measure(
    paths: &[&Path],
    layout: FrameLayout,
) -> Result<(Vec<Measurements>, Pairing)> {
    let mut notes = Vec::new();
    let mut ends: Vec<Vec<Received>> = Vec::new();
    for path in paths {
        let found = receive(path, layout, &mut notes)?;
        ensure!(!found.is_empty(), "{}: no frame was found", path.display());
        ends.push(found);
    }
    let frames: Vec<usize> = ends.iter().map(Vec::len).collect();
    let with_header =
        ends.iter().filter(|frames| frames.iter().any(|frame| frame.header.is_some())).count();
    let (by, rows) = match with_header {
        0 => (PairedBy::Order, by_order(&ends, paths)?),
        all if all == ends.len() => (PairedBy::Header, by_header(&ends, &mut notes)),
        some => bail!(
            "frames of {some} of {} recordings have headers, expected all or none",
            ends.len()
        ),
    };
    let carriers = ChannelKeyConfig::default().carriers;
    let names: Vec<String> = carriers.iter().map(|c| format!("carrier {c}")).collect();
    let probes = rows.iter().map(|rows| rows.iter().flatten().count()).collect();
    let measurements = rows
        .iter()
        .map(|rows| {
            let missing = Complex64::new(f64::NAN, f64::NAN);
            let value = |csi: &Option<&[Complex32; CARRIERS]>, carrier: u8| match csi {
                Some(csi) => {
                    let h = csi[usize::from(carrier)];
                    Complex64::new(h.re.into(), h.im.into())
                }
                None => missing,
            };
            let values: Vec<Complex64> =
                rows.iter().flat_map(|row| carriers.iter().map(|&c| value(row, c))).collect();
            let measured = Measurements::complex(rows.len(), carriers.len(), &values)?;
            Ok(measured.with_names(names.clone()))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok((measurements, Pairing { by, frames, probes, carriers, notes }))
}

/// One row a probe, one entry an end that received it.
type Rows<'a> = Vec<Vec<Option<&'a [Complex32; CARRIERS]>>>;

fn by_order<'a>(ends: &'a [Vec<Received>], paths: &[&Path]) -> Result<Rows<'a>> {
    for (end, path) in ends.iter().zip(paths).skip(1) {
        ensure!(
            end.len() == ends[0].len(),
            "{}: {} frames without headers, expected {} as in {}: which of them belong together cannot be told",
            path.display(),
            end.len(),
            ends[0].len(),
            paths[0].display()
        );
    }
    Ok(ends.iter().map(|end| end.iter().map(|frame| Some(&frame.csi)).collect()).collect())
}

fn by_header<'a>(ends: &'a [Vec<Received>], notes: &mut Vec<String>) -> Rows<'a> {
    // The QAP hears the user, the user the QAP; so does an eavesdropper who wants the user's channel.
    let wanted = [Direction::Reverse, Direction::Forward, Direction::Forward];
    let names = ["qap", "user", "eve"];
    let found: Vec<BTreeMap<ProbeNumber, &[Complex32; CARRIERS]>> = ends
        .iter()
        .zip(wanted)
        .zip(names)
        .map(|((frames, direction), name)| {
            let (probes, note) = probes_of(frames, direction);
            notes.extend(note.map(|note| format!("{name}: {note}")));
            probes
        })
        .collect();
    let all: BTreeSet<ProbeNumber> = found.iter().flat_map(|end| end.keys().copied()).collect();
    found.iter().map(|end| all.iter().map(|probe| end.get(probe).copied()).collect()).collect()
}

/// The first frame of each probe that the most frequent sender sent in this direction.
fn probes_of(
    frames: &[Received],
    direction: Direction,
) -> (BTreeMap<ProbeNumber, &[Complex32; CARRIERS]>, Option<String>) {
    let read = || frames.iter().filter_map(|frame| Some((frame.header?, &frame.csi)));
    let mut senders: BTreeMap<u16, usize> = BTreeMap::new();
    for (header, _) in read().filter(|(header, _)| header.direction == direction) {
        *senders.entry(header.sender).or_default() += 1;
    }
    let sender = senders.iter().max_by_key(|(_, count)| **count).map(|(sender, _)| *sender);
    let mut probes = BTreeMap::new();
    for (header, csi) in read() {
        // Without a frame in the right direction any will do: somebody may record both ends at one place.
        let right =
            sender.is_none() || header.direction == direction && Some(header.sender) == sender;
        if right {
            probes.entry((header.epoch, header.window, header.index)).or_insert(csi);
        }
    }
    let note = match sender {
        None => Some(format!("no frame goes {direction:?}: frames of either direction are taken")),
        Some(sender) if senders.len() > 1 => {
            Some(format!("several senders: only frames of {sender} are taken"))
        }
        Some(_) => None,
    };
    (probes, note)
}

/// Finds the frames of a recording.
fn receive(path: &Path, layout: FrameLayout, notes: &mut Vec<String>) -> Result<Vec<Received>> {
    let mut reader = open_iq(path)?;
    let bar = progress::bar(reader.total(), "samples");
    let config = SoundingConfig { layout, ..SoundingConfig::default() };
    let mut reception = Reception::new(&reader, path, &config)?;
    let mut chunk = Vec::new();
    while let Some(time) = reader.read(&mut chunk, CHUNK)? {
        reception.process(time, &mut chunk)?;
        bar.inc(chunk.len() as u64);
        if interrupted() {
            bail!(Stopped);
        }
    }
    bar.finish_and_clear();
    let (found, odd) = reception.finish();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    notes.extend(odd.into_iter().map(|note| format!("{name}: {note}")));
    Ok(found.into_iter().map(|(estimate, header)| Received { csi: estimate.csi, header }).collect())
}
