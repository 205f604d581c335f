//! The daemon that the user means, and images in it.

use std::fs::File;
use std::thread;

use anyhow::anyhow;

use super::exit::EnvironmentError;
use super::progress::StatusLine;
use super::runtime::block_on;
use crate::archive::ArchiveError;
use crate::engine::{Address, Docker, EngineError};
use crate::image::{Platform, Reference};
use crate::text;
use crate::text::errors::{chain, last_cause};
use crate::vm::pool::VARIABLE;

/// The shell command after which the host's own engine is used again.
pub(super) const UNSET: &str = "unset SEATRIAL_VM DOCKER_HOST DOCKER_TLS_VERIFY DOCKER_CERT_PATH";

/// Connects to the daemon at `host`, or else to the one that the environment names, and returns it
/// with its platform. `has_flag` is whether the command has the flag `--host`.
pub(super) async fn connect(
    host: Option<&str>,
    has_flag: bool,
) -> anyhow::Result<(Docker, Platform)> {
    let Address { host, keys } = Address::find(host, |name| std::env::var(name).ok())?;
    let connected = async {
        let engine = Docker::from_host(&host, keys.as_deref())?;
        let engine = engine.negotiate_version().await?;
        let arch = engine.architecture().await?;
        Ok((engine, arch.map_or_else(Platform::host, Platform::from)))
    };
    connected.await.map_err(|error: EngineError| match error.is_environment() {
        true => EnvironmentError(unusable(&error, &text::shorten(&host), has_flag)).into(),
        false => error.into(),
    })
}

/// Describes why the daemon at `host` cannot be used, and what helps.
fn unusable(error: &EngineError, host: &str, has_flag: bool) -> String {
    use bollard::errors::Error::{DockerResponseServerError, SocketNotFoundError};
    if std::env::var_os(VARIABLE).is_some() && !matches!(error, EngineError::Timeout { .. }) {
        let cause = chain(error);
        return format!("{cause}; to use the host's engine again: {UNSET}");
    }
    let reason = match error {
        EngineError::Api { source: SocketNotFoundError(_), .. } => {
            "there is no such socket".to_owned()
        }
        EngineError::Api { source, .. } if !matches!(source, DockerResponseServerError { .. }) => {
            last_cause(source)
        }
        other => return format!("failed to use the daemon at {host}: {}", chain(other)),
    };
    let remedy = match has_flag {
        true => "start the daemon, set DOCKER_HOST, or pass --host",
        false => "start the daemon, or set DOCKER_HOST",
    };
    format!("failed to connect to the daemon at {host}: {reason}; {remedy}")
}

/// Saves an image of the daemon to a file without a name.
pub(super) fn save(reference: &Reference) -> anyhow::Result<File> {
    // The caller may be within a runtime, in which another one cannot start.
    let saved = thread::scope(|scope| scope.spawn(|| save_to_file(reference)).join());
    saved.unwrap_or_else(|_| Err(anyhow!("a thread stopped unexpectedly")))
}

fn save_to_file(reference: &Reference) -> anyhow::Result<File> {
    let file = tempfile::tempfile().map_err(ArchiveError::temporary_file)?;
    let line = StatusLine::new();
    line.set(format!("saving {reference}"));
    block_on(async {
        let (engine, _) = connect(None, false).await?;
        let name = reference.to_string();
        if !engine.has(&name).await? {
            return Err(anyhow!(
                "the daemon has no image {}; docker image ls lists those that it has",
                text::quote(&name)
            ));
        }
        let output = file.try_clone().map_err(ArchiveError::temporary_file)?;
        let mut output = tokio::io::BufWriter::new(tokio::fs::File::from_std(output));
        Ok(engine.save(&name, &mut output).await?)
    })?;
    Ok(file)
}
