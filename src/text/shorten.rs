//! Escapes values and cuts them to a length that fits a message or a report.

use std::borrow::Cow;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::escape::escape;

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

/// Escapes `text` and cuts it to the length of a value in a message.
pub(crate) fn shorten(text: &str) -> Cow<'_, str> {
    cut(text, VALUE_MAX)
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
pub(super) fn split(text: &str, max: usize) -> (&str, usize) {
    let (start, rest) = split_at(text, max);
    (start, rest.len())
}

/// Splits `text` after the first `max` characters.
fn split_at(text: &str, max: usize) -> (&str, &str) {
    let end = text.char_indices().nth(max).map_or(text.len(), |(end, _)| end);
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn long_lists_show_ten_values_and_count_the_others() {
        assert_eq!(list(["a", "b\n"]), r"a, b\n");
        assert_eq!(quoted_list(["a", "b\n"]), r#""a", "b\n""#);
        let numbers = (1..=12).map(|number| number.to_string());
        assert_eq!(list(numbers), "1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more");
    }
}
