//! Lines of messages: columns of tables, paragraphs, whole error messages, and the end of output.

use super::escape::lines;
#[cfg(feature = "vm")]
use super::shorten::excerpt;
use super::shorten::{shorten, split};

/// The columns of output for people.
const WIDTH: usize = 80;
/// The most characters of a line of an error message: it may contain several values and paths.
const LINE_MAX: usize = 8000;
/// The most lines of an error message: it may contain excerpts of a journal and of a console.
const LINES_MAX: usize = 500;

/// Escapes `text` and cuts it to `width` characters, for a column of a table.
pub(crate) fn fit(text: &str, width: usize) -> String {
    let text = shorten(text);
    if text.chars().count() <= width {
        return text.into_owned();
    }
    text.chars().take(width.saturating_sub(3)).chain("...".chars()).collect()
}

/// Wraps `text` after `label` at 80 columns, with `indent` spaces before the lines that follow.
/// Words and quoted texts are not broken, so that they can be copied.
pub(crate) fn paragraph(label: &str, indent: usize, text: &str) -> String {
    let indent = " ".repeat(indent);
    let options = textwrap::Options::new(WIDTH)
        .initial_indent(label)
        .subsequent_indent(&indent)
        .word_separator(textwrap::WordSeparator::Custom(words))
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .break_words(false);
    textwrap::fill(text, options)
}

/// Splits `line` into its words; a quoted text is a part of a word.
fn words(line: &str) -> Box<dyn Iterator<Item = textwrap::core::Word<'_>> + '_> {
    let mut rest = line;
    Box::new(std::iter::from_fn(move || {
        let (word, after) = rest.split_at(word_length(rest));
        rest = after;
        (!word.is_empty()).then(|| textwrap::core::Word::from(word))
    }))
}

/// The length in bytes of the first word of `text`, with the spaces after it.
fn word_length(text: &str) -> usize {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (index, c) in text.char_indices() {
        match c {
            '"' if !is_escaped => is_quoted = !is_quoted && text[index + 1..].contains('"'),
            ' ' if !is_quoted => {
                let rest = &text[index..];
                return index + rest.len() - rest.trim_start_matches(' ').len();
            }
            _ => {}
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    text.len()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_wrapped_between_words_only() {
        let long = "x".repeat(90);
        let wrapped = paragraph("  fix: ", 7, &format!("{} remove-it {long} now", "a".repeat(70)));
        let expected =
            format!("  fix: {}\n       remove-it\n       {long}\n       now", "a".repeat(70));
        assert_eq!(wrapped, expected);
    }

    #[test]
    fn quoted_texts_are_not_broken() {
        let text = r#"contains "error: could not connect to the   \"base\"" and 5" more"#;
        let wrapped = paragraph(&"x".repeat(30), 2, text);
        let expected = r#"contains
  "error: could not connect to the   \"base\"" and 5" more"#;
        assert_eq!(wrapped, "x".repeat(30) + expected);
    }

    #[test]
    fn messages_are_limited_in_lines_and_in_the_length_of_lines() {
        assert_eq!(message("a\n  b\x07"), "a\n  b\\u{7}");
        let long = message(&format!("{}\n{}", "x".repeat(9000), "y\n".repeat(600)));
        assert!(
            long.contains("x... (1000 more bytes)\ny") && long.ends_with("\n... (101 more lines)")
        );
    }
}
