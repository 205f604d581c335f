//! Values of several lines: those who read a terminal see lines, rather than one line with escaped
//! line breaks.

use std::borrow::Cow;

use crate::check::verdict::Check;
use crate::text;

/// The most lines of a value that are shown.
const LINES_MAX: usize = 10;
/// The lines before the first difference of two texts that are shown.
const CONTEXT: usize = 2;

/// Formats the two values of a mismatch. Texts of several lines that they quote are printed as
/// indented lines.
pub(super) fn explain(check: &Check) -> Vec<String> {
    let [expected, found] = [&check.expected, &check.found].map(|value| parts(value));
    let window = Window::of(check, &expected, &found);
    [
        show("expected", &expected, window, true, text::excerpt(&check.expected)),
        show("found", &found, window, window.is_exact(), text::ends(&check.found)),
    ]
    .concat()
}

/// The lines of a stream of a container's output that [`explain`] prints for `checks`. `stream` is
/// the subject of a check that compares this stream alone.
pub(super) fn shown_output(checks: &[Check], stream: &str) -> Vec<String> {
    let is_shown = |subject: &str| subject == stream || BOTH_STREAMS.contains(&subject);
    let lines = checks.iter().filter(|check| is_shown(&check.subject)).flat_map(|check| {
        let [expected, found] = [&check.expected, &check.found].map(|value| parts(value));
        let window = Window::of(check, &expected, &found);
        let lines = |part: &Part| match part {
            Part::Block(block) => window.lines(block).1.iter().map(without_return).collect(),
            Part::Prose(prose) => texts(prose),
        };
        // The empty line separates those of two texts.
        let apart = |part| [lines(part), vec![String::new()]].concat();
        found.iter().flat_map(apart).collect::<Vec<_>>()
    });
    lines.collect()
}

/// The texts that `prose` quotes, each of one line.
fn texts(prose: &str) -> Vec<String> {
    let (mut texts, mut rest) = (Vec::new(), prose);
    while let Some(start) = rest.find('"') {
        let (text, after) = quoted(&rest[start + 1..]);
        texts.extend(text.lines().map(str::to_owned));
        rest = after;
    }
    texts
}

fn without_return(line: impl AsRef<str>) -> String {
    let line = line.as_ref();
    line.strip_suffix(r"\r").unwrap_or(line).to_owned()
}

/// The subject of a check that compares the standard output of a test case's own container.
pub(super) const STDOUT: &str = "standard output";
/// That of one that compares its standard error.
pub(super) const STDERR: &str = "standard error";
/// The subjects of checks that compare or show both.
const BOTH_STREAMS: [&str; 3] = ["log", "log after the stop", "service"];

/// A part of a value.
#[derive(Debug, PartialEq)]
enum Part {
    /// Shown as it is.
    Prose(String),
    /// A quoted text of several lines.
    Block(Block),
}

/// A text of several lines, in which all other escape sequences are left.
#[derive(Debug, PartialEq)]
struct Block {
    lines: Vec<String>,
    ends_with_break: bool,
}

/// Splits a value, such as `127, standard error "a\nb\n"`, into prose and texts.
fn parts(value: &str) -> Vec<Part> {
    let (mut parts, mut prose, mut rest) = (Vec::new(), String::new(), value);
    // Lists and objects are shown as JSON.
    if !value.starts_with(['[', '{']) {
        while let Some(start) = rest.find('"') {
            let (quoted, after) = quoted(&rest[start + 1..]);
            let end = rest.len() - after.len();
            match Block::of(&quoted) {
                None => prose.push_str(&rest[..end]),
                Some(text) => {
                    prose.push_str(rest[..start].trim_end());
                    parts.extend((!prose.is_empty()).then(|| Part::Prose(prose.clone())));
                    parts.push(Part::Block(text));
                    prose.clear();
                }
            }
            rest = after;
        }
    }
    prose.push_str(rest);
    parts.extend((!prose.is_empty()).then_some(Part::Prose(prose)));
    parts
}

/// Reads a text up to the quotation mark at its end. Of the escape sequences, those of line breaks,
/// quotation marks and backslashes are replaced. Returns what follows, too.
fn quoted(text: &str) -> (String, &str) {
    let (mut result, mut chars) = (String::new(), text.char_indices());
    while let Some((index, c)) = chars.next() {
        match c {
            '"' => return (result, &text[index + 1..]),
            '\\' => match chars.next() {
                Some((_, 'n')) => result.push('\n'),
                Some((_, c @ ('"' | '\\'))) => result.push(c),
                Some((_, c)) => result.extend(['\\', c]),
                None => result.push('\\'),
            },
            c => result.push(c),
        }
    }
    (result, "")
}

