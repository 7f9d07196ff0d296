//! What the user can type: one definition for parsing, help and completions.

use crate::bench::BenchArgs;
use crate::inspect::InspectArgs;
use crate::polar::PolarArgs;
use crate::qkd::QkdArgs;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use crqkd_flowgraphs::Role;
use crqkd_forwarding::MAX_REQUEST;
use crqkd_node::number::{real, whole, workers};
use crqkd_sounding::{ChannelEstimate, FrameLayout, SearchMode, SoundingConfig};
use std::path::PathBuf;

/// Information-theoretically secure keys for mobile devices: quantum keys between sites, handed over the air under a
/// one-time pad of channel key.
///
/// Results go to standard output, progress and logs to standard error. `crqkd COMMAND --help` says what a command takes;
/// docs/json.md describes what `--json` prints.
#[derive(Debug, Parser)]
#[command(
    name = "crqkd",
    version,
    propagate_version = true,
    disable_version_flag = true,
    after_long_help = EXIT_CODES
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Say more on standard error; may be given up to three times.
    #[arg(long, short, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,
    /// Say nothing but errors on standard error.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Print version.
    #[arg(long, short = 'V', global = true, action = ArgAction::Version)]
    version: Option<bool>,
}

/// The table of docs/json.md and README.md.
const EXIT_CODES: &str = "\
Exit codes:
  0    ok
  1    no key, not everything that was asked for, or a threshold missed
  2    usage or bad input
  3    a device or the storage failed
  130  stopped by Ctrl-C; a result that is printed all the same says so
  143  stopped by SIGTERM; the same";

/// The subcommands of `crqkd`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the whole system on this machine and print the table of the paper beside what was measured.
    Demo(DemoArgs),
    /// Find sounding frames in a recording; one line a frame.
    Receive(ReceiveArgs),
    /// Show what a recording holds: level, spectrum, frames, impulse responses.
    Inspect(InspectArgs),
    /// Turn paired channel measurements of your own into key bits and count their disagreement.
    Keygen(KeygenArgs),
    /// Repeat an experiment of the paper over many seeds.
    Reproduce(ReproduceArgs),
    /// Run a scenario on the virtual air and record what every radio receives.
    Simulate(SimulateArgs),
    /// Run the receivers again on what `simulate --record` wrote.
    Replay(ReplayArgs),
    /// Show or check scenario files.
    Scenario(ScenarioArgs),
    /// Draw the page of one run: table, channel over time, bit raster, impulse responses.
    Report(ReportArgs),
    /// Measure speed and quality of the parts, each beside what it is to be.
    Bench(BenchArgs),
    /// Try the polar codec by itself.
    Polar(PolarArgs),
    /// A quantum link between two sites: simulated in one process, or as two processes over the network.
    Qkd(QkdArgs),
    /// Serve a virtual air that qap, user and eve join as processes of their own.
    Air(crate::air::AirArgs),
    /// Try every fault of a radio at three strengths and see what becomes of windows, groups and service.
    Faults(crate::faults::MatrixArgs),
    /// Run a quantum access point.
    Qap(crate::node::QapArgs),
    /// Run a user.
    User(crate::node::UserArgs),
    /// Run an eavesdropper.
    Eve(crate::node::EveArgs),
    /// Print shell completions.
    Completions(CompletionsArgs),
    /// Write manual pages, one a command.
    Man(ManArgs),
}

/// `crqkd completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    pub(crate) shell: Shell,
}

/// `crqkd man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Folder for the pages, crqkd.1 and crqkd-COMMAND.1; pages that are there are replaced.
    pub(crate) dir: PathBuf,
}

/// Options that every run of the virtual air shares.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Seed of everything random; the same seed gives the same output, byte by byte.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Worker threads of the flowgraph, 1 to 64, and no more than there are processors. The result does not depend on it.
    #[arg(long, default_value_t = 1, value_parser = workers())]
    pub(crate) workers: u8,
    /// Put random sleeps into every block (a test of determinism; slow).
    #[arg(long, hide = true)]
    pub(crate) jitter: bool,
    /// Share of the quantum pulses that an eavesdropper on the fibre intercepts and resends, 0 to 1 (default:
    /// what the scenario says).
    #[arg(long, value_name = "SHARE", value_parser = real(0.0, 1.0), allow_negative_numbers = true)]
    pub(crate) intercept: Option<f64>,
}

