//! The first request to a registry: whether it uses TLS, and how it authenticates.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::{Response, Url, redirect};

use super::connect_error::{Remedies, may_lack_tls};
use super::endpoint::{Endpoint, host_name};
use super::notices::Notices;
use super::options::RegistryOptions;
use super::tls::{self, Tls};
use super::token::Challenge;
use super::{RegistryError, retry};

/// The time limit for connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// The time limit for TLS with a registry that may do without: firewalls drop what they do not
/// allow, and servers without TLS may wait for the end of a line.
const TLS_TIMEOUT: Duration = Duration::from_secs(5);
/// How this program introduces itself.
const USER_AGENT: &str = concat!("seatrial/", env!("CARGO_PKG_VERSION"));

/// A registry that answers.
pub(super) struct Connection {
    pub(super) http: reqwest::Client,
    /// Its address, with a slash at its end.
    pub(super) base: Url,
    pub(super) challenge: Option<Challenge>,
    pub(super) remedies: Remedies,
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
    let is_loopback = is_loopback(host);
    // The flag is about the registry that the user named.
    let has_flag = options.plain_http && !is_mirror;
    let Tls { config, has_authorities } = tls::config(name, *is_insecure)?;
    let remedies = Remedies {
        folder: tls::folder(name),
        has_authorities,
        plain_http_helps: !options.plain_http && !is_mirror,
    };
    let client = |connect_timeout| {
        let builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(connect_timeout)
            .http1_only()
            .tls_backend_preconfigured(config.clone());
        // As in Go programs, proxies are not used for the loopback interface.
        let builder = if is_loopback { builder.no_proxy() } else { builder };
        builder.build().map_err(|error| remedies.unreachable(name, error))
    };
    let http = client(CONNECT_TIMEOUT.min(options.timeout))?;
    let connection =
        |base| Connection { http: http.clone(), base, challenge: None, remedies: remedies.clone() };
    if !is_loopback && !is_insecure && !has_flag {
        return connection(base("https")?).ping(name, options, notices).await;
    }
    // Shorter than the time limit for an answer, which only a registry with TLS can exceed.
    let early = client(TLS_TIMEOUT.min(options.timeout / 2))?;
    let with_tls = Connection { http: early, ..connection(base("https")?) };
    match with_tls.ping(name, options, notices).await {
        Err(RegistryError::Unreachable { source, .. }) if may_lack_tls(&*source) => {
            connection(base("http")?).ping(name, options, notices).await
        }
        answered => Ok(Connection { http, ..answered? }),
    }
}

impl Connection {
    /// Asks the registry `name` for its version, which shows how it authenticates.
    async fn ping(
        mut self,
        name: &str,
        options: &RegistryOptions,
        notices: &Notices,
    ) -> Result<Self, RegistryError> {
        let url = self.base.join("v2/");
        let url = url.map_err(|error| RegistryError::Usage(error.to_string()))?;
        let mut attempt = 0;
        loop {
            let request = self.http.get(url.clone()).send();
            let answer = tokio::time::timeout(options.timeout, request).await;
            let answer: Result<Response, _> = answer.map_err(|_| RegistryError::Timeout {
                registry: name.to_owned(),
                seconds: options.timeout.as_secs(),
            })?;
            let last = attempt + 1 == retry::ATTEMPTS;
            let (pause, status) = match answer {
                Ok(response) if retry::is_temporary(response.status()) && !last => {
                    let pause = retry::pause(attempt, Some(response.headers()));
                    (pause, Some(response.status().as_u16()))
                }
                Ok(response) => {
                    self.challenge = Challenge::find(response.headers());
                    return Ok(self);
                }
                // A connection that was made and broke may be made again.
                Err(error) if !error.is_connect() && !last => (retry::pause(attempt, None), None),
                Err(error) => return Err(self.remedies.unreachable(name, error)),
            };
            notices.pause(pause, &format!("the registry {name}"), status).await;
            attempt += 1;
        }
    }
}

/// Whether `host`, with a port or without, is this computer.
pub(super) fn is_loopback(host: &str) -> bool {
    let host = host_name(host);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_this_computer_is_loopback() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["reg.example", "localhost.example", "10.0.0.1:5000", "[::2]", "128.0.0.1"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
