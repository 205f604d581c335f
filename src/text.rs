//! Text of others in messages and reports: names, paths, labels, tags, output of containers,
//! messages of daemons. Everything that is printed goes through this module.
//!
//! A value is escaped and shortened where a message is composed: [`shorten`], [`quote`],
//! [`bytes()`], [`path`], [`list`]. What is printed is escaped once more as a whole, except for
//! its line breaks: [`lines`], [`message`], [`SafeWriter`]. Escaping twice changes nothing.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The columns of output for people.
const WIDTH: usize = 80;
/// The most characters of a value that a message shows: enough for every image name and digest.
const VALUE_MAX: usize = 200;
/// The most characters of a path on this host that a message shows: longer than paths are in
/// practice, because a path is of little use without its end.
const PATH_MAX: usize = 1000;
/// The most characters of a value in a report, where users compare values.
const EXCERPT_MAX: usize = 2000;
/// The most characters of the beginning and of the end of a value that was found, where users see
/// what a test has found, and why a program has failed.
#[cfg(feature = "vm")]
const ENDS_MAX: usize = 600;
/// The most values of a list that a message shows.
const LIST_MAX: usize = 10;
/// The most characters of a line of an error message: it may contain several values and paths.
const LINE_MAX: usize = 8000;
/// The most lines of an error message: it may contain excerpts of a journal and of a console.
const LINES_MAX: usize = 500;

/// Whether `c` is printed as an escape sequence: control characters, which a terminal obeys, and
/// characters that are invisible or change the direction of text, which let text appear as
/// something else.
///
/// These are the categories Cc, Zl and Zp of Unicode and the property
/// `Default_Ignorable_Code_Point`, except for variation selectors, which belong to emoji; and the
/// interlinear annotations.
fn is_escaped(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Escapes `text` within a line: no character of the result breaks the line, is invisible, or is a
/// command to a terminal.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    escape_if(text, is_escaped)
}

/// Escapes `text` like [`escape`], but keeps line breaks and tabs.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    let text = match text.contains("\r\n") {
        true => Cow::Owned(text.replace("\r\n", "\n")),
        false => Cow::Borrowed(text),
    };
    let escaped = |c| is_escaped(c) && !matches!(c, '\n' | '\t');
    match text {
        Cow::Borrowed(text) => escape_if(text, escaped),
        Cow::Owned(text) => Cow::Owned(escape_if(&text, escaped).into_owned()),
    }
}

fn escape_if(text: &str, escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&escaped) {
        return Cow::Borrowed(text);
    }
    let mut result = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match escaped(c) {
            true => result.extend(c.escape_default()),
            false => result.push(c),
        }
    }
    Cow::Owned(result)
}

/// Escapes `text` and cuts it to the length of a value in a message.
pub(crate) fn shorten(text: &str) -> Cow<'_, str> {
    cut(text, VALUE_MAX)
}

/// Escapes `text` and cuts it to `width` characters, for a column of a table.
pub(crate) fn fit(text: &str, width: usize) -> String {
    let text = shorten(text);
    if text.chars().count() <= width {
        return text.into_owned();
    }
    text.chars().take(width.saturating_sub(3)).chain("...".chars()).collect()
}

/// Wraps `text` after `label` at 80 columns, with `indent` spaces before the lines that follow.
/// Words are not broken, so that paths can be copied.
pub(crate) fn paragraph(label: &str, indent: usize, text: &str) -> String {
    let indent = " ".repeat(indent);
    let options = textwrap::Options::new(WIDTH)
        .initial_indent(label)
        .subsequent_indent(&indent)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .break_words(false);
    textwrap::fill(text, options)
}

/// Escapes `text` and cuts it to the length of a value in a report.
pub(crate) fn excerpt(text: &str) -> Cow<'_, str> {
    cut(text, EXCERPT_MAX)
}

/// Escapes `text` and, if it is long, leaves out its middle: programs explain at the end of their
/// output why they failed.
#[cfg(feature = "vm")]
pub(crate) fn ends(text: &str) -> Cow<'_, str> {
    let (start, rest) = split_at(text, ENDS_MAX);
    let end = rest.char_indices().rev().nth(ENDS_MAX - 1).map_or(0, |(end, _)| end);
    match end {
        0 => escape(text),
        end => Cow::Owned(format!(
            "{}... ({end} more bytes) ...{}",
            escape(start),
            escape(&rest[end..])
        )),
    }
}

/// The number of lines that [`end_of_output`] shows.
#[cfg(feature = "vm")]
const OUTPUT_LINES: usize = 10;