/// Which pad decisions the decoder sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DecisionArg {
    /// One bit a sample, as in the paper.
    Hard,
    /// Log-likelihood ratios of the quantizer.
    Soft,
}

/// How the ciphertext crosses the air.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CiphertextArg {
    /// Inside a coded control message.
    Protected,
    /// Uncoded: pad and radio channel are one code, as in the paper.
    Cascade,
}

/// `crqkd demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// A preset (office, hall, corridor), a scenario file, or `all` for the three presets.
    #[arg(long, default_value = "hall")]
    pub(crate) scenario: String,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Decisions on the pad bits (default: what the scenario says).
    #[arg(long, value_enum)]
    pub(crate) decision: Option<DecisionArg>,
    /// How the ciphertext crosses the air (default: what the scenario says).
    #[arg(long, value_enum)]
    pub(crate) ciphertext: Option<CiphertextArg>,
    /// Groups of quantum key to hand over, 1 to 65536 (default: what the scenario says).
    #[arg(long, value_name = "N", value_parser = whole::<u32>(1, MAX_REQUEST.into()))]
    pub(crate) groups: Option<u32>,
    /// Write the run (results, channel, bits) to this folder for `crqkd report`; it must not exist or be empty. With
    /// `--scenario all`, each scenario has a folder of its name in it.
    #[arg(long, value_name = "DIR")]
    pub(crate) save: Option<PathBuf>,
    /// Print one JSON document instead of tables.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `crqkd receive`.
#[derive(Debug, Args)]
pub(crate) struct ReceiveArgs {
    /// A raw `.cf32` file at 20 Msample/s, or SigMF (`.sigmf-meta` or `.sigmf-data`).
    pub(crate) file: PathBuf,
    /// Training sequence of the frames.
    #[arg(long, value_enum, default_value_t = LayoutArg::Single)]
    pub(crate) layout: LayoutArg,
    /// Where frames are looked for.
    #[arg(long, value_enum, default_value_t = SearchArg::Gated)]
    pub(crate) search: SearchArg,
    /// Once three frames have come at equal distances, look only where the next one is expected.
    #[arg(long)]
    pub(crate) track: bool,
    /// Channel estimates of least mean squared error, with the delay profile of the frames before, in place of least
    /// squares.
    #[arg(long)]
    pub(crate) mmse: bool,
    /// Worker threads of the flowgraph, 1 to 64, and no more than there are processors. The result does not depend on it.
    #[arg(long, default_value_t = 1, value_parser = workers())]
    pub(crate) workers: u8,
    /// Do not check a SigMF recording's hash first: that takes several times as long as finding the frames.
    #[arg(long)]
    pub(crate) unverified: bool,
    /// Print one JSON object a frame.
    #[arg(long)]
    pub(crate) json: bool,
}

impl ReceiveArgs {
    /// The receiver's settings.
    pub(crate) fn config(&self) -> SoundingConfig {
        SoundingConfig {
            layout: self.layout.into(),
            search: self.search.into(),
            tracking: self.track,
            channel: if self.mmse { ChannelEstimate::Mmse } else { ChannelEstimate::LeastSquares },
            ..SoundingConfig::default()
        }
    }
}

/// The training sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LayoutArg {
    /// One M-sequence of 1023 chips.
    #[value(name = "1023")]
    Single,
    /// Two M-sequences of 511 chips.
    #[value(name = "2x511")]
    Double,
}

impl From<LayoutArg> for FrameLayout {
    fn from(layout: LayoutArg) -> Self {
        match layout {
            LayoutArg::Single => Self::Single,
            LayoutArg::Double => Self::Double,
        }
    }
}

/// Where frames are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SearchArg {
    /// Where the energy exceeds the noise floor: frames from -7 dB on.
    Gated,
    /// Everywhere.
    AlwaysCorrelate,
}

impl From<SearchArg> for SearchMode {
    fn from(search: SearchArg) -> Self {
        match search {
            SearchArg::Gated => Self::Gated,
            SearchArg::AlwaysCorrelate => Self::AlwaysCorrelate,
        }
    }
}

