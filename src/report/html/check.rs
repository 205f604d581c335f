//! The page of a verdict: its result, then the test cases of each image and engine.

use maud::{Markup, html};

use super::document::{Status, page};
use super::timeline::timeline;
use crate::check::verdict::{Check, EngineRun, Outcome, TestCase, Verdict};
use crate::report::{self, unique};
use crate::text;

/// Returns the page of `verdict`.
pub fn check_page(verdict: &Verdict) -> String {
    let tally = verdict.tally();
    let status = match (tally.errors, tally.failed) {
        (0, 0) => Status::Passed,
        (0, _) => Status::Failed,
        _ => Status::Undetermined,
    };
    let body = html! {
        @for image in unique(verdict.cases.iter().map(|case| case.image.as_str())) {
            (image_section(image, &verdict.cases))
        }
        @for run in &verdict.engine_runs { (engine_run(run)) }
    };
    page(status, &[report::tally(tally, verdict.seconds)], body)
}

fn image_section(image: &str, cases: &[TestCase]) -> Markup {
    let cases: Vec<&TestCase> = cases.iter().filter(|case| case.image == image).collect();
    let engines = unique(cases.iter().filter_map(|case| case.engine.as_deref()));
    html! {
        h2 { (text::shorten(image)) }
        @if engines.len() > 1 { (matrix(&cases, &engines)) }
        (case_table("Static checks", &cases, None))
        @for engine in engines {
            (case_table(&format!("Runtime checks on {engine}"), &cases, Some(engine)))
        }
    }
}

/// The results of all test cases (rows) on all engines (columns).
fn matrix(cases: &[&TestCase], engines: &[&str]) -> Markup {
    let runtime = || cases.iter().filter(|case| case.engine.is_some());
    let find = |name: &str, engine: &str| {
        runtime().find(|case| case.name == name && case.engine.as_deref() == Some(engine))
    };
    html! {
        table {
            thead { tr { th { "Test case" } @for engine in engines { th { (engine) } } } }
            tbody {
                @for name in unique(runtime().map(|case| case.name.as_str())) {
                    tr {
                        td { (name) }
                        @for engine in engines {
                            td { @if let Some(case) = find(name, engine) { (badge(case)) } }
                        }
                    }
                }
            }
        }
    }
}

/// The test cases on `engine`, or the static ones.
fn case_table(title: &str, cases: &[&TestCase], engine: Option<&str>) -> Markup {
    let cases: Vec<&&TestCase> =
        cases.iter().filter(|case| case.engine.as_deref() == engine).collect();
    html! {
        @if !cases.is_empty() {
            section {
                h3 { (title) }
                table { tbody { @for case in cases { (case_row(case)) } } }
            }
        }
    }
}

fn case_row(case: &TestCase) -> Markup {
    html! {
        tr {
            td class="result" { (badge(case)) }
            td {
                (text::shorten(&case.name))
                (outcome(&case.outcome))
                @if !case.passed_checks.is_empty() {
                    details {
                        summary { "passed checks" }
                        dl { @for check in &case.passed_checks { (passed_check(check)) } }
                    }
                }
                @if !case.output.is_empty() {
                    details { summary { "output" } pre { (case.output) } }
                }
            }
            td class="duration" { @if case.seconds >= 0.1 { (format!("{:.1} s", case.seconds)) } }
        }
    }
}

fn outcome(outcome: &Outcome) -> Markup {
    html! {
        @match outcome {
            Outcome::Passed => {},
            Outcome::Failed { mismatches } => {
                @for mismatch in mismatches {
                    dl {
                        dt { (text::shorten(&mismatch.subject)) }
                        dd { span { "expected" } code { (text::excerpt(&mismatch.expected)) } }
                        dd { span { "found" } code { (text::excerpt(&mismatch.found)) } }
                    }
                }
            },
            Outcome::Error { problem } => pre { (text::message(problem)) },
            Outcome::Skipped { reason } => p class="quiet" { (text::excerpt(reason)) },
        }
    }
}

fn passed_check(check: &Check) -> Markup {
    html! { dd { span { (text::shorten(&check.subject)) } code { (text::excerpt(&check.found)) } } }
}

fn badge(case: &TestCase) -> Markup {
    let result = match case.outcome {
        Outcome::Passed => "passed",
        Outcome::Failed { .. } => "failed",
        Outcome::Error { .. } => "error",
        Outcome::Skipped { .. } => "skipped",
    };
    html! { span class={ "badge " (result) } { (result) } }
}

fn engine_run(run: &EngineRun) -> Markup {
    html! {
        section {
            h3 { "Timeline of " (run.engine) " (" (run.version) ")" }
            (timeline(&run.timeline))
            p class="quiet" { (format!("The image was loaded in {:.1} s.", run.load_seconds)) }
            @if let Some(reason) = &run.fallback {
                p class="quiet" { "The VM was booted instead of restored: " (reason) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(outcome: Outcome) -> TestCase {
        TestCase {
            image: "my/app:1.0".to_owned(),
            engine: Some("docker-20.10".to_owned()),
            name: "run <app>".to_owned(),
            outcome,
            seconds: 0.0,
            passed_checks: Vec::new(),
            output: "<script>alert(1)</script>".to_owned(),
        }
    }

    #[test]
    fn the_title_of_the_page_is_the_result_of_all_test_cases() {
        let passed = || case(Outcome::Passed);
        let failed = || case(Outcome::Failed { mismatches: Vec::new() });
        let error = || case(Outcome::Error { problem: "no QEMU".to_owned() });
        for (title, cases) in [
            ("Passed", vec![passed()]),
            ("Failed", vec![passed(), failed()]),
            ("Could not be determined", vec![passed(), failed(), error()]),
        ] {
            let page = check_page(&Verdict { cases, ..Verdict::default() });
            assert!(page.contains(&format!("<h1>{title}</h1>")), "{title}: {page}");
            assert!(page.contains("run &lt;app&gt;") && !page.contains("<script>"), "{page}");
        }
    }
}
