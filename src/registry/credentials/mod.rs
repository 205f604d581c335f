//! Finds credentials where Docker, Podman and skopeo keep them.

mod auth_file;
mod edit;
mod helper;
pub(super) mod login;

use std::path::{Path, PathBuf};

use super::RegistryError;
use super::mirrors::Helpers;
use super::secret::Credentials;
use crate::image::RemoteReference;
use helper::Origin;

/// The name by which `credential-helpers` of `registries.conf` lists the files with credentials
/// (containers-registries.conf(5)).
const FILES: &str = "containers-auth.json";

/// Finds the credentials for `reference` in the file `only`, or else where the settings
/// `helpers` say: names of credential helpers and of the usual files. Empty settings mean the
/// files.
pub(super) async fn find(
    reference: &RemoteReference,
    only: Option<&Path>,
    helpers: &Helpers,
) -> Result<Option<Credentials>, RegistryError> {
    if let Some(path) = only {
        return in_only_file(path, reference).await;
    }
    if helpers.names.is_empty() {
        return in_files(reference).await;
    }
    let mut failed = None;
    for helper in &helpers.names {
        let found = match helper.as_str() {
            FILES => in_files(reference).await,
            // Helpers know whole registries.
            name => {
                let setting = "credential-helpers".to_owned();
                let origin = Origin { path: &helpers.path, setting };
                helper::ask(name, reference.registry(), &origin).await
            }
        };
        match found {
            Ok(Some(found)) => return Ok(Some(found)),
            Ok(None) => {}
            // As in Podman, it counts if no other place has credentials.
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    failed.map_or(Ok(None), Err)
}

/// The only file with credentials that is read, if there is one: `given`, or that of the
/// environment.
pub(super) fn only_file(given: Option<&Path>) -> Option<PathBuf> {
    given.map(Path::to_owned).or_else(auth_file::only)
}

/// The credentials of the first usual file that has any.
async fn in_files(reference: &RemoteReference) -> Result<Option<Credentials>, RegistryError> {
    let is_usual = auth_file::only().is_none();
    for path in auth_file::files() {
        let Some(file) = auth_file::read(&path, is_usual)? else { continue };
        if let Some(found) = auth_file::in_file(&path, &file, reference).await? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The credentials in the file `path`, which the user named.
async fn in_only_file(
    path: &Path,
    reference: &RemoteReference,
) -> Result<Option<Credentials>, RegistryError> {
    let absent = || RegistryError::Credentials {
        path: PathBuf::from(path),
        problem: "no such file with credentials".to_owned(),
    };
    let file = auth_file::read(path, false)?.ok_or_else(absent)?;
    auth_file::in_file(path, &file, reference).await
}
