//! Connections to a registry, and to the other hosts to which it sends clients: its token server
//! and its storage.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Url, redirect};
use rustls::ClientConfig;

use super::RegistryError;
use super::connect_error::Remedies;
use super::endpoint::{Endpoint, host_name, is_loopback};
use super::mirrors::Mirrors;
use super::tls::{self, Tls};

/// The time limit for connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// How this program introduces itself.
const USER_AGENT: &str = concat!("seatrial/", env!("CARGO_PKG_VERSION"));

/// Connections to one host.
pub(super) struct Host {
    http: reqwest::Client,
    /// For requests without credentials, if any certificate is accepted for these alone.
    unverified: Option<reqwest::Client>,
    pub(super) remedies: Remedies,
}

impl Host {
    /// A host with the same connections for all requests.
    pub(super) fn new(http: reqwest::Client, remedies: Remedies) -> Self {
        Self { http, unverified: None, remedies }
    }

    /// The client for requests with credentials, or without.
    pub(super) fn client(&self, has_credentials: bool) -> &reqwest::Client {
        self.unverified.as_ref().filter(|_| !has_credentials).unwrap_or(&self.http)
    }
}

/// A client for the host `name`, with the TLS settings `tls`.
pub(super) fn client(
    name: &str,
    tls: ClientConfig,
    connect_timeout: Duration,
) -> reqwest::Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(connect_timeout.min(CONNECT_TIMEOUT))
        .http1_only()
        .tls_backend_preconfigured(tls);
    // As in Go programs, proxies are not used for the loopback interface.
    let builder = if is_loopback(name) { builder.no_proxy() } else { builder };
    builder.build()
}

/// The hosts to which a registry sends clients.
///
/// Docker, Podman and containerd use everything that is set for the registry for them, too. Here,
/// the registry's authorities count: who can pass for the registry with their help can name any
/// token server. `insecure` does not count: the way to another host is another one.
pub(super) struct OtherHosts {
    /// The registry that sends clients, by name and host.
    registry: String,
    host: String,
    is_insecure: bool,
    settings: Arc<Mirrors>,
    timeout: Duration,
    /// Those that were needed, by name.
    found: Mutex<BTreeMap<String, Arc<Host>>>,
}

impl OtherHosts {
    pub(super) fn new(registry: &Endpoint, settings: Arc<Mirrors>, timeout: Duration) -> Self {
        let Endpoint { reference, is_insecure, .. } = registry;
        Self {
            registry: reference.registry().to_owned(),
            host: reference.host().to_owned(),
            is_insecure: *is_insecure,
            settings,
            timeout,
            found: Mutex::default(),
        }
    }

    /// Whether these are the hosts to which the registry of `endpoint` sends clients.
    pub(super) fn are_of(&self, endpoint: &Endpoint) -> bool {
        let Endpoint { reference, is_insecure, .. } = endpoint;
        self.registry == reference.registry() && self.is_insecure == *is_insecure
    }

    /// The host of `url`.
    pub(super) fn get(&self, url: &Url) -> Result<Arc<Host>, RegistryError> {
        let name = name(url);
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = found.get(&name) {
            return Ok(Arc::clone(host));
        }
        let host = Arc::new(self.connect(&name)?);
        found.insert(name, Arc::clone(&host));
        Ok(host)
    }

    /// Whether the host of `url` may do without TLS according to the user's settings.
    pub(super) fn may_lack_tls(&self, url: &Url) -> bool {
        let name = name(url);
        self.is_insecure_registry(&name) || self.settings.is_insecure(&name)
    }

    /// Whether `name` is the host of an insecure registry, with any port.
    fn is_insecure_registry(&self, name: &str) -> bool {
        self.is_insecure && host_name(&self.host) == host_name(name)
    }

    fn connect(&self, name: &str) -> Result<Host, RegistryError> {
        let tls = Tls::of_other(name, &self.registry)?;
        let remedies = Remedies {
            folder: tls::folder(name),
            has_authorities: tls.has_authorities(),
            plain_http_helps: false,
        };
        let client = |is_insecure| {
            let client = client(name, tls.config(is_insecure)?, self.timeout);
            client.map_err(|error| remedies.unreachable(name, None, error))
        };
        let http = client(self.is_insecure_registry(name))?;
        let unverified = self.settings.is_insecure(name).then(|| client(true)).transpose()?;
        Ok(Host { http, unverified, remedies })
    }
}

/// The host of `url`, with the port if it is not the usual one, as in the names of images.
pub(super) fn name(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}
