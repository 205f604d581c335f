//! Values of several lines: reports show them as lines, rather than as one line with escaped line
//! breaks. Those on a terminal are cut.

use super::parts::{Block, Part, is_one_line, parts};
use crate::check::verdict::{Check, Description};
use crate::text;

/// The most lines of a value that are shown.
const LINES_MAX: usize = 10;
/// The lines before the first difference of two texts that are shown.
const CONTEXT: usize = 2;

/// Formats the two values of a mismatch. Texts of several lines that they quote are printed as
/// indented lines.
pub(super) fn explain(check: &Check) -> Vec<String> {
    let [expected, found] = [&check.expected, &check.found].map(parts);
    let window = Window::of(check, &expected, &found);
    let mut lines = match is_one_line(&expected) {
        true => vec![labelled("expected", &text::excerpt(&check.expected.to_string()))],
        false => show("expected", &expected, window, true),
    };
    match is_one_line(&found) {
        true => lines.push(labelled("found", &text::ends(&check.found.to_string()))),
        false => lines.extend(show("found", &found, window, window.is_exact())),
    }
    lines
}

/// Like [`explain`], with all lines, and with each line in full.
pub(super) fn explain_in_full(check: &Check) -> Vec<String> {
    let show = |mut label: &str, value: &Description, is_exact: bool| {
        let parts = parts(value);
        let is_whole = parts.len() == 1;
        if is_one_line(&parts) {
            return vec![labelled(label, &text::escape(&value.to_string()))];
        }
        let mut shown = Vec::new();
        for part in parts {
            match part {
                Part::Prose(prose) => {
                    shown.push(labelled(label, &text::escape(between_texts(&prose))));
                }
                Part::Block(text) => {
                    shown.extend((!label.is_empty()).then(|| format!("  {label}")));
                    shown.extend(text.lines.iter().map(|line| line_in_full(line, is_exact)));
                    let lacks_break = is_exact && is_whole && !text.ends_with_break;
                    shown.extend(lacks_break.then(|| format!("    {NO_LINE_BREAK}")));
                }
            }
            label = "";
        }
        shown
    };
    let found = show("found", &check.found, is_exact(check));
    [show("expected", &check.expected, true), found].concat()
}

fn line_in_full(line: &str, is_exact: bool) -> String {
    match is_exact && line.ends_with(' ') {
        true => format!("    \"{}\"", text::escape(line)),
        false => format!("    {}", text::escape(line)),
    }
}

/// Whether both values of `check` are texts of several lines, which are compared as they are.
pub(super) fn is_exact(check: &Check) -> bool {
    Window::of(check, &parts(&check.expected), &parts(&check.found)).is_exact()
}

/// Follows an exact text that does not end with a line break.
pub(super) const NO_LINE_BREAK: &str = "(no line break at the end)";

/// Removes what separates prose from the texts before and after it, which have lines of their own.
pub(super) fn between_texts(prose: &str) -> &str {
    prose.trim_end().trim_start_matches([',', ';', ' '])
}

/// The lines of a stream of a container's output that [`explain`] prints for `checks`. `stream` is
/// the subject of a check that compares this stream alone.
pub(super) fn shown_output<'c>(checks: &'c [Check], stream: &str) -> Vec<&'c str> {
    let mut shown = Vec::new();
    for check in checks {
        if check.subject != stream && !BOTH_STREAMS.contains(&check.subject.as_str()) {
            continue;
        }
        let window = Window::of(check, &parts(&check.expected), &parts(&check.found));
        for part in check.found.parts() {
            let text::Part::Text(text) = part else { continue };
            match Block::of(text) {
                Some(block) => shown.extend(window.lines(&block).1.iter().map(without_return)),
                None => shown.extend(text.lines()),
            }
            // Separates the lines of two texts.
            shown.push("");
        }
    }
    shown
}

fn without_return<'l>(line: &&'l str) -> &'l str {
    line.strip_suffix('\r').unwrap_or(line)
}

/// The subject of a check that compares the standard output of a test case's own container.
pub(super) const STDOUT: &str = "standard output";
/// That of one that compares its standard error.
pub(super) const STDERR: &str = "standard error";
/// The subjects of checks that compare or show both.
const BOTH_STREAMS: [&str; 3] = ["log", "log after the stop", "service"];

