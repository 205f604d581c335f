//! Stores and store paths: names, without the files behind them.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::text;

/// A path that is not directly in a store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is not a path of the store {dir}; expected {dir}/NAME", text::quote(.path))]
pub struct NotInStore {
    /// The path.
    pub path: String,
    /// The store's folder.
    pub dir: String,
}

/// The folder of a store, such as `/nix/store`: absolute, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreDir(String);

/// A path directly in a store, such as `/nix/store/<hash>-hello-2.12`. Its content never changes,
/// so the name identifies it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorePath(Arc<str>);

/// The length of the hash in the name of a Nix store path.
const NIX_HASH_DIGITS: usize = 32;

impl StoreDir {
    /// Creates the store folder `dir`.
    ///
    /// # Errors
    /// Returns `dir` if it is not absolute, is `/`, or has empty, `.` or `..` components.
    pub fn new(dir: &str) -> Result<Self, String> {
        let trimmed = dir.strip_suffix('/').unwrap_or(dir);
        let is_valid = |part: &str| !matches!(part, "" | "." | "..");
        match trimmed.strip_prefix('/') {
            Some(rest) if rest.split('/').all(is_valid) && !trimmed.contains('\0') => {
                Ok(Self(trimmed.to_owned()))
            }
            _ => Err(dir.to_owned()),
        }
    }

    /// The folder.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Parses a path directly in this store.
    ///
    /// # Errors
    /// If the path is elsewhere or deeper.
    pub fn path(&self, path: &str) -> Result<StorePath, NotInStore> {
        match self.split(path) {
            Some((store_path, "")) => Ok(store_path),
            _ => Err(NotInStore { path: path.to_owned(), dir: self.0.clone() }),
        }
    }

    /// Splits `path` into a store path and the rest; `None` if it is not in this store.
    pub fn split<'a>(&self, path: &'a str) -> Option<(StorePath, &'a str)> {
        let name_and_rest = path.strip_prefix(&self.0)?.strip_prefix('/')?;
        let end = name_and_rest.find('/').unwrap_or(name_and_rest.len());
        let (name, rest) = name_and_rest.split_at(end);
        let is_valid = !matches!(name, "" | "." | "..") && name.chars().all(is_name_char);
        is_valid.then(|| {
            (StorePath(format!("{}/{name}", self.0).into()), rest.strip_prefix('/').unwrap_or(rest))
        })
    }
}

/// Whether Nix allows `c` in the name of a store path (Nix manual, "Store path").
pub(crate) fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "+-._?=".contains(c)
}

impl StorePath {
    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path, which shares its memory.
    pub(super) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// Whether the name begins with a hash as Nix writes it: 32 digits in its base 32, and a hyphen
    /// (Nix manual, "Store path"). Other stores may have other names.
    pub fn has_nix_hash(&self) -> bool {
        let hash = self.name().split_once('-').map_or("", |(hash, _)| hash);
        let is_digit = |c: char| {
            c.is_ascii_digit() || c.is_ascii_lowercase() && !matches!(c, 'e' | 'o' | 't' | 'u')
        };
        hash.len() == NIX_HASH_DIGITS && hash.chars().all(is_digit)
    }

    /// The last component.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl Borrow<str> for StorePath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