impl Block {
    /// The text as lines, if at least two are not blank.
    fn of(text: &str) -> Option<Self> {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let several = lines.iter().filter(|line| !line.trim().is_empty()).nth(1).is_some();
        several.then(|| Self { lines, ends_with_break: text.ends_with('\n') })
    }
}

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
    fn of(check: &Check, expected: &[Part], found: &[Part]) -> Self {
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
    fn lines(self, text: &Block) -> (usize, &[String], usize) {
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

/// Formats a value with its texts as lines, or as `line` if it has none. The ends of lines are left
/// as they are if `is_exact` is true.
fn show(
    label: &str,
    parts: &[Part],
    window: Window,
    is_exact: bool,
    line: Cow<'_, str>,
) -> Vec<String> {
    if !parts.iter().any(|part| matches!(part, Part::Block(_))) {
        return vec![format!("  {label:<10}{line}")];
    }
    let (mut shown, mut label) = (Vec::new(), label);
    for part in parts {
        match part {
            Part::Prose(prose) => {
                let prose = text::ends(prose.trim_start_matches([',', ';', ' ']));
                shown.push(format!("  {label:<10}{prose}"));
                label = "";
            }
            Part::Block(text) => {
                if !label.is_empty() {
                    shown.push(format!("  {label}"));
                    label = "";
                }
                shown.extend(show_text(text, window, is_exact));
                // A text that must only be contained may end anywhere.
                if is_exact
                    && parts.len() == 1
                    && window.lines(text).2 == 0
                    && !text.ends_with_break
                {
                    shown.push("    (no line break at the end)".to_owned());
                }
            }
        }
    }
    shown
}

fn show_text(text: &Block, window: Window, is_exact: bool) -> Vec<String> {
    let (before, lines, after) = window.lines(text);
    let hidden = |count: usize, more: &str| {
        let lines = if count == 1 { "line" } else { "lines" };
        (count > 0)
            .then(|| format!("    ({count} {more}{lines}; --json or an HTML report has all)"))
    };
    let line = |line: &String| match line.ends_with(' ') {
        // Otherwise nobody sees the difference.
        true if is_exact => format!("    {}", text::excerpt(&format!("\"{line}\""))),
        false if is_exact => format!("    {}", text::excerpt(line)),
        _ => format!("    {}", text::excerpt(without_return(line).trim_end())),
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
    use crate::text::value;

    fn check(subject: &str, expected: &str, found: impl Into<String>) -> Check {
        let (subject, expected) = (subject.to_owned(), expected.to_owned());
        Check { subject, expected, found: found.into() }
    }

    /// The numbers of lines as a text.
    fn numbered(range: std::ops::RangeInclusive<usize>) -> String {
        range.map(|number| format!("line {number}\n")).collect()
    }

    #[test]
    fn a_log_is_shown_as_its_last_ten_lines() {
        let found = value::quote(numbered(1..=58) + "a \"b\" c\\n\td\n");
        let shown = explain(&check("log", "contains \"ready\"", found));
        assert_eq!(shown[0], "  expected  contains \"ready\"");
        assert_eq!(shown[1], "  found");
        assert_eq!(shown[2], "    (49 earlier lines; --json or an HTML report has all)");
        assert_eq!(shown[3], "    line 50");
        assert_eq!(shown[11..], ["    line 58", r#"    a "b" c\n\td"#]);
    }

    #[test]
    fn a_document_is_shown_as_its_first_ten_lines() {
        let found = value::quote(numbered(1..=11));
        let shown = explain(&check("body of GET / at port 80", "contains \"x\"", found));
        assert_eq!(shown[2], "    line 1");
        assert_eq!(
            shown[11..],
            ["    line 10", "    (1 more line; --json or an HTML report has all)"]
        );
    }

    #[test]
    fn prose_around_a_text_is_kept_and_a_text_of_one_line_stays_quoted() {
        let found = "127, standard error \"a\\n b\\n\", standard output \"c\\n\"";
        let shown = explain(&check("exit code of [\"sh\"]", "0", found));
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
        let shown = explain(&check("standard output", "\"hello\\n\"", "\"hullo\\n\""));
        assert_eq!(shown, ["  expected  \"hello\\n\"", "  found     \"hullo\\n\""]);
        let list = value::format(["a\nb", "c"]);
        assert_eq!(explain(&check("config", "1", &*list))[1], format!("  found     {list}"));
    }

    #[test]
    fn exact_texts_are_shown_from_their_first_difference_with_invisible_ends() {
        let expected = value::quote(numbered(1..=20) + "end \nlast\n");
        let found = value::quote(numbered(1..=20) + "end\nlast");
        let shown = explain(&check("content", &expected, found));
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
        let expected = value::quote("root:x:0:0:root:/root:/bin/sh \nx");
        let shown = explain(&check("content", &expected, "\"root:x:0:0:root:/root:/bin/sh\\n\""));
        assert_eq!(
            shown[1..4],
            ["    \"root:x:0:0:root:/root:/bin/sh \"", "    x", "    (no line break at the end)"]
        );
        let shown = explain(&check("log", "contains \"a \\nb\"", value::quote("a\nb \n")));
        assert_eq!(shown[1..3], ["    \"a \"", "    b"]);
        assert_eq!(shown[4..], ["    a", "    b"]);
    }
}
