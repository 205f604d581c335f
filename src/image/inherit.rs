//! How a base image's `config` and a recipe's become one.
//!
//! The environment is always merged. Of the rest nothing is inherited unless asked for; where it is, a
//! Dockerfile's rules hold: an own value replaces, tables merge by name, and setting `Entrypoint` drops
//! the inherited `Cmd`, which was meant for another program (docs.docker.com, "Understand how CMD and
//! ENTRYPOINT interact").

use serde_json::{Map, Value};

use super::fields::{self, Field, FieldError, Meeting};
use super::{Env, env::EnvError};

/// Which fields of the base image's config an image takes over, besides `Env`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Inherit {
    /// None.
    #[default]
    Nothing,
    /// All, those that this program does not know included.
    All,
    /// The named ones.
    Fields(Vec<&'static str>),
}

impl Inherit {
    /// Reads a list of field names.
    ///
    /// # Errors
    /// At a name that `config` does not have.
    pub fn fields<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Result<Self, FieldError> {
        let names: Result<_, _> =
            names.into_iter().map(|name| fields::find(name.as_ref()).map(|f| f.name)).collect();
        Ok(Self::Fields(names?))
    }

    /// Whether the field called `name` is taken over.
    pub fn takes(&self, name: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::All => true,
            Self::Fields(names) => names.contains(&name),
        }
    }
}

/// The `config` of an image: `own`, checked by [`fields::check`], over what it inherits from `base`.
///
/// A field left out of `own` is inherited where `inherit` takes it; a null clears it; any other value,
/// empty ones included, is set. `Env` is inherited unless cleared and never holds a name twice.
///
/// # Errors
/// When an environment entry of either side is none.
pub fn merge(
    base: &Map<String, Value>,
    own: &Map<String, Value>,
    inherit: &Inherit,
) -> Result<Map<String, Value>, EnvError> {
    let mut merged: Map<String, Value> = base
        .iter()
        .filter(|(name, value)| !value.is_null() && *name != "Env" && inherit.takes(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if own.get("Entrypoint").is_some_and(|value| !value.is_null()) {
        merged.remove("Cmd");
    }
    for (name, value) in own.iter().filter(|(name, _)| *name != "Env") {
        let meeting = fields::find(name).map_or(Meeting::Replace, |Field { meeting, .. }| *meeting);
        match (meeting, merged.get_mut(name), value) {
            (_, _, Value::Null) => {
                merged.remove(name);
            }
            (Meeting::Merge, Some(Value::Object(inherited)), Value::Object(own)) => {
                inherited.extend(own.clone());
            }
            (Meeting::Append, Some(Value::Array(inherited)), Value::Array(own)) => {
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

/// `None` where neither side has an environment, or `own` clears it.
fn merged_env(base: Option<&Value>, own: Option<&Value>) -> Result<Option<Vec<String>>, EnvError> {
    let parse = |value: &Value| {
        Env::parse(value.as_array().into_iter().flatten().filter_map(Value::as_str))
    };
    let base = base.filter(|value| value.is_array());
    Ok(match (base, own) {
        (_, Some(Value::Null)) | (None, None) => None,
        (base, own) => {
            let base = base.map(parse).transpose()?.unwrap_or_default();
            let own = own.map(parse).transpose()?.unwrap_or_default();
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
    fn inheriting_all_follows_the_dockerfile_rules() {
        let base = json!({
            "Cmd": ["x"], "Entrypoint": ["e"], "Labels": {"a": "1", "b": "2"}, "OnBuild": ["RUN a"],
            "User": "u", "Vendor": {"kept": true}, "Volumes": null,
        });
        let own = json!({"Entrypoint": ["f"], "Labels": {"b": "3"}, "OnBuild": ["RUN b"]});
        assert_eq!(
            merged(base, own, &Inherit::All),
            json!({
                "Entrypoint": ["f"], "Labels": {"a": "1", "b": "3"}, "OnBuild": ["RUN a", "RUN b"],
                "User": "u", "Vendor": {"kept": true},
            })
        );
    }

    #[test]
    fn unset_empty_and_cleared_are_three_things() {
        let base = json!({"Cmd": ["x"], "Entrypoint": ["e"]});
        assert_eq!(merged(base.clone(), json!({}), &Inherit::All), base);
        assert_eq!(
            merged(base.clone(), json!({"Cmd": []}), &Inherit::All),
            json!({"Cmd": [], "Entrypoint": ["e"]})
        );
        assert_eq!(merged(base, json!({"Cmd": null}), &Inherit::All), json!({"Entrypoint": ["e"]}));
    }

    #[test]
    fn a_list_of_names_inherits_these_alone() {
        let base = json!({"Cmd": ["x"], "User": "u"});
        let inherit = Inherit::fields(["User"]).unwrap();
        assert_eq!(merged(base, json!({}), &inherit), json!({"User": "u"}));
        assert!(Inherit::fields(["Usr"]).unwrap_err().to_string().contains("\"User\""));
    }

    #[test]
    fn clearing_the_environment_drops_the_bases() {
        let base = json!({"Env": ["A=1"]});
        assert_eq!(merged(base, json!({"Env": null}), &Inherit::All), json!({}));
    }
}
