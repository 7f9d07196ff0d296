//! The page and the picture: complete, well-formed, self-contained, and never a panic.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests

mod support;

use crqkd_report::{
    ByEnd, Counting, GroupRecord, LinkData, Matrix, RunData, SimulatedBits, TableRow, WindowData,
    bit_raster_svg, render,
};
use num_complex::Complex32;
use roxmltree::{Document, ParsingOptions};

fn parse(xml: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(xml, options).unwrap_or_else(|e| panic!("{e}"))
}

fn count(page: &Document<'_>, name: &str) -> usize {
    page.descendants().filter(|n| n.has_tag_name(name)).count()
}

/// Every attribute that makes a browser fetch something.
fn resources(page: &Document<'_>) -> Vec<String> {
    let names = ["href", "src", "srcset", "poster", "data", "action"];
    page.descendants()
        .flat_map(|n| n.attributes())
        .filter(|a| names.contains(&a.name()))
        .map(|a| a.value().to_owned())
        .collect()
}

#[test]
fn the_page_is_well_formed_and_has_every_figure() {
    let html = render(&support::run(4, 1));
    let page = parse(&html);
    assert_eq!(count(&page, "figure"), 9);
    assert_eq!(count(&page, "table"), 1);
    assert_eq!(count(&page, "figcaption"), 9);
    assert!(html.contains("not accounted"));
    assert!(html.contains("Simulation."));
}

#[test]
fn the_page_asks_for_nothing_over_the_network() {
    let html = render(&support::run(2, 2));
    assert!(!html.contains("http://") && !html.contains("https://"));
    assert!(!html.contains("url(") && !html.contains("@import"));
    let page = parse(&html);
    assert_eq!(count(&page, "script") + count(&page, "link") + count(&page, "iframe"), 0);
    let resources = resources(&page);
    assert_eq!(resources.len(), 4, "the picture and its scale for each link");
    assert!(resources.iter().all(|r| r.starts_with("data:image/png;base64,")));
}

#[test]
fn every_drawing_has_a_text_alternative_and_ids_are_unique() {
    let html = render(&support::run(1, 3));
    let page = parse(&html);
    let ids: Vec<_> = page.descendants().filter_map(|n| n.attribute("id")).collect();
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(ids.len(), unique.len());
    for svg in page.descendants().filter(|n| n.has_tag_name("svg")) {
        if svg.attribute("aria-hidden") == Some("true") {
            continue;
        }
        assert_eq!(svg.attribute("role"), Some("img"));
        for id in svg.attribute("aria-labelledby").unwrap().split(' ') {
            let text = page.descendants().find(|n| n.attribute("id") == Some(id)).unwrap().text();
            assert!(text.unwrap().len() > 20);
        }
    }
}

#[test]
fn names_are_escaped() {
    let evil = "<script>alert('x')</script>\u{0}\u{1b}&\"";
    let mut run = support::run(1, 4);
    run.scenario = evil.into();
    run.command = Some(evil.into());
    run.fact(evil, evil);
    run.table.push(TableRow::new(evil, 1.0, evil, Counting::None));
    for link in &mut run.links {
        link.qap = evil.into();
        link.user = evil.into();
        link.impulse.as_mut().unwrap().measured_by = evil.into();
    }
    let html = render(&run);
    assert!(!html.contains("<script"));
    assert_eq!(count(&parse(&html), "script"), 0);
    let svg = bit_raster_svg(&run);
    assert!(!svg.contains("<script"));
    parse(&svg);
}

#[test]
fn a_run_of_a_minute_and_a_half_stays_small() {
    let run = support::run(66, 5);
    let (page, raster) = (render(&run), bit_raster_svg(&run));
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    assert!(raster.len() < 150_000, "{} bytes", raster.len());
}

