//! One run of crqkd, described in TOML: the channel, the extraction of channel key, the code, the protocol and the
//! quantum link. Each section is the configuration type of the crate that uses it; keys carry their unit; a key that
//! nobody knows is refused with its line.
//!
//! ```
//! let hall = crqkd_scenario::Scenario::preset("hall")?;
//! assert_eq!(hall.name, "hall");
//! let changed = crqkd_scenario::Scenario::parse("name = \"mine\"\n[air]\nsped_m_s = 1.0\n", "mine.toml");
//! assert!(changed.unwrap_err().to_string().starts_with("mine.toml:3: unknown field `sped_m_s`"));
//! # Ok::<(), crqkd_scenario::ScenarioError>(())
//! ```

mod parse;
mod reference;

pub use parse::{ScenarioError, parse_link, parse_toml};
pub use reference::reference;

use crqkd_air::AirConfig;
use crqkd_channel_key::ChannelKeyConfig;
use crqkd_forwarding::{ForwardingConfig, MAX_REQUEST};
use crqkd_otp::OtpConfig;
use crqkd_quantum::QuantumConfig;
use serde::{Deserialize, Serialize};

/// Names of the presets, in the order of the paper's Table II.
pub const PRESET_NAMES: [&str; 3] = ["office", "hall", "corridor"];

const PRESETS: [&str; 3] = [
    include_str!("../../../data/scenarios/office.toml"),
    include_str!("../../../data/scenarios/hall.toml"),
    include_str!("../../../data/scenarios/corridor.toml"),
];

/// Everything that defines a run, except its seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Short name, for tables and folders: 1 to 100 letters, digits, `.`, `_` and `-`, not beginning with `.`.
    pub name: String,
    /// One sentence for people.
    #[serde(default)]
    pub description: String,
    /// Groups of quantum key that a pair of users asks for, 1..=65536.
    #[serde(default = "default_groups")]
    pub groups: u32,
    /// The radio channel.
    #[serde(default)]
    pub air: AirConfig,
    /// Features and quantizer.
    #[serde(default)]
    pub channel_key: ChannelKeyConfig,
    /// The polar one-time-pad code.
    #[serde(default)]
    pub otp: OtpConfig,
    /// Probing, windows, forwarding and blocks.
    #[serde(default)]
    pub forwarding: ForwardingConfig,
    /// The quantum link between the access points.
    #[serde(default)]
    pub quantum: QuantumConfig,
}

fn default_groups() -> u32 {
    32
}

impl Scenario {
    /// One of the scenarios that are compiled in: the three places of the paper.
    ///
    /// # Errors
    /// [`ScenarioError::UnknownPreset`] with the names that exist.
    pub fn preset(name: &str) -> Result<Scenario, ScenarioError> {
        let index = PRESET_NAMES
            .iter()
            .position(|&preset| preset == name)
            .ok_or_else(|| ScenarioError::UnknownPreset { name: name.to_owned() })?;
        Scenario::parse(PRESETS[index], &format!("data/scenarios/{name}.toml"))
    }

