//! Compares values in a JSON document with the expected ones.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::conditions::{Checks, JsonExpectation, Text};
use crate::text::{Description, value};

/// Compares values in `body`, called `subject`, with those that are `expected` at JSON Pointers.
pub(super) fn check_json(
    subject: &str,
    expected: &BTreeMap<String, JsonExpectation>,
    body: &[u8],
    checks: &mut Checks,
) {
    let document: Value = match serde_json::from_slice(body) {
        Ok(document) => document,
        Err(error) => {
            let body = String::from_utf8_lossy(body);
            let found = Description::from(format!("{error}: ")).then_quote(body);
            return checks.record(subject, "JSON", found, false);
        }
    };
    for (pointer, expected) in expected {
        let (found, subject) = (document.pointer(pointer), format!("{pointer} in the {subject}"));
        match expected {
            JsonExpectation::Value(value) => check_value(&subject, value, found, checks),
            JsonExpectation::Text(rules) => check_text(&subject, rules, found, checks),
        }
    }
}

/// The value at a pointer that leads nowhere.
const NOTHING: &str = "no such value";

fn check_value(subject: &str, expected: &Value, found: Option<&Value>, checks: &mut Checks) {
    let passed = found.is_some_and(|found| is_equal(expected, found));
    let found = match found {
        None => NOTHING.into(),
        Some(Value::Null) => "null".into(),
        Some(found) => Description::of(found),
    };
    checks.record(subject, Description::of(expected), found, passed);
}

fn check_text(subject: &str, rules: &Text, found: Option<&Value>, checks: &mut Checks) {
    match found {
        None => checks.record(subject, rules.in_words(), NOTHING, false),
        Some(Value::String(text)) => {
            let unmet = rules.unmet_by(text);
            let passed = unmet.is_none();
            let expected = unmet.unwrap_or_else(|| rules.in_words());
            checks.record(subject, expected, Description::quote(text), passed);
        }
        // It may well look as if it met the rules.
        Some(found) => checks.record(subject, rules.in_words(), not_text(found), false),
    }
}

/// Describes a value for which there are only rules for texts.
fn not_text(value: &Value) -> String {
    let kind = match value {
        Value::Null => return "null, not a text".to_owned(),
        Value::Number(_) => "number",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
        Value::Bool(_) | Value::String(_) => "value",
    };
    format!("the {kind} {}, not a text", value::format(value))
}

/// Whether two values are equal; 1 and 1.0 are.
fn is_equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        // As floating point, large integers would equal their neighbours.
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
            a.as_f64() == b.as_f64()
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let equal = |(name, a)| b.get(name).is_some_and(|b| is_equal(a, b));
            a.len() == b.len() && a.iter().all(equal)
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mismatches(expected: &str, body: &str) -> Vec<String> {
        let expected = toml::from_str(expected).unwrap();
        let mut checks = Checks::default();
        check_json("body", &expected, body.as_bytes(), &mut checks);
        let line = |check: &crate::conditions::Check| {
            format!("{}: {} != {}", check.subject, check.expected, check.found)
        };
        checks.mismatches().iter().map(line).collect()
    }

    #[test]
    fn values_in_json_are_found_by_pointers() {
        let body = r#"{"items": [{"id": 1.0, "tag": "v1.2"}], "a/b": null}"#;
        let expected = "'/items/0/id'=1\n'/items/0/tag'={matches='^v1'}";
        assert_eq!(mismatches(expected, body), [""; 0]);
        let large = r#"{"id": 9007199254740993, "whole": 1.0}"#;
        assert_eq!(mismatches("'/id'=9007199254740993\n'/whole'=1", large), [""; 0]);
        let found = mismatches("'/id'=9007199254740992", large);
        assert!(found[0].ends_with(": 9007199254740992 != 9007199254740993"), "{found:?}");
        let expected = "'/items/1'=1\n'/a~1b'='x'\n'/items/0/id'={contains='1'}";
        assert_eq!(
            mismatches(expected, body),
            [
                "/a~1b in the body: \"x\" != null",
                "/items/0/id in the body: contains \"1\" != the number 1.0, not a text",
                "/items/1 in the body: 1 != no such value",
            ]
        );
        let found = mismatches("'/a'=1", "<html>");
        assert!(found[0].starts_with("body: JSON != expected value"), "{found:?}");
    }

    #[test]
    fn of_rules_those_are_shown_that_a_string_does_not_meet() {
        let found = mismatches("'/a'={contains=['x','y']}", r#"{"a": "x"}"#);
        assert_eq!(found, [r#"/a in the body: contains "y" != "x""#]);
        let found = mismatches("'/b'={contains=['x','y']}", r#"{"a": "x"}"#);
        assert_eq!(found, [r#"/b in the body: contains "x", contains "y" != no such value"#]);
    }
}
