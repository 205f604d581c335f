//! Values as mismatches show them: strings quoted, lists and objects as in JSON, and "nothing" for
//! an absent value.

use serde::Serialize;
use serde_json::Value;

use crate::text;

/// Formats `value` for a mismatch.
pub(crate) fn format(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(value) => format_json(&value),
        Err(error) => format!("a value without a representation in JSON: {error}"),
    }
}

fn format_json(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quote(text),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(format_json).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Object(fields) => {
            let field = |(name, value)| format!("{}: {}", quote(name), format_json(value));
            let fields: Vec<String> = fields.iter().map(field).collect();
            format!("{{{}}}", fields.join(", "))
        }
    }
}

/// Quotes `text`, and escapes whatever a terminal would not print as a character.
pub(crate) fn quote(text: impl AsRef<str>) -> String {
    // Unlike JSON, this escapes control characters above U+007F and those that reverse text, too.
    text::quote_up_to(text.as_ref(), usize::MAX)
}

/// Quotes bytes that are text, as far as they are UTF-8; the others are escaped as `\xff`.
pub(crate) fn quote_bytes(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        let quoted = quote(chunk.valid());
        text.push_str(&quoted[1..quoted.len() - 1]);
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text + "\""
}

/// Quotes the end of `text`, where programs explain why they failed, and counts the bytes that are
/// left out. It begins with a whole line, if there is one.
pub(crate) fn excerpt_of_end(text: &str) -> String {
    const MAX_CHARS: usize = 600;
    let Some((start, _)) = text.char_indices().rev().nth(MAX_CHARS - 1) else {
        return quote(text);
    };
    if start == 0 {
        return quote(text);
    }
    let next_line = text[start..].trim_end().find('\n').map_or(start, |line| start + line + 1);
    format!("{} bytes that end with {}", text.len(), quote(&text[next_line..]))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn values_are_shown_as_users_write_them() {
        assert_eq!(format(Some("x")), r#""x""#);
        assert_eq!(format(None::<&str>), "nothing");
        assert_eq!(format(vec!["a", "b \"c\""]), r#"["a", "b \"c\""]"#);
        assert_eq!(format(BTreeSet::from(["80/tcp"])), r#"["80/tcp"]"#);
        assert_eq!(format(BTreeMap::from([("A", "1"), ("B", "")])), r#"{"A": "1", "B": ""}"#);
        assert_eq!(format(5_u64), "5");
        assert_eq!(format(true), "true");
        assert_eq!(format(Vec::<String>::new()), "[]");
    }

    #[test]
    fn characters_that_a_terminal_would_obey_are_escaped() {
        assert_eq!(quote("a\u{1b}[2J\u{9b}\u{202e}'é\n"), r#""a\u{1b}[2J\u{9b}\u{202e}'é\n""#);
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_escaped() {
        assert_eq!(quote_bytes(b"a\n\xff\"b\""), r#""a\n\xff\"b\"""#);
        assert_eq!(quote_bytes(b""), "\"\"");
    }

    #[test]
    fn an_excerpt_of_the_end_of_a_long_text_begins_with_a_whole_line() {
        assert_eq!(excerpt_of_end("short\n"), "\"short\\n\"");
        let lines = "a line\n".repeat(100) + "the cause\n";
        let excerpt = excerpt_of_end(&lines);
        assert!(excerpt.starts_with("710 bytes that end with \"a line\\n"), "{excerpt}");
        assert!(excerpt.ends_with("a line\\nthe cause\\n\""), "{excerpt}");
        assert!(excerpt_of_end(&"é".repeat(601)).starts_with("1202 bytes that end with \"é"));
        assert_eq!(excerpt_of_end(&"é".repeat(600)), quote("é".repeat(600)));
    }
}