/// `crqkd keygen`.
#[derive(Debug, Args)]
pub(crate) struct KeygenArgs {
    /// Measurements of the access point: `.npy` or `.csv`, real or complex, one row a probe; or what it received, SigMF or
    /// `.cf32`, of which the frames are paired by the probe that their header names.
    #[arg(long, value_name = "FILE")]
    pub(crate) qap: PathBuf,
    /// Measurements of the user, same shape.
    #[arg(long, value_name = "FILE")]
    pub(crate) user: PathBuf,
    /// Measurements of an eavesdropper, same shape.
    #[arg(long, value_name = "FILE")]
    pub(crate) eve: Option<PathBuf>,
    /// What each threshold is the median of.
    #[arg(long, value_enum, default_value_t = ThresholdArg::Auto)]
    pub(crate) threshold: ThresholdArg,
    /// Probes a threshold spans when it runs over probes, 2 to 16777216.
    #[arg(long, default_value_t = 128, value_parser = whole::<usize>(2, 1 << 24))]
    pub(crate) window: usize,
    /// Training sequence of the frames, when recordings are given.
    #[arg(long, value_enum, default_value_t = LayoutArg::Single)]
    pub(crate) layout: LayoutArg,
    /// Write the bits to this new file that only you may read: CSV, one line a bit, one column an end.
    #[arg(long, value_name = "FILE")]
    pub(crate) bits: Option<PathBuf>,
    /// Write the log-likelihood ratios ln P(0)/P(1) of the other end's bits in the same form.
    #[arg(long, value_name = "FILE")]
    pub(crate) llr: Option<PathBuf>,
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What the threshold of the quantizer runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ThresholdArg {
    /// Over features when there are more features than probes, else over probes.
    Auto,
    /// Each feature has its median over the probes of a window.
    Probes,
    /// Each probe has its median over the features (tones).
    Features,
}

/// `crqkd reproduce`.
#[derive(Debug, Args)]
pub(crate) struct ReproduceArgs {
    /// The experiment.
    #[command(subcommand)]
    pub(crate) experiment: Experiment,
}

/// The experiments of the paper.
#[derive(Debug, Subcommand)]
pub(crate) enum Experiment {
    /// Table II: key generation, disagreement and retransmission rates in office, hall and corridor, at CSI level.
    Table2(Table2Args),
}

/// `crqkd reproduce table2`.
#[derive(Debug, Args)]
pub(crate) struct Table2Args {
    /// Seeds a scenario.
    #[arg(long, default_value_t = 10, value_parser = whole::<u64>(1, 10_000))]
    pub(crate) seeds: u64,
    /// First seed.
    #[arg(long, default_value_t = 1, value_parser = whole::<u64>(0, u64::MAX - 10_000))]
    pub(crate) first_seed: u64,
    /// Bits of channel key that a scenario sends over all seeds, raw; a few per cent are lost with their probes.
    #[arg(long, default_value_t = 3_600_000, value_parser = whole::<u64>(1, 1_000_000_000_000))]
    pub(crate) bits: u64,
    /// A preset, a scenario file, or `all`.
    #[arg(long, default_value = "all")]
    pub(crate) scenario: String,
    /// Refit the channel parameters of the scenario to the paper's figures and print them as TOML.
    #[arg(long)]
    pub(crate) fit: bool,
    /// Print one JSON document.
    #[arg(long, conflicts_with = "fit")]
    pub(crate) json: bool,
}

/// `crqkd simulate`.
#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// A preset or a scenario file.
    #[arg(long, default_value = "hall")]
    pub(crate) scenario: String,
    /// Seconds of air time, 0.01 to 10000000.
    #[arg(long, default_value_t = 5.0, value_parser = real(0.01, 1e7), allow_negative_numbers = true)]
    pub(crate) seconds: f64,
    /// Folder for the recordings; it must not exist or be empty.
    #[arg(long, value_name = "DIR")]
    pub(crate) record: PathBuf,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) faults: crate::faults::FaultArgs,
    /// Sample format of the recordings.
    #[arg(long, value_enum, default_value_t = DatatypeArg::Ci16)]
    pub(crate) datatype: DatatypeArg,
    /// Radios to record, separated by commas; `crqkd replay` simulates the others again.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = RoleArg::ALL)]
    pub(crate) roles: Vec<RoleArg>,
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The radios of the virtual air.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleArg {
    /// Alice's access point.
    Qap1,
    /// The user who asks for key.
    Alice,
    /// The eavesdropper beside Alice.
    Eve1,
    /// Bob's access point.
    Qap2,
    /// The user with whom Alice shares key.
    Bob,
    /// The eavesdropper beside Bob.
    Eve2,
}

