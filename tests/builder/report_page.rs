//! The HTML report of a check in a browser: 12 engines, two images, results of all kinds.

use std::path::Path;
use std::time::Duration;

use seatrial::check::verdict::{Check, EngineRun, Outcome, TestCase, Verdict};
use seatrial::engine::TimelineEvent;
use seatrial::report::html;
use serde_json::{Value, json};

use crate::browser::Browser;

const ENGINES: [&str; 12] = [
    "docker-20.10",
    "docker-23.0",
    "docker-26.1",
    "docker-28.5",
    "docker-29.1",
    "podman-4.3",
    "podman-5.4",
    "containerd-1.6",
    "containerd-1.7",
    "containerd-2.1",
    "docker-20.10-arm64",
    "containerd-1.7-arm64",
];

fn case(image: &str, engine: Option<&str>, name: &str, outcome: Outcome) -> TestCase {
    TestCase {
        image: image.to_owned(),
        engine: engine.map(str::to_owned),
        name: name.to_owned(),
        outcome,
        seconds: 1.5,
        passed_checks: Vec::new(),
        hints: Vec::new(),
        output: String::new(),
        stderr: String::new(),
    }
}

fn failed(subject: &str, expected: &str, found: &str) -> Outcome {
    let (subject, expected, found) = (subject.to_owned(), expected.into(), found.into());
    Outcome::Failed { mismatches: vec![Check { subject, expected, found }] }
}

fn engine_run(image: &str, engine: &str) -> EngineRun {
    let event = |seconds, what: &str| TimelineEvent {
        at: Duration::from_secs_f64(seconds),
        guest: None,
        what: what.to_owned(),
    };
    EngineRun {
        image: image.to_owned(),
        engine: engine.to_owned(),
        version: "20.10.24+dfsg1".to_owned(),
        timeline: vec![event(0.1, "QEMU started"), event(0.4, "the engine is ready")],
        fallback: None,
        load_seconds: 0.7,
        present_layers: 0,
    }
}

/// Two images on all engines. The second has passed everywhere.
fn verdict() -> Verdict {
    let (one, two) = ("registry.example:5000/team/app:1.0", "registry.example:5000/team/other:2");
    let long = "value-".repeat(4000);
    let config = failed("config.User", "\"app\"", "nothing");
    let mut cases = vec![
        case(one, None, "config", config),
        case(one, None, "file /etc/app.conf", failed("content", "contains \"port\"", &long)),
        case(one, None, "environment of the config", Outcome::Passed),
    ];
    for engine in ENGINES {
        let on = |name: &str, outcome| case(one, Some(engine), name, outcome);
        cases.push(on("loads with the expected name", Outcome::Passed));
        let found = format!("no connection to port 8080: connection refused by {engine}");
        cases.push(TestCase {
            hints: vec!["the service listens on 8000/tcp; the image exposes 80/tcp".to_owned()],
            output: format!("\u{1b}[32mstarted\u{1b}[0m\n{}\n", "log ".repeat(200)),
            stderr: "warning\n".to_owned(),
            ..on("service web", failed("service", "ready within 60 s", &found))
        });
        cases.push(on(&format!("run {}", "-long-name".repeat(12)), Outcome::Passed));
        let reason = "the engine has no health checks".to_owned();
        cases.push(on("service healthy", Outcome::Skipped { reason }));
        cases.push(case(two, Some(engine), "run hello", Outcome::Passed));
    }
    let problem = format!("QEMU exited (signal 9)\n{}", "console ".repeat(100));
    cases.push(case(one, Some(ENGINES[11]), "run slow", Outcome::Error { problem }));
    let engine_runs = [one, two].map(|image| ENGINES.map(|engine| engine_run(image, engine)));
    Verdict {
        cases,
        engine_runs: engine_runs.concat(),
        seconds: 61.5,
        started: Some("2024-05-01T12:00:00Z".parse().unwrap()),
        command: Some("seatrial check app.tar --expect app.toml".to_owned()),
        ..Verdict::default()
    }
}

/// The page, a copy of which is kept for people in the folder for files of tests.
pub fn browser() -> Browser {
    let page = html::check_page(&verdict());
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("check-page.html");
    std::fs::write(copy, &page).unwrap();
    Browser::new(&page)
}

#[test]
fn the_page_loads_without_messages_and_its_policy_allows_the_filter() {
    let (page, console) = browser().load();
    assert_eq!(console, [""; 0]);
    let (_, form) = page.split_once("<form").unwrap();
    let (attributes, _) = form.split_once('>').unwrap();
    assert!(attributes.contains("filter") && !attributes.contains("hidden"), "{attributes}");
}

