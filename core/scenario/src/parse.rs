//! TOML text to a checked scenario, with the file and line of whatever is wrong.

use crate::Scenario;
use crqkd_quantum::decoy::DecoyConfig;
use serde::de::DeserializeOwned;
use thiserror::Error;
use toml::de::{DeTable, DeValue};

/// What is wrong with a scenario, a link or another TOML file, and where.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum ScenarioError {
    /// The text is not TOML, a key is unknown or missing, or a value has the wrong type.
    #[error("{origin}:{line}: {message}")]
    Syntax {
        /// Name of the file or preset.
        origin: String,
        /// Number of the line, counted from 1.
        line: usize,
        /// What the TOML parser found or expected there.
        message: String,
    },
    /// A value is outside its range or contradicts another one.
    #[error("{origin}:{line}: {}{message}", in_brackets(.section))]
    Range {
        /// Name of the file or preset.
        origin: String,
        /// Line of the key, or of the section if the value is a default.
        line: usize,
        /// Section of the file; empty for keys that stand in none.
        section: &'static str,
        /// The key, the value and its range.
        message: String,
    },
    /// No preset has this name.
    #[error("no preset is called '{name}'; the presets are {}", crate::PRESET_NAMES.join(", "))]
    UnknownPreset {
        /// The name that was asked for.
        name: String,
    },
}

fn in_brackets(section: &str) -> String {
    if section.is_empty() { String::new() } else { format!("[{section}] ") }
}

impl ScenarioError {
    /// A value that is refused: `message` names its key, which is looked for in `text`, the content of `origin`.
    pub fn refused(origin: &str, text: &str, section: &'static str, message: String) -> Self {
        ScenarioError::Range {
            origin: origin.to_owned(),
            line: line_of_key(text, section, &message),
            section,
            message,
        }
    }
}

impl Scenario {
    /// Parses and checks a scenario. `origin` names the text in errors (a file name, say).
    ///
    /// # Errors
    /// [`ScenarioError::Syntax`] for text that is not a scenario, unknown keys included; [`ScenarioError::Range`] for a
    /// value out of range; both with the line.
    pub fn parse(text: &str, origin: &str) -> Result<Scenario, ScenarioError> {
        let scenario: Scenario = parse_toml(text, origin)?;
        scenario
            .check()
            .map_err(|(section, message)| ScenarioError::refused(origin, text, section, message))?;
        Ok(scenario)
    }
}

/// Parses and checks the parameters of a quantum link; see [`Scenario::parse`].
///
/// # Errors
/// The errors of [`Scenario::parse`].
pub fn parse_link(text: &str, origin: &str) -> Result<DecoyConfig, ScenarioError> {
    let link: DecoyConfig = parse_toml(text, origin)?;
    link.validate().map_err(|error| ScenarioError::refused(origin, text, "", error.to_string()))?;
    Ok(link)
}

/// Any type from TOML text that came from `origin`, unchecked.
///
/// # Errors
/// [`ScenarioError::Syntax`], with the line of the fault.
pub fn parse_toml<T: DeserializeOwned>(text: &str, origin: &str) -> Result<T, ScenarioError> {
    toml::from_str(text).map_err(|error| ScenarioError::Syntax {
        origin: origin.to_owned(),
        line: error.span().map_or(1, |span| line_of(text, span.start)),
        message: error.message().to_owned(),
    })
}

/// The line of byte `offset`, counted from 1.
fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
}

/// The line of the longest key of `section` that `message` names; the section's own line if it names none.
fn line_of_key(text: &str, section: &str, message: &str) -> usize {
    let Ok(document) = DeTable::parse(text) else { return 1 };
    let root = document.get_ref();
    let (table, otherwise) = if section.is_empty() {
        (root, 1)
    } else {
        let Some((name, value)) = root.iter().find(|(key, _)| key.get_ref().as_ref() == section)
        else {
            return 1;
        };
        let line = line_of(text, name.span().start);
        let DeValue::Table(table) = value.get_ref() else { return line };
        (table, line)
    };
    table
        .iter()
        .filter(|(key, _)| message.contains(key.get_ref().as_ref()))
        .max_by_key(|(key, _)| key.get_ref().len())
        .map_or(otherwise, |(key, _)| line_of(text, key.span().start))
}
