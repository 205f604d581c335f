//! Files with credentials: where they are, and the entries for an image (docs.docker.com,
//! "docker login"; containers-auth.json(5)).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::helper::{Origin, ask};
use crate::document;
use crate::image::RemoteReference;
use crate::registry::RegistryError;
use crate::registry::secret::{Credentials, Secret};

/// The size limit of a file with credentials in bytes.
const FILE_MAX: u64 = 4 << 20;
/// The key of Docker Hub in Docker's files.
pub(super) const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// A file with credentials. Unknown keys, such as `HttpHeaders`, are ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AuthFile {
    auths: Option<BTreeMap<String, Option<AuthEntry>>>,
    cred_helpers: Option<BTreeMap<String, String>>,
    creds_store: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase", default)]
struct AuthEntry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

/// The files that may have credentials, in the order of precedence.
pub(super) fn files() -> Vec<PathBuf> {
    if let Some(only) = variable(ONLY) {
        return vec![only];
    }
    let home = variable("HOME");
    let in_home = |path: &str| home.as_ref().map(|home| home.join(path));
    let config = variable("XDG_CONFIG_HOME").or_else(|| in_home(".config"));
    let docker = variable("DOCKER_CONFIG").or_else(|| in_home(".docker"));
    [
        Some(match variable("XDG_RUNTIME_DIR") {
            Some(folder) => folder.join("containers/auth.json"),
            // Podman and skopeo write there if the variable is not set, as in services.
            None => {
                format!("/run/containers/{}/auth.json", rustix::process::geteuid().as_raw()).into()
            }
        }),
        config.map(|folder| folder.join("containers/auth.json")),
        docker.map(|folder| folder.join("config.json")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The variable that names the only file with credentials that is read.
const ONLY: &str = "REGISTRY_AUTH_FILE";

/// The only file that is read, if the environment names one.
pub(super) fn only() -> Option<PathBuf> {
    variable(ONLY)
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Whether `path` cannot exist, or is in a folder that this user may not enter, such as another
/// user's home. A file that exists and may not be read is an error: it may have been meant.
fn is_absent(path: &Path, is_usual: bool, error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    match error.kind() {
        NotFound => true,
        NotADirectory => is_usual,
        PermissionDenied => is_usual && fs::metadata(path).is_err(),
        _ => false,
    }
}

/// Reads a file with credentials, if it exists. Messages never quote its content.
/// A path `is_usual` if the user did not name it.
pub(super) fn read(path: &Path, is_usual: bool) -> Result<Option<AuthFile>, RegistryError> {
    read_as(path, is_usual)
}

/// Reads a file with credentials as [`read`] does.
pub(super) fn read_as<T: DeserializeOwned>(
    path: &Path,
    is_usual: bool,
) -> Result<Option<T>, RegistryError> {
    let failed = |problem: String| RegistryError::Credentials { path: path.to_owned(), problem };
    let content = match document::read(path, FILE_MAX) {
        Ok(content) => content,
        Err(error) if is_absent(path, is_usual, &error) => return Ok(None),
        Err(error) => return Err(failed(format!("failed to read credentials: {error}"))),
    };
    // Docker writes an empty file in some cases, and reads it.
    if content.trim().is_empty() {
        return Ok(None);
    }
    serde_json::from_str(content.trim_start_matches('\u{feff}'))
        .map(Some)
        .map_err(|error| failed(format!("not a file with credentials (line {})", error.line())))
}

/// The credentials for `reference` in `file`.
pub(super) async fn in_file(
    path: &Path,
    file: &AuthFile,
    reference: &RemoteReference,
) -> Result<Option<Credentials>, RegistryError> {
    let keys = keys(reference);
    let helpers = file.cred_helpers.iter().flatten();
    let own = |key| helpers.clone().find(|(name, _)| *name == key);
    match keys.iter().find_map(own) {
        // A registry with an empty name of a helper has its credentials in the file.
        Some((_, helper)) if helper.is_empty() => {}
        Some((key, helper)) => {
            let setting = format!("credHelpers, for {key}");
            return ask(helper, key, &Origin { path, setting }).await;
        }
        None => {
            if let Some(found) = in_store(path, file, reference).await? {
                return Ok(Some(found));
            }
        }
    }
    let entry = keys.iter().find_map(|key| {
        let matches = |(name, _): &(&String, _)| *name == key || normalized(name) == key;
        file.auths.iter().flatten().find(matches)?.1.as_ref()
    });
    match entry {
        Some(entry) => entry.credentials().map_err(|problem| RegistryError::Credentials {
            path: path.to_owned(),
            problem: problem.to_owned(),
        }),
        None => Ok(None),
    }
}

/// The credentials in the store of `file`, if it has one.
async fn in_store(
    path: &Path,
    file: &AuthFile,
    reference: &RemoteReference,
) -> Result<Option<Credentials>, RegistryError> {
    let Some(helper) = file.creds_store.as_deref().filter(|helper| !helper.is_empty()) else {
        return Ok(None);
    };
    let is_hub = reference.registry() != reference.host();
    let origin = Origin { path, setting: "credsStore".to_owned() };
    ask(helper, if is_hub { DOCKER_HUB_KEY } else { reference.registry() }, &origin).await
}

/// The keys under which credentials for `reference` may be: the repository and the namespaces that
/// contain it, then the registry.
fn keys(reference: &RemoteReference) -> Vec<String> {
    let mut keys = Vec::new();
    let name = reference.name();
    let mut rest = name.as_str();
    loop {
        keys.push(rest.to_owned());
        match rest.rsplit_once('/') {
            Some((shorter, _)) => rest = shorter,
            None => break,
        }
    }
    if reference.registry() != reference.host() {
        keys.insert(keys.len() - 1, DOCKER_HUB_KEY.to_owned());
    }
    keys
}

/// The host that a key of Docker means: keys may be addresses such as `https://host/v1/`.
pub(super) fn normalized(key: &str) -> &str {
    let address = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let host = match address.or_else(|| key.strip_suffix('/')) {
        Some(address) => address.split('/').next().unwrap_or(address),
        None => key,
    };
    match host {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        host => host,
    }
}

impl AuthEntry {
    /// The credentials, if the entry has any: with a credential store, entries are empty.
    fn credentials(&self) -> Result<Option<Credentials>, &'static str> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        // It takes precedence, as in Docker (moby `registry/auth.go`).
        if let Some(token) = given(&self.registrytoken) {
            return Ok(Some(Credentials::RegistryToken(Secret::new(token))));
        }
        if let Some(token) = given(&self.identitytoken) {
            return Ok(Some(Credentials::IdentityToken(Secret::new(token))));
        }
        let pair = match given(&self.auth) {
            Some(auth) => {
                let decoded = STANDARD.decode(auth.trim()).ok();
                let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
                let decoded = decoded.ok_or("an entry of auths is not valid base64")?;
                let (name, password) =
                    decoded.split_once(':').ok_or("an entry of auths is not USER:PASSWORD")?;
                // Docker ignores NULs at the end.
                Some((name.to_owned(), password.trim_end_matches('\0').to_owned()))
            }
            None => given(&self.username).zip(given(&self.password)),
        };
        Ok(pair.map(|(username, password)| Credentials::Password {
            username,
            password: Secret::new(password),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: &str) -> AuthFile {
        serde_json::from_str(json).unwrap()
    }

    fn found(json: &str, reference: &str) -> Option<Credentials> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let reference = reference.parse().unwrap();
        runtime.block_on(in_file(Path::new("file"), &parsed(json), &reference)).unwrap()
    }

    fn password(username: &str, password: &str) -> Option<Credentials> {
        let (username, password) = (username.to_owned(), Secret::new(password));
        Some(Credentials::Password { username, password })
    }

    // containers-auth.json(5), "FORMAT"; docker/cli `cli/config/credentials`.
    #[test]
    fn the_most_specific_key_wins_and_addresses_match_by_host() {
        let file = r#"{"auths": {
            "reg.example": {"auth": "YTox"},
            "reg.example/team": {"auth": "YjoyOjM="},
            "https://other.example/v1/": {"username": "c", "password": "4"},
            "https://index.docker.io/v1/": {"auth": "ZDo1"},
            "empty.example": {},
            "token.example": {"auth": "YTox", "identitytoken": "t"},
            "given.example": {"auth": "YTox", "identitytoken": "t", "registrytoken": "r"}
        }}"#;
        assert_eq!(found(file, "reg.example/app"), password("a", "1"));
        assert_eq!(found(file, "reg.example/team/app:1"), password("b", "2:3"));
        assert_eq!(found(file, "other.example/app"), password("c", "4"));
        assert_eq!(found(file, "debian:12"), password("d", "5"));
        assert_eq!(found(file, "empty.example/app"), None);
        assert_eq!(found(file, "reg.example:5000/app"), None);
        let token = Some(Credentials::IdentityToken(Secret::new("t")));
        assert_eq!(found(file, "token.example/app"), token);
        let token = Some(Credentials::RegistryToken(Secret::new("r")));
        assert_eq!(found(file, "given.example/app"), token);
    }

    #[test]
    fn no_message_contains_a_secret() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "(secret)");
        let entry = AuthEntry { auth: Some("aHVudGVyMg==".to_owned()), ..AuthEntry::default() };
        assert!(!entry.credentials().unwrap_err().contains("hunter2"));
    }
}
