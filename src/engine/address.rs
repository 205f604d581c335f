//! The address of the Docker daemon that the user means, found as by the `docker` command: the host
//! that is given, else `DOCKER_HOST`, else the context in `DOCKER_CONTEXT`, else the current
//! context of `~/.docker/config.json` (docker/cli, `cli/command/cli.go` and `cli/context/store`).

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::EngineError;
use crate::document;
use crate::image::Digest;

/// The address of a Docker daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// The daemon, in the syntax of `DOCKER_HOST`.
    pub(crate) host: String,
    /// For TLS, the folder of `ca.pem`, `cert.pem` and `key.pem`.
    pub(crate) keys: Option<PathBuf>,
}

/// The context that stands for the environment variables.
const DEFAULT_CONTEXT: &str = "default";
const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";
/// The daemon if there is no host, but TLS is required.
const DEFAULT_TLS_HOST: &str = "tcp://localhost:2376";

/// The part of `config.json` that names the context.
#[derive(Deserialize)]
struct Config {
    #[serde(rename = "currentContext", default)]
    current_context: String,
}

/// A context, as in its `meta.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Context {
    #[serde(default)]
    endpoints: BTreeMap<String, Endpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Endpoint {
    #[serde(default)]
    host: String,
    #[serde(default, rename = "SkipTLSVerify")]
    skip_tls_verify: bool,
}

