//! One damaged file for each fault that a reader must name.

use super::Result;
use super::frames::{PATHS, Truth, gaussian, header, info, noise};
use super::measurements::{complex_rows, csv_rows, wide};
use crqkd_recording::{Annotation, Complex32, Matrix, RecordingWriter, RunWriter, Values};
use crqkd_sounding::{HEADER_FRAME_LEN, PREAMBLE_LEN, PayloadShape, Synthesizer};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fs;
use std::path::Path;

/// Makes the damaged recordings and measurements in `dir`.
pub(super) fn make(dir: &Path) -> Result {
    let mut rng = ChaCha8Rng::seed_from_u64(20);
    raw(dir, &mut rng)?;
    recordings(dir, &mut rng)?;
    missing_member(dir, &mut rng)?;
    broken_header(dir, &mut rng)?;
    measurements(dir, &mut rng)
}

/// Noise whose parts are whole multiples of 2⁻¹⁰.
fn grid_noise(len: usize, rng: &mut impl Rng) -> Vec<Complex32> {
    let grid = |x: f32| (x * 1024.0).round() / 1024.0;
    noise(len, 0.1, rng).iter().map(|x| Complex32::new(grid(x.re), grid(x.im))).collect()
}

fn cf32(samples: &[Complex32]) -> Vec<u8> {
    samples.iter().flat_map(|x| [x.re.to_le_bytes(), x.im.to_le_bytes()]).flatten().collect()
}

/// Raw IQ: nothing, a piece of a sample at the end, a NaN.
fn raw(dir: &Path, rng: &mut impl Rng) -> Result {
    fs::write(dir.join("empty.cf32"), [])?;
    let bytes = cf32(&grid_noise(300, rng));
    fs::write(dir.join("odd-length.cf32"), &bytes[..8 * 250 + 3])?;
    let mut samples = grid_noise(256, rng);
    samples[200].im = f32::NAN;
    fs::write(dir.join("nan.cf32"), cf32(&samples))?;
    Ok(())
}

/// Writes a small recording of noise with one annotation.
fn small(path: &Path, description: &str, rng: &mut impl Rng) -> Result {
    let mut writer = RecordingWriter::create(path, info(description))?;
    writer.write(1000, &grid_noise(256, rng))?;
    writer.annotate(Annotation::new(1100, 128, "noise"))?;
    writer.finish()?;
    Ok(())
}

/// Replaces a text that is in the file.
fn edit(path: &Path, from: &str, to: &str) -> Result {
    let text = fs::read_to_string(path)?;
    assert!(text.contains(from), "{} holds {from}", path.display());
    fs::write(path, text.replace(from, to))?;
    Ok(())
}

