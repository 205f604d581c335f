//! The page of a verdict: its result; for each image the matrix of test cases and engines, what did
//! not pass, and, folded, what did; the timelines of all engines.

use maud::{Markup, html};

use super::cases::{details, folded, reasons_of_skips};
use super::document::{Head, Status, page};
use super::filter::filter;
use super::matrix::matrix;
use super::results::NumberedCase;
use super::timeline::{Lane, end, lanes, marks};
use crate::check::verdict::{EngineRun, RunResult, VERSION, Verdict};
use crate::image::Timestamp;
use crate::report::{self, unique};
use crate::text;

/// Returns the page of `verdict`.
pub fn check_page(verdict: &Verdict) -> String {
    let status = match verdict.result() {
        RunResult::Passed => Status::Passed,
        RunResult::Failed => Status::Failed,
        RunResult::Undetermined => Status::Undetermined,
    };
    let cases: Vec<NumberedCase<'_>> = verdict.cases.iter().enumerate().collect();
    let body = html! {
        @for image in unique(verdict.cases.iter().map(|case| case.image.as_str())) {
            (image_section(image, &cases))
        }
        (engines(&verdict.engine_runs))
    };
    let summary = [report::summary(verdict)];
    page(&Head { facts: facts(verdict), ..Head::new(status, &summary) }, Some(&filter()), body)
}

/// When and how the run was started.
fn facts(verdict: &Verdict) -> Markup {
    // 2024-05-01T12:00:00Z is easier to read as 2024-05-01 12:00:00 UTC.
    let time = |time: &Timestamp| time.to_string().replace('T', " ").replace('Z', " UTC");
    html! {
        @if let Some(started) = &verdict.started {
            p class="facts" { (time(started)) ", seatrial " (VERSION) }
        }
        @if let Some(command) = &verdict.command {
            p class="facts" { code { (command) } }
        }
    }
}

