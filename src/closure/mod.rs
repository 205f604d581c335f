//! Which store paths an image needs: the reference graph, where it comes from, and what is reachable.
//!
//! Paths are names here; nothing in this room looks at the files behind them.

pub mod graph;
pub mod json;
pub mod roots;

pub use graph::{Closure, Graph};
pub use json::parse;
pub use roots::named_in;

use std::fmt;

/// A problem with a reference graph or with what it is asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClosureError {
    /// The text is no reference graph.
    #[error(
        "not a reference graph: {0}; expected a list of {{path, references}} objects, as Nix's exportReferencesGraph writes it"
    )]
    Json(String),
    /// A path does not lie directly in the store.
    #[error("{path:?} is not a path of the store {dir:?}; expected {dir}/NAME")]
    NotInStore {
        /// The path.
        path: String,
        /// The store's directory.
        dir: String,
    },
    /// A path stands in the graph twice.
    #[error("{0} stands in the reference graph twice")]
    Duplicate(StorePath),
    /// Something needs a path that the graph does not have.
    #[error(
        "{from} needs {to}, which the reference graph lacks; write the graph anew from the whole closure"
    )]
    Missing {
        /// Who needs it: a store path, or a place in the recipe.
        from: String,
        /// The path that is missing.
        to: StorePath,
    },
}

/// The directory that holds a store, such as `/nix/store`: absolute, without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreDir(String);

/// A path directly in a store, such as `/nix/store/<hash>-hello-2.12`. Its content never changes: the
/// name is its identity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorePath(String);

impl StoreDir {
    /// The store at `dir`.
    ///
    /// # Errors
    /// Gives `dir` back when it is not absolute, is `/`, or has empty, `.` or `..` components.
    pub fn new(dir: &str) -> Result<Self, String> {
        let trimmed = dir.strip_suffix('/').unwrap_or(dir);
        let sound = |part: &str| !matches!(part, "" | "." | "..");
        match trimmed.strip_prefix('/') {
            Some(rest) if rest.split('/').all(sound) && !trimmed.contains('\0') => {
                Ok(Self(trimmed.to_owned()))
            }
            _ => Err(dir.to_owned()),
        }
    }

    /// The directory.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads `path` as a path directly in this store.
    ///
    /// # Errors
    /// When it lies elsewhere or deeper.
    pub fn path(&self, path: &str) -> Result<StorePath, ClosureError> {
        match self.split(path) {
            Some((found, "")) => Ok(found),
            _ => Err(ClosureError::NotInStore { path: path.to_owned(), dir: self.0.clone() }),
        }
    }

    /// The store path that `path` lies in and the rest behind it, where it lies in this store at all.
    pub fn split<'a>(&self, path: &'a str) -> Option<(StorePath, &'a str)> {
        let name_and_rest = path.strip_prefix(&self.0)?.strip_prefix('/')?;
        let end = name_and_rest.find('/').unwrap_or(name_and_rest.len());
        let (name, rest) = name_and_rest.split_at(end);
        let named = !matches!(name, "" | "." | "..") && name.chars().all(is_name_char);
        named.then(|| {
            (StorePath(format!("{}/{name}", self.0)), rest.strip_prefix('/').unwrap_or(rest))
        })
    }
}

/// Whether Nix allows `c` in the name of a store path (Nix manual, "Store path").
pub(crate) fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "+-._?=".contains(c)
}

impl StorePath {
    /// The whole path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last component.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
