//! The fields that a recipe's `config` may set: name, shape, and how each combines with a base image's.
//!
//! One table decides all three, so that a field cannot be checked by one rule and inherited by another.
//! Names and shapes are those of moby's `container.Config` and of the OCI image-spec's `config.md`.

use serde_json::{Map, Value};

use super::{Env, env::EnvError};
use crate::suggest;

/// What a field's value looks like in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A string.
    Text,
    /// A boolean.
    Flag,
    /// A whole number.
    Number,
    /// A list of strings.
    List,
    /// Names with empty objects as values.
    Set,
    /// Names with strings as values.
    Map,
    /// Docker's health probe.
    Healthcheck,
}

/// How a value of a recipe meets the base image's value of the same field, where that is inherited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meeting {
    /// The recipe's value stands alone.
    Replace,
    /// Names of both; the recipe's values win.
    Merge,
    /// The base's entries, then the recipe's.
    Append,
}

/// One field of `config`.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Docker's name for it.
    pub name: &'static str,
    /// Its shape.
    pub shape: Shape,
    /// Its rule of inheritance.
    pub meeting: Meeting,
}

const fn field(name: &'static str, shape: Shape, meeting: Meeting) -> Field {
    Field { name, shape, meeting }
}

/// Every known field. `Env` is merged by name ([`Env::merged`]), whatever is inherited.
pub const FIELDS: &[Field] = &[
    field("ArgsEscaped", Shape::Flag, Meeting::Replace),
    field("AttachStderr", Shape::Flag, Meeting::Replace),
    field("AttachStdin", Shape::Flag, Meeting::Replace),
    field("AttachStdout", Shape::Flag, Meeting::Replace),
    field("Cmd", Shape::List, Meeting::Replace),
    field("Domainname", Shape::Text, Meeting::Replace),
    field("Entrypoint", Shape::List, Meeting::Replace),
    field("Env", Shape::List, Meeting::Merge),
    field("ExposedPorts", Shape::Set, Meeting::Merge),
    field("Healthcheck", Shape::Healthcheck, Meeting::Replace),
    field("Hostname", Shape::Text, Meeting::Replace),
    field("Image", Shape::Text, Meeting::Replace),
    field("Labels", Shape::Map, Meeting::Merge),
    field("MacAddress", Shape::Text, Meeting::Replace),
    field("NetworkDisabled", Shape::Flag, Meeting::Replace),
    field("OnBuild", Shape::List, Meeting::Append),
    field("OpenStdin", Shape::Flag, Meeting::Replace),
    field("Shell", Shape::List, Meeting::Replace),
    field("StdinOnce", Shape::Flag, Meeting::Replace),
    field("StopSignal", Shape::Text, Meeting::Replace),
    field("StopTimeout", Shape::Number, Meeting::Replace),
    field("Tty", Shape::Flag, Meeting::Replace),
    field("User", Shape::Text, Meeting::Replace),
    field("Volumes", Shape::Set, Meeting::Merge),
    field("WorkingDir", Shape::Text, Meeting::Replace),
];

const HEALTHCHECK: &[(&str, Shape)] = &[
    ("Test", Shape::List),
    ("Interval", Shape::Number),
    ("Timeout", Shape::Number),
    ("StartPeriod", Shape::Number),
    ("StartInterval", Shape::Number),
    ("Retries", Shape::Number),
];

/// A `config` that Docker would refuse or misread.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// No such field.
    #[error("{place} has no field {name:?}{hint}", hint = suggest::hint(.nearest))]
    Unknown {
        /// Where: `config` or an object within.
        place: String,
        /// What was written.
        name: String,
        /// The nearest known name.
        nearest: Option<&'static str>,
    },
    /// The value has another shape.
    #[error("{field} must be {expected}, but is {found}{mend}")]
    Shape {
        /// Where.
        field: String,
        /// The shape it must have.
        expected: &'static str,
        /// What was found.
        found: String,
        /// What to write instead, with its separator, or nothing.
        mend: String,
    },
    /// An entry of `Env` is none.
    #[error("config.Env: {0}")]
    Env(EnvError),
}

/// The field called `name`.
///
/// # Errors
/// When there is none; the error names the nearest.
pub fn find(name: &str) -> Result<&'static Field, FieldError> {
    FIELDS.iter().find(|field| field.name == name).ok_or_else(|| FieldError::Unknown {
        place: "config".to_owned(),
        name: name.to_owned(),
        nearest: suggest::nearest(name, FIELDS.iter().map(|field| field.name)),
    })
}

