//! `daemon.json` of Docker: mirrors of Docker Hub, and registries without verified TLS.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use reqwest::Url;
use serde::Deserialize;

use super::settings::{document, failed, is_absent, user_file};
use crate::document;
use crate::image::RemoteReference;
use crate::registry::RegistryError;
use crate::registry::endpoint::{Endpoint, host_name};
use crate::text;

/// The file of the host's daemon, and that of a daemon without root in the user's settings.
const HOST_FILE: &str = "/etc/docker/daemon.json";
const USER_FILE: &str = "docker/daemon.json";
/// The only registry that has mirrors.
const HUB: &str = "docker.io";

/// The settings of a daemon. Unknown keys are ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct Daemon {
    registry_mirrors: Vec<String>,
    insecure_registries: Vec<String>,
    #[serde(skip)]
    path: PathBuf,
}

/// Reads the settings of the daemon without root, or else those of the host.
pub(super) fn read() -> Result<Daemon, RegistryError> {
    let user = user_file(USER_FILE).filter(|path| path.exists());
    let path = user.unwrap_or_else(|| HOST_FILE.into());
    let content = match document::read(&path, document::MAX_SIZE) {
        Ok(content) => content,
        // The host's file is often for root alone.
        Err(error) if is_absent(&error) => return Ok(Daemon::default()),
        Err(error) => return Err(failed(&path, format!("failed to read it: {error}"))),
    };
    parse(&path, &content)
}

fn parse(path: &Path, content: &str) -> Result<Daemon, RegistryError> {
    // The daemon starts with an empty file, too.
    let content = if content.trim().is_empty() { "{}" } else { content };
    let daemon: Daemon = document(path, content)?;
    Ok(Daemon { path: path.to_owned(), ..daemon })
}

impl Daemon {
    /// The mirrors of `reference`.
    pub(super) fn mirrors(
        &self,
        reference: &RemoteReference,
    ) -> Result<Vec<Endpoint>, RegistryError> {
        if reference.registry() != HUB {
            return Ok(Vec::new());
        }
        let mirror = |text: &String| {
            let invalid = |problem: String| {
                let text = text::quote(text);
                failed(&self.path, format!("registry-mirrors: {text} {problem}"))
            };
            let url =
                Url::parse(text).map_err(|error| invalid(format!("is no address: {error}")))?;
            let host = url.host_str().filter(|_| matches!(url.scheme(), "http" | "https"));
            let host =
                host.ok_or_else(|| invalid("does not begin with https:// or http://".to_owned()))?;
            let port = url.port().map_or(String::new(), |port| format!(":{port}"));
            let path = url.path().trim_end_matches('/');
            let rest = reference.to_string();
            let rest = rest.strip_prefix(HUB).unwrap_or_default();
            let moved = RemoteReference::with_registry(&format!("{host}{port}{path}{rest}"))
                .map_err(|error| invalid(format!("is no registry: {error}")))?;
            let is_insecure = url.scheme() == "http" || self.is_insecure(moved.registry());
            Ok(Endpoint { reference: moved, is_insecure, is_mirror: true })
        };
        self.registry_mirrors.iter().map(mirror).collect()
    }

    /// Whether `host`, with a port or without, may have no verified TLS: if it is listed, or an
    /// address in a listed network.
    pub(super) fn is_insecure(&self, host: &str) -> bool {
        let address: Option<IpAddr> = host_name(host).parse().ok();
        self.insecure_registries.iter().any(|listed| {
            let network = address.filter(|_| listed.contains('/'));
            listed == host || network.is_some_and(|address| is_within(address, listed))
        })
    }
}

/// Whether `address` is in `network`, written as `ADDRESS/BITS`.
fn is_within(address: IpAddr, network: &str) -> bool {
    let Some((start, bits)) = network.split_once('/') else { return false };
    let (Ok(start), Ok(bits)) = (start.parse(), bits.parse::<u32>()) else { return false };
    match (address, start) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            let differs = one.to_bits() ^ other.to_bits();
            bits <= 32 && differs.checked_shr(32 - bits).unwrap_or(0) == 0
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            let differs = one.to_bits() ^ other.to_bits();
            bits <= 128 && differs.checked_shr(128 - bits).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // docs.docker.com, dockerd: "Insecure registries", "registry-mirrors".
    #[test]
    fn hosts_and_networks_may_be_insecure() {
        let daemon = r#"{"insecure-registries": ["my.example:5000", "10.1.0.0/16", "fd00::/8"]}"#;
        let daemon = parse(Path::new("daemon.json"), daemon).unwrap();
        for host in ["my.example:5000", "10.1.2.3", "10.1.2.3:5000", "[fd12::1]:5000"] {
            assert!(daemon.is_insecure(host), "{host}");
        }
        for host in ["my.example", "10.2.0.1", "[fe80::1]", "11.1.2.3:5000"] {
            assert!(!daemon.is_insecure(host), "{host}");
        }
        let all = r#"{"insecure-registries": ["0.0.0.0/0", "1.2.3.4/99", "x/y"]}"#;
        assert!(parse(Path::new("daemon.json"), all).unwrap().is_insecure("8.8.8.8"));
    }

    #[test]
    fn mirrors_are_those_of_docker_hub() {
        let daemon = r#"{"registry-mirrors": ["https://m.example/", "http://m.example:5/hub"]}"#;
        let daemon = parse(Path::new("daemon.json"), daemon).unwrap();
        let mirrors = daemon.mirrors(&"debian:12".parse().unwrap()).unwrap();
        let mirrors = mirrors.iter().map(|one| (one.reference.to_string(), one.is_insecure));
        assert_eq!(
            mirrors.collect::<Vec<_>>(),
            [
                ("m.example/library/debian:12".to_owned(), false),
                ("m.example:5/hub/library/debian:12".to_owned(), true),
            ]
        );
        assert_eq!(daemon.mirrors(&"reg.example/a:1".parse().unwrap()).unwrap(), []);
        let wrong = parse(Path::new("d.json"), r#"{"registry-mirrors": ["m.example"]}"#).unwrap();
        let error = wrong.mirrors(&"debian:12".parse().unwrap()).unwrap_err().to_string();
        assert!(error.starts_with("d.json: registry-mirrors: \"m.example\" "), "{error}");
    }
}
