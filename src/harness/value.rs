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

/// Quotes the beginning of `text`, and counts the bytes that are left out.
pub(crate) fn excerpt(text: &str) -> String {
    const MAX_CHARS: usize = 600;
    text::quote_up_to(text, MAX_CHARS)
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
    fn an_excerpt_of_a_long_text_counts_the_bytes_that_are_left_out() {
        assert_eq!(excerpt("short"), r#""short""#);
        let long = "é".repeat(601);
        assert!(excerpt(&long).ends_with("é\"... (2 more bytes)"));
    }
}
