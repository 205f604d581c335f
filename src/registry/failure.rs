//! The errors that unexpected answers of a registry mean.

use reqwest::{Response, StatusCode, Url};

use super::client::Client;
use super::request::Request;
use super::secret::Credentials;
use super::token::Challenge;
use super::{RegistryError, answer, hosts};
use crate::text;

impl Client {
    /// The error that an unexpected answer to `request` means.
    pub(super) async fn failure(&self, request: &Request<'_>, response: Response) -> RegistryError {
        let (status, url) = (response.status(), response.url().clone());
        let body = self.read(response, answer::ERROR_MAX).await.unwrap_or_default();
        let (registry, message) = (self.place(&url), answer::message(&body));
        match status {
            // Storage, which got no credentials.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if !self.is_own(&url) => {
                let hint = "; the registry gave this address, which may have expired".to_owned();
                RegistryError::Denied { registry, what: request.scope.describe(), hint, message }
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                // Who has a token has logged in. It only lacks a permission (RFC 6750, section 3.1,
                // "insufficient_scope").
                let by_token = matches!(self.challenge(), Some(Challenge::Bearer { .. }));
                let is_rejected = status == StatusCode::UNAUTHORIZED && !by_token;
                let (what, hint) = (request.scope.describe(), self.login_hint(is_rejected));
                RegistryError::Denied { registry, what, hint, message }
            }
            StatusCode::NOT_FOUND => {
                let what = self.describe(&request.url);
                RegistryError::NotFound { registry, what, message }
            }
            status => {
                let request = format!("{} {}", request.method, url.path());
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
            // An upload could not begin: in some registries, repositories are created before.
            (_, Some((repository, "uploads/"))) => {
                format!("repository {repository} to push to; create it there first")
            }
            (_, Some((repository, upload))) if upload.starts_with("uploads/") => {
                format!("upload {} in {repository}", &upload["uploads/".len()..])
            }
            (_, Some((repository, digest))) => format!("blob {digest} in {repository}"),
            _ => path.to_owned(),
        }
    }

    /// Why access is denied, and how to get it; `is_rejected` if the credentials are not accepted.
    pub(super) fn login_hint(&self, is_rejected: bool) -> String {
        match (&self.credentials, self.registry.as_str()) {
            (Some(Credentials::Password { username, .. }), _) => {
                let user = text::shorten(username);
                let reason = match is_rejected {
                    true => "the user name or the password is wrong; log in again",
                    false => "this user has no permission, or there is no such repository",
                };
                format!(" for the user {user}: {reason}")
            }
            (Some(Credentials::IdentityToken(_)), _) => {
                " with the stored identity token; log in again".to_owned()
            }
            (Some(Credentials::RegistryToken(_)), _) => {
                " with the registrytoken in the file with credentials; it may have expired"
                    .to_owned()
            }
            // Many registries answer the same for a repository that does not exist.
            (None, registry) => {
                let (place, login) = match &self.only_file {
                    Some(file) => {
                        let file = text::path(file);
                        let place = format!(" in {file} (no other file is read)");
                        (place, format!("podman login --authfile {file}"))
                    }
                    None => (String::new(), "seatrial, docker or podman login".to_owned()),
                };
                let flags = self.login_flags.map(|flags| format!(", or {flags}"));
                let flags = flags.unwrap_or_default();
                format!(
                    "; there are no credentials for it{place}, or there is no such repository: to \
                     log in, use {login} {}{flags}",
                    text::shorten(registry)
                )
            }
        }
    }

    pub(super) fn timeout(&self, url: &Url) -> RegistryError {
        RegistryError::Timeout { registry: self.place(url), seconds: self.idle.as_secs() }
    }

    /// The error of an answer of which only `bytes` arrived within the time limit.
    pub(super) fn timeout_after(&self, url: &Url, bytes: u64) -> RegistryError {
        match bytes {
            0 => self.timeout(url),
            bytes => {
                let (registry, seconds) = (self.place(url), self.idle.as_secs());
                RegistryError::Slow { registry, bytes, seconds }
            }
        }
    }

    pub(super) fn unreachable(&self, url: &Url, error: reqwest::Error) -> RegistryError {
        match self.host(url) {
            Ok(host) => {
                let short = self.short.as_ref().filter(|_| self.is_own(url));
                host.remedies.unreachable(&self.place(url), short, error)
            }
            Err(error) => error,
        }
    }

    /// The registry, and the host of `url` if it is another one: storage, or a token server.
    fn place(&self, url: &Url) -> String {
        match self.is_own(url) {
            true => self.registry.clone(),
            false => format!("{} (at {})", self.registry, hosts::name(url)),
        }
    }

    pub(super) fn protocol(&self, problem: impl Into<String>) -> RegistryError {
        RegistryError::Protocol { registry: self.registry.clone(), problem: problem.into() }
    }

    pub(super) fn unusable(&self, what: &str) -> RegistryError {
        RegistryError::Usage(format!(
            "the {what} for {} cannot be sent in a request",
            self.registry
        ))
    }
}
