//! `crqkd polar`: the polar codec by itself.

use crate::exit::{self, Outcome, Stopped};
use crate::output;
use crate::output::Output;
use crate::{json, progress};
use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use crqkd_bench::polar::{Case, Curve, Decoder, Stop};
use crqkd_node::number::{above, real, whole};
use crqkd_node::told::say;
use crqkd_polar::{BATCH_LIST_SIZES, CodeSpec, Construction, Crc, InstructionSet, Noise};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// `crqkd polar`.
#[derive(Debug, Args)]
pub(crate) struct PolarArgs {
    /// What to do.
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Frame error rate of one code over key disagreement rates, beside the bound for any code, as CSV and SVG.
    Fer(FerArgs),
}

/// `crqkd polar fer`.
#[derive(Debug, Args)]
struct FerArgs {
    /// Code length: 32 to 4096 (65536 with `--decoder sc`), a power of two.
    #[arg(long, short, default_value_t = 1024, value_parser = whole::<usize>(32, 65_536))]
    n: usize,
    /// Message bits, check not counted: at least 1, and below the code length with the check.
    #[arg(long, short, default_value_t = 480, value_parser = whole::<usize>(1, 65_535))]
    k: usize,
    /// Bits of the check: 0, 11, 16 or 32.
    #[arg(long, default_value_t = 16, value_parser = whole::<usize>(0, 32))]
    crc: usize,
    /// How the information bits are placed.
    #[arg(long, value_enum, default_value_t = ConstructionArg::Evolution)]
    construction: ConstructionArg,
    /// KDR for which density evolution builds the code.
    #[arg(long, default_value_t = 0.081, value_parser = real(0.0001, 0.4999), allow_negative_numbers = true)]
    design_kdr: f64,
    /// How it is decoded.
    #[arg(long, value_enum, default_value_t = DecoderArg::List)]
    decoder: DecoderArg,
    /// Paths of the list decoder: 2, 4, 8, 16 or 32.
    #[arg(long, default_value_t = 8, value_parser = whole::<usize>(2, 32))]
    paths: usize,
    /// The channel.
    #[arg(long, value_enum, default_value_t = NoiseArg::Bsc)]
    noise: NoiseArg,
    /// Concentration of the KDR from frame to frame, with `--noise spread` and `--noise soft-spread`.
    #[arg(long, default_value_t = 44.0, value_parser = above(0.0, 1e9), allow_negative_numbers = true)]
    concentration: f64,
    /// First key disagreement rate.
    #[arg(long, default_value_t = 0.06, value_parser = real(0.0001, 0.4999), allow_negative_numbers = true)]
    from: f64,
    /// Last key disagreement rate.
    #[arg(long, default_value_t = 0.10, value_parser = real(0.0001, 0.4999), allow_negative_numbers = true)]
    to: f64,
    /// Number of key disagreement rates.
    #[arg(long, default_value_t = 9, value_parser = whole::<usize>(1, 1000))]
    points: usize,
    /// Frame errors after which a point is known well enough.
    #[arg(long, default_value_t = 100, value_parser = whole::<usize>(1, 1_000_000_000))]
    errors: usize,
    /// Most frames for a point.
    #[arg(long, default_value_t = 100_000, value_parser = whole::<usize>(1, 1_000_000_000_000))]
    frames: usize,
    /// Seed of messages and noise.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write `BASE.csv` and `BASE.svg`.
    #[arg(long, short, value_name = "BASE")]
    output: Option<PathBuf>,
    /// Print one JSON document instead of CSV.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ConstructionArg {
    /// Density evolution for the kind of channel at `--design-kdr`.
    Evolution,
    /// β-expansion, β = 2^(1/4).
    Beta,
    /// The order of 5G New Radio, up to n = 1024.
    Nr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DecoderArg {
    /// Successive cancellation.
    Sc,
    /// List of `--paths` paths.
    List,
    /// Successive cancellation, then 8 paths, then `--paths`.
    Adaptive,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum NoiseArg {
    /// Hard decisions, every bit wrong with the same probability.
    Bsc,
    /// Hard decisions, the error rate drawn anew for each frame (beta-binomial).
    Spread,
    /// Hard decisions, bursts of errors (Gilbert-Elliott: 100 bits long on average, one bit in six inside, 30 times the
    /// error rate there).
    Bursts,
    /// Soft decisions about one-bit quantised Gaussian measurements.
    Soft,
    /// The same with the KDR drawn anew for each frame, while the receiver reckons with the mean.
    SoftSpread,
}

/// Runs `crqkd polar`.
pub(crate) fn run(args: &PolarArgs) -> Result<Outcome> {
    match &args.action {
        Action::Fer(args) => fer(args),
    }
}

fn fer(args: &FerArgs) -> Result<Outcome> {
    let case = case(args)?;
    let stop = Stop { errors: args.errors, frames: args.frames };
    let begin =
        |base: &PathBuf, extension| Output::begin("--output", &base.with_extension(extension));
    let outputs = match &args.output {
        Some(base) => vec![begin(base, "csv")?, begin(base, "svg")?],
        None => Vec::new(),
    };
    let bar = progress::bar(args.points as u64, "KDRs");
    let curve = Curve::run(&case, (args.from, args.to), args.points, args.seed, stop, |_| {
        bar.inc(1);
        if exit::interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    bar.finish_and_clear();
    if curve.points.is_empty() {
        bail!(Stopped);
    }
    for (output, text) in outputs.into_iter().zip([curve.to_csv(), curve.to_svg()]) {
        if !exit::interrupted() {
            output.finish(&text)?;
        }
    }
    if args.json {
        json::print("crqkd/polar-fer/1", &curve)?;
    } else {
        write!(output::stdout(), "{}", curve.to_csv())?;
    }
    if exit::interrupted() {
        let all = args.points;
        say(format_args!(
            "crqkd: stopped after {} of {all} key disagreement rates",
            curve.points.len()
        ));
    }
    Ok(Outcome::Ok)
}

fn case(args: &FerArgs) -> Result<Case> {
    let crc = Crc::from_bits(args.crc)
        .with_context(|| format!("--crc is {}, expected 0, 11, 16 or 32", args.crc))?;
    let soft = matches!(args.noise, NoiseArg::Soft | NoiseArg::SoftSpread);
    let construction = match args.construction {
        ConstructionArg::Evolution if soft => {
            Construction::GaussianDensityEvolution { kdr: args.design_kdr }
        }
        ConstructionArg::Evolution => Construction::BscDensityEvolution { p: args.design_kdr },
        ConstructionArg::Beta => Construction::BetaExpansion,
        ConstructionArg::Nr => Construction::Nr5g,
    };
    ensure!(
        args.decoder == DecoderArg::Sc || BATCH_LIST_SIZES.contains(&args.paths),
        "--paths is {}, expected 2, 4, 8, 16 or 32",
        args.paths
    );
    let decoder = match args.decoder {
        DecoderArg::Sc => Decoder::Sc,
        DecoderArg::List => Decoder::List { paths: args.paths },
        DecoderArg::Adaptive => Decoder::Adaptive { paths: args.paths },
    };
    let (kdr, concentration) = (args.from, args.concentration);
    let noise = match args.noise {
        NoiseArg::Bsc => Noise::Bsc { p: kdr },
        NoiseArg::Spread => Noise::BetaBinomial { p: kdr, concentration },
        NoiseArg::Bursts => {
            Noise::GilbertElliott { good: 0.01, bad: 0.3, enter: 0.002, leave: 0.01 }
        }
        NoiseArg::Soft => Noise::Gaussian { kdr },
        NoiseArg::SoftSpread => Noise::GaussianSpread { kdr, concentration },
    };
    Ok(Case {
        spec: CodeSpec { n: args.n, k: args.k, crc },
        construction,
        decoder,
        noise,
        instructions: InstructionSet::best(),
    })
}
