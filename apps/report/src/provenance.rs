//! What produced the page: command, options, version, air time and the facts of the run.

use crate::run::{Fact, RunData};
use crate::svg::{escape, number};
use std::fmt::Write;

/// What a run folder says that was written before the fact was kept.
pub(crate) const NOT_RECORDED: &str = "not recorded";

/// The section "What produced this report" as HTML.
pub(crate) fn section(run: &RunData) -> String {
    let mut out =
        String::from("<section>\n<h2>What produced this report</h2>\n<dl class=\"made\">\n");
    let or = |value: Option<String>| value.unwrap_or_else(|| quiet(NOT_RECORDED));
    let code = |text: &String| format!("<code>{}</code>", escape(text));
    row(&mut out, "Command", &or(run.command.as_ref().map(code)));
    row(&mut out, "Version", &or(run.version.as_deref().map(escape)));
    row(&mut out, "Options", &options(&run.options));
    let air = run.air_time_s.map(|s| format!("{} s, all links together", number(s, 1)));
    row(&mut out, "Air time", &or(air));
    out.push_str("</dl>\n");
    if !run.facts.is_empty() {
        out.push_str("<dl>\n");
        for fact in &run.facts {
            row(&mut out, &escape(&fact.name), &escape(&fact.value));
        }
        out.push_str("</dl>\n");
    }
    out + "</section>\n"
}

fn row(out: &mut String, name: &str, value: &str) {
    let _ = writeln!(out, "<div><dt>{name}</dt><dd>{value}</dd></div>");
}

fn quiet(text: &str) -> String {
    format!("<span class=\"quiet\">{text}</span>")
}

fn options(options: &[Fact]) -> String {
    if options.is_empty() {
        return quiet(NOT_RECORDED);
    }
    let one = |o: &Fact| format!("{} <b>{}</b>", escape(&o.name), escape(&o.value));
    options.iter().map(one).collect::<Vec<_>>().join("; ")
}
