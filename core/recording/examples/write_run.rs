//! Writes a small run of made-up samples, to be checked by other readers of SigMF: `write_run DIR`.

use crqkd_recording::{Annotation, Complex32, Datatype, RecordingInfo, RunWriter};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args_os().nth(1).ok_or("usage: write_run DIR")?;
    let run = RunWriter::create(dir.as_ref(), "example")?;
    let mut members = Vec::new();
    for (name, datatype) in
        [("qap", Datatype::Ci16Le), ("user", Datatype::Cf32Le), ("eve", Datatype::Ci16Le)]
    {
        let info = RecordingInfo {
            datatype,
            frequency_hz: Some(2.605e9),
            description: Some(format!("{name} of an example run")),
            author: Some("the crqkd developers".into()),
            hardware: Some("none".into()),
            license: Some("https://www.apache.org/licenses/LICENSE-2.0".into()),
            ..Default::default()
        };
        let mut writer = run.recording(name, info)?;
        for probe in 0..16u32 {
            let time = 200_000 * u64::from(probe);
            let samples: Vec<Complex32> =
                (0..2000).map(|n| Complex32::from_polar(0.5, 0.01 * n as f32)).collect();
            writer.write(time, &samples)?;
            let label = format!("probe {probe}");
            writer.annotate(
                Annotation::new(time + 100, 1343, label).with("probe", probe).with("snr_db", 12.5),
            )?;
        }
        members.push(writer.finish()?);
    }
    let fields = serde_json::json!({ "seed": 1 }).as_object().cloned().unwrap_or_default();
    run.finish(&members, fields)?;
    Ok(())
}
