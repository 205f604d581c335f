//! Credentials for one side of a copy: the source's registry, or the destination's.

use std::convert::Infallible;
use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::bail;

use super::login::{Login, SideLogin, password_from_stdin};
use crate::cli::streams::messages;
use crate::image::Location;
use crate::registry::{Credentials, Secret};

/// The heading of these arguments in help texts.
const HEADING: &str = "Credentials for one side";

/// The arguments of a command that may use two registries with different credentials.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::cli) struct SideArgs {
    /// User for the source's registry; without PASSWORD, which other users of this
    /// host could see, it is read from the variable SEATRIAL_SRC_PASSWORD
    #[arg(long, value_name = "USER[:PASSWORD]", help_heading = HEADING)]
    src_creds: Option<Creds>,

    /// Read the password for --src-creds from standard input
    #[arg(long, requires = "src_creds", conflicts_with = "password_stdin", help_heading = HEADING)]
    src_password_stdin: bool,

    /// Only file with credentials for the source's registry, such as auth.json
    #[arg(long, value_name = "FILE", conflicts_with = "src_creds", help_heading = HEADING)]
    src_authfile: Option<PathBuf>,

    /// User for the destination's registry; without PASSWORD, it is read from the
    /// variable SEATRIAL_DEST_PASSWORD
    #[arg(long, value_name = "USER[:PASSWORD]", help_heading = HEADING)]
    dest_creds: Option<Creds>,

    /// Read the password for --dest-creds from standard input
    #[arg(long, requires = "dest_creds", help_heading = HEADING,
        conflicts_with_all = ["password_stdin", "src_password_stdin"])]
    dest_password_stdin: bool,

    /// Only file with credentials for the destination's registry
    #[arg(long, value_name = "FILE", conflicts_with = "dest_creds", help_heading = HEADING)]
    dest_authfile: Option<PathBuf>,
}

/// A user, with a password if it is on the command line. Parsing never fails, because an error
/// would show the text.
#[derive(Clone)]
struct Creds {
    username: String,
    password: Option<String>,
}

impl FromStr for Creds {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (username, password) = match text.split_once(':') {
            Some((username, password)) => (username, Some(password.to_owned())),
            None => (text, None),
        };
        Ok(Self { username: username.to_owned(), password })
    }
}

impl fmt::Debug for Creds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// The arguments for one side.
struct Side<'a> {
    /// The side as its arguments begin: `src` or `dest`.
    name: &'static str,
    creds: Option<&'a Creds>,
    stdin: bool,
    auth_file: Option<&'a PathBuf>,
}

impl SideArgs {
    /// The credentials for the source, which is at `location`.
    pub(in crate::cli) fn source(&self, location: &Location) -> anyhow::Result<SideLogin> {
        let (creds, stdin) = (self.src_creds.as_ref(), self.src_password_stdin);
        let side = Side { name: "src", creds, stdin, auth_file: self.src_authfile.as_ref() };
        Ok(SideLogin { login: side.login(location)?, flag: "--src-creds" })
    }

    /// The credentials for the destination, which is at `location`.
    pub(in crate::cli) fn destination(&self, location: &Location) -> anyhow::Result<SideLogin> {
        let (creds, stdin) = (self.dest_creds.as_ref(), self.dest_password_stdin);
        let side = Side { name: "dest", creds, stdin, auth_file: self.dest_authfile.as_ref() };
        Ok(SideLogin { login: side.login(location)?, flag: "--dest-creds" })
    }
}

impl Side<'_> {
    fn login(&self, location: &Location) -> anyhow::Result<Option<Login>> {
        let login = match (self.creds, self.auth_file) {
            (Some(creds), _) => Login::Credentials(self.credentials(creds)?),
            (None, Some(path)) => Login::AuthFile(path.clone()),
            (None, None) => return Ok(None),
        };
        if !matches!(location, Location::Registry(_)) {
            let (name, flag) = (self.name, if self.creds.is_some() { "creds" } else { "authfile" });
            bail!("--{name}-{flag} is only for images in registries, not for {location}");
        }
        Ok(Some(login))
    }

    fn credentials(&self, creds: &Creds) -> anyhow::Result<Credentials> {
        let name = self.name;
        let Creds { username, password } = creds;
        if username.is_empty() {
            bail!("--{name}-creds has no user name; write USER or USER:PASSWORD");
        }
        let variable = format!("SEATRIAL_{}_PASSWORD", name.to_uppercase());
        let stored = std::env::var(&variable).ok().filter(|password| !password.is_empty());
        let password = match (password, stored) {
            (Some(_), _) if self.stdin => {
                bail!("--{name}-creds has a password; leave it out with --{name}-password-stdin")
            }
            (None, _) if self.stdin => return password_from_stdin(username),
            (Some(password), _) => {
                // The login works, whether this can be printed or not.
                let _ = writeln!(
                    messages(),
                    "note: other users of this host can see the password in --{name}-creds; set \
                     {variable} or use --{name}-password-stdin"
                );
                password.clone()
            }
            (None, Some(password)) => password,
            (None, None) => bail!(
                "--{name}-creds has no password; set {variable} or use --{name}-password-stdin"
            ),
        };
        let (username, password) = (username.clone(), Secret::new(password));
        Ok(Credentials::Password { username, password })
    }
}
