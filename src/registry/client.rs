//! Requests to one repository of a registry: authentication, redirects, time limits, retries.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderValue, LOCATION};
use reqwest::{Method, Response, StatusCode, Url};
use tokio::sync::Mutex;

use super::connect::{self, Connection};
use super::endpoint::Endpoint;
use super::hosts::{Host, OtherHosts};
use super::mirrors::Mirrors;
use super::notices::Notices;
use super::options::RegistryOptions;
use super::request::Request;
use super::retry::Attempts;
use super::secret::{Credentials, Secret};
use super::token::{Challenge, Tokens};
use super::{RegistryError, credentials};
use crate::image::RemoteReference;
use crate::text;

/// The most redirects that are followed.
pub(super) const REDIRECTS_MAX: usize = 5;

/// A client for one repository.
pub(super) struct Client {
    /// The registry's host.
    pub(super) own: Arc<Host>,
    pub(super) others: Arc<OtherHosts>,
    /// The address of the registry's API, with a slash at its end.
    pub(super) base: Url,
    /// The registry as users write it.
    pub(super) registry: String,
    pub(super) repository: String,
    pub(super) credentials: Option<Credentials>,
    /// The file with credentials, if the user named one: no other is read.
    pub(super) only_file: Option<PathBuf>,
    /// The flags for credentials, as messages name them, if they count for this registry.
    pub(super) login_flags: Option<&'static str>,
    /// Whether the user allows connections without TLS for this command.
    pub(super) allows_plain_http: bool,
    /// The reference of the repository, if it is in the default registry because it names none.
    pub(super) short: Option<RemoteReference>,
    /// How the registry authenticates, for other repositories, too.
    of_registry: Option<Challenge>,
    /// How it authenticates for this repository.
    challenge: StdMutex<Option<Challenge>>,
    pub(super) tokens: Mutex<Tokens>,
    /// Whether the registry takes chunks of blobs, as far as it is known.
    pub(super) takes_chunks: AtomicBool,
    pub(super) notices: Arc<Notices>,
    /// How long the registry may stay silent.
    pub(super) idle: Duration,
}

impl Client {
    /// Connects to the repository of `endpoint` and finds out how its registry authenticates.
    /// `sibling` is a client for another repository of the same registry, if there is one: its
    /// connections are used.
    pub(super) async fn connect(
        endpoint: &Endpoint,
        sibling: Option<&Self>,
        options: &RegistryOptions,
        settings: &Arc<Mirrors>,
        notices: Arc<Notices>,
    ) -> Result<Self, RegistryError> {
        let reference = &endpoint.reference;
        let named = options.login_registries.as_ref();
        let is_named = named.is_none_or(|named| named.contains(reference.registry()));
        // It is meant for the registry that the user named.
        let takes_login = is_named && !endpoint.is_mirror;
        let credentials = match &options.login {
            Some(login) if takes_login => Some(login.clone()),
            _ => {
                let helpers = settings.credential_helpers();
                credentials::find(reference, options.auth_file.as_deref(), helpers).await?
            }
        };
        let Connection { host, base, challenge } = match sibling {
            Some(sibling) => sibling.connection(),
            None => connect::connect(endpoint, options, &notices).await?,
        };
        let others = sibling.map(|sibling| Arc::clone(&sibling.others)).unwrap_or_else(|| {
            Arc::new(OtherHosts::new(endpoint, Arc::clone(settings), options.timeout))
        });
        Ok(Self {
            own: host,
            others,
            base,
            registry: reference.registry().to_owned(),
            repository: reference.repository().to_owned(),
            credentials,
            only_file: credentials::only_file(options.auth_file.as_deref()),
            login_flags: takes_login.then_some(options.login_flags),
            allows_plain_http: options.plain_http && !endpoint.is_mirror,
            short: endpoint.short().cloned(),
            of_registry: challenge.clone(),
            challenge: StdMutex::new(challenge),
            tokens: Mutex::default(),
            takes_chunks: AtomicBool::new(true),
            notices,
            idle: options.timeout,
        })
    }

    /// The connections to the registry, and how it authenticates.
    fn connection(&self) -> Connection {
        let (host, base) = (Arc::clone(&self.own), self.base.clone());
        Connection { host, base, challenge: self.of_registry.clone() }
    }

    /// The address of a part of the repository, such as `manifests/latest`.
    pub(super) fn url(&self, part: &str) -> Result<Url, RegistryError> {
        self.url_in(&self.repository, part)
    }

    /// The address of a part of a repository of the same registry.
    pub(super) fn url_in(&self, repository: &str, part: &str) -> Result<Url, RegistryError> {
        let path = format!("v2/{repository}/{part}");
        self.base.join(&path).map_err(|_| self.protocol(format!("invalid address {path}")))
    }

