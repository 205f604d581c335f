//! Stores credentials where Docker, Podman and skopeo look for them, and removes them.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::FILES;
use super::auth_file;
use super::edit::{EditedFile, NamedHelper};
use super::helper::{self, Origin};
use crate::registry::RegistryError;
use crate::registry::mirrors::Helpers;
use crate::registry::secret::Secret;

/// A place where credentials are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A file, which has them unencrypted.
    File(PathBuf),
    /// The credential helper of this name.
    Helper(String),
}

/// The credentials that were removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Removed {
    /// Where they were.
    pub(crate) places: Vec<Place>,
    /// Files that still have credentials for a part of the registry, with the key.
    pub(crate) parts: Vec<(PathBuf, String)>,
}

/// Stores the name and password of a user of `registry`.
pub(in crate::registry) async fn store(
    registry: &str,
    (username, password): (&str, &Secret),
    helpers: &Helpers,
) -> Result<Place, RegistryError> {
    // As in Podman, the first place of its settings.
    if let Some(name) = helpers.names.first().filter(|name| *name != FILES) {
        let origin = of_settings(helpers);
        helper::store(name, registry, (username, password), &origin).await?;
        return Ok(Place::Helper(name.clone()));
    }
    let mut file = file_for(registry)?;
    if let Some(NamedHelper { name, server, setting }) = file.helper(registry) {
        let origin = Origin { path: &file.path, setting };
        helper::store(&name, &server, (username, password), &origin).await?;
        file.set(registry, None);
        file.write()?;
        return Ok(Place::Helper(name));
    }
    let auth = STANDARD.encode(format!("{username}:{}", password.expose()));
    file.set(registry, Some(&auth));
    file.write()?;
    Ok(Place::File(file.path))
}

/// Removes all credentials for `registry` that would be found.
pub(in crate::registry) async fn remove(
    registry: &str,
    helpers: &Helpers,
) -> Result<Removed, RegistryError> {
    let mut removed = Removed::default();
    for name in helpers.names.iter().filter(|name| *name != FILES) {
        if erased(name, registry, &of_settings(helpers)).await? {
            removed.places.push(Place::Helper(name.clone()));
        }
    }
    for path in auth_file::files() {
        let mut file = EditedFile::read(path)?;
        if let Some(NamedHelper { name, server, setting }) = file.helper(registry) {
            let origin = Origin { path: &file.path, setting };
            if erased(&name, &server, &origin).await? {
                removed.places.push(Place::Helper(name));
            }
        }
        if file.remove(registry) {
            file.write()?;
            removed.places.push(Place::File(file.path.clone()));
        }
        let parts = file.parts(registry).into_iter();
        removed.parts.extend(parts.map(|key| (file.path.clone(), key)));
    }
    Ok(removed)
}

/// Whether the credential helper `name` had credentials for `server`, which it now forgets.
async fn erased(name: &str, server: &str, origin: &Origin<'_>) -> Result<bool, RegistryError> {
    if helper::ask(name, server, origin).await?.is_none() {
        return Ok(false);
    }
    helper::erase(name, server, origin).await?;
    Ok(true)
}

fn of_settings(helpers: &Helpers) -> Origin<'_> {
    Origin { path: &helpers.path, setting: "credential-helpers".to_owned() }
}

/// The file for the credentials of `registry`: the first that knows it, because that one counts, or
/// else Docker's, which all tools read.
fn file_for(registry: &str) -> Result<EditedFile, RegistryError> {
    let mut last = None;
    for path in auth_file::files() {
        let file = EditedFile::read(path)?;
        if file.knows(registry) {
            return Ok(file);
        }
        last = Some(file);
    }
    last.ok_or_else(|| {
        let problem = "there is no folder for credentials; set HOME or REGISTRY_AUTH_FILE";
        RegistryError::Usage(problem.to_owned())
    })
}