/// Checks a recipe's `config`: known names, right shapes, sound environment. A null clears the field and
/// fits every shape.
///
/// # Errors
/// At the first field that is wrong.
pub fn check(config: &Map<String, Value>) -> Result<(), FieldError> {
    for (name, value) in config {
        let field = find(name)?;
        check_shape(&format!("config.{name}"), field.shape, value)?;
    }
    if let Some(Value::Array(entries)) = config.get("Env") {
        Env::parse(entries.iter().filter_map(Value::as_str)).map_err(FieldError::Env)?;
    }
    Ok(())
}

fn check_shape(place: &str, shape: Shape, value: &Value) -> Result<(), FieldError> {
    let fits = match (shape, value) {
        (_, Value::Null) | (Shape::Text, Value::String(_)) | (Shape::Flag, Value::Bool(_)) => true,
        (Shape::Number, Value::Number(number)) => number.is_i64(),
        (Shape::List, Value::Array(items)) => items.iter().all(Value::is_string),
        (Shape::Set, Value::Object(names)) => {
            names.values().all(|v| v.as_object().is_some_and(Map::is_empty))
        }
        (Shape::Map, Value::Object(names)) => names.values().all(Value::is_string),
        (Shape::Healthcheck, Value::Object(parts)) => return check_healthcheck(place, parts),
        _ => false,
    };
    if fits {
        return Ok(());
    }
    Err(FieldError::Shape {
        field: place.to_owned(),
        expected: expected(shape),
        found: found(value),
        mend: mend(shape, value),
    })
}

fn check_healthcheck(place: &str, parts: &Map<String, Value>) -> Result<(), FieldError> {
    for (name, value) in parts {
        let known = HEALTHCHECK.iter().find(|(known, _)| known == name);
        let (_, shape) = known.ok_or_else(|| FieldError::Unknown {
            place: place.to_owned(),
            name: name.clone(),
            nearest: suggest::nearest(name, HEALTHCHECK.iter().map(|(known, _)| *known)),
        })?;
        check_shape(&format!("{place}.{name}"), *shape, value)?;
    }
    Ok(())
}

fn expected(shape: Shape) -> &'static str {
    match shape {
        Shape::Text => "a string",
        Shape::Flag => "true or false",
        Shape::Number => "a whole number",
        Shape::List => "a list of strings",
        Shape::Set => "a table of empty tables",
        Shape::Map => "a table of strings",
        Shape::Healthcheck => {
            "a table with Test, Interval, Timeout, StartPeriod, StartInterval, Retries"
        }
    }
}

fn found(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => format!("the string {text:?}"),
        Value::Array(items) if items.iter().all(Value::is_string) => "a list".to_owned(),
        Value::Array(_) => "a list with an item that is no string".to_owned(),
        Value::Object(_) => "a table with other values".to_owned(),
    }
}

fn mend(shape: Shape, value: &Value) -> String {
    match (shape, value) {
        (Shape::List, Value::String(text)) => {
            let words: Vec<&str> = text.split_whitespace().collect();
            format!("; write {words:?}")
        }
        (Shape::Set, Value::Array(items)) => match items.iter().find_map(Value::as_str) {
            Some(first) => format!("; write {{ {first:?} = {{}} }}"),
            None => String::new(),
        },
        (Shape::Text | Shape::Map, Value::Number(_) | Value::Bool(_)) => {
            format!("; write \"{value}\"")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problem(config: Value) -> String {
        check(config.as_object().unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn a_string_where_docker_wants_a_list_names_the_mend() {
        assert_eq!(
            problem(json!({"Cmd": "echo hello"})),
            r#"config.Cmd must be a list of strings, but is the string "echo hello"; write ["echo", "hello"]"#
        );
    }

    #[test]
    fn an_unknown_field_names_the_nearest() {
        assert_eq!(
            problem(json!({"EntryPoint": []})),
            r#"config has no field "EntryPoint"; did you mean "Entrypoint"?"#
        );
        assert!(problem(json!({"Healthcheck": {"test": []}})).contains(r#"did you mean "Test"?"#));
    }

    #[test]
    fn sets_and_numbers_are_checked() {
        assert!(
            problem(json!({"ExposedPorts": ["80/tcp"]})).ends_with(r#"write { "80/tcp" = {} }"#)
        );
        assert!(problem(json!({"StopTimeout": 1.5})).contains("a whole number"));
        assert!(problem(json!({"Labels": {"a": 1}})).contains("a table of strings"));
        assert!(problem(json!({"Env": ["A"]})).contains("has no '='"));
    }

    #[test]
    fn a_whole_config_passes() {
        let config = json!({
            "Cmd": [], "Entrypoint": null, "Env": ["A=b=c"], "ExposedPorts": {"80/tcp": {}},
            "Healthcheck": {"Test": ["CMD", "true"], "Interval": 1_000_000_000},
            "Labels": {"a": "b"}, "Tty": true, "StopTimeout": 3, "WorkingDir": "/",
        });
        check(config.as_object().unwrap()).unwrap();
    }
}
