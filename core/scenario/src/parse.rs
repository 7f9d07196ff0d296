//! TOML text to a checked scenario, with the file and line of whatever is wrong.

use crate::Scenario;
use thiserror::Error;
use toml::de::{DeTable, DeValue};

/// What is wrong with a scenario, and where.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum ScenarioError {
    /// The text is not TOML, a key is unknown or missing, or a value has the wrong type.
    #[error("{origin}:{line}: {message}")]
    Syntax {
        /// Name of the file or preset.
        origin: String,
        /// Line, counted from 1.
        line: usize,
        /// What was expected.
        message: String,
    },
    /// A value is outside its range or contradicts another one.
    #[error("{origin}:{line}: [{section}] {message}")]
    Range {
        /// Name of the file or preset.
        origin: String,
        /// Line of the key, or of the section if the value is a default.
        line: usize,
        /// Section of the scenario.
        section: &'static str,
        /// The key, the value and its range.
        message: String,
    },
    /// No preset has this name.
    #[error("no preset is called '{name}'; the presets are {}", crate::PRESET_NAMES.join(", "))]
    UnknownPreset {
        /// What was asked for.
        name: String,
    },
}

impl Scenario {
    /// Parses and checks a scenario. `origin` names the text in errors (a file name, say).
    ///
    /// # Errors
    /// [`ScenarioError::Syntax`] for text that is not a scenario, unknown keys included; [`ScenarioError::Range`] for a
    /// value out of range; both with the line.
    pub fn parse(text: &str, origin: &str) -> Result<Scenario, ScenarioError> {
        let scenario: Scenario = toml::from_str(text).map_err(|error| ScenarioError::Syntax {
            origin: origin.to_owned(),
            line: error.span().map_or(1, |span| line_of(text, span.start)),
            message: error.message().to_owned(),
        })?;
        scenario.check().map_err(|(section, message)| ScenarioError::Range {
            origin: origin.to_owned(),
            line: line_of_key(text, section, &message),
            section,
            message,
        })?;
        Ok(scenario)
    }
}

/// The line of byte `offset`, counted from 1.
fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
}

/// The line of the longest key of `section` that `message` names; the section's own line if it names none.
fn line_of_key(text: &str, section: &str, message: &str) -> usize {
    let Ok(document) = DeTable::parse(text) else { return 1 };
    let Some((name, value)) =
        document.get_ref().iter().find(|(key, _)| key.get_ref().as_ref() == section)
    else {
        return 1;
    };
    let DeValue::Table(table) = value.get_ref() else { return line_of(text, name.span().start) };
    table
        .iter()
        .filter(|(key, _)| message.contains(key.get_ref().as_ref()))
        .max_by_key(|(key, _)| key.get_ref().len())
        .map_or_else(
            || line_of(text, name.span().start),
            |(key, _)| line_of(text, key.span().start),
        )
}
