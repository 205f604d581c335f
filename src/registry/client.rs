//! Requests to one repository of a registry: authentication, redirects, time limits, retries.

use std::sync::{Mutex as StdMutex, PoisonError};
use std::time::Duration;

use reqwest::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION,
};
use reqwest::{Method, Response, StatusCode, Url};
use tokio::sync::Mutex;

use super::body::{Body, Progress};
use super::connect::{self, Connection};
use super::options::RegistryOptions;
use super::secret::{Credentials, Secret};
use super::token::{self, Challenge, Scope, TokenAnswer, Tokens};
use super::{RegistryError, answer, credentials, retry};
use crate::image::RemoteReference;
use crate::text;

/// The most redirects that are followed.
const REDIRECTS_MAX: usize = 5;
/// The size limit of a token server's answer in bytes.
const TOKEN_MAX: usize = 1 << 20;
/// The name by which token servers know this program.
const CLIENT_ID: &str = "seatrial";

/// A client for one repository.
pub(super) struct Client {
    pub(super) http: reqwest::Client,
    /// The address of the registry's API, with a slash at its end.
    base: Url,
    /// The registry as users write it.
    pub(super) registry: String,
    pub(super) repository: String,
    credentials: Option<Credentials>,
    challenge: StdMutex<Option<Challenge>>,
    tokens: Mutex<Tokens>,
    /// How long the registry may stay silent.
    pub(super) idle: Duration,
}

/// A request; it can be sent repeatedly.
#[derive(Clone)]
pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) scope: &'a Scope,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

impl<'a> Request<'a> {
    pub(super) fn new(method: Method, url: Url, scope: &'a Scope) -> Self {
        Self { method, url, scope, headers: HeaderMap::new(), body: Body::Empty }
    }

    #[must_use]
    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    #[must_use]
    pub(super) fn body(self, body: Body, media_type: &str) -> Self {
        Self { body, ..self.header(CONTENT_TYPE, media_type) }
    }
}

impl Client {
    /// Connects to the repository of `reference` and finds out how the registry authenticates.
    pub(super) async fn connect(
        reference: &RemoteReference,
        options: &RegistryOptions,
    ) -> Result<Self, RegistryError> {
        let credentials = match &options.login {
            Some(login) => Some(login.clone()),
            None => credentials::find(reference).await?,
        };
        let Connection { http, base, challenge } = connect::connect(reference, options).await?;
        Ok(Self {
            http,
            base,
            registry: reference.registry().to_owned(),
            repository: reference.repository().to_owned(),
            credentials,
            challenge: StdMutex::new(challenge),
            tokens: Mutex::default(),
            idle: options.timeout,
        })
    }

    /// The address of a part of the repository, such as `manifests/latest`.
    pub(super) fn url(&self, part: &str) -> Result<Url, RegistryError> {
        let path = format!("v2/{}/{part}", self.repository);
        self.base.join(&path).map_err(|_| self.protocol(format!("invalid address {path}")))
    }

