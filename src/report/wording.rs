//! Words that several reports of a verdict share.

use std::borrow::Cow;

use super::multi_line::{self, STDERR, STDOUT};
use crate::check::verdict::{Check, Outcome, Tally, TestCase, Verdict};
use crate::text;

/// Formats the number of test cases with each result, the duration of the run, and the reason why
/// it failed if test cases alone do not explain that.
pub fn summary(verdict: &Verdict) -> String {
    let Tally { passed, failed, errors, skipped } = verdict.tally();
    let part = |count: usize, word: &str| (count > 0).then(|| format!("{count} {word}"));
    let parts = [
        Some(format!("{passed} passed")),
        part(failed, "failed"),
        part(errors, if errors == 1 { "error" } else { "errors" }),
        part(skipped, "skipped"),
    ];
    let counts = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let reason = match verdict.fails_by_skips() {
        true => "; the run fails because test cases were skipped (--deny-skips)",
        false => "",
    };
    format!("{counts} in {:.1} s{reason}", verdict.seconds)
}

/// Returns what the test case was run on: an engine, or the image alone.
pub(super) fn column(case: &TestCase) -> &str {
    case.engine.as_deref().unwrap_or(IMAGE_ONLY)
}

/// The column of test cases that have no engine.
pub(super) const IMAGE_ONLY: &str = "image only";

/// Explains in lines why a test case did not pass. Text of images and engines is escaped, long
/// values are cut, and output that a mismatch shows is not repeated.
pub(super) fn explanation(case: &TestCase) -> Vec<String> {
    let is_shown = |stream: &str, lines: &[&str]| match &case.outcome {
        Outcome::Failed { mismatches } if !lines.is_empty() => {
            is_part(lines, &multi_line::shown_output(mismatches, stream))
        }
        _ => false,
    };
    explain(
        case,
        |check| values(text::shorten(&check.subject), multi_line::explain(check)),
        is_shown,
    )
}

/// Like [`explanation`], with the values in full.
pub(super) fn full_explanation(case: &TestCase) -> Vec<String> {
    let full =
        |check: &Check| values(text::escape(&check.subject), multi_line::explain_in_full(check));
    explain(case, full, |_, _| false)
}

/// A mismatch in lines: its subject, and those of its values.
fn values(subject: Cow<'_, str>, values: Vec<String>) -> Vec<String> {
    std::iter::once(subject.into_owned()).chain(values).collect()
}

/// Whether `lines` are among `all`, one after the other.
fn is_part(lines: &[&str], all: &[&str]) -> bool {
    all.windows(lines.len()).any(|window| window == lines)
}

/// `mismatch` formats one of those. `is_shown` says whether they contain the last lines of a
/// stream of the output already.
fn explain(
    case: &TestCase,
    mismatch: impl Fn(&Check) -> Vec<String>,
    is_shown: impl Fn(&str, &[&str]) -> bool,
) -> Vec<String> {
    let end = |stream, name: &str, output| match is_shown(stream, &text::last_lines(output)) {
        true => Vec::new(),
        false => text::end_of_output(name, output),
    };
    match &case.outcome {
        Outcome::Passed => hints(case).collect(),
        Outcome::Error { problem } => {
            text::message(problem).lines().map(str::to_owned).chain(hints(case)).collect()
        }
        Outcome::Skipped { reason } => vec![text::excerpt(reason).into_owned()],
        Outcome::Failed { mismatches } => mismatches
            .iter()
            .flat_map(mismatch)
            .chain(hints(case))
            .chain(end(STDOUT, "output", &case.output))
            .chain(end(STDERR, STDERR, &case.stderr))
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

/// Whether reports explain both test cases with the same words, and therefore once: the same test
/// case on two engines, with the same result.
pub(super) fn is_same_failure(case: &TestCase, other: &TestCase) -> bool {
    (&case.name, &case.outcome, &case.output, &case.stderr, &case.hints)
        == (&other.name, &other.outcome, &other.output, &other.stderr, &other.hints)
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
    use crate::check::verdict::Description;

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
        let (expected, found) = ("ready within 60 s".into(), "no connection".into());
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
        let found = Description::quote(format!("first{}last", "x".repeat(5000)));
        let check = Check {
            subject: "log".to_owned(),
            expected: "contains y".into(),
            found: found.clone(),
        };
        let case = failed(check);
        let shown = &explanation(&case)[2];
        assert!(shown.starts_with("  found     \"firstxx") && shown.ends_with("xxlast\""));
        assert!(shown.contains("x... (3811 more bytes) ...x"), "{shown}");
        assert_eq!(full_explanation(&case)[2], format!("  found     {found}"));
    }

    #[test]
    fn output_that_a_mismatch_shows_is_not_repeated() {
        let log = (1..=12).map(|number| format!("a \"{number}\"\tb\n")).collect::<String>();
        let (subject, expected) = ("log".to_owned(), "contains ready".into());
        let check = Check { subject, expected, found: Description::quote(&log) };
        let case = TestCase { output: log, stderr: "other\n".to_owned(), ..failed(check) };
        let lines = explanation(&case);
        assert_eq!(
            lines[3..5],
            ["    (2 earlier lines; --json or an HTML report has all)", r#"    a "3"\tb"#,]
        );
        assert_eq!(lines[14..], ["standard error", "  other"], "{lines:#?}");
        assert!(full_explanation(&case).iter().any(|line| line == "last 10 of 12 lines of output"));
    }

    #[test]
    fn a_stream_is_shown_although_a_mismatch_shows_the_same_of_the_other_one() {
        let (subject, expected) = ("standard output".to_owned(), Description::quote("fine\n"));
        let check = Check { subject, expected, found: Description::quote("error\n") };
        let [output, stderr] = ["error\n", "error\n"].map(str::to_owned);
        let lines = explanation(&TestCase { output, stderr, ..failed(check) });
        assert_eq!(lines[3..], ["standard error", "  error"]);
        // A message of the engine is none of the container's output.
        let (subject, expected) = ("start".to_owned(), "the command starts".into());
        let check = Check { subject, expected, found: "exec: \"app\": not found".into() };
        let lines = explanation(&TestCase { output: "app\n".to_owned(), ..failed(check) });
        assert_eq!(lines[3..], ["output", "  app"]);
    }
}
