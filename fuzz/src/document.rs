//! Documents that may be written in TOML or in JSON.

use serde_json::{Map, Number, Value};

/// Returns the JSON with the same meaning as the TOML `text`; `None` if `text` is not TOML, is read
/// as JSON already, or has values that JSON lacks.
pub fn toml_as_json(text: &str) -> Option<String> {
    if text.trim_start().starts_with('{') {
        return None;
    }
    let table: toml::Table = toml::from_str(text).ok()?;
    converted(toml::Value::Table(table)).map(|value| value.to_string())
}

fn converted(value: toml::Value) -> Option<Value> {
    Some(match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::Number(number.into()),
        toml::Value::Float(number) => Value::Number(Number::from_f64(number)?),
        toml::Value::Boolean(value) => Value::Bool(value),
        toml::Value::Datetime(_) => return None,
        toml::Value::Array(values) => {
            Value::Array(values.into_iter().map(converted).collect::<Option<_>>()?)
        }
        toml::Value::Table(table) => {
            let pair = |(key, value)| Some((key, converted(value)?));
            Value::Object(table.into_iter().map(pair).collect::<Option<Map<_, _>>>()?)
        }
    })
}