/// Which lines of a text are shown.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Window {
    /// The first ones.
    Start,
    /// The last ones: programs explain at the end of their output why they failed.
    End,
    /// Those from a line on, of an exact text and the one found.
    From(usize),
}

impl Window {
    fn of(check: &Check, expected: &[Part<'_>], found: &[Part<'_>]) -> Self {
        if let ([Part::Block(expected)], [Part::Block(found)]) = (expected, found) {
            let pairs = expected.lines.iter().zip(&found.lines);
            let equal = pairs.take_while(|(expected, found)| expected == found).count();
            return Self::From(equal.saturating_sub(CONTEXT));
        }
        let is_document = ["body of ", "headers of ", "content"];
        match is_document.iter().any(|start| check.subject.starts_with(start)) {
            true => Self::Start,
            false => Self::End,
        }
    }

    /// Whether it is that of two texts that are compared as they are.
    fn is_exact(self) -> bool {
        matches!(self, Self::From(_))
    }

    /// Returns the number of lines before those shown, those shown, and the number of lines after
    /// them.
    fn lines<'b, 'v>(self, text: &'b Block<'v>) -> (usize, &'b [&'v str], usize) {
        let count = text.lines.len();
        let last = count.saturating_sub(LINES_MAX);
        let start = match self {
            Self::Start => 0,
            Self::End => last,
            Self::From(start) => start.min(last),
        };
        let shown = LINES_MAX.min(count - start);
        (start, &text.lines[start..start + shown], count - start - shown)
    }
}

fn labelled(label: &str, value: &str) -> String {
    format!("  {label:<10}{value}")
}

