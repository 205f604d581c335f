//! How registries are used: credentials, TLS, time limits.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::login::{Login, SideLogin, password_from_stdin};
use super::seconds;
use crate::cli::progress::print_note;
use crate::image::RemoteReference;
use crate::registry::{Credentials, DEFAULT_TIMEOUT, Registries, RegistryOptions};

/// The heading of these arguments in help texts.
pub(super) const HEADING: &str = "Registries";

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

    /// Use a registry without TLS if it has none; loopback addresses need no flag
    #[arg(long, help_heading = HEADING)]
    plain_http: bool,

    /// Time limit for a registry that does not answer
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_TIMEOUT,
        value_parser = seconds(1), help_heading = HEADING)]
    registry_timeout: u64,

    /// The user name and password. Standard input can be read once.
    #[arg(skip)]
    login: Arc<OnceLock<Credentials>>,
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
        let login = self.login()?;
        let options = RegistryOptions { login, login_registries, ..self.options(cache) };
        Ok(Registries::new(options)?)
    }

    /// Like [`registries`](Self::registries), with the credentials of `side`, if it has any, in the
    /// place of those in these arguments.
    pub(in crate::cli) fn registries_of_side(
        &self,
        side: &SideLogin,
        cache: bool,
    ) -> anyhow::Result<Registries> {
        let (login, auth_file) = match &side.login {
            Some(Login::Credentials(credentials)) => (Some(credentials.clone()), None),
            Some(Login::AuthFile(path)) => (None, Some(path.clone())),
            None => (self.login()?, None),
        };
        let login_flags = side.flag;
        let options = self.options(cache);
        Ok(Registries::new(RegistryOptions { login, auth_file, login_flags, ..options })?)
    }

    /// Whether the password is read from standard input.
    pub(super) fn reads_stdin(&self) -> bool {
        self.password_stdin
    }

    /// The user name and password in these arguments.
    fn login(&self) -> anyhow::Result<Option<Credentials>> {
        let Some(username) = &self.username else {
            return Ok(None);
        };
        if let Some(login) = self.login.get() {
            return Ok(Some(login.clone()));
        }
        let login = password_from_stdin(username)?;
        Ok(Some(self.login.get_or_init(|| login).clone()))
    }

    fn options(&self, cache: bool) -> RegistryOptions {
        let timeout = Duration::from_secs(self.registry_timeout);
        RegistryOptions {
            plain_http: self.plain_http,
            timeout,
            cache,
            note: Some(print_note),
            ..RegistryOptions::default()
        }
    }
}
