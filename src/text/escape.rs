//! Escapes characters that a terminal would obey, or that make text appear as other text.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

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
