//! Words that several reports of a verdict share.

use std::borrow::Cow;

use crate::check::verdict::{Outcome, Tally, TestCase};
use crate::text;

/// Formats the number of test cases with each result, and the duration of the run.
pub fn tally(tally: Tally, seconds: f64) -> String {
    let Tally { passed, failed, errors, skipped } = tally;
    let part = |count: usize, word: &str| (count > 0).then(|| format!("{count} {word}"));
    let parts = [
        Some(format!("{passed} passed")),
        part(failed, "failed"),
        part(errors, if errors == 1 { "error" } else { "errors" }),
        part(skipped, "skipped"),
    ];
    format!("{} in {seconds:.1} s", parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

/// Returns what the test case was run on: an engine, or the image alone.
pub(super) fn column(case: &TestCase) -> &str {
    case.engine.as_deref().unwrap_or("image only")
}

/// Explains in lines why a test case did not pass. Text of images and engines is escaped, and long
/// values are cut.
pub(super) fn explanation(case: &TestCase) -> Vec<String> {
    explain(case, text::excerpt, text::ends)
}

/// Like [`explanation`], with the values in full.
pub(super) fn full_explanation(case: &TestCase) -> Vec<String> {
    explain(case, text::escape, text::escape)
}

/// `expected` and `found` format values.
fn explain(
    case: &TestCase,
    expected: fn(&str) -> Cow<'_, str>,
    found: fn(&str) -> Cow<'_, str>,
) -> Vec<String> {
    match &case.outcome {
        Outcome::Passed => hints(case).collect(),
        Outcome::Error { problem } => {
            text::message(problem).lines().map(str::to_owned).chain(hints(case)).collect()
        }
        Outcome::Skipped { reason } => vec![text::excerpt(reason).into_owned()],
        Outcome::Failed { mismatches } => mismatches
            .iter()
            .flat_map(|mismatch| {
                [
                    text::shorten(&mismatch.subject).into_owned(),
                    format!("  expected  {}", expected(&mismatch.expected)),
                    format!("  found     {}", found(&mismatch.found)),
                ]
            })
            .chain(hints(case))
            .chain(text::end_of_output("output", &case.output))
            .chain(text::end_of_output("standard error", &case.stderr))
            .collect(),
    }
}

/// Before each hint.
pub(super) const HINT: &str = "hint: ";

/// The hints of a test case. A hint may have several lines.
fn hints(case: &TestCase) -> impl Iterator<Item = String> {
    case.hints.iter().flat_map(|hint| {
        let line = |(number, line): (usize, &str)| {
            let start = if number == 0 { HINT } else { "  " };
            format!("{start}{}", text::excerpt(line))
        };
        hint.lines().enumerate().map(line).collect::<Vec<_>>()
    })
}

/// Removes duplicates and keeps the order.
pub(super) fn unique<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut unique = Vec::new();
    for name in names {
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    unique
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::verdict::Check;

    fn failed(check: Check) -> TestCase {
        TestCase {
            image: "app:1".to_owned(),
            engine: None,
            name: "service web".to_owned(),
            outcome: Outcome::Failed { mismatches: vec![check] },
            seconds: 0.0,
            passed_checks: Vec::new(),
            hints: Vec::new(),
            output: String::new(),
            stderr: String::new(),
        }
    }

    #[test]
    fn a_failure_shows_hints_and_the_last_ten_lines_of_both_streams() {
        let (expected, found) = ("ready within 60 s".to_owned(), "no connection".to_owned());
        let case = TestCase {
            hints: vec!["nothing listens on 8001\noutput\n  a\tb".to_owned()],
            output: (1..=12).map(|number| format!("line {number}\n")).collect(),
            stderr: "\u{1b}[31mred\n".to_owned(),
            ..failed(Check { subject: "service".to_owned(), expected, found })
        };
        let lines = explanation(&case);
        let expected = [
            "service",
            "  expected  ready within 60 s",
            "  found     no connection",
            "hint: nothing listens on 8001",
            "  output",
            r"    a\tb",
            "last 10 of 12 lines of output",
            "  line 3",
        ];
        assert_eq!(lines[..8], expected, "{lines:#?}");
        assert_eq!(lines[16..], ["  line 12", "standard error", r"  \u{1b}[31mred"], "{lines:#?}");
    }

    #[test]
    fn a_long_value_is_cut_on_a_terminal_and_complete_in_junit() {
        let found = format!("\"first{}last\"", "x".repeat(5000));
        let check = Check {
            subject: "log".to_owned(),
            expected: "contains \"y\"".to_owned(),
            found: found.clone(),
        };
        let case = failed(check);
        let shown = &explanation(&case)[2];
        assert!(shown.starts_with("  found     \"firstxx") && shown.ends_with("xxlast\""));
        assert!(shown.contains("x... (3811 more bytes) ...x"), "{shown}");
        assert_eq!(full_explanation(&case)[2], format!("  found     {found}"));
    }
}