#[test]
fn failures_are_open_everything_else_is_folded_and_a_matrix_without_failures_is_hidden() {
    let script = "{
        articles: [...document.querySelectorAll('article')].filter(e => e.checkVisibility()).length,
        hints: [...document.querySelectorAll('article p')].some(e => e.checkVisibility()
            && e.textContent.startsWith('Hint: the service listens')),
        open: document.querySelectorAll('details[open]').length,
        folds: document.querySelectorAll('details.fold').length,
        lines: [...document.querySelectorAll('.line p')].filter(e => e.checkVisibility()).length,
        heads: [...document.querySelectorAll('thead')].map(e => e.checkVisibility()),
        rows: [...document.querySelectorAll('tr[data-row]')].filter(e => e.checkVisibility())
            .map(e => e.dataset.name),
    }";
    let expected = json!({
        // Each engine's failure has a text of its own.
        "articles": 15, "hints": true, "open": 0,
        // Those of the archive and of each engine, for both images.
        "folds": 25, "lines": 0,
        "heads": [true, false],
        "rows": ["config", "file /etc/app.conf", "service web", "run slow"],
    });
    assert_eq!(browser().evaluate(&format!("({script})")), expected);
}

/// Sets the filter, and returns the rows and details that are shown, and the count.
fn filtered(browser: &Browser, text: &str, result: &str) -> Value {
    let script = "(() => {
        const form = document.querySelector('form.filter');
        [form.elements[0].value, form.elements[1].value] = [TEXT, RESULT];
        form.dispatchEvent(new Event('input'));
        const shown = kind => [...new Set([...document.querySelectorAll(kind)]
            .filter(e => e.checkVisibility()).map(e => e.dataset.name))];
        return [shown('tr[data-row]'), shown('article'), shown('.line'),
            form.querySelector('output').value];
    })()";
    let [text, result] = [text, result].map(|value| format!("\"{value}\""));
    browser.evaluate(&script.replace("TEXT", &text).replace("RESULT", &result))
}

#[test]
fn the_filter_shows_test_cases_by_name_and_result() {
    let browser = browser();
    let name = filtered(&browser, "WEB", "");
    assert_eq!(name, json!([["service web"], ["service web"], [], "1 of 9 test cases"]));
    let passed = filtered(&browser, "hello", "passed");
    assert_eq!(passed, json!([["run hello"], [], ["run hello"], "1 of 9 test cases"]));
    let errors = filtered(&browser, "", "error");
    assert_eq!(errors, json!([["run slow"], ["run slow"], [], "1 of 9 test cases"]));
    let everything = filtered(&browser, "", "");
    assert_eq!((&everything[2], &everything[3]), (&json!([]), &json!("")), "{everything}");
}

#[test]
fn the_start_of_the_run_and_the_reasons_of_skips_are_visible() {
    let script = "[...document.querySelectorAll('header .facts, .skip')]
        .filter(e => e.checkVisibility()).map(e => e.textContent)";
    let expected = json!([
        format!("2024-05-01 12:00:00 UTC, seatrial {}", env!("CARGO_PKG_VERSION")),
        "seatrial check app.tar --expect app.toml",
        // The same reason on all engines is shown once.
        format!(
            "skipped service healthy on {}: the engine has no health checks",
            ENGINES.join(", ")
        ),
    ]);
    assert_eq!(browser().evaluate(script), expected);
}

#[test]
fn labels_of_the_timelines_do_not_overlap_on_narrow_pages() {
    let script = "(() => {
        const labels = [...document.querySelectorAll('.axis i')]
            .map(e => e.getBoundingClientRect());
        const gap = (label, index) => index ? label.left - labels[index - 1].right : Infinity;
        return [innerWidth, labels.length > 2, Math.min(...labels.map(gap)) > 4];
    })()";
    for width in [1280, 900, 801, 600] {
        let found = browser().with_width(width).evaluate(script);
        assert_eq!(found, json!([width, true, true]));
    }
}

#[test]
fn names_of_test_cases_stay_readable_on_a_narrow_page_with_12_engines() {
    let script = "[document.documentElement.scrollWidth <= innerWidth,
        document.querySelector('.matrix th').getBoundingClientRect().width >= 14 * 16,
        document.querySelector('.matrix').scrollWidth > 860]";
    assert_eq!(browser().with_width(900).evaluate(script), json!([true, true, true]));
}

#[test]
fn with_12_engines_nothing_lies_off_a_page_of_1280_pixels() {
    // With everything unfolded and every row shown. Boxes may scroll down, but not to the right.
    let script = "(() => {
        document.querySelectorAll('details').forEach(e => e.open = true);
        document.querySelectorAll('.more input').forEach(e => e.checked = true);
        const all = [...document.querySelectorAll('body, body *')].filter(e => e.checkVisibility());
        const name = e => `${e.localName}.${e.className}`;
        return {
            window: innerWidth,
            page: document.documentElement.scrollWidth,
            off: all.filter(e => e.getBoundingClientRect().right > innerWidth
                || e.getBoundingClientRect().left < 0).map(name),
            scrolling: all.filter(e => getComputedStyle(e).overflowX === 'auto'
                && e.scrollWidth > e.clientWidth).map(name),
            tallest: Math.max(...[...document.querySelectorAll('dd code, dd pre')]
                .map(e => e.getBoundingClientRect().height)) <= 512,
        };
    })()";
    let found = browser().evaluate(script);
    assert!(found["page"].as_f64() <= found["window"].as_f64(), "{found}");
    assert_eq!(found["window"], 1280, "{found}");
    let nothing = json!([]);
    assert_eq!((&found["off"], &found["scrolling"]), (&nothing, &nothing), "{found}");
    assert_eq!(found["tallest"], true, "a long value scrolls in its box");
}
