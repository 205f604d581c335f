//! Credentials that the command line gives, or says where they are.

use std::io::Read;
use std::path::PathBuf;

use crate::cli::exit::UsageError;
use crate::registry::{Credentials, Secret};

/// The size limit of a password in bytes.
const PASSWORD_MAX: u64 = 64 << 10;

/// The credentials for one registry, or where they are.
pub(in crate::cli) enum Login {
    Credentials(Credentials),
    AuthFile(PathBuf),
}

/// The credentials for one side of a copy.
pub(in crate::cli) struct SideLogin {
    /// `None` if they are found as for other commands.
    pub(super) login: Option<Login>,
    /// The flag that gives them.
    pub(super) flag: &'static str,
}

/// The credentials of the user `username`, whose password is on standard input.
pub(super) fn password_from_stdin(username: &str) -> anyhow::Result<Credentials> {
    Ok(Credentials::Password { username: username.to_owned(), password: login_password()? })
}

/// The password on standard input.
pub(in crate::cli) fn login_password() -> anyhow::Result<Secret> {
    let mut password = String::new();
    std::io::stdin().take(PASSWORD_MAX).read_to_string(&mut password)?;
    let password = password.strip_suffix('\n').unwrap_or(&password);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        return Err(UsageError("there is no password on standard input").into());
    }
    Ok(Secret::new(password))
}
