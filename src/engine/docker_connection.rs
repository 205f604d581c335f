//! How a client of Docker's API reaches the daemon.

use std::path::Path;

use super::docker::{ApiVersion, Docker, REQUEST_TIMEOUT, api};
use super::{EngineError, transport};

/// The ports of a daemon whose address has none, without and with TLS.
const PORT: u16 = 2375;
const TLS_PORT: u16 = 2376;

/// Returns `HOST:PORT` of an address `HOST`, `HOST:PORT` or `[IPV6]:PORT`, with a path or without.
fn with_port(place: &str, port: u16) -> String {
    let place = place.trim_end_matches('/');
    let after_host = place.rsplit_once(']').map_or(place, |(_, after)| after);
    match after_host.contains([':', '/']) {
        true => place.to_owned(),
        false => format!("{place}:{port}"),
    }
}

impl Docker {
    /// Creates a client of the daemon at `port` on the loopback interface. `keys` is the folder of
    /// `ca.pem`, `cert.pem` and `key.pem`. The client uses API version `newest` if it supports that
    /// version, otherwise its own newest. Does not connect yet.
    ///
    /// # Errors
    /// If the keys cannot be read.
    pub(crate) fn over_tls(
        port: u16,
        keys: &Path,
        newest: Option<ApiVersion>,
    ) -> Result<Self, EngineError> {
        let transport = transport::over_tls(keys)?;
        let address = format!("https://127.0.0.1:{port}");
        let client_newest = bollard::API_DEFAULT_VERSION;
        let client_newest = ApiVersion(client_newest.major_version, client_newest.minor_version);
        let ApiVersion(major_version, minor_version) =
            newest.map_or(client_newest, |newest| newest.min(client_newest));
        let version = &bollard::ClientVersion { major_version, minor_version };
        let connected = bollard::Docker::connect_with_custom_transport(
            transport,
            Some(address),
            REQUEST_TIMEOUT,
            version,
        );
        connected.map(|api| Self { api }).map_err(api("connect to the engine"))
    }

    /// Creates a client of the daemon at `host`, in the syntax of `DOCKER_HOST`:
    /// `unix:///run/docker.sock` or `tcp://HOST:PORT`. With `keys`, the folder of `ca.pem`,
    /// `cert.pem` and `key.pem`, it uses TLS. Does not connect yet.
    ///
    /// # Errors
    /// If `host` is invalid, or the keys cannot be read.
    pub fn from_host(host: &str, keys: Option<&Path>) -> Result<Self, EngineError> {
        let version = bollard::API_DEFAULT_VERSION;
        let connected = match (host.split_once("://"), keys) {
            (Some(("unix", path)), _) => {
                bollard::Docker::connect_with_unix(path, REQUEST_TIMEOUT, version)
            }
            (Some(("tcp" | "https", place)), Some(keys)) => {
                let transport = transport::over_tls(keys)?;
                let address = format!("https://{}", with_port(place, TLS_PORT));
                bollard::Docker::connect_with_custom_transport(
                    transport,
                    Some(address),
                    REQUEST_TIMEOUT,
                    version,
                )
            }
            (Some(("tcp" | "http", place)), None) => bollard::Docker::connect_with_http(
                &format!("http://{}", with_port(place, PORT)),
                REQUEST_TIMEOUT,
                version,
            ),
            (Some(("ssh", _)), _) => return Err(EngineError::Ssh { host: host.to_owned() }),
            _ => return Err(EngineError::Host(host.to_owned())),
        };
        connected.map(|api| Self { api }).map_err(api(format!("connect to {host}")))
    }
}
