//! `crqkd scenario show|check`, and how every command finds its scenario.

use crate::cli::ScenarioAction;
use crate::exit::Outcome;
use anyhow::{Context, Result, bail};
use crqkd_scenario::{PRESET_NAMES, Scenario};
use std::io::Write;
use std::path::Path;

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
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{}: cannot read the scenario", path.display()))?;
    Ok(Scenario::parse(&text, &path.display().to_string())?)
}

/// `crqkd scenario ...`.
pub(crate) fn run(action: &ScenarioAction) -> Result<Outcome> {
    match action {
        ScenarioAction::Show { scenario: None } => {
            for name in PRESET_NAMES {
                writeln!(std::io::stdout(), "{name}: {}", Scenario::preset(name)?.description)?;
            }
        }
        ScenarioAction::Show { scenario: Some(scenario) } => {
            write!(std::io::stdout(), "{}", load(scenario)?.to_toml())?
        }
        ScenarioAction::Check { files } => {
            for file in files {
                let scenario = from_file(file)?;
                writeln!(std::io::stdout(), "{}: ok ({})", file.display(), scenario.name)?;
            }
        }
    }
    Ok(Outcome::Ok)
}
