//! `crqkd report`: a saved run to one self-contained page.

use crate::exit::Outcome;
use crate::output;
use anyhow::{Context, Result};
use clap::Args;
use crqkd_report::{RunData, bit_raster_svg, render};
use std::path::PathBuf;

/// `crqkd report`.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// A folder that `demo --save` or `simulate --record` wrote.
    pub(crate) run: PathBuf,
    /// The page to write.
    #[arg(short, long, default_value = "report.html")]
    pub(crate) output: PathBuf,
    /// Also write the bit raster alone, as an SVG picture.
    #[arg(long, value_name = "FILE")]
    pub(crate) raster: Option<PathBuf>,
}

/// Reads the run and writes the page, and the bit raster as a picture of its own if it was asked for.
pub(crate) fn run(args: &ReportArgs) -> Result<Outcome> {
    let run = RunData::load(&args.run)
        .with_context(|| format!("{}: not a saved run", args.run.display()))?;
    output::write_and_say(&args.output, &render(&run))?;
    if let Some(picture) = &args.raster {
        output::write_and_say(picture, &bit_raster_svg(&run))?;
    }
    Ok(Outcome::Ok)
}