    /// Sends `request`, and repeats it if that may help. An answer with another status than those
    /// in `expected` is an error.
    pub(super) async fn send(
        &self,
        request: &Request<'_>,
        expected: &[u16],
    ) -> Result<Response, RegistryError> {
        let mut attempts = self.attempts();
        loop {
            let response = match self.send_once(request).await {
                Err(error) if error.is_broken_connection() => {
                    attempts.again(error).await?;
                    continue;
                }
                answer => answer?,
            };
            if expected.contains(&response.status().as_u16()) {
                return Ok(response);
            }
            if !attempts.again_after(&response).await {
                return Err(self.failure(request, response).await);
            }
        }
    }

    /// The attempts of a request to the registry.
    pub(super) fn attempts(&self) -> Attempts<'_> {
        Attempts::new(&self.notices, format!("the registry {}", self.registry))
    }

    /// Sends `request` once, with the credentials that the registry asks for, and follows
    /// redirects of requests without a body.
    pub(super) async fn send_once(&self, request: &Request<'_>) -> Result<Response, RegistryError> {
        let mut current = request.clone();
        let mut asked = false;
        for _ in 0..=REDIRECTS_MAX {
            let authorization = match self.is_own(&current.url) {
                true => self.authorization(current.scope).await?,
                false => None,
            };
            let response = self.exchange(&current, authorization.as_ref()).await?;
            let status = response.status();
            if status == StatusCode::UNAUTHORIZED && self.is_own(&current.url) && !asked {
                asked = true;
                self.tokens.lock().await.remove(current.scope, authorization.as_ref());
                let challenge = Challenge::find(response.headers());
                // Without credentials, another attempt would end the same way.
                if authorization.is_some() && challenge == self.challenge() {
                    if matches!(challenge, Some(Challenge::Basic)) {
                        return Ok(response);
                    }
                } else {
                    *self.challenge.lock().unwrap_or_else(PoisonError::into_inner) = challenge;
                }
                if self.challenge().is_none() {
                    return Ok(response);
                }
                continue;
            }
            let follows = matches!(current.method, Method::GET | Method::HEAD);
            if !status.is_redirection() || !follows || status == StatusCode::NOT_MODIFIED {
                return Ok(response);
            }
            current.url = self.location(&current.url, &response)?;
        }
        Err(self.protocol(format!("more than {REDIRECTS_MAX} redirects")))
    }

    /// Sends `request` as it is, within the time limit.
    pub(super) async fn exchange(
        &self,
        request: &Request<'_>,
        authorization: Option<&Secret>,
    ) -> Result<Response, RegistryError> {
        request.progress.restart();
        let host = self.host(&request.url)?;
        let http = host.client(request.has_credentials || authorization.is_some());
        let mut builder = http.request(request.method.clone(), request.url.clone());
        builder = builder.headers(request.headers.clone());
        if !matches!(request.method, Method::GET | Method::HEAD) {
            builder = builder.header(CONTENT_LENGTH, request.body.len());
        }
        if let Some(authorization) = authorization {
            let value = HeaderValue::from_str(authorization.expose());
            let mut value = value.map_err(|_| self.unusable("credentials"))?;
            value.set_sensitive(true);
            builder = builder.header(AUTHORIZATION, value);
        }
        builder = builder.body(request.body.stream(&request.progress));
        let size = request.body.len();
        let sent = request.progress.within(self.idle, size, builder.send()).await;
        sent.ok_or_else(|| self.timeout(&request.url))?
            .map_err(|error| self.unreachable(&request.url, error))
    }

    /// How the registry authenticates for this repository, as far as it is known.
    pub(super) fn challenge(&self) -> Option<Challenge> {
        self.challenge.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The host of `url`.
    pub(super) fn host(&self, url: &Url) -> Result<Arc<Host>, RegistryError> {
        match self.is_own(url) {
            true => Ok(Arc::clone(&self.own)),
            false => self.others.get(url),
        }
    }

    /// Whether `url` is the registry's own: only there credentials are sent.
    pub(super) fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    /// The address in the `Location` of `response`, which answers a request to `url`.
    pub(super) fn location(&self, url: &Url, response: &Response) -> Result<Url, RegistryError> {
        let text = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let text = text.ok_or_else(|| self.protocol("its answer has no Location"))?;
        let target = url.join(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let target = target.ok_or_else(|| {
            self.protocol(format!("the Location {} is not an address", text::quote(text)))
        })?;
        if self.base.scheme() == "https" && target.scheme() != "https" {
            return Err(self.protocol("it redirects from TLS to an address without"));
        }
        Ok(target)
    }
}
