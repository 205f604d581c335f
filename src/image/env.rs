//! The environment of an image: `NAME=value` entries, with every name at most once.
//!
//! If a name occurs twice, Docker uses the last entry, while Kubernetes defines nothing. So an
//! image must never have a name twice, and [`Env`] cannot represent it.

use std::collections::HashMap;

use serde::Serialize;

use crate::text;

/// The `PATH` that engines give to containers whose image and options do not set it.
pub(crate) const DEFAULT_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Environment variables in order, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Env {
    entries: Vec<(String, String)>,
    /// The positions of the names in `entries`.
    positions: HashMap<String, usize>,
}

/// An entry that is not `NAME=value`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// The entry has no `=`.
    #[error(
        "env entry \"{entry}\" has no '='; write \"{entry}=value\", or \"{entry}=\" for an empty \
         value",
        entry = text::shorten(.0)
    )]
    NoEquals(String),
    /// The entry begins with `=`.
    #[error("env entry {} has no name before its '='", text::quote(.0))]
    NoName(String),
    /// The name, in a table of names and values, contains `=`.
    #[error("env variable {} cannot contain '=' in its name", text::quote(.0))]
    NameWithEquals(String),
    /// The entry contains a NUL byte.
    #[error(
        "env entry {} contains a NUL byte, which an environment cannot hold; remove it",
        text::quote(.0)
    )]
    Nul(String),
}

impl Env {
    /// Parses `NAME=value` entries in order. A name that occurs again keeps its first position and
    /// gets the last value.
    ///
    /// # Errors
    /// If an entry has no `=`, has no name, or contains a NUL byte.
    pub fn parse<S: AsRef<str>>(entries: impl IntoIterator<Item = S>) -> Result<Self, EnvError> {
        let mut env = Self::default();
        for entry in entries {
            let entry = entry.as_ref();
            let (name, value) =
                entry.split_once('=').ok_or_else(|| EnvError::NoEquals(entry.to_owned()))?;
            if name.is_empty() {
                return Err(EnvError::NoName(entry.to_owned()));
            }
            if entry.contains('\0') {
                return Err(EnvError::Nul(entry.to_owned()));
            }
            env.set(name, value);
        }
        Ok(env)
    }

    /// The variables with these names and values, in order.
    ///
    /// # Errors
    /// If a name is empty or contains `=`, or a name or value contains a NUL byte.
    pub fn from_variables<'a>(
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, EnvError> {
        let mut env = Self::default();
        for (name, value) in variables {
            if name.contains('=') {
                return Err(EnvError::NameWithEquals(name.to_owned()));
            }
            env = env.merged(&Self::parse([format!("{name}={value}")])?);
        }
        Ok(env)
    }

    /// Sets `name`: in its position if it exists, else at the end.
    pub fn set(&mut self, name: &str, value: &str) {
        let position = self.positions.get(name).copied();
        match position.and_then(|position| self.entries.get_mut(position)) {
            Some(entry) => value.clone_into(&mut entry.1),
            None => {
                self.positions.insert(name.to_owned(), self.entries.len());
                self.entries.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    /// Merges `other` into this environment: names keep their positions, values of `other` win, and
    /// new names follow in their order.
    #[must_use]
    pub fn merged(mut self, other: &Self) -> Self {
        for (name, value) in &other.entries {
            self.set(name, value);
        }
        self
    }

    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        let position = self.positions.get(name)?;
        self.entries.get(*position).map(|(_, value)| value.as_str())
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The entries, as in an image config.
    pub fn to_entries(&self) -> Vec<String> {
        self.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }
}

impl Serialize for Env {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_entries().serialize(serializer)
    }
}
