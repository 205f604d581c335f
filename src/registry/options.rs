//! How registries are used.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::secret::Credentials;

/// The default time limit for a silent registry in seconds.
pub(crate) const DEFAULT_TIMEOUT: u64 = 60;

/// How registries are used.
#[derive(Clone, Debug)]
pub struct RegistryOptions {
    /// Credentials for registries, in the place of those in files.
    pub login: Option<Credentials>,
    /// The registries that get these credentials; `None` for all of them. Mirrors never do.
    pub login_registries: Option<BTreeSet<String>>,
    /// The flags for these credentials, as messages name them.
    pub login_flags: &'static str,
    /// The only file with credentials that is read, in the place of the usual ones.
    pub auth_file: Option<PathBuf>,
    /// Whether registries may have no TLS. It is tried first, and a registry that has TLS is never
    /// used without. Registries on the loopback interface need not have TLS in any case.
    pub plain_http: bool,
    /// How long a registry may stay silent.
    pub timeout: Duration,
    /// Whether blobs are kept in the cache.
    pub cache: bool,
    /// Prints a note for the user, such as that a registry asks for a long pause.
    pub note: Option<fn(&str)>,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        let timeout = Duration::from_secs(DEFAULT_TIMEOUT);
        Self {
            login: None,
            login_registries: None,
            login_flags: "--username and --password-stdin",
            auth_file: None,
            plain_http: false,
            timeout,
            cache: true,
            note: None,
        }
    }
}
