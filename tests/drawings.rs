//! What the commands draw: one style in every SVG, and a page that says where its run comes from.
#![allow(clippy::unwrap_used)] // helpers of tests, outside of #[test] functions

mod common;

use common::{data, stdout_of};
use roxmltree::Document;
use serde_json::Value;
use std::path::Path;

/// The style and the texts of an SVG file.
fn drawing(path: &Path) -> (String, Vec<String>) {
    let svg = std::fs::read_to_string(path).unwrap();
    let document = Document::parse(&svg).unwrap();
    let root = document.root_element();
    assert_eq!(root.tag_name().namespace(), Some("http://www.w3.org/2000/svg"), "{path:?}");
    let text_of = |name: &str| -> Vec<String> {
        let nodes = document.descendants().filter(|node| node.has_tag_name(name));
        nodes.map(|node| node.text().unwrap_or_default().to_owned()).collect()
    };
    let [style]: [String; 1] = text_of("style").try_into().unwrap();
    for name in ["title", "desc"] {
        assert!(text_of(name)[0].len() > 10, "{path:?} has a {name}");
    }
    (style, text_of("text"))
}

#[test]
fn every_svg_has_one_style_and_a_page_names_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let text = |name: &str| path(name).display().to_string();
    let small = data("scenarios/hall-small.toml").display().to_string();
    let (run, page, raster) = (text("run"), text("report.html"), text("raster.svg"));
    let demo = ["demo", "--scenario", &small, "--groups", "4", "--seed", "3", "--save", &run];
    stdout_of(demo);
    stdout_of(["report", &run, "-o", &page, "--raster", &raster]);
    let frames = data("frames/frames-10db.sigmf-meta").display().to_string();
    stdout_of(["inspect", &frames, "-o", &text("inspect.svg")]);
    let short = ["polar", "fer", "-n", "128", "-k", "32", "--frames", "1000", "--points", "3"];
    stdout_of(short.iter().copied().chain(["-o", &text("fer")]));
    let fibre = ["qkd", "simulate", "--distance-km", "0", "--pulses-per-block", "20000000"];
    stdout_of(fibre.iter().copied().chain(["--plot", &text("qkd.svg")]));

    let (style, _) = drawing(&path("raster.svg"));
    for (name, axis) in [
        ("inspect.svg", "MHz from the centre"),
        ("fer.svg", "frame error rate"),
        ("qkd.svg", "secret bits per pulse"),
    ] {
        let (found, texts) = drawing(&path(name));
        assert_eq!(found, style, "{name}");
        assert!(texts.iter().any(|text| text == axis), "{name}: {texts:?}");
    }

    let html = std::fs::read_to_string(&page).unwrap();
    let command = format!("crqkd demo --scenario {small} --groups 4 --seed 3 --save DIR");
    for part in [
        command.as_str(),
        concat!("<dd>crqkd ", env!("CARGO_PKG_VERSION"), "</dd>"),
        "groups <b>4</b>",
        "s, all links together",
        "Eve&#39;s key disagreement rate, QAP&#39;s frames",
        "Eve&#39;s key disagreement rate, user&#39;s frames",
        "<svg id=\"quantum\"",
        "key bits a pulse",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert!(!html.contains("not recorded"));
    assert!(!html.contains(&dir.path().display().to_string()), "it names the folder of the run");
}

#[test]
fn a_folder_of_an_older_version_says_what_it_lacks() {
    let dir = tempfile::tempdir().unwrap();
    let page = dir.path().join("report.html").display().to_string();
    // What an older version did not write yet, taken out of a folder of this one.
    let run = dir.path().join("run");
    std::fs::create_dir(&run).unwrap();
    for entry in std::fs::read_dir(data("recordings/hall")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), run.join(entry.file_name())).unwrap();
    }
    let text = std::fs::read_to_string(run.join("run.json")).unwrap();
    let mut document: Value = serde_json::from_str(&text).unwrap();
    let fields = document["run"].as_object_mut().unwrap();
    for newer in ["version", "options", "air_time_s", "disturbances", "quantum"] {
        assert!(fields.remove(newer).is_some(), "{newer}");
    }
    let rows = fields["table"].as_array_mut().unwrap();
    rows.retain(|row| row["label"] != "Eve's key disagreement rate, user's frames");
    let eve =
        rows.iter_mut().find(|row| row["label"] == "Eve's key disagreement rate, QAP's frames");
    eve.unwrap()["label"] = "Eve's key disagreement rate".into();
    std::fs::write(run.join("run.json"), document.to_string()).unwrap();
    stdout_of(["report", &run.display().to_string(), "-o", &page]);
    let html = std::fs::read_to_string(&page).unwrap();
    for part in [
        "<dt>Version</dt><dd><span class=\"quiet\">not recorded</span></dd>",
        "<dt>Air time</dt><dd><span class=\"quiet\">not recorded</span></dd>",
        "Its error rate and rates: not recorded.",
        "<td class=\"n quiet\">not recorded</td>",
    ] {
        assert!(html.contains(part), "{part}");
    }
}