/// SigMF: samples cut off, a datatype nobody knows, a changed sample, a description cut off.
fn recordings(dir: &Path, rng: &mut impl Rng) -> Result {
    let truncated = dir.join("truncated.sigmf-data");
    small(&truncated, "its data ends before its annotation does", rng)?;
    let bytes = fs::read(&truncated)?;
    fs::write(&truncated, &bytes[..4 * 200])?;

    let unknown = dir.join("unknown-datatype.sigmf-meta");
    small(&unknown, "of a datatype that nobody knows", rng)?;
    edit(&unknown, r#""core:datatype": "ci16_le""#, r#""core:datatype": "cq12_le""#)?;

    let changed = dir.join("wrong-checksum.sigmf-data");
    small(&changed, "one bit of its data was changed", rng)?;
    let mut bytes = fs::read(&changed)?;
    bytes[517] ^= 0x10;
    fs::write(&changed, bytes)?;

    let cut = dir.join("cut-description.sigmf-meta");
    small(&cut, "its description ends too early", rng)?;
    let text = fs::read_to_string(&cut)?;
    let end = text.find("\"captures\"").expect("a description has captures");
    fs::write(&cut, &text[..end])?;
    Ok(())
}

/// A collection that lists a recording which is not there.
fn missing_member(dir: &Path, rng: &mut impl Rng) -> Result {
    let dir = dir.join("missing-member");
    let run = RunWriter::create(&dir, "run")?;
    let mut members = Vec::new();
    for name in ["qap1", "user"] {
        let description = format!("{name} of a run of which the user's recording got lost");
        let mut writer = run.recording(name, info(&description))?;
        writer.write(1000, &grid_noise(64, rng))?;
        members.push(writer.finish()?);
    }
    run.finish(&members, serde_json::Map::new())?;
    fs::remove_file(dir.join("user.sigmf-data"))?;
    fs::remove_file(dir.join("user.sigmf-meta"))?;
    Ok(())
}

/// Two frames at 20 dB. The second one's header was overwritten with random symbols of the same power.
fn broken_header(dir: &Path, rng: &mut impl Rng) -> Result {
    let synthesizer = Synthesizer::new();
    let info = info("two frames, the second with a broken header");
    let mut writer = RecordingWriter::create(&dir.join("broken-header"), info)?;
    for index in 0..2 {
        let header = header(index, PayloadShape::default());
        let mut burst = synthesizer.burst(Some(&header), &[], &[])?;
        assert_eq!(burst.len(), HEADER_FRAME_LEN);
        if index == 1 {
            for symbol in &mut burst[PREAMBLE_LEN..] {
                *symbol = Complex32::new(if rng.random() { 1.0 } else { -1.0 }, 0.0);
            }
        }
        let first = 20_000 * u64::from(index);
        let truth = Truth::draw(first + 64, Some(header), rng);
        let mut samples = noise(64 + burst.len() + PATHS + 64, 0.01, rng);
        truth.receive(&burst, first, &mut samples);
        writer.write(first, &samples)?;
        let label = format!("frame {index}");
        writer.annotate(Annotation::new(truth.strongest(), burst.len() as u64, label))?;
    }
    writer.finish()?;
    Ok(())
}

/// Measurements: two ends of different shape, an array cut off, cells that are no number, nothing, a dead channel.
fn measurements(dir: &Path, rng: &mut impl Rng) -> Result {
    let (probes, features) = (24, 4);
    let values: Vec<Complex32> = (0..probes * features).map(|_| gaussian(rng)).collect();
    let rows = complex_rows(&values);
    let matrix = Matrix::new(probes, features, wide(&rows))?;
    matrix.write_npy(&dir.join("shape-qap.npy"))?;
    let short = &rows[..(probes - 1) * features];
    fs::write(dir.join("shape-user.csv"), csv_rows(None, short, features))?;

    matrix.write_npy(&dir.join("truncated.npy"))?;
    let bytes = fs::read(dir.join("truncated.npy"))?;
    fs::write(dir.join("truncated.npy"), &bytes[..bytes.len() - 100])?;

    let good = csv_rows(None, &rows, features);
    let mut lines: Vec<String> = good.lines().map(str::to_owned).collect();
    lines[9] = "0.25+0.5j,-1.0+0.125j,1.5e,7+0.5j".to_owned();
    fs::write(dir.join("bad-cell.csv"), lines.join("\n") + "\n")?;
    lines[9] = "0.25+0.5j,-1.0+0.125j,7+0.5j".to_owned();
    fs::write(dir.join("ragged.csv"), lines.join("\n") + "\n")?;
    lines[9] = "0.25+0.5j,NaN+0.125j,1+1j,7+0.5j".to_owned();
    fs::write(dir.join("nan.csv"), lines.join("\n") + "\n")?;
    fs::write(dir.join("empty.csv"), "")?;
    let amplitudes = rows.iter().map(|x| f64::from((x.norm() * 64.0).round() / 64.0)).collect();
    Matrix::new(probes, features, Values::Real(amplitudes))?
        .write_npy(&dir.join("real-user.npy"))?;
    let still = vec![Complex32::new(0.5, 0.25); probes * features];
    Matrix::new(probes, features, wide(&still))?.write_npy(&dir.join("still.npy"))?;
    Ok(())
}