    /// Sends `request`, and repeats it if that may help. An answer with another status than those
    /// in `expected` is an error.
    pub(super) async fn send(
        &self,
        request: &Request<'_>,
        expected: &[u16],
    ) -> Result<Response, RegistryError> {
        let mut attempt = 0;
        loop {
            let last = attempt + 1 == retry::ATTEMPTS;
            let pause = match self.send_once(request).await {
                Ok(response) if expected.contains(&response.status().as_u16()) => {
                    return Ok(response);
                }
                Ok(response) if retry::is_temporary(response.status()) && !last => {
                    retry::pause(attempt, Some(response.headers()))
                }
                Ok(response) => return Err(self.failure(request, response).await),
                Err(RegistryError::Unreachable { .. }) if !last => retry::pause(attempt, None),
                Err(error) => return Err(error),
            };
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
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
                self.tokens.lock().await.remove(current.scope);
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
    async fn exchange(
        &self,
        request: &Request<'_>,
        authorization: Option<&Secret>,
    ) -> Result<Response, RegistryError> {
        let progress = Progress::default();
        let mut builder = self.http.request(request.method.clone(), request.url.clone());
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
        builder = builder.body(request.body.stream(&progress));
        let sent = progress.within(self.idle, builder.send()).await;
        sent.ok_or_else(|| self.timeout())?.map_err(|error| self.unreachable(error))
    }

    /// The value of the `Authorization` header for `scope`, if the registry asks for one.
    async fn authorization(&self, scope: &Scope) -> Result<Option<Secret>, RegistryError> {
        match self.challenge() {
            None => Ok(None),
            Some(Challenge::Basic) => Ok(self.credentials.as_ref().and_then(token::basic)),
            Some(Challenge::Bearer { realm, service }) => {
                // Held while a token is fetched: other requests need the same one.
                let mut tokens = self.tokens.lock().await;
                if let Some(token) = tokens.get(scope) {
                    return Ok(Some(token));
                }
                let answer = self.fetch_token(&realm, service.as_deref(), scope).await?;
                let token = tokens.insert(scope, answer);
                let problem = "its token server gives no token";
                token.map(Some).ok_or_else(|| self.protocol(problem))
            }
        }
    }

    /// Fetches a token for `scope`.
    async fn fetch_token(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: &Scope,
    ) -> Result<TokenAnswer, RegistryError> {
        let mut url = self.token_server(realm)?;
        let mut request = match &self.credentials {
            Some(Credentials::IdentityToken(token)) => {
                let words = scope.words().join(" ");
                let mut form = Url::parse("form:").map_err(|_| self.unusable("credentials"))?;
                form.query_pairs_mut()
                    .append_pair("grant_type", "refresh_token")
                    .append_pair("service", service.unwrap_or_default())
                    .append_pair("client_id", CLIENT_ID)
                    .append_pair("scope", &words)
                    .append_pair("refresh_token", token.expose());
                let form = form.query().unwrap_or_default().to_owned();
                let media_type = "application/x-www-form-urlencoded";
                let none = Scope::default();
                let request = Request::new(Method::POST, url, &none);
                let request = request.body(Body::Bytes(form.into()), media_type);
                return self.token_answer(&request, None, scope).await;
            }
            _ => {
                let mut query = url.query_pairs_mut();
                if let Some(service) = service {
                    query.append_pair("service", service);
                }
                for word in scope.words() {
                    query.append_pair("scope", &word);
                }
                drop(query);
                Request::new(Method::GET, url, scope)
            }
        };
        request.headers = HeaderMap::new();
        let authorization = self.credentials.as_ref().and_then(token::basic);
        self.token_answer(&request, authorization.as_ref(), scope).await
    }

    async fn token_answer(
        &self,
        request: &Request<'_>,
        authorization: Option<&Secret>,
        scope: &Scope,
    ) -> Result<TokenAnswer, RegistryError> {
        let mut attempt = 0;
        let response = loop {
            let response = self.exchange(request, authorization).await?;
            if !retry::is_temporary(response.status()) || attempt + 1 == retry::ATTEMPTS {
                break response;
            }
            tokio::time::sleep(retry::pause(attempt, Some(response.headers()))).await;
            attempt += 1;
        };
        let status = response.status();
        let host = request.url.host_str().unwrap_or_default().to_owned();
        let body = self.read(response, TOKEN_MAX).await?;
        if status.is_success() {
            return serde_json::from_slice(&body)
                .map_err(|_| self.protocol("its token server's answer is not a token"));
        }
        let message = answer::message(&body);
        if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
            return Err(RegistryError::Denied {
                registry: format!("the token server {host}"),
                what: scope.describe(),
                hint: self.login_hint(status),
                message,
            });
        }
        let (registry, request) = (self.registry.clone(), format!("a token request to {host}"));
        Err(RegistryError::Status { registry, request, status: status.as_u16(), message })
    }

    /// The address of the token server, to which credentials may be sent.
    fn token_server(&self, realm: &str) -> Result<Url, RegistryError> {
        let url = Url::parse(realm).ok().filter(|url| url.host_str().is_some());
        let url = url.ok_or_else(|| {
            self.protocol(format!("its token server is {}, not an address", text::quote(realm)))
        })?;
        match (self.base.scheme(), url.scheme()) {
            (_, "https") | ("http", "http") => Ok(url),
            _ => Err(self.protocol("its token server uses no TLS, but the registry does")),
        }
    }

    fn challenge(&self) -> Option<Challenge> {
        self.challenge.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether `url` is the registry's own: only there credentials are sent.
    fn is_own(&self, url: &Url) -> bool {
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

    /// Reads an answer of at most `limit` bytes.
    pub(super) async fn read(
        &self,
        mut response: Response,
        limit: usize,
    ) -> Result<Vec<u8>, RegistryError> {
        let mut content = Vec::new();
        loop {
            let chunk = tokio::time::timeout(self.idle, response.chunk()).await;
            let chunk = chunk.map_err(|_| self.timeout())?;
            let Some(chunk) = chunk.map_err(|error| self.unreachable(error))? else {
                return Ok(content);
            };
            if content.len() + chunk.len() > limit {
                let problem = format!("an answer has more than {} KiB", limit >> 10);
                return Err(self.protocol(problem));
            }
            content.extend_from_slice(&chunk);
        }
    }

    /// The error that an unexpected answer to `request` means.
    pub(super) async fn failure(&self, request: &Request<'_>, response: Response) -> RegistryError {
        let status = response.status();
        let body = self.read(response, answer::ERROR_MAX).await.unwrap_or_default();
        let (registry, message) = (self.registry.clone(), answer::message(&body));
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let (what, hint) = (request.scope.describe(), self.login_hint(status));
                RegistryError::Denied { registry, what, hint, message }
            }
            StatusCode::NOT_FOUND => {
                let what = self.describe(&request.url);
                RegistryError::NotFound { registry, what, message }
            }
            status => {
                let request = format!("{} {}", request.method, request.url.path());
                RegistryError::Status { registry, request, status: status.as_u16(), message }
            }
        }
    }

    /// The image or blob that a request is about.
    fn describe(&self, url: &Url) -> String {
        let path = url.path().strip_prefix("/v2/").unwrap_or(url.path());
        match (path.split_once("/manifests/"), path.split_once("/blobs/")) {
            (Some((repository, name)), _) if name.contains(':') => format!("{repository}@{name}"),
            (Some((repository, name)), _) => format!("{repository}:{name}"),
            (_, Some((repository, digest))) => format!("blob {digest} in {repository}"),
            _ => path.to_owned(),
        }
    }

    /// Why access is denied with `status`, and how to get it.
    fn login_hint(&self, status: StatusCode) -> String {
        let is_rejected = status == StatusCode::UNAUTHORIZED;
        match (&self.credentials, self.registry.as_str()) {
            (Some(Credentials::Password { username, .. }), _) => {
                let user = text::shorten(username);
                let reason = match is_rejected {
                    true => "the user name or the password is wrong; log in again",
                    false => "this user has no permission",
                };
                format!(" for the user {user}: {reason}")
            }
            (Some(Credentials::IdentityToken(_)), _) => {
                " with the stored identity token".to_owned()
            }
            (None, registry) => format!(
                "; there are no credentials for it: log in with docker or podman login {}, or use \
                 --username and --password-stdin",
                text::shorten(registry)
            ),
        }
    }

    pub(super) fn timeout(&self) -> RegistryError {
        RegistryError::Timeout { registry: self.registry.clone(), seconds: self.idle.as_secs() }
    }

    pub(super) fn unreachable(&self, error: reqwest::Error) -> RegistryError {
        connect::unreachable(&self.registry, error)
    }

    pub(super) fn protocol(&self, problem: impl Into<String>) -> RegistryError {
        RegistryError::Protocol { registry: self.registry.clone(), problem: problem.into() }
    }

    fn unusable(&self, what: &str) -> RegistryError {
        RegistryError::Usage(format!(
            "the {what} for {} cannot be sent in a request",
            self.registry
        ))
    }
}
