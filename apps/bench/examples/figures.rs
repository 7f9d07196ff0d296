//! Draws the figure of the README of crqkd-polar: `cargo run --release -p crqkd-bench --example figures`.

use std::ops::ControlFlow;
use std::path::Path;

use crqkd_bench::polar::{BenchError, Case, Curve, Decoder, Stop};
use crqkd_polar::{CodeSpec, Construction, Crc, InstructionSet, Noise};

fn main() -> Result<(), BenchError> {
    let case = Case {
        spec: CodeSpec { n: 1024, k: 480, crc: Crc::Crc16 },
        construction: Construction::BscDensityEvolution { p: 0.081 },
        decoder: Decoder::Adaptive { paths: 32 },
        noise: Noise::Bsc { p: 0.081 },
        instructions: InstructionSet::best(),
    };
    let stop = Stop { errors: 100, frames: 200_000 };
    let curve = Curve::run(&case, (0.072, 0.104), 9, 1, stop, |point| {
        println!("{point:?}");
        ControlFlow::Continue(())
    })?;
    curve.write(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../core/polar/fer"))
}
