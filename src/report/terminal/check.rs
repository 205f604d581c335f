//! A verdict as text: test cases are printed one by one, as they end.

use crate::check::verdict::{EngineRun, Outcome, TestCase};
use crate::report::{self, HINT};
use crate::text;

/// Before each line that explains a result.
const INDENT: &str = "          ";

/// Formats the heading of the test cases that follow: those of an image, or those on an engine.
pub fn heading(image: &str, run: Option<&EngineRun>) -> String {
    let Some(run) = run else {
        return format!("{}\n", text::shorten(image));
    };
    let EngineRun { engine, version, timeline, fallback, load_seconds, present_layers, .. } = run;
    let ready = timeline.last().map_or(0.0, |event| event.at.as_secs_f64());
    let note = fallback
        .as_ref()
        .map(|reason| format!("  booted instead of restored: {}\n", text::message(reason)));
    let version = text::shorten(version);
    let present = match present_layers {
        0 => String::new(),
        1 => "; it had 1 layer".to_owned(),
        count => format!("; it had {count} layers"),
    };
    let note = note.unwrap_or_default();
    format!(
        "{engine} ({version}), ready after {ready:.1} s, loaded in {load_seconds:.1} s{present}\n\
         {note}"
    )
}

/// Formats a test case: one line, and further lines if it did not pass.
pub fn test_case(case: &TestCase) -> String {
    let word = match case.outcome {
        Outcome::Passed => "ok",
        Outcome::Failed { .. } => "FAIL",
        Outcome::Error { .. } => "ERROR",
        Outcome::Skipped { .. } => "skip",
    };
    // An engine that could not be started has no heading.
    let name = match (&case.outcome, &case.engine) {
        (Outcome::Error { .. }, Some(engine)) => {
            format!("{} ({engine})", text::shorten(&case.name))
        }
        _ => text::shorten(&case.name).into_owned(),
    };
    let took = if case.seconds >= 0.1 { format!("{:.1} s", case.seconds) } else { String::new() };
    let mut output = format!("  {word:<6}{name:<60}{took:>8}").trim_end().to_owned() + "\n";
    let is_skipped = matches!(case.outcome, Outcome::Skipped { .. });
    for line in report::explanation(case) {
        let line = match line.strip_prefix(HINT) {
            Some(hint) => {
                text::paragraph(&format!("{INDENT}{HINT}"), INDENT.len() + HINT.len(), hint)
            }
            None if is_skipped => text::paragraph(INDENT, INDENT.len(), &line),
            // Texts stay as they are.
            None => prose(&line).unwrap_or_else(|| format!("{INDENT}{line}")),
        };
        output.push_str(&line);
        output.push('\n');
    }
    output
}

/// Wraps a value of a mismatch, unless it is a text, list or object, or has a regular expression,
/// which may have spaces; `None` for any other line.
fn prose(line: &str) -> Option<String> {
    let label = ["  expected  ", "  found     "].into_iter().find(|it| line.starts_with(it))?;
    let value = line.strip_prefix(label)?;
    if value.starts_with(['"', '[', '{']) || value.contains(" /") {
        return None;
    }
    Some(text::paragraph(&format!("{INDENT}{label}"), INDENT.len() + label.len(), value))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::check::verdict::Check;
    use crate::engine::Exit;

    /// A service that wrote 12 lines before it ended.
    fn ended_service(exit: Exit) -> TestCase {
        let check = Check {
            subject: "service".to_owned(),
            expected: "ready within 60 s".into(),
            found: format!("its command ended with {exit}").into(),
        };
        TestCase {
            image: "app:1".to_owned(),
            engine: Some("docker-28".to_owned()),
            name: "service web".to_owned(),
            outcome: Outcome::Failed { mismatches: vec![check] },
            seconds: 2.5,
            passed_checks: Vec::new(),
            hints: vec![
                "the image exposes 80/tcp, and nothing listened there before its command ended: \
                 let the service listen on an exposed port, or expose its own"
                    .to_owned(),
            ],
            output: (1..=12).map(|number| format!("step {number}\n")).collect(),
            stderr: "\u{1b}[31mcannot bind\n".to_owned(),
        }
    }

    #[test]
    fn a_failed_service_has_its_exit_hints_and_the_last_ten_lines_of_output_at_80_columns() {
        let exit =
            |code| Exit { code, out_of_memory: None, duration: Some(Duration::from_millis(1500)) };
        let shown = test_case(&ended_service(exit(137)));
        let expected =
            "  FAIL  service web                                                    2.5 s
          service
            expected  ready within 60 s
            found     its command ended with exit code 137 (probably ended by
                      signal 9, SIGKILL) after 1.5 s
          hint: the image exposes 80/tcp, and nothing listened there before its
                command ended: let the service listen on an exposed port, or
                expose its own
          last 10 of 12 lines of output
            step 3
            step 4
            step 5
            step 6
            step 7
            step 8
            step 9
            step 10
            step 11
            step 12
          standard error
            \\u{1b}[31mcannot bind
";
        assert_eq!(shown, expected);
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        let shown = test_case(&ended_service(exit(3)));
        let found = "            found     its command ended with exit code 3 after 1.5 s\n";
        assert!(shown.contains(found), "{shown}");
    }

    #[test]
    fn values_that_are_prose_are_wrapped_at_80_columns() {
        let found = "no status: the TLS handshake failed: the server does not speak TLS at this \
                     port";
        assert_eq!(
            prose(&format!("  found     {found}")).unwrap(),
            "            found     no status: the TLS handshake failed: the server does not\n\
             \x20                     speak TLS at this port"
        );
        assert_eq!(prose(&format!("  found     \"{found}\"")), None);
        assert_eq!(prose("service"), None);
        assert_eq!(prose(&format!("  expected  matches /a  {}/", "b ".repeat(60))), None);
        let part = "error: could not connect to the   data    base of the application: refused";
        let shown = prose(&format!("  expected  contains \"HI\", contains \"{part}\"")).unwrap();
        assert!(shown.lines().any(|line| line.trim_start() == format!("\"{part}\"")), "{shown}");
    }
}
