//! `crqkd qkd link`: the parameters of a quantum link.

use crate::exit::Outcome;
use crate::output;
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use crqkd_node::bounded;
use crqkd_node::qkd::LinkArgs;
use crqkd_node::told::{say, told};
use crqkd_scenario::parse_link;
use std::io::Write;
use std::path::{Path, PathBuf};

/// `crqkd qkd link`.
#[derive(Debug, Args)]
pub(crate) struct LinkCommand {
    /// What to do with it.
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print the parameters of a link with every default filled in, as a file for `--link`.
    Show(LinkArgs),
    /// Check files for `--link`; says what is wrong with file and line.
    Check {
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

/// Runs the command.
pub(crate) fn run(command: &LinkCommand) -> Result<Outcome> {
    match &command.action {
        Action::Show(args) => {
            write!(output::stdout(), "{}", toml::to_string(&args.resolve()?)?)?;
            Ok(Outcome::Ok)
        }
        Action::Check { files } => check_each(files, |file| {
            let link = parse_link(&read(file)?, &file.display().to_string())?;
            Ok(format!("{} km", link.distance_km))
        }),
    }
}

/// Checks every file; one line each, to standard output for a good one, to standard error for a bad one.
pub(crate) fn check_each(
    files: &[PathBuf],
    check: impl Fn(&Path) -> Result<String>,
) -> Result<Outcome> {
    let mut outcome = Outcome::Ok;
    for file in files {
        match check(file) {
            Ok(what) => writeln!(output::stdout(), "{}: ok ({what})", file.display())?,
            Err(error) => {
                say(format_args!("crqkd: {}", told(&error)));
                outcome = Outcome::BadInput;
            }
        }
    }
    Ok(outcome)
}

/// The text of a file, or an error with its name.
pub(crate) fn read(path: &Path) -> Result<String> {
    bounded::text(path).with_context(|| format!("{}: cannot be read", path.display()))
}
