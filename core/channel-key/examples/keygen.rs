//! Key bits from two files of measurements: `keygen QAP USER [EVE]`, each `.npy` or `.csv`; prints the report as JSON.

use std::path::Path;

use crqkd_channel_key::keygen::{KeygenConfig, KeygenError, Measurements, keygen};
use crqkd_recording::{Matrix, Values, read_paired};

fn measurements(matrix: &Matrix) -> Result<Measurements, KeygenError> {
    let [probes, count] = matrix.shape();
    let measurements = match matrix.values() {
        Values::Real(values) => Measurements::real(probes, count, values)?,
        Values::Complex(values) => Measurements::complex(probes, count, values)?,
    };
    Ok(match matrix.names() {
        Some(names) => measurements.with_names(names.to_vec()),
        None => measurements,
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let paths: Vec<&Path> = arguments.iter().map(Path::new).collect();
    let ends: Vec<_> = read_paired(&paths)?.iter().map(measurements).collect::<Result<_, _>>()?;
    let [qap, user, rest @ ..] = &ends[..] else {
        return Err("usage: keygen QAP USER [EVE]".into());
    };
    let key = keygen(qap, user, rest.first(), &KeygenConfig::default())?;
    println!("{}", serde_json::to_string(&key.report)?);
    Ok(())
}
