//! The environment of an image: `NAME=value` entries in which every name occurs once.
//!
//! Docker takes the last of two entries with one name; Kubernetes promises nothing. So an image must
//! never carry two, and [`Env`] cannot hold them.

use serde::Serialize;

/// Environment entries in order, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Env(Vec<(String, String)>);

/// An entry that is no `NAME=value`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// The entry has no `=`.
    #[error("env entry {0:?} has no '='; write \"{0}=value\", or \"{0}=\" for an empty value")]
    NoEquals(String),
    /// The entry begins with `=`.
    #[error("env entry {0:?} has no name before its '='")]
    NoName(String),
    /// The entry holds a NUL byte, which no process environment can carry.
    #[error("env entry {0:?} holds a NUL byte, which no environment can carry")]
    Nul(String),
}

impl Env {
    /// Reads `NAME=value` entries in order. A name that occurs again keeps its first place and takes the
    /// last value.
    ///
    /// # Errors
    /// At the first entry without `=`, without a name, or with a NUL byte.
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

    /// Sets `name`: in place where it is there already, else at the end.
    pub fn set(&mut self, name: &str, value: &str) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some(entry) => value.clone_into(&mut entry.1),
            None => self.0.push((name.to_owned(), value.to_owned())),
        }
    }

    /// `self` with `other` laid over it: the names of `self` keep their places, values of `other` win, new
    /// names follow in their own order.
    #[must_use]
    pub fn merged(mut self, other: &Self) -> Self {
        for (name, value) in &other.0 {
            self.set(name, value);
        }
        self
    }

    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The entries as an image config writes them.
    pub fn to_entries(&self) -> Vec<String> {
        self.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }
}

impl Serialize for Env {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_entries().serialize(serializer)
    }
}