/// Formats a value with its texts as lines. The ends of lines are left as they are if `is_exact` is
/// true.
fn show(label: &str, parts: &[Part<'_>], window: Window, is_exact: bool) -> Vec<String> {
    let (mut shown, mut label) = (Vec::new(), label);
    for part in parts {
        match part {
            Part::Prose(prose) => {
                shown.push(labelled(label, &text::ends(between_texts(prose))));
            }
            Part::Block(text) => {
                shown.extend((!label.is_empty()).then(|| format!("  {label}")));
                shown.extend(show_text(text, window, is_exact));
                // A text that must only be contained may end anywhere.
                let is_whole = parts.len() == 1 && window.lines(text).2 == 0;
                let lacks_break = is_exact && is_whole && !text.ends_with_break;
                shown.extend(lacks_break.then(|| format!("    {NO_LINE_BREAK}")));
            }
        }
        label = "";
    }
    shown
}

fn show_text(text: &Block<'_>, window: Window, is_exact: bool) -> Vec<String> {
    let (before, lines, after) = window.lines(text);
    let hidden = |count: usize, more: &str| {
        let lines = if count == 1 { "line" } else { "lines" };
        (count > 0)
            .then(|| format!("    ({count} {more}{lines}; --json or an HTML report has all)"))
    };
    let line = |line: &&str| match line.ends_with(' ') {
        // Otherwise nobody sees the difference.
        true if is_exact => format!("    {}", text::excerpt(&format!("\"{line}\""))),
        false if is_exact => format!("    {}", text::excerpt(line)),
        _ => format!("    {}", text::excerpt(without_return(line).trim_end_matches(' '))),
    };
    hidden(before, "earlier ")
        .into_iter()
        .chain(lines.iter().map(line))
        .chain(hidden(after, "more "))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(subject: &str, expected: Description, found: Description) -> Check {
        Check { subject: subject.to_owned(), expected, found }
    }

    /// The rule that a text contains `part`.
    fn contains(part: &str) -> Description {
        Description::from("contains ").then_quote(part)
    }

    /// The numbers of lines as a text.
    fn numbered(range: std::ops::RangeInclusive<usize>) -> String {
        range.map(|number| format!("line {number}\n")).collect()
    }

    #[test]
    fn a_log_is_shown_as_its_last_ten_lines() {
        let found = Description::quote(numbered(1..=58) + "a \"b\" c\\n\td\n");
        let shown = explain(&check("log", contains("ready"), found));
        assert_eq!(shown[0], "  expected  contains \"ready\"");
        assert_eq!(shown[1], "  found");
        assert_eq!(shown[2], "    (49 earlier lines; --json or an HTML report has all)");
        assert_eq!(shown[3], "    line 50");
        assert_eq!(shown[11..], ["    line 58", r#"    a "b" c\n\td"#]);
    }

    #[test]
    fn a_document_is_shown_as_its_first_ten_lines() {
        let found = Description::quote(numbered(1..=11));
        let shown = explain(&check("body of GET / at port 80", contains("x"), found));
        assert_eq!(shown[2], "    line 1");
        assert_eq!(
            shown[11..],
            ["    line 10", "    (1 more line; --json or an HTML report has all)"]
        );
    }

    #[test]
    fn prose_around_a_text_is_kept_and_a_text_of_one_line_stays_quoted() {
        let found = Description::from("127, standard error ").then_quote("a\n b\n");
        let found = found.then(", standard output ").then_quote("c\n");
        let shown = explain(&check("exit code of [\"sh\"]", "0".into(), found));
        assert_eq!(
            shown,
            [
                "  expected  0",
                "  found     127, standard error",
                "    a",
                "     b",
                "            standard output \"c\\n\"",
            ]
        );
        let [expected, found] = ["hello\n", "hullo\n"].map(Description::quote);
        let shown = explain(&check("standard output", expected, found));
        assert_eq!(shown, ["  expected  \"hello\\n\"", "  found     \"hullo\\n\""]);
        let list = Description::of(["a\nb", "c"]);
        let shown = explain(&check("config", "1".into(), list.clone()));
        assert_eq!(shown[1], format!("  found     {list}"));
    }

    #[test]
    fn values_in_full_have_all_of_their_lines() {
        let found =
            Description::from("127, standard error ").then_quote(numbered(1..=58) + "a\r\n");
        let found = found.then(", standard output ").then_quote("c\n");
        let shown = explain_in_full(&check("exit code", "0".into(), found));
        assert_eq!(shown[..3], ["  expected  0", "  found     127, standard error", "    line 1"]);
        assert_eq!(
            shown[59..],
            ["    line 58", r"    a\r", "            standard output \"c\\n\""]
        );
        let [expected, found] = ["a \nb\n", "a\nb"].map(Description::quote);
        let shown = explain_in_full(&check("content", expected, found));
        let lines = ["  expected", "    \"a \"", "    b", "  found", "    a", "    b"];
        assert_eq!(shown[..6], lines);
        assert_eq!(shown[6..], ["    (no line break at the end)"]);
    }

    #[test]
    fn exact_texts_are_shown_from_their_first_difference_with_invisible_ends() {
        let expected = Description::quote(numbered(1..=20) + "end \nlast\n");
        let found = Description::quote(numbered(1..=20) + "end\nlast");
        let shown = explain(&check("content", expected, found));
        let found = shown.iter().position(|line| line == "  found").unwrap();
        assert_eq!(shown[1], "    (12 earlier lines; --json or an HTML report has all)");
        assert_eq!(shown[found - 2..found], ["    \"end \"", "    last"]);
        assert_eq!(
            shown[shown.len() - 3..],
            ["    end", "    last", "    (no line break at the end)"]
        );
    }

    #[test]
    fn expected_texts_are_shown_with_their_invisible_ends_beside_any_value() {
        let expected = Description::quote("root:x:0:0:root:/root:/bin/sh \nx");
        let found = Description::quote("root:x:0:0:root:/root:/bin/sh\n");
        let shown = explain(&check("content", expected, found));
        assert_eq!(
            shown[1..4],
            ["    \"root:x:0:0:root:/root:/bin/sh \"", "    x", "    (no line break at the end)"]
        );
        let shown = explain(&check("log", contains("a \nb"), Description::quote("a\nb \n")));
        assert_eq!(shown[1..3], ["    \"a \"", "    b"]);
        assert_eq!(shown[4..], ["    a", "    b"]);
    }
}
