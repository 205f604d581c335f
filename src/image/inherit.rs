//! Merges a recipe's `config` with the base image's.
//!
//! The environment is always merged. Other fields are inherited only on request, by the rules of
//! Dockerfiles: a value replaces the inherited one, tables are merged by name, and `Entrypoint`
//! drops the inherited `Cmd`, which was meant for another program (docs.docker.com, "Understand how
//! CMD and ENTRYPOINT interact").

use serde_json::{Map, Value};

use super::env::EnvError;
use super::field_type::FieldError;
use super::fields::{self, Field, MergeRule};

/// The fields of the base image's `config` to inherit, in addition to `Env`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Inherit {
    /// None.
    #[default]
    Nothing,
    /// All, including unknown fields.
    All,
    /// The named ones.
    Fields(Vec<&'static str>),
}

impl Inherit {
    /// Creates it from field names.
    ///
    /// # Errors
    /// If a field does not exist.
    pub fn fields<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Result<Self, FieldError> {
        let names: Result<_, _> =
            names.into_iter().map(|name| fields::find(name.as_ref()).map(|f| f.name)).collect();
        Ok(Self::Fields(names?))
    }

    /// Whether the field `name` is inherited.
    pub fn includes(&self, name: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::All => true,
            Self::Fields(names) => names.contains(&name),
        }
    }
}

/// Merges `own`, a config checked by [`fields::check`], with the fields of `base` that `inherit`
/// includes.
///
/// A field that `own` does not have is inherited; a null clears it; any other value sets it, even
/// an empty one. `Env` is inherited unless cleared, and never has a name twice.
///
/// # Errors
/// If an environment is invalid.
pub fn merge(
    base: &Map<String, Value>,
    own: &Map<String, Value>,
    inherit: &Inherit,
) -> Result<Map<String, Value>, EnvError> {
    let mut merged: Map<String, Value> = base
        .iter()
        .filter(|(name, value)| !value.is_null() && *name != "Env" && inherit.includes(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if own.get("Entrypoint").is_some_and(|value| !value.is_null()) {
        merged.remove("Cmd");
    }
    for (name, value) in own.iter().filter(|(name, _)| *name != "Env") {
        let rule = fields::find(name).map_or(MergeRule::Replace, |Field { rule, .. }| *rule);
        match (rule, merged.get_mut(name), value) {
            (_, _, Value::Null) => {
                merged.remove(name);
            }
            (MergeRule::Merge, Some(Value::Object(inherited)), Value::Object(own)) => {
                inherited.extend(own.clone());
            }
            (MergeRule::Append, Some(Value::Array(inherited)), Value::Array(own)) => {
                inherited.extend(own.clone());
            }
            _ => {
                merged.insert(name.clone(), value.clone());
            }
        }
    }
    let env = merged_env(base.get("Env"), own.get("Env"))?;
    if let Some(entries) = env {
        merged.insert("Env".to_owned(), entries.into());
    }
    Ok(merged)
}

/// Merges the config `shared` by all platforms of a recipe with the `own` fields of one, which
/// [`fields::check`] has checked.
///
/// Each own field replaces the shared one, a null too, which clears it; `Env` and tables are merged
/// by name.
///
/// # Errors
/// If an environment is invalid.
pub(crate) fn with_own_fields(
    shared: &Map<String, Value>,
    own: &Map<String, Value>,
) -> Result<Map<String, Value>, EnvError> {
    let mut merged = shared.clone();
    for (name, own) in own {
        let is_merged = fields::find(name).is_ok_and(|field| field.rule == MergeRule::Merge);
        let value = match (merged.get(name), own) {
            (None | Some(Value::Null), own) | (_, own @ Value::Null) => own.clone(),
            (Some(shared), own) if name == "Env" => {
                fields::env_from(shared)?.merged(&fields::env_from(own)?).to_entries().into()
            }
            (Some(Value::Object(shared)), Value::Object(own)) if is_merged => {
                shared.clone().into_iter().chain(own.clone()).collect()
            }
            (_, own) => own.clone(),
        };
        merged.insert(name.clone(), value);
    }
    Ok(merged)
}

/// `None` if neither side has an environment, or `own` clears it.
fn merged_env(base: Option<&Value>, own: Option<&Value>) -> Result<Option<Vec<String>>, EnvError> {
    let base = base.filter(|value| value.is_array());
    Ok(match (base, own) {
        (_, Some(Value::Null)) | (None, None) => None,
        (base, own) => {
            let base = base.map(fields::env_from).transpose()?.unwrap_or_default();
            let own = own.map(fields::env_from).transpose()?.unwrap_or_default();
            Some(base.merged(&own).to_entries())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn merged(base: Value, own: Value, inherit: &Inherit) -> Value {
        let object = |value: Value| value.as_object().unwrap().clone();
        Value::Object(merge(&object(base), &object(own), inherit).unwrap())
    }

    #[test]
    fn only_the_environment_is_inherited_by_default() {
        let base = json!({"Env": ["A=1"], "Cmd": ["x"], "User": "u", "Labels": {"a": "b"}});
        assert_eq!(merged(base, json!({}), &Inherit::Nothing), json!({"Env": ["A=1"]}));
    }

    #[test]
    fn everything_is_inherited_by_the_rules_of_dockerfiles() {
        let base = json!({
            "Cmd": ["x"], "Entrypoint": ["e"], "Labels": {"a": "1", "b": "2"}, "OnBuild": ["RUN a"],
            "User": "u", "Vendor": {"unknown": true}, "Volumes": null,
        });
        let own = json!({"Entrypoint": ["f"], "Labels": {"b": "3"}, "OnBuild": ["RUN b"]});
        assert_eq!(
            merged(base, own, &Inherit::All),
            json!({
                "Entrypoint": ["f"], "Labels": {"a": "1", "b": "3"}, "OnBuild": ["RUN a", "RUN b"],
                "User": "u", "Vendor": {"unknown": true},
            })
        );
    }

    #[test]
    fn a_field_can_be_unset_empty_or_cleared() {
        let base = json!({"Cmd": ["x"], "Entrypoint": ["e"]});
        assert_eq!(merged(base.clone(), json!({}), &Inherit::All), base);
        assert_eq!(
            merged(base.clone(), json!({"Cmd": []}), &Inherit::All),
            json!({"Cmd": [], "Entrypoint": ["e"]})
        );
        assert_eq!(merged(base, json!({"Cmd": null}), &Inherit::All), json!({"Entrypoint": ["e"]}));
    }

    #[test]
    fn a_list_of_names_inherits_only_these_fields() {
        let base = json!({"Cmd": ["x"], "User": "u"});
        let inherit = Inherit::fields(["User"]).unwrap();
        assert_eq!(merged(base, json!({}), &inherit), json!({"User": "u"}));
        assert!(Inherit::fields(["Usr"]).unwrap_err().to_string().contains("\"User\""));
    }

    #[test]
    fn clearing_the_environment_drops_the_environment_of_the_base() {
        let base = json!({"Env": ["A=1"]});
        assert_eq!(merged(base, json!({"Env": null}), &Inherit::All), json!({}));
    }
}
