//! Reports of checks: values that a test has found are complete, except on a terminal and in
//! Markdown. Checks without an engine say so.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::lab::Lab;

#[test]
fn a_long_value_is_complete_in_reports_and_cut_on_the_terminal_and_in_markdown() {
    let lab = Lab::new();
    let content = format!("first{}last", "0123456789".repeat(10_000));
    lab.file("root/config", &content);
    lab.file("app.toml", "name = 'app'\ncontents = ['root']\n");
    lab.file("e.toml", "[[file]]\npath = '/config'\ncontent = 'x'\n");
    let reports = ["junit=r.xml", "html=r.html", "json=r.json", "jsonl=r.jsonl", "md=r.md"];
    let reports = reports.iter().flat_map(|report| ["--report", report]);
    let check = ["check", "app.toml", "--expect", "e.toml", "--no-vm"];
    let run = lab.seatrial(check.into_iter().chain(reports));
    assert_eq!(run.output.status.code(), Some(1), "{}", run.stderr());
    let read = |name| std::fs::read_to_string(lab.path(name)).unwrap();

    let verdict: Value = serde_json::from_str(&read("r.json")).unwrap();
    let cases = verdict["cases"].as_array().unwrap();
    let case = cases.iter().find(|case| case["name"] == "file /config").unwrap();
    assert_eq!(case["mismatches"][0]["found"], format!("\"{content}\""));
    for report in ["r.jsonl", "r.xml", "r.html"] {
        assert!(read(report).contains(&content), "{report}");
    }
    for (name, report) in [("terminal", run.stdout()), ("Markdown", read("r.md"))] {
        assert!(report.contains("\"first0123"), "{name}: {report}");
        assert!(report.contains("... (98811 more bytes) ..."), "{name}: {report}");
        assert!(report.contains("6789last\""), "{name}: {report}");
    }
}

#[test]
fn a_value_of_several_lines_has_lines_in_junit_and_html_and_its_white_space_is_visible() {
    let lab = Lab::new();
    let lines: String = (1..=30).map(|number| format!("line {number}\n")).collect();
    lab.file("root/config", format!("{lines}a <b>\tc \n"));
    lab.file("app.toml", "name = 'app'\ncontents = ['root']\n");
    let expected = format!("\"\"\"{lines}a <b>\tc\"\"\"");
    lab.file("e.toml", format!("[[file]]\npath = '/config'\ncontent = {expected}\n"));
    let reports = ["--report", "junit=r.xml", "--report", "html=r.html"];
    let check = ["check", "app.toml", "--expect", "e.toml", "--no-vm"];
    let run = lab.seatrial(check.into_iter().chain(reports));
    assert_eq!(run.output.status.code(), Some(1), "{}", run.stderr());
    let junit = std::fs::read_to_string(lab.path("r.xml")).unwrap();
    let shown = junit.split("  found\n").nth(1).unwrap();
    assert!(shown.starts_with("    line 1\n    line 2\n"), "{junit}");
    assert!(shown.contains("    line 30\n    &quot;a &lt;b&gt;\\tc &quot;"), "{junit}");
    assert_eq!(junit.matches("(no line break at the end)").count(), 1, "{junit}");

    let page = std::fs::read_to_string(lab.path("r.html")).unwrap();
    let script = "[...document.querySelectorAll('article > dl > dd')].map(e => [
        e.querySelector('span').textContent, e.querySelector('pre').textContent,
        e.querySelector('pre').getBoundingClientRect().height > 31 * 15,
        e.querySelector('.spaces')?.textContent, e.querySelector('p')?.textContent])";
    let expected = json!([
        ["expected", format!("{lines}a <b>\\tc\n"), true, null, "(no line break at the end)"],
        ["found", format!("{lines}a <b>\\tc \n"), true, " ", null],
    ]);
    assert_eq!(Browser::new(&page).evaluate(script), expected);
}

