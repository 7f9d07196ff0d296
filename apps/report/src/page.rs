//! The page: one HTML file that needs nothing else.

use crate::figures::{channel, kdr, quantum, raster, waterfall};
use crate::provenance::{self, NOT_RECORDED};
use crate::run::{LinkData, RunData};
use crate::style;
use crate::svg::{Figure, escape};
use crate::table::table;
use std::fmt::Write;

/// The run as one self-contained HTML page, which is also well-formed XML.
///
/// It has no script and asks for nothing over the network. It never fails: what a run does not
/// hold is left out.
pub fn render(run: &RunData) -> String {
    let scenario = escape(&run.scenario);
    let mut out = String::new();
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n\
         <title>crqkd: {scenario}, seed {seed}</title>\n<style>{style}{css}</style>\n</head>\n<body>\n\
         <main>\n<header>\n<p class=\"over\">crqkd run report</p>\n\
         <h1>Scenario \u{201c}{scenario}\u{201d}, seed {seed}</h1>\n",
        seed = run.seed,
        style = style::for_page(),
        css = include_str!("page.css")
    );
    out.push_str(
        "<p class=\"lead\">Two users far apart get the same secret key. Between two quantum access \
         points (QAPs) it comes from quantum key distribution. On the last mile it travels by radio, \
         masked with random bits that a QAP and its user both read off the fading channel between \
         them, and that Eve, who hears everything but stands elsewhere, cannot.</p>\n",
    );
    if run.links.iter().any(|link| link.simulated_bits.is_some()) {
        out.push_str(
            "<p class=\"badge\"><strong>Simulation.</strong> The key bits drawn here were made by \
             a simulated channel, for demonstration. They protect nothing and never will.</p>\n",
        );
    }
    out.push_str("</header>\n");
    out.push_str(&provenance::section(run));
    if !run.table.is_empty() {
        out.push_str("<section>\n<h2>Results beside the paper\u{2019}s</h2>\n");
        out.push_str(&table(&run.table));
        out.push_str(
            "<p class=\"notes\"><span class=\"broad\">On the right: <svg viewBox=\"0 0 34 14\" width=\"34\" height=\"14\" \
             aria-hidden=\"true\"><path class=\"bar\" d=\"M3 7H31M3 3v8M31 3v8\"/><circle \
             class=\"spot\" cx=\"17\" cy=\"7\" r=\"4\"/></svg> this run with its 95 % interval, \
             <svg viewBox=\"0 0 10 14\" width=\"10\" height=\"14\" aria-hidden=\"true\"><path \
             class=\"paper-mark\" d=\"M5 0v14\"/></svg> the paper\u{2019}s figure; each row has its \
             own scale.</span> <em>Raw</em> counts bits as quantized, <em>corrected</em> those left after \
             error correction, <em>secret</em> those that the ledger credits against every \
             eavesdropper; where there is no ledger, no bit is accounted secret. The paper: Li, \
             Luo, Yu, Hu, Wang, \u{201c}Information-Theoretic Secure Key Sharing for Wide-Area \
             Mobile Applications\u{201d}, IEEE Wireless Communications.</p>\n</section>\n",
        );
    }
    let mut number = 0;
    for (i, link) in run.links.iter().enumerate() {
        section(&mut out, run, link, i, &mut number);
    }
    out.push_str("<section>\n<h2>The quantum link</h2>\n");
    match run.quantum.as_ref().and_then(|link| quantum::figure(link, "quantum")) {
        Some(figure) => write_figure(&mut out, figure, &mut number),
        None => {
            let _ =
                writeln!(out, "<p class=\"quiet\">Its error rate and rates: {NOT_RECORDED}.</p>");
        }
    }
    out.push_str("</section>\n");
    let _ =
        write!(out, "<footer><p>Drawn by <code>crqkd report</code> {}", env!("CARGO_PKG_VERSION"));
    out.push_str(
        ". This page is one file: it has no script and asks for nothing over the network.</p>\
         </footer>\n</main>\n</body>\n</html>\n",
    );
    out
}

fn section(out: &mut String, run: &RunData, link: &LinkData, index: usize, number: &mut usize) {
    let (qap, user) = (escape(&link.qap), escape(&link.user));
    let _ = writeln!(out, "<section>\n<h2>The link between {qap} and {user}</h2>");
    let figures: [Option<Figure>; 4] = [
        channel::figure(link, run.disturbances, &format!("channel-{index}")),
        raster::figure(link, &format!("raster-{index}")),
        kdr::figure(link, &format!("kdr-{index}")),
        waterfall::figure(link, &format!("waterfall-{index}")),
    ];
    if figures.iter().all(Option::is_none) {
        out.push_str("<p class=\"quiet\">This run kept no measurements of this link.</p>\n");
    }
    for figure in figures.into_iter().flatten() {
        write_figure(out, figure, number);
    }
    out.push_str("</section>\n");
}

fn write_figure(out: &mut String, figure: Figure, number: &mut usize) {
    *number += 1;
    let _ = writeln!(
        out,
        "<figure>\n<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"Drawing of figure \
         {number}\">{}</div>\n<figcaption><span class=\"fig\">Figure {number}.</span> \
         {}</figcaption>\n</figure>",
        figure.drawing, figure.caption
    );
}