/// Returns the last lines of a program's output, escaped and shortened, with a heading that names
/// the output; nothing if it is empty.
#[cfg(feature = "vm")]
pub(crate) fn end_of_output(name: &str, output: &str) -> Vec<String> {
    let heading = match output.lines().count() {
        0 => return Vec::new(),
        count if count <= OUTPUT_LINES => name.to_owned(),
        count => format!("last {OUTPUT_LINES} of {count} lines of {name}"),
    };
    let shown = last_lines(output).into_iter().map(|line| format!("  {}", excerpt(line)));
    std::iter::once(heading).chain(shown).collect()
}

/// Returns the lines that [`end_of_output`] shows, as they are.
#[cfg(feature = "vm")]
pub(crate) fn last_lines(output: &str) -> Vec<&str> {
    let lines: Vec<&str> = output.lines().collect();
    lines[lines.len().saturating_sub(OUTPUT_LINES)..].to_vec()
}

/// Quotes `text`, escaped and cut to the length of a value in a message.
pub(crate) fn quote(text: &str) -> String {
    quote_up_to(text, VALUE_MAX)
}

/// Quotes the first `max` characters of `text`, and counts the bytes that are left out.
pub(crate) fn quote_up_to(text: &str, max: usize) -> String {
    let (start, left_out) = split(text, max);
    let start = start.replace('\\', r"\\").replace('"', "\\\"");
    match left_out {
        0 => format!("\"{}\"", escape(&start)),
        _ => format!("\"{}\"... ({left_out} more bytes)", escape(&start)),
    }
}

/// Escapes a name that may not be UTF-8, and cuts it to the length of a value in a message.
pub(crate) fn bytes(name: &[u8]) -> String {
    bytes_up_to(name, VALUE_MAX)
}

/// Escapes a path on this host, and cuts one that is very long.
pub(crate) fn path(path: &Path) -> String {
    bytes_up_to(path.as_os_str().as_bytes(), PATH_MAX)
}

/// Lists the first values, escaped and shortened, and counts the others.
pub(crate) fn list<T: AsRef<str>>(values: impl IntoIterator<Item = T>) -> String {
    join(values.into_iter().map(|value| shorten(value.as_ref()).into_owned()))
}

/// Lists the first values, quoted and shortened, and counts the others.
pub(crate) fn quoted_list<T: AsRef<str>>(values: impl IntoIterator<Item = T>) -> String {
    join(values.into_iter().map(|value| quote(value.as_ref())))
}

fn join(mut values: impl Iterator<Item = String>) -> String {
    let shown: Vec<String> = values.by_ref().take(LIST_MAX).collect();
    let shown = shown.join(", ");
    match values.count() {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Escapes an error message, which may have several lines, and cuts one that is very long.
pub(crate) fn message(text: &str) -> String {
    let count = text.lines().count();
    let shown = text.lines().take(LINES_MAX).map(|line| {
        let line = lines(line);
        let (start, left_out) = split(&line, LINE_MAX);
        match left_out {
            0 => start.to_owned(),
            _ => format!("{start}... ({left_out} more bytes)"),
        }
    });
    let mut shown: Vec<String> = shown.collect();
    if count > LINES_MAX {
        shown.push(format!("... ({} more lines)", count - LINES_MAX));
    }
    shown.join("\n")
}

/// Escapes, in a JSON text, the characters that JSON allows and a terminal must not get. The values
/// stay the same.
pub(crate) fn json(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for c in text.chars() {
        if is_escaped(c) && !matches!(c, '\n' | '\t') {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(result, "\\u{unit:04x}");
            }
        } else {
            result.push(c);
        }
    }
    result
}

fn bytes_up_to(name: &[u8], max: usize) -> String {
    let mut text = String::new();
    // Characters and bytes that may still be shown, and bytes that have been shown.
    let (mut left, mut shown) = (max, 0);
    for chunk in name.utf8_chunks() {
        let (valid, left_out) = split(chunk.valid(), left);
        text.push_str(&escape(valid));
        left -= valid.chars().count();
        shown += valid.len();
        if left_out > 0 {
            break;
        }
        let invalid = &chunk.invalid()[..chunk.invalid().len().min(left)];
        invalid.iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
        left -= invalid.len();
        shown += invalid.len();
        if left == 0 {
            break;
        }
    }
    match name.len() - shown {
        0 => text,
        left_out => format!("{text}... ({left_out} more bytes)"),
    }
}

fn cut(text: &str, max: usize) -> Cow<'_, str> {
    match split(text, max) {
        (start, 0) => escape(start),
        (start, left_out) => Cow::Owned(format!("{}... ({left_out} more bytes)", escape(start))),
    }
}

/// Returns the first `max` characters of `text`, and the number of the other bytes.
fn split(text: &str, max: usize) -> (&str, usize) {
    let (start, rest) = split_at(text, max);
    (start, rest.len())
}

/// Splits `text` after the first `max` characters.
fn split_at(text: &str, max: usize) -> (&str, &str) {
    let end = text.char_indices().nth(max).map_or(text.len(), |(end, _)| end);
    text.split_at(end)
}

