//! Changes of files with credentials: entries of registries are added and removed, and everything
//! else stays as it is.

use std::fs::DirBuilder;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Map, Value, json};

use super::auth_file::{self, DOCKER_HUB_KEY, normalized};
use crate::archive::ArchiveError;
use crate::files::output::{self, OutputFile};
use crate::registry::RegistryError;

/// The keys of such a file.
const AUTHS: &str = "auths";
const HELPERS: &str = "credHelpers";
const STORE: &str = "credsStore";
/// The registry whose key is an address in Docker's files.
const DOCKER_HUB: &str = "docker.io";
/// The permissions of a folder that is made for the file.
const FOLDER_MODE: u32 = 0o700;

/// A file with credentials.
pub(super) struct EditedFile {
    pub(super) path: PathBuf,
    content: Map<String, Value>,
}

/// A credential helper, as a file names it.
pub(super) struct NamedHelper {
    pub(super) name: String,
    /// The server, as the helper knows it.
    pub(super) server: String,
    /// The setting that names it.
    pub(super) setting: String,
}

impl EditedFile {
    /// Reads the file at `path`, which may not exist.
    ///
    /// # Errors
    /// As for reading credentials, so that only files that can be read are changed.
    pub(super) fn read(path: PathBuf) -> Result<Self, RegistryError> {
        auth_file::read(&path, true)?;
        let content: Option<Map<String, Value>> = auth_file::read_as(&path, true)?;
        Ok(Self { path, content: content.unwrap_or_default() })
    }

    /// Whether it has an entry for `registry`, or names a credential helper for it alone.
    pub(super) fn knows(&self, registry: &str) -> bool {
        self.key_in(AUTHS, registry).is_some() || self.key_in(HELPERS, registry).is_some()
    }

    /// The credential helper for `registry`, if the file names one.
    pub(super) fn helper(&self, registry: &str) -> Option<NamedHelper> {
        if let Some(key) = self.key_in(HELPERS, registry) {
            let name = self.content.get(HELPERS)?.get(key)?.as_str()?;
            let (server, setting) = (key.to_owned(), format!("{HELPERS}, for {key}"));
            // An empty name stands for this file.
            let helper = NamedHelper { name: name.to_owned(), server, setting };
            return (!name.is_empty()).then_some(helper);
        }
        let name = self.content.get(STORE)?.as_str().filter(|name| !name.is_empty())?;
        let server = if registry == DOCKER_HUB { DOCKER_HUB_KEY } else { registry };
        let (name, server) = (name.to_owned(), server.to_owned());
        Some(NamedHelper { name, server, setting: STORE.to_owned() })
    }

    /// Sets the only entry for `registry`: base64 of name and password, or `None` if a credential
    /// helper keeps them. Other spellings of the registry are removed, because one of them could
    /// count instead.
    pub(super) fn set(&mut self, registry: &str, auth: Option<&str>) {
        // Docker lists the registries of a credential store, Podman does not.
        let entry = match auth {
            Some(auth) => json!({ "auth": auth }),
            None if self.is_docker() => json!({}),
            None => {
                self.remove(registry);
                return;
            }
        };
        let key = self.key_for(registry).to_owned();
        self.remove(registry);
        let auths = self.content.entry(AUTHS).or_insert_with(|| json!({}));
        if auths.is_null() {
            *auths = json!({});
        }
        if let Some(auths) = auths.as_object_mut() {
            auths.insert(key, entry);
        }
    }

    /// Removes the entries for `registry`, and returns whether there were any.
    pub(super) fn remove(&mut self, registry: &str) -> bool {
        let Some(auths) = self.content.get_mut(AUTHS).and_then(Value::as_object_mut) else {
            return false;
        };
        let before = auths.len();
        auths.retain(|key, _| normalized(key) != registry);
        auths.len() < before
    }

    /// The keys of its entries for parts of `registry`.
    pub(super) fn parts(&self, registry: &str) -> Vec<String> {
        let auths = self.content.get(AUTHS).and_then(Value::as_object);
        let keys = auths.into_iter().flat_map(Map::keys);
        let of_part =
            |key: &&String| normalized(key) != registry && key.split('/').next() == Some(registry);
        keys.filter(of_part).cloned().collect()
    }

    /// Writes the file, which no other user can read.
    pub(super) fn write(&self) -> Result<(), RegistryError> {
        let failed = |error| ArchiveError::from(output::failed(&self.path, error));
        if let Some(folder) = self.path.parent() {
            let mut builder = DirBuilder::new();
            builder.recursive(true).mode(FOLDER_MODE).create(folder).map_err(failed)?;
        }
        let mut bytes = Vec::new();
        // As Docker and Podman write it.
        let mut json = Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b"\t"));
        self.content.serialize(&mut json).map_err(|error| failed(error.into()))?;
        bytes.push(b'\n');
        let file = OutputFile::private(&self.path).map_err(ArchiveError::from)?;
        file.file().write_all(&bytes).map_err(failed)?;
        Ok(file.persist().map_err(ArchiveError::from)?)
    }

    /// Whether Docker keeps its settings in it, not Podman.
    fn is_docker(&self) -> bool {
        self.path.file_name().is_some_and(|name| name == Path::new("config.json"))
    }

    /// The key for the new entry of `registry`: the one that Docker looks for, or the one that is
    /// there.
    fn key_for<'k>(&'k self, registry: &'k str) -> &'k str {
        match registry {
            DOCKER_HUB if self.is_docker() => DOCKER_HUB_KEY,
            registry => self.key_in(AUTHS, registry).unwrap_or(registry),
        }
    }

    /// The key for `registry` in the table `table`, preferably without a scheme and path.
    fn key_in(&self, table: &str, registry: &str) -> Option<&str> {
        let table = self.content.get(table)?.as_object()?;
        let mut keys = table.keys().map(String::as_str);
        match table.contains_key(registry) {
            true => keys.find(|key| *key == registry),
            false => keys.find(|key| normalized(key) == registry),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // docs.docker.com, "docker login"; containers-auth.json(5).
    #[test]
    fn docker_hub_has_a_key_of_its_own_in_the_settings_of_docker() {
        for (name, key) in
            [("config.json", "https://index.docker.io/v1/"), ("auth.json", "docker.io")]
        {
            let mut file = EditedFile::read(Path::new("/nowhere").join(name)).unwrap();
            file.set("docker.io", Some("YTpi"));
            assert_eq!(file.content[AUTHS], json!({ key: { "auth": "YTpi" } }));
            assert!(file.knows("docker.io") && !file.knows("registry-1.docker.io.example"));
            // No other spelling of it has an old password.
            let old = json!({ "auth": "b2xkOm9sZA==" });
            let auths = file.content[AUTHS].as_object_mut().unwrap();
            for other in ["docker.io", "index.docker.io", "https://registry-1.docker.io/v2/"] {
                auths.insert(other.to_owned(), old.clone());
            }
            file.set("docker.io", Some("YTpj"));
            assert_eq!(file.content[AUTHS], json!({ key: { "auth": "YTpj" } }));
            assert!(file.remove("docker.io") && !file.knows("docker.io"));
        }
    }
}