impl Address {
    /// Finds the address. `host` is the one that the user gave; `variable` returns the value of an
    /// environment variable.
    ///
    /// # Errors
    /// If the context does not exist, or its files cannot be read.
    pub(crate) fn find(
        host: Option<&str>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, EngineError> {
        // For docker, an empty variable is one that is not set.
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let folder = variable("DOCKER_CONFIG").map(PathBuf::from);
        let folder =
            folder.or_else(|| variable("HOME").map(|home| Path::new(&home).join(".docker")));
        let host = host.map(str::to_owned).or_else(|| variable("DOCKER_HOST"));
        let context = match (&host, &folder) {
            (Some(_), _) => None,
            (None, folder) => match (variable("DOCKER_CONTEXT"), folder) {
                (Some(context), _) => Some(context),
                (None, Some(folder)) => current_context(folder)?,
                (None, None) => None,
            },
        };
        if let Some(context) = context.filter(|context| context != DEFAULT_CONTEXT) {
            let folder = folder.unwrap_or_else(|| PathBuf::from(".docker"));
            return Self::of_context(&folder, &context);
        }
        let tls = variable("DOCKER_TLS_VERIFY").or_else(|| variable("DOCKER_TLS")).is_some();
        let keys = variable("DOCKER_CERT_PATH").map(PathBuf::from).or(folder);
        // Without a folder for the keys, TLS must be used nevertheless.
        let keys = tls.then(|| keys.unwrap_or_else(|| PathBuf::from(".docker")));
        let default = if tls { DEFAULT_TLS_HOST } else { DEFAULT_HOST };
        Ok(Self { host: host.unwrap_or_else(|| default.to_owned()), keys })
    }

    /// Reads the address of a context from docker's configuration folder.
    fn of_context(folder: &Path, name: &str) -> Result<Self, EngineError> {
        let error = |problem: String| EngineError::Context { name: name.to_owned(), problem };
        let (contexts, id) = (folder.join("contexts"), Digest::of(name.as_bytes()));
        let path = contexts.join("meta").join(id.hex()).join("meta.json");
        let context: Context = read_json(&path)?
            .ok_or_else(|| error("it does not exist; docker context ls lists all".to_owned()))?;
        let endpoint = context.endpoints.get("docker");
        let endpoint = endpoint.ok_or_else(|| error("it has no Docker endpoint".to_owned()))?;
        if endpoint.skip_tls_verify {
            let problem = "it skips the verification of the daemon's certificate, which seatrial \
                           does not";
            return Err(error(problem.to_owned()));
        }
        let keys = Some(contexts.join("tls").join(id.hex()).join("docker"));
        let keys = keys.filter(|keys| keys.is_dir());
        let host = if endpoint.host.is_empty() { DEFAULT_HOST } else { &endpoint.host };
        Ok(Self { host: host.to_owned(), keys })
    }
}

/// Returns the current context of docker's configuration, if there is one.
fn current_context(folder: &Path) -> Result<Option<String>, EngineError> {
    let config: Option<Config> = read_json(&folder.join("config.json"))?;
    Ok(config.map(|config| config.current_context).filter(|name| !name.is_empty()))
}

/// Reads a file, if it exists.
fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, EngineError> {
    let error = |problem: String| EngineError::Keys { path: path.to_owned(), problem };
    match document::read_bytes(path, document::MAX_SIZE) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(error(cause.to_string())),
        Ok(json) => serde_json::from_slice(&json).map_err(|cause| error(cause.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A folder with a context, as `docker context create remote --docker host=...` makes it.
    fn configured(current: &str, host: &str, tls: bool) -> tempfile::TempDir {
        let folder = tempfile::TempDir::new().unwrap();
        let config = format!(r#"{{"auths": {{}}, "currentContext": "{current}"}}"#);
        fs::write(folder.path().join("config.json"), config).unwrap();
        // printf remote | sha256sum
        let id = "b71199ebd070b36beab7317920c2c2f1d777df8d05e5527d8458fda57cb17a7a";
        let meta = folder.path().join("contexts/meta").join(id);
        fs::create_dir_all(&meta).unwrap();
        let json = format!(
            r#"{{"Name":"remote","Metadata":{{}},
                "Endpoints":{{"docker":{{"Host":"{host}","SkipTLSVerify":false}}}}}}"#
        );
        fs::write(meta.join("meta.json"), json).unwrap();
        if tls {
            fs::create_dir_all(folder.path().join("contexts/tls").join(id).join("docker")).unwrap();
        }
        folder
    }

    fn find(host: Option<&str>, variables: &[(&str, &str)]) -> Result<Address, EngineError> {
        Address::find(host, |name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn address(host: &str, keys: Option<&str>) -> Address {
        Address { host: host.to_owned(), keys: keys.map(PathBuf::from) }
    }

    #[test]
    fn variables_give_host_and_keys_and_tls_is_never_left_out() {
        let home = ("HOME", "/no/home");
        let verify = ("DOCKER_TLS_VERIFY", "1");
        let (host, certificates) = (("DOCKER_HOST", "tcp://h:1"), ("DOCKER_CERT_PATH", "/keys"));
        let (unix, local) = ("unix:///var/run/docker.sock", "tcp://localhost:2376");
        let cases: [(&[_], _, _); 7] = [
            (&[], unix, None),
            (&[home, ("DOCKER_HOST", "")], unix, None),
            (&[home, host, certificates], "tcp://h:1", None),
            (&[home, host, verify, certificates], "tcp://h:1", Some("/keys")),
            (&[home, host, verify], "tcp://h:1", Some("/no/home/.docker")),
            (&[host, verify], "tcp://h:1", Some(".docker")),
            (&[home, verify], local, Some("/no/home/.docker")),
        ];
        for (variables, host, keys) in cases {
            assert_eq!(find(None, variables).unwrap(), address(host, keys), "{variables:?}");
        }
        let given = find(Some("tcp://given:1"), &[home, host, verify]).unwrap();
        assert_eq!(given, address("tcp://given:1", Some("/no/home/.docker")));
    }

    #[test]
    fn the_current_context_is_used_unless_a_host_or_another_context_is_given() {
        let folder = configured("remote", "tcp://remote:2376", true);
        let config = ("DOCKER_CONFIG", folder.path().to_str().unwrap());
        let found = find(None, &[config]).unwrap();
        assert_eq!(found.host, "tcp://remote:2376");
        assert!(found.keys.unwrap().ends_with("docker"));
        let host = ("DOCKER_HOST", "unix:///x");
        let context = |name| ("DOCKER_CONTEXT", name);
        for variables in [&[config, host][..], &[config, host, context("remote")]] {
            assert_eq!(find(None, variables).unwrap(), address("unix:///x", None));
        }
        let default = find(None, &[config, context("default")]).unwrap();
        assert_eq!(default, address(DEFAULT_HOST, None));
        assert_eq!(find(Some("unix:///y"), &[config]).unwrap(), address("unix:///y", None));
        let error = find(None, &[config, context("other")]).unwrap_err().to_string();
        let expected = "failed to use Docker's context \"other\": it does not exist; docker \
                        context ls lists all";
        assert_eq!(error, expected);
    }

    #[test]
    fn a_context_that_a_variable_names_may_use_ssh_which_the_client_refuses() {
        let folder = configured("", "ssh://me@remote", false);
        let config = ("DOCKER_CONFIG", folder.path().to_str().unwrap());
        assert_eq!(find(None, &[config]).unwrap(), address(DEFAULT_HOST, None));
        let found = find(None, &[config, ("DOCKER_CONTEXT", "remote")]).unwrap();
        assert_eq!(found, address("ssh://me@remote", None));
    }
}