fn image_section(image: &str, cases: &[NumberedCase<'_>]) -> Markup {
    let cases: Vec<NumberedCase<'_>> =
        cases.iter().filter(|(_, case)| case.image == image).copied().collect();
    html! {
        section {
            h2 { (text::escape(image)) }
            (matrix(&cases))
            (details(&cases))
            (reasons_of_skips(&cases))
            (folded(&cases))
        }
    }
}

/// The timelines of all engines, on one axis.
fn engines(runs: &[EngineRun]) -> Markup {
    let several_images = unique(runs.iter().map(|run| run.image.as_str())).len() > 1;
    let lanes: Vec<Lane> = runs.iter().map(|run| lane(run, several_images)).collect();
    html! {
        @if !lanes.is_empty() {
            section {
                h2 class="text" { "From the start of each VM until its engine was ready" }
                (self::lanes(&lanes, end(&lanes)))
            }
        }
    }
}

fn lane(run: &EngineRun, shows_image: bool) -> Lane {
    let ready = run.timeline.last().map_or(0.0, |event| event.at.as_secs_f64());
    Lane {
        title: html! {
            (run.engine) span class="quiet" { " " (text::shorten(&run.version)) }
            @if shows_image { br; small class="quiet" { (text::escape(&run.image)) } }
        },
        note: html! {
            (format!("ready after {ready:.2} s, image loaded in {:.1} s", run.load_seconds))
            @if let Some(reason) = &run.fallback {
                span class="quiet" { "; booted instead of restored: " (text::message(reason)) }
            }
        },
        marks: marks(&run.timeline),
        open: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::verdict::{Check, Outcome, TestCase};

    fn case(outcome: Outcome) -> TestCase {
        TestCase {
            image: "my/app:1.0".to_owned(),
            engine: Some("docker-20.10".to_owned()),
            name: "run <app>".to_owned(),
            outcome,
            seconds: 0.0,
            passed_checks: Vec::new(),
            hints: Vec::new(),
            stderr: String::new(),
            output: "<script>alert(1)</script>\u{1b}[31mred\u{1b}[2J".to_owned(),
        }
    }

    fn failed() -> Outcome {
        let (expected, found) = ("0".into(), "1".into());
        Outcome::Failed {
            mismatches: vec![Check { subject: "exit code".to_owned(), expected, found }],
        }
    }

    fn page_of(cases: Vec<TestCase>) -> String {
        check_page(&Verdict { cases, ..Verdict::default() })
    }

    #[test]
    fn the_title_of_the_page_is_the_result_of_all_test_cases() {
        let passed = || case(Outcome::Passed);
        let failed = || case(failed());
        let error = || case(Outcome::Error { problem: "no QEMU".to_owned() });
        for (title, cases) in [
            ("Passed", vec![passed()]),
            ("Failed", vec![passed(), failed()]),
            ("Could not be determined", vec![passed(), failed(), error()]),
        ] {
            let page = page_of(cases);
            assert!(page.contains(&format!("<h1>{title}</h1>")), "{title}: {page}");
            assert!(page.contains("run &lt;app&gt;") && !page.contains("<script>alert"), "{page}");
        }
    }

    #[test]
    fn what_failed_is_open_and_what_passed_is_folded() {
        let on =
            |engine: &str, outcome| TestCase { engine: Some(engine.to_owned()), ..case(outcome) };
        let page = page_of(vec![
            on("docker-28", failed()),
            on("podman-5.4", Outcome::Passed),
            on("containerd-1.7", failed()),
            TestCase { name: "run fine".to_owned(), ..on("docker-28", Outcome::Passed) },
        ]);
        // The same failure on two engines is explained once, and both cells lead there.
        assert_eq!(page.matches("<article").count(), 1, "{page}");
        assert_eq!(page.matches(r##"href="#c0""##).count(), 2, "{page}");
        assert!(page.contains("on docker-28, containerd-1.7"), "{page}");
        assert!(page.contains(r##"href="#c1""##) && page.contains(r#"id="c1""#), "{page}");
        assert!(page.contains("Show 1 test case without failures"), "{page}");
        let (_, folded) = page.split_once(r#"<details class="fold""#).unwrap();
        assert!(!folded.split_once('>').unwrap().0.contains("open"), "{page}");
    }

    #[test]
    fn the_matrix_is_hidden_with_its_head_if_nothing_failed() {
        let passed = page_of(vec![case(Outcome::Passed)]);
        assert!(passed.contains(r#"<div class="matrix quiet-matrix">"#), "{passed}");
        assert!(!passed.contains("<tbody></tbody>"), "{passed}");
        assert!(passed.contains("Show the table of 1 test case<"), "{passed}");
        let failed = page_of(vec![case(failed())]);
        assert!(failed.contains(r#"<div class="matrix">"#), "{failed}");
        assert!(!failed.contains(r#"<tbody class="quiet-rows">"#), "{failed}");
    }

    #[test]
    fn names_are_complete_and_links_and_heads_of_the_matrix_have_labels() {
        let (image, name) = ("i".repeat(400), format!("run {}", "n".repeat(3000)));
        let long = |outcome| TestCase { image: image.clone(), name: name.clone(), ..case(outcome) };
        let page = page_of(vec![long(failed())]);
        assert!(page.contains(&format!("<h2>{image}</h2>")), "{page}");
        // The row and the explanation, which the filter searches.
        assert_eq!(page.matches(&format!("data-name=\"{name}\"")).count(), 2, "{page}");
        assert!(page.contains(&format!("<th scope=\"row\">{name}</th>")), "{page}");
        assert!(!page.contains("<th>") && page.contains("<th scope=\"col\">Test case"), "{page}");
        let label = format!("aria-label=\"{name}: failed (docker-20.10)\"");
        assert!(page.contains(&label), "{page}");
        let passed = page_of(vec![long(Outcome::Passed)]);
        assert_eq!(passed.matches(&format!("data-name=\"{name}\"")).count(), 2, "{passed}");
        assert!(!passed.contains("more bytes"), "{passed}");
    }

    #[test]
    fn hints_are_shown_whatever_the_result() {
        for outcome in [Outcome::Passed, failed()] {
            let page =
                page_of(vec![TestCase { hints: vec!["try <b>".to_owned()], ..case(outcome) }]);
            assert!(page.contains("<b>Hint: </b>try &lt;b&gt;"), "{page}");
        }
    }

    #[test]
    fn a_cell_shows_the_worst_result_of_test_cases_with_the_same_name() {
        let page = page_of(vec![case(Outcome::Passed), case(failed())]);
        assert_eq!(page.matches(r##"<td class="failed"><a href="#c1""##).count(), 1, "{page}");
    }

    #[test]
    fn output_has_its_colours_and_other_control_sequences_are_escaped() {
        let page = page_of(vec![case(failed())]);
        assert!(
            page.contains(r#"&lt;script&gt;alert(1)&lt;/script&gt;<span class="t1">red\u{1b}[2J"#),
            "{page}"
        );
    }

    #[test]
    fn the_timelines_of_all_engines_have_one_axis() {
        let event = |seconds| crate::engine::TimelineEvent {
            at: std::time::Duration::from_secs(seconds),
            guest: None,
            what: "ready".to_owned(),
        };
        let run = |engine: &str, seconds| EngineRun {
            image: "my/app:1.0".to_owned(),
            engine: engine.to_owned(),
            version: "1".to_owned(),
            timeline: vec![event(seconds)],
            fallback: None,
            load_seconds: 1.0,
            present_layers: 0,
        };
        let mut engine_runs = vec![run("docker-28", 2), run("podman-5.4", 8)];
        let page_of = |engine_runs: &[EngineRun]| {
            check_page(&Verdict { engine_runs: engine_runs.to_vec(), ..Verdict::default() })
        };
        let page = page_of(&engine_runs);
        assert_eq!(page.matches(r#"class="axis""#).count(), 1, "{page}");
        assert!(page.contains("left:25.00%") && page.contains("left:100.00%"), "{page}");
        // The image is named if there are several.
        assert!(!page.contains("my/app:1.0"), "{page}");
        engine_runs.push(EngineRun { image: "other:2".to_owned(), ..run("docker-28", 1) });
        let page = page_of(&engine_runs);
        assert!(page.contains("my/app:1.0") && page.contains("other:2"), "{page}");
    }
}
