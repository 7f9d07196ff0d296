//! The reference page of scenario and link files, made from the types: the meaning of a key is its doc comment, its range
//! is what the validation says when the key is given a value that it refuses.

use crate::{PRESET_NAMES, Scenario, ScenarioError, parse_link};
use crqkd_quantum::decoy::DecoyConfig;
use serde_json::Value as Json;
use std::fmt::Write;
use toml::{Table, Value};

/// Every key of a scenario file and of a link file, as Markdown.
pub fn reference() -> String {
    let mut page = String::from(HEAD);
    let scenario = Scenario::parse("name = \"example\"", "the defaults").map(|s| s.to_toml());
    let schema = Json::from(schemars::schema_for!(Scenario));
    let check = |text: &str| Scenario::parse(text, "").err();
    write_keys(&mut page, &scenario.unwrap_or_default(), &schema, &check);
    let presets = PRESET_NAMES.join("`, `");
    let _ = write!(
        page,
        "\nThe presets are `{presets}`; `crqkd scenario show hall` prints one as a file.\n"
    );
    page += LINK_HEAD;
    let link = toml::to_string(&DecoyConfig::default()).unwrap_or_default();
    let schema = Json::from(schemars::schema_for!(DecoyConfig));
    write_keys(&mut page, &link, &schema, &|text| parse_link(text, "").err());
    page
}

const HEAD: &str = "\
# Scenario and link files

Made by `crqkd scenario reference > docs/reference/scenario.md` from the types that read the files; a test holds the two
together. Units are in the names of the keys. A key that is left out has its default; a key that is not listed here is
refused with its line, and so is a value outside its range, NaN and infinity included. `crqkd scenario check FILE` says
what is wrong with a file.

## Scenario: keys before the first section
";

const LINK_HEAD: &str = "
## Link (`crqkd qkd ... --link FILE`)

The decoy-state link of `crqkd qkd`; no sections. `crqkd qkd link show` prints one with every default, `crqkd qkd link check
FILE` checks one.
";

/// One table for each section of `defaults`, in the order of the file.
fn write_keys(
    page: &mut String,
    defaults: &str,
    schema: &Json,
    check: &dyn Fn(&str) -> Option<ScenarioError>,
) {
    let mut section = String::new();
    let mut begun = false;
    for line in defaults.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.to_owned();
            begun = false;
            let about = description(schema, property(schema, &[name]));
            let _ = write!(page, "\n## `[{name}]`\n\n{about}\n");
            continue;
        }
        let Some((key, default)) = line.split_once(" = ") else { continue };
        if !begun {
            *page += "\n| key | default | range | meaning |\n|---|---|---|---|\n";
            begun = true;
        }
        let path: Vec<&str> = if section.is_empty() { vec![key] } else { vec![&section, key] };
        let property = property(schema, &path);
        let range = choices(schema, property).unwrap_or_else(|| range(defaults, &path, check));
        let about = description(schema, property).replace('|', "\\|");
        let default = if key == "name" { "none, must be given" } else { &format!("`{default}`") };
        let _ = writeln!(page, "| `{key}` | {default} | {range} | {about} |");
    }
}

/// The schema of a key, references followed.
fn property<'a>(schema: &'a Json, path: &[&str]) -> &'a Json {
    path.iter().fold(schema, |at, key| {
        let at = resolved(schema, at);
        at.get("properties").and_then(|all| all.get(key)).unwrap_or(&Json::Null)
    })
}

fn resolved<'a>(schema: &'a Json, at: &'a Json) -> &'a Json {
    match at.get("$ref").and_then(Json::as_str).and_then(|path| path.strip_prefix('#')) {
        Some(pointer) => schema.pointer(pointer).unwrap_or(at),
        None => at,
    }
}

/// What the doc comment says, on one line.
fn description(schema: &Json, property: &Json) -> String {
    let text =
        property.get("description").or_else(|| resolved(schema, property).get("description"));
    text.and_then(Json::as_str).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The words that a key may be, with what each means.
fn choices(schema: &Json, property: &Json) -> Option<String> {
    let all = resolved(schema, property).get("oneOf")?.as_array()?;
    let one = |choice: &Json| {
        let word = choice.get("const")?.as_str()?;
        let about = choice.get("description").and_then(Json::as_str).unwrap_or_default();
        let about = about.split_whitespace().collect::<Vec<_>>().join(" ");
        Some(format!("`\"{word}\"`: {about}").replace('|', "\\|"))
    };
    all.iter().map(one).collect::<Option<Vec<_>>>().map(|words| words.join("<br>"))
}

/// What the validation says of values that no key takes.
fn range(defaults: &str, path: &[&str], check: &dyn Fn(&str) -> Option<ScenarioError>) -> String {
    let refused = [f64::MAX, f64::NAN]
        .map(Value::Float)
        .into_iter()
        .chain([i64::MAX, u32::MAX.into(), u16::MAX.into(), u8::MAX.into(), 0].map(Value::Integer));
    for bad in refused.chain([Value::String("\u{1}".into())]) {
        let Ok(mut table) = toml::from_str::<Table>(defaults) else { break };
        let Some((key, sections)) = path.split_last() else { break };
        let at = sections
            .iter()
            .try_fold(&mut table, |at, section| at.get_mut(*section).and_then(Value::as_table_mut));
        let Some(place) = at.and_then(|at| at.get_mut(*key)) else { break };
        *place = match place {
            Value::Array(all) => Value::Array(vec![bad.clone(); all.len()]),
            _ => bad.clone(),
        };
        let Ok(text) = toml::to_string(&table) else { continue };
        if let Some(ScenarioError::Range { message, .. }) = check(&text)
            && message.contains(key)
            && let Some(range) = ["is outside ", "is not in ", "expected "]
                .iter()
                .find_map(|word| message.split_once(word).map(|(_, range)| range))
        {
            return range.replace('|', "\\|");
        }
    }
    "any".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_meaning_and_every_number_a_range() {
        let page = reference();
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
        assert!(rows.len() > 70, "{}", rows.len());
        for row in rows {
            let cells: Vec<&str> = row.split(" | ").collect();
            assert_eq!(cells.len(), 4, "{row}");
            assert!(cells[3].len() > 5, "no meaning: {row}");
            assert!(cells[2] != "any" || row.starts_with("| `description`"), "no range: {row}");
        }
    }
}
