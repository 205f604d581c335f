//! The types of fields of `config`, and errors about values that have another.

use serde_json::{Map, Value};

use super::env::EnvError;
use crate::text;
use crate::text::suggest;

/// The JSON type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// A string.
    String,
    /// True or false.
    Boolean,
    /// A whole number.
    Integer,
    /// A list of strings.
    StringList,
    /// A list of `NAME=value` strings, or an object of strings.
    Environment,
    /// An object of empty objects.
    NameSet,
    /// An object of strings.
    StringMap,
    /// Docker's health check.
    Healthcheck,
}

/// The fields of a health check.
const HEALTHCHECK: &[(&str, FieldType)] = &[
    ("Test", FieldType::StringList),
    ("Interval", FieldType::Integer),
    ("Timeout", FieldType::Integer),
    ("StartPeriod", FieldType::Integer),
    ("StartInterval", FieldType::Integer),
    ("Retries", FieldType::Integer),
];

/// A `config` that Docker would reject or misread.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// There is no such field.
    #[error("{object} has no field {}{}", text::quote(.name), suggest::hint(.nearest))]
    Unknown {
        /// The object: `config`, or one in it.
        object: String,
        /// The given name.
        name: String,
        /// The nearest known name.
        nearest: Option<&'static str>,
    },
    /// The value has another type.
    #[error("{} must be {expected}, but is {found}{hint}", text::shorten(.field))]
    Type {
        /// The field.
        field: String,
        /// The expected type.
        expected: &'static str,
        /// A description of the value.
        found: String,
        /// A suggestion after a semicolon; may be empty.
        hint: String,
    },
    /// An entry of `Env` is invalid.
    #[error("config.Env: {0}")]
    Env(EnvError),
}

/// Checks the type of the value of `field`.
pub(super) fn check_type(
    field: &str,
    field_type: FieldType,
    value: &Value,
) -> Result<(), FieldError> {
    let matches = match (field_type, value) {
        (_, Value::Null)
        | (FieldType::String, Value::String(_))
        | (FieldType::Boolean, Value::Bool(_)) => true,
        (FieldType::Integer, Value::Number(number)) => number.is_i64(),
        (FieldType::StringList | FieldType::Environment, Value::Array(items)) => {
            items.iter().all(Value::is_string)
        }
        (FieldType::NameSet, Value::Object(names)) => {
            names.values().all(|v| v.as_object().is_some_and(Map::is_empty))
        }
        (FieldType::StringMap | FieldType::Environment, Value::Object(names)) => {
            names.values().all(Value::is_string)
        }
        (FieldType::Healthcheck, Value::Object(parts)) => return check_healthcheck(field, parts),
        _ => false,
    };
    if matches {
        return Ok(());
    }
    Err(FieldError::Type {
        field: field.to_owned(),
        expected: type_name(field_type),
        found: describe(value),
        hint: hint(field, field_type, value),
    })
}

fn check_healthcheck(field: &str, parts: &Map<String, Value>) -> Result<(), FieldError> {
    for (name, value) in parts {
        let known = HEALTHCHECK.iter().find(|(known, _)| known == name);
        let (_, field_type) = known.ok_or_else(|| FieldError::Unknown {
            object: field.to_owned(),
            name: name.clone(),
            nearest: suggest::nearest(name, HEALTHCHECK.iter().map(|(known, _)| *known)),
        })?;
        check_type(&format!("{field}.{name}"), *field_type, value)?;
    }
    Ok(())
}

fn type_name(field_type: FieldType) -> &'static str {
    match field_type {
        FieldType::String => "a string",
        FieldType::Boolean => "true or false",
        FieldType::Integer => "a whole number",
        FieldType::StringList => "a list of strings",
        FieldType::Environment => "a list of \"NAME=value\" strings, or a table of strings",
        FieldType::NameSet => "a table of empty tables",
        FieldType::StringMap => "a table of strings",
        FieldType::Healthcheck => {
            "a table with Test, Interval, Timeout, StartPeriod, StartInterval, Retries"
        }
    }
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(string) => format!("the string {}", text::quote(string)),
        Value::Array(items) if items.iter().all(Value::is_string) => "a list".to_owned(),
        Value::Array(_) => "a list with an item that is not a string".to_owned(),
        Value::Object(_) => "a table with other values".to_owned(),
    }
}

/// Suggests what to write instead of `value` of `field`, if that is clear.
fn hint(field: &str, field_type: FieldType, value: &Value) -> String {
    match (field_type, value) {
        (FieldType::StringList, Value::String(text)) => match field {
            "config.Healthcheck.Test" => {
                format!("; write [{}]", text::quoted_list(["CMD-SHELL", text]))
            }
            "config.OnBuild" => format!("; write [{}]", text::quote(text)),
            _ => suggest::command(text),
        },
        (FieldType::Integer, Value::String(text)) if is_duration(field) => duration_hint(text),
        (FieldType::Integer, Value::String(text)) => {
            text.parse().map_or_else(|_| String::new(), |number: i64| format!("; write {number}"))
        }
        (FieldType::Environment, Value::String(entry)) => {
            format!("; write [{}]", text::quote(entry))
        }
        (FieldType::Environment | FieldType::StringMap, Value::Object(variables)) => {
            let other = variables.iter().find(|(_, value)| value.is_number() || value.is_boolean());
            let write = |(name, value): (&String, &Value)| {
                format!("; write {} = \"{value}\"", text::shorten(name))
            };
            other.map(write).unwrap_or_default()
        }
        (FieldType::NameSet, Value::Array(items)) => match items.iter().find_map(Value::as_str) {
            Some(first) => format!("; write {{ {} = {{}} }}", text::quote(first)),
            None => match items.iter().find(|item| item.is_number()) {
                Some(port) => format!("; write {{ \"{port}/tcp\" = {{}} }}"),
                None => String::new(),
            },
        },
        (FieldType::String | FieldType::StringMap, Value::Number(_) | Value::Bool(_)) => {
            format!("; write \"{value}\"")
        }
        _ => String::new(),
    }
}

/// Suggests nanoseconds for `text`, a duration. Docker rejects negative ones.
fn duration_hint(text: &str) -> String {
    // People who leave out the unit mean seconds.
    let in_seconds = || nanoseconds(&format!("{text}s"));
    match (nanoseconds(text), in_seconds()) {
        (Some(number), _) => format!("; write nanoseconds: {number}"),
        (None, Some(number)) => format!("; write nanoseconds: {number} for {text} s"),
        (None, None) => String::new(),
    }
}

/// Whether `field` is a duration of a health check, in nanoseconds.
fn is_duration(field: &str) -> bool {
    field.starts_with("config.Healthcheck.") && field != "config.Healthcheck.Retries"
}

/// The units of Go's durations in nanoseconds. A unit comes before those that it ends with.
const UNITS: [(&str, f64); 6] =
    [("ms", 1e6), ("us", 1e3), ("ns", 1.0), ("h", 3600e9), ("m", 60e9), ("s", 1e9)];

/// The nanoseconds of a duration as Go and Dockerfiles write it, such as `1m30s`.
fn nanoseconds(text: &str) -> Option<i64> {
    let (mut rest, mut sum) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit, factor) = UNITS.iter().find(|(unit, _)| rest.starts_with(unit))?;
        sum += number * factor;
        rest = &rest[unit.len()..];
    }
    (sum > 0.0 && sum < i64::MAX as f64).then_some(sum as i64)
}
