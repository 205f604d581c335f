//! The authorization of requests: passwords, and bearer tokens from a token server.

use reqwest::header::LOCATION;
use reqwest::{Method, Response, StatusCode, Url};

use super::body::Body;
use super::client::{Client, REDIRECTS_MAX};
use super::endpoint::is_loopback;
use super::request::Request;
use super::retry::Attempts;
use super::secret::{Credentials, Secret};
use super::token::{self, Challenge, Scope, TokenAnswer};
use super::{RegistryError, answer};
use crate::text;

/// The size limit of a token server's answer in bytes.
const TOKEN_MAX: usize = 1 << 20;
/// The name by which token servers know this program.
const CLIENT_ID: &str = "seatrial";

impl Client {
    /// The value of the `Authorization` header for `scope`, if the registry asks for one.
    pub(super) async fn authorization(
        &self,
        scope: &Scope,
    ) -> Result<Option<Secret>, RegistryError> {
        match self.challenge() {
            None => Ok(None),
            Some(Challenge::Basic) => Ok(self.credentials.as_ref().and_then(token::basic)),
            Some(Challenge::Bearer { realm, service }) => {
                if let Some(Credentials::RegistryToken(token)) = &self.credentials {
                    return Ok(Some(token::bearer(token.expose())));
                }
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
        if let Some(Credentials::IdentityToken(token)) = &self.credentials {
            let (form, none) = (self.token_form(token, service, scope)?, Scope::default());
            let request = Request::new(Method::POST, url, &none);
            let mut request = request.body(form, "application/x-www-form-urlencoded");
            request.has_credentials = true;
            return self.token_answer(&request, None, scope).await;
        }
        let words = scope.words().into_iter().map(|word| ("scope", word));
        let service = service.map(|service| ("service", service.to_owned()));
        url.query_pairs_mut().extend_pairs(service.into_iter().chain(words));
        let authorization = self.credentials.as_ref().and_then(token::basic);
        let request = Request::new(Method::GET, url, scope);
        self.token_answer(&request, authorization.as_ref(), scope).await
    }

    /// The form that exchanges the identity token `token` for one for `scope`.
    fn token_form(
        &self,
        token: &Secret,
        service: Option<&str>,
        scope: &Scope,
    ) -> Result<Body, RegistryError> {
        let mut form = Url::parse("form:").map_err(|_| self.unusable("credentials"))?;
        form.query_pairs_mut()
            .append_pair("grant_type", "refresh_token")
            .append_pair("service", service.unwrap_or_default())
            .append_pair("client_id", CLIENT_ID)
            .append_pair("scope", &scope.words().join(" "))
            .append_pair("refresh_token", token.expose());
        Ok(Body::Bytes(form.query().unwrap_or_default().to_owned().into()))
    }

    /// Sends `request` to the token server, again if the connection breaks.
    async fn token_answer(
        &self,
        request: &Request<'_>,
        authorization: Option<&Secret>,
        scope: &Scope,
    ) -> Result<TokenAnswer, RegistryError> {
        let mut attempts = self.attempts_at_token_server(&request.url);
        loop {
            match self.ask_for_token(request, authorization, scope).await {
                Err(error) if error.is_broken_connection() => attempts.again(error).await?,
                answer => return answer,
            }
        }
    }

    async fn ask_for_token(
        &self,
        request: &Request<'_>,
        authorization: Option<&Secret>,
        scope: &Scope,
    ) -> Result<TokenAnswer, RegistryError> {
        let response = self.send_to_token_server(request, authorization).await?;
        let status = response.status();
        let host = response.url().host_str().unwrap_or_default().to_owned();
        let body = self.read(response, TOKEN_MAX).await?;
        if status.is_success() {
            return serde_json::from_slice(&body)
                .map_err(|_| self.protocol("its token server's answer is not a token"));
        }
        let message = answer::message(&body);
        // RFC 6749, section 5.2: an identity token that has expired.
        let is_expired = request.method == Method::POST && answer::is_invalid_grant(&body);
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) || is_expired {
            return Err(RegistryError::Denied {
                registry: format!("the token server {host}"),
                what: scope.describe(),
                hint: self.login_hint(status == StatusCode::UNAUTHORIZED),
                message,
            });
        }
        let (registry, request) = (self.registry.clone(), format!("a token request to {host}"));
        Err(RegistryError::Status { registry, request, status: status.as_u16(), message })
    }

    /// Sends `request`, follows redirects, and repeats it if the token server is busy.
    async fn send_to_token_server(
        &self,
        request: &Request<'_>,
        authorization: Option<&Secret>,
    ) -> Result<Response, RegistryError> {
        let mut request = request.clone();
        let (mut redirects, mut authorization) = (0, authorization);
        let mut attempts = self.attempts_at_token_server(&request.url);
        loop {
            let response = self.exchange(&request, authorization).await?;
            let redirected = response.status().is_redirection()
                && request.method == Method::GET
                && response.headers().contains_key(LOCATION);
            if redirected && redirects < REDIRECTS_MAX {
                let target = self.location(&request.url, &response)?;
                if target.origin() != request.url.origin() {
                    authorization = None;
                    attempts = self.attempts_at_token_server(&target);
                }
                (request.url, redirects) = (target, redirects + 1);
                continue;
            }
            if !attempts.again_after(&response).await {
                return Ok(response);
            }
        }
    }

    /// The attempts of a request to the token server at `url`.
    fn attempts_at_token_server(&self, url: &Url) -> Attempts<'_> {
        let host = url.host_str().unwrap_or_default();
        Attempts::new(&self.notices, format!("the token server {host}"))
    }

    /// The address of the token server, to which credentials may be sent.
    fn token_server(&self, realm: &str) -> Result<Url, RegistryError> {
        let url = Url::parse(realm).ok().filter(|url| url.host_str().is_some());
        let url = url.ok_or_else(|| {
            self.protocol(format!("its token server is {}, not an address", text::quote(realm)))
        })?;
        match (self.base.scheme(), url.scheme()) {
            (_, "https") => Ok(url),
            ("http", "http") if self.may_lack_tls(&url) => Ok(url),
            ("http", "http") => {
                let host = text::quote(url.host_str().unwrap_or_default());
                let hint = match (&self.credentials, self.own.remedies.plain_http_helps) {
                    (None, true) => {
                        "; pass --plain-http to allow that, or set insecure = true for this host \
                         in registries.conf"
                    }
                    (None, false) => "; set insecure = true for this host in registries.conf",
                    (Some(_), true) => {
                        ", so it gets no credentials; pass --plain-http to allow that"
                    }
                    (Some(_), false) => ", so it gets no credentials",
                };
                Err(self.protocol(format!("its token server {host} uses no TLS{hint}")))
            }
            _ => Err(self.protocol("its token server uses no TLS, but the registry does")),
        }
    }

    /// Whether the token server at `url` may do without TLS. If it gets credentials, that the
    /// user's settings call it insecure is not enough: its certificate would have to be verified.
    fn may_lack_tls(&self, url: &Url) -> bool {
        is_loopback(url.host_str().unwrap_or_default())
            || self.allows_plain_http
            || url.host() == self.base.host()
            || (self.credentials.is_none() && self.others.may_lack_tls(url))
    }
}
