//! Lines of a TOML document.

use std::fmt::Write as _;

use toml::Value;

/// The longest line of a list.
const LINE_MAX: usize = 80;

/// Appends `key = value` to `draft`. A long list has a line for each value.
pub(super) fn line(draft: &mut String, key: &str, value: Value) {
    let line = format!("{key} = {value}");
    match value {
        Value::Array(values) if line.chars().count() > LINE_MAX => {
            let lines: String = values.iter().map(|value| format!("    {value},\n")).collect();
            let _ = writeln!(draft, "{key} = [\n{lines}]");
        }
        _ => {
            let _ = writeln!(draft, "{line}");
        }
    }
}

pub(super) fn string(text: &str) -> Value {
    Value::String(text.to_owned())
}

pub(super) fn list(texts: impl Iterator<Item = impl AsRef<str>>) -> Value {
    Value::Array(texts.map(|text| string(text.as_ref())).collect())
}

/// A key of a table, quoted if it must be.
pub(super) fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !name.is_empty() && name.chars().all(is_bare) {
        true => name.to_owned(),
        false => string(name).to_string(),
    }
}
