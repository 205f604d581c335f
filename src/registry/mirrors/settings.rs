//! The files with the settings of other programs.

use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::document::{self, DocumentError};
use crate::registry::RegistryError;

/// Where `name` is below the folders of the user's settings.
pub(in crate::registry) fn user_file(name: &str) -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let home = || Some(Path::new(&variable("HOME")?).join(".config"));
    let config = variable("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home);
    Some(config?.join(name))
}

/// Whether a file or folder does not count: it does not exist, or this user may not read it.
pub(in crate::registry) fn is_absent(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | NotADirectory | PermissionDenied)
}

/// The error that the file `path` has a problem.
pub(super) fn failed(path: &Path, problem: impl ToString) -> RegistryError {
    RegistryError::Mirrors { path: path.to_owned(), problem: problem.to_string() }
}

/// Parses the file `path`, whose format its name tells.
pub(super) fn document<T: DeserializeOwned>(
    path: &Path,
    content: &str,
) -> Result<T, RegistryError> {
    document::parse(path, content).map_err(|DocumentError { place, problem }| {
        RegistryError::Mirrors { path: place.into(), problem: problem.text }
    })
}
