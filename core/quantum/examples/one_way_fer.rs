//! How often a frame of the one-way codes is not decoded.
//!
//! ```text
//! cargo run --release -p crqkd-quantum --example one_way_fer -- 0.02 500 1000
//! ```
//!
//! An error rate, a number of frames of 2^21 bits, and the seed of the first one; each frame has the code that
//! `planned_efficiency` asks for. A few minutes for 500 frames; several processes with other seeds share the work.

use std::io::Write;

use crqkd_bits::BitString;
use crqkd_quantum::finite_key::binary_entropy;
use crqkd_quantum::ldpc::{Code, Decoder, Plan, Profile, planned_efficiency};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

const BITS: usize = 1 << 21;

/// Sweeps of the decoder before a frame is given up, as in the protocol.
const SWEEPS: u32 = 150;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [rate, frames, seed] = &arguments[..] else {
        return Err("usage: one_way_fer RATE FRAMES SEED".into());
    };
    let (rate, frames, seed): (f64, u64, u64) = (rate.parse()?, frames.parse()?, seed.parse()?);
    if !(0.005..=0.08).contains(&rate) || frames == 0 {
        return Err("an error rate from 0.005 to 0.08 and at least one frame".into());
    }
    let plan = Plan::new(BITS, rate, planned_efficiency(BITS, rate));
    let code = Code::new(BITS, plan.checks, &Profile::for_rate(rate), plan.checks as u64)?;
    let mut decoder = Decoder::new();
    let (mut failed, mut wrong, mut sweeps) = (0u64, 0u64, 0u64);
    for frame in 0..frames {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed + frame);
        let errors: BitString = (0..BITS).map(|_| rng.random::<f64>() < rate).collect();
        match decoder.decode(&code, &code.syndrome(&errors), BITS, rate, SWEEPS) {
            Some(found) => {
                sweeps += u64::from(found.iterations);
                wrong += u64::from(found.errors != errors);
            }
            None => failed += 1,
        }
        eprint!("\r{} of {frames} frames, {failed} failed", frame + 1);
        std::io::stderr().flush()?;
    }
    eprintln!();
    let told = (plan.told() + 64) as f64 / (BITS as f64 * binary_entropy(rate));
    // No failure in n frames: below 3/n at 95 % (the rule of three); else a rough Poisson bound.
    let bound = (failed as f64 + 3.0 + 2.0 * (failed as f64).sqrt()) / frames as f64;
    println!(
        "error rate {rate}: f {told:.4}, {frames} frames, {failed} not decoded, {wrong} wrong, FER below {bound:.1e} at 95 %, {:.1} sweeps on average",
        sweeps as f64 / (frames - failed).max(1) as f64
    );
    Ok(())
}
