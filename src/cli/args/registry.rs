//! How registries are used: credentials, TLS, time limits.

use std::collections::BTreeSet;
use std::time::Duration;

use super::login::{Login, password_from_stdin};
use crate::image::RemoteReference;
use crate::registry::{DEFAULT_TIMEOUT, Registries, RegistryOptions};

/// The heading of these arguments in help texts.
const HEADING: &str = "Registries";

/// The arguments of every command that uses registries.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::cli) struct RegistryArgs {
    /// User name for the registry; needs --password-stdin [default: credentials
    /// of docker login and podman login]
    #[arg(long, value_name = "NAME", requires = "password_stdin", help_heading = HEADING)]
    username: Option<String>,

    /// Read the password from standard input
    #[arg(long, requires = "username", help_heading = HEADING)]
    password_stdin: bool,

    /// Use the registry without TLS; loopback addresses need no flag
    #[arg(long, help_heading = HEADING)]
    plain_http: bool,

    /// Time limit for a registry that does not answer
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_TIMEOUT,
        value_parser = clap::value_parser!(u64).range(1..=86_400), help_heading = HEADING)]
    registry_timeout: u64,
}

impl RegistryArgs {
    /// Prepares access to registries; `cache` says whether blobs are kept in the cache.
    pub(in crate::cli) fn registries(&self, cache: bool) -> anyhow::Result<Registries> {
        self.registries_of(None, cache)
    }

    /// Like [`registries`](Self::registries), with the user name and password only for the
    /// registries of `targets`.
    pub(in crate::cli) fn registries_for(
        &self,
        targets: &[RemoteReference],
        cache: bool,
    ) -> anyhow::Result<Registries> {
        let named = targets.iter().map(|target| target.registry().to_owned());
        self.registries_of(Some(named.collect()), cache)
    }

    fn registries_of(
        &self,
        login_registries: Option<BTreeSet<String>>,
        cache: bool,
    ) -> anyhow::Result<Registries> {
        let name = self.username.as_ref();
        let login = name.map(|name| password_from_stdin(name)).transpose()?;
        let options = RegistryOptions { login, login_registries, ..self.options(cache) };
        Ok(Registries::new(options)?)
    }

    /// Like [`registries`](Self::registries), with `login` in the place of the credentials in these
    /// arguments.
    pub(in crate::cli) fn registries_with(
        &self,
        login: &Login,
        cache: bool,
    ) -> anyhow::Result<Registries> {
        let (login, auth_file) = match login {
            Login::Credentials(credentials) => (Some(credentials.clone()), None),
            Login::AuthFile(path) => (None, Some(path.clone())),
        };
        Ok(Registries::new(RegistryOptions { login, auth_file, ..self.options(cache) })?)
    }

    fn options(&self, cache: bool) -> RegistryOptions {
        let timeout = Duration::from_secs(self.registry_timeout);
        RegistryOptions {
            plain_http: self.plain_http,
            timeout,
            cache,
            ..RegistryOptions::default()
        }
    }
}
