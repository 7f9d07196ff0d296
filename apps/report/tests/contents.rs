//! What the page says of the run: where it comes from, both rows of Eve's, the quantum link.
#![allow(clippy::unwrap_used)] // helpers of tests, outside of #[test] functions

mod support;

use crqkd_report::{
    Disturbances, Look, Panel, Plot, QuantumBlock, QuantumData, ReportError, RunData, Scale,
    Series, TableRow, bit_raster_svg, render,
};
use roxmltree::Document;

/// The text of the page without its tags.
fn words(html: &str) -> String {
    let body = &html[html.find("<body>").unwrap()..];
    let mut text = String::new();
    let mut tag = false;
    for c in body.chars() {
        match c {
            '<' => tag = true,
            '>' => tag = false,
            _ if !tag => text.push(c),
            _ => {}
        }
    }
    text.replace("&#39;", "'")
}

#[test]
fn a_report_names_command_version_options_air_time_and_both_eves() {
    let text = words(&render(&support::run(2, 1)));
    for part in [
        "crqkd demo --scenario hall --seed 1",
        "crqkd 0.1.0",
        "groups 24; decision hard",
        "Air time85.3 s, all links together",
        TableRow::EVE_ON_QAP,
        TableRow::EVE_ON_USER,
        "BB84 over 10.0 km of fibre: 3 blocks, 3\u{202f}000\u{202f}000 pulses",
        "QBER 1.2\u{a0}%",
        "1 of 3 blocks gave no key",
        "QBER too high",
        "8.0\u{a0}% of the time under disturbances of 4.0 s",
        "borders of windows",
    ] {
        assert!(text.contains(part), "{part}");
    }
    assert!(!text.contains("not recorded"));
}

#[test]
fn the_quantum_figure_draws_error_rates_threshold_and_rates() {
    let html = render(&support::run(1, 1));
    let start = html.find("<svg id=\"quantum\"").unwrap();
    let drawing = &html[start..start + html[start..].find("</svg>").unwrap()];
    for part in ["QBER (%)", "threshold", "clicks", "sifted bits", "key bits", "per pulse", "block"]
    {
        assert!(drawing.contains(&format!(">{part}</text>")), "{part}");
    }
    assert!(drawing.contains("class=\"limit\""));
}

#[test]
fn a_folder_that_lacks_facts_says_so() {
    let mut run = support::run(1, 1);
    run.command = None;
    run.version = None;
    run.options.clear();
    run.air_time_s = None;
    run.disturbances = None;
    run.quantum = None;
    run.table.retain(|row| row.label != TableRow::EVE_ON_USER);
    let html = render(&run);
    let text = words(&html);
    for name in ["Command", "Version", "Options", "Air time"] {
        assert!(text.contains(&format!("{name}not recorded")), "{name}");
    }
    assert!(text.contains(&format!("{}not recorded", TableRow::EVE_ON_USER)), "{text}");
    assert!(text.contains("Its error rate and rates: not recorded."));
    assert!(text.contains("How many there were in this run: not recorded."));
    // The label of older folders counts as the row on the QAP's frames.
    let row = run.table.iter_mut().find(|row| row.label == TableRow::EVE_ON_QAP).unwrap();
    row.label = "Eve's key disagreement rate".into();
    let text = words(&render(&run));
    assert!(text.contains(TableRow::EVE_ON_USER) && !text.contains(TableRow::EVE_ON_QAP));
}

#[test]
fn the_page_has_language_title_rules_for_phones_and_for_print() {
    let html = render(&support::run(1, 1));
    assert!(html.contains("<html lang=\"en\">"));
    assert!(html.contains("<title>crqkd: hall, seed 1</title>"));
    assert!(html.contains("width=device-width"));
    assert!(html.contains("@media (max-width: 640px)") && html.contains("@media print"));
    // Paper is light: the dark colours are for screens.
    assert_eq!(html.matches("prefers-color-scheme: dark").count(), 1);
    assert!(html.contains("@media screen and (prefers-color-scheme: dark)"));
}

/// The style of a drawing that stands alone.
fn style(svg: &str) -> String {
    let document = Document::parse(svg).unwrap();
    assert_eq!(document.root_element().tag_name().namespace(), Some("http://www.w3.org/2000/svg"));
    let style = document.descendants().find(|n| n.has_tag_name("style")).unwrap();
    style.text().unwrap().to_owned()
}

#[test]
fn every_drawing_of_a_file_has_the_same_style() {
    let plot = Plot {
        title: "<a> & b".into(),
        description: "A drawing to try.".into(),
        panels: vec![Panel {
            heading: "first".into(),
            height: Panel::HEIGHT,
            x: Scale::linear("x", 0.0, 1.0),
            y: Scale::logarithmic("y", 1e-4, 1.0),
            series: vec![Series::curve("curve", Look::Main, vec![[0.0, 1e-4], [1.0, 1.0]])],
        }],
    };
    let svg = plot.to_svg();
    assert_eq!(style(&svg), style(&bit_raster_svg(&support::run(1, 1))));
    assert!(svg.contains("&lt;a&gt; &amp; b"));
    // From corner to corner of the plot.
    assert!(svg.contains("d=\"M84 366L874 106\""), "{svg}");
    assert!(!svg.contains("var("), "viewers other than browsers know no custom properties");
}

#[test]
fn counts_of_the_quantum_link_that_do_not_fit_are_refused() {
    let refused = |change: &dyn Fn(&mut RunData)| {
        let mut run = RunData::new("hall", 1);
        let block = QuantumBlock { pulses: 10, detected: 5, sifted: 2, ..QuantumBlock::default() };
        run.quantum = Some(QuantumData { blocks: vec![block], ..QuantumData::default() });
        run.validate().unwrap();
        change(&mut run);
        assert!(matches!(run.validate(), Err(ReportError::Inconsistent { .. })));
    };
    refused(&|run| run.quantum.as_mut().unwrap().blocks[0].sifted = 6);
    refused(&|run| run.quantum.as_mut().unwrap().blocks[0].sample_errors = 1);
    refused(&|run| run.quantum.as_mut().unwrap().distance_km = f64::NAN);
    refused(&|run| run.quantum.as_mut().unwrap().qber_threshold = 1.5);
    refused(&|run| run.air_time_s = Some(-1.0));
    refused(&|run| {
        run.disturbances = Some(Disturbances { share: 2.0, mean_s: 1.0, rise_db: 1.0 });
    });
}
