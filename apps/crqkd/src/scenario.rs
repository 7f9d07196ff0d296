//! `crqkd scenario`, and how every command finds its scenario.

use crate::exit::Outcome;
use crate::link::{check_each, read};
use crate::output;
use crate::run::system_of;
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use crqkd_channel_key::MedianQuantizer;
use crqkd_flowgraphs::FlowgraphError;
use crqkd_quantum::Bb84Source;
use crqkd_scenario::{PRESET_NAMES, Scenario, ScenarioError};
use std::io::Write;
use std::path::{Path, PathBuf};

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

/// A preset by name, or a file by path.
pub(crate) fn load(name_or_file: &str) -> Result<Scenario> {
    if PRESET_NAMES.contains(&name_or_file) {
        return Ok(Scenario::preset(name_or_file)?);
    }
    let path = Path::new(name_or_file);
    if !path.exists() {
        bail!("'{name_or_file}' is neither a preset ({}) nor a file", PRESET_NAMES.join(", "));
    }
    from_file(path)
}

/// The presets for `all`, else the one scenario that was named.
pub(crate) fn load_all(name_or_file: &str) -> Result<Vec<Scenario>> {
    match name_or_file {
        "all" => PRESET_NAMES.iter().map(|name| Ok(Scenario::preset(name)?)).collect(),
        one => Ok(vec![load(one)?]),
    }
}

fn from_file(path: &Path) -> Result<Scenario> {
    let (text, origin) = (read(path)?, path.display().to_string());
    let scenario = Scenario::parse(&text, &origin)?;
    runs(&scenario)
        .map_err(|(section, message)| ScenarioError::refused(&origin, &text, section, message))?;
    Ok(scenario)
}

/// Checks a scenario that was changed by options, as those of files are.
pub(crate) fn checked(scenario: Scenario) -> Result<Scenario> {
    scenario.validate()?;
    runs(&scenario).map_err(|(section, message)| {
        ScenarioError::refused(&scenario.name, &scenario.to_toml(), section, message)
    })?;
    Ok(scenario)
}

/// Builds everything of a run that can refuse a scenario: what passes here, every command takes.
fn runs(scenario: &Scenario) -> Result<(), (&'static str, String)> {
    let system = system_of(scenario);
    system.plan().map_err(|error| match error {
        FlowgraphError::Air(error) => ("air", error.to_string()),
        FlowgraphError::ChannelKey(error) => ("channel_key", error.to_string()),
        FlowgraphError::Otp(error) => ("otp", error.to_string()),
        FlowgraphError::Forwarding(error) => ("forwarding", error.to_string()),
        other => ("", other.to_string()),
    })?;
    let named = |section, error: &dyn std::fmt::Display| (section, error.to_string());
    system.codec().map_err(|error| named("otp", &error))?;
    MedianQuantizer::new(&scenario.channel_key).map_err(|error| named("channel_key", &error))?;
    Bb84Source::new(scenario.quantum.clone(), scenario.otp.k)
        .map_err(|error| named("quantum", &error))?;
    Ok(())
}

/// `crqkd scenario ...`.
pub(crate) fn run(action: &ScenarioAction) -> Result<Outcome> {
    match action {
        ScenarioAction::Show { scenario: None } => {
            for name in PRESET_NAMES {
                writeln!(output::stdout(), "{name}: {}", Scenario::preset(name)?.description)?;
            }
        }
        ScenarioAction::Show { scenario: Some(scenario) } => {
            write!(output::stdout(), "{}", load(scenario)?.to_toml())?
        }
        ScenarioAction::Check { files } => {
            return check_each(files, |file| Ok(from_file(file)?.name));
        }
        ScenarioAction::Reference => write!(output::stdout(), "{}", crqkd_scenario::reference())?,
    }
    Ok(Outcome::Ok)
}
