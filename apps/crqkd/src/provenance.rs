//! What a saved run says about the command that made it.

use crqkd_scenario::Scenario;
use std::ffi::OsString;

/// Options whose value is a folder to write: it is no part of what was run.
const FOLDERS: [&str; 2] = ["--save", "--record"];

/// Options without a value that change what is printed, not what was run.
const SILENT: [&str; 2] = ["--json", "--jitter"];

/// Where a saved run comes from.
pub(crate) struct Provenance {
    /// The command line as it was given.
    pub(crate) command: String,
    /// Name and value of each option, those that were not given included.
    pub(crate) options: Vec<(&'static str, String)>,
}

impl Provenance {
    /// This process's command line, and what its scenario and seed came to.
    pub(crate) fn new(scenario: &Scenario, seed: u64) -> Self {
        let otp = &scenario.otp;
        let options = vec![
            ("scenario", scenario.name.clone()),
            ("seed", seed.to_string()),
            ("groups", scenario.groups.to_string()),
            ("decision", format!("{:?}", otp.decision).to_lowercase()),
            ("ciphertext", format!("{:?}", otp.ciphertext).to_lowercase()),
            (
                "intercepted share of the quantum pulses",
                scenario.quantum.intercept_share.to_string(),
            ),
            ("air time at most", format!("{} s", scenario.forwarding.max_air_time_s)),
        ];
        Provenance { command: command_line(std::env::args_os().skip(1)), options }
    }

    /// With one more option.
    pub(crate) fn option(mut self, name: &'static str, value: String) -> Self {
        self.options.push((name, value));
        self
    }
}

/// The command as a shell takes it; a folder to write is `DIR`, so that equal runs have equal reports.
fn command_line(args: impl IntoIterator<Item = OsString>) -> String {
    let mut out = String::from("crqkd");
    let mut folder = false;
    for arg in args {
        let text = arg.to_string_lossy();
        if SILENT.contains(&text.as_ref()) {
            continue;
        }
        let shown = match text.split_once('=') {
            _ if folder => "DIR".to_owned(),
            Some((name, _)) if FOLDERS.contains(&name) => format!("{name}=DIR"),
            _ => quoted(&text),
        };
        folder = !folder && FOLDERS.contains(&text.as_ref());
        out.push(' ');
        out.push_str(&shown);
    }
    out
}

/// In single quotes where a shell would take it apart.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=,+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(args: &[&str]) -> String {
        command_line(args.iter().map(OsString::from))
    }

    #[test]
    fn a_command_line_names_no_folder_that_it_wrote() {
        let args = ["demo", "--scenario", "my hall.toml", "--save", "/tmp/a", "--json"];
        assert_eq!(line(&args), "crqkd demo --scenario 'my hall.toml' --save DIR");
        assert_eq!(line(&["simulate", "--record=/tmp/a"]), "crqkd simulate --record=DIR");
        assert_eq!(line(&["x", "it's", ""]), "crqkd x 'it'\\''s' ''");
    }
}
