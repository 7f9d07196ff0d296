//! The greatest rate at a given error rate, and how far it is from the bound.

use crqkd_polar::{CodeSpec, SoftChannel, bounds};
use serde::Serialize;

use super::{BenchError, Case, Stop};

/// Rate at an error rate beside its bound.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RateGap {
    /// Message bits at the error rate, interpolated between two codes.
    pub k: f64,
    /// Rate k / n of the code: message bits for each coded bit.
    pub rate: f64,
    /// Bound on the rate at this error rate.
    pub bound: f64,
    /// How far the rate is below the bound: bound − rate.
    pub gap: f64,
}

/// Finds the rate at which `case` has the block error rate `fer`, by steps of n / 64 message bits around a first guess
/// and interpolation of ln(fer) between the two neighbours.
///
/// # Errors
/// When a parameter is out of range.
pub fn rate_at(case: &Case, fer: f64, seed: u64, stop: Stop) -> Result<RateGap, BenchError> {
    let n = case.spec.n;
    let step = (n / 64).max(1);
    let bound = bound_rate(case, fer);
    let most = n - case.spec.crc.len();
    let clamp = |k: usize| k.clamp(1, most);
    let mut k = clamp(((bound - 0.045) * n as f64) as usize / step * step);
    let measure = |k: usize| -> Result<f64, BenchError> {
        let case = Case { spec: CodeSpec { k, ..case.spec }, ..*case };
        let found = case.run(seed, stop)?;
        // Half an error where none was seen, so that the logarithm exists.
        Ok((found.errors as f64).max(0.5) / found.frames as f64)
    };
    let mut here = measure(k)?;
    loop {
        let up = here < fer;
        let next = clamp(if up { k + step } else { k.saturating_sub(step) });
        if next == k {
            break;
        }
        let there = measure(next)?;
        if (there < fer) != up {
            let share = (fer.ln() - here.ln()) / (there.ln() - here.ln());
            let k = k as f64 + share * (next as f64 - k as f64);
            let rate = k / n as f64;
            return Ok(RateGap { k, rate, bound, gap: bound - rate });
        }
        (k, here) = (next, there);
    }
    let rate = k as f64 / n as f64;
    Ok(RateGap { k: k as f64, rate, bound, gap: bound - rate })
}

/// Meta-converse for constant error rates, normal approximation for soft decisions.
fn bound_rate(case: &Case, fer: f64) -> f64 {
    use crqkd_polar::Noise;
    let n = case.spec.n;
    match case.noise {
        Noise::Gaussian { kdr } | Noise::GaussianSpread { kdr, .. } => {
            bounds::normal_approximation(&SoftChannel::gaussian(kdr), n, fer)
        }
        noise => bounds::meta_converse_rate(n, noise.mean(), fer),
    }
}