impl RoleArg {
    pub(crate) const ALL: [RoleArg; 6] =
        [RoleArg::Qap1, RoleArg::Alice, RoleArg::Eve1, RoleArg::Qap2, RoleArg::Bob, RoleArg::Eve2];
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Role {
        Role::ALL[role as usize]
    }
}

/// Sample formats that can be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DatatypeArg {
    /// Complex 32-bit floats.
    Cf32,
    /// Complex 16-bit integers: half the size, and exact for converters of up to 16 bits.
    Ci16,
}

/// `crqkd replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// A folder that `simulate --record` wrote.
    pub(crate) dir: PathBuf,
    #[command(flatten)]
    pub(crate) faults: crate::faults::FaultArgs,
    /// Worker threads of the flowgraph, 1 to 64, and no more than there are processors.
    #[arg(long, default_value_t = 1, value_parser = workers())]
    pub(crate) workers: u8,
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `crqkd scenario`.
#[derive(Debug, Args)]
pub(crate) struct ScenarioArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub(crate) action: ScenarioAction,
}

/// Actions on scenarios.
#[derive(Debug, Subcommand)]
pub(crate) enum ScenarioAction {
    /// List the presets, or print one scenario with every default filled in.
    Show {
        /// A preset or a file; without it, the list of presets.
        scenario: Option<String>,
    },
    /// Check scenario files; says of each what is wrong with file and line.
    Check {
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Print a page with every key of scenario and link files: meaning, default and range.
    Reference,
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Arg, Command as Clap, CommandFactory};
    use std::any::TypeId;

    fn every_option(command: &Clap, visit: &mut impl FnMut(&Clap, &Arg)) {
        for arg in command.get_arguments() {
            visit(command, arg);
        }
        for below in command.get_subcommands() {
            every_option(below, visit);
        }
    }

    fn takes<T: 'static>(arg: &Arg) -> bool {
        arg.get_value_parser().type_id() == TypeId::of::<T>()
    }

    /// Whether the parser of an option refuses a value, whatever other options it goes with.
    fn refuses(arg: &Arg, text: &str) -> bool {
        let alone = Arg::new("x").long("x").value_parser(arg.get_value_parser().clone());
        Clap::new("x").arg(alone).try_get_matches_from(["x", &format!("--x={text}")]).is_err()
    }

    /// Any seed is a seed; every other number has a range, which the parser checks.
    #[test]
    fn every_number_of_every_command_has_a_range() {
        let mut command = Cli::command();
        command.build();
        let (mut numbers, mut open) = (0, Vec::new());
        every_option(&command, &mut |of, arg| {
            let name = format!("{} --{}", of.get_name(), arg.get_id());
            if takes::<f64>(arg) {
                numbers += 1;
                for text in ["nan", "inf", "-inf", "1e300", "-1e300"] {
                    if !refuses(arg, text) {
                        open.push(format!("{name} takes {text}"));
                    }
                }
            } else if takes::<u64>(arg) || takes::<u32>(arg) || takes::<usize>(arg) {
                if arg.get_id() == "seed" {
                    return;
                }
                numbers += 1;
                for text in ["18446744073709551615", "-1"] {
                    if !refuses(arg, text) {
                        open.push(format!("{name} takes {text}"));
                    }
                }
            }
        });
        assert!(open.is_empty(), "{open:#?}");
        assert!(numbers > 30, "only {numbers} options take a number: the walk is blind");
    }

    /// `crqkd COMMAND --help` explains every option.
    #[test]
    fn every_option_has_a_help_text() {
        let mut command = Cli::command();
        command.build();
        every_option(&command, &mut |of, arg| {
            let hidden = arg.is_hide_set() || arg.get_id() == "subcommand";
            let name = format!("{} --{}", of.get_name(), arg.get_id());
            assert!(hidden || arg.get_help().is_some(), "{name} has no help text");
        });
    }
}
