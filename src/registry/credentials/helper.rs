//! Credential helpers: programs that keep credentials (docker-credential-helpers, "Development").

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::registry::RegistryError;
use crate::registry::secret::{Credentials, Secret};
use crate::text;

/// The size limit of a credential helper's answer in bytes.
const ANSWER_MAX: u64 = 1 << 20;
/// The time limit for a credential helper, which may ask the user.
const HELPER_TIMEOUT: Duration = Duration::from_secs(120);
/// The user name that marks an identity token.
const TOKEN_USER: &str = "<token>";
/// A credential helper's answer if it has no credentials (docker-credential-helpers,
/// `credentials/error.go`).
const NOT_FOUND: &str = "credentials not found in native keychain";

/// A credential helper's answer.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

impl HelperAnswer {
    /// The credentials, if there are any.
    fn credentials(self) -> Option<Credentials> {
        let Self { username, secret } = self;
        match (&*username, &*secret) {
            (_, "") => None,
            (TOKEN_USER, _) => Some(Credentials::IdentityToken(Secret::new(secret))),
            _ => Some(Credentials::Password { username, password: Secret::new(secret) }),
        }
    }
}

/// The setting that names a credential helper.
pub(super) struct Origin<'a> {
    /// The file.
    pub(super) path: &'a Path,
    /// The key in it.
    pub(super) setting: String,
}

/// Asks the credential helper `name`, which `origin` names, for the credentials of `server`.
pub(super) async fn ask(
    name: &str,
    server: &str,
    origin: &Origin<'_>,
) -> Result<Option<Credentials>, RegistryError> {
    let Some(output) = call(name, "get", server, origin).await? else { return Ok(None) };
    let answer: HelperAnswer = serde_json::from_slice(&output)
        .map_err(|_| failed(name, "its answer is not JSON with Username and Secret", origin))?;
    Ok(answer.credentials())
}

/// Gives the credential helper `name`, which `origin` names, a password for `server` to keep.
pub(super) async fn store(
    name: &str,
    server: &str,
    (username, password): (&str, &Secret),
    origin: &Origin<'_>,
) -> Result<(), RegistryError> {
    let secret = password.expose();
    let input = json!({ "ServerURL": server, "Username": username, "Secret": secret });
    match call(name, "store", &input.to_string(), origin).await? {
        Some(_) => Ok(()),
        None => Err(failed(name, "the credential helper failed", origin)),
    }
}

/// Lets the credential helper `name`, which `origin` names, forget the credentials of `server`.
pub(super) async fn erase(
    name: &str,
    server: &str,
    origin: &Origin<'_>,
) -> Result<(), RegistryError> {
    call(name, "erase", server, origin).await.map(drop)
}

/// Runs the credential helper `name` with `action` and `input`, and returns its answer; `None` if
/// it has no such credentials.
async fn call(
    name: &str,
    action: &str,
    input: &str,
    origin: &Origin<'_>,
) -> Result<Option<Vec<u8>>, RegistryError> {
    let failed = |problem: String| failed(name, &problem, origin);
    let is_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !name.chars().all(is_name) {
        return Err(failed("not the name of a credential helper".to_owned()));
    }
    let output = tokio::time::timeout(HELPER_TIMEOUT, run(&program(name), action, input)).await;
    let output = output
        .map_err(|_| failed(format!("no answer within {} s", HELPER_TIMEOUT.as_secs())))?
        .map_err(|error| failed(format!("failed to run the credential helper: {error}")))?;
    let Some((status, output)) = output else {
        return Err(failed("its answer is too long".to_owned()));
    };
    if status.success() {
        return Ok(Some(output));
    }
    let message = String::from_utf8_lossy(&output);
    match message.trim() {
        NOT_FOUND => Ok(None),
        "" => Err(failed(format!("the credential helper failed: {status}"))),
        message => Err(failed(format!("the credential helper failed: {}", text::shorten(message)))),
    }
}

fn program(name: &str) -> String {
    format!("docker-credential-{name}")
}

/// A problem of the credential helper `name`.
fn failed(name: &str, problem: &str, origin: &Origin<'_>) -> RegistryError {
    let (file, setting) = (text::path(origin.path), text::shorten(&origin.setting));
    let hint = format!("{file} names it ({setting}); remove that if you do not need it");
    RegistryError::Credentials { path: program(name).into(), problem: format!("{problem}; {hint}") }
}

/// The helper's status and answer; `None` if that is too long.
async fn run(
    program: &str,
    action: &str,
    input: &str,
) -> io::Result<Option<(ExitStatus, Vec<u8>)>> {
    let mut command = Command::new(program);
    command.arg(action).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.kill_on_drop(true).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read its input ends by itself.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let mut answer = Vec::new();
    if let Some(output) = child.stdout.take() {
        output.take(ANSWER_MAX + 1).read_to_end(&mut answer).await?;
    }
    if answer.len() as u64 > ANSWER_MAX {
        return Ok(None);
    }
    Ok(Some((child.wait().await?, answer)))
}
