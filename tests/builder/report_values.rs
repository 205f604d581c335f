//! Reports of checks: values that a test has found are complete, except on a terminal and in
//! Markdown.

use serde_json::Value;

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
