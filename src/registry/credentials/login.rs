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
#[derive(Debug, Default)]
pub(crate) struct Removed {
    /// Where they were.
    pub(crate) places: Vec<Place>,
    /// Files that still have credentials for a part of the registry, with the key.
    pub(crate) parts: Vec<(PathBuf, String)>,
    /// The errors of files and credential helpers that could not be used, and may still have some.
    pub(crate) failed: Vec<RegistryError>,
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

/// Removes all credentials for `registry` that would be found: first those in files, which are
/// unencrypted, and then those of credential helpers. A place that cannot be used does not keep the
/// others from being removed.
pub(in crate::registry) async fn remove(registry: &str, helpers: &Helpers) -> Removed {
    let mut removed = Removed::default();
    let mut named = Vec::new();
    for path in auth_file::files() {
        match EditedFile::read(path) {
            Ok(mut file) => {
                named.extend(file.helper(registry).map(|helper| (file.path.clone(), helper)));
                remove_from_file(registry, &mut file, &mut removed);
            }
            Err(error) => removed.failed.push(error),
        }
    }
    for name in helpers.names.iter().filter(|name| *name != FILES) {
        let found = erased(name, registry, &of_settings(helpers)).await;
        removed.add_helper(name, found);
    }
    for (path, NamedHelper { name, server, setting }) in named {
        let found = erased(&name, &server, &Origin { path: &path, setting }).await;
        removed.add_helper(&name, found);
    }
    removed
}

/// Removes the credentials for `registry` in a file.
fn remove_from_file(registry: &str, file: &mut EditedFile, removed: &mut Removed) {
    if file.remove(registry) {
        match file.write() {
            Ok(()) => removed.places.push(Place::File(file.path.clone())),
            Err(error) => removed.failed.push(error),
        }
    }
    let parts = file.parts(registry).into_iter();
    removed.parts.extend(parts.map(|key| (file.path.clone(), key)));
}

impl Removed {
    /// Adds that the credential helper `name` has forgotten the credentials, if it had any.
    fn add_helper(&mut self, name: &str, erased: Result<bool, RegistryError>) {
        match erased {
            Ok(true) => self.places.push(Place::Helper(name.to_owned())),
            Ok(false) => {}
            Err(error) => self.failed.push(error),
        }
    }
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
