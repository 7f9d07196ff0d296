//! docs/json.md against what `--json` prints: every document has the schema and the fields that its table lists, no more
//! and no fewer.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests, outside of #[test] functions

mod common;

use common::{command, crqkd, data, root, stdout_of};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Stdio};

/// Fields by schema, of the tables under the headings "## `crqkd/NAME/VERSION`".
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let page = std::fs::read_to_string(root().join("docs/json.md")).unwrap();
    let mut all = BTreeMap::new();
    let mut schema = None;
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            schema = heading.split('`').nth(1).filter(|name| name.starts_with("crqkd/"));
            if let Some(schema) = schema {
                all.insert(schema.to_owned(), BTreeSet::new());
            }
        } else if let (Some(schema), Some(row)) = (schema, line.strip_prefix("| `")) {
            let field = row.split('`').next().unwrap();
            all.get_mut(schema).unwrap().insert(field.to_owned());
        }
    }
    all
}

/// The paths of a document's fields, `links[].row` for those of the objects in a list. Deeper than this the page describes
/// in words.
fn fields(value: &Value, prefix: &str, depth: u32, found: &mut BTreeSet<String>) {
    let Value::Object(map) = value else { return };
    for (key, value) in map {
        let path = format!("{prefix}{key}");
        found.insert(path.clone());
        if depth == 0 {
            continue;
        }
        match value {
            Value::Array(items) => {
                for item in items {
                    fields(item, &format!("{path}[]."), depth - 1, found);
                }
            }
            other => fields(other, &format!("{path}."), depth - 1, found),
        }
    }
}

fn check(text: &str, schema: &str, seen: &mut BTreeSet<String>) {
    let document: Value = serde_json::from_str(text).unwrap();
    assert_eq!(document["schema"], schema);
    let pages = documented();
    let listed = pages.get(schema).unwrap_or_else(|| panic!("docs/json.md has no {schema}"));
    // As deep as the page goes: a field is listed with its own fields, or without any.
    let mut found = BTreeSet::new();
    fields(&document, "", 2, &mut found);
    let shown: BTreeSet<_> = found
        .iter()
        .filter(|path| {
            let parent = path.rsplit_once('.').map_or("", |(parent, _)| parent);
            parent.is_empty() || listed.iter().any(|one| one.starts_with(&format!("{parent}.")))
        })
        .cloned()
        .collect();
    let missing: Vec<_> = shown.difference(listed).collect();
    let stale: Vec<_> = listed.difference(&found).collect();
    assert!(missing.is_empty(), "{schema}: not on the page: {missing:?}");
    assert!(stale.is_empty(), "{schema}: on the page, but not printed: {stale:?}");
    seen.insert(schema.to_owned());
}

#[test]
fn every_json_document_is_what_the_page_says() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let small = data("scenarios/hall-small.toml").display().to_string();
    let (run, plot, link) = (path("run"), path("plot.svg"), path("link.toml"));
    let quick = "distance_km = 5.0\npulses_per_block = 20000000\n";
    std::fs::write(&link, quick).unwrap();
    let measurements = |name: &str| data(format!("measurements/{name}.npy")).display().to_string();
    let (qap, user) = (measurements("qap"), measurements("user"));
    let frames = data("frames/frames-10db.sigmf-meta").display().to_string();
    let mut seen = BTreeSet::new();
    let cases: [(&str, &[&str]); 13] = [
        ("crqkd/demo/1", &["demo", "--groups", "8", "--scenario", &small]),
        (
            "crqkd/simulate/1",
            &["simulate", "--seconds", "6", "--record", &run, "--scenario", &small],
        ),
        ("crqkd/replay/1", &["replay", &run]),
        ("crqkd/frame/1", &["receive", &frames]),
        ("crqkd/inspect/1", &["inspect", &frames, "-o", &plot]),
        ("crqkd/keygen/2", &["keygen", "--qap", &qap, "--user", &user]),
        ("crqkd/reproduce-table2/1", &["reproduce", "table2", "--seeds", "2", "--bits", "100000"]),
        ("crqkd/faults/1", &["faults", "--only", "gain"]),
        ("crqkd/polar-fer/1", &["polar", "fer", "-n", "128", "-k", "32"]),
        ("crqkd/qkd-simulate/1", &["qkd", "simulate", "--link", &link]),
        ("crqkd/bench-polar/1", &["bench", "polar", "--quick"]),
        ("crqkd/bench-quantum/1", &["bench", "quantum", "--quick"]),
        ("crqkd/bench-receive/1", &["bench", "receive", "--quick", "--accuracy"]),
    ];
    for (schema, args) in cases {
        let output = crqkd(args.iter().chain(&["--json"]));
        let code = output.status.code();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(code, Some(0 | 1)), "{args:?}: {said}");
        let text = String::from_utf8(output.stdout).unwrap();
        match schema {
            "crqkd/frame/1" => text.lines().for_each(|line| check(line, schema, &mut seen)),
            _ => check(&text, schema, &mut seen),
        }
    }
    ends_of_a_link(dir.path(), &link, &mut seen);
    roles_on_an_air(dir.path(), &small, &mut seen);
    let unseen: Vec<_> = documented().into_keys().filter(|schema| !seen.contains(schema)).collect();
    // What takes minutes is only described.
    assert_eq!(unseen, ["crqkd/bench-air/1"]);
}

fn started(args: &[&str]) -> Child {
    let mut command = command();
    command.args(args).arg("--json").stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn ended(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Both ends of a quantum link, and its audit.
fn ends_of_a_link(dir: &Path, link: &str, seen: &mut BTreeSet<String>) {
    let path = |name: &str| dir.join(name).display().to_string();
    let [alice, bob, secret, copy] = ["link-alice", "link-bob", "secret", "copy"].map(path);
    stdout_of(["qkd", "secret", &secret]);
    std::fs::copy(&secret, &copy).unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let address = free.to_string();
    let common = ["--link", link];
    let listen = ["qkd", "bob", "--listen", &address, "--dir", &bob, "--secret", &copy];
    let connect = ["qkd", "alice", "--connect", &address, "--dir", &alice, "--secret", &secret];
    let ends = [listen, connect].map(|args| started(&[&args[..], &common].concat()));
    for end in ends {
        check(&ended(end), "crqkd/qkd-end/1", seen);
    }
    check(&stdout_of(["qkd", "audit", &alice, &bob, "--json"]), "crqkd/qkd-audit/1", seen);
}

/// An air and the roles on it.
fn roles_on_an_air(dir: &Path, scenario: &str, seen: &mut BTreeSet<String>) {
    let socket = dir.join("air.sock").display().to_string();
    let radio = format!("air:{socket}");
    let common = ["--seed", "3", "--scenario", scenario];
    let air = started(&[&["air", "--listen", &socket][..], &common].concat());
    let roles = [
        ("qap", "qap1"),
        ("user", "alice"),
        ("eve", "eve1"),
        ("qap", "qap2"),
        ("user", "bob"),
        ("eve", "eve2"),
    ]
    .map(|(kind, role)| {
        started(&[&[kind, "--role", role, "--radio", &radio][..], &common].concat())
    });
    for role in roles {
        check(&ended(role), "crqkd/role/1", seen);
    }
    check(&ended(air), "crqkd/air/1", seen);
}
