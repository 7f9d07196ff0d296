//! All figures of `crqkd bench polar`; `--json` for JSON, `--quick` for a first look.

use std::ops::ControlFlow;

use crqkd_bench::polar::{BenchError, Effort, PolarBench};

fn main() -> Result<(), BenchError> {
    let has = |name: &str| std::env::args().any(|argument| argument == name);
    let effort = if has("--quick") { Effort::quick() } else { Effort::default() };
    let report = PolarBench::new(1, effort).run(|row| {
        eprintln!("{} {} {}", row.group, row.decoder, row.instructions);
        ControlFlow::Continue(())
    })?;
    if has("--json") {
        println!("{}", report.to_json());
    } else {
        print!("{report}");
    }
    Ok(())
}
