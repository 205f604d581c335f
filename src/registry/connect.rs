//! The first request to a registry: whether it uses TLS, and how it authenticates.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Response, Url};

use super::RegistryError;
use super::connect_error::{Remedies, may_lack_tls};
use super::endpoint::{Endpoint, is_loopback};
use super::hosts::{self, Host};
use super::notices::Notices;
use super::options::RegistryOptions;
use super::retry::Attempts;
use super::tls::{self, Tls};
use super::token::Challenge;

/// The time limit for TLS with a registry that may do without: firewalls drop what they do not
/// allow, and servers without TLS may wait for the end of a line.
const TLS_TIMEOUT: Duration = Duration::from_secs(5);

/// A registry that answers, for all of its repositories.
pub(super) struct Connection {
    pub(super) host: Arc<Host>,
    /// Its address, with a slash at its end.
    pub(super) base: Url,
    /// How the registry authenticates, as long as it does not say otherwise for a repository.
    pub(super) challenge: Option<Challenge>,
}

/// Connects to the registry of `endpoint`. Registries on the loopback interface, and others if the
/// user says so, may do without TLS; those that have TLS are never used without.
pub(super) async fn connect(
    endpoint: &Endpoint,
    options: &RegistryOptions,
    notices: &Notices,
) -> Result<Connection, RegistryError> {
    let Endpoint { reference, is_insecure, is_mirror } = endpoint;
    let (name, host) = (reference.registry(), reference.host());
    let base = |scheme: &str| {
        let url = Url::parse(&format!("{scheme}://{host}/"));
        url.map_err(|error| RegistryError::Usage(format!("invalid registry {name}: {error}")))
    };
    // The flag is about the registry that the user named.
    let has_flag = options.plain_http && !is_mirror;
    let tls = Tls::of_registry(name)?;
    let config = tls.config(*is_insecure)?;
    let remedies = Remedies {
        folder: tls::folder(name),
        has_authorities: tls.has_authorities(),
        plain_http_helps: !options.plain_http && !is_mirror,
    };
    let within = |connect_timeout| {
        let http = hosts::client(host, config.clone(), connect_timeout);
        let http = http.map_err(|error| remedies.unreachable(name, endpoint.short(), error))?;
        Ok::<_, RegistryError>(Arc::new(Host::new(http, remedies.clone())))
    };
    let usual = within(options.timeout)?;
    let connection = |host, base| Connection { host, base, challenge: None };
    if !is_loopback(host) && !is_insecure && !has_flag {
        return connection(usual, base("https")?).ping(endpoint, options, notices).await;
    }
    // Shorter than the time limit for an answer, which only a registry with TLS can exceed.
    let early = within(TLS_TIMEOUT.min(options.timeout / 2))?;
    match connection(early, base("https")?).ping(endpoint, options, notices).await {
        Err(RegistryError::Unreachable { source, .. }) if may_lack_tls(&*source) => {
            connection(usual, base("http")?).ping(endpoint, options, notices).await
        }
        answered => Ok(Connection { host: usual, ..answered? }),
    }
}

impl Connection {
    /// Asks the registry of `endpoint` for its version, which shows how it authenticates.
    async fn ping(
        mut self,
        endpoint: &Endpoint,
        options: &RegistryOptions,
        notices: &Notices,
    ) -> Result<Self, RegistryError> {
        let name = endpoint.reference.registry();
        let url = self.base.join("v2/");
        let url = url.map_err(|error| RegistryError::Usage(error.to_string()))?;
        let mut attempts = Attempts::new(notices, format!("the registry {name}"));
        loop {
            let request = self.host.client(true).get(url.clone()).send();
            let answer = tokio::time::timeout(options.timeout, request).await;
            let answer: Result<Response, _> = answer.map_err(|_| RegistryError::Timeout {
                registry: name.to_owned(),
                seconds: options.timeout.as_secs(),
            })?;
            match answer {
                Ok(response) if attempts.again_after(&response).await => {}
                Ok(response) => {
                    self.challenge = Challenge::find(response.headers());
                    return Ok(self);
                }
                Err(error) => {
                    // A connection that was made and broke may be made again.
                    let may_pass = !error.is_connect();
                    let error = self.host.remedies.unreachable(name, endpoint.short(), error);
                    if !may_pass {
                        return Err(error);
                    }
                    attempts.again(error).await?;
                }
            }
        }
    }
}