/// Escapes all text that is written to it like [`lines`].
#[derive(Debug)]
pub(crate) struct SafeWriter<W>(pub(crate) W);

impl<W: Write> Write for SafeWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        for chunk in buffer.utf8_chunks() {
            self.0.write_all(lines(chunk.valid()).as_bytes())?;
            for byte in chunk.invalid() {
                write!(self.0, "\\x{byte:02x}")?;
            }
        }
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_invisible_and_bidirectional_characters_are_escaped() {
        let hostile =
            "a\u{1b}[2J\r\n\t\u{7f}\u{9b}\u{202e}b\u{2066}\u{200b}\u{feff}\u{61c}é漢🚢\u{e0041}";
        let expected =
            r"a\u{1b}[2J\r\n\t\u{7f}\u{9b}\u{202e}b\u{2066}\u{200b}\u{feff}\u{61c}é漢🚢\u{e0041}";
        assert_eq!(escape(hostile), expected);
        assert_eq!(escape(expected), expected, "escaping twice changes nothing");
        assert!(matches!(escape("/nix/store/é"), Cow::Borrowed(_)));
    }

    #[test]
    fn lines_keep_line_breaks_and_tabs() {
        assert_eq!(lines("a\r\n\tb\x1b[0m\n"), "a\n\tb\\u{1b}[0m\n");
        assert_eq!(lines("50%\r100%\n"), "50%\\r100%\n");
    }

    #[test]
    fn long_values_are_cut_and_the_bytes_left_out_are_counted() {
        assert_eq!(shorten(&"é".repeat(200)), "é".repeat(200));
        assert_eq!(shorten(&"é".repeat(203)), "é".repeat(200) + "... (6 more bytes)");
        assert_eq!(quote("a\"\\\n"), r#""a\"\\\n""#);
        assert!(quote(&"x".repeat(1000)).ends_with("x\"... (800 more bytes)"));
        assert_eq!(bytes(b"a\xff\x1bb\xc3"), r"a\xff\u{1b}b\xc3");
        assert_eq!(bytes(&[b'x'; 300]), "x".repeat(200) + "... (100 more bytes)");
        assert_eq!(bytes(&[0xff; 201]), r"\xff".repeat(200) + "... (1 more bytes)");
        assert!(bytes("é".repeat(1000).as_bytes()).ends_with("é... (1600 more bytes)"));
        assert_eq!(path(Path::new(&"x".repeat(300))).len(), 300);
    }

    #[cfg(feature = "vm")]
    #[test]
    fn both_ends_of_a_long_value_are_shown_and_the_bytes_left_out_are_counted() {
        assert_eq!(ends("a\n"), r"a\n");
        assert_eq!(ends(&"é".repeat(1200)), "é".repeat(1200));
        let long = "é".repeat(600) + "漢" + &"x".repeat(600);
        let expected = "é".repeat(600) + "... (3 more bytes) ..." + &"x".repeat(600);
        assert_eq!(ends(&long), expected);
    }

    #[test]
    fn paragraphs_are_wrapped_between_words_only() {
        let long = "x".repeat(90);
        let wrapped = paragraph("  fix: ", 7, &format!("{} remove-it {long} now", "a".repeat(70)));
        let expected =
            format!("  fix: {}\n       remove-it\n       {long}\n       now", "a".repeat(70));
        assert_eq!(wrapped, expected);
    }

    #[test]
    fn long_lists_show_ten_values_and_count_the_others() {
        assert_eq!(list(["a", "b\n"]), r"a, b\n");
        assert_eq!(quoted_list(["a", "b\n"]), r#""a", "b\n""#);
        let numbers = (1..=12).map(|number| number.to_string());
        assert_eq!(list(numbers), "1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more");
    }

    #[test]
    fn messages_are_limited_in_lines_and_in_the_length_of_lines() {
        assert_eq!(message("a\n  b\x07"), "a\n  b\\u{7}");
        let long = message(&format!("{}\n{}", "x".repeat(9000), "y\n".repeat(600)));
        assert!(
            long.contains("x... (1000 more bytes)\ny") && long.ends_with("\n... (101 more lines)")
        );
    }

    #[test]
    fn json_keeps_its_values() {
        let value = "\u{1b}\u{7f}\u{9b}\u{202e}\u{e0041}é\n";
        let text = json(&serde_json::to_string_pretty(&[value]).unwrap());
        assert!(text.chars().all(|c| c == '\n' || !is_escaped(c)), "{text}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&text).unwrap(), [value]);
    }

    #[test]
    fn a_safe_writer_escapes_everything_but_line_breaks_and_tabs() {
        let mut output = SafeWriter(Vec::new());
        output.write_all("a\u{9b}\n\tb".as_bytes()).unwrap();
        output.write_all(b"\xff").unwrap();
        assert_eq!(output.0, b"a\\u{9b}\n\tb\\xff");
    }
}
