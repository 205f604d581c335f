//! One page for a browser that needs nothing else: the verdict on top, then each image and engine.

use super::picture;
use crate::check::verdict::{Outcome, TestCase, Verdict};

const STYLE: &str = include_str!("report.css");

/// The page.
pub fn page(verdict: &Verdict) -> String {
    let tally = verdict.tally();
    let (word, class) = match (tally.errors, tally.failed) {
        (0, 0) => ("Seaworthy", "passed"),
        (0, _) => ("Not as expected", "failed"),
        _ => ("Not found out", "error"),
    };
    let mut body = format!(
        "<header class=\"{class}\"><h1>{word}</h1><p>{}</p></header>",
        escaped(&super::tally(tally, verdict.seconds))
    );
    for image in unique(verdict.cases.iter().map(|case| case.image.as_str())) {
        let cases: Vec<&TestCase> =
            verdict.cases.iter().filter(|case| case.image == image).collect();
        body.push_str(&format!("<h2>{}</h2>", escaped(image)));
        let engines = unique(cases.iter().filter_map(|case| case.engine.as_deref()));
        if engines.len() > 1 {
            body.push_str(&matrix(&cases, &engines));
        }
        body.push_str(&part("The archive alone", &cases, None));
        for engine in engines {
            body.push_str(&part(&format!("On {engine}"), &cases, Some(engine)));
        }
    }
    for stage in &verdict.engine_runs {
        body.push_str(&format!(
            "<section><h3>{} ({}): what was ready when</h3>{}<p class=\"quiet\">The image was loaded in {:.1} s.{}</p></section>",
            escaped(&stage.engine),
            escaped(&stage.version),
            picture::timeline(&stage.timeline),
            stage.load_seconds,
            stage.fallback.as_ref().map_or(String::new(), |why| escaped(&format!(" Booted, because: {why}"))),
        ));
    }
    document(&format!("{word}: {}", super::tally(tally, verdict.seconds)), &body)
}

/// A page that needs nothing else.
pub(super) fn document(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{}</title><style>{STYLE}</style></head><body>{body}</body></html>\n",
        escaped(title),
    )
}

/// Engine by case, where there are several engines.
fn matrix(cases: &[&TestCase], engines: &[&str]) -> String {
    let live = || cases.iter().filter(|case| case.engine.is_some());
    let head: String =
        engines.iter().map(|engine| format!("<th>{}</th>", escaped(engine))).collect();
    let row = |name: &str| {
        let cell = |engine: &&str| {
            let case =
                live().find(|case| case.name == name && case.engine.as_deref() == Some(*engine));
            case.map_or("<td></td>".to_owned(), |case| format!("<td>{}</td>", badge(case)))
        };
        format!(
            "<tr><td>{}</td>{}</tr>",
            escaped(name),
            engines.iter().map(cell).collect::<String>()
        )
    };
    let rows: String = unique(live().map(|case| case.name.as_str())).into_iter().map(row).collect();
    format!(
        "<table class=\"matrix\"><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )
}

fn part(title: &str, cases: &[&TestCase], engine: Option<&str>) -> String {
    let rows: String = cases
        .iter()
        .filter(|case| case.engine.as_deref() == engine)
        .map(|case| row(case))
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    format!("<section><h3>{}</h3><table><tbody>{rows}</tbody></table></section>", escaped(title))
}

fn row(case: &TestCase) -> String {
    let took = if case.seconds >= 0.1 { format!("{:.1} s", case.seconds) } else { String::new() };
    let mut more = match &case.outcome {
        Outcome::Passed => String::new(),
        Outcome::Failed { mismatches } => mismatches
            .iter()
            .map(|m| {
                format!(
                    "<dl><dt>{}</dt><dd><span>expected</span><code>{}</code></dd><dd><span>found</span><code>{}</code></dd></dl>",
                    escaped(&m.subject),
                    escaped(&m.expected),
                    escaped(&m.found)
                )
            })
            .collect(),
        Outcome::Error { problem } => format!("<pre>{}</pre>", escaped(problem)),
        Outcome::Skipped { reason } => format!("<p class=\"quiet\">{}</p>", escaped(reason)),
    };
    if !case.passed_checks.is_empty() {
        let checks: String = case
            .passed_checks
            .iter()
            .map(|check| {
                let (what, found) = (escaped(&check.subject), escaped(&check.found));
                format!("<dd><span>{what}</span><code>{found}</code></dd>")
            })
            .collect();
        more.push_str(&format!(
            "<details><summary>passed checks</summary><dl>{checks}</dl></details>"
        ));
    }
    if !case.output.is_empty() {
        more.push_str(&format!(
            "<details><summary>output</summary><pre>{}</pre></details>",
            escaped(&case.output)
        ));
    }
    format!(
        "<tr><td class=\"state\">{}</td><td>{}{more}</td><td class=\"took\">{took}</td></tr>",
        badge(case),
        escaped(&case.name)
    )
}

fn badge(case: &TestCase) -> String {
    let (class, word) = match case.outcome {
        Outcome::Passed => ("passed", "ok"),
        Outcome::Failed { .. } => ("failed", "failed"),
        Outcome::Error { .. } => ("error", "error"),
        Outcome::Skipped { .. } => ("skipped", "skipped"),
    };
    format!("<span class=\"badge {class}\">{word}</span>")
}

/// Each once, in order of first occurrence.
fn unique<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut unique = Vec::new();
    names.for_each(|name| {
        if !unique.contains(&name) {
            unique.push(name)
        }
    });
    unique
}

/// `text` as it stands between tags and in attributes: what an image prints must not become part of the page.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
