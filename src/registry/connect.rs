//! The first request to a registry: whether it uses TLS, and how it authenticates.

use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::{Response, Url, redirect};

use super::endpoint::{Endpoint, host_name};
use super::options::RegistryOptions;
use super::token::Challenge;
use super::{RegistryError, retry, tls};

/// The time limit for connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// How this program introduces itself.
const USER_AGENT: &str = concat!("seatrial/", env!("CARGO_PKG_VERSION"));

/// A registry that answers.
pub(super) struct Connection {
    pub(super) http: reqwest::Client,
    /// Its address, with a slash at its end.
    pub(super) base: Url,
    pub(super) challenge: Option<Challenge>,
}

/// Connects to the registry of `endpoint`. Registries on the loopback interface may do without TLS,
/// others only if the user says so.
pub(super) async fn connect(
    endpoint: &Endpoint,
    options: &RegistryOptions,
) -> Result<Connection, RegistryError> {
    let Endpoint { reference, is_insecure, .. } = endpoint;
    let (name, host) = (reference.registry(), reference.host());
    let base = |scheme: &str| {
        let url = Url::parse(&format!("{scheme}://{host}/"));
        url.map_err(|error| RegistryError::Usage(format!("invalid registry {name}: {error}")))
    };
    let is_loopback = is_loopback(host);
    let builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_TIMEOUT.min(options.timeout))
        .http1_only()
        .tls_backend_preconfigured(tls::config(name, *is_insecure)?);
    // As in Go programs, proxies are not used for the loopback interface.
    let builder = if is_loopback { builder.no_proxy() } else { builder };
    let http = builder.build().map_err(|error| unreachable(name, error))?;
    // The flag is about the registry that the user named.
    if !options.plain_http || endpoint.is_mirror {
        match ping(name, &http, base("https")?, options).await {
            Err(RegistryError::Unreachable { source, .. })
                if *is_insecure
                    || (is_loopback && (speaks_no_tls(&*source) || is_late(&*source))) => {}
            // A server without TLS may wait for the end of the line.
            Err(RegistryError::Timeout { .. }) if is_loopback => {}
            answered => return answered,
        }
    }
    ping(name, &http, base("http")?, options).await
}

/// Asks the registry at `base` for its version, which shows how it authenticates.
async fn ping(
    name: &str,
    http: &reqwest::Client,
    base: Url,
    options: &RegistryOptions,
) -> Result<Connection, RegistryError> {
    let url = base.join("v2/").map_err(|error| RegistryError::Usage(error.to_string()))?;
    let mut attempt = 0;
    loop {
        let answer = tokio::time::timeout(options.timeout, http.get(url.clone()).send()).await;
        let answer: Result<Response, _> = answer.map_err(|_| RegistryError::Timeout {
            registry: name.to_owned(),
            seconds: options.timeout.as_secs(),
        })?;
        let last = attempt + 1 == retry::ATTEMPTS;
        let pause = match answer {
            Ok(response) if retry::is_temporary(response.status()) && !last => {
                retry::pause(attempt, Some(response.headers()))
            }
            Ok(response) => {
                let challenge = Challenge::find(response.headers());
                return Ok(Connection { http: http.clone(), base, challenge });
            }
            // A connection that was made and broke may be made again.
            Err(error) if !error.is_connect() && !last => retry::pause(attempt, None),
            Err(error) => return Err(unreachable(name, error)),
        };
        tokio::time::sleep(pause).await;
        attempt += 1;
    }
}

/// Whether `host`, with a port or without, is this computer.
pub(super) fn is_loopback(host: &str) -> bool {
    let host = host_name(host);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether a connection failed because the other side does not use TLS.
fn speaks_no_tls(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| {
        let no_message = matches!(tls_error(cause), Some(rustls::Error::InvalidMessage(_)));
        no_message || cause.downcast_ref().is_some_and(has_ended)
    })
}

/// Whether a connection was not ready in time.
fn is_late(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_timeout)
}

/// Whether the other side closed the connection.
fn has_ended(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>());
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset)
        || inner.is_some_and(has_ended)
}

/// The error of TLS that `error` is or wraps. An I/O error does not list what it wraps as a cause.
fn tls_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    match error.downcast_ref::<io::Error>() {
        Some(io) => tls_error(io.get_ref()?),
        None => error.downcast_ref(),
    }
}

fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let current = next?;
        next = current.source();
        Some(current)
    })
}

/// The error of a request to the registry `name` that got no answer.
pub(super) fn unreachable(name: &str, error: reqwest::Error) -> RegistryError {
    let certificate = causes(&error)
        .any(|cause| matches!(tls_error(cause), Some(rustls::Error::InvalidCertificate(_))));
    // An answer that ends too early has another reason.
    let no_tls = error.is_connect() && speaks_no_tls(&error);
    let hint = match () {
        () if certificate => {
            "; if you trust it, put its authority into a file that ends in .crt in \
             ~/.config/containers/certs.d/HOST:PORT"
        }
        () if no_tls => "; if it uses no TLS, pass --plain-http",
        () => "",
    };
    // The address is known, and a query could have a secret.
    let source = Box::new(error.without_url());
    RegistryError::Unreachable { registry: name.to_owned(), hint, source }
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
