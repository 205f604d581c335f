//! Logging in to a registry: its answer to the credentials, before they are stored.

use std::sync::Arc;

use reqwest::Method;

use super::credentials::login::{self, Removed};
use super::request::Request;
use super::secret::Credentials;
use super::token::Scope;
use super::{Place, Registries, RegistryError};
use crate::image::{RemoteReference, RemoteReferenceError};
use crate::text;

/// A login that succeeded.
pub(crate) struct StoredLogin {
    /// Where the credentials are.
    pub(crate) place: Place,
    /// Whether the registry asked for credentials, and accepted these.
    pub(crate) is_checked: bool,
}

/// The registry that `text` names: a host, with a port if it is not the usual one, or the address
/// of its API.
pub(crate) fn registry_of(text: &str) -> Result<String, RegistryError> {
    let address = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let host = address.unwrap_or(text).trim_end_matches('/');
    let host = match address {
        Some(_) => ["/v1", "/v2"].iter().find_map(|end| host.strip_suffix(end)).unwrap_or(host),
        None => host,
    };
    let invalid = |reason: String| {
        let text = text::quote(text);
        let hint = "expected a host such as registry.example or localhost:5000";
        RegistryError::Usage(format!("{text} is not a registry{reason}; {hint}"))
    };
    if host.contains('/') {
        return Err(invalid(", but a part of one".to_owned()));
    }
    let reference = reference_in(host).map_err(|_| invalid(String::new()))?;
    let is_alias = reference.registry() == "docker.io";
    match host == reference.registry() || (is_alias && host.ends_with("docker.io")) {
        true => Ok(reference.registry().to_owned()),
        false => Err(invalid(String::new())),
    }
}

/// A repository of `registry`, because connections are to repositories.
fn reference_in(registry: &str) -> Result<RemoteReference, RemoteReferenceError> {
    format!("{registry}/library/any").parse()
}

impl Registries {
    /// Asks `registry` whether it accepts the credentials of the options, and stores them.
    ///
    /// # Errors
    /// If it cannot be reached or does not accept them, or if they cannot be stored.
    pub(crate) fn log_in(&self, registry: &str) -> Result<StoredLogin, RegistryError> {
        let Some(Credentials::Password { username, password }) = self.0.options.login.clone()
        else {
            return Err(RegistryError::Usage("there is no user name and password".to_owned()));
        };
        self.run(async {
            let is_checked = self.check(registry, &username).await?;
            let helpers = self.mirrors()?.credential_helpers();
            let place = login::store(registry, (&username, &password), helpers).await?;
            Ok(StoredLogin { place, is_checked })
        })
    }

    /// Removes all credentials for `registry` that would be found, as far as files and credential
    /// helpers can be used.
    ///
    /// # Errors
    /// If the settings of registries cannot be read.
    pub(crate) fn log_out(&self, registry: &str) -> Result<Removed, RegistryError> {
        self.run(async { Ok(login::remove(registry, self.mirrors()?.credential_helpers()).await) })
    }

    /// Whether the registry asked for credentials, and accepted those of the user `username`.
    async fn check(&self, registry: &str, username: &str) -> Result<bool, RegistryError> {
        let reference = reference_in(registry);
        let reference = reference.map_err(|error| RegistryError::Usage(error.to_string()))?;
        let client = Arc::clone(&self.client(&reference).await?);
        if client.challenge().is_none() {
            return Ok(false);
        }
        let url = client.base.join("v2/").map_err(|_| client.protocol("invalid address"))?;
        let scope = Scope::default();
        let answer = client.send(&Request::new(Method::GET, url, &scope), &[200]).await;
        answer.map(|_| true).map_err(|error| match error {
            RegistryError::Denied { registry, message, .. } => {
                RegistryError::Login { registry, username: username.to_owned(), message }
            }
            other => other,
        })
    }
}