/// Expectations of the variables of an image, and the mismatches in the report.
const SECRETS: [(&str, &[[&str; 3]]); 7] = [
    (
        "has = { DB_PASSWORD = 'expected0' }",
        &[["DB_PASSWORD", "<hidden>", "<hidden>, another value"]],
    ),
    (
        "has = { DB_PASSWORD = \"secret0\\n\" }",
        &[["DB_PASSWORD", "<hidden>", "<hidden>, with other white space at its ends"]],
    ),
    (
        "has = { DB_PASSWORD = { contains = 'expected0' } }",
        &[["DB_PASSWORD", "meets <hidden> rules", "<hidden>, which does not"]],
    ),
    (
        "matches = { API_TOKEN = '^expected0$', NO_TOKEN = 'expected0' }",
        &[
            ["API_TOKEN", "meets <hidden> rules", "<hidden>, which does not"],
            ["NO_TOKEN", "meets <hidden> rules", "nothing"],
        ],
    ),
    ("absent = ['DB_PASSWORD']", &[["DB_PASSWORD", "nothing", "<hidden>"]]),
    (
        "has = { DB_PASSWORD = '', MODE = 'fast' }",
        &[["DB_PASSWORD", "\"\"", "<hidden>, another value"], ["MODE", "\"fast\"", "\"\""]],
    ),
    (
        "exactly = { DB_PASSWORD = 'expected0', MODE = '', NO_TOKEN = 'expected0' }",
        &[
            ["DB_PASSWORD", "<hidden>", "<hidden>, another value"],
            ["NO_TOKEN", "<hidden>", "nothing"],
            ["API_TOKEN", "nothing", "<hidden>"],
        ],
    ),
];

#[test]
fn values_of_variables_that_seem_to_be_secrets_are_in_no_report() {
    let lab = Lab::new();
    lab.file(
        "app.toml",
        "name = 'app'\n[config]\n\
         Env = ['DB_PASSWORD=secret0', 'API_TOKEN=secret1', 'MODE=']\n",
    );
    let reports = ["junit=r.xml", "html=r.html", "json=r.json", "jsonl=r.jsonl", "md=r.md"];
    let check = ["check", "app.toml", "--expect", "e.toml", "--no-vm"];
    let check = check.into_iter().chain(reports.iter().flat_map(|report| ["--report", report]));
    let run = |expectations: &str| {
        lab.file("e.toml", format!("[env]\n{expectations}\n"));
        let run = lab.seatrial(check.clone());
        assert!(run.output.status.code() < Some(2), "{}", run.stderr());
        let read = |report: &&str| {
            std::fs::read_to_string(lab.path(report.split_once('=').unwrap().1)).unwrap()
        };
        for text in reports.iter().map(read).chain([run.stdout(), run.stderr()]) {
            assert!(!text.contains("secret") && !text.contains("expected0"), "{text}");
        }
        let verdict: Value = serde_json::from_str(&read(&"json=r.json")).unwrap();
        (run.output.status.code(), verdict["cases"][0].clone())
    };
    for (expectations, expected) in SECRETS {
        let (code, case) = run(expectations);
        assert_eq!(code, Some(1), "{case}");
        let shown = |check: &Value| {
            ["subject", "expected", "found"].map(|part| check[part].as_str().unwrap().to_owned())
        };
        let mismatches: Vec<_> = case["mismatches"].as_array().unwrap().iter().map(shown).collect();
        assert_eq!(mismatches, expected, "{expectations}");
    }
    let (code, case) = run("has = { DB_PASSWORD = 'secret0' }");
    assert_eq!(code, Some(0), "{case}");
    assert!(case["passed_checks"].to_string().contains("<hidden>"), "{case}");
}

#[test]
fn reports_without_an_engine_say_that_only_the_image_was_checked() {
    let lab = Lab::new();
    lab.file("app.toml", "name = 'app'\ntag = '1'\n");
    lab.file("e.toml", "[image]\ntag = '2'\n[[run]]\nname = 'x'\n");
    let reports = ["junit=r.xml", "html=r.html", "md=r.md", "json=r.json"];
    let check = ["check", "app.toml", "--expect", "e.toml", "--no-vm"];
    let run = lab.seatrial(check.into_iter().chain(reports.iter().flat_map(|it| ["--report", it])));
    assert_eq!(run.output.status.code(), Some(1), "{}", run.stderr());
    let read = |name| std::fs::read_to_string(lab.path(name)).unwrap();
    let reason = "needs an engine; only the image was checked (--no-vm)";
    for (text, expected) in [
        (run.stdout(), ["  skip  run x", reason]),
        (read("r.xml"), ["<testsuite name=\"app:1 (image only)\"", reason]),
        (read("r.html"), ["<th scope=\"col\">image only", reason]),
        (read("r.md"), ["| test case | image only |", "**`config` (image only)**"]),
        (read("r.json"), ["\"engine\": null", reason]),
    ] {
        for part in expected {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("no engine"), "{text}");
    }
}
