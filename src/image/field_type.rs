//! The types of fields of `config`, and errors about values that have another.

use serde_json::{Map, Value};

use super::env::EnvError;
use crate::document::duration;
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
    /// A whole number of nanoseconds, or in a recipe a text with units, such as `30s`.
    Duration,
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
    ("Interval", FieldType::Duration),
    ("Timeout", FieldType::Duration),
    ("StartPeriod", FieldType::Duration),
    ("StartInterval", FieldType::Duration),
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
        (FieldType::Integer | FieldType::Duration, Value::Number(number)) => number.is_i64(),
        (FieldType::Duration, Value::String(text)) => nanoseconds(text).is_some(),
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
        FieldType::Duration => "a duration such as \"30s\" or a whole number of nanoseconds",
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
        (FieldType::Duration, Value::String(text)) => in_seconds(text),
        (FieldType::Duration, Value::Number(number)) => in_seconds(&number.to_string()),
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

/// Suggests a duration for `number`: people who leave out the unit mean seconds.
fn in_seconds(number: &str) -> String {
    let text = format!("{number}s");
    if nanoseconds(&text).is_some() { format!("; write \"{text}\"") } else { String::new() }
}

/// The nanoseconds of a duration as text, which Docker keeps in 64 bits.
fn nanoseconds(text: &str) -> Option<i64> {
    duration::parse(text).and_then(|duration| duration.as_nanos().try_into().ok())
}

/// Replaces durations as text in the value of a health check that [`check_type`] has accepted.
pub(super) fn durations_in_nanoseconds(healthcheck: &mut Map<String, Value>) {
    let durations = HEALTHCHECK.iter().filter(|(_, field)| *field == FieldType::Duration);
    for (name, _) in durations {
        let Some(value) = healthcheck.get_mut(*name) else { continue };
        if let Some(number) = value.as_str().and_then(nanoseconds) {
            *value = number.into();
        }
    }
}
