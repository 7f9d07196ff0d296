//! What the user can type: one definition for parsing, help and completions.

use crate::air::AirArgs;
use crate::bench::BenchArgs;
use crate::demo::DemoArgs;
use crate::faults::MatrixArgs;
use crate::inspect::InspectArgs;
use crate::keygen::KeygenArgs;
use crate::node::{EveArgs, QapArgs, UserArgs};
use crate::polar::PolarArgs;
use crate::qkd::QkdArgs;
use crate::receive::ReceiveArgs;
use crate::report::ReportArgs;
use crate::reproduce::ReproduceArgs;
use crate::scenario::ScenarioArgs;
use crate::shell::{CompletionsArgs, ManArgs};
use crate::simulate::{ReplayArgs, SimulateArgs};
use clap::{ArgAction, Parser, Subcommand};

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
    Air(AirArgs),
    /// Try every fault of a radio at three strengths and see what becomes of windows, groups and service.
    Faults(MatrixArgs),
    /// Run a quantum access point.
    Qap(QapArgs),
    /// Run a user.
    User(UserArgs),
    /// Run an eavesdropper.
    Eve(EveArgs),
    /// Print shell completions.
    Completions(CompletionsArgs),
    /// Write manual pages, one a command.
    Man(ManArgs),
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