    /// The scenario with every default written out, as TOML that [`Scenario::parse`] reads back.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a scenario has only string keys and finite numbers")
    }

    /// Checks every range, as [`Scenario::parse`] does; for a scenario that was changed since.
    ///
    /// # Errors
    /// [`ScenarioError::Range`] for the first value that is refused.
    pub fn validate(&self) -> Result<(), ScenarioError> {
        self.check().map_err(|(section, message)| {
            ScenarioError::refused(&self.name, &self.to_toml(), section, message)
        })
    }

    /// Checks every range; on failure the section and what is wrong with it.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        fn named<E: std::fmt::Display>(
            section: &'static str,
            result: Result<(), E>,
        ) -> Result<(), (&'static str, String)> {
            result.map_err(|error| (section, error.to_string()))
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let name = &self.name;
        if name.is_empty()
            || name.len() > 100
            || name.starts_with('.')
            || !name.chars().all(allowed)
        {
            let expected = "1 to 100 letters, digits, '.', '_' and '-', not beginning with '.'";
            return Err(("", format!("name is {name:?}, expected {expected}")));
        }
        named("air", self.air.validate())?;
        named("channel_key", self.channel_key.validate())?;
        named("otp", self.otp.validate())?;
        named("forwarding", self.forwarding.validate())?;
        named("quantum", self.quantum.validate())?;
        self.agree()?;
        if !(1..=MAX_REQUEST).contains(&self.groups) {
            return Err(("", format!("groups = {} is not in 1..={MAX_REQUEST}", self.groups)));
        }
        Ok(())
    }

    /// What two sections both name must be equal.
    fn agree(&self) -> Result<(), (&'static str, String)> {
        let (otp, forwarding) = (&self.otp, &self.forwarding);
        let pairs = [
            ("group_bits", forwarding.group_bits as usize, "otp.k", otp.k),
            ("code_bits", forwarding.code_bits as usize, "otp.n", otp.n),
        ];
        for (key, value, other, wanted) in pairs {
            if value != wanted {
                return Err(("forwarding", format!("{key} = {value}, but {other} = {wanted}")));
            }
        }
        let cascade = (
            otp.ciphertext == crqkd_otp::CiphertextMode::Cascade,
            forwarding.ciphertext == crqkd_forwarding::CipherMode::Cascade,
        );
        if cascade.0 != cascade.1 {
            return Err(("forwarding", "ciphertext differs from otp.ciphertext".to_owned()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_survives_being_written_and_read() {
        for name in PRESET_NAMES {
            let preset = Scenario::preset(name).unwrap();
            assert_eq!(preset.name, name);
            assert_eq!(Scenario::parse(&preset.to_toml(), "resolved").unwrap(), preset);
        }
    }

    #[test]
    fn an_unknown_preset_is_refused_with_the_names_that_exist() {
        let error = Scenario::preset("cellar").unwrap_err().to_string();
        assert_eq!(error, "no preset is called 'cellar'; the presets are office, hall, corridor");
    }

    #[test]
    fn a_value_out_of_range_is_refused_with_its_line() {
        let text = "name = \"x\"\n\n[air]\nrician_k = 1.0\ndelay_spread_ns = -5.0\n";
        let error = Scenario::parse(text, "x.toml").unwrap_err().to_string();
        assert_eq!(error, "x.toml:5: [air] delay_spread_ns = -5 is outside 1..=300");
    }

    #[test]
    fn a_key_without_a_section_is_refused_with_its_line() {
        let error = Scenario::parse("name = \"x\"\n\ngroups = 0\n", "x.toml").unwrap_err();
        assert_eq!(error.to_string(), "x.toml:3: groups = 0 is not in 1..=65536");
        for name in ["", ".x", "a b", "a/b", &"x".repeat(101)] {
            let error = Scenario::parse(&format!("\nname = {name:?}"), "x.toml").unwrap_err();
            assert!(error.to_string().starts_with("x.toml:2: name is "), "{error}");
        }
    }

    #[test]
    fn a_link_is_refused_with_its_line() {
        let error = parse_link("eps_sec = 1e-9\n# far\ndistance_km = nan\n", "l.toml").unwrap_err();
        assert_eq!(error.to_string(), "l.toml:3: distance_km = NaN is not in 0..=1000");
        let error = parse_link("eps_sec = 1e-9\ndistance_m = 1\n", "l.toml").unwrap_err();
        assert!(error.to_string().starts_with("l.toml:2: unknown field `distance_m`"), "{error}");
    }

    /// Numbers that are no measure of anything are refused wherever a number stands.
    #[test]
    fn no_key_takes_nan_infinity_or_numbers_beyond_measure() {
        fn try_each(
            key: &str,
            value: &toml::Value,
            path: &mut Vec<String>,
            whole: &toml::Table,
            seen: &mut usize,
        ) {
            path.push(key.to_owned());
            match value {
                toml::Value::Table(table) => {
                    for (key, value) in table {
                        try_each(key, value, path, whole, seen);
                    }
                }
                toml::Value::Float(_) => {
                    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300] {
                        *seen += 1;
                        let mut whole = whole.clone();
                        let mut at = &mut whole;
                        let (last, sections) = path.split_last().unwrap();
                        for section in sections {
                            at = at.get_mut(section).unwrap().as_table_mut().unwrap();
                        }
                        at.insert(last.clone(), toml::Value::Float(bad));
                        let text = toml::to_string(&whole).unwrap();
                        let error = Scenario::parse(&text, "x.toml").unwrap_err().to_string();
                        let line =
                            text.lines().position(|line| line.starts_with(&format!("{last} =")));
                        assert!(
                            line.is_some() && error.contains(last.as_str()),
                            "{path:?} = {bad}: {error}"
                        );
                    }
                }
                _ => {}
            }
            path.pop();
        }
        let whole: toml::Table =
            toml::from_str(&Scenario::preset("hall").unwrap().to_toml()).unwrap();
        let mut seen = 0;
        for (key, value) in &whole {
            try_each(key, value, &mut Vec::new(), &whole, &mut seen);
        }
        assert!(seen > 150, "{seen}");
    }

    #[test]
    fn a_value_with_the_wrong_unit_or_type_is_refused_with_its_line() {
        let wrong_unit =
            Scenario::parse("name = \"x\"\n[forwarding]\nturnaround_s = 0.002\n", "x.toml");
        assert!(
            wrong_unit
                .unwrap_err()
                .to_string()
                .starts_with("x.toml:3: unknown field `turnaround_s`")
        );
        let wrong_type = Scenario::parse("name = \"x\"\n[air]\nrician_k = \"two\"\n", "x.toml");
        assert!(wrong_type.unwrap_err().to_string().starts_with("x.toml:3: invalid type: string"));
    }

    #[test]
    fn sections_that_contradict_each_other_are_refused() {
        let text = "name = \"x\"\n[otp]\nn = 256\nk = 96\n[forwarding]\ncode_bits = 1024\ngroup_bits = 96\n";
        let error = Scenario::parse(text, "x.toml").unwrap_err().to_string();
        assert_eq!(error, "x.toml:6: [forwarding] code_bits = 1024, but otp.n = 256");
    }
}
