//! The fields of a recipe's `config`: name, type, and how a value is merged with the base image's.
//!
//! All three are in one table, so that a field cannot be checked by one rule and inherited by
//! another. Names and types are those of moby's `container.Config` and of the OCI image-spec's
//! `config.md`.

use serde_json::{Map, Value};

use super::Env;
use super::env::EnvError;
use super::field_type::{FieldError, FieldType, check_type, durations_in_nanoseconds};
use crate::text::suggest;

/// How a recipe's value is merged with an inherited value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeRule {
    /// The recipe's value replaces the inherited one.
    Replace,
    /// Merged by name; the recipe's values win.
    Merge,
    /// The inherited entries, then the recipe's.
    Append,
}

/// One field of `config`.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The name, as in Docker's config.
    pub name: &'static str,
    /// The type of its value.
    pub field_type: FieldType,
    /// How its value is merged.
    pub rule: MergeRule,
}

const fn field(name: &'static str, field_type: FieldType, rule: MergeRule) -> Field {
    Field { name, field_type, rule }
}

/// Every known field. `Env` is always merged by name, with [`Env::merged`].
pub const FIELDS: &[Field] = &[
    field("ArgsEscaped", FieldType::Boolean, MergeRule::Replace),
    field("AttachStderr", FieldType::Boolean, MergeRule::Replace),
    field("AttachStdin", FieldType::Boolean, MergeRule::Replace),
    field("AttachStdout", FieldType::Boolean, MergeRule::Replace),
    field("Cmd", FieldType::StringList, MergeRule::Replace),
    field("Domainname", FieldType::String, MergeRule::Replace),
    field("Entrypoint", FieldType::StringList, MergeRule::Replace),
    field("Env", FieldType::Environment, MergeRule::Merge),
    field("ExposedPorts", FieldType::NameSet, MergeRule::Merge),
    field("Healthcheck", FieldType::Healthcheck, MergeRule::Replace),
    field("Hostname", FieldType::String, MergeRule::Replace),
    field("Image", FieldType::String, MergeRule::Replace),
    field("Labels", FieldType::StringMap, MergeRule::Merge),
    field("MacAddress", FieldType::String, MergeRule::Replace),
    field("NetworkDisabled", FieldType::Boolean, MergeRule::Replace),
    field("OnBuild", FieldType::StringList, MergeRule::Append),
    field("OpenStdin", FieldType::Boolean, MergeRule::Replace),
    field("Shell", FieldType::StringList, MergeRule::Replace),
    field("StdinOnce", FieldType::Boolean, MergeRule::Replace),
    field("StopSignal", FieldType::String, MergeRule::Replace),
    field("StopTimeout", FieldType::Integer, MergeRule::Replace),
    field("Tty", FieldType::Boolean, MergeRule::Replace),
    field("User", FieldType::String, MergeRule::Replace),
    field("Volumes", FieldType::NameSet, MergeRule::Merge),
    field("WorkingDir", FieldType::String, MergeRule::Replace),
];

/// Finds the field `name`.
///
/// # Errors
/// If there is none; the error names the nearest.
pub fn find(name: &str) -> Result<&'static Field, FieldError> {
    FIELDS.iter().find(|field| field.name == name).ok_or_else(|| FieldError::Unknown {
        object: "config".to_owned(),
        name: name.to_owned(),
        nearest: suggest::nearest(name, FIELDS.iter().map(|field| field.name)),
    })
}

/// Checks the names and types of a recipe's `config`, and its environment. A null clears a field
/// and matches every type.
///
/// # Errors
/// If a field is invalid; the error is about the first.
pub fn check(config: &Map<String, Value>) -> Result<(), FieldError> {
    for (name, value) in config {
        let field = find(name)?;
        check_type(&format!("config.{name}"), field.field_type, value)?;
    }
    if let Some(env) = config.get("Env") {
        env_from(env).map_err(FieldError::Env)?;
    }
    Ok(())
}

/// Converts the values of a recipe's `config`, which [`check`] has accepted, to those of an image:
/// durations to nanoseconds.
pub(crate) fn convert(config: &mut Map<String, Value>) {
    if let Some(Value::Object(healthcheck)) = config.get_mut("Healthcheck") {
        durations_in_nanoseconds(healthcheck);
    }
}

/// The environment in a value of `Env` that [`check`] has accepted: a list, or an object in the
/// order of its names.
///
/// # Errors
/// If an entry is invalid.
pub fn env_from(value: &Value) -> Result<Env, EnvError> {
    match value {
        Value::Object(variables) => Env::from_variables(
            variables.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))),
        ),
        list => Env::parse(list.as_array().into_iter().flatten().filter_map(Value::as_str)),
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
    fn the_error_for_a_string_instead_of_a_list_shows_the_list() {
        assert_eq!(
            problem(json!({"Cmd": "echo hello"})),
            "config.Cmd must be a list of strings, but is the string \"echo hello\"; \
             write [\"echo\", \"hello\"]"
        );
    }

    #[test]
    fn the_error_for_an_unknown_field_names_the_nearest() {
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
        assert!(problem(json!({"Env": {"A": 1}})).ends_with("; write A = \"1\""));
        assert!(problem(json!({"Env": {"A=B": "1"}})).contains("cannot contain '='"));
        assert!(problem(json!({"Env": {"": "1"}})).contains("has no name"));
        assert!(problem(json!({"Env": "A=1"})).ends_with("; write [\"A=1\"]"));
    }

    #[test]
    fn a_valid_config_passes() {
        let config = json!({
            "Cmd": [], "Entrypoint": null, "Env": ["A=b=c"], "ExposedPorts": {"80/tcp": {}},
            "Healthcheck": {"Test": ["CMD", "true"], "Interval": 1_000_000_000, "Timeout": "3s"},
            "Labels": {"a": "b"}, "Tty": true, "StopTimeout": 3, "WorkingDir": "/",
        });
        check(config.as_object().unwrap()).unwrap();
    }
}
