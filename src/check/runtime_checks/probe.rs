//! Connects to a container from outside of it, with a program in the guest.

use std::time::Duration;

use crate::engine::{Container, EngineError};
use crate::harness::{Daemon, HarnessError};

/// The limit of the body of an HTTP answer in bytes.
pub(super) const BODY_MAX: usize = 1 << 20;
/// The time limit for an HTTP answer in seconds.
pub(super) const HTTP_TIMEOUT: u64 = 20;
/// The time for which one probe tries to connect, in seconds. Callers try again, and look at the
/// container's state in between.
const CONNECT_TIMEOUT: u64 = 1;
/// Additional time for the guest to run the program.
const GRACE: Duration = Duration::from_secs(30);
/// The guest's program that connects to services.
const PROBE: &str = "/usr/lib/seatrial/probe";
/// Its exit code if the port does not accept connections.
const NO_CONNECTION: i64 = 3;

/// The result of a probe.
pub(super) enum Probe<T> {
    /// The port accepts connections.
    Connected(T),
    /// The port does not accept connections, for this reason.
    Refused(String),
}

/// The answer to an HTTP request, as far as it arrived.
pub(super) struct Answer {
    /// The status, if there was one.
    pub status: Option<u16>,
    /// The reason why the answer is not complete, if it is not.
    pub problem: Option<String>,
    /// The body.
    pub body: String,
}

/// Tries to connect to `port` of the container.
pub(super) async fn connect(
    daemon: &Daemon,
    container: &Container,
    port: u16,
) -> Result<Probe<()>, HarnessError> {
    Ok(match run(daemon, container, "port", port, &[]).await? {
        Probe::Connected(_) => Probe::Connected(()),
        Probe::Refused(problem) => Probe::Refused(problem),
    })
}

/// Sends a GET request to `port` of the container.
pub(super) async fn get(
    daemon: &Daemon,
    container: &Container,
    port: u16,
    path: &str,
) -> Result<Probe<Answer>, HarnessError> {
    let arguments = [&HTTP_TIMEOUT.to_string(), &BODY_MAX.to_string(), path];
    Ok(match run(daemon, container, "http", port, &arguments).await? {
        Probe::Connected(output) => Probe::Connected(parse(&output)),
        Probe::Refused(problem) => Probe::Refused(problem),
    })
}

fn parse(output: &str) -> Answer {
    let mut lines = output.splitn(3, '\n');
    let status = lines.next().and_then(|status| status.parse().ok());
    let problem = lines.next().filter(|problem| !problem.is_empty()).map(str::to_owned);
    Answer { status, problem, body: lines.next().unwrap_or_default().to_owned() }
}

async fn run(
    daemon: &Daemon,
    container: &Container,
    kind: &str,
    port: u16,
    arguments: &[&str],
) -> Result<Probe<String>, HarnessError> {
    let address = match container.address().await {
        Ok(address) => address,
        Err(error @ EngineError::NoAddress) => return Ok(Probe::Refused(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    let (port, connect) = (port.to_string(), CONNECT_TIMEOUT.to_string());
    let arguments = [&[PROBE, kind, &address, &port, &connect], arguments].concat();
    let limit = Duration::from_secs(CONNECT_TIMEOUT + HTTP_TIMEOUT) + GRACE;
    let output = daemon.guest_run("/usr/bin/perl", &arguments, limit).await?;
    match output.code {
        Some(0) => Ok(Probe::Connected(output.stdout)),
        Some(NO_CONNECTION) => Ok(Probe::Refused(output.stderr.trim_end().to_owned())),
        _ => {
            let problem = format!("the guest's probe failed: {}", output.stderr.trim_end());
            Err(EngineError::Unexpected(problem).into())
        }
    }
}