#[test]
fn the_raster_draws_exactly_the_bits_that_differ() {
    let mut run = RunData::new("hall", 1);
    let differing = [0, 31, 32, 33, 63, 100];
    let mut user = vec![0u8; 128];
    differing.iter().for_each(|i| user[*i] = 1);
    let matrix = |bits: Vec<u8>| Matrix::new(32, 4, bits).unwrap();
    run.links.push(LinkData {
        simulated_bits: Some(SimulatedBits(ByEnd {
            qap: matrix(vec![0; 128]),
            user: matrix(user),
            eve: Some(matrix(vec![1; 128])),
        })),
        ..LinkData::default()
    });
    let svg = bit_raster_svg(&run);
    assert!(svg.contains("d=\"M0 0h1M31 0h1M0 1h2M31 1h1M4 3h1\""), "{svg}");
    assert!(svg.contains("d=\"M0 0h32M0 1h32M0 2h32M0 3h32\""));
    assert!(
        svg.contains("4.7\u{a0}% of bits differ") && svg.contains("100.0\u{a0}% of bits differ")
    );
}

#[test]
fn the_raster_is_a_standalone_svg_file() {
    let svg = bit_raster_svg(&support::run(8, 6));
    let document = parse(&svg);
    let root = document.root_element();
    assert_eq!(root.tag_name().namespace(), Some("http://www.w3.org/2000/svg"));
    assert_eq!(svg.matches("http").count(), 1, "the namespace alone");
    parse(&bit_raster_svg(&RunData::new("empty", 0)));
}

#[test]
fn runs_that_lack_parts_are_drawn_without_them() {
    let full = support::run(2, 10);
    let mut runs = vec![RunData::new("", 0)];
    let mut with = |change: &dyn Fn(&mut LinkData)| {
        let mut run = full.clone();
        run.links.iter_mut().for_each(change);
        runs.push(run);
    };
    with(&|link| *link = LinkData::default());
    with(&|link| link.groups.clear());
    with(&|link| link.groups.truncate(1));
    with(&|link| link.windows.clear());
    with(&|link| link.simulated_bits = None);
    with(&|link| link.impulse = None);
    with(&|link| link.tolerable_kdr = None);
    with(&|link| {
        link.csi.eve = None;
        link.groups.iter_mut().for_each(|g| g.eve_kdr = None);
        link.simulated_bits.as_mut().unwrap().0.eve = None;
    });
    with(&|link| {
        link.air_time_s.truncate(1);
        link.windows.clear();
        link.impulse.as_mut().unwrap().air_time_s.truncate(1);
    });
    for run in &runs {
        parse(&render(run));
        parse(&bit_raster_svg(run));
    }
}

#[test]
fn parts_that_do_not_fit_together_are_drawn_without_a_panic() {
    let mut run = support::run(2, 11);
    let link = &mut run.links[0];
    link.windows.push(WindowData { first: usize::MAX, probes: 9, ..WindowData::default() });
    link.windows[0].carriers = vec![999];
    link.windows[1].thresholds_db.qap.clear();
    link.csi.user = Matrix::empty(3);
    link.air_time_s.iter_mut().for_each(|t| *t = f64::NAN);
    link.impulse.as_mut().unwrap().air_time_s.fill(f64::INFINITY);
    let (kdr, eve_kdr) = (f64::NAN, Some(f64::INFINITY));
    link.groups.push(GroupRecord { group: 0, attempt: 1, kdr, eve_kdr, decoded: true });
    let link = &mut run.links[1];
    link.csi.qap = Matrix::new(1, 52, vec![Complex32::ZERO; 52]).unwrap();
    link.windows.clear();
    link.impulse.as_mut().unwrap().taps = Matrix::new(2, 1, vec![Complex32::ZERO; 2]).unwrap();
    run.table.push(TableRow::new("x", f64::NAN, "%", Counting::Raw).interval(0.0, f64::INFINITY));
    parse(&render(&run));
    parse(&bit_raster_svg(&run));
}

/// Also leaves the files in the test's own folder under `target/tmp`, for a look at them.
#[test]
fn the_page_of_a_run_as_long_as_the_demo_stays_small() {
    let run = support::run(66, 1);
    let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (name, text, most) in
        [("report.html", render(&run), 2_000_000), ("raster.svg", bit_raster_svg(&run), 150_000)]
    {
        std::fs::write(dir.join(name), &text).unwrap();
        assert!(text.len() < most, "{name} has {} bytes", text.len());
    }
}
