//! Paired measurements whose true disagreement is known: Gaussian coefficients with a set correlation.

use super::Result;
use super::frames::gaussian;
use crqkd_recording::{Complex32, Matrix, Values};
use num_complex::Complex64;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::fmt::Write;
use std::path::Path;

/// Rounds both parts to multiples of 2⁻¹⁰.
pub(super) fn complex_rows(values: &[Complex32]) -> Vec<Complex32> {
    let grid = |x: f32| (x * 1024.0).round() / 1024.0;
    values.iter().map(|x| Complex32::new(grid(x.re), grid(x.im))).collect()
}

/// The same numbers in double precision, as matrices take them.
pub(super) fn wide(values: &[Complex32]) -> Values {
    Values::Complex(values.iter().map(|x| Complex64::new(x.re.into(), x.im.into())).collect())
}

/// One line a probe, cells `re+imj`, with a line of names first if there are some.
pub(super) fn csv_rows(names: Option<&[String]>, values: &[Complex32], features: usize) -> String {
    let mut text = names.map(|names| names.join(",") + "\n").unwrap_or_default();
    for row in values.chunks(features) {
        let cells: Vec<String> = row.iter().map(|x| format!("{:.4}{:+.4}j", x.re, x.im)).collect();
        writeln!(text, "{}", cells.join(",")).expect("a string takes everything");
    }
    text
}

/// QAP, user and Eve. The user's coefficient is ρ·h + √(1−ρ²)·w, each end has a complex gain of its own.
fn ends(count: usize, rho_user: f32, rho_eve: f32, rng: &mut ChaCha8Rng) -> [Vec<Complex32>; 3] {
    let mut ends: [Vec<Complex32>; 3] = Default::default();
    for _ in 0..count {
        let h = gaussian(rng);
        let mut other = |rho: f32| rho * h + (1.0 - rho * rho).sqrt() * gaussian(rng);
        let (user, eve) = (other(rho_user), other(rho_eve));
        ends[0].push(h);
        ends[1].push(user * Complex32::new(0.0, 2.5));
        ends[2].push(eve * Complex32::new(0.5, -0.25));
    }
    ends.map(|values| complex_rows(&values))
}

/// `qap`, `user` and `eve` (`.npy`, 512 probes of 4 carriers, thresholds over probes); `tones-qap` and `tones-user`
/// (`.csv` with names, 16 procedures of 40 tones, thresholds over tones).
pub(super) fn make(dir: &Path) -> Result {
    let mut rng = ChaCha8Rng::seed_from_u64(30);
    let (probes, features) = (512, 4);
    let three = ends(probes * features, 0.99, 0.3, &mut rng);
    for (name, values) in ["qap", "user", "eve"].iter().zip(three) {
        let matrix = Matrix::new(probes, features, wide(&values))?;
        matrix.write_npy(&dir.join(format!("{name}.npy")))?;
    }
    let (procedures, tones) = (16, 40);
    let names: Vec<String> = (0..tones).map(|tone| (2404 + tone).to_string() + " MHz").collect();
    let [qap, user, _] = ends(procedures * tones, 0.9995, 0.0, &mut rng);
    for (name, values) in [("tones-qap", qap), ("tones-user", user)] {
        let text = csv_rows(Some(&names), &values, tones);
        std::fs::write(dir.join(format!("{name}.csv")), text)?;
    }
    Ok(())
}
