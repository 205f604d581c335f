//! `seatrial login`: stores the credentials for a registry.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use super::args::{login_password, seconds};
use super::exit::UsageError;
use super::progress::print_note;
use super::prompt;
use super::streams::{is_quiet, messages, stdout};
use crate::registry::{
    Credentials, DEFAULT_TIMEOUT, Place, Registries, RegistryOptions, Secret, registry_of,
};
use crate::text;

/// Stores the user name and password for a registry
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The registry is asked first whether it accepts them. They are stored where
docker login stores them, or podman login if its file has an entry for the
registry: with the credential helper that the file names, or else unencrypted
in the file, which only you can read. docker, podman, skopeo and seatrial find
them there.

Examples:
  seatrial login registry.example
  echo \"$TOKEN\" | seatrial login registry.example -u me --password-stdin")]
pub(super) struct Args {
    /// Registry: a host, with a port if it is not the usual one; docker.io for
    /// Docker Hub
    #[arg(value_name = "REGISTRY")]
    registry: String,

    /// User name [default: ask on the terminal]
    #[arg(short, long, value_name = "NAME")]
    username: Option<String>,

    /// Read the password from standard input [default: ask on the terminal]
    #[arg(long, requires = "username")]
    password_stdin: bool,

    /// Password or token; other users of this host can see it
    #[arg(short, long, value_name = "PASSWORD", requires = "username")]
    #[arg(conflicts_with = "password_stdin")]
    password: Option<String>,

    /// Use a registry without TLS if it has none; loopback addresses need no flag
    #[arg(long)]
    plain_http: bool,

    /// Time limit for a registry that does not answer
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_TIMEOUT)]
    #[arg(value_parser = seconds(1))]
    registry_timeout: u64,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let registry = registry_of(&args.registry)?;
    let (username, password) = credentials(args)?;
    let name = text::shorten(&username).into_owned();
    let options = RegistryOptions {
        login: Some(Credentials::Password { username, password }),
        plain_http: args.plain_http,
        timeout: Duration::from_secs(args.registry_timeout),
        cache: false,
        note: Some(print_note),
        ..RegistryOptions::default()
    };
    let stored = Registries::new(options)?.log_in(&registry)?;
    if !stored.is_checked {
        print_note("the registry asks for no credentials, so these were not checked");
    }
    if !is_quiet() {
        let place = describe(&stored.place);
        writeln!(stdout(), "logged in to {registry} as {name}; stored {place}")?;
    }
    if let Place::File(path) = &stored.place {
        let path = text::path(path);
        let hint = "a credential helper (credsStore) would encrypt it";
        print_note(&format!("the password is unencrypted in {path}; {hint}"));
    }
    Ok(())
}

/// Describes where credentials are.
pub(super) fn describe(place: &Place) -> String {
    match place {
        Place::File(path) => format!("in {}", text::path(path)),
        Place::Helper(name) => format!("by docker-credential-{}", text::shorten(name)),
    }
}

/// The user name and password of the arguments, or else of the terminal.
fn credentials(args: &Args) -> anyhow::Result<(String, Secret)> {
    if let (Some(username), true) = (&args.username, args.password_stdin) {
        check_username(username)?;
        return Ok((username.clone(), login_password()?));
    }
    if let (Some(username), Some(password)) = (&args.username, &args.password) {
        let warning = "other users of this host can see a password on the command line, and \
                       shells keep it; use --password-stdin";
        writeln!(messages(), "warning: {warning}")?;
        return checked(username.clone(), password);
    }
    if !std::io::stdin().is_terminal() {
        let problem = "standard input is not a terminal; give --username and --password-stdin";
        return Err(UsageError(problem).into());
    }
    let username = match &args.username {
        Some(username) => username.clone(),
        None => prompt::line("Username: ")?,
    };
    let password = prompt::password("Password: ")?;
    checked(username, &password)
}

fn checked(username: String, password: &str) -> anyhow::Result<(String, Secret)> {
    check_username(&username)?;
    match password.is_empty() {
        true => Err(UsageError("the password is empty").into()),
        false => Ok((username, Secret::new(password))),
    }
}

fn check_username(username: &str) -> Result<(), UsageError> {
    match () {
        () if username.is_empty() => Err(UsageError("the user name is empty")),
        () if username.contains(':') => Err(UsageError("a user name cannot contain a colon")),
        () => Ok(()),
    }
}
